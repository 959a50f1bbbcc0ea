"""The json dialect: `{"tasks": [{"id": "t1", "tool": "search", "args": {"query": "x"}}], "join_instruction": "..."}`.

A task is complete with its closing brace. Tasks may come in any order: a task waits until those that it refers to have
come. In `args` a whole string `"$t1"`, `"${t1}"` or `"$t1.title"` is that result, `"${t1}"` in a longer string becomes
text, `$$` is a dollar sign; a whole string `"@name"` is an offered input, `"@@name"` the text. Arguments go by name;
positional ones are called "0", "1", ... A task with an `instruction` and no tool is asked of the worker model, with
the results of its deps in order. The last task may be `join`, or `answer` with the answer as its only argument.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from compiler_nb.plan import check
from compiler_nb.plan.builder import Builder
from compiler_nb.plan.check import Refused
from compiler_nb.plan.json_task import WORKER, TaskReader, load, read_id, read_last
from compiler_nb.plan.python import RESERVED
from compiler_nb.plan.scanner import Scanner, Unit
from compiler_nb.plan.task import Join, Return, Task
from compiler_nb.plan.tree import Ref, Tree, references
from compiler_nb.plan.tree import replace as replace_nodes
from compiler_nb.text import suggest

_ROOT: Final = ("tasks", "join_instruction", "final", "thought")
_SEEN: Final = re.compile(r'"id"\s*+:\s*+"?(\w++)')
SHOWN: Final = 10
"""Most cycles that are reported, and most ids that are named of one."""
HINTED: Final = 200
"""Above so many ids, no similar one is suggested for an unknown id."""


@dataclass(slots=True)
class _Held:
    """A task whose text is complete; its references are names in the text until all of them are known."""

    task: Task
    missing: set[str]
    sound: bool


class JsonDialect:
    """Reads the json dialect; `line` is the number of its first line."""

    def __init__(self, builder: Builder, line: int = 1) -> None:
        self.builder = builder
        self._scanner = Scanner(line)
        self._key = ""
        self._fields: dict[str, Any] = {}  # the root's, by key
        self._declared: set[str] = set()  # all ids so far, also those of tasks with problems
        self._held: dict[str, _Held] = {}
        self._waiting: dict[str, list[_Held]] = {}  # an id -> the tasks that wait for it
        self._bare: dict[str, list[tuple[int, int, str]]] = {}  # "$word" in longer strings -> line, column, task
        self._read_earlier: set[str] = set()  # ids that were read as an earlier round's results
        self._last: Task | None = None  # join or answer

    def feed(self, text: str) -> None:
        """Read on; a task is read when it is closed."""
        for unit in self._scanner.feed(text):
            try:
                self._take(unit)
            except Refused as refused:
                # An id that can be seen is known: what refers to it is not another problem.
                self._declared.update(_SEEN.findall(unit.text) if unit.kind == "task" else ())
                before = unit.text[: refused.place]
                feeds = before.count("\n")
                column = len(before) - before.rfind("\n") if feeds else unit.column + len(before)
                self.builder.problem(refused.kind, unit.line + feeds, column, refused.message)

    def close(self, rest: str, *, complete: bool) -> None:
        """End the text; it is whole if its last brace has come, whether or not the model ended it."""
        self.feed(rest)
        scanner = self._scanner
        if scanner.expects not in ("{", "end") and not scanner.dead:
            self.builder.problem(
                "truncated", scanner.line, scanner.column, "the JSON text stops before its last }: close all brackets"
            )

    def _take(self, unit: Unit) -> None:
        match unit.kind:
            case "key":
                self._key = load(unit.text)
                if self._key not in _ROOT:
                    raise Refused("schema", f"a plan has no field {self._key[:40]!r}; it has {', '.join(_ROOT)}")
                if self._key in self._fields:
                    raise Refused("duplicate_key", f"the key {self._key!r} is given twice in the plan: keep one")
                self._fields[self._key] = None
            case "value" if self._key in self._fields:
                self._fields[self._key] = _instruction(self._key, load(unit.text))
            case "task" if self.builder.full:
                pass
            case "task":
                self._read_task(unit)
            case "end":
                self._end(unit)
            case "value":
                pass  # of a key that is a problem
            case _:
                self.builder.problem(unit.kind, unit.line, unit.column, unit.text)

    def _read_task(self, unit: Unit) -> None:
        data = load(unit.text)
        id_ = read_id(data)
        if id_ in self._declared:
            raise Refused("duplicate_id", f"two tasks have the id {id_!r}: rename one of them")
        self._declared.add(id_)
        self._report_bare(id_)
        if self._last is not None:
            raise Refused("join", f"task {id_!r} comes after the last one: put it before join or answer")
        reader = TaskReader(id_, self.builder.inputs)
        task = reader.read(data, unit.line, unit.column)
        for name in reader.bare:
            self._bare.setdefault(name, []).append((unit.line, unit.column, id_))
            self._report_bare(name)
        if task.tool in ("join", "answer"):
            self._last = read_last(task)
            return
        tools = self.builder.tools
        implied = task.tool == WORKER and tools is not None and WORKER not in tools
        self._hold(task, sound=implied or self.builder.check_call(task))

    def _report_bare(self, name: str) -> None:
        """Report each `$name` in a longer string that was read so far, if it is the id of a task."""
        if name in self._declared or name in self.builder.earlier:
            message = f"${name} in a longer string: write ${{{name}}} for the result, $${name} for the text"
            for line, column, task in self._bare.pop(name, ()):
                self.builder.problem("ambiguous_ref", line, column, message, task)

    # ---------------------------------------------------------------- order

    def _hold(self, task: Task, *, sound: bool) -> None:
        """Take a task whose text is complete; pass it on once everything that it refers to is complete."""
        needs = [name for name in task.dependencies if name not in self.builder.ids]
        # An id of an earlier round is free until this plan declares it: later text may still do so, see `_add`.
        earlier = {name for name in needs if name not in self._declared and name in self.builder.earlier}
        self._read_earlier |= earlier
        if task.id in needs:
            self.builder.report(
                task, "self_ref", f"task {task.id!r} refers to itself: refer to another, or write $$ for a dollar sign"
            )
        held = _Held(task, set(needs) - earlier - {task.id}, sound and task.id not in needs)
        self._held[task.id] = held
        for name in held.missing:
            self._waiting.setdefault(name, []).append(held)
        if not held.missing:
            self._release(held)

    def _release(self, first: _Held) -> None:
        ready = [first]
        for held in ready:
            if held.sound:
                self._add(held.task)
                for waiting in self._waiting.pop(held.task.id, ()):
                    waiting.missing.discard(held.task.id)
                    if not waiting.missing:
                        ready.append(waiting)

    def _add(self, task: Task) -> None:
        del self._held[task.id]
        args, kwargs = self._resolved(task.args), self._resolved(task.kwargs)
        read = references(args, kwargs)
        after = tuple(id_ for id_ in references(self._resolved([Ref(name) for name in task.after])) if id_ not in read)
        id_ = self.builder.add(replace(task, args=args, kwargs=kwargs, after=after), avoid=RESERVED)
        if id_ != task.id and task.id in self._read_earlier:
            self.builder.report(
                task,
                "forward_ref",
                f"{task.id!r} was read as an earlier round's result before this plan gave it to a task: rename it",
            )

    def _resolved(self, tree: Tree) -> Tree:
        def change(node: Tree) -> Tree:
            return (self.builder.resolve(node.id) or node) if type(node) is Ref else node

        return replace_nodes(tree, change)

    # ---------------------------------------------------------------- the end

    def _end(self, unit: Unit) -> None:
        """Close the root: report what is missing, and set how the plan ends."""
        if "tasks" not in self._fields:
            self.builder.problem("schema", unit.line, unit.column, 'a plan is {"tasks": [...]}')
        for task in (*(held.task for held in self._held.values()), *filter(None, (self._last,))):
            self._report_missing(task)
        self._report_cycles()
        self.builder.final = self._final()

    def _final(self) -> Join | Return:
        instruction: str = self._fields.get("join_instruction") or self._fields.get("final") or ""
        last = self._last
        if last is None:
            return Join((), instruction)
        if last.tool == "answer":
            return Return(self._resolved(last.args[0]))
        return Join(
            references(self._resolved([last.args, [Ref(name) for name in last.after]])), instruction or last.note
        )

    def _report_missing(self, task: Task) -> None:
        names = () if self.builder.full else task.dependencies
        last = "" if self._last is None else self._last.id
        for name in names:
            if name == last or (name not in self._declared and name not in self.builder.earlier):
                hint = suggest(name, self._declared) if len(self._declared) <= HINTED else ""
                self.builder.report(
                    task,
                    "missing_ref",
                    f"no task has the id {name[:40]!r}, or it has no value.{hint} Write $$ for a dollar sign",
                )

    def _report_cycles(self) -> None:
        graph = {id_: held.missing & self._held.keys() for id_, held in self._held.items()}
        for _ in range(SHOWN):
            try:
                TopologicalSorter(graph).prepare()
            except CycleError as error:
                cycle = error.args[1][:-1]
                task = min((self._held[id_].task for id_ in cycle), key=lambda each: (each.line, each.column))
                shown = ", ".join(cycle[:SHOWN]) + (f", … ({len(cycle):,} tasks)" if len(cycle) > SHOWN else "")
                self.builder.report(
                    task, "cycle", f"these tasks need each other: {shown}; leave out one of the references"
                )
                for id_ in cycle:
                    del graph[id_]
            else:
                return


def _instruction(key: str, value: Any) -> Any:
    """Return the value of a field of the root."""
    if key == "tasks":
        raise Refused("schema", '"tasks" must be a list of tasks')
    if key == "final":
        if not isinstance(value, dict) or value.keys() != {"instruction"}:
            raise Refused("schema", '"final" must be {"instruction": "..."}')
        value = value["instruction"]
    if key != "thought":
        if not isinstance(value, str):
            raise Refused("schema", f"the instruction of {key!r} must be a text")
        check.check_literal(value)
    return value
