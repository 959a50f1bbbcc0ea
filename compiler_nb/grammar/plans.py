"""The grammar of the tools: exactly the plans that are accepted, as text that engines take to hold a model to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from compiler_nb.errors import OptionError
from compiler_nb.grammar.printers import PRINTERS
from compiler_nb.grammar.python import PythonSpeller
from compiler_nb.grammar.rules import NEVER, NOTHING, Grammar, Phrase, Word, many, one_of, series, several
from compiler_nb.grammar.schema import to_schema
from compiler_nb.grammar.spelling import (
    ESCAPES,
    INDEX,
    PLAIN_KEY,
    READABLE,
    Given,
    Leeway,
    Speller,
    Spot,
    but,
    key_in,
)
from compiler_nb.grammar.strict import to_strict_schema
from compiler_nb.plan.numbered import MARK
from compiler_nb.plan.writers import quote
from compiler_nb.text import shorten
from compiler_nb.tool import Tool

LINES: Final = 100
"""Most lines of a grammar: it grows faster than they do, to half a megabyte."""
MOST_FIRST: Final = 1_000_000
EVERYTHING: Final = Leeway()
SCHEMAS: Final[dict[str, Callable[[Mapping[str, Tool], Leeway], str]]] = {
    "json_schema": to_schema, "strict_schema": to_strict_schema,
}  # fmt: skip


class _DollarSpeller(Speller):
    """What numbered and json share: references with a dollar sign, in strings, too."""

    def __init__(self, tools: Mapping[str, Tool], leeway: Leeway) -> None:
        super().__init__(tools, leeway)
        step = (series(".", one_of(PLAIN_KEY, INDEX)), series("[", many(Word("-"), most=1), INDEX, "]"))
        self.steps = self.path(*step, series("[", key_in("'", "'\"\\$`{}[]"), "]"))

    def ids(self, spot: Spot) -> Phrase:
        """Return the rule of the id of a line above."""
        return self.share(one_of(*self.above(spot)))

    def is_readable(self, name: str) -> bool:
        """Whether a plan can write the name of a result of an earlier round."""
        return READABLE.fullmatch(name) is not None

    def inputs_in(self) -> Phrase:
        """Return the rule of an offered input or an item of it."""
        return self.share(series("@", one_of(*self.inputs), self.steps) if self.inputs else NEVER)

    def special(self, spot: Spot) -> Phrase:
        """Return the rule of what is not a plain character in a text."""
        result = series("${", self.ids(spot), self.steps, "}")
        return self.share(one_of(ESCAPES, "$$", result))

    def key(self) -> Phrase:
        """Return the rule of a dict's key."""
        return series('"', self.body(but('"\\'), ESCAPES), '"')

    def plain(self) -> Phrase:
        """Return the rule of a text without results, such as an instruction."""
        return series('"', self.body(but('"\\$'), ESCAPES), '"')


class NumberedSpeller(_DollarSpeller):
    """Spells the numbered dialect."""

    def line(self, spot: Spot, rest: Phrase) -> Phrase:
        """Return the rule of a line with a task, and of what follows it."""
        return series(f"{spot.line}. ", self.calls(spot), "\n", rest)

    def end(self, spot: Spot) -> Phrase:
        """Return the rule of the last line; a join without a name needs a task above it."""
        answer = series("answer(", self.value(self.anything, spot), ")")
        refs = Given(self.names(series("$", self.ids(spot)), spot), required=spot.line == self.leeway.first)
        joined = self.chosen([refs, Given(series("instruction=", self.plain()), required=False)])
        return series(f"{spot.line}. ", one_of(answer, series("join(", joined, ")")), MARK, many(Word("\n"), most=1))

    def is_readable(self, name: str) -> bool:
        """Whether a plan can write the name of a result of an earlier round: a number, or 1_2."""
        return super().is_readable(name) and name[0].isdigit()

    def text(self, spot: Spot) -> Phrase:
        """Return the rule of a text, with the results in it."""
        return self.share(series('"', self.body(but('"\\$'), self.special(spot)), '"'))

    def spell(self, text: str) -> str:
        """Return this very text as a literal."""
        return quote(text.replace("$", "$$"))

    def reference(self, spot: Spot) -> Phrase:
        """Return the rule of a result, an input, or an item of one."""
        return self.share(one_of(series("$", self.ids(spot), self.steps), self.inputs_in()))


class JsonSpeller(_DollarSpeller):
    """Spells the json dialect; the tasks are t1, t2, ..."""

    constants: Mapping[Any, str] = {True: "true", False: "false", None: "null"}
    stem = "t"

    def line(self, spot: Spot, rest: Phrase) -> Phrase:
        """Return the rule of an object with a task, and of what follows it."""
        return series(self._head(spot), self._calls(spot), many(self._deps(spot), most=1), "}", rest)

    def end(self, spot: Spot) -> Phrase:
        """Return the rule of the end: a last object that answers or joins, or none behind a task."""
        last = many(Word("\n"), most=1)
        joined = series("\n]", many(series(', "join_instruction": ', self.plain()), most=1), "}", last)
        answer = series('"answer", "args": {"value": ', self.value(self.anything, spot), "}}\n]}", last)
        join = series('"join", "args": {}', self._deps(spot), "}", joined)
        return one_of(series(self._head(spot), one_of(answer, join)), joined if self._is_behind(spot) else NEVER)

    def _is_behind(self, spot: Spot) -> bool:
        """Whether a line follows another one."""
        return spot.line > self.leeway.first

    def _head(self, spot: Spot) -> Phrase:
        """Return the rule of what an object begins with."""
        begin = ",\n  " if self._is_behind(spot) else '{"tasks": [\n  '
        return series(begin, f'{{"id": "{self.id(spot.line)}", "tool": ')

    def _deps(self, spot: Spot) -> Phrase:
        """Return the rule of the ids that a task waits for."""
        return series(', "deps": [', self.names(series('"', self.ids(spot), '"'), spot), "]")

    def _calls(self, spot: Spot) -> Phrase:
        found = [
            series(f'"{name}", "args": {{', self._object(each, spot), "}") for name, each in self.tools.items()
        ]  # fmt: skip
        return self.share(one_of(*found))

    def _object(self, tool: Tool, spot: Spot) -> Phrase:
        """Return the rule of a call's arguments, all by name.

        One behind others that may only stand by position is left out if one of those is; more than the signature names
        are a list, for which all before it must be given.
        """
        placed, only = [], []
        for p in tool.parameters:
            rule = series(f'"{p.name}": ', self.argument(p, spot)) if self.is_keyword(p.name) else NEVER
            if p.kind is p.kind.KEYWORD_ONLY:
                only.append(Given(rule, p.required))
            elif not p.kind.name.startswith("VAR"):
                placed.append(Given(rule, p.required, p.kind is p.kind.POSITIONAL_ONLY))
        usual = self.chosen([*placed, *only])
        rest = next((p for p in tool.parameters if p.kind is p.kind.VAR_POSITIONAL and self.is_keyword(p.name)), None)
        if rest is None:
            return usual
        items = series("[", many(several(self.argument(rest, spot)), most=1), "]")
        more = Given(series(f'"{rest.name}": ', one_of(items, self.reference(spot))), required=True)
        return one_of(self.chosen([*(each._replace(required=True) for each in placed), more, *only]), usual)

    def text(self, spot: Spot) -> Phrase:
        """Return the rule of a text, with the results in it."""
        body = self.body(but('"\\$'), self.special(spot))
        # What begins with one @ is an input; @@ is the sign itself.
        first = one_of(series(but('"\\$@'), body), series(one_of("@@", self.special(spot)), body), NOTHING)
        return self.share(series('"', first, '"'))

    def spell(self, text: str) -> str:
        """Return this very text as a literal."""
        escaped = text.replace("$", "$$")
        return quote(f"@{escaped}" if text.startswith("@") else escaped)

    def reference(self, spot: Spot) -> Phrase:
        """Return the rule of a result, an input, or an item of one."""
        results = series("$", self.ids(spot), self.steps)
        return self.share(series('"', one_of(results, self.inputs_in()), '"'))

    def tuple_(self, part: Phrase) -> Phrase:
        """Return no rule: JSON has no tuples."""
        return NEVER


SPELLERS: Final[dict[str, type[Speller]]] = {
    "python": PythonSpeller, "numbered": NumberedSpeller, "json": JsonSpeller,
}  # fmt: skip
LEFT_OUT: Final = {
    "every dialect": (
        "notes, comments, prose and fences; another spelling of the same plan (blanks, quotes, the order of named "
        "arguments); tuples but for a parameter that is one; containers more than three deep, paths of more than four "
        "parts, numbers of more than 15 digits; names for **arguments; literals of classes "
        "other than enumerations, dates, paths, decimals, TypedDicts, dataclasses and pydantic models; more names in "
        "join, or in a list of deps, than there are results"
    ),
    "numbered": "nothing more",
    "json": "a task with an instruction and no tool (it is a call of llm)",
    "python": (
        "names that the model chooses (the lines give t1, t2, ...), and names that are given twice; a call within a "
        "line, but for guards; several lines of one call; and, or, chains of operators and comparisons; functions but "
        "len, sum, min, max and sorted of a result; methods and attributes; slices and computed keys; lambdas; "
        "comprehensions but [tool(x) for x in items if test]; sets; formats but a few for numbers"
    ),
}
"""What a grammar leaves out, although it would be accepted."""
CANNOT_SAY: Final = (
    "that a key of a free dict is not repeated; that a value satisfies a constraint (Annotated[int, Field(gt=0)], a "
    "validator); how long a text, a list or the whole plan is"
)
"""What a text under a grammar may still get wrong."""


def make_grammar(tools: Mapping[str, Tool], dialect: str, leeway: Leeway = EVERYTHING) -> Grammar:
    """Return the grammar of the plans of a dialect that call these tools, as data.

    Raises OptionError if the leeway is not made of numbers and lists of names, and ValueError if there is no such
    dialect, or if an input has a name that no plan can write.
    """
    if dialect not in SPELLERS:
        raise ValueError(f"no dialect is called {dialect!r}; there are {', '.join(SPELLERS)}")
    _check(leeway)
    if leeway.least > leeway.lines:
        raise ValueError(f"least must be at most lines, not {leeway.least} of {leeway.lines}")
    return SPELLERS[dialect](tools, leeway).grammar()


def _check(leeway: Leeway) -> None:
    """Raise OptionError if a leeway is not made of numbers within bounds and of lists of names."""
    for name, least, most in (("lines", 1, LINES), ("least", 0, LINES), ("first", 1, MOST_FIRST)):
        value = getattr(leeway, name)
        if type(value) is not int or not least <= value <= most:
            raise OptionError(f"{name} must be a whole number from {least} to {most:,}, not {shorten(repr(value), 40)}")
    for name in ("inputs", "earlier"):
        value = getattr(leeway, name)
        if isinstance(value, str) or not isinstance(value, Collection) or not all(type(each) is str for each in value):
            said = shorten(repr(value), 40)
            raise OptionError(f"{name} must be a list of names, such as ['home'], not {said}")


def print_grammar(tools: Mapping[str, Tool], dialect: str, form: str = "gbnf", leeway: Leeway = EVERYTHING) -> str:
    """Return the grammar as the text that an engine takes: "gbnf", "lark", or, for json only, one of two schemas.

    Raises ValueError as `make_grammar` does, and if a form cannot say a dialect.
    """
    forms = [*PRINTERS, *(SCHEMAS if dialect == "json" else ())]
    if form not in (*PRINTERS, *SCHEMAS):
        raise ValueError(f"no form of a grammar is called {form!r}; for {dialect} there are {', '.join(forms)}")
    if form not in forms and dialect in SPELLERS:
        raise ValueError(f"{form} can say only the dialect json; for {dialect} take {' or '.join(forms)}")
    grammar = make_grammar(tools, dialect, leeway)
    return PRINTERS[form](grammar) if form in PRINTERS else SCHEMAS[form](tools, leeway)
