"""A plan as a PNG, for programs that cannot show SVG: drawn by Graphviz, at the places of our own layout."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from compiler_nb.drawing.boxes import is_stack, state_of
from compiler_nb.drawing.dot import quote, render
from compiler_nb.drawing.graph import FULL, make_graph
from compiler_nb.drawing.layout import lay_out
from compiler_nb.drawing.style import EDGE, LIGHT, MARGIN
from compiler_nb.plan.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from compiler_nb.drawing.boxes import Box
    from compiler_nb.drawing.dot import Program
    from compiler_nb.drawing.rows import Point
    from compiler_nb.outcome import State
    from compiler_nb.plan.task import LastLine, Task

INCH: Final = 72.0
HEAD: Final = 5.0
SIDE: Final = 2_400.0
"""Most pixels across, and half of the most along."""
_BORDERS: Final = {
    "waiting": "dashed", "ready": "solid", "running": "bold", "done": "solid", "failed": "bold", "skipped": "dotted",
    "cancelled": "dashed",
}  # fmt: skip


def to_png(
    plan: Plan | Iterable[Task],
    *,
    states: Mapping[str, State] | None = None,
    final: LastLine | None = None,
    programs: Iterable[Program] | None = None,
) -> bytes | None:
    """Return the picture of up to 200 tasks as PNG; None for more tasks, or without Graphviz.

    states, final: as for `draw`; programs: as for `render`.
    """
    tasks = tuple(plan)
    if len(tasks) > FULL:
        return None
    last = plan.final if final is None and isinstance(plan, Plan) else final
    graph = make_graph(tasks, last, known=states or ())
    layout = lay_out(graph.boxes, graph.edges, graph.sizes, down=graph.down)
    dpi = min(144.0, INCH * SIDE / max(layout.width, layout.height / 2))
    lines = [f"graph [dpi={dpi:.0f} bgcolor=white pad={MARGIN / INCH:.3f}]"]
    lines += [f'node [shape=box fixedsize=true fontname="Helvetica" fontsize=10.5 fontcolor="{LIGHT["ink"]}"]']
    lines += [f'edge [color="{EDGE}" arrowsize=0.5 penwidth=1.2]']
    names = {key: f"n{number}" for number, key in enumerate(graph.boxes)}
    for key, box in graph.boxes.items():
        lines += _nodes(names[key], box, layout.places[key], layout.height, states or {})
    for (one, other), route in layout.routes.items():
        lines.append(f'{names[one]} -> {names[other]} [pos="{_spline(route, layout.height)}"]')
    return render("digraph {\n" + "\n".join(lines) + "\n}\n", format="png", engine="nop2", programs=programs)


def _nodes(name: str, box: Box, place: Point, height: float, states: Mapping[str, State]) -> Iterator[str]:
    """Yield the statements for one box, and for those inside a block."""
    x, y = place
    where = f'pos="{x:.1f},{height - y:.1f}" width={box.width / INCH:.4f} height={box.height / INCH:.4f}'
    if box.kind == "block":
        yield f'{name} [{where} label="" style="rounded,filled" color="#dfe3e8" fillcolor="#f3f5f7"]'
        for number, (inner, dx, dy) in enumerate(box.inner):
            at = (x - box.width / 2 + dx, y - box.height / 2 + dy)
            yield from _nodes(f"{name}_{number}", inner, at, height, states)
        return
    if box.kind == "end":
        ink, paper = LIGHT["ink"], LIGHT["card"]
        look = f'style="rounded,filled" color="{ink}" fillcolor="{ink}" fontcolor="{paper}"'
        yield f"{name} [{where} label={quote(box.label)} {look}]"
        return
    state = state_of(box, states)
    label = "\n".join(part for part in (f"{box.label}  {box.count}".rstrip() + f"  ({state})", box.call) if part)
    look = f'style="rounded,filled,{_BORDERS[state]}" color="{LIGHT[state]}" fillcolor="{LIGHT["card"]}"'
    shape = " shape=ellipse" if box.kind == "expr" else " peripheries=2" if is_stack(box) else ""
    yield f"{name} [{where} label={quote(label)} {look}{shape}]"


def _spline(route: Sequence[Point], height: float) -> str:
    """Return a route as Graphviz's spline, whose arrow's tip is the last point."""
    (x, y), before = route[-1], next((point for point in route[-2::-1] if point != route[-1]), route[0])
    far = math.dist((x, y), before) or 1.0
    base = (x - HEAD * (x - before[0]) / far, y - HEAD * (y - before[1]) / far)
    tip, *points = (f"{px:.1f},{height - py:.1f}" for px, py in (route[-1], *route[:-1], base))
    return f"e,{tip} {' '.join(points)}"
