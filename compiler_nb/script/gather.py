"""What a script says of the user's functions: an import, or their source with all of the notebook that it names.

What has neither (a lambda, a closure, an object, a tool of a server) is named in the script, to be filled in.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import linecache
import re
import sys
import textwrap
import types
from collections.abc import Iterable, Iterator
from typing import Any, Final

from compiler_nb.models.providers import known_secrets
from compiler_nb.models.secret import mask
from compiler_nb.text import type_name
from compiler_nb.tool import Tool

OURS: Final = "compiler_nb"
SHORT: Final = 10_000
"""Characters of the longest value that is written out."""
_SECRET: Final = re.compile(r"key|token|secret|passw", re.IGNORECASE)


class Gathered:
    """Imports and definitions of a script, as they are asked for; missing: what the user has to fill in, in words."""

    def __init__(self, secrets: Iterable[Any] = ()) -> None:
        self.secrets = tuple(secrets)
        self.imports: dict[str, None] = {}
        self.definitions: dict[str, str] = {}  # by name
        self.missing: dict[str, str] = {}
        self._seen: dict[str, Any] = {}

    def function(self, name: str, function: Any) -> None:
        """See to it that a name of the script is a function."""
        self._seen[name] = function
        found = _import_of(function, name)
        if found is not None:
            self.imports[found[0]] = None
            if found[1]:
                self.definitions[name] = found[1]
            return
        reason = _no_source(function)
        source = "" if reason else source_of(function)
        if not source:
            self.fill_in(name, reason or "its source is not there")
            return
        own = getattr(function, "__name__", name)
        self.definitions[name] = ""  # it may name itself
        self._follow(source, function.__globals__)
        self.definitions.pop(name)  # after what it names
        self.definitions[name] = source + (f"\n\n\n{name} = {own}" if own != name else "")

    def fill_in(self, name: str, what: str) -> None:
        """Note that the user has to say what a name is."""
        self.missing[name] = what
        told = f"{name}: {what}".replace('"', "'")
        self.definitions[name] = f'{name} = _FillIn("{told}")  # fill in'

    def value(self, name: str, value: Any) -> None:
        """See to it that a name of the script is a value of the notebook."""
        shown = literal_of(value, self.secrets)
        if shown and not (_SECRET.search(name) and isinstance(value, str | bytes)):
            self.definitions[name] = f"{name} = {shown}"
        elif isinstance(value, str | bytes):
            self.fill_in(name, "it may be a key: read it from the environment")
        else:
            self.fill_in(name, f"{_article(type_name(value))} of the notebook")

    def _follow(self, source: str, names: dict[str, Any]) -> None:
        """Gather what a source names of its module."""
        for name in _names_in(source):
            if name not in names or name in self.definitions or hasattr(builtins, name):
                continue
            value = names[name]
            value = value.function if isinstance(value, Tool) else value
            if isinstance(value, types.ModuleType):
                module = value.__name__
                self.imports[f"import {module}" + (f" as {name}" if module != name else "")] = None
            elif isinstance(value, type):
                self._class(name, value)
            elif callable(value) and (hasattr(value, "__code__") or _import_of(value, name)):
                self.function(name, value)
            elif (found := _import_of(value, name)) is not None:
                self.imports[found[0]] = None
            else:
                self.value(name, value)

    def _class(self, name: str, made: type) -> None:
        found = _import_of(made, name)
        if found is not None:
            self.imports[found[0]] = None
            return
        source = _class_source(made.__name__)
        if not source:
            self.fill_in(name, "a class whose source is not there")
            return
        self.definitions[name] = ""
        self._follow(source, vars(sys.modules[made.__module__]))
        self.definitions.pop(name)
        self.definitions[name] = source


def literal_of(value: Any, secrets: Iterable[Any] = ()) -> str:
    """Return a value as a literal, "" if it has none, is too long, or holds a key."""
    try:
        shown = repr(value)
        same = len(shown) <= SHORT and ast.literal_eval(shown) == value
    except Exception:  # noqa: BLE001 - a value's own __repr__ and __eq__ may raise anything
        return ""
    keys = (*secrets, *known_secrets())
    return shown if same and mask(shown, keys) == shown else ""


def _import_of(value: Any, name: str) -> tuple[str, str] | None:
    """Return the import of what a module holds, and a line that makes a tool its function again, if it is one."""
    module, path = getattr(value, "__module__", None), getattr(value, "__qualname__", "") or ""
    if type(module) is not str or module == "__main__" or module.partition(".")[0] == OURS or not path.isidentifier():
        return None
    holder = sys.modules.get(module)
    found = getattr(holder, path, None) if _has_file(holder) else None
    spelled = f"from {module} import {path}" + (f" as {name}" if name != path else "")
    if found is value:
        return spelled, ""
    if isinstance(found, Tool) and found.function is value:
        return spelled, f"{name} = {name}.function  # a tool, whose module imports {OURS}"
    return None


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def _has_file(module: Any) -> bool:
    is_there = isinstance(module, types.ModuleType)
    return is_there and (getattr(module, "__file__", None) is not None or module.__name__ in sys.builtin_module_names)


def _no_source(function: Any) -> str:
    """Return why a function cannot be written out, "" if it can."""
    if isinstance(function, functools.partial | types.MethodType) or not isinstance(function, types.FunctionType):
        return f"{_article(type_name(function))}, whose state is not text"
    if function.__module__.partition(".")[0] == OURS:
        return f"it ships with {OURS}: import it from there, or write your own"
    if function.__name__ == "<lambda>":
        return "a lambda: write it as a function"
    if function.__code__.co_freevars:
        return f"a closure over {', '.join(function.__code__.co_freevars)}, which its source does not say"
    return ""


def source_of(function: types.FunctionType) -> str:
    """Return a function's source without the decorators that make it a tool, "" if there is none."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
        (node,) = ast.parse(text).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return ""
    return _without_tool(text, node, function.__globals__)


def _without_tool(text: str, node: ast.stmt, names: dict[str, Any]) -> str:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return ""
    lines = text.split("\n")
    kept = [
        "\n".join(lines[each.lineno - 1 : each.end_lineno]) for each in node.decorator_list if not _is_ours(each, names)
    ]
    return "\n".join([*kept, *lines[node.lineno - 1 : node.end_lineno]])


def _is_ours(decorator: ast.expr, names: dict[str, Any]) -> bool:
    root: Any = decorator.func if isinstance(decorator, ast.Call) else decorator
    while isinstance(root, ast.Attribute):
        root = root.value
    found = names.get(root.id) if isinstance(root, ast.Name) else None
    module = found.__name__ if isinstance(found, types.ModuleType) else getattr(found, "__module__", "")
    return str(module).partition(".")[0] == OURS


def _names_in(source: str) -> list[str]:
    tree = ast.parse(source)
    return list(dict.fromkeys(part.id for part in ast.walk(tree) if isinstance(part, ast.Name)))


def _class_source(name: str) -> str:
    """Return the source of a class of the notebook, which is in the last cell that defines one of this name."""
    found = ""
    for text in _cells():
        try:
            nodes = ast.parse(text).body
        except (SyntaxError, ValueError):
            continue
        for node in nodes:
            if isinstance(node, ast.ClassDef) and node.name == name:
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                found = "\n".join(text.split("\n")[first - 1 : node.end_lineno])
    return found


def _cells() -> Iterator[str]:
    """Yield the texts of what was run without a file, in its order."""
    for entry in list(linecache.cache.values()):
        if len(entry) > 2 and entry[1] is None:  # noqa: PLR2004 - size, time, lines, name
            yield "".join(entry[2])
