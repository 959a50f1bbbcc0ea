"""Jobs: what a cell waits for, stopped from any thread, and what follows its end."""

from __future__ import annotations

import asyncio

import pytest

from compiler_nb import Compiler, History, ScriptedModel
from compiler_nb.notebook.again import begin_again
from compiler_nb.notebook.begin import begin_cell
from compiler_nb.notebook.job import PlanJob, Question
from compiler_nb.notebook.loop import block, wait
from compiler_nb.notebook.options import Line
from tests.support.shell import PLAN


@pytest.fixture
def desk(shell):
    """Give the desk of a shell."""
    return shell.ip.magics_manager.registry["CompileMagics"].desk


def planning(desk, model):
    """Return the job of making a plan."""
    return PlanJob(desk, Question(Line({}), "q", {}, "c", []), Compiler(planner=model, tools=desk.memory.names.tools()))


def test_a_plan_is_drawn_when_its_job_is_finished(shell, desk):
    """Nothing is shown before, and nothing is run."""
    job = planning(desk, ScriptedModel({"planner": PLAN}))
    assert block(job) is False
    assert not shell.shown
    job.finish(False)
    assert "double(1)" in shell.text()
    assert "a" not in shell.ns


def test_what_prevented_a_plan_is_raised_in_the_cell(desk):
    """Not on the loop: there nobody would see it."""
    job = planning(desk, ScriptedModel({"planner": "a = nobody(1)", "repair": "a = nobody(1)"}))
    assert asyncio.run(wait(job)) is False
    with pytest.raises(Exception, match="nobody"):
        job.finish(False)


def test_planning_is_stopped(desk):
    """Before it began, too; the cell then says so."""
    job = planning(desk, ScriptedModel({"planner": PLAN}, ttft=30.0))
    job.stop()

    async def cell():
        task = asyncio.create_task(wait(job))
        await asyncio.sleep(0.05)
        task.cancel()
        return await task

    assert asyncio.run(cell()) is True
    with pytest.raises(KeyboardInterrupt, match="planning was stopped"):
        job.finish(True)


def test_a_plan_that_is_not_run_keeps_its_prompt_reply_and_usage(shell, capsys, tmp_path):
    """As a run that ended with its plan: bound, listed, stored, and `rerun` runs it."""
    shell.ok(f"%config CompileMagics.history = {str(tmp_path / 'runs.db')!r}")
    model = shell.planner(PLAN)
    shell.ok("%%compile -N -m m -o planned\nWhich is best?")
    assert shell.text().splitlines()[-1].startswith("3 tasks · ")
    assert shell.text().endswith(" tokens · bound: planned")
    run = shell.ns["planned"]
    assert (run.status, run.rounds[0].text, run.usage.calls) == ("done", PLAN, 1)
    assert [task.id for task in run.plan.tasks] == ["a", "b", "best"]
    assert "Which is best?" in run.prompt()
    assert (run.results, run.why("a"), run.why("best")) == ({}, "was planned and not run", "was planned and not run")
    assert History(tmp_path / "runs.db").load(run.id).prompt() == run.prompt()
    capsys.readouterr()
    shell.ok("%compile runs")
    assert run.id in capsys.readouterr().out
    shell.ok("%compile show -1 -d graph")
    assert "None" not in shell.text()
    shell.ok("%compile rerun planned")
    assert (shell.ns["run"].answer, len(model.calls)) == (4, 1)


def test_a_plan_that_could_not_be_made_keeps_its_run_too(shell):
    """The error is raised as before, and the prompt and the reply can be read."""
    shell.planner("a = nobody(1)\n", "a = nobody(2)\n")
    assert shell.error("%%compile -N -m m\nq").startswith("PlanError: line 1, column 5: no tool is called 'nobody'")
    assert (shell.ns["run"].status, shell.ns["run"].rounds[0].text) == ("failed", "a = nobody(2)\n")
    assert shell.error("%%compile -N -m m --budget tokens=10\nq").startswith("RunFailed: the budget of 10 tokens")
    assert shell.ns["run"].status == "limit"


def test_a_plan_of_a_cell_that_ran_before_keeps_its_variables(shell):
    """Nothing ran, so nothing is stale."""
    shell.planner(PLAN)
    shell.ok("%%compile -m m\nq")
    shell.ok("%%compile -N -m m\nq")
    assert shell.ns["best"] == 4


def test_a_run_is_begun_stopped_and_finished(shell, desk):
    """What finished is kept and bound; a rerun goes on where it stopped."""
    shell.planner("a = double(1)\nb = double(a)\nanswer(b)")
    job = begin_cell(desk, "compile", "-m m --live off", "q", outermost=False)
    job.stop()
    assert block(job) is False
    job.finish(False)
    assert shell.ns["run"].status == "cancelled"
    shell.ok("%config CompileMagics.model = 'm'")
    shell.planner("a = double(1)\nb = double(a)\nanswer(b)")
    again = begin_again(desk, shell.ns["run"])
    assert block(again) is False
    again.finish(False)
    assert shell.ns["b"] == 4
