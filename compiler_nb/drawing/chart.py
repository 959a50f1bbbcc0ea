"""What a timeline shows: rows of bars as data, their places, and all of it as a self-contained SVG.

The SVG has a background of its own, so that it can be read on any page. Each row of a task is a group with `data-task`,
`data-state` and the class `cnb-STATE`, as in the picture of a plan. States differ by their mark, waiting by its
stripes, a failed attempt by its hollow bar. The lines of the critical path stop where a bar is in their way, so they
cross none. All text is escaped here; there is no script, link or handler.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import Final, NamedTuple

from compiler_nb.drawing.boxes import text_width
from compiler_nb.drawing.style import TIMELINE_STYLE, data_of, draw_mark, page, px
from compiler_nb.outcome import State
from compiler_nb.text import count_of, cut, seconds_text

WIDTH: Final = 920.0
PAD, HEAD, FOOT = 16.0, 34.0, 22.0
RIGHT: Final = 64.0
"""Pixels beside the bars, for how long each task ran."""
ROW, DENSE, MODEL, BAND = 25.0, 15.0, 17.0, 26.0
"""Height of a row, of one among many, of a model's, and of the head of a round's band."""
MANY, LONG = 60, 30
"""With this many rows they are lower; with this many, the axis has labels below, too."""
CLEAR: Final = 4.0
"""Pixels between a line of the critical path and the bars that it passes."""
LETTERS: Final = 130
"""Characters of a band's head, and of a line below."""


class Bar(NamedTuple):
    """A stretch of time, in seconds: "wait" for a slot, "think" and "write" of a model, or an attempt's state.

    critical: whether it is on the critical path.
    """

    start: float
    end: float
    look: str
    critical: bool = False


class Row(NamedTuple):
    """One line: a task's id, its label, state, bars and hover text; absent: why a task has no bars in this run.

    The row of a model has no id and no state, and the head of a round's band has no bars.
    """

    id: str
    label: str
    state: State | None = None
    bars: tuple[Bar, ...] = ()
    title: str = ""
    absent: str = ""

    @property
    def ran(self) -> float:
        """How long it ran, in seconds, without waiting."""
        return sum(bar.end - bar.start for bar in self.bars if bar.look != "wait")

    @property
    def is_head(self) -> bool:
        """Whether it is the head of a round's band."""
        return self.state is None and not self.bars and not self.absent

    @property
    def critical(self) -> bool:
        """Whether a bar of it is on the critical path."""
        return any(bar.critical for bar in self.bars)


class Chart(NamedTuple):
    """What a timeline shows: its rows, how many more tasks there are, seconds in all, and the words below.

    path: for each part of the critical path its row and its bar; ticks: seconds and their labels.
    """

    rows: tuple[Row, ...]
    more: int
    total: float
    words: str
    path: tuple[tuple[int, Bar], ...]
    ticks: tuple[tuple[float, str], ...]

    @property
    def tasks(self) -> int:
        """How many tasks it is about, shown or not."""
        return sum(row.state is not None for row in self.rows) + self.more

    @property
    def are_many(self) -> bool:
        """Whether its rows are lower than usual."""
        return self.tasks - self.more > MANY

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines below the rows."""
        more = [f"… {self.more:,} more"] if self.more else []
        return (*more, *(cut(line, LETTERS) for line in _wrapped(self.words, LETTERS)))


def _wrapped(words: str, most: int) -> Iterator[str]:
    """Yield the lines of a text, which is split at semicolons."""
    line = ""
    for part in words.split("; ") if words else ():
        if line and len(line) + len(part) + 2 > most:
            yield f"{line};"
            line = part
        else:
            line = f"{line}; {part}" if line else part
    if line:
        yield line


class Plot(NamedTuple):
    """The places: the left end of the bars, pixels per second, the tops and heights of the rows, all in pixels."""

    left: float
    scale: float
    tops: tuple[float, ...]
    heights: tuple[float, ...]
    bottom: float
    height: float

    def x(self, seconds: float) -> float:
        """Return the x of a moment."""
        return self.left + seconds * self.scale

    def box(self, bar: Bar, row: int) -> tuple[float, float, float, float]:
        """Return left, top, width and height of a bar; even the shortest bar is visible."""
        high = self.heights[row]
        thin = 6.0 if bar.look in ("think", "write") else round(high * 0.56)
        width = max((bar.end - bar.start) * self.scale, 1.0 if bar.look == "wait" else 2.0)
        return min(self.x(bar.start), WIDTH - RIGHT - width), self.tops[row] + (high - thin) / 2, width, thin


def make_plot(chart: Chart) -> Plot:
    """Return the places."""
    left = (
        PAD + 24 + max([text_width(row.label, size=12.0) for row in chart.rows if not row.is_head], default=40.0) + 12
    )
    usual = DENSE if chart.are_many else ROW
    heights = tuple(BAND if row.is_head else usual if row.state or row.absent else MODEL for row in chart.rows)
    tops, y = [], HEAD + 2
    for high in heights:
        tops.append(y)
        y += high
    lines = len(chart.lines) + 1 + (len(chart.rows) > LONG)
    return Plot(left, (WIDTH - RIGHT - left - 10) / chart.total, tuple(tops), heights, y + 6, y + 10 + lines * FOOT)


# ---------------------------------------------------------------- SVG


def draw_svg(chart: Chart) -> str:
    """Return a timeline as SVG."""
    plot = make_plot(chart)
    parts = [
        f'<rect class="cnb-paper" x="1" y="1" width="{px(WIDTH - 2)}" height="{px(plot.height - 2)}" rx="12"/>',
        *_axis(chart, plot),
        *(_row(row, number, plot) for number, row in enumerate(chart.rows)),
        _chain(chart, plot),
        *_foot(chart, plot),
    ]
    name = f"Timeline of {count_of(chart.tasks, 'task')}"
    bounds = (0, 0, WIDTH, plot.height)
    words = chart.words or seconds_text(chart.total)
    return page(name, words, bounds, TIMELINE_STYLE, parts, kind="cnb cnb-time")  # all of it differs from run to run


def between_heads(chart: Chart, plot: Plot) -> list[tuple[float, float]]:
    """Return the stretches of vertical lines, which avoid the heads of bands and rows of words."""
    gaps = [_gap(row, number, plot) for number, row in enumerate(chart.rows) if row.is_head or row.absent]
    runs = list(pairwise([HEAD - 6, *(each for gap in gaps for each in gap), plot.bottom]))[::2]
    return [(top, low) for top, low in runs if low - top > 1]


def _gap(row: Row, number: int, plot: Plot) -> tuple[float, float]:
    """Return the stretch that a row of words keeps free of lines."""
    top = plot.tops[number]
    return (top + 2, top + BAND) if row.is_head else (top, top + plot.heights[number])


def _axis(chart: Chart, plot: Plot) -> Iterator[str]:
    runs = between_heads(chart, plot)
    pieces = [f"M{px(plot.x(at))} {px(top)}V{px(low)}" for at, _ in chart.ticks for top, low in runs]
    yield f'<path class="cnb-grid" d="{"".join(pieces)}"/>'
    for y in (HEAD - 12, *([plot.bottom + 12] if len(chart.rows) > LONG else [])):
        yield from (
            f'<text class="cnb-tick" x="{px(plot.x(at))}" y="{px(y)}">{label}</text>' for at, label in chart.ticks
        )


def _row(row: Row, number: int, plot: Plot) -> str:
    if row.is_head:
        return _head(row, number, plot)
    if row.absent:
        return _absent(row, number, plot)
    return _model(row, number, plot) if row.state is None else _task(row, number, plot)


def _head(row: Row, number: int, plot: Plot) -> str:
    """Return the head of a band: its words on a strip, without lines through them."""
    top = plot.tops[number]
    strip = _rect("cnb-strip", (PAD - 8, top + 3, WIDTH - 2 * PAD + 16, BAND - 4), 5)
    hover = f"<title>{escape(row.title)}</title>" if row.title else ""
    words = f'<text class="cnb-words cnb-band" x="{px(PAD)}" y="{px(top + 18)}">{escape(row.label)}</text>'
    return f'<g class="cnb-head">{hover}{strip}{words}</g>'


def _absent(row: Row, number: int, plot: Plot) -> str:
    """Return the row of a task that did not run: its name, so that rows of two runs stand side by side, and why."""
    middle, dense = plot.tops[number] + plot.heights[number] / 2, plot.heights[number] < ROW
    who = f" {data_of(row.id, row.state)}" if row.id else ""
    mark = draw_mark(row.state, PAD + 8, middle, disc=not dense) if row.state else ""
    name = "cnb-name" if row.state else "cnb-role"
    words = f'<text class="{name}" x="{px(PAD + 24)}" y="{px(middle + 4)}">{escape(row.label)}</text>'
    words += f'<text class="cnb-role" x="{px(plot.left)}" y="{px(middle + 4)}">{escape(row.absent)}</text>'
    title = f"<title>{escape(row.title)}</title>" if row.title else ""
    kind = f"cnb-row{f' cnb-{row.state}' if row.state else ''}{' cnb-dense' if dense else ''}"
    return f'<g class="{kind}"{who}>{title}{mark}{words}</g>'


def _model(row: Row, number: int, plot: Plot) -> str:
    bars = "".join(_rect(f"cnb-{bar.look}", plot.box(bar, number), 2) for bar in row.bars)
    bars += _frames(row, number, plot)
    key = " cnb-key" if row.critical else ""
    y = px(plot.tops[number] + 12.5)
    words = f'<text class="cnb-role{key}" x="{px(PAD + 24)}" y="{y}">{escape(row.label)}</text>'
    return f'<g class="cnb-row"><title>{escape(row.title)}</title>{words}{bars}{_time(row, plot, number)}</g>'


def _task(row: Row, number: int, plot: Plot) -> str:
    middle = plot.tops[number] + plot.heights[number] / 2
    dense = plot.heights[number] < ROW
    mark = draw_mark(row.state or "waiting", PAD + 8, middle, disc=not dense)
    key = " cnb-key" if row.critical else ""
    words = f'<text class="cnb-name{key}" x="{px(PAD + 24)}" y="{px(middle + 4)}">{escape(row.label)}</text>'
    bars = "".join(_bar(bar, plot.box(bar, number)) for bar in row.bars) + _frames(row, number, plot)
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


def _frames(row: Row, number: int, plot: Plot) -> str:
    """Return the frames of the critical path: one around parts of a bar that touch."""
    boxes: list[tuple[float, float, float, float]] = []
    for bar in row.bars:
        if bar.critical:
            x, y, width, high = plot.box(bar, number)
            if boxes and x - sum(boxes[-1][::2]) < 1:
                x, _, before, _ = boxes.pop()
                width += before
            boxes.append((x, y, width, high))
    return "".join(map(_frame, boxes))


def _frame(box: tuple[float, float, float, float]) -> str:
    x, y, width, high = box
    return _rect("cnb-path", (x - 1.2, y - 1.2, width + 2.4, high + 2.4), 4)


# ---------------------------------------------------------------- the critical path


def _chain(chart: Chart, plot: Plot) -> str:
    """Return the lines of the critical path, from the end of one part to the next one's beginning."""
    d = "".join(
        piece for (one, bar), (other, _) in pairwise(chart.path) for piece in _link(chart, plot, one, other, bar)
    )
    return f'<path class="cnb-path cnb-chain" d="{d}"/>' if d else ""


def _link(chart: Chart, plot: Plot, one: int, other: int, ended: Bar) -> Iterator[str]:
    """Yield the visible pieces of the line from a row's bar to another row."""
    x, (above, below) = plot.x(ended.end), sorted((one, other))
    left, top, _, high = plot.box(chart.rows[other].bars[0], other)
    reaches = left - x <= CLEAR  # otherwise the line turns to it
    y = _lowest(chart, plot, above)
    for number in range(above + 1, below):
        row = chart.rows[number]
        boxes = [plot.box(bar, number) for bar in row.bars]
        words = row.is_head or bool(row.absent)
        if words or any(near - CLEAR < x < near + width + CLEAR for near, _, width, _ in boxes):
            yield from _piece(x, y, plot.tops[number] if words else boxes[0][1] - 2)
            y = _gap(row, number, plot)[1] if words else _lowest(chart, plot, number)
    low = plot.box(chart.rows[below].bars[0], below)[1] - 1.2
    if reaches or other == above:
        yield from _piece(x, y, low)
    else:
        yield f"M{px(x)} {px(y)}V{px(top + high / 2)}H{px(left - 1.2)}"


def _lowest(chart: Chart, plot: Plot, number: int) -> float:
    """Return where a line below a row's bars begins."""
    _, y, _, high = plot.box(chart.rows[number].bars[0], number)
    return y + high + 1.2


def _piece(x: float, top: float, low: float) -> Iterator[str]:
    if low - top > 1:
        yield f"M{px(x)} {px(top)}V{px(low)}"


# ---------------------------------------------------------------- words


def _time(row: Row, plot: Plot, number: int) -> str:
    x, y = px(WIDTH - PAD), px(plot.tops[number] + plot.heights[number] / 2 + 4)
    return f'<text class="cnb-time" x="{x}" y="{y}">{seconds_text(row.ran)}</text>'


def _foot(chart: Chart, plot: Plot) -> Iterator[str]:
    y = plot.bottom + 14 + (FOOT if len(chart.rows) > LONG else 0)
    for line in chart.lines:
        yield f'<text class="cnb-words" x="{px(PAD)}" y="{px(y + 4)}">{escape(line)}</text>'
        y += FOOT
    x = PAD
    for kind, words in _legend(chart.rows):
        yield _sample(kind, x, y)
        yield f'<text class="cnb-tick" style="text-anchor:start" x="{px(x + 29)}" y="{px(y + 4)}">{words}</text>'
        x += 29 + text_width(words, size=11.0) + 18


LEGEND: Final = (
    ("wait", "waits for a slot"), ("done", "runs"), ("failed", "failed attempt"), ("cancelled", "cancelled"),
    ("model", "a model thinks, then writes"), ("path", "critical path"),
)  # fmt: skip


def _legend(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return what the legend of this timeline explains."""
    looks = {bar.look for row in rows for bar in row.bars}
    looks |= {"model"} if looks & {"think", "write"} else set()
    looks |= {"path"} if any(row.critical for row in rows) else set()
    return [(kind, words) for kind, words in LEGEND if kind in looks]


def _sample(kind: str, x: float, y: float) -> str:
    """Return the sample to the left of a legend's words."""
    if kind == "model":
        return _rect("cnb-think", (x, y - 2.5, 9.0, 5.0), 2) + _rect("cnb-write", (x + 9, y - 2.5, 13.0, 5.0), 2)
    if kind == "path":
        return _frame((x + 1.2, y - 4.0, 20.0, 8.0))
    return f'<g class="cnb-{kind}">{_bar(Bar(0.0, 0.0, kind), (x, y - 5, 22.0, 10.0))}</g>'


def _rect(kind: str, box: tuple[float, float, float, float], radius: float) -> str:
    x, y, width, high = map(px, box)
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{high}" rx="{px(radius)}"/>'
