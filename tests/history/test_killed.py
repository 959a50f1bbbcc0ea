"""Killed at any instant: history opens, a resume runs only what had not finished, no side effect twice in silence."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from compiler_nb.events import TaskEnded
from tests.support.killed import PLAN, compiler_in
from tests.support.scale import seed, times

ROOT = Path(__file__).parents[2]
LONGEST = 0.3
"""Seconds after which a child has ended by itself."""
TASKS = 17
"""Of the plan, items of its fan-outs included."""


def kill_one(folder: Path, after: float) -> None:
    """Run the plan in a process of its own and kill it so many seconds after it began."""
    command = [sys.executable, "-c", f"from tests.support.killed import main; main({str(folder)!r})"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(after)
        child.kill()


def calls_in(folder: Path) -> list[tuple[str, str, list[str]]]:
    """Return the calls that were made."""
    lines = (folder / "calls").read_text(encoding="utf-8").splitlines()
    return [(name, json.dumps(argument), known) for name, argument, known in map(json.loads, lines)]


@pytest.mark.promise
@pytest.mark.timeout(3600)
def test_killed_at_any_instant_history_opens_and_a_resume_runs_only_what_had_not_finished(tmp_path, figure):
    """100 SIGKILLs: 0 corrupt, 0 lost, 0 repeated; a side effect whose end is unknown is denied, as nobody is there."""
    random, doubted, begun = Random(seed()), 0, 0
    for number in range(times(100)):
        folder = tmp_path / str(number)
        folder.mkdir()
        kill_one(folder, random.uniform(0, LONGEST))
        before = calls_in(folder)
        compiler, outside = compiler_in(folder)
        assert integrity(folder / "runs.db") in ("ok", "no file"), number
        runs = compiler.settings.history.runs()
        if not runs:
            assert not [call for call in before if call[0] == "send"], "a side effect before its intent"
            continue
        begun += 1
        old = compiler.settings.history.load(runs[0].id, compiler.settings.tools)
        done = set(old.results)
        lost = {id_ for _, _, known in before for id_ in known} - done
        assert not lost, f"seed {seed()}, kill {number}: {lost} had ended before a side effect, and are not stored"

        again = asyncio.run(compiler.resume(old.id, on_event=outside.listen))
        after = calls_in(folder)
        shown = f"seed {seed()}, kill {number}: {old.results} then {again.results}, {again.failures}"
        sent = Counter(argument for name, argument, _ in after if name == "send")
        assert not [what for what, count in sent.items() if count > 1], shown
        again_calls = {(name, argument) for name, argument, _ in after[len(before) :]}
        finished = {(name, argument) for name, argument, _ in before} - unfinished(old, before)
        assert not again_calls & finished, shown
        denied = {id_ for id_, each in again.failures.items() if getattr(each, "kind", "") == "denied"}
        doubted += len(denied)
        doubts = {
            event.task for event in old.events if isinstance(event, TaskEnded) and "in doubt" in str(event.outcome)
        }
        assert denied == doubts, shown
        assert (again.status == "done") == (not denied), shown
        assert {e.id for e in compiler.settings.history.runs()} == {old.id, again.id}
        compiler.settings.history.close()
    figure(f"{times(100):,} kills, {begun:,} runs begun, {doubted:,} side effects in doubt")
    assert begun > times(100) / 2, "the kills come too early to try anything"
    assert doubted, "no kill came within a side effect"


def unfinished(old, before) -> set[tuple[str, str]]:
    """Return the calls whose tasks had no stored end."""
    done = Counter(task.tool for id_, task in old.progress.tasks.items() if id_ in old.results and task.kind == "call")
    made = Counter(name for name, _, _ in before)
    values = {
        json.dumps(value) for id_, value in old.results.items() if old.progress.tasks[id_].tool in ("get", "slow")
    }
    texts = {
        str(value).removeprefix("sent ") for id_, value in old.results.items() if old.progress.tasks[id_].tool == "send"
    }
    assert not done - made, "a result without a call"
    return {
        (name, argument)
        for name, argument, _ in before
        if (argument not in values if name != "send" else json.loads(argument) not in texts)
    }


def integrity(path: Path) -> str:
    """Return what SQLite says of a file."""
    if not path.exists() or not path.stat().st_size:
        return "no file"
    with sqlite3.connect(path) as connection:
        (told,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return str(told)


def test_a_whole_run_of_the_plan_is_what_the_kills_are_tried_on(tmp_path):
    """Left alone it takes its time, sends each thing once, and has the tasks that we think it has."""
    compiler, outside = compiler_in(tmp_path)
    run = asyncio.run(compiler.execute(PLAN, on_event=outside.listen))
    assert run.status == "done"
    assert len(run.progress.tasks) == TASKS
    assert run.seconds > 0.1
    assert Counter(name for name, _, _ in calls_in(tmp_path)) == {"get": 6, "slow": 1, "send": 8}
    compiler.settings.history.close()
