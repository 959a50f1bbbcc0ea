"""Cases: the questions that a grid asks, each with the answer that is expected and the inputs that it is offered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from compiler_nb.text import shorten_value

FIELDS: Final = ("question", "expected", "inputs")
_FORMS: Final = "a text, a pair (question, expected), or a dict with question and perhaps expected and inputs"


class Case(NamedTuple):
    """A question of a grid; expected: what a scorer compares the answer with; inputs: variables that it is offered."""

    question: str
    expected: Any = None
    inputs: Mapping[str, Any] = {}


def read_cases(questions: Any, expected: Any = None, inputs: Any = None) -> list[Case]:
    """Return the questions of a grid.

    questions: one text, or any number of texts, pairs (question, expected), and dicts with the fields of a Case;
    expected: the expected answers in the same order, if the questions do not hold them; inputs: offered to all of them.
    Raises ValueError with all that is wrong.
    """
    many = [questions] if isinstance(questions, str) else questions
    if isinstance(many, Mapping) or not isinstance(many, Iterable):
        raise ValueError(f"questions must be a list, each of them {_FORMS}, not {shorten_value(questions)}")  # noqa: TRY004 - as all settings
    if not isinstance(inputs, Mapping | None):
        raise ValueError(f"inputs must be a dict of variables by name, not {shorten_value(inputs)}")  # noqa: TRY004
    found, problems = [], []
    for number, each in enumerate(many):
        case = _read(each, inputs or {})
        found += [case] if isinstance(case, Case) else []
        problems += [f"question {number} {case}"] if isinstance(case, str) else []
    if not found and not problems:
        problems = ["there are no questions: give a list of at least one"]
    if expected is not None:
        problems += _fits(expected, len(found))
        found = (
            [case._replace(expected=each) for case, each in zip(found, expected, strict=False)] if not problems else []
        )
    if problems:
        raise ValueError("\n".join(problems))
    return found


def _read(given: Any, inputs: Mapping[str, Any]) -> Case | str:
    """Return a case, or what is wrong with it."""
    if isinstance(given, Mapping):
        if unknown := [str(name) for name in given if name not in FIELDS]:
            return f"has no field {', '.join(unknown)}; a dict has {', '.join(FIELDS)}"
        own = given.get("inputs") or {}
        if not isinstance(own, Mapping):
            return f"has inputs that are not a dict of variables by name: {shorten_value(own)}"
        case = Case(given.get("question", ""), given.get("expected"), {**inputs, **own})
    elif isinstance(given, tuple | list) and len(given) == len(("question", "expected")):
        case = Case(given[0], given[1], inputs)
    else:
        case = Case(given, None, inputs)
    asked: Any = case.question
    if not isinstance(asked, str):
        return f"must be {_FORMS}, not {shorten_value(given)}"
    return case if asked.strip() else "is empty"


def _fits(expected: Any, count: int) -> list[str]:
    if isinstance(expected, str) or not isinstance(expected, Sequence):
        return [f"expected must be a list of answers, one for each question, not {shorten_value(expected)}"]
    if len(expected) != count:
        return [f"expected has {len(expected)} answers for {count} questions"]
    return []
