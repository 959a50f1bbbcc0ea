"""Rows beside the runs: saved prompts, cells of grids, the cache; kept in the file, for whoever opens it next."""

from __future__ import annotations

import gzip
import sqlite3
import threading
from contextlib import closing

import pytest

from compiler_nb.errors import HistoryError
from compiler_nb.history import History
from compiler_nb.history.file import VERSION
from compiler_nb.history.kept import Kept
from compiler_nb.models.secret import Secret
from tests.history.test_earlier import EARLIER
from tests.support.desk import planner_of, run

TERSE = Kept("planner terse 1", "planner terse", {"text": "Be terse. ü \ud800"})


@pytest.fixture
def history(tmp_path):
    """Return a history in a new file."""
    with History(tmp_path / "runs.db") as found:
        yield found


def in_file(history: History, *statements: str) -> list[tuple[object, ...]]:
    """Return what the last statement gives."""
    with closing(sqlite3.connect(history.path)) as db, db:
        return [db.execute(statement).fetchall() for statement in statements][-1]


@pytest.mark.parametrize("table", ["prompts", "cells", "cache"])
def test_a_row_that_is_kept_is_there_for_who_opens_the_file_next(history, table):
    """Also if no run was ever kept in it."""
    assert history.get(table) == []
    history.put(table, [TERSE])
    history.close()
    (found,) = History(history.path).get(table)
    assert found._replace(at=0.0) == TERSE
    assert found.at > 1e9


def test_all_versions_of_a_name_are_kept_and_the_newest_is_the_first(history):
    """A key that is there already is replaced; the others stay."""
    for number in (1, 2, 3, 1):
        history.put("prompts", [Kept(f"v{number}", "planner terse", number)])
        history.put("prompts", [Kept(f"w{number}", "joiner terse", number)])
    assert [row.data for row in history.get("prompts", name="planner terse")] == [1, 3, 2]
    assert [row.data for row in history.get("prompts", key="w2")] == [2]
    assert len(history.get("prompts")) == 6
    history.remove("prompts", key="w2")
    history.remove("prompts", name="planner terse")
    assert [row.key for row in history.get("prompts")] == ["w1", "w3"]
    history.remove("prompts")
    assert history.get("prompts") == []


def test_runs_are_kept_beside_them_and_pruned_without_them(history):
    """A table of the one kind knows nothing of the other."""
    history.put("cells", [TERSE])
    run(planner_of("a = get(1)\nanswer(a)\n", history=history))
    assert history.prune(keep=0) == 1
    assert len(history.get("cells")) == 1


def test_no_key_gets_into_a_row(history):
    """Neither whole nor a piece of it; not in the row's key and name either."""
    key = "sk-very-secret-0123456789"
    row = Kept(f"planner {key}", f"n {key[4:]}", {"text": f"use {key}", "more": [key]})
    history.put("prompts", [row], secrets=[Secret(key)])
    history.close()
    assert b"secret-01" not in history.path.read_bytes()
    (found,) = history.get("prompts")
    assert found.data == {"text": "use ***", "more": ["***"]}


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_earlier_version_has_no_rows_until_one_is_kept(history, version):
    """Reading leaves it as it is; writing brings it up, and its runs stay."""
    run(planner_of("a = get(1)\nanswer(a)\n", history=history))
    history.close()
    drops = [f"DROP TABLE {table}" for table in ("cache", "prompts", "cells", *(["claims"] if version == 1 else []))]
    in_file(history, *drops, f"PRAGMA user_version={version}")
    with History(history.path) as again:
        assert again.get("prompts") == []
        assert in_file(again, "PRAGMA user_version") == [(version,)]
        again.put("prompts", [TERSE])
        assert len(again.get("prompts")) == len(again.runs()) == 1
        assert in_file(again, "PRAGMA user_version") == [(VERSION,)]


def test_the_file_of_an_earlier_layout_takes_rows(tmp_path):
    """With its write-ahead log, as it was left."""
    path = tmp_path / "runs.db"
    path.write_bytes(gzip.decompress(EARLIER.read_bytes()))
    with History(path) as history:
        history.put("prompts", [TERSE])
        assert len(history.get("prompts")) == len(history.runs()) == 1


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("UPDATE prompts SET body = '{}'", "a row of prompts is damaged"),
        ("UPDATE prompts SET crc = NULL", "a row of prompts is damaged"),
        ("UPDATE prompts SET name = 3", "not of the type str"),
        ("UPDATE prompts SET at = 'soon'", "not of the type float"),
        ("UPDATE prompts SET key = x'80'", "not of the type str"),
    ],
)
def test_a_damaged_row_is_named(history, damage, told):
    """And removed like any other."""
    history.put("prompts", [TERSE])
    if "name = 3" in damage:  # a column of text would make a text of a number
        damage = "UPDATE prompts SET name = x'33'"
    in_file(history, damage)
    with pytest.raises(HistoryError, match=told):
        history.get("prompts")
    history.remove("prompts")
    assert history.get("prompts") == []


def test_a_file_of_a_newer_version_takes_no_row(history):
    """It is refused by name, and left alone."""
    history.put("prompts", [TERSE])
    history.close()
    in_file(history, f"PRAGMA user_version={VERSION + 1}")
    before = history.path.read_bytes()
    with History(history.path) as newer:
        for work in (lambda: newer.put("prompts", [TERSE]), lambda: newer.remove("cells"), lambda: newer.get("cache")):
            with pytest.raises(HistoryError, match=f"is of version {VERSION + 1}, which a newer compiler_nb has"):
                work()
    assert history.path.read_bytes() == before


def test_a_row_that_cannot_be_written_says_so(history):
    """To whoever wanted it kept: the history was closed, or JSON cannot say the row."""
    with pytest.raises(TypeError, match="not JSON serializable"):
        history.put("cells", [Kept("k", "n", object())])
    history.put("cells", [TERSE])
    history.close()
    with pytest.raises(HistoryError, match="was closed"):
        history.put("cells", [TERSE])


def test_many_threads_keep_rows_at_once(history):
    """Through two histories of one file; none is lost."""
    other = History(history.path)
    threads = [
        threading.Thread(target=lambda n=n: (history, other)[n % 2].put("cells", [Kept(f"k{n}", "grid", n)]))
        for n in range(20)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    other.close()
    assert sorted(row.data for row in history.get("cells", name="grid")) == list(range(20))
