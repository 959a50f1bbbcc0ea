"""The picture of a figure, as PNG: what is shown and stored of it.

A figure is one of matplotlib's, or an object that draws itself (`_repr_png_`, as images do). Drawing one of
matplotlib's changes it for a moment, and it is not made for threads: so only one thread draws at a time, the history's
or the page's.
"""

from __future__ import annotations

import base64
import io
import sys
import threading
from typing import Any, Final

from compiler_nb.outcome import StoredFigure
from compiler_nb.text import figure_label
from compiler_nb.values.forms import PNG

LARGEST_SIDE: Final = 4_000
"""Pixels of a picture's longer side at most: what is larger is drawn with fewer dots per inch."""
_DRAWING: Final = threading.RLock()


def png_of(value: Any) -> bytes:
    """Return a figure as PNG, b"" if the value is not a figure; raises what its own methods raise."""
    figure = figure_of(value)
    if figure is not None:
        return _draw(figure)
    own = getattr(type(value), "_repr_png_", None)
    made = own(value) if own is not None else b""
    data = made[0] if isinstance(made, tuple) else made  # with metadata
    if isinstance(data, str):
        data = base64.b64decode(data)
    return data if isinstance(data, bytes) and data.startswith(PNG) else b""


def figure_of(value: Any) -> Any:
    """Return matplotlib's figure that a value is, or that it is drawn on; None for all else."""
    figures, axes = sys.modules.get("matplotlib.figure"), sys.modules.get("matplotlib.axes")
    if axes is not None and isinstance(value, axes.Axes):
        value = value.figure.figure  # of a part of a figure, the whole
    return value if figures is not None and isinstance(value, figures.Figure) else None


def label_of(value: Any) -> str:
    """Return what a figure is said to show, "" if nothing is said."""
    figure = figure_of(value)
    return value.label if isinstance(value, StoredFigure) else figure_label(figure) if figure is not None else ""


def _draw(figure: Any) -> bytes:
    page = io.BytesIO()
    with _DRAWING:
        dpi = min(figure.dpi, LARGEST_SIDE / max(*figure.get_size_inches(), 0.1))
        figure.savefig(page, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
    return page.getvalue()
