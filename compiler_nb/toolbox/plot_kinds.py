"""Charts as figures of matplotlib: one function for each kind. Imported only with matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from matplotlib import cbook, dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from compiler_nb.errors import ToolError
from compiler_nb.text import nth
from compiler_nb.toolbox.plot_axes import (
    COLORS,
    FAINT,
    INK,
    LINES_OF_BARS,
    PAPER,
    along,
    counted,
    draw_grid,
    drawn,
    finished,
    name_rows,
    named,
    new_axes,
)
from compiler_nb.toolbox.plot_chart import (
    POINTS,
    PlotRows,
    cells_of,
    curves_of,
    from_left,
    groups_of,
    series_of,
    thinned,
)
from compiler_nb.toolbox.plot_data import Measured, present

DOTS: Final = 20_000
"""Dots of all columns together."""
BARS: Final = 400
"""Bars of all columns together, and rows of a heat map."""
BINS: Final = 60
BOXES: Final = 30
OUTLIERS: Final = 1_000
WRITTEN: Final = 12
"""Rows and columns of a heat map whose numbers are written into it."""


def draw(chart: PlotRows, title: str, xlabel: str, ylabel: str) -> Figure:
    """Return the figure of a chart; what it leaves out is added to the chart's notes, and stands below the axes."""
    axes = new_axes()
    if chart.kind == "barh":
        xlabel, ylabel = ylabel, xlabel
    axes.set_xlabel(drawn(xlabel), color=INK, fontsize=10)
    axes.set_ylabel(drawn(ylabel), color=INK, fontsize=10)
    _KINDS[chart.kind](chart, axes)
    return finished(axes, title, chart.notes)


def _line(chart: PlotRows, axes: Axes, *, filled: bool = False) -> None:
    curves, size = [from_left(curve) for curve in curves_of(chart)], 0
    if any(len(each.x) > 1 and bool((each.x[1:] == each.x[:-1]).any()) for each in curves):
        chart.notes.append("several rows have the same x: to draw them apart name a column as by")
    for number, whole in enumerate(curves):
        curve, stands_for = thinned(whole)
        size = max(size, stands_for)
        few = len(curve.x) <= LINES_OF_BARS
        axes.plot(curve.x, curve.y, color=COLORS[number], linewidth=1.6 if few else 1.2, label=drawn(curve.name),
                  marker="o" if few else "", markersize=3.5)  # fmt: skip
        if filled:
            axes.fill_between(curve.x, 0, curve.y, color=COLORS[number], alpha=0.25, linewidth=0)
    if size:
        rows = max(len(each.x) for each in curves)
        chart.notes.append(
            f"{rows:,} rows are drawn as {POINTS:,} points: the least and the greatest of every {size:,}"
        )
    along(axes.xaxis, chart.x, [curve.x for curve in curves])
    counted(axes.yaxis, [curve.y for curve in curves])
    draw_grid(axes, "y")


def _area(chart: PlotRows, axes: Axes) -> None:
    _line(chart, axes, filled=True)


def _scatter(chart: PlotRows, axes: Axes) -> None:
    curves = curves_of(chart)
    count = sum(len(curve.x) for curve in curves)
    step = -(-count // DOTS)
    if step > 1:
        chart.notes.append(f"every {nth(step, 'point')} of {count:,} is drawn")
    size = 26 if count < 500 else 10 if count < 5_000 else 4  # noqa: PLR2004 - dots that can be told apart
    for number, curve in enumerate(curves):
        axes.scatter(curve.x[::step], curve.y[::step], s=size, color=COLORS[number], alpha=0.75 if count < 500 else 0.4,  # noqa: PLR2004 - as above
                     linewidths=0, label=drawn(curve.name))  # fmt: skip
    along(axes.xaxis, chart.x, [curve.x for curve in curves])
    counted(axes.yaxis, [curve.y for curve in curves])
    draw_grid(axes, "both")


def _bar(chart: PlotRows, axes: Axes, *, lying: bool = False) -> None:
    names, columns = cells_of(chart, LINES_OF_BARS if lying else BARS // series_of(chart), "bar")
    thickness, draw_bars = 0.8 / len(columns), axes.barh if lying else axes.bar
    for number, (name, values) in enumerate(columns):
        places = np.arange(len(names)) + (number - (len(columns) - 1) / 2) * thickness
        draw_bars(places, np.nan_to_num(values), thickness, color=COLORS[number], label=drawn(name))
    if lying:
        name_rows(axes, names)
    else:
        named(axes.xaxis, names)
    counted(axes.xaxis if lying else axes.yaxis, [values for _, values in columns])
    draw_grid(axes, "x" if lying else "y")


def _barh(chart: PlotRows, axes: Axes) -> None:
    _bar(chart, axes, lying=True)


def _hist(chart: PlotRows, axes: Axes) -> None:
    name, values = chart.ys[0]
    if values.kind == "text":
        _tally(chart, axes, values)
        return
    found = [(curve.name, present(curve.y)) for curve in curves_of(replace(chart, x=None, by=chart.x))]
    held = np.concatenate([each for _, each in found])
    if values.kind == "time":
        held = _days(held)
        found = [(name, _days(each)) for name, each in found]
    edges = np.histogram_bin_edges(held, min(BINS, max(5, int(np.sqrt(len(held))))))
    for number, (name, each) in enumerate(found):
        alpha = 1.0 if len(found) == 1 else 0.45
        axes.stairs(
            np.histogram(each, edges)[0], edges, fill=True, color=COLORS[number], alpha=alpha, label=drawn(name)
        )
    along(axes.xaxis, values, [held])
    counted(axes.yaxis, [np.array([0.0, len(held)])])
    draw_grid(axes, "y")


def _days(times: Any) -> Any:
    """Return times as matplotlib counts them."""
    return dates.date2num(times)  # type: ignore[no-untyped-call]  # matplotlib says nothing of its dates


def _tally(chart: PlotRows, axes: Axes, values: Measured) -> None:
    """Draw how often each text stands in a column, the most frequent first."""
    counts = np.bincount(present(values.values).astype(int), minlength=len(values.names))
    order = np.argsort(-counts, kind="stable")[:LINES_OF_BARS]
    if len(values.names) > LINES_OF_BARS:
        chart.notes.append(f"the {LINES_OF_BARS} most frequent of {len(values.names):,} texts")
    axes.bar(np.arange(len(order)), counts[order], 0.8, color=COLORS[0])
    named(axes.xaxis, [values.names[number] for number in order])
    draw_grid(axes, "y")


def _box(chart: PlotRows, axes: Axes) -> None:
    apart = chart.x
    if apart is None:
        found = [(name, values.values) for name, values in chart.ys]
    elif len(chart.ys) > 1:
        raise ToolError("plot: a box for each value of x needs one y: name one column")
    else:
        groups = groups_of(apart, BOXES, chart.notes)
        found = [(name, chart.ys[0][1].values[rows]) for name, rows in groups]
    stats, hidden = [], 0
    for name, each in found:
        one: dict[str, Any] = cbook.boxplot_stats(present(each))[0]
        outside = np.sort(one["fliers"])
        if len(outside) > OUTLIERS:
            hidden += len(outside) - OUTLIERS
            outside = outside[np.linspace(0, len(outside) - 1, OUTLIERS).astype(int)]
        stats.append(one | {"fliers": outside, "label": drawn(name, 30)})
    if hidden:
        chart.notes.append(f"{hidden:,} of the outliers are not drawn")
    line = {"color": COLORS[0], "linewidth": 1.3}
    axes.bxp(stats, patch_artist=True, widths=0.5, boxprops={"facecolor": "#dce8f5", "edgecolor": COLORS[0]},
             whiskerprops=line, capprops=line, medianprops={"color": COLORS[1], "linewidth": 2},
             flierprops={"marker": "o", "markersize": 3, "markerfacecolor": FAINT, "markeredgewidth": 0, "alpha": 0.6},
             positions=range(len(stats)))  # fmt: skip
    named(axes.xaxis, [name for name, _ in found])
    counted(axes.yaxis, [each for _, each in found])
    draw_grid(axes, "y")


def _heat(chart: PlotRows, axes: Axes) -> None:
    names, columns = cells_of(chart, BARS, "row")
    heads = [name for name, _ in columns]
    numbers = np.column_stack([values for _, values in columns])
    image = axes.imshow(numbers, aspect="auto", cmap="viridis", interpolation="nearest")
    bar = axes.figure.colorbar(image, ax=axes)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=FAINT, labelcolor=INK, labelsize=9)
    counted(bar.ax.yaxis, [numbers.ravel()])
    axes.spines[:].set_visible(False)
    named(axes.xaxis, heads)
    if len(names) <= LINES_OF_BARS:
        name_rows(axes, names)
    else:
        named(axes.yaxis, names)
    if max(numbers.shape) <= WRITTEN:
        light = image.to_rgba(numbers)[..., :3] @ (0.299, 0.587, 0.114) > 0.5  # noqa: PLR2004 - half as light as white
        for (row, column), number in np.ndenumerate(numbers):
            if not np.isnan(number):
                shown = f"{number:,.0f}" if abs(number) >= 1_000 else f"{number:.3g}"  # noqa: PLR2004 - whole from here on
                axes.text(column, row, shown, ha="center", va="center", fontsize=8,
                          color=INK if light[row, column] else PAPER)  # fmt: skip


_KINDS: Final[dict[str, Callable[[PlotRows, Axes], None]]] = {
    "line": _line, "bar": _bar, "barh": _barh, "scatter": _scatter, "hist": _hist, "box": _box, "area": _area,
    "heat": _heat,
}  # fmt: skip
