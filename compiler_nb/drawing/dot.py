"""DOT text of a plan, always quoted by our own function, and Graphviz as an engine for places and pictures.

Graphviz is the system's `dot`, called through the `graphviz` package, otherwise pygraphviz, which contains it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

from compiler_nb.drawing.boxes import state_of
from compiler_nb.drawing.graph import Graph, make_graph
from compiler_nb.drawing.layout import Layout, lay_out
from compiler_nb.drawing.rows import Point
from compiler_nb.drawing.style import EDGE, LIGHT
from compiler_nb.outcome import State
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.text import visible

Engine = Literal["auto", "graphviz", "own"]
"""What chooses the places: our own layout, or Graphviz if it is installed."""
Program: TypeAlias = "Callable[[str, str, str], bytes]"
"""Makes a picture from DOT text, a format and an engine; may raise anything."""
_LOCK: Final = threading.Lock()
"""Only one thread of a process may use the Graphviz library at a time."""
INCH: Final = 72.0
MOST_BOXES, MOST_EDGES = 200, 400
_SHAPES: Final = {"expr": "ellipse", "end": "oval", "fanout": "box3d", "group": "box3d", "more": "plaintext"}


def quote(text: str) -> str:
    """Return a DOT string that shows a text as it is: nothing in it is an escape, an entity or markup."""
    # Graphviz reads backslashes as escapes and `&…;` as entities inside quotes, too.
    lines = "\\n".join(visible(line).replace("\\", "\\\\").replace('"', '\\"') for line in text.split("\n"))
    return f'"{lines.replace("&", "&amp;")}"'


def source(plan: Plan | Iterable[Task], states: Mapping[str, State] | None = None) -> str:
    """Return a plan as DOT text."""
    return wrap(lines_of(plan, states or {}))


def wrap(statements: Iterable[str]) -> str:
    """Return statements as a whole DOT text."""
    return "\n".join(["digraph plan {", *statements, "}", ""])


def lines_of(plan: Plan | Iterable[Task], states: Mapping[str, State]) -> Iterator[str]:
    """Yield the statements of a plan's DOT text."""
    graph = make_graph(plan, known=states, block=0)
    yield f'  graph [rankdir={"TB" if graph.down else "LR"} bgcolor="transparent" nodesep=0.3 ranksep=0.5]'
    yield '  node [shape=box style="rounded,filled" fillcolor=white fontname="Helvetica" fontsize=11 penwidth=1.3]'
    yield f'  edge [color="{EDGE}" arrowsize=0.7]'
    names = graph.names
    for key, box in graph.boxes.items():
        state = state_of(box, states)
        label = "\n".join(part for part in (f"{box.label} {box.count}".rstrip(), box.call) if part)
        shape = f" shape={_SHAPES[box.kind]}" if box.kind in _SHAPES else ""
        colour = LIGHT["ink"] if box.kind == "end" else LIGHT[state]
        kind = f"cnb-task cnb-{state}" if box.task else f"cnb-{box.kind}"
        look = f'color="{colour}" id="{names[key]}" class="{kind}"{shape}'
        yield f"  {names[key]} [label={quote(label)} {look}]"
    for one, other in graph.edges:
        look = edge_look(graph, (one, other))
        yield f"  {names[one]} -> {names[other]}{f' [{look}]' if look else ''}"


def edge_look(graph: Graph, edge: tuple[str, str]) -> str:
    """Return the attributes that say what an edge means."""
    return "arrowhead=odiamond" if edge in graph.guards else "style=dashed" if edge in graph.turns else ""


def render(
    text: str,
    *,
    format: str,  # noqa: A002 - Graphviz's word
    engine: str = "dot",
    programs: Iterable[Program] | None = None,
) -> bytes | None:
    """Return what Graphviz makes of DOT text, or None if Graphviz is missing or fails.

    engine: "dot", or "nop2" to draw at the given places; programs: ways to run it, tried in turn.
    """
    for run in find_programs() if programs is None else programs:
        with contextlib.suppress(Exception):  # our own layout takes over, whatever goes wrong
            return run(text, format, engine)
    return None


def find_programs() -> Iterator[Program]:
    """Yield the ways to run Graphviz here."""
    if shutil.which("dot"):
        yield _run_dot
    yield _run_pygraphviz


def _run_dot(text: str, format: str, engine: str) -> bytes:  # noqa: A002
    import graphviz  # noqa: PLC0415 - heavy

    return bytes(graphviz.Source(text).pipe(format=format, engine=engine, quiet=True))


def _run_pygraphviz(text: str, format: str, engine: str) -> bytes:  # noqa: A002
    import pygraphviz  # noqa: PLC0415 - an extra

    with _LOCK, _muted():
        drawing = pygraphviz.AGraph(string=text)
        try:
            return bytes(drawing.draw(format=format, prog=engine))
        finally:
            drawing.close()


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    """Drop what C code writes to stderr (warnings about fonts), which a kernel would show in the cell."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def find_layout(graph: Graph, engine: Engine = "auto", programs: Iterable[Program] | None = None) -> Layout:
    """Return the places and routes of a graph; engine: what chooses them; programs: as for `render`."""
    placed = place(graph, programs) if engine != "own" else None
    return placed or lay_out(graph.boxes, graph.edges, graph.sizes, down=graph.down)


def place(graph: Graph, programs: Iterable[Program] | None = None) -> Layout | None:
    """Return Graphviz's places and routes for a graph; or None if Graphviz is missing or the graph is too large."""
    if len(graph.boxes) > MOST_BOXES or len(graph.edges) > MOST_EDGES:
        return None
    names = graph.names
    lines = [
        f"graph [rankdir={'TB' if graph.down else 'LR'} nodesep=0.36 ranksep=0.6]",
        "edge [dir=none]",
        'node [shape=box fixedsize=true label=""]',
        *(
            f"{names[key]} [width={box.width / INCH:.4f} height={box.height / INCH:.4f}]"
            for key, box in graph.boxes.items()
        ),
        *(f"{names[one]} -> {names[other]}" for one, other in graph.edges),
    ]
    plain = render(wrap(lines), format="plain", programs=programs)
    try:
        return _read_plain(plain.decode(), list(graph.boxes)) if plain else None
    except (ValueError, IndexError, KeyError):
        return None


def _read_plain(text: str, keys: list[str]) -> Layout:
    """Read Graphviz's plain format: inches, from the bottom left corner."""
    width = height = 0.0
    places: dict[str, Point] = {}
    routes: dict[tuple[str, str], tuple[Point, ...]] = {}
    for line in text.splitlines():
        word, *parts = line.split()
        if word == "graph":
            width, height = float(parts[1]) * INCH, float(parts[2]) * INCH
        elif word == "node":
            places[keys[int(parts[0][1:])]] = (float(parts[1]) * INCH, height - float(parts[2]) * INCH)
        elif word == "edge":
            count = int(parts[2])
            numbers = [float(part) * INCH for part in parts[3 : 3 + 2 * count]]
            points = tuple(zip(numbers[::2], (height - y for y in numbers[1::2]), strict=True))
            routes[keys[int(parts[0][1:])], keys[int(parts[1][1:])]] = points
    if len(places) != len(keys):
        raise ValueError("Graphviz left nodes out")
    return Layout(width, height, places, routes, "graphviz")
