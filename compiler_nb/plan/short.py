"""Plans in words: calls and argument trees as one short line each, and how a whole plan was read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from functools import partial
from itertools import islice

from compiler_nb.plan.expression import Fanout, Local, spell, spell_call, spell_pattern
from compiler_nb.plan.shape import critical_path, levels
from compiler_nb.plan.task import LastLine, Return, Task, is_part, item_id
from compiler_nb.plan.tree import Expression, Ref, Tree, references, replace
from compiler_nb.text import ITEMS, count_of, cut, quote, shorten_value


def shorten_tree(tree: Tree, limit: int = 60, name_of: Callable[[str], str] | None = None) -> str:
    """Return an argument tree as source text of at most `limit` characters.

    name_of: says how the id of a task is written; by default numbered tasks are `$1`, `$2`.
    """
    kind = type(tree)
    if isinstance(tree, Expression):
        text = spell(tree, name_of or _name_of)
    elif kind is str:
        text = quote(tree[: limit + 1], limit + 1)
    elif kind is dict and tree:
        pairs = [f"{shorten_tree(key)}: {shorten_tree(value)}" for key, value in islice(tree.items(), ITEMS)]
        text = f"{{{', '.join(pairs)}{_more(tree)}}}"
    elif kind in (list, tuple) and tree:
        inner = ", ".join(shorten_tree(item) for item in islice(tree, ITEMS)) + _more(tree)
        text = f"[{inner}]" if kind is list else f"({inner}{',' if len(tree) == 1 else ''})"
    else:
        text = shorten_value(tree, limit)
    return cut(text, limit)


def _name_of(id_: str) -> str:
    return f"${id_}" if id_[:1].isdigit() else id_


def _more(tree: Sized) -> str:
    return f", … {len(tree) - ITEMS:,} more" if len(tree) > ITEMS else ""


def named_in(tasks: Mapping[str, Task]) -> Callable[[str], str]:
    """Return how ids are written if the calls within a line are written where their values are used."""

    def name_of(id_: str) -> str:
        part = tasks.get(id_) if is_part(id_) else None
        return _name_of(id_) if part is None else spell_call(part, name_of)

    return name_of


def shorten_call(task: Task, limit: int = 60, calls: Iterable[Task] = ()) -> str:
    """Return what a task computes, as one line: `weather("New York", days=3)`, or its expression.

    calls: those of its line that are written where an expression uses their values.
    """
    if task.kind != "call":
        name_of = named_in({call.id: call for call in calls})
        return shorten_tree(task.args[0], limit, name_of) if task.args else ""
    parts = [shorten_tree(tree, limit) for tree in task.args[:20]]
    parts += [f"{name}={shorten_tree(tree, limit)}" for name, tree in islice(task.kwargs.items(), 20)]
    return cut(f"{task.tool}({', '.join(parts)})", limit)


def shorten_final(final: LastLine, limit: int = 60) -> str:
    """Return a plan's last line: `answer(best)`, `join(ny, la)`."""
    if isinstance(final, Return):
        return cut(f"answer({shorten_tree(final.expression, limit)})", limit)
    return cut(f"join({', '.join(map(_name_of, final.refs[:20]))})", limit)


# -------------------------------------------------------------------- a plan, explained

_cut = partial(cut, limit=72)


def explain(tasks: Sequence[Task], final: LastLine, notes: Sequence[str] = ()) -> str:
    """Return one line per task as it will run, then the shape of the plan and the notes on its text.

    A nested call is a task of its own (`note.1`), an expression runs without a tool, and a fan-out becomes one task
    per call and item when its source is known.
    """
    lines = [line for task in tasks for line in _task_lines(task)]
    return "\n".join([*lines, _last_line(final), "", *_shape_lines(tasks), *notes])


def _task_lines(task: Task) -> list[str]:
    what = {"call": "a call", "expr": "an expression, without a tool", "fanout": "a fan-out"}[task.kind]
    lines = [f"{_cut(f'{task.id} = {spell_call(task, str)}')}  # {what}{_only_if(task)}; {_waits(task)}"]
    if task.kind != "fanout":
        return lines
    node: Fanout = task.args[0]
    item = item_id(task.id, spell(node.key, str) if node.container == "dict" else "n")
    lines.append(f"    for each {spell_pattern(node.target)} in {_cut(spell(node.source, str))}:")

    def named(part: Expression) -> Tree:
        return Ref(item + part.name) if isinstance(part, Local) and part.name.startswith(".") else part

    lines += [
        f"    {_cut(f'{item}{step.id} = {spell_call(step, str)}')}  # a call per item{_only_if(step)}"
        for step in replace(node.steps, named)
    ]
    if all(step.id for step in node.steps):
        lines.append(f"    {_cut(f'{item} = {spell(replace(node.element, named), str)}')}  # an expression per item")
    return lines


def _only_if(task: Task) -> str:
    return "" if task.guard is None else f", only if {_cut(spell(task.guard, str))}"


def _waits(task: Task) -> str:
    """Return what a task waits for; a guarded one waits for its test first, and only then for what it reads."""
    rest = [id_ for id_ in task.dependencies if id_ not in task.awaited()]
    groups = [", ".join(ids) for ids in (task.awaited(), rest) if ids]
    turn = _cut(", ".join(id_ for id_ in task.follows if id_ not in task.dependencies))
    if groups:
        return f"waits for {', then for '.join(groups)}{f', and its turn: after {turn}' if turn else ''}"
    return f"waits for its turn: after {turn}" if turn else "starts at once"


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
    shape = f"{count_of(len(tasks), 'task')} in {count_of(len(wide), 'level')}"
    return [
        f"{shape}; at most {len(widest)} at once: {_cut(', '.join(widest))}",
        f"the longest chain: {_cut(' -> '.join(critical_path(tasks)))}",
    ]
