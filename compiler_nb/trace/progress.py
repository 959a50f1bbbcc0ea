"""The fold of a run's events: tasks, states, outcomes, attempts, calls of models, rounds, and how the run stands.

Theory of operation
    A run *is* its list of events, which only grows. A Progress keeps that list, and `catch_up` takes what is new of it,
    each event in a time that does not grow with the run. Nothing is folded until somebody looks, so a run that nobody
    looks at pays nothing, and a look costs what happened since the last one.

    The loop's thread and the kernel's both look. One of them at a time folds, under `lock`. Looking up one key is safe
    without it; whoever iterates while the run goes on copies first (`list`, `dict`), or holds the lock if several facts
    have to agree.

    `changes` is the log that others fold in turn: every change of a task's state, when it happened, and that it was
    held, parked or let go. What is ready is not in the events; see readiness.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

from compiler_nb.errors import Problem
from compiler_nb.events import (
    AnswerFailed,
    AnswerRefused,
    CacheLooked,
    ClusterFound,
    Decided,
    Event,
    ModelChunk,
    ModelEnded,
    ModelRecalled,
    ModelStarted,
    ModelWaits,
    Paused,
    PlanClosed,
    PlanProblem,
    RoundStarted,
    RunEnded,
    RunStarted,
    TaskApproved,
    TaskChosen,
    TaskEnded,
    TaskExpanded,
    TaskFetched,
    TaskHeld,
    TaskIdentified,
    TaskParked,
    TaskPlanned,
    TaskPrinted,
    TaskRetried,
    TaskRevived,
    TaskStarted,
    Warned,
)
from compiler_nb.outcome import (
    ADOPTED,
    GIVEN,
    LEFT_OUT,
    NOT_REPEATED,
    STATES,
    Answer,
    Failure,
    Skipped,
    State,
    Status,
    Usage,
)
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import JOIN, Task, line_of, owner_of
from compiler_nb.text import count_of
from compiler_nb.trace.costs import Cost, Costs, cost_of, costs_of
from compiler_nb.trace.readiness import Readiness
from compiler_nb.trace.records import Hold, ModelCall, Park, Round, Span
from compiler_nb.trace.tallies import Counted, Tallies

What = State | Literal["retried", "held", "parked"]
"""What changed: the task's state ("retried": an attempt failed, and the task waits for another one), or that it is now
held or parked, or no longer."""


class Progress:
    """Where a run stands, after the events that it took.

    events: those of the run, which may still grow; taken: how many of them were folded; at: seconds of the last one;
    began: when the run did, in seconds since the epoch, 0 if that is not known;
    status, error, answer: of the run; cut: at which limit the answer is cut off, "" if it is whole;
    answer_type: what the answer is to be, "" if that is open; refused: the answers that were not of that type;
    after: the run that it follows, "" if none; where: the cluster that tools are called on, in words, "" if that is
    this process;
    rounds, plan: see Round, and the last plan; pauses: pairs of seconds, the second None while it lasts; usage: of all
    calls; calls: of models, by number; received: the characters that they have sent, by call;
    looks: what the cache was asked for; looked: the last of these by task;
    waits: the calls of models that their providers make wait, by number; waited: how long there were such, by provider.
    By a task's id: tasks (in the order in which they came), states, born (seconds), round_of (the number of the round
    whose plan it first stood in), ends, spans (attempts; of a fan-out
    one, from its expansion on), identified (which side effect it is), holds, parks, retries (what is to be tried
    again), warnings, printed (what its tool has printed), parked (the provider that it waits for).
    tallies: how many tasks and items are in which state;
    holding: the tasks that are held; busy: calls that hold a slot; names: the last task of each variable, in the
    last round that assigns it; changes: (id, what, at), see above.
    """

    def __init__(self, events: Sequence[Event] = ()) -> None:
        self.events, self.taken, self.at = events, 0, 0.0
        self.lock = threading.RLock()
        self.status: Status = "running"
        self.error = ""
        self.answer: Any = None
        self.cut = ""
        self.answer_type = self.after = self.where = ""
        self.refused: list[AnswerRefused] = []
        self.rounds: list[Round] = []
        self.plan: Plan | None = None
        self.pauses: list[tuple[float, float | None]] = []
        self.usage = Usage()
        self.received: dict[int, int] = {}
        self.began = 0.0
        self.calls: dict[int, ModelCall] = {}
        self.looks: list[CacheLooked] = []
        self.looked: dict[str, CacheLooked] = {}
        self.waits: dict[int, ModelWaits] = {}
        self.waited: dict[str, float] = {}
        self.tasks: dict[str, Task] = {}
        self.states: dict[str, State] = {}
        self.born: dict[str, float] = {}
        self.round_of: dict[str, int] = {}
        self.ends: dict[str, TaskEnded] = {}
        self.identified: dict[str, TaskIdentified] = {}
        self.spans: dict[str, list[Span]] = {}
        self.holds: dict[str, list[Hold]] = {}
        self.parks: dict[str, list[Park]] = {}
        self.retries: dict[str, TaskRetried] = {}
        self.warnings: dict[str, list[str]] = {}
        self.printed: dict[str, str] = {}
        self.busy: dict[str, None] = {}
        self.parked: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.changes: list[tuple[str, What, float]] = []
        self.readiness = Readiness(self.tasks, self.states)
        self.tallies = Tallies()
        self.holding: set[str] = set()
        self._problems: list[Problem] = []  # of the text that is being written
        self._folding = False
        self._waits_since: dict[str, float] = {}
        self.catch_up()

    def catch_up(self) -> Self:
        """Take the events that are new; may be called from any thread."""
        if self.taken < len(self.events):
            with self.lock:
                # a signal handler that looks while its own thread folds gets what there is: an event is taken once
                while self.taken < len(self.events) and not self._folding:
                    self._folding = True
                    try:
                        self._take(self.events[self.taken])
                    finally:
                        # Not before the event is folded: another thread that sees the count does not wait for the lock.
                        # An event that cannot be folded counts too, or each look would fold it again.
                        self.taken += 1
                        self._folding = False
        return self

    def _take(self, event: Event) -> None:
        self.at = event.at
        fold = self._folds.get(type(event))
        if fold is not None:
            fold(self, event)

    # ---------------------------------------------------------------- what follows from it

    @property
    def outcomes(self) -> dict[str, Any]:
        """How each ended task ended, in the order of `tasks`: its value, a Failure, Skipped or Cancelled."""
        with self.lock:
            return {id_: self.ends[id_].outcome for id_ in self.tasks if id_ in self.ends}

    @property
    def variables(self) -> list[Task]:
        """The tasks that leave variables, in the order of `tasks`: of a name's versions the last one."""
        with self.lock:
            return [task for id_, task in self.tasks.items() if self.names.get(task.name) == id_]

    @property
    def given(self) -> dict[str, str]:
        """The tasks whose values the user gave, before the run or while it went on: what is shown beside these."""
        with self.lock:
            return {id_: GIVEN[end.how] for id_, end in self.ends.items() if end.how in GIVEN}

    @property
    def kept(self) -> list[str]:
        """The tasks that did not run, for an earlier run left their outcomes."""
        with self.lock:
            adopted = [id_ for id_, end in self.ends.items() if end.how == ADOPTED]
            return [id_ for id_ in adopted if id_ not in self.readiness.adopted and id_ not in self.looked]

    def source_of(self, id_: str) -> str:
        """Return the task of this run whose outcome a call or a fan-out got, "" if it has its own."""
        end, task = self.ends.get(id_), self.tasks[id_]
        got = end is not None and end.how == ADOPTED and task.kind != "expr" and not task.owner
        return self.readiness.adopted.get(id_, "") if got else ""

    @property
    def left_out(self) -> dict[str, tuple[int, int]]:
        """The fan-outs that are done without failed items, by id: how many failed, of how many.

        If that was in an earlier run, these are 0.
        """
        with self.lock:
            items = {id_: self.tallies.items(id_) for id_, end in self.ends.items() if end.how == LEFT_OUT}
        return {id_: (each.lost, each.all) for id_, each in items.items()}

    def counted(self) -> Counted:
        """Return how many tasks there are, have ended and have failed: what pages and last lines say."""
        with self.lock:
            tally, failed = self.tallies.of[""], self.tallies.failed
            told = sum(self._fails_by_items(id_) for id_ in self.tallies.of)
            tasks = tuple(tally[state] for state in STATES)
            return Counted(tasks, tally["failed"] - told, failed.total(), len(self.busy))

    def _fails_by_items(self, id_: str) -> bool:
        end = self.ends.get(id_)
        return end is not None and type(end.outcome) is Failure and end.outcome.kind == "items"

    @property
    def attempts(self) -> list[Span]:
        """The attempts of calls in the order of their starts."""
        with self.lock:
            found = [span for id_, tried in self.spans.items() if id_ not in self.readiness.items for span in tried]
        return sorted(found, key=lambda span: span.started)

    @property
    def held(self) -> dict[str, str]:
        """The arguments of the tasks that wait for approval, by id."""
        with self.lock:
            holds = {id_: self.holds[id_][-1] for id_ in self.tasks if id_ in self.holding} if self.holding else {}
        return {id_: hold.arguments for id_, hold in holds.items() if hold.reason == "approval"}

    def held_in(self, id_: str) -> list[str]:
        """Return what waits for approval of a task: the task itself, or the guarded call in its line."""
        return [each for each in self.held if id_ in (each, line_of(each))]

    def repeats(self, id_: str) -> str:
        """Return how a held call ends that is done already, or those of a fan-out; "" if it is a new one."""
        known = [event for event in (self.identified.get(each) for each in (id_, *self._items_held(id_))) if event]
        done = [event.known for event in known if event.done]
        return f"{NOT_REPEATED}: {done[0]}{f', and {len(done) - 1:,} more' if done[1:] else ''}" if done else ""

    def _items_held(self, id_: str) -> list[str]:
        return [each for each in self.holding if owner_of(each) == id_] if id_ in self.tallies.of else []

    @property
    def cost(self) -> Cost:
        """What the calls of models cost that have ended."""
        return cost_of(list(self.calls.values()))

    @property
    def costs(self) -> Costs:
        """What they cost by role, by task and by model."""
        return costs_of(list(self.calls.values()), self.tasks)

    @property
    def paused(self) -> bool:
        """Whether no new call may start."""
        return bool(self.pauses) and self.pauses[-1][1] is None

    def hold(self, id_: str) -> Hold | None:
        """Return what holds a ready task, or None if nothing does."""
        return self.holds[id_][-1] if id_ in self.holding else None

    # ---------------------------------------------------------------- tasks that come

    def _plan(self, event: TaskPlanned) -> None:
        old, new = self.tasks.get(event.task), event.planned
        if old is None:
            self._note(new, event, ready=self.readiness.plan(new, event.source))
        elif new.follows != old.follows:  # a repaired plan has it in another place
            self.tasks[event.task] = new
            if self.readiness.move(old, new):
                self._ready(event.task, event.at)

    def _note(self, task: Task, event: TaskPlanned | TaskExpanded, *, ready: bool) -> None:
        id_ = task.id
        self.tasks[id_], self.states[id_], self.born[id_] = task, "waiting", event.at
        self.round_of[id_] = event.round
        self.tallies.add(id_)
        if task.name:  # one that is assigned again means its last version
            self.names[task.name] = id_
        if ready:
            self._ready(id_, event.at)

    def _ready(self, id_: str, at: float) -> None:
        if self.states[id_] == "waiting" and self.tasks[id_].kind == "call":
            self._change(id_, "ready", at)

    def _change(self, id_: str, state: State, at: float) -> None:
        if id_ not in self.readiness.unneeded:
            if id_ not in self.states:  # nothing said that it was planned
                self.tallies.add(id_)
            self.tallies.move(id_, self.states.get(id_, "waiting"), state)
        self.states[id_] = state
        self.changes.append((id_, state, at))

    def _expand(self, event: TaskExpanded) -> None:
        fanout, at = event.task, event.at
        self._change(fanout, "running", at)
        self.spans[fanout] = [Span(fanout, event.attempt, at, at, None, "running")]
        self.tallies.open(fanout)
        for item in event.items:
            self._note(item, event, ready=self.readiness.plan(item, ""))
        for id_ in self.readiness.expand(fanout, tuple(item.id for item in event.items), at):
            self._ready(id_, at)

    def _choose(self, event: TaskChosen) -> None:
        if event.task in self.tasks and self.readiness.choose(event.task):
            self._ready(event.task, event.at)

    # ---------------------------------------------------------------- tasks that go on

    def _identify(self, event: TaskIdentified) -> None:
        self.identified[event.task] = event

    def _hold(self, event: TaskHeld) -> None:
        id_ = event.task
        self._let_go(id_, event.at)
        task = self.tasks.get(id_)
        if (task is None or task.kind == "call") and self.states.get(id_) != "ready":  # a fan-out as a whole goes on
            self._change(id_, "ready", event.at)
        self.holding.add(id_)
        self.holds.setdefault(id_, []).append(Hold(event.reason, event.arguments, event.at, None, event.mark))
        self.changes.append((id_, "held", event.at))

    def _judge(self, event: TaskApproved) -> None:
        self._let_go(event.task, event.at)

    def _let_go(self, id_: str, at: float) -> None:
        if id_ in self.holding:
            self.holding.remove(id_)
            self.holds[id_][-1] = self.holds[id_][-1]._replace(until=at)
            self.changes.append((id_, "held", at))

    def _start(self, event: TaskStarted) -> None:
        id_ = event.task
        self._let_go(id_, event.at)
        self.retries.pop(id_, None)
        if self.states.get(id_) != "ready":  # which item it waited for is not always known; when it was ready is
            self._change(id_, "ready", event.ready_at)
        self._change(id_, "running", event.at)
        self.busy[id_] = None
        span = Span(id_, event.attempt, event.ready_at, event.at, None, "running")
        self.spans.setdefault(id_, []).append(span)

    def _park(self, event: TaskParked) -> None:
        id_ = event.task
        if event.parked:
            self.busy.pop(id_, None)
            self.parked[id_] = event.provider
            self.parks.setdefault(id_, []).append(Park(event.provider, event.at))
            self.changes.append((id_, "parked", event.at))
        elif id_ in self.parked:
            self.busy[id_] = None
            self._unpark(id_, event.at)

    def _unpark(self, id_: str, at: float) -> None:
        if self.parked.pop(id_, None) is not None:
            self.parks[id_][-1] = self.parks[id_][-1]._replace(until=at)
            self.changes.append((id_, "parked", at))

    def _retry(self, event: TaskRetried) -> None:
        self._close_span(event.task, event.at, "failed", event.error)
        self.tallies.move(event.task, self.states[event.task], "waiting")
        self.states[event.task] = "waiting"
        self.changes.append((event.task, "retried", event.at))
        self.retries[event.task] = event

    def _end(self, event: TaskEnded) -> None:
        id_, at = event.task, event.at
        self._let_go(id_, at)
        self._close_span(id_, at, event.state)
        self.retries.pop(id_, None)
        if id_ not in self.ends:  # or the user gave another value
            self.tallies.fail(event, 1)
        self.ends[id_] = event
        self._change(id_, event.state, at)
        if type(event.outcome) is Skipped and event.outcome.not_needed and id_ not in self.readiness.unneeded:
            self.readiness.unneeded.add(id_)
            self.tallies.leave(id_)
        if event.state == "done" or id_ in self.readiness.unneeded:
            for reader in self.readiness.end(id_, at):
                self._ready(reader, at)
        else:
            self.readiness.lose(id_)
        for follower in self.readiness.pass_turn(id_, at):
            self._ready(follower, at)

    def _fetch(self, event: TaskFetched) -> None:
        end = self.ends.get(event.task)
        if end is not None:  # or the task goes on again meanwhile
            self.ends[event.task] = end._replace(outcome=event.outcome)

    def _revive(self, event: TaskRevived) -> None:
        id_, at = event.task, event.at
        end = self.ends.pop(id_, None)
        if end is None:
            return
        self.tallies.fail(end, -1)
        if id_ in self.tallies.of:  # a fan-out, which waits for some of its items again
            self._change(id_, "running", at)
            self.spans[id_][-1] = self.spans[id_][-1]._replace(ended=None, state="running")
        else:
            self._change(id_, "waiting", at)
        if self.readiness.revive(self.tasks[id_]):
            self._ready(id_, at)

    def _close_span(self, id_: str, at: float, state: State, error: str = "") -> None:
        self.busy.pop(id_, None)
        self._unpark(id_, at)
        tried = self.spans.get(id_)
        if tried and tried[-1].ended is None:
            tried[-1] = tried[-1]._replace(ended=at, state=state, error=error)

    # ---------------------------------------------------------------- the run

    def _begin(self, event: RunStarted) -> None:
        self.began, self.answer_type, self.after = event.started_at, event.answer_type, event.after

    def _begin_round(self, event: RoundStarted) -> None:
        self.rounds.append(Round(event.round, event.reason))
        self._problems = []
        # of a fan-out whose items failed in part a later round reads the others, so nothing of it waits for that
        failed = (id_ for id_, state in self.states.items() if state == "failed" and self.tasks[id_].kind == "fanout")
        self.readiness.readable.update(id_ for id_ in failed if getattr(self.ends[id_].outcome, "partial", None))

    def _problem(self, event: PlanProblem) -> None:
        self._problems.append(event.problem)

    def _close_text(self, event: PlanClosed) -> None:
        """Note the end of a text. If it is a plan, the tasks that were held until it was whole may go on."""
        text, plan = event.text, None
        if event.tasks is not None:
            tasks = tuple(self.tasks[id_] for id_ in event.tasks)
            plan = self.plan = Plan(
                tasks, event.final or JOIN, text, event.dialect, event.notes, event.after_tools or event.round > 0
            )
            # A line that the plan repeats keeps its task, which is older than what a refused text assigned to the name.
            self.names.update((task.name, task.id) for task in tasks if task.name)
            for id_ in [id_ for id_ in self.holding if self.holds[id_][-1].reason == "plan"]:
                self._let_go(id_, event.at)
        last = self._round
        repaired = (*last.repaired, last.text) if last.problems else last.repaired
        self.rounds[-1] = replace(last, text=text, plan=plan, problems=tuple(self._problems), repaired=repaired)
        self._problems = []

    @property
    def _round(self) -> Round:
        if not self.rounds:  # a plan that is only written
            self.rounds.append(Round(0))
        return self.rounds[-1]

    def _decide(self, event: Decided) -> None:
        self.rounds[-1:] = [replace(self._round, decision=event.decision)]
        if isinstance(event.decision, Answer):
            self.answer, self.cut = event.decision.value, event.decision.cut

    def _fail_answer(self, event: AnswerFailed) -> None:
        self.rounds[-1:] = [replace(self._round, failure=event.failure)]

    def _find_cluster(self, event: ClusterFound) -> None:
        more = f", {event.calls:,} calls at a time" if event.calls != event.workers else ""
        self.where = f"on {count_of(event.workers, 'Dask worker')}{more}"

    def _refuse_answer(self, event: AnswerRefused) -> None:
        self.refused.append(event)

    def _pause(self, event: Paused) -> None:
        if event.paused and not self.paused:
            self.pauses.append((event.at, None))
        elif self.paused and not event.paused:
            self.pauses[-1] = (self.pauses[-1][0], event.at)

    def _warn(self, event: Warned) -> None:
        self.warnings.setdefault(event.task, []).append(event.message)

    def _print(self, event: TaskPrinted) -> None:
        left = f"\n… {event.left}" if event.left else ""
        self.printed[event.task] = self.printed.get(event.task, "").removesuffix("\n" * bool(left)) + event.text + left

    def _finish(self, event: RunEnded) -> None:
        self.status, self.error = event.status, event.error
        for wait in list(self.waits.values()):  # of calls that could not be stopped
            self._wait(wait._replace(at=event.at, waits=False))

    # ---------------------------------------------------------------- models

    def _ask(self, event: ModelStarted) -> None:
        self.calls[event.call] = ModelCall(
            event.call, event.role, event.task, event.provider, event.model, event.at,
            messages=event.messages, address=event.address, round=event.round, at=self.began,
        )  # fmt: skip

    def _recall(self, event: ModelRecalled) -> None:
        self.calls[event.call] = ModelCall(
            event.call, event.role, event.task, event.provider, event.model, event.at, first=event.at, ended=event.at,
            usage=Usage(), messages=event.messages, address=event.address, round=event.round, at=self.began,
            saved=event.saved,
        )  # fmt: skip

    def _look(self, event: CacheLooked) -> None:
        self.looks.append(event)
        if event.task:
            self.looked[event.task] = event

    def _wait(self, event: ModelWaits) -> None:
        provider = event.provider
        if event.waits:
            self.waits[event.call] = event
            self._waits_since.setdefault(provider, event.at)
        else:
            self.waits.pop(event.call, None)
            if all(wait.provider != provider for wait in self.waits.values()):
                since = self._waits_since.pop(provider, event.at)
                self.waited[provider] = self.waited.get(provider, 0.0) + event.at - since

    def _chunk(self, event: ModelChunk) -> None:
        call = self.calls.get(event.call)
        self.received[event.call] = self.received.get(event.call, 0) + len(event.text)
        if call is not None and call.first is None:
            self.calls[event.call] = call._replace(first=event.at)

    def _answered(self, event: ModelEnded) -> None:
        self.usage += event.usage
        call = self.calls.get(event.call)
        if call is None:
            return
        self.calls[event.call] = call._replace(
            ended=event.at,
            error=event.error,
            answered=event.answered,
            usage=event.usage,
            grammar=event.grammar,
            template=event.template,
        )

    _folds: ClassVar[Mapping[type, Callable[[Progress, Any], None]]] = {
        RunStarted: _begin, ClusterFound: _find_cluster,
        TaskPlanned: _plan, TaskExpanded: _expand, TaskChosen: _choose, TaskHeld: _hold,
        TaskIdentified: _identify,
        TaskApproved: _judge, TaskStarted: _start, TaskParked: _park,
        TaskRetried: _retry, TaskEnded: _end, TaskFetched: _fetch, TaskRevived: _revive, RoundStarted: _begin_round,
        PlanProblem: _problem, PlanClosed: _close_text, Decided: _decide,
        AnswerFailed: _fail_answer, AnswerRefused: _refuse_answer,
        Paused: _pause, Warned: _warn, TaskPrinted: _print, RunEnded: _finish, ModelStarted: _ask,
        ModelRecalled: _recall, CacheLooked: _look, ModelWaits: _wait, ModelChunk: _chunk, ModelEnded: _answered,
    }  # fmt: skip
