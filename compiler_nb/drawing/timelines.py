"""When what ran in two runs: two timelines, one above the other, on one axis, with each pair of tasks in one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from compiler_nb.drawing.chart import Chart, Row, draw_svg
from compiler_nb.drawing.picture import Picture
from compiler_nb.drawing.png import draw_png
from compiler_nb.drawing.text import chart_text
from compiler_nb.drawing.timeline import CALL, FEW, SHORT_CALL, RowMaker, find_ticks
from compiler_nb.outcome import State
from compiler_nb.plan.matching import TaskDiff
from compiler_nb.plan.task import Task
from compiler_nb.text import count_of, cut, seconds_text
from compiler_nb.trace import JOINER, PLANNER, Link, ModelCall, Span, role_of

MOST: Final = 60
"""Most rows of tasks of each run; the others are counted."""
NAME: Final = 40


class TimedRun(NamedTuple):
    """One of the runs.

    tasks, spans (attempts), states: by id; calls: of planner and joiner; chain: its critical path; seconds: how long it
    took.
    """

    name: str
    tasks: Mapping[str, Task]
    spans: Mapping[str, Sequence[Span]]
    states: Mapping[str, State]
    calls: Sequence[ModelCall]
    chain: Sequence[Link]
    seconds: float


def draw_timelines(before: TimedRun, after: TimedRun, tasks: Sequence[TaskDiff]) -> Picture:
    """Return two timelines as one picture; tasks: in pairs, in the order of the rows; items of fan-outs have none."""
    total = max(before.seconds, after.seconds, *_ends(before), *_ends(after), 1e-6)
    pairs = [(each.before.id if each.before else "", each.after.id if each.after else "") for each in tasks]
    timed = [pair for pair in pairs if before.spans.get(pair[0]) or after.spans.get(pair[1])]
    rows: list[Row] = []
    for side, run in enumerate((before, after)):
        found = RowMaker(run.tasks, run.states, CALL if len(timed) <= FEW else SHORT_CALL, total, {})
        found.words(f"{cut(run.name, NAME)}: {seconds_text(run.seconds)}")
        found.model(PLANNER, [call for call in run.calls if role_of(call) == PLANNER], run.chain)
        for pair in timed[:MOST]:
            id_, other = pair[side], pair[1 - side]
            if run.spans.get(id_):
                found.task(id_, run.spans[id_], run.chain)
            else:
                found.absent(id_ or other, f"did not run in {cut(run.name, NAME)}")
        found.model(JOINER, [call for call in run.calls if role_of(call) == JOINER], run.chain)
        rows += found.rows
    chart = Chart(tuple(rows), max(len(timed) - MOST, 0), total, _words(before, after), (), tuple(find_ticks(total)))
    about = f"timelines of {cut(before.name, NAME)} and {cut(after.name, NAME)}, {count_of(len(timed), 'task')}"
    return Picture(draw_svg(chart), chart_text(chart), about, {".png": partial(draw_png, chart)})


def _ends(run: TimedRun) -> list[float]:
    """Return when attempts and calls ended, or began if they go on."""
    ends = [span.started if span.ended is None else span.ended for tried in run.spans.values() for span in tried]
    return [*ends, *(call.started if call.ended is None else call.ended for call in run.calls), 0.0]


def _words(before: TimedRun, after: TimedRun) -> str:
    gap = after.seconds - before.seconds
    one, other = (cut(run.name, NAME) for run in (before, after))
    return f"{other} took {seconds_text(abs(gap))} {'longer' if gap > 0 else 'less'} than {one}"
