"""Random texts of a grammar, whether a text is one of a grammar's, and random tools to make grammars for."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from typing_extensions import TypedDict

from compiler_nb.grammar.rules import Chars, Grammar, OneOf, Phrase, Repeat, Series, Use, Word
from compiler_nb.tool import Tool, Toolbox

if TYPE_CHECKING:
    from random import Random

POOL = "abz AZ019_-.,:;!?'()[]{}<>@#$%&*+=/|~^`\"\\\té東😀\u00a0\u200b\n\u2028"
"""What is tried for a character; whatever a rule excludes is tried again."""


class Writer:
    """Writes random texts of a grammar."""

    def __init__(self, grammar: Grammar, random: Random, *, short: float = 0.6) -> None:
        self.grammar, self.random, self.short = grammar, random, short

    def text(self) -> str:
        """Return a text."""
        return self._of(self.grammar.start)

    def _of(self, rule: Phrase) -> str:
        match rule:
            case Word(text):
                return text
            case Chars():
                return next(each for each in iter(lambda: self._character(rule), "") if holds(rule, each))
            case Use(name):
                return self._of(self.grammar.rules[name])
            case Series(parts):
                return "".join(map(self._of, parts))
            case OneOf(options):
                return self._of(self.random.choice(options))
            case Repeat(part, least, most):
                times = least
                while (most is None or times < most) and self.random.random() > self.short:
                    times += 1
                return "".join(self._of(part) for _ in range(times))

    def _character(self, rule: Chars) -> str:
        if rule.but:
            return self.random.choice(POOL)
        first, last = self.random.choice(rule.ranges)
        return chr(self.random.randint(ord(first), ord(last)))


def holds(rule: Chars, character: str) -> bool:
    """Whether a character is one of a rule's."""
    return any(first <= character <= last for first, last in rule.ranges) != rule.but


class Matcher:
    """Says whether a text is one of a grammar's: for each rule and place, the places where it may end."""

    def __init__(self, grammar: Grammar, text: str) -> None:
        self.grammar, self.text = grammar, text
        self.known: dict[tuple[str, int], frozenset[int]] = {}

    def matches(self) -> bool:
        """Whether the whole text is one."""
        return len(self.text) in self._ends(self.grammar.start, {0})

    def _ends(self, rule: Phrase, starts: Iterable[int]) -> set[int]:
        match rule:
            case Word(text):
                return {at + len(text) for at in starts if self.text.startswith(text, at)}
            case Chars():
                return {at + 1 for at in starts if at < len(self.text) and holds(rule, self.text[at])}
            case Use(name):
                return {end for at in starts for end in self._used(name, at)}
            case Series(parts):
                ends = set(starts)
                for part in parts:
                    ends = self._ends(part, ends)
                return ends
            case OneOf(options):
                return {end for option in options for end in self._ends(option, starts)}
            case Repeat(part, least, most):
                return self._repeated(part, set(starts), least, most)

    def _repeated(self, part: Phrase, starts: set[int], least: int, most: int | None) -> set[int]:
        found, ends, times = set(starts) if not least else set(), starts, 0
        while ends and (most is None or times < most):
            times += 1
            ends = self._ends(part, ends) - (found if times > least else set())
            found |= ends if times >= least else set()
        return found

    def _used(self, name: str, at: int) -> frozenset[int]:
        if (name, at) not in self.known:
            self.known[name, at] = frozenset(self._ends(self.grammar.rules[name], {at}))
        return self.known[name, at]


# -------------------------------------------------------------------- random tools


class Color(enum.Enum):
    """Texts as values; one with a dollar sign."""

    RED = "red"
    COST = '$1 "or" so'
    AT = "@city"


class Level(enum.IntEnum):
    """Numbers as values."""

    LOW = 1
    HIGH = -2


@dataclass
class Point:
    """A record with a field that need not be given."""

    x: float
    y: int
    label: str = ""


class Row(TypedDict, total=False):
    """A record of which nothing need be given."""

    name: str
    tags: list[str]


class Pair(NamedTuple):
    """What only a reference can give."""

    a: int
    b: int


class Opaque:
    """What only a reference can give."""


HINTS: Sequence[Any] = (
    str, int, float, bool, list, dict, tuple, set, bytes, Any, object, Color, Level, Point, Row, Pair, Opaque, date,
    datetime, Literal["a", "b c", "$1"], Literal[1, True], list[str], list[int], list[list[float]], list[Color],
    dict[str, int], dict[int, str], tuple[int, str], tuple[int, ...], set[str], Sequence[str], Iterable[int],
    Point | None, str | None, int | str, float | None, list[str] | str, bool | int, Annotated[str, "a city"],
    Color | None, list[Point], Opaque | str, None,
)  # fmt: skip


def random_toolbox(random: Random, size: int) -> Toolbox:
    """Return tools with random signatures."""
    return Toolbox(
        [_tool(f"{random.choice(['get', 'größe', 'max', 't', 'x'])}{index}", random) for index in range(size)]
    )


def _tool(name: str, random: Random) -> Tool:
    """Return a tool whose parameters are of random kinds and types, and some of which need not be given."""
    import inspect

    kinds = sorted(random.choices(list(inspect._ParameterKind), k=random.randrange(5)))
    given, optional = [], False
    names = iter(["query", "when", "größe", "k", "instruction", "value"])
    for kind in kinds:
        if kind in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD) and any(each.kind is kind for each in given):
            continue
        free = kind in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD)
        optional = not free and (random.random() < 0.4 or (optional and kind is not kind.KEYWORD_ONLY))
        default = None if optional else inspect.Parameter.empty
        hint = random.choice(HINTS)
        given.append(inspect.Parameter(next(names), kind, default=default, annotation=hint))

    def function(*args: Any, **kwargs: Any) -> Any:
        """Do what `root ::= "x"` says: $1 ${1} @city."""

    function.__signature__ = inspect.Signature(given)  # type: ignore[attr-defined]
    function.__annotations__ = {each.name: each.annotation for each in given}
    return Tool(function, name=name, side_effects=random.random() < 0.2)
