"""The runs that a notebook knows: those of this session, and those in its history."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from compiler_nb.engine.prints import plain_stdout
from compiler_nb.errors import HistoryError, OptionError
from compiler_nb.history import StoredRun
from compiler_nb.history.history import History
from compiler_nb.notebook.desk import Desk
from compiler_nb.run import Run
from compiler_nb.trace import calls_of

if TYPE_CHECKING:  # loaded only if it is used
    from compiler_nb.cache import Cache


def history_of(desk: Desk, *, to_write: bool = True) -> History | None:
    """Return the history of this notebook, or None if there is none; warn once in a session if it cannot be written."""
    given, memory = desk.settings.history, desk.memory
    if not given:
        return None
    if given not in memory.histories:
        history = memory.histories[given] = History(Path(desk.folder, Path(given).expanduser()))
        try:
            _prepare(history.path)
        except OSError as error:
            memory.unwritten.add(given)
            warnings.warn(f"runs are not kept: {error}; %config CompileMagics.history sets another file", stacklevel=2)
    return None if to_write and given in memory.unwritten else memory.histories[given]


def cache_in(desk: Desk) -> Cache:
    """Return the cache of this notebook: in its history, or in the memory of its kernel if it has none."""
    from compiler_nb.cache import Cache  # noqa: PLC0415 - only who uses the cache needs it

    history = history_of(desk)
    name = desk.settings.history if history is not None else ""
    return desk.memory.caches.setdefault(name, Cache(history))


def _prepare(path: Path) -> None:
    """Make the folder of a history, with a .gitignore of its own; raise OSError if the history cannot be written."""
    folder = path.parent
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise PermissionError(f"{path} cannot be written")


def stored_runs(desk: Desk) -> list[StoredRun]:
    """Return the runs of the history that are not of this session, nor of a grid, the newest first."""
    return [run for run in _stored(desk) if not run.grid]


def grid_runs(desk: Desk) -> list[StoredRun]:
    """Return the runs of the history that are of a grid, the newest first: they have no number."""
    return [run for run in _stored(desk) if run.grid]


def _stored(desk: Desk) -> list[StoredRun]:
    history, known = history_of(desk, to_write=False), {run.id for run in desk.memory.runs}
    if history is None:
        return []
    try:
        return [run for run in history.runs() if run.id not in known]
    except HistoryError as error:
        plain_stdout().write(f"{error}\n")
        return []


def find_run(desk: Desk, word: str) -> Run:
    """Return the run that a word means: a variable, an id, or a number counted back from -1.

    Raises OptionError if there is no such run.
    """
    value = desk.memory.names.values.get(word)
    if isinstance(value, Run):
        return value
    own: list[Run | StoredRun] = list(reversed(desk.memory.runs))
    found = _pick(own, word) or _pick([*own, *stored_runs(desk)], word) or _of_grid(desk, word)
    if isinstance(found, Run):
        return found
    history = history_of(desk, to_write=False)
    if history is None or found is None:
        count = len(own) + len(stored_runs(desk))
        named = "" if word.startswith("-") and not count else f"no run is called {word!r}; "
        there = f"%compile runs lists them ({count:,} so far)" if count else "there is no run yet: %%compile makes one"
        raise OptionError(f"{named}{there}")
    return history.load(found.id, desk.memory.names.tools())


def _of_grid(desk: Desk, word: str) -> StoredRun | None:
    return next((run for run in grid_runs(desk) if run.id == word), None)


def _pick(runs: list[Run | StoredRun], word: str) -> Run | StoredRun | None:
    return next((run for number, run in enumerate(runs, 1) if word in (run.id, f"-{number}")), None)


def run_before(desk: Desk, run: Run, who: str) -> Run | None:
    """Return the last run of this session before another in which a model was asked in a role, or by a task.

    None if there is none: runs of earlier sessions are compared only if somebody names them, so that a notebook shows
    the same in every session.
    """
    own = list(desk.memory.runs)
    before = own[: own.index(run)] if run in own else [each for each in own if each.id[:15] <= run.id[:15]]
    return next((each for each in reversed(before) if calls_of(each.progress, who)), None)
