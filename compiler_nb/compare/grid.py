"""Grid: what a comparison found, cell by cell, while it goes on and when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import product
from typing import Any, Final, Literal

from compiler_nb.compare.cases import Case
from compiler_nb.compare.cells import CellPlace, GridCell
from compiler_nb.compare.table import COLUMNS, GridRow, Measure, row_of, words_of
from compiler_nb.drawing.text import text_table
from compiler_nb.errors import HistoryError
from compiler_nb.models.providers import known_secrets
from compiler_nb.models.secret import mask
from compiler_nb.run import Run
from compiler_nb.signature.answers import AnswerType, WrongAnswer
from compiler_nb.text import TIMES, count_of, cut

WIDE: Final = 160
"""Columns of a grid as text."""
_QUESTION: Final = 40
_TIMES: Final = frozenset({"seconds"})
"""What differs from time to time: it is not in the text of a grid."""


class Grid:
    """Questions times variants times repetitions, and what is known of each of these cells.

    `grid["terse", 0, 2]` is the run of a cell: the variant, the number of the question, and the repetition, both from
    0. cells: what is known of each that is done, by its place; status: "running", "done", "cancelled", or "limit" at
    the end of its budget; error: why it is not done; notes: what else is to be said of it; taken: how many cells were
    there before, and were not run again; cases: the questions; wanted: what answers are to be, None if that is open.
    """

    def __init__(
        self, cases: Sequence[Case], variants: Sequence[str], repeat: int, wanted: AnswerType | None = None
    ) -> None:
        self.cases, self.variants, self.repeat = tuple(cases), tuple(variants), repeat
        self.wanted = wanted
        self.cells: dict[CellPlace, GridCell] = {}
        self.status: Literal["running", "done", "cancelled", "limit"] = "running"
        self.error = ""
        self.notes: list[str] = []
        self.taken = 0
        self.opens: Callable[[CellPlace, str], Run] | None = None  # finds a cell's run

    @property
    def places(self) -> Iterator[CellPlace]:
        """All cells, in the order in which they are run: each variant and question once before any is repeated."""
        numbers = range(len(self.cases))
        return (
            CellPlace(name, number, turn) for turn, number, name in product(range(self.repeat), numbers, self.variants)
        )

    @property
    def total(self) -> int:
        """How many cells it has."""
        return len(self.cases) * len(self.variants) * self.repeat

    # ---------------------------------------------------------------- what was found

    def row(self, variant: str, question: int | None = None) -> GridRow:
        """Return what the repetitions of a question say together, or all cells of a variant."""
        numbers = range(len(self.cases)) if question is None else (question,)
        return row_of([self.repetitions(variant, number) for number in numbers])

    def repetitions(self, variant: str, question: int) -> list[GridCell]:
        """Return the cells of a variant and a question that are done."""
        places = (CellPlace(variant, question, turn) for turn in range(self.repeat))
        return [self.cells[place] for place in places if place in self.cells]

    @property
    def rows(self) -> dict[tuple[str, int], GridRow]:
        """What is known by variant and number of the question."""
        return {(name, number): self.row(name, number) for number in range(len(self.cases)) for name in self.variants}

    @property
    def summary(self) -> dict[str, GridRow]:
        """What is known by variant, over all questions."""
        return {name: self.row(name) for name in self.variants}

    @property
    def answers(self) -> dict[str, list[Any]]:
        """The answers by variant, in the order of the questions and their repetitions; None where there is none."""
        pairs = list(product(range(len(self.cases)), range(self.repeat)))
        return {name: [self._answer(CellPlace(name, *pair)) for pair in pairs] for name in self.variants}

    def _answer(self, place: CellPlace) -> Any:
        """Return the answer of a cell, as what it is to be: a cell keeps plain data."""
        cell = self.cells.get(place)
        if cell is None or self.wanted is None or not cell.answered:
            return cell and cell.answer
        with suppress(WrongAnswer):
            return self.wanted.read(cell.answer)
        with suppress(WrongAnswer, HistoryError):  # the cell has only its beginning
            return self.wanted.read(self[place].answer)
        return cell.answer

    def __getitem__(self, key: Any) -> Run:
        """Return the run of a cell: grid[variant, question, repetition]; the last two are 0 if they are left out.

        Raises KeyError if there is no such cell, or it is not done, HistoryError if its run is not there anymore.
        """
        parts = key if isinstance(key, tuple) else (key,)
        missing = len(CellPlace._fields) - len(parts)
        place = CellPlace(*parts, *(0,) * missing) if missing >= 0 else None
        if place in self.cells and self.opens is not None:
            return self.opens(place, self.cells[place].run)
        raise KeyError(f"no cell {key!r} in this grid: {self._why_not(place)}")

    def _why_not(self, place: CellPlace | None) -> str:
        if place in set(self.places):
            return f"it is not done ({self.status})"
        questions, turns = len(self.cases) - 1, self.repeat - 1
        return f"its variants are {', '.join(self.variants)}; questions 0 to {questions}, repetitions 0 to {turns}"

    def to_pandas(self, by: Literal["cell", "question", "variant"] = "cell") -> Any:
        """Return a DataFrame with a row for each cell, for each variant and question, or for each variant.

        A cell has the fields of GridCell, and question, expected; of others each measure has its mean, and its spread
        in a column of its own. Raises ValueError if `by` is something else.
        """
        import pandas as pd  # noqa: PLC0415 - an extra

        if by == "cell":
            found = [(place, self.cells[place]) for place in self.places if place in self.cells]
            asked = [self.cases[place.question] for place, _ in found]
            names = dict(zip(CellPlace._fields, ("variant", "number", "repetition"), strict=True))
            rows = [
                {names[name]: each for name, each in place._asdict().items()}
                | {"question": case.question, "expected": case.expected} | cell._asdict()
                for (place, cell), case in zip(found, asked, strict=True)
            ]  # fmt: skip
            return pd.DataFrame(rows, columns=[*names.values(), "question", "expected", *GridCell._fields])
        if by == "question":
            heads = {
                (name, number): {"variant": name, "question": self.cases[number].question} for name, number in self.rows
            }
            return pd.DataFrame([heads[key] | _flat(row) for key, row in self.rows.items()])
        if by == "variant":
            return pd.DataFrame([{"variant": name} | _flat(row) for name, row in self.summary.items()])
        raise ValueError(f"by must be 'cell', 'question' or 'variant', not {by!r}")

    # ---------------------------------------------------------------- words

    @property
    def heading(self) -> str:
        """What it is made of, and how far it is."""
        size = f" {TIMES} ".join([
            count_of(len(self.variants), "variant"), count_of(len(self.cases), "question"),
            count_of(self.repeat, "repetition"),
        ])  # fmt: skip
        missing = self.total - len(self.cells)
        told = f"{size}: {count_of(self.total, 'cell')}" + (f", {missing:,} not done" if missing else "")
        told += f", answers as {self.wanted.name}" if self.wanted is not None else ""
        return f"{told} ({self.status}: {self.error})" if self.error else told

    def table(self, *, times: bool = True) -> tuple[list[str], list[list[str]], list[list[str]]]:
        """Return the names of the columns that say anything, the rows by variant, and those by question, as texts.

        times: whether seconds are among them.
        """
        summary = [(name, "", words_of(row) | {"answer": ""}) for name, row in self.summary.items()]
        rows = [
            (name, cut(" ".join(self.cases[number].question.split()), _QUESTION), words_of(row))
            for (name, number), row in self.rows.items()
        ]
        shown = [
            column for column in COLUMNS
            if (times or column not in _TIMES) and any(words[column] for *_, words in rows)
        ]  # fmt: skip
        short, long = (
            [[name, asked, *(words[column] for column in shown)] for name, asked, words in each]
            for each in (summary, rows)
        )
        return ["variant", "question", *shown], short, long

    def __str__(self) -> str:
        """Return the grid as text that is the same for the same runs: no times, no ids, no keys."""
        names, summary, rows = self.table(times=False)
        narrow = [
            [row[0], *(cell for name, cell in zip(names[2:], row[2:], strict=True) if name != "answer")]
            for row in summary
        ]
        head = [names[0], *(name for name in names[2:] if name != "answer")]
        many = len(self.cases) > 1
        parts = [
            self.heading,
            *self.notes,
            text_table([head, *narrow], WIDE) if many else "",
            text_table([names, *rows], WIDE),
        ]
        return mask("\n\n".join(part for part in parts if part), known_secrets())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Return it as a page: a table by variant, and one whose rows can be sorted and opened."""
        from compiler_nb.notebook.output.grids import grid_page  # noqa: PLC0415 - the one way up, for who looks

        return grid_page(self)

    def bar(self) -> Any:
        """Return a bar that shows in a notebook's output how far it is; None if there is no notebook."""
        from compiler_nb.notebook.output.bar import page_bar  # noqa: PLC0415 - as above

        return page_bar(self)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.variants)


def _flat(row: GridRow) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, each in row._asdict().items():
        found |= {name: each.mean, f"{name}_spread": each.spread} if isinstance(each, Measure) else {name: each}
    return found
