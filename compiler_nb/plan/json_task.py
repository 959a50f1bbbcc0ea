"""One task of the json dialect: its fields, and what the strings in its arguments refer to."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from compiler_nb.plan import check
from compiler_nb.plan.check import Refused
from compiler_nb.plan.reference import Dollar, follow, join_pieces, read_whole, split
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Input, Ref, Tree
from compiler_nb.text import suggest

WORKER: Final = "llm"
"""The tool that asks the worker model; a compiler always offers it."""
_FIELDS: Final = ("id", "tool", "tool_name", "args", "deps", "dependencies", "instruction", "note", "thought")
_ID: Final = re.compile(r"[1-9][0-9]*|[^\W\d_]\w*")
_INPUT: Final = re.compile(r"@([^\W\d]\w*+)(.*)", re.DOTALL)


# -------------------------------------------------------------------- JSON

_JSON: Final = "keys and texts stand in double quotes, and no comma before a closing bracket"


def load(text: str) -> Any:
    """Return the data in a JSON text; raise Refused for anything that JSON or a plan does not allow."""
    try:
        return json.loads(
            text, object_pairs_hook=_pairs, parse_int=_integer, parse_float=_number, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise Refused(
            "syntax",
            f"this is not JSON ({error.msg}): {_JSON}",
            error.pos,
        ) from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        key = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise Refused("duplicate_key", f"the key {key[:40]!r} is given twice in one object: keep one")
    return table


def _integer(text: str) -> int:
    if len(text) > check.DIGIT_LIMIT:  # before it is read: that takes quadratic time, and Python has a limit of its own
        raise Refused(
            "too_large",
            f"an integer of {len(text):,} digits; at most {check.DIGIT_LIMIT} are allowed: write it as text",
        )
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    check.check_literal(value)
    return value


def _constant(text: str) -> float:
    raise Refused("non_finite", f"{text} is not a JSON number: write one that a float can hold, or null")


# -------------------------------------------------------------------- fields


def read_id(data: Any) -> str:
    """Return the id of a task object; raise Refused if it is not a task or has no id."""
    if not isinstance(data, dict):
        raise Refused("schema", 'a task must be an object: {"id": ..., "tool": ..., "args": {...}}')
    unknown = next((key for key in data if key not in _FIELDS), None)
    if unknown is not None:
        hint = suggest(unknown, _FIELDS)
        raise Refused("schema", f"a task has no field {unknown[:40]!r}.{hint} Its fields are {', '.join(_FIELDS)}")
    if "id" not in data:
        raise Refused("schema", 'a task needs an "id"')
    return _id(data["id"])


def _id(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Refused("schema", "an id must be a text or a whole number")
    text = str(value)
    if _ID.fullmatch(text):
        with suppress(Refused):
            check.check_name(text)
            return text
    raise Refused("bad_id", f"{text[:40]!r} is not an id: write a number, or a name of letters and digits like t1")


def read_last(task: Task) -> Task:
    """Return a `join` with its results, or an `answer` with its value, as args; raise Refused if it is neither."""
    trees = [*task.args, *task.kwargs.values()]
    if task.tool == "answer" and len(trees) != 1:
        raise Refused("join", 'answer takes one argument: {"value": ...}')
    if task.tool == "join":
        trees = [item for tree in trees for item in (tree if isinstance(tree, list) else [tree])]
        if not all(type(item) is Ref for item in trees):
            raise Refused("join", 'join takes results: {"deps": ["t1", "t2"]}')
    return replace(task, args=tuple(trees), kwargs={})


class TaskReader:
    """Reads the object of the task `id`; the references in the result are names in the text.

    inputs: the names of the offered variables; `bare` collects what follows a dollar sign in longer strings without
    braces: a problem if it is the id of a task.
    """

    def __init__(self, id_: str, inputs: Collection[str]) -> None:
        self.id, self.inputs = id_, inputs
        self.bare: list[str] = []

    def read(self, data: dict[str, Any], line: int, column: int) -> Task:
        """Return the task; raise Refused for what is wrong with it."""
        tool, deps = self._either(data, "tool", "tool_name", ""), self._either(data, "deps", "dependencies", [])
        if not isinstance(tool, str) or not isinstance(deps, list):
            raise Refused("schema", f"the tool of task {self.id!r} must be a text, and its deps a list of ids")
        after = tuple(dict.fromkeys(_id(each) for each in deps))
        instruction, note = self._texts(data)
        if tool in ("", WORKER) and "args" not in data and "instruction" in data:
            asked = (self._tree(instruction), *(Ref(name) for name in after))
            return Task(self.id, "call", WORKER, asked, note=note, line=line, column=column)
        if not tool.isidentifier():
            raise Refused(
                "unknown_tool" if tool else "schema",
                f'task {self.id!r} needs a "tool", the name of one that is offered, or an "instruction"',
            )
        if tool.startswith("_"):
            raise Refused(
                "unknown_tool",
                f"no tool is called {tool[:40]!r}: write one that is offered, none begins with an underscore",
            )
        args, kwargs = self._arguments(data.get("args", {}))
        return Task(self.id, "call", tool, args, kwargs, after, note or check.one_line(instruction), line, column)

    def _either(self, data: dict[str, Any], name: str, other: str, default: Any) -> Any:
        """Return a field that goes by two names."""
        if name in data and other in data:
            raise Refused("schema", f"{name!r} and {other!r} of task {self.id!r} are the same: give one")
        return data.get(name, data.get(other, default))

    def _texts(self, data: dict[str, Any]) -> tuple[str, str]:
        """Return the instruction and the note."""
        for key in ("instruction", "note", "thought"):
            value = data.get(key, "")
            if not isinstance(value, str):
                raise Refused("schema", f"{key!r} of task {self.id!r} must be a text")
            check.check_literal(value)
        return data.get("instruction", ""), check.one_line(data.get("note") or data.get("thought") or "")

    def _arguments(self, args: Any) -> tuple[tuple[Tree, ...], dict[str, Tree]]:
        if not isinstance(args, dict):
            raise Refused("schema", f'the args of task {self.id!r} must be an object: {{"name": value}}')
        positions = {key for key in args if key.isascii() and key.isdecimal()}
        ordered = [str(number) for number in range(len(positions))]
        if positions != set(ordered):
            raise Refused("bad_args", f'task {self.id!r}: positional arguments are called "0", "1", ... without a gap')
        for key in args:
            check.check_name(key)
            check.check_literal(key)
        named = {key: self._tree(value) for key, value in args.items() if key not in positions}
        return tuple(self._tree(args[key]) for key in ordered), named

    # ---------------------------------------------------------------- values

    def _tree(self, value: Any) -> Tree:
        """Return a JSON value with what its strings refer to; the keys of its objects are data."""
        match value:
            case str():
                check.check_literal(value)
                return self._text(value)
            case list():
                return [self._tree(item) for item in value]
            case dict():
                for key in value:
                    check.check_literal(key)
                return {key: self._tree(item) for key, item in value.items()}
            case _:
                return value

    def _text(self, text: str) -> Tree:
        if text.startswith("@@"):
            text = text[1:]
        elif text.startswith("@"):
            found = self._input(text)
            if found is not None:
                return found
        if "$" not in text:
            return text
        whole = read_whole(text)
        if whole is not None:
            return follow(Ref(whole.name), whole.path)
        return join_pieces([self._piece(piece) for piece in split(text)])

    def _input(self, text: str) -> Tree | None:
        """Return the input, or the item of one, that a whole string names, None if it is another text."""
        found = _INPUT.fullmatch(text)
        if found is None:
            return None
        name, path = found[1], found[2]
        if name in self.inputs:
            whole = read_whole(f"${name}{path}")
            return None if whole is None else follow(Input(name), whole.path)
        if path:
            return None
        hint = f"write @@{name[:40]} for the text" + suggest(name, self.inputs)
        raise Refused("private_ref", f"no offered input is called {name[:40]!r}; {hint}")

    def _piece(self, piece: str | Dollar) -> Tree:
        """Return what a piece of a longer string stands for."""
        if isinstance(piece, str):
            return piece
        if piece.form == "braced":
            return follow(Ref(piece.name), piece.path)
        if piece.name:
            self.bare.append(piece.name)
        return piece.text
