"""The verb `export`: a run's plan as a plain asyncio script, or the run in a form that its file's ending names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compiler_nb.errors import OptionError, ToolError
from compiler_nb.history.reader import StoredTool
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.output.presenter import say
from compiler_nb.notebook.runs import find_run
from compiler_nb.run import Run
from compiler_nb.text import count_of
from compiler_nb.tool import Tool


def export(desk: Desk, words: list[str], options: dict[str, str]) -> None:
    """Write a file, unless it exists; say what is to be filled in."""
    if not words:
        raise OptionError("which file? write: %compile export [RUN] FILE.py")
    run, path = find_run(desk, words[0] if words[1:] else "-1"), Path(words[-1]).expanduser()
    if path.exists() and "--force" not in options:
        raise OptionError(f"%compile export: {path} exists already: --force writes over it")
    try:
        if path.suffix != ".py":
            say(f"wrote {run.save(path)}", run)
            return
        script = run.to_script(_tools_of(desk, run))
        path.write_text(script, encoding="utf-8")
    except (ValueError, RuntimeError, ToolError) as error:
        raise OptionError(f"%compile export: {error}") from None
    except KeyError as error:
        raise OptionError(f"%compile export: {error.args[0]}") from None
    except OSError as error:
        raise OptionError(f"%compile export: {path} cannot be written: {error.strerror or error}") from None
    missing = getattr(script, "missing", {})
    told = "".join(f"\n  {name}: {what}" for name, what in missing.items())
    left = f"; fill in {count_of(len(missing), 'name')}:{told}" if missing else ""
    say(f"wrote {path}: python {path} performs the plan{left}", run)


def _tools_of(desk: Desk, run: Run) -> dict[str, Tool]:
    """Return what the notebook has for those of a run's tools that were another session's."""
    visible, found, kept = desk.memory.names.visible(), dict[str, Tool](), dict[str, Any](run.settings.tools)
    for name in kept.keys() & visible.keys():
        value: Any = visible[name]
        if isinstance(kept[name], StoredTool) and callable(value):
            found[name] = value if isinstance(value, Tool) else Tool(value)
    return found
