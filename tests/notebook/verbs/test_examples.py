"""`%compile example`."""

from __future__ import annotations

import pytest

from compiler_nb import ScriptedModel
from tests.support.shell import PLAN, told


def test_a_run_becomes_an_example_for_later_questions(shell, capsys):
    """Until it is dropped, by its number or its name."""
    shell.planner(PLAN)
    assert told(shell, capsys, "%compile example") == told(shell, capsys, "%compile example list")
    shell.ok("%%compile -m m -o best_run\nWhich is better?")
    assert told(shell, capsys, "%compile example add best_run good") == (
        "example 1: Which is better? (3 tasks); the planner is shown it from now on\n"
    )
    assert "is an example already" in told(shell, capsys, "%compile example add -1")
    rows = told(shell, capsys, "%compile example list").splitlines()
    assert rows[1].split()[:2] == ["1", "good"]
    assert rows[1].endswith(shell.ns["best_run"].id)
    assert "a = double(1); b = double(2); best = max(a, b)" in rows[1]
    shell.ok("%%compile -m m\nAnd now?")
    shown = f"Examples with these tools\n\nQuestion: Which is better?\n{PLAN}"
    assert shown in shell.ns["run"].prompt()
    assert told(shell, capsys, "%compile example drop good") == "dropped: example 1, Which is better?\n"
    shell.ok("%%compile -m m\nAnd now?")
    assert "Examples with these tools" not in shell.ns["run"].prompt()


def test_a_question_that_an_example_does_not_fit_is_asked_without_it(shell):
    """With a warning that says why, and how to drop it."""
    shell.planner(PLAN)
    shell.ok("%%compile -m m\nWhich is better?")
    shell.ok("%compile example add -1")
    shell.planner("answer(1)\n")
    with pytest.warns(UserWarning, match="example 1 is not shown, .* no tool is called 'double'"):
        shell.ok("%%compile -m m -T fail\nAnd now?")
    assert "Which is better?" not in shell.ns["run"].prompt()
    shell.ok("%%plan\nanswer(2)\n")


def test_a_fresh_kernel_begins_without_examples_and_gets_them_back_by_ids(shell, tmp_path, capsys):
    """So a notebook does the same in every session; the runs are in the history."""
    shell.ok(f"%config CompileMagics.history = {str(tmp_path / 'runs.db')!r}")
    shell.planner(PLAN)
    shell.ok("%%compile -m m\nWhich is better?")
    id_ = shell.ns["run"].id
    shell.ip.magics_manager.registry["CompileMagics"].desk.memory.runs.clear()
    assert told(shell, capsys, f"%compile example add {id_}").startswith("example 1: Which is better? (3 tasks)")


def test_each_example_is_left_out_once(shell):
    """What it does to plan and answer shows in a table; without a question the last one is asked."""
    shell.planner(PLAN)
    shell.ok("%%compile -m m\nWhich is better?")
    shell.ok("%compile example add -1 good")
    shell.ns["m"].replies = {"planner": "answer(7)\n"}
    shell.ok("%%compile -m m\nAnd seven?")
    shell.ok("%compile example add -1")

    def write(asked):
        return "answer(1)\n" if "And seven?" not in asked.messages[0]["content"] else PLAN

    shell.ns["m"] = model = ScriptedModel({"planner": write}, name="learner")
    shell.ok("%compile example ablate What is best? --repeat 2 -m m")
    grid = shell.ns["grid"]
    assert grid.variants == ("all", "without good", "without 2")
    assert grid.answers == {"all": [4, 4], "without good": [4, 4], "without 2": [1, 1]}
    assert len(model.calls) == 6
    assert "without good" in shell.text()
    shell.ok("%compile example ablate -m m")
    assert grid.cases[0].question == "What is best?"
    assert shell.ns["grid"].cases[0].question == "And seven?"
    shell.ok("%%compile -m m --repeat 1\nWhat is it?")
    assert "And seven?" in shell.ns["grid"]["base"].prompt()  # a grid of a cell shows the examples, too


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ablate --repeat 0", "--repeat takes a whole number, 1 or more, not '0'"),
        ("list --repeat 3", "OptionError: %compile example: --repeat is for ablate"),
        ("add nobody", "no run is called 'nobody'"),
        ("add plan", "has no question: an example is a question and its plan"),
        ("add -2 1x", "'1x' cannot be the name of an example"),
        ("add -2 good", "there is an example 'good' already; %compile example drop good drops it"),
        ("drop 2", "no example is called '2'. %compile example list shows them"),
        ("drop goud", "no example is called 'goud'. Did you mean 'good'?"),
        ("drop", "%compile example takes add RUN [NAME], list, drop N, or ablate [QUESTION], not 'drop'"),
        ("make x", "%compile example takes add RUN [NAME], list, drop N, or ablate [QUESTION], not 'make x'"),
    ],
)
def test_wrong_lines(shell, line, message):
    """Each is a short error that says what there is."""
    shell.planner(PLAN)
    shell.ok("%%compile -m m\nWhich is better?")
    shell.ok("%compile example add -1 good")
    shell.ok("%%plan -o plan\nanswer(1)\n")
    assert message in shell.error(f"%compile example {line}")
