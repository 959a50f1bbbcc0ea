"""Reading coded values: what a stored text says, as data; whatever is wrong with it is a HistoryError."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.errors import HistoryError
from compiler_nb.text import describe_error
from compiler_nb.values import columns
from compiler_nb.values.code import digest_of
from compiler_nb.values.forms import FORMS, read_integer, text_of
from compiler_nb.values.records import BY_NAME, make
from compiler_nb.values.typed import read_typed
from compiler_nb.values.unstorable import NotStored

if TYPE_CHECKING:
    from collections.abc import Mapping


def decode(
    text: str,
    *,
    blob: Callable[[int], bytes] | None = None,
    shared: Mapping[str, Any] | None = None,
    hint: Callable[[str], Any] | None = None,
) -> Any:
    """Return the value of a coded text; raises HistoryError where it is none.

    blob: gives the bytes of a blob by its number; shared: values by task; hint: the return type of a tool, or None.
    """
    try:
        return _Decoder(blob, shared or {}, hint).data(json.loads(text))
    except HistoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged text may raise anything
        raise HistoryError(f"a stored value cannot be read: {describe_error(error)[:200]}") from None


class _Decoder:
    def __init__(
        self,
        blob: Callable[[int], bytes] | None,
        shared: Mapping[str, Any],
        hint: Callable[[str], Any] | None,
    ) -> None:
        self.blob, self.shared, self.hint = blob, shared, hint

    def data(self, data: Any) -> Any:
        if type(data) is list:
            return [self.data(item) for item in data]
        if type(data) is not dict:
            return data
        if "$" not in data:
            return {key: self.data(item) for key, item in data.items()}
        name = data["$"]
        if name in _READ:
            return _READ[name](self, data["v"])
        if name in BY_NAME:
            return make(BY_NAME[name], self.many(data["v"]))
        return self.special(name, data)

    def special(self, name: Any, data: dict[str, Any]) -> Any:
        if name in _FORMS:
            return _FORMS[name].read(data["v"])
        if name == "absent":
            return NotStored(text_of(data["type"]), text_of(data["reason"]))
        if name == "task":
            return self.shared[data["v"]]
        if name == "typed":
            name, hint = text_of(data["type"]), self.hint
            return read_typed(name, text_of(data["v"]), hint(name) if hint is not None else None)
        if "blob" not in data:
            return columns.decode(data, b"")
        if self.blob is None or type(data["blob"]) is not int:
            raise HistoryError("a stored value misses its bytes")
        blob = self.blob(data["blob"])
        if digest_of(blob) != data["hash"]:
            raise HistoryError("the bytes of a stored value are damaged")
        return columns.decode(data, blob)

    def many(self, data: Any) -> list[Any]:
        if type(data) is not list:
            raise HistoryError("a stored value holds something else than a list")
        return [self.data(item) for item in data]

    def pairs(self, data: Any) -> dict[Any, Any]:
        found = {}
        for pair in self.many(data):
            key, value = pair
            found[key] = value
        return found


_Read = Callable[[_Decoder, Any], Any]
_READ: Final[dict[str, _Read]] = {
    "float": lambda self, data: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[data],
    "int": lambda self, data: read_integer(data),
    "dict": _Decoder.pairs,
    "tuple": lambda self, data: tuple(self.many(data)),
    "set": lambda self, data: set(self.many(data)),
    "frozenset": lambda self, data: frozenset(self.many(data)),
    "bytes": lambda self, data: base64.b64decode(data, validate=True),
    "bytearray": lambda self, data: bytearray(base64.b64decode(data, validate=True)),
    "complex": lambda self, data: complex(*map(float, self.many(data))),
    "range": lambda self, data: range(*self.many(data)),
}
_FORMS: Final = {form.name: form for form in FORMS.values()}
