"""What the value of a pure tool depends on beside its arguments: its code, and all of the user's own that it reaches.

Theory of operation
    From a tool's function the walk goes on to what its code names: functions, classes and modules of the user's own,
    and plain values of their modules. Each is a part with a name and a digest, so that two sources can be compared part
    by part. What is a package's is one part, its version. "The user's own" is what lies neither in Python's library nor
    among the installed packages: a notebook, a script, a module beside them, a package in development.
    What is named at run time only (getattr, globals(), importlib) is not seen.

    What is reached may be bound anew or change while a run goes on, so a ToolSource knows where it has looked: it is
    current while every name there still means the same object, and those that can change have the same content.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import logging
import re
import sys
import sysconfig
import threading
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple

from compiler_nb.operations.bounds import is_a
from compiler_nb.text import name_of
from compiler_nb.tool import Tool
from compiler_nb.values.digest import TooLarge, content_of

_MOST: Final = 5_000
"""Parts of one source."""
_NAMED: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_FIELDS: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_SKIPPED: Final = frozenset({"PUSH_NULL", "CACHE", "COPY"})
_HARMLESS: Final = (logging.Logger, re.Pattern, type(threading.Lock()), type(threading.RLock()))
"""Types of values that say nothing about what a pure function returns, or show all that they are."""
_FIXED: Final = (str, int, float, bool, bytes, complex, type(None))
_NO: Final = object()


class SourcePart(NamedTuple):
    """One thing that a source reaches: its digest, and a word for it: "code", "value" or a package's version."""

    digest: str
    word: str


class _Link(NamedTuple):
    """A place where a name was looked up, and what it meant."""

    place: Mapping[str, Any]
    name: str
    value: Any


class ToolSource:
    """The parts that a function's value depends on, by name.

    fault: why that cannot be said, in words, "" if it can: it reads what has no content to compare.
    """

    def __init__(self, function: Any, hint: Any = None) -> None:
        self.parts: dict[str, SourcePart] = {}
        self.fault = ""
        self._links: list[_Link] = []
        self._changing: list[tuple[str, Any, str]] = []  # what may change in place: names, values, their digests
        self._seen: set[int] = set()
        self._ahead: list[tuple[str, Any]] = [("", function), *(("", each) for each in _classes_in(hint))]
        while self._ahead:
            self._look(*self._ahead.pop())
        told = "\0".join(f"{name}\0{part.digest}" for name, part in sorted(self.parts.items()))
        self.digest = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    @property
    def is_current(self) -> bool:
        """Whether all that it has looked at is still what it was."""
        return not self.stale()

    def stale(self) -> str:
        """Return the name of something that is not what it was when it was looked at, "" if all is."""
        for link in self._links:
            if link.place.get(link.name, _NO) is not link.value:
                return link.name
        for name, value, known in self._changing:
            try:
                same = content_of(value).text == known
            except Exception:  # noqa: BLE001 - it is too large by now, or changes at this very moment
                same = False
            if not same:
                return name
        return ""

    # ---------------------------------------------------------------- one thing

    def _look(self, name: str, value: Any) -> None:
        if id(value) in self._seen or len(self.parts) > _MOST:
            return
        if is_a(value, Tool):
            value = value.function
        if is_a(value, functools.partial):
            self._later(name, value.func, *value.args, *value.keywords.values())
        elif is_a(value, types.MethodType):
            self._later(name, value.__func__, value.__self__)
        elif is_a(value, types.FunctionType):
            self._function(name, value)
        elif is_a(value, types.ModuleType):
            self._package(str(value.__name__))
        elif is_a(value, type):
            self._class(name, value)
        elif is_a(wrapped := _wrapped(value), types.FunctionType):  # of functools.cache and the like
            self._later(name, wrapped)
        elif is_a(value, (types.BuiltinFunctionType, types.BuiltinMethodType)):
            self._package(str(getattr(value, "__module__", "") or "builtins"))
        else:
            self._value(name, value)

    def _later(self, name: str, *values: Any) -> None:
        self._ahead += [(name, value) for value in values]

    def _function(self, name: str, function: types.FunctionType) -> None:
        module = str(function.__module__ or "")
        self._seen.add(id(function))
        if name and not is_own(module):
            self._package(module)
            return
        code, told = function.__code__, name or function.__name__
        self._add(told, "\0".join(_code(code)), "code")
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        self._later(f"a default of {told}", *defaults)
        for cell_name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            with suppress(ValueError):  # it is empty still
                self._later(cell_name, cell.cell_contents)
        if (wrapped := vars(function).get("__wrapped__")) is not None:
            self._later(told, wrapped)
        self._names(code, function.__globals__)

    def _names(self, code: types.CodeType, own: dict[str, Any]) -> None:
        """Follow the names that code looks up: in its module (own), and in modules of the user's own that it names."""
        module: Any = None  # the one that was just looked up, of which a field may follow
        imported: Any = None
        local: dict[str, Any] = {}  # variables that hold modules
        for step in dis.get_instructions(code):
            if step.opname in _SKIPPED:
                continue
            if step.opname == "STORE_FAST" and module is not None:
                local[step.argval], module = module, None
                continue
            place, module = (vars(module), None) if step.opname in _FIELDS and module is not None else (own, module)
            if step.opname == "LOAD_FAST":
                found = local.get(step.argval, _NO)
            elif step.opname in _NAMED or place is not own:
                found = self._linked(place, step.argval)  # also if it is built in: one that hides it may come later
            elif step.opname == "IMPORT_NAME":
                found = imported = self._imported(step.argval)
            else:
                is_part = step.opname == "IMPORT_FROM" and _is_own_module(imported)
                found = self._linked(vars(imported), step.argval) if is_part else _NO
            self._hand_on(module)
            module = found if _is_own_module(found) else None
            if found is not _NO and module is None:  # of a module only what is named counts
                self._ahead.append((step.argval, found))
        for constant in code.co_consts:
            if is_a(constant, types.CodeType):
                self._names(constant, own)

    def _hand_on(self, module: Any) -> None:
        """Follow all that a module holds, if it is not looked into at once: whatever it holds may count."""
        if module is not None:
            self._ahead += [(name, each) for name, each in vars(module).items() if name[:2] != "__"]

    def _linked(self, place: dict[str, Any], name: str) -> Any:
        """Return what a name means in a module, and note that it was looked up there."""
        found = place.get(name, _NO)
        self._links.append(_Link(place, name, found))
        return found

    def _imported(self, name: str) -> Any:
        """Return a module that code imports; one that is not loaded is a fault: what it holds is not known."""
        found = sys.modules.get(name)
        if found is None:
            self.fault = self.fault or f"it imports {name}, which is not loaded yet"
        return _NO if found is None else found

    def _class(self, name: str, kind: type) -> None:
        self._seen.add(id(kind))
        module = vars(type)["__module__"].__get__(kind)
        if type(module) is not str or not is_own(module):
            self._package(str(module))
            return
        told = name or name_of(kind)
        fields = [f"{field}: {hint!r}" for field, hint in vars(kind).get("__annotations__", {}).items()]
        self._add(told, "\0".join([name_of(kind), *fields]), "code")
        for field, value in vars(kind).items():
            made = value.__func__ if is_a(value, (staticmethod, classmethod)) else value
            made = getattr(made, "fget", made) if is_a(made, property) else getattr(made, "func", made)
            if is_a(made, types.FunctionType) and made.__module__ == module:
                self._later(f"{told}.{field}", made)
            elif not field.startswith("__") and is_a(made, _FIXED):
                self._value(f"{told}.{field}", made)
        self._later("", *(base for base in kind.__bases__ if base is not object))

    def _value(self, name: str, value: Any) -> None:
        """Note a plain value; one whose content cannot be compared is a fault."""
        name = name or name_of(type(value))
        if is_a(value, _HARMLESS):
            told = f"{value.pattern!r} {value.flags}" if is_a(value, re.Pattern) else name_of(type(value))
            self._add(name, told, "value")
            return
        if type_of_typing(value):
            return
        try:
            content = content_of(value)
        except TooLarge:
            self.fault = self.fault or f"it reads {name}, which is too large to compare"
            return
        except Exception:  # noqa: BLE001 - it changes at this very moment
            self.fault = self.fault or f"it reads {name}, which changes meanwhile"
            return
        if content.loose:
            self.fault = self.fault or f"it reads {name}: {content.loose}"
        self._add(name, content.text, "value")
        if not is_a(value, _FIXED):
            self._changing.append((name, value, content.text))
        self._later("", *content.classes)

    def _package(self, module: str) -> None:
        top = module.partition(".")[0]
        if top not in self.parts:
            self.parts[top] = SourcePart(version_of(top), version_of(top))

    def _add(self, name: str, told: str, word: str) -> None:
        digest = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        while name in self.parts and self.parts[name].digest != digest:  # two of one name
            name += "'"
        self.parts[name] = SourcePart(digest, word)


def source_of(tool: Tool) -> ToolSource:
    """Return what a tool's value depends on, as of now."""
    return ToolSource(tool.function, tool.returns)


def type_of_typing(value: Any) -> bool:
    """Whether a value is a hint of a type, which no code of a function asks for."""
    return str(vars(type)["__module__"].__get__(type(value))) in ("typing", "types")


def _wrapped(value: Any) -> Any:
    try:
        return vars(value).get("__wrapped__")
    except TypeError:
        return None


def _classes_in(hint: Any) -> Iterator[type]:
    """Yield the classes in a hint: values of theirs are made again from what is kept."""
    if is_a(hint, type):
        yield hint
    for part in typing.get_args(hint):
        yield from _classes_in(part)


def _code(code: types.CodeType) -> Iterator[str]:
    """Yield what code does: lines, comments and layout do not count."""
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_flags))
    for constant in code.co_consts:
        if is_a(constant, types.CodeType):
            yield from _code(constant)
        else:
            yield repr(sorted(constant, key=repr)) if is_a(constant, frozenset) else repr(constant)


# -------------------------------------------------------------------- whose a module is


@functools.cache
def _packages() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({str(Path(paths[name]).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


@functools.cache
def _is_own(module: str, file: str) -> bool:
    path = str(Path(file).resolve())
    return not ("site-packages" in path or "dist-packages" in path or path.startswith(_packages()))


def _is_own_module(value: Any) -> bool:
    return is_a(value, types.ModuleType) and is_own(str(vars(value).get("__name__", "")))


def is_own(module: str) -> bool:
    """Whether a module is the user's own: neither Python's nor an installed package's."""
    top = module.partition(".")[0]
    if module == "__main__":
        return True
    if top == "compiler_nb" or top in sys.builtin_module_names or top in sys.stdlib_module_names:
        return False
    found = sys.modules.get(module)
    file = getattr(found, "__file__", None)
    if type(file) is str:
        return _is_own(module, file)
    return found is None or getattr(found, "__spec__", None) is None  # made by hand, or forgotten


@functools.cache
def version_of(top: str) -> str:
    """Return the version of a package by the name that is imported; Python's own for its library, "" if unknown."""
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return f"Python {'.'.join(map(str, sys.version_info[:3]))}"
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(top)
    names = metadata.packages_distributions().get(top, ())
    found: Callable[[], Iterator[str]] = lambda: (metadata.version(name) for name in names)  # noqa: E731
    return next(found(), str(getattr(sys.modules.get(top), "__version__", "")))
