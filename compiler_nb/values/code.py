"""Values as text and bytes, and back: the table of all forms, and what is bounded, shared and checked around them.

A class of the user's is written only by its tool's return type, and read back only by that. Of a figure its picture is
written. What cannot be written so that it comes back equal is NotStored, with the reason; if it is a part of a list, a
tuple or a dict, only that part is. Whatever is wrong with what is read is a HistoryError.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import sys
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from compiler_nb.errors import HistoryError
from compiler_nb.outcome import NotStored, StoredFigure
from compiler_nb.text import describe_error, type_name
from compiler_nb.values.columns import LIBRARY
from compiler_nb.values.forms import (
    PLAIN,
    Form,
    Head,
    NoRoom,
    TooDeep,
    Unstorable,
    declares_fields,
    expect,
    ids_of,
    of_kind,
    type_module,
)
from compiler_nb.values.pictures import label_of, png_of
from compiler_nb.values.records import RECORDS

FORMS: Final[tuple[Form, ...]] = (*PLAIN, *LIBRARY, *RECORDS)
"""The table of all stored types: nothing else knows one."""
Leaks: TypeAlias = Callable[[bytes | bytearray], bool]
LARGEST: Final = 10_000_000
"""Bytes that one value may take, by default."""
DEEPEST: Final = 100
"""Levels that a value may nest."""
_HASHED: Final = 30 * LARGEST
"""Bytes of the largest value that has a hash."""
_SMALL: Final = 1 << 63
_ITEM: Final = 8
"""Bytes that an item of a container counts for, beside its own."""
_DECLARED: Final = "declare the return type of the tool, and it can be stored"
_AGAIN: Final = "it is computed again when it is needed"
_PARTS: Final = ids_of((list, tuple, dict))
"""Ids of types of which a part may be missing."""
_MANY: Final = ids_of({str, list, *(form.type for form in PLAIN if isinstance(form.type, type))})
"""Ids of types of plain data: if there is no room for such a part, there is none for the whole."""
_WITHOUT: Final = ('"$":"absent"', '"$":"picture"')
"""What stands in a coded text for a value that does not come back as itself."""
_HOLDS_ITSELF: Final = "it holds itself, or nests too deep"
_CHANGED: Final = "it holds what another task returned, which was changed since"
_dump: Final = json.JSONEncoder(separators=(",", ":")).encode
_BY_NAME: Final = {form.name: form for form in FORMS}
_PICTURE: Final = _BY_NAME["picture"]
_BY_TYPE: Final = {id(form.type): form for form in FORMS if isinstance(form.type, type)}
"""By the ids of types; those of libraries join them once they are seen."""


def form_of(value: Any) -> Form | None:
    """Return the form of a value's type, None if it has none. A library is there already if one of its values is."""
    kind, name = type(value), type_module(value).partition(".")[0]
    if id(kind) not in _BY_TYPE and name in ("numpy", "pandas") and name in sys.modules:
        for form in LIBRARY:
            if str(form.type).startswith(f"{name}."):
                _BY_TYPE.update((id(each), form) for each in _classes(sys.modules[name], str(form.type)))
    return _BY_TYPE.get(id(kind))


def _classes(library: Any, path: str) -> set[type[Any]]:
    """Return the classes that a form's path means: of values like pandas.NA, which has no public one, its own."""
    if path == "numpy.generic":  # each exactly: a subclass would come back as another
        return set(library.sctypeDict.values())
    found = functools.reduce(lambda place, part: getattr(place, part, None), path.split(".")[1:], library)
    return {found if isinstance(found, type) else type(found)} - {type(None)}


class Coded(NamedTuple):
    """A coded value: JSON, and the pieces of bytes that it names by their numbers; stored: whether it comes back."""

    text: str
    blobs: tuple[bytes, ...] = ()
    stored: bool = True

    @property
    def whole(self) -> bool:
        """Whether all of the value comes back as it was: nothing in it is missing, or a mere picture."""
        return self.stored and not any(mark in self.text for mark in _WITHOUT)

    @property
    def digest(self) -> str:
        """A hash of the content; a hash of the bytes stands in the text."""
        return digest_of(self.text.encode())


class Known(NamedTuple):
    """An object that a task returned, or an input ("@df"), with its name, and its tool's return type.

    In a copy it stands in the object's place, with a copy of the object or with its coded form.
    """

    value: Any
    name: str
    hint: Any = None


class Shared(NamedTuple):
    """What may be named instead of being written again: objects by their ids, and digests of what is stored, by names.

    An object is named only if it is still what was stored under its name.
    """

    objects: Mapping[int, Known]
    digests: dict[str, str]

    def find(self, value: Any) -> Known | None:
        """Return what is known of an object that was stored, as it was then; None for any other."""
        known = self.objects.get(id(value))
        return known if known is not None and known.value is value and known.name in self.digests else None


_NOTHING: Final = Shared({}, {})


# -------------------------------------------------------------------- writing


def encode(
    value: Any,
    *,
    hint: Any = None,
    largest: int = LARGEST,
    shared: Shared | None = None,
    leaks: Leaks | None = None,
    drawing: bool = True,
) -> Coded:
    """Return a value coded; one that has no form becomes a note that it is not stored, and why.

    hint: the type that its tool says to return; shared: what is stored already, and may be named;
    leaks: returns whether bytes hold a key; drawing: whether figures are drawn, which takes a while.
    """
    if _is_plain(value):
        return Coded(_dump(value))
    encoder = _Encoder(largest, shared or _NOTHING, hint, leaks)
    encoder.drawing = drawing
    try:
        return Coded(_dump(encoder.top(value)), tuple(encoder.blobs))
    except BaseException as error:  # noqa: BLE001 - a value's own methods may raise anything, SystemExit too
        return Coded(_dump(_absent(value, error)), stored=False)


def encode_fields(
    fields: list[Any], *, largest: int = LARGEST, shared: Shared | None = None, leaks: Leaks | None = None
) -> Coded:
    """Return the fields of a record coded, with such a note in the place of a value that has no form."""
    if all(type(value) is str or _is_plain(value) for value in fields):
        return Coded(_dump(fields))
    encoder = _Encoder(largest, shared or _NOTHING, None, leaks)
    encoder.left = math.inf  # what is ours is bounded already
    return Coded(_dump([encoder.attempt(value) for value in fields]), tuple(encoder.blobs))


def content_hash(value: Any, largest: int = _HASHED) -> str | None:
    """Return a hash of a value's content, the same in every process; None if it has no form, or is too large."""
    encoder = _Encoder(largest, _NOTHING, None, None, keeping=False)
    encoder.exact = True
    try:
        return digest_of(_dump(encoder.top(value)).encode())
    except BaseException:  # noqa: BLE001 - as above
        return None


def digest_of(data: bytes) -> str:
    """Return the hash by which bytes are checked."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _is_plain(value: Any) -> bool:
    """Return whether a value is in JSON what it is in Python, and takes no room."""
    kind = type(value)
    known = value is None or kind is bool or (kind is float and math.isfinite(value))
    return known or (kind is int and -_SMALL <= value < _SMALL)


def _reason(error: BaseException) -> str:
    """Return why something is not stored, in words; the error lets go of its frames, which hold it and the value."""
    each: BaseException | None = error
    while each is not None:
        each.__traceback__, each = None, each.__context__
    return str(error) if isinstance(error, Unstorable) else describe_error(error)[:200]


def _why_formless(value: Any) -> str:
    """Return why a value that has no form cannot be stored."""
    library = type_module(value).partition(".")[0]
    if library in ("numpy", "pandas"):
        return f"{library}'s {type_name(value)} cannot be stored"
    return f"it is not plain data: {_DECLARED if declares_fields(value) else _AGAIN}"


def _absent(value: Any, error: BaseException) -> Head:
    return {"$": "absent", "type": type_name(value), "reason": _reason(error)}


class _Encoder:
    """Writes one value within bounds; what it may be asked by a form is ToData."""

    def __init__(self, largest: int, shared: Shared, hint: Any, leaks: Leaks | None, *, keeping: bool = True) -> None:
        self.largest, self.shared, self.hint, self.leaks, self.keeping = largest, shared, hint, leaks, keeping
        self.itself: Any = None  # the known object that is coded, so that it is not named in its own form
        self.changed: dict[int, str | bool] = {}  # known objects by ids: whether they are, or why that cannot be known
        self.left: float = largest  # of what may be written
        self.values_left: float = largest  # of that, for values within our own records
        self.depth = 0
        self.checking = False  # whether what is written is part of what will be read back
        self.exact = False  # whether a value is written as a whole, or not at all, and a figure is no picture
        self.drawing = True
        self.lenient = False  # whether a part that cannot be stored is left out
        self.blobs: list[bytes] = []

    def top(self, value: Any) -> Any:
        """Return a whole value's data, by the hint if it has no other form, or else without some of its parts."""
        depth = self.depth
        try:
            return self.data(value)
        except BaseException as error:  # noqa: BLE001 - a value's own methods may raise anything, SystemExit too
            reason = error
        if self.hint is not None:
            self.restore(0, depth, self.largest)  # as before the first try, which stopped anywhere
            try:
                text = _write_typed(value, self.hint)
                self.spend(len(text))
            except BaseException as error:  # noqa: BLE001 - as above
                reason = error
            else:
                return {"$": "typed", "type": type_name(value), "v": text}
        self.restore(0, depth, self.largest)
        return self.in_part(value, reason)

    def in_part(self, value: Any, reason: BaseException) -> Any:
        """Return the data of a value without the parts that cannot be stored; raises the reason if none can."""
        if self.exact or id(type(value)) not in _PARTS:
            raise reason
        self.lenient = True
        try:
            return self.data(value)
        except (Unstorable, RecursionError):
            raise reason from None
        finally:
            self.lenient = False

    def restore(self, blobs: int, depth: int, left: float) -> None:
        """Forget what was written since, and stopped anywhere."""
        del self.blobs[blobs:]
        self.depth, self.left, self.checking = depth, left, False

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise NoRoom(f"it takes more than {self.largest:,} bytes: History(path, largest=...) allows more")

    def check(self, data: bytes | bytearray) -> None:
        if self.leaks is not None and self.leaks(data):
            raise Unstorable("it holds a key")

    def keep(self, data: bytes) -> Head:
        self.check(data)
        self.blobs.append(data if self.keeping else b"")
        return {"blob": len(self.blobs) - 1, "hash": digest_of(data)}

    def data(self, value: Any) -> Any:
        if type(value) is str:
            self.spend(len(value))
            return value
        if _is_plain(value):
            return value
        self.depth += 1
        if self.depth > DEEPEST:
            raise TooDeep(f"it nests more than {DEEPEST} deep")
        data = self.formed(value, type(value))
        self.depth -= 1
        return data

    def formed(self, value: Any, kind: type[Any]) -> Any:
        if kind is Known:
            return self.named(value)
        # while a table is checked it is read back at once, without what other tasks have stored: nothing is named then
        known = self.shared.find(value)
        if known is not None and value is not self.itself and not self.checking and not self.is_changed(known):
            return {"$": "task", "v": known.name}
        if kind is list:
            return self.many(value)
        if kind is dict and all(type(key) is str and key[:1] != "$" for key in value):
            self.spend(_ITEM * len(value) + sum(map(len, value)))
            return dict(zip(value, self.items(value.values()), strict=True))
        return self.written(value, form_of(value))

    def written(self, value: Any, form: Form | None) -> Any:
        """Return the data of a value in its form, or else its picture; what has parts may be written without some."""
        if form is None:
            return self.drawn(value)
        lenient, self.lenient = self.lenient, self.lenient and id(form.type) in _PARTS
        data = self.checked(value, form)
        self.lenient = lenient
        return data

    def checked(self, value: Any, form: Form) -> Any:
        """Return the data of a value in its form; raises Unstorable if it has to come back equal, and does not."""
        if form.same is None or self.checking or not self.keeping:
            return {"$": form.name, **form.write(value, self)}
        self.checking = True
        data = {"$": form.name, **form.write(value, self)}
        self.checking = False
        if not form.same(_Decoder(self.blobs.__getitem__, {}, None).data(data), value):
            raise Unstorable("it does not come back equal")
        return data

    def many(self, values: Any) -> list[Any]:
        self.spend(_ITEM * len(values))
        return self.items(values)

    def pairs(self, values: Mapping[Any, Any]) -> list[list[Any]]:
        self.spend(3 * _ITEM * len(values))
        lenient, self.lenient = self.lenient, False
        keys = [self.data(key) for key in values]
        self.lenient = lenient
        return [list(pair) for pair in zip(keys, self.items(values.values()), strict=True)]

    def items(self, values: Iterable[Any]) -> list[Any]:
        """Return the data of items; if some may be left out, raises Unstorable if there is no other."""
        if not self.lenient:
            return [self.data(value) for value in values]
        items = list(map(self.item, values))
        absent = [item for item in items if type(item) is dict and item.get("$") == "absent"]
        if absent and len(absent) == len(items):
            raise Unstorable(absent[0]["reason"])
        return items

    def item(self, value: Any) -> Any:
        """Return an item's data, or a note that it is not stored.

        Raises NoRoom if plain data has no room, TooDeep if it has no end: a hundred levels of it are no part of it.
        """
        blobs, depth, left = len(self.blobs), self.depth, self.left
        try:
            return self.data(value)
        except BaseException as error:
            too_large = isinstance(error, NoRoom) and id(type(value)) in _MANY
            if too_large or isinstance(error, (TooDeep, RecursionError)):
                raise
            self.restore(blobs, depth, left)
            self.lenient = True
            data = _absent(value, error)
            self.spend(len(data["type"]) + len(data["reason"]))
            return data

    def drawn(self, value: Any) -> Any:
        """Return the picture of a value that has no form; raises Unstorable if it has none."""
        picture = b"" if self.exact or not self.drawing or self.checking else png_of(value)
        if picture:
            return {"$": "picture", **_PICTURE.write(StoredFigure(type_name(value), picture, label_of(value)), self)}
        raise Unstorable(_why_formless(value))

    # ---------------------------------------------------------------- what is stored elsewhere

    def named(self, known: Known) -> Any:
        """Return a known object's name if it is what is stored under it, else its data."""
        coded = known.value
        if type(coded) is Coded and self.shared.digests.get(known.name) != coded.digest:
            raise Unstorable(_CHANGED)
        if type(coded) is not Coded and self.is_changed(known):
            return self.formed(coded, type(coded))
        return {"$": "task", "v": known.name}

    def is_changed(self, known: Known) -> bool:
        """Return whether an object is not what is stored under its name; raises Unstorable if it has no form now.

        Each is coded once for that, and remembered: objects that hold one another would be coded ever more often.
        """
        key = id(known.value)
        if key not in self.changed:
            self.changed[key] = _HOLDS_ITSELF  # if it is asked for meanwhile
            self.changed[key] = self.compare(known)
        found = self.changed[key]
        if isinstance(found, str):
            raise TooDeep(found) if found == _HOLDS_ITSELF else Unstorable(found)
        return found

    def compare(self, known: Known) -> bool | str:
        encoder = _Encoder(self.largest, self.shared, known.hint, None, keeping=False)
        encoder.itself, encoder.changed, encoder.depth = known.value, self.changed, self.depth - 1
        try:
            data = encoder.top(known.value)
        except (TooDeep, RecursionError):
            return _HOLDS_ITSELF
        except BaseException as error:  # noqa: BLE001 - a value's own methods may raise anything, SystemExit too
            return _reason(error)
        if self.shared.digests.get(known.name) == digest_of(_dump(data).encode()):
            return False
        typed = type(data) is dict and data.get("$") == "typed"  # only its own tool's return type can read that
        return _CHANGED if typed else True

    # ---------------------------------------------------------------- what may be absent

    def attempt(self, value: Any) -> Any:
        """Return a value's data, or a note that it is not stored, without any piece of it."""
        before = len(self.blobs), self.depth, self.left
        try:
            return self.data(value)
        except BaseException as error:  # noqa: BLE001 - as above
            self.restore(*before)
            reason = error
        try:
            return self.in_part(value, reason)
        except BaseException as error:  # noqa: BLE001 - as above
            self.restore(*before)
            return _absent(value, error)

    def carried(self, value: Any) -> Any:
        """Return the data of a value within one of our records: all of them share one bound."""
        before = self.left
        self.left = allowed = min(self.left, self.values_left)
        data = self.attempt(value)
        used = allowed - self.left
        self.values_left, self.left = self.values_left - used, before - used
        return data


# -------------------------------------------------------------------- reading


def decode(
    text: str,
    *,
    blob: Callable[[int], bytes] | None = None,
    shared: Mapping[str, Any] | None = None,
    hint: Callable[[str], Any] | None = None,
) -> Any:
    """Return the value of a coded text; raises HistoryError if it has none.

    blob: gives the bytes of a number; shared: values by task; hint: the return type of a tool, or None.
    """
    try:
        return _Decoder(blob, shared or {}, hint).data(json.loads(text))
    except HistoryError:
        raise
    except ImportError as error:
        raise HistoryError(f"reading a stored value needs {error.name}, which is not installed") from None
    except Exception as error:  # noqa: BLE001 - a damaged text may raise anything
        raise HistoryError(f"a stored value cannot be read: {describe_error(error)[:200]}") from None


class _Decoder:
    """Reads one value; what it may be asked by a form is FromData."""

    def __init__(
        self, blob: Callable[[int], bytes] | None, shared: Mapping[str, Any], hint: Callable[[str], Any] | None
    ) -> None:
        self.blob, self.shared, self.hint = blob, shared, hint
        self.used: set[int] = set()

    def data(self, data: Any) -> Any:
        if type(data) is list:
            return [self.data(item) for item in data]
        if type(data) is not dict:
            return data
        if "$" not in data:
            return {key: self.data(item) for key, item in data.items()}
        form = _BY_NAME.get(data["$"])
        if form is None:
            raise HistoryError(f"a stored value has the unknown form {str(data['$'])[:40]!r}")
        return form.read(data, self)

    def many(self, data: Any) -> list[Any]:
        expect(type(data) is list, "a stored value is not a list")
        return [self.data(item) for item in data]

    def part(self, data: Any, names: Collection[str]) -> Any:
        expect(type(data) is dict and data.get("$") in names, "a part of a stored value is of another form")
        return self.data(data)

    def kept(self, head: Head) -> bytes:
        number = head["blob"]
        if self.blob is None or type(number) is not int or number in self.used:
            raise HistoryError("the bytes of a stored value are missing or used twice")
        self.used.add(number)
        data = self.blob(number)
        expect(digest_of(data) == head["hash"], "the bytes of a stored value are damaged")
        return data

    def typed(self, head: Head) -> Any:
        """Return a value of a class, NotStored if its type is not there or does not take it anymore."""
        name, text = of_kind(str, head["type"]), of_kind(str, head["v"])
        hint = self.hint(name) if self.hint is not None else None
        if hint is None:
            return NotStored(name, "reading it needs the tool that made it: history.load(id, tools=[...])")
        from pydantic import ValidationError  # noqa: PLC0415 - heavy, and needed for few values

        try:
            return adapter_of(hint).validate_json(text)
        except ValidationError:
            return NotStored(name, "the tool's return type has changed")


# -------------------------------------------------------------------- classes of the user's


def _write_typed(value: Any, hint: Any) -> str:
    """Return what a tool's return type makes of a value, if that comes back equal; raises Unstorable, or its own."""
    adapter = adapter_of(hint)
    text = str(adapter.dump_json(value, warnings=False), "utf-8")
    if not bool(adapter.validate_json(text) == value):
        raise Unstorable(f"a {type_name(value)} does not come back equal from its tool's return type")
    return text


def prepare(hints: Iterable[Any]) -> None:
    """Make ready what values of classes are coded by, so that the first of them need not wait for it."""
    for hint in filter(_names_class, hints):
        with contextlib.suppress(Exception):  # no value will be coded by it
            adapter_of(hint)


def _names_class(hint: Any) -> bool:
    own = isinstance(hint, type) and hint.__module__.partition(".")[0] not in _OTHERS
    return own or any(map(_names_class, typing.get_args(hint)))


_OTHERS: Final = {"types", "typing", "collections", "numpy", "pandas", "builtins", *(
    form.type.__module__ for form in PLAIN if isinstance(form.type, type))}  # fmt: skip
"""Modules whose types have forms of their own, or none."""


def adapter_of(hint: Any) -> Any:
    """Return what turns values of a type into JSON and back."""
    try:
        return _adapter_of(hint)
    except TypeError:  # a type that is not hashable
        return _adapter_of.__wrapped__(hint)


@functools.lru_cache(maxsize=100)
def _adapter_of(hint: Any) -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415 - heavy, and needed for few values

    return TypeAdapter(hint)
