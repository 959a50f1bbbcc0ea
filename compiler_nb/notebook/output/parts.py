"""Which parts of a value a page shows as tables and pictures: the one rule for answers, details and cells of tables.

A frame is a table, a figure a picture, wherever it is: in a dict, list, tuple, dataclass or the like, up to DEEP levels
down. A container that holds one is shown part by part; other containers inside stay one line. All is bounded: rows of
tables that are parts, tables and pictures in all, and a figure that was shown is words the second time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from compiler_nb.notebook.output.values import (
    CELL,
    COLUMNS,
    ROWS,
    brief,
    cell_text,
    frame_of,
    inert,
    picture_of,
    table_html,
)
from compiler_nb.text import named_parts
from compiler_nb.values.pictures import figure_of

DEEP: Final = 3
"""Levels of containers in which tables and pictures are looked for."""
MOST: Final = 20
"""Tables and pictures of one value that are shown; further ones are words."""


def shown(value: Any) -> str:
    """Return a table, a picture, or what holds some, as HTML; dicts and rows are tables, too. "" for other values."""
    return _Showing().whole(value)


def close_figures(value: Any) -> None:
    """Close the figures of an answer, in the main thread: they were shown, and pyplot would show them again."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    for figure in _figures(value, 0) if pyplot else ():
        pyplot.close(figure)  # type: ignore[union-attr]


def _figures(value: Any, depth: int) -> Iterator[Any]:
    figure = figure_of(value)
    if figure is not None:
        yield figure
    elif depth < DEEP:
        for item in _items(value):
            yield from _figures(item, depth + 1)


def _items(value: Any) -> Iterable[Any]:
    """Return the first parts of a container, none for other values."""
    if type(value) in (list, tuple):
        return value[:ROWS]  # type: ignore[no-any-return]
    return (item for _, item in _named(value) or ())


def _named(value: Any) -> list[tuple[str, Any]] | None:
    """Return the first items of a dict, or the fields of a dataclass and the like; None for other values."""
    parts = value.items() if type(value) is dict else named_parts(value)
    return None if parts is None else [(cell_text(name), item) for name, item in islice(parts, ROWS)]


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count > ROWS else ""


class _Showing:
    """One value that is shown: how many tables and pictures there are so far, and which figures."""

    def __init__(self) -> None:
        self.count = 0
        self.figures: set[int] = set()

    def whole(self, value: Any) -> str:
        """Return the value itself: a dict and rows are tables, whatever they hold."""
        if type(value) is dict and value:
            return self._pairs(value, 0)[0]
        if type(value) is list and value and all(type(row) is dict for row in value[:ROWS]):
            return self._rows(value, 0)[0]
        return self._part(value, 0)

    def _part(self, value: Any, depth: int) -> str:
        """Return a value if it is a table or a picture, or holds one; "" otherwise."""
        if isinstance(value, str) or depth > DEEP or self.count >= MOST:
            return ""
        figure = figure_of(value)
        if figure is not None and id(figure) in self.figures:
            return ""
        try:
            found = frame_of(value, ROWS // 2 if depth else ROWS) or picture_of(value)
        except Exception:  # noqa: BLE001 - a value's own methods may raise anything
            found = ""
        if found:
            self.count += 1
            self.figures |= {id(figure)} - {id(None)}
            return found
        if type(value) is list and value and all(type(row) is dict for row in value[:ROWS]):
            html, holds = self._rows(value, depth)
        elif type(value) in (list, tuple):
            html, holds = self._stacked(value, depth)
        else:
            html, holds = self._pairs(value, depth)
        return html if holds else ""

    def _cells(self, items: Iterable[Any], depth: int) -> tuple[list[str], bool]:
        """Return items as cells, and whether there is a table or a picture among them."""
        found = [(item, self._part(item, depth + 1)) for item in items]
        holds = any(part for _, part in found)
        return [part or (line_of(item) if holds or not depth else "") for item, part in found], holds

    def _pairs(self, value: Any, depth: int) -> tuple[str, bool]:
        """Return what has named parts as a table with a row for each."""
        named = _named(value) or []
        cells, holds = self._cells((item for _, item in named), depth)
        rows = [[inert(name), cell] for (name, _), cell in zip(named, cells, strict=True)]
        about = _counted(len(value), "entries") if type(value) is dict else ""
        return table_html([], rows, about), holds

    def _rows(self, value: Sequence[dict[Any, Any]], depth: int) -> tuple[str, bool]:
        """Return rows as a table with a column for each key."""
        keys = list(dict.fromkeys(key for row in value[:ROWS] for key in row))[:COLUMNS]
        found = [self._cells((row.get(key, "") for key in keys), depth) for row in value[:ROWS]]
        heads, about = [inert(cell_text(key)) for key in keys], _counted(len(value), "rows")
        return table_html(heads, [cells for cells, _ in found], about), any(holds for _, holds in found)

    @staticmethod
    def _is_drawn(item: Any, items: Sequence[Any]) -> bool:
        """Whether an item is drawn on a figure that stands among the same items."""
        figure = figure_of(item)
        return figure is not None and figure is not item and any(each is figure for each in items)

    def _stacked(self, value: Sequence[Any], depth: int) -> tuple[str, bool]:
        """Return items one below the other, without the axes of a figure that is among them."""
        cells, holds = self._cells([item for item in value[:ROWS] if not self._is_drawn(item, value)], depth)
        more = f"<p><small>… {len(value) - ROWS:,} more</small></p>" if len(value) > ROWS else ""
        return "".join(f"<div>{cell}</div>" for cell in cells) + more, holds


def line_of(value: Any) -> str:
    """Return a value as one line of a cell."""
    return inert(cell_text(value)) if isinstance(value, str) else brief(value, CELL)
