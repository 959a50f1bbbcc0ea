"""Every hint is right: the refused text, changed as it says, is valid and makes the same calls."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import compiler_nb
from compiler_nb.errors import PlanError
from compiler_nb.plan import refusals
from compiler_nb.plan.plan import Plan
from tests.support.calls import INPUTS, Calls, in_a_plan, in_python
from tests.support.expressions import value_of
from tests.support.hints import ROWS, VALUES
from tests.support.plans import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.promise
COVERS = ("refusals.py",)
PLAN = Path(compiler_nb.__file__).parent / "plan"
READERS = (
    "builder", "call", "check", "json", "json_task", "line", "numbered", "parser", "python", "reading", "reference",
    "refusals", "scanner", "statement",
)  # fmt: skip
"""The files that refuse texts."""
NO_REFUSAL = {
    "no dialect is called": "an error of the caller",
    "Python's parser is busy": "needs other threads that parse",
    "this cannot be read": "no text is known that Python's parser gives up on within our limits",
    "this f-string is not allowed": "no text is known that gives another part of an f-string",
    "unterminated string": "what Python says",
    "invalid character": "what Python says",
    "closing parenthesis": "what Python says",
    "is not UTF-8": "needs bytes, tried below",
    "the bytes are not UTF-8": "needs bytes, tried below",
    "in the middle of": "needs a text that is cut off, tried below",
    "the plan ends before its last line": "needs a text that is cut off, tried below",
    "was read as an earlier round's result": "needs an earlier round, tried below",
    "join() or answer(...)": "needs a text that is cut off, tried below",
    "has no quotes and was read as text": "a note",
    "was added at the end": "a note",
    "is text: no line above has this number": "a note",
    "a plan has at most": "takes 10,000 tasks, tried with the huge texts",
    "the tests of guarded calls": "tried with the guarded calls",
    "There are no names above this line": "needs a plan without inputs, tried below",
    "is not": "an operator", "not in": "an operator",
    "key or }": "a state of the scanner", "task or ]": "a state of the scanner",
}  # fmt: skip
"""Sentences that no row can give, and why."""


def refusal(dialect: str, text: str) -> tuple[str, ...]:
    """Return the messages of what is wrong with a text."""
    try:
        Plan.parse(text, dialect=dialect, tools=Calls().tools, inputs=INPUTS)
    except PlanError as error:
        return tuple(problem.message for problem in error.problems)
    return ()


@cache
def messages() -> tuple[str, ...]:
    """Return what all rows of the table give."""
    return tuple(message for dialect, refused, _ in ROWS for message in refusal(dialect, refused))


def name_of(row: tuple[str, str, str]) -> str:
    """Return what a row is called in a report."""
    return f"{row[0]} {row[1][:60]}"


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_refused_text_changed_as_its_hint_says_makes_the_same_calls(row):
    """It is refused, and the changed one is a plan that makes the calls which Python makes of the refused one."""
    dialect, refused, changed = row
    assert refusal(dialect, refused)
    calls = Calls()
    plan = Plan.parse(changed, dialect=dialect, tools=calls.tools, inputs=INPUTS)
    if dialect != "python":
        assert plan.tasks
        return
    try:
        expected, _ = in_python(refused)
    except Exception:  # noqa: BLE001 - then the text means nothing in Python either
        expected = None
    made, _ = in_a_plan(plan, calls)
    if expected is not None and (refused, changed) in VALUES:
        made, expected = ([call.partition("(")[0] for call in calls] for calls in (made, expected))
    assert expected is None or made == expected


TABLE_HINTS = {
    **{f"df.{name}()": refusals._METHODS[name] for name in (
        "sample", "mode", "argmax", "argmin", "get_group", "select_dtypes", "unstack", "stack", "where", "mask", "eval",
        "add", "sub", "mul", "div",
    )},
    **{f"pd.{name}(df)": text for name, text in refusals.OF_PANDAS.items() if name != "read_csv"},
}  # fmt: skip


@pytest.mark.parametrize("text", TABLE_HINTS)
def test_what_is_written_instead_of_an_idiom_of_tables_runs(text):
    """The refusal holds the code, and the code has a value over a table with these columns."""
    pandas = pytest.importorskip("pandas")
    df = pandas.DataFrame({"key": ["a", "b", "a"], "k": ["u", "v", "v"], "x": [1, 2, 3], "y": [2.5, None, 0.5]})
    with pytest.raises(PlanError, match=re.escape(f"rite {TABLE_HINTS[text]}")):
        Plan.parse(f"answer({text})", inputs=["df"])
    assert value_of(TABLE_HINTS[text], df=df, other=df) is not None


def test_a_function_of_numpy_names_the_method_of_a_column():
    """`np.mean(x)` is `x.mean()`, and `np.sum` or `np.round` what they are called here."""
    for name, told in (("mean", "Write value.mean() of a column"), ("sorted", "Write sorted(value) of a column")):
        with pytest.raises(PlanError, match=re.escape(told)):
            Plan.parse(f"answer(np.{name}(df))", inputs=["df"])


def sentences(path: Path) -> Iterator[str]:
    """Yield a pattern for each string of a file that reads like a sentence, docstrings apart."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            parts = node.values
        else:
            parts = [node]
        texts = [part.value if isinstance(part, ast.Constant) else None for part in parts]
        shown = "".join(text for text in texts if isinstance(text, str))
        if re.search(r"[A-Za-z]{2}[a-z,:]* [a-z(.]", shown) and not shown.startswith("(?"):
            pattern = "".join(".*" if text is None else re.escape(text) for text in texts)
            yield pattern.replace(re.escape("{!a}"), ".*")


@pytest.mark.parametrize("name", READERS)
def test_every_sentence_of_a_refusal_is_tried(name):
    """A new message without a row in the table fails here."""
    found = [pattern for pattern in sentences(PLAN / f"{name}.py") if "\\n" not in pattern]
    untried = [
        pattern
        for pattern in found
        if not any(re.search(pattern, message, re.DOTALL) for message in messages())
        and not any(re.escape(part) in pattern for part in NO_REFUSAL)
    ]
    assert untried == []


def test_what_needs_bytes_or_an_earlier_round_has_hints_too():
    """A plan saved as UTF-8, and a task that is renamed."""
    with pytest.raises(PlanError, match="save the plan as UTF-8"):
        Plan.parse("a = load('é')".encode("latin-1"))
    assert Plan.parse("a = load('é')".encode())
    with pytest.raises(PlanError, match=r"called 'df'\. There are no names above this line"):
        Plan.parse("a = df[0]", tools=[])
    task = '{"id": "%s", "tool": "load", "args": {"0": "%s"}}'
    for name, kinds in (("b", ["forward_ref"]), ("c", [])):
        text = f'{{"tasks": [{task % ("a", "$b")}, {task % (name, "x")}]}}'
        reading = Reading([text], "json", tools=None, earlier={"b": "x"})
        assert [problem.kind for problem in reading.problems] == kinds


def test_a_text_that_was_cut_off_is_a_plan_once_it_is_written_to_its_end():
    """In each dialect that has lines."""
    for dialect, text, rest in (
        ("python", "a = load(1)\nb = lo", "ad(2)\njoin()\n"),
        ("numbered", "1. lo", "ad(2)\n2. join()\n"),
    ):
        assert "in the middle of" in Reading([text], dialect, complete=False, tools=None).problems[0].message
        assert Reading([text, rest], dialect, complete=False, tools=None).plan is not None
    assert "its last line" in Reading(["a = load(1)\n"], "python", complete=False, tools=None).problems[0].message
