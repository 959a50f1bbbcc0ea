"""A plan as a self-contained SVG: our own drawing, at places that Graphviz or our own layout chose.

Each task is a group (a cell, if it is an item of a fan-out or the picture is collapsed) with `data-task`, its id,
`data-state`, and the class `cnb-STATE`. To show another state, it is enough to change these two, and the `d` of the
mark, which MARKS holds. All text is escaped here; there is no script, link or handler.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from html import escape
from typing import Any, Final, Literal

from compiler_nb.drawing.boxes import (
    BAR_HIGH,
    BLOCK_OVER,
    CELL,
    LINE,
    MARK,
    PAD,
    STACK,
    Box,
    end_key,
    has_bar,
    is_stack,
    state_of,
)
from compiler_nb.drawing.clocks import draw_times, times_of
from compiler_nb.drawing.dot import Program, find_layout, source
from compiler_nb.drawing.graph import CELLS, Graph, make_graph
from compiler_nb.drawing.layout import BAND_PAD, HEAD_LINE, HEAD_PAD, Layout, head_height, heading
from compiler_nb.drawing.picture import Forms, Picture
from compiler_nb.drawing.png import to_png
from compiler_nb.drawing.preferences import Engine
from compiler_nb.drawing.rows import Edge, Point
from compiler_nb.drawing.scene import Scene, Shown, scene_of, scene_of_run
from compiler_nb.drawing.style import MARGIN, MARKS, STYLE, data_of, draw_mark, page, px
from compiler_nb.drawing.text import plan_text, task_titles
from compiler_nb.outcome import State
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.short import shorten_call, shorten_final
from compiler_nb.plan.task import Task
from compiler_nb.text import count_of, visible, visible_lines
from compiler_nb.trace import JOINER, ModelCall, Progress, cost_of, shown_in

LIMIT: Final = 150_000
"""Most bytes of a picture."""
TITLE: Final = 400
"""Most characters of a hover text."""
ONE_ROW: Final = 60
"""Most items of a fan-out that stand in one row."""
EdgeKind = Literal["guard", "turn", "link"]
EDGE_KINDS: Final[tuple[EdgeKind, ...]] = ("guard", "turn", "link")
HEAD: Final = 4.5
DIAMOND: Final = 11.0
"""Pixels of half an arrow's head, and of a diamond from end to end."""
CORNER: Final = 12.0
"""The radius of the corners of a band."""
_ATTEMPTS: Final[tuple[dict[str, Any], ...]] = (
    {}, {"full": 0}, {"full": 0, "cells": 0}, {"full": 0, "cells": 0, "clip": 40},
)  # fmt: skip
"""Options of `make_graph`, each for a smaller picture than the one before; the first within LIMIT is taken."""


def draw_run(progress: Progress, engine: Engine = "auto", *, at: float | None = None) -> Picture:
    """Return the picture of a run's tasks; each shows its state, arguments and short value when hovered over.

    at: the seconds of the run up to which times count, which stand in the boxes; None for a picture without times.
    """
    with progress.lock:
        tasks, states = tuple(progress.tasks.values()), dict(progress.states)
        costs = {id_: str(cost) for id_, cost in progress.costs.tasks.items()} | _asked(progress)
        titles = task_titles(_hovered(tasks), states, progress.outcomes, given=progress.given, costs=costs)
        titles |= _joined(progress)
        scene = scene_of_run(progress)
        times = {} if at is None else times_of(progress, at)
    return draw(scene, states=states, titles=titles, engine=engine, times=times)


def _hovered(tasks: Sequence[Task]) -> Sequence[Task]:
    """Return the tasks that have an element of their own: the items of fan-outs only if there are few."""
    return tasks if sum(bool(task.owner) for task in tasks) <= CELLS else [task for task in tasks if not task.owner]


def draw(
    plan: Shown,
    *,
    states: Mapping[str, State] | None = None,
    titles: Mapping[str, str] | None = None,
    engine: Engine = "auto",
    programs: Iterable[Program] | None = None,
    times: Mapping[str, str] | None = None,
) -> Picture:
    """Return the picture of a plan, a run, or tasks without a last line: the same for the same arguments and engine.

    states: by task id, "waiting" if missing; titles: hover texts by task id; engine: what chooses the places across,
    our own layout, or Graphviz if it is installed; programs: ways to run Graphviz, defaults to those that are there;
    times: what stands beside the names, by the keys of boxes.
    Items of fan-outs, `rows[AAPL]`, are cells in their fan-out's box, whether given as tasks or only as states.
    """
    scene = scene_of(plan)
    tasks = scene.tasks
    now = dict(states or {})
    words = _words(scene, now, titles or {})
    for attempt in _ATTEMPTS:
        graph = make_graph(scene, known=now, **attempt)
        layout = find_layout(graph, engine, programs)
        svg = _page(graph, layout, now, words, [task.id for task in tasks], times=times or {})
        if len(svg.encode()) <= LIMIT:
            break
    about = f"picture of {count_of(sum(not task.owner for task in tasks), 'task')}"
    bare = partial(to_png, scene, states=now, engine=engine)
    image = partial(bare, times=times)
    more: Forms = {".png": image, ".pdf": partial(image, format="pdf"), ".dot": partial(source, scene, now)}
    final = scene.rounds[-1].final
    text = plan_text(tasks if final is None else Plan(tasks, final), now)
    return Picture(svg, text, about, more, layout.engine, bare)


def _asked(progress: Progress) -> dict[str, str]:
    """Return what tasks sent to models, for the hover texts of those that sent tables and the like."""
    told = {call.task: shown_in(call) for call in progress.calls.values() if call.task}
    costs = progress.costs.tasks
    return {id_: f"{costs[id_]}\n{sent}" if id_ in costs else sent for id_, sent in told.items() if sent}


def _joined(progress: Progress) -> dict[str, str]:
    """Return what the joiner cost in each round, for the hover texts of the boxes of their ends."""
    by_round: dict[int, list[ModelCall]] = {}
    for call in progress.calls.values():
        if call.role == JOINER and call.usage:
            by_round.setdefault(call.round, []).append(call)
    count = len(progress.rounds)
    return {end_key(number, count): "\n".join(filter(None, (f"{JOINER}: {cost_of(calls)}", shown_in(calls[-1]))))
            for number, calls in by_round.items()}  # fmt: skip


def _words(scene: Scene, states: Mapping[str, State], titles: Mapping[str, str]) -> dict[str, str]:
    """Return the hover texts: those given, and for other tasks id, state and call."""
    tasks = scene.tasks
    room = TITLE if len(tasks) <= 60 else 120  # noqa: PLR2004 - many long texts would fill the picture
    words = {}
    for task in _hovered(tasks):
        given = titles.get(task.id)
        state = states.get(task.id, "waiting")
        words[task.id] = _lines(given, room) if given else f"{visible(task.id)} · {state}\n{shorten_call(task, room)}"
    words |= {id_: _lines(text, room) for id_, text in titles.items() if id_ not in words}
    for number, each in enumerate(scene.rounds):
        if each.final is not None:
            key = end_key(number, len(scene.rounds))
            words[key] = "\n".join(filter(None, (shorten_final(each.final, TITLE), titles.get(key, ""))))
    return words


def _lines(text: str, limit: int) -> str:
    return visible_lines(text[:limit]) + ("…" if len(text) > limit else "")


def _page(
    graph: Graph, layout: Layout, states: Mapping[str, State], titles: Mapping[str, str], ids: Sequence[str],
    *, times: Mapping[str, str],
) -> str:  # fmt: skip
    body = draw_grounds(graph, layout)
    body += [draw_edge(route, kinds_of(graph, pair)) for pair, route in layout.routes.items()]
    body += draw_heads(graph, layout)
    body += [draw_box(box, *layout.places[key], states, titles) for key, box in graph.boxes.items()]
    body += draw_times(graph.boxes, layout.places, times)
    bounds = (-MARGIN, -MARGIN, layout.width + 2 * MARGIN, layout.height + 2 * MARGIN)
    return page(f"Plan of {count_of(len(ids), 'task')}", _count(ids, states) or "nothing to do", bounds, STYLE, body)


def kinds_of(graph: Graph, edge: Edge) -> frozenset[EdgeKind]:
    """Return what an edge means, besides that it carries a value."""
    kinds: dict[EdgeKind, frozenset[Edge]] = {"guard": graph.guards, "turn": graph.turns, "link": graph.links}
    return frozenset(kind for kind, edges in kinds.items() if edge in edges)


def draw_edge(route: Sequence[Point], kinds: Collection[EdgeKind] = ()) -> str:
    """Return an arrow along a route: a start, then two control points and an end for each curve.

    kinds: "guard" if it leads from what decides to a call that depends on it, such an arrow ends in a diamond; "turn"
    if it leads to what only comes after, in the order of side effects, such an arrow is dashed; "link" if it leads from
    an earlier round, such an arrow is pale.
    """
    (x, y), (dx, dy) = route[-1], heading(route)
    gap = 1.5 + (DIAMOND if "guard" in kinds else 0.0)  # a small gap before the border
    tip = (x - gap * dx, y - gap * dy)
    if "guard" in kinds:
        right, left = ((DIAMOND / 2 * (dx - turn * dy), DIAMOND / 2 * (dy + turn * dx)) for turn in (0.8, -0.8))
        head = f"m0 0l{_point(right)} {_point(left)} {_point((-right[0], -right[1]))}z"
    else:
        left, right = ((-HEAD * (dx - turn * dy), -HEAD * (dy + turn * dx)) for turn in (0.62, -0.62))
        head = f"m{_point(left)}l{_point((-left[0], -left[1]))} {_point(right)}"
    names = "".join(f" cnb-{kind}" for kind in EDGE_KINDS if kind in kinds)
    return f'<path class="cnb-edge{names}" d="{_curve([*route[:-1], tip])}{head}"/>'


def draw_grounds(graph: Graph, layout: Layout) -> list[str]:
    """Return the grounds of the rounds' bands, if there are several rounds; all else is drawn over them."""
    if len(layout.bands) < 2:  # noqa: PLR2004 - one round needs no band
        return []
    return [_ground(number in graph.heads, layout.width, *band) for number, band in layout.bands.items()]


def _ground(headed: bool, width: float, top: float, bottom: float) -> str:  # noqa: FBT001 - the drawing's own
    above = 0.0 if headed else BAND_PAD
    return (
        f'<g class="cnb-band"><rect class="cnb-ground" x="{px(-BAND_PAD)}" y="{px(top - above)}" '
        f'width="{px(width + 2 * BAND_PAD)}" height="{px(bottom - top + above + BAND_PAD)}" rx="{CORNER:g}"/></g>'
    )


def draw_heads(graph: Graph, layout: Layout) -> list[str]:
    """Return the heads of the rounds' bands; arrows from earlier rounds pass behind them."""
    heads = [(graph.heads[number], top) for number, (top, _) in layout.bands.items() if number in graph.heads]
    return [draw_head(*each, layout.width) for each in heads] if len(layout.bands) > 1 else []


def draw_head(head: Sequence[str], top: float, width: float) -> str:
    """Return the head of a band that begins at a height: its words on a bar as wide as the band, which hides arrows."""
    wide, high = px(width + 2 * (BAND_PAD - CORNER)), px(head_height(len(head)) - CORNER)
    bar = f"M{px(-BAND_PAD)} {px(top + CORNER)}a{CORNER:g} {CORNER:g} 0 0 1 {CORNER:g}-{CORNER:g}h{wide}"
    bar += f"a{CORNER:g} {CORNER:g} 0 0 1 {CORNER:g} {CORNER:g}v{high}H{px(-BAND_PAD)}z"
    words = "".join(
        f'<text class="cnb-head" x="0" y="{px(top + HEAD_PAD / 2 + 13 + number * HEAD_LINE)}">{escape(line)}</text>'
        for number, line in enumerate(head)
    )
    return f'<g class="cnb-heads"><path class="cnb-headline" d="{bar}"/>{words}</g>'


def _curve(points: Sequence[Point]) -> str:
    """Return short path commands in whole pixels: straight pieces as lines, the others as relative curves."""
    whole = [(round(x), round(y)) for x, y in points]
    (x, y), parts = whole[0], [f"M{whole[0][0]} {whole[0][1]}"]
    for at in range(1, len(whole) - 2, 3):
        piece = whole[at : at + 3]
        if all(px == x for px, _ in piece):
            parts.append(f"V{piece[-1][1]}")
        elif all(py == y for _, py in piece):
            parts.append(f"H{piece[-1][0]}")
        else:
            parts.append("c" + " ".join(f"{px - x} {py - y}" for px, py in piece))
        x, y = piece[-1]
    return "".join(parts)


def draw_box(
    box: Box, x: float, y: float, states: Mapping[str, State] | None = None, titles: Mapping[str, str] | None = None
) -> str:
    """Return a box with its centre at (x, y), in the states and with the hover texts of the tasks that it shows."""
    states, titles = states or {}, titles or {}
    at = f'transform="translate({px(x - box.width / 2)} {px(y - box.height / 2)})"'
    if box.kind == "block":
        inner = "".join(draw_box(each, dx, dy, states, titles) for each, dx, dy in box.inner)
        high = px(box.height + 2 * BLOCK_OVER)
        ground = f'<rect class="cnb-ground" y="{px(-BLOCK_OVER)}" width="{px(box.width)}" height="{high}" rx="12"/>'
        return f'<g class="cnb-block" {at}>{ground}{inner}</g>'
    middle = box.height / 2 + 4.5
    if box.kind in ("end", "more"):
        hover = titles.get(box.key) or _count(box.members, states)
        anchor = box.width / 2 if box.kind == "end" else PAD
        joins = f' data-joiner="{box.band}"' if box.label == JOINER else ""
        return (f'<g class="cnb-{box.kind}"{joins} {at}><title>{escape(hover)}</title>'
                f'{_rectangle(box, "cnb-box", radius=15)}'
                f'<text x="{px(anchor)}" y="{px(middle)}">{escape(box.label)}</text></g>')  # fmt: skip
    state = state_of(box, states)
    about = f"{box.count} {box.label}: {_count(box.members, states)}" if box.kind == "group" else ""
    hover = escape(about or titles.get(box.task) or box.label)
    who = f'class="cnb-task cnb-{state}" {data_of(box.task, state)}' if box.task else f'class="cnb-group cnb-{state}"'
    pale = ' opacity=".55"' if box.pale else ""
    head = f"<g {who}{pale} {at}><title>{hover}</title>"
    return f"{head}{_frame(box)}{_label(box, state)}{_members(box, states, titles)}</g>"


def _frame(box: Box) -> str:
    """Return the outline: round ends for an expression, two more boxes behind a stack."""
    if not is_stack(box):
        return _rectangle(box, "cnb-box", radius=box.height / 2 if box.kind == "expr" else 8)
    return "".join(_rectangle(box, "cnb-box", radius=8, shift=shift) for shift in (STACK, STACK / 2, 0.0))


def _rectangle(box: Box, kind: str, *, radius: float, shift: float = 0.0) -> str:
    less = STACK if is_stack(box) else 0.0
    place = f'x="{px(shift)}" y="{px(shift)}" ' if shift else ""
    size = f'width="{px(box.width - less)}" height="{px(box.height - less)}"'
    return f'<rect class="{kind}" {place}{size} rx="{px(radius)}"/>'


def _label(box: Box, state: State) -> str:
    left = PAD + (4 if box.kind == "expr" else 0)
    high = LINE / 2 if box.call else 15.0
    x = px(left + MARK)
    words = f'<text class="cnb-id" x="{x}" y="20">{escape(box.label)}</text>'
    if box.call:
        words += f'<text class="cnb-call" x="{x}" y="36">{escape(box.call)}</text>'
    if box.count:
        right = px(box.width - PAD - STACK)
        words += f'<text class="cnb-count" x="{right}" y="20">{escape(box.count)}</text>'
    return draw_mark(state, left + 6, high) + words


def _members(box: Box, states: Mapping[str, State], titles: Mapping[str, str]) -> str:
    """Return a cell for each member, or a bar of the states' shares."""
    top = LINE + 1
    if has_bar(box):
        room = box.width - 2 * PAD - STACK
        at = f'transform="translate({px(PAD)} {px(top)})"'
        return f'<g class="cnb-bar" data-width="{px(room)}" {at}></g>'
    if not box.members:
        return ""
    if box.inside == "shares":
        return _shares(box, states, top)
    if is_stack(box):
        return _grid(box, states, titles, top)
    parts = []
    for index, id_ in enumerate(box.members):
        x, state = PAD + MARK + 4 + index * CELL, states.get(id_, "waiting")
        parts.append(f'<path class="cnb-cell cnb-{state}" {data_of(id_, state)} d="M{px(x)} {px(top)}h8v8h-8z"/>')
    return "".join(parts)


def _grid(box: Box, states: Mapping[str, State], titles: Mapping[str, str], top: float) -> str:
    """Return a cell for each member, as the page draws them: in one row, of many in as many as make them square."""
    room, count = box.width - 2 * PAD - STACK, len(box.members)
    rows = max(1, round(math.sqrt(count * BAR_HIGH / room))) if count > ONE_ROW else 1
    wide, high = room / math.ceil(count / rows), BAR_HIGH / rows
    gap = min(2.0, 0.3 * wide, 0.3 * high) if rows > 1 else min(2.0, 0.3 * wide)
    tall = high - (gap if rows > 1 else 0.0)
    dense = " cnb-dense" if wide < CELL / 2 else ""
    parts = []
    for index, id_ in enumerate(box.members):
        row, column = divmod(index, math.ceil(count / rows))
        state = states.get(id_, "waiting")
        at = f"M{px(PAD + column * wide)} {px(top + row * high)}"
        d = f"{at}h{px(wide - gap)}v{px(tall)}h{px(gap - wide)}z"
        hover = f"><title>{escape(titles[id_])}</title></path>" if box.task and id_ in titles else "/>"
        parts.append(f'<path class="cnb-cell cnb-{state}{dense}" {data_of(id_, state)} d="{d}"{hover}')
    return "".join(parts)


def _shares(box: Box, states: Mapping[str, State], top: float) -> str:
    counts = Counter(states.get(id_, "waiting") for id_ in box.members)
    x, parts = PAD, []
    room = box.width - 2 * PAD - STACK
    for state in MARKS:
        if counts[state]:
            wide = room * counts[state] / len(box.members)
            d = f"M{px(x)} {px(top)}h{px(max(wide - 2, 1))}v8h-{px(max(wide - 2, 1))}z"
            parts.append(f'<path class="cnb-cell cnb-{state}" d="{d}"/>')
            x += wide
    return "".join(parts)


def _count(ids: Sequence[str], states: Mapping[str, State]) -> str:
    counts = Counter(states.get(id_, "waiting") for id_ in ids)
    return ", ".join(f"{counts[state]:,} {state}" for state in MARKS if counts[state])


def _point(point: Point) -> str:
    return f"{px(point[0])} {px(point[1])}"
