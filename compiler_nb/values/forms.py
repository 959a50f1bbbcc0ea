"""What a stored type is, and the forms of Python's own: numbers, times, bytes and containers.

A value is written as JSON. Where JSON has no such type, an object with the key "$" names the form: `{"$": "tuple",
"v": [1, 2]}`. No name in a stored text ever leads to a class, an import or a call: it is looked up in the table of
forms (table.py), and a form reads only data that it has checked.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import fractions
import functools
import json
import math
import re
import uuid
import zoneinfo
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from compiler_nb.errors import HistoryError
from compiler_nb.outcome import STAYED, NotStored, Remote, StoredFigure

Head: TypeAlias = dict[str, Any]
"""What the JSON of a form holds besides its name."""
_HEX: Final = re.compile(r"-?0x[0-9a-f]+")
_MODULE: Final = vars(type)["__module__"]
DECLARES: Final = frozenset({"__dataclass_fields__", "__attrs_attrs__", "__pydantic_decorators__"})
"""What a class has that declares its fields: a dataclass, one of attrs, one of pydantic."""
PNG: Final = b"\x89PNG"
"""What a PNG begins with."""


class Unstorable(Exception):
    """A value has no form here; the message says why."""


class NoRoom(Unstorable):
    """There is no room for a value."""


class TooDeep(Unstorable):
    """A value nests too deep, as one does that holds itself."""


class ToData(Protocol):
    """What a form may ask while it writes: to write what the value holds, within the bounds of the whole."""

    def data(self, value: Any) -> Any:
        """Return the data of a value within this one."""

    def many(self, values: Any) -> list[Any]:
        """Return the data of several values."""

    def pairs(self, values: Mapping[Any, Any]) -> list[list[Any]]:
        """Return the data of keys and values."""

    def carried(self, value: Any) -> Any:
        """Return the data of a value in one of our records, or a note that it is not stored; the rest still is."""

    def spend(self, size: int) -> None:
        """Count bytes; raises NoRoom if there are too many."""

    def keep(self, data: bytes) -> Head:
        """Keep bytes beside the text; return what the head says of them. Raises Unstorable if they hold a key."""

    def check(self, data: bytes | bytearray) -> None:
        """Raise Unstorable if bytes hold a key."""


class FromData(Protocol):
    """What a form may ask while it reads."""

    shared: Any
    """Values that are stored elsewhere, by name."""

    def data(self, data: Any) -> Any:
        """Return the value of data within this one."""

    def many(self, data: Any) -> list[Any]:
        """Return the values of a list."""

    def part(self, data: Any, names: Collection[str]) -> Any:
        """Return the value of data that has one of these forms; raises HistoryError for any other."""

    def kept(self, head: Head) -> bytes:
        """Return the bytes that a head names, each only once; raises HistoryError if they are damaged."""

    def typed(self, head: Head) -> Any:
        """Return a value of a class of the user's, by its tool's return type."""


class Form(NamedTuple):
    """How the values of a type are stored.

    type: the class, or the path of a library's ("numpy.ndarray"), or None if no value is written in this form;
    name: in the text; write, read: the two directions, between a value and the head that stands beside the name;
    same: compares a value with what was read back, if writing checks that; fixed: such values never change, and need
    no copy.
    """

    type: type[Any] | str | None
    name: str
    write: Callable[[Any, ToData], Head]
    read: Callable[[Head, FromData], Any]
    same: Callable[[Any, Any], bool] | None = None
    fixed: bool = False


# -------------------------------------------------------------------- types, asked without running their code


def ids_of(kinds: Collection[type[Any]]) -> frozenset[int]:
    """Return the ids of types that stay for good: `id(type(value))` is compared, as a metaclass may be anyone's."""
    return frozenset(map(id, kinds))


def type_module(value: Any) -> str:
    """Return the name of the module of a value's type, "" if it has none."""
    try:
        module = _MODULE.__get__(type(value))
    except AttributeError:
        return ""
    return module if type(module) is str else ""


def declares_fields(value: Any) -> bool:
    """Return whether a value's class says what fields it has: a dataclass, one of attrs, one of pydantic."""
    bases = vars(type)["__mro__"].__get__(type(value))
    return any(name in vars(type)["__dict__"].__get__(base) for base in bases for name in DECLARES)


# -------------------------------------------------------------------- checks of what is read


def expect(sound: object, fault: str) -> None:
    """Raise HistoryError with the fault if what is read is not sound."""
    if not sound:
        raise HistoryError(fault)


def of_kind(kind: type, data: Any, *, none: bool = False) -> Any:
    """Return what is stored, of exactly this type (or None if `none`). Raises HistoryError if it is of another type."""
    expect(type(data) is kind or (none and data is None), f"a stored field is not of the type {kind.__name__}")
    return data


def integer_of(data: Any) -> int:
    """Return a stored whole number, written in hexadecimal; raises HistoryError if it is something else."""
    expect(_HEX.fullmatch(of_kind(str, data)), "a stored whole number is not written in hexadecimal")
    return int(data, 16)


_zones: Final = functools.cache(zoneinfo.available_timezones)


def is_zone(name: Any) -> bool:
    """Return whether a name is that of a time zone of this machine.

    It is looked up among names that are known already: to try it would open the file, or import the package, that it
    leads to. "localtime", which some machines have, is another zone on each of them.
    """
    return type(name) is str and name in _zones() and name != "localtime"


def write_zone(zone: dt.tzinfo | None) -> float | str | None:
    """Return a time zone as seconds from UTC, or by its name; raises Unstorable if it has neither."""
    if zone is None:
        return None
    if type(zone) is dt.timezone:
        return zone.utcoffset(None).total_seconds()
    name = getattr(zone, "key", None)
    if type(zone) is not zoneinfo.ZoneInfo or not is_zone(name):
        raise Unstorable(f"its time zone is a {type(zone).__name__}")
    return str(name)


def read_zone(data: Any) -> dt.tzinfo | None:
    """Return a time zone; raises HistoryError if there is none of that name."""
    if data is None:
        return None
    if type(data) is not str:
        return dt.timezone(dt.timedelta(seconds=data))
    expect(is_zone(data), "a stored time is in an unknown zone")
    return zoneinfo.ZoneInfo(data)


# -------------------------------------------------------------------- the forms


def _write_moment(value: dt.datetime) -> list[Any]:
    return [value.replace(tzinfo=None, fold=0).isoformat(), write_zone(value.tzinfo), value.fold]


def _read_moment(data: Any) -> dt.datetime:
    text, zone, fold = data
    return dt.datetime.fromisoformat(of_kind(str, text)).replace(fold=int(fold), tzinfo=read_zone(zone))


def _write_hour(value: dt.time) -> str:
    if value.tzinfo is not None:
        raise Unstorable("a time of day has a time zone")
    return value.isoformat()


def _write_bytes(value: bytes | bytearray, to: ToData) -> Head:
    to.spend(len(value) * 4 // 3)
    to.check(value)
    return {"v": base64.b64encode(value).decode("ascii")}


def _read_pairs(head: Head, by: FromData) -> dict[Any, Any]:
    return {key: value for key, value in by.many(head["v"])}  # noqa: C416 - a pair of another length is an error


def _write_set(value: Any, to: ToData) -> Head:
    return {"v": sorted(to.many(list(value)), key=json.dumps)}  # in an order that does not depend on the process


def _write_picture(value: StoredFigure, to: ToData) -> Head:
    to.spend(len(value.png))
    return {"type": value.type, "label": value.label, **to.keep(value.png)}


def _read_picture(head: Head, by: FromData) -> StoredFigure:
    data = by.kept(head)
    expect(data.startswith(PNG), "a stored picture is not a PNG")
    return StoredFigure(of_kind(str, head["type"]), data, of_kind(str, head["label"]))


def _scalar(kind: type[Any], name: str, write: Callable[[Any], Any], read: Callable[[Any], Any]) -> Form:
    """Return the form of small values that hold no others."""

    def spend(value: Any, to: ToData) -> Head:
        data = write(value)
        to.spend(len(data))
        return {"v": data}

    return Form(kind, name, spend, lambda head, by: read(head["v"]), fixed=True)


def _many(kind: Callable[[Any], Any], name: str, write: Callable[[Any, ToData], Head] | None = None) -> Form:
    """Return the form of a container that is made of a list."""
    write = write or (lambda value, to: {"v": to.many(value)})
    return Form(kind, name, write, lambda head, by: kind(by.many(head["v"])))  # type: ignore[arg-type]


PLAIN: Final = (
    _scalar(int, "int", hex, integer_of),
    _scalar(float, "float", repr, {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}.__getitem__),
    Form(complex, "complex", lambda value, to: {"v": to.many([value.real, value.imag])},
         lambda head, by: complex(*map(float, by.many(head["v"]))), fixed=True),
    Form(range, "range", lambda value, to: {"v": to.many([value.start, value.stop, value.step])},
         lambda head, by: range(*by.many(head["v"])), fixed=True),
    _scalar(dt.datetime, "datetime", _write_moment, _read_moment),
    _scalar(dt.time, "time", _write_hour, dt.time.fromisoformat),
    _scalar(dt.date, "date", dt.date.isoformat, dt.date.fromisoformat),
    _scalar(dt.timedelta, "timedelta", lambda span: [span.days, span.seconds, span.microseconds],
            lambda data: dt.timedelta(*data)),
    _scalar(decimal.Decimal, "decimal", str, lambda data: decimal.Decimal(of_kind(str, data))),
    _scalar(fractions.Fraction, "fraction", lambda value: [hex(value.numerator), hex(value.denominator)],
            lambda data: fractions.Fraction(*map(integer_of, data))),
    _scalar(uuid.UUID, "uuid", str, lambda data: uuid.UUID(of_kind(str, data))),
    Form(bytes, "bytes", _write_bytes, lambda head, by: base64.b64decode(head["v"], validate=True), fixed=True),
    Form(bytearray, "bytearray", _write_bytes, lambda head, by: bytearray(base64.b64decode(head["v"], validate=True))),
    Form(dict, "dict", lambda value, to: {"v": to.pairs(value)}, _read_pairs),
    _many(tuple, "tuple"),
    _many(set, "set", _write_set),
    _many(frozenset, "frozenset", _write_set),
    Form(Remote, "absent", lambda value, to: {"type": value.told, "reason": STAYED},
         lambda head, by: NotStored(of_kind(str, head["type"]), of_kind(str, head["reason"])), fixed=True),
    Form(NotStored, "absent", lambda value, to: value._asdict(),
         lambda head, by: NotStored(of_kind(str, head["type"]), of_kind(str, head["reason"])), fixed=True),
    Form(StoredFigure, "picture", _write_picture, _read_picture, fixed=True),
    Form(None, "task", lambda name, to: {"v": name}, lambda head, by: by.shared[head["v"]]),
    Form(None, "typed", lambda head, to: head, lambda head, by: by.typed(head)),
)  # fmt: skip
"""The forms of Python's own types, and of what is stored instead of a value.

"dict" is one with keys that JSON does not have; "absent" was not stored; "picture" is what is stored of a figure;
"task" names a value that is stored elsewhere in the run; "typed" is what a tool's return type made of a value of the
user's own class.
"""
