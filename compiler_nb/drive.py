"""Drive one run through its rounds: the plan is written and run, then joined, and perhaps there is another."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compiler_nb.calls import Calls
from compiler_nb.engine.local import Ask, PostToMain, Session
from compiler_nb.errors import CompilerError, ModelError, PlanError, ToolUnavailable
from compiler_nb.events import Event, ModelEnded, PlanClosed, PlanProblem, RoundStarted, RunStarted, TaskPlanned
from compiler_nb.joiner import join
from compiler_nb.models.base import Model, Request
from compiler_nb.models.connect import no_model
from compiler_nb.outcome import NOT_DONE, Answer, Replan, Usage, describe_error
from compiler_nb.plan.evaluate import evaluate
from compiler_nb.plan.functions import Scope
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.task import Join, Plan, Return, Task, references
from compiler_nb.planner import (
    Earlier,
    ask_for_plan,
    ask_for_repair,
    describe_schema,
    earlier_of,
    system_prompt,
    write_plan,
)
from compiler_nb.run import Round, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compiler_nb.compiler import Compiler
    from compiler_nb.models.base import Message


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


async def unasked(messages: tuple[Message, ...], task: str) -> str:
    """Stand for the worker where there is none."""
    raise ToolUnavailable(f"{task} needs a worker model: Compiler(model=...) or worker=...")


class Stopped(Exception):
    """The run ends with this status, and why."""

    def __init__(self, status: str, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


class Drive:
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
        self.tools = compiler.offered(self._ask_worker)
        self.schemas = {name: describe_schema(value) for name, value in run.inputs.items()}
        self.session: Session | None = None
        self.stopping = ""
        self._used = Usage(0, 0, 0)

    # ---------------------------------------------------------------- the whole

    async def perform(self, plan: Plan | None) -> None:  # noqa: C901 - a line for each way to end
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

        run.stop = functools.partial(_on_loop, loop, stop)
        self._announce()
        try:
            async with asyncio.timeout(self.compiler.timeout):
                await self._rounds(plan)
        except Stopped as stopped:
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
            known = [node.task for node in session.schedule.nodes.values()]
            earlier = earlier_of(planned, session.outcomes, known, decision.reason)
            if self.compiler.preview:
                earlier = earlier._replace(results=_previewed(earlier.results, session.values))
        times = compiler.max_replans
        reason = earlier.reason if earlier is not None else ""
        raise Stopped("limit", f"no answer after {times} replan{'' if times == 1 else 's'}: {reason}")

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
        complete = True
        self.log.emit(PlanClosed, plan.text, complete, plan.final)
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
        alive = {
            id_: n.task.fingerprint for id_, n in nodes.items() if n.state not in ("failed", "skipped", "cancelled")
        }
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
                raise Stopped("failed", f"the answer cannot be evaluated: {error}")
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
        whole = await session.ready(needed)
        values = session.values
        if not whole:
            lost = next(id_ for id_ in needed if id_ not in values)
            return None, f"{lost}: {session.outcomes[lost]}"
        try:
            return Answer(evaluate(final.expression, Scope(values, session.inputs))), ""
        except Exception as error:  # noqa: BLE001 - a fault of ours, or of a model's class, still ends the run
            return None, describe_error(error)

    def _joined(self, final: Join) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the results that the joiner is shown, and every failure."""
        session = self._session
        shown = final.refs or [id_ for id_ in session.outcomes if "[" not in id_]
        names = {id_: node.task.name or id_ for id_, node in session.schedule.nodes.items()}
        values = session.values
        results = {names[id_]: values[id_] for id_ in shown if id_ in values}
        failures = {id_: outcome for id_, outcome in session.outcomes.items() if isinstance(outcome, NOT_DONE)}
        return results, failures

    # ---------------------------------------------------------------- models

    def _check_budget(self) -> None:
        budget = self.compiler.budget
        told = budget.exceeded(self._used) if budget is not None else ""
        if told:
            raise Stopped("limit", told)

    async def _ask_worker(self, messages: tuple[Message, ...], task: str) -> str:
        if self.compiler.worker is None:
            return await unasked(messages, task)
        budget = self.compiler.budget
        told = budget.exceeded(self._used) if budget is not None else ""
        if told:
            raise ModelError(told)
        reply = await self.calls.text(self.compiler.worker, Request("worker", messages, task))
        return reply.text


def _on_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call a function on a loop's thread, from any thread; nothing happens where the loop is closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call)


def _previewed(results: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    from compiler_nb.drawing.text import shorten_value  # noqa: PLC0415 - only where contents are shown

    return {name: f"{schema}: {shorten_value(values[name])}" for name, schema in results.items()}
