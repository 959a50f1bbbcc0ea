"""The joiner: a question and how its tasks ended go in, an answer or a request for another plan comes out."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

from compiler_nb.errors import BadRequest, ModelError
from compiler_nb.events import AnswerRefused
from compiler_nb.models.base import Message, Model, ReplyGrammar, Request, where_of
from compiler_nb.models.calls import Calls, Reply
from compiler_nb.models.recall import Asked
from compiler_nb.operations.weights import is_a
from compiler_nb.outcome import NOT_DONE, Answer, Cancelled, Failure, Replan, Skipped
from compiler_nb.plan.fanout import existing
from compiler_nb.plan.task import owner_of
from compiler_nb.prompts import Prompt, load
from compiler_nb.prompts.data import PREVIEW, Oversize, Share, frame, frame_values, outside
from compiler_nb.prompts.decision import blocks_in, is_all_thought, read_decision, unfence
from compiler_nb.prompts.held import answer_grammar, decision_grammar
from compiler_nb.prompts.render import render_value
from compiler_nb.signature.answers import AnswerType, WrongAnswer
from compiler_nb.text import cut, shorten, type_name

SAID: Final = 2_000
"""Characters of a wrong answer, or of an earlier question's, that a model is shown."""
TURNS: Final = 3
"""Earlier questions of a conversation that are told."""
FAILURES: Final = 50
"""Failures that are listed; the others are counted."""
IN_PLACE: Final = 20
"""Failed items of a fan-out that stand in the places of their values."""


EXAMPLE: Final[tuple[Message, Message]] = (
    {"role": "user", "content": "Results\n\n"
     + frame("t1", '{"meters": 812}', "height('Alba')") + "\n\nQuestion: How high is Alba?"},
    {"role": "assistant", "content": "Alba is 812 meters high."},
)  # fmt: skip
"""What a small model is shown as if it had been asked before."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a joiner decides on.

    results: values by name; failures: how tasks without a value ended; instruction: the plan's own, for the answer;
    can_replan: whether there may be another plan; share: what of contents is shown; earlier: reasons of the replans so
    far; origins: which call returned a result, by name; tools: what another plan may call, one line each; wanted: what
    the answer is to be, None if that is open; talk: the questions that this one follows, with their answers.
    """

    question: str
    results: Mapping[str, Any]
    failures: Mapping[str, Failure | Skipped | Cancelled]
    instruction: str = ""
    can_replan: bool = True
    share: Share = "all"
    earlier: Sequence[str] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    tools: Sequence[str] = ()
    wanted: AnswerType | None = None
    talk: Sequence[tuple[str, Any]] = ()


# -------------------------------------------------------------------- the request


def ask_for_decision(system: str, found: Findings, *, brief: bool = False) -> tuple[Message, ...]:
    """Return the messages of a joiner's request: what is the same for all questions and rounds comes first.

    brief: for a small model, which goes on from what it has read last: an example, and the question at the end.
    Raises Oversize if the results are too long.
    """
    partial = {
        id_: _in_part(end.partial)
        for id_, end in found.failures.items()
        if isinstance(end, Failure) and end.partial is not None
    }
    made = dict(found.origins)
    made |= {f"{id_}, in part": made[id_] for id_ in partial if id_ in made}
    values = [*found.results.items(), *((f"{id_}, in part", part) for id_, part in partial.items())]
    # The failures of a fan-out's items stand in its partial value already.
    failed = {id_: end for id_, end in found.failures.items() if id_ in partial or owner_of(id_) not in partial}
    earlier, tools = "\n".join(found.earlier), "\n".join(found.tools)
    asked = [f"Question: {outside(found.question)}"]
    parts = [
        *([] if brief else asked),
        *_before(found.talk, found.share),
        *["Results", *(frame_values(values, found.share, made) or ["(none)"])],
        *(["What has no result, and why", _listed(failed, made, found.share)] if failed else []),
        *(["Other plans were asked for already, because", frame("reasons", earlier)] if earlier else []),
        *(["Tools that another plan may call", tools] if found.can_replan and tools and not brief else []),
        *_how(found, brief=brief),
        *(asked if brief else []),
    ]
    told: Message = {"role": "user", "content": "\n\n".join(parts)}
    return {"role": "system", "content": system}, *(EXAMPLE if brief else ()), told


def _before(talk: Sequence[tuple[str, Any]], share: Share) -> list[str]:
    """Return what is told of the questions before, as far as their answers are shared and within bounds."""
    lines: list[str] = []
    for question, answer in talk[-TURNS:]:
        shown = render_value(answer, SAID) if share == "all" else type_name(answer)
        lines += [f"It follows the question: {outside(cut(question, PREVIEW))}", frame("answer", shown)]
    return lines


def _listed(failed: Mapping[str, Failure | Skipped | Cancelled], made: Mapping[str, str], share: Share) -> str:
    """Return a line for each failure, with the call that it is of."""
    lines = [
        f"{cut(id_, 100)}: {_describe(end, share)}{f'; the call was {cut(made[id_], 200)}' if id_ in made else ''}"
        for id_, end in islice(failed.items(), FAILURES)
    ]
    return frame("failures", "\n".join([*lines, *_more(len(failed) - FAILURES)]))


def _more(count: int) -> list[str]:
    return [f"and {count:,} more"] if count > 0 else []


def _how(found: Findings, *, brief: bool) -> list[str]:
    """Return how the reply is to be written."""
    wanted = found.wanted
    lines = [f"How to answer: {outside(found.instruction)}"] if found.instruction else []
    lines += [wanted.for_joiner] if wanted is not None and wanted.for_joiner else []
    if not found.can_replan:
        last = "There will be no other plan: answer from what you have, and say what is missing; do not reply Replan."
        return [*lines, last]
    return lines if brief else [*lines, "Reply with the answer, or with one line `Replan: reason`."]


def _in_part(partial: Any) -> Any:
    """Return a partial value as a joiner sees it: many failed items are left out, for their fan-out counts them."""
    items = partial.values() if type(partial) is dict else partial
    if sum(is_a(item, NOT_DONE) for item in items) <= IN_PLACE:
        return partial
    return existing(partial) or type(partial)()


def _describe(end: Failure | Skipped | Cancelled, share: Share) -> str:
    """Return how a task ended; an error's own words are content, so they are shared like it."""
    if isinstance(end, Skipped):
        cause = f"skipped, because {cut(end.cause, 100)} {'was skipped by the user' if end.by_user else 'failed'}"
        return cause if share == "none" or not end.message else f"{cause}: {cut(end.message, 500)}"
    if isinstance(end, Cancelled):
        return f"cancelled: {cut(end.message, 500)}"
    return f"failed ({end.kind})" if share == "none" else f"failed ({end.kind}): {cut(end.message, 1_000)}"


def _grammar(wanted: AnswerType | None, *, can_replan: bool) -> ReplyGrammar | None:
    if wanted is None or wanted.is_text:
        return decision_grammar(can_replan=can_replan)
    return answer_grammar(wanted.written, wanted.name, wanted.schema, can_replan=can_replan)


# -------------------------------------------------------------------- the reply


def _typed(text: str, decision: Answer, wanted: AnswerType) -> Any:
    """Return the answer in a reply as what it is to be. Raises WrongAnswer.

    A reply that is such a value as a whole is read so: a field of it may be called "answer". Words around it do no harm
    if the value stands apart from them.
    """
    if wanted.is_text:
        return wanted.read(decision.value)
    with contextlib.suppress(WrongAnswer):
        return wanted.read_text(_bare(text))
    value = decision.value
    if type(value) is not str:
        return wanted.read(value)
    try:
        return wanted.read_text(_bare(value))
    except WrongAnswer:
        for block in blocks_in(value):
            with contextlib.suppress(WrongAnswer):
                return wanted.read_text(block)
        raise


def _bare(text: str) -> str:
    """Return a text without a fence around all of it."""
    fence = unfence(text)
    return (fence[1] if fence else text).strip()


def _again(wrong: WrongAnswer, wanted: AnswerType | None) -> str:
    told = wanted.for_joiner if wanted is not None else ""
    return f"This is not the answer that is wanted: {wrong.told}. {told or 'Reply with the answer only.'}"


def _decide(reply: Reply, model: Model) -> Answer | Replan:
    """Return the decision in a reply; an answer or a reason that a limit cuts off is kept, and marked as cut.

    Raises ModelError if there is no answer in it, or if it was stopped for another reason.
    """
    decision = read_decision(reply.text)
    if isinstance(decision, Replan):  # half a reason is one still
        return replace(decision, cut=reply.cut)
    is_empty = decision.value in (None, "") or (bool(reply.cut) and is_all_thought(reply.text))
    if reply.stopped is not None and (is_empty or not reply.cut):
        raise reply.stopped
    if is_empty:
        what = f"{model.provider}:{model.name}: the joiner's reply holds no answer"
        raise ModelError(f"{what}: ask again, or use another model", **where_of(model))
    return replace(decision, cut=reply.cut)


# -------------------------------------------------------------------- the call


async def join(
    calls: Calls,
    model: Model,
    found: Findings,
    *,
    prompt: Prompt | None = None,
    brief: bool = False,
    free: bool = False,
) -> Answer | Replan:
    """Ask the joiner how to end, and return its decision.

    It may be a Replan even if there can be no other plan: that only changes the request.
    prompt: replaces the package's; brief: as in `ask_for_decision`; free: whether the reply may have another form than
    the package's prompts ask for. An answer that is not what is wanted is asked for again once.
    Raises BadRequest if the results are too long to be shown, ModelError if the reply is empty or broke off,
    WrongAnswer if the answer is not what it is to be, the second time, too.
    """
    used = prompt or load("joiner")
    try:
        messages = ask_for_decision(used.text, found, brief=brief)
    except Oversize as oversize:
        hint = "let a task shorten it, name fewer results in join(...), or use share='summary'"
        raise BadRequest(f"the joiner cannot be asked: {oversize}; {hint}", **where_of(model)) from None
    grammar = None if free else _grammar(found.wanted, can_replan=found.can_replan)
    first = Asked(model, Request("joiner", messages, prompt=used.hash, grammar=grammar))
    try:
        try:
            return await _ask(calls, first, found.wanted)
        except WrongAnswer as wrong:
            said: Message = {"role": "assistant", "content": shorten(wrong.said.strip(), SAID)}
            again: Message = {"role": "user", "content": _again(wrong, found.wanted)}
            second = Asked(model, replace(first.request, messages=(*messages, said, again)))
            return await _ask(calls, second, found.wanted)
    except ModelError as error:
        error.kept = "kept: all results" if found.results else ""
        raise


async def _ask(calls: Calls, asked: Asked, wanted: AnswerType | None) -> Answer | Replan:
    """Return the decision that the model, or the cache, replies with; only one that counts is kept."""
    kept = await calls.recall(asked)
    reply = Reply(kept, None) if kept is not None else await calls.text(asked.model, asked.request)
    decision = _decide(reply, asked.model)
    if wanted is not None and isinstance(decision, Answer):
        try:
            decision = replace(decision, value=_typed(reply.text, decision, wanted))
        except WrongAnswer as wrong:
            wrong.said = reply.text
            calls.emit(AnswerRefused, wrong.came, "joiner")
            raise
    if kept is None and reply.stopped is None:
        calls.keep(asked, reply.text)
    return decision
