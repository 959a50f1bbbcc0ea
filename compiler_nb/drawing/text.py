"""Plans and timelines as text: tables that are the same for the same run."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, Final

from compiler_nb.drawing.boxes import left_out
from compiler_nb.drawing.chart import Chart, Row
from compiler_nb.outcome import State
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.short import shorten_call, shorten_final
from compiler_nb.plan.task import Task
from compiler_nb.text import cut, describe_outcome, seconds_text

MARKS: Final[Mapping[str, str]] = {
    "waiting": "·", "ready": "○", "running": "▸", "done": "✓", "failed": "✗", "skipped": "»", "cancelled": "■",
}  # fmt: skip
WIDTH: Final = 100
ROWS: Final = 40
BARS: Final = 50
"""Columns of a timeline's bars."""
TITLE: Final = 160
"""Characters of a call, and of a value, in the hover text of a task."""
_SIGNS: Final = {"wait": "░", "think": "╌", "write": "─"}


def columns_of(text: str) -> int:
    """Return how many columns a text takes in a terminal: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def _fit(text: str, width: int) -> str:
    line = cut(text, width)
    while columns_of(line) > width:
        line = f"{line.removesuffix('…')[:-1]}…"
    return line


def text_table(rows: Iterable[Sequence[str]], width: int = WIDTH) -> str:
    """Return rows of cells as aligned lines: at most `width` columns wide and ROWS long; further rows are counted."""
    every = list(rows)
    shown = [[_fit(cell, width) for cell in row] for row in every[:ROWS]]
    widths = [max(map(columns_of, column)) for column in zip_longest(*shown, fillvalue="")]
    while sum(widths) + 2 * (len(widths) - 1) > width:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in shown:
        cells = [_fit(cell, w) for cell, w in zip(row, widths, strict=False)]
        lines.append("  ".join(cell + " " * (w - columns_of(cell)) for cell, w in zip(cells, widths, strict=False)))
    more = [f"… {len(every) - ROWS:,} more"] if len(every) > ROWS else []
    return "\n".join([*(line.rstrip() for line in lines), *more])


def plan_text(
    plan: Plan | Iterable[Task],
    states: Mapping[str, State] | None = None,
    outcomes: Mapping[str, Any] | None = None,
    given: Mapping[str, str] = MappingProxyType({}),
    costs: Mapping[str, str] | None = None,
    *,
    items: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return a plan as a table that is the same for equal runs: state, id, call, short value; then its last line.

    given: the tasks whose values the user gave, and what is said of these; costs: what tasks cost, in words, for a
    column of its own; items: how the items of fan-outs stand, in words.
    """
    lost = left_out(states or {})
    rows = [
        _row(task, states or {}, outcomes or {}, lost.get(task.id), given, items=items.get(task.id, ""))
        for task in plan
    ]
    if costs:
        rows = [(*row[:3], costs.get(row[1], ""), row[3]) for row in rows]
    table = text_table([row if states or outcomes else row[1:3] for row in rows])
    last = shorten_final(plan.final, WIDTH) if isinstance(plan, Plan) else ""
    return "\n".join(part for part in (table, last) if part)


def _row(
    task: Task,
    states: Mapping[str, State],
    outcomes: Mapping[str, Any],
    lost: tuple[int, int] | None,
    given: Mapping[str, str],
    *,
    items: str,
) -> tuple[str, ...]:
    state = states.get(task.id, "waiting")
    value = describe_outcome(outcomes[task.id], WIDTH) if task.id in outcomes else items
    if lost is not None:
        value = f"{lost[1] - lost[0]:,} of {lost[1]:,} items: {value}"
    if task.id in given:
        value += f" · {given[task.id]}"
    return f"{MARKS[state]} {state}", cut(task.id, 30), shorten_call(task, WIDTH // 2), value


def task_titles(
    tasks: Iterable[Task],
    states: Mapping[str, State],
    outcomes: Mapping[str, Any],
    *,
    given: Mapping[str, str] = MappingProxyType({}),
    costs: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the hover text of each task: state, call, short value, cost, note; given, costs: as for `plan_text`."""
    titles = {}
    for task in tasks:
        state = states.get(task.id, "waiting")
        lines = [f"{task.id} · {state}{f' · {given[task.id]}' if task.id in given else ''}", shorten_call(task, TITLE)]
        if task.id in outcomes:
            lines.append(f"{'=' if state == 'done' else ''} {describe_outcome(outcomes[task.id], TITLE)}".strip())
        if costs and task.id in costs:
            lines.append(costs[task.id])
        titles[task.id] = "\n".join([*lines, *([f"# {task.note}"] if task.note else [])])
    return titles


def chart_text(chart: Chart) -> str:
    """Return a timeline as lines: mark, label, a bar of characters, and how long it ran; * is the critical path."""
    wide = max([columns_of(row.label) for row in chart.rows if not row.is_head], default=0)
    lines = []
    for row in chart.rows:
        if row.is_head:
            lines.append(row.label)
            continue
        mark = MARKS[row.state] if row.state is not None else " "
        label = row.label + " " * (wide - columns_of(row.label)) + (" *" if row.critical else "  ")
        if row.absent:
            lines.append(f"{mark} {label} {row.absent}")
            continue
        lines.append(f"{mark} {label} {_chart_bar(row, chart.total)}  {seconds_text(row.ran)}")
    total = seconds_text(chart.total)
    axis = f"{' ' * (wide + 5)}{'0':<{BARS - len(total)}}{total}"
    legend = "░ waits for a slot, █ runs" + (", * critical path" if chart.path else "")
    return "\n".join([axis, *lines, *chart.lines, legend])


def _chart_bar(row: Row, total: float) -> str:
    cells = [" "] * BARS
    for bar in row.bars:
        start = min(int(bar.start / total * BARS), BARS - 1)
        end = max(start + 1, min(round(bar.end / total * BARS), BARS))
        cells[start:end] = _SIGNS.get(bar.look, "█") * (end - start)
    return "".join(cells)
