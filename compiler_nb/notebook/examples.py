"""Examples of a notebook: questions with good plans, taken from runs, which later questions show to the planner.

They live in the session: a fresh kernel begins without, so that a notebook does the same in every session. Whoever
wants them back adds the runs again, by their ids, from the history.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from compiler_nb.errors import OptionError, PlanError
from compiler_nb.history.past import editable
from compiler_nb.plan.plan import Plan
from compiler_nb.run import Run
from compiler_nb.text import suggest
from compiler_nb.tool import Toolbox

LONGEST: Final = 20_000
"""Characters of an example's plan."""
_OFFERED: Final = re.compile(r"@([^\W\d]\w*)")
_NAME: Final = re.compile(r"[^\W\d][\w-]{0,63}")


class Example(NamedTuple):
    """A question and a good plan for it; name: "" if it has none; run: the id of the run that they come from."""

    name: str
    question: str
    plan: Plan
    run: str

    def text(self, dialect: str) -> str:
        """Return the plan in a dialect, as it was written if that says all. Raises PlanError if it cannot be said."""
        plan = self.plan
        if plan.dialect == dialect and "```" not in plan.text:
            with contextlib.suppress(PlanError):
                again = Plan.parse(plan.text, dialect=dialect, inputs=plan.inputs)
                if (again.final, again.by_id.keys()) == (plan.final, plan.by_id.keys()):
                    return plan.text.strip()
        return plan.to_text(dialect).strip()


def example_of(run: Run, name: str = "") -> Example:
    """Return the example that a run makes: its plan, and its question with @name for each variable that the plan reads.

    Raises OptionError if it has no question or no whole plan, or if this cannot be a name.
    """
    if name and not _NAME.fullmatch(name):
        raise OptionError(
            f"{name!r} cannot be the name of an example: a name begins with a letter, and has up to 64 letters, "
            "digits, _ and -"
        )
    if not run.question.strip():
        raise OptionError(f"the run {run.id} has no question: an example is a question and its plan")
    try:
        whole = editable(run)
    except KeyError as error:
        raise OptionError(str(error.args[0])) from None
    one = run.plan if len(run.rounds) == 1 else None
    plan = one or Plan.parse(whole, dialect="python", inputs=tuple(run.inputs))
    if len(plan.text) > LONGEST:
        raise OptionError(f"the plan of {run.id} has {len(plan.text):,} characters; an example has at most {LONGEST:,}")
    unsaid = [each for each in plan.inputs if each not in _OFFERED.findall(run.question)]
    more = f" (given {', '.join(f'@{each}' for each in unsaid)})" if unsaid else ""
    return Example(name, run.question.strip() + more, plan, run.id)


def fitting(examples: Iterable[Example], dialect: str, tools: Toolbox) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the examples as pairs of a question and a plan in a dialect, and why others are left out, in words.

    One that calls a tool which is not offered would teach the planner a plan that cannot run.
    """
    pairs, left_out = [], []
    for number, each in enumerate(examples, 1):
        try:
            text = each.text(dialect)
            Plan.parse(text, dialect=dialect, tools=tools, inputs=set(_OFFERED.findall(each.question)))
        except PlanError as error:
            reason = f"its plan does not fit here: {error.problems[0].message}"
            left_out.append(f"example {number} is not shown, {reason}; %compile example drop {number} drops it")
        else:
            pairs.append((each.question, text))
    return pairs, left_out


def without_each(
    examples: Collection[Example], dialect: str, tools: Toolbox
) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """Return the settings of a compiler that shows all examples but one, by the name or number of that one.

    Examples that do not fit are shown in none of them.
    """
    numbered = {each.name or str(number): each for number, each in enumerate(examples, 1)}
    shown = {name: fitting([each], dialect, tools)[0] for name, each in numbered.items()}
    return {
        f"without {name}": {"examples": [pair for other, pairs in shown.items() if other != name for pair in pairs]}
        for name, own in shown.items() if own
    }  # fmt: skip


def place_of_example(examples: Collection[Example], word: str) -> int:
    """Return the place of an example, from 0, by its number from 1 or its name. Raises OptionError if there is none."""
    names = [each.name for each in examples]
    if word in names:
        return names.index(word)
    if word.isdecimal() and 1 <= int(word) <= len(names):
        return int(word) - 1
    known = [name for name in names if name]
    there = "%compile example list shows them" if names else "There is none yet"
    raise OptionError(f"no example is called {word!r}.{suggest(word, known)} {there}")
