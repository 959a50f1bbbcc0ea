"""Pictures as PNG or PDF, for programs that cannot show SVG: drawn by Graphviz, at the places of the SVG."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from compiler_nb.drawing.boxes import BLOCK_OVER, Box, is_stack, state_of
from compiler_nb.drawing.chart import FOOT, HEAD, PAD, RIGHT, WIDTH, Bar, Chart, between_heads, make_plot
from compiler_nb.drawing.dot import INCH, Program, edge_look, find_layout, quote, render, wrap
from compiler_nb.drawing.graph import FULL, Graph, make_graph
from compiler_nb.drawing.layout import BAND_PAD, HEAD_LINE, HEAD_PAD, Layout, head_height, heading
from compiler_nb.drawing.preferences import Engine
from compiler_nb.drawing.rows import Edge, Point, Size
from compiler_nb.drawing.scene import Shown, scene_of
from compiler_nb.drawing.style import EDGE, LIGHT, MARGIN
from compiler_nb.outcome import State
from compiler_nb.text import seconds_text

ARROW: Final = 5.0
"""Pixels from the tip of an arrow to its base."""
UP: Final = 8.0
"""Pixels from the upper border of a box to the middle of its time."""
STRIP: Final = "#e6e9ee"
"""The colour of the head of a band."""
SIDE: Final = 2_400.0
"""Most pixels across, and half of the most along."""
_BORDERS: Final = {
    "waiting": "dashed", "ready": "solid", "running": "bold", "done": "solid", "failed": "bold", "skipped": "dotted",
    "cancelled": "dashed",
}  # fmt: skip


def _at(x: float, y: float, width: float, height: float) -> str:
    """Return the attributes of a place: the centre, y from below, and the size, which Graphviz takes in inches."""
    return f'pos="{x:.1f},{y:.1f}" width={width / INCH:.4f} height={height / INCH:.4f}'


# --------------------------------------------------------------------- plans


def to_png(
    plan: Shown,
    *,
    states: Mapping[str, State] | None = None,
    engine: Engine = "auto",
    programs: Iterable[Program] | None = None,
    format: str = "png",  # noqa: A002 - Graphviz's word
    times: Mapping[str, str] | None = None,
) -> bytes | None:
    """Return the picture of up to 200 tasks, items of fan-outs not counted, as PNG; None without Graphviz.

    states, engine, times: as for `draw`; programs: as for `render`; format: "png", or "pdf".
    """
    scene = scene_of(plan)
    if sum(not task.owner for task in scene.tasks) > FULL:
        return None
    graph = make_graph(scene, known=states or ())
    layout, names = find_layout(graph, engine, programs), graph.names
    lines: list[str] = []
    for key, box in graph.boxes.items():
        lines += _nodes(names[key], box, layout.places[key], layout.height, states or {}, times or {})
    looks = {edge: edge_look(graph, edge) for edge in layout.routes}
    return draw_placed(graph, layout, lines, names, looks, format=format, programs=programs)


def draw_placed(
    graph: Graph,
    layout: Layout,
    nodes: Iterable[str],
    names: Mapping[str, str],
    looks: Mapping[Edge, str],
    *,
    format: str = "png",  # noqa: A002 - Graphviz's word
    programs: Iterable[Program] | None = None,
) -> bytes | None:
    """Return boxes and arrows at the places of a layout as PNG or PDF; None without Graphviz.

    nodes: the statements of the boxes; names: what these call each box; looks: the attributes of each arrow; format,
    programs: as for `to_png`.
    """
    dpi = min(144.0, INCH * SIDE / max(layout.width, layout.height / 2, 1.0))
    order = " outputorder=edgesfirst" if graph.heads else ""  # arrows pass behind the heads of bands
    lines = [
        f"graph [dpi={dpi:.0f} bgcolor=white pad={MARGIN / INCH:.3f}{order}]",
        f'node [shape=box fixedsize=true fontname="Helvetica" fontsize=10.5 fontcolor="{LIGHT["ink"]}"]',
        f'edge [color="{EDGE}" arrowsize=0.5 penwidth=1.2]',
        *_bands(graph, layout),
        *nodes,
    ]
    lines += [
        f'{names[one]} -> {names[other]} [pos="{_spline(route, layout.height)}" {looks[one, other]}]'
        for (one, other), route in layout.routes.items()
    ]
    return render(wrap(lines), format=format, engine="nop2", programs=programs)


def _bands(graph: Graph, layout: Layout) -> Iterator[str]:
    """Yield the statements for the heads of bands, each a bar that hides the arrows behind it."""
    for number, head in graph.heads.items():
        top, high = layout.height - layout.bands[number][0], head_height(len(head))
        yield f"b{number} {_node((-BAND_PAD, -top, layout.width + 2 * BAND_PAD, high), fill=STRIP)}"
        for line, text in enumerate(head):
            y = top - HEAD_PAD / 2 - (line + 0.5) * HEAD_LINE
            yield f"b{number}_{line} {_word(0.0, -y, text, 'dim', width=layout.width)}"


def _nodes(  # noqa: PLR0917 - it calls itself
    name: str, box: Box, place: Point, height: float, states: Mapping[str, State], times: Mapping[str, str]
) -> Iterator[str]:
    """Yield the statements for one box with its time above it, and for those inside a block."""
    x, y = place
    where = _at(x, height - y, box.width, box.height)
    ink, paper = LIGHT["ink"], LIGHT["card"]
    if box.kind == "block":
        ground = _at(x, height - y, box.width, box.height + 2 * BLOCK_OVER)
        yield f'{name} [{ground} label="" style="rounded,filled" color="#dfe3e8" fillcolor="#f3f5f7"]'
        for number, (inner, dx, dy) in enumerate(box.inner):
            at = (x - box.width / 2 + dx, y - box.height / 2 + dy)
            yield from _nodes(f"{name}_{number}", inner, at, height, states, times)
    elif box.kind == "end":
        look = f'style="rounded,filled" color="{ink}" fillcolor="{ink}" fontcolor="{paper}"'
        label = f"{box.label}  {times.get(box.key, '')}".rstrip()
        yield f"{name} [{where} label={quote(label)} {look}]"
    else:
        state = state_of(box, states)
        label = "\n".join(part for part in (f"{box.label}  {box.count}".rstrip() + f"  ({state})", box.call) if part)
        look = f'style="rounded,filled,{_BORDERS[state]}" color="{LIGHT[state]}" fillcolor="{paper}"'
        shape = " shape=ellipse" if box.kind == "expr" else " peripheries=2" if is_stack(box) else ""
        yield f"{name} [{where} label={quote(label)} {look}{shape}]"
        if box.task in times:
            top = height - y + box.height / 2
            words = _word(x - box.width / 2, -top - UP, times[box.task], "dim", width=box.width, justify="\\r")
            yield f"{name}_t {words}"


def _spline(route: Sequence[Point], height: float) -> str:
    """Return a route as Graphviz's spline, whose arrow's tip is the last point."""
    (x, y), (dx, dy) = route[-1], heading(route)
    base = (x - ARROW * dx, y - ARROW * dy)
    tip, *points = (f"{px:.1f},{height - py:.1f}" for px, py in (route[-1], *route[:-1], base))
    return f"e,{tip} {' '.join(points)}"


def draw_lines(name: str, place: Point, size: Size, lines: Iterable[str], look: str) -> str:
    """Return the statement for a box of lines that begin at its left; place: y from below; look: its attributes."""
    label = "".join(f"  {quote(line)[1:-1]}\\l" for line in lines)  # `quote` would escape the marks behind the lines
    return f'{name} [{_at(*place, *size)} label="{label}" {look}]'


# --------------------------------------------------------------------- timelines


def draw_png(chart: Chart, programs: Iterable[Program] | None = None) -> bytes | None:
    """Return a timeline as PNG; None without Graphviz; programs: as for `render`."""
    plot = make_plot(chart)
    nodes = [_node((0, 0, WIDTH, plot.height), fill=LIGHT["card"])]
    for at, label in chart.ticks:
        nodes += [_node((plot.x(at), top, 0.5, low - top), fill="#e3e7ec") for top, low in between_heads(chart, plot)]
        nodes.append(_word(plot.x(at) - 30, HEAD - 16, label, "dim", width=60, justify=""))
    for number, row in enumerate(chart.rows):
        middle = plot.tops[number] + plot.heights[number] / 2
        if row.is_head:
            nodes.append(_word(PAD, middle, row.label, "dim", width=WIDTH - 2 * PAD))
            continue
        if row.absent:
            nodes.append(_word(PAD, middle, f"{row.label} ({row.absent})", "dim", width=WIDTH / 2))
            continue
        label = f"{row.label} ({row.state})" if row.state not in (None, "done") else row.label
        nodes += [
            _word(PAD, middle, label, "ink" if row.state else "dim", width=plot.left - PAD),
            _word(WIDTH - RIGHT, middle, seconds_text(row.ran), "dim", width=RIGHT - PAD, justify="\\r"),
            *(_bar(bar, plot.box(bar, number), critical=bar.critical) for bar in row.bars),
        ]
    nodes += [
        _word(PAD, plot.bottom + 18 + line * FOOT, text, "ink", width=WIDTH - 2 * PAD)
        for line, text in enumerate(chart.lines)
    ]
    lines = [
        "graph [dpi=120 bgcolor=white pad=0]",
        'node [shape=box fixedsize=true fontname="Helvetica" fontsize=10 margin=0]',
        *(f"n{number} {node}" for number, node in enumerate(nodes)),
    ]
    return render(wrap(lines), format="png", engine="nop2", programs=programs)


def _node(box: tuple[float, float, float, float], *, fill: str, border: str = "", style: str = "filled") -> str:
    x, y, width, high = box
    where = _at(x + width / 2, -(y + high / 2), width, high)
    return f'[{where} label="" style="{style}" fillcolor="{fill}" color="{border or fill}"]'


def _word(x: float, y: float, text: str, colour: str, *, width: float, justify: str = "\\l") -> str:
    """Return a node that is a line of text."""
    # A label's lines are justified by the mark behind each, which `quote` would escape.
    label = f'{quote(text)[:-1]}{justify}"'
    look = f'shape=plaintext style="" label={label} fontcolor="{LIGHT[colour]}"'
    return f"[{_at(x + width / 2, -y, width, 14.4)} {look}]"


def _bar(bar: Bar, box: tuple[float, float, float, float], *, critical: bool) -> str:
    if bar.look == "wait":
        return _node(box, fill="#eceff3", border=LIGHT["waiting"], style="filled,dashed")
    if bar.look in ("think", "write"):
        return _node(box, fill="#c9cfd8" if bar.look == "think" else LIGHT["dim"])
    fill = LIGHT["card"] if bar.look in ("failed", "cancelled") else LIGHT[bar.look]
    border = LIGHT["ink"] if critical else LIGHT[bar.look]
    return _node(box, fill=fill, border=border, style="filled,bold" if critical else "filled")
