"""A blank page with the live view in it: the joined module, a stand-in for the model, and frames to feed it."""

from __future__ import annotations

import json
from typing import Any

from compiler_nb.notebook.live.changes import pack
from compiler_nb.notebook.live.widget import module, style

WAITING, READY, RUNNING, DONE, FAILED, SKIPPED, CANCELLED, RETRIED = range(8)
SIGN = '<circle class="cnb-disc" cx="20" cy="23" r="8"/><path class="cnb-mark" transform="translate(20 23)" d=""/>'
BLANK = "<!doctype html><meta charset=utf-8><body data-jp-theme-light='true'><div id='first'></div>"
STAND_IN = """async ({source, snapshot}) => {
  const heard = {};
  window.model = {
    sent: [], listeners: heard, snapshot,
    get(name) { return this[name]; },
    on(name, f) { (heard[name] ??= new Set()).add(f); },
    off(name, f) { heard[name]?.delete(f); },
    send(content) { this.sent.push(content); },
    tell(content) { for (const f of heard['msg:custom'] ?? []) f(content, []); },
  };
  const module = await import(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})));
  window.widget = module.default();
  window.close_model = widget.initialize({model});
  window.close_first = widget.render({model, el: document.getElementById('first')});
}"""
SETTLE = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 0))))"

REST = """() => new Promise((done) => {
  let before = "", frames = 0;
  const look = () => {
    const moves = document.getAnimations().some(
      (each) => each.playState === "running" && Number.isFinite(each.effect.getComputedTiming().endTime));
    const now = [...document.querySelectorAll(".cnb-graph")].map(
      (each) => each.getAttribute("viewBox") + each.style.height).join();
    frames = moves || now !== before ? 0 : frames + 1;
    before = now;
    if (frames === 5) done(); else requestAnimationFrame(look);
  };
  look();
})"""


def counted(*states: int, failed: int = 0, items: int = 0, busy: int = 0) -> list[Any]:
    """Return what a frame says of the numbers of tasks in these states."""
    return [[states.count(state) for state in range(RETRIED)], failed, items, busy]


class LivePage:
    """A page with one view of one model; `at` and the number of frames go on by themselves."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.number = 0

    def open(self, snapshot: dict[str, Any] | None = None, *, theme: str = "true") -> LivePage:
        """Show the view, from a snapshot."""
        self.page.set_content(BLANK.replace("'true'", f"'{theme}'"))
        self.page.add_style_tag(content=style())
        frame = start() if snapshot is None else snapshot
        self.number = frame["n"]
        self.page.evaluate(STAND_IN, {"source": module(), "snapshot": frame})
        self.settle()
        return self

    def feed(self, at: float = 1.0, **frame: Any) -> LivePage:
        """Send the next frame, and wait until it is seen."""
        self.number += 1
        return self.tell(frame={"n": self.number, "at": at, **frame})

    def tell(self, **content: Any) -> LivePage:
        """Send a message, and wait until it is seen."""
        self.page.evaluate("(content) => model.tell(content)", json.loads(json.dumps(content)))
        self.settle()
        return self

    def settle(self) -> None:
        """Wait for the next two repaints."""
        self.page.evaluate(SETTLE)

    def come_to_rest(self) -> None:
        """Wait until the picture moves no more, neither by itself nor by what the page does to it."""
        self.page.evaluate(REST)

    @property
    def sent(self) -> list[Any]:
        """What the page has said so far, but for its first word."""
        return [said for said in self.page.evaluate("() => model.sent") if said != {"say": "here"}]

    def text(self, selector: str) -> str:
        """Return the words of the first element."""
        return str(self.page.evaluate("(e) => e.innerText ?? e.textContent", self.page.query_selector(selector)))

    def count(self, selector: str) -> int:
        """Return how many elements there are."""
        return int(self.page.locator(selector).count())

    def states(self) -> dict[str, str]:
        """Return the state of each box of the graph by its task's id."""
        boxes = (
            "() => [...document.querySelectorAll('.cnb-graph .cnb-task')].map((e) => [e.dataset.task, e.dataset.state])"
        )
        return dict(self.page.evaluate(boxes))


# ---------------------------------------------------------------------- frames


def start(**more: Any) -> dict[str, Any]:
    """Return the first snapshot of a run."""
    run = {
        "id": "r1",
        "question": "Which coast?",
        "tools": ["weather", "search"],
        "models": {},
        "live": True,
        "buttons": True,
    }
    return {"n": 0, "at": 0.1, "reset": True, "run": run, "status": "running", "phase": "the planner writes", **more}


def task(
    id_: str, *needs: int, kind: str = "call", tool: str = "weather", call: str = "", section: int = 0, line: int = 0,
    owner: int = -1, born: int = 0,
) -> list[Any]:  # fmt: skip
    """Return a task's row."""
    return [id_, kind, tool, call, "", section, line, owner, list(needs), born]


def box(id_: str, x: float = 0, y: float = 0, width: float = 140, *, bar: bool = False) -> str:
    """Return a task's box as the drawing makes it."""
    inside = f'<text class="cnb-count" x="{width - 20}" y="20">\u00d7 n</text>' if bar else ""
    inside += f'<g class="cnb-bar" data-width="{width - 34}" transform="translate(14 47)"></g>' if bar else ""
    high = 68 if bar else 46
    return (f'<g class="cnb-task cnb-waiting" data-task="{id_}" data-state="waiting" transform="translate({x} {y})">'
            f'<title>{id_}\nweather("x")</title><rect class="cnb-box" width="{width}" height="{high}" rx="8"/>'
            f'{SIGN}<text class="cnb-id" x="40" y="20">{id_}</text>{inside}</g>')  # fmt: skip


def group(x: float = 0, y: float = 0, width: float = 200) -> str:
    """Return the box of a group as the drawing makes it."""
    return (f'<g class="cnb-group cnb-waiting" transform="translate({x} {y})"><title>many</title>'
            f'<rect class="cnb-box" width="{width}" height="68" rx="8"/>{SIGN}'
            f'<text class="cnb-id" x="40" y="20">price</text>'
            f'<text class="cnb-count" x="{width - 20}" y="20">many</text>'
            f'<g class="cnb-bar" data-width="{width - 34}" transform="translate(14 47)"></g></g>')  # fmt: skip


def picture(*boxes: str, width: float = 700, height: float = 300) -> str:
    """Return a whole picture of some boxes."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" class="cnb" viewBox="-16 -16 {width} {height}">'
            f'<title>Plan</title><path class="cnb-edge" d="M0 0V10"/>{"".join(boxes)}</svg>')  # fmt: skip


def states(*changes: tuple[int, int, int]) -> str:
    """Return changes of state, (task, state, ms), as a frame has them."""
    return pack(changes)
