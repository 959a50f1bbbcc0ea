"""Where cells are kept, so that a grid does only what is missing: in a history, or in this process's memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

from compiler_nb.compare.cells import GridCell, from_data, to_data
from compiler_nb.errors import HistoryError
from compiler_nb.history.history import NOT_KEPT, History
from compiler_nb.history.kept import Kept
from compiler_nb.models.secret import Secret
from compiler_nb.run import Run

SHAPES = "shapes "
"""The beginning of the key under which is kept what a variant's planner is told of tools' results."""


class Store(Protocol):
    """Keeps cells by their keys, and by a variant's mark what its planner was told when its first cell began."""

    resumable: bool  # whether another process finds it

    def find(self, mark: str) -> tuple[dict[str, GridCell], dict[str, str] | None]:
        """Return the cells of a variant by key, and what its planner was told, None if it has not begun."""
        ...

    async def begin(self, mark: str, shapes: dict[str, str]) -> None:
        """Keep what the planner of a variant is told."""
        ...

    async def keep(self, mark: str, key: str, cell: GridCell, run: Run | None) -> None:
        """Keep a cell; run: its run, None if that was kept before."""
        ...

    def open(self, run: str, tools: Any) -> Run:
        """Return a run. Raises HistoryError if it is not there."""
        ...


class InMemory:
    """Keeps cells, and their runs, as long as this process lives."""

    resumable = False

    def __init__(self) -> None:
        self.cells: dict[str, dict[str, GridCell]] = {}
        self.shapes: dict[str, dict[str, str]] = {}
        self.runs: dict[str, Run] = {}

    def find(self, mark: str) -> tuple[dict[str, GridCell], dict[str, str] | None]:
        """Return the cells of a variant, and what its planner was told."""
        return dict(self.cells.get(mark, {})), self.shapes.get(mark)

    async def begin(self, mark: str, shapes: dict[str, str]) -> None:
        """Keep what the planner of a variant is told."""
        self.shapes[mark] = shapes

    async def keep(self, mark: str, key: str, cell: GridCell, run: Run | None) -> None:
        """Keep a cell and its run."""
        if key:
            self.cells.setdefault(mark, {})[key] = cell
        if run is not None:
            self.runs[run.id] = run

    def open(self, run: str, tools: Any) -> Run:
        """Return a run."""
        if run not in self.runs:
            raise HistoryError(f"the run {run} is not in memory anymore")
        return self.runs[run]


class InHistory:
    """Keeps cells in a history, which has their runs, too; a run that it could not keep stays in memory.

    secrets: keys that never get into the file.
    """

    resumable = True

    def __init__(self, history: History, secrets: Iterable[Secret] = ()) -> None:
        self.history, self.secrets = history, tuple(secrets)
        self.memory = InMemory()

    def find(self, mark: str) -> tuple[dict[str, GridCell], dict[str, str] | None]:
        """Return the cells of a variant, and what its planner was told; what another version has written is left out.

        Raises HistoryError if the file cannot be read.
        """
        cells: dict[str, GridCell] = {}
        shapes: dict[str, str] | None = None
        for kept in self.history.get("cells", name=mark):
            if kept.key.startswith(SHAPES):
                shapes = {str(name): str(told) for name, told in kept.data.items()}
                continue
            try:
                cells[kept.key] = from_data(kept.data)
            except HistoryError:
                continue
        return cells, shapes

    async def begin(self, mark: str, shapes: dict[str, str]) -> None:
        """Keep what the planner of a variant is told. Raises HistoryError if it cannot be written."""
        await self._put(f"{SHAPES}{mark}", mark, shapes)

    async def keep(self, mark: str, key: str, cell: GridCell, run: Run | None) -> None:
        """Keep a cell. Raises HistoryError if it cannot be written."""
        if run is not None and any(told.startswith(NOT_KEPT) for told in run.progress.warnings.get("", ())):
            await self.memory.keep(mark, "", cell, run)
        if key:
            await self._put(key, mark, to_data(cell))

    async def _put(self, key: str, mark: str, data: Any) -> None:
        await asyncio.to_thread(self.history.put, "cells", [Kept(key, mark, data)], self.secrets)

    def open(self, run: str, tools: Any) -> Run:
        """Return a run. Raises HistoryError if it is not there."""
        found: Run = self.memory.runs.get(run) or self.history.load(run, tools)
        return found
