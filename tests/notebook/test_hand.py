"""`-m hand`: the prompt is shown, and a `%%plan` cell carries the question on."""

from __future__ import annotations

import pytest

from compiler_nb.notebook.models import plan_cell
from compiler_nb.notebook.options import read


@pytest.mark.parametrize(
    ("head", "question", "cell"),
    [
        ("-m hand", "Which\n is best?", "%%plan -m hand Which is best?\n"),
        ("best << -m hand -T a", "-5 or 5?", "%%plan best << -m hand -T a -- -5 or 5?\n"),
        ("", "", "%%plan\n"),
    ],
)
def test_the_opened_cell_says_the_same(head, question, cell):
    """Its options and its question are those of the first cell."""
    assert plan_cell(head, question) == cell
    said = read("plan", cell.removeprefix("%%plan").strip())
    assert (said.given, said.answer) == (read("compile", head).given, read("compile", head).answer)
    assert said.question.split() == question.split()


def test_a_person_plans_in_the_next_cell(shell):
    """The exact prompt is shown and nothing bound; the plan then runs with the question, its join gives the results."""
    shell.ok("%%compile -m hand\nWhat is twice {up} two?")
    assert "Question: What is twice {up} two?" in shell.text()
    assert "double(x: float) -> float" in shell.text()
    assert "run" not in shell.ns
    opened = shell.ip.rl_next_input
    assert opened == "%%plan -m hand What is twice {up} two?\n"
    shell.ok(opened + "a = double(2)\nb = double(a)\njoin()")
    assert (shell.ns["b"], shell.ns["run"].question) == (8, "What is twice {up} two?")
    assert shell.ns["run"].answer == {"a": 4, "b": 8}
    (asked, _) = shell.shown  # one output each: no picture, no failure, no tokens
    assert set(asked) == {"text/plain", "text/html"}
    assert not any(word in asked["text/html"] for word in ("<svg", "failed", "tokens", "cnb-error"))
    assert "<details open><summary>the prompt, " in asked["text/html"]
    assert "word-break:normal" in asked["text/html"]
    shell.ok("%%compile -N --planner hand\nq")
    assert shell.ip.rl_next_input == "%%plan -N --planner hand q\n"


def test_it_is_no_run(shell, capsys, tmp_path):
    """Nothing failed and nothing is kept: the history and `%compile runs` have the run of the plan only."""
    shell.ok(f"%config CompileMagics.history = {str(tmp_path / 'runs.db')!r}")
    shell.ok("%%compile -m hand\nWhich?")
    shell.ok("%compile runs")
    assert capsys.readouterr().out == "no runs yet\n"


@pytest.mark.parametrize("cell", ["%%plan -m hand Which?\n", "%%plan -m hand Which?", "%%plan Which?\n  \n"])
def test_the_empty_cell_says_what_to_do(shell, capsys, cell):
    """If it is run as it was opened: neither the help nor an error."""
    shell.ok(cell)
    out = capsys.readouterr().out
    assert out.startswith("Your turn: this cell has no plan yet.\nWrite it below the first line")
    assert "--planner" not in out
