"""The list of a history's runs, how each stands, and taking old ones out of the file.

A damaged run is listed as such, and does not hide the others. A run is broken off if it has no end and its process has
ended: so each run is marked with the process that writes it.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sqlite3
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from compiler_nb.errors import HistoryError
from compiler_nb.history.file import OF_RUNS, File, Unmade, check_row, naming, reading
from compiler_nb.outcome import Status
from compiler_nb.trace import Facts
from compiler_nb.values.forms import expect, of_kind

BROKEN_OFF: Final = "broken off"
DAMAGED: Final = "damaged"
_IDS: Final = ("SELECT id FROM runs ORDER BY at DESC, id DESC", "SELECT id FROM runs NOT INDEXED")
"""Two ways to the ids, by an index and by the table: if one is damaged the other may lead to more."""
_ONE: Final = """
    SELECT question, status, at, owner, settings, crc,
        (SELECT count(*) FROM tasks WHERE run = runs.id AND instr(id, '[') = 0),
        (SELECT max(at) FROM events WHERE run = runs.id)
    FROM runs WHERE id = ?
"""
_HANDED_ON: Final = (
    "UPDATE runs SET parent = ifnull(nullif((SELECT parent FROM runs WHERE id = ?), ''), parent) WHERE parent = ?"
)
_GRID: Final = re.compile(r'(?<!\\)"grid": "(\w+)"')
_SILENT: Final = 86_400.0
"""Seconds after its last event from which a run counts as ended though its process cannot be asked."""
_ID: Final = 100
"""Bytes of a damaged run's id that are shown."""
_PAUSE: Final = 0.002
"""Seconds between two writes, in which others come in."""
LONGEST: Final = 1e9
"""Seconds below which any time within a run is."""


class StoredRun(NamedTuple):
    """A run in a history; `at` is local time.

    status: a Run's, "broken off" if its process ended first, or "damaged" if it cannot be read: then the rest is what
    is known of it. grid: the mark of the grid that it is a run of, "" if of none.
    """

    id: str
    question: str
    status: str
    at: datetime
    tasks: int
    seconds: float
    grid: str = ""


COLUMNS: Final = ("run", "at", "status", "question", "answer", "model", "tasks", "tokens", "cost", "seconds")
"""What a table of runs says of each."""


def row_of(run: StoredRun, facts: Facts) -> dict[str, Any]:
    """Return what a table says of a run, by column."""
    return {
        "run": run.id, "at": run.at, "status": run.status, "question": run.question, "answer": facts.answer,
        "model": ", ".join(facts.models), "tasks": run.tasks, "tokens": facts.cost.usage.tokens,
        "cost": facts.cost.dollars, "seconds": run.seconds,
    }  # fmt: skip


class Listed(NamedTuple):
    """A run of the list: its id as it stands in the file, and whether a process may still be writing it."""

    key: Any
    run: StoredRun
    held: bool


# -------------------------------------------------------------------- the list


def read_runs(path: Path, alive: Collection[str]) -> list[StoredRun]:
    """Return the runs of a file, the newest first; alive: those that this process is writing."""
    with contextlib.suppress(Unmade), reading(path) as connection:
        return [each.run for each in list_runs(connection, alive)]
    return []


def list_runs(connection: sqlite3.Connection, alive: Collection[str]) -> list[Listed]:
    """Return the runs, the newest first; if not even all ids can be read, one without an id stands for the rest."""
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")  # a damaged text spoils its row only
    keys, whole = _keys(connection)
    found = [_listed(connection, key, here=key in alive) for key in keys]
    found += [] if whole else [Listed(None, _damaged(""), held=False)]
    return sorted(found, key=lambda each: (each.run.at, each.run.id), reverse=True)


def _keys(connection: sqlite3.Connection) -> tuple[list[Any], bool]:
    """Return the ids as far as they can be read, and whether these are all."""
    found: dict[Any, None] = {}
    for statement in _IDS:
        try:
            found.update((key, None) for (key,) in connection.execute(statement))  # as far as it comes
        except sqlite3.DatabaseError as error:
            if not (_is_damage(error) and (found or statement is _IDS[0])):
                raise
        else:
            return list(found), True
    return list(found), False


def _listed(connection: sqlite3.Connection, key: Any, *, here: bool) -> Listed:
    run, held = _damaged(key), here
    try:
        question, status, at, owner, settings, crc, tasks, last = connection.execute(_ONE, (key,)).fetchone()
        # first whether it is held: a damaged run may be held too; a process that cannot be asked counts as alive
        # until its run has been silent for long
        if status == "running" and not here:
            alive = _is_another_alive(of_kind(str, owner))
            held = bool(time.time() - (at + (last or 0.0)) < _SILENT) if alive is None else alive
        seconds = float(last or 0.0)
        check_row(question, settings, crc, "the beginning of a run")
        expect(0 <= seconds < LONGEST, "a run has impossible times")
        status = status_of(of_kind(str, status), of_kind(str, owner), here=here)
        began = datetime.fromtimestamp(at).astimezone()
        grid = _GRID.search(settings)  # a quote within a text of JSON has a backslash before it
        run = StoredRun(
            of_kind(str, key), question, status, began, of_kind(int, tasks), seconds, grid[1] if grid else ""
        )
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
    except (HistoryError, TypeError, ValueError, OverflowError, OSError):
        pass  # a value of another type, or out of range
    return Listed(key, run, held)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Return whether the file's content is at fault; subclasses of the error are for locks, disks and our mistakes."""
    return type(error) is sqlite3.DatabaseError


def _damaged(key: Any) -> StoredRun:
    raw = key if type(key) is bytes else str(key).encode("utf-8", "surrogateescape")
    never = datetime.fromtimestamp(0, UTC).astimezone()
    return StoredRun(raw[:_ID].decode("utf-8", "replace"), "", DAMAGED, never, 0, 0.0)


# -------------------------------------------------------------------- who writes a run


def status_of(status: str, owner: str, *, here: bool) -> str:
    """Return how a run stands; it is broken off if its process ended before it did. here: this process writes it."""
    expect(status in get_args(Status), "a stored run has an unknown status")
    return status if status != "running" or here or _is_another_alive(owner) else BROKEN_OFF


def _is_another_alive(owner: str) -> bool | None:
    return owner != owner_mark() and is_alive(owner)


def owner_mark(pid: int = 0) -> str:
    """Return the mark of a process, by default this one: its host, its number, and when it began if that is known."""
    pid = pid or os.getpid()
    try:  # numbers are used again: a later process of the same number has begun at another time
        began = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        began = ""
    return f"{socket.gethostname()}:{pid}:{began}"


def is_alive(mark: str) -> bool | None:
    """Return whether a process still runs, by its mark; None if it cannot be asked."""
    host, _, number = mark.rpartition(":")[0].rpartition(":")
    if mark == owner_mark():
        return True
    if host != socket.gethostname() or not number.isdecimal() or os.name == "nt":  # there, to ask would be to kill
        return None
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it lives, but is another user's
    return owner_mark(int(number)) == mark


# -------------------------------------------------------------------- taking runs out


def prune(path: Path, keep: int, alive: Collection[str]) -> int:
    """Remove all runs of a file but the newest and those that may still be written; return how many were removed.

    alive: those that this process is writing. Runs go one by one, so that nobody who writes meanwhile waits for long.
    """
    with contextlib.closing(File(path)) as file:
        with naming(path, "cannot be read"):
            listed = list_runs(file.connection, alive)
        old = [each.key for each in reversed(listed[keep:]) if not each.held and _has_name(each.key)]
        for key in old:
            deleted = [(f"DELETE FROM {table} WHERE run = ?", (key,)) for table in sorted(OF_RUNS - {"runs"})]  # noqa: S608 - our own names
            # its children become children of its parent
            file.write([(_HANDED_ON, (key, key)), *deleted, ("DELETE FROM runs WHERE id = ?", (key,))])
            time.sleep(_PAUSE)
        while file.give_back():
            time.sleep(_PAUSE)
    return len(old)


def _has_name(key: Any) -> bool:
    """Return whether an id can be given to SQLite: a text that was read from invalid UTF-8 cannot."""
    return type(key) is not str or key.isascii() or not any("\udc80" <= each <= "\udcff" for each in key)
