"""What every dialect needs to make a plan: names, references, checks, order and limits."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import count

from compiler_nb.errors import Problem
from compiler_nb.plan import check
from compiler_nb.plan.effects import effects_of, nature
from compiler_nb.plan.task import LastLine, Task, fingerprint
from compiler_nb.plan.tree import Ref, Tree
from compiler_nb.plan.tree import replace as replace_nodes
from compiler_nb.tool import Tool

PROBLEM_LIMIT = 100
"""Most problems that are kept of one text; more would not help."""


class Builder:
    """Collects the tasks and problems of one plan while a dialect reads it.

    tools: by name, None to accept any; inputs: names of the offered variables; earlier: ids of earlier rounds' results,
    which this plan may read, with their fingerprints; taken: all ids that the run has used; names: what a name means
    that several earlier tasks were assigned to, the id of the last one; since: the fingerprint of the last call with
    side effects in earlier rounds, "" if there was none.
    After the first problem nothing more is released, but reading goes on.
    """

    def __init__(
        self,
        tools: Mapping[str, Tool] | None = None,
        inputs: Collection[str] = (),
        earlier: Mapping[str, str] | None = None,
        taken: Iterable[str] = (),
        names: Mapping[str, str] | None = None,
        *,
        since: str = "",
    ) -> None:
        self.since = since
        self.tools, self.inputs = tools, frozenset(inputs)
        self.earlier = dict(earlier or {})
        self.taken = {*taken, *self.earlier}
        self.fingerprints = dict(self.earlier)
        meant = {**dict.fromkeys(self.earlier), **(names or {})}
        # A name whose last version has no value means nothing: an older value would take its place in silence.
        self.readable = {name: Ref(id_ or name) for name, id_ in meant.items() if (id_ or name) in self.earlier}
        self.functions: Collection[str] = ()  # what the dialect can call besides tools, to suggest it
        self.ids: dict[str, str] = {}  # a name in this plan's text -> the task's id, the latest if it has several
        self.containers: dict[str, str] = {}  # "list" or "dict", by the id of a fan-out
        self.tasks: list[Task] = []
        self.released: list[Task] = []
        self.problems: list[Problem] = []
        self.notes: list[str] = []  # where the text was not read as it is written
        self.final: LastLine | None = None
        self.last: Tree = None  # the value of the last statement
        self.answers = False  # whether the value of the last line is the answer, so that it may be an expression
        self.edges = 0
        self._effects = effects_of(tools)
        self._is_over = False  # whether there were too many tasks or edges
        self._numbers: dict[str, int] = {}  # a name that is repeated -> the number to try next

    def problem(self, kind: str, line: int, column: int, message: str, task: str = "", *, once: bool = False) -> None:
        """Report a problem; line and column count from 1. once: only if none of this kind was reported before."""
        if not self.full and not (once and self.has(kind)):
            self.problems.append(Problem(kind, line, column, message, task))

    def note(self, line: int, message: str) -> None:
        """Note that a line was read in another way than it is written."""
        if len(self.notes) < PROBLEM_LIMIT:
            self.notes.append(f"line {line}: {message}")

    def report(self, task: Task, kind: str, message: str, *, once: bool = False) -> None:
        """Report a problem of a task, at the task's place."""
        self.problem(kind, task.line, task.column, message, task.id, once=once)

    def has(self, kind: str) -> bool:
        """Whether a problem of this kind was reported."""
        return any(problem.kind == kind for problem in self.problems)

    @property
    def full(self) -> bool:
        """Whether no more problems are kept, so that nobody need look for them."""
        return self._is_over or len(self.problems) >= PROBLEM_LIMIT

    def resolve(self, name: str) -> Ref | None:
        """Return the reference that a name or number stands for: a task of this plan, an earlier result, or None."""
        if name in self.ids:
            return Ref(self.ids[name])
        return self.readable.get(name)

    def has_task(self, name: str) -> bool:
        """Whether a task of this run was assigned to a name, so that only another task can replace its value."""
        return name in self.ids or name in self.taken

    def check_call(self, task: Task) -> bool:
        """Report what is wrong with a call's tool and arguments; return whether the call is correct."""
        unknown = check.check_tool(task.tool, self.tools, self.functions)
        if unknown:
            self.report(task, *unknown)
            return False
        count = len(task.args) + len(task.kwargs)
        if count > check.ARGUMENT_LIMIT:
            self.report(
                task,
                "too_many_tasks",
                f"a call with {count} arguments; at most {check.ARGUMENT_LIMIT} are allowed: give a list",
            )
            return False
        wrong = [] if self.tools is None else check.check_arguments(self.tools[task.tool], task.args, task.kwargs)
        for message in wrong:
            self.report(task, "bad_args", message)
        return not wrong

    def add(self, task: Task, parts: Iterable[Task] = (), *, avoid: Collection[str] = ()) -> str:
        """Take a task whose references are all known, after the tasks made of the calls nested in it; return its id.

        `task.id` is the name in the text, and the ids of `parts` begin with it and a dot. The id is the name if it
        is free and not to be avoided, or if an earlier round's task of this name computes the same; else name_2, ...
        """
        group, prints = self._prints([*parts, replace(task, note=check.one_line(task.note)) if task.note else task])
        name = task.id
        id_ = self.ids[name] = self._free(name, prints[name], avoid)
        own = f"{name}_2" if name in avoid else name
        for each in group:
            renamed = _renamed(each, name, id_)
            if each is group[-1] and id_ != own and name.isidentifier():
                renamed = replace(renamed, version_of=own)
            self._take(renamed, prints[each.id])
        return id_

    def add_parts(self, name: str, parts: Iterable[Task], trees: Iterable[Tree]) -> list[Tree]:
        """Take the tasks made of calls in the last line; return the trees with the ids that these got."""
        group, prints = self._prints(parts)
        # `answer` itself is never an id; only its parts, `answer.1`, may have been taken in an earlier round.
        taken = {id_.split(".")[0] for id_ in self.taken if "." in id_}
        id_ = free_name(name, taken)
        for each in group:
            self._take(_renamed(each, name, id_), prints[each.id])
        return [_renamed(tree, name, id_) for tree in trees]

    def _prints(self, tasks: Iterable[Task]) -> tuple[list[Task], dict[str, str]]:
        """Return the tasks of a line, each with the last side effect above it, and their fingerprints by id."""
        group = list(tasks)
        prints: dict[str, str] = {}
        known: Mapping[str, str] = ChainMap(prints, self.fingerprints) if len(group) > 1 else self.fingerprints
        for place, each in enumerate(group):
            kind = nature(each, self.tools or {}) if self._effects is not None else "pure"
            if kind != "pure" and self.since:
                group[place] = replace(each, since=self.since)
            prints[each.id] = fingerprint(group[place], known)
            if kind == "effect":
                self.since = prints[each.id]
        return group, prints

    def _free(self, name: str, print_: str, avoid: Collection[str]) -> str:
        if name not in self.taken and name not in avoid:
            return name
        # A replan often repeats a line word for word: it keeps its id, so that its outcome is adopted.
        if name not in self.ids and self.earlier.get(name) == print_:
            return name
        number = self._numbers.get(name, 2)
        while (id_ := f"{name}_{number}") in self.taken:
            if name not in self.ids and self.earlier.get(id_) == print_:
                return id_
            number += 1
        self._numbers[name] = number + 1
        return id_

    def _take(self, task: Task, print_: str) -> None:
        follows = self._effects.follows(task) if self._effects is not None else ()
        task = replace(task, fingerprint=print_, follows=follows)
        self.edges += len(task.dependencies)
        if len(self.tasks) >= check.TASK_LIMIT or self.edges > check.EDGE_LIMIT:
            self.report(
                task,
                "too_many_tasks",
                f"a plan has at most {check.TASK_LIMIT:,} tasks and {check.EDGE_LIMIT:,} references: use a fan-out",
                once=True,
            )
            self._is_over = True
            return
        self.taken.add(task.id)
        self.fingerprints[task.id] = print_
        if task.kind == "fanout":
            self.containers[task.id] = task.args[0].container
        self.tasks.append(task)
        if not self.problems:
            self.released.append(task)


def split_note(note: str) -> tuple[int, str]:
    """Return the line of a note on a plan's text, and what it says."""
    place, _, message = note.partition(": ")
    return int(place.removeprefix("line ")), message


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Return the name if it is not taken, otherwise the first of name_2, name_3, ... that is not."""
    return wanted if wanted not in taken else next(n for i in count(2) if (n := f"{wanted}_{i}") not in taken)


def _renamed(tree: Tree, name: str, id_: str) -> Tree:
    """Return a tree, or a task, in which the line `name` and the calls nested in it go by the id that the line got."""

    def change(node: Tree) -> Tree:
        return Ref(id_ + node.id[len(name) :]) if type(node) is Ref and node.id.startswith(f"{name}.") else node

    if name == id_:
        return tree
    changed = replace_nodes(tree, change)
    return replace(changed, id=id_ + changed.id[len(name) :]) if type(changed) is Task else changed
