"""The grammar of a plan that calls given tools, without what differs between the dialects.

Theory of operation
    No grammar of this kind can say "a name that was given above". So there are rules for each line of their own: on
    line 3 a reference is `$1` or `$2`, so is a value, and so is a call. A rule is made from the inside out, and what
    cannot be written (a table as an argument on line 1, where there is nothing to refer to) falls out of the rules that
    need it. There is one spelling of each plan: one blank behind a comma, named arguments in the order of the
    signature. Containers stand at most three deep within each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from compiler_nb.grammar.domain import Domain, any_domain, domain_of
from compiler_nb.grammar.rules import (
    NEVER,
    NOTHING,
    Chars,
    Grammar,
    Phrase,
    Rules,
    Word,
    listed,
    many,
    one_of,
    series,
    several,
)
from compiler_nb.plan.writers import quote
from compiler_nb.signature.arguments import Parameter
from compiler_nb.signature.names import is_nameable
from compiler_nb.tool import Tool

CONTROLS: Final = (
    ("\0", "\x1f"), ("\x7f", "\x9f"), ("\u2028", "\u2029"), ("\u202a", "\u202e"), ("\u2066", "\u2069"),
)  # fmt: skip
"""Characters that no text of a plan holds as they are."""
READABLE: Final = re.compile(r"[^\W_]\w*")
"""A name of an earlier result that every dialect with a dollar sign can write."""
_DIGIT: Final = Chars((("0", "9"),))
_1_TO_9: Final = Chars((("1", "9"),))
_WHOLE: Final = one_of("0", series(_1_TO_9, many(_DIGIT, 0, 14)))
"""Fifteen digits are exact as a float."""
INTEGER: Final = series(many(Word("-"), 0, 1), _WHOLE)
_FRACTION: Final = many(series(".", many(_DIGIT, 1, 15)), 0, 1)
_EXPONENT: Final = many(series(Chars((("E", "E"), ("e", "e"))), many(one_of("+", "-"), 0, 1), many(_DIGIT, 1, 2)), 0, 1)
NUMBER: Final = series(INTEGER, _FRACTION, _EXPONENT)
_LONG_MONTH: Final = one_of(
    series("0", Chars((("1", "1"), ("3", "3"), ("5", "5"), ("7", "8")))), series("1", Chars((("0", "0"), ("2", "2"))))
)
_NO_FEBRUARY: Final = one_of(series("0", Chars((("1", "1"), ("3", "9")))), series("1", Chars((("0", "2"),))))
_MONTH: Final = one_of(series("0", _1_TO_9), series("1", Chars((("0", "2"),))))
_TO_28: Final = one_of(series("0", _1_TO_9), series("1", _DIGIT), series("2", Chars((("0", "8"),))))
_MONTH_DAY: Final = one_of(
    series(_MONTH, "-", _TO_28),
    series(_NO_FEBRUARY, "-", one_of(series("2", "9"), series("3", "0"))),
    series(_LONG_MONTH, "-", "3", "1"),
)
DATE: Final = series(Chars((("1", "2"),)), many(_DIGIT, 3, 3), "-", _MONTH_DAY)
_SIXTY: Final = series(Chars((("0", "5"),)), _DIGIT)
_TIME: Final = series(one_of(series(Chars((("0", "1"),)), _DIGIT), series("2", Chars((("0", "3"),)))), ":", _SIXTY)
STEPS: Final = 4
"""Most parts of a path to an item."""
MOST_NAMES: Final = 24
"""Up to this many results, a list may name each of them; with more, the rules would grow too large."""


class Leeway(NamedTuple):
    """What plans may read, and how long they may be.

    inputs: names of offered variables; earlier: names of results of earlier rounds; lines: most lines with tasks;
    least: fewest of those, if one can be written at all; first: the number of the first line.
    """

    inputs: Collection[str] = ()
    earlier: Collection[str] = ()
    lines: int = 12
    least: int = 0
    first: int = 1

    @property
    def numbers(self) -> range:
        """The numbers of the lines with tasks."""
        return range(self.first, self.first + self.lines)


class Spot(NamedTuple):
    """Where a value stands: the number of its line, and whether a comprehension binds a name there."""

    line: int
    inside: bool = False


def but(characters: str) -> Chars:
    """Return any character but these, and but control characters."""
    return Chars((*CONTROLS, *((each, each) for each in sorted(characters))), but=True)


class Given(NamedTuple):
    """An argument or a field as it is written; whether it must be given; whether all that follow need it."""

    rule: Phrase
    required: bool
    chained: bool = False


class Speller:
    """Makes the grammar of one dialect; `grammar()` is the whole, the other methods are rules for one line.

    tools: what may be called; leeway: what may be read; stem: what the id of a line begins with.
    Raises ValueError for a name of an input that no plan can write.
    """

    constants: Mapping[Any, str] = {True: "True", False: "False", None: "None"}
    stem = ""

    def __init__(self, tools: Mapping[str, Tool], leeway: Leeway) -> None:
        wrong = [name for name in leeway.inputs if not is_nameable(name)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} cannot be the name of an offered input: write a plain Python name")
        self.tools = dict(tools)
        self.inputs, self.leeway = tuple(dict.fromkeys(leeway.inputs)), leeway
        self.earlier = [name for name in dict.fromkeys(leeway.earlier) if self.is_readable(name)]
        self.rules = Rules()
        self.share: Callable[[Phrase], Phrase] = self.rules.share
        self.integer, self.number = self.share(INTEGER), self.share(NUMBER)
        self.dates = {"date": self.share(DATE), "datetime": self.share(series(DATE, "T", _TIME))}
        self.value = cache(self._value)
        self.anything = any_domain()

    def grammar(self) -> Grammar:
        """Return the grammar of whole plans."""
        return self.rules.grammar(self.plan())

    def plan(self) -> Phrase:
        """Return the rule of a whole plan: some lines with tasks, then the end."""
        numbers = self.leeway.numbers
        rest = self.end(Spot(numbers.stop))
        for line in reversed(numbers):
            here = self.line(Spot(line), rest)
            may_end = here == NEVER or line - numbers.start >= self.leeway.least
            rest = self.share(one_of(here, self.end(Spot(line)) if may_end else NEVER))
        return rest

    def id(self, line: int) -> str:
        """Return the id of the task on a line."""
        return f"{self.stem}{line}"

    def above(self, spot: Spot) -> list[str]:
        """Return what a line may refer to: results of earlier rounds, and the lines above it."""
        return [*self.earlier, *map(self.id, range(self.leeway.first, spot.line))]

    def names(self, rule: Phrase, spot: Spot) -> Phrase:
        """Return the rule of names of results, no more than there are: a small model would go on forever."""
        count = len(self.above(spot))
        if count > MOST_NAMES:
            return several(rule)
        rest: Phrase = NOTHING
        for _ in range(1, count):
            rest = many(series(", ", rule, rest), most=1)
        return series(rule, rest)

    # ---------------------------------------------------------------- what each dialect says in its own way

    def line(self, spot: Spot, rest: Phrase) -> Phrase:
        """Return the rule of a line with a task, and of what follows it."""
        raise NotImplementedError

    def end(self, spot: Spot) -> Phrase:
        """Return the rule of the end of a plan, if it begins on a line."""
        raise NotImplementedError

    def is_readable(self, name: str) -> bool:
        """Whether a plan can write the name of a result of an earlier round."""
        raise NotImplementedError

    def text(self, spot: Spot) -> Phrase:
        """Return the rule of a text, with the results in it."""
        raise NotImplementedError

    def reference(self, spot: Spot) -> Phrase:
        """Return the rule of a result, an input, or an item of one."""
        raise NotImplementedError

    def spell(self, text: str) -> str:
        """Return this very text as a literal."""
        return quote(text)

    def key(self) -> Phrase:
        """Return the rule of a dict's key: a text in which nothing is a reference."""
        raise NotImplementedError

    # ---------------------------------------------------------------- values

    def _value(self, domain: Domain, spot: Spot) -> Phrase:
        """Return the rule of a value: a literal of a domain, or a reference."""
        return self.share(one_of(*self._literals(domain, spot), self.reference(spot)))

    def _literals(self, domain: Domain, spot: Spot) -> list[Phrase]:  # noqa: PLR0911 - one case for each kind
        match domain.kind:
            case "text":
                return [self.text(spot)]
            case "integer":
                return [self.integer]
            case "number":
                return [self.number]
            case "boolean":
                return [Word(self.constants[True]), Word(self.constants[False])]
            case "none":
                return [Word(self.constants[None])]
            case "date" | "datetime" as kind:
                return [series('"', self.dates[kind], '"')]
            case "values":
                # The quote is a word of its own: some engines take the longest word only, and texts begin with it, too.
                written = [self.literal(value) for _, value in domain.values]
                return [series('"', each[1:]) if each[0] == '"' else Word(each) for each in written]
            case "union":
                return [rule for part in domain.parts for rule in self._literals(part, spot)]
            case "opaque":
                return []
        return [self.share(self._container(domain, spot))]

    def _container(self, domain: Domain, spot: Spot) -> Phrase:
        parts = [self.value(part, spot) for part in domain.parts]
        match domain.kind:
            case "list":
                return series("[", many(several(parts[0]), most=1), "]")
            case "tuple":
                return self.tuple_(parts[0])
            case "fixed":
                return series("[", listed(parts), "]")
            case "table":
                return series("{", many(several(series(self.key(), ": ", parts[0])), most=1), "}")
        fields = [
            Given(series(f"{quote(name)}: ", self.value(each, spot)), must) for name, each, must in domain.fields
        ]  # fmt: skip
        return series("{", self.chosen(fields), "}")

    def tuple_(self, part: Phrase) -> Phrase:
        """Return the rule of a tuple of any length."""
        return one_of("()", series("(", part, ",)"), series("(", part, ", ", several(part), ")"))

    def literal(self, value: Any) -> str:
        """Return a constant as a plan writes it."""
        if isinstance(value, str):
            return self.spell(value)
        return self.constants[value] if value is None or isinstance(value, bool) else repr(value)

    # ---------------------------------------------------------------- arguments

    def chosen(self, items: Iterable[Given]) -> Phrase:
        """Return the rule of these in order, with commas; those that are not required may be left out."""
        return self._states(items)[0][1]

    def _states(self, items: Iterable[Given]) -> list[tuple[Phrase, Phrase]]:
        """Return for each item, and for the end, what may follow from there on: behind another, and as the first."""
        states: list[tuple[Phrase, Phrase]] = [(NOTHING, NOTHING)]
        past = states[0]  # the state behind the items that are chained
        for item in reversed(list(items)):
            then = states[0][0]
            behind, alone = past if item.chained else states[0]
            given, begun = series(", ", item.rule, then), series(item.rule, then)
            if not item.required:
                given, begun = one_of(given, behind), one_of(begun, alone)
            states.insert(0, (self.share(given), self.share(begun)))
            past = past if item.chained else states[0]
        return states

    def arguments(self, tool: Tool, spot: Spot) -> Phrase:
        """Return the rule of the arguments of a call: some by position, then others by name, in their order."""
        kinds = [(p.kind.name, p) for p in tool.parameters]
        placed = [p for kind, p in kinds if kind in ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")]
        only = [p for kind, p in kinds if kind == "KEYWORD_ONLY"]
        rest = next((p for kind, p in kinds if kind == "VAR_POSITIONAL"), None)
        states = self._states([self._named(p, spot) for p in (*placed, *only)])
        named, only_named = states[: len(placed)], states[len(placed)]
        more = NEVER if rest is None else self.argument(rest, spot)
        behind = series(many(series(", ", more)), only_named[0])
        for parameter, state in zip(reversed(placed), reversed(named), strict=True):
            value = self.argument(parameter, spot)
            if parameter is placed[0]:
                return one_of(series(value, behind), state[1])
            behind = self.share(one_of(series(", ", value, behind), state[0]))
        return one_of(series(more, behind), only_named[1])

    def _named(self, parameter: Parameter, spot: Spot) -> Given:
        usable = parameter.kind is not parameter.kind.POSITIONAL_ONLY and self.is_keyword(parameter.name)
        rule = series(f"{parameter.name}=", self.argument(parameter, spot)) if usable else NEVER
        return Given(rule, parameter.required)

    def is_keyword(self, name: str) -> bool:
        """Whether an argument can be given by this name."""
        return is_nameable(name)

    def argument(self, parameter: Parameter, spot: Spot) -> Phrase:
        """Return the rule of an argument's value."""
        return self.value(domain_of(parameter.hint) if parameter.check else self.anything, spot)

    def calls(self, spot: Spot) -> Phrase:
        """Return the rule of a call of any tool."""
        found = [series(f"{name}(", self.arguments(each, spot), ")") for name, each in self.tools.items()]
        return self.share(one_of(*found))

    # ---------------------------------------------------------------- parts that dialects share

    def body(self, plain: Chars, *special: Phrase) -> Phrase:
        """Return the rule of the inside of a text: plain characters, and what stands for others."""
        run = self.share(many(plain))
        return self.share(series(run, many(series(one_of(*special), run))))

    def path(self, *steps: Phrase) -> Phrase:
        """Return the rule of a path of some steps, or of none."""
        step = self.share(one_of(*steps))
        path: Phrase = NOTHING
        for _ in range(STEPS):
            path = many(series(step, path), most=1)
        return self.share(path)


ESCAPES: Final = one_of('\\"', "\\\\", "\\n", "\\t")
INDEX: Final = one_of("0", series(Chars((("1", "9"),)), many(_DIGIT, 0, 3)))
PLAIN_KEY: Final = series(
    Chars((("A", "Z"), ("a", "z"))), many(Chars((("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))), 0, 40)
)


def key_in(quote_: str, forbidden: str) -> Phrase:
    """Return the rule of a key in quotes, which does not begin with an underscore."""
    return series(quote_, but(f"{forbidden}_"), many(but(forbidden), 0, 60), quote_)
