"""Grids whose answers are to be of one type: what does not fit is asked for again, and stands in the table."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pandas as pd
import pytest

from compiler_nb.compare.cells import from_data, to_data
from compiler_nb.compiler import Compiler
from compiler_nb.history import History
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.text import TIMES
from tests.support.desk import Desk

COVERS = ["grid.py", "table.py", "cells.py", "marks.py", "ways.py", "runner.py"]
GOOD, VAGUE = "a = get(4)\nanswer(a)\n", 'a = get(4)\nanswer("rather cold")\n'


@dataclass
class High:
    """A field and its value."""

    of: str
    value: float


def says(*plans, name="scripted"):
    """Return a model that writes these plans one after another, whatever it is asked."""
    return ScriptedModel({"planner": plans[0] if len(plans) == 1 else list(plans)}, name=name)


def compare(model, *given, **settings):
    """Return the grid of a comparison, one run at a time."""
    history = settings.pop("history", None)
    compiler = Compiler(model, Desk().tools, history=history)
    return asyncio.run(compiler.compare(*given, **{"progress": False, "max_concurrency": 1, **settings}))


def test_a_user_sees_which_variant_gives_answers_of_the_type():
    """Fitting at once, when asked again, and not at all; the table counts both, and shows what came."""
    vague = says(VAGUE, GOOD, VAGUE, VAGUE, name="vague")
    grid = compare(says(GOOD), "How warm?", {"base": {}, "vague": {"planner": vague}}, repeat=2, answer_type=float)
    assert grid.answers == {"base": [4.0, 4.0], "vague": [4.0, None]}
    assert {type(each) for each in grid.answers["base"]} == {float}
    base, changed = grid.summary["base"], grid.summary["vague"]
    assert (base.refused, base.misfits, base.misfit) == (0, 0, "")
    assert (changed.refused, changed.misfits, changed.answered) == (2, 1, 1)
    assert changed.misfit.startswith('"rather cold" (str) came: input should be a valid number')
    assert "4 cells, answers as float" in str(grid)
    assert '1 of 2, 1 at first: "rather cold" (str) came' in str(grid)
    assert [cell.refused for cell in grid.repetitions("vague", 0)] == [1, 2]
    assert "two plans gave no such answer" in grid["vague", 0, 1].error
    page = grid._repr_html_()
    assert "4.0 · at first &quot;rather cold&quot; (str) came" in page
    assert ">wrong type<" in page


def test_a_joiner_that_is_asked_again_is_counted_too():
    """Its first reply had words around the number."""
    model = ScriptedModel({"planner": "a = get(4)\njoin(a)\n", "joiner": ["about 4 degrees", "4"]})
    grid = compare(model, "How warm?", answer_type=int)
    assert (grid["base"].answer, grid.row("base", 0).refused, grid.row("base", 0).misfits) == (4, 1, 0)
    assert [each.by for each in grid["base"].progress.refused] == ["joiner"]


def test_a_grid_of_another_type_is_another_grid(tmp_path):
    """What was asked without a type, or for another one, is not taken; the same call runs nothing."""
    path, model = tmp_path / "runs.db", says(GOOD)
    for wanted in (None, float, int, dict[str, int] | int, float, None):
        with History(path) as history:
            grid = compare(model, "How warm?", history=history, answer_type=wanted)
        assert grid["base"].answer_type == ("" if grid.wanted is None else grid.wanted.name)
    assert (len(model.calls), grid.taken) == (4, 1)


def test_answers_have_their_type_after_a_restart(tmp_path):
    """The history knows no class of the notebook: what it has is read as one, for answers and for a scorer."""
    path, model, scored = tmp_path / "runs.db", says('answer({"of": "a", "value": get(4)})\n'), []

    def score(question, answer, expected):
        scored.append(answer)
        return answer.value

    for _ in range(2):
        with History(path) as history:
            grid = compare(model, [("How warm?", len(scored))], history=history, answer_type=High, score=score)
            assert grid.answers == {"base": [High("a", 4.0)]}
            assert grid.repetitions("base", 0)[0].answer == {"of": "a", "value": 4.0}
    assert scored == [High("a", 4.0)] * 2
    assert len(model.calls) == 1


def test_the_answers_of_a_grid_may_be_tables():
    """A cell keeps the beginning of its text; the answer is that of the run."""
    grid = compare(says('answer([{"x": get(1)}, {"x": get(2)}])\n'), "Which?", answer_type=pd.DataFrame)
    assert list(grid.answers["base"][0]["x"]) == [1, 2]
    assert f"DataFrame 2 {TIMES} 1 (x)" in str(grid)


def test_what_is_no_type_is_told_with_all_else_that_is_wrong():
    """And a variant has no type of its own."""
    with pytest.raises(ValueError, match="answer_type: a type is wanted") as told:
        compare(says(GOOD), "q?", {"a": {"answer_type": int}}, repeat=0, answer_type="float")
    assert "repeat must be" in str(told.value)
    assert "variant 'a': answer_type: it is given to compare, for the whole grid" in str(told.value)


def test_a_cell_of_an_earlier_version_is_still_one():
    """It knew nothing of types."""
    cell = compare(says(GOOD), "q?").repetitions("base", 0)[0]
    old = {name: each for name, each in to_data(cell).items() if name not in ("refused", "misfit")}
    assert from_data(old) == cell
