"""Which of a chart's rows are drawn, as lines, clouds of dots, groups or cells, and what stands for too many rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from compiler_nb.errors import ToolError
from compiler_nb.text import count_of
from compiler_nb.toolbox.plot_axes import COLORS
from compiler_nb.toolbox.plot_data import Measured, present

POINTS: Final = 4_000
"""Most points of a line; in a longer one, the smallest and the largest of each piece are drawn."""


@dataclass
class PlotRows:
    """What is drawn: x if there is one, the columns of y with their names, and what tells groups of rows apart.

    notes: what is left out or missing, in words.
    """

    kind: str
    x: Measured | None
    ys: tuple[tuple[str, Measured], ...]
    by: Measured | None
    notes: list[str] = field(default_factory=list)


@dataclass
class Curve:
    """Some rows of one column: a line, a cloud of dots, a row of bars."""

    name: str
    x: Any
    y: Any


def curves_of(chart: PlotRows) -> list[Curve]:
    """Return each column of each group, in the order of x."""
    count = len(chart.ys[0][1].values)
    x = np.arange(count, dtype=float) if chart.x is None else chart.x.values
    curves = [Curve(name, x, values.values) for name, values in chart.ys]
    if chart.by is not None:
        groups = groups_of(chart.by, len(COLORS) // len(curves), chart.notes)
        curves = [
            Curve(name if len(curves) == 1 else f"{each.name}, {name}", each.x[rows], each.y[rows])
            for each in curves for name, rows in groups
        ]  # fmt: skip
    return curves


def groups_of(by: Measured, most: int, notes: list[str]) -> list[tuple[str, Any]]:
    """Return which rows hold each value of a column: of the first values, as many as can be told apart."""
    order = _distinct(by)
    if len(order) > most:
        notes.append(f"the first {most} of {len(order):,} groups")
    names = by._replace(values=order).labels(most)
    return [(name, by.values == value) for name, value in zip(names, order[:most], strict=True)]


def _distinct(column: Measured) -> Any:
    """Return the values of a column, each once: texts as they come, numbers and times in their order."""
    found, first = np.unique(present(column.values), return_index=True)
    return found[np.argsort(first)] if column.kind == "text" else found


def from_left(curve: Curve) -> Curve:
    """Return a curve from left to right, without rows whose place is missing."""
    placed = ~np.isnat(curve.x) if curve.x.dtype.kind == "M" else ~np.isnan(curve.x)
    x, y = curve.x[placed], curve.y[placed]
    order = np.argsort(x, kind="stable")
    return Curve(curve.name, x[order], y[order])


def thinned(curve: Curve) -> tuple[Curve, int]:
    """Return a curve of at most POINTS points, and how many rows two of them stand for, 0 if it is whole.

    Of each piece the least and the greatest are kept, so that no peak is lost.
    """
    count = len(curve.x)
    if count <= POINTS:
        return curve, 0
    size = -(-count // (POINTS // 2))
    padded = np.append(curve.y, np.full(-count % size, np.nan)).reshape(-1, size)
    starts = np.arange(len(padded)) * size
    least = starts + np.where(np.isnan(padded), np.inf, padded).argmin(axis=1)
    most = starts + np.where(np.isnan(padded), -np.inf, padded).argmax(axis=1)
    kept = np.unique(np.concatenate([least, most]))
    kept = kept[kept < count]
    return Curve(curve.name, curve.x[kept], curve.y[kept]), size


def series_of(chart: PlotRows) -> int:
    """Return how many columns or groups are drawn side by side at each place."""
    return len(chart.ys) if chart.by is None else min(len(_distinct(chart.by)), len(COLORS)) or 1


def cells_of(chart: PlotRows, most: int, what: str) -> tuple[list[str], list[tuple[str, Any]]]:
    """Return the names of places, and for each column or group its numbers there: as many places as fit."""
    columns = [(name, values.values) for name, values in chart.ys]
    count = len(columns[0][1])
    if chart.by is None:
        if count > most:
            chart.notes.append(f"the first {most:,} of {count_of(count, what)}")
        names = [str(number) for number in range(min(count, most))] if chart.x is None else chart.x.labels(most)
        return names, [(name, values[:most]) for name, values in columns]
    if chart.x is None:
        raise ToolError(f"plot: by needs x beside it in a {chart.kind} chart: name the column of the {what}s as x")
    places = _distinct(chart.x)
    if len(places) > most:
        chart.notes.append(f"the first {most:,} of {count_of(len(places), what)}")
    known = {place: number for number, place in enumerate(places[:most].tolist())}
    found = []
    for curve in curves_of(chart):
        numbers, taken = np.full(len(known), np.nan), set[int]()
        for place, number in zip(curve.x.tolist(), curve.y.tolist(), strict=True):
            at = known.get(place)
            if at in taken:
                raise ToolError(
                    f"plot: several rows have the same x and by, such as {curve.name!r}: aggregate them first, as in "
                    "data.groupby(['x', 'by'])['y'].sum().reset_index()"
                )
            if at is not None:
                taken.add(at)
                numbers[at] = number
        found.append((curve.name, numbers))
    return chart.x._replace(values=places).labels(most), found
