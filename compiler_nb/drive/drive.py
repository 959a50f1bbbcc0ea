"""Drive one run through its rounds: the plan is written and run, then joined, and perhaps there is another."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from compiler_nb.drive.adopting import Adopter
from compiler_nb.drive.briefing import Briefing
from compiler_nb.drive.deciding import Decider
from compiler_nb.drive.ending import CANCELLED, Stopped, ending_of
from compiler_nb.drive.opening import open_session
from compiler_nb.engine.effects.approval import Ask
from compiler_nb.engine.prints import PRINTS, Prints
from compiler_nb.engine.resources import RESOURCES, Resources
from compiler_nb.engine.results import read_by_several
from compiler_nb.engine.runners import PostToMain
from compiler_nb.engine.session import Session
from compiler_nb.engine.watch import WATCH
from compiler_nb.errors import ClusterError, CompilerError, ModelError, PlanError, RunClaimed
from compiler_nb.events import Decided, PlanClosed, RoundStarted, RunEnded, RunStarted, TaskEnded, TaskPlanned, Warned
from compiler_nb.models.base import Message, Model, ReplyGrammar, Request, estimate_request
from compiler_nb.models.calls import Calls
from compiler_nb.models.recall import Asked
from compiler_nb.outcome import ENDED, Answer, Cancelled, Status
from compiler_nb.plan.effects import in_order
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task, owner_of
from compiler_nb.planner.requests import Earlier, describe_schema
from compiler_nb.planner.writing import Writing
from compiler_nb.prompts.missing import NoteTable, look_at, tables_in
from compiler_nb.run import Run
from compiler_nb.settings.order import PastRound
from compiler_nb.text import count_of
from compiler_nb.tool import Tool
from compiler_nb.toolbox.language import ORIGINS, WORKER

if TYPE_CHECKING:  # loaded only if it is used
    from compiler_nb.cache import Cache
    from compiler_nb.cache.calls import ValueCache
    from compiler_nb.history.history import Keeper

UNPLANNED: Final = "side effects wait for a whole plan, and there is none"
Learn: TypeAlias = Callable[[Mapping[str, Task], Mapping[str, Any], Mapping[str, Tool]], None]
READERS: Final = 3
"""Calls that a warning names."""
NOT_STORED: Final = 10
"""Results of an earlier question that a warning names because they were not stored."""
HOME_WITHIN: Final = 60.0
"""Seconds in which values come home from a cluster when the run ends."""
HOME_AT_LIMIT: Final = 2.0
"""The same, if it ended at a limit, or failed."""
LONGEST_WAIT: Final = 120.0
"""Seconds that a call waits for a provider that is asked too often; less if the run may not take so long."""


class Drive:
    """Drives one run through its rounds.

    ask: asks a person to approve a task, None if nobody can be asked; main: posts a function to the main thread; learn:
    takes what the tools returned, before the run ends, so that whoever waits for the end finds it known; cache: what
    need not be worked out again, as far as the settings say.
    """

    session: Session  # these are made on the loop, as the run begins
    prints: Prints
    resources: Resources
    calls: Calls
    writing: Writing
    adopter: Adopter
    briefing: Briefing
    decider: Decider

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
        self.asked = 0  # calls of models that were allowed
        self.looked = False  # whether the schemas of inputs say what is missing in them

    # ---------------------------------------------------------------- the whole

    async def perform(self) -> None:
        """Run the rounds; whatever happens, the run ends with a status."""
        control = self.control
        self._open()
        session = self.session
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
            await self._end(*ending_of(error, late=self.settings.seconds if limit.expired() else None))
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

    # ---------------------------------------------------------------- the beginning

    def _open(self) -> None:
        """Make what the run works with, and note that it begins."""
        self.prints = Prints(self.log, self.settings.secrets, self.control.printed)
        self.resources = Resources()
        self.session = copy_context().run(self._open_session)
        self.adopter = Adopter(self.run, self.session, self.past)
        self._open_models()
        self.briefing = Briefing(self.session, self.run, self.writing.dropped)
        self.decider = Decider(self.run, self.session, self.writing, self.briefing)
        self._use_cache()
        self._keep()  # before the first event, which a history must hold, too
        self._announce()

    def _open_session(self) -> Session:
        """Return what performs the tasks: in a copy of this context, so that tools find these four."""
        worker = self.settings.worker
        PRINTS.set(self.prints)
        RESOURCES.set(self.resources)
        ORIGINS.set(lambda id_, parameter: self.briefing.sources(id_, parameter))  # noqa: PLW0108 - it is made later
        WORKER.set(None if worker is None else partial(self._ask_worker, worker))
        return open_session(self.run, self.past, self.ask, self.main)

    def _open_models(self) -> None:
        """Make what calls the models, and what has plans written by them."""
        settings, order, session, wanted = self.settings, self.order, self.session, self.order.answer_type
        wait = min(settings.seconds or LONGEST_WAIT, LONGEST_WAIT)
        self.calls = Calls(
            self.log.emit, limits=session.rates, parking=session.parking, longest_wait=wait, allow=self._allow_call
        )
        self.writing = Writing(
            settings, order.question, self.schemas, self.log, session, shapes=order.shapes, uses=order.uses,
            answer=wanted.for_planner if wanted is not None else "", follow=self.past.follow, bring=self.adopter.bring,
            calls=self.calls, add=(lambda task: None) if order.planning else self.adopter.add,
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
        """Note that the run begins, with what, and which results of earlier questions are not there."""
        settings, order, follow, wanted = self.settings, self.order, self.past.follow, self.order.answer_type
        if order.inputs:
            from compiler_nb.engine.began import mark_inputs  # noqa: PLC0415 - only who has inputs needs it

            self.run.marks = mark_inputs(order.inputs)
        self.log.emit(
            RunStarted, order.question, tuple(settings.tools), dict(self.schemas), settings.models, time.time(),
            dict(order.shapes), dict(settings.variants), wanted.name if wanted is not None else "",
            follow.runs[-1].id if follow is not None and follow.runs else "",
        )  # fmt: skip
        if follow is not None:
            for id_, why in itertools.islice(follow.lost.items(), NOT_STORED):
                self.log.emit(Warned, "", f"{id_} of the run {follow.origins[id_]} was not stored ({why})")

    # ---------------------------------------------------------------- the rounds

    async def _rounds(self) -> None:
        """Write or take a plan, run it and join it, until there is an answer.

        Rounds that an earlier run has gone through come first: their plans are known, and how the joiner ended them.
        """
        if self.control.cancelled:
            raise Stopped("cancelled", CANCELLED)
        order, session, follow, reason = self.order, self.session, self.past.follow, ""
        given = self.past.rounds or ([PastRound(order.plan, None)] if order.plan is not None else [])
        earlier: Earlier | None = None
        for number in itertools.count():
            self.log.round = number
            self.log.emit(RoundStarted, reason)
            plan, known = given[number] if number < len(given) else (None, None)
            informed = number > 0 or (plan is not None and plan.after_tools)
            session.begin_round(informed=informed or (follow is not None and follow.informed))
            plan = self._take_plan(plan) if plan is not None else await self._ask_for_plan(earlier)
            if order.planning:
                return
            can_replan = number < self.settings.replans and not order.executing
            decision, by = await self.decider.decide(plan, known, can_replan=can_replan)
            self.log.emit(Decided, decision, by)
            await session.drained()  # an answer is told as soon as it exists; side effects may still go on
            if isinstance(decision, Answer):
                return
            if not can_replan and number + 1 >= len(given):
                raise Stopped("limit", f"no answer after {count_of(number, 'replan')}: {decision.told}")
            reason = decision.told
            session.keep_items()
            earlier = self.briefing.earlier(plan, decision.reason, await self._look_at(self.briefing.outcomes.values()))

    def _take_plan(self, plan: Plan) -> Plan:
        """Start the tasks of a given plan; a line that a round repeats keeps the task of the earlier one."""
        session, known, add = self.session, set(self.session.tasks), self.adopter.add
        session.open()
        for task in in_order(plan.tasks, self.settings.tools):
            if task.id in known:
                session.keep(task)
            else:
                self.log.emit(TaskPlanned, task.id, 0, task, "")
                add(task)
        self.log.emit(
            PlanClosed, plan.text, True, plan.final, plan.dialect, tuple(plan.by_id), plan.notes, plan.after_tools,  # noqa: FBT003 - a field
        )  # fmt: skip
        session.close()
        return plan

    async def _ask_for_plan(self, earlier: Earlier | None) -> Plan:
        """Have a plan written; if that fails, wait for the tasks that have started before the error is raised."""
        if not self.looked:  # not sooner: the first picture does not wait for it, nor does a run of a given plan
            self.looked, inputs = True, self.run.inputs
            if notes := await self._look_at(inputs.values()):
                self.schemas |= {name: describe_schema(value, notes) for name, value in inputs.items()}
        try:
            return await self.writing.write(earlier, self.briefing.names if earlier is not None else {})
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

    # ---------------------------------------------------------------- the end

    async def _end(self, status: Status, error: str) -> None:
        """Let running tasks end, then note how the run ended, after all that came before is stored."""
        self.control.closing = True
        if status != "done":
            self.session.cancel(Cancelled(error))
            await self.session.drained()  # so that no event of a task comes after the end
        await self._bring_home(status)
        if status == "limit" and (answer := self.decider.what_exists()) is not None:
            self.log.emit(Decided, answer, "limit")
        self._warn_at_last()
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
                    await self.session.bring_home(lambda: [task.id for task in self.briefing.shown(plan.final)])
                await self.session.bring_home(largest=largest)

    def _warn_at_last(self) -> None:
        """Warn of what only the end shows: values given to items that do not exist, and values read only once."""
        for id_ in self.past.unheard(self.run.progress) if self.past.pins else ():
            told = f"{id_} was given a value, but {owner_of(id_)} has no such item: name it as `run.results` shows it"
            self.log.emit(Warned, owner_of(id_), told)
        for id_, readers in read_by_several(self.session.tasks, self.session.outcomes).items():
            more = f" and {len(readers) - READERS:,} more" if len(readers) > READERS else ""
            told = f"{', '.join(readers[:READERS])}{more} were given it: return a list instead"
            self.log.emit(Warned, id_, f"{id_} can be read only once, but {told}")

    # ---------------------------------------------------------------- calls of models

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
        """Return the worker's reply to a tool that asks it, or the one that is kept of an equal request."""
        asked = Asked(worker, Request("worker", messages, task, grammar=grammar))
        try:
            text = await self.calls.recall(asked)
            if text is None:
                text = (await self.calls.text(worker, asked.request)).text
                self.calls.keep(asked, text)
        except Stopped as stopped:
            raise ModelError(stopped.error) from None
        return text


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
