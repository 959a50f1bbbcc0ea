"""Inputs as they were when a run began: a run that goes on with it must not take what was made of another content.

The very same object may hold something else by then: a table got a column, a list another item. A table is marked, as
`altered.py` does it, in microseconds however long it is; of plain data that is not long the content has a hash.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from compiler_nb.engine.altered import Mark, change_of, mark

LARGEST: Final = 100_000
"""Bytes of plain data whose content is looked at; of more only the object counts."""


def mark_inputs(inputs: Mapping[str, Any]) -> dict[str, Callable[[], bool]]:
    """Return, by name, functions that say whether an input was changed since; only for those that can tell."""
    pandas = sys.modules.get("pandas")
    kinds = (pandas.DataFrame, pandas.Series) if pandas is not None else ()
    marks: dict[str, Callable[[], bool]] = {}
    for name, value in inputs.items():
        if type(value) in kinds:
            marks[name] = functools.partial(_is_altered, mark(value))
        elif type(value) in (list, dict, set):
            from compiler_nb.values.code import content_hash  # noqa: PLC0415 - few runs are given any

            if (found := content_hash(value, LARGEST)) is not None:
                marks[name] = functools.partial(_is_other, value, found)
    return marks


def _is_altered(before: Mark) -> bool:
    return bool(change_of(before))


def _is_other(value: Any, before: str) -> bool:
    from compiler_nb.values.code import content_hash  # noqa: PLC0415 - as above

    return content_hash(value, LARGEST) != before
