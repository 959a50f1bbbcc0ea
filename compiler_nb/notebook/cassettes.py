"""Cassettes in cells: what `--record` and `--replay`, or the settings of these names, make of the models of a cell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compiler_nb.errors import OptionError
from compiler_nb.models.base import Model
from compiler_nb.models.cassette import Cassette
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.models import is_hand, roles_of
from compiler_nb.settings.settings import ROLES


def models_of(desk: Desk, given: Mapping[str, Any]) -> dict[str, Model | None]:
    """Return the model for each role, recorded if the cell says so; or for all roles the cassette that is played.

    What the cell says goes before what `%config` says. Raises OptionError if it says both, HistoryError if the file
    cannot be played, or cannot be recorded to.
    """
    if "record" in given and "replay" in given:
        raise OptionError("%%compile: --record and --replay exclude each other: record first, then replay the file")
    replay = given.get("replay") or ("" if "record" in given else desk.settings.replay)
    record = given.get("record") or ("" if replay else desk.settings.record)
    if given.get("timings") and not replay:
        raise OptionError("%%compile: --timings is for --replay FILE")
    if replay:
        return dict.fromkeys(ROLES, _cassette(desk, replay, timings=given.get("timings", False)))
    models = roles_of(desk, given)
    return _recorded(record, models) if record else models


def _cassette(desk: Desk, file: str, *, timings: bool) -> Cassette:
    """Return the cassette of a file: one for all cells, so that each gets what came next, until the file changes."""
    path = Path(file).expanduser()
    found = path.stat() if path.is_file() else None
    key = f"{path.absolute()} {found and (found.st_mtime_ns, found.st_size)} {timings}"
    cassettes = desk.memory.cassettes
    if key not in cassettes:
        cassettes[key] = Cassette(path, timings=timings)
    return cassettes[key]


def _recorded(file: str, models: Mapping[str, Model | None]) -> dict[str, Model | None]:
    """Return models that are recorded; one that serves several roles stays one."""
    if any(map(is_hand, models.values())):
        raise OptionError("%%compile: --record is for models that answer by themselves, not for hand")
    different = {id(model): model for model in models.values() if model is not None}
    recorders: dict[int, Model] = {key: Cassette.record(file, model) for key, model in different.items()}
    return {role: None if model is None else recorders[id(model)] for role, model in models.items()}
