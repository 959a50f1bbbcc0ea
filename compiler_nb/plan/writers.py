"""A plan as text, in any dialect that can express it.

The text reads back as the same plan. Ids that a dialect cannot express are replaced, so that a plan of another dialect
reads back as the same except for its ids: the numbered dialect numbers the tasks 1, 2, 3, ... unless all have numbers
already; python calls the task 1 t1; json calls the nested call note.1 note_1. In python the ids of calls without a name
depend on their place in the text, so they may change, too.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from compiler_nb.errors import PlanError, Problem
from compiler_nb.plan import check
from compiler_nb.plan.builder import free_name
from compiler_nb.plan.expression import Item, Text, spell, spell_call
from compiler_nb.plan.json_task import WORKER
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.reference import read_whole
from compiler_nb.plan.task import LastLine, Return, Task, inputs_of, is_part, variable
from compiler_nb.plan.tree import Expression, Input, Ref, Tree, references, walk
from compiler_nb.signature.names import NAME_LIMIT

_NUMBER: Final = re.compile(r"[1-9][0-9]*")
_NAME: Final = re.compile(r"[^\W\d_]\w*")
_KEY_DIGITS: Final = 18
"""Digits that an index in a path may have."""
_JSON_DEPTH: Final = check.DEPTH_LIMIT - 4
"""How deep an argument may nest, within root, list, task and args."""
_SCALARS: Final = (int, float, bool, type(None))


class Writer:
    """Writes a plan; `names` maps ids to what the text calls them, those of earlier rounds' tasks too."""

    dialect = ""

    def __init__(self, tasks: Sequence[Task], final: LastLine) -> None:
        self.tasks, self.final = tasks, final
        self.last = _as_call(final)
        self.task = self.last  # the one being written
        ids = {task.id for task in tasks}
        needs = dict.fromkeys(id_ for task in (*tasks, self.last) for id_ in task.dependencies)
        self.earlier = [id_ for id_ in needs if id_ not in ids]
        self.names: dict[str, str] = {}
        self.taken: set[str] = set()

    def write(self) -> str:
        """Return the text."""
        raise NotImplementedError

    def wrong(self, reason: str, kind: str = "expression") -> PlanError:
        """Return the error which says that this dialect cannot express the task being written."""
        task = self.task
        what = "the last line" if task is self.last else f"task {task.id!r}"
        message = f"{what} cannot be written in the dialect {self.dialect}: {reason}"
        return PlanError([Problem(kind, task.line, task.column, message, "" if task is self.last else task.id)])

    def name_all(self, name_of: Callable[[str], str], earlier_of: Callable[[str], str] = str) -> None:
        """Give each task the name that `name_of` makes of its id, or the next free one like it."""
        self.names = {id_: earlier_of(id_) for id_ in self.earlier}
        self.taken = set(self.names.values())
        for task in self.tasks:
            self.names[task.id] = free_name(name_of(task.id), self.taken)
            self.taken.add(self.names[task.id])

    def calls(self) -> Iterator[Task]:
        """Yield the tasks in order; raise if one is not a call of a tool."""
        for task in self.tasks:
            self.task = task
            if task.kind != "call":
                raise self.wrong("it is an expression" if task.kind == "expr" else "it is a fan-out")
            if task.guard is not None:
                raise self.wrong(f"it is called only if {spell(task.guard)}, which only python can say")
            yield task
        self.task = self.last

    def check_after(self, task: Task) -> None:
        """Raise if a task waits for one that it does not read."""
        if task.after:
            raise self.wrong(f"it waits for {', '.join(task.after)} without reading it")


def _as_call(final: LastLine) -> Task:
    """Return the last line as the call that it is written as."""
    if isinstance(final, Return):
        return Task("answer", "call", "answer", (final.expression,))
    named = {"instruction": final.instruction} if final.instruction else {}
    return Task("join", "call", "join", tuple(Ref(id_) for id_ in final.refs), named)


def quote(data: Any) -> str:
    """Return JSON on one line, with escapes for what a plan's text may not hold; Python reads strings alike."""
    return check.CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(data, ensure_ascii=False))


class PythonWriter(Writer):
    """Writes the python dialect; nested calls are written where their values are used.

    A name that is assigned again is written again. What still reads the older version reads it by another name, which
    is given to it just before: `x_1 = x`.
    """

    dialect = "python"

    def write(self) -> str:
        """Return the text: notes as comments, a line for each task, the last line."""
        hiding = self._hiding()
        self.name_all(
            lambda id_: f"{id_}_2" if keyword.iskeyword(id_) or variable(id_) in hiding else variable(id_), variable
        )
        self.parts = {task.id: task for task in self.tasks if is_part(task.id)}
        self.meant: dict[str, str] = {}  # by a name that is assigned again, the task that it means so far
        every = (*self.tasks, self.last)
        self.read_until = {id_: at for at, task in enumerate(every) for id_ in task.dependencies}
        written = [(at, task) for at, task in enumerate(every) if task.id not in self.parts]
        return "".join(f"{line}\n" for at, task in written for line in self._lines(task, at))

    def _hiding(self) -> set[str]:
        """Return the names of tasks that would hide an input of the same name which is read after them."""
        found: set[str] = set()
        before: set[str] = set()
        for task in self.tasks:
            found |= before.intersection(task.inputs)
            before.add(variable(task.id))
        return found | before.intersection(inputs_of((), self.final))

    def _lines(self, task: Task, at: int) -> list[str]:
        self.task = task
        self.check_after(task)
        for name in task.kwargs:
            if not name.isidentifier() or keyword.iskeyword(name):
                raise self.wrong(f"its argument {name!r} is not a valid name")
        value = spell_call(task, self._name)
        line = value if task is self.last or task.id.startswith("@") else f"{self.names[task.id]} = {value}"
        self._check_text(line, (task.args, task.kwargs))
        kept: list[str] = []
        if task.version_of in self.names:
            kept = self._assign_again(task, at)
            line = f"{self.names[task.id]} = {value}"
        return [*kept, *([f"# {task.note}"] if task.note else []), line]

    def _assign_again(self, task: Task, at: int) -> list[str]:
        """Let a name mean this task from now on; return the line that keeps its older version if that is still read."""
        older = self.meant.get(task.version_of, task.version_of)
        name = self.names[task.id] = self.names[older]
        self.meant[task.version_of] = task.id
        if self.read_until.get(older, at) <= at:
            return []
        kept = free_name(f"old_{name}"[:NAME_LIMIT], {*self.taken, *inputs_of(self.tasks, self.final)})
        self.names[older] = kept
        self.taken.add(kept)
        return [f"{kept} = {name}"]

    def _check_text(self, line: str, tree: Tree) -> None:
        """Raise if a line cannot be read back: an f-string's braces cannot hold all quotes, brackets and escapes."""
        # Which quotes and escapes fit into braces depends on all that surrounds them, so the line is read to find out.
        if any(type(node) is Text for node in walk(tree)):
            read = list(references(tree))
            for id_ in read:
                read += self.parts[id_].dependencies if id_ in self.parts else ()
            known = {self.names[id_]: "" for id_ in read}
            parser = PlanParser(dialect="python", inputs=inputs_of(self.tasks, self.final), earlier=known)
            parser.feed(line)
            parser.close()
            if parser.problems:
                raise self.wrong(parser.problems[0].message)

    def _name(self, id_: str) -> str:
        part = self.parts.get(id_)
        if part is None:
            return self.names[id_]
        text = spell_call(part, self._name)
        return f"({text})" if part.kind == "expr" else text


class _DollarWriter(Writer):
    """What the two dialects share that write references with a dollar sign, numbered and json."""

    def reference(self, tree: Tree) -> tuple[str, str]:
        """Return a result or an offered input, and the path to an item of it, as they stand outside strings."""
        steps: list[str] = []
        while type(tree) is Item:
            steps.append(self._step(tree.key))
            tree = tree.value
        path = "".join(reversed(steps))
        match tree:
            case Ref(id_):
                return f"${self.names[id_]}", path
            case Input(name):
                return f"@{name}", path
            case _:
                raise self.wrong(f"it holds {spell(tree)}: this dialect has only literals, results and their items")

    def _step(self, key: Tree) -> str:
        if type(key) is int and len(str(abs(key))) <= _KEY_DIGITS:
            return f"[{key}]"
        if type(key) is not str:
            raise self.wrong(f"it looks up the key {spell(key)}: a path has only names and whole numbers")
        return f".{key}" if _NAME.fullmatch(key) else f"[{quote(key)}]"

    def body(self, tree: Tree) -> str:
        """Return what stands between the quotes for a text, or a text with results in it."""
        if isinstance(tree, str):
            return tree.replace("$", "$$")
        text = "".join(self._part(part) for part in tree.parts)
        # A string that is nothing but a reference reads back as the value itself.
        if read_whole(text) is not None:
            raise self.wrong(f"the string {text!r} would be read as the value itself, not as its text")
        return text

    def _part(self, part: Tree) -> str:
        if isinstance(part, str):
            return self.body(part)
        if part.conversion or part.spec:
            raise self.wrong("it formats a value: this dialect has no conversions and no formats")
        if isinstance(part.value, str):
            return self.body(part.value)
        name, path = self.reference(part.value)
        if name.startswith("@"):
            raise self.wrong(f"the input {name} is used inside a string")
        return f"${{{name[1:]}{path}}}"


class NumberedWriter(_DollarWriter):
    """Writes the numbered dialect."""

    dialect = "numbered"

    def write(self) -> str:
        """Return the text: notes as thoughts, a line for each task, the last line."""
        self._number()
        lines = []
        for task in self.calls():
            self.check_after(task)
            lines += [f"Thought: {task.note}"] if task.note else []
            lines.append(f"{self.names[task.id]}. {self._call(task)}")
        number = max((int(self.names[task.id]) for task in self.tasks), default=0) + 1
        return "\n".join([*lines, f"{number}. {self._call(self.last)}<END_OF_PLAN>"]) + "\n"

    def _number(self) -> None:
        """Keep the ids if all are numbers; otherwise number the tasks, and earlier rounds' results have no names."""
        unnamed = self.earlier
        if all(_NUMBER.fullmatch(task.id) for task in self.tasks):
            self.names = {id_: id_ for id_ in (*(task.id for task in self.tasks), *self.earlier)}
            unnamed = [id_ for id_ in self.earlier if not id_[:1].isdigit()]
        else:
            self.names = {task.id: str(number) for number, task in enumerate(self.tasks, 1)}
        if unnamed:
            self.task = next((task for task in self.tasks if unnamed[0] in task.dependencies), self.last)
            raise self.wrong(f"it reads {unnamed[0]!r}, which is not in this plan", "missing_ref")

    def _call(self, task: Task) -> str:
        for name in task.kwargs:
            if not _NAME.fullmatch(name):
                raise self.wrong(f"its argument {name!r} is not a valid name")
        named = [f"{name}={self._spell(value)}" for name, value in task.kwargs.items()]
        return f"{task.tool}({', '.join([*map(self._spell, task.args), *named])})"

    def _spell(self, tree: Tree) -> str:
        kind = type(tree)
        if kind is str or kind is Text:
            return quote(self.body(tree))
        if isinstance(tree, Expression):
            return "".join(self.reference(tree))
        if kind is dict:
            return f"{{{', '.join(f'{self._key(key)}: {self._spell(value)}' for key, value in tree.items())}}}"
        if kind is list or kind is tuple:
            inner = ", ".join(map(self._spell, tree))
            return f"[{inner}]" if kind is list else f"({inner}{',' if len(tree) == 1 else ''})"
        if kind in _SCALARS:
            return repr(tree)
        raise self.wrong(f"it holds a {kind.__name__}")

    def _key(self, key: Tree) -> str:
        if type(key) is not str and type(key) not in _SCALARS:
            raise self.wrong(f"the key {spell(key)} of a dict is neither a text nor a number")
        return quote(key) if type(key) is str else repr(key)


class JsonWriter(_DollarWriter):
    """Writes the json dialect."""

    dialect = "json"

    def write(self) -> str:
        """Return the text, a line for each task."""
        self.name_all(_json_id)
        tasks = [self._task(task) for task in self.calls()] + self._last()
        text = "" if isinstance(self.final, Return) else self.final.instruction
        lines = ",\n  ".join(map(quote, tasks))
        return f'{{"tasks": [\n  {lines}\n]' + (f', "join_instruction": {quote(text)}' if text else "") + "}\n"

    def _task(self, task: Task) -> dict[str, Any]:
        fields: dict[str, Any] = {"id": self.names[task.id]}
        read = [self.names[arg.id] for arg in task.args[1:] if type(arg) is Ref]
        texts = task.tool == WORKER and task.args and type(task.args[0]) in (str, Text)
        if texts and not (task.kwargs or task.after) and len(set(read)) == len(task.args) - 1:
            fields |= {"instruction": self._data(task.args[0], 0), "deps": read}
        else:
            args = {str(position): self._data(arg, 1) for position, arg in enumerate(task.args)}
            args |= {name: self._data(value, 1) for name, value in task.kwargs.items()}
            fields |= {"tool": task.tool, "args": args, "deps": [self.names[id_] for id_ in task.dependencies]}
        return fields | ({"note": task.note} if task.note else {})

    def _last(self) -> list[dict[str, Any]]:
        taken = set(self.names.values())
        if isinstance(self.final, Return):
            value = self._data(self.final.expression, 1)
            return [{"id": free_name("answer", taken), "tool": "answer", "args": {"value": value}}]
        deps = [self.names[id_] for id_ in self.final.refs]
        return [{"id": free_name("join", taken), "tool": "join", "args": {}, "deps": deps}] if deps else []

    def _data(self, tree: Tree, depth: int) -> Any:
        """Return the JSON data of a tree; depth: how many brackets are open around it."""
        kind = type(tree)
        if kind is str or kind is Text:
            text = self.body(tree)
            return f"@{text}" if text.startswith("@") else text
        if isinstance(tree, Expression):
            return "".join(self.reference(tree))
        if kind in _SCALARS:
            return tree
        if kind not in (list, dict):
            raise self.wrong(f"it holds a {kind.__name__}: JSON has lists and objects")
        if depth > _JSON_DEPTH:
            raise self.wrong(f"it nests more than {_JSON_DEPTH} deep", "too_deep")
        if kind is list:
            return [self._data(item, depth + 1) for item in tree]
        return {self._key(key): self._data(value, depth + 1) for key, value in tree.items()}

    def _key(self, key: Tree) -> str:
        if not isinstance(key, str):
            raise self.wrong(f"the key {spell(key)} of a dict is not a text")
        return key


def _json_id(id_: str) -> str:
    """Return an id as a JSON plan may give it."""
    return f"line_{id_[1:]}" if id_.startswith("@") else id_.replace(".", "_")


WRITERS: Final[dict[str, type[Writer]]] = {"python": PythonWriter, "numbered": NumberedWriter, "json": JsonWriter}


def to_text(tasks: Sequence[Task], final: LastLine, dialect: str = "python") -> str:
    """Return a plan as text; raise a PlanError that names the task if the dialect cannot express it."""
    if dialect not in WRITERS:
        raise ValueError(f"no dialect is called {dialect!r}; there are {', '.join(WRITERS)}")
    return WRITERS[dialect](tasks, final).write()
