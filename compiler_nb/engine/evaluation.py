"""Work of the evaluator: on the loop while it is light, otherwise afresh on a thread, with a slot and a timeout.

Theory of operation
    Expressions, arguments, guards and the sources of fan-outs are first evaluated Inline, on the loop, with a small
    budget. If that raises Heavy, an Evaluation takes over: an attempt like that of a tool, which calls the evaluator.
    It is pure, so nothing is lost by beginning anew. The evaluator looks up every few microseconds, and ends if it was
    asked to, or if its time is over. If it does not (a single call of a library takes long, and nothing can stop that),
    the evaluation is abandoned, as a sync tool is.

    An Evaluator does this for a session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter, sleep
from typing import Any, Final, Protocol, TypeAlias

from compiler_nb.engine.attempt import GRACE, Attempt, Host, failure_of
from compiler_nb.engine.call import Runner
from compiler_nb.engine.node import CANCELLED, Node
from compiler_nb.engine.schedule import Schedule
from compiler_nb.errors import ExpressionError
from compiler_nb.events import Log, TaskStarted, Warned
from compiler_nb.operations.bounds import LOOK, Account, Bounds, Heavy, Scope
from compiler_nb.outcome import ENDED, Cancelled, Failure
from compiler_nb.tool import Tool

TURN: Final = 0.02
"""Seconds after which work on the loop lets the rest of the loop have its turn."""
LIGHT: Final = 0.005
"""Seconds after which an expression is too heavy for the loop."""
AT_WORK: Final = 0.001
"""Seconds that an evaluation computes on its thread before it lets others go first."""
REST: Final = 0.00005
"""Seconds that it leaves them to begin: if it left none, it would be the first again itself."""
Work: TypeAlias = Callable[[Any, Scope], Any]
"""What the evaluator is asked to do with a tree or a task."""
_EVALUATOR: Final = Tool(lambda: None, name="expression")


class Inline:
    """Evaluates on the loop, in a scope that all light expressions of a run share.

    A turn of the loop begins with the first evaluation in it. `resume` is called in the next turn, to go on.
    """

    def __init__(self, scope: Scope, loop: asyncio.AbstractEventLoop, resume: Callable[[], object]) -> None:
        self.scope, self.loop, self.resume = scope, loop, resume
        scope.look = self._look
        self.turn_is_over = False  # whether so much was evaluated in it that the rest has to wait for the next
        self._turn: asyncio.Handle | None = None  # ends the turn, if anything was evaluated in it
        self._turn_began = self._began = 0.0

    def compute(self, work: Work, subject: Any) -> Any:
        """Return the evaluator's value, or the Failure that it is. Raises Heavy if it is too much for the loop."""
        scope, account = self.scope, self.scope.account
        self._began = perf_counter()
        if self._turn is None:
            self._turn, self._turn_began = self.loop.call_soon(self._next_turn), self._began
        elif self._began - self._turn_began > TURN:
            self.turn_is_over = True
        scope.steps, scope.bytes, scope.mark = scope.whole
        try:
            if account.is_used_up:
                account.check()
            return work(subject, scope)
        except Heavy:
            self.turn_is_over = True  # what took so long for nothing, with threads that compute, too, ends the turn
            scope.notes.clear()
            raise
        except BaseException as error:  # noqa: BLE001 - operators of a user's object may raise anything
            return failure_of(error)
        finally:
            spent = scope.bounds.steps - scope.steps
            if spent > LOOK:
                account.charge(spent, perf_counter() - self._began)
            else:  # what is over in a moment is not worth a look at the clock, nor at the account
                account.steps -= spent

    def close(self) -> None:
        """Go on in no further turn."""
        self.scope.look = None  # or the two would hold each other
        if self._turn is not None:
            self._turn.cancel()

    def _look(self) -> None:
        """Called by the evaluator while it works."""
        if perf_counter() > self._began + LIGHT:
            self.scope.heavy()

    def _next_turn(self) -> None:
        self._turn, self.turn_is_over = None, False
        self.resume()


class Evaluation(Attempt):
    """One evaluation on a thread.

    work, subject: what is done in the scope, and with what; then: goes on with the value, a Failure or a Cancelled;
    claims: whether it needs a slot of its own, for its node has none.
    """

    __slots__ = ("_rests", "began", "claims", "scope", "seconds", "subject", "then", "work")

    def __init__(  # noqa: PLR0917 - what an evaluation is
        self,
        node: Node,
        work: Work,
        subject: Any,
        then: Callable[[Any], None],
        scope: Scope,
        runner: Runner,
        host: Host,
    ) -> None:
        super().__init__(node, _EVALUATOR, (), {}, runner, host)
        self.function, self.work, self.subject, self.then, self.scope = self._evaluate, work, subject, then, scope
        self.claims = node.state != "running" or node.task.kind != "call"
        scope.look = self._look
        self.seconds = min(scope.bounds.seconds, max(scope.account.seconds, 0.0))
        self.began = self._rests = 0.0  # when it began, 0.0 if it has not, and when it rests, on the machine's clock

    def begin(self) -> None:
        """Have a thread do it."""
        self.host.timer.watch(self, self.seconds + GRACE)
        self.runner.start(self)

    def settle(self) -> None:
        """Charge the run's account with what the evaluation took; called once, when it has ended."""
        spent = self.scope.bounds.steps - self.scope.steps
        self.scope.account.charge(spent, perf_counter() - self.began if self.began else 0.0)
        self.function = _EVALUATOR.function  # its own would keep it alive, and all values that it reads

    def _evaluate(self) -> Any:
        """Called on the thread."""
        self.began = perf_counter()
        try:
            self.scope.account.check()
            return self.work(self.subject, self.scope)
        finally:
            self.scope.look = None  # as above; not sooner, for a thread that is abandoned ends when it looks up

    def _look(self) -> None:
        """Called on the thread by the evaluator, which an error ends."""
        now = perf_counter()
        if self.stopped is not None or now - self.began > self.seconds:
            raise self._late()
        if now > self._rests:
            sleep(REST)  # Python would let the loop's thread wait 5 ms for each thread that computes, time and again
            self._rests = perf_counter() + AT_WORK

    def _late(self) -> ExpressionError:
        bounds = self.scope.bounds
        if self.seconds < bounds.seconds:
            return bounds.error("run_seconds", "the expressions of this run take", "seconds")
        return bounds.error("seconds", "the expression takes", "seconds")

    def raised(self, error: BaseException) -> None:
        """End with what an exception means, or with the reason of the stop."""
        if self.stopped is not None:
            self.end(self.stopped)
        elif perf_counter() - self.began > self.seconds:
            self.end(Failure("timeout", str(error), error.with_traceback(None)))
        else:
            self.end(failure_of(error))

    def time_out(self) -> None:
        """Stop it, if its time is over on the machine's clock, too: that of the loop may be another."""
        left = self.seconds + GRACE - (perf_counter() - self.began if self.began else 0.0)
        if left > 0:
            self.host.timer.watch(self, left)
        elif not self.over and self.stopped is None:
            self.stop(Failure("abandoned", f"{self._late()}; its thread cannot be stopped"))

    def stop(self, outcome: Failure | Cancelled) -> None:
        """Ask the evaluator to end, which sees it at its next look."""
        self.stopped = outcome
        if self.handle is None:  # it waits for a slot
            self.end(outcome)
        elif self.began:
            self.host.timer.call(GRACE, self._abandon)
        else:
            self._abandon()


class EvaluatorHost(Host, Protocol):
    """What an evaluator asks of the session that it works for, besides what an attempt does."""

    inputs: dict[str, Any]
    log: Log
    schedule: Schedule
    attempts: dict[str, Attempt]

    def perform(self, nodes: Iterable[Node]) -> None:
        """Do what the schedule has handed out."""


class Evaluator:
    """Evaluates for one session: at once, or on a thread if that is too heavy for the loop.

    outcomes: what references stand for, by id; bounds: what expressions may cost; runner: None if the platform has no
    threads, so that everything is evaluated on the loop, within bounds that keep it short.
    """

    def __init__(
        self, session: EvaluatorHost, outcomes: Mapping[str, Any], bounds: Bounds, runner: Runner | None
    ) -> None:
        self.session, self.runner = session, runner
        account = Account(bounds if runner is not None else bounds.on_loop())
        self.scope = Scope(outcomes, session.inputs, account=account, inline=runner is not None)
        self.inline = Inline(self.scope, session.loop, lambda: session.perform(()))
        self.noted: set[str] = set()  # calls whose arguments are evaluated on a thread: their start is noted already

    def compute(self, node: Node, work: Work, subject: Any) -> Any:
        """Return the value of some work for a node, or the Failure that it is. Raises Heavy if it is to be deferred."""
        outcome = self.inline.compute(work, subject)
        self.tell_notes(node.task.id, self.scope)
        return outcome

    def defer(self, node: Node, work: Work, subject: Any, then: Callable[[Any], None]) -> None:
        """Do heavy work on a thread, and go on with its value, a Failure or a Cancelled."""
        session = self.session
        scope = Scope(self.scope.values, session.inputs, account=self.scope.account)
        assert self.runner is not None  # noqa: S101 - without threads nothing is too heavy
        evaluation = Evaluation(node, work, subject, then, scope, self.runner, session)
        session.attempts[node.task.id] = evaluation
        if evaluation.claims:
            session.perform(session.schedule.claim(node))
        else:
            self.begin(node, evaluation)

    def begin(self, node: Node, evaluation: Attempt) -> None:
        """Begin an evaluation that has a slot."""
        task = node.task
        if node.state in ENDED:
            evaluation.end(CANCELLED)
            return
        if node.state == "running" and task.kind != "fanout" and task.id:
            self.session.log.emit(TaskStarted, task.id, node.attempt, node.ready_at)
            if task.kind == "call":
                self.noted.add(task.id)
        evaluation.begin()

    def ended(self, evaluation: Evaluation, outcome: Any) -> None:
        """Give an evaluation's slot back, and go on with what came of it, unless its task has ended meanwhile."""
        node = evaluation.node
        nodes = self.settle(evaluation)
        if node.state not in ENDED:
            self.tell_notes(node.task.id, evaluation.scope)
            evaluation.then(outcome)
        self.session.perform(nodes)

    def settle(self, evaluation: Evaluation) -> list[Node]:
        """Charge the run with an evaluation that has ended, give its slot back, and return what gets that."""
        evaluation.settle()
        return self.session.schedule.release(evaluation.node) if evaluation.claims else []

    def tell_notes(self, id_: str, scope: Scope) -> None:
        """Record what a reader of a task should know of how an expression of it was evaluated."""
        if scope.notes:
            for note in dict.fromkeys(scope.notes):
                self.session.log.emit(Warned, id_, note)
            scope.notes.clear()

    def close(self) -> None:
        """Go on in no further turn of the loop."""
        self.inline.close()
