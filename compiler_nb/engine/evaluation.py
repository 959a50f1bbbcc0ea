"""Work of the evaluator that is too heavy for the loop: done afresh on a thread, with a slot and a timeout.

Theory of operation
    Expressions, arguments, guards and the sources of fan-outs are first evaluated on the loop, with a small budget. If
    that raises Heavy, an Evaluation takes over: an attempt like that of a tool, which calls the evaluator. It is pure,
    so nothing is lost by beginning anew. The evaluator looks up every few microseconds, and ends if it was asked to, or
    if its time is over. If it does not (a single call of a library takes long, and nothing can stop that), the
    evaluation is abandoned, as a sync tool is.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from compiler_nb.engine.attempt import GRACE, Attempt, Host, failure_of
from compiler_nb.engine.node import Node
from compiler_nb.engine.runners import Runner
from compiler_nb.errors import ExpressionError
from compiler_nb.outcome import Cancelled, Failure
from compiler_nb.plan.bounds import Scope
from compiler_nb.tool import Tool

_EVALUATOR: Final = Tool(lambda: None, name="expression")


class Evaluation(Attempt):
    """One evaluation on a thread.

    compute: does it in the scope; then: goes on with its value, a Failure or a Cancelled; claims: whether it needs a
    slot of its own, for its node has none.
    """

    __slots__ = ("began", "claims", "compute", "scope", "seconds", "then")

    def __init__(  # noqa: PLR0917 - what an evaluation is
        self,
        node: Node,
        compute: Callable[[Scope], Any],
        then: Callable[[Any], None],
        scope: Scope,
        runner: Runner,
        host: Host,
    ) -> None:
        super().__init__(node, _EVALUATOR, (), {}, runner, host)
        self.function, self.compute, self.then, self.scope = self._evaluate, compute, then, scope
        self.claims = node.state != "running" or node.task.kind != "call"
        scope.look = self._look
        self.seconds = min(scope.bounds.seconds, max(scope.account.seconds, 0.0))
        self.began = 0.0  # on the machine's clock, 0.0 if it has not begun

    def begin(self) -> None:
        """Have a thread do it."""
        self.host.timer.watch(self, self.seconds + GRACE)
        self.runner.start(self)

    def _evaluate(self) -> Any:
        """Called on the thread."""
        self.began = perf_counter()
        self.scope.account.check()
        return self.compute(self.scope)

    def _look(self) -> None:
        """Called on the thread by the evaluator, which an error ends."""
        if self.stopped is not None or perf_counter() - self.began > self.seconds:
            raise self._late()

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
