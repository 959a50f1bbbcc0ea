"""The argument tree: nodes in plain data, and how a tree is walked and changed.

An argument tree is made of plain Python data (literals, lists, tuples, dicts, sets) and of expression nodes: `Ref` for
an earlier task's value, `Input` for an offered variable of the notebook, and the pure expressions of
`compiler_nb.plan.expression`. References are values in the tree, never pieces of text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeAlias

Tree: TypeAlias = Any
"""Plain data with expression nodes in it."""


class Expression:
    """The root of all expression nodes: frozen dataclasses whose fields are trees or plain values."""

    __slots__ = ()
    opaque: ClassVar[bool] = False  # True if it holds a value, not a tree


@dataclass(frozen=True, slots=True)
class Ref(Expression):
    """The value of the task `id`."""

    id: str


@dataclass(frozen=True, slots=True)
class Input(Expression):
    """The value of the offered notebook variable `name`."""

    name: str


class Holder:
    """Base of what holds argument trees without being a node itself: a task, as a step of a fan-out."""

    __slots__ = ()
    args: tuple[Tree, ...]
    kwargs: dict[str, Tree]


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
                stack += [getattr(item, name) for name in reversed(item.__match_args__)]  # type: ignore[attr-defined]  # its fields
        elif isinstance(item, Holder):
            stack += (item.kwargs, item.args)


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
    if isinstance(tree, Holder):
        changed = {"args": replace(tree.args, change), "kwargs": replace(tree.kwargs, change)}
        return dataclasses.replace(tree, **changed)  # type: ignore[type-var]  # a holder is a dataclass
    if not isinstance(tree, Expression) or tree.opaque:
        return change(tree) if isinstance(tree, Expression) else tree
    parts = [getattr(tree, part.name) for part in fields(tree)]  # type: ignore[arg-type]  # all nodes are dataclasses
    new = [replace(part, change) for part in parts]
    same = all(old is new for old, new in zip(parts, new, strict=True))
    return change(tree if same else type(tree)(*new))
