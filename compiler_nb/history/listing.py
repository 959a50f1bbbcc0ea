"""The list of a history's runs: one that is damaged is listed as such, and hides no other."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from compiler_nb.errors import HistoryError
from compiler_nb.history.file import Unmade, reading
from compiler_nb.history.history import BROKEN_OFF, DAMAGED, StoredRun
from compiler_nb.history.owner import can_be_asked, is_alive, owner_mark
from compiler_nb.history.rows import checksum
from compiler_nb.outcome import Status

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_IDS: Final = ("SELECT id FROM runs ORDER BY at DESC, id DESC", "SELECT id FROM runs NOT INDEXED")
"""Two ways to the ids, by an index and by the table: where one is damaged the other may lead to more."""
_LAST: Final = "SELECT max(at) FROM events WHERE run = runs.id"
_COUNT: Final = "SELECT count(*) FROM tasks WHERE run = runs.id AND instr(id, '[') = 0"
_ONE: Final = f"SELECT question, status, at, owner, settings, crc, ({_COUNT}), ({_LAST}) FROM runs WHERE id = ?"  # noqa: S608 - constants
_NEVER: Final = datetime.fromtimestamp(0, UTC)
_SILENT: Final = 86_400.0
"""Seconds after its last event from which a run counts as ended though its process cannot be asked."""
_ID: Final = 100
"""Bytes of a damaged run's id that are shown."""
LONGEST: Final = 1e9
"""Seconds below which any time within a run is."""


class Listed(NamedTuple):
    """A run of the list: its id as it stands in the file, and whether a process may still be writing it."""

    key: Any
    run: StoredRun
    held: bool


def read_runs(path: Path, alive: Collection[str]) -> list[StoredRun]:
    """Return the runs of a file, the newest first; alive: those that this process is writing."""
    with contextlib.suppress(Unmade), reading(path) as connection:
        return [each.run for each in list_runs(connection, alive)]
    return []


def list_runs(connection: sqlite3.Connection, alive: Collection[str]) -> list[Listed]:
    """Return the runs, the newest first; where not even all ids can be read, one without an id stands for the rest."""
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")  # a damaged text spoils its row only
    keys, whole = _keys(connection)
    found = [_listed(connection, key, alive) for key in keys]
    found += [] if whole else [Listed(None, _damaged(""), held=False)]
    return sorted(found, key=lambda each: (each.run.at, each.run.id), reverse=True)


def _keys(connection: sqlite3.Connection) -> tuple[list[Any], bool]:
    """Return the ids as far as they can be read, and whether these are all."""
    found: dict[Any, None] = {}
    for statement in _IDS:
        try:
            for (key,) in connection.execute(statement):
                found[key] = None
        except sqlite3.DatabaseError as error:
            if not (_is_damage(error) and (found or statement is _IDS[0])):
                raise
        else:
            return list(found), True
    return list(found), False


def _listed(connection: sqlite3.Connection, key: Any, alive: Collection[str]) -> Listed:
    here = held = key in alive
    try:
        row = connection.execute(_ONE, (key,)).fetchone()
        held = _is_held(row, here=here)
        return Listed(key, _sound(key, row, here=here), held)
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
    except (HistoryError, TypeError, ValueError, OverflowError, OSError):
        pass  # a value of another kind, or one that cannot be
    return Listed(key, _damaged(key), held)


def _sound(key: Any, row: tuple[Any, ...], *, here: bool) -> StoredRun:
    """Return a run; raises HistoryError, or what a wrong value raises, where it is damaged."""
    question, status, at, owner, settings, crc, tasks, last = row
    seconds = float(last or 0.0)
    if checksum(of_kind(str, question), of_kind(str, settings)) != crc or not 0 <= seconds < LONGEST:
        raise HistoryError("the beginning of a run is damaged")
    status = status_of(of_kind(str, status), of_kind(str, owner), here=here)
    return StoredRun(
        of_kind(str, key), question, status, datetime.fromtimestamp(at).astimezone(), of_kind(int, tasks), seconds
    )


def _is_held(row: tuple[Any, ...], *, here: bool) -> bool:
    """Whether a process may still be writing a run; one that cannot be asked may, until it was silent for long."""
    _, status, at, owner, *_, last = row
    if status != "running" or here:
        return here
    return (
        _is_another_alive(owner) if can_be_asked(of_kind(str, owner)) else time.time() - (at + (last or 0.0)) < _SILENT
    )


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file's content is at fault; its subclasses tell of locks, disks and our own mistakes."""
    return type(error) is sqlite3.DatabaseError


def _damaged(key: Any) -> StoredRun:
    raw = key if type(key) is bytes else str(key).encode("utf-8", "surrogateescape")
    return StoredRun(raw[:_ID].decode("utf-8", "replace"), "", DAMAGED, _NEVER.astimezone(), 0, 0.0)


def status_of(status: str, owner: str, *, here: bool) -> str:
    """Return how a run stands: one whose process has ended before it is broken off; here: this process writes it."""
    if status not in get_args(Status):
        raise HistoryError("a stored run has an unknown status")
    return status if status != "running" or here or _is_another_alive(owner) else BROKEN_OFF


def _is_another_alive(owner: str) -> bool:
    return owner != owner_mark() and is_alive(owner)


def of_kind(kind: type, value: Any, *, none: bool = False) -> Any:
    """Return a stored value of this type, or None where that may be; raises HistoryError for any other."""
    if type(value) is not kind and not (none and value is None):
        raise HistoryError(f"a stored setting is no {kind.__name__}")
    return value
