"""Calls and plans as text: one line for a call, a table for a plan, the same for the same run."""

from __future__ import annotations

import unicodedata
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.drawing.value import BRACKETS, ITEMS, cut, describe_outcome, quote, shorten_value
from compiler_nb.plan.expression import spell
from compiler_nb.plan.task import Input, Node, Plan, Ref, Return

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence, Sized

    from compiler_nb.outcome import State
    from compiler_nb.plan.task import Final as FinalLine
    from compiler_nb.plan.task import Task, Tree

__all__ = [
    "MARKS",
    "plan_text",
    "seconds_text",
    "shorten_call",
    "shorten_final",
    "shorten_tree",
    "shorten_value",
    "task_titles",
    "text_table",
]

MARKS: Final[Mapping[str, str]] = {
    "waiting": "·", "ready": "○", "running": "▸", "done": "✓", "failed": "✗", "skipped": "»", "cancelled": "■",
}  # fmt: skip
WIDTH: Final = 100
ROWS: Final = 40


def shorten_tree(tree: Tree, limit: int = 60) -> str:
    """Return an argument tree as source text of at most `limit` characters; numbered tasks are `$1`, `$2`."""
    kind = type(tree)
    if kind is Ref or kind is Input:
        text = _name_of(tree.id) if kind is Ref else tree.name
    elif isinstance(tree, Node):
        text = spell(tree, _name_of)
    elif kind is str:
        text = quote(tree[: limit + 1], limit + 1)
    elif kind is dict and tree:
        pairs = [f"{shorten_tree(key)}: {shorten_tree(value)}" for key, value in islice(tree.items(), ITEMS)]
        text = f"{{{', '.join(pairs)}{_more(tree)}}}"
    elif kind in (list, tuple) and tree:
        opening, closing = BRACKETS[kind][0], BRACKETS[kind][1]
        parts = [shorten_tree(item) for item in islice(tree, ITEMS)]
        text = f"{opening}{', '.join(parts)}{',' if kind is tuple and len(tree) == 1 else ''}{_more(tree)}{closing}"
    else:
        text = shorten_value(tree, limit)
    return cut(text, limit)


def _name_of(id_: str) -> str:
    return f"${id_}" if id_[:1].isdigit() else id_


def _more(tree: Sized) -> str:
    return f", … {len(tree) - ITEMS:,} more" if len(tree) > ITEMS else ""


def shorten_call(task: Task, limit: int = 60) -> str:
    """Return what a task computes as one line: `weather("New York", days=3)`, or its expression."""
    if task.kind != "call":
        return shorten_tree(task.args[0], limit) if task.args else ""
    parts = [shorten_tree(tree, limit) for tree in task.args[:20]]
    parts += [f"{name}={shorten_tree(tree, limit)}" for name, tree in islice(task.kwargs.items(), 20)]
    return cut(f"{task.tool}({', '.join(parts)})", limit)


def shorten_final(final: FinalLine, limit: int = 60) -> str:
    """Return a plan's last line: `answer(best)`, `join(ny, la)`."""
    if isinstance(final, Return):
        return cut(f"answer({shorten_tree(final.expression, limit)})", limit)
    return cut(f"join({', '.join(map(_name_of, final.refs[:20]))})", limit)


def seconds_text(seconds: float) -> str:
    """Return a duration: `12 ms`, `1.9 s`, `140 s`."""
    if seconds < 0.1:  # noqa: PLR2004 - see the examples
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:,.0f} s"  # noqa: PLR2004 - see the examples


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: East Asian wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def _fit(text: str, width: int) -> str:
    line = cut(text, width)
    while columns_of(line) > width:
        line = f"{line.removesuffix('…')[:-1]}…"
    return line


def text_table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of cells as aligned lines: at most WIDTH columns wide and ROWS long, the others are counted."""
    every = list(rows)
    shown = [[_fit(cell, WIDTH) for cell in row] for row in every[:ROWS]]
    widths = [0] * max((len(row) for row in shown), default=0)
    for row in shown:
        for column, cell in enumerate(row):
            widths[column] = max(widths[column], columns_of(cell))
    while sum(widths) + 2 * (len(widths) - 1) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in shown:
        cells = [_fit(cell, width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join(cell + " " * (w - columns_of(cell)) for cell, w in zip(cells, widths, strict=False)))
    more = [f"… {len(every) - ROWS:,} more"] if len(every) > ROWS else []
    return "\n".join([*(line.rstrip() for line in lines), *more])


def plan_text(
    plan: Plan | Iterable[Task],
    states: Mapping[str, State] | None = None,
    outcomes: Mapping[str, Any] | None = None,
) -> str:
    """Return a plan as a table that is the same for the same run: state, id, call, short value; then its last line."""
    rows = [_row(task, states or {}, outcomes or {}) for task in plan]
    table = text_table([row if states or outcomes else row[1:3] for row in rows])
    last = shorten_final(plan.final, WIDTH) if isinstance(plan, Plan) else ""
    return "\n".join(part for part in (table, last) if part)


def _row(task: Task, states: Mapping[str, State], outcomes: Mapping[str, Any]) -> tuple[str, str, str, str]:
    state = states.get(task.id, "waiting")
    value = describe_outcome(outcomes[task.id], WIDTH) if task.id in outcomes else ""
    return f"{MARKS[state]} {state}", cut(task.id, 30), shorten_call(task, WIDTH // 2), value


def task_titles(
    tasks: Iterable[Task], states: Mapping[str, State], outcomes: Mapping[str, Any], limit: int = 160
) -> dict[str, str]:
    """Return what a picture says of each task when one points at it: state, call, short value, note."""
    titles = {}
    for task in tasks:
        state = states.get(task.id, "waiting")
        lines = [f"{task.id} · {state}", shorten_call(task, limit)]
        if task.id in outcomes:
            lines.append(f"{'=' if state == 'done' else ''} {describe_outcome(outcomes[task.id], limit)}".strip())
        titles[task.id] = "\n".join([*lines, *([f"# {task.note}"] if task.note else [])])
    return titles
