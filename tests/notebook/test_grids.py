"""A cell that asks its question in several ways, or several times."""

from __future__ import annotations

import asyncio

import pytest

from compiler_nb import ScriptedModel
from compiler_nb.compare.cells import CellPlace
from compiler_nb.notebook.begin import begin_cell
from compiler_nb.notebook.loop import wait
from compiler_nb.prompts.saved import save_prompt
from compiler_nb.text import TIMES
from tests.support.shell import PLAN, open_shell

OTHER = "a = double(5)\nanswer(a)\n"
TEXT = "Be terse.\n{{rules}}\n{{tools}}\n{{examples}}"


@pytest.fixture
def desk(shell):
    """Give the desk of a shell."""
    return shell.ip.magics_manager.registry["CompileMagics"].desk


def test_a_cell_that_is_repeated_shows_how_stable_its_plan_is(shell):
    """`--repeat N` alone; the grid is bound, results of its runs are not."""
    shell.ns["m"] = ScriptedModel({"planner": [PLAN, PLAN, OTHER, PLAN]})
    shell.ok("%%compile -m m --repeat 4\nWhich is best?")
    grid = shell.ns["grid"]
    assert grid.row("base", 0).stability == 0.75
    assert f"1 variant {TIMES} 1 question {TIMES} 4 repetitions: 4 cells" in shell.text()
    assert "75%" in shell.text()
    assert shell.text().endswith("bound: grid")
    assert "a" not in shell.ns
    assert grid["base", 0, 2].plan.text == OTHER
    assert "<table" in shell.shown[-1]["text/html"]


def test_variants_are_saved_prompts_and_variables_that_hold_settings(shell):
    """`base` is the cell as it is; the answers of all of them are bound to the name before `<<`."""
    shell.ns["m"] = model = ScriptedModel(
        {"planner": lambda asked: OTHER if "Be terse." in asked.messages[0]["content"] else PLAN}
    )
    save_prompt("planner", "gridterse", TEXT)
    shell.ns["other"] = {"planner": ScriptedModel({"planner": OTHER}, name="other")}
    shell.ok("%%compile found << -m m --variants base,gridterse,other --repeat 2 -o compared\nWhich is best?")
    assert shell.ns["found"] == {"base": [4, 4], "gridterse": [10, 10], "other": [10, 10]}
    assert shell.ns["compared"]["gridterse", 0, 1].answer == 10
    assert len(model.calls) == 4
    assert shell.text().endswith("bound: compared, found")


def test_a_cell_asks_for_answers_of_one_type_in_several_ways(shell):
    """`--as` holds for all runs of the table, which says what did not fit."""
    shell.ns["m"] = ScriptedModel({"planner": PLAN})
    shell.ns["vague"] = {"planner": ScriptedModel({"planner": "answer('cold')"}, name="vague")}
    shell.ok("%%compile found << -m m --as float --variants base,vague --repeat 2\nWhich is best?")
    assert shell.ns["found"] == {"base": [4.0, 4.0], "vague": [None, None]}
    assert "4 cells, answers as float" in shell.text()
    assert '2 of 2: "cold" (str) came: input should be a valid number' in shell.text()
    assert shell.ns["grid"]["vague", 0, 1].status == "failed"
    shell.ns["m"] = ScriptedModel({"planner": "answer('cold')", "replan": PLAN})
    shell.ok("%%compile -m m --as float\nWhich is best?")
    assert "answer as float (the first one was not)" in shell.text()


def test_the_same_cell_runs_nothing_again_and_fresh_does(shell):
    """Without a history, too, as long as the kernel lives."""
    shell.ns["m"] = model = ScriptedModel({"planner": PLAN})
    shell.ok("%%compile -m m --repeat 3\nWhich is best?")
    first = shell.text()
    shell.ok("%%compile -m m --repeat 3\nWhich is best?")
    assert (len(model.calls), shell.text()) == (3, first)
    assert "3 of these cells are from before" in shell.shown[-1]["text/html"]
    shell.ok("%%compile -m m --repeat 3 --fresh\nWhich is best?")
    assert len(model.calls) == 6


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (
            "%%compile -m m --variants terze\nq?",
            "--variants: 'terze' is neither a saved prompt nor a variable with a dict",
        ),
        ("%%compile -m m --variants nope\nq?", "with a dict of settings. %%prompt planner nope saves a prompt"),
        ("%%compile -m m --variants base,bad\nq?", "variant 'bad': there is no setting 'temprature'. Did you mean"),
        ("%%compile -m m --repeat 0\nq?", "--repeat takes a whole number, 1 or more"),
        ("%%compile -m m --variants\nq?", "--variants needs a value"),
        ("%%compile -m m --repeat 2 -b\nq?", "-b is for one run, and --repeat asks for a table of runs"),
        ("%%compile -m hand --repeat 2\nq?", "--repeat cannot ask a person for each run"),
        ("%%compile -m m --repeat 2 --approve ask\nq?", "approve='ask' asks for each run of a grid"),
        ("%%compile --repeat 2\nq?", "no model is set"),
        ("%%plan --repeat 2\na = double(1)", "--repeat is for %%compile"),
    ],
)
def test_what_a_grid_cannot_do_is_an_error_of_one_line(shell, cell, told):
    """With its fix, and nothing is run."""
    model = shell.planner(PLAN)
    shell.ns["bad"] = {"temprature": 0}
    assert told in shell.error(cell)
    assert model.calls == []


def test_a_budget_is_for_the_whole_grid(shell):
    """What is done is shown, and the grid says where it stopped."""
    shell.planner(PLAN)
    shell.ok("%%compile -m m --repeat 9 --budget calls=3\nWhich is best?")
    assert "9 cells, 6 not done (limit: the grid's budget of 3 calls of models is used up" in shell.text()


def test_an_interrupted_cell_binds_what_is_done(shell, desk):
    """And ends with KeyboardInterrupt."""
    shell.ns["m"] = ScriptedModel({"planner": lambda asked: PLAN}, ttft=0.2)
    job = begin_cell(desk, "compile", "-m m --repeat 50", "Which is best?", outermost=True)

    async def cell():
        task = asyncio.create_task(wait(job))
        while not job.runner.grid.cells:  # noqa: ASYNC110 - a cell has no event
            await asyncio.sleep(0.01)
        task.cancel()
        return await task

    assert asyncio.run(cell()) is True
    with pytest.raises(KeyboardInterrupt, match="what is done is kept"):
        job.finish(True)
    grid = shell.ns["grid"]
    assert 0 < len(grid.cells) < 50
    assert grid.status == "cancelled"
    assert grid[next(iter(grid.cells))].answer == 4
    assert CellPlace("base", 0, 0) in grid.cells


def test_runs_of_grids_do_not_fill_the_list_of_runs(tmp_path, capsys):
    """A grid is one line; its runs have no number, and are found by their ids."""
    with open_shell(history=str(tmp_path / "runs.db")) as shell:
        shell.planner(PLAN)
        shell.ok("%%compile -m m\nWhich is best?")
        shell.ok("%%compile -m m --repeat 5\nWhich of them?")
        shell.ok("%%compile -m m\nWhich is the last?")
        capsys.readouterr()
        shell.ok("%compile runs")
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1 + 2 + 1
        assert lines[2].startswith("-2")
        assert "grid of 5 runs" in lines[-1]
        shell.ok(f"%compile show {shell.ns['grid'].cells['base', 0, 4].run}")
        assert "Which of them?" in shell.text()
