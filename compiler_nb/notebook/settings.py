"""What a cell's options and the settings of `%config CompileMagics` say together; an option wins."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler_nb.drive import unasked
from compiler_nb.history.history import History
from compiler_nb.notebook import models
from compiler_nb.notebook.output.show import DEFAULT_VIEWS, Look
from compiler_nb.tool import Toolbox
from compiler_nb.toolbox.language import make_language_tools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compiler_nb.models.base import Model
    from compiler_nb.notebook.magics import CompileMagics


def setting(magics: CompileMagics, given: Mapping[str, Any], name: str) -> Any:
    """Return an option's value, by default the setting of its name."""
    return given[name] if name in given else getattr(magics, name)


def look_of(magics: CompileMagics, given: Mapping[str, Any]) -> Look:
    """Return how runs are shown."""
    views = given.get("display", DEFAULT_VIEWS)
    return Look(views, magics.layout, setting(magics, given, "live"), given.get("quiet", False))


def front_end(magics: CompileMagics, given: Mapping[str, Any]) -> str:
    """Return what looks at a cell's output: "page" (with a person), "terminal", or "" where one output is wanted."""
    if not setting(magics, given, "live") or given.get("quiet") or "none" in given.get("display", ()):
        return ""
    kernel = getattr(magics.shell, "kernel", None)
    if kernel is None:
        return "terminal" if hasattr(magics.shell, "simple_prompt") else ""
    return "page" if given.get("live") or is_attended(magics.shell) else ""


def is_attended(shell: Any) -> bool:
    """Whether a person looks at the running cell: programs that execute notebooks offer no standard input."""
    try:
        return bool(shell.kernel.get_parent()["content"]["allow_stdin"])
    except (AttributeError, LookupError, TypeError):
        return False


def roles_of(magics: CompileMagics, given: Mapping[str, Any]) -> dict[str, Model | None]:
    """Return the model for each role, None where there is none."""
    own = _connect(magics, setting(magics, given, "model"))
    return {role: _connect(magics, setting(magics, given, role)) or own for role in models.ROLES}


def _connect(magics: CompileMagics, spec: Any) -> Model | None:
    """Return the model that a setting means; one that is connected by its name is kept, with its connections."""
    connected = magics.memory.connected
    if isinstance(spec, str) and spec in connected:
        return connected[spec]
    model = models.find(spec, magics.memory.names)
    if model is not None and isinstance(spec, str) and ":" in spec:
        connected[spec] = model
    return model


def history_of(magics: CompileMagics, *, to_write: bool = True) -> History | None:
    """Return where runs are kept, None for nowhere; where it cannot be written that is said once in a session."""
    given, memory = magics.history, magics.memory
    if not given:
        return None
    if given not in memory.histories:
        history = memory.histories[given] = History(Path(magics.folder, Path(given).expanduser()))
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


def offered(tools: Toolbox) -> Toolbox:
    """Return the tools that a plan may call beside the notebook's own."""
    return tools.plus(Toolbox(make_language_tools(unasked)))
