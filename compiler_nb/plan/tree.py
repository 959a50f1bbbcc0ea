"""The argument tree: nodes in plain data, and how a tree is walked and changed.

An argument tree is made of plain Python data (literals, lists, tuples, dicts, sets) and of expression nodes: `Ref` for
an earlier task's value, `Input` for an offered variable of the notebook, and the pure expressions of
`compiler_nb.plan.expression`. References are values in the tree, never pieces of text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

Tree: TypeAlias = Any
"""Plain data with expression nodes in it."""


class Expression:
    """The root of all nodes: frozen dataclasses whose fields, given to `__init__`, are trees or plain values."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()  # the names of the fields, set by `dataclass`
    opaque: ClassVar[bool] = False  # True if it holds a value, not a tree


@dataclass(frozen=True, slots=True)
class Ref(Expression):
    """The value of the task `id`."""

    id: str


@dataclass(frozen=True, slots=True)
class Input(Expression):
    """The value of the offered notebook variable `name`."""

    name: str


def walk(tree: Tree) -> Iterator[Expression]:
    """Yield the nodes of a tree in the order of the text, each before its parts; opaque values are not entered."""
    stack = [tree]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is dict:
            for key, value in reversed(item.items()):
                stack += (value, key)
        elif kind is list or kind is tuple:
            stack += reversed(item)
        elif kind is set:
            stack += sorted(item, key=repr, reverse=True)  # the same order in every process
        elif isinstance(item, Expression):
            yield item
            if not item.opaque:
                stack += [getattr(item, name) for name in reversed(item.__match_args__)]


def references(*trees: Tree) -> tuple[str, ...]:
    """Return the ids that trees refer to, each once, in order."""
    return tuple(dict.fromkeys(node.id for tree in trees for node in walk(tree) if type(node) is Ref))


def replace(tree: Tree, change: Callable[[Expression], Tree]) -> Tree:
    """Return the tree with each node, from the leaves up, replaced by `change(node)`."""
    kind = type(tree)
    if kind is list or kind is tuple or kind is set:
        return kind(replace(item, change) for item in tree)
    if kind is dict:
        return {replace(key, change): replace(value, change) for key, value in tree.items()}
    if not isinstance(tree, Expression):
        return tree
    if tree.opaque:
        return change(tree)
    parts = [getattr(tree, name) for name in tree.__match_args__]
    new = [replace(part, change) for part in parts]
    same = all(old is new for old, new in zip(parts, new, strict=True))
    return change(tree if same else type(tree)(*new))
