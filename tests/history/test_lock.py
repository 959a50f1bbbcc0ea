"""Only one of our own connections writes, brings in the log or closes at a time, in whatever process."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from compiler_nb.errors import HistoryError
from compiler_nb.history import History
from compiler_nb.history.lock import SAFE, FolderLock
from compiler_nb.history.place import journal_mode
from compiler_nb.history.store import Store, reading
from tests.support.desk import planner_of, run
from tests.support.scale import times

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no such lock")
ROOT = Path(__file__).parents[2]
ROW = ("INSERT INTO runs VALUES ('x', 'q', 'done', '', 1, '', '', '{}', 0)", ())


def log_of(path: Path) -> Path:
    """Return where a file's write-ahead log is."""
    return path.with_name(path.name + "-wal")


def test_who_opens_and_who_writes_wait_for_the_lock_and_say_so(tmp_path):
    """By whatever path: a link to the file is the file."""
    path, link = tmp_path / "runs.db", tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    store, lock = Store(path, busy=0.01), FolderLock(tmp_path)
    assert lock.works
    with lock.held(1.0):
        for work in (lambda: store.write([ROW]), store.give_back, lambda: Store(link, busy=0.01)):
            with pytest.raises(HistoryError, match="another process has been writing in"):
                work()
    store.write([ROW])
    store.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT id FROM runs").fetchall() == [("x",)]
        assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)


def test_closing_without_the_lock_leaves_the_log_where_it_is(tmp_path):
    """With it the log is brought in and gone; the next one who opens the file finds everything either way."""
    path = tmp_path / "runs.db"
    for held in (True, False):
        store = Store(path, busy=0.01)
        store.write([ROW] if held else [])
        if held:
            with FolderLock(tmp_path).held(1.0):
                store.close()
        else:
            store.close()
        assert log_of(path).exists() is held
    with reading(path) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)


KILLED = """
import os, sys
from pathlib import Path
from tests.history.test_lock import ROW
from compiler_nb.history.store import Store
Store(Path(sys.argv[1])).write([ROW])
os._exit(0)
"""
HOLDING = """
import sys
from pathlib import Path
from compiler_nb.history.lock import FolderLock
with FolderLock(Path(sys.argv[1])).held(1.0):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_is_given_back_when_its_process_dies(tmp_path):
    """Killed within a write; whoever waits goes on."""
    store = Store(tmp_path / "runs.db", busy=60.0)
    command = [sys.executable, "-c", HOLDING, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(TimeoutError), FolderLock(tmp_path).held(0.0):
            pass
        other.kill()
        store.write([ROW])
    store.close()


def test_a_reader_neither_writes_nor_brings_in_the_log(tmp_path):
    """It is the last to close a file whose writer was killed, and leaves file and log as they are."""
    path = tmp_path / "runs.db"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=True)
    before = path.read_bytes(), log_of(path).read_bytes()
    with reading(path) as connection:
        assert connection.execute("SELECT id FROM runs").fetchall() == [("x",)]
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute(*ROW)
    assert (path.read_bytes(), log_of(path).read_bytes()) == before


@pytest.mark.parametrize(
    ("filesystem", "version", "locks", "mode"),
    [
        ("ext4", (3, 40, 1), True, "WAL"), ("ext4", (3, 40, 1), False, "DELETE"), ("", SAFE, False, "WAL"),
        ("nfs", SAFE, True, "DELETE"),
    ],
)  # fmt: skip
def test_the_log_is_taken_only_where_it_is_safe(filesystem, version, locks, mode):
    """Where we cannot keep one another out, an old SQLite takes the rollback journal."""
    assert journal_mode(filesystem, version, locks=locks) == mode


def test_no_file_is_opened_that_is_there(tmp_path):
    """A descriptor of our own on the database, once closed, would undo SQLite's locks."""
    opened, path, listening = [], tmp_path / "runs.db", True

    def hook(event, arguments):
        if listening and event == "open" and str(arguments[0]).endswith("runs.db"):
            opened.append(arguments[2] & (1 << 7))  # O_EXCL

    import os

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
from compiler_nb.history.rows import Facts

path, name, runs, commits = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
lost = []
for number in range(runs):
    with History(path) as history:  # to close it brings in the log
        log = Log(f"{name}-{number}")
        log.listeners.append(history.begin(log.run, Facts({}, {}), lost.append))
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
