"""A grammar as the text that an engine takes: GBNF for llama.cpp, Lark for vLLM and llguidance.

Only characters that mean themselves are written as they are, so no name and no value can end a word or a rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from compiler_nb.grammar.rules import Chars, Grammar, OneOf, Phrase, Repeat, Series, Use, Word

_SAFE: Final = re.compile(r"[A-Za-z0-9]")
_MARKS: Final = {(0, 1): "?", (0, None): "*", (1, None): "+"}


def to_gbnf(grammar: Grammar) -> str:
    """Return the grammar as llama.cpp reads it; the first rule is `root`."""
    return _print(grammar, "root", "::=", _class, lambda inner, least, most: inner + _times(least, most))


def to_lark(grammar: Grammar) -> str:
    """Return the grammar as llguidance reads it, and with it vLLM; the first rule is `start`."""
    return _print(grammar, "start", ":", lambda chars: f"/{_class(chars)}/", _lark_run)


def _print(
    grammar: Grammar,
    start: str,
    sign: str,
    chars: Callable[[Chars], str],
    run: Callable[[str, int, int | None], str],
) -> str:
    def spell(rule: Phrase, *, inner: bool) -> str:
        """Return a rule; inner: whether it stands within another, so that it may need brackets."""
        match rule:
            case Word(text):
                return _quoted(text)
            case Chars():
                return chars(rule)
            case Use(name):
                return name
            case Repeat(Chars() as one, least, most):
                return run(chars(one), least, most)
            case Repeat(part, least, most) if (least, most) in _MARKS:
                return spell(part, inner=True) + _MARKS[least, most]
            case Repeat(part, least, most):
                raise ValueError(f"only characters are repeated {least} to {most} times, not {part}")
            case Series(parts):
                text = " ".join(spell(part, inner=True) for part in parts)
            case OneOf(options):
                text = " | ".join(spell(option, inner=False) for option in options)
        return f"({text})" if inner else text

    lines = [(start, grammar.start), *grammar.rules.items()]
    return "".join(f"{name} {sign} {spell(rule, inner=False)}\n" for name, rule in lines)


def _quoted(text: str) -> str:
    """Return a word in quotes; JSON, GBNF and Lark read these escapes alike."""
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
    return '"' + "".join(named.get(each) or (each if each.isprintable() else _code(each)) for each in text) + '"'


def _code(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004 - what four digits can say


def _class(chars: Chars) -> str:
    """Return a class of characters; all but letters and digits by their code, which no engine takes for a sign."""
    ends = [(_in_class(first), _in_class(last)) for first, last in chars.ranges]
    parts = [first if first == last else f"{first}-{last}" for first, last in ends]
    return f"[{'^' if chars.but else ''}{''.join(parts)}]"


def _in_class(character: str) -> str:
    return character if _SAFE.fullmatch(character) else _code(character)


def _times(least: int, most: int | None) -> str:
    if (least, most) in _MARKS:
        return _MARKS[least, most]
    return f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"


def _lark_run(inner: str, least: int, most: int | None) -> str:
    """Return a run of characters as one expression, which may not be empty: then it is one that may be left out."""
    body = inner.strip("/")
    return f"/{body}{_times(max(least, 1), most)}/" + ("" if least else "?")


PRINTERS: Final[dict[str, Callable[[Grammar], str]]] = {"gbnf": to_gbnf, "lark": to_lark}
