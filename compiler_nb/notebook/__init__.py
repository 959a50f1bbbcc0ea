"""The notebook: magics, what they bind and show, and the loop they run on; the only room that says IPython."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from traitlets import TraitError
from traitlets.config import Config

from compiler_nb.notebook.cell import AWAITED, Rewriter, drop_comments
from compiler_nb.notebook.complete import make_matcher
from compiler_nb.notebook.magics import CompileMagics
from compiler_nb.notebook.verbs import VERBS

if TYPE_CHECKING:
    from compiler_nb.notebook.namespace import Namespace

NAME = "CompileMagics"
_NAMES: WeakKeyDictionary[Any, Namespace] = WeakKeyDictionary()
"""What runs have bound, by shell: a reload forgets none of it."""


def load(shell: Any) -> None:
    """Register the magics with a shell, with what they need; nothing where they are there already."""
    if isinstance(shell.magics_manager.registry.get(NAME), CompileMagics):
        return
    _drop_wrong_settings(shell)
    magics = CompileMagics(shell, _NAMES.get(shell))
    _NAMES[shell] = magics.names
    shell.register_magics(magics)
    shell.register_magic_function(magics.compile_awaited, "cell", AWAITED["compile"])
    shell.register_magic_function(magics.plan_awaited, "cell", AWAITED["plan"])
    shell.input_transformers_cleanup.append(drop_comments)
    shell.input_transformers_post.append(Rewriter(shell))
    shell.Completer.custom_matchers.append(make_matcher(magics.names, VERBS))
    for event in ("pre_run_cell", "post_run_cell"):
        shell.events.register(event, magics.idle.run_waiting)


def unload(shell: Any) -> None:
    """Take everything out again that `load` has put in."""
    magics = shell.magics_manager.registry.pop(NAME, None)
    if magics is None:
        return
    for kind, names in {"line": ["compile"], "cell": ["compile", "plan", *AWAITED.values()]}.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    if drop_comments in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(drop_comments)
    posts = shell.input_transformers_post
    posts[:] = [each for each in posts if not isinstance(each, Rewriter)]
    matchers = shell.Completer.custom_matchers
    matchers[:] = [each for each in matchers if getattr(each, "__name__", "") != "compiler_nb_matcher"]
    for event in ("pre_run_cell", "post_run_cell"):
        if magics.idle.run_waiting in shell.events.callbacks[event]:
            shell.events.unregister(event, magics.idle.run_waiting)


def _drop_wrong_settings(shell: Any) -> None:
    """Drop settings that are wrong, with a warning: `%config` keeps them, and no later load would succeed."""
    given = shell.config.get(NAME, {})
    for name in list(given):
        try:
            CompileMagics(shell, config=Config({NAME: {name: given[name]}}))
        except TraitError as error:
            del given[name]
            warnings.warn(f"{NAME}.{name} is left at its default: {error}", stacklevel=3)
