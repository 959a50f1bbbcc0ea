"""A type written as text, such as `list[str]` or `Weather | None`: read without running any of it.

Only names, attributes of modules and classes, subscripts, `|` and constants within brackets are taken. A name is one of
those given, a built-in class, one of `typing`, or one of a few well-known classes; nothing is ever called.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import types
import typing
from collections.abc import Mapping
from typing import Any, Final

from compiler_nb.text import cut, suggest

LONGEST: Final = 500
"""Characters of a type's text."""
KNOWN: Final = {
    "date": "datetime", "datetime": "datetime", "time": "datetime", "timedelta": "datetime", "Decimal": "decimal",
    "Fraction": "fractions", "Path": "pathlib", "UUID": "uuid", "DataFrame": "pandas", "Series": "pandas",
}  # fmt: skip
"""Classes that need not be imported in the notebook, with their modules."""


def read_type(text: str, names: Mapping[str, Any] | None = None) -> Any:
    """Return the type that a text means; names: what is known beside Python's own types. Raises ValueError."""
    if len(text) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        found = _TypeReader(names or {}).type_of(tree)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError("it is not a type as Python writes it, such as list[str]") from None
    except (TypeError, AttributeError, KeyError) as error:  # of what stands before brackets
        raise ValueError(cut(str(error), 200)) from None
    return found


class _TypeReader:
    """Reads the tree of a type's text."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names = names

    def type_of(self, node: ast.expr) -> Any:
        """Return the type that a part of the text means."""
        match node:
            case ast.Constant(None):
                return None
            case ast.Name(name):
                found = self._named(name)
            case ast.Attribute(owner, name):
                found = _attribute(self._owner(owner), name)
            case ast.Subscript(owner, part):
                return self._filled(self.type_of(owner), part)
            case ast.BinOp(left, ast.BitOr(), right):
                return typing.Union[self.type_of(left), self.type_of(right)]  # noqa: UP007 - of what the text says
            case _:
                raise ValueError(f"{_source(node)} is not a type: write names, brackets and |, and no calls")
        if not is_type(found):
            raise ValueError(f"{_source(node)} is not a type: it is a {type(found).__name__}")
        return found

    def _named(self, name: str) -> Any:
        if name in self.names:
            return self.names[name]
        found = getattr(builtins, name, None)
        if isinstance(found, type):
            return found
        if name in KNOWN:
            try:
                return getattr(importlib.import_module(KNOWN[name]), name)
            except ImportError:
                raise ValueError(f"{name} needs {KNOWN[name]}, which is not installed") from None
        if name in typing.__all__:
            return getattr(typing, name)
        near = suggest(name, [*self.names, *KNOWN])
        raise ValueError(f"no type is called {name}; define it, or import it, in a cell above.{near}".rstrip("."))

    def _owner(self, node: ast.expr) -> Any:
        """Return what stands before a dot: a module or a class."""
        match node:
            case ast.Name(name):
                found = self._named(name)
            case ast.Attribute(owner, name):
                found = _attribute(self._owner(owner), name)
            case _:
                found = None
        if not isinstance(found, types.ModuleType | type):
            raise ValueError(f"{_source(node)} is neither a module nor a class: only these have types in them")  # noqa: TRY004 - as of any text
        return found

    def _filled(self, owner: Any, part: ast.expr) -> Any:
        """Return a type with what stands in its brackets."""
        if typing.get_origin(owner) is None and not hasattr(owner, "__class_getitem__") and not _is_special(owner):
            raise ValueError(f"{getattr(owner, '__name__', owner)} takes no brackets")
        parts = part.elts if isinstance(part, ast.Tuple) else [part]
        if owner is typing.Literal:
            inside = tuple(ast.literal_eval(each) for each in parts)
        else:
            inside = tuple(... if isinstance(each, ast.Constant) and each.value is ... else self.type_of(each)
                           for each in parts)  # fmt: skip
        return owner[inside if isinstance(part, ast.Tuple) else inside[0]]


def _attribute(owner: Any, name: str) -> Any:
    """Return what a module or a class has under a name; a class is not asked, only looked at."""
    if name.startswith("_"):
        raise ValueError(f"{name} begins with an underscore")
    places = [vars(each) for each in owner.__mro__] if isinstance(owner, type) else [vars(owner)]
    for place in places:
        if name in place:
            return place[name]
    if isinstance(owner, types.ModuleType) and hasattr(owner, name):  # some load their names when they are asked for
        return getattr(owner, name)
    raise ValueError(f"{owner.__name__} has no type {name}")


def _is_special(found: Any) -> bool:
    return getattr(type(found), "__module__", "") == "typing"


def is_type(found: Any) -> bool:
    """Whether something may be a type in an annotation."""
    plain = isinstance(found, type | types.GenericAlias | types.UnionType | typing.NewType | typing.TypeVar)
    return plain or _is_special(found) or typing.get_origin(found) is not None


def _source(node: ast.expr) -> str:
    return cut(ast.unparse(node), 60)
