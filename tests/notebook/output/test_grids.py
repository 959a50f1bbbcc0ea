from __future__ import annotations

import re

from compiler_nb.compare.cells import CellPlace
from compiler_nb.notebook.output.bar import PageBar, page_bar
from compiler_nb.notebook.output.grids import grid_page
from tests.compare.test_grid import CELL, filled

COVERS = ["bar.py"]


def test_a_grid_is_a_table_that_sorts_without_scripts():
    """Each row knows its place by each column; the heads are buttons of a form."""
    page = grid_page(filled())
    assert "<script" not in page
    assert " on" not in re.sub(r">[^<]*<", "><", page)
    assert page.count("<form>") == 2
    assert re.findall(r'<th class="[\w-]+">(\w+)<', page)[8:] == [
        "variant", "question", "answer", "score", "stability", "tasks", "width", "tokens", "cost", "seconds",
    ]  # fmt: skip
    styles = re.findall(r'<tr style="([^"]+)">', page)
    assert len(styles) == 2 + 4
    assert [re.search(r"--s3:(\d)", style)[1] for style in styles[2:]] == ["0", "1", "2", "3"]


def test_each_cell_says_how_to_open_its_run():
    """The code of each is below the answer of its row."""
    page = grid_page(filled(), "found")
    assert "<code>found[&quot;other&quot;, 1, 1]</code>" in page
    assert page.count("<details>") == 4


def test_what_a_grid_shows_is_inert():
    """Questions, answers, errors and names are data."""
    grid = filled()
    grid.cases = tuple(case._replace(question="<b>$x$</b>") for case in grid.cases)
    grid.cells[CellPlace("base", 0, 0)] = CELL._replace(status="failed", error="<script>alert(1)</script>")
    grid.notes.append("<i>")
    page = grid_page(grid)
    assert "<script" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "$x$" not in page


def test_a_large_grid_is_bounded_in_a_page():
    """What is left out is counted, and is in the frame."""
    grid = filled(repeat=2)
    grid.cases = grid.cases * 200
    page = grid_page(grid)
    assert "… 500 more rows: grid.to_pandas('question')" in re.sub("&#x27;", "'", page)
    assert "<details>" not in page


def test_a_bar_is_updated_in_place_and_gone_when_the_grid_is_done(monkeypatch):
    """If it was stopped, it says so, for there is no table then."""
    shown = []

    class Handle:
        def update(self, data, *, raw):
            shown.append(data)

    def display(data, *, replaceable):
        shown.append(data)
        return Handle()

    monkeypatch.setattr("compiler_nb.notebook.output.bar.display", display)
    bar = PageBar(filled())
    bar.show("7 of 8")
    bar.end()
    bar.grid.status = "done"
    bar.end()
    assert [each["text/plain"] for each in shown] == ["7 of 8", filled().heading, ""]
    assert "width:100.0%" in shown[1]["text/html"]
    assert page_bar(filled()) is None  # no kernel runs this test
