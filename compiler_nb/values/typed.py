"""Values of a user's own classes: written by the return type of their tool, and read back only by that."""

from __future__ import annotations

import contextlib
import functools
import typing
from collections.abc import Iterable
from typing import Any, Final

from compiler_nb.outcome import NotStored
from compiler_nb.text import type_name
from compiler_nb.values.forms import PLAIN, Unstorable, declares_fields

_OTHERS: Final = {"types", "typing", "collections", "numpy", "pandas", "builtins", *(
    form.type.__module__ for form in PLAIN if isinstance(form.type, type))}  # fmt: skip
"""Modules whose types have forms of their own, or none."""
AS_DICT: Final = (
    "it has a field that is not plain data, such as a table or a model: "
    "if its tool returns a dict instead, the rest is stored"
)


def write_typed(value: Any, hint: Any) -> str:
    """Return what a tool's return type makes of a value, if that comes back equal; raises Unstorable, or its own."""
    try:
        adapter = adapter_of(hint)
        text = str(adapter.dump_json(value, warnings=False), "utf-8")
    except Exception as error:
        if declares_fields(value):
            raise Unstorable(AS_DICT) from error
        raise
    if not bool(adapter.validate_json(text) == value):
        raise Unstorable(f"a {type_name(value)} does not come back equal from its tool's return type")
    return text


def is_typed(value: Any) -> bool:
    """Whether a value could be stored if its tool declared its class as the return type."""
    try:
        return bool(write_typed(value, type(value)))
    except Exception:  # noqa: BLE001 - a value's own methods may raise anything
        return False


def read_typed(name: str, text: str, hint: Any) -> Any:
    """Return a value of a class, NotStored if its tool's return type is not there or does not take it anymore."""
    if hint is None:
        return NotStored(name, "reading it needs the tool that made it: history.load(id, tools=[...])")
    from pydantic import ValidationError  # noqa: PLC0415 - heavy, and needed for few values

    try:
        return adapter_of(hint).validate_json(text)
    except ValidationError:
        return NotStored(name, "the tool's return type has changed")


def prepare(hints: Iterable[Any]) -> None:
    """Prepare what codes values of classes, so that the first of them need not wait for it."""
    for hint in filter(_names_class, hints):
        with contextlib.suppress(Exception):  # no value will be coded by it
            adapter_of(hint)


def _names_class(hint: Any) -> bool:
    own = isinstance(hint, type) and hint.__module__.partition(".")[0] not in _OTHERS
    return own or any(map(_names_class, typing.get_args(hint)))


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
