"""The notebook: magics, what they bind and show, and the loop they run on. No other room knows IPython."""

from __future__ import annotations

import warnings
from typing import Any, Final

from IPython.core.completer import context_matcher
from traitlets import TraitError
from traitlets.config import Config

from compiler_nb.notebook.cell import AWAITED, Rewriter, drop_comments
from compiler_nb.notebook.desk import CellSettings, Desk
from compiler_nb.notebook.magics import CompileMagics

NAME: Final = "CompileMagics"
EVENTS: Final = ("pre_run_cell", "post_run_cell")


class Matcher:
    """Completes options, verbs and names in the cells of one shell."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.__qualname__ = "compiler_nb_matcher"  # IPython reads it: it expects functions
        context_matcher(identifier="compiler_nb")(self)

    def __call__(self, context: Any) -> Any:
        """Return what completes the text at the cursor, in IPython's shape."""
        from compiler_nb.notebook.complete import match  # noqa: PLC0415 - loading the extension stays cheap

        return match(context, self.desk.memory.names)


OURS: Final = (CompileMagics, Rewriter, Matcher)
"""The classes of what is registered with a shell."""


def load(shell: Any) -> None:
    """Register the magics and what they need with a shell; does nothing if they are registered already."""
    if isinstance(shell.magics_manager.registry.get(NAME), CompileMagics):
        return
    _drop_wrong_settings(shell)
    magics = CompileMagics(shell)
    shell.register_magics(magics)
    shell.register_magic_function(magics.compile_awaited, "cell", AWAITED["compile"])
    shell.register_magic_function(magics.plan_awaited, "cell", AWAITED["plan"])
    shell.input_transformers_cleanup.append(drop_comments)
    shell.input_transformers_post.append(Rewriter(shell))
    shell.Completer.custom_matchers.append(Matcher(magics.desk))
    for event in EVENTS:
        shell.events.register(event, magics.desk.idle.run_waiting)


def unload(shell: Any) -> None:
    """Remove everything that `load` has registered."""
    magics = shell.magics_manager.registry.pop(NAME, None)
    if magics is None:
        return
    for kind, names in {"line": ["compile"], "cell": ["compile", "plan", *AWAITED.values()]}.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    # `%config` would go on to set the magics, which nobody reads anymore
    for registered in (
        shell.configurables, shell.input_transformers_cleanup, shell.input_transformers_post,
        shell.Completer.custom_matchers,
    ):  # fmt: skip
        registered[:] = [each for each in registered if each is not drop_comments and not isinstance(each, OURS)]
    for event in EVENTS:
        if magics.desk.idle.run_waiting in shell.events.callbacks[event]:
            shell.events.unregister(event, magics.desk.idle.run_waiting)


def _drop_wrong_settings(shell: Any) -> None:
    """Drop invalid settings with a warning: `%config` keeps them, so that every later load would fail."""
    given = shell.config.get(NAME, {})
    for name in list(given):
        try:
            CellSettings(config=Config({CellSettings.__name__: {name: given[name]}}))
        except TraitError as error:
            del given[name]
            warnings.warn(f"{NAME}.{name} is left at its default: {error}", stacklevel=3)
