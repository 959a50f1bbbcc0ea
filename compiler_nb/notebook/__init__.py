"""The notebook: magics, what they bind and show, and the loop they run on. No other room knows IPython."""

from __future__ import annotations

from compiler_nb.notebook.magics import load as load_ipython_extension
from compiler_nb.notebook.magics import unload as unload_ipython_extension

__all__ = ["load_ipython_extension", "unload_ipython_extension"]
