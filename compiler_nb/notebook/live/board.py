"""The board: a run's events folded into frames, which a page folds into the same picture; pure, no IPython, no clock.

Theory of operation
    `take` notes an event and what it changes; `frame` returns those changes since the last one as plain JSON, or None.
    A page applies frames in their order. `snapshot` returns one frame that tells everything from the start (`reset`):
    for a page that was reloaded, a second view, or a page that missed a frame (they are numbered).
    Tasks are numbers in the order in which they came, so that a change of state takes some four bytes.

    A frame is a dict; all but `n` and `at` may be missing:
    n           its number; a reset's is that of the last frame before it, which it replaces
    at          seconds since the run began, when it was made
    reset       True: forget all before
    run         {id, question, tools: [names], models: {role: name}, live: bool, buttons: bool}; `live`: the run may
                still change; `buttons`: stop, pause, approve and deny can reach the kernel
    status      "running", "done", "failed", "cancelled" or "limit";  error  why it has no answer
    phase       what goes on, in words: "the planner writes"
    paused      bool
    usage       {calls, tokens}
    sections    [[section, {round, role, reason, closed}]]: a text of a plan: of the planner, a repair or a replan
    text        [[section, more of its text]]
    problems    [[section, line, column, message]]: lines and columns count from 1
    tasks       [[id, kind, tool, call, note, section, line, owner, needs]]: appended; the next number is its own.
                kind: "call", "expr" or "fanout"; call: its source in short, "" where there are too many tasks;
                section and line: where it stands, -1 and 0 for items; owner: the fan-out that it is an item of, or -1;
                needs: numbers of the tasks whose values it reads
    states      changes of state, in the short form of `notebook.changes`
    held        [[task, reason, arguments, mark]]: "approval", "plan", or "fanout" where the fan-out is asked for; ""
                where it is held no longer; an answer may name the mark, and then holds for these arguments alone
    parked      [[task, provider]]: it runs, but waits for its provider, and holds no slot; "" where it goes on
    notes       [[task, text]]: warnings, errors of attempts that are tried again
    values      [[task, text]]: what came of it in short; only while there are few tasks
    calls       [[task, text]]: calls in short, on demand
    graph       {"svg": whole picture, "groups": [[tasks], ...]}: its `.cnb-group` elements stand for these, in order
                {"boxes": [[task, svg]], "edges": [svg], "bounds": [x, y, width, height]}: added to what is there
                (a snapshot may have both: the whole picture comes first)
    critical    [tasks]: those of the critical path;  times: actual, sequential and least time in words
    answer      {"text": more of the joiner's text} or {"html": the answer}; {"text": "", "reset": true} begins anew
    footer      the last line: variables and so on

    In pictures, elements with `data-task` (an id) have `data-state`, the class `cnb-STATE`, and a `.cnb-mark` path
    whose `d` is MARKS[state]. A stack has `<g class="cnb-bar" data-width="w">`, w pixels wide and 8 high, which the
    page fills: a cell for each item, or the shares of the states.

    What a page says: {"say": "here"} (what it says can reach the kernel: then `buttons` becomes true), {"say": "hello"}
    (it wants a snapshot), "stop", "pause", "go", {"say": "approve", "task": number, "mark": mark}, "deny", {"say":
    "task", "task": number} (answered by {"task": number, "html": details}), {"say": "rows", "from": number, "to":
    number} (answered by a frame with their calls and values, whose `n` is that of the last frame).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from compiler_nb.drawing.live import Drawn, Engine, draw_whole
from compiler_nb.drawing.svg import ID
from compiler_nb.events import (
    Decided,
    Event,
    ModelChunk,
    ModelEnded,
    ModelStarted,
    Paused,
    PlanClosed,
    PlanProblem,
    RoundStarted,
    RunEnded,
    RunStarted,
    TaskApproved,
    TaskEnded,
    TaskExpanded,
    TaskHeld,
    TaskParked,
    TaskPlanned,
    TaskRetried,
    TaskStarted,
    Warned,
)
from compiler_nb.notebook.live.canvas import FEW, Canvas
from compiler_nb.notebook.live.changes import Change, pack
from compiler_nb.notebook.live.texts import Texts
from compiler_nb.outcome import Answer, State, Usage
from compiler_nb.plan.short import shorten_call
from compiler_nb.text import cut, describe_outcome, visible_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from compiler_nb.plan.task import LastLine, Task

STATES: Final[tuple[State, ...]] = ("waiting", "ready", "running", "done", "failed", "skipped", "cancelled")
CODE: Final = {state: number for number, state in enumerate(STATES)}
WAITING, READY, RUNNING, DONE = 0, 1, 2, 3
SHORT: Final = 80
_WRITING: Final = {
    "planner": "the planner writes", "repair": "the planner mends its plan",
    "replan": "the planner writes another plan", "joiner": "the joiner reads the results",
}  # fmt: skip
Frame = dict[str, Any]


class Board:
    """What a page is to show of a run, as far as its events went.

    live: whether more events may come; buttons: whether what a page says can reach the kernel.
    """

    def __init__(self, *, live: bool = True, buttons: bool = False) -> None:
        self.run: dict[str, Any] = {
            "id": "",
            "question": "",
            "tools": [],
            "models": {},
            "live": live,
            "buttons": buttons,
        }
        self.status, self.error, self.phase, self.paused = "running", "", "begins", False
        self.usage = Usage()
        self.texts, self.canvas = Texts(), Canvas()
        self.numbers: dict[str, int] = {}  # of tasks, by id
        self.tasks: list[Task] = []
        self.rows: list[list[Any]] = []
        self.state: list[int] = []
        self.history: list[Change] = []
        self.held: dict[int, tuple[str, str, str]] = {}
        self.parked: dict[int, str] = {}  # providers by task
        self.notes: dict[int, str] = {}
        self.values: dict[int, str] = {}
        self.footer = ""
        self.critical: tuple[list[int], str] | None = None
        self.final: LastLine | None = None
        self._missing: list[int] = []  # values that each task waits for, by number
        self._readers: dict[int, list[int]] = {}
        self._becoming: dict[int, int] = {}  # tasks that have all their values, and since when; most start at once
        self.number = self._told = 0  # the last frame's, and how much of the history the frames have told
        self._new: Frame = {}

    # ---------------------------------------------------------------- events in

    def take(self, event: Event) -> None:
        """Note what happened."""
        fold = self._folds.get(type(event))
        if fold is not None:
            fold(self, event)

    def _begin(self, event: RunStarted) -> None:
        names = [cut(name, SHORT) for name in event.tools]
        self.tell_run(id=event.run, question=visible_lines(event.question), tools=names, models=dict(event.models))
        self._set(status="running", phase="begins")

    def tell_run(self, **facts: Any) -> None:
        """Say something of the run itself."""
        self.run |= facts
        self._new["run"] = self.run

    def _begin_round(self, event: RoundStarted) -> None:
        self.texts.begin_round(event.round, event.reason)

    def _ask_model(self, event: ModelStarted) -> None:
        if event.role in _WRITING:
            self._set(phase=_WRITING[event.role])
            self.texts.ask(event.call, event.role)

    def _chunk(self, event: ModelChunk) -> None:
        self.texts.add(event.call, event.text)

    def _end_model(self, event: ModelEnded) -> None:
        self.usage = self.usage + event.usage
        self._new["usage"] = {"calls": self.usage.calls, "tokens": self.usage.tokens}

    def _problem(self, event: PlanProblem) -> None:
        self.texts.blame(event.problem)

    def _close(self, event: PlanClosed) -> None:
        self.texts.close(event.text)
        self.final = event.final
        self._set(phase="tasks run")
        self.canvas.stale = bool(self.tasks)

    # ---------------------------------------------------------------- tasks

    def _plan(self, event: TaskPlanned) -> None:
        task = event.planned
        self.canvas.add(self._add(task, self.texts.section.number, task.line, -1, event.at), task)

    def _add(self, task: Task, section: int, line: int, owner: int, at: float) -> int:
        number = self.numbers[task.id] = len(self.tasks)
        self.tasks.append(task)
        needs = [self.numbers[name] for name in task.dependencies if name in self.numbers]
        call = shorten_call(task, SHORT) if number < FEW else ""
        note = cut(task.note, SHORT * 2) if task.note else ""
        row = [cut(task.id, ID), task.kind, cut(task.tool, SHORT), call, note, section, line, owner, needs]
        self.rows.append(row)
        self.state.append(WAITING)
        missing = [need for need in needs if self.state[need] < DONE]
        self._missing.append(len(missing))
        for need in missing:
            self._readers.setdefault(need, []).append(number)
        if not missing and task.kind == "call":
            self._becoming[number] = _ms(at)
        self._new.setdefault("tasks", []).append(row)
        return number

    def _expand(self, event: TaskExpanded) -> None:
        owner = self.numbers.get(event.task, -1)
        for item in event.items:
            self._add(item, -1, 0, owner, event.at)
        self._change(event.task, RUNNING, event.at)

    def _hold(self, event: TaskHeld) -> None:
        number = self.numbers[event.task]
        if self.tasks[number].kind == "call":  # a fan-out that is asked for as a whole goes on
            self._change(event.task, READY, event.at)
        self._tell_held(number, event.reason, cut(event.arguments, 2_000), event.mark)

    def _judge(self, event: TaskApproved) -> None:
        number = self.numbers.get(event.task)
        if number is not None:
            self._tell_held(number, "")

    def _tell_held(self, number: int, reason: str, arguments: str = "", mark: str = "") -> None:
        if reason:
            self.held[number] = (reason, arguments, mark)
        elif self.held.pop(number, None) is None:
            return
        self._new.setdefault("held", []).append([number, reason, arguments, mark])

    def _start(self, event: TaskStarted) -> None:
        number = self.numbers[event.task]
        if self.state[number] != READY and event.at - event.ready_at >= 0.002:  # noqa: PLR2004 - else it did not wait
            self._change(event.task, READY, event.ready_at)
        self._change(event.task, RUNNING, event.at)
        if self.held:
            self._tell_held(number, "")

    def _park(self, event: TaskParked) -> None:
        self._tell_parked(self.numbers[event.task], cut(event.provider, SHORT) if event.parked else "")

    def _tell_parked(self, number: int, provider: str) -> None:
        if provider:
            self.parked[number] = provider
        elif self.parked.pop(number, None) is None:
            return
        self._new.setdefault("parked", []).append([number, provider])

    def _retry(self, event: TaskRetried) -> None:
        number = self._change(event.task, WAITING, event.at)
        self._tell_parked(number, "")
        self._tell_note(number, f"attempt {event.attempt} failed: {cut(event.error, 400)}")

    def _warn(self, event: Warned) -> None:
        if event.task in self.numbers:
            self._tell_note(self.numbers[event.task], cut(event.message, 400))

    def warn(self, id_: str, message: str) -> None:
        """Note a warning of a task that the log will tell later."""
        if id_ in self.numbers:
            self._tell_note(self.numbers[id_], message)

    def _tell_note(self, number: int, text: str) -> None:
        self.notes[number] = text
        self._new.setdefault("notes", []).append([number, text])

    def _end(self, event: TaskEnded) -> None:
        number = self._change(event.task, CODE[event.state], event.at)
        if self.held:
            self._tell_held(number, "")
        if self.parked:
            self._tell_parked(number, "")
        if number < FEW:
            self.values[number] = describe_outcome(event.outcome, SHORT)
            self._new.setdefault("values", []).append([number, self.values[number]])
        for reader in self._readers.pop(number, ()):
            self._missing[reader] -= 1
            if not self._missing[reader] and self.state[reader] == WAITING and self.tasks[reader].kind == "call":
                self._becoming[reader] = _ms(event.at)

    def _change(self, id_: str, code: int, at: float) -> int:
        number = self.numbers[id_]
        self._becoming.pop(number, None)
        self._note_state(number, code, _ms(at))
        return number

    def _note_state(self, number: int, code: int, ms: int) -> None:
        self.state[number] = code
        self.history.append((number, code, ms))

    # ---------------------------------------------------------------- the end

    def _pause(self, event: Paused) -> None:
        self._set(paused=event.paused)

    def _decide(self, event: Decided) -> None:
        if isinstance(event.decision, Answer):
            self.texts.answer(event.decision.value)
        else:
            self._set(phase="the joiner asks for another plan")

    def _finish(self, event: RunEnded) -> None:
        self._set(status=event.status, error=visible_lines(event.error), phase=event.status)
        self.held.clear()
        self.parked.clear()
        self.tell_run(live=False, buttons=False)

    def _set(self, **facts: Any) -> None:
        for name, value in facts.items():
            setattr(self, name, value)
        self._new |= facts

    def say_footer(self, text: str) -> None:
        """Set the last line."""
        self._set(footer=text)

    def say_times(self, critical: Iterable[str], words: str) -> None:
        """Set the tasks of the critical path, and the times in words."""
        self.critical = ([self.numbers[id_] for id_ in critical if id_ in self.numbers], words)
        self._new |= {"critical": self.critical[0], "times": words}

    # ---------------------------------------------------------------- the picture

    def drawing(self, engine: Engine = "auto") -> Callable[[], Drawn]:
        """Return what draws all tasks that there are now: for any thread, for it may take long."""
        self.canvas.begin_drawing()
        tasks, final = [task for task, row in zip(self.tasks, self.rows, strict=True) if row[_OWNER] < 0], self.final
        return lambda: draw_whole(tasks, final, engine=engine)

    def show_drawn(self, drawn: Drawn | None) -> None:
        """Take a picture that was drawn, None where that failed: then boxes must do."""
        self.canvas.replace(drawn, self.numbers)

    # ---------------------------------------------------------------- frames out

    def frame(self, at: float) -> Frame | None:
        """Return what changed since the last frame, None where nothing did."""
        for number, ms in self._becoming.items():
            self._note_state(number, READY, ms)
        self._becoming.clear()
        graph = self.canvas.news()
        changes, self._told = self.history[self._told :], len(self.history)
        states = {"states": pack(changes)} if changes else {}
        new, self._new = self._new | states | self.texts.news() | ({"graph": graph} if graph else {}), {}
        if not new:
            return None
        self.number += 1
        return {"n": self.number, "at": round(at, 3), **new}

    def snapshot(self, at: float) -> Frame:
        """Return one frame that tells all that the frames so far have told."""
        frame: Frame = {"n": self.number, "at": round(at, 3), "reset": True, "run": self.run, "status": self.status}
        frame |= {"error": self.error, "phase": self.phase, "paused": self.paused, "footer": self.footer}
        frame["usage"] = {"calls": self.usage.calls, "tokens": self.usage.tokens}
        frame |= self.texts.all()
        frame["tasks"] = self.rows
        frame["states"] = pack(self.history)
        frame["held"] = [[number, *held] for number, held in self.held.items()]
        frame["parked"] = [[number, provider] for number, provider in self.parked.items()]
        frame["notes"] = [[number, text] for number, text in self.notes.items()]
        frame["values"] = [[number, text] for number, text in self.values.items()]
        frame["graph"] = self.canvas.all()
        if self.critical is not None:
            frame |= {"critical": self.critical[0], "times": self.critical[1]}
        return frame

    def rows_from(self, first: int, last: int, outcomes: Callable[[str], Any]) -> Frame:
        """Return the calls and values of some tasks: of those that did not say them unasked; `outcomes` knows by id."""
        chosen = range(max(first, 0), min(last, len(self.tasks), first + FEW))
        values = [[n, describe_outcome(outcomes(self.tasks[n].id), SHORT)] for n in chosen if self.state[n] >= DONE]
        return {"n": self.number, "calls": [[n, shorten_call(self.tasks[n], SHORT)] for n in chosen], "values": values}

    _folds: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        RunStarted: _begin, RoundStarted: _begin_round, ModelStarted: _ask_model, ModelChunk: _chunk,
        ModelEnded: _end_model, PlanProblem: _problem, PlanClosed: _close, TaskPlanned: _plan, TaskExpanded: _expand,
        TaskHeld: _hold, TaskApproved: _judge, TaskStarted: _start, TaskParked: _park, TaskRetried: _retry,
        TaskEnded: _end, Warned: _warn, Paused: _pause, Decided: _decide, RunEnded: _finish,
    }  # fmt: skip


def _ms(at: float) -> int:
    return round(at * 1000)


_OWNER: Final = 7
