"""`%compile tools` and `%compile runs`."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest

from tests.support.shell import PLAN, told


def test_tools_runs_show_and_cancel(shell, capsys):
    """What is offered, what has run, a run again, and nothing to cancel."""
    shell.planner(PLAN)
    assert "double(x: float) -> float\n    Return twice a number." in told(shell, capsys, "%compile tools")
    assert told(shell, capsys, "%compile runs") == "no runs yet\n"
    shell.ok("%%compile -m m -o first\nWhich is\nbetter?")
    shell.ok("%%plan --no-raise\nx = fail(1)")
    rows = told(shell, capsys, "%compile runs").splitlines()
    assert rows[0].split() == ["status", "tasks", "when", "model", "tokens", "cost", "time", "id", "answer", "question"]
    assert re.search(r"3 +\d\d \w{3} \d\d:\d\d  scripted:scripted +[\d,]+ ", rows[2])
    assert re.search(r"-[0-9a-f]{6}  4\.0 +Which is better\?$", rows[2])
    assert rows[1].startswith("-1  failed  1 ")
    assert rows[2].startswith("-2  done    3 ")
    assert rows[2].endswith("Which is better?")
    for run in ("first", "-2", shell.ns["first"].id):
        shell.ok(f"%compile show {run}")
        assert shell.text().startswith("Which is\nbetter?")
    shell.ok("%compile show")
    assert "✗ failed  x" in shell.text()
    for views in ("-d graph,table", "-d graph, table", "--display=graph, table"):
        shell.ok(f"%compile show first {views}")
        html = shell.shown[-1]["text/html"]
        assert ("cnb-inline" in html, "<pre>" in html.replace('<pre class="cnb-flat">', "")) == (True, True), views
    assert told(shell, capsys, "%compile cancel") == "no run is running\n"
    assert told(shell, capsys, "%compile cancel first") == "first is not running: its status is done\n"
    assert "%compile rerun continues" in told(shell, capsys, "%compile resume first")
    assert told(shell, capsys, "%compile go") == told(shell, capsys, "%compile resume")


def test_the_list_of_runs_names_their_prompts(shell, capsys, tmp_path):
    """Each version that a run used, of this session and of earlier ones; without any there is no such column."""
    shell.ok(f"%config CompileMagics.history = {str(tmp_path / 'runs.db')!r}")
    shell.planner(PLAN)
    shell.ok("%%compile -m m\nWhich?")
    assert " prompt " not in told(shell, capsys, "%compile runs")
    for text in ("Be brief.", "Be very brief."):
        shell.ok(f"%%prompt planner terse\n{text} {{{{rules}}}} {{{{tools}}}} {{{{examples}}}}")
        shell.ok("%%compile -m m --planner-prompt terse\nWhich?")
    runs = shell.ip.magics_manager.registry["CompileMagics"].desk.memory.runs
    used = [run.settings.variants.get("planner", "") for run in reversed(runs)]
    assert len(set(used)) == 3
    for _ in ("of this session", "of earlier ones"):
        head, *rows = told(shell, capsys, "%compile runs").splitlines()
        assert head.split()[4:6] == ["prompt", "tokens"]
        assert [re.findall(r"terse@[0-9a-f]{12}", row) for row in rows] == [[label] if label else [] for label in used]
        runs.clear()


@pytest.mark.slow
def test_runs_are_pruned_and_damaged_ones_listed(shell, capsys, tmp_path):
    """One line says what was done; a run of this session is listed still; what is damaged hides nothing."""
    path = tmp_path / "runs.db"
    shell.ok(f"%config CompileMagics.history = {str(path)!r}")
    shell.planner(PLAN)
    for _ in range(3):
        shell.ok("%%compile -m m\nWhich?")
    assert told(shell, capsys, "%compile runs --keep 2") == f"removed 1 run from {path}, kept the newest 2\n"
    assert len(told(shell, capsys, "%compile runs").splitlines()) == 4
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO runs (id, question, status) VALUES ('bad', 7, 'done')")
    rows = told(shell, capsys, "%compile runs").splitlines()
    assert rows[-1].split()[:2] == ["-4", "damaged"]
    assert "HistoryError" in shell.error("%compile show bad")
    assert told(shell, capsys, "%compile runs --keep 0") == f"removed 3 runs from {path}, kept the newest 0\n"
