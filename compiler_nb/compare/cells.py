"""Cells: what a grid keeps of each of its runs, as plain data that a history can store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from compiler_nb.run import Run
from compiler_nb.text import cut, shorten_value
from compiler_nb.values.code import decode, encode
from compiler_nb.values.forms import expect, of_kind

LONGEST: Final = 4_000
"""Characters of an answer that a cell keeps as it is; of a longer one it keeps its beginning, and the run has it."""

NO_CELL: Final = "a cell of a grid is damaged"
_KINDS: Final[Mapping[str, type]] = {
    "tasks": int, "width": int, "tokens": int, "reported": bool, "failures": int, "passing": bool, "refused": int,
}  # fmt: skip
"""The types of a cell's fields that are no texts."""


class CellPlace(NamedTuple):
    """Where a cell stands in its grid: the variant, the number of the question, the repetition; both from 0."""

    variant: str
    question: int
    repetition: int


class GridCell(NamedTuple):
    """What a grid knows of one run.

    run: its id; status, error: of the run; answer: its value, or the beginning of one that is long; plan: the
    fingerprint of its first plan, "" if there is none; tasks, width: of its plans, and of the widest level; tokens:
    of all calls of models, reported: whether the providers counted them; cost: dollars, None if a price is not known;
    failures: tasks that failed; score: None if there is none, then unscored says why, "" if nothing was to be scored;
    scorer: the mark of what scored it; passing: whether a model did not answer, which may be otherwise the next time;
    refused: how many answers were not of the type that was wanted; misfit: what was wrong with the last of them.
    """

    run: str
    status: str
    error: str
    answer: Any
    plan: str
    tasks: int
    width: int
    tokens: int
    reported: bool
    cost: float | None
    seconds: float
    failures: int
    score: float | None = None
    unscored: str = ""
    scorer: str = ""
    passing: bool = False
    refused: int = 0
    misfit: str = ""

    @property
    def answered(self) -> bool:
        """Whether the run has an answer."""
        return self.status == "done"

    @property
    def fits(self) -> bool:
        """Whether the run did not end because its answer is of another type than was wanted."""
        return self.answered or not self.refused

    def without_score(self) -> GridCell:
        """Return the cell as before it was scored."""
        return self._replace(score=None, unscored="", scorer="")


def cell_of(run: Run) -> GridCell:
    """Return what a grid keeps of a run that has ended."""
    progress, plans = run.progress, [each.plan for each in run.rounds if each.plan is not None]
    used, states = progress.usage, progress.states
    asked = [call for call in list(progress.calls.values()) if not call.task]
    return GridCell(
        run=run.id, status=run.status, error=run.error, answer=brief_answer(_plain(run)),
        plan=plans[0].fingerprint if plans else "", tasks=sum(not task.owner for task in progress.tasks.values()),
        width=max((len(level) for plan in plans for level in plan.levels()), default=0), tokens=used.tokens,
        reported=used.reported, cost=progress.cost.dollars, seconds=run.seconds,
        failures=sum(state == "failed" for state in states.values()),
        passing=run.status == "failed" and bool(asked) and bool(asked[-1].error),
        refused=len(progress.refused), misfit=cut(progress.refused[-1].problem, LONGEST) if progress.refused else "",
    )  # fmt: skip


def _plain(run: Run) -> Any:
    """Return the answer of a run without a class that only the notebook knows."""
    wanted = run.order.answer_type
    return run.answer if wanted is None or run.answer is None else wanted.plain(run.answer)


def brief_answer(answer: Any) -> Any:
    """Return an answer as a cell keeps it: plain data that is not long, or the beginning of its text."""
    if isinstance(answer, str):
        return answer if len(answer) <= LONGEST else cut(answer, LONGEST)
    coded = encode(answer, largest=LONGEST)
    return answer if coded.stored and not coded.blobs and len(coded.text) <= LONGEST else shorten_value(answer, 200)


def to_data(cell: GridCell) -> dict[str, Any]:
    """Return a cell as JSON can say it."""
    return cell._asdict() | {"answer": encode(cell.answer).text}


def from_data(data: Any) -> GridCell:
    """Return a cell from what was stored of it. Raises HistoryError if that is no cell."""
    needed = set(GridCell._fields) - set(GridCell._field_defaults)  # earlier versions knew fewer
    expect(isinstance(data, Mapping) and needed <= set(data) <= set(GridCell._fields), NO_CELL)
    numbers = {name: data.get(name) for name in ("cost", "seconds", "score")}
    for name in set(data) - set(numbers):
        of_kind(_KINDS.get(name, str), data[name])
    expect(type(numbers["seconds"]) is float, NO_CELL)
    expect(all(each is None or type(each) in (int, float) for each in numbers.values()), NO_CELL)
    return GridCell(**{**data, "answer": decode(data["answer"])})
