"""What is known of a value before it exists: whether it may be a table, for which a script needs helpers."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from compiler_nb.operations.idioms import METHODS as IDIOMS
from compiler_nb.plan.evaluate import PANDAS
from compiler_nb.plan.expression import (
    Apply,
    Binary,
    Choice,
    Compare,
    Comprehension,
    Fanout,
    Field,
    Item,
    Local,
    Logic,
    Method,
    Pattern,
    Text,
    Unary,
)
from compiler_nb.plan.tree import Expression, Ref, Tree


class ValueKind(NamedTuple):
    """What a value is: "plain" for Python's own, "groups" of a table, "frame", or "unknown"; and what its items are."""

    name: str
    item: Any = None

    @property
    def items(self) -> ValueKind:
        """What the items are that it holds, or gives when it is gone through."""
        return self.item or UNKNOWN


UNKNOWN: Final = ValueKind("unknown")
FRAME: Final = ValueKind("frame")
GROUPS: Final = ValueKind("groups")
PLAIN: Final = ValueKind("plain", ValueKind("plain", ValueKind("plain")))
"""A number or a text, and what is made of these only."""
_SCALARS: Final = (str, int, float, bool, bytes, complex, type(None))
_HOLDERS: Final = (list, dict, tuple, set, frozenset)
_COUNTS: Final = frozenset({"len", "str", "int", "float", "bool", "range", "any", "all"})
_LISTS: Final = frozenset({"sorted", "list", "tuple", "set", "reversed"})
_TEXTS: Final = frozenset({"upper", "lower", "strip", "join", "title", "replace", "startswith", "endswith", "split"})


def of_hint(hint: Any) -> ValueKind:
    """Return what a tool's declared result is; a class of the user's may be anything."""
    if hint in _SCALARS or hint is None:
        return PLAIN
    origin, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin not in _HOLDERS:
        return UNKNOWN
    kinds = {of_hint(part) for part in parts if part is not Ellipsis}
    return ValueKind("plain", kinds.pop() if len(kinds) == 1 else UNKNOWN)


def bound(target: Pattern, item: ValueKind) -> dict[str, ValueKind]:
    """Return what the names of a `for` are that goes over such items."""
    if isinstance(target, str):
        return {target: item}
    return {name: kind for part in target for name, kind in bound(part, item.items).items()}


def kind_of(tree: Tree, names: Mapping[str, ValueKind], refs: Callable[[str], ValueKind]) -> ValueKind:  # noqa: C901, PLR0911, PLR0912 - one case per node
    """Return what the value of a tree is; names: what local names are, refs: what the value of a task is."""

    def of(part: Tree) -> ValueKind:
        return kind_of(part, names, refs)

    if isinstance(tree, list | tuple | set):
        return ValueKind("plain", one(map(of, tree)))
    if isinstance(tree, dict):
        return ValueKind("plain", one(map(of, [*tree, *tree.values()])))
    match tree:
        case Ref(id_):
            return refs(id_)
        case Local(name):
            return names.get(name, UNKNOWN)
        case Text() | Field():
            return PLAIN
        case Item(value, _):
            return GROUPS if of(value) == GROUPS else of(value).items
        case Unary("not", _):
            return PLAIN
        case Unary(_, operand):
            return of(operand)
        case Binary(left, _, right):
            return one([of(left), of(right)])
        case Compare(first, rest):
            return PLAIN if all(of(part).name == "plain" for part in (first, *(part for _, part in rest))) else UNKNOWN
        case Logic(_, values):
            return one(map(of, values))
        case Choice(_, yes, no):
            return one([of(yes), of(no)])
        case Apply(function, args):
            return _of_function(function, [of(arg) for arg in args])
        case Method(value, name):
            return _of_method(of(value), name)
        case Comprehension() | Fanout():
            return _of_comprehension(tree, names, refs)
    return UNKNOWN if isinstance(tree, Expression) else PLAIN


def one(kinds: Any) -> ValueKind:
    """Return what values are together: one kind, or unknown; nothing at all is plain."""
    found = set(kinds)
    if len(found) > 1 and all(kind.name == "plain" for kind in found):
        return ValueKind("plain", one(kind.items for kind in found))
    return found.pop() if len(found) == 1 else UNKNOWN if found else PLAIN


def _of_function(function: str, args: list[ValueKind]) -> ValueKind:  # noqa: PLR0911 - one line per kind of function
    if function in _COUNTS:
        return PLAIN
    if function.startswith(PANDAS):
        return UNKNOWN
    first = args[0] if args else PLAIN
    if function in _LISTS or function == "dict":
        return ValueKind("plain", first.items)
    if function == "zip":
        return ValueKind("plain", ValueKind("plain", one(arg.items for arg in args)))
    if function == "enumerate":
        return ValueKind("plain", ValueKind("plain", one([PLAIN, first.items])))
    if function in ("max", "min") and len(args) > 1:
        return one(args)
    if function in ("max", "min", "next"):
        return first.items
    return PLAIN if first == PLAIN else UNKNOWN


def _of_method(value: ValueKind, name: str) -> ValueKind:
    if name == "groupby":
        return GROUPS
    if value.name == "plain" and name in ("keys", "values"):
        return ValueKind("plain", value.items)
    if value.name == "plain" and name == "items":
        return ValueKind("plain", ValueKind("plain", value.items))
    if value.name == "plain" and name == "get":
        return one([value.items, PLAIN])
    return PLAIN if value == PLAIN or (name in _TEXTS and name not in IDIOMS) else UNKNOWN


def _of_comprehension(
    tree: Comprehension | Fanout, names: Mapping[str, ValueKind], refs: Callable[[str], ValueKind]
) -> ValueKind:
    if isinstance(tree, Fanout):
        return ValueKind("plain")
    inner = dict(names)
    for clause in tree.clauses:
        inner |= bound(clause.target, kind_of(clause.source, inner, refs).items)
    parts = [tree.element, *([tree.key] if tree.container == "dict" else [])]
    return ValueKind("plain", one(kind_of(part, inner, refs) for part in parts))
