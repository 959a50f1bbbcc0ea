"""Run: one question answered, and what a user holds of it."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from compiler_nb import trace
from compiler_nb.engine.effects.ledger import Entry
from compiler_nb.engine.node import find_lanes
from compiler_nb.errors import RunFailed, SteerError, ToolError
from compiler_nb.events import Event, Log
from compiler_nb.models.secret import mask_all
from compiler_nb.operations.weights import is_a
from compiler_nb.outcome import NOT_DONE, Failure, Skipped, State, Status, Usage, is_lost
from compiler_nb.plan.losses import Failures
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import owner_of
from compiler_nb.settings.control import Control
from compiler_nb.settings.order import Order
from compiler_nb.settings.settings import Settings
from compiler_nb.text import count_of, cut, suggest
from compiler_nb.tool import Tool
from compiler_nb.toolbox.language import LanguageTool
from compiler_nb.tracebacks import caused
from compiler_nb.values.remotes import remotes_in, with_values

if TYPE_CHECKING:  # loaded only if it is used
    from compiler_nb.drawing.picture import Forms, Picture
    from compiler_nb.drawing.preferences import Engine

_TOLD: Final = 80
_DRAWN: Final = (".svg", ".png", ".pdf", ".txt", ".dot")
"""The endings of files that show the picture."""
_LISTED: Final = 60
"""Most tasks that `why` speaks of without a name."""
_INNER: Final = frozenset({
    "at", "bring_home", "control", "effects", "has_changed", "id_of", "log", "marks", "order", "progress", "times",
    "wait", "words",
})  # fmt: skip


class Run:
    """A question, its rounds, and everything that came of them.

    `run["ny"]` is a result, or raises the task's failure. A run is its events: everything else is folded from them when
    somebody asks, so that a running, an ended and a stored one answer alike, and no copy can disagree.
    """

    def __init__(self, order: Order, settings: Settings, log: Log, control: Control | None = None) -> None:
        self.order, self.settings, self.log, self.control = order, settings, log, control or Control()
        # A run that comes from another adds to the side effects of its lineage; any other begins a list of its own.
        self.effects: list[Entry] = order.past.effects if order.past.parent or order.past.follow else []
        self.marks: Mapping[str, Callable[[], bool]] = {}  # whether an input was changed since the run began
        self._progress = trace.Progress(log.events)
        self._times: tuple[int, trace.Times] | None = None  # of a run that has ended, with how many events it had

    # ---------------------------------------------------------------- what it is to do

    @property
    def id(self) -> str:
        """The name of the run in its events, and in a history."""
        return self.log.run

    @property
    def at(self) -> datetime | None:
        """When it began, in local time; None if it has not."""
        began = self.progress.began
        return datetime.fromtimestamp(began).astimezone() if began else None

    @property
    def question(self) -> str:
        """What it answers, "" if it only runs a plan."""
        return self.order.question

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The values of the variables that it was offered."""
        return self.order.inputs

    def has_changed(self, name: str) -> bool:
        """Whether an input, the same object still, was changed since the run began, as far as that can be seen."""
        return name in self.marks and self.marks[name]()

    # ---------------------------------------------------------------- what came of it

    @property
    def events(self) -> list[Event]:
        """What happened, in order."""
        return self.log.events

    @property
    def progress(self) -> trace.Progress:
        """What its events say, up to the last one."""
        return self._progress.catch_up()

    @property
    def status(self) -> Status:
        """How it stands: "running", then "done" (there is an answer), "failed", "cancelled", or "limit".

        A limit is one of time, budget or replans.
        """
        return self.progress.status

    @property
    def error(self) -> str:
        """Why there is no answer, or "" if there is one."""
        return self.progress.error

    @property
    def answer(self) -> Any:
        """The answer, or None if there is none yet."""
        return self.progress.answer

    @property
    def answer_cut(self) -> str:
        """At which limit of the joiner's reply the answer is cut off, and how to allow more; "" if it is whole."""
        return self.progress.cut

    @property
    def answer_type(self) -> str:
        """The name of the type that the answer is to have, such as "float"; "" if that is open."""
        return self.progress.answer_type

    @property
    def after(self) -> str:
        """The id of the run that its question follows, "" if it follows none."""
        return self.progress.after

    @property
    def rounds(self) -> tuple[trace.Round, ...]:
        """The passes of plan, run and join."""
        return tuple(self.progress.rounds)

    @property
    def plan(self) -> Plan | None:
        """The plan of the last round that has one."""
        return self.progress.plan

    @property
    def results(self) -> dict[str, Any]:
        """The values of the tasks that are done, by id; what has stayed on a cluster comes home."""
        self.bring_home()
        return {id_: value for id_, value in self.progress.outcomes.items() if not is_a(value, NOT_DONE)}

    def bring_home(self, ids: Iterable[str] | None = None, largest: float = math.inf) -> None:
        """Have the values of these tasks, or of all, in this process; they may have stayed on a cluster.

        largest: bytes up to which a value comes. Raises ClusterError if that cannot be done.
        """
        if self.settings.engine == "local":
            return
        ends = self.progress.ends
        for id_ in list(ends) if ids is None else ids:
            remotes = list(dict.fromkeys(remotes_in(ends[id_].outcome))) if id_ in ends else []
            if remotes and sum(each.size for each in remotes) <= largest:
                found = dict(zip(remotes, remotes[0].place.fetch(remotes), strict=True))
                with self.progress.lock:
                    ends[id_] = ends[id_]._replace(outcome=with_values(ends[id_].outcome, found))

    @property
    def failures(self) -> Failures:
        """The Failure, Skipped or Cancelled of the others, by id; those that were not needed are no failures.

        A plan's own answer that cannot be evaluated is "answer". As text it is a line for each task: of the items of a
        fan-out each reason once, with their number and a few names.
        """
        lost = {id_: value for id_, value in self.progress.outcomes.items() if is_lost(value)}
        unanswered = [each.failure for each in self.rounds if each.failure is not None]
        return Failures(lost | ({"answer": unanswered[-1]} if unanswered else {}))

    @property
    def usage(self) -> Usage:
        """What all calls of models used, those that tools made included."""
        return self.progress.usage

    @property
    def cost(self) -> float | None:
        """What these calls cost in dollars, or None if the price of one is not known; 0 if all were free.

        Prices are those of `set_price`, and of the list in the extra `prices`. A model's price is that of the one that
        answered. `costs` has it by role and task.
        """
        return self.progress.cost.dollars

    def costs(self) -> trace.Costs:
        """Return what the calls of models cost: in all, by role, by task and by model, in tokens and dollars.

        As text it says each role's share: `planner 62 % of $0.0031 · joiner 21 % · llm 17 %`.
        """
        return self.progress.costs

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return self.log.now() if self.status == "running" else self.progress.at

    def state(self, name: str) -> State:
        """Return the state of a task, one of seven, by its name; raises KeyError if there is no such task."""
        return self.progress.states[self.id_of(name)]

    def why(self, name: str = "") -> str:
        """Say in words why a task waits or waited, or how it ended; name: its variable or its id.

        Without a name, say so for all that have not ended, each with its name; if all have, what took the run's time,
        and then so for each. Raises KeyError if there is no such task.
        """
        words = self.words()
        id_ = self.id_of(name) if name else ""
        with words.progress.lock:
            if id_:
                return words.whole(id_)
            took = [f"the run took {self.times()}"] if self.status != "running" else []
            return "\n".join([*took, *words.all(_LISTED)])

    def cached(self) -> str:
        """Return what the cache knew of this run, and why it did not know the rest: a line for each."""
        looks = self.progress.looks
        lines = [
            f"{look.task or look.role}: {'' if look.hit else 'not '}from the cache: {look.told}" for look in list(looks)
        ]
        shown, more = lines[:_LISTED], len(lines) - _LISTED
        return "\n".join([*shown, *([f"… {more:,} more"] if more > 0 else [])]) or "the cache was not asked"

    def words(self) -> trace.Words:
        """Return what says why tasks wait now, with this run's own limits."""
        return trace.Words(self.progress, self.seconds, *self._limits, self._effects)

    @functools.cached_property
    def _limits(self) -> tuple[dict[str, int], dict[str, tuple[str, ...]]]:
        caps, lanes = find_lanes(self.settings.tools.values(), self.settings.caps)
        return {"": self.settings.max_concurrency, **caps}, lanes

    @functools.cached_property
    def _effects(self) -> frozenset[str]:
        return frozenset(name for name, tool in self.settings.tools.items() if tool.side_effects)

    def prompt(self, role: str = "planner", number: int = -1, *, since: Run | None = None) -> str:
        """Return the exact messages of a call of a model.

        role: planner, repair, replan, joiner or worker, or the name of a task that asked; number: which of its calls,
        from 0. Defaults to the last. since: another run: lines that only its prompt has begin with "- ", those that
        only this one has with "+ ", all others with two blanks. If the reply was held to a grammar, a last line in
        brackets says so. Raises KeyError if there is no such call.
        """
        sent = trace.exchange(self.progress, role, number).sent
        return sent if since is None else _marked(trace.counterpart(since.progress, role, number).sent, sent)

    def reply(self, role: str = "planner", number: int = -1, *, since: Run | None = None) -> str:
        """Return what a model replied, as it came: the raw text; arguments and errors are those of `prompt`."""
        came = trace.exchange(self.progress, role, number).reply
        return came if since is None else _marked(trace.counterpart(since.progress, role, number).reply, came)

    def disclosed(self) -> trace.Disclosure:
        """Return what left this machine: call by call of a model, to whom, and how much of what it was."""
        tools = self.settings.tools.values()
        senders = {tool.name for tool in tools if tool.provider and not isinstance(tool, LanguageTool)}
        return trace.disclosure(self.progress, senders)

    def id_of(self, name: str) -> str:
        """Return the id of a task, by its variable or its id; raises KeyError if there is no such task.

        The variable goes first: `x` is the last task that was assigned to it, and the first one's id is `x`, too.
        """
        progress = self.progress
        id_ = progress.names.get(name) or (name if name in progress.tasks else None)
        if id_ is None:
            named = [each for each in progress.tasks if not owner_of(each)]
            listed = ", ".join(named[:_LISTED]) + (f", … {len(named) - _LISTED:,} more" if named[_LISTED:] else "")
            near = suggest(name, [*progress.names, *progress.tasks])
            raise KeyError(f"no task {name!r} in this run; its tasks are: {listed or 'none'}.{near}".removesuffix("."))
        return id_

    def __getitem__(self, name: str) -> Any:
        """Return the result of a task, by its variable or its id.

        Raises a ToolError if it has none. Its cause is what the tool raised, or that of the task for which this one was
        skipped, and `%debug` after it opens the tool's frame.
        """
        id_ = self.id_of(name)
        self.bring_home([id_])
        end = self.progress.ends.get(id_)
        if end is None:
            raise ToolError(f"{id_} has not ended: {self.why(name)}")
        if is_a(end.outcome, NOT_DONE):
            raise caused(ToolError(f"{id_}: {end.outcome}"), self._error_of(end.outcome))
        return end.outcome

    def _error_of(self, outcome: Any) -> BaseException | None:
        """Return what a tool raised, so that the task failed or was skipped; None if nothing was raised."""
        if is_a(outcome, Skipped) and (end := self.progress.ends.get(outcome.cause)) is not None:
            outcome = end.outcome
        return getattr(outcome, "error", None) if is_a(outcome, Failure) else None

    def partial(self, name: str) -> Any:
        """Return the value of a fan-out, with failures in the places of failed items; of another task its value."""
        id_ = self.id_of(name)
        self.bring_home([id_])
        end = self.progress.ends.get(id_)
        outcome: Any = end.outcome if end is not None else None
        return outcome.partial if is_a(outcome, Failure) else outcome

    def raise_for_failures(self) -> Run:
        """Raise RunFailed if a task failed or the run has no answer; return the run otherwise.

        Items that `drop_failed` left out are no reason.
        """
        left_out = self.progress.left_out
        failed = {
            id_: outcome
            for id_, outcome in self.failures.items()
            if isinstance(outcome, Failure) and owner_of(id_) not in left_out
        }
        if failed or self.status not in ("done", "running"):
            told = "; ".join(f"{id_}: {outcome.message}" for id_, outcome in failed.items())
            cause = next((outcome.error for outcome in failed.values() if outcome.error is not None), None)
            raise caused(RunFailed(told or self.error or self.status, self), cause)
        return self

    def to_pandas(self) -> Any:
        """Return a DataFrame with a row per task.

        Its columns: task, kind, tool, state; ready, started, ended (of its last attempt, in seconds since the run
        began); tokens, outcome; at (local time when that attempt started), model (all that it asked), cost (dollars,
        missing if a price is not known), how (where the outcome comes from if no
        attempt made it: "set by you", "pinned", "adopted", "not repeated: …").
        """
        import pandas as pd  # noqa: PLC0415 - an extra

        return pd.DataFrame(trace.rows_of(self.progress))

    def visualize(self, engine: Engine = "auto", *, times: bool = True) -> Picture:
        """Return the picture of its tasks, with states and hover texts: it shows itself anywhere, and has `save`.

        engine: what chooses the places: "own", "graphviz", or "auto" for Graphviz if it is installed.
        """
        from compiler_nb.drawing.svg import draw_run  # noqa: PLC0415 - only who looks needs it

        return draw_run(self.progress, engine, at=self.seconds if times else None).masked(self.settings.secrets)

    def timeline(self) -> Picture:
        """Return when what ran, with the critical path and times in words: it shows itself anywhere, and has `save`."""
        from compiler_nb.drawing.timeline import timeline  # noqa: PLC0415 - only who looks needs it

        progress, now = self.progress, self.seconds
        with progress.lock:
            times = self.times()
            calls = [call for call in progress.calls.values() if not call.task]
            adopted = {id_: each for id_ in progress.readiness.adopted if (each := progress.source_of(id_))}
            return timeline(
                progress.attempts, tasks=progress.tasks, states=progress.states, calls=calls, chain=times.chain,
                rounds=progress.round_of, adopted=adopted, reasons=[each.reason for each in progress.rounds], total=now,
                words=str(times), costs={id_: str(cost) for id_, cost in progress.costs.tasks.items()},
            ).masked(self.settings.secrets)  # fmt: skip

    def diff(self, other: Run, names: tuple[str, str] = ("A", "B"), tools: Iterable[Tool] = ()) -> Any:
        """Return how this run became another: what they were asked, their plans, values, answers and figures.

        It shows itself in a notebook; `text` of it is text, `visualize()` a picture of both plans, `timeline()` one of
        when what ran; names: what the runs are called; tools: name the arguments of calls in runs that earlier versions
        stored.
        Raises ValueError if both are the same run.
        """
        from compiler_nb.diff.run_diff import RunDiff  # noqa: PLC0415 - only who compares needs it

        return RunDiff.of_runs(self, other, names, tools)

    def to_script(self, tools: Mapping[str, Any] | None = None) -> str:
        """Return its plan as a plain asyncio script, with its tools, inputs and limits: see `Plan.to_script`.

        tools: by name, in the place of those that only another session had. Raises KeyError if it has no whole plan.
        """
        from compiler_nb.history.past import plan_again  # noqa: PLC0415 - only who exports needs it
        from compiler_nb.script.script import write_script  # noqa: PLC0415 - as above

        settings = self.settings
        return write_script(
            plan_again(self), {**settings.tools, **(tools or {})}, inputs=self.inputs, question=self.question,
            max_concurrency=settings.max_concurrency, limits=settings.caps, secrets=settings.secrets,
            rates={name: words for name, limit in settings.limits.items() if (words := limit.per_minute)},
            drop_failed=settings.drop_failed,
        )  # fmt: skip

    def save(self, path: str | PathLike[str]) -> Path:
        """Write it in the form that the path's ending names, without keys; return the path.

        .jsonl: all of it, for `Run.load`; .trace.json: its times, for Perfetto or chrome://tracing; .html: a page; .py:
        its plan as a script;
        .svg, .png, .pdf, .txt or .dot: the picture (.png and .pdf need Graphviz and at most 200 tasks).
        Raises ValueError that lists these for another ending, RuntimeError if the form cannot be made here.
        """
        from compiler_nb.drawing.picture import save  # noqa: PLC0415 - only who saves needs it
        from compiler_nb.history.lines import write  # noqa: PLC0415 - as above
        from compiler_nb.notebook.output.document import run_page  # noqa: PLC0415 - the one way up, for who looks

        whole: Forms = {
            ".html": lambda: run_page(self),
            ".jsonl": lambda: write(self),
            ".trace.json": self._chrome,
            ".py": self.to_script,
        }
        return save(path, {**whole, **{form: functools.partial(self._drawn, form) for form in _DRAWN}})

    def _drawn(self, form: str) -> str | bytes | None:
        make = self.visualize().forms.get(form)
        return make() if make is not None else None

    def _chrome(self) -> str:
        from compiler_nb.trace.chrome import chrome_trace  # noqa: PLC0415 - only who saves one needs it

        data = chrome_trace(self.progress, self.id, self.question, self.seconds)
        return json.dumps(mask_all(data, self.settings.secrets))

    def to_otel(self, provider: Any = None, *, contents: bool = False) -> str:
        """Give it as spans of OpenTelemetry (extra `otel`) to a tracer provider; return the trace's id.

        provider: defaults to the global one; contents: whether prompts, replies, arguments, values and the words of
        errors are exported, too. Keys are masked. Spans have the times of the run, and the names of the conventions for
        generative AI. Raises ModuleNotFoundError without OpenTelemetry, ValueError if there is no provider.
        """
        from compiler_nb.trace.otel import Traced, export  # noqa: PLC0415 - only who exports needs it

        told = {name: getattr(tool, "description", "") for name, tool in self.settings.tools.items()}
        hide = functools.partial(mask_all, secrets=self.settings.secrets)
        traced = Traced(self.progress, self.id, self.question, self.seconds, hide, told, contents)
        return export(traced, provider)

    @staticmethod
    def load(path: str | PathLike[str], tools: Iterable[Any] | Mapping[str, Any] = ()) -> Run:
        """Return the run that `save` has written to a .jsonl file; no code is run for that.

        tools: by whose return types values of your own classes are made again; without them those are NotStored. Raises
        HistoryError that names what is wrong if the file is damaged, or something else.
        """
        from compiler_nb.history.lines import read  # noqa: PLC0415 - only who loads needs it

        return read(Path(path), tools)

    def times(self) -> trace.Times:
        """Return how long it took, what took that long, and how long it would have taken in other ways; see `Times`."""
        if self.status == "running":
            return trace.times(self.progress, self.settings.max_concurrency, at=self.seconds)
        taken, found = self._times or (-1, None)
        if found is None or taken != self.progress.taken:  # of many tasks it takes seconds
            found = trace.times(self.progress, self.settings.max_concurrency, at=self.seconds)
            self._times = self.progress.taken, found
        return found

    def view(self) -> Any:
        """Return the live view, for a page: the plan, its tasks, timeline, table, and all that is known of each."""
        from compiler_nb.notebook.live.view import View  # noqa: PLC0415 - the one way up, for who looks

        return View(self).follow()

    # ---------------------------------------------------------------- steering, from any thread

    def cancel(self) -> None:
        """Stop the run: what finished stays, the rest is cancelled; do nothing if it has ended."""
        self.control.cancel()

    def pause(self) -> None:
        """Start no new task; what runs goes on, and so do the planner and the joiner.

        A run that has ended is not changed. Raises HistoryError if it comes from a history.
        """
        self.control.pause()

    def resume(self) -> None:
        """Let tasks start again after a pause. Raises HistoryError if the run comes from a history."""
        self.control.resume()

    def approve(self, name: str, mark: str = "", *, again: bool = False) -> None:
        """Let a task with side effects start that waits for approval; do nothing if it does not wait.

        One that is done already is not repeated and gets that result; with `again` it is made once more. The name of a
        line with a guarded call means that call. mark: the digest of the arguments that are meant, as in TaskHeld; if
        they have another one nothing happens. Raises KeyError if there is no such task, HistoryError if the run comes
        from a history.
        """
        for id_ in self._held_in(name):
            self.control.approve(id_, mark, again=again)

    def deny(self, name: str, mark: str = "") -> None:
        """End a task that waits for approval as denied; mark and errors as for `approve`."""
        for id_ in self._held_in(name):
            self.control.deny(id_, mark)

    def skip(self, name: str, reason: str = "") -> None:
        """Skip one task of a run that goes on; what depends on it is skipped, too.

        One that runs is stopped first. May be called from any thread, like `retry` and `set`. These raise SteerError if
        it cannot be done, with the way on; KeyError if there is no such task.
        """
        self.control.skip(self._steered(name, "skipped", f"rerun(run, start={name!r})"), reason)

    def retry(self, name: str) -> None:
        """Try one task again that failed, was skipped, or runs; what was skipped for its sake may run then, too.

        A task that was skipped because another one failed has that one tried again. A call with side effects that is
        done is never repeated; one that may have had its effect is asked for. Errors are those of `skip`.
        """
        way = f"rerun(run, start={name!r})"
        self.control.retry(self._steered(name, "tried again", way))

    def set(self, name: str, value: Any) -> None:
        """Give one task a value, instead of what it would return, or did as long as nothing has read that.

        What was skipped because it had none may run then. The value is marked: it was set by you. Errors are those of
        `skip`.
        """
        way = f"rerun(run, overrides={{{name!r}: value}})"
        self.control.set(self._steered(name, "given a value", way), value)

    def _steered(self, name: str, done: str, way: str) -> str:
        """Return the id of a task that is to be steered. Raises SteerError if the run has ended."""
        id_ = name if name in self.progress.held_in(name) else self.id_of(name)
        if self.status != "running":
            verb = "--override TASK=VALUE" if "overrides" in way else f"--start {name}"
            raise SteerError(
                f"{id_} cannot be {done}: the run {self.id} has ended ({self.status}); "
                f"run it again: %compile rerun {self.id} {verb}, or compiler.{way}"
            )
        return id_

    def _held_in(self, name: str) -> list[str]:
        """Return what waits for approval; lists and pages show ids, so one that waits goes before a variable."""
        id_, held_in = self.id_of(name), self.progress.held_in
        return held_in(name) or held_in(id_) or [id_]  # even if it does not wait, a stored run says that it cannot

    def wait(self, timeout: float | None = None) -> Run:
        """Wait, on a thread that does not run it, until it has ended. Raises TimeoutError after `timeout` seconds."""
        self.control.wait(timeout)
        return self

    def _ipython_key_completions_(self) -> list[str]:
        """Return what completes `run["`: the variables, then the ids of the other tasks."""
        progress = self.progress
        return list(dict.fromkeys((*list(progress.names), *list(progress.tasks))))

    def __dir__(self) -> list[str]:
        """Return what a user may want of it; the rest is for the rooms that make and show it."""
        return [name for name in super().__dir__() if name not in _INNER]

    def __repr__(self) -> str:
        count = len(self.progress.tasks)
        told = "".join(f", {cut(each, _TOLD)}" for each in (self.error, *self.words().providers()) if each)
        return f"<run {self.status}: {count_of(count, 'task')}{told}>"


def _marked(before: str, after: str) -> str:
    from compiler_nb.prompts.changes import mark_lines  # noqa: PLC0415 - only who compares two prompts needs it

    return mark_lines(before, after)
