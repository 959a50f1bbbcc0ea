"""Where each task of a run stands: what it still waits for, what holds it, and what it has had, event by event.

Theory of operation
    `take` notes one event, in a time that does not grow with the run. Which tasks are ready is derived by the rules
    that the engine follows: a task that reads items of a fan-out by key waits for these items alone, a fan-out may need
    no more of another one than to know its items, and a task that computes what an earlier text's task does gets that
    one's outcome. Where the events do not tell which item it is, the task stays `waiting`: it may be ready, but it is
    never called ready while it is not.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Self

from compiler_nb.events import (
    Decided,
    Event,
    ModelEnded,
    ModelStarted,
    Paused,
    PlanClosed,
    PlanProblem,
    RoundStarted,
    TaskApproved,
    TaskEnded,
    TaskExpanded,
    TaskHeld,
    TaskParked,
    TaskPlanned,
    TaskRetried,
    TaskStarted,
)
from compiler_nb.plan.expression import Item
from compiler_nb.plan.fanout import item_reads, needs
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import JOIN, item_id, owner_of
from compiler_nb.plan.tree import Node, Ref, walk
from compiler_nb.trace.folds import ModelCall, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from compiler_nb.errors import Problem
    from compiler_nb.outcome import Answer, Replan, State
    from compiler_nb.plan.task import Task

VALUE, ITEMS, ITEM, TWIN = "", "items", "item", "twin"
"""What of a task another one waits for: its value, that its items are known, one of its items, the same outcome."""
LOST: Final = frozenset({"failed", "skipped", "cancelled"})
_LONGEST_KEY: Final = 40
_OTHER_VALUES: Final = frozenset({"None", "True", "False"})


class Hold(NamedTuple):
    """A time during which a ready task was held: for "approval" or for the end of the "plan"; `until` None: it is."""

    reason: str
    arguments: str
    since: float
    until: float | None = None


class Park(NamedTuple):
    """A time during which a running task waited for its provider and held no slot; `until` None: it does."""

    provider: str
    since: float
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """One pass of plan, run and join.

    text: the last that was written, plan: what it holds, None if it is not a plan; problems: of the text; decision: how
    the round ended, None while it goes on; repaired: earlier texts, which were not plans.
    """

    number: int
    reason: str = ""  # why the joiner asked for it
    text: str = ""
    plan: Plan | None = None
    problems: tuple[Problem, ...] = ()
    decision: Answer | Replan | None = None
    repaired: tuple[str, ...] = ()


class Progress:
    """Where each task of a run stands, after the events that it took.

    tasks, states, born: by id, with the second in which it was planned; missing: what it waits for, and VALUE, ITEMS,
    ITEM or TWIN; needs: what it waited for in the end, shapes: fan-outs of which it needed to know the items;
    last: the task whose end made it ready, and when that was; items: of fan-outs; spans: attempts; holds: see Hold;
    busy: calls that hold a slot; parks: when a task waited for its provider, the last second None while it does;
    calls: of models, by task; pauses: pairs of seconds, the second None while it lasts.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.lock = threading.RLock()
        self._taken = 0
        self.at = 0.0
        self.tasks: dict[str, Task] = {}
        self.states: dict[str, State] = {}
        self.born: dict[str, float] = {}
        self.missing: dict[str, dict[str, str]] = {}
        self.needs: dict[str, list[str]] = {}
        self.shapes: dict[str, tuple[str, ...]] = {}
        self.last: dict[str, tuple[str, float]] = {}
        self.items: dict[str, tuple[str, ...]] = {}
        self.adopted: dict[str, str] = {}
        self.spans: dict[str, list[Span]] = {}
        self.retries: dict[str, TaskRetried] = {}
        self.holds: dict[str, list[Hold]] = {}
        self.ends: dict[str, TaskEnded] = {}
        self.busy: dict[str, None] = {}
        self.parks: dict[str, list[Park]] = {}
        self.parked: dict[str, str] = {}  # providers by task
        self.calls: dict[str, list[ModelCall]] = {}
        self.pauses: list[tuple[float, float | None]] = []
        self._readers: defaultdict[str, list[str]] = defaultdict(list)
        self._watchers: defaultdict[str, list[str]] = defaultdict(list)
        self._held: set[str] = set()
        self._open_calls: dict[int, str] = {}
        self._twins: dict[str, list[str]] | None = None  # by fingerprint: the tasks of earlier texts
        self.rounds: list[Round] = []
        self.plan: Plan | None = None  # of the last round that has one
        self._problems: list[Problem] = []  # of the text that is being written
        self._planned: list[str] = []  # the ids of the round
        self._fanouts = False
        for event in events:
            self.take(event)

    def catch_up(self, events: Sequence[Event]) -> Self:
        """Take what is new of a run's events, which only grow; may be called from any thread."""
        if len(events) > self._taken:
            with self.lock:
                while self._taken < len(events):
                    self.take(events[self._taken])
        return self

    def take(self, event: Event) -> None:
        """Note what happened."""
        self.at = event.at
        self._taken += 1
        fold = self._folds.get(type(event))
        if fold is not None:
            fold(self, event)

    @property
    def paused(self) -> bool:
        """Whether no new call may start."""
        return bool(self.pauses) and self.pauses[-1][1] is None

    def hold(self, id_: str) -> Hold | None:
        """Return what holds a ready task, None where nothing does."""
        return self.holds[id_][-1] if id_ in self._held else None

    # ---------------------------------------------------------------- tasks that come

    def _plan(self, event: TaskPlanned) -> None:
        task = event.planned
        if task.id in self.tasks:
            return
        twin = self._twin(task)
        self._planned.append(task.id)
        self._note(task, event.at)
        if twin is None:
            self._wait(task)
        else:
            self.adopted[task.id] = twin
            self.needs[task.id] = [twin]
            self.missing[task.id] = {twin: TWIN}

    def _twin(self, task: Task) -> str | None:
        """Return the task of an earlier text whose outcome this one gets: of equal ones, the k-th that of the k-th."""
        if self._twins is None:
            self._twins = defaultdict(list)
            for id_, known in self.tasks.items():
                if not owner_of(id_) and known.fingerprint:
                    self._twins[known.fingerprint].append(id_)
        alike = self._twins.get(task.fingerprint, [])
        twin = next((id_ for id_ in alike if self.states[id_] not in LOST), None)
        if twin is not None:
            alike.remove(twin)
        return twin

    def _note(self, task: Task, at: float) -> None:
        self.tasks[task.id], self.states[task.id], self.born[task.id] = task, "waiting", at
        self._fanouts = self._fanouts or task.kind == "fanout"

    def _wait(self, task: Task) -> None:
        """Let a task wait for what is not there yet of all that it needs."""
        shapes: tuple[str, ...] = ()
        whole: Iterable[str] = task.dependencies
        if task.kind == "fanout" and task.args:
            whole, shapes = needs(task, self._container)
            self.shapes[task.id] = shapes
        elif self._fanouts and (shapes := item_reads(task, self._container)):
            whole = [name for name in task.dependencies if name not in shapes]
        self.needs[task.id] = []
        missing = self.missing[task.id] = {}
        self._need(task.id, dict.fromkeys(whole, VALUE))
        for name in shapes:
            if name in self.items:
                self._link(task, name)
            elif self.states.get(name) != "done":
                missing[name] = ITEMS
                self._watchers[name].append(task.id)
        if not missing:
            self._ready(task.id)

    def _need(self, id_: str, what: Mapping[str, str]) -> None:
        self.needs[id_] += what
        for name, how in what.items():
            if self.states.get(name) != "done":
                self.missing[id_][name] = how
                self._readers[name].append(id_)

    def _link(self, task: Task, fanout: str) -> None:
        """Let a task wait for the items of a fan-out that it reads, now that they are known; a fan-out for none."""
        if task.kind != "fanout":
            self._need(task.id, dict(_items_read(task, fanout, self.tasks[fanout], self.items[fanout])))

    def _container(self, id_: str) -> str:
        task = self.tasks.get(id_)
        if task is None or task.kind != "fanout" or id_ in self.adopted or self.states[id_] == "done":
            return ""
        container: str = task.args[0].container
        return container

    def _expand(self, event: TaskExpanded) -> None:
        self.states[event.task] = "running"
        self.spans[event.task] = [Span(event.task, event.attempt, event.at, event.at, None, "running")]
        self.items[event.task] = tuple(item.id for item in event.items)
        for item in event.items:
            self._note(item, event.at)
            self._wait(item)
        for id_ in self._watchers.pop(event.task, ()):
            self.missing[id_].pop(event.task, None)
            self._link(self.tasks[id_], event.task)
            self._look(id_, event.task, event.at)

    def _look(self, id_: str, name: str, at: float) -> None:
        """Look whether a task has all it needs, now that something of `name` is there."""
        if not self.missing[id_]:
            self.last[id_] = (name, at)
            self._ready(id_)

    def _ready(self, id_: str) -> None:
        if self.tasks[id_].kind == "call" and self.states[id_] == "waiting":
            self.states[id_] = "ready"

    # ---------------------------------------------------------------- tasks that go on

    def _hold(self, event: TaskHeld) -> None:
        self._let_go(event.task, event.at)
        task = self.tasks.get(event.task)
        if task is None or task.kind == "call":  # a fan-out that is asked for as a whole goes on
            self.states[event.task] = "ready"
        self._held.add(event.task)
        self.holds.setdefault(event.task, []).append(Hold(event.reason, event.arguments, event.at))

    def _judge(self, event: TaskApproved) -> None:
        self._let_go(event.task, event.at)

    def _let_go(self, id_: str, at: float) -> None:
        if id_ in self._held:
            self._held.remove(id_)
            self.holds[id_][-1] = self.holds[id_][-1]._replace(until=at)

    def _start(self, event: TaskStarted) -> None:
        id_ = event.task
        self._let_go(id_, event.at)
        if self.adopted.pop(id_, None) is not None:  # it is its own after all
            self.needs[id_] = list(self.tasks[id_].dependencies)
        self.retries.pop(id_, None)
        self.states[id_] = "running"
        self.busy[id_] = None
        span = Span(id_, event.attempt, event.ready_at, event.at, None, "running")
        self.spans.setdefault(id_, []).append(span)

    def _park(self, event: TaskParked) -> None:
        id_ = event.task
        if event.parked:
            self.busy.pop(id_, None)
            self.parked[id_] = event.provider
            self.parks.setdefault(id_, []).append(Park(event.provider, event.at))
        elif id_ in self.parked:
            self.busy[id_] = None
            self._unpark(id_, event.at)

    def _unpark(self, id_: str, at: float) -> None:
        if self.parked.pop(id_, None) is not None:
            self.parks[id_][-1] = self.parks[id_][-1]._replace(until=at)

    def _retry(self, event: TaskRetried) -> None:
        self._close_span(event.task, event.at, "failed")
        self.states[event.task] = "waiting"
        self.retries[event.task] = event

    def _end(self, event: TaskEnded) -> None:
        id_ = event.task
        self._let_go(id_, event.at)
        self._close_span(id_, event.at, event.state)
        self.retries.pop(id_, None)
        self.states[id_], self.ends[id_] = event.state, event
        readers, watchers = self._readers.pop(id_, ()), self._watchers.pop(id_, ())
        if event.state == "done":
            for reader in (*readers, *watchers):
                self.missing[reader].pop(id_, None)
                self._look(reader, id_, event.at)

    def _close_span(self, id_: str, at: float, state: State) -> None:
        self.busy.pop(id_, None)
        if self.parked:
            self._unpark(id_, at)
        tried = self.spans.get(id_)
        if tried and tried[-1].ended is None:
            tried[-1] = tried[-1]._replace(ended=at, state=state)

    # ---------------------------------------------------------------- the run

    def _begin_round(self, event: RoundStarted) -> None:
        self.rounds.append(Round(event.round, event.reason))
        self._twins, self._problems, self._planned = None, [], []

    def _problem(self, event: PlanProblem) -> None:
        self._problems.append(event.problem)

    def _close_text(self, event: PlanClosed) -> None:
        """Note a text's end: if it is a plan, what was held for that may go on."""
        ids, text, problems = event.tasks, event.text, tuple(self._problems)
        if ids is None and event.complete and not problems:  # stored before the event named the plan's tasks
            ids = tuple(self._planned)
        plan = None
        if ids is not None:
            tasks = tuple(self.tasks[id_] for id_ in ids)
            plan = self.plan = Plan(tasks, event.final or JOIN, text, event.dialect)
            for id_ in [id_ for id_ in self._held if self.holds[id_][-1].reason == "plan"]:
                self._let_go(id_, event.at)
        last = self._round
        repaired = (*last.repaired, last.text) if last.problems else last.repaired
        self.rounds[-1] = replace(last, text=text, plan=plan, problems=problems, repaired=repaired)
        self._twins, self._problems = None, []

    def _decide(self, event: Decided) -> None:
        self.rounds[-1:] = [replace(self._round, decision=event.decision)]

    @property
    def _round(self) -> Round:
        if not self.rounds:  # a plan that is only written
            self.rounds.append(Round(0))
        return self.rounds[-1]

    def _pause(self, event: Paused) -> None:
        if event.paused and not self.paused:
            self.pauses.append((event.at, None))
        elif self.paused and not event.paused:
            self.pauses[-1] = (self.pauses[-1][0], event.at)

    def _ask(self, event: ModelStarted) -> None:
        asked = ModelCall(event.call, event.role, event.task, event.provider, event.model, event.at)
        self.calls.setdefault(event.task, []).append(asked)
        self._open_calls[event.call] = event.task

    def _answered(self, event: ModelEnded) -> None:
        task = self._open_calls.pop(event.call, None)
        if task is not None:
            told = self.calls[task]
            number = next(number for number in reversed(range(len(told))) if told[number].number == event.call)
            told[number] = told[number]._replace(ended=event.at, error=event.error)

    _folds: ClassVar[dict[type, Callable[[Progress, Any], None]]] = {
        TaskPlanned: _plan, TaskExpanded: _expand, TaskHeld: _hold, TaskApproved: _judge, TaskStarted: _start,
        TaskParked: _park, TaskRetried: _retry, TaskEnded: _end, RoundStarted: _begin_round, PlanProblem: _problem,
        PlanClosed: _close_text, Decided: _decide, Paused: _pause, ModelStarted: _ask, ModelEnded: _answered,
    }  # fmt: skip


def _items_read(task: Task, fanout: str, made_by: Task, ids: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the items of a fan-out that a task reads by known keys, each a VALUE; what cannot be told is an ITEM."""
    container = made_by.args[0].container if made_by.args else ""
    for part in walk((task.args, task.kwargs)):
        if isinstance(part, Item) and isinstance(part.value, Ref) and part.value.id == fanout:
            item = None if isinstance(part.key, Node) else _find_item(part.key, container, fanout, ids)
            yield (fanout, ITEM) if item is None else (item, VALUE)


def _find_item(key: Any, container: str, fanout: str, ids: tuple[str, ...]) -> str | None:
    """Return the id of the item with a key, None where ids, which only show keys, do not tell.

    A key that is shown like one of another type (1 and "1"), cut, or there twice is not told.
    """
    if container == "list":
        own = [id_ for id_ in ids if id_.endswith("]")]
        return own[key] if type(key) is int and -len(own) <= key < len(own) else None
    told = type(key) is str and len(key) <= _LONGEST_KEY and key.isprintable() and not set(key) & set("[]#,")
    item = item_id(fanout, key)
    if not told or key in _OTHER_VALUES or _is_number(key) or item not in ids or item_id(fanout, key, 2) in ids:
        return None
    return item


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
