"""The list of runs: a damaged one is listed as such, and hides no other."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from compiler_nb.errors import HistoryError
from compiler_nb.history import History
from compiler_nb.history.file import checksum
from compiler_nb.history.listing import is_alive, list_runs, owner_mark
from tests.support.desk import planner_of, run


@pytest.fixture
def stored(tmp_path):
    """A history with three runs, and their ids, the newest first."""
    with History(tmp_path / "runs.db") as history:
        for question in ("one", "two", "three"):
            run(planner_of("a = get(1)\nanswer(a)\n", history=history), question)
        yield history, [row.id for row in history.runs()]


def spoil(history: History, id_: str, changes: str, *values) -> None:
    """Change a run's row."""
    with closing(sqlite3.connect(history.path)) as db, db:
        db.execute(f"UPDATE runs SET {changes} WHERE id = ?", (*values, id_))  # noqa: S608 - our own


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ("question = ?", None), ("question = ?", "another"), ("question = ?", b"\xff"), ("settings = ?", "{}"),
        ("question = CAST(? AS TEXT)", b"\xff\xfe"), ("status = ?", 7), ("status = ?", "sleeping"),
        ("at = ?", "yesterday"), ("at = ?", 1e300), ("at = ?", None), ("owner = NULL, status = ?", "running"),
        ("status = 'running', owner = ?", f"{socket.gethostname()}:{'9' * 5_000}:1"), ("crc = ?", 0),
        ("id = ?", b"\x80"), ("id = CAST(? AS TEXT)", b"\xff" * 500),
    ],
)  # fmt: skip
def test_a_damaged_run_is_listed_as_such_and_hides_no_other(stored, changes, value):
    """The sound ones are as they were, and can be loaded; to load the damaged one is a HistoryError."""
    history, ids = stored
    spoil(history, ids[1], changes, value)
    rows = history.runs()
    assert sorted(row.status for row in rows) == ["damaged", "done", "done"]
    assert [row.id for row in rows if row.status == "done"] == [ids[0], ids[2]]
    assert [row.question for row in rows if row.status == "done"] == ["three", "one"]
    (bad,) = [row for row in rows if row.status == "damaged"]
    assert bad.id == ids[1] or changes.startswith("id")
    assert len(bad.id) <= 100
    assert (bad.question, bad.tasks, bad.seconds) == ("", 0, 0.0)
    assert history.load(ids[0]).answer == 1
    if "at =" not in changes:  # when it began is told by its first event, too
        with pytest.raises(HistoryError):
            history.load(bad.id)


def test_damaged_times_and_counts_are_damage(stored):
    """What the list tells beside the run's own row."""
    history, ids = stored
    with closing(sqlite3.connect(history.path)) as db, db:
        db.execute("UPDATE events SET at = 'x' WHERE run = ?", (ids[0],))
        db.execute("UPDATE events SET at = -5 WHERE run = ?", (ids[1],))
    assert sorted(row.status for row in history.runs()) == ["damaged", "damaged", "done"]


@pytest.mark.slow
def test_damaged_pages_hide_no_more_than_lies_on_them(tmp_path):
    """Every page in turn: if the file opens, each run that can be read is listed, and what is lost is said."""
    with History(tmp_path / "runs.db") as history:
        for number in range(20):
            run(planner_of(f"answer({number})\n", history=history), "x" * 3_000)
        ids = {row.id for row in history.runs()}
    whole = history.path.read_bytes()
    with closing(sqlite3.connect(history.path)) as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
    partly = 0
    for at in range(size, len(whole), size):
        history.path.write_bytes(whole[:at] + b"\xaa" * size + whole[at + size :])
        try:
            rows = history.runs()
        except HistoryError:
            continue
        sound = {row.id for row in rows if row.status == "done"}
        assert sound <= ids
        assert sound == ids or "damaged" in {row.status for row in rows}
        partly += 0 < len(sound) < len(ids)
    assert partly > 1


def test_a_trouble_with_the_file_is_no_damage_of_a_run(stored):
    """A lock, or a disk that fails, is told as what it is."""
    history, _ = stored
    with closing(sqlite3.connect(f"file:{history.path}?mode=ro", uri=True)) as db:
        db.set_progress_handler(lambda: 1, 1)
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            list_runs(db, ())


def test_who_may_still_be_writing_is_told_by_process_or_by_silence(stored):
    """A process of this host is asked; one of another host counts as alive until it was silent for a day."""
    history, ids = stored
    now = time.time()
    for id_, owner, at in [
        (ids[0], f"elsewhere:{os.getpid()}:1", now - 60), (ids[1], "elsewhere:1:1", now - 100_000), (ids[2], "x", now),
    ]:  # fmt: skip
        spoil(history, id_, "status = 'running', owner = ?, at = ?", owner, at)
    with closing(sqlite3.connect(history.path)) as db:
        found = {each.run.id: (each.held, each.run.status) for each in list_runs(db, {ids[2]})}
    assert found == {ids[0]: (True, "broken off"), ids[1]: (False, "broken off"), ids[2]: (True, "running")}


def test_a_checksum_covers_what_is_listed(stored):
    """A question that was changed with its checksum is a question."""
    history, ids = stored
    with closing(sqlite3.connect(history.path)) as db:
        (settings,) = db.execute("SELECT settings FROM runs WHERE id = ?", (ids[0],)).fetchone()
    spoil(history, ids[0], "question = 'new', crc = ?", checksum("new", settings))
    assert history.runs()[0].question == "new"


def test_a_process_is_alive_until_it_has_ended():
    """By its host, number and beginning; a number that was given again is another process."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        mark = owner_mark(child.pid)
        assert is_alive(mark)
        assert not is_alive(mark + "0") or sys.platform != "linux"
        assert child.stdin is not None
        child.stdin.close()
    assert not is_alive(mark)
    assert is_alive(owner_mark())
    assert not is_alive("elsewhere:1:1")
    assert not is_alive("nonsense")
