"""A plan as a `graphviz.Digraph`, for users who continue with Graphviz; imported only on request."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import graphviz

from compiler_nb.drawing.dot import lines_of
from compiler_nb.drawing.picture import Picture, save
from compiler_nb.drawing.svg import draw
from compiler_nb.plan.plan import Plan


class Digraph(graphviz.Digraph):  # type: ignore[misc]  # graphviz has no types
    """Graphviz's own object, which can also be shown and saved if Graphviz is not installed.

    picture: what is shown in that case; a copy has none.
    """

    picture: Picture | None = None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, Any]:
        text = {"text/plain": str(self.picture)} if self.picture is not None else {}
        try:
            return {"image/svg+xml": self.pipe(format="svg", encoding="utf-8"), **text}
        except graphviz.ExecutableNotFound:
            if self.picture is None:
                raise
            return self.picture._repr_mimebundle_()

    def save(
        self,
        filename: str | os.PathLike[str] | None = None,
        directory: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> str:
        """Write it as .svg, .png, .dot or .txt; for .gv, or a name without suffix, do as Graphviz does.

        Raises ValueError for another suffix, and RuntimeError if no PNG can be made.
        """
        if filename is None or Path(filename).suffix.lower() in ("", ".gv"):
            return str(super().save(filename, directory=directory, **options))
        forms = {".svg": lambda: self._form("svg"), ".png": lambda: self._form("png"), ".dot": lambda: self.source,
                 ".txt": lambda: f"{self.picture or self.source}\n"}  # fmt: skip
        return str(save(Path(directory or "") / filename, forms))

    def _form(self, form: str) -> bytes | str | None:
        """Return what Graphviz makes of it, otherwise the picture in that form."""
        try:
            return bytes(self.pipe(format=form))
        except graphviz.ExecutableNotFound:
            if self.picture is None:
                raise
            return self.picture.svg if form == "svg" else self.picture.png()


def make_digraph(plan: Plan) -> Digraph:
    """Return a plan as a Digraph."""
    digraph = Digraph("plan", body=[f"{line}\n" for line in lines_of(plan, {})])
    digraph.picture = draw(plan)
    return digraph
