"""Values as text and bytes, and back.

A class of the user's is written only by its tool's return type, and read back only by that. Of a figure its picture is
written. What cannot be written so that it comes back equal is NotStored, with the reason; if it is a part of a list, a
tuple or a dict, only that part is. Whatever is wrong with what is read is a HistoryError.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from compiler_nb.errors import HistoryError
from compiler_nb.text import describe_error
from compiler_nb.values.coded import LARGEST, NOTHING, Coded, Leaks, Shared, digest_of
from compiler_nb.values.decoder import Decoder
from compiler_nb.values.encoder import Encoder, absent, dump, is_plain

_HASHED: Final = 30 * LARGEST
"""Bytes of the largest value that has a hash."""


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
    if is_plain(value):
        return Coded(dump(value))
    encoder = Encoder(largest, shared or NOTHING, hint, leaks)
    encoder.drawing = drawing
    try:
        return Coded(dump(encoder.top(value)), tuple(encoder.blobs))
    except BaseException as error:  # noqa: BLE001 - a value's own methods may raise anything, SystemExit too
        return Coded(dump(absent(value, error)), stored=False)


def encode_fields(
    fields: list[Any], *, largest: int = LARGEST, shared: Shared | None = None, leaks: Leaks | None = None
) -> Coded:
    """Return the fields of a record coded, with such a note instead of a value that has no form."""
    if all(type(value) is str or is_plain(value) for value in fields):
        return Coded(dump(fields))
    encoder = Encoder(largest, shared or NOTHING, None, leaks)
    encoder.left = math.inf  # what is ours is bounded already
    return Coded(dump([encoder.attempt(value) for value in fields]), tuple(encoder.blobs))


def content_hash(value: Any, largest: int = _HASHED) -> str | None:
    """Return a hash of a value's content, the same in every process; None if it has no form, or is too large."""
    encoder = Encoder(largest, NOTHING, None, None, keeping=False)
    encoder.exact = True
    try:
        return digest_of(dump(encoder.top(value)).encode())
    except BaseException:  # noqa: BLE001 - as above
        return None


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
        return Decoder(blob, shared or {}, hint).data(json.loads(text))
    except HistoryError:
        raise
    except ImportError as error:
        raise HistoryError(f"reading a stored value needs {error.name}, which is not installed") from None
    except Exception as error:  # noqa: BLE001 - a damaged text may raise anything
        raise HistoryError(f"a stored value cannot be read: {describe_error(error)[:200]}") from None
