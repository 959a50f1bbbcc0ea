"""The notebook: magics, what they bind and show, and the loop they run on. No other room knows IPython."""

from __future__ import annotations

from compiler_nb.notebook.magics import load, unload

__all__ = ["load", "unload"]
