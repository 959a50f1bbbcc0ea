"""Calls and argument trees as one short line each."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from compiler_nb.plan.expression import spell
from compiler_nb.plan.task import Return
from compiler_nb.plan.tree import Expression, Input, Ref
from compiler_nb.text import BRACKETS, ITEMS, cut, quote, shorten_value

if TYPE_CHECKING:
    from collections.abc import Sized

    from compiler_nb.plan.task import LastLine, Task
    from compiler_nb.plan.tree import Tree


def shorten_tree(tree: Tree, limit: int = 60) -> str:
    """Return an argument tree as source text of at most `limit` characters; numbered tasks are `$1`, `$2`."""
    kind = type(tree)
    if kind is Ref or kind is Input:
        text = _name_of(tree.id) if kind is Ref else tree.name
    elif isinstance(tree, Expression):
        text = spell(tree, _name_of)
    elif kind is str:
        text = quote(tree[: limit + 1], limit + 1)
    elif kind is dict and tree:
        pairs = [f"{shorten_tree(key)}: {shorten_tree(value)}" for key, value in islice(tree.items(), ITEMS)]
        text = f"{{{', '.join(pairs)}{_more(tree)}}}"
    elif kind in (list, tuple) and tree:
        opening, closing = BRACKETS[kind][0], BRACKETS[kind][1]
        parts = [shorten_tree(item) for item in islice(tree, ITEMS)]
        text = f"{opening}{', '.join(parts)}{',' if kind is tuple and len(tree) == 1 else ''}{_more(tree)}{closing}"
    else:
        text = shorten_value(tree, limit)
    return cut(text, limit)


def _name_of(id_: str) -> str:
    return f"${id_}" if id_[:1].isdigit() else id_


def _more(tree: Sized) -> str:
    return f", … {len(tree) - ITEMS:,} more" if len(tree) > ITEMS else ""


def shorten_call(task: Task, limit: int = 60) -> str:
    """Return what a task computes, as one line: `weather("New York", days=3)`, or its expression."""
    if task.kind != "call":
        return shorten_tree(task.args[0], limit) if task.args else ""
    parts = [shorten_tree(tree, limit) for tree in task.args[:20]]
    parts += [f"{name}={shorten_tree(tree, limit)}" for name, tree in islice(task.kwargs.items(), 20)]
    return cut(f"{task.tool}({', '.join(parts)})", limit)


def shorten_final(final: LastLine, limit: int = 60) -> str:
    """Return a plan's last line: `answer(best)`, `join(ny, la)`."""
    if isinstance(final, Return):
        return cut(f"answer({shorten_tree(final.expression, limit)})", limit)
    return cut(f"join({', '.join(map(_name_of, final.refs[:20]))})", limit)
