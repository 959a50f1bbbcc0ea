"""Plan: the tasks and the last line as data, with everything that can be asked of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from compiler_nb.errors import PlanError
from compiler_nb.plan import parser, shape, short, writers
from compiler_nb.plan.task import JOIN, LastLine, Task, inputs_of, owner_of
from compiler_nb.text import shorten, visible_lines
from compiler_nb.tool import Toolbox

SHOWN: Final = 200
"""Lines of a plan that it shows of itself; the others are counted."""


@dataclass(frozen=True, repr=False)
class Plan:
    """A directed acyclic graph of tasks, in the order of the text, and how it ends.

    `plan["ny"]` is a task, `plan.tasks` all of them without the last line, `plan.final` the last line,
    `plan.text` what it was parsed from and `plan.dialect` in which language, `plan.notes` where that was not read as it
    is written, `plan.after_tools` whether it was written after tools had returned something, which may have asked for
    what it does.
    """

    tasks: tuple[Task, ...]
    final: LastLine = JOIN
    text: str = field(default="", compare=False)
    dialect: str = field(default="python", compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    after_tools: bool = field(default=False, compare=False)

    __hash__ = None  # type: ignore[assignment]  # tasks hold plain, mutable data

    @cached_property
    def by_id(self) -> Mapping[str, Task]:
        """The tasks by id."""
        return {task.id: task for task in self.tasks}

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the offered variables that the plan reads, in the order of the text."""
        return inputs_of(self.tasks, self.final)

    @property
    def fingerprint(self) -> str:
        """A hash of what it computes: equal for two plans that differ only in names and the order of their lines."""
        return shape.fingerprint_of(self.tasks, self.final)

    @staticmethod
    def parse(
        text: str | bytes,
        *,
        dialect: str = "auto",
        tools: Iterable[Any] | Mapping[str, Any] | None = None,
        inputs: Collection[str] = (),
        implied: Literal["join", "value"] = "join",
    ) -> Plan:
        """Return the plan that a text (or its UTF-8 bytes) holds; nothing of it is executed.

        dialect: "auto", "python", "numbered" or "json"; tools: what may be called (functions, Tools or a Toolbox),
        None to turn the checks of tools off; inputs: names of offered variables; implied: what a plan without a last
        line ends in, "join", or "value" for its last statement's value.
        Raises PlanError with all problems of the text.
        """
        known = tools if tools is None or isinstance(tools, Toolbox) else Toolbox(tools)
        return Plan(*parser.parse(text, dialect=dialect, tools=known, inputs=inputs, implied=implied))

    # A plan is its tasks in order, so what asks for the shape of tasks is a method as it stands.
    levels = shape.levels
    critical_path = shape.critical_path
    lower_bound = shape.lower_bound
    diff = shape.diff

    def to_text(self, dialect: str = "python") -> str:
        """Return the plan as text; raise a PlanError that names the task if the dialect cannot express it."""
        return writers.to_text(self.tasks, self.final, dialect)

    def explain(self) -> str:
        """Return how the plan was read: its tasks, what each waits for, and its shape."""
        return short.explain(self.tasks, self.final, self.notes)

    def to_script(
        self,
        tools: Iterable[Any] | Mapping[str, Any] = (),
        inputs: Mapping[str, Any] | None = None,
        *,
        max_concurrency: int = 8,
    ) -> str:
        """Return the plan as a plain asyncio script, which needs nothing of this package and gives the same results.

        tools: the functions that it calls; they are imported, or written out if they are the notebook's own; one that
        is not given is left to be imported. inputs: values of the variables that it reads, for those that are literals.
        `missing` of the result says what is to be filled in, by name.
        """
        from compiler_nb.script.script import write_script  # noqa: PLC0415 - scripts know plans, not the other way

        known = tools if isinstance(tools, Toolbox) else Toolbox(tools)
        return write_script(self, known, inputs=inputs, max_concurrency=max_concurrency)

    def to_graphviz(self) -> Any:
        """Return the plan as a `graphviz.Digraph` that shows itself anywhere, and saves itself by its file's suffix.

        It is drawn by Graphviz if it is installed, otherwise by our own layout.
        """
        from compiler_nb.drawing.digraph import make_digraph  # noqa: PLC0415 - drawing knows plans, not the other way

        return make_digraph(self)

    def __repr__(self) -> str:
        """Return the plan as text, in its own dialect."""
        try:
            text = self.to_text(self.dialect)
        except PlanError:  # its dialect cannot say what another round left
            text = self.text
        lines = visible_lines(text.strip()).split("\n")
        more = [f"… {len(lines) - SHOWN:,} more lines"] if len(lines) > SHOWN else []
        return "\n".join(shorten(line) for line in (*lines[:SHOWN], *more))

    def _repr_html_(self) -> str:
        """Return its picture, and its text below."""
        from compiler_nb.notebook.output.show import plan_page  # noqa: PLC0415 - as above

        return plan_page(self)

    def visualize(self) -> Any:
        """Return the picture of the plan: it shows itself anywhere, `str` of it is text, and it has `save`."""
        from compiler_nb.drawing.svg import draw  # noqa: PLC0415 - as above

        return draw(self)

    def __getitem__(self, id: str) -> Task:  # noqa: A002 - the field's word
        """Return the task with this id, or with this variable name ("t1" for "1")."""
        task = self.by_id.get(id) or next((task for task in self.tasks if task.name == id), None)
        if task is None:
            raise KeyError(f"no task {id!r} in this plan; its tasks are: {', '.join(self.by_id) or 'none'}")
        return task

    def id_of(self, name: str) -> str:
        """Return the id of a task by its variable, of several versions the last one, or by its own or an item's id.

        Raises KeyError that names the tasks if there is none.
        """
        variables = {task.name: task.id for task in self.tasks}
        if name in variables or name in self.by_id:
            return variables.get(name, name)
        fanout = owner_of(name)
        if fanout in variables and self.by_id[variables[fanout]].kind == "fanout":
            return variables[fanout] + name[len(fanout) :]
        raise KeyError(f"no task {name!r} in this plan; its tasks are: {', '.join(self.by_id) or 'none'}")

    def __contains__(self, id: object) -> bool:  # noqa: A002 - the field's word
        return id in self.by_id

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)
