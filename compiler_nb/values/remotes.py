"""Values that stayed on a cluster, within other values: found, and replaced by what they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler_nb.outcome import Failure, Remote

_HOLDERS: Final = frozenset({Remote, Failure, list, tuple, dict})


def remotes_in(value: Any) -> Iterator[Remote]:
    """Yield the values of a cluster in a value: itself, or what lists, tuples, dicts and failed fan-outs hold."""
    kind = type(value)
    if kind is Remote:
        yield value
    elif kind is list or kind is tuple or kind is dict:
        items = value.values() if kind is dict else value
        if not _HOLDERS.isdisjoint(map(type, items)):  # most large ones hold numbers: this is quick
            for item in items:
                yield from remotes_in(item)
    elif kind is Failure and value.partial is not None:
        yield from remotes_in(value.partial)


def with_values(value: Any, found: Mapping[Remote, Any]) -> Any:
    """Return a value with those of a cluster in it replaced by what they stand for, as far as that is found."""
    kind = type(value)
    if kind is Remote:
        return found.get(value, value)
    if next(remotes_in(value), None) is None:
        return value
    if kind is Failure:
        return Failure(value.kind, value.message, value.error, value.attempts, with_values(value.partial, found))
    if kind is dict:
        return {key: with_values(item, found) for key, item in value.items()}
    return kind(with_values(item, found) for item in value)
