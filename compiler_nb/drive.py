"""Drive one run through its rounds: the plan is written and run, then joined, and perhaps there is another."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from compiler_nb.engine.approval import Ask
from compiler_nb.engine.ledger import Ledger
from compiler_nb.engine.prints import PRINTS, Prints
from compiler_nb.engine.resources import RESOURCES, Resources
from compiler_nb.engine.results import read_by_several
from compiler_nb.engine.runners import PostToMain
from compiler_nb.engine.session import Session
from compiler_nb.engine.watch import WATCH
from compiler_nb.errors import ClusterError, CompilerError, ModelError, PlanError, RunClaimed, RunFailed
from compiler_nb.events import (
    AnswerFailed,
    AnswerRefused,
    Decided,
    PlanClosed,
    RoundStarted,
    RunEnded,
    RunStarted,
    TaskEnded,
    TaskIdentified,
    TaskPlanned,
    Warned,
)
from compiler_nb.joiner import join
from compiler_nb.models.base import Message, Model, ReplyGrammar, Request, estimate_request
from compiler_nb.models.calls import Calls
from compiler_nb.models.limits import shared_limits
from compiler_nb.models.recall import Asked
from compiler_nb.models.secret import mask
from compiler_nb.outcome import (
    ENDED,
    NOT_REPEATED,
    UNNEEDED,
    Answer,
    Cancelled,
    Failure,
    Replan,
    Skipped,
    Status,
    is_lost,
    unstored,
)
from compiler_nb.plan.effects import in_order
from compiler_nb.plan.evaluate import LostValue
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Join, Return, Task, line_of, owner_of
from compiler_nb.plan.tree import references
from compiler_nb.planner.requests import SET_BY_USER, Earlier, describe_schema, earlier_of
from compiler_nb.planner.writing import Writing
from compiler_nb.prompts import Prompt, load_worded
from compiler_nb.prompts.missing import NoteTable, look_at, tables_in
from compiler_nb.prompts.origin import Origins
from compiler_nb.run import Run
from compiler_nb.signature.answers import WrongAnswer
from compiler_nb.text import count_of, cut, describe_error
from compiler_nb.tool import Tool
from compiler_nb.toolbox.language import ORIGINS, WORKER, LanguageTool

if TYPE_CHECKING:  # loaded only if it is used
    from compiler_nb.cache import Cache
    from compiler_nb.cache.calls import ValueCache
    from compiler_nb.history.history import Keeper

CANCELLED: Final = "the run was cancelled"
LOST: Final = Failure("raised", "its value was not stored: a plan that needs it has to call the tool again")
"""What the planner of another round is told of a task of an earlier run."""
UNPLANNED: Final = "side effects wait for a whole plan, and there is none"
TOOL_LINE: Final = 200
"""Characters of the line that tells the joiner of a tool."""
Learn: TypeAlias = Callable[[Mapping[str, Task], Mapping[str, Any], Mapping[str, Tool]], None]
EFFECTS: Final = 100
"""Calls with side effects that the planner of a later round is told of."""
READERS: Final = 3
"""Calls that a warning names."""
FAILED_ITEMS: Final = 10
"""Failed items of a fan-out that the planner of a later round is told of."""
HOME_WITHIN: Final = 60.0
"""Seconds in which values come home from a cluster when the run ends."""
HOME_AT_LIMIT: Final = 2.0
"""The same, if it ended at a limit, or failed."""
LONGEST_WAIT: Final = 120.0
"""Seconds that a call waits for a provider that is asked too often; less if the run may not take so long."""


@dataclass(eq=False)
class Stopped(Exception):
    """The run ends with this status, and why."""

    status: Status
    error: str


class Drive:
    """Drives one run through its rounds.

    ask: asks a person to approve a task, None if nobody can be asked; main: posts a function to the main thread; learn:
    takes what the tools returned, before the run ends, so that whoever waits for the end finds it known; cache: what
    need not be worked out again, as far as the settings say.
    """

    session: Session  # these five are made on the loop
    prints: Prints
    resources: Resources
    calls: Calls
    writing: Writing

    def __init__(
        self,
        run: Run,
        *,
        ask: Ask | None = None,
        main: PostToMain | None = None,
        learn: Learn | None = None,
        cache: Cache | None = None,
    ) -> None:
        self.run, self.ask, self.main, self.learn, self.cache = run, ask, main, learn, cache
        self.values: ValueCache | None = None  # of pure tools
        self.settings, self.order, self.log, self.control = run.settings, run.order, run.log, run.control
        self.past = self.order.past.fresh()  # taking from it changes it
        self.schemas = {name: describe_schema(value) for name, value in run.inputs.items()}
        self.keeper: Keeper | None = None  # keeps the run in the history
        self.claimed = ""  # who makes the side effects that this run was to make
        self.unanswered: Failure | None = None  # why the answer of the last plan could not be evaluated
        self.asked = 0  # calls of models that were allowed
        self.looked = False  # whether the schemas of inputs say what is missing in them

    # ---------------------------------------------------------------- the whole

    async def perform(self) -> None:
        """Run the rounds; whatever happens, the run ends with a status."""
        control, session = self.control, self._open_session()
        self._open_models((lambda task: None) if self.order.planning else self._taker())
        self._use_cache()
        self._keep()  # before the first event, which a history must hold, too
        self._announce()
        WATCH.begin(session)
        self.prints.begin()
        control.begin(session)  # what was asked for before comes after RunStarted, and before the first task
        limit = asyncio.timeout(self.settings.seconds)
        try:
            async with limit:
                await session.connect()
                await self._rounds()
        # Three things may cancel this task, and they look alike here. The time limit turns its own cancellation into a
        # TimeoutError. A cancellation by the control only ends the run. One from outside, of whoever awaits this run,
        # ends the run too, and must then go on: it was meant for the caller.
        except asyncio.CancelledError:
            own = control.is_own()
            await self._end(*(("failed", self.claimed) if self.claimed else ("cancelled", CANCELLED)))
            if not own:
                raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a fault of ours, or of a model's class, ends it too
            if self.order.planning and isinstance(error, CompilerError):
                control.fault = error
            await self._end(*self._ending(error, late=limit.expired()))
        else:
            await self._end("done", "")
        finally:
            WATCH.end(session)
            self.prints.close()
            session.finish()
            session.effects.ledger.close()
            finish(self.run, "cancelled", CANCELLED)  # only if a second cancellation from outside broke off its end
            await self.resources.close()
            if session.is_drained():  # after a second cancellation calls may be at work still, which report their ends
                session.forget()
                vars(self).clear()  # what a tool leaves running keeps its context, and with it this object: no values

    def _ending(self, error: BaseException, *, late: bool) -> tuple[Status, str]:
        """Return the status and the error of a run whose rounds ended by an exception."""
        if isinstance(error, Stopped):
            return error.status, error.error
        if late and isinstance(error, TimeoutError):
            return "limit", f"the run took longer than {self.settings.seconds:g} s"
        if isinstance(error, PlanError):  # a plan that was given is refused before there is a run
            return "failed", f"the planner's plan is refused: {error}"
        return "failed", str(error) if isinstance(error, CompilerError) else describe_error(error)

    # ---------------------------------------------------------------- the beginning

    def _open_session(self) -> Session:
        """Make what performs the tasks."""
        settings, past = self.settings, self.past
        self.prints = Prints(self.log, settings.secrets, self.control.printed)
        self.resources = Resources()
        resources, prints = RESOURCES.set(self.resources), PRINTS.set(self.prints)
        origins = ORIGINS.set(self._origins_of)
        worker = WORKER.set(None if settings.worker is None else partial(self._ask_worker, settings.worker))
        make = Session if settings.engine == "local" else settings.engine.session
        session = self.session = make(  # tasks run in a copy of the context of this moment, and so know all four
            settings.tools, self.log, inputs=self.order.inputs, max_concurrency=settings.max_concurrency,
            limits=settings.caps, approve=settings.approve, ask=self.ask, main=self.main,
            drop_failed=settings.drop_failed, bounds=settings.bounds,
        )  # fmt: skip
        WORKER.reset(worker)
        ORIGINS.reset(origins)
        PRINTS.reset(prints)
        RESOURCES.reset(resources)
        if "pandas" in sys.modules:
            self._watch_tables(session)
        if self.order.inputs:
            from compiler_nb.engine.began import MARKS, mark_inputs  # noqa: PLC0415 - only who has inputs needs it

            MARKS[self.order] = mark_inputs(self.order.inputs)
        session.secrets = settings.secrets
        session.effects.ledger = Ledger(self.run.id, self.run.effects, wary=past.wary)
        session.recall = past.recall if past.parent or past.pins or past.follow else None
        session.rates, session.rated = shared_limits(settings.limits), self._rated()
        session.warn = self.control.warn
        return session

    def _watch_tables(self, session: Session) -> None:
        """Warn of tools that change a table which is their argument."""
        from compiler_nb.engine.altered import watch_tables  # noqa: PLC0415 - only who has tables needs it

        def tell(id_: str, table: Any, who: str, change: str) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the run is over
                session.loop.call_soon_threadsafe(warn, id_, table, who, change)

        def warn(id_: str, table: Any, who: str, change: str) -> None:
            inputs = (f"the input {name}" for name, value in session.inputs.items() if value is table)
            results = (f"the result {name}" for name, value in session.outcomes.items() if value is table)
            source = next(itertools.chain(inputs, results), "")
            hint = "other tasks may read the same table, so let the tool work on a copy (.copy())"
            self.log.emit(Warned, id_, f"{who}{f' ({source})' if source else ''}: {change}; {hint}")

        session.runners = watch_tables(session.runners, tell)

    def _rated(self) -> dict[str, str]:
        """Return the tools whose calls count against a provider's limits per minute, with their providers.

        A tool that asks a model counts when it asks, which may be twice or never.
        """
        counted = {name for name, limit in self.settings.limits.items() if limit.rpm or limit.tpm}
        tools = [tool for tool in self.settings.tools.values() if not isinstance(tool, LanguageTool)]
        return {tool.name: tool.provider for tool in tools if tool.provider in counted}

    def _open_models(self, add: Callable[[Task], None]) -> None:
        """Make what calls the models; add: takes the tasks of written plans."""
        settings, session = self.settings, self.session
        wait = min(settings.seconds or LONGEST_WAIT, LONGEST_WAIT)
        self.calls = Calls(
            self.log.emit, limits=session.rates, parking=session.parking, longest_wait=wait, allow=self._allow_call
        )
        self.writing = Writing(
            settings, self.order.question, self.schemas, self.log, session, shapes=self.order.shapes,
            uses=self.order.uses,
            answer=wanted.for_planner if (wanted := self.order.answer_type) is not None else "",
            follow=self.past.follow, bring=self._bring, calls=self.calls, add=add,
        )  # fmt: skip

    def _use_cache(self) -> None:
        """Have replies and values taken from the cache, and kept there, as the settings say."""
        settings, order = self.settings, self.order
        if self.cache is None or settings.cache == "off":
            return
        from compiler_nb.cache.calls import ValueCache  # noqa: PLC0415 - only who uses the cache needs it
        from compiler_nb.cache.replies import PLANS, ReplyCache  # noqa: PLC0415 - as above

        if settings.cache in ("pure", "all") and self.session.flights is not None:
            self.values = self.session.flights.cache = ValueCache(self.cache, self.log, settings.secrets)
        if settings.cache in ("plan", "all"):
            roles = {*PLANS, "worker"} if settings.cache == "all" else PLANS
            self.calls.memory = ReplyCache(
                self.cache, self.log, roles, repetition=order.repetition, secrets=settings.secrets
            )

    def _keep(self) -> None:
        """Have the run kept in the history, if there is one."""
        if self.settings.history is not None:
            from compiler_nb.history.history import Keeper  # noqa: PLC0415 - only who keeps runs needs it

            self.keeper = Keeper(self.settings.history, self.run)
        if self.keeper is not None or self.past.parent:
            self.session.effects.intent = self._intend

    async def _intend(self, task: Task) -> bool:
        """Note that a side effect is about to begin; if another run makes those of this lineage, this one fails."""
        try:
            self.session.effects.ledger.claim()
            return self.keeper is None or await self.keeper.intend(task)
        except RunClaimed as error:
            self.claimed = str(error)
            self.control.halt(Cancelled(self.claimed))
            raise

    def _announce(self) -> None:
        settings, question = self.settings, self.order.question
        tools, began = tuple(settings.tools), time.time()
        shapes, variants = dict(self.order.shapes), dict(settings.variants)
        wanted = self.order.answer_type.name if self.order.answer_type is not None else ""
        follow = self.past.follow
        after, schemas = follow.runs[-1].id if follow is not None and follow.runs else "", dict(self.schemas)
        self.log.emit(
            RunStarted, question, tools, schemas, settings.models, began, shapes, variants, wanted, after
        )  # fmt: skip
        if follow is not None:
            for id_, why in itertools.islice(follow.lost.items(), FAILED_ITEMS):
                self.log.emit(Warned, "", f"{id_} of the run {follow.origins[id_]} was not stored ({why})")

    # ---------------------------------------------------------------- the end

    async def _end(self, status: Status, error: str) -> None:
        """Let running tasks end, then note how the run ended, after all that came before is stored."""
        self.control.closing = True
        if status != "done":
            self.session.cancel(Cancelled(error))
            await self.session.drained()  # so that no event of a task comes after the end
        await self._bring_home(status)
        if status == "limit":
            self._answer_with_what_exists()
        for id_ in self.past.unheard(self.run.progress) if self.past.pins else ():
            told = f"{id_} was given a value, but {owner_of(id_)} has no such item: name it as `run.results` shows it"
            self.log.emit(Warned, owner_of(id_), told)
        for id_, readers in read_by_several(self.session.tasks, self.session.outcomes).items():
            told = f"{', '.join(readers[:READERS])}{f' and {len(readers) - READERS:,} more' * (len(readers) > READERS)}"
            self.log.emit(Warned, id_, f"{id_} can be read only once, but {told} were given it: return a list instead")
        if self.values is not None:
            await self.values.finish()
        if self.learn is not None:
            self.learn(self.session.tasks, self.session.outcomes, self.settings.tools)
        self.prints.close()
        if self.keeper is not None:
            await self.keeper.committed()  # a warning about the history must come before the end
        finish(self.run, status, error)
        if self.keeper is not None:
            await self.keeper.committed()

    async def _bring_home(self, status: Status) -> None:
        """Have the values here that the history keeps, or that nobody could wait for later; but nobody waits long."""
        if status == "cancelled":
            return
        largest = 0 if self.keeper is None else self.keeper.history.largest
        with suppress(ClusterError, TimeoutError):  # what cannot come home is said to whoever asks for it
            async with asyncio.timeout(HOME_WITHIN if status == "done" else HOME_AT_LIMIT):
                if status == "limit" and (plan := self.run.plan) is not None:
                    joined = _as_join(plan.final)
                    await self.session.bring_home(lambda: self._shown(joined))
                await self.session.bring_home(largest=largest)

    def _answer_with_what_exists(self) -> None:
        """Let a run that reached a limit answer with the results that its last plan would have joined."""
        run = self.run
        if run.answer is None and run.plan is not None and self.order.answer_type is None:
            results, _ = self._joined(_as_join(run.plan.final), run.plan)
            if results:
                self._decide(Answer(results), "limit")

    def _decide(self, decision: Answer | Replan, by: str) -> Answer | Replan:
        self.log.emit(Decided, decision, by)
        return decision

    # ---------------------------------------------------------------- rounds

    async def _rounds(self) -> None:
        """Write or take a plan, run it and join it, until there is an answer.

        Rounds that an earlier run has gone through come first: their plans are known, and how the joiner ended them.
        """
        session, plan, past = self.session, self.order.plan, self.past
        if self.control.cancelled:
            raise Stopped("cancelled", CANCELLED)
        earlier: Earlier | None = None
        reason = ""
        for number in itertools.count():
            self.log.round, self.unanswered = number, None
            self.log.emit(RoundStarted, reason)
            old = past.rounds[number] if number < len(past.rounds) else None
            plan = old.plan if old is not None else plan
            informed = number > 0 or (plan is not None and plan.after_tools)
            session.begin_round(informed=informed or (past.follow is not None and past.follow.informed))
            planned = self._take_plan(plan) if plan is not None else await self._ask_for_plan(earlier)
            if self.order.planning:
                return
            plan = None
            can_replan = number < self.settings.replans and not self.order.executing
            if old is not None and old.decision is not None and (known := self._known(old.decision)) is not None:
                await session.drained()
                decision = self._decide(known, "joiner")
            else:
                decision = await self._conclude(planned, can_replan=can_replan)
            if isinstance(decision, Answer):
                return
            if not can_replan and number + 1 >= len(past.rounds):
                times = f"{number} replan{'' if number == 1 else 's'}"
                raise Stopped("limit", f"no answer after {times}: {decision.told}")
            reason = decision.told
            session.keep_items()
            preview = self.settings.preview
            outcomes = {**session.outcomes, **session.fanouts.partial, **dict.fromkeys(session.reach.unstored, LOST)}
            given, notes = self.run.progress.given, await self._look_at(outcomes.values())
            earlier = earlier_of(
                planned, outcomes, self._left(), decision.reason, preview=preview, given=given, notes=notes
            )
            failures = {**self._more_failures(), **earlier.failures}
            earlier = earlier._replace(failures=failures, effects=self._effects())

    def _take_plan(self, plan: Plan) -> Plan:
        """Start the tasks of a given plan; a line that a round repeats keeps the task of the earlier one."""
        known, add = set(self.session.tasks), self._taker()
        self.session.open()
        for task in in_order(plan.tasks, self.settings.tools):
            if task.id in known:
                self.session.keep(task)
            else:
                self.log.emit(TaskPlanned, task.id, 0, task, "")
                add(task)
        self.log.emit(
            PlanClosed, plan.text, True, plan.final, plan.dialect, tuple(plan.by_id), plan.notes, plan.after_tools,  # noqa: FBT003 - a field
        )  # fmt: skip
        self.session.close()
        return plan

    def _taker(self) -> Callable[[Task], None]:
        """Return what takes a planned task."""
        return self.session.add if self.past.is_empty else self._add

    def _add(self, task: Task) -> None:
        """Let a task run, or give it the outcome that an earlier run has left for it."""
        found = self.past.take(task)
        if found is None:
            self.session.add(task)
        else:
            self.session.pin(task, found.outcome, found.how)
            if unstored(found.outcome):
                self.session.reach.unstored.add(task.id)
            for entry in self.session.effects.ledger.take(task.id, found.effects):
                told = entry.describe(self.run.id)
                self.log.emit(TaskIdentified, task.id, 0, entry.digest, told, True, *entry.place)  # noqa: FBT003 - a field

    def _bring(self, ids: Iterable[str]) -> None:
        """Take over the results of earlier questions that a plan reads, with the tasks that they come from."""
        follow = self.past.follow
        if follow is None:
            return
        for task in follow.needed(ids, self.run.progress.tasks):
            self.log.emit(TaskPlanned, task.id, 0, replace(task, follows=()), "")
            if self.order.planning:
                continue
            self.session.pin(replace(task, follows=()), follow.outcomes.get(task.id, UNNEEDED), follow.how(task.id))
            self.session.reach.unstored.update({task.id} & follow.lost.keys())
            if self.past.keys is not None:
                self.past.keys.by_id[task.id] = follow.keys.get(task.id)
            for entry in self.past.effects:
                if entry.place.task == task.id and entry.place.run == follow.origins[task.id]:
                    told = entry.describe(self.run.id)
                    self.log.emit(TaskIdentified, task.id, 0, entry.digest, told, True, *entry.place)  # noqa: FBT003 - a field

    async def _ask_for_plan(self, earlier: Earlier | None) -> Plan:
        """Have a plan written; if that fails, wait for the tasks that have started before the error is raised."""
        if not self.looked:  # not sooner: the first picture does not wait for it, nor does a run of a given plan
            self.looked, inputs = True, self.run.inputs
            if notes := await self._look_at(inputs.values()):
                self.schemas |= {name: describe_schema(value, notes) for name, value in inputs.items()}
        try:
            return await self.writing.write(earlier, self._names() if earlier is not None else {})
        except (ModelError, PlanError):
            self.session.give_up_plan(UNPLANNED)
            await self.session.drained()
            raise

    async def _look_at(self, values: Iterable[Any]) -> NoteTable:
        """Return what the planner is told of tables' columns beside their types."""
        tables = tables_in(values)
        if not tables:
            return {}
        from compiler_nb.engine.off_loop import off_loop  # noqa: PLC0415 - only who has tables needs it

        return await off_loop(partial(look_at, tables, ranges=self.settings.preview))

    # ---------------------------------------------------------------- the end of a round

    async def _conclude(self, plan: Plan, *, can_replan: bool) -> Answer | Replan:
        """Return how the round ends, noted as soon as it is known; every task has ended then."""
        session, joiner, final, error = self.session, self.settings.joiner, plan.final, ""
        if isinstance(final, Return):
            answer, error = await self._evaluate(final)
            while answer is None and self.unanswered is None and not session.is_drained():
                await session.drained()  # until then somebody may give what is missing
                answer, error = await self._evaluate(final)
            if answer is not None:
                return await self._answer(answer, can_replan=can_replan)
            final = Join()
        await session.drained()
        session.reach.over = "what came of the tasks is being read"
        await session.bring_home(lambda: self._shown(final))
        results, failures = self._joined(final, plan)
        if self.unanswered is not None:
            failures = {"answer": self.unanswered, **failures}
        # If the plan's own answer failed, a joiner can still answer the question, but only if there is one.
        if joiner is not None and (self.order.question or not error) and self._may_write(failures):
            decision = await self._join(joiner, results, failures, final.instruction, can_replan=can_replan)
            return self._decide(decision, "joiner")
        if error:
            raise Stopped("failed", f"the answer cannot be evaluated: {error}")
        if lost := self._lost(final, results):
            raise Stopped("failed", "; ".join(self._end_of(id_, f"{id_}: {session.outcomes[id_]}") for id_ in lost))
        return await self._answer(Answer(results), can_replan=can_replan)

    async def _answer(self, answer: Answer, *, can_replan: bool) -> Answer | Replan:
        """Return how a round ends by the answer of its plan, which is shown at once: side effects may still run."""
        try:
            decision: Answer | Replan = self._decide(self._typed(answer), "plan")
        except WrongAnswer as wrong:
            await self.session.drained()
            return self._ask_again(wrong, can_replan=can_replan)
        await self.session.drained()
        return decision

    def _may_write(self, failures: Mapping[str, Any]) -> bool:
        """Whether a joiner can write an answer of the type; if not, it still says what to do about failures."""
        wanted = self.order.answer_type
        return wanted is None or wanted.schema is not None or bool(failures)

    def _typed(self, answer: Answer) -> Answer:
        """Return an answer as what it is to be. Raises WrongAnswer."""
        wanted = self.order.answer_type
        return answer if wanted is None else replace(answer, value=wanted.read(answer.value))

    def _known(self, decision: Answer | Replan) -> Answer | Replan | None:
        """Return what an earlier run decided, None if that is no such answer as is wanted now."""
        try:
            return self._typed(decision) if isinstance(decision, Answer) else decision
        except WrongAnswer:
            return None

    def _ask_again(self, wrong: WrongAnswer, *, can_replan: bool) -> Replan:
        """Return the decision for another plan, whose answer is what it is to be; raise Stopped the second time."""
        self.log.emit(AnswerRefused, mask(wrong.came, self.settings.secrets), "plan")
        times = sum(each.by == "plan" for each in self.run.progress.refused)
        if times > 1 or not can_replan:
            raise self._wrong(wrong, "two plans gave no such answer" if times > 1 else "")
        told = str(wrong) if self.settings.preview else f"{describe_schema(wrong.value)} came: {wrong.problem}"
        decision = Replan(mask(f"the plan's answer is not of the type that is wanted: {told}", self.settings.secrets))
        self._decide(decision, "plan")
        return decision

    def _wrong(self, wrong: WrongAnswer, why: str) -> Stopped:
        return Stopped("failed", mask(f"{wrong}{f'; {why}' if why else ''}", self.settings.secrets))

    async def _join(
        self, joiner: Model, results: dict[str, Any], failures: dict[str, Any], instruction: str, *, can_replan: bool
    ) -> Answer | Replan:
        own, wording, follow = self.settings.own_prompt("joiner"), self.settings.wording("joiner"), self.past.follow
        described = self.writing.choice.described  # of thousands of tools those that the planner was told of
        try:
            return await join(
                self.calls,
                joiner,
                self.order.question,
                results,
                failures,
                instruction=instruction,
                can_replan=can_replan,
                share=self.settings.share,
                earlier=[round_.reason for round_ in self.run.rounds if round_.reason],
                origins=self._calls_of({*results, *failures}),
                tools=[cut(f"{each.signature}: {each.purpose}", TOOL_LINE) for each in described.values()],
                prompt=Prompt("joiner", own) if own else load_worded("joiner", wording),
                brief=wording == "small" and not own,
                free=bool(own),
                wanted=self.order.answer_type,
                talk=[(turn.question, turn.answer) for turn in follow.turns if turn.answered] if follow else (),
            )
        except WrongAnswer as wrong:
            raise self._wrong(wrong, "the joiner was asked twice") from None

    @property
    def _origins(self) -> Origins:
        """What says where values come from; contents are in it only if all of them are shared."""
        session = self.session
        return Origins(session.tasks, session.outcomes, session.inputs, shared=self.settings.share == "all")

    def _calls_of(self, shown: set[str]) -> dict[str, str]:
        """Return which calls the results are of that the joiner is shown, by the names that it is shown them under."""
        origins, tasks = self._origins, self.session.tasks
        named = {name: id_ for id_, task in tasks.items() for name in (task.name or id_, id_) if name in shown}
        notes = self._notes()
        return {name: origins.call(id_) + notes.get(id_, "") for name, id_ in named.items()}

    def _notes(self) -> dict[str, str]:
        """Return what is not repeated or was set by the user, by task; a line says it for its calls and its items."""
        told = {id_: end.how for id_, end in self.run.progress.ends.items() if end.how.startswith(NOT_REPEATED)}
        told |= dict.fromkeys(self.run.progress.given, SET_BY_USER)
        items = Counter((owner_of(id_), how) for id_, how in told.items() if owner_of(id_))
        notes = {line: f" ({how})" for id_, how in told.items() for line in (id_, line_of(id_))}
        for (owner, how), count in items.items():
            notes[owner] = f"{notes.get(owner, '')} ({count_of(count, 'item')} {how})"
        return notes

    def _origins_of(self, id_: str, parameter: str) -> list[str]:
        """Return which calls the arguments come from that a task of `llm` or `extract` has for a parameter."""
        task = self.session.tasks.get(id_)
        if task is None:
            return []
        given = task.kwargs.get(parameter, task.args[1:2] if parameter == "text" else task.args[1:])
        return list(map(self._origins.sources, given if type(given) in (list, tuple) else [given]))

    async def _evaluate(self, final: Return) -> tuple[Answer | None, str]:
        session = self.session
        await session.ready(references(final.expression))
        value = await session.value_of(session.fanouts.linked(final.expression))
        if type(value) is not Failure:
            return Answer(value), ""
        if isinstance(value.error, LostValue):
            return None, self._end_of(value.error.id, str(value.error))
        failure = replace(value, message=mask(value.message, self.settings.secrets), attempts=0)
        self.unanswered = failure
        self.log.emit(AnswerFailed, failure)
        return None, failure.message

    def _end_of(self, id_: str, told: str) -> str:
        """Return why a task has no value: as it is told, but of one that was skipped, what failed."""
        end = self.session.outcomes.get(id_)
        if type(end) is not Skipped or end.by_user or end.not_needed:
            return told
        return f"{id_} was skipped because {end.cause} failed: {end.message}"

    def _joined(self, final: Join, plan: Plan) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the results that the joiner is shown, and all failures, in the order of the plan."""
        session, dropped = self.session, self.writing.dropped
        tasks, values = session.tasks, session.values
        shown = [tasks[id_] for id_ in self._shown(final)]
        results = {task.name or task.id: values[task.id] for task in shown if task.id in values}
        failures = {id_: end for id_, end in session.outcomes.items() if is_lost(end) and id_ not in dropped}
        if failures:
            failures = {id_: failures[id_] for id_ in tasks if id_ in failures}
        # This round's plan was written in place of what failed in earlier ones, unless it has no result either.
        if any(map(values.__contains__, plan.by_id)):
            failures = {id_: end for id_, end in failures.items() if (tasks[id_].owner or id_) in plan.by_id}
        return results, failures

    def _shown(self, final: Join) -> list[str]:
        """Return the tasks whose results the joiner is shown, if they have any."""
        guarded = self.session.is_guarded
        return list(final.refs) or [
            task.id
            for task in self._left()
            if not owner_of(task.id) and not (guarded(task.id) and self._is_told(task.id))
        ]

    def _is_told(self, id_: str) -> bool:
        """Whether a guarded call's value is that of its line, which is shown: one of them is enough."""
        line, outcomes = line_of(id_), self.session.outcomes
        return line in outcomes and outcomes[line] is outcomes.get(id_)

    def _more_failures(self) -> dict[str, str]:
        """Return why the plan's answer failed, and the items of fan-outs that later rounds read without them."""
        lost: dict[str, Any] = {"answer": self.unanswered} if self.unanswered is not None else {}
        fanouts = self.session.fanouts
        for id_ in fanouts.partial:
            lost |= itertools.islice(fanouts.failed_items(id_).items(), FAILED_ITEMS)
        return {id_: str(end)[:500] for id_, end in lost.items()}

    def _effects(self) -> dict[str, str]:
        """Return which calls with side effects were made, and what became of them, for the planner of another round."""
        session, preview = self.session, self.settings.preview
        origins, counts = Origins(session.tasks, session.outcomes, session.inputs, shared=preview), Counter[str]()
        for id_, told in session.effects.ledger.told().items():
            name = id_ if preview else owner_of(id_) or id_  # an item's id may hold its key
            counts[f"{name}: {origins.call(id_)} was {told}"] += 1
        lines = list(counts.items())[:EFFECTS]
        return dict(f"{line}{f' ({count:,} calls)' if count > 1 else ''}".split(": ", 1) for line, count in lines)

    def _lost(self, final: Join, results: dict[str, Any]) -> list[str]:
        """Return the tasks for which a plan without a joiner has failed: those it names, or all if none succeeded."""
        session = self.session
        named = final.refs or (() if results else [id_ for id_, task in session.tasks.items() if not task.owner])
        return [id_ for id_ in named if session.is_lost(id_)]

    def _left(self) -> list[Task]:
        """Return the tasks that later rounds and the joiner are told of: those of plans, of a name the last one."""
        dropped = self.writing.dropped
        tasks = [task for task in self.session.tasks.values() if task.id not in dropped]
        if not any(task.version_of for task in tasks):
            return tasks
        names = self._names()  # a look at the run folds it
        return [task for task in tasks if names.get(task.name, task.id) == task.id]

    def _names(self) -> dict[str, str]:
        return dict(self.run.progress.names)

    # ---------------------------------------------------------------- models

    def _allow_call(self, request: Request, under_way: int) -> None:
        """Count a call of a model that is about to be made. Raises Stopped if the run may not make it."""
        if self.control.closing:
            raise asyncio.CancelledError  # it was cancelled, and a tool or a model swallowed that
        sends = estimate_request(request)
        if reason := self.settings.budget.exceeded(self.run.progress, self.asked, sends, under_way):
            raise Stopped("limit", reason)
        self.asked += 1

    async def _ask_worker(
        self, worker: Model, messages: tuple[Message, ...], task: str, grammar: ReplyGrammar | None
    ) -> str:
        try:
            asked = Asked(worker, Request("worker", messages, task, grammar=grammar))
            kept = await self.calls.recall(asked)
            return kept if kept is not None else await self._ask_anew(asked)
        except Stopped as stopped:
            raise ModelError(stopped.error) from None

    async def _ask_anew(self, asked: Asked) -> str:
        text = (await self.calls.text(asked.model, asked.request)).text
        self.calls.keep(asked, text)
        return text


def _as_join(final: Join | Return) -> Join:
    """Return what a plan would have joined, everything if it has an answer of its own."""
    return final if isinstance(final, Join) else Join()


def plan_of(run: Run) -> Plan:
    """Return the plan of a run that was only to make one.

    Raises the PlanError or ModelError that prevented it, or RunFailed if it reached a limit or was cancelled.
    """
    if run.control.fault is not None:
        raise run.control.fault
    if run.plan is None or run.status != "done":
        raise RunFailed(run.error or run.status, run)
    return run.plan


def finish(run: Run, status: Status, error: str) -> None:
    """Note that a run is over, unless it is already."""
    if not run.control.ended:
        run.log.emit(RunEnded, status, error)
        run.control.end()


def give_up(run: Run, reason: str) -> None:
    """Note, on any thread, that a run goes on and cannot be stopped: nothing that it does counts anymore."""
    for id_, state in list(run.progress.states.items()):
        if state not in ENDED:
            run.log.emit(TaskEnded, id_, 0, "cancelled", Cancelled(reason), "")
    finish(run, "cancelled", reason)
    run.log.close()
