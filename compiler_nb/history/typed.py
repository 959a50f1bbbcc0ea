"""Values of the user's classes as JSON, by the type that their tool says it returns, and by nothing else."""

from __future__ import annotations

import functools
from typing import Any

from compiler_nb.history.unstorable import NotStored, Unstorable


def write_typed(value: Any, hint: Any) -> str:
    """Return what a tool's return type makes of a value, where that comes back equal; raises Unstorable, or its own."""
    adapter = adapter_of(hint)
    text = str(adapter.dump_json(value, warnings=False), "utf-8")
    if not bool(adapter.validate_json(text) == value):
        raise Unstorable(f"a {type(value).__name__} does not come back equal from its tool's return type")
    return text


def read_typed(name: str, text: str, hint: Any) -> Any:
    """Return the value of a text, NotStored where the type is not there or takes it no more."""
    if hint is None:
        return NotStored(name, "it takes the tool that made it: history.load(id, tools=[...])")
    from pydantic import ValidationError  # noqa: PLC0415 - heavy, and needed for few values

    try:
        return adapter_of(hint).validate_json(text)
    except ValidationError:
        return NotStored(name, "the tool's return type has changed")


def adapter_of(hint: Any) -> Any:
    """Return what turns values of a type into JSON and back."""
    try:
        return _adapter_of(hint)
    except TypeError:  # a type that is not hashable
        return _adapter_of.__wrapped__(hint)


@functools.lru_cache(maxsize=100)
def _adapter_of(hint: Any) -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415 - heavy, and needed for few values

    return TypeAdapter(hint)
