"""What a coded value is, and what may be named in one instead of being written again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

Leaks: TypeAlias = Callable[[bytes | bytearray], bool]
LARGEST: Final = 10_000_000
"""Bytes that one value may take, by default."""
_WITHOUT: Final = ('"$":"absent"', '"$":"picture"')
"""What a coded text holds instead of a value that cannot be read back as itself."""


def digest_of(data: bytes) -> str:
    """Return the hash by which bytes are checked."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class Coded(NamedTuple):
    """A coded value: JSON, and the pieces of bytes that it names by their numbers; stored: whether it comes back."""

    text: str
    blobs: tuple[bytes, ...] = ()
    stored: bool = True

    @property
    def whole(self) -> bool:
        """Whether the whole value can be read back: nothing in it is missing or only a picture."""
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


NOTHING: Final = Shared({}, {})
