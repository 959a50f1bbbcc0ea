"""Compiler: the settings of runs, and the doors to them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from compiler_nb.compare.doors import ManyRuns
from compiler_nb.drive import Drive, plan_of
from compiler_nb.engine.approval import Ask
from compiler_nb.engine.background import BACKGROUND, MainThread
from compiler_nb.engine.dask import DaskEngine
from compiler_nb.engine.ledger import Entry
from compiler_nb.engine.runners import PostToMain, on_main_thread
from compiler_nb.errors import HistoryError, PlanError, Problem, RunClaimed
from compiler_nb.events import Listener, Log, RunStarted
from compiler_nb.models.base import Model
from compiler_nb.models.connect import connect, no_model
from compiler_nb.models.limits import Limit, read_limits
from compiler_nb.operations.bounds import Bounds, read_bounds
from compiler_nb.outcome import PINNED
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.planner.choice import FEW
from compiler_nb.planner.seen import Seen
from compiler_nb.prompts.data import Share
from compiler_nb.prompts.saved import named_texts
from compiler_nb.run import Run
from compiler_nb.settings.budget import Budget
from compiler_nb.settings.follow import READ, FollowUp
from compiler_nb.settings.order import Claim, Order, Past, Taken
from compiler_nb.settings.settings import Settings
from compiler_nb.signature.answers import AnswerType, answer_type_of
from compiler_nb.signature.expressions import read_type
from compiler_nb.tool import Tool, Toolbox
from compiler_nb.toolbox.language import make_language_tools
from compiler_nb.trace import Round

if TYPE_CHECKING:  # loaded only if it is used
    from compiler_nb.cache import Cache
    from compiler_nb.history.history import History


class Compiler(ManyRuns):
    """Answers questions with the same settings each time; `settings` holds them, checked; `seen` what tools returned.

    model: a Model, or "provider:model" for `connect`. Defaults to none, which is enough for `execute`.
    tools: functions or Tools that plans may call; `llm` and `extract`, which ask the worker, are always offered.
    planner, joiner, worker: models for roles that need another one than `model`.
    dialect: the language of plans: "python", "numbered" or "json".
    examples: pairs of a question and a good plan for it, shown to the planner.
    engine: where calls of sync tools run: "local", in this process; a DaskEngine; "dask", on workers that are started
    on this machine; or "dask:ADDRESS" of a cluster's scheduler.
    max_concurrency: how many calls of tools run at a time.
    limits: what providers allow, by name: {"openai": Limit(concurrency=4, rpm=60)}, or its fields as a dict; for all
    runs on a loop together if they are equal.
    max_replans: how many further plans the joiner may ask for. max_repairs: how often the planner may fix a plan that
    has problems.
    timeout: seconds for a whole run, None means no limit. budget: a Budget of tokens, dollars, calls and seconds.
    approve: tools with side effects: "ask", "auto", "deny", or the names of those that need not be asked for.
    history: a History, or the path of one, in which runs are kept. Defaults to none.
    cache: what of earlier runs is used again: "off", "plan" (plans and decisions), "pure" (values of pure tools), or
    "all", replies to `llm` and `extract` included. It is kept in the history, without one in this Compiler's memory.
    prompts: your own texts for "planner" and "joiner", or names of saved ones (see `save_prompt`).
    share: what of results `llm`, `extract` and the joiner may see: "all", "summary" or "none".
    preview: whether planners see the ranges of numeric and time columns, and a request for another plan contents of
    results, not only their names and shapes.
    drop_failed: the share of a fan-out's items that may fail, such as 0.1: its value is then without them.
    learn_shapes: whether planners are told keys and types of what tools returned before.
    tool_tokens: what of a planner's prompt tools may take: beyond, those that fit the question best are described, and
    the others named, as far as there is room.
    bounds: what expressions may cost: Bounds(items=100_000), or its fields as a dict.

    Raises ValueError if a setting is invalid.
    """

    def __init__(
        self,
        model: Model | str | None = None,
        tools: Iterable[Tool | Callable[..., Any]] | Mapping[str, Any] = (),
        *,
        planner: Model | str | None = None,
        joiner: Model | str | None = None,
        worker: Model | str | None = None,
        dialect: str = "auto",
        examples: Sequence[tuple[str, str]] = (),
        engine: str | DaskEngine = "local",
        max_concurrency: int = 8,
        limits: Mapping[str, Limit | Mapping[str, int]] | None = None,
        max_replans: int = 2,
        max_repairs: int = 1,
        timeout: float | None = None,
        budget: Budget | None = None,
        approve: str | Collection[str] = "ask",
        history: object = None,
        cache: str = "off",
        prompts: Mapping[str, str] | str | None = None,
        share: str = "all",
        preview: bool = False,
        drop_failed: float = 0.0,
        learn_shapes: bool = True,
        tool_tokens: int = 4_000,
        bounds: Bounds | Mapping[str, float] | None = None,
    ) -> None:
        given = dict(locals())
        del given["self"]
        given["tools"] = tools if isinstance(tools, Mapping) else tuple(tools)  # an iterator is read only once
        self.given = given
        self.settings = read_settings(given)
        self.seen = Seen()
        self._cache: Cache | None = None

    @property
    def cache(self) -> Cache:
        """What need not be worked out again: `show()` says what is in it, `clear()` empties it."""
        if self._cache is None:
            from compiler_nb.cache import Cache  # noqa: PLC0415 - only who uses the cache needs it

            self._cache = Cache(self.settings.history)
        return self._cache

    @cache.setter
    def cache(self, cache: Cache) -> None:
        self._cache = cache

    # ---------------------------------------------------------------- doors

    async def run(
        self,
        question: str,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
        *,
        answer_type: Any = None,
        after: Run | str | None = None,
    ) -> Run:
        """Answer a question on the running loop; the Run says how that went, and only a cancellation is raised.

        inputs: variables offered to the planner by name and schema. on_event: called with each event, on the run's
        thread. answer_type: what the answer is to be: float, list[str], a dataclass, a pydantic model, DataFrame; a
        wrong one is asked for again once. after: the run that the question follows (a Run, or the id of one in the
        history): its results are read by name, and not computed again. Raises NoModel if no model is set, ValueError if
        `answer_type` is no type, HistoryError if there is no such run.
        """
        old = await asyncio.to_thread(self.recall, after) if after is not None else None
        order = self.order(question, inputs=inputs, answer_type=answer_type, after=old)
        return await self._perform(order, on_event)

    async def execute(
        self,
        plan: Plan | str,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
        *,
        question: str = "",
        source: Run | str | None = None,
        overrides: Mapping[str, Any] | None = None,
        answer_type: Any = None,
    ) -> Run:
        """Run a plan (a Plan, or its text). Raises PlanError if the text is not a plan.

        inputs: the values of the variables that it reads. on_event: as for `run`. question: what a joiner is told.
        source: the run that the plan comes from (a Run, or the id of one in the history): only what has changed since
        runs, and its side effects, and those of its lineage, are not repeated. overrides: values of tasks, which do not
        run. answer_type: as for `run`. Raises KeyError if there is no such task.
        """
        old = await asyncio.to_thread(self.recall, source) if source is not None else None
        order = self.order(question, plan=plan, inputs=inputs, source=old, overrides=overrides, answer_type=answer_type)
        return await self._perform(order, on_event)

    async def plan(self, question: str, inputs: Mapping[str, Any] | None = None, *, answer_type: Any = None) -> Plan:
        """Return the plan for a question, without running it; inputs, answer_type: as for `run`.

        Raises PlanError, ModelError, or RunFailed at a limit, if there is no plan. The history keeps how it was made.
        """
        return plan_of(await self._perform(self.order_planned(question, inputs, answer_type=answer_type), None))

    async def resume(
        self,
        run: Run | str,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
        *,
        take: bool = False,
        answer_type: Any = None,
    ) -> Run:
        """Go on with a run that did not finish (a Run, or the id of one in the history), as another run.

        Only what had not finished runs: what is done is adopted if its tool's code and its inputs are what they were.
        A side effect whose end is unknown needs approval, and is denied if nobody can be asked. inputs: replace the
        run's own, which are taken from the run. on_event: as for `run`. Raises HistoryError if there is no such run,
        RunClaimed if another run goes on with it; take: even so, if that run's process is on another host, which cannot
        be asked. answer_type: as for `run`; defaults to the run's own.
        """
        old = await asyncio.to_thread(self.recall, run)
        return await self._perform(self.order_resumed(old, inputs, take=take, answer_type=answer_type), on_event)

    async def rerun(
        self,
        run: Run | str,
        start: str = "",
        overrides: Mapping[str, Any] | None = None,
        *,
        failed: bool = False,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
        take: bool = False,
        answer_type: Any = None,
    ) -> Run:
        """Run the plan of a finished run again, all of it or a part; what does not run keeps its outcome.

        start: this task and all that depend on it; failed: what failed, was skipped or cancelled; overrides: values of
        tasks, which do not run, while those that depend on them do; inputs, take, answer_type: as for `resume`;
        on_event: as for `run`. Raises KeyError if there is no such task, RunClaimed as `resume` does.
        """
        old = await asyncio.to_thread(self.recall, run)
        order = self.order_again(
            old, start, overrides, failed=failed, inputs=inputs, take=take, answer_type=answer_type
        )
        return await self._perform(order, on_event)

    def run_sync(
        self,
        question: str,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
        *,
        answer_type: Any = None,
        after: Run | str | None = None,
    ) -> Run:
        """Do what `run` does, on our own loop, and wait; an interrupt cancels the run and is raised."""
        old = self.recall(after) if after is not None else None
        return self._wait(self.order(question, inputs=inputs, answer_type=answer_type, after=old), on_event)

    def execute_sync(
        self,
        plan: Plan | str,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
        *,
        question: str = "",
        source: Run | str | None = None,
        overrides: Mapping[str, Any] | None = None,
        answer_type: Any = None,
    ) -> Run:
        """Do what `execute` does, on our own loop, and wait."""
        old = self.recall(source) if source is not None else None
        order = self.order(question, plan=plan, inputs=inputs, source=old, overrides=overrides, answer_type=answer_type)
        return self._wait(order, on_event)

    def plan_sync(self, question: str, inputs: Mapping[str, Any] | None = None, *, answer_type: Any = None) -> Plan:
        """Do what `plan` does, on our own loop, and wait."""
        return BACKGROUND.run(self.plan(question, inputs, answer_type=answer_type))

    def resume_sync(
        self,
        run: Run | str,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
        *,
        take: bool = False,
        answer_type: Any = None,
    ) -> Run:
        """Do what `resume` does, on our own loop, and wait."""
        order = self.order_resumed(self.recall(run), inputs, take=take, answer_type=answer_type)
        return self._wait(order, on_event)

    def rerun_sync(
        self,
        run: Run | str,
        start: str = "",
        overrides: Mapping[str, Any] | None = None,
        *,
        failed: bool = False,
        inputs: Mapping[str, Any] | None = None,
        on_event: Listener | None = None,
        take: bool = False,
        answer_type: Any = None,
    ) -> Run:
        """Do what `rerun` does, on our own loop, and wait."""
        order = self.order_again(
            self.recall(run), start, overrides, failed=failed, inputs=inputs, take=take, answer_type=answer_type
        )
        return self._wait(order, on_event)

    async def _perform(self, order: Order, on_event: Listener | None) -> Run:
        run, work = self.begin(order, on_event=on_event)
        await work
        return run

    def _wait(self, order: Order, on_event: Listener | None) -> Run:
        main = MainThread()
        # What is posted runs on the thread that waits here. If that is not the main thread, nothing may be posted.
        run, work = self.begin(order, on_event=on_event, main=main.post if on_main_thread() else None)
        BACKGROUND.run(work, main=main, stop=run.cancel)
        return run

    # ---------------------------------------------------------------- orders

    def order(
        self,
        question: str = "",
        *,
        plan: Plan | str | None = None,
        inputs: Mapping[str, Any] | None = None,
        source: Run | None = None,
        overrides: Mapping[str, Any] | None = None,
        answer_type: Any = None,
        after: Run | None = None,
    ) -> Order:
        """Return the order to answer a question, or to run a plan.

        source: the run that the plan comes from; overrides: values of its tasks; after: the run that the question
        follows. Raises NoModel if nobody can write the
        plan, PlanError if the given one cannot run, KeyError if it has no task of that name, ValueError if
        `answer_type` is no type.
        """
        given = dict(inputs or {})
        self._renew_tools()
        if plan is None and self.settings.planner is None:
            raise no_model()
        if isinstance(plan, str):
            plan = Plan.parse(plan, tools=self.settings.tools, inputs=tuple(given))
        if plan is not None:
            _check_whole(plan, given)
        past = Past()
        if plan is not None and source is not None:
            if any(map(_is_after_tools, source.rounds)):
                plan = replace(plan, after_tools=True)  # it may be what tools have asked for, however it came here
            past = self._taken_over(source, plan, given)
            question = question or source.question
        if plan is not None:
            past.pins = {plan.id_of(name): Taken(value, PINNED) for name, value in (overrides or {}).items()}
        if after is not None:
            from compiler_nb.history.follow import inputs_of  # noqa: PLC0415 - few questions follow another

            given = inputs_of(after, given)
            past = self._followed(after, given)
        shapes = self._recall_shapes() if plan is None else {}
        uses = self._recall_uses() if plan is None else {}
        wanted = answer_type_of(answer_type)
        return Order(
            question=question, plan=plan, inputs=given, past=past, shapes=shapes, uses=uses, answer_type=wanted
        )

    def _taken_over(self, old: Run, plan: Plan, inputs: Mapping[str, Any]) -> Past:
        """Return what a run leaves to a plan that comes from it."""
        from compiler_nb.history.past import taken_over  # noqa: PLC0415 - only a later run needs the history

        claim = self._claim_on(old, take=False)
        past = taken_over(old, plan, self.settings.tools, inputs, self._effects_of(old))
        past.claim = claim
        return past

    def _followed(self, last: Run, inputs: Mapping[str, Any]) -> Past:
        """Return what a run, and those that it follows itself, leave to a question that follows it."""
        from compiler_nb.history.follow import followed  # noqa: PLC0415 - few questions follow another

        runs = [last]
        while runs[0].after and len(runs) < READ:
            known = {run.id: run for run in (runs[0].order.past.follow or FollowUp()).runs}
            try:
                runs.insert(0, known[runs[0].after] if runs[0].after in known else self.recall(runs[0].after))
            except (HistoryError, RunClaimed):  # it was removed, or is in another file
                break
        effects: list[Entry] = []
        for run in runs:
            places, digests = {each.place for each in effects}, {each.digest for each in effects}
            effects += [  # of what an earlier run did a stored one knows the digest only
                each
                for each in self._effects_of(run)
                if each.place not in places and (each.place.run or each.digest not in digests)
            ]
        return followed(runs, self.settings.tools, inputs, effects)

    def order_planned(
        self,
        question: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        answer_type: Any = None,
        after: Run | None = None,
    ) -> Order:
        """Return the order to make a plan for a question, and not to run it. Raises NoModel if nobody can write it."""
        return replace(self.order(question, inputs=inputs, answer_type=answer_type, after=after), planning=True)

    def _conversation_of(self, old: Run) -> FollowUp | None:
        """Return what the question of a run followed, None if it followed nothing, or that is gone."""
        if not old.after or old.order.past.follow is not None:
            return old.order.past.follow
        try:
            return self._followed(self.recall(old.after), old.inputs).follow
        except (HistoryError, RunClaimed):
            return None

    def _recall_uses(self) -> Mapping[str, int]:
        """Return how often tools were called, if there are so many that not all are described."""
        settings = self.settings
        if not settings.learns or len(settings.tools) <= FEW:
            return {}
        return self.seen.uses(settings.history.used if settings.history is not None else dict)

    def _recall_shapes(self) -> dict[str, str]:
        """Return what the planner is told of the results of tools."""
        settings = self.settings
        if not settings.learns:
            return {}
        if settings.history is not None:
            self.seen.recall(settings.tools, settings.history.returned)
        return self.seen.told(settings.tools)

    def order_resumed(
        self, old: Run, inputs: Mapping[str, Any] | None = None, *, take: bool = False, answer_type: Any = None
    ) -> Order:
        """Return the order to go on where a run stopped.

        Raises NoModel if another plan is needed and nobody can write it, HistoryError if an input was not stored,
        RunClaimed if another run goes on with it.
        """
        from compiler_nb.history.past import resumed  # noqa: PLC0415 - only a resume needs the history

        self._renew_tools()
        claim = self._claim_on(old, take=take)
        order = resumed(old, self.settings.tools, inputs or {}, self._effects_of(old))
        order.past.claim = claim
        if self.settings.learns:  # the planner is told what it was told before
            order = replace(order, shapes=next((event.shapes for event in old.events if type(event) is RunStarted), {}))
        order = replace(order, answer_type=_wanted_of(old, answer_type))
        order.past.follow = self._conversation_of(old)
        if self.settings.planner is None and len(order.past.rounds) < max(1, len(old.rounds)):
            raise no_model()
        return order

    def order_again(
        self,
        old: Run,
        start: str = "",
        overrides: Mapping[str, Any] | None = None,
        *,
        failed: bool = False,
        inputs: Mapping[str, Any] | None = None,
        take: bool = False,
        answer_type: Any = None,
    ) -> Order:
        """Return the order to run a run's plan again, all of it or a part, as `rerun` does."""
        from compiler_nb.history.past import repeated  # noqa: PLC0415 - only a rerun needs the history

        self._renew_tools()
        claim = self._claim_on(old, take=take)
        order = repeated(
            old, start=start, overrides=overrides or {}, failed=failed, tools=self.settings.tools, inputs=inputs or {},
            effects=self._effects_of(old),
        )  # fmt: skip
        order.past.claim, order.past.follow = claim, self._conversation_of(old)
        return replace(order, answer_type=_wanted_of(old, answer_type))

    def recall(self, run: Run | str) -> Run:
        """Return a run that has ended, by its id from the history.

        Raises HistoryError if there is no such run, RunClaimed if it has not ended.
        """
        history: History | None = self.settings.history
        if isinstance(run, str):
            if history is None:
                raise HistoryError(f"there is no history to look for {run!r} in: Compiler(history='runs.db')")
            run = history.load(run, self.settings.tools)
        if run.status == "running":
            raise RunClaimed(f"{run.id} is still running: wait for its end, or cancel it, and then go on with it")
        return run

    def _renew_tools(self) -> None:
        """Take the tools as their modules define them now, for the next run: those that are under way keep theirs."""
        tools = self.settings.tools.newest()
        if tools is not self.settings.tools:
            self.settings = replace(self.settings, tools=tools)

    def _claim_on(self, old: Run, *, take: bool) -> Claim | None:
        """Return who made side effects of a run's lineage last; to be asked before what those are."""
        history: History | None = self.settings.history
        try:
            return history.claim_on(old.id, take=take) if history is not None else None
        except RunClaimed:
            raise
        except HistoryError:  # a run at hand may be in no history
            return None

    def _effects_of(self, old: Run) -> list[Entry]:
        """Return the side effects of a run's lineage, as of now; without a history the list that its runs share.

        Raises HistoryError if the history cannot be read.
        """
        from compiler_nb.history.past import lineage, only_noted  # noqa: PLC0415 - only a later run needs the history

        history: History | None = self.settings.history
        found = lineage(history.lineage(old.id, self.settings.tools)) if history is not None else []
        here = {entry.place for entry in old.effects}
        old.effects += [entry for entry in found if entry.place not in here]
        old.effects += only_noted(old, old.effects)
        return old.effects if history is None else list(old.effects)

    # ---------------------------------------------------------------- begin

    def begin(
        self,
        order: Order,
        *,
        on_event: Listener | None = None,
        ask: Ask | None = None,
        main: PostToMain | None = None,
    ) -> tuple[Run, Coroutine[Any, Any, None]]:
        """Return a Run that is `running`, and the coroutine that performs it, on any loop.

        The coroutine raises nothing but a cancellation from outside. ask: asks a person to approve a task; main: posts
        a function to the main thread.
        """
        run = self._new_run(order, on_event)
        learn = self.seen.learn if self.settings.learns else None
        cache = self.cache if self.settings.cache != "off" else None
        return run, Drive(run, ask=ask, main=main, learn=learn, cache=cache).perform()

    def _new_run(self, order: Order, on_event: Listener | None) -> Run:
        log = Log(f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}")
        if on_event is not None:
            log.listeners.append(on_event)
        return Run(order, self.settings, log)


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Return the settings that a Compiler's arguments stand for; what is not read here is a setting as it is given.

    Raises ValueError if one is invalid.
    """
    models = _models(given)
    history = _history(given["history"])
    prompts, variants = _texts(given["prompts"], history)
    read = {
        **models,
        "history": history,
        "prompts": prompts,
        "variants": variants,
        "tools": _toolbox(given["tools"], given["share"], models["worker"]),
        "examples": _plain(tuple, given["examples"]),
        "limits": read_limits(given["limits"]),
        "budget": Budget() if given["budget"] is None else given["budget"],
        "bounds": read_bounds(given["bounds"]),
    }
    settings = Settings(**{name: value for name, value in given.items() if name != "model"} | read)
    _hide_keys(settings)
    return settings


def _models(given: Mapping[str, Any]) -> dict[str, Model | None]:
    """Return the model of each role: its own, or the one for all."""
    own = _model(given["model"])
    return {role: _in_role(role, given[role], own) for role in ("planner", "joiner", "worker")}


def _model(model: Model | str | None) -> Model | None:
    return connect(model) if isinstance(model, str) else model


def _in_role(role: str, model: Model | str | None, own: Model | None) -> Model | None:
    """Return the model of a role, `own` if it has none; one that plays several roles says which that is."""
    found = own if model is None else _model(model)
    part = getattr(found, "for_role", None)
    return part(role) if part is not None else found


def _toolbox(tools: Any, share: Share, worker: Model | None) -> Toolbox:
    """Return the tools that plans may call, with those that ask the worker."""
    language = make_language_tools(share=share, provider=getattr(worker, "provider", None))
    return Toolbox(tools).newest().plus(Toolbox(language))


def _hide_keys(settings: Settings) -> None:
    """Tell the models that keep what they are asked, such as a cassette, which keys they must leave out."""
    for model in settings.roles.values():
        if hide := getattr(model, "hide_keys", None):
            hide(settings.secrets)


def _plain(kind: Callable[[Any], Any], given: object) -> Any:
    """Return a copy, or what was given if it cannot be copied: the settings say what is wrong with it."""
    try:
        return kind(given)
    except (TypeError, ValueError):
        return given


def _texts(prompts: Any, history: History | None) -> tuple[Any, dict[str, str]]:
    """Return the prompts with texts in the place of names, and what those are called."""
    given = "auto" if prompts is None else prompts if isinstance(prompts, str) else _plain(dict, prompts)
    return named_texts(given, history) if type(given) is dict else (given, {})


def _history(given: object) -> History | None:
    if given is None:
        return None
    from compiler_nb.history.history import open_history  # noqa: PLC0415 - only who keeps runs needs it

    return open_history(given)


def _wanted_of(old: Run, given: Any) -> AnswerType | None:
    """Return what the answer of a run that goes on with another is to be: what is given, or what the other's was.

    Raises HistoryError if that is the type of a notebook, of which only the name is stored.
    """
    if given is not None or old.order.answer_type is not None or not old.answer_type:
        return answer_type_of(given) if given is not None else old.order.answer_type
    try:
        return AnswerType(read_type(old.answer_type))
    except ValueError:
        name = old.answer_type
        told = f"the answer of {old.id} is to be of the type {name}, and only its name was stored"
        raise HistoryError(f"{told}: give the type, answer_type={name}") from None


def _check_whole(plan: Plan, inputs: Mapping[str, Any]) -> None:
    """Raise a PlanError if a plan reads a task of another round, or a variable that is not given."""
    known: set[str] = set()
    problems = []
    for task in plan.tasks:
        if not known.issuperset(task.dependencies):
            problems += [_missing(f"the task {id_!r}", task) for id_ in task.dependencies if id_ not in known]
        if task.inputs:
            problems += [_missing(f"the input {name!r}", task) for name in task.inputs if name not in inputs]
        known.add(task.id)
    if problems:
        raise PlanError(problems)


def _missing(what: str, task: Task) -> Problem:
    message = f"{task.id} reads {what}, which is not there: give it as an input, or run the plan that makes it"
    return Problem("missing_ref", task.line, task.column, message, task.id)


def _is_after_tools(round_: Round) -> bool:
    """Whether a round's plan was written after tools had returned something."""
    return round_.number > 0 or (round_.plan is not None and round_.plan.after_tools)
