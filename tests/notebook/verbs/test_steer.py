"""`%compile skip`, `retry` and `set`: one task in a user's hands."""

from __future__ import annotations

import time

from tests.support.shell import told

SLOW = """
import asyncio
from compiler_nb import tool
gate, broken = [], ["x"]
@tool
async def slow(x: object) -> object:
    "Return it later."
    while not gate:
        await asyncio.sleep(0.01)
    return x
@tool
async def frail(x: object) -> object:
    "Fail as long as it is broken."
    if broken:
        raise ValueError("search failed, 404")
    return x
"""


def going(shell, program):
    """Begin a plan in the background, and wait until `f` has failed."""
    shell.ok(SLOW)
    shell.ok(f"%%plan -b -o r\n{program}")
    run = shell.ns["r"]
    deadline = time.monotonic() + 10
    while run.progress.states.get("f") != "failed":
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return run


def test_a_task_of_a_run_that_goes_on_is_given_a_value_tried_again_or_skipped(shell, capsys):
    """A value may be an expression that reads the notebook's variables; what depends on the task runs then."""
    run = going(shell, "a = slow(1)\nb = slow(2)\nf = frail(3)\ng = frail(4)\nc = [a, f, g]\nanswer(c)\n")
    shell.ns["k"] = {"n x": [7]}
    assert told(shell, capsys, "%compile set f k['n x'] + [8]") == "set: f = [7, 8]\n"
    assert told(shell, capsys, "%compile skip b") == "skipped: b\n"
    shell.ok("broken.clear()")
    assert told(shell, capsys, "%compile retry g r") == "tried again: g\n"
    shell.ok("gate.append(1)")
    assert run.wait(10).answer == [1, [7, 8], 4]
    assert (run.why("b"), run.state("g")) == ("skipped by you", "done")
    assert "set by you" in run.why("f")
    text = shell.run("r.visualize()").result.svg
    assert "f · done · set by you" in text


def test_what_cannot_be_done_to_a_task_says_the_way_on(shell, capsys):
    """In one line, without a traceback: also when the run has ended."""
    run = going(shell, "a = slow(1)\nf = frail(3)\nanswer(a)\n")
    assert "no task 'nobody'" in shell.error("%compile skip nobody")
    assert "%compile set takes an expression" in shell.error("%compile set f open('x')")
    assert shell.error("%compile retry a -1 x").startswith("OptionError: %compile retry does not take 'x'")
    shell.ok("gate.append(1)")
    run.wait(10)
    ended = f"the run {run.id} has ended (done); run it again: %compile rerun {run.id}"
    assert f"SteerError: f cannot be tried again: {ended} --start f" in shell.error("%compile retry f")
    assert f"SteerError: f cannot be given a value: {ended} --override TASK=VALUE" in shell.error("%compile set f 5")
