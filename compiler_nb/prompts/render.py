"""Any value as text for a prompt: bounded, the same in every process, and safe whatever the value does.

Text stays as it is, plain data becomes JSON, a table its first rows, everything else its `repr` without addresses.
"""

from __future__ import annotations

import csv
import enum
import io
import json
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from compiler_nb.outcome import NOT_DONE
from compiler_nb.text import AS_TEXT, describe_error, named_parts, shorten, type_name

LIMIT: Final = 20_000
"""Most characters of one value in a prompt."""
ROWS: Final = 20
"""Rows shown of a table that is not shown whole."""
WHOLE: Final = 100
"""Rows of the longest table that is shown whole."""
COLUMNS: Final = 50
CELL: Final = 500
ELEMENTS: Final = 2_000
"""Numbers of the largest array that is shown whole."""
DEPTH: Final = 30
_BITS: Final = 14_000
"""Bits of the largest integer that is written: Python refuses to write one of more than 4,300 digits."""
_BYTES: Final = 60
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")


class Rendered(NamedTuple):
    """A value as text, and whether it is the whole (of a table: all that is meant to be shown)."""

    text: str
    whole: bool


def render_value(value: Any, limit: int = LIMIT) -> str:
    """Return any value as text; never raises. Over `limit` characters it is cut, and a last line says so."""
    text, whole = render(value, limit)
    size = f" of {len(value):,}" if isinstance(value, str) else ""
    return text if whole else f"{text}\n… (the first {limit:,}{size} characters)"


def render(value: Any, limit: int = LIMIT) -> Rendered:
    """Return at most `limit` characters of a value, and whether they are the whole; never raises."""
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        text = str.__str__(value)
        return Rendered(text[:limit], len(text) <= limit)
    writer = ValueWriter(limit)
    try:
        writer.value(value)
    except _Full:
        return Rendered("".join(writer.parts), whole=False)
    return Rendered("".join(writer.parts), whole=True)


def measure(value: Any) -> str:
    """Return a value's type and size in words: "str of 1,234 characters", "DataFrame of 12,000 by 5"."""
    name = type_name(value)
    if isinstance(value, str):
        return f"{name} of {str.__len__(value):,} characters"
    try:
        if isinstance(value, list | tuple | dict | set | frozenset | bytes | bytearray | deque):
            return f"{name} of {len(value):,}"
        if hasattr(type(value), "shape"):
            return f"{name} of {' by '.join(f'{int(size):,}' for size in value.shape) or 'one'}"
    except Exception:  # noqa: BLE001 - an object's own shape may be anything
        return name
    return name


class _Full(Exception):
    """The limit is reached: it ends the writing, and is no error."""


class ValueWriter:
    """Writes a value piece by piece up to a limit, so that 100 MB cost no more than the part that is shown."""

    def __init__(self, limit: int, above: tuple[int, ...] = ()) -> None:
        self.parts: list[str] = []
        self.left = limit
        self.above = above  # the ids of the containers around the current value

    def write(self, text: str) -> None:
        """Add a piece; raise _Full if it does not fit."""
        self.parts.append(text[: self.left])
        if len(text) > self.left:
            raise _Full
        self.left -= len(text)

    def value(self, value: Any) -> None:
        """Add any value; if its own methods raise, a note stands in its place."""
        try:
            self._value(value)
        except (_Full, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - a value's own methods may raise anything
            self.write(f"<{type_name(value)}, cannot be shown: {type_name(error)}>")

    def _value(self, value: Any) -> None:  # noqa: C901 - a table of types, one line each
        if value is None or isinstance(value, bool):
            self.write(json.dumps(value))
        elif isinstance(value, NOT_DONE):
            state = type(value).__name__.lower()
            self.write(f"<{state}: {shorten(str(value).removeprefix(f'{state}: '), CELL)}>")
        elif isinstance(value, enum.Enum):  # before str and int, which its class may also be
            self.value(value._value_)
        # The base classes' own methods write text and numbers: those of a subclass may raise, or say something else.
        elif isinstance(value, str):
            self.write(_quote(str.__str__(value)[: self.left + 1]))
        elif isinstance(value, int):
            self.write(int.__repr__(value) if value.bit_length() < _BITS else "<an integer of thousands of digits>")
        elif isinstance(value, float):
            self.write(float.__repr__(value))
        elif isinstance(value, AS_TEXT):
            self.write(_quote(str(value)))
        elif isinstance(value, bytes | bytearray | memoryview):
            more = "…" if len(value) > _BYTES else ""
            self.write(f"<{type_name(value)} of {len(value):,}: {bytes(value[:_BYTES])!r}{more}>")
        elif id(value) in self.above:
            self.write("<itself again>")
        elif len(self.above) >= DEPTH:
            self.write("<nested too deeply to be shown>")
        else:
            outer, self.above = self.above, (*self.above, id(value))
            self._inside(value)
            self.above = outer

    def _inside(self, value: Any) -> None:
        """Add a value that has parts, or is not of a plain type."""
        if isinstance(value, dict):
            self._parts("{}", dict.items(value), self._pair)
        elif (parts := named_parts(value)) is not None:
            self._parts("{}", parts, self._pair)
        elif isinstance(value, list | tuple | deque):
            self._parts("[]", value, self.value)
        elif isinstance(value, set | frozenset):
            self._parts("[]", sorted(map(self._apart, value)), self.write)  # its own order differs between processes
        elif _is_table(value):
            self.write(_table_text(value, self.left))
        elif _is_array(value):
            self._array(value)
        elif isinstance(value, BaseException):
            self.write(describe_error(value))
        else:
            shown = repr(value)
            says_nothing = shown == object.__repr__(value)
            self.write(f"<{type_name(value)}>" if says_nothing else _ADDRESS.sub("", shown[: self.left + 1]))

    def _parts(self, brackets: str, parts: Iterable[Any], write: Callable[[Any], None]) -> None:
        """Add parts within brackets, each by `write`."""
        self.write(brackets[0])
        for number, part in enumerate(parts):
            if number:
                self.write(", ")
            write(part)
        self.write(brackets[1])

    def _pair(self, pair: tuple[Any, Any]) -> None:
        self.value(pair[0])
        self.write(": ")
        self.value(pair[1])

    def _apart(self, item: Any) -> str:
        writer = ValueWriter(self.left, self.above)
        writer.value(item)
        return "".join(writer.parts)

    def _array(self, value: Any) -> None:
        """Add a numpy array, or a number of its own kind; a large one by its first elements."""
        if value.size <= ELEMENTS:
            plain = value.tolist()
            self.write(repr(plain)) if _is_array(plain) else self.value(plain)
            return
        shown, all_of_it = value[:ROWS], f"{len(value):,} rows"
        if shown.size > ELEMENTS:
            shown, all_of_it = value.reshape(-1)[:ROWS], f"{value.size:,} elements"
        self.write(f"{measure(value)}, {ROWS} of {all_of_it}: ")
        self.value(shown.tolist())


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray | numpy.generic)


# -------------------------------------------------------------------- tables


def _is_table(value: Any) -> bool:
    """Whether it is a DataFrame or a Series, of pandas or of a library with the same interface."""
    return all(hasattr(type(value), name) for name in ("iloc", "index", "shape", "to_csv"))


def _table_text(table: Any, limit: int) -> str:
    """Return a DataFrame or a Series as CSV with a line above it that says how much of it this is.

    A table of at most WHOLE rows is shown whole if it fits; of a longer one the first ROWS rows, or as many as fit.
    """
    rows = len(table)
    most = rows if rows <= WHOLE else ROWS
    for count, width in ((most, CELL), (ROWS, CELL), (10, CELL), (5, CELL), (5, 80)):
        text = _first_rows(table, min(count, rows), width)
        if len(text) <= limit:
            return text
    return _first_rows(table, min(1, rows), 80)


def _first_rows(table: Any, count: int, width: int) -> str:
    """Return so many rows, each cell of at most `width` characters."""
    flat = len(table.shape) == 1
    head = table.iloc[:count] if flat else table.iloc[:count, :COLUMNS]
    names = [_cell(table.name, width)] if flat else [_cell(name, width) for name in head.columns]
    kinds = [table.dtype] if flat else list(head.dtypes)
    body = [[value] for value in head.tolist()] if flat else head.astype(object).to_numpy().tolist()
    header = [f"{name} ({kind})" for name, kind in zip(names, kinds, strict=True)]
    if type(table.index).__name__ != "RangeIndex":
        header.insert(0, _cell(table.index.name or "index", width))
        body = [[label, *row] for label, row in zip(head.index.tolist(), body, strict=True)]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *([_cell(cell, width) for cell in row] for row in body)])
    return f"{_extent(table, count)}\n{out.getvalue().rstrip()}"


def _extent(table: Any, count: int) -> str:
    rows = len(table)
    shown = f"{rows:,} rows" if count == rows else f"{count:,} of {rows:,} rows"
    if len(table.shape) == 1:
        return f"{type_name(table)}, {shown}:"
    columns = table.shape[1]
    wide = f"{columns:,} columns" if columns <= COLUMNS else f"{COLUMNS} of {columns:,} columns"
    return f"{type_name(table)}, {shown}, {wide}:"


def _cell(value: Any, width: int) -> str:
    return shorten(str.__str__(value) if isinstance(value, str) else render(value, width * 20).text, width)
