"""Read one call of literals and references, `tool(value, name=value)`, from one line of the numbered dialect.

The grammar is that part of Python's which is for literals and calls; nothing is evaluated. The caller decides what a
reference, an input or a string stands for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NoReturn, TypeAlias

from compiler_nb.plan import check
from compiler_nb.plan.check import Refused
from compiler_nb.plan.reference import STEP, unescape
from compiler_nb.plan.tree import Tree

# No form gives anything back once it has matched (`++`, `*+`): otherwise a line could take more than linear time.
_STRING: Final = (
    r"""(?P<prefix>[A-Za-z]{0,2}+)(?P<quote>\"{3}|'{3}|["'])(?P<body>(?:(?!(?P=quote))[^\\]|\\.)*+)(?P=quote)"""
)
_DIGITS: Final = r"0[xXoObB][0-9a-fA-F_]++|(?:[0-9][0-9_]*+(?:\.[0-9_]*+)?|\.[0-9][0-9_]*+)(?:[eE][-+]?[0-9_]++)?"
_TOKEN: Final = re.compile(
    rf"""[ \t\f\r]*+(?:
        (?P<string>{_STRING})
      | (?P<number>[-+]?(?:{_DIGITS})(?![\w.]))
      | (?P<reference>\$(?:\w++|\{{\w++(?:{STEP})*+\}})(?:{STEP})*+)
      | (?P<input>@[^\W\d]\w*+(?:{STEP})*+)
      | (?P<name>[^\W\d]\w*+)
      | (?P<mark>\*\*|[()\[\]{{}},:=*])
      | (?P<end>\Z)
      | (?P<other>.)
    )""",
    re.VERBOSE | re.DOTALL,
)
_WHOLE: Final = re.compile(r"[-+]?(?:0[xXoObB].*|[0-9_]+)")
_KEYWORD: Final = re.compile(r"[ \t\f\r]*+=(?!=)")
_CONSTANTS: Final = {"True": True, "False": False, "None": None, "true": True, "false": False, "null": None}
_OPERATORS: Final = frozenset(
    [*"+-*/%<>=!&|^~?", *["if", "else", "for", "in", "and", "or", "not", "is", "await", "lambda"]]
)
_BARE: Final = re.compile(r"""[^\s()\[\]{}"'$`,*@][^()\[\]{}"'$`,]*+(?=[,)]|\Z)""")
"""An argument without quotes, as models write that were shown `search(Austin Powers)`."""
_COMPUTED: Final = re.compile(
    r"""(?:lambda\b|(?:not|await)\s).*
      | (?:[-+]\s*+)*+[\w.]++
        (?:\s++(?:[-+*/%<>=!]{1,2}|in|not\s+in|is|and|or|if|else)\s++(?:not\s++)*+[\w.]++)++
      | [-+]?[\d.]++(?:[-+*/%<>=!]{1,2}[\d.]++)++""",
    re.VERBOSE,
)
"""What would compute something in Python, and so may not be meant as text."""
_CLOSING: Final = {"[": "]", "(": ")", "{": "}"}
_ARITHMETIC: Final = (
    "an argument is a literal or a reference: let a tool compute it in an earlier line, or put quotes around text"
)


Meaning: TypeAlias = Mapping[str, Callable[[str, int], Tree]]
"""What a "string", a "reference" and an "input" stand for: each a function of the value of a string, or of `$1.title`
or `@name[0]` as it is written, and of the index where that begins. It may raise Refused."""


class CallReader:
    """Reads a call that begins at the index `at` of a line; after `call()`, `at` is the index behind it.

    `notes` says what was not read as it is written.
    """

    def __init__(self, line: str, at: int, meaning: Meaning) -> None:
        self.line, self.at, self.meaning = line, at, meaning
        self.word = ""  # of the token that comes next
        self.notes: list[str] = []
        self._next()

    def call(self) -> tuple[str, tuple[Tree, ...], dict[str, Tree]]:
        """Return the tool's name, its arguments and its keyword arguments."""
        name, start = self.word, self.start
        if self.kind != "name":
            self._refuse("syntax", 'a line is a number, a dot and a call of a tool, as in 1. search("x")')
        self._next()
        if self.word == ".":
            dotted = self.line[start:].partition("(")[0].rstrip()
            raise Refused(
                "unknown_tool",
                f"no tool is called {dotted[:60]!r}: a tool's name has no dots, write one that is offered",
                start,
            )
        if self.word == "=":
            self._refuse("syntax", f"leave out `{name[:40]} =`: a line below reads this result by its number, as in $1")
        if self.word != "(":
            self._refuse("syntax", f"( must follow {name[:40]}, as in {name[:40]}(...)")
        args: list[Tree] = []
        kwargs: dict[str, Tree] = {}
        for _ in self._each(")"):
            self._argument(args, kwargs)
        return name, tuple(args), kwargs

    def _next(self) -> None:
        token: re.Match[str] = _TOKEN.match(self.line, self.at)  # type: ignore[assignment]  # the last forms match anything
        self.kind = token.lastgroup or ""
        self.before, self.word, self.token = self.word, token[self.kind], token
        self.start, self.at = token.start(self.kind), token.end()

    def _argument(self, args: list[Tree], kwargs: dict[str, Tree]) -> None:
        equals = _KEYWORD.match(self.line, self.at) if self.kind == "name" else None
        if equals is None:
            if kwargs:
                self._refuse(
                    "syntax", "an argument without a name follows one with a name: write it before those with names"
                )
            args.append(self._bare() or self._value(1))
            return
        name = self.word
        if name in kwargs:
            self._refuse("duplicate_key", f"the argument {name!r} is given twice: keep one")
        check.check_name(name, self.start)
        self.at = equals.end()
        self._next()
        kwargs[name] = self._bare() or self._value(1)

    def _bare(self) -> str:
        """Return the text of an argument without quotes, and step past it; "" if it is anything else."""
        found = _BARE.match(self.line, self.start)
        text = found[0].rstrip() if found else ""
        is_name = text.isidentifier() and ("_" in text or text in _CONSTANTS)
        if found is None or is_name or (self.kind == "number" and self.word == text) or _COMPUTED.fullmatch(text):
            return ""
        check.check_literal(text, self.start)
        self.notes.append(f"{text[:60]} has no quotes and was read as text")
        self.at = found.end()
        self._next()
        return text

    def _each(self, closing: str) -> Iterator[None]:
        """Step into a bracket, and stop at each part up to the closing one.

        The caller reads the part there, which leaves the reader at the comma or the bracket behind it. The end of the
        line closes a bracket too, with a note.
        """
        self._next()
        while self.word != closing:
            if self.word in ("*", "**"):
                self._refuse("star_args", "* and ** are not allowed: write the values one by one")
            yield
            if self.word == ",":
                self._next()
            elif self.kind == "end":
                self.notes.append(f"{closing} was added at the end")
                return
            elif self.word != closing:
                self._refuse_rest(closing)

    def _refuse_rest(self, closing: str) -> NoReturn:
        if self.word == "(":
            self._refuse("nested_call", "a call is not allowed inside a call: give it a line of its own")
        if self.word in _OPERATORS or self.word.startswith(("-", "+")):
            self._refuse("expression", _ARITHMETIC)
        if self.word == "[" and self.before[0] in "$@":
            self._refuse("ambiguous_ref", 'a part of a result is $1[0] or $1["key"], an offered input is @name["key"]')
        self._refuse("syntax", f"a comma or {closing} is missing before {self.word[:20]!r}; put text in quotes")

    # ---------------------------------------------------------------- values

    def _value(self, depth: int) -> Tree:
        """Return the value that begins at this token, and step past it; depth: how many brackets are open."""
        start, word = self.start, self.word
        match self.kind:
            case "string":
                return self.meaning["string"](self._strings(), start)
            case "number":
                return self._number()
            case "reference" | "input" as kind:
                self._next()
                return self.meaning[kind](word, start)
            case "name":
                return self._constant()
        if word not in _CLOSING:
            self._refuse_value()
        if depth == check.DEPTH_LIMIT:  # we recurse, and so does all that walks the tree later
            self._refuse("too_deep", f"nested more than {check.DEPTH_LIMIT} deep: use several lines")
        return self._container(word, depth + 1)

    def _refuse_value(self) -> NoReturn:
        word = self.word
        if self.kind == "end":
            self._refuse("truncated", "the line ends within a call: a call stands on one line")
        if word in ('"', "'"):
            self._refuse("truncated", f"the string is not closed: end it with {word}")
        if word == "$":
            self._refuse("ambiguous_ref", "a reference is $1 or ${1}")
        if word in _OPERATORS:
            self._refuse("expression", _ARITHMETIC)
        self._refuse("syntax", f"{word[:20]!r} is not allowed here: an argument is a literal or a reference")

    def _strings(self) -> str:
        """Return the text of a string literal, or of several side by side."""
        parts = []
        while self.kind == "string":
            parts.append(self._string())
            self._next()
        return "".join(parts)

    def _string(self) -> str:
        prefix = self.token["prefix"].lower()
        if "f" in prefix:
            self._refuse("fstring", 'leave out the f: write "... ${1} ..." with the number of the line')
        if prefix not in ("", "r", "u"):
            self._refuse("expression", "bytes are not allowed in a plan: write text")
        value = self.token["body"] if prefix == "r" else unescape(self.token["body"], self.start)
        check.check_literal(value, self.start)
        return value

    def _number(self) -> float:
        text = self.word
        if len(text) > check.DIGIT_LIMIT:
            self._refuse(
                "too_large",
                f"a number of {len(text):,} characters; at most {check.DIGIT_LIMIT} are allowed: write text",
            )
        try:
            value = int(text, 0) if _WHOLE.fullmatch(text) else float(text)
        except ValueError:
            self._refuse("syntax", f"{text[:20]} is not a number: put quotes around it if it is text")
        check.check_literal(value, self.start)
        self._next()
        return value

    def _constant(self) -> Tree:
        name, start = self.word, self.start
        if name in _OPERATORS:
            self._refuse("expression", _ARITHMETIC)
        self._next()
        if self.word == "(":
            raise Refused(
                "nested_call", f"{name[:40]}(...) is not allowed inside a call: give it a line of its own", start
            )
        if name not in _CONSTANTS:
            hint = "put quotes around it if it is text; a result is $1, an offered input @name"
            raise Refused("expression", f"{name[:40]} is not a literal: {hint}", start)
        return _CONSTANTS[name]

    # ---------------------------------------------------------------- containers

    def _container(self, opening: str, depth: int) -> Tree:
        """Return the list, tuple, value in brackets or dict that this bracket opens."""
        table: dict[Tree, Tree] = {}
        hashes: Counter[int] = Counter()
        items: list[Tree] = []
        for _ in self._each(_CLOSING[opening]):
            if opening == "{":
                self._pair(table, hashes, depth)
            else:
                items.append(self._value(depth))
        is_tuple = len(items) != 1 or self.before == ","
        self._next()
        if opening == "{":
            return table
        if opening == "[":
            return items
        return tuple(items) if is_tuple else items[0]

    def _pair(self, table: dict[Tree, Tree], hashes: Counter[int], depth: int) -> None:
        start = self.start
        key = self._dict_key()
        hashes[hash(key)] += 1
        check.check_alike(hashes[hash(key)], start)
        if key in table:
            raise Refused("duplicate_key", f"the key {key!r} is given twice in one dict: keep one", start)
        if self.word != ":":
            kind = "truncated" if self.kind == "end" else "expression"
            self._refuse(kind, "a dict is {key: value}; for a set write a list")
        self._next()
        table[key] = self._value(depth)

    def _dict_key(self) -> Tree:
        """Return a key: a text, in which nothing is a reference, a number or a constant."""
        if self.kind == "string":
            return self._strings()
        if self.kind == "name":
            return self._constant()
        if self.kind != "number":
            self._refuse("truncated" if self.kind == "end" else "expression", "a key is text, a number or a constant")
        return self._number()

    def _refuse(self, kind: str, message: str) -> NoReturn:
        raise Refused(kind, message, self.start)
