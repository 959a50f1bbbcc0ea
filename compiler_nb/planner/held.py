"""What a planner's reply is held to: the plans that call the tools, if its server takes a grammar."""

from __future__ import annotations

from collections.abc import Collection

from compiler_nb.models.base import GrammarForm, ReplyGrammar
from compiler_nb.tool import Toolbox


def plan_grammar(dialect: str, tools: Toolbox, inputs: Collection[str]) -> ReplyGrammar:
    """Return the grammar of the plans of a dialect that call these tools and read these inputs."""

    def write(form: GrammarForm) -> str:
        from compiler_nb.grammar.plans import print_grammar  # noqa: PLC0415 - few models take a grammar

        return print_grammar(tools, dialect, inputs, form)

    return ReplyGrammar(f"{len(tools)} tool{'' if len(tools) == 1 else 's'}", write)
