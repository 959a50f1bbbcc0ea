"""When what ran: a row for each task with a bar for each attempt, as a picture and as text.

Waiting for a slot looks different from running, calls of models are thin bars above the tasks, and the critical path
is marked: the chain of tasks that needed each other and took longest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from compiler_nb.drawing.chart import Bar, Chart, Row, draw_svg
from compiler_nb.drawing.picture import Picture
from compiler_nb.drawing.png import draw_png
from compiler_nb.drawing.text import chart_text
from compiler_nb.outcome import State
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import Task
from compiler_nb.text import count_of, cut, seconds_text
from compiler_nb.trace import ModelCall, Span

MOST: Final = 200
"""Most rows of tasks; the others are counted."""
LABEL: Final = 26
"""Characters of a row's label."""
CALL, SHORT_CALL, FEW = 160, 60, 60
"""Characters of a call in a hover text, in a timeline of up to FEW rows and above."""
WORDS: Final = 150
"""Characters of the line below."""
TICKS: Final = 8
LEAST: Final = 0.001
"""Seconds of waiting that are worth a word."""


def timeline(
    spans: Iterable[Span],
    *,
    tasks: Mapping[str, Task],
    states: Mapping[str, State] | None = None,
    calls: Iterable[ModelCall] = (),
    critical: Sequence[str] = (),
    total: float | None = None,
    words: str = "",
) -> Picture:
    """Return the timeline of some attempts, the same for the same arguments.

    tasks, states: by id, for hover texts and marks; calls: of models, which get rows of their own; critical: ids of the
    critical path in its order; total: seconds, defaults to the last end; words: a line below.
    """
    every, asked = list(spans), list(calls)
    tried: dict[str, list[Span]] = {}
    for span in every:
        tried.setdefault(span.task, []).append(span)
    ends = [span.started if span.ended is None else span.ended for span in every]
    ends += [call.started if call.ended is None else call.ended for call in asked]
    length = max([*ends, total or 0.0, 1e-6])
    room = CALL if len(tried) <= FEW else SHORT_CALL
    rows = []
    for id_, each in list(tried.items())[:MOST]:
        state = (states or {}).get(id_, each[-1].state)
        bars = tuple(_bars(each, length))
        lines = [f"{cut(id_, CALL)} · {state}", *([shorten_call(tasks[id_], room)] if id_ in tasks else [])]
        title = "\n".join([*lines, _times(bars, len(each))])
        rows.append(Row(id_, cut(id_, LABEL), state, bars, title, id_ in critical))
    models = [_model_row(role, asked, length) for role in dict.fromkeys(call.role for call in asked)]
    chart = Chart(
        tuple(models), tuple(rows), max(len(tried) - MOST, 0), length, cut(words, WORDS), tuple(critical),
        tuple(find_ticks(length)),
    )  # fmt: skip
    about = f"timeline of {count_of(chart.tasks, 'task')}, {seconds_text(chart.total)}"
    return Picture(draw_svg(chart), chart_text(chart), about, {".png": partial(draw_png, chart)})


def _bars(tried: Iterable[Span], total: float) -> Iterator[Bar]:
    for span in tried:
        if span.started - span.ready >= LEAST:
            yield Bar(span.ready, span.started, "wait")
        yield Bar(span.started, max(total if span.ended is None else span.ended, span.started), span.state)


def _times(bars: Iterable[Bar], attempts: int) -> str:
    """Return how long a task waited for slots and ran."""
    waited = sum(bar.end - bar.start for bar in bars if bar.look == "wait")
    ran = sum(bar.end - bar.start for bar in bars if bar.look != "wait")
    told = f"waited {seconds_text(waited)}, " if waited else ""
    return f"{told}ran {seconds_text(ran)}" + (f" in {attempts} attempts" if attempts > 1 else "")


def _model_row(role: str, calls: Iterable[ModelCall], total: float) -> Row:
    """Return the calls of one role as a row: a bar until the first word, and one from then on."""
    bars: list[Bar] = []
    for call in calls:
        if call.role == role:
            end = total if call.ended is None else call.ended
            first = end if call.first is None else min(call.first, end)
            bars += [Bar(call.started, first, "think"), Bar(first, end, "write")]
    title = f"{cut(role, LABEL)}: {seconds_text(sum(bar.end - bar.start for bar in bars))}"
    return Row("", cut(role, LABEL), None, tuple(bar for bar in bars if bar.end > bar.start), title)


def find_ticks(total: float, most: int = TICKS) -> list[tuple[float, str]]:
    """Return round seconds from 0 up to a total, at most `most` steps apart, with their labels in one unit."""
    power = 10.0 ** math.floor(math.log10(total / most))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if power * factor * most >= total)
    unit, name = (1.0, "s") if total >= 1 else (1000.0, "ms")
    count = int(total / step + 1e-9)
    return [(number * step, f"{number * step * unit:.6g} {name}" if number else "0") for number in range(count + 1)]
