"""Compiler: the configuration that answers questions, and the doors to it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, cast

from compiler_nb.drive import Drive, unasked
from compiler_nb.engine.attempt import on_main_thread
from compiler_nb.engine.background import BACKGROUND, MainThread
from compiler_nb.errors import HistoryError, PlanError, Problem
from compiler_nb.events import Listener, Log
from compiler_nb.models.connect import connect, no_model
from compiler_nb.models.limits import read_limits
from compiler_nb.outcome import Usage
from compiler_nb.plan.plan import Plan
from compiler_nb.run import Run
from compiler_nb.settings.budget import Budget, price
from compiler_nb.tool import Tool, Toolbox
from compiler_nb.toolbox.language import make_language_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence

    from compiler_nb.engine.approval import Ask
    from compiler_nb.engine.session import PostToMain
    from compiler_nb.history.history import History
    from compiler_nb.models.base import Model
    from compiler_nb.models.limits import Limit
    from compiler_nb.plan.task import Task
    from compiler_nb.planner.requests import Example
    from compiler_nb.prompts.data import Share

DIALECTS: Final = ("python", "numbered", "json")


class Compiler:
    """A configuration that answers questions.

    model: a Model, or "provider:model" for `connect`; planner, joiner, worker: models for roles where they differ;
    tools: functions or Tools (`llm` and `extract`, which ask the worker, are always offered); dialect: "python",
    "numbered" or "json"; examples: pairs of a question and a good plan; max_concurrency: calls of tools at a time;
    limits: a Limit, or its fields as a dict, by provider, for all runs on a loop together where they are equal;
    max_replans, max_repairs: further plans per question, and second tries per plan; timeout: seconds for a whole run;
    approve: "ask", "auto", "deny" or the names of approved tools, for those with side effects;
    history: a History, or the path of one, in which runs are kept;
    share: what of results `llm`, `extract` and the joiner may see, "all", "summary" or "none"; preview: whether replan
    requests show contents of results; prompts: texts that replace those of "planner" and "joiner".
    Raises ValueError for a setting that cannot be.
    """

    def __init__(
        self,
        model: Model | str | None = None,
        tools: Iterable[Tool | Callable[..., Any]] | Mapping[str, Any] = (),
        *,
        planner: Model | str | None = None,
        joiner: Model | str | None = None,
        worker: Model | str | None = None,
        dialect: str = "python",
        examples: Sequence[Example] = (),
        engine: str = "local",
        max_concurrency: int = 8,
        limits: Mapping[str, Limit | Mapping[str, int]] | None = None,
        max_replans: int = 2,
        max_repairs: int = 1,
        timeout: float | None = None,
        budget: Budget | None = None,
        approve: str | Collection[str] = "ask",
        history: object = None,
        cache: str = "off",
        prompts: Mapping[str, str] | None = None,
        share: str = "all",
        preview: bool = False,
        drop_failed: float = 0.0,
    ) -> None:
        own = _model(model)
        self.planner, self.joiner, self.worker = (
            own if each is None else _model(each) for each in (planner, joiner, worker)
        )
        self.tools = tools if isinstance(tools, Toolbox) else Toolbox(tools)
        self.dialect = _one_of("dialect", dialect, DIALECTS)
        self.engine = _one_of("engine", engine, ("local",))
        self.approve = approve if not isinstance(approve, str) else _one_of("approve", approve, ("ask", "auto", "deny"))
        self.share = cast("Share", _one_of("share", share, ("all", "summary", "none")))
        self.cache = _one_of("cache", cache, ("off",))
        self.examples, self.max_concurrency, self.limits = tuple(examples), max_concurrency, read_limits(limits)
        self.max_replans, self.max_repairs, self.timeout, self.budget = max_replans, max_repairs, timeout, budget
        self.prompts, self.preview = dict(prompts or {}), preview
        for role in self.prompts:
            _one_of("a role in prompts", role, ("planner", "joiner"))
        for name, least in (("max_concurrency", 1), ("max_replans", 0), ("max_repairs", 0)):
            if type(getattr(self, name)) is not int or getattr(self, name) < least:
                raise ValueError(f"{name} is a whole number from {least}, not {getattr(self, name)!r}")
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout is a number of seconds above 0, or None, not {timeout!r}")
        if budget is not None:
            self._keep_to(budget)
        if drop_failed:
            raise ValueError("drop_failed is not built yet: leave it out")
        self.history = _history(history)

    def _keep_to(self, budget: Budget) -> None:
        """Take what a budget says of time and replans; refuse one of money where a model has no known price."""
        seconds = [each for each in (self.timeout, budget.seconds) if each is not None]
        self.timeout = min(seconds, default=None)
        self.max_replans = self.max_replans if budget.replans is None else min(self.max_replans, budget.replans)
        if budget.usd is None:
            return
        for model in (self.planner, self.joiner, self.worker):
            if model is not None and price(model.provider, model.name, Usage(1, 1, 1)) is None:
                name = f"{model.provider}:{model.name}"
                raise ValueError(f"no price is known for {name}: leave usd out, or install compiler_nb[prices]")

    # ---------------------------------------------------------------- doors

    async def run(
        self, question: str, inputs: Mapping[str, Any] | None = None, on_event: Listener | None = None
    ) -> Run:
        """Answer a question on the running loop; the Run says how that went, and only a cancellation is raised.

        inputs: variables offered to the planner by name and schema. Raises NoModel where no model is set.
        """
        run, work = self.begin(question, inputs=inputs, on_event=on_event)
        await work
        return run

    async def execute(
        self,
        plan: Plan | str,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
        *,
        question: str = "",
    ) -> Run:
        """Run a plan that is there already (a Plan, or its text); raises PlanError where the text is none."""
        run, work = self.begin(question, plan=plan, inputs=inputs, on_event=on_event)
        await work
        return run

    async def plan(self, question: str, inputs: Mapping[str, Any] | None = None) -> Plan:
        """Return the plan for a question, without running it; raises PlanError or ModelError where there is none."""
        run = self._new_run(question, inputs, None)
        return await Drive(self, run).plan_only()

    def run_sync(self, question: str, inputs: Mapping[str, Any] | None = None, on_event: Listener | None = None) -> Run:
        """Answer a question on our own loop, and wait; an interrupt cancels the run and is raised."""
        return self._wait(lambda main: self.begin(question, inputs=inputs, on_event=on_event, main=main))

    def execute_sync(
        self,
        plan: Plan | str,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
        *,
        question: str = "",
    ) -> Run:
        """Run a plan on our own loop, and wait."""
        return self._wait(lambda main: self.begin(question, plan=plan, inputs=inputs, on_event=on_event, main=main))

    def plan_sync(self, question: str, inputs: Mapping[str, Any] | None = None) -> Plan:
        """Return the plan for a question, made on our own loop."""
        return BACKGROUND.run(self.plan(question, inputs))

    async def resume(
        self, run: Run | str, inputs: Mapping[str, Any] | None = None, on_event: Listener | None = None
    ) -> Run:
        """Go on with a run that did not finish (a Run, or the id of one in the history), as another one.

        Only what had not finished runs: what is done is adopted where its tool's code and its inputs are what they
        were. A side effect whose end is unknown is asked for, and denied where nobody is there. inputs: those that are
        to replace the run's own, which are taken from the run. Raises HistoryError where there is no such run.
        """
        old = await asyncio.to_thread(self.recall, run)
        new, work = self.begin_resumed(old, inputs=inputs, on_event=on_event)
        await work
        return new

    async def rerun(
        self,
        run: Run | str,
        start: str = "",
        overrides: Mapping[str, Any] | None = None,
        *,
        failed: bool = False,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
    ) -> Run:
        """Run the plan of a finished run again, all of it or a part; what does not run keeps its outcome.

        start: this task and all that hangs on it; failed: what failed, was skipped or cancelled; overrides: values of
        tasks, which do not run, while what hangs on them does. Raises KeyError for a task that there is not.
        """
        old = await asyncio.to_thread(self.recall, run)
        new, work = self.begin_again(
            old, start=start, overrides=overrides, failed=failed, inputs=inputs, on_event=on_event
        )
        await work
        return new

    def resume_sync(
        self, run: Run | str, inputs: Mapping[str, Any] | None = None, on_event: Listener | None = None
    ) -> Run:
        """Go on with a run that did not finish, on our own loop, and wait."""
        old = self.recall(run)
        return self._wait(lambda main: self.begin_resumed(old, inputs=inputs, on_event=on_event, main=main))

    def rerun_sync(
        self,
        run: Run | str,
        start: str = "",
        overrides: Mapping[str, Any] | None = None,
        *,
        failed: bool = False,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
    ) -> Run:
        """Run the plan of a finished run again on our own loop, and wait."""
        old = self.recall(run)
        return self._wait(
            lambda main: self.begin_again(
                old, start=start, overrides=overrides, failed=failed, inputs=inputs, on_event=on_event, main=main
            )
        )

    @staticmethod
    def _wait(begin: Callable[[PostToMain | None], tuple[Run, Coroutine[Any, Any, None]]]) -> Run:
        main = MainThread()
        run, work = begin(main.post if on_main_thread() else None)
        BACKGROUND.run(work, main=main, stop=run.cancel)
        return run

    def begin(
        self,
        question: str = "",
        *,
        plan: Plan | str | None = None,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
        ask: Ask | None = None,
        main: PostToMain | None = None,
    ) -> tuple[Run, Coroutine[Any, Any, None]]:
        """Return a Run that is `running`, and the coroutine that performs it, on any loop.

        The coroutine raises nothing but a cancellation from outside. ask: asks a person to approve a task; main: posts
        a function to the main thread. Raises NoModel or PlanError where there can be no run.
        """
        if plan is None and self.planner is None:
            raise no_model()
        if isinstance(plan, str):
            plan = Plan.parse(plan, tools=self.offered(unasked), inputs=tuple(inputs or ()))
        if plan is not None:
            _check_whole(plan, inputs or {})
        run = self._new_run(question, inputs, on_event)
        return run, Drive(self, run, ask=ask, main=main).perform(plan)

    def recall(self, run: Run | str) -> Run:
        """Return a run by its id from the history, with what runs that came from it may have done."""
        found, history = run if isinstance(run, Run) else None, self.history
        if found is None and history is None:
            raise HistoryError(f"there is no history to look for {run!r} in: Compiler(history='runs.db')")
        if history is not None:
            found = found or history.load(str(run), self.offered(unasked))
            with contextlib.suppress(HistoryError):  # a run at hand needs none
                found.doubts |= history.effects_after(found.id)
        if found is None or found.status == "running":
            raise HistoryError(f"{run if found is None else found.id} is still running")
        return found

    def begin_resumed(
        self,
        old: Run,
        *,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
        ask: Ask | None = None,
        main: PostToMain | None = None,
    ) -> tuple[Run, Coroutine[Any, Any, None]]:
        """Return a Run that goes on where another stopped, and the coroutine that performs it, as `begin` does."""
        from compiler_nb.history.past import resumed  # noqa: PLC0415 - only who goes on needs it

        run = self._new_run(old.question, _inputs_of(old, inputs), on_event)
        drive = Drive(self, run, ask=ask, main=main)
        past = drive.past = resumed(old, run, drive.tools)
        if self.planner is None and len(past.rounds) < max(1, len(old.rounds)):
            raise no_model()
        return run, drive.perform(None)

    def begin_again(
        self,
        old: Run,
        *,
        start: str = "",
        overrides: Mapping[str, Any] | None = None,
        failed: bool = False,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
        ask: Ask | None = None,
        main: PostToMain | None = None,
    ) -> tuple[Run, Coroutine[Any, Any, None]]:
        """Return a Run of another's plan, and the coroutine that performs it, as `begin` does."""
        from compiler_nb.history.past import repeated  # noqa: PLC0415 - only who repeats needs it

        plan, past = repeated(old, start=start, overrides=overrides or {}, failed=failed)
        run = self._new_run(old.question, _inputs_of(old, inputs), on_event)
        drive = Drive(self, run, ask=ask, main=main)
        drive.past = past
        return run, drive.perform(plan)

    def _new_run(self, question: str, inputs: Mapping[str, Any] | None, on_event: Listener | None) -> Run:
        id_ = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        log = Log(id_)
        if on_event is not None:
            log.listeners.append(on_event)
        return Run(id_, question, self, inputs or {}, log)

    def offered(self, ask: Callable[..., Any]) -> Toolbox:
        """Return the tools that a planner is offered; `ask` asks the worker."""
        provider = self.worker.provider if self.worker is not None else None
        return self.tools.plus(Toolbox(make_language_tools(ask, share=self.share, provider=provider)))

    @property
    def models(self) -> dict[str, str]:
        """The models by role, as provider:name."""
        roles = {"planner": self.planner, "joiner": self.joiner, "worker": self.worker}
        return {role: f"{model.provider}:{model.name}" for role, model in roles.items() if model is not None}


def _model(model: Model | str | None) -> Model | None:
    return connect(model) if isinstance(model, str) else model


def _history(given: object) -> History | None:
    if given is None:
        return None
    from compiler_nb.history.history import open_history  # noqa: PLC0415 - only who keeps runs needs it

    return open_history(given)


def _inputs_of(old: Run, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a run's inputs, given ones in their places; raise HistoryError for one that is not there."""
    from compiler_nb.history import NotStored  # noqa: PLC0415 - only who goes on needs it

    inputs = {**old.inputs, **(given or {})}
    for name, value in inputs.items():
        if isinstance(value, NotStored):
            raise HistoryError(f"the input {name} was not stored ({value.reason}): give it, inputs={{{name!r}: ...}}")
    return inputs


def _check_whole(plan: Plan, inputs: Mapping[str, Any]) -> None:
    """Raise a PlanError where a plan reads what is not there: a task of another round, a variable that is not given."""
    known: set[str] = set()
    problems = []
    for task in plan.tasks:
        problems += [_missing(f"the task {id_!r}", task) for id_ in task.dependencies if id_ not in known]
        problems += [_missing(f"the input {name!r}", task) for name in task.inputs if name not in inputs]
        known.add(task.id)
    if problems:
        raise PlanError(problems)


def _missing(what: str, task: Task) -> Problem:
    message = f"{task.id} reads {what}, which is not there: give it as an input, or run the plan that makes it"
    return Problem("missing_ref", task.line, task.column, message, task.id)


def _one_of(what: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ValueError(f"{what} is {' or '.join(repr(each) for each in allowed)}, not {value!r}")
    return value
