"""Read one call of literals and references, `tool(value, name=value)`, from one line of the numbered dialect.

The grammar is that part of Python's which is for literals and calls; nothing is evaluated. The caller decides what a
reference, an input or a string stands for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final, NoReturn, Protocol

from compiler_nb.plan import check
from compiler_nb.plan.check import Refused
from compiler_nb.plan.reference import STEP, unescape
from compiler_nb.plan.tree import Tree

# No form gives anything back once it has matched (`++`, `*+`), so that no line takes more than linear time.
_TRIPLE: Final = r"""\"{3}(?:[^"\\]|\\.|"(?!""))*+\"{3}|'{3}(?:[^'\\]|\\.|'(?!''))*+'{3}"""
_STRING: Final = r""""(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'"""
_DIGITS: Final = r"0[xXoObB][0-9a-fA-F_]++|(?:[0-9][0-9_]*+(?:\.[0-9_]*+)?|\.[0-9][0-9_]*+)(?:[eE][-+]?[0-9_]++)?"
_TOKEN: Final = re.compile(
    rf"""[ \t\f\r]*+(?:
        (?P<string>[A-Za-z]{{0,2}}+(?:{_TRIPLE}|{_STRING}))
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
_CLOSING: Final = {"[": "]", "(": ")", "{": "}"}
_ARITHMETIC: Final = "an argument is a literal or a reference: let a tool compute it in an earlier line"


class Meaning(Protocol):
    """Says what the parts of an argument mean. A method gets the index where the part begins; it may raise Refused."""

    def text(self, text: str, index: int) -> Tree:
        """Return what a string literal stands for, with the references in it."""
        ...

    def reference(self, written: str, index: int) -> Tree:
        """Return what `$1.title` stands for."""
        ...

    def input(self, name: str, path: str, index: int) -> Tree:
        """Return what `@name` stands for."""
        ...


class CallReader:
    """Reads a call that begins at the index `at` of a line; after `call()`, `at` is the index behind it."""

    def __init__(self, line: str, at: int, meaning: Meaning) -> None:
        self.line, self.meaning = line, meaning
        self.at = self.start = at
        self.kind, self.word = "", ""  # of the token that comes next

    def call(self) -> tuple[str, tuple[Tree, ...], dict[str, Tree]]:
        """Return the tool's name, its arguments and its keyword arguments."""
        self._next()
        name = self._tool_name()
        if self.word != "(":
            self._refuse("syntax", f"( must follow {name[:40]}, as in {name[:40]}(...)")
        self._next()
        args: list[Tree] = []
        kwargs: dict[str, Tree] = {}
        self._each(")", lambda: self._argument(args, kwargs))
        return name, tuple(args), kwargs

    def _next(self) -> None:
        found: re.Match[str] = _TOKEN.match(self.line, self.at)  # type: ignore[assignment]  # the last forms match anything
        self.kind = found.lastgroup or ""
        self.word = found[self.kind]
        self.start, self.at = found.start(self.kind), found.end()

    def _tool_name(self) -> str:
        name, start = self.word, self.start
        if self.kind != "name":
            self._refuse("syntax", 'a line is a number, a dot and a call of a tool, as in 1. search("x")')
        self._next()
        while self.word == ".":
            self._next()
            name = f"{name}.{self.word}"
            self._next()
        if "." in name:
            raise Refused("unknown_tool", f"no tool is called {name[:60]!r}: a tool's name has no dots", start)
        return name

    def _argument(self, args: list[Tree], kwargs: dict[str, Tree]) -> None:
        if self.word in ("*", "**"):
            self._refuse("star_args", "* and ** are not allowed in a call: write the arguments one by one")
        equals = _KEYWORD.match(self.line, self.at) if self.kind == "name" else None
        if equals is None:
            if kwargs:
                self._refuse(
                    "syntax", "an argument without a name follows one with a name: write it before those with names"
                )
            args.append(self._value(1))
            return
        name = self.word
        if name in kwargs:
            self._refuse("duplicate_key", f"the argument {name!r} is given twice")
        check.check_name(name, self.start)
        self.at = equals.end()
        self._next()
        kwargs[name] = self._value(1)

    def _each(self, closing: str, read: Callable[[], None]) -> int:
        """Read what stands between commas up to the closing bracket; return how many commas there are."""
        commas = 0
        while self.word != closing:
            read()
            if self.word == ",":
                commas += 1
                self._next()
            elif self.word != closing:
                self._refuse_rest(closing)
        return commas

    def _refuse_rest(self, closing: str) -> NoReturn:
        if self.kind == "end":
            self._refuse("truncated", f"the line ends before {closing}: a call stands on one line")
        if self.word == "(":
            self._refuse("nested_call", "a call is not allowed inside a call: give it a line of its own")
        if self.word in _OPERATORS or self.word.startswith(("-", "+")):
            self._refuse("expression", _ARITHMETIC)
        self._refuse("syntax", f"a comma or {closing} is missing before {self.word[:20]!r}; put text in quotes")

    # ---------------------------------------------------------------- values

    def _value(self, depth: int) -> Tree:
        """Return the value that begins at this token, and step past it; depth: how many brackets are open."""
        start, word = self.start, self.word
        match self.kind:
            case "string":
                return self.meaning.text(self._strings(), start)
            case "number":
                value: Tree = self._number()
                self._next()
            case "reference":
                self._next()
                value = self.meaning.reference(word, start)
            case "input":
                self._next()
                name = re.split(r"\W", word[1:], maxsplit=1)[0]
                value = self.meaning.input(name, word[1 + len(name) :], start)
            case "name":
                value = self._constant()
            case "mark" if word in _CLOSING:
                if depth == check.DEPTH_LIMIT:  # we recurse, and so does all that walks the tree later
                    self._refuse("too_deep", f"nested more than {check.DEPTH_LIMIT} deep: use several lines")
                self._next()
                value = self._container(word, depth + 1)
            case _:
                self._refuse_value()
        return value

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
        word = self.word
        quote = word[-1]
        prefix = word[: word.index(quote)].lower()
        if "f" in prefix:
            self._refuse("fstring", 'leave out the f: write "... ${1} ..." with the number of the line')
        if prefix not in ("", "r", "u"):
            self._refuse("expression", "bytes are not allowed in a plan: write text")
        marks = 3 if len(word) >= len(prefix) + 6 and word.endswith(quote * 3) else 1
        body = word[len(prefix) + marks : -marks]
        value = body if prefix == "r" else self._unescape(body)
        check.check_literal(value, self.start)
        return value

    def _unescape(self, body: str) -> str:
        try:
            return unescape(body)
        except Refused as refused:
            refused.place = self.start
            raise

    def _number(self) -> float:
        text = self.word
        if len(text) > check.DIGIT_LIMIT:
            self._refuse("too_large", f"a number of {len(text):,} characters; at most {check.DIGIT_LIMIT} are allowed")
        try:
            whole = _WHOLE.fullmatch(text)
            value = int(text, 0) if whole else float(text)
        except ValueError:
            self._refuse("syntax", f"{text[:20]} is not a number: put quotes around it if it is text")
        check.check_literal(value, self.start)
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
        """Return the list, tuple, value in brackets or dict whose first token comes next."""
        items: list[Tree] = []
        table: dict[Tree, Tree] = {}
        read = partial(self._pair, table, depth) if opening == "{" else partial(self._item, items, depth)
        commas = self._each(_CLOSING[opening], read)
        self._next()
        if opening == "{":
            return table
        if opening == "(":
            return tuple(items) if commas or not items else items[0]
        return items

    def _item(self, items: list[Tree], depth: int) -> None:
        if self.word in ("*", "**"):
            self._refuse("star_args", "a star is not allowed here: write the items one by one")
        items.append(self._value(depth))

    def _pair(self, table: dict[Tree, Tree], depth: int) -> None:
        start = self.start
        key = self._dict_key()
        if key in table:
            raise Refused("duplicate_key", f"the key {key!r} is given twice in one dict", start)
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
        if self.word in ("*", "**"):
            self._refuse("star_args", "** is not allowed here: write the keys one by one")
        if self.kind != "number":
            self._refuse("truncated" if self.kind == "end" else "expression", "a key is text, a number or a constant")
        key = self._number()
        self._next()
        return key

    def _refuse(self, kind: str, message: str) -> NoReturn:
        raise Refused(kind, message, self.start)
