"""Old runs are removed if that is asked for: never one that is being written, and their space is given back."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import HistoryError
from compiler_nb.history import History
from compiler_nb.history.file import MIGRATIONS, OF_RUNS
from compiler_nb.tool import tool
from tests.support.desk import Desk, begin, planner_of, run, scripted
from tests.support.stored import until

ROOT = Path(__file__).parents[2]


@tool
async def repeat(times: int) -> str:
    """Return a text."""
    return "x" * times


def keep_some(history: History, count: int, size: int = 1) -> list[str]:
    """Store runs with an answer of this size; return their ids, the newest first."""
    for _ in range(count):
        run(Compiler(None, [repeat], planner=scripted(f"a = repeat({size})\nanswer(a)\n"), history=history))
    return [row.id for row in history.runs()]


def rows_in(path: Path) -> dict[str, set[str]]:
    """Return the runs that each table tells of."""
    with closing(sqlite3.connect(path)) as db:
        names = {table: "id" if table == "runs" else "run" for table in OF_RUNS}
        return {table: {row[0] for row in db.execute(f"SELECT {name} FROM {table}")} for table, name in names.items()}  # noqa: S608 - our own


@pytest.mark.slow
@pytest.mark.parametrize(("keep", "gone"), [(0, 5), (2, 3), (5, 0), (9, 0)])
def test_all_but_the_newest_are_removed_from_every_table(tmp_path, keep, gone):
    """And it is said how many; those that stay can be loaded; the file is sound."""
    with History(tmp_path / "runs.db") as history:
        ids = keep_some(history, 5)
        assert history.prune(keep=keep) == gone
        assert [row.id for row in history.runs()] == ids[:keep]
        assert [history.load(id_).answer for id_ in ids[:keep]] == ["x"] * min(keep, 5)
        assert {run_ for runs in rows_in(history.path).values() for run_ in runs} == set(ids[:keep])
        with closing(sqlite3.connect(history.path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert keep_some(history, 1)[1:] == ids[:keep]


def unvacuumed(path: Path) -> None:
    """Make an empty history as it was before space could be given back piece by piece."""
    from compiler_nb.history.file import APPLICATION, VERSION

    with closing(sqlite3.connect(path)) as db, db:
        for statement in ";".join(MIGRATIONS).split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id={APPLICATION}")
        db.execute(f"PRAGMA user_version={VERSION}")


@pytest.mark.slow
@pytest.mark.parametrize("old", [False, True])
def test_space_is_given_back(tmp_path, old):
    """At once, though the file is in use; in a file that was made before that was thought of, too."""
    path = tmp_path / "runs.db"
    if old:
        unvacuumed(path)
    with History(path) as history:
        ids = keep_some(history, 4, 1_000_000)
        assert history.prune(keep=1) == 3
        left = sum(file.stat().st_size for file in tmp_path.iterdir() if not file.name.endswith("-shm"))
        assert left < 2_500_000
        assert history.load(ids[0]).answer == "x" * 1_000_000
    assert path.stat().st_size < 2_500_000


def test_a_run_that_is_being_written_stays(tmp_path):
    """It ends as if nothing had been."""
    desk = Desk()
    with History(tmp_path / "runs.db") as history:

        async def main():
            found, work = begin(planner_of("a = wait(1)\nanswer(a)\n", desk=desk, history=history), "What?")
            task = asyncio.create_task(work)
            await until(lambda: desk.working)
            for _ in range(2):
                await planner_of("answer(1)\n", history=history).run("Later?")
            assert history.prune(keep=0) == 2
            desk.open()
            await task
            return found

        found = asyncio.run(main())
        (row,) = history.runs()
        assert (row.id, row.status, history.load(found.id).answer) == (found.id, "done", 1)


WRITING = """
import asyncio, sys
from tests.support.desk import Desk, begin, planner_of
from tests.support.stored import until

async def main():
    desk = Desk()
    found, work = begin(planner_of("a = wait(1)\\nanswer(a)\\n", desk=desk, history=sys.argv[1]), "There?")
    task = asyncio.create_task(work)
    await until(lambda: desk.working)
    compiler_history = found.settings.history
    compiler_history.runs()
    print(found.id, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    desk.open()
    await task

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_run_that_another_process_writes_stays_until_that_is_dead(tmp_path):
    """Killed, its run is broken off, and may be removed."""
    path = tmp_path / "runs.db"
    command = [sys.executable, "-W", "ignore", "-c", WRITING, str(path)]
    with (
        History(path) as history,
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other,
    ):
        assert other.stdout is not None
        id_ = other.stdout.readline().strip()
        ids = keep_some(history, 2)
        assert ids[2] == id_
        assert history.prune(keep=1) == 1
        assert [row.id for row in history.runs()] == [ids[0], id_]
        other.kill()
        other.wait()
        assert history.prune(keep=1) == 1
        assert [row.id for row in history.runs()] == ids[:1]


def test_what_runs_did_that_stay_is_known_though_what_they_came_from_is_gone(tmp_path):
    """A side effect of a run that is gone is asked for, since nobody knows anymore what came of it."""
    sent = []

    @tool(side_effects=True)
    async def send(x: str) -> str:
        """Send."""
        sent.append(x)
        return x

    with History(tmp_path / "runs.db") as history:
        compiler = Compiler(None, [send], planner=scripted('send("x")\n'), approve="auto", history=history)
        first = run(compiler)
        second = asyncio.run(compiler.rerun(first.id))
        third = asyncio.run(compiler.rerun(second.id))
        assert history.prune(keep=1) == 2
        assert [row.id for row in history.runs()] == [third.id]
        last = asyncio.run(compiler.rerun(third.id))
    assert sent == ["x"]
    assert last.failures["@1"].kind == "denied"


@pytest.mark.parametrize("keep", [-1, 1.0, True, "3", None])
def test_a_bad_number_is_refused(tmp_path, keep):
    """It says what it should be; nothing is removed."""
    with History(tmp_path / "runs.db") as history:
        keep_some(history, 1)
        with pytest.raises(ValueError, match="keep must be the number of runs that stay, 0 or more, not"):
            history.prune(keep=keep)
        assert len(history.runs()) == 1


def test_damaged_runs_are_pruned_as_the_oldest_and_a_damaged_file_is_left(tmp_path):
    """A file that is not ours is a HistoryError; if there is no file, none is made."""
    path = tmp_path / "runs.db"
    with History(path) as history:
        assert history.prune(keep=0) == 0
        assert not path.exists()
        ids = keep_some(history, 2)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE runs SET at = 'z', id = X'80' WHERE id = ?", (ids[0],))
        assert history.prune(keep=1) == 1
        assert [row.id for row in history.runs()] == ids[1:]
    path.write_bytes(b"SQLite format 3\0" + b"x" * 5_000)
    with pytest.raises(HistoryError), History(path) as history:
        history.prune(keep=0)
