"""A file of an earlier layout: with a write-ahead log, tables as Parquet, and plans without their ids."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from compiler_nb.history import History, NotStored
from tests.support.stored import city, odd_values, rich_compiler

EARLIER = Path(__file__).with_name("earlier.db.gz")


@pytest.fixture
def path(tmp_path):
    """Return the file, which holds the run "early"."""
    found = tmp_path / "runs.db"
    found.write_bytes(gzip.decompress(EARLIER.read_bytes()))
    return found


def test_an_earlier_run_is_read(path):
    """Arrays, numbers and classes too; tables say that they are not read anymore."""
    with History(path) as history:
        assert [(row.id, row.status, row.tasks) for row in history.runs()] == [("early", "done", 11)]
        old = history.load("early", [city])
        assert (old.status, old.answer, old.question, old.inputs["k"]) == ("done", "It is well.", "What is it?", 3)
        for table in (old["table"], old.inputs["df"]):
            assert table == NotStored("DataFrame", "an earlier version stored it as Parquet, which is not read anymore")
        assert np.array_equal(old["grid_2"], np.arange(6.0).reshape(2, 3))
        assert (type(old["number_2"]), old["number_2"]) == (np.float32, 1.5)
        assert old["home"] == city.function("Oslo")
        assert str(old["odd"].pop("nan")) == "nan"
        assert old["odd"] == {key: value for key, value in odd_values.function().items() if key != "nan"}
        assert (old["rows"], old["best"], old.plan.dialect) == ({1: 2, 2: 4, 3: 6}, 3, "python")
        assert {id_: str(value) for id_, value in old.failures.items()} == {
            "f": "LookupError: no f", "g": "skipped: f failed, LookupError: no f",
        }  # fmt: skip
        assert old.timeline().text
        assert old.view()


def test_an_earlier_run_is_run_again_beside_a_new_one(path):
    """What it holds is pinned; its input, which is not read anymore, is given."""
    with History(path) as history:
        compiler = rich_compiler(history)
        old = history.load("early", compiler.settings.tools)
        again = compiler.rerun_sync(old, "best", inputs={"df": 1})
        assert (again.status, again["best"], again["grid_2"].shape) == ("done", 3, (2, 3))
        assert [row.id for row in history.runs()] == [again.id, "early"]
