"""Moments, spans and numbers of the standard library as JSON, and back: small values that hold no others."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import re
import uuid
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from compiler_nb.errors import HistoryError
from compiler_nb.values.unstorable import Unstorable
from compiler_nb.values.zones import is_zone

if TYPE_CHECKING:
    from collections.abc import Callable

_HEX: Final = re.compile(r"-?0x[0-9a-f]+")


class Form(NamedTuple):
    """How the values of a type are written: the name of the form, and its two directions."""

    name: str
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def text_of(data: Any) -> str:
    """Return a stored text; raises HistoryError where it is none."""
    if type(data) is not str:
        raise HistoryError("a stored text is none")
    return data


def read_integer(data: Any) -> int:
    """Return a stored whole number; raises HistoryError where it is none."""
    if not _HEX.fullmatch(text_of(data)):
        raise HistoryError("a stored number is none")
    return int(data, 16)


def _write_moment(value: dt.datetime) -> list[Any]:
    zone = value.tzinfo
    if zone is None:
        where: Any = None
    elif type(zone) is dt.timezone:
        where = zone.utcoffset(None).total_seconds()
    else:
        where = getattr(zone, "key", None)
        if type(zone).__module__ != "zoneinfo" or not isinstance(where, str):
            raise Unstorable(f"its time zone is a {type(zone).__name__}")
    return [value.replace(tzinfo=None, fold=0).isoformat(), where, value.fold]


def _read_moment(data: Any) -> dt.datetime:
    text, where, fold = data
    value = dt.datetime.fromisoformat(text_of(text)).replace(fold=int(fold))
    if where is None:
        return value
    if type(where) is str:
        if not is_zone(where):
            raise HistoryError("a stored time is in an unknown zone")
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - needed for few values

        return value.replace(tzinfo=ZoneInfo(where))
    return value.replace(tzinfo=dt.timezone(dt.timedelta(seconds=where)))


def _write_hour(value: dt.time) -> str:
    if value.tzinfo is not None:
        raise Unstorable("a time of day has a time zone")
    return value.isoformat()


FORMS: Final[dict[type, Form]] = {
    dt.datetime: Form("datetime", _write_moment, _read_moment),
    dt.time: Form("time", _write_hour, dt.time.fromisoformat),
    dt.date: Form("date", dt.date.isoformat, dt.date.fromisoformat),
    dt.timedelta: Form(
        "timedelta", lambda span: [span.days, span.seconds, span.microseconds], lambda data: dt.timedelta(*data)
    ),
    decimal.Decimal: Form("decimal", str, lambda data: decimal.Decimal(text_of(data))),
    fractions.Fraction: Form(
        "fraction",
        lambda value: [hex(value.numerator), hex(value.denominator)],
        lambda data: fractions.Fraction(*map(read_integer, data)),
    ),
    uuid.UUID: Form("uuid", str, lambda data: uuid.UUID(text_of(data))),
}
