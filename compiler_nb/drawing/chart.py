"""What a timeline shows: rows of bars as data, their places, and all of it as a self-contained SVG.

The SVG has a background of its own, so that it can be read on any page. Each row is a group with `data-task`,
`data-state` and the class `cnb-STATE`, as in the picture of a plan. States differ by their mark, waiting by its
stripes, a failed attempt by its hollow bar. All text is escaped here; there is no script, link or handler.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import pairwise
from typing import Final, NamedTuple

from compiler_nb.drawing.boxes import text_width
from compiler_nb.drawing.style import TIMELINE_STYLE, data_of, draw_mark, page, px
from compiler_nb.outcome import State
from compiler_nb.text import count_of, seconds_text

WIDTH: Final = 920.0
PAD, HEAD, FOOT = 16.0, 34.0, 22.0
RIGHT: Final = 64.0
"""Pixels beside the bars, for how long each task ran."""
ROW, DENSE, MODEL = 25.0, 15.0, 15.0
"""Height of a row, of one among many, and of a model's."""
MANY, LONG = 60, 30
"""Rows from which on they are lower, and from which on the axis has its labels below as well."""


class Bar(NamedTuple):
    """A stretch of time, in seconds: "wait" for a slot, "think" and "write" of a model, or an attempt's state."""

    start: float
    end: float
    look: str


class Row(NamedTuple):
    """One line: a task's id, its label, state, bars and hover text; the row of a model has neither id nor state."""

    id: str
    label: str
    state: State | None
    bars: tuple[Bar, ...]
    title: str
    critical: bool = False

    @property
    def ran(self) -> float:
        """How long it ran, in seconds, without waiting."""
        return sum(bar.end - bar.start for bar in self.bars if bar.look != "wait")


class Chart(NamedTuple):
    """What a timeline shows: rows of models and of tasks, how many more there are, seconds in all, and the words below.

    path: the ids of the critical path, in its order; ticks: seconds and their labels.
    """

    models: tuple[Row, ...]
    rows: tuple[Row, ...]
    more: int
    total: float
    words: str
    path: tuple[str, ...]
    ticks: tuple[tuple[float, str], ...]

    @property
    def tasks(self) -> int:
        """How many tasks it is about, shown or not."""
        return len(self.rows) + self.more

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines below the rows."""
        return tuple(line for line in (f"… {self.more:,} more" if self.more else "", self.words) if line)


class Plot(NamedTuple):
    """The places: the left end of the bars, pixels per second, the tops and the height of the rows, all in pixels."""

    left: float
    scale: float
    tops: tuple[float, ...]
    high: float
    bottom: float
    height: float

    def x(self, seconds: float) -> float:
        """Return the x of a moment."""
        return self.left + seconds * self.scale

    def high_of(self, row: Row) -> float:
        """Return the height of a row."""
        return self.high if row.state else MODEL

    def box(self, bar: Bar, row: int) -> tuple[float, float, float, float]:
        """Return left, top, width and height of a bar; even the shortest bar is visible."""
        of_model = bar.look in ("think", "write")
        high, thin = (MODEL, 5.0) if of_model else (self.high, round(self.high * 0.56))
        width = max((bar.end - bar.start) * self.scale, 1.0 if bar.look == "wait" else 2.0)
        return min(self.x(bar.start), WIDTH - RIGHT - width), self.tops[row] + (high - thin) / 2, width, thin


def make_plot(chart: Chart) -> Plot:
    """Return the places; rows of models come first, then those of tasks."""
    rows = (*chart.models, *chart.rows)
    left = PAD + 24 + max([text_width(row.label, size=12.0) for row in rows], default=40.0) + 12
    high = ROW if len(chart.rows) <= MANY else DENSE
    tops, y = [], HEAD + 2
    for number, row in enumerate(rows):
        y += 6 if number and number == len(chart.models) else 0
        tops.append(y)
        y += high if row.state else MODEL
    lines = len(chart.lines) + 1 + (len(chart.rows) > LONG)
    return Plot(left, (WIDTH - RIGHT - left - 10) / chart.total, tuple(tops), high, y + 6, y + 10 + lines * FOOT)


# ---------------------------------------------------------------- SVG


def draw_svg(chart: Chart) -> str:
    """Return a timeline as SVG."""
    plot = make_plot(chart)
    parts = [
        f'<rect class="cnb-paper" x="1" y="1" width="{px(WIDTH - 2)}" height="{px(plot.height - 2)}" rx="12"/>',
        *_axis(chart, plot),
        _chain(chart, plot),
        *(_model(row, number, plot) for number, row in enumerate(chart.models)),
        *(_task(row, number, plot) for number, row in enumerate(chart.rows, len(chart.models))),
        *_foot(chart, plot),
    ]
    name = f"Timeline of {count_of(chart.tasks, 'task')}"
    bounds = (0, 0, WIDTH, plot.height)
    words = chart.words or seconds_text(chart.total)
    return page(name, words, bounds, TIMELINE_STYLE, parts, kind="cnb cnb-time")  # all of it differs from run to run


def _axis(chart: Chart, plot: Plot) -> Iterator[str]:
    lines = "".join(f"M{px(plot.x(at))} {px(HEAD - 6)}V{px(plot.bottom)}" for at, _ in chart.ticks)
    yield f'<path class="cnb-grid" d="{lines}"/>'
    for y in (HEAD - 12, *([plot.bottom + 12] if len(chart.rows) > LONG else [])):
        yield from (
            f'<text class="cnb-tick" x="{px(plot.x(at))}" y="{px(y)}">{label}</text>' for at, label in chart.ticks
        )


def _model(row: Row, number: int, plot: Plot) -> str:
    bars = "".join(_rect(f"cnb-{bar.look}", plot.box(bar, number), 2) for bar in row.bars)
    words = f'<text class="cnb-role" x="{px(PAD + 24)}" y="{px(plot.tops[number] + 11)}">{escape(row.label)}</text>'
    return f'<g class="cnb-row"><title>{escape(row.title)}</title>{words}{bars}{_time(row, plot, number)}</g>'


def _task(row: Row, number: int, plot: Plot) -> str:
    middle = plot.tops[number] + plot.high / 2
    dense = plot.high < ROW
    mark = draw_mark(row.state or "waiting", PAD + 8, middle, disc=not dense)
    key = " cnb-key" if row.critical else ""
    words = f'<text class="cnb-name{key}" x="{px(PAD + 24)}" y="{px(middle + 4)}">{escape(row.label)}</text>'
    bars = "".join(_bar(bar, plot.box(bar, number)) for bar in row.bars)
    if row.critical:
        bars += "".join(_frame(plot.box(bar, number)) for bar in row.bars if bar.look != "wait")
    kind = f"cnb-row cnb-{row.state}{' cnb-dense' if dense else ''}"
    inner = f"<title>{escape(row.title)}</title>{mark}{words}{bars}{_time(row, plot, number)}"
    return f'<g class="{kind}" {data_of(row.id, row.state)}>{inner}</g>'


def _bar(bar: Bar, box: tuple[float, float, float, float]) -> str:
    if bar.look != "wait":
        return _rect(f"cnb-span cnb-{bar.look}", box, 3)
    x, y, width, high = box
    rest = _rect("cnb-rest", box, 3)
    if width < high:
        return rest
    lean = high * 0.29
    return (f'{rest}<path class="cnb-stripes" transform="translate({px(x + lean)} {px(y + high / 2)}) skewX(-30)" '
            f'style="stroke-width:{px(high)}" d="M0 0h{px(width - 2 * lean)}"/>')  # fmt: skip


def _chain(chart: Chart, plot: Plot) -> str:
    """Return the lines of the critical path, from the end of one task to the next one's start, behind all bars."""
    rows = {row.id: (number, row) for number, row in enumerate(chart.rows, len(chart.models))}
    lines = []
    for (one, before), (other, after) in pairwise(rows[id_] for id_ in chart.path if id_ in rows):
        x, y, width, high = plot.box(before.bars[-1], one)
        u, v, _, tall = plot.box(next(bar for bar in after.bars if bar.look != "wait"), other)
        lines.append(f"M{px(x + width)} {px(y + high)}V{px(v + tall / 2)}H{px(max(u, x + width))}")
    return f'<path class="cnb-path" d="{"".join(lines)}"/>' if lines else ""


def _frame(box: tuple[float, float, float, float]) -> str:
    """Return the frame of an attempt on the critical path."""
    x, y, width, high = box
    return _rect("cnb-path", (x - 1.2, y - 1.2, width + 2.4, high + 2.4), 4)


def _time(row: Row, plot: Plot, number: int) -> str:
    x, y = px(WIDTH - PAD), px(plot.tops[number] + plot.high_of(row) / 2 + 4)
    return f'<text class="cnb-time" x="{x}" y="{y}">{seconds_text(row.ran)}</text>'


def _foot(chart: Chart, plot: Plot) -> Iterator[str]:
    y = plot.bottom + 14 + (FOOT if len(chart.rows) > LONG else 0)
    for line in chart.lines:
        yield f'<text class="cnb-words" x="{px(PAD)}" y="{px(y + 4)}">{escape(line)}</text>'
        y += FOOT
    x = PAD
    for kind, words in _legend(chart):
        yield _sample(kind, x, y)
        yield f'<text class="cnb-tick" style="text-anchor:start" x="{px(x + 29)}" y="{px(y + 4)}">{words}</text>'
        x += 29 + text_width(words, size=11.0) + 18


_LEGEND: Final = (
    ("wait", "waits for a slot"), ("failed", "failed attempt"), ("cancelled", "cancelled"),
    ("model", "a model thinks, then writes"), ("path", "critical path"),
)  # fmt: skip


def _legend(chart: Chart) -> list[tuple[str, str]]:
    """Return what the legend of this timeline explains."""
    looks = {bar.look for row in chart.rows for bar in row.bars}
    shown = {"model": chart.models, "path": chart.path}
    return [(kind, words) for kind, words in _LEGEND if kind in looks or shown.get(kind)]


def _sample(kind: str, x: float, y: float) -> str:
    """Return the sample that stands left of a legend's words."""
    if kind == "model":
        return _rect("cnb-think", (x, y - 2.5, 9.0, 5.0), 2) + _rect("cnb-write", (x + 9, y - 2.5, 13.0, 5.0), 2)
    if kind == "path":
        return _frame((x + 1.2, y - 4.0, 20.0, 8.0))
    return f'<g class="cnb-{kind}">{_bar(Bar(0.0, 0.0, kind), (x, y - 5, 22.0, 10.0))}</g>'


def _rect(kind: str, box: tuple[float, float, float, float], radius: float) -> str:
    x, y, width, high = map(px, box)
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{high}" rx="{px(radius)}"/>'
