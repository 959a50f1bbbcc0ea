"""What has no value, in words: tasks that failed for the same reason are told together, with a few names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from compiler_nb.outcome import Skipped
from compiler_nb.plan.task import is_part, line_of, owner_of
from compiler_nb.text import cut

NAMED: Final = 3
"""Ids that are told of those that failed for the same reason."""
REASONS: Final = 3
"""Reasons that are told; the others are counted."""
LENGTH: Final = 300
"""Characters of a reason that are told, and compared."""
_DETAIL: Final = re.compile(r"0x[0-9a-f]+|\d+\.\d+|\d{4,}")
"""What may differ between two errors of one kind: addresses, times, numbers of requests, but not a status."""


_WORD: Final = re.compile(r"\w+")


class Alike(NamedTuple):
    """Tasks that have no value for the same reason: that of the first, and the ids of all."""

    reason: str
    ids: list[str]

    def __str__(self) -> str:
        more = len(self.ids) - NAMED
        return f"{self.reason} ({', '.join(self.ids[:NAMED])}{f', … {more:,} more' if more > 0 else ''})"


def alike(lost: Mapping[str, Any]) -> list[Alike]:
    """Return tasks by the reason for which they have no value, the most frequent reason first.

    What differs from item to item does not count: its key, and numbers that look like details.
    """
    found: dict[str, Alike] = {}
    for id_, outcome in lost.items():
        reason = cut(_reason(id_, outcome), LENGTH)
        form = _without(_DETAIL.sub("…", reason), id_.partition("[")[2].rpartition("]")[0])
        found.setdefault(form, Alike(reason, [])).ids.append(id_)
    return sorted(found.values(), key=lambda each: -len(each.ids))


def _without(reason: str, key: str) -> str:
    """Return a reason without the key of its item: as a word, so that the key 5 is not found in 503."""
    if not key.isalnum():
        return reason.replace(key, "…") if key else reason
    return _WORD.sub(lambda word: "…" if word[0] == key else word[0], reason) if key in reason else reason


def _reason(id_: str, outcome: Any) -> str:
    """Return why a task has no value; for an item whose own chain broke, why the chain did."""
    own = isinstance(outcome, Skipped) and not outcome.by_user and line_of(outcome.cause) == id_
    return outcome.message if own else str(outcome)


def tell(lost: Mapping[str, Any]) -> str:
    """Return the reasons for which tasks have no value, in one line."""
    groups = alike(lost)
    more = [f"{len(groups) - REASONS:,} other reasons"] if len(groups) > REASONS else []
    return "; ".join([*map(str, groups[:REASONS]), *more])


class Failures(dict[str, Any]):
    """The outcomes of tasks that have no value, by id; shown as a line for each task, with its items told together."""

    def __repr__(self) -> str:
        return "\n".join(self._lines()) or "no failures"

    def _lines(self) -> Iterable[str]:
        items: dict[str, dict[str, Any]] = {}
        for id_, outcome in self.items():
            if owner_of(id_) and not is_part(id_):
                items.setdefault(owner_of(id_), {})[id_] = outcome
        for id_, outcome in self.items():
            owner = owner_of(id_)
            if not owner:
                yield f"{id_}: {cut(str(outcome), 1_000)}"
            elif owner not in self and owner in items:
                lost = items.pop(owner)
                yield f"{owner}: without {len(lost):,} items: {tell(lost)}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001 - as IPython calls it
        printer.text(repr(self))
