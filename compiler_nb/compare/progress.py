"""How far a grid is, in words, and as one line of a terminal that is written over."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

from compiler_nb.compare.grid import Grid
from compiler_nb.compare.runner import GridRunner
from compiler_nb.engine.runners import PostToMain
from compiler_nb.text import count_of, seconds_text

EVERY: Final = 0.1
"""Seconds between two looks at a grid: showing it more often would slow it down."""
BAR: Final = 24
"""Columns of a bar."""
Progressing = bool | Callable[[Grid], None]
"""Whether a bar is shown; or a function that is called with the grid instead, each time that something has changed."""


def progress_text(grid: Grid, running: int, took: float) -> str:
    """Return how far a grid is; running: how many runs go on; took: seconds so far."""
    done, new = len(grid.cells), len(grid.cells) - grid.taken
    tokens = sum(cell.tokens for cell in grid.cells.values())
    left = took / new * (grid.total - done) if new > 0 else None
    parts = [
        f"{done:,} of {count_of(grid.total, 'cell')}",
        f"{grid.taken:,} from before" if grid.taken else "",
        f"{running:,} running" if running else "",
        f"{tokens:,} tokens" if tokens else "",
        f"about {seconds_text(left)} left" if left is not None and running else "",
    ]
    return " · ".join(part for part in parts if part)


class TerminalBar:
    """A bar in a terminal: one line that is written over, and removed at the end."""

    def __init__(self, grid: Grid, stream: TextIO) -> None:
        self.grid, self.stream = grid, stream

    def show(self, told: str) -> None:
        """Write the line."""
        full = BAR * len(self.grid.cells) // max(1, self.grid.total)
        self.stream.write(f"\r\x1b[K{'█' * full}{'░' * (BAR - full)} {told}")
        self.stream.flush()

    def end(self) -> None:
        """Remove the line."""
        self.stream.write("\r\x1b[K")
        self.stream.flush()


def follow(runner: GridRunner, progress: Progressing, post: PostToMain | None = None) -> None:
    """Show how far a grid is as long as it goes on; post: gives a function to the thread that may show something."""
    if callable(progress):
        runner.changed = lambda: progress(runner.grid)
        return
    bar = _bar(runner.grid) if progress else None
    if bar is not None:
        show_on(runner, bar, post)


def show_on(runner: GridRunner, bar: Any, post: PostToMain | None = None) -> None:
    """Show on a bar how far a grid is; post: as for `follow`."""
    began, shown = time.monotonic(), -EVERY

    def show() -> None:
        running, took = len(runner.running), time.monotonic() - began
        if runner.grid.status == "running":
            bar.show(progress_text(runner.grid, running, took))
        else:
            bar.end()

    def changed() -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= EVERY or runner.grid.status != "running":
            shown = now
            if post is None or not post(show):
                show()

    runner.changed = changed


def _bar(grid: Grid) -> Any:
    """Return what shows a bar here: a notebook's output, a terminal's line, or None if nobody looks."""
    if "ipykernel" in sys.modules and (bar := grid.bar()) is not None:
        return bar
    return TerminalBar(grid, sys.stderr) if sys.stderr is not None and sys.stderr.isatty() else None
