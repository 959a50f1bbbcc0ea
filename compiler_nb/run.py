"""Run: one question answered, and what a user holds of it."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from compiler_nb import trace
from compiler_nb.engine.limits import find_lanes
from compiler_nb.errors import RunFailed, ToolError
from compiler_nb.events import Decided, Event, Log, ModelStarted, RunEnded, TaskEnded
from compiler_nb.models.secret import mask
from compiler_nb.outcome import ENDED, NOT_DONE, Answer, Cancelled, Failure, Replan, State, Status, Usage
from compiler_nb.settings.budget import cost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compiler_nb.drawing.svg import Picture
    from compiler_nb.drawing.timeline import Timeline
    from compiler_nb.models.secret import Secret
    from compiler_nb.notebook.live.view import View
    from compiler_nb.plan.plan import Plan
    from compiler_nb.plan.task import Task
    from compiler_nb.settings.order import Order
    from compiler_nb.settings.settings import Settings


class Steered(Protocol):
    """What performs the tasks of a run, on its loop."""

    def pause(self, paused: bool) -> None:  # noqa: FBT001 - the word says it
        """Start no new call, or go on."""
        ...

    def approve(self, id_: str, by: str = "user", mark: str = "") -> None:
        """Let a held task start."""
        ...

    def deny(self, id_: str, by: str = "user", reason: str = "", mark: str = "") -> None:
        """End a held task."""
        ...


class Run:
    """A question, its rounds, and everything that came of them.

    status: "running", then "done" (there is an answer), "failed", "cancelled" or "limit" (of time, budget or replans);
    error: why there is no answer, "" where there is one. `run["ny"]` is a result; it raises the task's failure.
    """

    def __init__(self, order: Order, settings: Settings, log: Log) -> None:
        self.order, self.settings, self.log = order, settings, log
        self.status: Status = "running"
        self.error = ""
        self.answer: Any = None
        self._progress = trace.Progress()
        self.stop: Callable[[], None] | None = None  # cancels it, on any thread; None before it began and after its end
        self.steer: Callable[[Callable[[Steered], None]], None] | None = None  # calls a function with it, on its loop
        self.cancelling = False  # it is to be cancelled, even where it has not begun
        self._ended = threading.Event()

    # ---------------------------------------------------------------- what it is to do

    @property
    def id(self) -> str:
        """The name of the run in its events, and in a history."""
        return self.log.run

    @property
    def question(self) -> str:
        """What it answers, "" if it only runs a plan."""
        return self.order.question

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The values of the variables that it was offered."""
        return self.order.inputs

    # ---------------------------------------------------------------- what came of it

    @property
    def events(self) -> list[Event]:
        """What happened, in order."""
        return self.log.events

    @property
    def progress(self) -> trace.Progress:
        """What its events say, up to the last one."""
        return self._progress.catch_up(self.log.events)

    @property
    def rounds(self) -> tuple[trace.Round, ...]:
        """The passes of plan, run and join."""
        return tuple(self.progress.rounds)

    @property
    def plan(self) -> Plan | None:
        """The plan of the last round that has one."""
        return self.progress.plan

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
    def cost(self) -> float | None:
        """What all calls of models cost, in dollars by the list of the extra `prices`; None where one is not known."""
        return cost(self.events)

    @property
    def usage_by_task(self) -> dict[str, Usage]:
        """What the calls of models that tools made used, by task."""
        return trace.usage_by_task(self.events)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The keys that nothing shown of it may hold: those of its models (a stored run has none), and those set."""
        return self.settings.secrets

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        last = self.events[-1] if self.events else None
        return last.at if isinstance(last, RunEnded) else self.log.now()

    def state(self, id_: str) -> State:
        """Return the state of a task."""
        return trace.states(self.events)[self.id_of(id_)]

    def why(self, id_: str) -> str:
        """Say in words why a task waits or waited, or how it ended."""
        caps, lanes = find_lanes(self.settings.tools.values(), self.settings.caps)
        limits = {"": self.settings.max_concurrency, **caps}
        return trace.why(self.events, self.id_of(id_), at=self.seconds, limits=limits, lanes=lanes)

    def prompt(self, role: str = "planner") -> str:
        """Return the exact messages of the last call in a role (planner, repair, replan, joiner, worker)."""
        asked = [event for event in self.events if isinstance(event, ModelStarted) and event.role == role]
        if not asked:
            raise KeyError(f"no call was made as {role!r} in this run")
        return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in asked[-1].messages)

    def id_of(self, name: str) -> str:
        """Return the id of a task, by its id or its variable; raise KeyError where there is none."""
        known = self.tasks
        if name in known:
            return name
        for task in reversed(known.values()):
            if task.name == name:
                return task.id
        raise KeyError(f"no task {name!r} in this run; it has {', '.join(known) or 'none'}")

    def __getitem__(self, name: str) -> Any:
        """Return the result of a task, by its id or its variable; raise a ToolError where it has none."""
        id_ = self.id_of(name)
        if id_ not in self.outcomes:
            raise ToolError(f"{id_} has not ended: {self.why(id_)}")
        outcome = self.outcomes[id_]
        if isinstance(outcome, NOT_DONE):
            raise ToolError(f"{id_}: {outcome}") from getattr(outcome, "error", None)
        return outcome

    def partial(self, name: str) -> Any:
        """Return what there is of a fan-out: its value, with the failures of items in their places."""
        outcome = self.outcomes.get(self.id_of(name))
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

    def visualize(self) -> Picture:
        """Return the picture of its tasks, with states and hover texts: it shows itself anywhere, and has `save`."""
        from compiler_nb.drawing.svg import draw  # noqa: PLC0415 - only who looks needs it
        from compiler_nb.drawing.text import task_titles  # noqa: PLC0415 - as above

        tasks, states, plan = self.tasks.values(), trace.states(self.events), self.plan
        titles = task_titles(tasks, states, self.outcomes)
        drawn = draw(tasks, states=states, titles=titles, final=plan.final if plan is not None else None)
        return replace(drawn, svg=mask(drawn.svg, self.secrets), text=mask(drawn.text, self.secrets))

    def timeline(self) -> Timeline:
        """Return when what ran, with the critical path and times in words: it shows itself anywhere, and has `save`."""
        from compiler_nb.drawing.timeline import timeline  # noqa: PLC0415 - only who looks needs it

        progress, now = trace.Progress(self.events), self.seconds
        times = trace.times_of(progress, self.settings.max_concurrency, at=now)
        calls = [call for call in trace.calls(self.events) if not call.task]
        drawn = timeline(
            trace.spans(self.events), tasks=self.tasks, states=progress.states, calls=calls, critical=times.path,
            total=now, words=str(times),
        )  # fmt: skip
        return replace(drawn, svg=mask(drawn.svg, self.secrets), text=mask(drawn.text, self.secrets))

    def view(self) -> View:
        """Return the live view, for a page: the plan, its tasks, timeline, table, and all that is known of each."""
        from compiler_nb.notebook.live.view import View  # noqa: PLC0415 - the one way up, for who looks

        return View(self).follow()

    # ---------------------------------------------------------------- steering

    def cancel(self) -> None:
        """Stop the run, from any thread: what finished stays, the rest is cancelled."""
        if self.status == "running":
            self.cancelling, stop = True, self.stop
            if stop is not None:
                stop()

    def pause(self) -> None:
        """Start no new task, from any thread; what runs goes on, and so do the planner and the joiner."""
        self._steer(lambda session: session.pause(paused=True))

    def go(self) -> None:
        """Let tasks start again, from any thread."""
        self._steer(lambda session: session.pause(paused=False))

    def approve(self, name: str, mark: str = "") -> None:
        """Let a task with side effects start that waits for approval, from any thread; nothing where none does.

        mark: the digest of the arguments that are meant, as TaskHeld tells it; with others nothing happens.
        """
        id_ = self.id_of(name)
        self._steer(lambda session: session.approve(id_, mark=mark))

    def deny(self, name: str, mark: str = "") -> None:
        """End a task that waits for approval as denied, from any thread; nothing where none does."""
        id_ = self.id_of(name)
        self._steer(lambda session: session.deny(id_, mark=mark))

    @property
    def held(self) -> dict[str, str]:
        """The arguments of the tasks that wait for approval, by id."""
        return trace.held(self.events)

    def _steer(self, what: Callable[[Steered], None]) -> None:
        if self.steer is not None:
            self.steer(what)

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
            self.stop = self.steer = None
            self._ended.set()

    def give_up(self, reason: str) -> None:
        """Note, on any thread, that it goes on and nobody can stop it: nothing that it does counts any more."""
        for id_, state in trace.states(list(self.events)).items():
            if state not in ENDED:
                self.log.emit(TaskEnded, id_, 0, "cancelled", Cancelled(reason), "")
        self.end("cancelled", reason)
        self.log.close()

    def restore(self, status: Status, error: str, answer: Any) -> None:
        """Note how a stored run ended; nothing is emitted."""
        self.status, self.error, self.answer = status, error, answer
        self._ended.set()

    def decide(self, decision: Answer | Replan, by: str) -> None:
        """Note what the joiner, or the plan itself, decided."""
        if isinstance(decision, Answer):
            self.answer = decision.value
        self.log.emit(Decided, decision, by)

    def __repr__(self) -> str:
        count = len(self.tasks)
        told = f", {self.error[:80]}" if self.error else ""
        return f"<run {self.status}: {count} task{'' if count == 1 else 's'}{told}>"
