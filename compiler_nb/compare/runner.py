"""The runner of a grid: it runs the cells that are missing, some at a time, scores them and keeps them.

Theory of operation
    A grid has one queue of places, and as many workers as runs may go on at a time; each takes the next place when its
    run has ended. So a grid of a thousand cells holds a few runs, and no more than the plain data of the others.
    A run that ended by itself is a result, good or bad, and is kept. One that was cancelled, or that the grid's budget
    refused a call, is a measure of nothing: it is left out, and the next time it is run. So is one whose model did not
    answer: it counts as failed now, and is not kept.
    The runner knows no compiler: a Way begins a run, and may be any method to answer a question.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from compiler_nb.compare.cases import Case
from compiler_nb.compare.cells import CellPlace, GridCell, cell_of
from compiler_nb.compare.grid import Grid
from compiler_nb.compare.marks import key_of, scorer_mark
from compiler_nb.compare.purse import Purse
from compiler_nb.compare.store import Store
from compiler_nb.errors import CompilerError, HistoryError
from compiler_nb.run import Run
from compiler_nb.signature.answers import WrongAnswer
from compiler_nb.text import describe_error, shorten_value

Scorer: TypeAlias = "Callable[[str, Any, Any], Any]"
"""score(question, answer, expected) -> float, or a coroutine of it."""
Begun: TypeAlias = "tuple[Run, Coroutine[Any, Any, None]]"
AGAIN: Final = "the same call goes on with it"
NOT_RESUMABLE: Final = "no history is set: this grid can be gone on with in this process only"


class Way(Protocol):
    """A way to answer questions: a variant of a compiler, or another method.

    mark: the hash of all that decides what its runs find; shapes: what its planner is told of the results of tools;
    tools: by which the values of a stored run are read.
    """

    mark: str
    shapes: dict[str, str]
    tools: Any

    def begin(self, case: Case, repetition: int) -> Begun:
        """Return a run that answers a question, and its coroutine; raises CompilerError if none can be made."""
        ...


@dataclass(kw_only=True, eq=False)
class GridRunner:
    """Fills a grid.

    ways: by the names of the grid's variants; at_a_time: runs; purse: what all runs may use together; seconds: the
    longest that it may take, None means no limit; fresh: whether cells that are kept are run again; changed: called on
    the runner's loop when a cell begins or ends.
    """

    grid: Grid
    ways: Mapping[str, Way]
    store: Store
    score: Scorer | None = None
    at_a_time: int = 4
    purse: Purse
    seconds: float | None = None
    fresh: bool = False
    changed: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.running: dict[CellPlace, Run] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._limit: asyncio.Timeout | None = None
        self._stopped = False
        self._keys: dict[CellPlace, str] = {}
        self.grid.opens = lambda place, run: self.store.open(run, self.ways[place.variant].tools)

    # ---------------------------------------------------------------- the whole

    async def perform(self) -> None:
        """Run what is missing; the grid ends with a status. Raises only a cancellation from outside."""
        grid, self._loop = self.grid, asyncio.get_running_loop()
        left = await self._left()
        self.changed()
        try:
            async with asyncio.timeout(self.seconds) as self._limit:
                if self._stopped:
                    self._limit.reschedule(0)
                async with asyncio.TaskGroup() as workers:
                    for _ in range(min(self.at_a_time, grid.total)):
                        workers.create_task(self._work(left))
        except TimeoutError:
            late = f"the grid took longer than {self.seconds:g} s" if self.seconds else ""
            self._end(*(("cancelled", "stopped") if self._stopped else ("limit", late)))
        except asyncio.CancelledError:
            self._end("cancelled", "stopped")
            raise
        else:
            self._end(*(("limit", self.purse.spent) if self.purse.spent else ("done", "")))

    def stop(self) -> None:
        """Stop it, from any thread: what is done stays, runs that go on are cancelled."""
        self._stopped = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it is over
                self._loop.call_soon_threadsafe(self._halt)

    def _halt(self) -> None:
        """Stop waiting, on the loop; before it has begun to wait, `perform` looks itself."""
        if self._limit is not None:
            with contextlib.suppress(RuntimeError):  # it is over
                self._limit.reschedule(0)

    def _end(self, status: Any, error: str) -> None:
        missing = len(self.grid.cells) < self.grid.total
        self.grid.status = "done" if status == "limit" and not missing else status
        self.grid.error = f"{error}; {AGAIN}" if missing and error else ""
        self.changed()

    # ---------------------------------------------------------------- what is there

    async def _left(self) -> Iterator[CellPlace]:
        """Take the cells that are kept, and what planners were told; return the places of the others."""
        grid = self.grid
        for name, way in self.ways.items():
            found, shapes = await asyncio.to_thread(self.store.find, way.mark)
            if shapes is None:
                await self._keep(self.store.begin(way.mark, way.shapes))
            else:
                way.shapes = shapes
            for place in (each for each in grid.places if each.variant == name):
                key = self._keys[place] = key_of(way.mark, grid.cases[place.question], place.repetition)
                if key in found and not self.fresh:
                    grid.cells[place] = found[key] if self.score else found[key].without_score()
        grid.taken = len(grid.cells)
        if not self.store.resumable:
            grid.notes.append(NOT_RESUMABLE)
        return (each for each in grid.places if each not in grid.cells or self._to_score(each))

    def _to_score(self, place: CellPlace) -> bool:
        if self.score is None:
            return False
        mark = scorer_mark(self.score, self.grid.cases[place.question].expected)
        return not mark or self.grid.cells[place].scorer != mark

    async def _keep(self, kept: Coroutine[Any, Any, None]) -> None:
        """Keep something; if that fails the grid goes on, and says so once."""
        try:
            await kept
        except HistoryError as error:
            told = f"cells are not kept: {error}"
            if told not in self.grid.notes:
                self.grid.notes.append(told)

    # ---------------------------------------------------------------- one cell

    async def _work(self, left: Iterator[CellPlace]) -> None:
        for place in left:
            if self.purse.spent:
                return
            known = self.grid.cells.get(place)
            await (self._run(place) if known is None else self._rescore(place, known))
            self.changed()

    async def _run(self, place: CellPlace) -> None:
        way, case = self.ways[place.variant], self.grid.cases[place.question]
        try:
            run, work = way.begin(case, place.repetition)
        except CompilerError as error:
            self.grid.notes.append(f"{place.variant}, question {place.question}: {error}")
            return
        self.running[place] = run
        self.changed()
        try:
            await work
        finally:
            del self.running[place]
            refused = self.purse.ended(run.progress)
        if refused or run.status == "cancelled":
            return
        cell = await self._scored(case, cell_of(run), run.answer)
        self.grid.cells[place] = cell
        key = "" if cell.passing else self._keys[place]
        await self._keep(self.store.keep(way.mark, key, cell, run))

    async def _rescore(self, place: CellPlace, cell: GridCell) -> None:
        """Score the answer of a run that is kept, with another scorer than before."""
        way, case = self.ways[place.variant], self.grid.cases[place.question]
        try:
            answer = (await asyncio.to_thread(self.store.open, cell.run, way.tools)).answer
        except HistoryError:
            answer = cell.answer  # its run was removed
        if self.grid.wanted is not None and cell.answered:
            with contextlib.suppress(WrongAnswer):  # only its beginning is known
                answer = self.grid.wanted.read(answer)
        self.grid.cells[place] = scored = await self._scored(case, cell, answer)
        await self._keep(self.store.keep(way.mark, self._keys[place], scored, None))

    async def _scored(self, case: Case, cell: GridCell, answer: Any) -> GridCell:
        """Return a cell with its score, or with the reason why it has none."""
        if self.score is None:
            return cell
        score, unscored = None, ""
        if cell.answered:
            try:
                found = self.score(case.question, answer, case.expected) if _is_async(self.score) else (
                    await asyncio.to_thread(self.score, case.question, answer, case.expected)
                )  # fmt: skip
                score = _number(await found if inspect.isawaitable(found) else found)
            except Exception as error:  # noqa: BLE001 - a user's own function may raise anything
                unscored = f"the scorer raised {describe_error(error)}"
            if score is None and not unscored:
                unscored = f"the scorer returned {shorten_value(found, 60)}, not a finite number"
        else:
            unscored = "no answer"
        return cell._replace(score=score, unscored=unscored, scorer=scorer_mark(self.score, case.expected))


def _is_async(score: Scorer) -> bool:
    return inspect.iscoroutinefunction(score) or inspect.iscoroutinefunction(type(score).__call__)


def _number(found: Any) -> float | None:
    """Return a score as a number, None if it is not a finite number."""
    if isinstance(found, str | bytes) or not hasattr(type(found), "__float__"):
        return None
    number = float(found)
    return number if math.isfinite(number) else None
