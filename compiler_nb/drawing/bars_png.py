"""A timeline as a PNG, for programs that cannot show SVG: drawn by Graphviz, at the places of the SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from compiler_nb.drawing.bars import FOOT, HEAD, MODEL, PAD, RIGHT, WIDTH, make_plot
from compiler_nb.drawing.dot import quote, render
from compiler_nb.drawing.style import LIGHT
from compiler_nb.text import seconds_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compiler_nb.drawing.chart import Bar, Chart
    from compiler_nb.drawing.dot import Program

_INCH: Final = 72.0
_HEAD: Final = """graph [dpi=120 bgcolor=white pad=0]
node [shape=box fixedsize=true fontname="Helvetica" fontsize=10 margin=0]"""


def draw_png(chart: Chart, programs: Iterable[Program] | None = None) -> bytes | None:
    """Return a timeline as PNG; None without Graphviz; programs: as for `render`."""
    plot = make_plot(chart)
    nodes = [_node((0, 0, WIDTH, plot.height), fill=LIGHT["card"])]
    for at, label in chart.ticks:
        nodes.append(_node((plot.x(at), HEAD - 6, 0.5, plot.bottom - HEAD + 6), fill="#e3e7ec"))
        nodes.append(_word(plot.x(at) - 30, HEAD - 16, label, "dim", width=60, justify=""))
    for number, row in enumerate((*chart.models, *chart.rows)):
        high = MODEL if row.state is None else plot.high
        middle = plot.tops[number] + high / 2
        told = f"{row.label} ({row.state})" if row.state not in (None, "done") else row.label
        nodes.append(_word(PAD, middle, told, "ink" if row.state else "dim", width=plot.left - PAD))
        nodes.append(_word(WIDTH - RIGHT, middle, seconds_text(row.ran), "dim", width=RIGHT - PAD, justify="\\r"))
        nodes += [_png_bar(bar, plot.box(bar, number), critical=row.critical) for bar in row.bars]
    words = (f"… {chart.more:,} more" if chart.more else "", chart.words)
    for line, text in enumerate(each for each in words if each):
        nodes.append(_word(PAD, plot.bottom + 18 + line * FOOT, text, "ink", width=WIDTH - 2 * PAD))
    lines = [f"n{number} {node}" for number, node in enumerate(nodes)]
    return render("digraph {\n" + "\n".join([_HEAD, *lines]) + "\n}\n", format="png", engine="nop2", programs=programs)


def _node(box: tuple[float, float, float, float], *, fill: str, border: str = "", style: str = "filled") -> str:
    x, y, width, high = box
    where = f'pos="{x + width / 2:.1f},{-(y + high / 2):.1f}" width={width / _INCH:.4f} height={high / _INCH:.4f}'
    return f'[{where} label="" style="{style}" fillcolor="{fill}" color="{border or fill}"]'


def _word(x: float, y: float, text: str, colour: str, *, width: float, justify: str = "\\l") -> str:
    where = f'pos="{x + width / 2:.1f},{-y:.1f}" width={width / _INCH:.4f} height=0.2'
    label = f'{quote(text)[:-1]}{justify}"'
    return f'[{where} shape=plaintext style="" label={label} fontcolor="{LIGHT[colour]}"]'


def _png_bar(bar: Bar, box: tuple[float, float, float, float], *, critical: bool) -> str:
    colours: dict[str, str] = LIGHT
    if bar.look == "wait":
        return _node(box, fill="#eceff3", border=LIGHT["waiting"], style="filled,dashed")
    if bar.look in ("think", "write"):
        return _node(box, fill="#c9cfd8" if bar.look == "think" else LIGHT["dim"])
    fill = LIGHT["card"] if bar.look in ("failed", "cancelled") else colours[bar.look]
    border = LIGHT["ink"] if critical else colours[bar.look]
    return _node(box, fill=fill, border=border, style="filled,bold" if critical else "filled")
