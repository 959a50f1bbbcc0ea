"""References that stand in text, `$1` and `${t1.title}`: how the numbered and the json dialect find and follow them."""

from __future__ import annotations

import re
from functools import partial
from itertools import groupby
from typing import Final, Literal, NamedTuple

from compiler_nb.plan import check
from compiler_nb.plan.check import Refused
from compiler_nb.plan.expression import Field, Item, Text
from compiler_nb.plan.tree import Tree

STEP: Final = r"""(?:\.\w++|\[(?:-?[0-9]{1,18}|"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')\])"""
"""One part of a path: `.title`, `[0]`, `["title"]`; it looks up an item, never an attribute."""
# These forms give nothing back once they have matched (`++`, `*+`), so that no text takes more than linear time.
_STEP: Final = re.compile(STEP, re.DOTALL)
_WHOLE: Final = re.compile(rf"\$(?:(\w++)|\{{(\w++)({STEP}*+)\}})({STEP}*+)", re.DOTALL)
_DOLLAR: Final = re.compile(
    rf"\$(?:(?P<escape>\$)|\{{(?P<braced>\w++)(?P<path>{STEP}*+)\}}|\{{(?P<open>\w*+)|(?P<bare>\w++))", re.DOTALL
)
_ESCAPE: Final = re.compile(
    r"""\\(?:(?P<octal>[0-7]{1,3})|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^{}]*+\}|[\\'"abfnrtvxuUN])"""
)


class Dollar(NamedTuple):
    """A dollar sign in a text, and what follows it.

    form: "whole" if it is all of the text, "braced" or "bare" within a longer text, "open" if a brace holds more than a
    reference or is not closed; name: what may be a task's id; path: the text of what is looked up in its value;
    text: the whole as it was written.
    """

    form: Literal["whole", "braced", "bare", "open"]
    name: str
    path: str
    text: str


def read_whole(text: str) -> Dollar | None:
    """Return the reference that a text consists of; None if it is another text."""
    found = _WHOLE.fullmatch(text)
    return Dollar("whole", found[1] or found[2], (found[3] or "") + found[4], text) if found else None


def split(text: str) -> list[str | Dollar]:
    """Return a text as the pieces between its dollar signs and what these may refer to; `$$` is a literal dollar."""
    pieces: list[str | Dollar] = []
    at = 0
    for found in _DOLLAR.finditer(text):
        pieces.append(text[at : found.start()])
        at = found.end()
        form: Literal["braced", "bare", "open"] = "braced" if found["braced"] else "bare" if found["bare"] else "open"
        pieces.append("$" if found["escape"] else Dollar(form, found[form] or "", found["path"] or "", found[0]))
    pieces.append(text[at:])
    return [piece for piece in pieces if piece]


def join_pieces(pieces: list[Tree]) -> Tree:
    """Return one text if all pieces are text, otherwise a Text, whose other pieces are put in when they are known."""
    parts: list[Tree] = []
    for is_text, run in groupby(pieces, lambda piece: isinstance(piece, str)):
        parts += ["".join(run)] if is_text else map(Field, run)  # noqa: B031 - one of the two
    if not parts:
        return ""
    return parts[0] if len(parts) == 1 and isinstance(parts[0], str) else Text(tuple(parts))


def follow(value: Tree, path: str, place: int = 0) -> Tree:
    """Return a value with the path's items looked up in it; raise Refused if a part begins with an underscore."""
    steps = _STEP.findall(path)
    if len(steps) > check.DEPTH_LIMIT:
        raise Refused(
            "too_deep",
            f"a path of {len(steps):,} parts; at most {check.DEPTH_LIMIT} are allowed: use several lines",
            place,
        )
    for step in steps:
        value = Item(value, _key(step[1:] if step[0] == "." else step[1:-1], place))
    return value


def _key(text: str, place: int) -> str | int:
    if text.removeprefix("-").isdecimal() and text.isascii() and len(text) <= len("-") + 18:
        return int(text)
    key = unescape(text[1:-1], place) if text[0] in "\"'" else text
    check.check_literal(key, place)
    if key.startswith("_"):
        problem = f"the path part {key[:40]!r} begins with an underscore and cannot be read: use a tool"
        raise Refused("dunder", problem, place)
    return key


def unescape(body: str, place: int = 0) -> str:
    """Return the text of a Python string literal's inside; an unknown escape stays as it is."""
    return _ESCAPE.sub(partial(_unescape, place), body) if "\\" in body else body


def _unescape(place: int, found: re.Match[str]) -> str:
    if found["octal"]:  # read here, since Python's codec warns of those above \\377
        return chr(int(found["octal"], 8))
    try:
        return found[0].encode().decode("unicode_escape")
    except UnicodeDecodeError:
        problem = f"the escape {found[0][:40]} is not a character; write \\\\ for a backslash"
        raise Refused("syntax", problem, place) from None
