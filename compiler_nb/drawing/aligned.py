"""Two plans as one graph: each task that stands in both has one box, and colour, mark and border say where it stands.

Each box is a group with `data-task`, the task's id, and `data-diff`, one of the kinds of `TaskDiff`. Above FULL boxes,
tasks of one round, level, kind and tool share a box. Places are those of our own layout, the same on every machine.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import partial
from html import escape
from typing import Final, NamedTuple

from compiler_nb.drawing.boxes import CALL_SIZE, text_width
from compiler_nb.drawing.graph import FULL, Graph, head_lines
from compiler_nb.drawing.layout import Layout, lay_out
from compiler_nb.drawing.picture import Forms, Picture
from compiler_nb.drawing.png import draw_lines, draw_placed
from compiler_nb.drawing.rows import Edge, Size, assign_rows
from compiler_nb.drawing.style import EDGE, ID, LIGHT, MARGIN, STYLE, page, px, use
from compiler_nb.drawing.svg import draw_edge, draw_grounds, draw_heads
from compiler_nb.plan.matching import DiffKind, EdgeDiffKind, TaskDiff
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import line_of
from compiler_nb.text import TIMES, count_of, cut, visible

SIGNS: Final[Mapping[DiffKind, str]] = {
    "same": "M-3.4-1.8h6.8M-3.4 1.8h6.8",
    "renamed": "M-3.4-1.8h6.8M-3.4 1.8h6.8",
    "affected": "M0-3.9v7.4M-3 .8 0 3.8 3 .8",
    "changed": "M-3.9 1.2C-2.6-2.6-.9-1.4 0 0S2.6 2.6 3.9-1.2",
    "added": "M-3.7 0h7.4M0-3.7v7.4",
    "dropped": "M-3.7 0h7.4",
}
"""The path inside the disc of a box, around its middle, by kind."""
COLOURS: Final[Mapping[DiffKind, str]] = {
    "same": "cancelled", "renamed": "cancelled", "affected": "skipped", "changed": "running", "added": "done",
    "dropped": "failed",
}  # fmt: skip
"""The names of the colours of the kinds in the style sheet of all pictures."""
MINUS: Final = "\N{MINUS SIGN}"
GLYPHS: Final[Mapping[DiffKind, str]] = {
    "same": "=", "renamed": "=", "affected": "\N{DOWNWARDS ARROW}", "changed": "~", "added": "+",
    "dropped": MINUS,
}  # fmt: skip
"""The marks where only letters can be drawn."""
BORDERS: Final[Mapping[str, str]] = {
    "affected": "style=dotted",
    "changed": "penwidth=2",
    "added": "penwidth=2",
    "dropped": "style=dashed",
}
"""Graphviz's attributes of boxes and arrows, by kind."""
TALL: Final = 3_200.0
"""Height in pixels from which on a picture with many boxes is collapsed."""
MANY: Final = 60
LABEL, CALL, CORNER = 30, 46, 20
"""Characters of a box's name, of its other lines, and of the word in its corner."""
PAD, DISC, FIRST, LINE = 14.0, 26.0, 20.0, 16.0
"""Pixels at the sides, for the mark, down to the first line, and from one line to the next."""
SHOWN: Final = 2
"""Changes of a task that its box shows; the others are counted."""
TITLE: Final = 600
LEGEND_WIDTH, LEGEND_LINE = 620.0, 24.0
CLIP: Final = 60
"""Most boxes of a collapsed picture; one more stands for the other tasks."""
TOLD: Final[Mapping[DiffKind, str]] = {
    "same": "the same", "renamed": "the same, renamed", "affected": "the same line, below a change",
    "changed": "changed", "added": "added", "dropped": "dropped",
}  # fmt: skip


class End(NamedTuple):
    """The last lines of a round's plans, "" if there is none, and the places of the tasks that they wait for."""

    number: int
    before: str
    after: str
    before_from: frozenset[int]
    after_from: frozenset[int]

    @property
    def kind(self) -> DiffKind:
        """What became of it."""
        if not self.before or not self.after:
            return "added" if self.after else "dropped"
        return "same" if self.before == self.after else "changed"


class Tile(NamedTuple):
    """One box: its kind, its lines, each with its class, the word in its corner, its hover text, its task and round.

    places: of the tasks that it shows; look: "task", "group" of tasks, or "last" for a last line.
    """

    kind: DiffKind
    lines: tuple[tuple[str, str], ...]
    title: str
    round: int
    corner: str = ""
    task: str = ""
    places: tuple[int, ...] = ()
    look: str = "task"

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        (_, label), *rest = self.lines
        corner = 16.0 + text_width(self.corner, size=11.0) if self.corner else 0.0
        words = [text_width(label) + corner, *(text_width(line, mono=True, size=CALL_SIZE) for _, line in rest)]
        return 2.0 * round((DISC + max(words)) / 2 + PAD + 1), FIRST + LINE * len(rest) + 10.0


STYLE_OF_KINDS: Final = "".join(
    [
        *(f".cnb .cnb-is-{kind}{{{use('color', name)}}}" for kind, name in COLOURS.items()),
        *(
            f".cnb .cnb-is-{kind} .cnb-box{{fill:color-mix(in srgb,currentColor 10%,var(--cnb-card))}}"
            for kind in ("added", "dropped", "changed")
        ),
        ".cnb .cnb-is-added .cnb-box,.cnb .cnb-is-changed .cnb-box{stroke-width:2.4}",
        ".cnb .cnb-is-dropped .cnb-box{stroke-width:1.8;stroke-dasharray:6 4}",
        ".cnb .cnb-is-dropped .cnb-id{text-decoration:line-through}",
        ".cnb .cnb-is-affected .cnb-box{stroke-dasharray:1 4;stroke-width:2.2;stroke-linecap:round}",
        ".cnb .cnb-is-same .cnb-box,.cnb .cnb-is-renamed .cnb-box{stroke-opacity:.55}",
        f".cnb .cnb-was{{font:11px ui-monospace,monospace;{use('fill', 'failed')}}}",
        f".cnb .cnb-now{{font:11px ui-monospace,monospace;{use('fill', 'done')}}}",
        f".cnb .cnb-corner{{font-size:11px;{use('fill', 'dim')};text-anchor:end}}",
        f".cnb .cnb-key{{font-size:12px;font-weight:400;{use('fill', 'ink')}}}",
        f".cnb .cnb-edge.cnb-is-added{{{use('stroke', 'done')};stroke-width:2.2}}",
        f".cnb .cnb-edge.cnb-is-dropped{{{use('stroke', 'failed')};stroke-width:1.6;stroke-dasharray:4 4}}",
        f".cnb .cnb-paper{{{use('fill', 'card')};stroke:{EDGE};stroke-opacity:.4}}",
    ]
)


def draw_aligned(
    tasks: Sequence[TaskDiff],
    edges: Mapping[tuple[int, int], EdgeDiffKind],
    ends: Sequence[End] = (),
    *,
    names: tuple[str, str] = ("A", "B"),
    marks: Mapping[int, str] | None = None,
    reasons: Sequence[tuple[str, str]] = (),
    about: str = "",
) -> Picture:
    """Return the picture of two matched plans.

    edges: as pairs of places in `tasks`; ends: the last lines; names: of the plans; marks: by place, a word on what
    came of a task; reasons: by round, why it began in each; about: what the picture shows, in words.
    """
    tiles = _tiles(tasks, marks or {})
    drawn = _Drawing(tiles, edges, ends, reasons, names) if len(tiles) <= FULL else None
    if drawn is None or (len(tiles) > MANY and drawn.layout.height > TALL):
        drawn = _Drawing(_gathered(tasks, tiles, edges), edges, ends, reasons, names)
    words = visible(about)
    forms: Forms = {".png": drawn.image, ".pdf": partial(drawn.image, "pdf")}
    return Picture(drawn.svg(words), words, f"picture of the plans of {names[0]} and {names[1]}", forms)


# ---------------------------------------------------------------- boxes


def _tiles(tasks: Sequence[TaskDiff], marks: Mapping[int, str]) -> list[Tile]:
    """Return a box for each task; guarded calls stand in the box of their line."""
    lines = {each.id: place for place, each in enumerate(tasks) if each.task.kind == "expr"}
    hosts: dict[int, list[int]] = defaultdict(list)
    for place, each in enumerate(tasks):
        host = lines.get(line_of(each.id)) if each.task.guard is not None and each.task.kind == "call" else None
        hosts[place if host is None else host].append(place)
    return [_tile(tasks, place, [one for one in held if one != place], marks) for place, held in sorted(hosts.items())]


def _tile(tasks: Sequence[TaskDiff], place: int, inner: Sequence[int], marks: Mapping[int, str]) -> Tile:
    each, calls = tasks[place], [tasks[one] for one in inner]
    kind = each.kind
    if kind not in ("added", "dropped") and {"changed", "added", "dropped"} & {call.kind for call in calls}:
        kind = "changed"
    corner = next((marks[one] for one in (*inner, place) if one in marks), "")
    call = shorten_call(each.task, CALL, [one.task for one in calls])
    lines = [("cnb-id", cut(each.names, LABEL)), *(_changed(each, calls) or [("cnb-call", call)])]
    title = [f"{visible(each.names)} · {TOLD[kind]}", shorten_call(each.task, TITLE, [one.task for one in calls])]
    title += [f"{change.part or 'line'}: {' → '.join(text or '(none)' for text in change.short(TITLE // 3))}"
              for one in (each, *calls) for change in one.changes]  # fmt: skip
    return Tile(kind, tuple(lines), cut_lines(title), each.round, cut(corner, CORNER), each.id, (place, *inner))


def _changed(each: TaskDiff, calls: Iterable[TaskDiff]) -> list[tuple[str, str]]:
    """Return the lines for what changed in a task: what was, and what is now."""
    changes = [change for one in (each, *calls) for change in one.changes]
    lines = []
    for change in changes[:SHOWN]:
        name = f"{cut(change.part, LABEL)}: " if change.part else ""
        before, after = change.short(CALL - len(name) - 2)
        lines += [("cnb-was", cut(f"{MINUS} {name}{before}", CALL))] if before else []
        lines += [("cnb-now", cut(f"+ {name}{after}", CALL))] if after else []
    more = len(changes) - SHOWN
    return [*lines, ("cnb-call", f"… {count_of(more, 'more change')}")] if more > 0 else lines


def cut_lines(lines: Iterable[str]) -> str:
    """Return lines as one bounded hover text."""
    return "\n".join(cut(line, TITLE) for line in lines)[: 3 * TITLE]


def _gathered(
    tasks: Sequence[TaskDiff], tiles: Sequence[Tile], edges: Mapping[tuple[int, int], EdgeDiffKind]
) -> list[Tile]:
    """Return one box for those of one round, level, kind and tool, and one for all after the first CLIP."""
    shown_in = {place: number for number, tile in enumerate(tiles) for place in tile.places}
    pairs = {(str(shown_in[one]), str(shown_in[other])) for one, other in edges}
    levels = assign_rows([str(number) for number in range(len(tiles))], sorted(pairs))
    alike: dict[Hashable, list[Tile]] = defaultdict(list)
    for number, tile in enumerate(tiles):
        task = tasks[tile.places[0]].task
        alike[tile.round, levels[str(number)], tile.kind, task.kind, task.tool].append(tile)
    groups = list(alike.values())
    shown = [_group(tasks, group) for group in groups[:CLIP]]
    rest = [tile for group in groups[CLIP:] for tile in group]
    if rest:
        places = tuple(place for tile in rest for place in tile.places)
        words = f"… {len(rest):,} more tasks"
        shown.append(Tile("same", (("cnb-id", words),), words, rest[-1].round, places=places, look="group"))
    return shown


def _group(tasks: Sequence[TaskDiff], group: Sequence[Tile]) -> Tile:
    if len(group) == 1:
        return group[0]
    first, last = group[0], group[-1]
    tool = tasks[first.places[0]].task.tool or "expression"
    corners = Counter(tile.corner for tile in group if tile.corner)
    lines = [
        ("cnb-id", f"{cut(tool, LABEL)} {TIMES} {len(group):,}"),
        ("cnb-call", f"{cut(first.task, 17)} … {cut(last.task, 17)}"),
    ]
    lines += [("cnb-call", cut(f"{word}: {count:,}", CALL)) for word, count in sorted(corners.items())[:SHOWN]]
    title = f"{count_of(len(group), 'task')} · {TOLD[first.kind]}"
    places = tuple(place for tile in group for place in tile.places)
    return Tile(first.kind, tuple(lines), title, first.round, places=places, look="group")


def _end_tile(end: End) -> Tile:
    lines = [("cnb-id", "last line")]
    if end.kind == "changed":
        lines += [("cnb-was", cut(f"{MINUS} {end.before}", CALL)), ("cnb-now", cut(f"+ {end.after}", CALL))]
    else:
        lines += [("cnb-call", cut(end.after or end.before, CALL))]
    return Tile(end.kind, tuple(lines), f"last line · {TOLD[end.kind]}", end.number, look="last")


# ---------------------------------------------------------------- the page


class _Drawing:
    """The boxes with their arrows, laid out."""

    def __init__(
        self, tiles: Sequence[Tile], edges: Mapping[tuple[int, int], EdgeDiffKind], ends: Sequence[End],
        reasons: Sequence[tuple[str, str]], names: tuple[str, str],
    ) -> None:  # fmt: skip
        self.names = names
        self.tiles = {f"b{number}": tile for number, tile in enumerate(tiles)}
        shown_in = {place: key for key, tile in self.tiles.items() for place in tile.places}
        self.edges: dict[Edge, EdgeDiffKind] = {}
        for (one, other), kind in edges.items():
            self._link((shown_in[one], shown_in[other]), kind)
        for end in ends:
            key = f"e{end.number}"
            self.tiles[key] = _end_tile(end)
            for place in sorted(end.before_from | end.after_from):
                was, now = place in end.before_from, place in end.after_from
                self._link((shown_in[place], key), "same" if was and now else "added" if now else "dropped")
        bands = {key: tile.round for key, tile in self.tiles.items()}
        heads = {
            number: head_lines(number, _reason(each, names)) for number, each in enumerate(reasons)
            if number in bands.values()
        }  # fmt: skip
        heads.pop(min(heads, default=0), None)
        self.graph = Graph({}, (), bands, heads)
        sizes = {key: tile.size for key, tile in self.tiles.items()}
        self.layout: Layout = lay_out(bands, self.edges, sizes, self.graph.lines)

    def _link(self, edge: Edge, kind: EdgeDiffKind) -> None:
        """Add an arrow; between groups, one that stands in both plans counts for all."""
        if edge[0] != edge[1] and self.edges.get(edge) != "same":
            self.edges[edge] = kind if self.edges.get(edge, kind) == kind else "same"

    def svg(self, about: str) -> str:
        """Return it as a page."""
        layout = self.layout
        legend, wide, high = _legend(self, max(layout.width, LEGEND_WIDTH), layout.height + 2 * MARGIN)
        corner = f'x="{px(-MARGIN)}" y="{px(-MARGIN)}"'
        size = f'width="{px(wide + 2 * MARGIN)}" height="{px(high + 2 * MARGIN)}"'
        body = [
            f'<rect class="cnb-paper" {corner} {size} rx="12"/>',
            *draw_grounds(self.graph, layout),
            *(
                draw_edge(route).replace('"cnb-edge"', f'"cnb-edge cnb-is-{self.edges[edge]}"', 1)
                for edge, route in layout.routes.items()
            ),
            *draw_heads(self.graph, layout),
            *(_draw_tile(tile, *layout.places[key]) for key, tile in self.tiles.items()),
            *legend,
        ]
        bounds = (-MARGIN - 1, -MARGIN - 1, wide + 2 * MARGIN + 2, high + 2 * MARGIN + 2)
        name = f"The plans of {escape(cut(self.names[0], LABEL))} and {escape(cut(self.names[1], LABEL))}"
        return page(name, about, bounds, STYLE + STYLE_OF_KINDS, body, kind="cnb cnb-diff")

    def image(self, format: str = "png") -> bytes | None:  # noqa: A002 - Graphviz's word
        """Return it as PNG or PDF, drawn by Graphviz, with the legend in words; None without Graphviz."""
        layout, names = self.layout, {key: f"t{key}" for key in self.tiles}
        nodes = []
        for key, tile in self.tiles.items():
            x, y = layout.places[key]
            nodes.append(draw_lines(names[key], (x, layout.height - y), tile.size, _told_lines(tile), _look(tile)))
        told = [f"{GLYPHS[kind]} {text}" for kind, text in _kinds(self).items()]
        for number, text in enumerate(told):
            size = (text_width(text) + 2 * PAD, LINE)
            place = (size[0] / 2, -MARGIN - LINE * (number + 0.5))
            nodes.append(draw_lines(f"k{number}", place, size, [text], "shape=plaintext"))
        looks = {edge: f'color="{LIGHT[COLOURS[kind]]}" {BORDERS.get(kind, "")}' for edge, kind in self.edges.items()}
        return draw_placed(self.graph, layout, nodes, names, looks, format=format)


def _told_lines(tile: Tile) -> list[str]:
    """Return the lines of a box in words, without colours: with its mark, and the word in its corner."""
    (_, name), *rest = tile.lines
    corner = f"  ({tile.corner})" if tile.corner else ""
    return [f"{GLYPHS[tile.kind]}  {name}{corner}", *(line for _, line in rest)]


def _look(tile: Tile) -> str:
    """Return Graphviz's attributes of a box."""
    colour = f'color="{LIGHT[COLOURS[tile.kind]]}" {BORDERS.get(tile.kind, "")}'
    return f"{colour} peripheries=2" if tile.look == "group" else colour


def _reason(reasons: tuple[str, str], names: tuple[str, str]) -> str:
    """Return why a round began in both runs."""
    if reasons[0] == reasons[1]:
        return reasons[0]
    return "; ".join(f"{name}: {reason}" for name, reason in zip(names, reasons, strict=True) if reason)


def _draw_tile(tile: Tile, x: float, y: float) -> str:
    width, high = tile.size
    at = f'transform="translate({px(x - width / 2)} {px(y - high / 2)})"'
    who = f' data-task="{escape(cut(tile.task, ID))}"' if tile.task else ""
    kinds = f"cnb-{tile.look} cnb-is-{tile.kind}"
    round_end = 15.0 if tile.look == "last" else 8.0
    box = f'<rect class="cnb-box" width="{px(width)}" height="{px(high)}" rx="{px(round_end)}"/>'
    if tile.look == "group":
        box = f'<rect class="cnb-box" x="4" y="4" width="{px(width)}" height="{px(high)}" rx="8"/>{box}'
    words = "".join(
        f'<text class="{kind}" x="{px(PAD + DISC)}" y="{px(FIRST + LINE * number)}">{escape(line)}</text>'
        for number, (kind, line) in enumerate(tile.lines)
    )
    if tile.corner:
        words += f'<text class="cnb-corner" x="{px(width - PAD)}" y="{px(FIRST)}">{escape(tile.corner)}</text>'
    return (
        f'<g class="{kinds}"{who} data-diff="{tile.kind}" {at}><title>{escape(tile.title)}</title>'
        f"{box}{_sign(tile.kind, PAD + 6, FIRST - 4)}{words}</g>"
    )


def _sign(kind: DiffKind, x: float, y: float) -> str:
    return (
        f'<circle class="cnb-disc" cx="{px(x)}" cy="{px(y)}" r="8"/>'
        f'<path class="cnb-mark" transform="translate({px(x)} {px(y)})" d="{SIGNS[kind]}"/>'
    )


def _legend(drawing: _Drawing, room: float, top: float) -> tuple[list[str], float, float]:
    """Return the legend of the kinds that are there, and the picture's width and height with it."""
    one, other = (cut(name, LABEL) for name in drawing.names)
    lines: Mapping[EdgeDiffKind, str] = {"added": f"arrow only in {other}", "dropped": f"arrow only in {one}"}
    items = [(_key_of(kind), text) for kind, text in _kinds(drawing).items()]
    items += [(_line_of(kind), text) for kind, text in lines.items() if kind in drawing.edges.values()]
    parts, x, y, wide = [], 0.0, top, 0.0
    for draw, text in items:
        width = 26.0 + text_width(text, size=12.0) + 18.0
        if x and x + width > room:
            x, y = 0.0, y + LEGEND_LINE
        told = f'<text class="cnb-key" x="26" y="4">{escape(text)}</text>'
        parts.append(f'<g transform="translate({px(x)} {px(y)})">{draw}{told}</g>')
        x += width
        wide = max(wide, x)
    return parts, max(drawing.layout.width, wide), y + 10.0


def _kinds(drawing: _Drawing) -> dict[DiffKind, str]:
    """Return the kinds of boxes that are there, in words."""
    one, other = (cut(name, LABEL) for name in drawing.names)
    words: Mapping[DiffKind, str] = {
        "same": "the same in both", "affected": "the same line, below a change",
        "changed": "changed", "added": f"only in {other}", "dropped": f"only in {one}",
    }  # fmt: skip
    there = {"same" if tile.kind == "renamed" else tile.kind for tile in drawing.tiles.values()}
    return {kind: text for kind, text in words.items() if kind in there}


def _key_of(kind: DiffKind) -> str:
    return f'<g class="cnb-is-{kind}">{_sign(kind, 9, 0)}</g>'


def _line_of(kind: EdgeDiffKind) -> str:
    return f'<path class="cnb-edge cnb-is-{kind}" d="M0 0H18M14-3.5 18 0 14 3.5"/>'
