"""Writing a value within bounds: its form, or that of its parts, and what stands for a part that cannot be written.

What is known already is named instead of being written again, if it is still what was stored under its name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from compiler_nb.outcome import StoredFigure
from compiler_nb.text import describe_error, type_name
from compiler_nb.values.coded import Coded, Known, Leaks, Shared, digest_of
from compiler_nb.values.decoder import Decoder
from compiler_nb.values.forms import (
    PLAIN,
    Form,
    Head,
    NoRoom,
    TooDeep,
    Unstorable,
    declares_fields,
    ids_of,
    type_module,
)
from compiler_nb.values.pictures import label_of, png_of
from compiler_nb.values.table import PICTURE, form_of
from compiler_nb.values.typed import AS_DICT, is_typed, write_typed

DEEPEST: Final = 100
"""Levels that a value may nest."""
_SMALL: Final = 1 << 63
_ITEM: Final = 8
"""The bytes for which an item of a container counts, besides its own."""
_DECLARED: Final = "declare the return type of the tool, and it can be stored"
_AGAIN: Final = "it is computed again when it is needed"
_PARTS: Final = ids_of((list, tuple, dict))
"""Ids of types of which a part may be missing."""
_MANY: Final = ids_of({str, list, *(form.type for form in PLAIN if isinstance(form.type, type))})
"""Ids of types of plain data: if such a part has no room, the whole is not stored."""
_HOLDS_ITSELF: Final = "it holds itself, or nests too deep"
_CHANGED: Final = "it holds what another task returned, which was changed since"
dump: Final = json.JSONEncoder(separators=(",", ":")).encode


def is_plain(value: Any) -> bool:
    """Return whether a value is the same in JSON as in Python, and takes no room."""
    kind = type(value)
    known = value is None or kind is bool or (kind is float and math.isfinite(value))
    return known or (kind is int and -_SMALL <= value < _SMALL)


def reason_of(error: BaseException) -> str:
    """Return why a value cannot be written, in words; the error lets go of its frames, which hold it and the value."""
    each: BaseException | None = error
    while each is not None:
        each.__traceback__, each = None, each.__context__
    return str(error) if isinstance(error, Unstorable) else describe_error(error)[:200]


def absent(value: Any, error: BaseException) -> Head:
    """Return what stands for a value that is not stored: its type, and why."""
    return {"$": "absent", "type": type_name(value), "reason": reason_of(error)}


def _why_formless(value: Any, hint: Any) -> str:
    """Return why a value that has no form cannot be stored; hint: the return type of its tool, or None."""
    library = type_module(value).partition(".")[0]
    if library in ("numpy", "pandas"):
        return f"{library}'s {type_name(value)} cannot be stored"
    if not declares_fields(value):
        return f"it is not plain data: {_AGAIN}"
    return f"it is not plain data: {_DECLARED}" if hint is not None or is_typed(value) else AS_DICT


class Encoder:
    """Writes one value within bounds; what it may be asked by a form is ToData."""

    def __init__(self, largest: int, shared: Shared, hint: Any, leaks: Leaks | None, *, keeping: bool = True) -> None:
        self.largest, self.shared, self.hint, self.leaks, self.keeping = largest, shared, hint, leaks, keeping
        self.itself: Any = None  # the known object that is coded, so that it is not named in its own form
        self.changed: dict[int, str | bool] = {}  # known objects by ids: whether they are, or why that cannot be known
        self.left: float = largest  # of what may be written
        self.values_left: float = largest  # of that, for values within our own records
        self.depth = 0
        self.checking = False  # whether what is written is part of what will be read back
        self.exact = False  # whether a value is written whole or not at all, and no picture replaces a figure
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
                text = write_typed(value, self.hint)
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
        """Forget what was written since then: that may have stopped anywhere."""
        del self.blobs[blobs:]
        self.depth, self.left, self.checking = depth, left, False

    def spend(self, size: int) -> None:
        """Count what is written. Raises NoRoom if it is more than is allowed."""
        self.left -= size
        if self.left < 0:
            raise NoRoom(f"it takes more than {self.largest:,} bytes: History(path, largest=...) allows more")

    def check(self, data: bytes | bytearray) -> None:
        """Look for keys in bytes. Raises Unstorable if they hold one."""
        if self.leaks is not None and self.leaks(data):
            raise Unstorable("it holds a key")

    def keep(self, data: bytes) -> Head:
        """Keep bytes beside the text, and return what names them there."""
        self.check(data)
        self.blobs.append(data if self.keeping else b"")
        return {"blob": len(self.blobs) - 1, "hash": digest_of(data)}

    def data(self, value: Any) -> Any:
        """Return the data of a value. Raises TooDeep, NoRoom, Unstorable, or what its own methods raise."""
        if type(value) is str:
            self.spend(len(value))
            return value
        if is_plain(value):
            return value
        self.depth += 1
        if self.depth > DEEPEST:
            raise TooDeep(f"it nests more than {DEEPEST} deep")
        data = self.formed(value, type(value))
        self.depth -= 1
        return data

    def formed(self, value: Any, kind: type[Any]) -> Any:
        """Return the data of a value that is not plain: another's name, a container, or a form."""
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
        if not form.same(Decoder(self.blobs.__getitem__, {}, None).data(data), value):
            raise Unstorable("it does not come back equal")
        return data

    def many(self, values: Any) -> list[Any]:
        """Return the data of values, which take room themselves."""
        self.spend(_ITEM * len(values))
        return self.items(values)

    def pairs(self, values: Mapping[Any, Any]) -> list[list[Any]]:
        """Return the data of a mapping as pairs; no key may be left out."""
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
        missing = [item for item in items if type(item) is dict and item.get("$") == "absent"]
        if missing and len(missing) == len(items):
            raise Unstorable(missing[0]["reason"])
        return items

    def item(self, value: Any) -> Any:
        """Return an item's data, or a note that it is not stored.

        Raises NoRoom if plain data has no room, TooDeep if it has no end: no hundred levels of it are left out as a
        part.
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
            data = absent(value, error)
            self.spend(len(data["type"]) + len(data["reason"]))
            return data

    def drawn(self, value: Any) -> Any:
        """Return the picture of a value that has no form; raises Unstorable if it has none."""
        picture = b"" if self.exact or not self.drawing or self.checking else png_of(value)
        if picture:
            return {"$": "picture", **PICTURE.write(StoredFigure(type_name(value), picture, label_of(value)), self)}
        raise Unstorable(_why_formless(value, self.hint))

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

        Each is coded once for that, and remembered: otherwise objects that hold one another would be coded again and
        again.
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
        """Return whether a known object was changed, or why that cannot be known."""
        encoder = Encoder(self.largest, self.shared, known.hint, None, keeping=False)
        encoder.itself, encoder.changed, encoder.depth = known.value, self.changed, self.depth - 1
        try:
            data = encoder.top(known.value)
        except (TooDeep, RecursionError):
            return _HOLDS_ITSELF
        except BaseException as error:  # noqa: BLE001 - a value's own methods may raise anything, SystemExit too
            return reason_of(error)
        if self.shared.digests.get(known.name) == digest_of(dump(data).encode()):
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
            return absent(value, error)

    def carried(self, value: Any) -> Any:
        """Return the data of a value within one of our records: all of them share one bound."""
        before = self.left
        self.left = allowed = min(self.left, self.values_left)
        data = self.attempt(value)
        used = allowed - self.left
        self.values_left, self.left = self.values_left - used, before - used
        return data
