"""Every event of a run, and the log that numbers them.

A run *is* its list of events: view, trace, history and timeline are folds over it. Each event starts with

    seq     its number in the run, from 0
    run     the run's id
    round   0 for the first plan, 1 after the first replan, ...
    at      seconds since the run began (monotonic)

and events of a task go on with `task` (its id) and `attempt` (from 1; 0 if none was made).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from compiler_nb.errors import Problem
from compiler_nb.outcome import Answer, Replan, State, Status, Usage
from compiler_nb.plan.task import LastLine, Task


class RunStarted(NamedTuple):
    """A question was asked; `models` maps roles to model names, `inputs` offered names to their schemas."""

    seq: int
    run: str
    round: int
    at: float
    question: str
    tools: tuple[str, ...]
    inputs: Mapping[str, str]
    models: Mapping[str, str]
    started_at: float  # seconds since the epoch


class RoundStarted(NamedTuple):
    """A pass of plan, run and join begins; `reason` is the joiner's, empty in the first."""

    seq: int
    run: str
    round: int
    at: float
    reason: str


class ModelStarted(NamedTuple):
    """A model is asked; `call` numbers the calls of the run, `task` is set if a tool asks."""

    seq: int
    run: str
    round: int
    at: float
    call: int
    role: str
    task: str
    provider: str
    model: str
    messages: tuple[Mapping[str, str], ...]
    prompt: str  # content hash of the prompt's text file, "" if there is no such file


class ModelChunk(NamedTuple):
    """A piece of a model's text arrived."""

    seq: int
    run: str
    round: int
    at: float
    call: int
    text: str


class ModelEnded(NamedTuple):
    """A call of a model ended; `finish` is the provider's reason, `error` a message or empty.

    answered: the model that the reply names, "" if it is the asked one or the reply names none.
    """

    seq: int
    run: str
    round: int
    at: float
    call: int
    finish: str
    usage: Usage
    error: str
    answered: str = ""


class TaskPlanned(NamedTuple):
    """A task's own text was complete and correct; `source` is the earlier task whose outcome it gets, "" if none is."""

    seq: int
    run: str
    round: int
    at: float
    task: str
    attempt: int
    planned: Task
    source: str = ""


class PlanProblem(NamedTuple):
    """A problem of the plan's text."""

    seq: int
    run: str
    round: int
    at: float
    problem: Problem


class PlanClosed(NamedTuple):
    """The plan's text ended; `complete` is False if it was cut off, `final` is its last line.

    tasks: the ids of the plan's tasks in its order, those of earlier texts that it keeps included; None if the text is
    not a plan.
    """

    seq: int
    run: str
    round: int
    at: float
    text: str
    complete: bool
    final: LastLine | None
    dialect: str = "python"
    tasks: tuple[str, ...] | None = None


class TaskExpanded(NamedTuple):
    """A fan-out's source is known, and its items are tasks from now on."""

    seq: int
    run: str
    round: int
    at: float
    task: str
    attempt: int
    items: tuple[Task, ...]


class TaskHeld(NamedTuple):
    """A ready task waits for more than a slot.

    reason: "approval" of its arguments, "fanout" if its fan-out is approved as a whole, or "plan" for the plan's end;
    arguments: as they are shown; mark: their digest, which an answer may name.
    """

    seq: int
    run: str
    round: int
    at: float
    task: str
    attempt: int
    reason: str
    arguments: str
    mark: str = ""


class TaskApproved(NamedTuple):
    """Someone, or a rule, approved or denied a task that was held."""

    seq: int
    run: str
    round: int
    at: float
    task: str
    attempt: int
    approved: bool
    by: str


class TaskStarted(NamedTuple):
    """An attempt began; `ready_at` is when all its inputs existed."""

    seq: int
    run: str
    round: int
    at: float
    task: str
    attempt: int
    ready_at: float


class TaskParked(NamedTuple):
    """A running task waits for its provider and holds no slot (`parked`), or goes on."""

    seq: int
    run: str
    round: int
    at: float
    task: str
    attempt: int
    provider: str
    parked: bool


class TaskRetried(NamedTuple):
    """An attempt failed and another follows after `delay` seconds."""

    seq: int
    run: str
    round: int
    at: float
    task: str
    attempt: int
    error: str
    delay: float


class TaskEnded(NamedTuple):
    """A task reached its end state; `outcome` is its value, Failure, Skipped or Cancelled."""

    seq: int
    run: str
    round: int
    at: float
    task: str
    attempt: int
    state: State
    outcome: Any
    how: str  # "inline", "adopted", "cached" or "pinned" if no attempt was made; "dropped" with its text; else ""


class Warned(NamedTuple):
    """Something the user should know: a tool that blocks the loop, or one that was abandoned."""

    seq: int
    run: str
    round: int
    at: float
    task: str
    message: str


class Paused(NamedTuple):
    """No new task starts (`paused`), or tasks may start again."""

    seq: int
    run: str
    round: int
    at: float
    paused: bool


class Decided(NamedTuple):
    """The joiner decided, or the plan's own answer was evaluated (`by` is "joiner", "plan", or "limit")."""

    seq: int
    run: str
    round: int
    at: float
    decision: Answer | Replan
    by: str


class RunEnded(NamedTuple):
    """The run is over."""

    seq: int
    run: str
    round: int
    at: float
    status: Status
    error: str


Event: TypeAlias = (
    RunStarted
    | RoundStarted
    | ModelStarted
    | ModelChunk
    | ModelEnded
    | TaskPlanned
    | PlanProblem
    | PlanClosed
    | TaskExpanded
    | TaskHeld
    | TaskApproved
    | TaskStarted
    | TaskParked
    | TaskRetried
    | TaskEnded
    | Warned
    | Paused
    | Decided
    | RunEnded
)
Listener: TypeAlias = Callable[[Event], None]
Emit: TypeAlias = Callable[..., None]
"""`emit(TaskStarted, "ny", 1, 0.2)`: the event's class, then all its fields after `at`."""


_new = tuple.__new__


def _drop(*_: object) -> None:
    """Ignore an event that comes too late."""


class Log:
    """The events of one run in order; `emit` numbers, times and keeps them, and calls the listeners.

    A listener must be cheap and must not wait; one that raises is dropped, and its error kept in `broken`.
    """

    def __init__(self, run: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self.run, self.round, self.clock = run, 0, clock
        self.began = clock()
        self.events: list[Event] = []
        self.listeners: list[Listener] = []
        self.broken: list[BaseException] = []

    def close(self) -> None:
        """Ignore what is emitted from now on: whoever emits it cannot be stopped."""
        vars(self).update(emit=_drop, emit_at=_drop)

    def now(self) -> float:
        """Return the seconds since the run began."""
        return self.clock() - self.began

    def emit(self, kind: type[Any], *fields: Any) -> None:
        """Append an event of the class `kind`; `fields` are those after `at`."""
        self.emit_at(self.clock() - self.began, kind, fields)

    def emit_at(self, at: float, kind: type[Any], fields: tuple[Any, ...]) -> None:
        """Append an event at a time that is known already; `fields` as for `emit`."""
        events = self.events
        # tuple.__new__ is what the class's own constructor calls, at a third of the time
        event = _new(kind, (len(events), self.run, self.round, at) + fields)  # noqa: RUF005 - faster
        events.append(event)
        for listener in self.listeners:
            try:
                listener(event)
            except BaseException as error:  # noqa: BLE001 - an observer never breaks the run, by SystemExit neither
                self.broken.append(error)
                self.listeners = [other for other in self.listeners if other is not listener]
