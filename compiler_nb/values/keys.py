"""Keys of tasks: two are the same when their keys are, whatever their names and in whatever run.

A key is a hash of the tool's name and code, and of the arguments, with references replaced by keys and values by hashes
of their content.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

from compiler_nb.plan.expression import Fanout, Value
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Expression, Input, Ref, Tree, replace, walk
from compiler_nb.values.code import content_hash, encode_fields


class Keys:
    """The keys of one run's tasks; None if a value in them has no hash.

    tools: hashes of their code by name; inputs: hashes of their content.
    """

    def __init__(self, tools: Mapping[str, str], inputs: Mapping[str, str | None]) -> None:
        self.tools, self.inputs = tools, inputs
        self.by_id: dict[str, str | None] = {}
        self._equal: Counter[str] = Counter()

    def fresh(self) -> Keys:
        """Return keys of the same tools and inputs, without tasks."""
        return Keys(self.tools, self.inputs)

    def add(self, task: Task, *, stale: bool = False) -> str | None:
        """Return the key of a task, whose dependencies are here already; stale: its key equals no earlier one."""
        self.by_id[task.id] = None
        if stale:
            return None
        with contextlib.suppress(Exception):  # what has no hash, or cannot be looked at, equals nothing else
            self.by_id[task.id] = self._key(task)
        return self.by_id[task.id]

    def tell_apart(self, id_: str) -> None:
        """Note that a task may have another value than equal ones: what reads it is not what reads one of those."""
        key = self.by_id[id_]
        if key is not None:
            self._equal[key] += 1
            if self._equal[key] > 1:
                self.by_id[id_] = f"{key} #{self._equal[key]}"

    def give(self, id_: str, value: Any) -> None:
        """Note that a task is not performed but has a value: the keys of what reads it are made from that value."""
        found = content_hash(value)
        self.by_id[id_] = found and f"value {found}"

    def mix(self, id_: str, values: Any) -> None:
        """Note that some items of a fan-out are not performed but have values: these count for what reads it."""
        own, found = self.by_id.get(id_), content_hash(values)
        self.by_id[id_] = found and own and f"{own} with {found}"

    def _key(self, task: Task) -> str:
        tools = [task.tool, *(step.tool for part in walk(task) if isinstance(part, Fanout) for step in part.steps)]
        code, after = [(name, self.tools.get(name, "")) for name in tools], [self._of(id_) for id_ in task.after]
        args, kwargs = replace(task.args, self._change), replace(task.kwargs, self._change)
        guard = [] if task.guard is None else [replace(task.guard, self._change)]
        since = [task.since] if task.since else []
        coded = encode_fields([task.kind, code, args, kwargs, after, *guard, *since])
        if '"$":"absent"' in coded.text:
            raise LookupError(task.id)
        return coded.digest

    def _change(self, part: Expression) -> Tree:
        match part:
            case Ref():
                return Ref(self._of(part.id))
            case Input():
                return Input(_there(self.inputs[part.name]))
            case Value():
                return Value(_there(content_hash(part.value)))
            case Fanout():  # the same call on another line, or with another comment above it, is the same task
                steps = (dataclasses.replace(step, note="", line=0, column=0, fingerprint="") for step in part.steps)
                return dataclasses.replace(part, steps=tuple(steps))
        return part

    def _of(self, id_: str) -> str:
        return id_ if id_[:1] == "." or id_ not in self.by_id else _there(self.by_id[id_])


def _there(found: str | None) -> str:
    if found is None:
        raise LookupError
    return found
