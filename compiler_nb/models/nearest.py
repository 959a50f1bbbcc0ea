"""How a request differs from the recorded ones, in words: the first difference to the nearest of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from compiler_nb.models.base import Message, Request
from compiler_nb.text import count_of, cut, visible

SHOWN: Final = 70
"""Characters that are shown of a line that differs."""
_BEFORE: Final = 20
"""How many of these stand before the difference."""


def first_difference(request: Request, recorded: Mapping[str, Sequence[Sequence[Message]]]) -> str:
    """Return how a request differs from the nearest one that was recorded; recorded: messages of requests, by role."""
    same_role = recorded.get(request.role, ())
    if not same_role:
        held = ", ".join(f"{len(found)} of the {role}" for role, found in recorded.items())
        return f"it holds none of that role, only {held}" if held else "it holds no request at all"
    lines = Counter(_lines(request.messages))
    nearest = max(same_role, key=lambda messages: (lines & Counter(_lines(messages))).total())
    which = "the one recorded request" if len(same_role) == 1 else f"the nearest of {len(same_role)} recorded requests"
    return f"compared with {which} of the {request.role}, {_compare(nearest, request.messages)}"


def _lines(messages: Iterable[Message]) -> Iterable[str]:
    return (line for message in messages for line in message["content"].split("\n"))


def _compare(old: Sequence[Message], new: Sequence[Message]) -> str:
    for number, (was, is_) in enumerate(zip(old, new, strict=False), 1):
        if was["role"] != is_["role"]:
            return f"message {number} is of the role {is_['role']!r}, recorded was {was['role']!r}"
        if was["content"] != is_["content"]:
            return f"message {number} ({is_['role']}) differs first in {_line(was['content'], is_['content'])}"
    longer, which = (new, "asked") if len(new) > len(old) else (old, "recorded")
    extra = longer[min(len(old), len(new))]
    begins = f"message {min(len(old), len(new)) + 1} ({extra['role']}) is only {which}: {_shown(extra['content'], 0)}"
    return f"there are {count_of(len(new), 'message')} instead of {len(old)}: {begins}"


def _line(old: str, new: str) -> str:
    """Return the first line in which two texts differ, as it was and as it is."""
    was, is_ = old.split("\n"), new.split("\n")
    number = _common(was, is_)
    before, after = (lines[number] if number < len(lines) else None for lines in (was, is_))
    column = _common(before or "", after or "")
    recorded, asked = ("no such line" if line is None else _shown(line, column) for line in (before, after))
    return f"line {number + 1}: recorded {recorded}, asked {asked}"


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many lines, or characters, two texts have in common at their beginnings."""
    pairs = zip(first, second, strict=False)
    return next((at for at, pair in enumerate(pairs) if pair[0] != pair[1]), min(len(first), len(second)))


def _shown(text: str, column: int) -> str:
    """Return the part of a line around a column, in quotes."""
    start = max(0, column - _BEFORE) if len(text) > SHOWN else 0
    return f'"{"…" if start else ""}{cut(visible(text[start:]), SHOWN)}"'
