"""Find the values of one JSON object as its text arrives, in any chunking and in linear time.

The outer structure, an object with a list called "tasks", is checked character by character. Each value of the object
and each item of that list is handed on as text as soon as it is closed, with the place where it begins. Its inside is
left to `json.loads`; its brackets are counted here, so that `json.loads` never gets deeply nested text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from compiler_nb.plan import check

_BLANK: Final = re.compile(r"[ \t\r\n]*+")
_BRACKET: Final = re.compile(r'["{}\[\]]')
_QUOTE: Final = re.compile(r'["\\]')
_WORD: Final = re.compile(r"[-+.\w]*+")
_STRUCTURE: Final = {
    ("{", "{"): "key or }",
    ("key or }", "}"): "end",
    ("key", ":"): ":",
    (":", ":"): "value",
    ("value", "["): "task or ]",  # of the key "tasks" only
    ("task or ]", "]"): ", or }",
    (", or ]", ","): "task",
    (", or ]", "]"): ", or }",
    (", or }", ","): "key",
    (", or }", "}"): "end",
}
"""What is expected, and the character that comes -> what is expected then."""
_AFTER: Final = {
    "key or }": ":", "key": ":", "value": ", or }", "task": ", or ]", "task or ]": ", or ]",
}  # fmt: skip
"""What is expected while a unit is read -> what is expected then."""


class Unit(NamedTuple):
    """A closed piece of the text, or what is wrong with it.

    kind: "key" or "value" of the root, "task", "end" of the root, or a problem's kind; text: the piece, or the
    problem's message; line, column: where it begins, from 1.
    """

    kind: str
    text: str
    line: int
    column: int


class Scanner:
    """Cuts the text of a JSON object into units; after a problem it stops (`dead`).

    expects: what may come next; `line` and `column`: the place behind the text so far.
    """

    def __init__(self, line: int = 1) -> None:
        self.expects = "{"
        self.dead = False
        self.line, self.column = line, 1
        self._mark = 0  # the index of line and column in the text being fed
        self._parts: list[str] | None = None  # the text of the open unit
        self._place = (line, 1)  # where it begins
        self._mode: Literal["brackets", "string", "escape", "word"] = "brackets"
        self._depth = 0
        self._is_list = False  # whether the last key was "tasks"

    def feed(self, text: str) -> Iterator[Unit]:
        """Yield the units that this text closes."""
        self._mark = at = 0
        while at < len(text) and not self.dead:
            if self._parts is None:
                at = _BLANK.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty string, too
                at, unit = self._meet(text, at) if at < len(text) else (at, None)
            else:
                at, unit = self._read_on(text, at, self._parts)
            if unit:
                yield unit
        self._advance(text, len(text))

    def _meet(self, text: str, at: int) -> tuple[int, Unit | None]:
        """Take the character at an index outside units; return the index behind it, or where a unit begins."""
        character = text[at]
        then = _STRUCTURE.get((self.expects, character))
        if then and (self.expects != "value" or self._is_list):
            self.expects = then
            return at + 1, Unit("end", "", *self._advance(text, at)) if then == "end" else None
        key = self.expects in ("key", "key or }")
        if self.expects not in _AFTER or not (character == '"' or (not key and re.match(r"[\[{\w-]", character))):
            return at, self._problem(text, at, *_explain(self.expects, character))
        self._place = self._advance(text, at)
        self._mode = "string" if character == '"' else "brackets" if character in "{[" else "word"
        self._depth = int(self._mode == "brackets")
        self._parts = [] if self._mode == "word" else [character]
        return at + len(self._parts), None

    def _read_on(self, text: str, at: int, parts: list[str]) -> tuple[int, Unit | None]:
        """Add what belongs to the open unit to its parts; return the index behind it, and the unit if it ends."""
        end, state = self._find_end(text, at)
        parts.append(text[at:end])
        if state == "deep":
            return end, self._problem(
                text, end, "too_deep", f"nested more than {check.DEPTH_LIMIT} deep: use several tasks"
            )
        return end, self._close_unit() if state == "closed" else None

    def _find_end(self, text: str, at: int) -> tuple[int, Literal["open", "closed", "deep"]]:
        """Return the index up to which the text belongs to the open unit, and what that makes of it."""
        # A task lies within the root and its list, any other value within the root alone.
        limit = check.DEPTH_LIMIT - (2 if self.expects.startswith("task") else 1)
        while at < len(text):
            if self._mode == "word":
                at = _WORD.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty string, too
                return at, "closed" if at < len(text) else "open"
            if self._mode == "escape":
                at, self._mode = at + 1, "string"
                continue
            found = (_QUOTE if self._mode == "string" else _BRACKET).search(text, at)
            if found is None:
                return len(text), "open"
            at = found.end()
            if found[0] == "\\":
                self._mode = "escape"
            elif found[0] == '"':
                self._mode = "string" if self._mode == "brackets" else "brackets"
            else:
                self._depth += 1 if found[0] in "{[" else -1
                if self._depth > limit:
                    return at, "deep"
            if self._mode == "brackets" and self._depth == 0:
                return at, "closed"
        return at, "open"

    def _close_unit(self) -> Unit:
        kind = "key" if self.expects.startswith("key") else "value" if self.expects == "value" else "task"
        unit = Unit(kind, "".join(self._parts or ()), *self._place)
        self._is_list = self._is_list if kind != "key" else unit.text == '"tasks"'
        self.expects = _AFTER[self.expects]
        self._parts = None
        return unit

    def _advance(self, text: str, at: int) -> tuple[int, int]:
        """Count lines up to an index, which never goes back; return its line and column."""
        feeds = text.count("\n", self._mark, at)
        self.line += feeds
        self.column = at - text.rfind("\n", self._mark, at) if feeds else self.column + at - self._mark
        self._mark = at
        return self.line, self.column

    def _problem(self, text: str, at: int, kind: str, message: str) -> Unit:
        self.dead = True
        return Unit(kind, message, *self._advance(text, at))


def _explain(expects: str, character: str) -> tuple[str, str]:
    """Return the kind and the message of the problem that this character is not expected here."""
    known = {
        ("end", "{"): ("multiple_blocks", "a second JSON object follows the plan: write only one"),
        ("{", "["): ("schema", 'a plan is an object, not a list: {"tasks": [...]}'),
        ("key", "}"): ("syntax", "there is a comma before }: leave it out"),
        ("task", "]"): ("syntax", "there is a comma before ]: leave it out"),
    }.get((expects, character))
    if known:
        return known
    if expects in ("{", "end"):
        return "syntax", f"there is text beside the plan, beginning with {character!r}: write only the JSON object"
    hint = {"/": "JSON has no comments", "#": "JSON has no comments", "'": "JSON has double quotes only"}.get(character)
    return "syntax", f"{character!r} is not allowed here: {hint or f'{expects} is expected'}"
