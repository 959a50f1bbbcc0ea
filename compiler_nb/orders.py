"""Orders: what runs are to do, and what earlier runs leave to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from compiler_nb.engine.effects.ledger import Entry
from compiler_nb.errors import HistoryError, PlanError, Problem, RunClaimed
from compiler_nb.events import RunStarted
from compiler_nb.models.connect import no_model
from compiler_nb.outcome import PINNED
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.planner.choice import FEW
from compiler_nb.planner.seen import Seen
from compiler_nb.run import Run
from compiler_nb.settings.follow import READ, FollowUp
from compiler_nb.settings.order import Claim, Order, Past, Taken
from compiler_nb.settings.settings import Settings
from compiler_nb.signature.answers import AnswerType, answer_type_of
from compiler_nb.signature.expressions import read_type
from compiler_nb.text import type_name
from compiler_nb.trace import Round

if TYPE_CHECKING:  # loaded only if it is used
    from compiler_nb.history.history import History


class Orders:
    """Makes the orders for runs with one set of settings: from a question, a plan, or an earlier run.

    settings: of the next run, with the newest tools; seen: what tools returned.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.seen = Seen()

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

        Of a plan, source: the run that it comes from; overrides: values of its tasks. Of a question, after: the run
        that it follows. Raises NoModel if nobody can write the plan, PlanError if the given one cannot run, KeyError if
        it has no task of that name, ValueError if `answer_type` is not a type.
        """
        self._renew_tools()
        given, wanted = dict(inputs or {}), answer_type_of(answer_type)
        if plan is None:
            return self._order_question(question, given, after, wanted)
        if isinstance(plan, str):
            plan = Plan.parse(plan, tools=self.settings.tools, inputs=tuple(given))
        _check_whole(plan, given)
        past = Past()
        if source is not None:
            if any(map(_is_after_tools, source.rounds)):
                plan = replace(plan, after_tools=True)  # it may be what tools have asked for, however it came here
            past = self._taken_over(source, plan, given)
            question = question or source.question
        past.pins = {plan.id_of(name): Taken(value, PINNED) for name, value in (overrides or {}).items()}
        return Order(question=question, plan=plan, inputs=given, past=past, answer_type=wanted)

    def _order_question(
        self, question: str, inputs: Mapping[str, Any], after: Run | None, wanted: AnswerType | None
    ) -> Order:
        """Return the order to answer a question, with what the planner is told of tools and of earlier questions."""
        if self.settings.planner is None:
            raise no_model()
        past = Past()
        if after is not None:
            from compiler_nb.history.follow import inputs_of  # noqa: PLC0415 - few questions follow another

            inputs = inputs_of(after, inputs)
            past = self._followed(after, inputs)
        return Order(
            question=question, inputs=inputs, past=past, shapes=self._recall_shapes(), uses=self._recall_uses(),
            answer_type=wanted,
        )  # fmt: skip

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

        Raises HistoryError if there is no such run, RunClaimed if it has not ended, TypeError if it is neither.
        """
        if not isinstance(run, str | Run):
            raise TypeError(f"a run must be a Run, or the id of one as text, not {type_name(run)}")
        history: History | None = self.settings.history
        if isinstance(run, str):
            if history is None:
                raise HistoryError(f"there is no history to look for {run!r} in: Compiler(history='runs.db')")
            run = history.load(run, self.settings.tools)
        if run.status == "running":
            raise RunClaimed(f"{run.id} is still running: wait for its end, or cancel it, and then go on with it")
        return run

    # ---------------------------------------------------------------- what planners are told

    def _renew_tools(self) -> None:
        """Take the tools as their modules define them now, for the next run: those that are under way keep theirs."""
        tools = self.settings.tools.newest()
        if tools is not self.settings.tools:
            self.settings = replace(self.settings, tools=tools)

    def _recall_shapes(self) -> dict[str, str]:
        """Return what the planner is told of the results of tools."""
        settings = self.settings
        if not settings.learns:
            return {}
        if settings.history is not None:
            self.seen.recall(settings.tools, settings.history.returned)
        return self.seen.told(settings.tools)

    def _recall_uses(self) -> Mapping[str, int]:
        """Return how often tools were called, if there are so many that not all are described."""
        settings = self.settings
        if not settings.learns or len(settings.tools) <= FEW:
            return {}
        return self.seen.uses(settings.history.used if settings.history is not None else dict)

    # ---------------------------------------------------------------- what earlier runs leave

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

    def _conversation_of(self, old: Run) -> FollowUp | None:
        """Return what the question of a run followed, None if it followed nothing, or that is gone."""
        if not old.after or old.order.past.follow is not None:
            return old.order.past.follow
        try:
            return self._followed(self.recall(old.after), old.inputs).follow
        except (HistoryError, RunClaimed):
            return None

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
        ids, names = task.reads()
        if not known.issuperset(ids):
            problems += [_missing(f"the task {id_!r}", task) for id_ in ids if id_ not in known]
        if names:
            problems += [_missing(f"the input {name!r}", task) for name in names if name not in inputs]
        known.add(task.id)
    if problems:
        raise PlanError(problems)


def _missing(what: str, task: Task) -> Problem:
    message = f"{task.id} reads {what}, which is not there: give it as an input, or run the plan that makes it"
    return Problem("missing_ref", task.line, task.column, message, task.id)


def _is_after_tools(round_: Round) -> bool:
    """Whether a round's plan was written after tools had returned something."""
    return round_.number > 0 or (round_.plan is not None and round_.plan.after_tools)
