"""When what ran: a row for each task with a bar for each attempt, as a picture and as text.

Waiting for a slot looks different from running, calls of models are thin bars above the tasks, and the critical path
is marked: the chain of tasks that needed each other and took longest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from compiler_nb.drawing.bars import draw_svg
from compiler_nb.drawing.bars_png import draw_png
from compiler_nb.drawing.chart import Chart, Row, make_chart
from compiler_nb.drawing.files import Drawing
from compiler_nb.drawing.text import MARKS, columns_of
from compiler_nb.text import seconds_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from compiler_nb.outcome import State
    from compiler_nb.plan.task import Task
    from compiler_nb.trace import ModelCall, Span

TEXT: Final = 50
"""Columns of the bars in text."""
_SIGNS: Final = {"wait": "░", "think": "╌", "write": "─"}


@dataclass(frozen=True, slots=True, repr=False)
class Timeline(Drawing):
    """A drawn timeline: its SVG, the same as text, and what it shows."""

    svg: str
    text: str
    chart: Chart

    def png(self) -> bytes | None:
        """Return it as PNG, drawn by Graphviz; None without Graphviz."""
        return draw_png(self.chart)

    def __repr__(self) -> str:
        count = len(self.chart.rows) + self.chart.more
        return f"<timeline of {count:,} task{'' if count == 1 else 's'}, {seconds_text(self.chart.total)}>"


def timeline(
    spans: Iterable[Span],
    *,
    tasks: Mapping[str, Task],
    states: Mapping[str, State] | None = None,
    calls: Iterable[ModelCall] = (),
    critical: Sequence[str] = (),
    total: float | None = None,
    words: str = "",
) -> Timeline:
    """Return the timeline of some attempts, the same for the same arguments.

    tasks, states: by id, for hover texts and marks; calls: of models, which get rows of their own; critical: ids of the
    critical path in its order; total: seconds, defaults to the last end; words: a line below.
    """
    chart = make_chart(
        spans, tasks=tasks, states=states or {}, calls=calls, critical=critical, total=total, words=words
    )
    return Timeline(draw_svg(chart), _text(chart), chart)


# ---------------------------------------------------------------- text


def _text(chart: Chart) -> str:
    """Return the rows as lines: mark, label, a bar of characters, and how long it ran; * marks the critical path."""
    wide = max([columns_of(row.label) for row in (*chart.models, *chart.rows)], default=0)
    lines = []
    for row in (*chart.models, *chart.rows):
        mark = MARKS[row.state] if row.state is not None else " "
        label = row.label + " " * (wide - columns_of(row.label))
        lines.append(f"{mark} {label} {'*' if row.critical else ' '} {_bar(row, chart.total)}  {seconds_text(row.ran)}")
    more = [f"… {chart.more:,} more"] if chart.more else []
    axis = f"{' ' * (wide + 5)}{'0':<{TEXT - len(seconds_text(chart.total))}}{seconds_text(chart.total)}"
    legend = "░ waits for a slot, █ runs" + (", * critical path" if chart.path else "")
    return "\n".join([axis, *lines, *more, *([chart.words] if chart.words else []), legend])


def _bar(row: Row, total: float) -> str:
    cells = [" "] * TEXT
    for bar in row.bars:
        start = min(int(bar.start / total * TEXT), TEXT - 1)
        end = max(start + 1, min(round(bar.end / total * TEXT), TEXT))
        cells[start:end] = _SIGNS.get(bar.look, "█") * (end - start)
    return "".join(cells)
