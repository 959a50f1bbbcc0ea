"""The board folds a run's events into frames, and a page folds the frames into what it shows. Pure: no clock.

Theory of operation
    `frame` takes the events that are new, and returns what changed since the last one as plain JSON, or None. A page
    applies frames in order. `snapshot` returns one frame that says everything from the start (`reset`): for a page
    that was reloaded, a second view, or a page that missed a frame (they are numbered).
    States, attempts and why a task waits come from the run's Progress, so that a page and `run.why` cannot disagree;
    the board itself knows texts, pictures and what was sent. A page shows what it is sent, and derives nothing. What
    was sent is kept in one place, `facts` (the latest counts) and `rows` (they only grow), so that frames and
    snapshots cannot disagree.
    Tasks are numbers in the order in which they came, so that a change of state takes some four bytes.

    A frame is a dict; all but `n` and `at` may be missing:
    n           its number; a reset's is that of the last frame before it, which it replaces
    at          seconds since the run began, when it was made
    reset       True: forget everything before
    run         {id, question, tools: [names], models: {role: name}, where, live: bool, buttons: bool, scale}; `where`:
                the cluster of its calls, in words; `live`: the run may still change; `scale`: how many times larger
                than usual it is shown, if it is; `buttons`: stop, pause, approve and the like can reach the kernel
    status      "running", "done", "failed", "cancelled" or "limit";  error  why it has no answer
    phase       what goes on, or how it ended, in words: "the planner writes", "running tasks · 2 wait for openai"
    paused      bool
    counted     [[tasks by state], failed, items, busy]: how many tasks the plan has, not counting items; how many of
                them failed, without the fan-outs whose items say so; how many items failed; calls that hold a slot
    usage       {calls, words, shares}: words: [tokens, dollars] so far, as texts; shares: of the roles, in words
    costs       [[task, words, tokens]]: what the calls of models used that a task made, in words as in `usage`; the
                last one counts; only while there are few tasks, and on demand
    sections    [[section, {round, role, reason, closed, written}]]: a text of a plan: of the planner, a repair or a
                replan; written: under which grammar, in words, "" if under none
    text        [[section, more of its text]]
    problems    [[section, line, column, message]]: lines and columns count from 1; column 0: no problem, but a note
                where the text was not read as it is written
    tasks       [[id, kind, tool, call, note, section, line, owner, needs, born, inner]]: appended; the next number is
                its own.
                kind: "call", "expr" or "fanout"; call: its source in short, "" if there are too many tasks;
                section and line: where it stands, -1 and 0 for items; owner: the fan-out that it is an item of, or -1;
                needs: numbers of the tasks whose values it reads, or that it comes after; born: when it was planned,
                in milliseconds; inner: 1 for a guarded call, which is drawn in the box of its line, else missing
    items       [[task, [items by state], rest]]: of a fan-out; rest: how many of its items are not among `tasks`
    states      changes of state, in the short form of `notebook.live.changes`; each forgets the task's `whys`
    shows       [[task, state]]: what the box of a line with guarded calls shows in place of its own state, until that
                changes: a state by its number in `outcome.STATES`
    whys        [[words, [tasks]]]: what these tasks wait for, in short, "" for nothing anymore; only while there are
                few tasks, and on demand
    held        [[task, reason, arguments, mark, note, turn]]: "approval", "plan", or "fanout" if the fan-out is asked
                for; "" if the task is not held anymore; an answer may name the mark, and then holds for these arguments
                alone; note: how it ends if it is done already, and is made again only by "again"; turn: what it starts
                after, whenever it is approved, in words
    parked      [[task, provider]]: it runs, but waits for its provider, and holds no slot; "" when it goes on
    waits       [[words, asked, until]]: that a provider makes calls of models wait, in words; seconds that it asked for
                (0 if it did not), and when the wait ends, in milliseconds since the run began
    notes       [[task, text]]: warnings, errors of attempts that are tried again, how much of tables it sent to a
                model; added to those of the task
    values      [[task, text]]: what came of it in short; only while there are few tasks, and on demand
    took        [[task, waited, ran, each]]: how long a task that has ended waited and ran, in words, and each of its
                attempts if there were several; only while there are few tasks, and on demand
    calls       [[task, text]]: calls in short, on demand
    sources     [[task, source]]: it has the outcome of another task, which computes the same, and never ran
    counts      [[task, text]]: how many items a fan-out has whose value goes without those that failed
    graph       {"svg": whole picture, "groups": [[tasks], ...]}: its `.cnb-group` elements stand for these, in order
                {"boxes": [[task, svg]], "edges": [svg], "bounds": [x, y, width, height]}: added to what is there
                (a snapshot may have both: the whole picture comes first)
    critical    [tasks]: those of the critical path;  times: how long it took and would have taken, in words
    models      [["planner" or "joiner", round, started, first, ended, until, written, spent, took, state]]: all their
                calls: when the text began and ended, -1 for not yet; until: where it leaves the critical path, -1 if it
                is not on it; milliseconds; written: as in `sections`; spent: tokens, dollars and how much of tables it
                sent, in words, "" for not yet; took: how long the role took in this round so far, in words, "" for not
                yet; state: of the call, by its number in `outcome.STATES`
    rounds      [[first task, reason]]: for each round the number of its first task, and why the joiner asked for it
    answer      {"text": more of the joiner's text, "html": the answer}, or one of them; "reset": true begins anew
    footer      the last line: variables and so on

    In pictures, elements with `data-task` (an id) have `data-state`, the class `cnb-STATE`, and a `.cnb-mark` path
    whose `d` is MARKS[state]. A stack has `<g class="cnb-bar" data-width="w">`, w pixels wide and 8 high, which the
    page fills: a cell for each item, or the shares of the states.

    What a page says: {"say": "here"} (what it says can reach the kernel: then `buttons` becomes true), {"say": "hello"}
    (it wants a snapshot), "stop", "pause", "resume", {"say": "approve", "task": number, "mark": mark}, "again", "deny",
    {"say": "skip", "task": number}, "retry", {"say": "set", "task": number, "value": an expression as in a plan},
    {"say": "rerun", "task": number}, {"say": "task", "task": number} (answered by {"task": number, "html": details,
    "again": what a rerun from there does, in words, "" if there is none}), {"say": "role", "role": "planner", "round":
    number}, or "joiner" (answered by {"task": "planner 0", "html": what it was asked in that round}), {"say": "more",
    "task": number} (tell more items of this fan-out), {"say": "rows",
    "from": number, "to": number} (answered by a frame with their calls, values, times and whys, whose `n` is that of
    the last frame).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from compiler_nb.drawing.boxes import shown_state
from compiler_nb.drawing.live import Drawn, draw_whole
from compiler_nb.drawing.preferences import Engine
from compiler_nb.drawing.scene import scene_of_run
from compiler_nb.drawing.style import ID
from compiler_nb.events import (
    ClusterFound,
    Decided,
    ModelChunk,
    ModelEnded,
    ModelRecalled,
    ModelStarted,
    Paused,
    PlanClosed,
    PlanProblem,
    RoundStarted,
    RunEnded,
    RunStarted,
    TaskEnded,
    TaskExpanded,
    TaskFetched,
    TaskPlanned,
    TaskRetried,
    Warned,
)
from compiler_nb.notebook.live.canvas import FEW, Canvas
from compiler_nb.notebook.live.changes import Change, Told, pack
from compiler_nb.notebook.live.spending import Spending
from compiler_nb.notebook.live.texts import Texts
from compiler_nb.notebook.live.untold import TOLD, Numbers, StateChange, Untold
from compiler_nb.notebook.output.answer import note_of
from compiler_nb.outcome import ADOPTED, CACHED, GIVEN, LEFT_OUT, NOT_REPEATED, STATES, Answer, State
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import Task, line_of
from compiler_nb.text import TIMES, cut, describe_outcome, seconds_text, visible_lines
from compiler_nb.trace import ModelCall, Progress, Times, Words, role_of, shown_in, spent

CODE: Final[Mapping[str, int]] = {what: number for number, what in enumerate((*STATES, "retried"))}
"""The code of each change of state."""
SHORT: Final = 80
NOTE: Final = 400
_WRITING: Final = {
    "planner": "the planner writes", "repair": "the planner repairs its plan",
    "replan": "the planner writes another plan", "joiner": "the joiner reads the results",
}  # fmt: skip
RUNNING: Final = "running tasks"
_ENDS: Final = {"cancelled": "stopped", "limit": "stopped at a limit"}
Frame = dict[str, Any]


class Board:
    """What a page shows of a run, up to the last event.

    words: returns what says why tasks wait now; live: whether more events may come. Not safe for threads: hold a
    lock if several use it.
    """

    def __init__(self, progress: Progress, words: Callable[[], Words] | None = None, *, live: bool = True) -> None:
        self.progress = progress
        self.words = words or (lambda: Words(progress, progress.at, {}, {}))
        self.facts: Frame = {  # the latest of them counts
            "run": {"id": "", "question": "", "tools": [], "models": {}, "where": "", "live": live, "buttons": False},
            "status": "running", "error": "", "phase": "starting", "paused": False, "footer": "",
            "usage": {"calls": 0, "words": [], "shares": ""}, "waits": [], "models": [], "rounds": [],
            "counted": [[0] * len(STATES), 0, 0, 0],
        }  # fmt: skip
        self.rows = Told()
        self.texts, self.canvas, self.spending = Texts(self.rows), Canvas(), Spending(self.rows)
        self.untold = Untold(progress)
        self._late: dict[str, Task] = {}  # items that are told later than they came, with the next frame
        self.numbers: dict[str, int] = {}  # of tasks, by id
        self.tasks: list[Task] = []
        self.number = 0  # the last frame's
        self._doing = "starting"  # what the planner, the tasks or the joiner do
        self._calls: dict[str, dict[str, None]] = {}  # the guarded calls that are drawn in the box of their line
        self._whys: dict[int, str] = {}  # as the page knows them
        self._turns: dict[str, str] = {}  # of tasks that wait for approval, as the page knows them
        self._asked: list[int] = []  # calls of the planner and the joiner
        self._left: dict[int, float] = {}  # where such calls leave the critical path
        self._taken = self._sent = 0  # events that were taken; changes that frames have sent
        self._new: Frame = {}

    # ---------------------------------------------------------------- events in

    def catch_up(self) -> None:
        """Take the events that are new."""
        with self.progress.lock:
            progress = self.progress.catch_up()
            for event in progress.events[self._taken : progress.taken]:
                fold = self._folds.get(type(event))
                if fold is not None:
                    fold(self, event)
            self._taken = progress.taken

    def is_behind(self) -> bool:
        """Whether so much is new that it takes longer to fold than the run can wait."""
        new = self.progress.events[self._taken :]
        return len(new) > TOLD or any(type(event) is TaskExpanded and len(event.items) > TOLD for event in new)

    def tell(self, **facts: Any) -> None:
        """Tell facts of the run, by their names in a frame."""
        self.facts |= facts
        self._new |= facts

    def tell_run(self, **facts: Any) -> None:
        """Tell what a frame's `run` says."""
        self.tell(run=self.facts["run"] | facts)

    def _begin(self, event: RunStarted) -> None:
        self.tell_run(
            id=event.run, question=visible_lines(event.question), tools=[cut(name, SHORT) for name in event.tools],
            models=dict(event.models),
        )  # fmt: skip

    def _ask_model(self, event: ModelStarted | ModelRecalled) -> None:
        if type(event) is ModelStarted:
            self.spending.begin(event.call)
        call = self.progress.calls.get(event.call)
        if event.task and call is not None and (told := shown_in(call)):
            self._note(event.task, told)
        if event.role in _WRITING:
            self._asked.append(event.call)
            self._doing = _WRITING[event.role]
            self.texts.ask(event.call, event.role)

    def _end_model(self, event: ModelEnded) -> None:
        call = self.progress.calls.get(event.call)
        if call is not None and call.held:
            self.texts.hold(event.call, call.held)
        self.spending.end(event.call)

    def _close(self, event: PlanClosed) -> None:
        self.texts.close(event.text, event.notes)
        self._doing = RUNNING
        self.canvas.stale = bool(self.tasks)

    def _decide(self, event: Decided) -> None:
        if isinstance(event.decision, Answer):
            self.texts.answer(event.decision.value, note_of(self.progress))
        else:
            self._doing = "the joiner asks for another plan"

    def _finish(self, event: RunEnded) -> None:
        self.tell(status=event.status, error=visible_lines(event.error))
        self.tell_run(live=False, buttons=False)

    # ---------------------------------------------------------------- tasks

    def _plan(self, event: TaskPlanned) -> None:
        task = event.planned
        if event.task in self.numbers:  # in a repaired plan it may stand elsewhere, so that other arrows lead to it
            self.tasks[self.numbers[event.task]] = task
        else:
            is_inner = task.guard is not None and task.kind == "call"
            if is_inner:
                self._calls.setdefault(line_of(task.id), {})[task.id] = None
            number = self._add(task, self.texts.section.number, task.line, -1, is_inner=is_inner)
            self.canvas.add(number, task, event.round, self.texts.reason)

    def _expand(self, event: TaskExpanded) -> None:
        owner = self.numbers.get(event.task, -1)
        for item in self.untold.take(event.task, event.items):
            self._add(item, -1, 0, owner)

    def _add(self, task: Task, section: int, line: int, owner: int, *, is_inner: bool = False) -> int:
        number = self.numbers[task.id] = len(self.tasks)
        self.tasks.append(task)
        above = dict.fromkeys((*task.dependencies, *task.follows))
        needs = [self.numbers[name] for name in above if name in self.numbers]
        call = shorten_call(task, SHORT) if number < FEW else ""
        note = cut(task.note, SHORT * 2) if task.note else ""
        born = round(self.progress.born[task.id] * 1000)
        row = [cut(task.id, ID), task.kind, cut(task.tool, SHORT), call, note, section, line, owner, needs, born]
        self.rows.add("tasks", [*row, 1] if is_inner else row)
        return number

    def _retry(self, event: TaskRetried) -> None:
        self._note(event.task, f"attempt {event.attempt} failed: {event.error}")

    def _note(self, id_: str, text: str) -> None:
        if id_ in self.numbers:
            self.rows.add("notes", [self.numbers[id_], cut(text, NOTE)])

    def warn(self, id_: str, message: str) -> None:
        """Show a warning at once; its event comes later, because the loop is blocked."""
        self.catch_up()
        self._note(id_, message)

    def _end(self, event: TaskEnded) -> None:
        number = self.numbers.get(event.task)
        if number is None:
            return
        if event.how.startswith(NOT_REPEATED):
            self._note(event.task, event.how)
        elif event.how == CACHED:
            self._note(event.task, "from the cache")
        elif event.how == ADOPTED and (source := self.progress.source_of(event.task)) in self.numbers:
            self.rows.add("sources", [number, self.numbers[source]])
        failed, count = self.progress.left_out[event.task] if event.how == LEFT_OUT else (0, 0)
        if count:
            self.rows.add("counts", [number, f"{TIMES} {count - failed:,} of {count:,}"])
        if number < FEW:
            self.rows.add("values", [number, self._value(event)])
            self.rows.add("took", self._took(number, event.task))

    def _fetch(self, event: TaskFetched) -> None:
        number, end = self.numbers.get(event.task, FEW), self.progress.ends.get(event.task)
        if number < FEW and end is not None:
            self.rows.add("values", [number, self._value(end)])

    @staticmethod
    def _value(event: TaskEnded) -> str:
        """Return what came of a task in short."""
        return describe_outcome(event.outcome, SHORT) + (f" · {GIVEN[event.how]}" if event.how in GIVEN else "")

    def _took(self, number: int, id_: str) -> list[Any]:
        """Return how long a task waited and ran that has ended, as all else says it: the page's times are rounded."""
        waited, ran = map(seconds_text, spent(self.progress, id_, self.progress.at))
        tried = self.progress.spans.get(id_, ())
        each = [seconds_text((span.ended or span.started) - span.started) for span in tried]
        return [number, waited, ran, *([each] if len(each) > 1 else [])]

    def tell_times(self, times: Times) -> None:
        """Tell what ended the run, and the times in words."""
        self._left = {link.call: link.ended for link in times.chain if link.call}
        critical = [self.numbers[id_] for id_ in times.path if id_ in self.numbers]
        self.tell(critical=critical, times=str(times))

    def _begin_round(self, event: RoundStarted) -> None:
        self.texts.begin_round(event.round, event.reason)
        self.tell(rounds=[*self.facts["rounds"], [len(self.tasks), cut(event.reason, NOTE)]])

    def _models(self) -> list[list[Any]]:
        """Return the calls of the planner and the joiner, as a frame has them."""
        calls = [self.progress.calls[number] for number in self._asked if number in self.progress.calls]
        rows = []
        took: dict[tuple[str, int], float] = {}
        for call in calls:
            times = map(_ms, (call.started, call.first, call.ended, self._left.get(call.number)))
            place = role_of(call), call.round
            took[place] = took.get(place, 0.0) + (call.ended or call.started) - call.started
            words = seconds_text(took[place]) if call.ended is not None else ""
            state = STATES.index(self._state_of(call))
            rows.append([*place, *times, call.held, self.spending.words(call), words, state])
        return rows

    def _state_of(self, call: ModelCall) -> State:
        if call.ended is None and self.progress.status == "running":
            return "running"
        if call.ended is None or (call.error and self.progress.status == "cancelled"):
            return "cancelled"
        return "failed" if call.error else "done"

    # ---------------------------------------------------------------- the picture

    def drawing(self, engine: Engine = "auto") -> Callable[[], Drawn]:
        """Return a function that draws all tasks so far; it may take long, and may be called on any thread."""
        self.canvas.begin_drawing()
        scene = scene_of_run(self.progress)
        return lambda: draw_whole(scene, engine=engine)

    def show_drawn(self, drawn: Drawn | None) -> None:
        """Take a picture that was drawn, or None if drawing failed: then the boxes stay."""
        self.canvas.replace(drawn, self.numbers)

    # ---------------------------------------------------------------- frames out

    def frame(self, at: float) -> Frame | None:
        """Return what changed since the last frame, or None if nothing did."""
        with self.progress.lock:
            self.catch_up()
            self._new |= self._news()
        new = self._new | self.rows.news() | self.texts.news() | self.canvas.news()
        self._new = {}
        if not new:
            return None
        self.number += 1
        return {"n": self.number, "at": round(at, 3), **new}

    def _news(self) -> Frame:
        """Return what is new of tasks: changes of state, holds, parks and why they wait."""
        changes = self.progress.changes[self._sent :]
        self._sent += len(changes)
        late = self._tell_late(changes)
        states = self._states([*(each for each in changes if each[0] not in late), *self._pasts(late)])
        tasks, *others = self.progress.counted()
        if (counted := [list(tasks), *others]) != self.facts["counted"]:
            self.tell(counted=counted)
        parked = Counter(self.progress.parked.values())
        if (waits := self._waits(parked)) != self.facts["waits"]:
            self.tell(waits=waits)
        if (phase := self._phase(parked)) != self.facts["phase"]:
            self.tell(phase=phase)
        if (models := self._models()) != self.facts["models"]:
            self.tell(models=models)
        shown = self.numbers if len(self.tasks) <= FEW else {}
        if (usage := self.spending.news(self.progress, shown)) != self.facts["usage"]:
            self.tell(usage=usage)
        for number, _, _ in states:
            self._whys.pop(number, None)
        whys = self._new_whys()
        self._whys |= whys
        held = dict.fromkeys([*self._among(changes, "held"), *self._new_turns()])
        new = {
            "states": pack(states),
            "shows": self._shows(dict.fromkeys(line_of(id_) or id_ for id_, _, _ in changes) if self._calls else ()),
            "items": self._items(self.untold.news(changes)),
            "held": [self._held(id_) for id_ in held],
            "parked": [self._parked(id_) for id_ in self._among(changes, "parked")],
            "whys": _by_words(whys),
        }
        return {name: part for name, part in new.items() if part}

    def _states(self, changes: Iterable[StateChange]) -> list[Change]:
        numbers = self.numbers
        return [(numbers[id_], CODE[what], round(at * 1000)) for id_, what, at in changes
                if what in CODE and id_ in numbers]  # fmt: skip

    def _among(self, changes: Iterable[StateChange], wanted: str) -> Iterable[str]:
        return dict.fromkeys(id_ for id_, what, _ in changes if what == wanted and id_ in self.numbers)

    def _shows(self, lines: Iterable[str]) -> list[list[int]]:
        """Return what the boxes of lines with guarded calls show."""
        states, numbers = self.progress.states, self.numbers
        shown = {line: shown_state(line, self._calls[line], states) for line in lines if line in self._calls}
        return [[numbers[line], STATES.index(state)] for line, state in shown.items() if line in numbers]

    def _items(self, numbers: Mapping[str, Numbers]) -> list[list[Any]]:
        return [[self.numbers[id_], *each] for id_, each in numbers.items()]

    def _waits(self, parked: Mapping[str, int]) -> list[list[Any]]:
        """Return the longest wait that each provider asked for, with how many tasks wait."""
        waits = sorted(self.progress.waits.values(), key=lambda wait: wait.at + wait.left)
        longest = {wait.provider: wait for wait in waits}
        return [
            [_waiting(name, parked.get(name, 0)), wait.asked, round((wait.at + wait.left) * 1000)]
            for name, wait in longest.items()
        ]

    def _phase(self, parked: Mapping[str, int]) -> str:
        """Return what goes on, or how the run ended, in words."""
        progress, busy = self.progress, len(self.progress.busy) + len(self.progress.parked)
        if progress.status != "running":
            return _ENDS.get(progress.status, progress.status)
        if progress.paused:
            return f"paused · {busy:,} still running" if busy else "paused"
        asked = {wait.provider for wait in progress.waits.values()}
        if told := [_waiting(name, count) for name, count in sorted(parked.items()) if name not in asked]:
            return f"{self._doing} · {', '.join(told)}"
        return "waits for approval" if self._doing == RUNNING and not busy and progress.held else self._doing

    def tell_more(self, fanout: str) -> None:
        """Tell more items of a large fan-out, with the next frame."""
        with self.progress.lock:
            self.catch_up()
            self._late |= {task.id: task for task in self.untold.more(fanout)}

    def _tell_late(self, changes: Iterable[StateChange]) -> dict[str, Task]:
        """Tell the items that somebody asked for, and those that failed; return them."""
        late, self._late = self._late | {task.id: task for task in self.untold.failing(changes)}, {}
        for task in late.values():
            self._add(task, -1, 0, self.numbers[task.owner])
        return late

    def _pasts(self, ids: Iterable[str]) -> Iterator[StateChange]:
        return (change for id_ in ids for change in self.untold.past(id_))

    def _held(self, id_: str) -> list[Any]:
        hold = self.progress.hold(id_)
        if hold is None:
            return [self.numbers[id_], "", "", ""]
        about = hold.mark, self.progress.repeats(id_), self._turns.get(id_, "")
        return [self.numbers[id_], hold.reason, cut(hold.arguments, 2_000), *about]

    def _parked(self, id_: str) -> list[Any]:
        return [self.numbers[id_], cut(self.progress.parked.get(id_, ""), SHORT)]

    def _new_turns(self) -> list[str]:
        """Note what the tasks that wait for approval start after; return those for which that is new."""
        held = [id_ for id_ in self.progress.held if id_ in self.numbers][:FEW]
        words, before = self.words() if held else None, self._turns
        self._turns = {id_: words.turn(id_) for id_ in held} if words is not None else {}
        return [id_ for id_, turn in self._turns.items() if turn != before.get(id_, "")]

    def _new_whys(self) -> dict[int, str]:
        """Return the reasons that the page does not know yet; only for few tasks, because each one is looked at."""
        if len(self.tasks) > FEW:
            return {}
        words, ended = self.words(), self.progress.ends
        whys = {number: words.short(id_) for id_, number in self.numbers.items() if id_ not in ended}
        return {number: why for number, why in whys.items() if why != self._whys.get(number, "")}

    def snapshot(self, at: float) -> Frame:
        """Return one frame that says all that the frames so far have said."""
        progress = self.progress
        return {
            "n": self.number, "at": round(at, 3), "reset": True,
            **self.facts, **self.rows.all(), **self.texts.all(), **self.canvas.all(),
            "states": pack(self._states(progress.changes[: self._sent])), "shows": self._shows(self._calls),
            "whys": _by_words(self._whys), "items": self._items(self.untold.all()),
            "held": [self._held(id_) for id_ in progress.holding & self.numbers.keys()],
            "parked": [self._parked(id_) for id_ in progress.parked.keys() & self.numbers.keys()],
        }  # fmt: skip

    def rows_from(self, first: int, last: int) -> Frame:
        """Return calls, values and whys of some tasks, which frames leave out if there are many tasks."""
        chosen = range(max(first, 0), min(last, len(self.tasks), first + FEW))
        with self.progress.lock:
            words, ends, ids = self.words(), self.progress.ends, {n: self.tasks[n].id for n in chosen}
            values = [[n, self._value(ends[id_])] for n, id_ in ids.items() if id_ in ends]
            whys = _by_words({n: words.short(id_) for n, id_ in ids.items() if id_ not in ends})
            took = [self._took(n, id_) for n, id_ in ids.items() if id_ in ends]
        calls = [[n, shorten_call(self.tasks[n], SHORT)] for n in chosen]
        costs = [self.spending.row(id_, n) for n, id_ in ids.items() if id_ in self.spending.costs.tasks]
        return {"n": self.number, "calls": calls, "values": values, "took": took, "whys": whys, "costs": costs}

    _folds: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        RunStarted: _begin,
        ClusterFound: lambda board, _: board.tell_run(where=board.progress.where),
        RoundStarted: _begin_round,
        ModelStarted: _ask_model,
        ModelRecalled: _ask_model,
        ModelChunk: lambda board, event: board.texts.add(event.call, event.text),
        ModelEnded: _end_model,
        PlanProblem: lambda board, event: board.texts.blame(event.problem),
        PlanClosed: _close,
        TaskPlanned: _plan,
        TaskExpanded: _expand,
        TaskRetried: _retry,
        TaskEnded: _end,
        TaskFetched: _fetch,
        Warned: lambda board, event: board._note(event.task, event.message),  # noqa: SLF001 - its own
        Paused: lambda board, event: board.tell(paused=event.paused),
        Decided: _decide,
        RunEnded: _finish,
    }


def _waiting(provider: str, count: int) -> str:
    """Return that so many tasks wait for a provider; the planner or the joiner does if no task does."""
    return f"{f'{count:,} ' if count else ''}wait{'' if count > 1 else 's'} for {cut(provider, SHORT)}"


def _ms(seconds: float | None) -> int:
    """Return seconds as milliseconds, -1 for none."""
    return -1 if seconds is None else round(seconds * 1000)


def _by_words(whys: Mapping[int, str]) -> list[list[Any]]:
    """Return each reason once, with its tasks: many wait for the same."""
    tasks: dict[str, list[int]] = {}
    for number, why in whys.items():
        tasks.setdefault(why, []).append(number)
    return [[why, numbers] for why, numbers in tasks.items()]
