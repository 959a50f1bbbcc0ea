"""Where a value comes from, in words: the call that returned it, with its arguments.

A block of data that is only called `t3` says nothing of its subject: `height("Mont Blanc")` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from compiler_nb.plan.expression import Attribute, Choice, Item
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import Task, is_part, variable
from compiler_nb.plan.tree import Expression, Input, Ref, Tree, references

_LENGTH: Final = 200
_ARGUMENT: Final = 80
"""Characters of a value that is shown in place of its name."""
_SOURCES: Final = 3
"""How many of the calls that a value was computed from are named."""
_SCALARS: Final = (str, int, float, bool, type(None))
_DEEPEST: Final = 20


def _is_short(value: Any) -> bool:
    if type(value) is int:  # not by its text: Python refuses to write a very long one
        return value.bit_length() <= _ARGUMENT
    return type(value) in _SCALARS and (type(value) is not str or len(value) <= _ARGUMENT)


class Origins:
    """Says where the values of a run come from.

    tasks: by id; values: outcomes by id, of which those without a value are never short; inputs: by name; shared:
    whether contents may be shown, which are in short values and in the arguments of a fan-out's items.
    """

    def __init__(
        self, tasks: Mapping[str, Task], values: Mapping[str, Any], inputs: Mapping[str, Any], *, shared: bool = True
    ) -> None:
        self.tasks, self.values, self.inputs, self.shared = tasks, values, inputs, shared

    def call(self, id_: str, depth: int = 0) -> str:
        """Return what a task computes, as one line; short values stand in place of their names."""
        task = self.tasks[id_]
        if task.owner and not self.shared:
            return self.call(task.owner)
        if (chosen := self._chosen(task)) is not None and depth < _DEEPEST:
            return self.call(chosen, depth + 1)
        args = tuple(self._shown(tree, depth) for tree in task.args)
        kwargs = {name: self._shown(tree, depth) for name, tree in task.kwargs.items()}
        return shorten_call(Task(task.id, task.kind, task.tool, args, kwargs), _LENGTH)

    def _chosen(self, task: Task) -> str | None:
        """Return the task whose value a choice took over as it is, None if it is not such a choice."""
        open_trees = list(task.args) if task.kind == "expr" and type(task.args[0]) is Choice else []
        for tree in open_trees:
            if type(tree) is Choice:
                open_trees += (tree.yes, tree.no)
            elif (
                type(tree) is Ref
                and tree.id in self.tasks
                and self.values.get(tree.id, tree) is self.values.get(task.id)
            ):
                return tree.id
        return None

    def sources(self, tree: Tree) -> str:
        """Return the calls that an argument's value comes from, through expressions; "" if it comes from none."""
        found: dict[str, None] = {}
        # Depth first, so that the calls stand in the order in which the expression reads them.
        open_ids, seen = list(references(tree)), set()
        while open_ids and len(found) < _SOURCES:
            id_ = open_ids.pop(0)
            task = self.tasks.get(id_)
            if task is None or id_ in seen:
                continue
            seen.add(id_)
            if task.kind == "expr":
                root = task.args[0]
                read = (root.yes, root.no) if type(root) is Choice else (root,)  # a test decides only
                open_ids = [*references(*read), *open_ids]
            else:
                found[self.call(id_)] = None
        return "; ".join(found)

    def _shown(self, tree: Tree, depth: int) -> Tree:
        """Return a tree with values in place of references, and calls in place of those without a name."""
        kind, value = type(tree), self._look(tree) if self.shared else tree
        if _is_short(value):
            return value
        if kind is Ref:
            nested = is_part(tree.id) and tree.id in self.tasks and depth < _DEEPEST
            return Ref(self.call(tree.id, depth + 1) if nested else variable(tree.id))
        if kind is list or kind is tuple:
            return kind(self._shown(part, depth) for part in tree)
        if kind is dict:
            return {key: self._shown(part, depth) for key, part in tree.items()}
        if not isinstance(tree, Expression) or tree.opaque:
            return tree
        return kind(*(self._shown(getattr(tree, name), depth) for name in tree.__match_args__))

    def _look(self, tree: Tree) -> Any:
        """Return the value of a reference, or of an item of one in built-in containers; the tree if it has none."""
        match tree:
            case Ref(id):
                return self.values.get(id, tree)
            case Input(name):
                return self.inputs.get(name, tree)
            case Item(value, key):
                inside, at = self._look(value), self._look(key)
                if type(inside) is dict and type(at) in _SCALARS:
                    return inside.get(at, tree)
                if type(inside) in (list, tuple) and type(at) is int and -len(inside) <= at < len(inside):
                    return inside[at]
            case Attribute(value, name):
                inside = self._look(value)
                return inside.get(name, tree) if type(inside) is dict else tree
        return tree
