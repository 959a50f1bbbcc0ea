"""Tools that ship with the package: arithmetic, a language model's help, charts, Wikipedia; each loaded when used.

No module here has the name of a tool: once imported, it would hide the tool.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compiler_nb.toolbox.arithmetic import calculate
    from compiler_nb.toolbox.language import make_language_tools
    from compiler_nb.toolbox.plot_tool import plot
    from compiler_nb.toolbox.wikipedia_tool import make_wikipedia, wikipedia

__all__ = ["calculate", "make_language_tools", "make_wikipedia", "plot", "wikipedia"]

_HOMES = {
    "calculate": "arithmetic", "make_language_tools": "language", "plot": "plot_tool",
    "make_wikipedia": "wikipedia_tool", "wikipedia": "wikipedia_tool",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Return a tool from its module, which is imported when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"compiler_nb.toolbox has no {name!r}")
    value = globals()[name] = getattr(import_module(f"compiler_nb.toolbox.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
