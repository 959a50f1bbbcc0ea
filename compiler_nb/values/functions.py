"""What a function is known by: a hash of its own code, by instructions and constants, the same in every process."""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler_nb.operations.weights import is_a
from compiler_nb.text import type_name
from compiler_nb.values.forms import ids_of

_PLAIN: Final = ids_of((str, int, float, bool, bytes, type(None)))
_DEEPEST: Final = 10


def hash_tools(tools: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of tools' code, by name."""
    return {name: code_hash(tool) for name, tool in tools.items()}


def code_hash(tool: Any) -> str:
    """Return a hash of a tool's own code: its instructions and constants, its defaults and what it encloses.

    Comments and layout do not count, nor do objects that may change, nor what it reads from its module. A tool whose
    code is elsewhere, and a stored one, has a hash of its own.
    """
    return getattr(tool, "hash", "") or function_hash(tool.function)


def function_hash(function: Any) -> str:
    """Return a hash of a function's own code, as `code_hash` does for that of a tool."""
    found = hashlib.blake2b(digest_size=16)
    for part in _parts(function, 0):
        found.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return found.hexdigest()


def _parts(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    inside: tuple[Any, ...] = ()
    if is_a(value, functools.partial):
        inside = (value.func, *value.args, *value.keywords.items())
    elif is_a(value, types.MethodType):
        inside = (value.__func__,)
    elif is_a(value, types.FunctionType):
        yield from code_parts(value.__code__)
        cells = [_content(cell) for cell in value.__closure__ or ()]
        defaults = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).items())
        inside = (*defaults, *cells, getattr(value, "__wrapped__", None))
    elif type(value) is tuple:
        inside = value
    else:
        yield repr(value) if id(type(value)) in _PLAIN else _named(value)
    for part in inside:
        yield from _parts(part, depth + 1)


def _named(value: Any) -> str:
    kind = value if is_a(value, type) else type(value)
    try:
        return f"{kind.__module__}.{kind.__qualname__}.{getattr(value, '__qualname__', '')}"
    except BaseException:  # noqa: BLE001 - an object's own attributes may raise anything
        return type_name(value)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty still
        return None


def code_parts(code: types.CodeType) -> Iterator[str]:
    """Yield what code does, alike in every process: lines, comments and layout do not count.

    A set among the constants is written in order: as it stands its order depends on the process.
    """
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_parts(constant)
        else:
            yield repr(sorted(constant, key=repr)) if isinstance(constant, frozenset) else repr(constant)
