"""Python's own parser, silent and beside other threads."""

from __future__ import annotations

import ast
import contextlib
import threading
import warnings

import pytest

from compiler_nb.plan.syntax import parse_syntax


def test_statements_and_expressions():
    """What comes back is the tree of the text."""
    assert isinstance(parse_syntax("a = f(1)\n", "single").body[0], ast.Assign)
    assert isinstance(parse_syntax("1 + 2", "eval").body, ast.BinOp)
    with pytest.raises(SyntaxError):
        parse_syntax("a = f(\n", "single")


def test_no_warning_gets_out():
    """An escape that is none is the planner's affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse_syntax("a = f('\\d', 1if x else 2)\n", "single").body


def test_threads_that_parse_at_once():
    """CPython counts the depth of all threads' parsing together; ours, beside a foreign one, all get their trees."""
    text = "a = f(" + "[" * 15 + "x" + "]" * 15 + ", " + ", ".join(f"g({n}, (1, 2))" for n in range(40)) + ")\n"
    faults: list[BaseException] = []
    done = threading.Event()

    def ours() -> None:
        try:
            for _ in range(150):
                parse_syntax(text, "single")
        except BaseException as error:  # noqa: BLE001 - shown below
            faults.append(error)

    def foreign() -> None:
        while not done.is_set():
            with contextlib.suppress(SystemError):  # what we guard against
                ast.parse(text)

    other = threading.Thread(target=foreign)
    threads = [threading.Thread(target=ours) for _ in range(4)]
    for thread in (other, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    other.join()
    assert not faults
