"""Keys of tasks: two are the same when their keys are, whatever their names and in whatever run.

A key is a hash of the tool's name and code, and of the arguments, with references replaced by keys and values by hashes
of their content. A tool's code is hashed by its own instructions and constants.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import types
from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler_nb.operations.weights import is_a
from compiler_nb.plan.expression import Fanout, Value
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Expression, Input, Ref, Tree, replace, walk
from compiler_nb.text import type_name
from compiler_nb.tool import Tool
from compiler_nb.values.code import content_hash, encode_fields
from compiler_nb.values.forms import ids_of

_PLAIN: Final = ids_of((str, int, float, bool, bytes, type(None)))
_DEEPEST: Final = 10


class Keys:
    """The keys of one run's tasks; None if a value in them has no hash.

    tools: hashes of their code by name; inputs: hashes of their content.
    """

    def __init__(self, tools: Mapping[str, str], inputs: Mapping[str, str | None]) -> None:
        self.tools, self.inputs = tools, inputs
        self.by_id: dict[str, str | None] = {}

    def fresh(self) -> Keys:
        """Return keys of the same tools and inputs, without tasks."""
        return Keys(self.tools, self.inputs)

    def add(self, task: Task, *, stale: bool = False) -> str | None:
        """Return the key of a task, whose dependencies are here already; stale: it is like nothing that was."""
        self.by_id[task.id] = None
        if stale:
            return None
        with contextlib.suppress(Exception):  # what has no hash, or cannot be looked at, is like nothing else
            self.by_id[task.id] = self._key(task)
        return self.by_id[task.id]

    def give(self, id_: str, value: Any) -> None:
        """Note that a task is not performed but has a value: what reads it has keys of that value."""
        found = content_hash(value)
        self.by_id[id_] = found and f"value {found}"

    def mix(self, id_: str, values: Any) -> None:
        """Note that of a fan-out some items are not performed but have values: what reads it has keys of both."""
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


def hash_tools(tools: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of tools' code; a stored tool has its own."""
    return {name: getattr(tool, "hash", None) or code_hash(tool) for name, tool in tools.items()}


def code_hash(tool: Tool) -> str:
    """Return a hash of a tool's own code: its instructions and constants, its defaults and what it encloses.

    Comments and layout do not count, nor do objects that may change, nor what it reads from its module. A tool whose
    code is elsewhere has a hash of its own.
    """
    return getattr(tool, "hash", "") or function_hash(tool.function)


def function_hash(function: Any) -> str:
    """Return a hash of a function's own code, as `code_hash` does for that of a tool."""
    found = hashlib.blake2b(digest_size=16)
    for part in _parts(function, 0):
        found.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return found.hexdigest()


def _parts(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    inside: tuple[Any, ...] = ()
    if is_a(value, functools.partial):
        inside = (value.func, *value.args, *value.keywords.items())
    elif is_a(value, types.MethodType):
        inside = (value.__func__,)
    elif is_a(value, types.FunctionType):
        yield from _code(value.__code__)
        cells = [_content(cell) for cell in value.__closure__ or ()]
        defaults = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).items())
        inside = (*defaults, *cells, getattr(value, "__wrapped__", None))
    elif type(value) is tuple:
        inside = value
    else:
        yield repr(value) if id(type(value)) in _PLAIN else _named(value)
    for part in inside:
        yield from _parts(part, depth + 1)


def _named(value: Any) -> str:
    kind = value if is_a(value, type) else type(value)
    try:
        return f"{kind.__module__}.{kind.__qualname__}.{getattr(value, '__qualname__', '')}"
    except BaseException:  # noqa: BLE001 - an object's own attributes may raise anything
        return type_name(value)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty still
        return None


def _code(code: types.CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code(constant)
        else:
            yield repr(sorted(constant, key=repr)) if isinstance(constant, frozenset) else repr(constant)
