"""Explain in words how a plan was read: its tasks, what each waits for, and what may run at the same time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from compiler_nb.plan.expression import Fanout, Local, spell, spell_call, spell_pattern
from compiler_nb.plan.shape import critical_path, levels
from compiler_nb.plan.task import Return, item_id
from compiler_nb.plan.tree import Expression, Ref, Tree, references, replace
from compiler_nb.text import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler_nb.plan.task import LastLine, Task

_cut = partial(cut, limit=72)


def explain(tasks: Sequence[Task], final: LastLine) -> str:
    """Return one line per task as it will run, then the shape of the plan.

    A nested call is a task of its own (`note.1`), an expression runs without a tool, and a fan-out becomes one task
    per call and item when its source is known.
    """
    lines = [line for task in tasks for line in _task_lines(task)]
    lines.append(_last_line(final))
    return "\n".join([*lines, "", *_shape_lines(tasks)])


def _task_lines(task: Task) -> list[str]:
    waits = ", ".join(task.dependencies)
    after = f"waits for {waits}" if waits else "starts at once"
    what = {"call": "a call", "expr": "an expression, without a tool", "fanout": "a fan-out"}[task.kind]
    lines = [f"{_cut(f'{task.id} = {spell_call(task, str)}')}  # {what}; {after}"]
    if task.kind != "fanout":
        return lines
    node: Fanout = task.args[0]
    item = item_id(task.id, spell(node.key, str) if node.container == "dict" else "n")
    lines.append(f"    for each {spell_pattern(node.target)} in {_cut(spell(node.source, str))}:")

    def named(part: Expression) -> Tree:
        return Ref(item + part.name) if isinstance(part, Local) and part.name.startswith(".") else part

    lines += [
        f"    {_cut(f'{item}{step.id} = {spell_call(replace(step, named), str)}')}  # a call per item"
        for step in node.steps
    ]
    if all(step.id for step in node.steps):
        lines.append(f"    {_cut(f'{item} = {spell(replace(node.element, named), str)}')}  # an expression per item")
    return lines


def _last_line(final: LastLine) -> str:
    if isinstance(final, Return):
        waits = ", ".join(references(final.expression))
        return f"{_cut(f'answer({spell(final.expression, str)})')}  # the answer itself" + (
            f", as soon as {waits} {'is' if ',' not in waits else 'are'} there" if waits else ""
        )
    shown = ", ".join(final.refs) or "all results"
    return f"join({', '.join(final.refs)})  # when all tasks have ended, the joiner is shown {shown}"


def _shape_lines(tasks: Sequence[Task]) -> list[str]:
    if not tasks:
        return ["no task"]
    wide = levels(tasks)
    widest = max(wide, key=len)
    path = critical_path(tasks)
    return [
        f"{len(tasks)} tasks in {len(wide)} levels; at most {len(widest)} at once: {_cut(', '.join(widest))}",
        f"the longest chain: {_cut(' -> '.join(path))}",
    ]
