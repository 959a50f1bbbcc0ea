"""`%%prompt` cells, and the cells that use what they save."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from compiler_nb.prompts import load, saved
from tests.support.shell import PLAN, open_shell, told

ROOT = Path(__file__).resolve().parents[2]
TEXT = "Be terse.\n{{rules}}\n{{tools}}\n{{examples}}\n"
CELL = f"%%prompt planner terse\n{TEXT}"


@pytest.fixture(autouse=True)
def _shelf(monkeypatch):
    """Begin as a new session does."""
    monkeypatch.setattr(saved, "_SHELF", {})


def test_a_prompt_that_a_cell_saves_is_used_by_its_name(shell, capsys):
    """The run says which, and which version."""
    shell.planner(PLAN)
    first = told(shell, capsys, CELL)
    assert first.startswith("saved: planner prompt terse@")
    assert first.endswith("; %%compile --planner-prompt terse uses it\n")
    shell.ok("%%prompt joiner brief\nAnswer in one word.")
    shell.ok("%%compile -m m --planner-prompt terse --joiner-prompt=brief\nq")
    run = shell.ns["run"]
    assert run.prompt().startswith("[system]\nBe terse.\nWrite a straight-line Python program")
    assert run.settings.variants["planner"] == first.split()[3].rstrip(";")
    assert run.settings.variants["joiner"].startswith("brief@")
    shell.ok("%%compile -m m\nq")
    assert shell.ns["run"].prompt().startswith("[system]\nYou are the planner.")
    shell.ok("%config CompileMagics.planner_prompt = 'terse'")
    shell.ok("%%compile -m m\nq")
    assert shell.ns["run"].prompt().startswith("[system]\nBe terse.")
    assert shell.ns["run"].settings.variants.keys() == {"planner"}


def test_a_version_of_a_prompt_is_used_by_its_first_digits(shell, capsys):
    """All are kept."""
    shell.planner(PLAN)
    label = told(shell, capsys, CELL).split()[3].rstrip(";")
    shell.ok(CELL + "Really.")
    shell.ok(f"%%compile -m m --planner-prompt {label[:9]}\nq")
    assert shell.ns["run"].settings.variants == {"planner": label}


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%%prompt planner\nx", "%%prompt takes a role and a name; write: %%prompt planner NAME, and the text"),
        ("%%prompt planner terse\n", "%%prompt: the planner prompt 'terse' is empty"),
        ("%%prompt planner terse\nx", "has no {{tools}}, so the model would be told of no tools; its slots are"),
        (CELL + "{{wands}}", "has {{wands}}, which nothing fills; its slots are {{rules}}, {{tools}}, {{examples}}"),
        (CELL.replace("{{examples}}", ""), "has no {{examples}}; its slots are {{rules}}, {{tools}}, {{examples}}"),
        ("%%prompt joiner x\n{{results}}", "has {{results}}, which nothing fills; it has no slots"),
        ("%%prompt plannr x\ny", "'plannr' is not one of them. Did you mean 'planner'?"),
        ("%%prompt planner two words\ny", "%%prompt takes a role and a name"),
        ("%%prompt planner a/b\ny", "'a/b' cannot be the name of a prompt"),
        (f"{CELL}{'x' * 2**20}", "has 1,048,620 characters; at most 200,000 are taken"),
        (CELL + "\x00", "holds the character U+0000 in line 5: a prompt is text"),
        ("%%compile --planner-prompt trse\nq", "--planner-prompt: no saved planner prompt is called 'trse'. None is"),
        ("%%compile --planner-prompt\nq", "--planner-prompt needs a value: --planner-prompt NAME"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_or_used_says_why(shell, cell, message):
    """In one line; slots are those of the shipped files, and are listed."""
    shell.planner(PLAN)
    said = shell.error(cell)
    assert said.startswith("OptionError: ")
    assert message in said


def test_help_is_printed_and_lines_for_notebook_tests_are_no_part_of_a_prompt(shell, capsys):
    """An empty cell and -h; a comment above the magic is fine, too."""
    whole = told(shell, capsys, "%%prompt")
    assert whole == told(shell, capsys, "%%prompt -h\n")
    assert "{{rules}}, {{tools}}, {{examples}}" in whole
    assert told(shell, capsys, f"# mine\n\n{CELL}") == told(shell, capsys, CELL.replace("Be", "# NBVAL_SKIP\nBe"))


def test_a_text_from_the_next_cell_that_is_not_changed_is_the_package_s_own(shell, capsys):
    """Whoever saves it unchanged asks as before."""
    shell.planner(PLAN)
    shell.ok("%compile prompt planner --edit")
    cell = shell.ip.rl_next_input
    assert cell == f"%%prompt planner mine\n{load('planner').text}"
    shell.ok("%%compile -m m\nq")
    before = shell.ns["run"].prompt()
    shell.ok(cell)
    shell.ok("%%compile -m m --planner-prompt mine\nq")
    assert shell.ns["run"].prompt() == before
    shell.ok("%config CompileMagics.prompts = 'small'")
    shell.ok("%compile prompt planner --edit")
    assert shell.ip.rl_next_input == f"%%prompt planner mine\n{load('small_planner').text}"
    shell.ok(CELL)
    shell.ok("%compile prompt planner --edit terse")
    assert shell.ip.rl_next_input == CELL


def test_a_restarted_kernel_finds_the_prompts_of_the_history(tmp_path, monkeypatch, capsys):
    """Also one that this version cannot use: it is listed, said to be so, and can be edited."""
    history = str(tmp_path / "runs.db")
    with open_shell(history=history) as shell:
        label = told(shell, capsys, CELL).split()[3].rstrip(";")
    monkeypatch.setattr(saved, "_SHELF", {})
    with open_shell(history=history) as shell:
        shell.planner(PLAN)
        assert label.partition("@")[2] in told(shell, capsys, "%compile prompt list")
        shell.ok("%%compile -m m --planner-prompt terse\nq")
        assert shell.ns["run"].settings.variants == {"planner": label}
        assert "'trse'. Did you mean 'terse'?" in shell.error("%%compile -m m --planner-prompt trse\nq")
        monkeypatch.setitem(saved.SLOTS, "planner", ("rules", "tools"))
        assert "cannot be used: has {{examples}}" in told(shell, capsys, "%compile prompt list")
        assert f"{label} cannot be used: it has {{{{examples}}}}" in shell.error(
            "%%compile -m m --planner-prompt terse\nq"
        )
        shell.ok("%compile prompt planner --edit terse")
        assert shell.ip.rl_next_input == CELL


def test_a_prompt_is_saved_for_the_session_if_the_history_cannot_be_written(tmp_path):
    """With a warning that says so."""
    (tmp_path / "runs.db").write_bytes(b"this is no database, but long enough to be taken for a broken one" * 20)
    with open_shell(history=str(tmp_path / "runs.db")) as shell:
        with pytest.warns(UserWarning, match="for this session only"):
            shell.ok(CELL)
        assert "terse" in {each.name for each in saved.saved_prompts()}


@pytest.mark.slow
def test_a_prompt_is_saved_in_a_terminal(tmp_path):
    """In IPython without a kernel, typed as one cell."""
    script = tmp_path / "cells.ipy"
    script.write_text(f"get_ipython().run_cell({CELL!r})\nget_ipython().run_line_magic('compile', 'prompt list')\n")
    command = [sys.executable, "-m", "IPython", "--no-banner", "--ext=compiler_nb", "--colors=nocolor", str(script)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert "saved: planner prompt terse@" in told.stdout, told.stderr
    assert "Be terse. {{rules}}" in told.stdout
