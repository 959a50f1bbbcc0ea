"""Objects that several values hold: written once, and named in the others, where they are still what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Known(NamedTuple):
    """An object that a task returned, or an input ("@df"), with its name, and its tool's return type."""

    value: Any
    name: str
    hint: Any = None


class Named(NamedTuple):
    """A known object in another value, as it is there: a copy, or coded already."""

    name: str
    value: Any


class Shared(NamedTuple):
    """What may be named: objects by their ids, and digests of what is stored, by names."""

    objects: Mapping[int, Known] = {}
    digests: Mapping[str, str] = {}

    def find(self, value: Any) -> Known | None:
        """Return what is known of an object that was stored, as it was then; None for any other."""
        known = self.objects.get(id(value))
        return known if known is not None and known.value is value and known.name in self.digests else None
