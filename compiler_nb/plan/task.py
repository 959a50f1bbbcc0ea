"""Task, Ref and Plan: a plan is data, and what can be derived from it is not stored.

An argument tree is made of plain Python data (literals, lists, tuples, dicts, sets) and of expression nodes:
`Ref` for an earlier task's value, `Input` for an offered variable of the notebook, and the pure expressions of
`compiler_nb.plan.expression`. References are values in the tree, never pieces of text.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias
from typing import Final as Constant

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

Kind = Literal["call", "expr", "fanout"]
Tree: TypeAlias = Any
"""Plain data with expression nodes in it."""


class Node:
    """The root of all expression nodes: frozen dataclasses whose fields are trees or plain values."""

    __slots__ = ()
    opaque: ClassVar[bool] = False  # True where what it holds is a value, not a tree


@dataclass(frozen=True, slots=True)
class Ref(Node):
    """The value of the task `id`."""

    id: str


@dataclass(frozen=True, slots=True)
class Input(Node):
    """The value of the offered notebook variable `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Join:
    """Last line `join(...)`: the joiner answers from these tasks' results, from all where `refs` is empty."""

    refs: tuple[str, ...] = ()
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class Return:
    """Last line `answer(expression)`: the expression's value is the answer."""

    expression: Tree


Final: TypeAlias = Join | Return


def walk(tree: Tree) -> Iterator[Node]:
    """Yield the nodes of a tree in the order of the text, each before what it holds; never into opaque values."""
    stack = [tree]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is dict:
            for key, value in reversed(item.items()):
                stack += (value, key)
        elif kind is list or kind is tuple:
            stack += reversed(item)
        elif kind is set:
            stack += sorted(item, key=repr, reverse=True)  # the same order in every process
        elif kind is Task:
            stack += (item.kwargs, item.args)
        elif isinstance(item, Node):
            yield item
            if not item.opaque:
                stack += [getattr(item, part.name) for part in reversed(fields(item))]  # type: ignore[arg-type]


def references(*trees: Tree) -> tuple[str, ...]:
    """Return the ids that trees refer to, each once, in order."""
    return tuple(dict.fromkeys(node.id for tree in trees for node in walk(tree) if type(node) is Ref))


def replace(tree: Tree, change: Callable[[Node], Tree]) -> Tree:
    """Return the tree with each node, from the leaves up, replaced by `change(node)`."""
    kind = type(tree)
    if kind is list or kind is tuple or kind is set:
        return kind(replace(item, change) for item in tree)
    if kind is dict:
        return {replace(key, change): replace(value, change) for key, value in tree.items()}
    if kind is Task:
        return dataclasses.replace(tree, args=replace(tree.args, change), kwargs=replace(tree.kwargs, change))
    if not isinstance(tree, Node) or tree.opaque:
        return change(tree) if isinstance(tree, Node) else tree
    parts = [getattr(tree, part.name) for part in fields(tree)]  # type: ignore[arg-type]  # all nodes are dataclasses
    mended = [replace(part, change) for part in parts]
    same = all(old is new for old, new in zip(parts, mended, strict=True))
    return change(tree if same else type(tree)(*mended))


@dataclass(frozen=True, slots=True)
class Task:
    """One call of a tool, one pure expression, or one fan-out.

    id: unique in a run; kind: "call", "expr" or "fanout"; tool: the tool's name, "" where none is called;
    args, kwargs: argument trees (an expr's or fan-out's only argument is its expression);
    after: ids declared as dependencies although no argument reads them; note: the comment above it;
    line, column: where its text begins, from 1; fingerprint: what it computes, whatever its name: a hash of tool and
    arguments with references replaced by fingerprints.
    """

    id: str
    kind: Kind
    tool: str = ""
    args: tuple[Tree, ...] = ()
    kwargs: dict[str, Tree] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    note: str = ""
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)
    fingerprint: str = field(default="", compare=False, repr=False)
    _needs: tuple[str, ...] | None = field(default=None, init=False, compare=False, repr=False)  # a cache

    __hash__ = None  # type: ignore[assignment]  # the arguments are plain, mutable data

    @property
    def dependencies(self) -> tuple[str, ...]:
        """The ids of the tasks whose values this one needs, in order: those in its arguments, then those declared."""
        found = self._needs
        if found is None:
            if not self.args and not self.kwargs:
                return self.after
            found = tuple(dict.fromkeys((*references(self.args, self.kwargs), *self.after)))
            object.__setattr__(self, "_needs", found)
        return found

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the offered variables that this task reads, in order."""
        return tuple(dict.fromkeys(n.name for n in walk((self.args, self.kwargs)) if type(n) is Input))

    @property
    def name(self) -> str:
        """The variable that its value is bound to: its id, "t1" for the id "1", "" for a generated id."""
        if self.id[:1].isdigit():
            return f"t{self.id}"
        return self.id if self.id.isidentifier() else ""


JOIN: Constant = Join()


@dataclass(frozen=True)
class Plan:
    """A directed acyclic graph of tasks, in the order of the text, and how it ends.

    `plan["ny"]` is a task, `plan.tasks` all of them without the last line, `plan.final` the last line,
    `plan.text` what it was parsed from.
    """

    tasks: tuple[Task, ...]
    final: Final = JOIN
    text: str = field(default="", compare=False)
    dialect: str = field(default="python", compare=False)

    __hash__ = None  # type: ignore[assignment]  # tasks hold plain, mutable data

    @cached_property
    def by_id(self) -> Mapping[str, Task]:
        """The tasks by id."""
        return {task.id: task for task in self.tasks}

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the offered variables that the plan reads, in the order of the text."""
        last = [self.final.expression] if isinstance(self.final, Return) else []
        trees = [tree for task in self.tasks for tree in (task.args, task.kwargs)] + last
        return tuple(dict.fromkeys(node.name for node in walk(trees) if type(node) is Input))

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
        from compiler_nb.plan.parser import parse  # noqa: PLC0415 - the parser makes plans
        from compiler_nb.tool import Toolbox  # noqa: PLC0415

        known = tools if tools is None or isinstance(tools, Toolbox) else Toolbox(tools)
        return parse(text, dialect=dialect, tools=known, inputs=inputs, implied=implied)

    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Return the ids by level: a task stands one below the deepest task that it depends on."""
        from compiler_nb.plan.shape import levels  # noqa: PLC0415 - shape reads plans

        return levels(self)

    def critical_path(self, durations: Mapping[str, float] | None = None) -> tuple[str, ...]:
        """Return the ids of the longest chain; durations: seconds by id or tool, 1 for each where None."""
        from compiler_nb.plan.shape import critical_path  # noqa: PLC0415 - shape reads plans

        return critical_path(self, durations)

    def lower_bound(self, durations: Mapping[str, float] | None = None, capacity: int | None = None) -> float:
        """Return the shortest time any schedule can take: the critical path, or the work over the capacity."""
        from compiler_nb.plan.shape import lower_bound  # noqa: PLC0415 - shape reads plans

        return lower_bound(self, durations, capacity)

    def diff(self, other: Plan) -> Any:
        """Return what another plan adds, drops and changes."""
        from compiler_nb.plan.shape import diff  # noqa: PLC0415 - shape reads plans

        return diff(self, other)

    def to_text(self, dialect: str = "python") -> str:
        """Return the plan as text; raise a PlanError that names the task where the dialect cannot say it."""
        from compiler_nb.plan.script import to_text  # noqa: PLC0415 - script writes plans

        return to_text(self, dialect)

    def explain(self) -> str:
        """Return how the plan was understood: its tasks after lowering, what each waits for, and its shape."""
        from compiler_nb.plan.explain import explain  # noqa: PLC0415 - it reads plans

        return explain(self)

    def to_graphviz(self) -> Any:
        """Return the plan as a `graphviz.Digraph` that shows itself anywhere, and saves itself by its file's suffix.

        It is drawn by Graphviz where there is one, else by our own layout.
        """
        from compiler_nb.drawing.digraph import make_digraph  # noqa: PLC0415 - drawing knows plans, not the other way

        return make_digraph(self)

    def __getitem__(self, id: str) -> Task:  # noqa: A002 - the field's word
        """Return the task with this id, or with this variable name ("t1" for "1")."""
        if id in self.by_id:
            return self.by_id[id]
        for task in self.tasks:
            if task.name == id:
                return task
        raise KeyError(f"no task {id!r} in this plan; it has {', '.join(self.by_id) or 'none'}")

    def __contains__(self, id: object) -> bool:  # noqa: A002 - the field's word
        return id in self.by_id

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)


def fingerprint(task: Task, known: Mapping[str, str]) -> str:
    """Return the hash of what a task computes; `known` maps the ids it refers to to their fingerprints."""
    parts: list[str] = [task.kind, task.tool]
    _spell(task.args, known, parts)
    _spell(task.kwargs, known, parts)
    parts += [known.get(id_, id_) for id_ in task.after]
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _spell(tree: Tree, known: Mapping[str, str], parts: list[str]) -> None:
    kind = type(tree)
    if kind is Ref:
        parts += ("ref", known.get(tree.id, tree.id))
    elif kind is list or kind is tuple:
        _spell_many(kind.__name__, tree, known, parts)
    elif kind is dict:
        _spell_many("dict", [part for pair in tree.items() for part in pair], known, parts)
    elif kind is set:
        _spell_many("set", sorted(tree, key=repr), known, parts)
    elif kind is Task:
        _spell_many(f"{tree.tool}{tree.id}", (tree.args, tree.kwargs), known, parts)
    elif isinstance(tree, Node) and not tree.opaque:
        _spell_many(kind.__name__, [getattr(tree, f.name) for f in fields(tree)], known, parts)  # type: ignore[arg-type]
    else:
        parts += (kind.__name__, repr(tree))


def _spell_many(name: str, items: Iterable[Tree], known: Mapping[str, str], parts: list[str]) -> None:
    parts.append(f"({name}")
    for item in items:
        _spell(item, known, parts)
    parts.append(")")
