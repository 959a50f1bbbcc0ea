"""History: what is kept of runs in a file, and the way back from there to a Run."""

from __future__ import annotations

import atexit
import logging
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from compiler_nb.history.writer import Writer
from compiler_nb.values.code import LARGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from os import PathLike
    from types import TracebackType

    from compiler_nb.events import Event
    from compiler_nb.history.rows import Facts
    from compiler_nb.run import Run

WRITTEN_WITHIN: Final = 2.0
"""Seconds that a reader waits for what this process still has to write."""
BROKEN_OFF: Final = "broken off"
DAMAGED: Final = "damaged"
LOG: Final = logging.getLogger("compiler_nb")


class StoredRun(NamedTuple):
    """A run in a history; `at` is local time.

    status: a Run's, "broken off" where its process ended first, or "damaged" where it cannot be read: then only what
    can be told is.
    """

    id: str
    question: str
    status: str
    at: datetime
    tasks: int
    seconds: float


class History:
    """A file in which runs are kept as they happen, with what their tasks returned; several processes may share it.

    path: a SQLite database, made for the user alone where there is none; largest: bytes that one value may take, a
    larger one is not stored and says so. Nothing that goes wrong with the file stops a run: it costs a warning.
    """

    def __init__(self, path: str | PathLike[str], *, largest: int = LARGEST) -> None:
        self.path = Path(path).expanduser().absolute()
        self._writer = Writer(self.path, largest)
        _OPEN.add(self)

    def runs(self) -> list[StoredRun]:
        """Return the runs, the newest first; raises HistoryError where the file cannot be read."""
        from compiler_nb.history.listing import read_runs  # noqa: PLC0415 - sqlite3 is not for who stores nothing

        self._writer.wait(WRITTEN_WITHIN)
        return read_runs(self.path, _being_written()) if self.path.exists() else []

    def load(self, run_id: str, tools: Iterable[Any] | Mapping[str, Any] = ()) -> Run:
        """Return a stored run, finished or broken off, from its events; no code is run for that.

        tools: by whose return types values of the user's own classes are made again; without them those are NotStored.
        Raises HistoryError where there is no such run, or the file is damaged.
        """
        from compiler_nb.history.reader import load  # noqa: PLC0415 - as above

        self._writer.wait(WRITTEN_WITHIN)
        return load(self.path, run_id, tools, alive=_being_written())

    def prune(self, keep: int) -> int:
        """Remove all runs but the newest ones and those that are being written; return how many.

        keep: the runs that stay, 0 or more. What is removed is forgotten, and its space given back. Raises ValueError
        for another number, HistoryError where the file cannot be written.
        """
        if type(keep) is not int or keep < 0:
            raise ValueError(f"keep is the number of runs that stay, 0 or more, not {keep!r}")
        from compiler_nb.history.pruning import prune  # noqa: PLC0415 - as above

        self._writer.wait(WRITTEN_WITHIN)
        return prune(self.path, keep, _being_written()) if self.path.exists() else 0

    def effects_after(self, run_id: str) -> frozenset[str]:
        """Return the fingerprints of side effects that runs began which continue or repeat a run."""
        from compiler_nb.history.reader import effects_after  # noqa: PLC0415 - as above

        self._writer.wait(WRITTEN_WITHIN)
        return effects_after(self.path, run_id)

    def begin(self, run: str, facts: Facts, lost: Callable[[str], None]) -> Callable[[Event], None]:
        """Take a run to be kept; return the listener for its log. `lost` hears, on another thread, why no more is."""
        return self._writer.begin(run, facts, lost)

    def flush(self, run: str, tell: Callable[[bool], None]) -> None:
        """Commit what came of a run so far, and tell, on another thread, whether that was done."""
        self._writer.flush(run, tell)

    def close(self) -> None:
        """Write what came so far and let go of the file; runs that go on are not kept from here on."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"History({str(self.path)!r})"


_OPEN: Final[weakref.WeakSet[History]] = weakref.WeakSet()


def _being_written() -> set[str]:
    return {run for history in list(_OPEN) for run in list(history._writer.runs)}  # noqa: SLF001 - our own


@atexit.register
def _close_all() -> None:
    for history in list(_OPEN):
        history.close()


def open_history(given: object) -> History | None:
    """Return the history that an argument means: a History, a path, or None; raises ValueError for anything else."""
    if given is None or isinstance(given, History):
        return given
    if isinstance(given, str | Path) and str(given):
        return History(given)
    raise ValueError(f"history is a History, a path, or None, not {given!r}")
