"""A grammar as data: rules made of words, characters, series, choices and repetitions.

The functions that make rules leave out what cannot be written: a series with an impossible part is impossible, a choice
loses its impossible options, and a repetition of nothing is nothing. So no printer and no reader meets such a rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Word:
    """Exactly this text."""

    text: str


@dataclass(frozen=True, slots=True)
class Chars:
    """One character: of these ranges (first, last), or, if `but`, any other."""

    ranges: tuple[tuple[str, str], ...]
    but: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """What the rule of this name says."""

    name: str


@dataclass(frozen=True, slots=True)
class Series:
    """One part after the other."""

    parts: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of the options."""

    options: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A rule several times; most: None means no limit."""

    rule: Phrase
    least: int
    most: int | None


Phrase: TypeAlias = Word | Chars | Use | Series | OneOf | Repeat

NOTHING: Final = Series(())
NEVER: Final = OneOf(())
"""The rule for what cannot be written at all."""


@dataclass(frozen=True)
class Grammar:
    """Rules by name; a text begins with the rule `start`."""

    rules: dict[str, Phrase]
    start: Phrase


def series(*parts: Phrase | str) -> Phrase:
    """Return the rule for one part after the other; a text is a word."""
    flat: list[Phrase] = []
    for part in parts:
        rule = Word(part) if isinstance(part, str) else part
        if rule == NEVER:
            return NEVER
        flat += rule.parts if isinstance(rule, Series) else [rule] if rule != Word("") else []
    return flat[0] if len(flat) == 1 else Series(tuple(flat))


def one_of(*options: Phrase | str) -> Phrase:
    """Return the rule for one of the options."""
    flat: dict[Phrase, None] = {}
    for option in options:
        rule = Word(option) if isinstance(option, str) else option
        flat.update(dict.fromkeys(rule.options if isinstance(rule, OneOf) else (rule,)))
    empty = NOTHING in flat
    flat.pop(NOTHING, None)
    rule = next(iter(flat)) if len(flat) == 1 else OneOf(tuple(flat))
    return many(rule, most=1) if empty else rule


def many(rule: Phrase, least: int = 0, most: int | None = None) -> Phrase:
    """Return the rule for another, several times."""
    if rule in (NEVER, NOTHING) or most == 0:
        return NEVER if rule == NEVER and least else NOTHING
    return Repeat(rule, least, most)


def listed(items: Iterable[Phrase], separator: str = ", ") -> Phrase:
    """Return the rule for these in a row."""
    parts = [part for item in items for part in (Word(separator), item)]
    return series(*parts[1:])


def several(rule: Phrase) -> Phrase:
    """Return the rule for another, once or more, with commas."""
    return series(rule, many(series(", ", rule)))


class Rules:
    """Collects rules; each gets one name, however often it is used."""

    def __init__(self) -> None:
        self.named: dict[str, Phrase] = {}
        self._names: dict[Phrase, str] = {}

    def share(self, rule: Phrase) -> Phrase:
        """Return the use of a rule that is used in several places; short and impossible ones stay as they are."""
        if isinstance(rule, Word | Chars | Use) or rule in (NEVER, NOTHING):
            return rule
        name = self._names.setdefault(rule, f"r{len(self._names) + 1}")
        self.named[name] = rule
        return Use(name)

    def grammar(self, start: Phrase) -> Grammar:
        """Return the grammar that begins with a rule; rules that it does not lead to are left out."""
        reached: dict[str, Phrase] = {}
        open_: list[Phrase] = [start]
        while open_:
            match open_.pop():
                case Use(name) if name not in reached:
                    reached[name] = self.named[name]
                    open_.append(self.named[name])
                case Series(rules) | OneOf(rules):
                    open_ += rules
                case Repeat(rule):
                    open_.append(rule)
        return Grammar({name: rule for name, rule in self.named.items() if name in reached}, start)
