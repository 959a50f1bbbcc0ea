"""What a history keeps beside runs: rows with a key, a name and plain data, in tables of their own.

    prompts   saved prompts; a name has several versions, of which the newest counts
    cells     cells of grids; a name is the mark of a variant
    cache     what need not be worked out again (the room `cache`)

A file of an earlier version has none of them until somebody writes to it.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from compiler_nb.history.file import Unmade, check_row, checksum, naming, reading, version_of
from compiler_nb.history.rows import Sql
from compiler_nb.models.secret import Secret, mask
from compiler_nb.prompts.saved import SavedPrompt
from compiler_nb.values.forms import of_kind

KeptIn: TypeAlias = Literal["prompts", "cells", "cache"]
SINCE: Final = 3
"""The version from which a file has these tables."""
_PUT: Final = "INSERT OR REPLACE INTO {} (key, name, at, body, crc) VALUES (?, ?, ?, ?, ?)"
_FIND: Final = "SELECT key, name, at, body, crc FROM {} WHERE {} ORDER BY at DESC, rowid DESC"
_DELETE: Final = "DELETE FROM {} WHERE {}"


class Kept(NamedTuple):
    """One row; data: what JSON can say; at: when it was kept, in seconds since the epoch."""

    key: str
    name: str
    data: Any
    at: float = 0.0


def rows_of(table: KeptIn, kept: Iterable[Kept], secrets: Iterable[Secret] = ()) -> list[Sql]:
    """Return the statements that keep rows, without a piece of a key in them; a key that is there is replaced."""
    found = []
    for each in kept:
        body = mask(json.dumps(each.data), secrets)
        key, name = (mask(_text(text), secrets) for text in (each.key, each.name))
        found.append((_PUT.format(table), (key, name, each.at or time.time(), body, checksum(key, body))))
    return found


def removal(table: KeptIn, *, key: str = "", name: str = "") -> list[Sql]:
    """Return the statement that removes a row, those of a name, or all."""
    where, values = _where(key, name)
    return [(_DELETE.format(table, where), values)]


def read(path: Path, table: KeptIn, *, key: str = "", name: str = "") -> list[Kept]:
    """Return a row, those of a name, or all, the newest first. Raises HistoryError if the file or a row is damaged."""
    where, values = _where(key, name)
    rows: list[Any] = []
    with contextlib.suppress(Unmade), reading(path) as connection:
        if version_of(connection) >= SINCE:
            rows = connection.execute(_FIND.format(table, where), values).fetchall()
    with naming(path, "cannot be read"):
        return [_kept(table, row) for row in rows]


def _where(key: str, name: str) -> tuple[str, tuple[str, ...]]:
    return ("key = ?", (_text(key),)) if key else ("name = ?", (_text(name),)) if name else ("true", ())


def _text(text: str) -> str:
    """Return a text that SQLite takes: half a character becomes its number."""
    return text.encode("utf-8", "backslashreplace").decode()


def _kept(table: KeptIn, row: tuple[Any, ...]) -> Kept:
    key, name, at, body, crc = row
    check_row(key, body, crc, f"a row of {table}")
    return Kept(of_kind(str, key), of_kind(str, name), json.loads(body), of_kind(float, at))


# ---------------------------------------------------------------- prompts


def kept_prompt(saved: SavedPrompt) -> Kept:
    """Return the row of a saved prompt: its key is role, name and version, its name role and name."""
    name = f"{saved.role} {saved.name}"
    return Kept(f"{name} {saved.version}", name, {"role": saved.role, "name": saved.name, "text": saved.text}, saved.at)


def saved_of(kept: Kept) -> SavedPrompt:
    """Return the saved prompt of a row. Raises HistoryError if the row holds something else."""
    data = of_kind(dict, kept.data)
    role, name, text = (of_kind(str, data.get(each)) for each in ("role", "name", "text"))
    return SavedPrompt(role, name, text, kept.at)
