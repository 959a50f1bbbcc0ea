"""Run: one question answered, and what a user holds of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compiler_nb import trace
from compiler_nb.errors import RunFailed, ToolError
from compiler_nb.events import Decided, Event, Log, ModelStarted, RunEnded, TaskEnded
from compiler_nb.outcome import NOT_DONE, Answer, Failure, Problem, Replan, State, Status, Usage
from compiler_nb.plan.task import Plan, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compiler_nb.compiler import Compiler


@dataclass
class Round:
    """One pass of plan, run and join: the plan (None where its text is none), its problems, and what was decided."""

    number: int
    reason: str = ""
    text: str = ""
    plan: Plan | None = None
    problems: tuple[Problem, ...] = ()
    decision: Answer | Replan | None = None
    repaired: list[str] = field(default_factory=list)  # the texts that were no plan


class Run:
    """A question, its rounds, and everything that came of them.

    status: "running", then "done" (there is an answer), "failed", "cancelled" or "limit" (of time, budget or replans);
    error: why there is no answer, "" where there is one. `run["ny"]` is a result; it raises the task's failure.
    """

    def __init__(self, id_: str, question: str, compiler: Compiler, inputs: Mapping[str, Any], log: Log) -> None:
        self.id, self.question, self.compiler, self.inputs, self.log = id_, question, compiler, dict(inputs), log
        self.status: Status = "running"
        self.error = ""
        self.answer: Any = None
        self.rounds: list[Round] = []
        self.stop: Callable[[], None] | None = None  # cancels it, on any thread; None before it began and after its end
        self.cancelling = False  # it is to be cancelled, even where it has not begun
        self._ended = threading.Event()

    # ---------------------------------------------------------------- what came of it

    @property
    def events(self) -> list[Event]:
        """What happened, in order."""
        return self.log.events

    @property
    def plan(self) -> Plan | None:
        """The plan of the last round that has one."""
        return next((round_.plan for round_ in reversed(self.rounds) if round_.plan is not None), None)

    @property
    def tasks(self) -> dict[str, Task]:
        """Every task by id, items of fan-outs included."""
        return trace.tasks(self.events)

    @property
    def outcomes(self) -> dict[str, Any]:
        """How each ended task ended, in the plan's order: its value, a Failure, Skipped or Cancelled."""
        ended = {event.task: event.outcome for event in self.events if isinstance(event, TaskEnded)}
        return {id_: ended[id_] for id_ in self.tasks if id_ in ended}

    @property
    def results(self) -> dict[str, Any]:
        """The values of the tasks that are done, by id."""
        return {id_: value for id_, value in self.outcomes.items() if not isinstance(value, NOT_DONE)}

    @property
    def failures(self) -> dict[str, Any]:
        """The Failure, Skipped or Cancelled of the others, by id."""
        return {id_: value for id_, value in self.outcomes.items() if isinstance(value, NOT_DONE)}

    @property
    def usage(self) -> Usage:
        """What all calls of models used, those that tools made included."""
        return trace.usage(self.events)

    @property
    def usage_by_task(self) -> dict[str, Usage]:
        """What the calls of models that tools made used, by task."""
        return trace.usage_by_task(self.events)

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        last = self.events[-1] if self.events else None
        return last.at if isinstance(last, RunEnded) else self.log.now()

    def state(self, id_: str) -> State:
        """Return the state of a task."""
        return trace.states(self.events)[self._id(id_)]

    def why(self, id_: str) -> str:
        """Say why a task waits, or how it ended."""
        return trace.why(self.events, self._id(id_))

    def prompt(self, role: str = "planner") -> str:
        """Return the exact messages of the last call in a role (planner, repair, replan, joiner, worker)."""
        asked = [event for event in self.events if isinstance(event, ModelStarted) and event.role == role]
        if not asked:
            raise KeyError(f"no call was made as {role!r} in this run")
        return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in asked[-1].messages)

    def _id(self, name: str) -> str:
        known = self.tasks
        if name in known:
            return name
        for task in reversed(known.values()):
            if task.name == name:
                return task.id
        raise KeyError(f"no task {name!r} in this run; it has {', '.join(known) or 'none'}")

    def __getitem__(self, name: str) -> Any:
        """Return the result of a task, by its id or its variable; raise a ToolError where it has none."""
        id_ = self._id(name)
        if id_ not in self.outcomes:
            raise ToolError(f"{id_} has not ended: {self.why(id_)}")
        outcome = self.outcomes[id_]
        if isinstance(outcome, NOT_DONE):
            raise ToolError(f"{id_}: {outcome}") from getattr(outcome, "error", None)
        return outcome

    def partial(self, name: str) -> Any:
        """Return what there is of a fan-out: its value, with the failures of items in their places."""
        outcome = self.outcomes.get(self._id(name))
        return outcome.partial if isinstance(outcome, Failure) else outcome

    def raise_for_failures(self) -> Run:
        """Raise RunFailed where a task failed or the run has no answer; return the run otherwise."""
        failed = {id_: outcome for id_, outcome in self.failures.items() if isinstance(outcome, Failure)}
        if failed or self.status not in ("done", "running"):
            told = "; ".join(f"{id_}: {outcome.message}" for id_, outcome in failed.items())
            raise RunFailed(told or self.error or self.status, self)
        return self

    def to_pandas(self) -> Any:
        """Return a DataFrame with a row per task: id, tool, state, ready, started, ended (seconds), tokens, outcome."""
        import pandas as pd  # noqa: PLC0415 - an extra

        spans = {span.task: span for span in trace.spans(self.events)}
        used, states, outcomes = self.usage_by_task, trace.states(self.events), self.outcomes
        rows = []
        for id_, task in self.tasks.items():
            span = spans.get(id_)
            rows.append({
                "task": id_, "kind": task.kind, "tool": task.tool, "state": states[id_],
                "ready": span and span.ready, "started": span and span.started, "ended": span and span.ended,
                "tokens": used.get(id_, Usage()).tokens, "outcome": outcomes.get(id_),
            })  # fmt: skip
        return pd.DataFrame(rows)

    def visualize(self) -> Any:
        """Return the picture of its plan with the states of its tasks."""
        from compiler_nb.drawing.svg import draw  # noqa: PLC0415 - only who looks needs it

        return draw(self.plan or Plan(()), states=trace.states(self.events))

    # ---------------------------------------------------------------- steering

    def cancel(self) -> None:
        """Stop the run, from any thread: what finished stays, the rest is cancelled."""
        if self.status == "running":
            self.cancelling, stop = True, self.stop
            if stop is not None:
                stop()

    def wait(self, timeout: float | None = None) -> Run:
        """Wait, on a thread that does not run it, until it has ended; raise TimeoutError after `timeout` seconds."""
        if not self._ended.wait(timeout):
            raise TimeoutError(f"the run has not ended after {timeout} s")
        return self

    def end(self, status: Status, error: str = "") -> None:
        """Note that it is over; the compiler calls this once."""
        if self.status == "running":
            self.status, self.error = status, error
            self.log.emit(RunEnded, status, error)
            self.stop = None
            self._ended.set()

    def decide(self, decision: Answer | Replan, by: str) -> None:
        """Note what the joiner, or the plan itself, decided."""
        if isinstance(decision, Answer):
            self.answer = decision.value
        self.rounds[-1].decision = decision
        self.log.emit(Decided, decision, by)

    def __repr__(self) -> str:
        count = len(self.tasks)
        told = f", {self.error[:80]}" if self.error else ""
        return f"<run {self.status}: {count} task{'' if count == 1 else 's'}{told}>"
