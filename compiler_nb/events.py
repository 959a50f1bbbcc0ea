"""Every event of a run, and the log that numbers them.

A run *is* its list of events: view, trace, history and timeline are folds over it. Each event starts with

    seq     its number in the run, from 0
    run     the run's id
    round   0 for the first plan, 1 after the first replan, ...
    at      seconds since the run began (monotonic)

and events of a task go on with `task` (its id) and `attempt` (from 1; 0 if none was made).
"""

from __future__ import annotations

import inspect
import time
from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, TypeVar, cast, dataclass_transform

from compiler_nb.errors import Problem
from compiler_nb.outcome import Answer, Failure, Replan, State, Status, Usage
from compiler_nb.plan.task import LastLine, Task

EQUAL: Final = "equal"
"""Why a call is held that waits for the end of an equal one (`TaskHeld.reason`)."""

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def _record(cls: type[T]) -> type[T]:
    """Make a class a named tuple of the fields of the classes above it, and then its own.

    A NamedTuple cannot inherit fields, and a frozen dataclass takes seven times as long to make as `Log.emit_at` does.
    """
    fields = {name: hint for above in reversed(cls.__mro__) for name, hint in inspect.get_annotations(above).items()}
    defaults = [vars(cls)[name] for name in fields if name in vars(cls)]
    base: type[Any] = namedtuple(cls.__name__, fields, defaults=defaults)  # type: ignore[misc]  # noqa: PYI024
    about = {"__module__": cls.__module__, "__doc__": cls.__doc__, "__annotations__": fields, "__slots__": ()}
    return cast("type[T]", type(cls.__name__, (base,), about))


@dataclass_transform(frozen_default=True)
class _Event(tuple[Any, ...]):
    """What all events begin with; see above."""

    __slots__ = ()
    seq: int
    run: str
    round: int
    at: float

    if TYPE_CHECKING:

        def _replace(self, **fields: Any) -> Self: ...


class _TaskEvent(_Event):
    """What the events of a task begin with."""

    task: str
    attempt: int


@_record
class RunStarted(_Event):
    """A question was asked; `models` maps roles to model names, `inputs` offered names to their schemas.

    shapes: what the planner is told of the results of tools, by tool: what they returned before; prompts: the user's
    own prompts by role, with name and version: "terse@1a2b3c4d5e6f", without a name "@1a2b3c4d5e6f"; answer_type: the
    name of the type that the answer is to have, "" if that is open; after: the run that the question follows, "" if it
    follows none.
    """

    question: str
    tools: tuple[str, ...]
    inputs: Mapping[str, str]
    models: Mapping[str, str]
    started_at: float  # seconds since the epoch
    shapes: Mapping[str, str] = {}
    prompts: Mapping[str, str] = {}
    answer_type: str = ""
    after: str = ""


@_record
class ClusterFound(_Event):
    """Tools of the run are called on a cluster: its address, its workers, and how many calls they take at a time."""

    address: str
    workers: int
    calls: int


@_record
class RoundStarted(_Event):
    """A pass of plan, run and join begins; `reason` is the joiner's, empty in the first."""

    reason: str


@_record
class ModelStarted(_Event):
    """A model is asked; `call` numbers the calls of the run, `task` is set if a tool asks.

    address: the server's, "" if the model has none or does not say.
    """

    call: int
    role: str
    task: str
    provider: str
    model: str
    messages: tuple[Mapping[str, str], ...]
    prompt: str  # content hash of the prompt's text file, "" if there is no such file
    address: str = ""


@_record
class ModelWaits(_Event):
    """A call of a model waits because its provider made it wait (`waits`), or goes on.

    call: its number, which may not have started; asked: the seconds that the provider asked for, 0 if it did not;
    left: the seconds that it waits from now on. The last one of a call counts: a wait may become longer.
    """

    call: int
    role: str
    task: str
    provider: str
    model: str
    asked: float
    left: float
    waits: bool


@_record
class ModelChunk(_Event):
    """A piece of a model's text arrived."""

    call: int
    text: str


@_record
class ModelEnded(_Event):
    """A call of a model ended; `finish` is the provider's reason, `error` a message or empty.

    answered: the model that the reply names, "" if it is the asked one or the reply names none; grammar: what the reply
    was held to, in words ("4 tools"), "" if to nothing; template: what the server's chat template makes of messages in
    these roles, "" if it is not known.
    """

    call: int
    finish: str
    usage: Usage
    error: str
    answered: str = ""
    grammar: str = ""
    template: str = ""


@_record
class ModelRecalled(_Event):
    """The cache knew the reply to a request, so no model was asked; fields are those of ModelStarted.

    text: the reply; saved: what it used when it was made.
    """

    call: int
    role: str
    task: str
    provider: str
    model: str
    messages: tuple[Mapping[str, str], ...]
    prompt: str
    address: str
    text: str
    saved: Usage


@_record
class CacheLooked(_Event):
    """The cache was asked for the value of a task, or for a reply to a role (`role`, "" for a tool's value).

    hit: whether it knew it; told: where it comes from, or why it did not, in words.
    """

    task: str
    role: str
    hit: bool
    told: str


@_record
class TaskPlanned(_TaskEvent):
    """A task's own text was complete and correct; `source` is the earlier task whose outcome it gets, "" if none is."""

    planned: Task
    source: str = ""


@_record
class PlanProblem(_Event):
    """A problem of the plan's text."""

    problem: Problem


@_record
class PlanClosed(_Event):
    """The plan's text ended; `complete` is False if it was cut off, `final` is its last line.

    tasks: the ids of the plan's tasks in its order, those of earlier texts that it keeps included; None if the text is
    not a plan. notes: where the text was not read as it is written; after_tools: see `Plan`.
    """

    text: str
    complete: bool
    final: LastLine | None
    dialect: str = "python"
    tasks: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    after_tools: bool = False


@_record
class TaskExpanded(_TaskEvent):
    """A fan-out's source is known, and its items are tasks from now on."""

    items: tuple[Task, ...]


@_record
class TaskChosen(_TaskEvent):
    """The guard of a task is true, so it is needed: it waits for its arguments now. If it is false, the task ends."""


@_record
class TaskIdentified(_TaskEvent):
    """The arguments of a call with side effects are known, and so is which call it is.

    digest: of its tool and its arguments; known: what became of the equal call that was made before, in words, "" if it
    is a new one; done: whether that one is done, so that it is not made again unless someone says so; source_run,
    source_round, source: that one's run, round and task.
    """

    digest: str
    known: str = ""
    done: bool = False
    source_run: str = ""
    source_round: int = 0
    source: str = ""


@_record
class TaskHeld(_TaskEvent):
    """A ready task waits for more than a slot.

    reason: "approval" of its arguments, "fanout" if its fan-out is approved as a whole, "plan" for the plan's end, or
    "equal" for the end of an equal call; arguments: as they are shown, or the id of the equal call; mark: their digest,
    which an answer may name.
    """

    reason: str
    arguments: str
    mark: str = ""


@_record
class TaskApproved(_TaskEvent):
    """Someone, or a rule, approved or denied a task that was held."""

    approved: bool
    by: str


@_record
class TaskStarted(_TaskEvent):
    """An attempt began; `ready_at` is when all its inputs existed."""

    ready_at: float


@_record
class TaskParked(_TaskEvent):
    """A running task waits for its provider and holds no slot (`parked`), or goes on."""

    provider: str
    parked: bool


@_record
class TaskRetried(_TaskEvent):
    """An attempt failed and another follows after `delay` seconds."""

    error: str
    delay: float


@_record
class TaskEnded(_TaskEvent):
    """A task reached its end state; `outcome` is its value, Failure, Skipped or Cancelled.

    One that is done may end so once more, with another value that the user gave it before anything had read the first.
    """

    state: State
    outcome: Any
    how: str  # "inline", "adopted", "cached", "pinned", "set by you", "not repeated: …", "dropped" with its text, or ""


@_record
class TaskFetched(_TaskEvent):
    """The value of a task that is done came home from the cluster on which it had stayed; `outcome` is the value."""

    outcome: Any


@_record
class TaskRevived(_TaskEvent):
    """A task that had ended without a value goes on, and may end another time; why: what for, in words."""

    why: str


@_record
class TaskPrinted(_Event):
    """The tool of a task has printed a text; `left` says at the run's end how much is not kept, "" if all is."""

    task: str
    text: str
    left: str


@_record
class Warned(_Event):
    """Something the user should know: a tool that blocks the loop, or one that was abandoned."""

    task: str
    message: str


@_record
class Paused(_Event):
    """No new task starts (`paused`), or tasks may start again."""

    paused: bool


@_record
class Decided(_Event):
    """The joiner decided, or the plan's own answer was evaluated (`by` is "joiner", "plan", or "limit")."""

    decision: Answer | Replan
    by: str


@_record
class AnswerFailed(_Event):
    """The plan's own answer could not be evaluated, so the round goes on as if the plan ended in `join()`."""

    failure: Failure


@_record
class AnswerRefused(_Event):
    """An answer of a plan or of the joiner (`by`) is not of the type that is wanted; `problem` says what came."""

    problem: str
    by: str


@_record
class RunEnded(_Event):
    """The run is over."""

    status: Status
    error: str


Event: TypeAlias = (
    RunStarted
    | ClusterFound
    | RoundStarted
    | ModelStarted
    | ModelWaits
    | ModelChunk
    | ModelEnded
    | ModelRecalled
    | CacheLooked
    | TaskPlanned
    | PlanProblem
    | PlanClosed
    | TaskExpanded
    | TaskChosen
    | TaskIdentified
    | TaskHeld
    | TaskApproved
    | TaskStarted
    | TaskParked
    | TaskRetried
    | TaskEnded
    | TaskFetched
    | TaskRevived
    | TaskPrinted
    | Warned
    | Paused
    | Decided
    | AnswerFailed
    | AnswerRefused
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
