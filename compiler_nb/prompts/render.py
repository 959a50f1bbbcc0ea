"""Any value as text for a prompt: bounded, the same in every process, and safe whatever the value does.

Text stays as it is, plain data becomes JSON, a table its first rows, everything else its `repr` without addresses.
"""

from __future__ import annotations

import enum
import json
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from compiler_nb.models.parts import ALL
from compiler_nb.outcome import NOT_DONE
from compiler_nb.prompts.rows import CELL, COLUMNS, ROWS, Coverage, first_rows
from compiler_nb.text import AS_TEXT, describe_error, named_parts, shorten, type_name

LIMIT: Final = 20_000
"""Most characters of one value in a prompt."""
ELEMENTS: Final = 2_000
"""Numbers of the largest array that is shown whole."""
DEPTH: Final = 30
_BITS: Final = 14_000
"""Bits of the largest integer that is written: Python refuses to write more than 4,300 digits."""
_BYTES: Final = 60
_COUNTED: Final = frozenset({list, tuple, dict, set, frozenset, deque})
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")


class Rendered(NamedTuple):
    """A value as text, and whether it is the whole (of a table: all that is meant to be shown).

    shown: how much of it that is, such as "20 of 13,000 rows" or "all 12 rows"; "" if the text says all there is.
    """

    text: str
    whole: bool
    shown: str = ""


def render_value(value: Any, limit: int = LIMIT) -> str:
    """Return any value as text; never raises. Over `limit` characters it is cut, and a last line says so."""
    text, whole, _ = render(value, limit)
    size = f" of {len(value):,}" if isinstance(value, str) else ""
    return text if whole else f"{text}\n… (the first {limit:,}{size} characters)"


def render(value: Any, limit: int = LIMIT) -> Rendered:
    """Return at most `limit` characters of a value, and whether they are the whole; never raises."""
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        text = str.__str__(value)
        is_whole = len(text) <= limit
        return Rendered(text[:limit], is_whole, "" if is_whole else f"{limit:,} of {len(text):,} characters")
    writer = ValueWriter(limit)
    try:
        writer.value(value)
    except _Full:
        return Rendered("".join(writer.parts), whole=False, shown=f"the first {limit:,} characters")
    return Rendered("".join(writer.parts), whole=True, shown=writer.coverage.words() or _counted(value))


def _counted(value: Any) -> str:
    """Return how many items a long container has, all of which are shown; "" for anything else."""
    return f"{ALL}{len(value):,} items" if type(value) in _COUNTED and len(value) > ROWS else ""


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
    """The limit is reached, which ends the writing; this is not an error."""


class ValueWriter:
    """Writes a value piece by piece up to a limit, so that 100 MB cost no more than the part that is shown.

    above: the ids of the containers around the value; coverage: what counts how much of it is shown.
    """

    def __init__(self, limit: int, above: tuple[int, ...] = (), coverage: Coverage | None = None) -> None:
        self.parts: list[str] = []
        self.left = limit
        self.above = above
        self.coverage = coverage or Coverage()

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
            is_short = value.bit_length() < _BITS
            self.coverage.cut += not is_short
            self.write(int.__repr__(value) if is_short else "<an integer of thousands of digits>")
        elif isinstance(value, float):
            self.write(float.__repr__(value))
        elif isinstance(value, AS_TEXT):
            self.write(_quote(str(value)))
        elif isinstance(value, bytes | bytearray | memoryview):
            more = "…" if len(value) > _BYTES else ""
            self.coverage.cut += bool(more)
            self.write(f"<{type_name(value)} of {len(value):,}: {bytes(value[:_BYTES])!r}{more}>")
        elif id(value) in self.above:
            self.write("<itself again>")
        elif len(self.above) >= DEPTH:
            self.coverage.cut += 1
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
            self._table(value)
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
        writer = ValueWriter(self.left, self.above, self.coverage)
        writer.value(item)
        return "".join(writer.parts)

    def _array(self, value: Any) -> None:
        """Add a numpy array, or a number of its own kind; a large one by its first elements."""
        if value.size <= ELEMENTS:
            plain = value.tolist()
            self.write(repr(plain)) if _is_array(plain) else self.value(plain)
            return
        shown, what, there = value[:ROWS], "rows", len(value)
        if shown.size > ELEMENTS:
            shown, what, there = value.reshape(-1)[:ROWS], "elements", value.size
        self.coverage.add(what, len(shown), there)
        self.write(f"{measure(value)}, {len(shown)} of {there:,} {what}: ")
        self.value(shown.tolist())

    def _table(self, table: Any) -> None:
        """Add a DataFrame or a Series; of a long one the first rows."""
        text, shown, cut = first_rows(table, self.left, _cell)
        self.coverage.add("rows", shown, len(table))
        if len(table.shape) > 1 and table.shape[1] > COLUMNS:
            self.coverage.add("columns", COLUMNS, table.shape[1])
        self.coverage.cut += cut
        self.write(text)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray | numpy.generic)


def _is_table(value: Any) -> bool:
    """Whether it is a DataFrame or a Series, of pandas or of a library with the same interface."""
    return all(hasattr(type(value), name) for name in ("iloc", "index", "shape", "to_csv"))


def _cell(value: Any) -> str:
    return str.__str__(value) if isinstance(value, str) else render(value, CELL * 20).text
