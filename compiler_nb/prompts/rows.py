"""Tables as text for a prompt: the first rows, and which part of the table they are."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from compiler_nb.models.parts import ALL
from compiler_nb.text import count_of, shorten, type_name

ROWS: Final = 20
"""Rows shown of a table that is not shown whole."""
WHOLE: Final = 100
"""Rows of the longest table that is shown whole."""
COLUMNS: Final = 50
CELL: Final = 500


class Coverage:
    """How much of a value its text shows: of which tables and arrays how many rows, and how many values are cut."""

    def __init__(self) -> None:
        self.tables: Counter[str] = Counter()  # by what is counted in them: rows, columns, elements
        self.shown: Counter[str] = Counter()
        self.there: Counter[str] = Counter()
        self.cut = 0

    def add(self, what: str, shown: int, there: int) -> None:
        """Count the rows, columns or elements of one more table."""
        self.tables[what] += 1
        self.shown[what] += shown
        self.there[what] += there

    def words(self) -> str:
        """Return "20 of 13,000 rows, 3 values cut", "all 12 rows" of what is shown whole, "" if there is no table."""
        cut = [f"{count_of(self.cut, 'value')} cut"] if self.cut else []
        is_whole = self.shown == self.there and not cut
        parts = []
        for what, tables in self.tables.items():
            count = f"{ALL}{self.there[what]:,}" if is_whole else f"{self.shown[what]:,} of {self.there[what]:,}"
            parts.append(f"{count} {what}" + (f" of {tables:,} tables" if tables > 1 else ""))
        return ", ".join(parts + cut)


class FirstRows(NamedTuple):
    """The first rows of a table as text: how many they are, and how many of their cells are cut."""

    text: str
    rows: int
    cut: int


def first_rows(table: Any, limit: int, as_text: Callable[[Any], str]) -> FirstRows:
    """Return a DataFrame or a Series as CSV with a line above it that says how much of it this is.

    A table of at most WHOLE rows is shown whole if it fits; of a longer one the first ROWS rows, or as many as fit.
    as_text: returns a cell's value as text.
    """
    rows = len(table)
    most = rows if rows <= WHOLE else ROWS
    for count, width in ((most, CELL), (ROWS, CELL), (10, CELL), (5, CELL), (5, 80)):
        head = _head(table, min(count, rows), width, as_text)
        if len(head.text) <= limit:
            return head
    return _head(table, min(1, rows), 80, as_text)


def _head(table: Any, count: int, width: int, as_text: Callable[[Any], str]) -> FirstRows:
    """Return so many rows, each cell of at most `width` characters."""
    flat = len(table.shape) == 1
    head = table.iloc[:count] if flat else table.iloc[:count, :COLUMNS]
    names = [as_text(table.name)] if flat else [as_text(name) for name in head.columns]
    kinds = [table.dtype] if flat else list(head.dtypes)
    body = [[value] for value in head.tolist()] if flat else head.astype(object).to_numpy().tolist()
    header = [f"{shorten(name, width)} ({kind})" for name, kind in zip(names, kinds, strict=True)]
    if type(table.index).__name__ != "RangeIndex":
        names.insert(0, as_text(table.index.name or "index"))
        header.insert(0, shorten(names[0], width))
        body = [[label, *row] for label, row in zip(head.index.tolist(), body, strict=True)]
    cells = [[as_text(cell) for cell in row] for row in body]
    out = io.StringIO()
    shown = ([shorten(cell, width) for cell in row] for row in cells)
    csv.writer(out, lineterminator="\n").writerows([header, *shown])
    cut = sum(len(cell) > width for row in (names, *cells) for cell in row)
    return FirstRows(f"{_extent(table, count)}\n{out.getvalue().rstrip()}", count, cut)


def _extent(table: Any, count: int) -> str:
    rows = len(table)
    shown = f"{rows:,} rows" if count == rows else f"{count:,} of {rows:,} rows"
    if len(table.shape) == 1:
        return f"{type_name(table)}, {shown}:"
    columns = table.shape[1]
    wide = f"{columns:,} columns" if columns <= COLUMNS else f"{COLUMNS} of {columns:,} columns"
    return f"{type_name(table)}, {shown}, {wide}:"
