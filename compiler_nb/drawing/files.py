"""Pictures that show themselves in a notebook and save themselves as files, whose suffix says the form."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

Forms: TypeAlias = "Mapping[str, Callable[[], str | bytes | None]]"


class Drawing:
    """A picture as SVG and as text. In a notebook it shows itself."""

    __slots__ = ()
    svg: str
    text: str

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as .svg, .png (up to 200 tasks, needs Graphviz), .txt, or .dot for a plan; return the path.

        Raises ValueError for another suffix, and RuntimeError if no PNG can be made.
        """
        return save(path, self.forms())

    def png(self) -> bytes | None:
        """Return it as PNG, drawn by Graphviz; None without Graphviz, or if it is too large."""
        raise NotImplementedError

    def forms(self) -> Forms:
        """Return what makes each form, by suffix."""
        return {".svg": lambda: self.svg, ".png": self.png, ".txt": lambda: f"{self.text}\n"}

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.text}

    def __str__(self) -> str:
        return self.text


def save(path: str | os.PathLike[str], forms: Forms) -> Path:
    """Write a picture in the form that its path's suffix names; return the path.

    forms: what makes the text or the bytes, by suffix; they return None if nothing on this machine can make the form.
    Raises ValueError for another suffix, and RuntimeError if the form cannot be made.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in forms:
        *others, last = forms
        told = f"ends in {suffix!r}" if suffix else "has no suffix"
        raise ValueError(f"{target.name!r} {told}: save it as {', '.join(others)} or {last}")
    made = forms[suffix]()
    if made is None:
        raise RuntimeError(
            f"it cannot be saved as {suffix} here: that needs Graphviz (its program dot, or pygraphviz) and at most "
            "200 tasks; save it as .svg"
        )
    if isinstance(made, str):
        target.write_text(made, encoding="utf-8", newline="\n")
    else:
        target.write_bytes(made)
    return target
