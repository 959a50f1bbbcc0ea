"""Tools that ship with the package, in a notebook that has not imported them: named after `-T`, or offered unasked."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from compiler_nb import toolbox
from compiler_nb.operations.tables import kind_of
from compiler_nb.tool import Tool, Toolbox

SHIPPED: Final = ("calculate", "plot", "wikipedia")
_CALLED: Final = re.compile(rf"\b({'|'.join(SHIPPED)})\s*\(")


def shipped(name: str) -> Tool:
    """Return a tool that ships."""
    found: Tool = getattr(toolbox, name)
    return found


def called_in(plan: str) -> set[str]:
    """Return which of the tools that ship the text of a plan calls."""
    return set(_CALLED.findall(plan))


def offered_unasked(inputs: Mapping[str, Any], called: Collection[str], known: Collection[str]) -> Toolbox:
    """Return what is offered beside a notebook's own tools: what a plan calls, and `plot` if an input is a table.

    known: names that the notebook has given to something else.
    """
    has_table = any(kind_of(value) in ("DataFrame", "Series") for value in inputs.values())
    wanted = [name for name in SHIPPED if name in called or (name == "plot" and has_table)]
    return Toolbox([shipped(name) for name in wanted if name not in known])
