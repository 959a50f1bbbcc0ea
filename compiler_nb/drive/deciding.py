"""How a round ends: by the answer of its plan, by what the joiner decides, or by the values that there are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, TypeAlias

from compiler_nb.drive.briefing import Briefing
from compiler_nb.drive.ending import Stopped
from compiler_nb.engine.session import Session
from compiler_nb.events import AnswerFailed, AnswerRefused
from compiler_nb.joiner import Findings, join
from compiler_nb.models.base import Model
from compiler_nb.models.secret import mask
from compiler_nb.outcome import Answer, Failure, Replan
from compiler_nb.plan.evaluate import LostValue
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import JOIN, Join, Return
from compiler_nb.plan.tree import references
from compiler_nb.planner.requests import describe_schema
from compiler_nb.planner.writing import Writing
from compiler_nb.prompts import Prompt, load_worded
from compiler_nb.run import Run
from compiler_nb.signature.answers import AnswerType, WrongAnswer
from compiler_nb.text import cut

TOOL_LINE: Final = 200
"""Characters of the line that tells the joiner of a tool."""
AGAIN: Final = "to try it again and keep the rest: %compile rerun --failed, or compiler.rerun(run, failed=True)"


Ending: TypeAlias = tuple[Answer | Replan, str]
"""How a round ends, and who says so: "plan" or "joiner"."""


class Decider:
    """Says how the rounds of one run end."""

    def __init__(self, run: Run, session: Session, writing: Writing, briefing: Briefing) -> None:
        self.run, self.session, self.writing, self.briefing = run, session, writing, briefing
        self.settings, self.order, self.log = run.settings, run.order, run.log

    async def decide(self, plan: Plan, known: Answer | Replan | None, *, can_replan: bool) -> Ending:
        """Return how a round ends: as soon as that is known, so side effects may go on if it is the plan's answer.

        known: how an earlier run ended it, if that is known. Raises Stopped if there is no answer, ModelError if the
        joiner cannot be asked.
        """
        final = plan.final
        if known is not None:
            with suppress(WrongAnswer):  # another type may be wanted by now; then the round ends anew
                decision = _of_type(known, self.order.answer_type)
                await self.session.drained()
                return decision, "joiner"
        if isinstance(final, Join):
            return await self._conclude(plan, final, can_replan=can_replan)
        value = await self._evaluate(final)
        while _is_missing(value) and not self.session.is_drained():
            await self.session.drained()  # until then somebody may give what is missing
            value = await self._evaluate(final)
        if type(value) is not Failure:
            return await self._answer(Answer(value), can_replan=can_replan)
        # A joiner can still answer the question, from what there is.
        return await self._conclude(plan, JOIN, *self._unanswered(value), can_replan=can_replan)

    def what_exists(self) -> Answer | None:
        """Return the answer of a run that reached a limit: the results that its last plan would have joined, if any."""
        plan = self.run.plan
        if self.run.answer is not None or plan is None or self.order.answer_type is not None:
            return None
        results, _ = self.briefing.joined(plan.final, plan)
        return Answer(results) if results else None

    # ---------------------------------------------------------------- the plan's own answer

    async def _evaluate(self, final: Return) -> Any:
        """Return the value of the plan's own answer, or the Failure that it is, once what it reads has ended."""
        session = self.session
        await session.ready(references(final.expression))
        return await session.value_of(session.fanouts.linked(final.expression))

    def _unanswered(self, failure: Failure) -> tuple[str, dict[str, Failure]]:
        """Return why the plan's own answer has no value, and that as a failure, which is noted, if it is its own."""
        if isinstance(failure.error, LostValue):
            return f"{self.briefing.end_of(failure.error.id)}; {AGAIN}", {}
        failure = replace(failure, message=self._mask(failure.message), attempts=0)
        self.log.emit(AnswerFailed, failure)
        return failure.message, {"answer": failure}

    async def _answer(self, answer: Answer, *, can_replan: bool) -> Ending:
        """Return how a round ends by an answer that needs no joiner; one of a wrong type is asked for again."""
        try:
            return _of_type(answer, self.order.answer_type), "plan"
        except WrongAnswer as wrong:
            await self.session.drained()
            return self._ask_again(wrong, can_replan=can_replan), "plan"

    def _ask_again(self, wrong: WrongAnswer, *, can_replan: bool) -> Replan:
        """Return the decision for another plan, whose answer is of the type. Raises Stopped the second time."""
        self.log.emit(AnswerRefused, self._mask(wrong.came), "plan")
        times = sum(each.by == "plan" for each in self.run.progress.refused)
        if times > 1 or not can_replan:
            raise self._wrong(wrong, "two plans gave no such answer" if times > 1 else "")
        told = str(wrong) if self.settings.preview else f"{describe_schema(wrong.value)} came: {wrong.problem}"
        return Replan(self._mask(f"the plan's answer is not of the type that is wanted: {told}"))

    def _wrong(self, wrong: WrongAnswer, why: str) -> Stopped:
        return Stopped("failed", self._mask(f"{wrong}{f'; {why}' if why else ''}"))

    def _mask(self, text: str) -> str:
        return mask(text, self.settings.secrets)

    # ---------------------------------------------------------------- the joiner, or nobody

    async def _conclude(
        self, plan: Plan, final: Join, error: str = "", own: Mapping[str, Failure] | None = None, *, can_replan: bool
    ) -> Ending:
        """Return what the joiner decides, or the values that it would be shown if nobody plays its role.

        error: why the plan has no answer of its own, "" if it wants none; own: that as a failure, if it is one.
        """
        session, joiner = self.session, self.settings.joiner
        await session.drained()
        session.reach.over = "what came of the tasks is being read"
        await session.bring_home(lambda: [task.id for task in self.briefing.shown(final)])
        results, failures = self.briefing.joined(final, plan)
        failures = {**(own or {}), **failures}
        if joiner is not None and (self.order.question or not error) and self._may_write(failures):
            return await self._join(joiner, results, failures, final, can_replan=can_replan), "joiner"
        if error:
            raise Stopped("failed", f"the answer cannot be evaluated: {error}")
        if lost := self._lost(final, results):
            raise Stopped("failed", "; ".join([*map(self.briefing.end_of, lost), AGAIN]))
        return await self._answer(Answer(results), can_replan=can_replan)

    def _may_write(self, failures: Mapping[str, Any]) -> bool:
        """Whether a joiner can write an answer of the type; if not, it still says what to do about failures."""
        wanted = self.order.answer_type
        return wanted is None or wanted.schema is not None or bool(failures)

    async def _join(
        self, joiner: Model, results: dict[str, Any], failures: dict[str, Any], final: Join, *, can_replan: bool
    ) -> Answer | Replan:
        """Ask the joiner, and return its decision."""
        own, wording, writing = self.settings.own_prompt("joiner"), self.settings.wording("joiner"), self.writing
        described = writing.choice.described  # of thousands of tools those that the planner was told of
        turns = writing.follow.turns if writing.follow is not None else ()
        found = Findings(
            question=self.order.question, results=results, failures=failures, instruction=final.instruction,
            can_replan=can_replan, share=self.settings.share,
            earlier=[round_.reason for round_ in self.run.rounds if round_.reason],
            origins=self.briefing.calls({*results, *failures}),
            tools=[cut(f"{each.signature}: {each.purpose}", TOOL_LINE) for each in described.values()],
            wanted=self.order.answer_type,
            talk=[(turn.question, turn.answer) for turn in turns if turn.answered],
        )  # fmt: skip
        try:
            return await join(
                writing.calls, joiner, found, prompt=Prompt("joiner", own) if own else load_worded("joiner", wording),
                brief=wording == "small" and not own, free=bool(own),
            )  # fmt: skip
        except WrongAnswer as wrong:
            raise self._wrong(wrong, "the joiner was asked twice") from None

    def _lost(self, final: Join, results: Mapping[str, Any]) -> list[str]:
        """Return the tasks for which a plan without a joiner has failed: those it names, or all if none succeeded."""
        session = self.session
        named = final.refs or (() if results else [id_ for id_, task in session.tasks.items() if not task.owner])
        return [id_ for id_ in named if session.is_lost(id_)]


def _is_missing(value: Any) -> bool:
    """Whether an answer has no value because a task that it reads has none."""
    return type(value) is Failure and isinstance(value.error, LostValue)


def _of_type(decision: Answer | Replan, wanted: AnswerType | None) -> Answer | Replan:
    """Return a decision with its answer as one of the type that is wanted, if one is. Raises WrongAnswer."""
    if wanted is None or isinstance(decision, Replan):
        return decision
    return replace(decision, value=wanted.read(decision.value))
