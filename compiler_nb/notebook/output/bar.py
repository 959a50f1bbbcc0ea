"""The bar of a grid in a cell's output: it is updated in place, and gone when the grid is done."""

from __future__ import annotations

from typing import Any

from compiler_nb.compare.grid import Grid
from compiler_nb.notebook.output.grids import bar_page
from compiler_nb.notebook.output.presenter import display, is_attended


class PageBar:
    """A bar in a cell's output."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.handle: Any = None

    def show(self, told: str) -> None:
        """Show how far the grid is, in words, and as a bar."""
        shown = {"text/plain": told, "text/html": bar_page(self.grid, told)}
        if self.handle is None:
            self.handle = display(shown, replaceable=True)
        else:
            self.handle.update(shown, raw=True)

    def end(self) -> None:
        """Make room for the grid itself, or say why it is not whole."""
        if self.grid.status != "done":
            self.show(self.grid.heading)
        elif self.handle is not None:
            self.handle.update({"text/plain": "", "text/html": ""}, raw=True)


def page_bar(grid: Grid) -> PageBar | None:
    """Return the bar of a grid, None if nobody looks at the cell: programs that run notebooks get the grid alone."""
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 - only who compares needs it

    return PageBar(grid) if is_attended(get_ipython()) else None
