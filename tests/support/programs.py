"""Random plans in the python dialect, and what Python itself makes of them, line by line: the oracle."""

from __future__ import annotations

import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

TOOLS = ("f", "g", "h")


def digest(name: str, args: tuple[Any, ...]) -> int:
    """Return the value of a tool: it tells which tool was called with which arguments."""
    return zlib.crc32(repr((name, args)).encode()) % 97


class Writer:
    """Writes programs of calls, expressions and fan-outs over whole numbers, lists and dicts of them."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.names: dict[str, list[str]] = {"number": [], "list": [], "dict": []}
        self.lines: list[str] = []

    def program(self, size: int) -> str:
        """Return a program of so many lines."""
        for index in range(size):
            forms = [self.call, self.call, self.call, self.pure, self.many, self.many, self.linked]
            kind, text = self.random.choice(forms)()
            name = f"v{index}"
            self.lines.append(f"{name} = {text}")
            self.names[kind].append(name)
        return "\n".join(self.lines) + "\n"

    def pick(self, kind: str) -> str:
        """Return a name of a kind, the later the likelier, or a literal where there is none."""
        names = self.names[kind]
        if names and self.random.random() < 0.85:
            return names[max(self.random.randrange(len(names)) for _ in range(2))]
        return {"number": str(self.random.randrange(9)), "list": "[3, 1, 2]", "dict": "{1: 5, 2: 6}"}[kind]

    def tool(self) -> str:
        """Return a tool's name."""
        return self.random.choice(TOOLS)

    def number(self) -> str:
        """Return an expression of a whole number, at times one that calls a tool."""
        number, items, table = self.pick("number"), self.pick("list"), self.pick("dict")
        return self.random.choice([
            number, number, number, f"{number} + 1", f"{number} * 2 if {number} > 40 else {number} - 1",
            f"len({items})", f"sum({items})", f"max({table}, key={table}.get, default=0)", f"sum({table}.values())",
            f"len(f'{{{number}:>4}}-{{{items}}}')", f"{self.tool()}({number})", f"min({items}, default={number})",
        ])  # fmt: skip

    def call(self) -> tuple[str, str]:
        """Return a call."""
        args = [self.number() for _ in range(self.random.randint(0, 3))]
        return "number", f"{self.tool()}({', '.join([*args, self.pick('list')])})"

    def pure(self) -> tuple[str, str]:
        """Return an expression without a call."""
        items, table, number = self.pick("list"), self.pick("dict"), self.pick("number")
        return self.random.choice([
            ("list", f"sorted({items})[:4]"),
            ("list", f"[x + {number} for x in {items} if x % 2]"),
            ("dict", f"{{x: x * {number} for x in {items}}}"),
            ("list", f"list({table}.values())"),
            ("number", f"{number} + len({items}) if {number} in {items} else {number}"),
        ])  # fmt: skip

    def many(self) -> tuple[str, str]:
        """Return a fan-out over a value."""
        items, number = self.pick("list"), self.pick("number")
        return self.random.choice([
            ("list", f"[{self.tool()}(x) for x in {items}]"),
            ("list", f"[{self.tool()}(x, {number}) for x in {items} if x > {number} or x % 3]"),
            ("dict", f"{{x: {self.tool()}({self.tool()}(x), {number}) for x in {items}}}"),
            ("list", f"[{self.tool()}(x) + {self.tool()}({number}) for x in range({number} % 5)]"),
            ("dict", f"{{i: {self.tool()}(x) for i, x in enumerate({items})}}"),
        ])  # fmt: skip

    def linked(self) -> tuple[str, str]:
        """Return a fan-out over another's items, where there is one."""
        items, other, table = self.pick("list"), self.pick("list"), self.pick("dict")
        return self.random.choice([
            ("list", f"[{self.tool()}(x, y) for x, y in zip({items}, {other})]"),
            ("dict", f"{{k: {self.tool()}({table}[k]) for k in {table}}}"),
            ("dict", f"{{k: {self.tool()}(v, k) for k, v in {table}.items() if k % 2}}"),
            ("list", f"[{self.tool()}(v) for v in reversed({items})]"),
            ("list", f"[{self.tool()}(v) for v in {table}.values()]"),
            ("list", f"[{self.tool()}({items}[i], i) for i in range(len({items}))]"),
        ])  # fmt: skip


def random_program(random: Random, size: int) -> str:
    """Return a random program of so many lines."""
    return Writer(random).program(size)


def sequentially(program: str) -> tuple[dict[str, Any], Counter[tuple[str, str]]]:
    """Return what each line gives when Python performs them one after the other, and the calls that it makes."""
    calls: Counter[tuple[str, str]] = Counter()

    def make(name: str) -> Any:
        def call(*args: Any) -> int:
            calls[name, repr(args)] += 1
            return digest(name, args)

        return call

    values: dict[str, Any] = {name: make(name) for name in TOOLS}
    exec(program, values)  # noqa: S102 - the tests' own text
    return {name: value for name, value in values.items() if name.startswith("v")}, calls
