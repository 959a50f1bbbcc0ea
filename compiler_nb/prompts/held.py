"""The grammars of replies of the joiner and of `extract`, if their server takes a grammar."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from compiler_nb.models.base import GrammarForm, ReplyGrammar

NAMES: Final = {
    "number": "a number", "text": "a text", "list": "a list", "bool": "true or false", "date": "a date",
}  # fmt: skip
"""The words for a value, by its type."""


@cache
def decision_grammar(*, can_replan: bool) -> ReplyGrammar:
    """Return what a joiner may reply."""

    def write(form: GrammarForm) -> str:
        from compiler_nb.prompts.replies import write_decision  # noqa: PLC0415 - few models take a grammar

        return write_decision(form, can_replan=can_replan)

    return ReplyGrammar("a decision" if can_replan else "an answer", write)


def answer_grammar(hint: Any, name: str, schema: Mapping[str, Any] | None, *, can_replan: bool) -> ReplyGrammar:
    """Return what a joiner may reply if its answer is to have a type.

    name: what the type is called; schema: its JSON schema.
    """

    def write(form: GrammarForm) -> str:
        from compiler_nb.prompts.replies import write_answer  # noqa: PLC0415 - few models take a grammar

        return write_answer(form, hint, schema, can_replan=can_replan)

    return ReplyGrammar(f"an answer as {name}", write)


@cache
def value_grammar(type_: str) -> ReplyGrammar:
    """Return what `extract` may be replied for a type."""

    def write(form: GrammarForm) -> str:
        from compiler_nb.prompts.replies import write_value  # noqa: PLC0415 - few models take a grammar

        return write_value(form, type_)

    return ReplyGrammar(NAMES[type_], write)
