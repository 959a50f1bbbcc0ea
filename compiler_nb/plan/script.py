"""A plan as text, in any dialect that can express it.

The text reads back as the same plan. Ids that a dialect cannot express are replaced, so that a plan of another dialect
reads back as the same except for its ids: the numbered dialect numbers the tasks 1, 2, 3, ... unless all have numbers
already; python calls the task 1 t1; json calls the nested call note.1 note_1. In python the ids of calls without a name
depend on their place in the text, so they may change, too.
"""

from __future__ import annotations

import keyword
from collections.abc import Sequence

from compiler_nb.plan.expression import Text, spell_call, variable
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.task import LastLine, Task, inputs_of, is_part
from compiler_nb.plan.tree import Tree, references, walk
from compiler_nb.plan.writers import JsonWriter, NumberedWriter, Writer


def to_text(tasks: Sequence[Task], final: LastLine, dialect: str = "python") -> str:
    """Return a plan as text; raise a PlanError that names the task if the dialect cannot express it."""
    writers: dict[str, type[Writer]] = {"python": PythonWriter, "numbered": NumberedWriter, "json": JsonWriter}
    if dialect not in writers:
        raise ValueError(f"no dialect is called {dialect!r}; there are {', '.join(writers)}")
    return writers[dialect](tasks, final).write()


class PythonWriter(Writer):
    """Writes the python dialect; nested calls are written where their values are used."""

    dialect = "python"

    def write(self) -> str:
        """Return the text: notes as comments, a line for each task, the last line."""
        hiding = self._hiding()
        self.name_all(
            lambda id_: f"{id_}_2" if keyword.iskeyword(id_) or variable(id_) in hiding else variable(id_), variable
        )
        self.parts = {task.id: task for task in self.tasks if is_part(task.id)}
        lines = [line for task in self.tasks if task.id not in self.parts for line in self._lines(task)]
        self.task = None
        return "\n".join([*lines, self._last()]) + "\n"

    def _hiding(self) -> set[str]:
        """Return the names of tasks that would hide an input of the same name which is read after them."""
        found: set[str] = set()
        before: set[str] = set()
        for task in self.tasks:
            found |= before.intersection(task.inputs)
            before.add(variable(task.id))
        return found | before.intersection(inputs_of((), self.final))

    def _lines(self, task: Task) -> list[str]:
        self.task = task
        self.check_after(task)
        for name in task.kwargs:
            if not name.isidentifier() or keyword.iskeyword(name):
                raise self.wrong(f"its argument {name!r} is not a valid name")
        target = "" if task.id.startswith("@") else f"{self.names[task.id]} = "
        note = [f"# {task.note}"] if task.note else []
        line = target + spell_call(task, self._name)
        self._check_text(line, (task.args, task.kwargs))
        return [*note, line]

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

    def _last(self) -> str:
        line = spell_call(self.last, self._name)
        self._check_text(line, self.last.args)
        return line
