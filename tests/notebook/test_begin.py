"""From what a cell says to its job: the type of the answer, runs that it follows, and what cannot run."""

from __future__ import annotations

import pytest


@pytest.fixture
def desk(shell):
    """Give the desk of a shell."""
    return shell.ip.magics_manager.registry["CompileMagics"].desk


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
            "--after is for questions; a plan reads the notebook's variables, and --from RUN goes on with a run",
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
