"""Patterns in `.str.contains`, `split` and `replace`: literal, or such as are searched in linear time.

A pattern with nested quantifiers takes exponential time on the right text, and while it does no other thread runs.
So a pattern may hold single characters, classes, anchors and alternatives, each alternative with at most one `*` or
`+`, and few other quantifiers, each of one character or class. Everything else is refused.
"""

from __future__ import annotations

import re
import warnings
from typing import Any, Final

from compiler_nb.errors import ExpressionError

_SPECIAL: Final = frozenset(".^$*+?{}[]\\|()")
_LONGEST: Final = 500
_BOUNDED: Final = 4
"""Quantifiers of one alternative that are bounded: each may double the ways to try."""
_TIMES: Final = 50
"""The most repetitions of a bounded quantifier."""


def check_pattern(name: str, given: dict[str, Any]) -> None:
    """Raise an ExpressionError if a pattern is not a text, or may take more than linear time."""
    pattern = given.get("pat")
    if pattern is None and name == "split":
        return
    if type(pattern) is not str:
        raise ExpressionError(f".str.{name}() takes a text to look for, not {type(pattern).__name__}")
    if is_pattern(name, given) and _SPECIAL.intersection(pattern) and (wrong := _not_linear(pattern)):
        raise ExpressionError(f".str.{name}({pattern[:60]!r}): {wrong}; to look for the text itself, add regex=False")


def is_pattern(name: str, given: dict[str, Any]) -> bool:
    """Whether a text is looked for as a pattern, as pandas has it if nothing is said."""
    pattern = given.get("pat")
    usual = {"contains": True, "replace": False}.get(name, type(pattern) is str and len(pattern) != 1)
    return type(pattern) is str and given.get("regex", usual) not in (False, None)


def least_width(pattern: str) -> int:
    """Return how many characters a pattern finds at least."""
    from re import _parser  # type: ignore[attr-defined]  # noqa: PLC0415 - the only place that says what a pattern is

    return int(_parser.parse(pattern).getwidth()[0])


def _not_linear(pattern: str) -> str:
    """Return why a pattern may take more than linear time, "" if it may not."""
    if len(pattern) > _LONGEST:
        return f"a pattern may have {_LONGEST} characters"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
            tree = _parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"this is not a pattern ({error})"
    branches = _branches(tree)
    if branches is None:
        return "only one level of alternatives is allowed in a pattern"
    for branch in branches:
        wrong = _check_branch(branch)
        if wrong:
            return wrong
    return ""


def _parse(pattern: str) -> list[Any]:
    from re import _parser  # type: ignore[attr-defined]  # noqa: PLC0415 - the only place that says what a pattern is

    return list(_parser.parse(pattern))


def _branches(tree: list[Any]) -> list[list[Any]] | None:
    """Return the alternatives of a pattern, each without groups; None if there are some at two places."""
    flat = _without_groups(tree)
    places = [place for place, (kind, _) in enumerate(flat) if str(kind) == "BRANCH"]
    if not places:
        return [flat]
    place = places[0]
    inner = [_without_groups(list(each)) for each in flat[place][1][1]]
    if len(places) > 1 or any(str(kind) == "BRANCH" for branch in inner for kind, _ in branch):
        return None
    return [flat[:place] + branch + flat[place + 1 :] for branch in inner]


def _without_groups(tree: list[Any]) -> list[Any]:
    found: list[Any] = []
    for kind, value in tree:
        if str(kind) == "SUBPATTERN" and not value[1] and not value[2]:
            found += _without_groups(list(value[3]))
        else:
            found.append((kind, value))
    return found


def _check_branch(branch: list[Any]) -> str:
    endless = bounded = 0
    for kind, value in branch:
        name = str(kind)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, inner = value
            if len(inner) != 1 or str(inner[0][0]) not in ("LITERAL", "NOT_LITERAL", "IN", "ANY"):
                return "a quantifier may follow a single character or a class in brackets only"
            if str(most) == "MAXREPEAT":
                endless += 1
            else:
                bounded += least != most
            if least > _TIMES or (str(most) != "MAXREPEAT" and most > _TIMES):
                return f"a quantifier may repeat up to {_TIMES} times"
        elif name not in ("LITERAL", "NOT_LITERAL", "IN", "ANY", "AT"):
            return "lookarounds and references are not allowed in a pattern"
    if endless > 1:
        return "a pattern may have one * or + only"
    return f"a pattern may have {_BOUNDED} quantifiers only" if bounded > _BOUNDED else ""


def may_look_far(pattern: Any) -> bool:
    """Whether a pattern may look at the rest of a text from each of its characters, which takes quadratic time."""
    return type(pattern) is str and any(sign in pattern for sign in "*+{")
