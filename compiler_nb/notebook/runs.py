"""The runs that a notebook knows: those of this session, and those in its history."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from compiler_nb.errors import HistoryError, OptionError
from compiler_nb.history.history import History
from compiler_nb.notebook.output.presenter import say
from compiler_nb.run import Run

if TYPE_CHECKING:
    from compiler_nb.history import StoredRun
    from compiler_nb.notebook.desk import Desk


def history_of(desk: Desk, *, to_write: bool = True) -> History | None:
    """Return where runs are kept, None for nowhere; where it cannot be written that is said once in a session."""
    given, memory = desk.settings.history, desk.memory
    if not given:
        return None
    if given not in memory.histories:
        history = memory.histories[given] = History(Path(desk.folder, Path(given).expanduser()))
        try:
            _prepare(history.path)
        except OSError as error:
            memory.unwritten.add(given)
            warnings.warn(f"runs are not kept: {error}; %config CompileMagics.history names the file", stacklevel=2)
    return None if to_write and given in memory.unwritten else memory.histories[given]


def _prepare(path: Path) -> None:
    """Make the folder of a history, with a .gitignore of its own; raise OSError where it cannot be written."""
    folder = path.parent
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise PermissionError(f"{path} cannot be written")


def stored_runs(desk: Desk) -> list[StoredRun]:
    """Return the runs that are in the history and not in this session, the newest first."""
    history, known = history_of(desk, to_write=False), {run.id for run in desk.memory.runs}
    if history is None:
        return []
    try:
        return [run for run in history.runs() if run.id not in known]
    except HistoryError as error:
        say(str(error))
        return []


def find_run(desk: Desk, word: str) -> Run:
    """Return the run that a word means: a variable, an id, or a number counted back from -1."""
    value = desk.memory.names.values.get(word)
    if isinstance(value, Run):
        return value
    by_id = {run.id: run for run in desk.memory.runs}
    if word in by_id:
        return by_id[word]
    back = int(word[1:]) if word.startswith("-") and word[1:].isdecimal() else 0
    if 0 < back <= len(desk.memory.runs):
        return desk.memory.runs[-back]
    stored = stored_runs(desk)
    by_number = {str(-number): run.id for number, run in enumerate(stored, len(desk.memory.runs) + 1)}
    id_, history = by_number.get(word, word), history_of(desk, to_write=False)
    if history is not None and id_ in {run.id for run in stored}:
        return history.load(id_, desk.memory.names.tools())
    raise OptionError(f"no run is called {word!r}; %compile runs lists them ({len(desk.memory.runs)} so far)")
