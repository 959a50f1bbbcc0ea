"""The core of the python dialect as a grammar: calls and simple expressions, the names of the lines given."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import Final

from compiler_nb.grammar.domain import Domain, any_domain
from compiler_nb.grammar.rules import NEVER, Phrase, Word, many, one_of, series, several
from compiler_nb.grammar.spelling import ESCAPES, INDEX, Given, Leeway, Speller, Spot, but, key_in
from compiler_nb.operations.functions import FUNCTIONS
from compiler_nb.signature.names import is_nameable
from compiler_nb.tool import Tool

_COMPARED: Final = one_of(" == ", " != ", " < ", " <= ", " > ", " >= ", " in ", " not in ")
_COMPUTED: Final = one_of(" + ", " - ", " * ", " / ")
_FUNCTIONS: Final = ("len", "sum", "min", "max", "sorted")
_FORMATS: Final = one_of(":,", ":.0f", ":.1f", ":.2f", ":.1%")


class PythonSpeller(Speller):
    """Spells the core of the python dialect; the lines give t1, t2, ..., a comprehension x."""

    def __init__(self, tools: Mapping[str, Tool], leeway: Leeway) -> None:
        super().__init__({name: each for name, each in tools.items() if not keyword.iskeyword(name)}, leeway)
        taken = {*tools, *leeway.inputs, *self.earlier}
        self.stem, self.local = "t", "x"
        while taken.intersection(map(self.id, leeway.numbers)):
            self.stem += "_"
        while self.local in taken:
            self.local += "_"
        at = series("[", many(Word("-"), most=1), INDEX, "]")
        self.steps = self.path(series("[", key_in('"', "\"'\\"), "]"), at)
        self.steps_in_text = self.path(series("[", key_in("'", "\"'\\{}[]()#"), "]"), at)
        self.functions = [name for name in _FUNCTIONS if name in FUNCTIONS and name not in tools]

    def line(self, spot: Spot, rest: Phrase) -> Phrase:
        """Return the rule of a line with a task, and of what follows it."""
        call, test = self.calls(spot), self._test(spot)
        guarded = series(call, " if ", test, " else ", one_of("None", call))
        task = self.share(one_of(call, guarded, self._fanout(spot), self._expression(spot)))
        return series(f"{self.id(spot.line)} = ", task, "\n", rest)

    def is_readable(self, name: str) -> bool:
        """Whether a plan can write the name of a result of an earlier round."""
        return is_nameable(name) and not keyword.iskeyword(name)

    def _fanout(self, spot: Spot) -> Phrase:
        """Return the rule of a call for each item of a list."""
        inside = spot._replace(inside=True)
        items = series("[", several(self.value(any_domain(0), spot)), "]")
        source = one_of(self.reference(spot), items)
        condition = many(series(" if ", self._test(inside)), most=1)
        return series("[", self.calls(inside), f" for {self.local} in ", source, condition, "]")

    def _test(self, spot: Spot) -> Phrase:
        """Return the rule of a condition, which reads a result at least."""
        result = self.reference(spot)
        compared = series(result, many(series(_COMPARED, self._operand(spot)), most=1))
        return self.share(one_of(compared, series("not ", result)))

    def _operand(self, spot: Spot) -> Phrase:
        return one_of(self.value(Domain("number"), spot), self.text(spot))

    def _expression(self, spot: Spot) -> Phrase:
        """Return the rule of an expression that reads a result at least."""
        result, value = self.reference(spot), self.value(self.anything, spot)
        computed = series(result, one_of(_COMPARED, _COMPUTED), self._operand(spot))
        applied = series(one_of(*self.functions), "(", result, ")") if self.functions else NEVER
        chosen = series(value, " if ", self._test(spot), " else ", value)
        return self.share(one_of(computed, applied, chosen, self._formatted(spot)))

    def end(self, spot: Spot) -> Phrase:
        """Return the rule of the last line; a join without a name needs a task above it."""
        answer = series("answer(", one_of(self.value(self.anything, spot), self._expression(spot)), ")")
        refs = Given(self.names(self.share(one_of(*self.above(spot))), spot), required=spot.line == self.leeway.first)
        told = series("instruction=", self.key())
        joined = series("join(", self.chosen([refs, Given(told, required=False)]), ")")
        return series(one_of(answer, joined), many(Word("\n"), most=1))

    def text(self, spot: Spot) -> Phrase:
        """Return the rule of a text, with the results in it."""
        return self.share(one_of(self.key(), self._formatted(spot)))

    def _formatted(self, spot: Spot) -> Phrase:
        """Return the rule of an f-string with a result in it."""
        field = series("{", self._read(spot, self.steps_in_text), many(_FORMATS, most=1), "}")
        inside = self.body(but('"\\{}'), ESCAPES, Word("{{"), Word("}}"))
        return self.share(series('f"', inside, field, inside, many(series(field, inside)), '"'))

    def reference(self, spot: Spot) -> Phrase:
        """Return the rule of a result, an input, or an item of one."""
        return self._read(spot, self.steps)

    def _read(self, spot: Spot, steps: Phrase) -> Phrase:
        names = [*self.above(spot), *self.inputs]
        return self.share(series(one_of(*names, *([self.local] if spot.inside else [])), steps))

    def key(self) -> Phrase:
        """Return the rule of a dict's key."""
        return self.share(series('"', self.body(but('"\\'), ESCAPES), '"'))

    def is_keyword(self, name: str) -> bool:
        """Whether an argument can be given by this name."""
        return super().is_keyword(name) and not keyword.iskeyword(name)
