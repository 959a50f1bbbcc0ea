"""Taking old runs out of a history: one after the other, so that nobody who writes meanwhile waits for long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.history.file import TABLES, File, naming
from compiler_nb.history.listing import list_runs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from compiler_nb.history.rows import Row

_PAUSE: Final = 0.002
"""Seconds between two writes, in which others come in."""
_HANDED_ON: Final = (
    "UPDATE runs SET parent = ifnull(nullif((SELECT parent FROM runs WHERE id = ?), ''), parent) WHERE parent = ?"
)


def prune(path: Path, keep: int, alive: Collection[str]) -> int:
    """Remove all but the newest runs of a file, and those that may still be written; return how many these are.

    alive: those that this process is writing.
    """
    file = File(path)
    try:
        with naming(path, "cannot be read"):
            listed = list_runs(file.connection, alive)
        old = [each.key for each in reversed(listed[keep:]) if not each.held and _has_name(each.key)]
        for key in old:
            file.write(_removed(key))
            time.sleep(_PAUSE)
        while file.give_back():
            time.sleep(_PAUSE)
    finally:
        file.close()
    return len(old)


def _has_name(key: Any) -> bool:
    """Whether SQLite can be told of an id: not where it is a text that is none."""
    return type(key) is not str or key.isascii() or not any("\udc80" <= each <= "\udcff" for each in key)


def _removed(key: Any) -> Iterator[Row]:
    """Yield the statements that remove a run; what came from it counts as come from where it came from."""
    yield _HANDED_ON, (key, key)
    for table in sorted(TABLES - {"runs"}):
        yield f"DELETE FROM {table} WHERE run = ?", (key,)  # noqa: S608 - our own names
    yield "DELETE FROM runs WHERE id = ?", (key,)
