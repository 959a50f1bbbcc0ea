"""Pictures as files: the suffix says the form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping


def save(path: str | os.PathLike[str], forms: Mapping[str, Callable[[], str | bytes | None]]) -> Path:
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
            f"no {suffix} of it can be made here: that takes Graphviz (its program dot, or pygraphviz) and up to 200 "
            "tasks; save it as .svg"
        )
    if isinstance(made, str):
        target.write_text(made, encoding="utf-8", newline="\n")
    else:
        target.write_bytes(made)
    return target
