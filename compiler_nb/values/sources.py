"""What tells one tool's code from another's, and one process from another."""

from __future__ import annotations

import functools
import hashlib
import os
import socket
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.plan.bounds import is_a
from compiler_nb.text import type_name
from compiler_nb.values.kinds import ids_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compiler_nb.tool import Tool

_PLAIN: Final = ids_of((str, int, float, bool, bytes, type(None)))
_DEEPEST: Final = 10


def code_hash(tool: Tool) -> str:
    """Return a hash of a tool's own code: its instructions and constants, its defaults and what it encloses.

    Comments and layout do not count, nor do objects that may change, nor what it reads from its module.
    """
    told = hashlib.blake2b(digest_size=16)
    for part in _parts(tool.function, 0):
        told.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return told.hexdigest()


def _parts(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if is_a(value, functools.partial):
        for part in (value.func, *value.args, *value.keywords.items()):
            yield from _parts(part, depth + 1)
    elif is_a(value, types.MethodType):
        yield from _parts(value.__func__, depth)
    elif is_a(value, types.FunctionType):
        yield from _code(value.__code__)
        cells = [_content(cell) for cell in value.__closure__ or ()]
        for part in (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).items(), *cells):
            yield from _parts(part, depth + 1)
        yield from _parts(getattr(value, "__wrapped__", None), depth + 1)
    elif id(type(value)) in _PLAIN:
        yield repr(value)
    elif type(value) is tuple:
        for part in value:
            yield from _parts(part, depth + 1)
    else:
        yield _named(value)


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


def _code(code: types.CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code(constant)
        else:
            yield repr(sorted(constant, key=repr)) if isinstance(constant, frozenset) else repr(constant)


# -------------------------------------------------------------------- processes


def owner_mark(pid: int = 0) -> str:
    """Return what names a process, by default this one: its host, its number, and when it began where that is told."""
    pid = pid or os.getpid()
    return f"{socket.gethostname()}:{pid}:{_began(pid)}"


def is_alive(mark: str) -> bool:
    """Whether a process of this host that a mark names still runs."""
    pid = _pid(mark)
    if pid is None or not can_be_asked(mark):
        return pid == os.getpid()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is another user's
    return owner_mark(pid) == mark


def can_be_asked(mark: str) -> bool:
    """Whether it can be told if a process still runs: not one of another host, nor where asking would be killing."""
    return os.name != "nt" and _pid(mark) is not None


def _pid(mark: str) -> int | None:
    """Return the number of a process of this host, None for one of another."""
    host, _, rest = mark.rpartition(":")[0].rpartition(":")
    return int(rest) if host == socket.gethostname() and rest.isdecimal() else None


def _began(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
