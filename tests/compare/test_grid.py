from __future__ import annotations

import pytest

from compiler_nb.compare.cases import Case
from compiler_nb.compare.cells import CellPlace, GridCell, brief_answer, from_data, to_data
from compiler_nb.compare.grid import Grid
from compiler_nb.compare.table import row_of, values_of, words_of
from compiler_nb.errors import HistoryError
from compiler_nb.text import TIMES

COVERS = ["table.py"]
CELL = GridCell("id", "done", "", 3, "p", 2, 1, 100, reported=True, cost=0.5, seconds=1.0, failures=0)


def filled(repeat=2):
    """Return a grid of two variants and two questions."""
    grid = Grid([Case("one?", 3), Case("two?", 4)], ["base", "other"], repeat)
    for number, place in enumerate(grid.places):
        grid.cells[place] = CELL._replace(seconds=float(number), score=number / 8, tokens=100 + number)
    return grid


def test_a_grid_is_the_same_text_for_the_same_runs():
    """Without times and ids."""
    assert str(filled()) == (
        f"2 variants {TIMES} 2 questions {TIMES} 2 repetitions: 8 cells\n\n"
        "variant  score        stability  tasks  width  tokens   cost\n"
        "base     0.38 ± 0.32  100%       2      1      103 ± 3  $2.00\n"
        "other    0.50 ± 0.32  100%       2      1      104 ± 3  $2.00\n\n"
        "variant  question  answer  score        stability  tasks  width  tokens   cost\n"
        "base     one?      3       0.25 ± 0.35  100%       2      1      102 ± 3  $1.00\n"
        "other    one?      3       0.38 ± 0.35  100%       2      1      103 ± 3  $1.00\n"
        "base     two?      3       0.50 ± 0.35  100%       2      1      104 ± 3  $1.00\n"
        "other    two?      3       0.62 ± 0.35  100%       2      1      105 ± 3  $1.00"
    )


def test_a_grid_shows_no_key(monkeypatch):
    """Neither one in a question nor one that is set by then."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-6f1b9d2c84aa7e35")
    grid = Grid([Case("What is sk-canary-6f1b9d2c84aa7e35?")], ["base"], 1)
    assert ("What is" in str(grid), "canary" in repr(grid)) == (True, False)


def test_all_variants_are_asked_once_before_one_is_asked_again():
    """A grid that is stopped has something of each."""
    assert [*Grid([Case("q?")], ["a", "b"], 2).places] == [
        CellPlace("a", 0, 0), CellPlace("b", 0, 0), CellPlace("a", 0, 1), CellPlace("b", 0, 1),
    ]  # fmt: skip


def test_a_grid_becomes_a_frame_of_cells_questions_or_variants():
    """With the spread of each measure beside its mean."""
    grid = filled()
    cells = grid.to_pandas()
    assert cells.shape[0] == 8
    assert list(cells.columns[:5]) == ["variant", "number", "repetition", "question", "expected"]
    assert list(cells["expected"][:3]) == [3, 3, 4]
    assert list(grid.to_pandas("question")["question"]) == ["one?", "one?", "two?", "two?"]
    assert {"score", "score_spread", "stability"} <= set(grid.to_pandas("variant").columns)
    assert Grid([Case("q?")], ["a"], 1).to_pandas().empty
    with pytest.raises(ValueError, match="by must be"):
        grid.to_pandas("run")


def test_what_is_not_known_is_not_zero():
    """No price, no score, no plan, an estimate: each says so."""
    lost = CELL._replace(
        status="failed", answer=None, plan="", cost=None, failures=2, unscored="no answer", reported=False
    )
    words = words_of(row_of([[CELL, lost, lost]]))
    assert words["cost"] == "no price"
    assert words["stability"] == "33%"
    assert words["failures"] == "2 of 3, 4 tasks"
    assert words["tokens"].startswith("~")
    assert words["score"] == "no answer"
    assert "cost" not in values_of(row_of([[lost]]))
    raised = CELL._replace(unscored="the scorer raised ZeroDivisionError: division by zero in line 7 of cell 12")
    assert words_of(row_of([[raised]]))["score"] == "the scorer raised ZeroDivisionError: division by zero in li…"
    assert words_of(row_of([[CELL, CELL._replace(answer=4), CELL]]))["answer"] == "3 (2 of 3)"
    assert set(words_of(row_of([])).values()) == {""}


def test_a_cell_comes_back_from_what_is_stored_of_it():
    """Anything else is an error; a long answer is kept as its beginning."""
    cell = CELL._replace(answer={"a": (1, 2)}, score=0.5)
    assert from_data(to_data(cell)) == cell
    for damaged in (
        None,
        {},
        {**to_data(cell), "tasks": "2"},
        {**to_data(cell), "score": "x"},
        {**to_data(cell), "answer": "{"},
    ):
        with pytest.raises(HistoryError):
            from_data(damaged)
    assert len(brief_answer("x" * 10_000)) == 4_000
    assert len(brief_answer(list(range(10_000)))) <= 200
