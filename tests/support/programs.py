"""Random plans in the python dialect, and what Python itself makes of them, line by line: the oracle."""

from __future__ import annotations

import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

TOOLS = ("f", "g", "h")


def digest(name: str, args: tuple[Any, ...]) -> int:
    """Return the value of a tool: it shows which tool was called with which arguments."""
    return zlib.crc32(repr((name, args)).encode()) % 97


class Ledger:
    """A tool with a state: what it returns depends on all that it was told before under the same key."""

    def __init__(self) -> None:
        self.kept: dict[str, list[int]] = {}

    def keep(self, key: str, value: int) -> int:
        """Keep a value; return a number that shows what was kept so far, and in which order."""
        self.kept.setdefault(key, []).append(value)
        return digest(key, tuple(self.kept[key]))


class Store:
    """State that side effects change and reads show: a number by key.

    made: the side effects in the order of their begin, each with the mark of its line. `swap` does not commute with
    anything; `put`, which fan-outs call, does with itself, for items go together.
    """

    def __init__(self) -> None:
        self.numbers = dict.fromkeys("ab", 0)
        self.made: list[tuple[int, tuple[Any, ...]]] = []

    def swap(self, key: str, value: int, mark: int) -> int:
        """Mix a value into a number, and return what it was before."""
        self.made.append((mark, ("swap", key, value)))
        before = self.numbers[key]
        self.numbers[key] = digest("swap", (before, value))
        return before

    def put(self, key: str, value: int, mark: int) -> int:
        """Add to a number; what it returns depends on the value alone."""
        self.made.append((mark, ("put", key, value)))
        self.numbers[key] += digest("put", (value,))
        return digest(key, (value,))

    def total(self, key: str) -> int:
        """Return a number as it is now."""
        return self.numbers[key]


def in_lines(made: list[tuple[int, tuple[Any, ...]]]) -> list[tuple[int, Counter[tuple[Any, ...]]]]:
    """Return what a store has made, of each line the calls in any order: items of a fan-out go together."""
    lines: list[tuple[int, Counter[tuple[Any, ...]]]] = []
    for mark, call in made:
        if not lines or lines[-1][0] != mark:
            lines.append((mark, Counter()))
        lines[-1][1][call] += 1
    return lines


LITERALS = {
    "list": "[3, 1, 2]",
    "dict": "{1: 5, 2: 6}",
    "text": "'ab c'",
    "three": "[7, 5, 7]",
    "two": "{'a': 4, 'b': 8}",
}
"""By kind of value; of "three" and "two" the indexes and the keys are known."""


class Writer:
    """Writes programs of calls, expressions and fan-outs over whole numbers, texts, lists and dicts of numbers."""

    def __init__(self, random: Random, *, effects: bool = False) -> None:
        self.random, self.effects = random, effects
        self.names: dict[str, list[str]] = {kind: [] for kind in ("number", *LITERALS)}
        self.lines: list[str] = []
        self.last: dict[str, str] = {}  # by key of the ledger, the name that was assigned last: the next one reads it

    def program(self, size: int) -> str:
        """Return a program of so many lines."""
        calls, pures = [self.call] * 2, [self.pure, self.mixed]
        fanouts, guards = (
            [self.many, self.many, self.linked, self.known],
            [self.guarded, self.guarded, self.guarded_many],
        )
        for index in range(size):
            if self.random.random() < 0.1:
                self.lines.append(self.kept(f"k{index}"))
                continue
            if self.random.random() < 0.05 and (line := self.moved()):
                self.lines.append(line)
                continue
            if self.effects and self.random.random() < 0.5:
                kind, text = self.ordered(index)
                self.lines.append(f"v{index} = {text}")
                self.names[kind].append(f"v{index}")
                continue
            kind, text = self.random.choice([*calls, *pures, *fanouts, *guards])()
            again = self.names[kind] and self.random.random() < 0.1
            name = self.random.choice(self.names[kind]) if again else f"v{index}"
            self.lines.append(f"{name} = {text}")
            if not again:
                self.names[kind].append(name)
        return "\n".join(self.lines) + "\n"

    def pick(self, kind: str) -> str:
        """Return a name of a kind, later ones more often, or a literal if there is none."""
        names = self.names[kind]
        if kind == "list" and self.names["three"] and self.random.random() < 0.2:
            names = self.names["three"]
        if names and self.random.random() < 0.85:
            return names[max(self.random.randrange(len(names)) for _ in range(2))]
        return LITERALS.get(kind) or str(self.random.randrange(9))

    def tool(self) -> str:
        """Return a tool's name."""
        return self.random.choice(TOOLS)

    def number(self) -> str:
        """Return an expression of a whole number, at times one that calls a tool."""
        number, items, table, text = self.pick("number"), self.pick("list"), self.pick("dict"), self.pick("text")
        three, two = self.pick("three"), self.pick("two")
        return self.random.choice([
            number, number, number, f"{number} + 1", f"{number} * 2 if {number} > 40 else {number} - 1",
            f"len({items})", f"sum({items})", f"max({table}, key={table}.get, default=0)", f"sum({table}.values())",
            f"len(f'{{{number}:>4}}-{{{items}}}')", f"{self.tool()}({number})", f"min({items}, default={number})",
            f"{three}[0]", f"{three}[-1]", f"{two}['b']", f"len({text})", f"-{number} ** 2 % 7 // 2",
            f"({number} or {three}[1]) and {number}", f"int({number} < {three}[2] <= 50 or not {number})",
            f"sum(x * y for x, y in zip({items}, {items}[1:]))", f"sorted({items} + [{number}], key=lambda x: -x)[0]",
            f"{table}.get({number}, {number})", f"({items} + [1]).count({number})", f"{self.tool()}({three}[1])",
            f"int(any(x > {number} for x in {items})) + abs({number} - 50)", f"len({{x % 3 for x in {items}}})",
        ])  # fmt: skip

    def call(self) -> tuple[str, str]:
        """Return a call."""
        args = [self.number() for _ in range(self.random.randint(0, 3))]
        return "number", f"{self.tool()}({', '.join([*args, self.pick('list')])})"

    def pure(self) -> tuple[str, str]:
        """Return an expression without a call."""
        items, table, number, text = self.pick("list"), self.pick("dict"), self.pick("number"), self.pick("text")
        return self.random.choice([
            ("list", f"sorted({items})[:4]"),
            ("list", f"[x + {number} for x in {items} if x % 2]"),
            ("dict", f"{{x: x * {number} for x in {items}}}"),
            ("list", f"list({table}.values())"),
            ("list", f"[x - y for x in {items}[:3] for y in {items}[-2:] if x != y]"),
            ("list", f"[x for x in reversed({items}) if x not in {table}]"),
            ("number", f"{number} + len({items}) if {number} in {items} else {number}"),
            ("text", f'f"{{{number}:03d}} of {{{items}!r}}: {{{text}[:9]}}"'),
            ("text", f"'-'.join(str(x) for x in {items})[:20]"),
            ("text", f"{text}.upper().replace('A', '{{}}').strip()"),
            ("list", f"[len(part) for part in {text}.split()]"),
            ("list", items),
        ])  # fmt: skip

    def mixed(self) -> tuple[str, str]:
        """Return an expression with calls in containers and texts."""
        number, items, text = self.pick("number"), self.pick("list"), self.pick("text")
        return self.random.choice([
            ("list", f"[{self.tool()}({number}), {number}, {self.tool()}({items})]"),
            ("dict", f"{{99: {self.tool()}({text}), {number}: {self.tool()}([{self.tool()}({number})])}}"),
            ("text", f"f'{{{self.tool()}({number})}}, {{{self.tool()}({items}):>5}}'"),
            ("number", f"sum([{self.tool()}(x) for x in {items}]) + {self.tool()}({self.number()}, {self.number()})"),
            ("list", f"sorted({{(x, i): {self.tool()}(x) for i, x in enumerate({items})}}.values())"),
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
            ("list", f"[{{'k': {self.tool()}(f'{{x}}/{{{number}}}'), 'x': x}}['k'] for x in {items} if x if x != 5]"),
            ("dict", f"{{x % 3: {self.tool()}(x) for x in {items}}}"),
            ("list", f"[{self.tool()}(x, y) for x in {items}[:3] if x for y in {self.pick('three')} if x != y]"),
            ("list", f"[{self.tool()}(y) for x in {items}[:3] for y in range({self.tool()}(x) % 3)]"),
            ("list", f"[x + y for x in {items}[:3] if {self.tool()}(x) % 2 for y in [{number}, {self.tool()}(x)]]"),
            ("dict", f"{{{self.tool()}(x): {self.tool()}(x, {number}) for x in {items} if {self.tool()}(x) > 40}}"),
            ("list", f"sorted({{{self.tool()}(x) for x in {items}}})"),
            ("number", f"next((x for x in {items} if x > {number}), {number})"),
        ])  # fmt: skip

    def test(self) -> str:
        """Return a test, at times one that calls a tool."""
        number, items, table = self.pick("number"), self.pick("list"), self.pick("dict")
        return self.random.choice([
            f"{number} > 40", f"{number} % 2", items, f"not {items}", f"{self.pick('three')}[0] > {number}",
            f"{self.tool()}({number}) % 2", f"{self.pick('two')}['a'] % 3 == 0", f"{number} in {table} or {number} > 9",
        ])  # fmt: skip

    def guarded(self) -> tuple[str, str]:
        """Return an expression with guarded calls."""
        number, other, items, tool = self.number(), self.pick("number"), self.pick("list"), self.tool
        return self.random.choice([
            ("number", f"{tool()}({number}) if {self.test()} else {other}"),
            ("number", f"{other} if {self.test()} else {tool()}({number}, {items})"),
            ("number", f"{tool()}({number}) if {self.test()} else {tool()}({other})"),
            ("number", f"{tool()}({tool()}({other})) if {self.test()} else {number}"),
            ("number", f"{tool()}({number}) if {self.test()} else {tool()}({other}) if {self.test()} else {other}"),
            ("number", f"({tool()}({other}) if {self.test()} else {other}) if {self.test()} else {tool()}({number})"),
            ("number", f"{tool()}({tool()}({other}) if {self.test()} else {number}, {self.pick('text')})"),
            ("number", f"1 + ({tool()}({self.pick('three')}[1]) if {self.test()} else {self.pick('two')}['b'])"),
            ("list", f"[{number}, {tool()}({items}) if {self.test()} else {other}]"),
            ("text", f"f'{{{tool()}({other}) if {other} > 40 else {other}}}: {{{items}}}'"),
            ("list", f"[{tool()}(x) for x in {items}] if {self.test()} else {items}"),
            ("list", f"{items} if {self.test()} else list({{x: {tool()}(x, {other}) for x in {items}}}.values())"),
        ])  # fmt: skip

    def guarded_many(self) -> tuple[str, str]:
        """Return a fan-out of whose elements some calls are guarded."""
        number, items, other, tool = self.pick("number"), self.pick("list"), self.pick("list"), self.tool
        return self.random.choice([
            ("list", f"[{tool()}(x) if x > {number} else {number} for x in {items}]"),
            ("list", f"[{tool()}(x) if {tool()}(x) % 2 else {tool()}({tool()}(x)) for x in {items}]"),
            ("dict", f"{{i: {tool()}(x) if x % 2 else i for i, x in enumerate({items})}}"),
            ("list", f"[{tool()}(x, y) if x > y else {tool()}(y) if x else 7 for x, y in zip({items}, {other})]"),
            ("list", f"[x if x > 40 else {tool()}(x) for x in {items} if x % 3]"),
            ("three", f"[{tool()}(x) if x > {number} else x for x in {self.pick('three')}]"),
            ("two", f"{{k: {tool()}(k) if {self.pick('two')}[k] % 2 else {number} for k in ('a', 'b')}}"),
        ])  # fmt: skip

    def moved(self) -> str:
        """Return a line that gives names the values of others of their kind, or a literal; "" if there are no two."""
        kind = self.random.choice(list(self.names))
        if len(self.names[kind]) < 2:
            return ""
        one, other = self.random.sample(self.names[kind], 2)
        return self.random.choice([f"{one}, {other} = {other}, {one}", f"{one} = {other}", f"{one} = {one}",
                                   f"{one} = {other} = {LITERALS.get(kind, 7)}"])  # fmt: skip

    def kept(self, name: str) -> str:
        """Return a line that keeps a value in the ledger, at times only if a test says so."""
        key, number = self.random.choice("ab"), self.pick("number")
        before = self.last.get(key, "0")
        call = f"keep('{key}', {before} + {number})"
        self.last[key] = name
        return f"{name} = " + self.random.choice([call, f"{call} if {self.test()} else {before} + 1"])

    def ordered(self, mark: int) -> tuple[str, str]:
        """Return a line of which the place matters: it changes a state, or reads it."""
        key, number, items, tool = self.random.choice("ab"), self.pick("number"), self.pick("list"), self.tool()
        return self.random.choice([
            ("number", f"swap('{key}', {number}, {mark})"),
            ("number", f"swap('{key}', {number}, {mark}) if {self.test()} else {number}"),
            ("number", f"swap('{key}', {number}, {mark}) if total('{key}') % 2 else swap('a', {number}, {mark})"),
            ("list", f"[put('{key}', x, {mark}) for x in {items}]"),
            ("dict", f"{{x: put('{key}', x, {mark}) for x in {items}}}"),
            ("list", f"[put('{key}', x, {mark}) if x > {number} else 0 for x in {items}]"),
            ("number", f"total('{key}')"),
            ("number", f"{tool}(total('{key}'), {number})"),
            ("number", f"total('{key}') if {self.test()} else {tool}(total('a'))"),
            ("list", "[total(k) for k in 'ab']"),
            ("list", f"[{tool}(x, total('{key}')) for x in {items}]"),
        ])  # fmt: skip

    def known(self) -> tuple[str, str]:
        """Return a fan-out of which the items are known by the text."""
        number = self.pick("number")
        return self.random.choice([
            ("three", f"[{self.tool()}(x) for x in [3, {number}, 2]]"),
            ("three", f"[{self.tool()}(x) for x in {self.pick('three')}]"),
            ("two", f"{{k: {self.tool()}({number}, k) for k in ['a', 'b']}}"),
            ("two", f"{{k: {self.tool()}({self.pick('two')}[k]) for k in ('b', 'a')}}"),
        ])  # fmt: skip

    def linked(self) -> tuple[str, str]:
        """Return a fan-out over another's items, if there is one."""
        items, other, table = self.pick("list"), self.pick("list"), self.pick("dict")
        return self.random.choice([
            ("list", f"[{self.tool()}(x, y) for x, y in zip({items}, {other})]"),
            ("dict", f"{{k: {self.tool()}({table}[k]) for k in {table}}}"),
            ("dict", f"{{k: {self.tool()}(v, k) for k, v in {table}.items() if k % 2}}"),
            ("list", f"[{self.tool()}(v) for v in reversed({items})]"),
            ("list", f"[{self.tool()}(v) for v in {table}.values()]"),
            ("list", f"[{self.tool()}({items}[i], i) for i in range(len({items}))]"),
            ("list", f"[{self.tool()}(x, y) for i, (x, y) in enumerate(zip({items}, {other}), 1) if i > 1]"),
            ("list", f"[{self.tool()}(pair, {self.pick('three')}[0]) for pair in zip({items}, {other}[1:])]"),
            ("list", f"[{self.tool()}(v) for v in {items}[::2]]"),
            ("list", f"[{self.tool()}({self.pick('two')}['a'], v) for v in list({items})]"),
        ])  # fmt: skip


def random_program(random: Random, size: int, *, effects: bool = False) -> str:
    """Return a random program of so many lines; effects: whether some of them change a state or read it."""
    return Writer(random, effects=effects).program(size)


class Broken(Exception):
    """A tool of a random program fails."""


def broken(name: str, args: tuple[Any, ...], share: int) -> int:
    """Return the value of a tool that fails for one in `share` arguments, the same ones each time; 0: for none."""
    value = digest(name, args)
    if share and value % share == 1:
        raise Broken(name)
    return value


def sequentially(
    program: str, share: int = 0, store: Store | None = None
) -> tuple[dict[tuple[int, str], Any], Counter[tuple[str, str]]]:
    """Return what each line gives, by its number and the name, when Python performs them one by one, and the calls.

    share: see `broken`; a line in which a call fails, or which reads the name of such a line, gives nothing. store: the
    state of a program with side effects.
    """
    calls: Counter[tuple[str, str]] = Counter()

    def make(name: str) -> Any:
        def call(*args: Any) -> int:
            calls[name, repr(args)] += 1
            return broken(name, args, share)

        return call

    store = store or Store()
    names: dict[str, Any] = {name: make(name) for name in TOOLS} | {"keep": Ledger().keep}
    names |= {"swap": store.swap, "put": store.put, "total": store.total}
    values: dict[tuple[int, str], Any] = {}
    for number, line in enumerate(program.splitlines(), 1):
        given = [name for part in line.split(" = ")[:-1] for name in part.split(", ")]
        try:
            exec(line, names)  # noqa: S102 - the tests' own text
        except (Broken, NameError):
            for name in given:
                names.pop(name, None)
        else:
            values |= {(number, name): names[name] for name in given}
    return values, calls
