"""The page's side of the live view: one ES module, its style sheet, and the widget that carries both."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from compiler_nb.drawing.style import STYLE
from compiler_nb.models import warm
from compiler_nb.notebook.live.board import Frame

MODULES: Final = (
    "states", "dom", "sanitize", "store", "feed", "header", "chunk", "plan", "bars", "stacks", "scroll", "camera",
    "glide", "names", "times", "graph", "timeline", "table", "details", "answer", "view",
)  # fmt: skip
"""The files of the page's side, each after those that it imports."""
FOLDER: Final = Path(__file__).parent / "static"


@functools.cache
def module() -> str:
    """Return the page's side as one ES module: our files one after the other, without imports, comments and indents."""
    source = "\n".join((FOLDER / f"{name}.js").read_text("utf-8") for name in MODULES)
    lines = [line.strip() for line in re.sub(r"/\*\*.*?\*/", "", source, flags=re.DOTALL).splitlines()]
    kept = [line for line in lines if line and not line.startswith(("import ", "//"))]
    return "\n".join(line if line.startswith("export default") else line.removeprefix("export ") for line in kept)


@functools.cache
def style() -> str:
    """Return the style sheet: that of pictures, and the view's own."""
    return STYLE + (FOLDER / "view.css").read_text("utf-8")


def prepare() -> None:
    """Begin, in the background, to import what the first view needs."""
    warm.begin("view", lambda: (_widget_class(), module(), style()))


@functools.cache
def _widget_class() -> Any:
    """Return the widget's class; made when the first view is, for its library takes long to import."""
    import anywidget  # noqa: PLC0415 - heavy
    import traitlets  # noqa: PLC0415 - with it

    def snapshot_of(value: Callable[[], Frame], _: Any) -> Frame:
        return value()

    class LiveWidget(anywidget.AnyWidget):
        _esm = module()
        _css = style()
        snapshot = traitlets.Any().tag(sync=True, to_json=snapshot_of)

    return LiveWidget


def make_widget(snapshot: Callable[[], Frame]) -> Any:
    """Return a widget that sends and hears messages; its state is what `snapshot` returns when it is asked for."""
    return _widget_class()(snapshot=snapshot)
