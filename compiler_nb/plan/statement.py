"""Where a statement of the python dialect ends, whether it is within the limits, and its syntax tree.

Theory of operation
    Text arrives by physical lines and is tokenized once, line by line, before any of it is given to Python's parser. A
    statement ends at a line feed outside strings and brackets. Every open bracket, and every operator that is pending
    in one, makes the syntax tree deeper. Both are paid from one budget, `Depth`. A tree as deep as the budget allows is
    safe for CPython's parser, which can be made to overflow the stack, and for all our recursive functions over trees.
    The fields of an f-string hold expressions of the same statement and are paid from the same budget.
"""

from __future__ import annotations

import ast
import re
import threading
import warnings
from contextlib import nullcontext, suppress
from typing import Any, Final, Literal

from compiler_nb.plan import check
from compiler_nb.plan.check import Refused

OPERATORS: Final = 200
"""How many operators may be pending in the open brackets together."""
FIELDS: Final = 256
"""How many fields an f-string may have."""

# An operator is a run of signs. Signs that may stand before a value are counted one by one, since each nests: `---x`.
# A number may touch the word behind it: `1if x else 2`.
_CODE: Final = r"""
        (?P<open>[(\[{]) | (?P<close>[)\]}]) | (?P<comma>,)
      | (?P<lambda>\blambda\b)
      | (?P<operator>[-+~] | [*/%@&|^<>=!.:]+ | (?:\b|\d[\w.]*?)(?:not|and|or|if|else|in|is|await)\b)
      | (?P<word>[^\W\d]\w* | \d[\w.]*)"""
_TOKEN: Final = re.compile(
    rf"""(?P<comment>\#[^\n]*)
      | (?P<string>(?:\b(?P<prefix>[A-Za-z]{{1,2}}))?(?P<quote>\"\"\"|'''|"|'))
      | (?P<escape>\\\n)
      | {_CODE}""",
    re.VERBOSE,
)
_IN_FIELD: Final = re.compile(_CODE, re.VERBOSE)
_FORMATS: Final = frozenset({"f", "rf", "fr"})
_BRACE: Final = re.compile(r"\{\{|\}\}|\{")
_REST: Final = {mark: re.compile(rf"(?:[^\\{mark[0]}]|\\.|{mark[0]}(?!{mark[1:]}))*+{mark}", re.DOTALL)
                for mark in ('"""', "'''")} | {
    mark: re.compile(rf"(?:[^\\\n{mark}]|\\.)*+{mark}", re.DOTALL) for mark in "\"'"
}  # fmt: skip
"""What is left of a string behind its opening quote, its closing quote included."""


CLOSING: Final = {"(": ")", "[": "]", "{": "}"}


class Depth:
    """A budget of depth: the brackets that are open, and the operators that are pending in them.

    over: what there is too much of, "brackets" or "operators"; "" while the text is within the budget.
    """

    def __init__(self) -> None:
        self.pending = [0]  # by open bracket, the outermost level first
        self.total = 0
        self.over = ""

    def take(self, kind: str) -> None:
        """Count a token: "open", "close", "comma", "operator", "lambda", or "field" for the brace of an f-string."""
        if kind == "comma":  # what is pending before it does not nest what follows
            self.total -= self.pending[-1]
            self.pending[-1] = 0
        elif kind == "close":
            if len(self.pending) > 1:
                self.total -= self.pending.pop()
        else:
            opens = kind in ("open", "field")
            self.total += kind != "field"  # the fields of a string stand side by side
            self.pending[-1] += kind in ("open", "operator")  # a comma may be the lambda's own
            if opens and len(self.pending) < 2 * check.DEPTH_LIMIT:  # far over, closing ends the statement sooner
                self.pending.append(0)
            if len(self.pending) > check.DEPTH_LIMIT + 1:
                self.over = "brackets"
            elif self.total > OPERATORS + (check.DEPTH_LIMIT if opens else 0):
                self.over = self.over or "operators"


class Statement:
    """One statement while its lines arrive.

    lines: its physical lines; wrong: the first limit that it breaks, None if it breaks none; open: the line and column
    (from 0) of each bracket and string that is not closed, and its mark; crossed: line and column of the first bracket
    that closes one of another kind, and both marks.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.wrong: Refused | None = None
        self.open: list[tuple[int, int, str]] = []
        self.crossed: tuple[int, int, str, str] | None = None
        self._depth = Depth()
        self._quote = ""  # what ends the string that the last line left open
        self._content: list[str] | None = None  # of that string, if it is an f-string

    def add(self, line: str) -> bool:
        """Take one physical line; return whether the statement goes on after it."""
        self.lines.append(line)
        is_ascii, ends = line.isascii(), False
        position = self._read_string(line, 0) if self._quote else 0
        while position >= 0 and (token := _TOKEN.search(line, position)):
            kind, position = token.lastgroup or "", token.end()
            match kind:
                case "word":
                    if not (is_ascii or token[0].isascii()):
                        self._check_name(token[0])
                case "string":
                    self._quote = token["quote"]
                    self._content = [] if (token["prefix"] or "").lower() in _FORMATS else None
                    self.open.append((len(self.lines) - 1, token.start(), self._quote))
                    after = self._read_string(line, position)
                    if after < 0 and len(self._quote) == 1:  # its line must end it; the parser says that it does not
                        ends, self._quote = True, ""
                    else:
                        position = after
                case "escape":
                    return not ends
                case _ if kind != "comment" and not ends:
                    self._take(kind)
                    if kind == "open":
                        self.open.append((len(self.lines) - 1, token.start(), token[0]))
                    elif kind == "close" and self.open:
                        self._close(token[0], token.start())
        return not ends and (bool(self._quote) or len(self._depth.pending) > 1)

    def _close(self, mark: str, column: int) -> None:
        *_, opening = self.open.pop()
        if mark != CLOSING[opening]:
            self.crossed = self.crossed or (len(self.lines) - 1, column, opening, mark)

    def _take(self, kind: str) -> None:
        self._depth.take(kind)
        if self._depth.over:
            limit = check.DEPTH_LIMIT
            self._refuse("too_deep", f"nested more than {limit} deep, or too many operators: use several lines")

    def _refuse(self, kind: str, message: str) -> None:
        self.wrong = self.wrong or Refused(kind, message)

    def _read_string(self, line: str, position: int) -> int:
        """Read on in a string; return where it ends in the line, -1 if it does not."""
        rest = _REST[self._quote].match(line, position)
        if self._content is not None:
            self._content.append(line[position:] if rest is None else rest[0].removesuffix(self._quote))
        if rest is None:
            return -1
        if self._content:
            self._read_fields("".join(self._content))
        self._quote, self._content = "", None
        self.open.pop()
        return rest.end()

    def _read_fields(self, content: str) -> None:
        """Count what stands in the fields of an f-string; the text between them does not nest."""
        position = fields = 0
        pending = self._depth.pending
        outside = len(pending)
        while brace := _BRACE.search(content, position):
            position = brace.end()
            if brace[0] != "{":
                continue
            fields += 1
            self._take("field")
            while len(pending) > outside:
                token = _IN_FIELD.search(content, position)
                if token is None:
                    self._refuse(
                        "fstring",
                        "a field of this f-string does not end: use the other kind of quotes inside it, or give the "
                        "value a line of its own",
                    )
                    self._take("close")
                    continue
                position = token.end()
                if token.lastgroup != "word":
                    self._take(token.lastgroup or "")
        if fields > FIELDS:
            self._refuse(
                "too_large", f"an f-string with {fields} fields; at most {FIELDS} are allowed: use several lines"
            )

    def _check_name(self, name: str) -> None:
        """Refuse a name that Python's parser would change in silence."""
        try:
            check.check_name(name.lstrip("_"))
        except Refused as refused:
            self.wrong = self.wrong or refused


# -------------------------------------------------------------------- Python's own parser

_LOCK: Final = threading.Lock()
_TRIES: Final = 20
_MAY_WARN: Final = re.compile(r"\\|\d\.?[a-zA-Z]")


def parse_syntax(text: str, mode: Literal["single", "eval"]) -> Any:
    """Return the syntax tree of a text; nothing is compiled, and no warning gets out.

    Mode "single" gives an `ast.Interactive`, "eval" an `ast.Expression`; in mode "exec" CPython would open a file to
    explain an error.
    Raises what `ast.parse` does: SyntaxError, ValueError, UnicodeEncodeError, RecursionError or MemoryError.
    """
    # CPython counts the depth of all threads that parse at once together, so two of ours would fail each other.
    silence = warnings.catch_warnings(action="ignore") if _MAY_WARN.search(text) else nullcontext()
    with _LOCK, silence:
        for _ in range(_TRIES):
            # If another library's thread parses at the same time, CPython loses count of the depth.
            with suppress(SystemError):
                return ast.parse(text, mode=mode)
    raise MemoryError("Python's parser is busy in other threads")
