"""Keys of tasks: two are the same when their keys are, whatever their names and in whatever run.

A key is a hash of the tool's name and code, and of the arguments, with references replaced by keys and values by hashes
of their content.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Any

from compiler_nb.plan.expression import Fanout, Value
from compiler_nb.plan.tree import Input, Node, Ref, Tree, replace, walk
from compiler_nb.values.code import content_hash, encode_fields
from compiler_nb.values.sources import code_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compiler_nb.plan.task import Task


class Keys:
    """The keys of one run's tasks; None where a value in them has no hash.

    tools: hashes of their code by name; inputs: hashes of their content.
    """

    def __init__(self, tools: Mapping[str, str], inputs: Mapping[str, str | None]) -> None:
        self.tools, self.inputs = tools, inputs
        self.by_id: dict[str, str | None] = {}

    def add(self, task: Task) -> str | None:
        """Return the key of a task, whose dependencies are here already."""
        try:
            key: str | None = self._key(task)
        except Exception:  # noqa: BLE001 - what has no hash, or cannot be looked at, is like nothing else
            key = None
        self.by_id[task.id] = key
        return key

    def _key(self, task: Task) -> str:
        tools = [task.tool, *(step.tool for part in walk(task) if isinstance(part, Fanout) for step in part.steps)]
        code, after = [(name, self.tools.get(name, "")) for name in tools], [self._of(id_) for id_ in task.after]
        coded = encode_fields([task.kind, code, self._hashed(task.args), self._hashed(task.kwargs), after])
        if '"$":"absent"' in coded.text:
            raise LookupError(task.id)
        return hashlib.blake2b(coded.text.encode(), digest_size=16).hexdigest()

    def _hashed(self, tree: Tree) -> Tree:
        return replace(tree, self._change)

    def _change(self, part: Node) -> Tree:
        if type(part) is Ref:
            return Ref(self._of(part.id))
        if type(part) is Input:
            return Input(_there(self.inputs[part.name]))
        if type(part) is Value:
            return Value(_there(content_hash(part.value)))
        if type(part) is Fanout:
            steps = (dataclasses.replace(step, note="", line=0, column=0, fingerprint="") for step in part.steps)
            return dataclasses.replace(part, steps=tuple(steps))
        return part

    def _of(self, id_: str) -> str:
        return id_ if id_[:1] == "." or id_ not in self.by_id else _there(self.by_id[id_])


def _there(found: str | None) -> str:
    if found is None:
        raise LookupError
    return found


def hash_tools(tools: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of tools' code; a stored tool has its own."""
    return {name: getattr(tool, "hash", None) or code_hash(tool) for name, tool in tools.items()}
