"""Task, and a plan's last line: a task is data, and nothing is stored that can be derived."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from compiler_nb.plan.tree import Expression, Input, Ref, Tree, references, walk

Kind = Literal["call", "expr", "fanout"]
_PART: Final = re.compile(r".+\.[0-9]+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Join:
    """Last line `join(...)`: the joiner answers from these tasks' results, or from all results if `refs` is empty.

    instruction: what the plan tells the joiner to do, "" if it does not say.
    """

    refs: tuple[str, ...] = ()
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class Return:
    """Last line `answer(expression)`: the expression's value is the answer."""

    expression: Tree

    @property
    def refs(self) -> tuple[str, ...]:
        """The ids of the tasks that the expression reads."""
        return references(self.expression)


LastLine: TypeAlias = Join | Return
JOIN: Final = Join()


@dataclass(frozen=True, slots=True)
class Task(Expression):
    """One call of a tool, one pure expression, or one fan-out. It is a node itself, as a call in a fan-out's element.

    id: unique in a run; kind: "call", "expr" or "fanout"; tool: the tool's name, "" if none is called;
    args, kwargs: argument trees (an expr's or fan-out's only argument is its expression);
    after: ids declared as dependencies although no argument reads them; note: the comment above it;
    line, column: where its text begins, from 1; fingerprint: what it computes, whatever its name: a hash of tool and
    arguments with references replaced by fingerprints; version_of: the name in the text, "" if that is the id; guard:
    what must be true for it to be performed, always an expression, or None if it always is; follows: ids of tasks that
    it comes after although it reads nothing of them, for the order of side effects (effects.py); since: the fingerprint
    of the last call with side effects above it, if what it does or returns may depend on that, else "".
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
    version_of: str = field(default="", compare=False, repr=False)
    guard: Tree = None
    follows: tuple[str, ...] = field(default=(), compare=False, repr=False)
    since: str = field(default="", compare=False, repr=False)
    _reads: tuple[tuple[str, ...], tuple[str, ...]] | None = field(default=None, init=False, compare=False, repr=False)

    __hash__ = None  # type: ignore[assignment]  # the arguments are plain, mutable data

    @property
    def dependencies(self) -> tuple[str, ...]:
        """The ids of the tasks that this one reads, in order: in its guard, in its arguments, then those declared."""
        return self.reads()[0]

    def awaited(self) -> tuple[str, ...]:
        """Return the ids of the tasks that it waits for first: those that its guard reads, or all if it has none."""
        return (self._reads or self._read())[0] if self.guard is None else references(self.guard)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the offered variables that this task reads, in order."""
        return self.reads()[1]

    def reads(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the ids of the tasks and the names of the variables that it reads; CPython reads properties slowly."""
        return self._reads or self._read()

    def _read(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return dependencies and inputs, found in one walk through the arguments and kept."""
        if not self.args and not self.kwargs and self.guard is None:
            return self.after, ()  # without that, the walk would be a third of what the engine adds to a call
        nodes = list(walk((self.guard, self.args, self.kwargs)))
        ids = [*(node.id for node in nodes if type(node) is Ref), *self.after]
        names = [node.name for node in nodes if type(node) is Input]
        found = tuple(dict.fromkeys(ids)), tuple(dict.fromkeys(names))
        object.__setattr__(self, "_reads", found)
        return found

    @property
    def owner(self) -> str:
        """The id of the fan-out that it is an item of, or a call in an item's chain; "" if it is neither."""
        return owner_of(self.id)

    @property
    def name(self) -> str:
        """The variable that its value is bound to: its id, "t1" for the id "1", "" for a generated id.

        A name that is assigned twice is the variable of both tasks, and means the later one.
        """
        name = self.version_of or variable(self.id)
        return name if name.isidentifier() else ""


# ---- ids: of the items of the fan-out `rows`, `rows[AAPL]`, of the second one with that key, `rows[AAPL]#2`,
# ---- and of the calls within a line: `note.1` in the line `note`, `rows[AAPL].1` in an item's chain.


def variable(id_: str) -> str:
    """Return the variable of a task's id: "t1" for "1", else the id."""
    return f"t{id_}" if id_[:1].isdigit() else id_


def item_id(fanout: str, key: str, number: int = 1) -> str:
    """Return the id of the item with this key as text, the `number`th that shows the same key."""
    return f"{fanout}[{key}]{f'#{number}' if number > 1 else ''}"


def part_id(line: str, number: int) -> str:
    """Return the id of the `number`th call within the line or item with this id."""
    return f"{line}.{number}"


def is_part(id_: str) -> bool:
    """Whether an id is that of a call within a line, or within the chain of an item."""
    return _PART.fullmatch(id_) is not None


def line_of(id_: str) -> str:
    """Return the id of the line, or the item, that a call stands in; "" if it is not a call within one."""
    return id_.rpartition(".")[0] if is_part(id_) else ""


def owner_of(id_: str) -> str:
    """Return the id of the fan-out that a task is an item of, or a call in an item's chain; "" if it is neither."""
    return id_.partition("[")[0] if "[" in id_ else ""


def inputs_of(tasks: Iterable[Task], last: LastLine) -> tuple[str, ...]:
    """Return the names of the offered variables that tasks and a last line read, in the order of the text."""
    trees: list[Tree] = [*tasks, last.expression if isinstance(last, Return) else None]
    return tuple(dict.fromkeys(node.name for node in walk(trees) if type(node) is Input))


def fingerprint(task: Task, known: Mapping[str, str]) -> str:
    """Return the hash of what a task computes; known: the fingerprints of the tasks that it refers to, by id."""
    parts: list[str] = [task.kind, task.tool]
    _spell(task.args, known, parts)
    _spell(task.kwargs, known, parts)
    parts += [known.get(id_, id_) for id_ in task.after]
    if task.guard is not None:
        _spell_many("if", (task.guard,), known, parts)
    if task.since:
        parts += ("since", task.since)
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
        guard = () if tree.guard is None else (tree.guard,)
        _spell_many(f"{tree.tool}{tree.id}", (tree.args, tree.kwargs, *guard), known, parts)
    elif isinstance(tree, Expression) and not tree.opaque:
        _spell_many(kind.__name__, [getattr(tree, name) for name in tree.__match_args__], known, parts)
    else:
        parts += (kind.__name__, repr(tree))


def _spell_many(name: str, items: Iterable[Tree], known: Mapping[str, str], parts: list[str]) -> None:
    parts.append(f"({name}")
    for item in items:
        _spell(item, known, parts)
    parts.append(")")
