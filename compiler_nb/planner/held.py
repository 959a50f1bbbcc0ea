"""What a planner's reply is held to: the plans that call the tools, if its server takes a grammar."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Final

from compiler_nb.models.base import GrammarForm, ReplyGrammar
from compiler_nb.tool import Tool, Toolbox

LINES: Final = {"full": 12, "small": 6}
"""Most tasks of a plan under a grammar, by the wording of the prompts: a small model goes on until there are none."""
KEPT: Final = 16
"""How many grammars are kept: one of twenty tools takes a tenth of a second, and the next question needs the same."""
_NUMBERED: Final = re.compile(r"t?(\d{1,6})")


def plan_grammar(
    dialect: str,
    tools: Toolbox,
    inputs: Collection[str] = (),
    earlier: Collection[str] = (),
    taken: Iterable[str] = (),
    *,
    lines: int = LINES["full"],
    least: int = 0,
) -> ReplyGrammar:
    """Return the grammar of the plans of a dialect that call these tools.

    inputs, earlier: offered variables and results of earlier rounds, which a plan may read; taken: the ids that the run
    has used, behind which the lines are numbered; lines, least: most and fewest lines with tasks.
    """
    numbers = [int(found[1]) for id_ in taken if (found := _NUMBERED.fullmatch(id_))]
    first, named = max(numbers, default=0) + 1, (tuple(inputs), tuple(earlier))

    def write(form: GrammarForm) -> str:
        return _write(dialect, tuple(tools.values()), form, *named, first, lines, least)

    return ReplyGrammar(f"{len(tools)} tool{'' if len(tools) == 1 else 's'}", write)


@lru_cache(maxsize=KEPT)
def _write(  # noqa: PLR0917 - all that it hangs on
    dialect: str,
    tools: tuple[Tool, ...],
    form: GrammarForm,
    inputs: tuple[str, ...],
    earlier: tuple[str, ...],
    first: int,
    lines: int,
    least: int,
) -> str:
    return Toolbox(tools).grammar(dialect, inputs, form, lines, earlier=earlier, first=first, least=least)
