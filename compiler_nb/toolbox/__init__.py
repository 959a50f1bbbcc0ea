"""Tools that ship with the package: arithmetic, a language model's help, charts, Wikipedia."""

from __future__ import annotations

from compiler_nb.toolbox.arithmetic import calculate
from compiler_nb.toolbox.language import make_language_tools
from compiler_nb.toolbox.plot import plot
from compiler_nb.toolbox.wikipedia import make_wikipedia, wikipedia

__all__ = ["calculate", "make_language_tools", "make_wikipedia", "plot", "wikipedia"]
