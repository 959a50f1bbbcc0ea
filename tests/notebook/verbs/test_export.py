"""`%compile export`."""

from __future__ import annotations

import subprocess
import sys

from compiler_nb import ScriptedModel
from tests.support.shell import told

CELL = """
import math
RATE = 2
def helper(x): return math.sqrt(x) * RATE
@tool
async def scaled(x: float) -> float:
    return helper(x)
"""


def performed(path):
    """Return what a script prints, in an interpreter of its own."""
    return subprocess.run([sys.executable, "-I", str(path)], capture_output=True, text=True, check=False)


def test_the_plan_of_a_run_is_written_as_a_script_that_performs_it(shell, tmp_path, capsys):
    """With the notebook's functions, inputs and limits; a file that exists is kept unless the user says otherwise."""
    path = tmp_path / "plan.py"
    shell.ok(CELL)
    shell.ok("xs = [4, 9, 16]")
    shell.ok("%%plan -j 2\nrows = [scaled(x) for x in xs]\ntotal = sum(rows)\nanswer(total)")
    said = told(shell, capsys, f"%compile export run {path}")
    assert said == f"wrote {path}: python {path} performs the plan\n"
    assert "_begin(calls=2)" in path.read_text()
    assert performed(path).stdout == f"{shell.ns['run'].answer}\n"
    assert "exists already: --force writes over it" in shell.error(f"%compile export {path}")
    shell.ok("%%plan\na = scaled(1)\nanswer(a)")
    shell.ok(f"%compile export {path} --force")
    assert performed(path).stdout == "2.0\n"


def test_what_is_to_be_filled_in_is_said(shell, tmp_path, capsys):
    """By name, with the reason; the script says the same when it gets there."""
    path = tmp_path / "plan.py"
    shell.ok("twice = tool(lambda x: 2 * x, name='twice')")
    shell.ok("%%plan\na = twice(1)\nanswer(a)")
    said = told(shell, capsys, f"%compile export {path}")
    assert said.endswith("; fill in 1 name:\n  twice: a lambda: write it as a function\n")
    assert "NotImplementedError: fill in twice: a lambda" in performed(path).stderr


def test_a_stored_run_of_two_rounds_is_exported_with_the_functions_of_the_notebook(shell, tmp_path):
    """Of another session: what it read of the first round stands in the script."""
    shell.ok(f"%config CompileMagics.history = {str(tmp_path / 'runs.db')!r}")
    shell.ok(CELL)
    plans = ["a = scaled(16)\njoin()\n", "b = scaled(a * 2)\nanswer(b)\n"]
    shell.ns["m"] = ScriptedModel({"planner": plans, "joiner": "Replan: go on"})
    shell.ok("%%compile -m m\nWhat?")
    run = shell.ns["run"]
    shell.ok("del run")
    shell.ip.magics_manager.registry["CompileMagics"].desk.memory.runs.clear()
    shell.ok(f"%compile export {run.id} {tmp_path / 'plan.py'}")
    assert performed(tmp_path / "plan.py").stdout == f"{run.answer}\n"


def test_a_run_that_cannot_be_exported_says_why(shell, tmp_path):
    """It has no plan; no file is named; its folder is not there; another ending is another form."""
    shell.planner("a = nope(1)\n", "a = nope(1)\n")
    shell.error("%%compile -m m\nWhat?")
    assert "has no whole plan: resume it, or ask again" in shell.error(f"%compile export {tmp_path / 'plan.py'}")
    assert "which file? write: %compile export [RUN] FILE.py" in shell.error("%compile export")
    shell.ok("%%plan\na = double(1)\nanswer(a)")
    assert "cannot be written: No such file" in shell.error(f"%compile export {tmp_path / 'none' / 'plan.py'}")
    shell.ok(f"%compile export {tmp_path / 'plan.jsonl'}")
    assert (tmp_path / "plan.jsonl").exists()
    assert "save it as" in shell.error(f"%compile export {tmp_path / 'plan.doc'}")
