"""An IPython shell in this process, with the extension loaded and what it shows kept."""

from __future__ import annotations

import atexit
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from compiler_nb import ScriptedModel, load_ipython_extension, unload_ipython_extension

if TYPE_CHECKING:
    from collections.abc import Iterator

SETUP = """
from compiler_nb import tool

@tool
def double(x: float) -> float:
    "Return twice a number."
    return 2 * x

@tool
def fail(x: object) -> object:
    "Fail."
    raise ValueError("search failed, 404")
"""
PLAN = "a = double(1)\nb = double(2)\nbest = max(a, b)\nanswer(best)\n"


class Shell:
    """A shell and what it has shown; `run` returns IPython's result of a cell."""

    def __init__(self, shell: Any) -> None:
        self.ip = shell
        self.ns: dict[str, Any] = shell.user_ns

    def run(self, cell: str) -> Any:
        """Run a cell."""
        return self.ip.run_cell(cell)

    def ok(self, cell: str) -> None:
        """Run a cell that must not fail."""
        self.run(cell).raise_error()

    def error(self, cell: str) -> str:
        """Run a cell that fails; return the error's class and message."""
        result = self.run(cell)
        raised = result.error_before_exec or result.error_in_exec
        assert raised is not None, f"no error in {cell!r}"
        return f"{type(raised).__name__}: {raised}"

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The data of all displays so far."""
        return [output["data"] for output in self.ip.display_pub.outputs]

    def text(self) -> str:
        """Return the last display as plain text."""
        return str(self.shown[-1]["text/plain"])

    def planner(self, *plans: str, name: str = "m") -> ScriptedModel:
        """Bind a model that writes these plans to a variable, and return it."""
        model = ScriptedModel({"planner": list(plans) if len(plans) > 1 else plans[0]})
        self.ns[name] = model
        return model


@contextmanager
def open_shell(setup: str = SETUP, **settings: Any) -> Iterator[Shell]:
    """Open a fresh shell that has run `setup`; settings: those of `%config CompileMagics`."""
    InteractiveShell.clear_instance()
    config = Config({"HistoryManager": {"enabled": False}, "InteractiveShell": {"colors": "nocolor"}})
    config["CompileMagics"] = Config({"layout": "own", **settings})
    shell = InteractiveShell.instance(config=config)
    shell.display_pub = CapturingDisplayPublisher()
    load_ipython_extension(shell)
    try:
        opened = Shell(shell)
        opened.ok(setup)
        yield opened
    finally:
        unload_ipython_extension(shell)
        shell.history_manager.end_session() if shell.history_manager else None
        # IPython keeps each shell until the process exits, and then collects garbage once for each
        atexit.unregister(shell.atexit_operations)
        InteractiveShell.clear_instance()


def told(shell: Shell, capsys: Any, line: str) -> str:
    """Return what a line prints."""
    capsys.readouterr()
    shell.ok(line)
    return str(capsys.readouterr().out)
