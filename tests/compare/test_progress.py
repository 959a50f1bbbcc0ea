from __future__ import annotations

import asyncio
import io

from compiler_nb.compare.cases import Case
from compiler_nb.compare.grid import Grid
from compiler_nb.compare.progress import TerminalBar, progress_text
from tests.compare.test_grid import filled
from tests.compare.test_runner import asks


def test_a_bar_says_how_far_it_is_and_how_long_it_takes():
    """By what was run now, not by what was there."""
    grid = filled()
    assert progress_text(grid, 0, 8.0) == "8 of 8 cells · 828 tokens"
    grid.taken = 4
    del grid.cells[[*grid.places][-1]]
    assert progress_text(grid, 1, 6.0) == "7 of 8 cells · 4 from before · 1 running · 721 tokens · about 2.0 s left"
    assert progress_text(Grid([Case("q?")], ["a"], 1), 0, 0.0) == "0 of 1 cell"


def test_a_terminal_shows_one_line_that_is_written_over():
    """And nothing of it stays."""
    stream = io.StringIO()
    line = TerminalBar(filled(), stream)
    line.show("8 of 8 cells")
    line.end()
    assert stream.getvalue() == f"\r\x1b[K{'█' * 24} 8 of 8 cells\r\x1b[K"


def test_a_function_is_told_of_each_change_instead():
    """With the grid as it is then."""
    counts = []
    asyncio.run(asks().compare(["one?", "two?"], progress=lambda grid: counts.append((len(grid.cells), grid.status))))
    assert counts[0] == (0, "running")
    assert counts[-1] == (2, "done")
