"""Expressions as plain Python: as in a plan, with a helper wherever Python or pandas would give something else."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from compiler_nb.operations.idioms import PLACES
from compiler_nb.plan.evaluate import PANDAS
from compiler_nb.plan.expression import (
    Apply,
    Attribute,
    Clause,
    Comprehension,
    Field,
    Function,
    Item,
    Lambda,
    Local,
    Method,
    Pattern,
    Slice,
    Text,
    TreeSpeller,
    Value,
    spell_pattern,
)
from compiler_nb.plan.statement import parse_syntax
from compiler_nb.plan.tree import Expression, Input, Ref, Tree, walk
from compiler_nb.script.kinds import FRAME, GROUPS, ValueKind, bound, kind_of
from compiler_nb.text import literal

TIGHT: Final = 12
WITH_HELPERS: Final = frozenset({"sum", "max", "min", "any", "all", "sorted", "round"})
"""Functions that do something else with columns than Python's own."""
_LAZY: Final = frozenset({"zip", "enumerate", "reversed"})
_GOES_THROUGH: Final = frozenset({*_LAZY, "list", "tuple", "set", "dict", "next"})
_VIEWS: Final = frozenset({"keys", "values", "items"})
_SUMMARIES: Final = frozenset({
    "sum", "max", "min", "mean", "median", "std", "var", "count", "nunique", "unique", "quantile", "corr", "idxmax",
    "idxmin", "agg", "aggregate", "dropna", "isna", "size",
})  # fmt: skip
"""Methods that may give a number of NumPy's, or that arrays have in another way."""
_OF_FRAMES: Final = frozenset({"shape", "columns", "dtypes", "index", "loc", "iloc"})
_TAKEN: Final = frozenset({"pd", "asyncio", "main"})


def python_name(name: str) -> str:
    """Return a name of a plan as the script has it: none of Python's own, nor of the script's."""
    return f"{name}_" if hasattr(builtins, name) or keyword.iskeyword(name) or name in _TAKEN else name


def renamed(target: Pattern) -> Pattern:
    """Return what a `for` binds with the names that the script has."""
    return python_name(target) if isinstance(target, str) else tuple(map(renamed, target))


class ScriptSpeller(TreeSpeller):
    """Writes trees of one task as Python source.

    name_of: what the value of a task is called; kinds: what is known of it; locals: what is known of names that a `for`
    has bound.
    """

    def __init__(
        self,
        name_of: Callable[[str], str],
        kinds: Callable[[str], ValueKind],
        names: Mapping[str, ValueKind] | None = None,
    ) -> None:
        super().__init__(name_of)
        self.kinds, self.locals = kinds, dict(names or {})
        self.steps_named: dict[str, str] = {}  # the calls in the element of a fan-out
        self.unsure: set[str] = set()  # names of the script that may stand for an error, if nothing needs them

    def kind(self, tree: Tree) -> ValueKind:
        """Return what is known of the value of a tree."""
        return kind_of(tree, self.locals, self.kinds)

    @contextmanager
    def binding(self, names: Mapping[str, ValueKind]) -> Iterator[None]:
        """Let names be bound meanwhile."""
        outer = self.locals
        self.locals = {**outer, **names}
        try:
            yield
        finally:
            self.locals = outer

    def node(self, tree: Expression) -> tuple[str, int]:
        """Return a node's text and how tightly its own operator binds."""
        method = _RULES.get(type(tree))
        text = method(self, tree) if method is not None else None
        return super().node(tree) if text is None else (text, TIGHT if type(tree) is not Lambda else 0)

    def text(self, node: Text) -> str:
        """Write an f-string; one that Python could not read as the join of its parts."""
        written = super().text(node)
        try:
            parse_syntax(written, "eval")
        except (SyntaxError, ValueError):
            parts = ", ".join(
                self.spell(part) if isinstance(part, str) else self.formatted(part) for part in node.parts
            )
            return f"{literal('', self.mark)}.join([{parts}])"
        return written

    def formatted(self, field: Field) -> str:
        """Write a field of an f-string as a call."""
        value = self.spell(field.value)
        if field.conversion:
            value = f"{ {'r': 'repr', 's': 'str', 'a': 'ascii'}[field.conversion] }({value})"
        return f"format({value}, {self.spell(field.spec)})"

    def arguments(self, args: tuple[Tree, ...], kwargs: Mapping[str, Tree]) -> str:
        """Write the arguments of a call."""
        named = (f"{name}={self.spell(value)}" for name, value in kwargs.items())
        return ", ".join([*map(self.spell, args), *named])

    def gone_through(self, tree: Tree, binding: int = 0) -> str:
        """Write what a `for` or a function goes through: nothing needs to be a list for that."""
        match tree:
            case Comprehension("generator"):
                return self.comprehension(tree, *"()")
            case Method(value, name, ()) if name in _VIEWS:
                return f"{self.spell(value, TIGHT)}.{name}()"
            case Apply(name, args, kwargs) if name in _LAZY:
                return self.applied(name, args, dict(kwargs))
        is_plain = self.kind(tree).name == "plain"
        return self.spell(tree, binding) if is_plain else f"_items({self.spell(tree)})"

    def read(self, name: str) -> str:
        """Write a name of the script."""
        return f"_there({name})" if name in self.unsure else name

    # ---------------------------------------------------------------- one node each

    def item(self, tree: Item) -> str:
        """Write `value[key]`."""
        value, key = tree.value, tree.key
        kind = self.kind(value)
        if type(key) is Slice or kind.name == "plain" or kind == GROUPS:
            return self.subscript(self.spell(value, TIGHT), key)
        if type(value) is Attribute and value.name in PLACES and self.kind(value.value) == FRAME:
            return f"_own({self.subscript(self.spell(value, TIGHT), key)})"
        return f"_get({self.spell(value)}, {self.key(key)})"

    def subscript(self, value: str, key: Tree) -> str:
        """Write a key in brackets."""
        inner = self.spell(key)
        return f"{value}[{inner[1:-1] if type(key) is tuple and key else inner}]"

    def key(self, key: Tree) -> str:
        """Write a key as an argument."""
        if type(key) is Slice:
            return f"slice({', '.join(self.spell(part) for part in (key.start, key.stop, key.step))})"
        if type(key) is tuple:
            return f"({', '.join(map(self.key, key))}{',' if len(key) == 1 else ''})"
        return self.spell(key)

    def attribute(self, tree: Attribute) -> str:
        """Write `value.name`."""
        value = self.spell(tree.value, TIGHT)
        if self.kind(tree.value) == FRAME:
            return f"{value}.{tree.name}" if tree.name in _OF_FRAMES else f"{value}[{literal(tree.name, self.mark)}]"
        return f"_field({self.spell(tree.value)}, {literal(tree.name, self.mark)})"

    def method(self, tree: Method) -> str:
        """Write `value.name(...)`."""
        value, name, kind = tree.value, tree.name, self.kind(tree.value)
        if name == "assign":
            return self.assign(tree)
        inner = self.arguments(tree.args, dict(tree.kwargs))
        call = f"{self.spell(value, TIGHT)}.{name}({inner})"
        if name in _VIEWS:
            return f"list({call})"
        if name == "join" and tree.args:
            return f"{self.spell(value, TIGHT)}.join({self.gone_through(tree.args[0])})"
        if name not in _SUMMARIES or kind.name == "plain" or kind == GROUPS:
            return call
        return f"_do({self.spell(value)}, {literal(name, self.mark)}{', ' * bool(inner)}{inner})"

    def assign(self, tree: Method) -> str:
        """Write `table.assign(...)`, whose functions are given a table."""
        parts = []
        for name, value in tree.kwargs:
            names = dict.fromkeys(value.names, FRAME) if isinstance(value, Lambda) else {}
            with self.binding(names):
                parts.append(f"{name}={self.spell(value)}")
        return f"{self.spell(tree.value, TIGHT)}.assign({', '.join(parts)})"

    def apply(self, tree: Apply) -> str:
        """Write a call of a function of the list, with lists where plans have lists."""
        text = self.applied(tree.function, tree.args, dict(tree.kwargs))
        return f"list({text})" if tree.function in _LAZY else text

    def applied(self, name: str, args: tuple[Tree, ...], kwargs: dict[str, Tree]) -> str:
        """Write a call of a function."""
        if name.startswith(PANDAS):
            return f"_own({name}({self.arguments(args, kwargs)}))"
        first = self.kind(args[0]) if args else ValueKind("plain")
        single = len(args) == 1 or name in ("sum", "round")
        named = [f"{word}={self.function(value, first)}" for word, value in kwargs.items()]
        if name in WITH_HELPERS and single and args:
            shown = self.gone_through(args[0]) if name != "round" else self.spell(args[0])
            if first.name == "plain":
                return f"{name}({', '.join([shown, *map(self.spell, args[1:]), *named])})"
            return f"_{name}({', '.join([self.spell(args[0]), *map(self.spell, args[1:]), *named])})"
        through = self.gone_through if name in _GOES_THROUGH else self.spell
        if name in ("enumerate", "next"):  # what follows is a number, or what there is if nothing is found
            return f"{name}({', '.join([*map(through, args[:1]), *map(self.spell, args[1:]), *named])})"
        return f"{name}({', '.join([*map(through, args), *named])})"

    def function(self, tree: Tree, source: ValueKind) -> str:
        """Write what a named argument is: a key is given the items of what is gone through."""
        if isinstance(tree, Lambda):
            with self.binding(dict.fromkeys(tree.names, source.items)):
                return self.spell(tree)
        if isinstance(tree, Function) and tree.name in WITH_HELPERS and source.items.name != "plain":
            return f"_{tree.name}"
        return self.spell(tree)

    def lambda_(self, tree: Lambda) -> str:
        """Write a function."""
        return f"lambda {', '.join(map(python_name, tree.names))}: {self.spell(tree.body)}"

    def comprehension(self, tree: Comprehension, opening: str, closing: str) -> str:
        """Write a comprehension in these brackets."""
        outer = self.locals
        clauses = list(map(self.clause, tree.clauses))  # in order: each binds names for those behind it
        head = f"{self.spell(tree.key)}: " if tree.container == "dict" else ""
        text = f"{opening}{head}{self.spell(tree.element)} {' '.join(clauses)}{closing}"
        self.locals = outer
        return text

    def clause(self, clause: Clause) -> str:
        """Write a `for`, whose names are bound from then on."""
        source = self.gone_through(clause.source, 1)
        self.locals = {**self.locals, **bound(clause.target, self.kind(clause.source).items)}
        tests = "".join(f" if {self.spell(test, 1)}" for test in clause.conditions)
        return f"for {spell_pattern(renamed(clause.target))} in {source}{tests}"


_BRACKETS: Final = {"list": "[]", "generator": "[]", "dict": "{}", "set": "{}"}
_RULES: Final[dict[type, Callable[[ScriptSpeller, Any], str]]] = {
    Item: ScriptSpeller.item,
    Attribute: ScriptSpeller.attribute,
    Method: ScriptSpeller.method,
    Apply: ScriptSpeller.apply,
    Lambda: ScriptSpeller.lambda_,
    Comprehension: lambda speller, tree: speller.comprehension(tree, *_BRACKETS[tree.container]),
    Ref: lambda speller, tree: speller.read(speller.name_of(tree.id)),
    Local: lambda speller, tree: speller.read(speller.steps_named.get(tree.name) or python_name(tree.name)),
    Input: lambda speller, tree: python_name(tree.name),
    Value: lambda speller, tree: repr(tree.value),
}


def reads_tables(tree: Tree) -> bool:
    """Whether an expression surely computes with tables, so that it belongs on a thread."""
    return any(
        (isinstance(part, Apply) and part.function.startswith(PANDAS))
        or (
            isinstance(part, Method) and part.name in ("groupby", "merge", "pivot_table", "resample", "rolling", "melt")
        )
        for part in walk(tree)
    )
