"""What the cells of a grid say together: a row for each variant and question, one for each variant, and the words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

from compiler_nb.compare.cells import GridCell
from compiler_nb.text import cut, money_text, seconds_text, shorten_value
from compiler_nb.trace.costs import NO_PRICE


class Measure(NamedTuple):
    """The mean of some numbers, and their spread: the standard deviation, 0 for a single one."""

    mean: float
    spread: float = 0.0


class GridRow(NamedTuple):
    """What some repetitions, or all cells of a variant, say together; a measure is None if no cell has the number.

    cells: how many there are; answered: how many have an answer; answer: the one that most give; alike: how many give
    it; scored: how many have a score; stability: the share of the repetitions that have the same plan, the commonest,
    over several questions their mean; tasks, width, tokens, seconds: of a run; reported: whether providers counted all
    tokens; cost: dollars of all cells together, None if a price is not known; failures: tasks that failed, in all;
    unscored: why a cell has no score, "" if none lacks one; refused: how many had an answer of another type than was
    wanted, at first or at last; misfits: how many have no answer for that reason; misfit: one of these answers, and
    what is wrong with it.
    """

    cells: int
    answered: int
    answer: Any
    alike: int
    score: Measure | None
    scored: int
    stability: float | None
    tasks: Measure | None
    width: Measure | None
    tokens: Measure | None
    reported: bool
    cost: float | None
    seconds: Measure | None
    failures: int
    unscored: str
    refused: int
    misfits: int
    misfit: str


def row_of(groups: Iterable[Sequence[GridCell]]) -> GridRow:
    """Return what cells say together; groups: the repetitions of one question each."""
    parts = [list(group) for group in groups if group]
    cells = [cell for group in parts for cell in group]
    answers = [cell.answer for cell in cells if cell.answered]
    common = Counter(map(shorten_value, answers)).most_common(1)
    costs = [cell.cost for cell in cells]
    return GridRow(
        cells=len(cells),
        answered=len(answers),
        answer=next((each for each in answers if shorten_value(each) == common[0][0]), None) if common else None,
        alike=common[0][1] if common else 0,
        score=measure([cell.score for cell in cells if cell.score is not None]),
        scored=sum(cell.score is not None for cell in cells),
        stability=fmean(map(stability, parts)) if parts else None,
        tasks=measure([cell.tasks for cell in cells]),
        width=measure([cell.width for cell in cells]),
        tokens=measure([cell.tokens for cell in cells]),
        reported=all(cell.reported for cell in cells),
        cost=None if None in costs else sum(filter(None, costs)),
        seconds=measure([cell.seconds for cell in cells]),
        failures=sum(cell.failures for cell in cells),
        unscored=next((cell.unscored for cell in cells if cell.unscored), ""),
        refused=sum(bool(cell.refused) for cell in cells),
        misfits=sum(not cell.fits for cell in cells),
        misfit=next((cell.misfit for cell in sorted(cells, key=_fits) if cell.misfit), ""),
    )


def _fits(cell: GridCell) -> bool:
    return cell.fits


def stability(cells: Sequence[GridCell]) -> float:
    """Return which share of the repetitions of a question has the commonest plan; a run without a plan has none."""
    plans = Counter(cell.plan for cell in cells if cell.plan)
    return max(plans.values(), default=0) / len(cells)


def measure(numbers: Sequence[float]) -> Measure | None:
    """Return mean and spread of numbers, None if there are none."""
    if not numbers:
        return None
    return Measure(fmean(numbers), stdev(numbers) if len(numbers) > 1 else 0.0)


# ---------------------------------------------------------------- words


COLUMNS = ("answer", "wrong type", "score", "stability", "tasks", "width", "tokens", "cost", "seconds", "failures")
"""What a table says of each row, by column."""


def words_of(row: GridRow) -> dict[str, str]:
    """Return what a row says, by column; a column that says nothing is empty."""
    alike = f" ({row.alike} of {row.answered})" if row.alike < row.answered else ""
    part = f" ({row.scored} of {row.cells})" if row.score and row.scored < row.cells else ""
    failed = row.cells - row.answered
    lost = [f"{failed} of {row.cells}"] if failed else []
    lost += [f"{row.failures} task{'' if row.failures == 1 else 's'}"] if row.failures else []
    return {
        "answer": f"{shorten_value(row.answer, 60)}{alike}" if row.answered else "",
        "wrong type": _misfits(row),
        "score": f"{_spread(row.score, '.2f')}{part}" if row.score else cut(row.unscored, 60),
        "stability": "" if row.stability is None else f"{row.stability:.0%}",
        "tasks": _spread(row.tasks, ".3g"),
        "width": _spread(row.width, ".3g"),
        "tokens": f"{'' if row.reported else '~'}{_spread(row.tokens, ',.0f')}"
        if row.tokens and row.tokens.mean
        else "",
        "cost": NO_PRICE if row.cost is None else money_text(row.cost),
        "seconds": _seconds(row.seconds),
        "failures": ", ".join(lost),
    }


def values_of(row: GridRow) -> dict[str, float]:
    """Return the numbers by which the rows of a table are sorted, by column; a column without one is missing."""
    found: dict[str, Any] = {
        "score": row.score, "stability": row.stability, "tasks": row.tasks, "width": row.width, "tokens": row.tokens,
        "cost": row.cost, "seconds": row.seconds,
        "wrong type": row.misfits * 1_000_000 + row.refused,
        "failures": (row.cells - row.answered) * 1_000_000 + row.failures,
    }  # fmt: skip
    numbers = {name: each.mean if isinstance(each, Measure) else each for name, each in found.items()}
    return {name: each for name, each in numbers.items() if each is not None}


def _spread(found: Measure | None, form: str) -> str:
    if found is None:
        return ""
    return f"{found.mean:{form}}" + (f" ± {found.spread:{form.replace('.3g', '.2g')}}" if found.spread else "")


def _misfits(row: GridRow) -> str:
    """Return how many answers are of the wrong type, how many were at first, and what one of them was."""
    lost, again = row.misfits, row.refused - row.misfits
    counts = [f"{lost} of {row.cells}"] * bool(lost) + [f"{again} at first"] * bool(again)
    return cut(f"{', '.join(counts)}: {row.misfit}", 80) if counts else ""


def _seconds(found: Measure | None) -> str:
    if found is None:
        return ""
    return seconds_text(found.mean) + (f" ± {seconds_text(found.spread)}" if found.spread else "")
