"""Where an error came up: the text of its traceback, and the user's own line in it."""

from __future__ import annotations

import json
import traceback

import pytest

from compiler_nb import Compiler, Failure, Plan, RunFailed, ToolError, tool
from compiler_nb.history import History
from compiler_nb.tracebacks import LONGEST, place_of, traceback_of


@tool
def fetch(text: str) -> object:
    """Read JSON."""
    return json.loads(text)


@tool
async def late(text: str) -> object:
    """Read JSON later."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise LookupError("not found") from error


@tool
def deep(n: int) -> object:
    """Call itself for ever."""
    return deep.function(n + 1)


def failure_of(text: str, **settings) -> Failure:
    """Return the failure of a plan's `a`."""
    compiler = Compiler(None, [fetch, late, deep], **settings)
    return compiler.execute_sync(Plan.parse(text, tools=[fetch, late, deep])).failures["a"]


def test_a_failures_traceback_is_text_from_the_tool_on():
    """Neither our own frames nor any object: a text to read and to keep."""
    told = failure_of('a = fetch("{")').traceback
    lines = told.split("\n")
    assert (lines[0], lines[2]) == ("Traceback (most recent call last):", "    return json.loads(text)")
    assert lines[-1].startswith("json.decoder.JSONDecodeError: Expecting property name")
    assert "compiler_nb/engine" not in told
    where, code = place_of(told)
    assert where.endswith("test_tracebacks.py, line 18, in fetch")
    assert code == "return json.loads(text)"


def test_a_chain_tells_both_and_the_line_is_the_last_ones():
    """As Python prints it."""
    told = failure_of('a = late("{")').traceback
    assert "The above exception was the direct cause" in told
    assert place_of(told).code == 'raise LookupError("not found") from error'


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_asking_for_a_value_that_a_tool_did_not_return_ends_in_the_tool(name):
    """Also for a task that was skipped for it: that error is the cause, and none of its frames is ours."""
    run = Compiler(None, [fetch]).execute_sync("a = fetch('{')\nb = fetch(a)\nc = [fetch(b)]\njoin()")
    with pytest.raises(ToolError) as raised:
        run[name]
    assert raised.value.__cause__ is run.failures["a"].error
    assert [frame.name for frame in raised.traceback][:3] == [
        "test_asking_for_a_value_that_a_tool_did_not_return_ends_in_the_tool", "__getitem__", "fetch"
    ]  # fmt: skip
    assert traceback.extract_tb(raised.value.__cause__.__traceback__)[0].filename == __file__
    with pytest.raises(RunFailed) as failed:
        run.raise_for_failures()
    assert failed.value.__cause__ is run.failures["a"].error
    assert "fetch" in [frame.name for frame in failed.traceback]


def test_a_long_traceback_is_bounded():
    """Its beginning and its end are kept."""
    told = failure_of("a = deep(1)").traceback
    assert len(told) <= LONGEST + 3
    assert place_of(told).where.endswith("in deep")


def test_what_has_no_frame_of_the_users_has_no_line():
    """A timeout has no exception, an expression no frame, an error's own text may be broken."""
    assert Failure("timeout", "too late").traceback == ""
    told = failure_of("a = 1 / 0").traceback
    assert (place_of(told), "ZeroDivisionError" in told) == (None, True)

    class Odd(Exception):
        def __str__(self):
            raise RuntimeError

    assert "Odd" in traceback_of(Odd())


def test_a_stored_failure_tells_the_same(tmp_path):
    """Its exception is gone, the text is there."""
    with History(tmp_path / "runs.db") as history:
        run = Compiler(None, [fetch], history=history).execute_sync(Plan.parse('a = fetch("{")', tools=[fetch]))
        loaded = history.load(run.id)
    assert loaded.failures["a"].error is None
    assert loaded.failures["a"].traceback == run.failures["a"].traceback


def test_what_is_raised_for_a_failure_has_the_original_as_its_cause():
    """`run["a"]` and `raise_for_failures`."""
    run = Compiler(None, [fetch]).execute_sync(Plan.parse('a = fetch("{")', tools=[fetch]))
    with pytest.raises(ToolError) as raised:
        run["a"]
    assert isinstance(raised.value.__cause__, json.JSONDecodeError)
    with pytest.raises(RunFailed) as failed:
        run.raise_for_failures()
    assert failed.value.__cause__ is raised.value.__cause__
