"""Digests of values and of calls: two with the same digest have the same content, in whatever process.

What a person approves, what the history notes before a side effect begins, and which side effects are the same: all go
by these digests.

Theory of operation
    A value becomes bytes that say where they end: a text carries its length, a container is a hash of its parts. The
    items of sets and dicts are sorted by their own digests, and equal numbers are the same, 2 and 2.0. Tables, arrays,
    times and the like are hashed as a history stores them. An instance of a class is its type's name, what it holds if
    it is a list, a dict or the like, and its fields, which are read without running any code of the class.
    Some values have no content that can be compared: an open file, a generator, an object whose class declares no
    fields, and what is too large or too deep to be looked at while a run goes on. They count as the objects that they
    are, and the digest is `loose`: that it has stayed the same does not show that nothing has changed.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import hashlib
import inspect
import math
import pathlib
import sys
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from compiler_nb.operations.weights import is_a
from compiler_nb.text import name_of
from compiler_nb.tool import Tool
from compiler_nb.values.forms import DECLARES

PARTS: Final = 100_000
"""Values that one digest looks at."""
BYTES: Final = 30_000_000
"""Bytes of texts, arrays and tables that one digest looks at."""
_CELL: Final = 8
_DEEPEST: Final = 100
_SHORT: Final = 64
"""A text of up to this many bytes is kept as it is; a longer one is hashed."""
_HEAP: Final = 1 << 9
"""The flag of classes that were made while the program ran: all that are written in Python."""
_NO_FIELDS: Final = frozenset({"__orig_class__", "__pydantic_fields_set__"})
"""What an instance holds besides its content: how its class was written, and which fields were given."""
_NUMBERS: Final = frozenset({complex, range})
_AS_STORED: Final = frozenset({"numpy", "pandas", "datetime", "decimal", "fractions", "uuid"})
"""Modules of types that, like these numbers, are hashed as a history stores them."""
_ORDERED: Final[Mapping[type, Callable[[Any], Iterable[Any]]]] = {
    list: list.__iter__, tuple: tuple.__iter__, deque: deque.__iter__, OrderedDict: OrderedDict.items,
}  # fmt: skip
_UNORDERED: Final[Mapping[type, Callable[[Any], Iterable[Any]]]] = {
    set: set.__iter__, frozenset: frozenset.__iter__, dict: dict.items, defaultdict: dict.items,
}  # fmt: skip
_SCALARS: Final[Mapping[type, Callable[[Any], Any]]] = {
    str: str.__str__, int: int.__int__, float: float.__float__, bytes: bytes.__bytes__, bytearray: bytes,
}  # fmt: skip
"""How to read the built-in value that an instance of a subclass is."""


class Digest(NamedTuple):
    """A digest, and why it says nothing about the content: "TextIOWrapper has no content to compare"; "" if it does."""

    text: str
    loose: str = ""


class TooLarge(Exception):
    """The value is too large or too deep to be looked at within the bounds."""


def digest(value: Any) -> Digest:
    """Return the digest of a value."""
    walk = _Walk()
    return Digest(_joined("value", [walk.whole(value)]).hex(), walk.loose)


class Digests:
    """Digests of several values, within bounds for all of them together.

    A value that comes after the bounds is not looked at: it counts as too large to compare.
    parts, size: how many values and bytes are looked at in all.
    """

    def __init__(self, parts: int = 4 * PARTS, size: int = 4 * BYTES) -> None:
        self.parts, self.size = parts, size

    def of(self, value: Any) -> Digest:
        """Return the digest of one value."""
        parts, size = min(PARTS, self.parts), min(BYTES, self.size)
        walk = _Walk(parts, size)
        found = Digest(_joined("value", [walk.whole(value)]).hex(), walk.loose)
        self.parts -= parts - max(walk.parts, 0)
        self.size -= size - max(walk.bytes, 0)
        return found


def digest_call(tool: Tool, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Digest:
    """Return the digest of a call: the tool's name and its bound arguments, in whatever way they were given.

    An argument that equals its default counts as left out.
    """
    walk, defaults = _Walk(), {}
    given: Mapping[str, Any] = {"*": args, "**": kwargs}
    try:
        signature = inspect.signature(tool.function)
        given = signature.bind(*args, **kwargs).arguments
        defaults = {name: each.default for name, each in signature.parameters.items()}
    except (TypeError, ValueError):
        pass  # it has none that can be read
    coded = {name: walk.whole(value) for name, value in given.items()}
    parts = [
        _text(name) + coded[name] for name in sorted(coded) if coded[name] != _Walk().whole(defaults.get(name, _NO))
    ]
    return Digest(_joined(f"call {tool.name}", parts).hex(), walk.loose)


class Content(NamedTuple):
    """An exact digest; loose: as in Digest; classes: those of the instances within, whose code is not in the digest."""

    text: str
    loose: str = ""
    classes: frozenset[type] = frozenset()


def content_of(value: Any, *, parts: int = PARTS, size: int = BYTES) -> Content:
    """Return a digest of a value that differs if code could see a difference: 2 is not 2.0, and dicts have an order.

    parts, size: what may be looked at. Raises TooLarge if that is not enough, or what a value raises that changes at
    this very moment.
    """
    walk = _Exact(parts, size)
    coded = walk.of(value)
    return Content(_joined("exact", [coded]).hex(), walk.loose, frozenset(walk.classes))


_NO: Final = inspect.Parameter.empty


class _Walk:
    """Looks at values, within bounds for all of them together."""

    def __init__(self, parts: int = PARTS, size: int = BYTES) -> None:
        self.parts, self.bytes, self.depth, self.loose = parts, size, 0, ""
        self.seen: dict[int, tuple[Any, bytes]] = {}  # by id; the objects are kept, so that no other gets their ids

    def whole(self, value: Any) -> bytes:
        """Return the digest of a value as bytes that say where they end."""
        depth = self.depth
        try:
            return self.of(value)
        except TooLarge:
            self.parts = -1
            return self._by_identity(value, "is too large to compare")
        except Exception:  # noqa: BLE001 - it changes at this very moment
            return self._by_identity(value, "cannot be looked at")
        finally:
            self.depth = depth

    def of(self, value: Any) -> bytes:
        """Return the digest of a part; raises TooLarge, or what a value raises that changes meanwhile."""
        kind = type(value)
        self._spend(1, 0)
        if value is None or kind is bool:
            return repr(value).encode()
        if kind is int or kind is float:
            return _number(value)
        if kind is str:
            self._spend(0, len(value))
            return _text(value)
        if kind is bytes or kind is bytearray:
            self._spend(0, len(value))
            return _sized(b"b", bytes(value))
        known = self.seen.get(id(value))
        if known is not None:
            return known[1]
        self.depth += 1
        self.seen[id(value)] = value, _joined(f"above {self.depth}")  # if it holds itself
        coded = self._object(value, kind)
        self.depth -= 1
        self.seen[id(value)] = value, coded
        return coded

    def _spend(self, parts: int, size: int) -> None:
        self.parts -= parts
        self.bytes -= size
        if self.parts < 0 or self.bytes < 0 or self.depth > _DEEPEST:
            raise TooLarge

    def _by_identity(self, value: Any, why: str) -> bytes:
        self.loose = self.loose or f"{name_of(type(value))} {why}"
        return _joined(f"object {id(value)}")

    def _object(self, value: Any, kind: type) -> bytes:
        name, ground, stored, declares, *_ = layout = _layout(kind)
        if stored and (coded := self._as_stored(value)):
            return coded
        if issubclass(kind, enum.Enum):
            return _joined(f"member {name}", [_text(str(value._name_)), self.of(value._value_)])
        if issubclass(kind, pathlib.PurePath):
            return _joined(name, [_text(pathlib.PurePath.__str__(value))])
        held = self._held(value, ground)
        if not (held or declares):
            return self._by_identity(value, "has no content to compare")
        fields = sorted(_fields(value, layout).items())
        if not fields and (kind is ground or ground in _SCALARS):
            return held
        return _joined(name, [held, *(_text(field) + self.of(each) for field, each in fields)])

    def _held(self, value: Any, ground: type) -> bytes:
        """Return the digest of what a container holds, or of what a text or a number is underneath; b"" for others."""
        if ground in _SCALARS:
            return self.of(_SCALARS[ground](value))
        read = _ORDERED.get(ground) or _UNORDERED.get(ground)
        if read is None:
            return b""
        held = tuple(read(value))
        if len(held) > self.parts:  # the list is made in a moment, and to look at it takes long
            raise TooLarge
        return _joined(ground.__name__, self._parts(held, ground))

    def _parts(self, held: tuple[Any, ...], ground: type) -> list[bytes]:
        """Return the digests of what a container holds, in its order if that counts."""
        parts = [self.of(each) for each in held]
        return parts if ground in _ORDERED else sorted(parts)

    def _as_stored(self, value: Any) -> bytes:
        """Return the digest of a table, a library's number, a time; b"" for what a history cannot store."""
        from compiler_nb.values.code import content_hash  # noqa: PLC0415 - heavy, and needed for few values
        from compiler_nb.values.table import form_of  # noqa: PLC0415 - heavy, and needed for few values

        if number := self._number(value):
            return number
        if form_of(value) is None:
            return b""
        self._spend(0, _CELL * int(getattr(value, "size", 1)))
        found = content_hash(value, BYTES)
        return b"" if found is None else _joined(f"stored {found}")

    def _number(self, value: Any) -> bytes:
        """Return the digest of one of NumPy's numbers or texts, which is that of Python's; b"" for anything else."""
        numpy = sys.modules.get("numpy")
        is_number = numpy is not None and is_a(value, numpy.generic) and value.dtype.kind in "biufUS"
        return self.of(value.item()) if is_number else b""


class _Exact(_Walk):
    """Looks at values as any code may: at the types of numbers, the signs of zeros, the order of dicts."""

    def __init__(self, parts: int, size: int) -> None:
        super().__init__(parts, size)
        self.classes: set[type] = set()

    def of(self, value: Any) -> bytes:
        """Return the digest of a part; raises TooLarge, or what a value raises that changes meanwhile."""
        if type(value) is float:
            self._spend(1, 0)
            return _sized(b"f", (value.hex() if math.isfinite(value) else str(value)).encode())
        coded = super().of(value)
        return b"a" + coded if type(value) is bytearray else coded

    def _object(self, value: Any, kind: type) -> bytes:
        if kind.__flags__ & _HEAP:
            self.classes.add(kind)
        return super()._object(value, kind)

    def _parts(self, held: tuple[Any, ...], ground: type) -> list[bytes]:
        parts = [self.of(each) for each in held]
        return sorted(parts) if ground in (set, frozenset) else parts

    def _held(self, value: Any, ground: type) -> bytes:
        held = super()._held(value, ground)
        if ground is deque:
            return _joined("at most", [held, self.of(vars(deque)["maxlen"].__get__(value))])
        if ground is defaultdict and (factory := vars(defaultdict)["default_factory"].__get__(value)) is not None:
            return _joined("makes", [held, self._factory(factory)])
        return held

    def _factory(self, factory: Any) -> bytes:
        """Return the digest of what makes the missing values of a dict: a class of Python's own has a name."""
        known = type(factory) is type and not factory.__flags__ & _HEAP
        return _text(name_of(factory)) if known else self._by_identity(factory, "has no content to compare")

    def _number(self, value: Any) -> bytes:
        return b""


# -------------------------------------------------------------------- bytes that say where they end


def _joined(name: str, parts: Iterable[bytes] = ()) -> bytes:
    """Return the hash of a name and of parts."""
    data = b"".join(parts)
    return b"(" + hashlib.blake2b(_text(name) + data, digest_size=16).digest()


def _text(text: str) -> bytes:
    return _sized(b'"', text.encode("utf-8", "surrogatepass"))


def _sized(mark: bytes, data: bytes) -> bytes:
    if len(data) > _SHORT:
        return mark + b"#" + hashlib.blake2b(data, digest_size=16).digest()
    return mark + b"%d:" % len(data) + data


def _number(value: float) -> bytes:
    if type(value) is float and not value.is_integer():
        return f"{value.hex() if math.isfinite(value) else value};".encode()
    return f"{int(value):x};".encode()


# -------------------------------------------------------------------- classes, looked at without running their code


class _Layout(NamedTuple):
    """How the content of a class's instances is found.

    ground: the first of its bases that is not written in Python; stored: whether a history may store them; declares:
    whether all that they are stands in their fields; read: what reads those; skipped: names that are not content.
    """

    name: str
    ground: type
    stored: bool
    declares: bool
    read: tuple[tuple[str, Callable[[Any], Any]], ...]
    skipped: frozenset[str]


@functools.lru_cache(maxsize=500)
def _layout(kind: type) -> _Layout:
    ground = next(base for base in kind.__mro__ if _is_foreign(base))
    own = kind.__mro__[: kind.__mro__.index(ground)]
    found = [(name, each, base) for base in kind.__mro__ for name, each in vars(base).items()]
    read = [
        (name, each.__get__) for name, each, base in found if type(each) is types.MemberDescriptorType and base in own
    ]
    read += [
        ("", each.__get__) for name, each, _ in found if name == "__dict__" and type(each) is types.GetSetDescriptorType
    ]
    kept = {name for name, each, _ in found if is_a(each, functools.cached_property)}
    declares = ground is object and any(name in DECLARES for name, _, _ in found)
    module = str(vars(type)["__module__"].__get__(kind))
    stored = kind in _NUMBERS or module.partition(".")[0] in _AS_STORED
    name = f"{module}.{vars(type)['__qualname__'].__get__(kind)}"
    return _Layout(name, ground, stored, declares, tuple(read), _NO_FIELDS | kept)


def _is_foreign(base: type) -> bool:
    """Whether a class is not written in Python, so that its instances may hold more than their fields."""
    new = vars(base).get("__new__")
    return not base.__flags__ & _HEAP or (type(new) is types.BuiltinFunctionType and new.__self__ is base)


def _fields(value: Any, layout: _Layout) -> dict[str, Any]:
    """Return what an instance holds by names; what it has worked out once and keeps is not content."""
    fields: dict[str, Any] = {}
    for name, get in layout.read:
        with contextlib.suppress(AttributeError):  # it is not set
            fields |= {name: get(value)} if name else get(value)
    return {name: each for name, each in fields.items() if name not in layout.skipped}
