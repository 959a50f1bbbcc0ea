"""Values as inert HTML: tables, rounded numbers, pictures; and text, escaped at its sink."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterable, Sequence
from html import escape
from itertools import zip_longest
from typing import Any, Final

from compiler_nb.outcome import StoredFigure
from compiler_nb.text import TIMES, shorten_value, type_name, visible
from compiler_nb.values.pictures import label_of, png_of

ROWS, COLUMNS, CELL = 20, 12, 200
DIGITS: Final = 6
"""Significant digits of a number that is rounded for reading."""
DEEP: Final = 3
"""Levels of containers whose numbers are rounded."""
PICTURE: Final = 2_000_000
"""Most bytes of a value's own picture."""
_LONG: Final = re.compile(r"\S{24}")
_OPERATORS: Final = re.compile(r"(?<=[(\[{,=+*/%|&:-])(?=[^\s)\]},=])")
NUMBER: Final = ' class="cnb-number"'
"""The attribute of the cells of a column of numbers."""
_NUMERIC: Final = re.compile(r"[-+]?[\d,]*\.?\d+(?:e[-+]?\d+)?%?")
_MISSING: Final = frozenset(("", "…", "NaN", "NaT", "None"))
PLAIN: Final = "biufcmM"
"""Kinds of pandas' columns that it prints itself: numbers, truth values and times."""


def inert(text: str) -> str:
    """Return text as HTML that shows it, dollar signs included: pages read `$…$` as formulas."""
    return escape(visible(text)).replace("$", "<span>$</span>")


def breakable(code: str) -> list[str]:
    """Return a line of code in pieces between which a page may break it: only after operators, if no space is near."""
    return _OPERATORS.split(code) if _LONG.search(code) else [code]


def inert_code(text: str) -> str:
    """Return lines of code as HTML for a <pre>, which breaks at spaces and operators; what is copied is the code."""
    return "\n".join("<wbr>".join(map(inert, breakable(line))) for line in text.split("\n"))


def timed(text: str) -> str:
    """Return text that differs from run to run as HTML: marked, so that who compares notebooks can leave it out."""
    return f'<span class="cnb-time">{inert(text)}</span>'


def inert_lines(text: str) -> str:
    """Return a text with its lines as HTML that shows it."""
    return "<br>".join(map(inert, text.split("\n")))


def rounded(number: float) -> float:
    """Return a number with the digits that are read: six, and all of those before the point."""
    if number != number or abs(number) in (0.0, float("inf")) or abs(number) >= 1e15:  # noqa: PLR2004, PLR0124 - NaN
        return number
    short = float(f"{number:.{DIGITS}g}")
    return short if abs(number) < 10**DIGITS else float(round(number, 1))


def _rounded(value: Any, depth: int = 0) -> Any:
    """Return a value with its numbers rounded, those in plain containers, too."""
    kind = type(value)
    if isinstance(value, float):
        return rounded(float(value))
    if depth < DEEP and kind is dict and len(value) <= ROWS:
        return {key: _rounded(item, depth + 1) for key, item in value.items()}
    if depth < DEEP and kind in (list, tuple) and len(value) <= ROWS:
        return kind(_rounded(item, depth + 1) for item in value)
    return value


def brief(value: Any, limit: int) -> str:
    """Return any value as one line of HTML; numbers are rounded, and whole when one points at them."""
    whole, short = shorten_value(value, limit), shorten_value(_rounded(value), limit)
    return inert(whole) if whole == short else f'<span title="{escape(visible(whole))}">{inert(short)}</span>'


def cell_text(value: Any) -> str:
    """Return a value as the text of a cell."""
    return visible(value) if isinstance(value, str) and len(value) <= CELL else shorten_value(value, CELL)


def _cell(value: Any) -> str:
    """Return a value as the HTML of a cell: a picture, or a line."""
    if isinstance(value, str):
        return inert(cell_text(value))
    return picture_of(value) or brief(value, CELL)


# ---------------------------------------------------------------- tables


def frame_of(value: Any, most: int = ROWS) -> str:
    """Return a frame or a series as pandas prints it, with so many rows at most; "" for other values."""
    pandas = sys.modules.get("pandas")
    if pandas and isinstance(value, pandas.Series):
        value = value.to_frame()
    return _frame(value, pandas, most) if pandas and isinstance(value, pandas.DataFrame) else ""


def _frame(frame: Any, pandas: Any, most: int) -> str:
    """Return a frame's first and last rows, formatted as pandas does: each column's numbers alike."""
    count, width = frame.shape
    shown = frame.iloc[:, :COLUMNS]
    if count > most:
        shown = pandas.concat([shown.iloc[: most // 2], shown.iloc[-(most // 2) :]])
    columns = [_column(shown.iloc[:, number]) for number in range(shown.shape[1])]
    rows = [list(row) for row in zip(_column(shown.index.to_series()), *columns, strict=True)]
    if count > most:
        rows.insert(most // 2, ["…"] * (len(columns) + 1))
    more = ["…"] * (width > COLUMNS)
    heads = ["", *(inert(cell_text(name)) for name in shown.columns), *more]
    return table_html(heads, [[*row, *more] for row in rows], f"{count:,} rows {TIMES} {width:,} columns")


def _column(column: Any) -> list[str]:
    """Return the cells of a column as HTML; values of a user's own types are never asked for their text."""
    if getattr(column.dtype, "kind", "O") in PLAIN and len(column):
        return [inert(line.strip()) for line in column.to_string(index=False, header=False).split("\n")]
    return ["NaN" if isinstance(item, float) and item != item else _cell(item) for item in column.tolist()]  # noqa: PLR0124


def table(names: Sequence[str], rows: Iterable[Sequence[str]], about: str) -> str:
    """Return rows of texts as a table, and a line about it below; the names of columns may be missing."""
    return table_html(list(map(inert, names)), [list(map(inert, row)) for row in rows], about)


def table_html(heads: Sequence[str], rows: Iterable[Sequence[str]], about: str = "") -> str:
    """Return a table; heads and cells are HTML already, `about` is a line below. Columns of numbers end alike."""
    lines = [list(row) for row in rows]
    marks = [NUMBER if _are_numbers(column) else "" for column in zip_longest(heads and [""] * len(heads), *lines)]
    head = f"<thead><tr>{_row('th', heads, marks)}</tr></thead>" if heads else ""
    body = "".join(f"<tr>{_row('td', row, marks)}</tr>" for row in lines)
    note = f"<p><small>{escape(about)}</small></p>" if about else ""
    return f"<table>{head}<tbody>{body}</tbody></table>{note}"


def _row(tag: str, cells: Sequence[str], marks: Sequence[str]) -> str:
    return "".join(f"<{tag}{mark}>{cell}</{tag}>" for cell, mark in zip(cells, marks, strict=False))


def _are_numbers(column: Iterable[str | None]) -> bool:
    """Whether the cells of a column, HTML, are numbers; some may be missing."""
    words = [re.sub(r"<[^>]*>", "", cell or "") for cell in column]
    return any(map(_NUMERIC.fullmatch, words)) and all(_NUMERIC.fullmatch(word) or word in _MISSING for word in words)


# ---------------------------------------------------------------- pictures


def picture_of(value: Any) -> str:
    """Return the PNG that a value can show of itself; never its SVG or HTML, which may hold anything."""
    data = png_of(value)
    if not data or len(data) > PICTURE:
        return ""
    name = label_of(value) or (value.type if isinstance(value, StoredFigure) else type_name(value))
    return f'<img alt="{escape(visible(name))}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
