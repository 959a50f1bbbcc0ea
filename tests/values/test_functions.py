"""What distinguishes one tool's code from another's."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

from compiler_nb.tool import tool
from compiler_nb.values.functions import code_hash

ROOT = Path(__file__).parents[2]
SOURCE = "def f(x, y=1):\n    def g(z): return z in {{'a', 'b', 'c'}}\n    return x + {}, g(y)\n"


def made(text: str):
    """Return the tool that a text defines."""
    names: dict[str, object] = {}
    exec(compile(text, "cell", "exec"), names)  # noqa: S102 - a cell
    return tool(names["f"])


def test_code_counts_and_layout_does_not():
    """A constant, a default, a captured value, another function; not a comment, nor a list that fills up."""
    first = code_hash(made(SOURCE.format(1)))
    assert first == code_hash(made("\n# a comment\n" + SOURCE.format("   1") + "  # one"))
    assert first != code_hash(made(SOURCE.format(2)))
    assert first != code_hash(made(SOURCE.format(1).replace("y=1", "y=2")))

    def captures(value):
        return tool(name="f")(lambda x: (x, value))

    assert code_hash(captures(1)) != code_hash(captures(2))
    assert code_hash(captures([1])) == code_hash(captures([1, 2]))
    assert code_hash(captures(len)) != code_hash(captures(max))
    assert code_hash(tool(name="f")(functools.partial(pow, 2))) != code_hash(tool(name="f")(functools.partial(pow, 3)))


def test_code_is_told_alike_in_every_process():
    """Sets in it are written in an order of their own, whatever the hash seed."""
    code = "from tests.values.test_functions import *; print(code_hash(made(SOURCE.format(1))))"
    told = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
                       env={**os.environ, "PYTHONHASHSEED": seed}).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert told == {code_hash(made(SOURCE.format(1)))}
