"""What the value of a pure tool depends on beside its arguments: its code, and all of the user's own that it reaches.

Theory of operation
    From a tool's function the walk goes on to what its code names: functions, classes and modules of the user's own,
    and plain values of their modules. Each is a part with a name and a digest, so that two sources can be compared part
    by part. What is a package's is one part, its version. "The user's own" is what is neither in Python's library nor
    among the installed packages: a notebook, a script, a module beside them, a package in development.
    What is named at run time only (getattr, globals(), importlib) is not seen.
    Of a class, everything that it holds counts (values/members.py), because much of it is called without being named.
    Fields of functions, and those of a class that have no content to compare, count if any code names them.

    What is reached may be bound again or change while a run goes on, so a ToolSource knows where it has looked: it is
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

from compiler_nb.operations.weights import is_a
from compiler_nb.text import name_of
from compiler_nb.tool import Tool
from compiler_nb.values.digest import TooLarge, content_of
from compiler_nb.values.functions import code_parts
from compiler_nb.values.members import members_of

_MOST: Final = 5_000
"""Parts of one source."""
_NAMED: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_FIELDS: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_SKIPPED: Final = frozenset({"PUSH_NULL", "CACHE", "COPY"})
_HARMLESS: Final = (logging.Logger, re.Pattern, type(threading.Lock()), type(threading.RLock()))
"""Types whose values say nothing about what a pure function returns, or show everything that they are."""
_FIXED: Final = (str, int, float, bool, bytes, complex, type(None))
_FOLLOWED: Final = (
    *_FIXED,
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    type,
    functools.partial,
    Tool,
)
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

    def __init__(self, function: Any, hint: Any = None, *, name: str = "") -> None:
        self.parts: dict[str, SourcePart] = {}
        self.fault = ""
        self._links: list[_Link] = []
        self._changing: list[tuple[str, Any, str]] = []  # what may change in place: names, values, their digests
        self._seen: dict[int, str] = {}  # by id: what it is called
        self._followed: set[tuple[int, str]] = set()  # names in places
        self._named: set[str] = set()  # all names in code
        self._fields: list[tuple[str, str, Any]] = []  # what counts if its name is among them
        self._kinds: tuple[tuple[Any, Callable[[str, Any], None]], ...] = (
            (functools.partial, self._partial), (types.MethodType, self._method), (types.FunctionType, self._function),
            (types.ModuleType, self._module), (type, self._class), (types.BuiltinFunctionType, self._builtin),
        )  # fmt: skip
        self._ahead: list[tuple[str, Any]] = [(name, function), *(("", each) for each in _classes_in(hint))]
        while self._ahead or self._are_named():
            self._look(*self._ahead.pop())
        told = "\0".join(f"{name}\0{part.digest}" for name, part in sorted(self.parts.items()))
        self.digest = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    @property
    def is_current(self) -> bool:
        """Whether all that it has looked at is still what it was."""
        return not self.stale()

    def stale(self) -> str:
        """Return the name of something that has changed since it was looked at, "" if nothing has."""
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
        if is_a(value, Tool):
            value = value.function
        if len(self.parts) > _MOST:
            self.fault = self.fault or f"it reaches more than {_MOST:,} functions and values"
        elif (known := self._seen.get(id(value))) is not None:
            if name not in ("", known):
                self._add(name, f"is {known}", "code")
        else:
            next((look for kind, look in self._kinds if is_a(value, kind)), self._other)(name, value)

    def _partial(self, name: str, made: functools.partial[Any]) -> None:
        self._later(name, made.func)
        for key, value in (*enumerate(made.args), *made.keywords.items()):
            self._later(f"{name or 'partial'} {key}", value)

    def _method(self, name: str, method: types.MethodType) -> None:
        self._later(name, method.__func__, method.__self__)

    def _module(self, name: str, module: types.ModuleType) -> None:
        self._package(str(module.__name__))

    def _builtin(self, name: str, function: Any) -> None:
        """Note a function of Python's own, or a method of something whose content counts."""
        if is_a(function.__self__, (types.ModuleType, type(None))):
            self._package(str(getattr(function, "__module__", "") or "builtins"))
        else:
            self._add(name, function.__name__, "code")
            self._later(name, function.__self__)

    def _other(self, name: str, value: Any) -> None:
        if is_a(wrapped := _wrapped(value), types.FunctionType):  # of functools.cache and the like
            self._later(name, wrapped)
        elif package := _package_of(value):
            self._package(package)
        else:
            self._value(name, value)

    def _are_named(self) -> bool:
        """Go on to the fields that some code names; return whether there is anything left to look at."""
        self._ahead += [(told, value) for told, name, value in self._fields if name in self._named]
        self._fields = [each for each in self._fields if each[1] not in self._named]
        return bool(self._ahead)

    def _later(self, name: str, *values: Any) -> None:
        self._ahead += [(name, value) for value in values]

    def _function(self, name: str, function: types.FunctionType) -> None:
        module, code, told = str(function.__module__ or ""), function.__code__, name or function.__name__
        self._seen[id(function)] = told
        for cell_name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            with suppress(ValueError):  # it is empty still
                if not _package_of(function):  # what a package's decorator has made may hold what is the user's own
                    self._later(cell_name, cell.cell_contents)
        if name and not is_own(module):
            self._package(module)
            return
        self._add(told, "\0".join(code_parts(code)), "code")
        defaults = function.__defaults__ or ()
        last = code.co_varnames[: code.co_argcount][-len(defaults) or code.co_argcount :]
        for parameter, value in (*zip(last, defaults, strict=True), *(function.__kwdefaults__ or {}).items()):
            self._later(f"default {parameter} of {told}", value)
        for field, value in vars(function).items():
            if field == "__wrapped__":
                self._later(told, value)
            else:
                self._fields.append((f"{told}.{field}", field, value))
        self._names(code, function.__globals__)

    def _names(self, code: types.CodeType, own: dict[str, Any]) -> None:
        """Follow the names that code looks up: in its module (own), and in modules of the user's own that it names."""
        module: Any = None  # the one that was just looked up, of which a field may follow
        imported: Any = None
        local: dict[str, Any] = {}  # variables that hold modules
        self._named.update(code.co_names)
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
                self._follow(place, step.argval, found)
        for constant in code.co_consts:
            if is_a(constant, types.CodeType):
                self._names(constant, own)

    def _hand_on(self, module: Any) -> None:
        """Follow all that a module holds, if it is not looked into at once: whatever it holds may count."""
        if module is not None:
            for name, each in vars(module).items():
                if name[:2] != "__":
                    self._follow(vars(module), name, each)

    def _follow(self, place: Mapping[str, Any], name: str, found: Any) -> None:
        """Go on to what a name means in a place, once."""
        if (id(place), name) not in self._followed:
            self._followed.add((id(place), name))
            self._ahead.append((name, found))

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
        module = _module_of(kind)
        if not is_own(module):
            self._package(module)
            return
        told = self._seen[id(kind)] = name or name_of(kind)
        fields = [f"{field}: {hint!r}" for field, hint in vars(kind).get("__annotations__", {}).items()]
        self._add(told, "\0".join([name_of(kind), *fields]), "code")
        self._links += [_Link(vars(kind), field, value) for field, value in vars(kind).items()]
        for field, value in members_of(kind):
            if is_a(value, _FOLLOWED) or _has_content(value):
                self._later(f"{told}.{field}", value)
            else:
                self._fields.append((f"{told}.{field}", field, value))
        self._later("", *(base for base in (*kind.__bases__, type(kind)) if base not in (object, type)))

    def _value(self, name: str, value: Any) -> None:
        """Note a plain value; one whose content cannot be compared is a fault."""
        name = name or name_of(type(value))
        if is_a(value, types.SimpleNamespace):
            value = vars(value)
        if is_a(value, _HARMLESS):
            told = f"{value.pattern!r} {value.flags}" if is_a(value, re.Pattern) else name_of(type(value))
            self._add(name, told, "value")
            self._later("", type(value))
            return
        if type(value) is object or _module_of(type(value)) == "dataclasses":  # a mark: it holds nothing
            return
        if type_of_typing(value):
            self._add(name, repr(value), "value")
            self._later("", *_classes_in(value))
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
        while name in self.parts:  # two of one name
            name += "'"
        self.parts[name] = SourcePart(digest, word)


def source_of(tool: Tool) -> ToolSource:
    """Return what a tool's value depends on, as of now."""
    if mark := getattr(tool, "hash", ""):  # its code is elsewhere
        return ToolSource(mark, name=f"server {tool.server}")
    return ToolSource(tool.function, tool.returns)


def type_of_typing(value: Any) -> bool:
    """Whether a value is a hint of a type, which no code of a function asks for."""
    return _module_of(type(value)) in ("typing", "types")


def _module_of(kind: type) -> str:
    """Return a class's module, without running any code of the class."""
    return str(vars(type)["__module__"].__get__(kind))


def _has_content(value: Any) -> bool:
    """Whether a value of a class can be compared, or is a function that something keeps."""
    with suppress(Exception):  # it is too large, or changes at this very moment
        return _wrapped(value) is not None or type_of_typing(value) or not content_of(value).loose
    return False


def _package_of(value: Any) -> str:
    """Return the package in which a value stands under its own name, "" if it is not of a package."""
    with suppress(AttributeError, KeyError, TypeError):
        if not is_own(_module_of(type(value))):
            module = str(value.__module__)
            return module if not is_own(module) and vars(sys.modules[module])[value.__name__] is value else ""
    return ""


def _wrapped(value: Any) -> Any:
    try:
        return vars(value).get("__wrapped__")
    except TypeError:
        return None


def _classes_in(hint: Any) -> Iterator[type]:
    """Yield the classes in a hint: values of theirs are made again from what is kept."""
    origin = typing.get_origin(hint)
    if is_a(origin or hint, type):
        yield origin or hint
    for part in typing.get_args(hint):
        yield from _classes_in(part)


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
