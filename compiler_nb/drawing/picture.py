"""A picture that shows itself in a notebook and saves itself as a file, whose suffix says the form."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias, cast

from compiler_nb.models.secret import Secret, mask

Forms: TypeAlias = "Mapping[str, Callable[[], str | bytes | None]]"
"""Functions that make the text or the bytes of a file, by suffix; they return None if this machine cannot make it."""


@dataclass(frozen=True, slots=True, repr=False)
class Picture:
    """A drawn plan or timeline, as SVG and as text. In a notebook it shows itself.

    about: what it shows, in words; more: its further forms; engine: what chose the places, "graphviz" or "own";
    steady: makes the PNG without times, None if there are none anyway.
    """

    svg: str
    text: str
    about: str
    more: Forms = field(default_factory=dict, compare=False)
    engine: str = "own"
    steady: Callable[[], bytes | None] | None = field(default=None, compare=False)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as .svg, .png (up to 200 tasks, needs Graphviz), .txt, or .pdf or .dot for a plan; return the path.

        Raises ValueError for another suffix, and RuntimeError if no PNG or PDF can be made.
        """
        return save(path, self.forms)

    @property
    def width(self) -> float:
        """How wide it is, in pixels; 0 if it does not say."""
        found = re.search(r'<svg[^>]* width="([\d.]+)"', self.svg)
        return float(found[1]) if found else 0.0

    @property
    def forms(self) -> Forms:
        """What makes the text or the bytes of a file, by suffix."""
        return {".svg": lambda: self.svg, ".png": self.png, ".txt": lambda: f"{self.text}\n", **self.more}

    def png(self) -> bytes | None:
        """Return it as PNG, drawn by Graphviz; None without Graphviz, or if it is too large or holds a key."""
        make = self.more.get(".png")
        return cast("bytes | None", make()) if make else None

    def steady_png(self) -> bytes | None:
        """Return the PNG that is the same from run to run: without times, which nobody can take out of it again."""
        return self.steady() if self.steady else self.png()

    def masked(self, secrets: Iterable[Secret]) -> Picture:
        """Return it without keys; one that holds a key has only SVG and text, since these are masked as texts."""
        keys = tuple(secrets)
        svg, text = mask(self.svg, keys), mask(self.text, keys)
        return self if (svg, text) == (self.svg, self.text) else replace(self, svg=svg, text=text, more={}, steady=None)

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.text}

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<{self.about}>"


def save(path: str | os.PathLike[str], forms: Forms) -> Path:
    """Write something in the form that its path's suffix names; return the path.

    Raises ValueError for another suffix, RuntimeError if the form cannot be made, FileNotFoundError if there is no
    such folder.
    """
    target = Path(path)
    suffix = next((each for each in forms if target.name.lower().endswith(each)), "")
    if not suffix or target.name.lower() == suffix:
        *others, last = forms
        found = f"ends in {target.suffix!r}" if target.suffix else "has no suffix"
        raise ValueError(f"{target.name!r} {found}: save it as {', '.join(others)} or {last}")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"{target.name!r} cannot be saved: there is no folder {str(target.parent)!r}; make it first"
        )
    made = forms[suffix]()
    if made is None:
        raise RuntimeError(
            f"it cannot be saved as {suffix} here: that needs Graphviz (its program dot, or pygraphviz) and at most "
            "200 tasks, none of which shows a key; save it as .svg"
        )
    target.write_bytes(made.encode() if isinstance(made, str) else made)
    return target
