"""Two plans as one graph: a task of both has one box, and colour, mark and border say in which plans it is.

Each box is a group with `data-task`, the task's id, and `data-diff`, one of the kinds of `TaskDiff`. Above FULL boxes,
tasks of one round, level, kind and tool share a box. Places are those of our own layout, the same on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from typing import Final

from compiler_nb.drawing.boxes import text_width
from compiler_nb.drawing.dot import with_heads
from compiler_nb.drawing.graph import FULL, Graph, head_lines
from compiler_nb.drawing.layout import Layout, lay_out
from compiler_nb.drawing.picture import Forms, Picture
from compiler_nb.drawing.png import draw_lines, draw_placed
from compiler_nb.drawing.rows import Edge
from compiler_nb.drawing.style import EDGE, ID, LIGHT, MARGIN, STYLE, page, px, use
from compiler_nb.drawing.svg import draw_edge, draw_grounds, draw_heads
from compiler_nb.drawing.tiles import DISC, FIRST, LABEL, LINE, MINUS, PAD, End, Tile, end_tile, gathered, make_tiles
from compiler_nb.plan.matching import DiffKind, EdgeDiffKind, TaskDiff
from compiler_nb.text import cut, visible

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
GLYPHS: Final[Mapping[DiffKind, str]] = {
    "same": "=", "renamed": "=", "affected": "\N{DOWNWARDS ARROW}", "changed": "~", "added": "+",
    "dropped": MINUS,
}  # fmt: skip
"""The marks if only letters can be drawn."""
BORDERS: Final[Mapping[str, str]] = {
    "affected": "style=dotted",
    "changed": "penwidth=2",
    "added": "penwidth=2",
    "dropped": "style=dashed",
}
"""Graphviz's attributes of boxes and arrows, by kind."""
TALL: Final = 3_200.0
"""A picture with many boxes is collapsed if it is higher than this, in pixels."""
MANY: Final = 60
LEGEND_WIDTH, LEGEND_LINE = 620.0, 24.0
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
    tiles = make_tiles(tasks, marks or {})
    drawn = _Drawing(tiles, edges, ends, reasons, names) if len(tiles) <= FULL else None
    if drawn is None or (len(tiles) > MANY and drawn.layout.height > TALL):
        drawn = _Drawing(gathered(tasks, tiles, edges), edges, ends, reasons, names)
    words = visible(about)
    forms: Forms = {".png": drawn.image, ".pdf": partial(drawn.image, "pdf")}
    return Picture(drawn.svg(words), words, f"picture of the plans of {names[0]} and {names[1]}", forms)


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
            self.tiles[key] = end_tile(end)
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
        self.layout: Layout = with_heads(lay_out(bands, self.edges, sizes, self.graph.lines), self.graph)

    def _link(self, edge: Edge, kind: EdgeDiffKind) -> None:
        """Add an arrow; between groups, one that is in both plans counts for all."""
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
