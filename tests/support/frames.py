"""A page's fold of frames in Python: what a test reads instead of a browser."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

from compiler_nb.compiler import Compiler
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.notebook.live.board import Board, Frame
from compiler_nb.outcome import STATES
from compiler_nb.trace import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from compiler_nb.run import Run

PLAIN = ("status", "error", "phase", "paused", "usage", "run", "footer", "critical", "times", "models",
         "rounds", "counted", "waits")  # fmt: skip


class Page:
    """What frames have told, keyed for comparison."""

    def __init__(self, frames: Iterable[Frame] = ()) -> None:
        self.facts: dict[str, Any] = {
            "paused": False,
            "footer": "",
            "usage": {"calls": 0, "words": [], "shares": ""},
        }
        self.facts |= {"models": [], "rounds": [], "counted": [[0] * len(STATES), 0, 0, 0], "waits": []}
        self.sections: dict[int, Any] = {}
        self.text: dict[int, str] = {}
        self.problems: list[Any] = []
        self.tasks: list[Any] = []
        self.history: list[tuple[int, int, int]] = []
        self.by_task: dict[str, dict[int, Any]] = {"held": {}, "parked": {}, "notes": {}, "values": {}, "calls": {}}
        self.by_task |= {"counts": {}, "costs": {}, "items": {}}
        self.whys: dict[int, str] = {}  # what tasks wait for
        self.shown: dict[int, int] = {}  # what boxes show in place of the state of their task
        self.pieces: list[Any] = []
        self.answer = {"text": "", "html": ""}
        self.last = 0
        for frame in frames:
            self.apply(frame)

    def apply(self, frame: Frame) -> None:
        """Fold a frame in, after it went through JSON."""
        frame = json.loads(json.dumps(frame))
        if frame.get("reset"):
            self.__init__()  # type: ignore[misc]  # forget all
        else:
            assert frame["n"] == self.last + 1
        self.last = frame["n"]
        self.facts |= {name: frame[name] for name in PLAIN if name in frame}
        self.sections |= dict(frame.get("sections", []))
        for section, more in frame.get("text", []):
            self.text[section] = self.text.get(section, "") + more
        self.problems += frame.get("problems", [])
        self.tasks += frame.get("tasks", [])
        changes = list(unpack(frame.get("states", "")))
        self.history += changes
        own = {number: code for number, code, _ in self.history}
        told = {number: state for number, state in self.shown.items() if number not in {each[0] for each in changes}}
        told |= dict(frame.get("shows", []))
        self.shown = {number: state for number, state in told.items() if state != own.get(number, 0)}
        for number, _, _ in changes:
            self.whys.pop(number, None)
        self.whys |= {number: words for words, numbers in frame.get("whys", []) for number in numbers}
        for name, known in self.by_task.items():
            known |= {number: rest for number, *rest in frame.get(name, [])}
        for name in ("held", "parked"):
            self.by_task[name] = {number: rest for number, rest in self.by_task[name].items() if rest[0]}
        self._draw(frame.get("graph", {}))
        told = frame.get("answer", {})
        self.answer["text"] = ("" if told.get("reset") else self.answer["text"]) + told.get("text", "")
        self.answer["html"] = told.get("html", "" if told.get("reset") else self.answer["html"])

    def _draw(self, graph: Frame) -> None:
        if "svg" in graph:
            self.pieces = [graph["svg"], graph["groups"]]
        self.pieces += graph.get("boxes", [])
        self.pieces += graph.get("edges", [])

    @property
    def ids(self) -> list[str]:
        """The tasks' ids in their order."""
        return [row[0] for row in self.tasks]

    @property
    def states(self) -> dict[str, str]:
        """The states of the tasks by id."""
        now = dict.fromkeys(range(len(self.tasks)), 0) | {number: code for number, code, _ in self.history}
        return {self.ids[number]: (*STATES, "waiting")[code] for number, code in now.items()}

    def seen(self) -> dict[str, Any]:
        """Everything, for comparison."""
        pieces = sorted(map(str, self.pieces))
        return {name: value for name, value in vars(self).items() if name not in ("pieces", "last")} | {"drawn": pieces}


def unpack(states: str) -> Iterator[tuple[int, int, int]]:
    """Yield the changes of state in a text: numbers of tasks, codes of states, and milliseconds."""
    number = at = 0
    while states:
        found = re.match(r"([A-H])(-?[0-9a-f]+)?(?:\.(-?[0-9a-f]+))?", states)
        assert found is not None, states
        number, at = number + int(found[2] or "0", 16), at + int(found[3] or "0", 16)
        yield number, ord(found[1]) - 65, at
        number, states = number + 1, states[found.end() :]


def watch(plan: str | dict[str, Any], tools: Iterable[Any], every: int = 1, **settings: Any) -> tuple[Run, Board, Page]:
    """Run a plan (or a question, with a model's replies by role) and fold a frame after each `every` events."""
    events: list[Any] = []
    board, page = Board(Progress(events)), Page()

    def listen(event: Any) -> None:
        events.append(event)
        if len(events) % every == 0 and (frame := board.frame(event.at)) is not None:
            page.apply(frame)

    async def perform() -> Run:
        if isinstance(plan, str):
            return await Compiler(None, tools, **settings).execute(plan, on_event=listen)
        return await Compiler(ScriptedModel(plan), tools, **settings).run("Which?", on_event=listen)

    run = asyncio.run(perform())
    if (frame := board.frame(run.seconds)) is not None:
        page.apply(frame)
    return run, board, page
