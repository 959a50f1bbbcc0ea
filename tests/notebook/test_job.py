"""Jobs: what a cell waits for, stopped from any thread, and what follows its end."""

from __future__ import annotations

import asyncio
import os

import pytest

from compiler_nb import Compiler, DaskEngine, History, ScriptedModel
from compiler_nb.notebook.job import PlanJob, Question, begin_again, begin_cell
from compiler_nb.notebook.loop import block, wait
from compiler_nb.notebook.options import Line
from tests.support.shell import PLAN, open_shell


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


def test_only_a_task_of_the_run_is_a_start(shell):
    """Another name is a short error that lists the tasks."""
    shell.ok("%%plan\na = double(1)")
    assert "OptionError: no task 'x' in this run; its tasks are: a" in shell.error("%compile rerun --start x")
    assert "OptionError: no task 'x' in this run; its tasks are: a" in shell.error("%compile why x")


def test_a_cell_that_cannot_run_leaves_nothing_stale(shell):
    """What its previous run bound is deleted."""
    cell = "%%plan\na = double(1)"
    shell.ok(cell)
    assert shell.ns["a"] == 2
    del shell.ns["double"]
    assert "no tool is called 'double'" in shell.error(cell)
    assert "a" not in shell.ns


# -------------------------------------------------------------------- answers of a type

CLASS = "from dataclasses import dataclass\n\n@dataclass\nclass Best:\n    value: float\n"


def test_a_cell_has_its_answer_in_the_type_that_as_names(shell):
    """A class of the notebook, or a type as Python writes it; the footer says so."""
    shell.ok(CLASS)
    shell.planner("a = double(1)\nanswer({'value': a})")
    shell.ok("%%compile best << -m m --as Best\nWhat?")
    assert shell.ns["best"] == shell.ns["Best"](2.0)
    assert "answer as Best" in shell.text()
    shell.ok("%%plan --as list[float]\na = double(1)\nanswer([a, '3'])")
    assert shell.ns["run"].answer == [2.0, 3.0]
    shell.ok("%%plan --as dict[str, int]\nanswer({'x': 2.0})")
    assert shell.ns["run"].answer == {"x": 2}
    shell.ok("%%plan --as \"Literal['a', 'b'] | None\"\nanswer('b')")
    assert shell.ns["run"].answer == "b"


def test_a_cell_with_an_answer_of_another_type_fails_and_says_what_came(shell):
    """A given plan is not asked for again."""
    assert shell.error("%%plan --as float\nanswer('warm')") == (
        'RunFailed: the answer must be of the type float, but "warm" (str) came: '
        "input should be a valid number, unable to parse string as a number"
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            "--as Bset",
            "--as Bset: no type is called Bset; define it, or import it, in a cell above. Did you mean 'Best'",
        ),
        ("--as open('x')", "is not a type: write names, brackets and |, and no calls"),
        ("--as double", "double is not a type: it is a Tool"),
    ],
)
def test_what_is_no_type_is_said_before_anything_runs(shell, given, told):
    """Nothing of it is evaluated."""
    shell.ok(CLASS)
    model = shell.planner("answer(1)")
    assert told in shell.error(f"%%compile -m m {given}\nWhat?")
    assert not model.calls


def test_a_rerun_of_a_stored_run_finds_its_type_in_the_notebook(shell, desk, tmp_path):
    """Only its name is stored."""
    shell.ok(CLASS)
    desk.settings.history = str(tmp_path / "runs.db")
    shell.ok("%%plan --as Best\na = double(1)\nanswer({'value': a})")
    first = shell.ns["run"].id
    desk.memory.runs.clear()
    shell.ns.pop("run")
    shell.ok(f"%compile rerun {first} --override a=7")
    assert shell.ns["run"].answer == shell.ns["Best"](7.0)
    shell.ok(f"%compile rerun {first} --as dict --override a=7")
    assert shell.ns["run"].answer == {"value": 7.0}


def test_an_edited_plan_is_to_answer_in_the_same_type(shell):
    """The cell that opens says so, where it can be changed."""
    shell.planner("a = double(1)\nanswer(a)")
    shell.ok("%%compile -m m --as int\nWhat?")
    shell.ok("%compile edit")
    assert shell.ip.rl_next_input.startswith("%%plan -m m --as int --from ")


# -------------------------------------------------------------------- questions that follow others


def test_a_cell_follows_a_run_of_the_notebook(shell):
    """By its variable, or as -1; what the run before has bound stays bound, and is not computed again."""
    shell.planner("a = double(1)\nanswer(a)", "b = double(a)\nanswer(b)", "c = a + b\nanswer(c)")
    shell.ok("%%compile -m m -o first\nWhat?")
    shell.ok("%%compile -m m -o second --after first\nand then?")
    assert (shell.ns["second"].answer, shell.ns["second"].after) == (4.0, shell.ns["first"].id)
    assert "from an earlier run: a" in shell.text()
    assert f"from the run {shell.ns['first'].id}: a" in shell.shown[-1]["text/html"]
    assert "bound: b, second" in shell.text()
    shell.ok("%%compile -m m --after -1\nand both?")
    assert (shell.ns["run"].answer, shell.ns["a"]) == (6.0, 2.0)
    assert 'opacity=".55"' in shell.shown[-1]["text/html"]


def test_a_follow_up_finds_in_the_notebook_what_was_not_stored(shell, desk, tmp_path):
    """An input of the run before, under its name."""
    desk.settings.history = str(tmp_path / "runs.db")
    shell.ok("class Box: value = 3\nbox = Box()\nfrom compiler_nb import tool\n@tool\ndef open_(box): return box.value")
    shell.planner("a = open_(box)\nanswer(a)", "b = open_(box)\nanswer([a, b])")
    shell.ok("%%compile -m m -i box\nWhat?")
    first = shell.ns["run"].id
    desk.memory.runs.clear()
    shell.ns.pop("run")
    shell.ok(f"%%compile -m m --after {first}\nand then?")
    assert shell.ns["run"].answer == [3, 3]


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("%%compile -m m --after nobody\nWhat?", "no run is called 'nobody'"),
        (
            "%%plan --after -1\nanswer(1)",
            "--after is for questions; a plan reads variables, and --from RUN takes over a run",
        ),
        ("%%compile -m m --after -1 --repeat 2\nWhat?", "--after is for one question at a time"),
    ],
)
def test_what_cannot_follow_says_why(shell, cell, told):
    """Before a model is asked."""
    model = shell.planner("answer(1)", "answer(2)")
    shell.ok("%%compile -m m\nWhat?")
    assert told in shell.error(cell)
    assert len(model.calls) == 1


def test_an_engine_is_chosen_by_the_name_of_its_variable(shell, dask_client):
    """And a name that holds none is refused before anything runs; `local` means what it says."""
    shell.ns["engine"], shell.ns["local"] = DaskEngine(dask_client), 3
    shell.ok("import os\nfrom compiler_nb import tool\n@tool\ndef pid() -> int: return os.getpid()")
    shell.ok("%%plan --engine engine\nanswer(pid())")
    assert shell.ns["run"].answer != os.getpid()
    shell.ok("%%plan --engine local\nanswer(pid())")
    assert shell.ns["run"].answer == os.getpid()
    assert "or a DaskEngine, not 'ray'" in shell.error("%%plan --engine ray\nanswer(1)")


def test_an_engine_is_a_setting_of_the_notebook(shell, dask_client, caplog):
    """With the words of `--engine`; what is none is refused when it is set, and the one before holds."""
    shell.ns["engine"] = DaskEngine(dask_client)
    shell.ok("import os\nfrom compiler_nb import tool\n@tool\ndef pid() -> int: return os.getpid()")
    here = os.getpid()
    for value in ('"engine"', "engine", repr(f"dask:{dask_client.scheduler.address}")):
        shell.ok(f"%config CompileMagics.engine = {value}")
        shell.ok("%%plan\nanswer(pid())")
        assert shell.ns["run"].answer != here, value
        assert "on 2 Dask workers" in shell.shown[-1]["text/html"]
        assert "on 2 Dask workers" not in shell.text()  # it is the same on every machine
        shell.ok("%%plan --engine local\nanswer(pid())")
        assert shell.ns["run"].answer == here
    shell.ok("%compile rerun --engine local")
    assert shell.ns["run"].answer == here
    shell.ok("%compile rerun")
    assert shell.ns["run"].answer != here
    for value in ("ray", "dask:", "ray:8786", 3):
        shell.run(f"%config CompileMagics.engine = {value!r}")
        assert f"engine must be 'local', 'dask', 'dask:ADDRESS' or a DaskEngine, not {value!r}" in caplog.text
    shell.ok("%%plan\nanswer(pid())")
    assert shell.ns["run"].answer != here
    assert f"'dask:{dask_client.scheduler.address}'" in repr(shell.ns["run"].settings.engine)
    shell.ns["run"].settings.engine._made.client.close()


def test_an_engine_of_a_profile_is_named_before_it_is_there(dask_client):
    """Whether the variable holds one is known when a cell runs."""
    with open_shell(engine="mine") as shell:
        assert "or a DaskEngine, not 'mine'" in shell.error("%%plan\nanswer(double(2))")
        shell.ns["mine"] = DaskEngine(dask_client)
        shell.ok("%%plan\nanswer(double(2))")
        assert shell.ns["run"].progress.where == "on 2 Dask workers"
