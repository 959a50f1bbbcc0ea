"""A timeline's rows as a self-contained SVG.

It has a background of its own, so that it can be read on any page. Each row is a group with `data-task`, `data-state`
and the class `cnb-STATE`, as in the picture of a plan; states differ by their mark, waiting by its stripes, a failed
attempt by its hollow bar. All text is escaped here; there is no script, link or handler.
"""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from compiler_nb.drawing.boxes import text_width
from compiler_nb.drawing.chart import Bar
from compiler_nb.drawing.style import EDGE, LIGHT, MARKS, STYLE
from compiler_nb.text import cut, seconds_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compiler_nb.drawing.chart import Chart, Row

WIDTH: Final = 920.0
PAD, HEAD, FOOT = 16.0, 34.0, 22.0
RIGHT: Final = 64.0
"""Pixels beside the bars, for how long each task ran."""
ROW, DENSE, MODEL = 25.0, 15.0, 15.0
"""Height of a row, of one among many, and of a model's."""
MANY, LONG = 60, 30
"""Rows from which on they are lower, and from which on the axis has its labels below as well."""
ID: Final = 200


def _use(key: str, name: str) -> str:
    """Name a colour twice: programs that do not know variables use the first, the light one."""
    return f"{key}:{LIGHT[name]};{key}:var(--cnb-{name})"


_STYLE: Final = STYLE + "".join(
    [
        f".cnb .cnb-paper{{{_use('fill', 'card')};stroke:{EDGE};stroke-opacity:.4}}",
        f".cnb .cnb-grid{{fill:none;stroke:{EDGE};stroke-opacity:.28}}",
        f".cnb .cnb-tick,.cnb .cnb-time,.cnb .cnb-words,.cnb .cnb-role{{{_use('fill', 'dim')}}}",
        ".cnb .cnb-tick,.cnb .cnb-time,.cnb .cnb-words,.cnb .cnb-role{font-size:11px;font-weight:400}",
        ".cnb .cnb-tick{text-anchor:middle}.cnb .cnb-time{text-anchor:end}.cnb .cnb-words{font-size:12px}",
        ".cnb .cnb-row text.cnb-name{font-size:12px;font-weight:400}.cnb .cnb-row text.cnb-key{font-weight:700}",
        ".cnb .cnb-row.cnb-dense text{font-size:10px}.cnb .cnb-dense .cnb-mark{stroke:currentColor;stroke-width:1.5}",
        ".cnb .cnb-span{fill:currentColor;stroke:currentColor;stroke-width:1}",
        ".cnb .cnb-span.cnb-failed,.cnb .cnb-span.cnb-cancelled{fill-opacity:.12;stroke-width:1.8}",
        ".cnb .cnb-span.cnb-cancelled{stroke-dasharray:5 3}.cnb .cnb-span.cnb-running{fill-opacity:.55}",
        f".cnb .cnb-rest{{{_use('fill', 'waiting')};fill-opacity:.16}}",
        f".cnb .cnb-stripes{{fill:none;{_use('stroke', 'waiting')};stroke-dasharray:1.4 4.2}}",
        f".cnb .cnb-think,.cnb .cnb-write{{{_use('fill', 'dim')}}}.cnb .cnb-think{{fill-opacity:.3}}",
        f".cnb .cnb-path{{fill:none;{_use('stroke', 'ink')};stroke-width:1.6;stroke-linejoin:round}}",
    ]
)


class Plot(NamedTuple):
    """The places: the left end of the bars, pixels per second, the tops and the height of the rows, all in pixels."""

    left: float
    scale: float
    tops: dict[int, float]
    high: float
    bottom: float
    height: float

    def x(self, seconds: float) -> float:
        """Return the x of a moment."""
        return self.left + seconds * self.scale

    def box(self, bar: Bar, row: int) -> tuple[float, float, float, float]:
        """Return left, top, width and height of a bar; even the shortest bar is visible."""
        thin = 5.0 if bar.look in ("think", "write") else round(self.high * 0.56)
        high = MODEL if bar.look in ("think", "write") else self.high
        width = max((bar.end - bar.start) * self.scale, 1.0 if bar.look == "wait" else 2.0)
        return min(self.x(bar.start), WIDTH - RIGHT - width), self.tops[row] + (high - thin) / 2, width, thin


def make_plot(chart: Chart) -> Plot:
    """Return the places; rows of models come first, then those of tasks."""
    rows = (*chart.models, *chart.rows)
    left = PAD + 24 + max([text_width(row.label, size=12.0) for row in rows], default=40.0) + 12
    high = ROW if len(chart.rows) <= MANY else DENSE
    tops, y = {}, HEAD + 2
    for number, row in enumerate(rows):
        y += 6 if number and number == len(chart.models) else 0
        tops[number] = y
        y += MODEL if row.state is None else high
    lines = bool(chart.more) + bool(chart.words) + 1 + (len(chart.rows) > LONG)
    return Plot(left, (WIDTH - RIGHT - left - 10) / chart.total, tops, high, y + 6, y + 10 + lines * FOOT)


# ---------------------------------------------------------------- SVG


def draw_svg(chart: Chart) -> str:
    """Return a timeline as SVG."""
    plot = make_plot(chart)
    count = len(chart.rows) + chart.more
    name = f"Timeline of {count:,} task{'' if count == 1 else 's'}"
    about = escape(chart.words) or seconds_text(chart.total)
    size = f'width="{_n(WIDTH)}" height="{_n(plot.height)}" viewBox="0 0 {_n(WIDTH)} {_n(plot.height)}"'
    head = '<svg xmlns="http://www.w3.org/2000/svg" class="cnb" role="img"'
    parts = [
        f'{head} aria-label="{name}: {about}" {size} style="max-width:100%;height:auto">',
        f"<title>{name}</title><desc>{about}</desc><style>{_STYLE}</style>",
        f'<rect class="cnb-paper" x="1" y="1" width="{_n(WIDTH - 2)}" height="{_n(plot.height - 2)}" rx="12"/>',
        *_axis(chart, plot),
        _chain(chart, plot),
        *(_model(row, number, plot) for number, row in enumerate(chart.models)),
        *(_task(row, number, plot) for number, row in enumerate(chart.rows, len(chart.models))),
        *_foot(chart, plot),
        "</svg>",
        "",
    ]
    return "\n".join(parts)


def _axis(chart: Chart, plot: Plot) -> Iterator[str]:
    lines = "".join(f"M{_n(plot.x(at))} {_n(HEAD - 6)}V{_n(plot.bottom)}" for at, _ in chart.ticks)
    yield f'<path class="cnb-grid" d="{lines}"/>'
    for y in (HEAD - 12, *([plot.bottom + 12] if len(chart.rows) > LONG else [])):
        yield from (
            f'<text class="cnb-tick" x="{_n(plot.x(at))}" y="{_n(y)}">{label}</text>' for at, label in chart.ticks
        )


def _model(row: Row, number: int, plot: Plot) -> str:
    bars = "".join(_rect(f"cnb-{bar.look}", plot.box(bar, number), 2) for bar in row.bars)
    words = f'<text class="cnb-role" x="{_n(PAD + 24)}" y="{_n(plot.tops[number] + 11)}">{escape(row.label)}</text>'
    return f'<g class="cnb-row"><title>{escape(row.title)}</title>{words}{bars}{_time(row, plot, number, MODEL)}</g>'


def _task(row: Row, number: int, plot: Plot) -> str:
    middle = plot.tops[number] + plot.high / 2
    dense = plot.high < ROW
    mark = f'transform="translate({_n(PAD + 8)} {_n(middle)})'
    mark = f'<path class="cnb-mark" {mark}" d="{MARKS[row.state or "waiting"]}"/>'
    if not dense:
        mark = f'<circle class="cnb-disc" cx="{_n(PAD + 8)}" cy="{_n(middle)}" r="8"/>{mark}'
    key = " cnb-key" if row.critical else ""
    words = f'<text class="cnb-name{key}" x="{_n(PAD + 24)}" y="{_n(middle + 4)}">{escape(row.label)}</text>'
    bars = "".join(_bar(bar, plot.box(bar, number)) for bar in row.bars)
    if row.critical:
        bars += "".join(_frame(plot.box(bar, number)) for bar in row.bars if bar.look != "wait")
    data = f'data-task="{escape(cut(row.id, ID))}" data-state="{row.state}"'
    kind = f"cnb-row cnb-{row.state}{' cnb-dense' if dense else ''}"
    inner = f"<title>{escape(row.title)}</title>{mark}{words}{bars}{_time(row, plot, number, plot.high)}"
    return f'<g class="{kind}" {data}>{inner}</g>'


def _bar(bar: Bar, box: tuple[float, float, float, float]) -> str:
    if bar.look != "wait":
        return _rect(f"cnb-span cnb-{bar.look}", box, 3)
    x, y, width, high = box
    rest = _rect("cnb-rest", box, 3)
    if width < high:
        return rest
    lean = high * 0.29
    return (f'{rest}<path class="cnb-stripes" transform="translate({_n(x + lean)} {_n(y + high / 2)}) skewX(-30)" '
            f'style="stroke-width:{_n(high)}" d="M0 0h{_n(width - 2 * lean)}"/>')  # fmt: skip


def _chain(chart: Chart, plot: Plot) -> str:
    """Return the lines of the critical path, from the end of one task to the next one's start, behind all bars."""
    rows = {row.id: (number, row) for number, row in enumerate(chart.rows, len(chart.models))}
    lines = []
    for (one, before), (other, after) in pairwise(rows[id_] for id_ in chart.path if id_ in rows):
        x, y, width, high = plot.box(before.bars[-1], one)
        u, v, _, tall = plot.box(next(bar for bar in after.bars if bar.look != "wait"), other)
        lines.append(f"M{_n(x + width)} {_n(y + high)}V{_n(v + tall / 2)}H{_n(max(u, x + width))}")
    return f'<path class="cnb-path" d="{"".join(lines)}"/>' if lines else ""


def _frame(box: tuple[float, float, float, float]) -> str:
    """Return the frame of an attempt on the critical path."""
    x, y, width, high = box
    return _rect("cnb-path", (x - 1.2, y - 1.2, width + 2.4, high + 2.4), 4)


def _time(row: Row, plot: Plot, number: int, high: float) -> str:
    x, y = _n(WIDTH - PAD), _n(plot.tops[number] + high / 2 + 4)
    return f'<text class="cnb-time" x="{x}" y="{y}">{seconds_text(row.ran)}</text>'


def _foot(chart: Chart, plot: Plot) -> Iterator[str]:
    y = plot.bottom + 14 + (FOOT if len(chart.rows) > LONG else 0)
    for line in (f"… {chart.more:,} more" if chart.more else "", chart.words):
        if line:
            yield f'<text class="cnb-words" x="{_n(PAD)}" y="{_n(y + 4)}">{escape(line)}</text>'
            y += FOOT
    x = PAD
    for kind, words in _legend(chart):
        yield _sample(kind, x, y)
        yield f'<text class="cnb-tick" style="text-anchor:start" x="{_n(x + 29)}" y="{_n(y + 4)}">{words}</text>'
        x += 29 + text_width(words, size=11.0) + 18


def _legend(chart: Chart) -> list[tuple[str, str]]:
    """Return what the legend of this timeline explains."""
    looks = {bar.look for row in (*chart.models, *chart.rows) for bar in row.bars}
    known = (("wait", "waits for a slot"), ("failed", "failed attempt"), ("cancelled", "cancelled"))
    found = [pair for pair in known if pair[0] in looks]
    found += [("model", "a model thinks, then writes")] if chart.models else []
    return found + ([("path", "critical path")] if chart.path else [])


def _sample(kind: str, x: float, y: float) -> str:
    """Return the sample that stands left of a legend's words."""
    if kind == "model":
        return _rect("cnb-think", (x, y - 2.5, 9.0, 5.0), 2) + _rect("cnb-write", (x + 9, y - 2.5, 13.0, 5.0), 2)
    if kind == "path":
        return _frame((x + 1.2, y - 4.0, 20.0, 8.0))
    return f'<g class="cnb-{kind}">{_bar(Bar(0.0, 0.0, kind), (x, y - 5, 22.0, 10.0))}</g>'


def _rect(kind: str, box: tuple[float, float, float, float], radius: float) -> str:
    x, y, width, high = map(_n, box)
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{high}" rx="{_n(radius)}"/>'


def _n(value: float) -> str:
    return f"{round(value, 1):g}"
