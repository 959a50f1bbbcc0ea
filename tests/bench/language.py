"""Parsing: the time per task must not grow with the plan."""

from __future__ import annotations

import time
from statistics import median

from compiler_nb.plan.parser import PlanParser
from tests.bench import Figure

LINE = 't{n} = search("question {n} about something", k={n})\n'


def parse_seconds(count: int) -> float:
    """Return the seconds per task to parse `count` lines that come in pieces of four characters."""
    text = "".join(LINE.format(n=number) for number in range(count)) + "join()\n"
    pieces = [text[start : start + 4] for start in range(0, len(text), 4)]
    parser = PlanParser(dialect="python")
    began = time.perf_counter()
    released = sum(len(parser.feed(piece)) for piece in pieces)
    released += len(parser.close())
    seconds = time.perf_counter() - began
    assert released == count
    return seconds / count


def linearity() -> float:
    """Parse time per task at 10,000 tasks over that at 100, in turns."""
    ratios = []
    for number in range(9):
        small = median(parse_seconds(100) for _ in range(9))
        large = parse_seconds(10_000)
        if number:
            ratios.append(large / small)
    return median(ratios)


FIGURES = [Figure("parse", "parse time per task at 10,000 tasks / at 100", 1.8, 1.2, linearity)]
