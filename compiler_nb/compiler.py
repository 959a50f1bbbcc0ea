"""Compiler: the loop of the pattern - plan, run, join, and perhaps plan again."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.background import BACKGROUND, MainThread
from compiler_nb.calls import Calls
from compiler_nb.engine.limits import Limit
from compiler_nb.engine.local import Ask, PostToMain, Session
from compiler_nb.errors import CompilerError, ModelError, PlanError, ToolUnavailable
from compiler_nb.events import (
    Event,
    Listener,
    Log,
    ModelEnded,
    PlanClosed,
    PlanProblem,
    RoundStarted,
    RunStarted,
    TaskPlanned,
)
from compiler_nb.joiner import join
from compiler_nb.models.base import Model, Request
from compiler_nb.models.connect import connect, no_model
from compiler_nb.outcome import NOT_DONE, Answer, Failure, Replan, Usage, describe_error
from compiler_nb.plan.evaluate import evaluate
from compiler_nb.plan.functions import Scope
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.task import Join, Plan, Return, Task, references
from compiler_nb.planner import (
    Earlier,
    Example,
    ask_for_plan,
    ask_for_repair,
    describe_schema,
    earlier_of,
    system_prompt,
    write_plan,
)
from compiler_nb.run import Round, Run
from compiler_nb.tool import Tool, Toolbox
from compiler_nb.toolbox.language import make_language_tools

if TYPE_CHECKING:
    from compiler_nb.models.base import Message

DIALECTS: Final = ("python", "numbered", "json")


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may use: tokens and calls of models; None for any number."""

    tokens: int | None = None
    calls: int | None = None

    def exceeded(self, used: Usage) -> str:
        """Return which limit is reached, in words, "" where none is."""
        if self.tokens is not None and used.tokens >= self.tokens:
            return f"the budget of {self.tokens:,} tokens is used up ({used.tokens:,})"
        if self.calls is not None and used.calls >= self.calls:
            return f"the budget of {self.calls} calls of models is used up"
        return ""


class Compiler:
    """A configuration that answers questions.

    model: a Model, or "provider:model" for `connect`; planner, joiner, worker: models for these roles where they differ;
    tools: functions or Tools (`llm` and `extract`, which ask the worker, are always offered); dialect: "python",
    "numbered" or "json"; examples: pairs of a question and a good plan; max_concurrency: calls of tools at a time;
    limits: by provider; max_replans, max_repairs: further plans per question, and second tries per plan; timeout:
    seconds for a whole run; approve: "ask", "auto", "deny" or the names of approved tools, for those with side effects;
    share: what of results `llm`, `extract` and the joiner may see, "all", "summary" or "none"; preview: whether replan
    requests show contents of results; prompts: texts that replace the prompts of "planner".
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
        limits: Mapping[str, Limit] | None = None,
        max_replans: int = 2,
        max_repairs: int = 1,
        timeout: float | None = None,
        budget: Budget | None = None,
        approve: str | Collection[str] = "ask",
        history: None = None,
        cache: str = "off",
        prompts: Mapping[str, str] | None = None,
        share: str = "all",
        preview: bool = False,
        drop_failed: float = 0.0,
    ) -> None:
        own = _model(model)
        self.planner, self.joiner, self.worker = (_model(each) or own for each in (planner, joiner, worker))
        self.tools = tools if isinstance(tools, Toolbox) else Toolbox(tools)
        self.dialect = _one_of("dialect", dialect, DIALECTS)
        self.engine = _one_of("engine", engine, ("local",))
        self.approve = approve if not isinstance(approve, str) else _one_of("approve", approve, ("ask", "auto", "deny"))
        self.share = _one_of("share", share, ("all", "summary", "none"))
        self.cache = _one_of("cache", cache, ("off",))
        self.examples, self.max_concurrency, self.limits = tuple(examples), max_concurrency, dict(limits or {})
        self.max_replans, self.max_repairs, self.timeout, self.budget = max_replans, max_repairs, timeout, budget
        self.prompts, self.preview = dict(prompts or {}), preview
        if history is not None or drop_failed:
            raise ValueError("history and drop_failed are not built yet: leave them out")

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
        drive = _Drive(self, run, executes=False)
        return await drive.plan_only()

    def run_sync(
        self, question: str, inputs: Mapping[str, Any] | None = None, on_event: Listener | None = None
    ) -> Run:
        """Answer a question on our own loop, and wait; an interrupt cancels the run and is raised."""
        return self._wait(lambda main: self.begin(question, inputs=inputs, on_event=on_event, main=main.post))

    def execute_sync(
        self,
        plan: Plan | str,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
        *,
        question: str = "",
    ) -> Run:
        """Run a plan on our own loop, and wait."""
        return self._wait(
            lambda main: self.begin(question, plan=plan, inputs=inputs, on_event=on_event, main=main.post)
        )

    def plan_sync(self, question: str, inputs: Mapping[str, Any] | None = None) -> Plan:
        """Return the plan for a question, made on our own loop."""
        return BACKGROUND.run(self.plan(question, inputs))

    @staticmethod
    def _wait(begin: Callable[[MainThread], tuple[Run, Coroutine[Any, Any, None]]]) -> Run:
        main = MainThread()
        run, work = begin(main)
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
        a function to the main thread.
        """
        if plan is None and self.planner is None:
            raise no_model()
        if isinstance(plan, str):
            plan = Plan.parse(plan, tools=self._offered(_unasked), inputs=tuple(inputs or ()), implied="value")
        run = self._new_run(question, inputs, on_event)
        return run, _Drive(self, run, ask=ask, main=main).perform(plan)

    def _new_run(self, question: str, inputs: Mapping[str, Any] | None, on_event: Listener | None) -> Run:
        id_ = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        log = Log(id_)
        if on_event is not None:
            log.listeners.append(on_event)
        return Run(id_, question, self, inputs or {}, log)

    def _offered(self, ask: Callable[..., Any]) -> Toolbox:
        return self.tools.plus(Toolbox(make_language_tools(ask, share=self.share)))

    @property
    def models(self) -> dict[str, str]:
        """The models by role, as provider:name."""
        roles = {"planner": self.planner, "joiner": self.joiner, "worker": self.worker}
        return {role: f"{model.provider}:{model.name}" for role, model in roles.items() if model is not None}


async def _unasked(messages: tuple[Message, ...], task: str) -> str:
    raise ToolUnavailable(f"{task} needs a worker model: Compiler(model=...) or worker=...")


class _Stopped(Exception):  # noqa: N818 - it is a signal
    """The run ends with this status, and why."""

    def __init__(self, status: str, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


class _Drive:
    """Drives one run through its rounds."""

    def __init__(
        self,
        compiler: Compiler,
        run: Run,
        *,
        ask: Ask | None = None,
        main: PostToMain | None = None,
        executes: bool = True,
    ) -> None:
        self.compiler, self.run, self.ask, self.main, self.executes = compiler, run, ask, main, executes
        self.log = run.log
        self.calls = Calls(self.log.emit, limits=compiler.limits)
        self.tools = compiler._offered(self._ask_worker)  # noqa: SLF001 - its other half
        self.schemas = {name: describe_schema(value) for name, value in run.inputs.items()}
        self.session: Session | None = None
        self.stopping = ""
        self._used = Usage(0, 0, 0)

    # ---------------------------------------------------------------- the whole

    async def perform(self, plan: Plan | None) -> None:
        """Run the rounds; whatever happens, the run ends with a status."""
        run, task, loop = self.run, asyncio.current_task(), asyncio.get_running_loop()
        self.session = self._open_session()

        def stop() -> None:
            if run.status == "running" and not self.stopping:
                self.stopping = "cancelled"
                if self.session is not None:
                    self.session.cancel()
                if task is not None:
                    task.cancel()

        run.stop = lambda: loop.call_soon_threadsafe(stop)
        self._announce()
        try:
            async with asyncio.timeout(self.compiler.timeout):
                await self._rounds(plan)
        except _Stopped as stopped:
            await self._end(stopped.status, stopped.error)
        except TimeoutError:
            await self._end("limit", f"the run took longer than {self.compiler.timeout:g} s")
        except asyncio.CancelledError:
            outside = not self.stopping
            if not outside and task is not None:
                task.uncancel()
            await self._end("cancelled", "the run was cancelled")
            if outside:
                raise
        except CompilerError as error:
            await self._end("failed", str(error))
        except Exception as error:  # noqa: BLE001 - a fault of ours, or of a model's class, still ends the run
            await self._end("failed", describe_error(error))
        else:
            await self._end("done", "")
        finally:
            self.session.finish()
            if run.status == "running":  # cancelled twice
                run.end("cancelled", "the run was cancelled")

    def _open_session(self) -> Session:
        compiler = self.compiler
        caps = {f"provider:{name}": limit.concurrency for name, limit in compiler.limits.items() if limit.concurrency}
        return Session(
            self.tools,
            self.log,
            inputs=self.run.inputs,
            max_concurrency=compiler.max_concurrency,
            limits=caps,
            approve=compiler.approve,
            ask=self.ask,
            main=self.main,
        )

    def _announce(self) -> None:
        names, models = tuple(self.tools), self.compiler.models
        self.log.emit(RunStarted, self.run.question, names, self.schemas, models, time.time())
        if self.compiler.budget is not None:
            self.log.listeners.append(self._watch_budget)

    def _watch_budget(self, event: Event) -> None:
        if isinstance(event, ModelEnded) and self.compiler.budget is not None:
            self._used = self._used.plus(event.usage)

    async def _end(self, status: Any, error: str) -> None:
        session = self.session
        if session is not None and status != "done":
            session.cancel("the run has ended" if status != "cancelled" else "the run was cancelled")
            await session.drained()
        self.run.end(status, error)

    # ---------------------------------------------------------------- rounds

    async def _rounds(self, plan: Plan | None) -> None:
        compiler, run = self.compiler, self.run
        earlier: Earlier | None = None
        executing = plan is not None
        for number in range(compiler.max_replans + 1):
            self.log.round = number
            run.rounds.append(Round(number, earlier.reason if earlier is not None else ""))
            self.log.emit(RoundStarted, run.rounds[-1].reason)
            planned = self._take_plan(plan) if plan is not None else await self._write(earlier)
            plan = None
            can_replan = number < compiler.max_replans and compiler.planner is not None and not executing
            decision, by = await self._conclude(planned, can_replan=can_replan)
            run.decide(decision, by)
            if isinstance(decision, Answer):
                return
            session = self._session
            earlier = earlier_of(planned, session.outcomes, [n.task for n in session.schedule.nodes.values()], decision.reason)
            if self.compiler.preview:
                earlier = earlier._replace(results=_previewed(earlier.results, session.values))
        times = compiler.max_replans
        raise _Stopped("limit", f"no answer after {times} replan{'' if times == 1 else 's'}: {earlier.reason if earlier else ''}")

    @property
    def _session(self) -> Session:
        if self.session is None:
            raise RuntimeError("the run has no session")
        return self.session

    def _take_plan(self, plan: Plan) -> Plan:
        """Start a plan that is there already."""
        self.run.rounds[-1].plan, self.run.rounds[-1].text = plan, plan.text
        for task in plan.tasks:
            self.log.emit(TaskPlanned, task.id, 0, task)
            self._session.add(task)
        self.log.emit(PlanClosed, plan.text, True, plan.final)
        self._session.close()
        return plan

    async def plan_only(self) -> Plan:
        """Return the plan, starting nothing."""
        self._announce()
        self.run.rounds.append(Round(0))
        if self.compiler.planner is None:
            raise no_model()
        return await self._write(None)

    async def _write(self, earlier: Earlier | None) -> Plan:
        """Have a plan written, its tasks started as they come, and mended where it has problems."""
        compiler, round_ = self.compiler, self.run.rounds[-1]
        system = system_prompt(compiler.dialect, self.tools, compiler.examples, compiler.prompts.get("planner", ""))
        messages = ask_for_plan(system.text, self.run.question, self.schemas, earlier)
        role: Any = "planner" if earlier is None else "replan"
        for repair in range(compiler.max_repairs + 1):
            self._check_budget()
            request = Request(role, tuple(messages), prompt=system.hash)
            parser = self._parser()
            take = self._taker()
            complete = False
            try:
                complete = await write_plan(self.calls, self._planner, request, parser, take)
            finally:
                round_.text = "".join(parser.text)
                round_.problems = tuple(parser.problems)
                for problem in parser.problems:
                    self.log.emit(PlanProblem, problem)
                self.log.emit(PlanClosed, round_.text, complete, parser.builder.final)
            if not parser.problems:
                round_.plan = parser.plan()
                if self.session is not None:
                    self.session.close()
                return round_.plan
            if repair < compiler.max_repairs:
                round_.repaired.append(round_.text)
                messages = ask_for_repair(messages, round_.text, parser.problems)
                role = "repair"
        raise PlanError(round_.problems)

    @property
    def _planner(self) -> Model:
        if self.compiler.planner is None:
            raise no_model()
        return self.compiler.planner

    def _parser(self) -> PlanParser:
        nodes = self.session.schedule.nodes if self.session is not None else {}
        alive = {id_: n.task.fingerprint for id_, n in nodes.items() if n.state not in ("failed", "skipped", "cancelled")}
        return PlanParser(
            dialect=self.compiler.dialect, tools=self.tools, inputs=self.schemas, earlier=alive, taken=tuple(nodes)
        )

    def _taker(self) -> Callable[[Task], None]:
        """Return what starts each task of one plan's text; a task that computes what an earlier one does adopts it."""
        session = self.session
        if session is None:
            return lambda task: self.log.emit(TaskPlanned, task.id, 0, task)
        pool: dict[str, deque[str]] = defaultdict(deque)
        for id_, node in session.schedule.nodes.items():
            if node.state in ("waiting", "ready", "running", "done") and "[" not in id_:
                pool[node.task.fingerprint].append(id_)

        def take(task: Task) -> None:
            twins = pool.get(task.fingerprint)
            if task.id in session.schedule.nodes:
                if twins and task.id in twins:
                    twins.remove(task.id)
                return
            self.log.emit(TaskPlanned, task.id, 0, task)
            if twins:
                session.adopt(task, twins.popleft())
            else:
                session.add(task)

        return take

    # ---------------------------------------------------------------- the end of a round

    async def _conclude(self, plan: Plan, *, can_replan: bool) -> tuple[Answer | Replan, str]:
        session = self._session
        error = ""
        if isinstance(plan.final, Return):
            answer, error = await self._evaluate(plan.final)
            if answer is not None:
                self.run.answer = answer.value
                await session.drained()
                return answer, "plan"
        await session.drained()
        final = plan.final if isinstance(plan.final, Join) else Join()
        results, failures = self._joined(final)
        if self.compiler.joiner is None or (isinstance(plan.final, Return) and not self.run.question):
            if error:
                raise _Stopped("failed", f"the answer cannot be evaluated: {error}")
            return Answer(results), "plan"
        self._check_budget()
        decision = await join(
            self.calls,
            self.compiler.joiner,
            self.run.question,
            results,
            failures,
            instruction=final.instruction,
            can_replan=can_replan,
            share=self.compiler.share,
        )
        return decision, "joiner"

    async def _evaluate(self, final: Return) -> tuple[Answer | None, str]:
        session = self._session
        needed = references(final.expression)
        if not await session.ready(needed):
            lost = next(id_ for id_ in needed if id_ not in session.values)
            return None, f"{lost}: {session.outcomes[lost]}"
        try:
            return Answer(evaluate(final.expression, Scope(session.values, session.inputs))), ""
        except Exception as error:  # noqa: BLE001 - operators of a user's object may raise anything
            return None, describe_error(error)

    def _joined(self, final: Join) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the results that the joiner is shown, and every failure."""
        session = self._session
        shown = final.refs or [id_ for id_ in session.outcomes if "[" not in id_]
        names = {id_: node.task.name or id_ for id_, node in session.schedule.nodes.items()}
        results = {names[id_]: session.values[id_] for id_ in shown if id_ in session.values}
        failures = {id_: outcome for id_, outcome in session.outcomes.items() if isinstance(outcome, NOT_DONE)}
        return results, failures

    # ---------------------------------------------------------------- models

    def _check_budget(self) -> None:
        budget = self.compiler.budget
        told = budget.exceeded(self._used) if budget is not None else ""
        if told:
            raise _Stopped("limit", told)

    async def _ask_worker(self, messages: tuple[Message, ...], task: str) -> str:
        if self.compiler.worker is None:
            return await _unasked(messages, task)
        budget = self.compiler.budget
        told = budget.exceeded(self._used) if budget is not None else ""
        if told:
            raise ModelError(told)
        reply = await self.calls.text(self.compiler.worker, Request("worker", messages, task))
        return reply.text


def _previewed(results: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    from compiler_nb.drawing.text import shorten_value  # noqa: PLC0415 - only where contents are shown

    return {name: f"{schema}: {shorten_value(values[name])}" for name, schema in results.items()}


def _model(model: Model | str | None) -> Model | None:
    return connect(model) if isinstance(model, str) else model


def _one_of(what: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ValueError(f"{what} is {' or '.join(repr(each) for each in allowed)}, not {value!r}")
    return value
