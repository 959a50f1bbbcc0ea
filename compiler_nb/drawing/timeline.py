"""When what ran: a row for each task with a bar for each attempt, as a picture and as text.

Each round is a band: thin bars of the planner above its tasks, and of the joiner below them. Waiting for a slot looks
different from running, and the critical path is marked: the chain that ended the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from compiler_nb.drawing.chart import LETTERS, Bar, Chart, Row, draw_svg
from compiler_nb.drawing.picture import Picture
from compiler_nb.drawing.png import draw_png
from compiler_nb.drawing.text import chart_text
from compiler_nb.outcome import State
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import Task
from compiler_nb.text import count_of, cut, seconds_text, visible
from compiler_nb.trace import JOINER, PLANNER, Link, ModelCall, Span, cost_of, role_of

MOST: Final = 200
"""Most rows of tasks; the others are counted."""
LABEL: Final = 26
"""Characters of a row's label."""
CALL, SHORT_CALL, FEW = 160, 60, 60
"""Characters of a call in a hover text, in a timeline of up to FEW rows and above."""
WORDS: Final = 2 * LETTERS
"""Characters of the lines below."""
TICKS: Final = 8
LEAST: Final = 0.001
"""The least waiting that is mentioned, in seconds."""


def timeline(
    spans: Iterable[Span],
    *,
    tasks: Mapping[str, Task],
    states: Mapping[str, State] | None = None,
    calls: Iterable[ModelCall] = (),
    chain: Sequence[Link] = (),
    rounds: Mapping[str, int] | None = None,
    adopted: Mapping[str, str] | None = None,
    reasons: Sequence[str] = (),
    total: float | None = None,
    words: str = "",
    costs: Mapping[str, str] | None = None,
) -> Picture:
    """Return the timeline of some attempts, the same for the same arguments.

    tasks, states: by id, for hover texts and marks; calls: of the planner and the joiner, which get rows of their own;
    chain: the critical path; rounds: by task, their numbers; adopted: by task, the one whose result it has; reasons:
    why the rounds began: if there are several, each is a band with a head; total: seconds, defaults to the last end;
    words: a line below; costs: by task, in words.
    """
    every, asked = list(spans), list(calls)
    tried: dict[str, list[Span]] = {}
    for span in every:
        tried.setdefault(span.task, []).append(span)
    ends = [span.started if span.ended is None else span.ended for span in every]
    ends += [call.started if call.ended is None else call.ended for call in asked]
    length = max([*ends, total or 0.0, 1e-6])
    found = RowMaker(tasks, states or {}, CALL if len(tried) <= FEW else SHORT_CALL, length, costs or {})
    shown = list(tried.items())[:MOST]
    numbers = sorted({(rounds or {}).get(id_, 0) for id_ in tried} | {call.round for call in asked})
    for number in numbers:
        if len(numbers) > 1:
            found.head(number, reasons[number] if number < len(reasons) else "")
        own = [call for call in asked if call.round == number]
        found.model(PLANNER, [call for call in own if role_of(call) == PLANNER], chain)
        for id_, source in list((adopted or {}).items())[:MOST]:
            if (rounds or {}).get(id_, 0) == number and id_ not in tried:
                found.adopted(id_, source)
        for id_, each in shown:
            if (rounds or {}).get(id_, 0) == number:
                found.task(id_, each, chain)
        found.model(JOINER, [call for call in own if role_of(call) == JOINER], chain)
    chart = Chart(
        tuple(found.rows), max(len(tried) - MOST, 0), length, cut(words, WORDS), tuple(found.path(chain)),
        tuple(find_ticks(length)),
    )  # fmt: skip
    about = f"timeline of {count_of(chart.tasks, 'task')}, {seconds_text(chart.total)}"
    return Picture(draw_svg(chart), chart_text(chart), about, {".png": partial(draw_png, chart)})


class RowMaker:
    """The rows of a timeline, as they are made from top to bottom; room: characters of calls in hover texts."""

    def __init__(
        self, tasks: Mapping[str, Task], states: Mapping[str, State], room: int, total: float, costs: Mapping[str, str]
    ) -> None:
        self.tasks, self.states, self.room, self.total, self.costs = tasks, states, room, total, costs
        self.rows: list[Row] = []
        self._places: dict[str | int, int] = {}  # rows of tasks and of calls

    def head(self, number: int, reason: str) -> None:
        """Add the head of a round's band: its number, and why it began."""
        self.words(f"Round {number + 1}{f': {visible(reason)}' if reason else ''}")

    def words(self, told: str) -> None:
        """Add the head of a band."""
        self.rows.append(Row("", cut(told, LETTERS), title=told[:CALL] if len(told) > LETTERS else ""))

    def model(self, role: str, calls: Sequence[ModelCall], chain: Sequence[Link]) -> None:
        """Add the calls of the planner or the joiner, if any: a bar until the first word, and one from then on."""
        until = {link.call: link.ended for link in chain if link.call}
        bars: list[Bar] = []
        for call in calls:
            end = self.total if call.ended is None else call.ended
            first = end if call.first is None else min(call.first, end)
            self._places[call.number] = len(self.rows)
            bars += _parted(Bar(call.started, first, "think"), until.get(call.number))
            bars += _parted(Bar(first, end, "write"), until.get(call.number))
        if not bars:
            return
        told = [
            ", ".join(filter(None, (self._took(call), str(cost_of([call])) if call.usage else ""))) for call in calls
        ]
        self.rows.append(Row("", role, None, tuple(bars), "\n".join(told)))

    def _took(self, call: ModelCall) -> str:
        return f"{cut(call.role, LABEL)}: {seconds_text((call.ended or self.total) - call.started)}"

    def absent(self, id_: str, why: str) -> None:
        """Add a task that is not in this run, and why."""
        self.rows.append(Row("", cut(id_, LABEL), absent=why))

    def adopted(self, id_: str, source: str) -> None:
        """Add a task that has the result of another one: a pale link to it."""
        state = self.states.get(id_, "done")
        told = f"\N{UPWARDS ARROW} {cut(source, LABEL)}"
        title = f"{cut(id_, CALL)} · {state}, with the result of {cut(source, CALL)}"
        self.rows.append(Row(id_, cut(id_, LABEL), state, (), title, told))

    def task(self, id_: str, tried: Sequence[Span], chain: Sequence[Link]) -> None:
        """Add a task with a bar for each attempt."""
        state = self.states.get(id_, tried[-1].state)
        critical = any(link.name == id_ for link in chain if not link.call)
        bars = tuple(_bars(tried, self.total, critical=critical))
        lines = [
            f"{cut(id_, CALL)} · {state}",
            *([shorten_call(self.tasks[id_], self.room)] if id_ in self.tasks else []),
        ]
        self._places[id_] = len(self.rows)
        cost = [self.costs[id_]] if id_ in self.costs else []
        title = "\n".join([*lines, _times(bars, len(tried)), *cost])
        self.rows.append(Row(id_, cut(id_, LABEL), state, bars, title))

    def path(self, chain: Iterable[Link]) -> Iterator[tuple[int, Bar]]:
        """Yield the rows and bars of the critical path."""
        for link in chain:
            place = self._places.get(link.call or link.name)
            if place is not None and place < len(self.rows):
                yield place, Bar(link.started, link.ended, "", critical=True)


def _parted(bar: Bar, until: float | None) -> Iterator[Bar]:
    """Yield a bar, in two parts if only the first of them is on the critical path, which leaves it at `until`."""
    if until is None or until <= bar.start:
        parts = [bar]
    elif until < bar.end:
        parts = [bar._replace(end=until, critical=True), bar._replace(start=until)]
    else:
        parts = [bar._replace(critical=True)]
    return (part for part in parts if part.end > part.start)


def _bars(tried: Iterable[Span], total: float, *, critical: bool = False) -> Iterator[Bar]:
    for span in tried:
        if span.started - span.ready >= LEAST:
            yield Bar(span.ready, span.started, "wait")
        yield Bar(span.started, max(total if span.ended is None else span.ended, span.started), span.state, critical)


def _times(bars: Iterable[Bar], attempts: int) -> str:
    """Return how long a task waited for slots and ran."""
    waited = sum(bar.end - bar.start for bar in bars if bar.look == "wait")
    ran = sum(bar.end - bar.start for bar in bars if bar.look != "wait")
    told = f"waited {seconds_text(waited)}, " if waited else ""
    return f"{told}ran {seconds_text(ran)}" + (f" in {attempts} attempts" if attempts > 1 else "")


def find_ticks(total: float) -> list[tuple[float, str]]:
    """Return round seconds from 0 up to a total, at most TICKS steps, with their labels in one unit."""
    power = 10.0 ** math.floor(math.log10(total / TICKS))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if power * factor * TICKS >= total)
    unit, name = (1.0, "s") if total >= 1 else (1000.0, "ms")
    count = int(total / step + 1e-9)
    return [(number * step, f"{number * step * unit:.6g} {name}" if number else "0") for number in range(count + 1)]
