"""What a run knows of its fan-outs: which items each has, and what may be read of those that failed in part.

Theory of operation
    A shape says which tasks the items of a fan-out are. While it is known here, readers are linked to the very items
    that they read, and need not wait for the others. A fan-out that failed in part leaves `partial`: the items that
    exist, which later rounds read as its value, or which are its value if few enough failed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from compiler_nb.engine.node import Node
from compiler_nb.operations.bounds import Scope
from compiler_nb.outcome import LEFT_OUT, SET, Failure, is_lost
from compiler_nb.plan.effects import nature
from compiler_nb.plan.fanout import Expansion, Shape, collect, existing, expand, link_items, lost_items, needs
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Tree
from compiler_nb.tool import Tool


class Fanouts:
    """The fan-outs of a session.

    nodes, outcomes: those of all its tasks, by id; tools: by name; drop_failed: the share of its items that may fail
    without making a fan-out fail; shapes: of those that are read item by item, by id; partial: the items that exist of
    those that are read without the failed ones, by id; away: those whose values are on a cluster, if only in part.
    """

    def __init__(
        self, nodes: Mapping[str, Node], outcomes: Mapping[str, Any], tools: Mapping[str, Tool], drop_failed: float
    ) -> None:
        self.nodes, self.outcomes, self.tools, self.drop_failed = nodes, outcomes, tools, drop_failed
        self.exist = False  # whether there are any
        self.shapes: dict[str, Shape] = {}
        self.partial: dict[str, Any] = {}
        self.away: Collection[str] = ()
        self.whole: set[str] = set()  # those that the user gave a value
        self.recalled: dict[str, str] = {}  # how the values of items are known that an earlier run has left, by id
        self.ends: dict[str, tuple[Any, str]] = {}  # how those end that the user skips, or gives a value, by id

    def needs(self, task: Task) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what a task waits for: tasks that must have ended, and fan-outs whose items must be known."""
        return needs(task, self._container)

    def _container(self, id_: str) -> str:
        """Return "list" or "dict" for a fan-out that is read item by item, "" for what is read as a whole."""
        node = self.nodes.get(id_)
        if node is None or node.task.kind != "fanout" or node.readable or id_ in self.whole:
            return ""
        if node.state == "done" and id_ not in self.partial:
            return ""
        return str(node.task.args[0].container)

    def reads_partial(self, task: Task) -> bool:
        """Whether a task reads a fan-out whose value lacks the failed items."""
        return not self.partial.keys().isdisjoint(task.dependencies)

    def give(self, id_: str) -> None:
        """Note that the user gives a fan-out its value, so that nothing reads it item by item."""
        self.whole.add(id_)
        self.shapes.pop(id_, None)
        self.partial.pop(id_, None)

    def is_half_known(self, node: Node) -> bool:
        """Whether only some of a fan-out's items have been taken."""
        return node.task.kind == "fanout" and node.task.id in self.shapes and not node.expanded

    # ---------------------------------------------------------------- items

    def expand(self, task: Task, scope: Scope) -> Expansion:
        """Return the items of a fan-out, whose source is evaluated in the scope."""
        return expand(task, scope, self.shapes, {*self.partial, *self.away})

    def take(self, fanout: Task, expansion: Expansion) -> list[tuple[Task, bool]]:
        """Note which items a fan-out has, and return them; what has to wait for the fan-out's turn says so."""
        self.shapes[fanout.id] = expansion.shape
        if not fanout.follows:
            return expansion.tasks
        turn = (fanout.id,)
        return [
            (item if nature(item, self.tools) == "pure" else replace(item, follows=turn), is_item)
            for item, is_item in expansion.tasks
        ]

    def recall(
        self, items: Iterable[tuple[Task, bool]], known: Callable[[Task], tuple[Task, str]]
    ) -> list[tuple[Task, bool]]:
        """Return items, as their values if these are known, and note how they are."""
        recalled = []
        for item, is_item in items:
            task, how = known(item)
            recalled.append((task, is_item))
            if how:
                self.recalled[item.id] = how
        return recalled

    def link(self, task: Task) -> Task:
        """Return a task that refers to the very items that it reads."""
        return link_items(task, self.shapes)

    def linked(self, tree: Tree) -> Tree:
        """Return an expression that reads the very items of fan-outs whose values lack failed ones."""
        shapes = {id_: self.shapes[id_] for id_ in self.partial if id_ in self.shapes}
        return link_items(Task("", "expr", "", (tree,)), shapes).args[0] if shapes else tree

    # ---------------------------------------------------------------- ends

    def collect(self, id_: str, stop: Any) -> tuple[Any, str]:
        """Return how a fan-out whose items have ended ends, and its `TaskEnded.how`.

        stop: what its items have ended with if its turn never came, None if it did.
        """
        if id_ in self.ends:
            outcome, how = self.ends.pop(id_)
            if how == SET:
                self.give(id_)
            return outcome, how
        shape = self.shapes[id_]
        if stop is not None and shape.ids and all(self.outcomes[item] is stop for item in shape.ids):
            return stop, "inline"
        outcome = collect(shape, self.outcomes)
        failed = len(self.failed_items(id_)) if self.drop_failed and type(outcome) is Failure else 0
        if failed and failed / len(shape.ids) <= self.drop_failed:  # 0.29 * 100 is less than 29
            kept = existing(outcome.partial)
            if kept is not None:
                self.partial[id_] = kept
                return kept, LEFT_OUT
        return outcome, "inline"

    def failed_items(self, id_: str) -> dict[str, Any]:
        """Return how the items ended that have no values, of a fan-out whose items have ended."""
        shape = self.shapes.get(id_)
        if shape is not None:
            return {item: self.outcomes[item] for item in shape.ids if is_lost(self.outcomes[item])}
        return lost_items(id_, self.outcomes[id_].partial)  # of an earlier round, or an earlier run

    def keep_items(self) -> None:
        """Let later tasks read fan-outs that failed: they get the items that exist."""
        for id_, node in self.nodes.items():
            if node.state == "failed" and (kept := existing(self.outcomes[id_].partial)) is not None:
                node.readable, self.partial[id_] = True, kept
                self.shapes.pop(id_, None)  # nothing reads it item by item anymore
