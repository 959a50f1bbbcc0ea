"""Reading a coded value: each form its own data, within what was written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from compiler_nb.errors import HistoryError
from compiler_nb.values.coded import digest_of
from compiler_nb.values.forms import Head, expect, of_kind
from compiler_nb.values.table import BY_NAME
from compiler_nb.values.typed import read_typed


class Decoder:
    """Reads one value; what it may be asked by a form is FromData."""

    def __init__(
        self, blob: Callable[[int], bytes] | None, shared: Mapping[str, Any], hint: Callable[[str], Any] | None
    ) -> None:
        self.blob, self.shared, self.hint = blob, shared, hint
        self.used: set[int] = set()

    def data(self, data: Any) -> Any:
        """Return the value of data: plain data, containers of it, and forms."""
        if type(data) is list:
            return [self.data(item) for item in data]
        if type(data) is not dict:
            return data
        if "$" not in data:
            return {key: self.data(item) for key, item in data.items()}
        form = BY_NAME.get(data["$"])
        if form is None:
            raise HistoryError(f"a stored value has the unknown form {str(data['$'])[:40]!r}")
        return form.read(data, self)

    def many(self, data: Any) -> list[Any]:
        """Return the values of a list of data."""
        expect(type(data) is list, "a stored value is not a list")
        return [self.data(item) for item in data]

    def part(self, data: Any, names: Collection[str]) -> Any:
        """Return the value of a part that must have one of these forms."""
        expect(type(data) is dict and data.get("$") in names, "a part of a stored value is of another form")
        return self.data(data)

    def kept(self, head: Head) -> bytes:
        """Return the bytes that a head names, each once, checked by their hash."""
        number = head["blob"]
        if self.blob is None or type(number) is not int or number in self.used:
            raise HistoryError("the bytes of a stored value are missing or used twice")
        self.used.add(number)
        data = self.blob(number)
        expect(digest_of(data) == head["hash"], "the bytes of a stored value are damaged")
        return data

    def typed(self, head: Head) -> Any:
        """Return a value of a class, read by the return type of its tool."""
        name, text = of_kind(str, head["type"]), of_kind(str, head["v"])
        return read_typed(name, text, self.hint(name) if self.hint is not None else None)
