"""Values as JSON that says what they are: plain data, our own records, arrays, tables; nothing that could run.

A value of a built-in type is written as JSON, one that JSON has no form for as an object with the key "$" that names
the form. Tables and arrays become blobs of bytes beside the text. A class of the user's is written only by its tool's
return type, and read back only by that: no name in a stored text ever leads to a class, an import or a call. What
cannot be written so that it comes back equal is NotStored, with the reason.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from compiler_nb.outcome import Answer, Failure
from compiler_nb.plan.expression import Value
from compiler_nb.text import describe_error, type_name
from compiler_nb.values import columns
from compiler_nb.values.forms import FORMS
from compiler_nb.values.kinds import ids_of
from compiler_nb.values.records import BY_NAME, fields_of
from compiler_nb.values.shared import Known, Named, Shared
from compiler_nb.values.typed import write_typed
from compiler_nb.values.unstorable import NotStored, Unstorable

Leaks: TypeAlias = Callable[[bytes | bytearray], bool]
LARGEST: Final = 10_000_000
"""Bytes that one value may take, by default."""
DEEPEST: Final = 100
"""Levels that a value may nest."""
_SMALL: Final = 1 << 63
_SHORT: Final = 100_000
_NOTHING: Final = Shared()
_dump: Final = json.JSONEncoder(separators=(",", ":")).encode
_ITEM: Final = 8
"""Bytes that an item of a container counts for, beside its own."""
_CHANGED: Final = "it holds what another task returned, and what was changed since"


class Coded(NamedTuple):
    """A coded value: JSON, and the blobs that it names by their numbers; stored: whether it comes back."""

    text: str
    blobs: tuple[bytes, ...] = ()
    stored: bool = True

    @property
    def digest(self) -> str:
        """A hash of the content; a blob's own hash stands in the text."""
        return hashlib.blake2b(self.text.encode(), digest_size=16).hexdigest()


def encode(
    value: Any,
    *,
    hint: Any = None,
    largest: int = LARGEST,
    shared: Shared | None = None,
    leaks: Leaks | None = None,
) -> Coded:
    """Return a value coded; where it has no form, that it is not stored, and why.

    hint: the type that its tool says to return; shared: what is stored already, and may be named;
    leaks: whether bytes hold a key.
    """
    if _is_scalar(value) and (type(value) is not str or len(value) <= largest):
        return Coded(_dump(value))
    encoder = _Encoder(largest, shared or _NOTHING, hint, leaks)
    try:
        return Coded(_dump(encoder.top(value)), tuple(encoder.blobs))
    except BaseException as error:  # noqa: BLE001 - a value's own methods may raise anything, SystemExit too
        return Coded(_dump(_absent(value, _reason(error))), stored=False)


def encode_fields(
    fields: list[Any], *, largest: int = LARGEST, shared: Shared | None = None, leaks: Leaks | None = None
) -> Coded:
    """Return the fields of a record coded; a value within them that has no form is not stored, and says so."""
    if all(map(_is_scalar, fields)):
        return Coded(_dump(fields))
    encoder = _Encoder(largest, shared or _NOTHING, None, leaks)
    encoder.left = math.inf  # what is ours is bounded already
    data = [encoder.field(value) for value in fields]
    return Coded(_dump(data), tuple(encoder.blobs))


def _is_scalar(value: Any) -> bool:
    """Whether a value is small, and is in JSON what it is in Python."""
    kind = type(value)
    if kind is str:
        return len(value) <= _SHORT
    return value is None or kind is bool or ((kind is int or kind is float) and -_SMALL < value < _SMALL)


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, Unstorable) else describe_error(error)[:200]


def _absent(value: Any, reason: str) -> dict[str, str]:
    return {"$": "absent", "type": type_name(value)[:100], "reason": reason}


class _Now(NamedTuple):
    """What a known object is now, where it is not what was stored: its form, its blobs, and the bytes that it takes."""

    form: Any
    blobs: list[bytes]
    size: int


class _Encoder:
    def __init__(self, largest: int, shared: Shared, hint: Any, leaks: Leaks | None) -> None:
        self.largest, self.shared, self.hint, self.leaks = largest, shared, hint, leaks
        self.itself: Any = None  # the known object that is coded, so that it is not named in its own form
        self.now: dict[int, _Now | str | None] = {}  # known objects by ids: None where unchanged, a text where no form
        self.left: float = largest  # of what may be written
        self.values_left: float = largest  # of that, for values within our own records
        self.blobs: list[bytes] = []

    def top(self, value: Any, depth: int = 0) -> Any:
        """Return a whole value's form, by the hint where it has no other."""
        try:
            return self.data(value, depth)
        except Unstorable:
            if self.hint is None:
                raise
            self.left, self.blobs = self.largest, []
            return self.typed(value)

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise Unstorable(f"it takes more than {self.largest:,} bytes; History(path, largest=...) allows more")

    def data(self, value: Any, depth: int) -> Any:  # noqa: C901, PLR0911, PLR0912 - one line per kind
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            self.spend(len(value))
            return value
        if kind is int:
            return self.integer(value)
        if kind is float:
            return value if math.isfinite(value) else {"$": "float", "v": repr(value)}
        if depth > DEEPEST:
            raise Unstorable(f"it nests more than {DEEPEST} deep")
        if kind is Named:
            return self.named(value, depth)
        known = self.shared.find(value)
        if known is not None and value is not self.itself:
            return self.known(known, depth)
        if kind is list:
            return self.many(value, depth)
        if kind is dict:
            return self.table(value, depth)
        if id(kind) in _OURS:
            name, write = _FORMS[kind]
            return {"$": name, "v": write(self, value, depth)}
        if id(kind) in _SMALL_ONES:
            told = FORMS[kind].write(value)
            self.spend(len(told))
            return {"$": FORMS[kind].name, "v": told}
        if id(kind) in _RECORDS:
            return {"$": kind.__name__, "v": self.record(value, kind, depth)}
        if kind is NotStored:
            return {"$": "absent", "type": value.type, "reason": value.reason}
        return self.foreign(value, kind)

    def named(self, known: Named, depth: int) -> Any:
        """Return a known object's name where it is what is stored under it, else its form."""
        told = known.value
        if type(told) is not Coded:
            return self.known(Known(told, known.name), depth)
        if self.shared.digests.get(known.name) != told.digest:
            raise Unstorable(_CHANGED)
        return {"$": "task", "v": known.name}

    def known(self, known: Known, depth: int) -> Any:
        """Return an object's name where it is now what is stored under it, else its form."""
        key = id(known.value)
        if key not in self.now:
            self.now[key] = "it holds itself"  # for whoever asks meanwhile
            self.now[key] = self.compare(known, depth)
        now = self.now[key]
        if now is None:
            return {"$": "task", "v": known.name}
        if isinstance(now, str):
            raise Unstorable(now)
        self.spend(now.size)
        first = len(self.blobs)
        self.blobs += now.blobs
        return _renumbered(now.form, first) if first and now.blobs else now.form

    def compare(self, known: Known, depth: int) -> _Now | str | None:
        """Return None where an object is what is stored under its name, else what it is now, or why it has no form."""
        encoder = _Encoder(self.largest, self.shared, known.hint, self.leaks)
        encoder.itself, encoder.now = known.value, self.now
        try:
            form = encoder.top(known.value, depth)
        except BaseException as error:  # noqa: BLE001 - a value's own methods may raise anything, SystemExit too
            return _reason(error)
        if self.shared.digests.get(known.name) == Coded(_dump(form)).digest:
            return None
        if type(form) is dict and form.get("$") == "typed":  # only its own tool's return type can read that
            return _CHANGED
        return _Now(form, encoder.blobs, int(self.largest - encoder.left))

    def record(self, record: Any, kind: type, depth: int) -> list[Any]:
        """Return a record's fields; a value that it carries may be absent, and the rest is there all the same."""
        fields = fields_of(record)
        place = _CARRIED.get(kind)
        if place is None:
            return self.many(fields, depth)
        head = self.many(fields[:place], depth)
        return [*head, self.carried(fields[place], depth + 1), *self.many(fields[place + 1 :], depth)]

    def field(self, value: Any) -> Any:
        blobs = len(self.blobs)
        try:
            return self.data(value, 0)
        except BaseException as error:  # noqa: BLE001 - a value's own methods may raise anything, SystemExit too
            del self.blobs[blobs:]
            return _absent(value, _reason(error))

    def carried(self, value: Any, depth: int) -> Any:
        before, blobs = self.left, len(self.blobs)
        self.left = allowed = min(self.left, self.values_left)
        try:
            form = self.data(value, depth)
        except BaseException as error:  # noqa: BLE001 - as above
            del self.blobs[blobs:]
            self.left = before
            return _absent(value, _reason(error))
        self.values_left -= allowed - self.left
        self.left = before - (allowed - self.left)
        return form

    def integer(self, value: int) -> Any:
        self.spend(value.bit_length() // 4)
        return value if -_SMALL <= value < _SMALL else {"$": "int", "v": hex(value)}

    def many(self, values: Any, depth: int) -> list[Any]:
        self.spend(_ITEM * len(values))
        forms = []
        for value in values:
            kind = type(value)
            if kind is str:
                self.left -= len(value)
                forms.append(value)
            elif value is None or kind is bool or ((kind is int or kind is float) and -_SMALL < value < _SMALL):
                forms.append(value)  # as `data` does, without a call for each of what may be many
            else:
                forms.append(self.data(value, depth + 1))
        self.spend(0)
        return forms

    def table(self, value: dict[Any, Any], depth: int) -> Any:
        if all(type(key) is str and key[:1] != "$" for key in value):
            self.spend(_ITEM * len(value) + sum(map(len, value)))
            return {key: self.data(item, depth + 1) for key, item in value.items()}
        return {"$": "dict", "v": [self.many(pair, depth + 1) for pair in value.items()]}

    def raw(self, value: bytes | bytearray, _: int) -> str:
        self.spend(len(value) * 4 // 3)
        if self.leaks is not None and self.leaks(value):
            raise Unstorable("it holds a key")
        return base64.b64encode(value).decode("ascii")

    def sorted(self, value: Any, depth: int) -> list[Any]:
        """Return a set's members in an order that does not depend on the process."""
        return sorted(self.many(list(value), depth), key=json.dumps)

    def foreign(self, value: Any, kind: type) -> Any:
        """Return the form of a table or an array, as far as its library is there already."""
        form = columns.encode(value, int(min(self.left, self.largest)))
        if form is None:
            raise Unstorable("no plain data; a tool that declares its return type can store it")
        if form.blob is None:
            return form.head
        self.spend(len(form.blob))
        if self.leaks is not None and self.leaks(form.blob):
            raise Unstorable("it holds a key")
        self.blobs.append(form.blob)
        return {**form.head, "blob": len(self.blobs) - 1, "hash": digest_of(form.blob)}

    def typed(self, value: Any) -> Any:
        """Return what the tool's return type makes of a value, where that comes back equal."""
        text = write_typed(value, self.hint)
        self.spend(len(text))
        return {"$": "typed", "type": type_name(value), "v": text}


_Write = Callable[[_Encoder, Any, int], Any]
_FORMS: Final[dict[type, tuple[str, _Write]]] = {
    tuple: ("tuple", _Encoder.many),
    set: ("set", _Encoder.sorted),
    frozenset: ("frozenset", _Encoder.sorted),
    bytes: ("bytes", _Encoder.raw),
    bytearray: ("bytearray", _Encoder.raw),
    complex: ("complex", lambda self, value, depth: [self.data(part, depth) for part in (value.real, value.imag)]),
    range: ("range", lambda self, value, depth: [self.integer(p) for p in (value.start, value.stop, value.step)]),
}
_OURS: Final = ids_of(_FORMS)
_SMALL_ONES: Final = ids_of(FORMS)
_RECORDS: Final = ids_of(BY_NAME.values())


_CARRIED: Final[dict[type, int]] = {Value: 0, Answer: 0, Failure: 4}
"""Our records that carry a value of any kind, and the field that it stands in."""


def _renumbered(form: Any, first: int) -> Any:
    """Return a form whose blobs begin at another number than 0."""
    if type(form) is list:
        return [_renumbered(each, first) for each in form]
    if type(form) is not dict:
        return form
    moved = {key: _renumbered(each, first) for key, each in form.items()}
    return {**moved, "blob": form["blob"] + first} if "$" in form and "blob" in form else moved


def digest_of(blob: bytes) -> str:
    """Return the hash by which a blob is checked."""
    return hashlib.blake2b(blob, digest_size=16).hexdigest()


def content_hash(value: Any) -> str | None:
    """Return a hash of a value's content, the same in every process; None where it has no form."""
    try:
        told = columns.content_hash(value) if "pandas" in sys.modules else None
    except BaseException:  # noqa: BLE001 - cells of a table may raise anything, SystemExit too
        return None
    if told is not None:
        return told
    coded = encode(value, largest=10 * LARGEST)
    return coded.digest if coded.stored else None
