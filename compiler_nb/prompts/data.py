"""Values as text for prompts: bounded, and framed as data that no text in it can leave.

A frame is three lines or more:

    <data name="ny">
    {"max": 12}
    </data>

What stands inside can hold neither mark: wherever one begins, in any case and spacing, a backslash is put after its
first character (`<\\/data>`), and so it is with the marks by which chat templates separate turns (`<|im_end|>` becomes
`<\\|im_end|>`). Characters that show nothing or reverse the reading order are written as escapes (`\\u202e`). Nothing
else is changed.
"""

from __future__ import annotations

import csv
import datetime
import decimal
import enum
import fractions
import io
import json
import pathlib
import re
import sys
import uuid
from collections import deque
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from compiler_nb.drawing.text import cut, visible
from compiler_nb.outcome import NOT_DONE, describe_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Share: TypeAlias = Literal["all", "summary", "none"]
"""What of contents a model may see: all, type and size with a short preview, or the type only."""

LIMIT: Final = 20_000
"""Characters of one value that a prompt takes."""
TOTAL: Final = 60_000
"""Characters of all values together that a prompt takes."""
PREVIEW: Final = 200
"""Characters of a value that a summary shows."""
ROWS: Final = 20
"""Rows shown of a table that is not shown whole."""
WHOLE: Final = 100
"""Rows of the longest table that is shown whole."""
COLUMNS: Final = 50
CELL: Final = 500
_ELEMENTS: Final = 2_000
_DEPTH: Final = 30
_BITS: Final = 14_000
_BYTES: Final = 60
_NAME: Final = 100
_AS_TEXT: Final = (
    datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, fractions.Fraction, uuid.UUID, pathlib.PurePath,
)  # fmt: skip
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
_MARK: Final = re.compile(
    r"[<\uff1c\ufe64\u2039\u3008](?=\s*[/\uff0f]?\s*data\b|\||/?s>|(?:start|end)_of_turn>|</?SYS>>)|\[(?=/?INST\])",
    re.IGNORECASE,
)
_LINE: Final = re.compile(r"[^\n\t]+")


class Oversize(ValueError):
    """A value is too long for a prompt; the text says how long, without a mend."""


# -------------------------------------------------------------------- frames


def frame(name: str, value_text: str) -> str:
    """Return a text as a block of data under a name; no text can close the block or pretend to begin another."""
    label = _escape(cut(name, _NAME)).replace('"', "'")
    return f'<data name="{label}">\n{_escape(value_text)}\n</data>'


def _escape(text: str) -> str:
    seen = _LINE.sub(lambda line: visible(line[0]), text.replace("\r\n", "\n"))
    return _MARK.sub(lambda mark: mark[0] + "\\", seen)


def frame_values(values: Iterable[tuple[str, Any]], share: Share = "all") -> list[str]:
    """Return named values as blocks, of each as much as `share` allows.

    Raises Oversize where a value, or all together, are longer than a prompt takes: nothing is cut in silence. A table
    is shown by its first rows, which the block says.
    """
    blocks = []
    left = TOTAL
    for name, value in values:
        text, whole = render(value) if share == "all" else (summarize(value, share), True)
        if not whole:
            size = f"{len(value):,}" if isinstance(value, str) else f"more than {LIMIT:,}"
            raise Oversize(f"{cut(name, _NAME)} has {size} characters; at most {LIMIT:,} of one value are sent")
        blocks.append(frame(name, text))
        left -= len(blocks[-1])
        if left < 0:
            raise Oversize(f"the values have more than {TOTAL:,} characters together; at most {TOTAL:,} are sent")
    return blocks


# -------------------------------------------------------------------- values


class Rendered(NamedTuple):
    """A value as text, and whether that is the whole of it (or, of a table, the rows that are meant to be shown)."""

    text: str
    whole: bool


def render_value(value: Any, limit: int = LIMIT) -> str:
    """Return any value as text: text as it is, plain data as JSON, a table by its first rows, all else by its repr.

    Never raises, whatever the value does; over `limit` characters it is cut, and the last line says so.
    """
    text, whole = render(value, limit)
    if whole:
        return text
    size = f" of {len(value):,}" if isinstance(value, str) else ""
    return f"{text}\n… (the first {limit:,}{size} characters)"


def render(value: Any, limit: int = LIMIT) -> Rendered:
    """Return at most `limit` characters of a value, and whether they are the whole."""
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        text = str.__str__(value)
        return Rendered(text[:limit], len(text) <= limit)
    writer = _Writer(limit)
    try:
        writer.value(value)
    except _Full:
        return Rendered("".join(writer.parts), whole=False)
    return Rendered("".join(writer.parts), whole=True)


def summarize(value: Any, share: Share = "summary") -> str:
    """Return a value's type and size and, unless `share` is "none", what it begins with."""
    if share == "none":
        return _type_name(value)
    return f"{_type_name(value)}{_size(value)}\n{render_value(value, PREVIEW)}"


def _type_name(value: Any) -> str:
    return str.__str__(type.__dict__["__name__"].__get__(type(value)))[:_NAME]


def _size(value: Any) -> str:
    if isinstance(value, str):
        return f" of {str.__len__(value):,} characters"
    if isinstance(value, list | tuple | dict | set | frozenset | bytes):
        return f" of {len(value):,}"
    try:
        return f" of {' × '.join(f'{size:,}' for size in value.shape)}" if hasattr(type(value), "shape") else ""
    except Exception:  # noqa: BLE001 - an object's own shape may be anything
        return ""


class _Full(Exception):  # noqa: N818 - it ends the writing, it is no error
    """The limit is reached."""


class _Writer:
    """Writes a value piece by piece until the limit, so that 100 MB cost no more than what is shown."""

    def __init__(self, limit: int) -> None:
        self.parts: list[str] = []
        self.left = limit
        self.above: list[int] = []  # the ids of the containers that we are in

    def write(self, text: str) -> None:
        self.parts.append(text[: self.left])
        if len(text) > self.left:
            raise _Full
        self.left -= len(text)

    def value(self, value: Any) -> None:
        """Write any value; what its own methods raise becomes a part of the text."""
        try:
            self._value(value)
        except _Full:
            raise
        except RecursionError:
            self.write(f"<{_type_name(value)}, nested too deeply>")
        except Exception as error:  # noqa: BLE001 - a value may be broken in any way
            self.write(f"<{_type_name(value)}, cannot be shown: {_type_name(error)}>")

    def _value(self, value: Any) -> None:
        if value is None or isinstance(value, bool):
            self.write(json.dumps(value))
        elif isinstance(value, NOT_DONE):
            self.write(f"({type(value).__name__.lower()}: {cut(value.message, CELL)})")
        elif isinstance(value, enum.Enum):
            self.value(value._value_)
        elif isinstance(value, str):
            self.write(_quoted(str.__str__(value)[: self.left + 1]))
        elif isinstance(value, int):
            self.write(int.__repr__(value) if value.bit_length() < _BITS else "<an integer of thousands of digits>")
        elif isinstance(value, float):
            self.write(float.__repr__(value))
        elif isinstance(value, bytes | bytearray | memoryview):
            more = "…" if len(value) > _BYTES else ""
            self.write(f"<{len(value):,} bytes: {bytes(value[:_BYTES])!r}{more}>")
        elif isinstance(value, _AS_TEXT):
            self.write(_quoted(str(value)))
        elif isinstance(value, dict | list | tuple | set | frozenset | deque):
            self._container(value)
        else:
            self._object(value)

    def _container(self, value: Any) -> None:
        if id(value) in self.above:
            self.write("<itself again>")
            return
        if len(self.above) >= _DEPTH:
            self.write("<nested too deeply>")
            return
        self.above.append(id(value))
        try:
            if isinstance(value, dict):
                self._pairs(dict.items(value))
            elif isinstance(value, tuple) and hasattr(type(value), "_fields"):
                self._pairs(zip(type(value)._fields, tuple.__iter__(value), strict=False))
            elif isinstance(value, set | frozenset):
                self._many(_Written(text) for text in self._sorted(value))
            else:
                self._many(value)
        finally:
            self.above.pop()

    def _many(self, items: Iterable[Any]) -> None:
        for number, item in enumerate(items):
            self.write(", " if number else "[")
            self.write(item.text) if isinstance(item, _Written) else self.value(item)
        self.write("]" if self.parts[-1:] != [] and _began(items) else "[]")

    def _pairs(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        opening = "{"
        for key, item in pairs:
            self.write(opening)
            self.value(key)
            self.write(": ")
            self.value(item)
            opening = ", "
        self.write("}" if opening == ", " else "{}")

    def _sorted(self, items: Iterable[Any]) -> list[str]:
        """Return the members of a set as texts in an order that is the same in every process."""
        texts = []
        for item in items:
            inner = _Writer(self.left)
            inner.above = self.above
            inner.value(item)
            texts.append("".join(inner.parts))
        return sorted(texts)
