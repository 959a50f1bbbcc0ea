"""Readers and writers of one file, in whatever process: nobody is lost, and what was cut off is taken back."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import HistoryError
from compiler_nb.events import TaskEnded
from compiler_nb.history import History
from compiler_nb.history.file import File, reading
from compiler_nb.tool import tool
from tests.support.desk import planner_of, run, scripted
from tests.support.scale import times

ROOT = Path(__file__).parents[2]
ROW = ("INSERT INTO runs VALUES ('x', 'q', 'done', '', 1, '', '', '{}', 0)", ())
HELD = 1.0
"""Seconds that a reader of another program keeps the file."""


def journal_of(path: Path, name: str = "journal") -> Path:
    """Return where a file's journal, or its write-ahead log, is."""
    return path.with_name(f"{path.name}-{name}")


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_who_opens_and_who_writes_wait_for_another_writer_and_say_so(tmp_path, lock):
    """By whatever path: a link to the file is the file. Nothing is lost by whoever waits."""
    path, link = tmp_path / "runs.db", tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    file = File(path, wait=0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"BEGIN {lock}")
        for work in (lambda: file.write([ROW]), file.give_back, lambda: File(link, wait=0.01).write([ROW])):
            with pytest.raises(HistoryError, match="cannot be written: database is locked"):
                work()
        other.execute("ROLLBACK")
    file.write([ROW])
    file.close()
    with reading(path) as connection:
        assert connection.execute("SELECT id FROM runs").fetchall() == [("x",)]
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute(*ROW)


@contextmanager
def held_by_a_reader(path: Path, seconds: float):
    """Have a reader keep the file for so long from now on, as another program may."""
    with closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM events").fetchall()
        timer = threading.Timer(seconds, lambda: other.execute("ROLLBACK"))
        timer.start()
        yield
        timer.join()


@pytest.mark.slow
def test_a_side_effect_waits_until_a_reader_lets_go_of_the_file(tmp_path):
    """It begins once its intent is stored, and not before: nothing is denied, nothing is lost."""
    path = tmp_path / "runs.db"
    begun = []

    @tool(side_effects=True)
    async def send() -> int:
        """Send it."""
        with closing(sqlite3.connect(path)) as db:
            begun.append((time.monotonic(), db.execute("SELECT effects FROM attempts").fetchall()))
        return 1

    with History(path) as history:
        run(planner_of("answer(0)\n", history=history))
        with held_by_a_reader(path, HELD):
            let_go = time.monotonic() + HELD
            model = scripted("send()\nanswer(1)\n")
            found = run(Compiler(None, [send], planner=model, approve="auto", history=history))
        assert (found.status, found.failures) == ("done", {})
        ((at, attempts),) = begun
        assert at >= let_go - 0.05
        assert attempts == [(1,)]
        assert history.load(found.id).results == found.results


def test_our_own_readers_let_go_at_once(tmp_path):
    """Runs are listed and loaded without end beside 50 side effects: each is noted, and begins soon."""
    path, ended = tmp_path / "runs.db", threading.Event()

    @tool(side_effects=True)
    async def send(number: int) -> int:
        """Send it."""
        return number

    def read(history: History) -> int:
        count = 0
        while not ended.is_set():
            for row in history.runs():
                history.load(row.id)
                count += 1
        return count

    async def both(history: History):
        reader = asyncio.to_thread(read, History(path))
        reading_ = asyncio.ensure_future(reader)
        plan = "".join(f"send({number})\n" for number in range(50)) + "answer(1)\n"
        try:
            return await Compiler(None, [send], approve="auto", history=history).execute(plan), reading_
        finally:
            ended.set()
            assert await reading_ > 0

    with History(path) as history:
        run(planner_of("answer(0)\n", history=history))
        found, _ = asyncio.run(both(history))
    assert (found.status, found.failures) == ("done", {})
    assert sum(isinstance(event, TaskEnded) for event in found.events) == 50


KILLED = """
import os, sqlite3, sys
from pathlib import Path
from compiler_nb.history.file import File
from tests.history.test_file import ROW
file = File(Path(sys.argv[1]))
file.write([ROW])
file.connection.execute("PRAGMA cache_size=2")  # so that pages are written before the commit
file.connection.execute("BEGIN IMMEDIATE")
file.connection.execute("UPDATE runs SET question = 'half'")
file.connection.executemany("INSERT INTO blobs VALUES ('x', ?, 0, zeroblob(9000))", [(str(n),) for n in range(99)])
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("first", ["reader", "writer"])
def test_a_commit_that_was_cut_off_is_taken_back(tmp_path, first):
    """By whoever comes first: the file is what it was before it."""
    path = tmp_path / "runs.db"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=True)
    assert journal_of(path).stat().st_size > 0
    if first == "writer":
        File(path).close()
    with reading(path) as connection:
        assert connection.execute("SELECT id, question FROM runs").fetchall() == [("x", "q")]
        assert connection.execute("SELECT count(*) FROM blobs").fetchone() == (0,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not journal_of(path).exists() or not journal_of(path).stat().st_size


EARLIER = """
import os, sqlite3, sys
from pathlib import Path
from compiler_nb.history.file import File
from tests.history.test_file import ROW
File(Path(sys.argv[1])).close()
db = sqlite3.connect(sys.argv[1])
assert db.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
db.execute(*ROW)
db.commit()
os._exit(0)
"""


def mode_of(path: Path) -> str:
    """Return the journal of a file."""
    with closing(sqlite3.connect(path)) as db:
        return str(db.execute("PRAGMA journal_mode").fetchone()[0])


@pytest.mark.slow
def test_a_file_with_a_write_ahead_log_is_read_as_it_is_and_switched_by_the_next_writer(tmp_path):
    """As it was made before, and left by a process that was killed."""
    path = tmp_path / "runs.db"
    subprocess.run([sys.executable, "-c", EARLIER, str(path)], cwd=ROOT, check=True)
    before = path.read_bytes(), journal_of(path, "wal").read_bytes()
    with reading(path) as connection:
        assert connection.execute("SELECT id FROM runs").fetchall() == [("x",)]
    assert (path.read_bytes(), journal_of(path, "wal").read_bytes()) == before
    with History(path) as history:
        run(planner_of("answer(1)\n", history=history))
        assert len(history.runs()) == 2
    assert mode_of(path) != "wal"
    assert not journal_of(path, "wal").exists()


@pytest.mark.slow
def test_a_file_with_a_write_ahead_log_that_is_in_use_is_written_as_it_is(tmp_path):
    """The next writer switches it."""
    path = tmp_path / "runs.db"
    subprocess.run([sys.executable, "-c", EARLIER, str(path)], cwd=ROOT, check=True)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        file = File(path, wait=0.1)
        file.write([("UPDATE runs SET question = 'new'", ())])
        file.close()
        assert other.execute("SELECT question FROM runs").fetchone() == ("new",)
        assert mode_of(path) == "wal"
    File(path).close()
    assert mode_of(path) != "wal"


def test_no_file_is_opened_that_is_there(tmp_path):
    """A descriptor of our own on the database, once closed, would undo SQLite's locks."""
    opened, path, listening = [], tmp_path / "runs.db", True

    def hook(event, arguments):
        if listening and event == "open" and str(arguments[0]).endswith("runs.db"):
            opened.append(arguments[2] & (1 << 7))  # O_EXCL

    assert os.O_EXCL == 1 << 7 or sys.platform != "linux"
    sys.addaudithook(hook)
    for _ in range(2):
        with History(path) as history:
            run(planner_of("answer(1)\n", history=history))
            history.runs()
            history.prune(keep=5)
    listening = False
    assert all(opened)


WRITER = """
import sys, threading
from pathlib import Path
from compiler_nb.events import Log, RunEnded, RunStarted, Warned
from compiler_nb.history import History
from compiler_nb.run import Run
from compiler_nb.settings.order import Order
from compiler_nb.settings.settings import Settings

path, name, runs, commits = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
lost = []
for number in range(runs):
    with History(path) as history:  # to close it brings in the log
        log = Log(f"{name}-{number}")
        log.listeners.append(history.begin(Run(Order(), Settings(), log), lost.append))
        log.emit(RunStarted, "q", (), {}, {}, float(number))
        for _ in range(commits - 1):
            log.emit(Warned, "", "x" * 3_000)
            done = threading.Event()
            history.flush(log.run, lambda told: done.set())
            assert done.wait(60)
        log.emit(RunEnded, "done", "")
        history.runs()
        if number % 10 == 5:
            history.prune(keep=10_000)
print(lost)
"""


def write_together(path: Path, processes: int, runs: int, commits: int) -> None:
    """Have processes write one history at once, each so many runs of so many commits; look whether all is there."""
    commands = [
        [sys.executable, "-W", "ignore", "-c", WRITER, str(path), f"p{number}", str(runs), str(commits)]
        for number in range(processes)
    ]
    others = [subprocess.Popen(each, cwd=ROOT, stdout=subprocess.PIPE, text=True) for each in commands]
    assert [other.communicate()[0] for other in others] == ["[]\n"] * processes
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*) FROM events").fetchone() == (processes * runs * (commits + 1),)
    with History(path) as history:
        found = history.runs()
        assert {row.id for row in found} == {f"p{n}-{each}" for n in range(processes) for each in range(runs)}
        assert {row.status for row in found} == {"done"}
        assert len(history.load(found[0].id).events) == commits + 1


@pytest.mark.promise
@pytest.mark.timeout(900)
def test_several_processes_write_one_history(tmp_path, figure):
    """4,800 commits by 4 processes, each run with the file opened and closed: 0 errors, 0 lost, 0 corrupt."""
    write_together(tmp_path / "runs.db", 4, times(40), 30)
    figure(f"{4 * times(40) * 30:,} commits by 4 processes")
