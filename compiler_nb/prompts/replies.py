"""The grammars of a joiner's decision and of a value that `extract` asks for; loaded only if a server takes one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from compiler_nb.grammar.domain import domain_of
from compiler_nb.grammar.plans import JsonSpeller
from compiler_nb.grammar.printers import PRINTERS
from compiler_nb.grammar.rules import NEVER, NOTHING, Chars, Grammar, Phrase, Rules, many, one_of, series, several
from compiler_nb.grammar.spelling import CONTROLS, DATE, ESCAPES, NUMBER, Leeway, Spot, but
from compiler_nb.models.base import GrammarForm
from compiler_nb.plan.writers import quote

_LINES: Final = (("\0", "\x08"), ("\x0b", "\x1f"), *CONTROLS[1:])
"""What an answer does not hold: control characters but tabs and ends of lines."""
_BEFORE: Final = " \t\n#*_`>'\"("
"""Characters that may precede an answer's first word and could hide a request for another plan."""
_SCALARS: Final = [{"type": each} for each in ("string", "number", "boolean", "null")]
_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "number": {"type": "number"},
    "text": {"type": "string"},
    "list": {"type": "array", "items": {"anyOf": _SCALARS}},
    "bool": {"type": "boolean"},
    "date": {"type": "string"},
}
_TEXT: Final = series('"', many(one_of(but('"\\'), ESCAPES)), '"')
_SCALAR: Final = one_of(_TEXT, NUMBER, "true", "false", "null")
_VALUES: Final[dict[str, Phrase]] = {
    "number": NUMBER,
    "text": _TEXT,
    "list": series("[", many(several(_SCALAR), most=1), "]"),
    "bool": one_of("true", "false"),
    "date": series('"', DATE, '"'),
}


def decisions(*, can_replan: bool) -> Grammar:
    """Return the grammar of an answer that is not empty, or of one line `Replan: reason`, if that may be asked for."""
    replan = series("Replan: ", but(" "), many(but("")))
    answer = series(many(Chars(_each(_BEFORE))), _unlike("replan"))
    return Rules().grammar(one_of(replan, answer) if can_replan else answer)


def _unlike(word: str) -> Phrase:
    """Return the rule of a text that does not begin with this word, in whatever case, and is not empty."""
    rest = many(Chars(_LINES, but=True))
    found: Phrase = NEVER
    for place in range(len(word) - 1, -1, -1):
        both = word[place] + word[place].upper()
        other = Chars((*_LINES, *_each(both if place else both + _BEFORE)), but=True)
        ends = [NOTHING] if place else []
        found = one_of(series(other, rest), series(Chars(_each(both)), found), *ends)
    return found


def _each(characters: str) -> tuple[tuple[str, str], ...]:
    return tuple((each, each) for each in sorted(characters))


def write_decision(form: GrammarForm, *, can_replan: bool) -> str:
    """Return the grammar of a decision in a form. Raises ValueError for a schema, because a decision is not JSON."""
    if form not in PRINTERS:
        raise ValueError(f"{form} cannot describe a decision, which is not JSON; use {' or '.join(PRINTERS)}")
    return PRINTERS[form](decisions(can_replan=can_replan))


class AnswerSpeller(JsonSpeller):
    """Spells a value as plain JSON: nothing in it is a reference."""

    def __init__(self) -> None:
        super().__init__({}, Leeway())

    def text(self, spot: Spot) -> Phrase:
        """Return the rule of a text."""
        return self.share(_TEXT)

    def key(self) -> Phrase:
        """Return the rule of a dict's key."""
        return self.text(Spot(1))

    def spell(self, text: str) -> str:
        """Return this very text as a literal."""
        return quote(text)

    def reference(self, spot: Spot) -> Phrase:
        """Return no rule: an answer refers to nothing."""
        return NEVER

    def tuple_(self, part: Phrase) -> Phrase:
        """Return the rule of a tuple, which JSON writes as a list."""
        return series("[", many(several(part), most=1), "]")


def typed_answers(hint: Any, *, can_replan: bool) -> Grammar:
    """Return the grammar of an answer of a type as JSON, or of one line `Replan: reason`, if that may be asked for.

    Raises ValueError if JSON has no values of it.
    """
    speller = AnswerSpeller()
    value = speller.value(domain_of(hint), Spot(1))
    if value == NEVER:
        raise ValueError("a grammar cannot say values of this type")
    replan = series("Replan: ", but(" "), many(but("")))
    return speller.rules.grammar(one_of(replan, value) if can_replan else value)


def write_answer(form: GrammarForm, hint: Any, schema: Mapping[str, Any] | None, *, can_replan: bool) -> str:
    """Return what a joiner may reply if its answer is to have a type, in a form.

    Raises ValueError if the form cannot say it: a strict schema must name every field.
    """
    if form in PRINTERS:
        return PRINTERS[form](typed_answers(hint, can_replan=can_replan))
    if form != "json_schema" or schema is None:
        raise ValueError(f"{form} cannot say an answer of this type")
    inner = {name: each for name, each in schema.items() if name != "$defs"}
    ways = [{"answer": inner}, *([{"replan": {"type": "string"}}] if can_replan else [])]
    objects = [
        {"type": "object", "properties": way, "required": list(way), "additionalProperties": False} for way in ways
    ]
    return json.dumps({"anyOf": objects, **({"$defs": schema["$defs"]} if "$defs" in schema else {})})


def values(type_: str) -> Grammar:
    """Return the grammar of an object that holds a value of a type, or null."""
    return Rules().grammar(series('{"value": ', one_of(_VALUES[type_], "null"), "}"))


def write_value(form: GrammarForm, type_: str) -> str:
    """Return what `extract` may be replied for a type, in a form."""
    if form in PRINTERS:
        return PRINTERS[form](values(type_))
    fields = {"value": {"anyOf": [_SCHEMAS[type_], {"type": "null"}]}}
    return json.dumps({"type": "object", "properties": fields, "required": ["value"], "additionalProperties": False})
