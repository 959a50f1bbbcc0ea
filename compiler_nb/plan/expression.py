"""Pure expressions as data: the nodes that an argument tree may hold besides plain Python data.

What has no node here is not part of the language. `spell` writes a tree as Python source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, TypeAlias

from compiler_nb.plan.task import Task, variable
from compiler_nb.plan.tree import Expression, Input, Ref, Tree
from compiler_nb.text import literal, type_name

Pattern: TypeAlias = "str | tuple[Pattern, ...]"
"""What a `for` binds: a name, or a tuple of patterns."""


@dataclass(frozen=True, slots=True)
class Value(Expression):
    """A value that is already there, never looked into."""

    opaque: ClassVar[bool] = True
    value: Any


@dataclass(frozen=True, slots=True)
class Local(Expression):
    """A name bound by a `for` or a lambda."""

    name: str


@dataclass(frozen=True, slots=True)
class Item(Expression):
    """`value[key]`: an item, never an attribute; the key may be a Slice."""

    value: Tree
    key: Tree


@dataclass(frozen=True, slots=True)
class Attribute(Expression):
    """`value.name`: a listed attribute of a table, a column, a key, or a declared field; never anything else."""

    value: Tree
    name: str


@dataclass(frozen=True, slots=True)
class Slice(Expression):
    """`start:stop:step` in brackets."""

    start: Tree
    stop: Tree
    step: Tree


@dataclass(frozen=True, slots=True)
class Text(Expression):
    """An f-string, or a string with references in it: the parts are strings and Fields."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Field(Expression):
    """`{value!conversion:spec}` in an f-string; conversion is "", "r", "s" or "a", spec a string or a Text."""

    value: Tree
    conversion: str = ""
    spec: Tree = ""


@dataclass(frozen=True, slots=True)
class Unary(Expression):
    """`-x`, `+x`, `not x`, `~x`."""

    operator: str
    operand: Tree


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    """Arithmetic with two operands, and `&` and `|`."""

    left: Tree
    operator: str
    right: Tree


@dataclass(frozen=True, slots=True)
class Compare(Expression):
    """A chain of comparisons: `first op value op value ...`."""

    first: Tree
    rest: tuple[tuple[str, Tree], ...]


@dataclass(frozen=True, slots=True)
class Logic(Expression):
    """`a and b and ...`, or with `or`."""

    operator: Literal["and", "or"]
    values: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Choice(Expression):
    """`yes if test else no`."""

    test: Tree
    yes: Tree
    no: Tree


@dataclass(frozen=True, slots=True)
class Apply(Expression):
    """A pure function of the list, applied: `max(a, b, key=...)`."""

    function: str
    args: tuple[Tree, ...]
    kwargs: tuple[tuple[str, Tree], ...] = ()


@dataclass(frozen=True, slots=True)
class Method(Expression):
    """A method of the list, on exactly the type that has it: `text.upper()`."""

    value: Tree
    name: str
    args: tuple[Tree, ...] = ()
    kwargs: tuple[tuple[str, Tree], ...] = ()


@dataclass(frozen=True, slots=True)
class Lambda(Expression):
    """`lambda names: body`, only as a key."""

    names: tuple[str, ...]
    body: Tree


@dataclass(frozen=True, slots=True)
class Function(Expression):
    """A pure function as a key (`key=len`), or the `get` of a dict (`key=prices.get`)."""

    name: str
    value: Tree = None


@dataclass(frozen=True, slots=True)
class Clause(Expression):
    """`for target in source if condition ...`."""

    target: Pattern
    source: Tree
    conditions: tuple[Tree, ...] = ()


@dataclass(frozen=True, slots=True)
class Comprehension(Expression):
    """A comprehension without a call of a tool; `key` only for a dict. A generator becomes a list."""

    container: Literal["list", "set", "dict", "generator"]
    element: Tree
    clauses: tuple[Clause, ...]
    key: Tree = None


@dataclass(frozen=True, slots=True)
class Fanout(Expression):
    """A comprehension with calls in its element: one task per call and item, made when the source is known.

    steps: the element's calls as tasks without an id of their own, in order of evaluation: ".1", ".2", ..., and ""
    for a call that is the element itself; they refer to each other by these. element: the item's value.
    """

    container: Literal["list", "dict"]
    target: Pattern
    source: Tree
    conditions: tuple[Tree, ...]
    key: Tree
    steps: tuple[Task, ...]
    element: Tree


# -------------------------------------------------------------------- as text

_COMPARES: Final = 4
_SIGN: Final = 9
_BINDING: Final = {
    "or": 1, "and": 2, "not": 3, "|": 5, "&": 6, "+": 7, "-": 7, "*": 8, "/": 8, "//": 8, "%": 8, "**": 10,
}  # fmt: skip
"""How tightly operators bind; comparisons as _COMPARES, a sign before a value as _SIGN."""
_TIGHT: Final = 12
_BRACKETS: Final = {"list": ("[", "]"), "generator": ("(", ")"), "dict": ("{", "}"), "set": ("{", "}")}
_SHORT: Final = 60
_LITERAL: Final = {"{": "{{", "}": "}}", "'": "'", '"': '"'}
_MARKS: Final = ('"', "'", '"""', "'''")


def spell(tree: Tree, name_of: Callable[[str], str] | None = None) -> str:
    """Return a tree as Python source; `name_of` says how the id of a task is written, by default as its variable."""
    return TreeSpeller(name_of or variable).spell(tree, 0)


class TreeSpeller:
    """Writes trees; `binding` is how tightly the surrounding operator binds."""

    def __init__(self, name_of: Callable[[str], str]) -> None:
        self.name_of = name_of
        self.mark = '"'  # the quotes of strings: the other kind within f-strings
        self.steps: dict[str, Task] = {}  # the calls of a fan-out's element, written where their values are used

    def spell(self, tree: Tree, binding: int = 0) -> str:  # noqa: PLR0911 - one line per kind of data
        """Return a tree as source; binding: how tightly the operator around it binds."""
        kind = type(tree)
        if kind is list:
            return f"[{self.many(tree)}]"
        if kind is tuple:
            return f"({self.many(tree)}{',' if len(tree) == 1 else ''})"
        if kind is set:
            return f"{{{self.many(sorted(tree, key=repr))}}}" if tree else "set()"
        if kind is dict:
            pairs = (f"{self.spell(key)}: {self.spell(value)}" for key, value in tree.items())
            return f"{{{', '.join(pairs)}}}"
        if isinstance(tree, Expression):
            text, own = self.node(tree)
            return f"({text})" if own < binding else text
        if kind is str:
            return literal(tree, self.mark)
        number = kind is int or kind is float
        return f"({tree!r})" if number and binding > (_BINDING["*"] if tree < 0 else _BINDING["**"] + 1) else repr(tree)

    def many(self, trees: Any) -> str:
        """Return trees with commas between them."""
        return ", ".join(self.spell(tree) for tree in trees)

    def node(self, tree: Expression) -> tuple[str, int]:  # noqa: C901, PLR0911, PLR0912 - one case per node
        """Return a node's text and how tightly its own operator binds."""
        spell = self.spell
        match tree:
            case Ref(id_):
                return self.name_of(id_), _TIGHT
            case Local(name) if name in self.steps:
                return self.call(self.steps[name]), _TIGHT
            case Input(name) | Local(name):
                return name, _TIGHT
            case Value(value):
                return _short_value(value), _TIGHT
            case Item(value, key):
                inner = spell(key)
                return f"{spell(value, _TIGHT)}[{inner[1:-1] if type(key) is tuple and key else inner}]", _TIGHT
            case Attribute(value, name):
                return f"{spell(value, _TIGHT)}.{name}", _TIGHT
            case Slice(start, stop, step):
                ends = ":".join("" if part is None else spell(part, 1) for part in (start, stop))
                return ends + ("" if step is None else f":{spell(step, 1)}"), 0
            case Text():
                return self.text(tree), _TIGHT
            case Field(value):
                return self.text(Text((tree,))), _TIGHT
            case Unary(sign, operand):
                own = _BINDING["not"] if sign == "not" else _SIGN
                return f"{sign}{' ' if sign == 'not' else ''}{spell(operand, own)}", own
            case Binary(left, sign, right):
                own = _BINDING[sign]
                return f"{spell(left, own + (sign == '**'))} {sign} {spell(right, own + (sign != '**'))}", own
            case Compare(first, rest):
                own = _COMPARES
                return spell(first, own + 1) + "".join(f" {sign} {spell(part, own + 1)}" for sign, part in rest), own
            case Logic(sign, values):
                own = _BINDING[sign]
                return f" {sign} ".join(spell(value, own + 1) for value in values), own
            case Choice(test, yes, no):
                return f"{spell(yes, 1)} if {spell(test, 1)} else {spell(no)}", 0
            case Lambda(names, body):
                return f"lambda {', '.join(names)}: {spell(body)}", 0
            case Function(name, value):
                return (f"{spell(value, _TIGHT)}.get" if name == "get" else name), _TIGHT
            case Apply(function, args, kwargs):
                return f"{function}({self.arguments(args, dict(kwargs))})", _TIGHT
            case Method(value, name, args, kwargs):
                return f"{spell(value, _TIGHT)}.{name}({self.arguments(args, dict(kwargs))})", _TIGHT
            case Clause(target, source, conditions):
                tests = "".join(f" if {spell(condition, 1)}" for condition in conditions)
                return f"for {spell_pattern(target)} in {spell(source, 1)}{tests}", 0
            case Comprehension(container, element, clauses, key):
                head = f"{spell(key)}: " if container == "dict" else ""
                opening, closing = _BRACKETS[container]
                return f"{opening}{head}{spell(element)} {' '.join(map(spell, clauses))}{closing}", _TIGHT
            case Fanout():
                self.steps = {step.id: step for step in tree.steps}  # fan-outs do not nest
                return self.node(Comprehension(tree.container, tree.element, _clauses(tree), tree.key))
        raise TypeError(f"{type(tree).__name__} cannot be written")

    def arguments(self, args: tuple[Tree, ...], kwargs: dict[str, Tree]) -> str:
        """Return the arguments of a call."""
        return ", ".join([*map(self.spell, args), *(f"{name}={self.spell(value)}" for name, value in kwargs.items())])

    def call(self, task: Task) -> str:
        """Write a task's call, without its name."""
        return f"{task.tool}({self.arguments(task.args, task.kwargs)})"

    def text(self, node: Text) -> str:
        """Return an f-string."""
        outer, self.mark = self.mark, "'"
        body = self.pieces(node)
        fit = [mark for mark in _MARKS if mark not in body and not (len(mark) > 1 and body.endswith(mark[0]))]
        text = f"f{fit[0]}{body}{fit[0]}" if fit else f'f"{self.pieces(node, escape=True)}"'
        self.mark = outer
        return text

    def pieces(self, node: Text, *, escape: bool = False) -> str:
        """Return what stands between the quotes of an f-string."""
        out = []
        for part in node.parts:
            if type(part) is str:
                literal = "".join(_LITERAL.get(character) or repr(character)[1:-1] for character in part)
                out.append(literal.replace('"', '\\"') if escape else literal)
                continue
            spec = part.spec if type(part.spec) is str else self.pieces(part.spec)
            mark = f"!{part.conversion}" if part.conversion else ""
            inner = self.spell(part.value, 1)
            out.append(f"{{{' ' if inner[:1] == '{' else ''}{inner}{mark}{':' + spec if spec else ''}}}")
        return "".join(out)


def _clauses(tree: Fanout) -> tuple[Clause, ...]:
    """Return what a fan-out goes over as it is written: over rows of names, by a `for` for each."""
    source = tree.source
    names = [tree.target] if isinstance(tree.target, str) else list(tree.target)
    row: list[Tree] = [Local(name) for name in names if isinstance(name, str)]
    if isinstance(source, Comprehension) and source.container == "generator" and not tree.conditions:
        whole = row[0] if isinstance(tree.target, str) else tuple(row)
        if source.element == whole and len(row) == len(names):
            return source.clauses
    return (Clause(tree.target, source, tree.conditions),)


def spell_call(task: Task, name_of: Callable[[str], str] | None = None) -> str:
    """Return the right-hand side of a task's line: its call, expression or comprehension."""
    speller = TreeSpeller(name_of or variable)
    return speller.call(task) if task.kind == "call" else speller.spell(task.args[0])


def pattern_names(target: Pattern) -> list[str]:
    """Return the names that a `for` binds."""
    return [target] if isinstance(target, str) else [name for part in target for name in pattern_names(part)]


def spell_pattern(target: Pattern) -> str:
    """Return what a `for` binds, as source."""
    if isinstance(target, str):
        return target
    parts = [part if isinstance(part, str) else f"({spell_pattern(part)})" for part in tuple(target)]
    return ", ".join(parts) + ("," if len(parts) == 1 else "")


def _short_value(value: Any) -> str:
    is_short = value is None or type(value) in (bool, int, float) or (type(value) is str and len(value) <= _SHORT)
    return repr(value) if is_short else f"<{type_name(value)}>"
