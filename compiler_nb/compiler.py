"""Compiler: the settings of runs, and the doors to them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

from compiler_nb.compare.doors import ManyRuns
from compiler_nb.drive import Drive, plan_of
from compiler_nb.engine.background import WAITS, waiting
from compiler_nb.engine.cluster.engine import DaskEngine
from compiler_nb.engine.effects.approval import Ask
from compiler_nb.engine.off_loop import off_loop
from compiler_nb.engine.runners import PostToMain
from compiler_nb.events import Listener, Log
from compiler_nb.models.base import Model
from compiler_nb.models.connect import connect
from compiler_nb.models.limits import Limit, read_limits
from compiler_nb.operations.bounds import Bounds, read_bounds
from compiler_nb.plan.plan import Plan
from compiler_nb.prompts.data import Share
from compiler_nb.prompts.saved import named_texts
from compiler_nb.run import Run
from compiler_nb.settings.budget import Budget
from compiler_nb.settings.order import Order
from compiler_nb.settings.settings import Settings
from compiler_nb.text import cut
from compiler_nb.tool import Tool, Toolbox
from compiler_nb.toolbox.language import make_language_tools

if TYPE_CHECKING:  # loaded only if it is used
    from compiler_nb.cache import Cache
    from compiler_nb.history.history import History


class Compiler(ManyRuns):
    """Answers questions with the same settings each time; `settings` holds them, checked; `seen` what tools returned.

    model: a Model, or "provider:model" for `connect`. Defaults to none, which is enough for `execute`.
    tools: functions or Tools that plans may call; `llm` and `extract`, which ask the worker, are always offered.
    planner, joiner, worker: models for roles that need another one than `model`.
    dialect: the language of plans: "python", "numbered", "json", or "auto" for what the planner's model asks for,
    which is mostly python.
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
    prompts: how "planner" and "joiner" are asked: "full", "small" (short, for small models), "auto" for what the model
    asks for, or a dict of your own texts by role, or of names of saved ones (see `save_prompt`).
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
        del given["self"], given["__class__"]  # the second is there for super()
        given["tools"] = tools if isinstance(tools, Mapping) else tuple(tools)  # an iterator is read only once
        super().__init__(read_settings(given))
        self.given = given
        self._cache: Cache | None = None

    def __repr__(self) -> str:
        models = ", ".join(dict.fromkeys(self.settings.models.values())) or "no model"
        return f"<compiler: {models}; tools: {cut(', '.join(self.settings.tools), 80)}>"

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
        old = await off_loop(self.recall, after) if after is not None else None
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
        old = await off_loop(self.recall, source) if source is not None else None
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
        old = await off_loop(self.recall, run)
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
        old = await off_loop(self.recall, run)
        order = self.order_again(
            old, start, overrides, failed=failed, inputs=inputs, take=take, answer_type=answer_type
        )
        return await self._perform(order, on_event)

    run_sync = waiting(run)
    execute_sync = waiting(execute)
    plan_sync = waiting(plan)
    resume_sync = waiting(resume)
    rerun_sync = waiting(rerun)

    async def _perform(self, order: Order, on_event: Listener | None) -> Run:
        run, work = self.begin(order, on_event=on_event, main=WAITS.get())
        await work
        return run

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
    first = given["model"]
    if isinstance(first, Tool | FunctionType | list | tuple | Mapping):
        ways = "Compiler(model, [weather]), or Compiler(tools=[weather])"
        raise ValueError(f"tools come after the model: write {ways}")  # noqa: TRY004 - as all settings
    own = _model(first)
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
