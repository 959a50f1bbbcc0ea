"""How two outcomes of tasks, or two answers, differ: by their content, without running any code of theirs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

from compiler_nb.operations.weights import is_a
from compiler_nb.outcome import NOT_DONE, Failure, StoredFigure, unstored
from compiler_nb.text import count_of, cut, cut_both, describe_outcome, quote, shorten_value
from compiler_nb.values.digest import Digests

ContentKind = Literal["same", "changed", "unknown", "added", "dropped"]
LENGTH, LONG = 80, 20_000
"""Characters of a value that are shown, and of a text that are looked at for where it differs."""
PLACES: Final = 4
"""Differences within a value that are named; the others are counted."""
WIDE: Final = 1_000
"""Most items of a container that are compared one by one."""
DEEP: Final = 3
NO: Final = object()
"""Stands for a value that is not there."""
_SCALARS: Final = frozenset({type(None), bool, int, float, str, bytes})


class ContentDiff(NamedTuple):
    """One value beside another.

    kind: "same", "changed", "unknown" (`note` says why they cannot be compared), "added" or "dropped" (there is only
    one); before, after: both as short texts, "" if there is none; places: where within a container they differ, in
    words; note: "" unless unknown.
    """

    kind: ContentKind
    before: str = ""
    after: str = ""
    places: tuple[str, ...] = ()
    note: str = ""

    @property
    def words(self) -> str:
        """What differs, as one line; "" if nothing does."""
        if self.kind == "same":
            return ""
        if self.kind == "unknown":
            return f"cannot be compared: {self.note}"
        if self.places:
            return "; ".join(self.places)
        return " → ".join(part for part in (self.before or "(none)", self.after or "(none)"))


class Comparer:
    """Compares values, within bounds for all of them together."""

    def __init__(self) -> None:
        self.digests = Digests()

    def compare(self, before: Any, after: Any) -> ContentDiff:
        """Return how two outcomes differ; each may be NO."""
        shown = "" if before is NO else _shown(before), "" if after is NO else _shown(after)
        if before is NO and after is NO:
            return ContentDiff("same")
        if before is NO or after is NO:
            return ContentDiff("added" if before is NO else "dropped", *shown)
        lost = [is_a(each, NOT_DONE) for each in (before, after)]
        if any(lost):
            same = all(lost) and type(before) is type(after) and shown == shown[:1] * 2
            return ContentDiff("same" if same else "changed", *shown)
        if type(before) is type(after) is str and before != after:
            return ContentDiff("changed", *_both(before, after, LENGTH))
        same_content, why = self.same(before, after)
        if same_content is None:
            return ContentDiff("unknown", *shown, note=why)
        return (
            ContentDiff("same", *shown) if same_content else ContentDiff("changed", *shown, self._named(before, after))
        )

    def same(self, before: Any, after: Any) -> tuple[bool | None, str]:
        """Return whether two values have the same content, and why that cannot be said if it is None."""
        if before is after:
            return True, ""
        if type(before) in _SCALARS and type(after) in _SCALARS:
            kinds = {bool, int, float}
            alike = type(before) is type(after) or {type(before), type(after)} <= kinds
            return alike and (before == after or (before != before and after != after)), ""  # noqa: PLR0124 - NaN
        pictures = type(before) is StoredFigure and type(after) is StoredFigure
        missing = [] if pictures else [each for each in map(unstored, (before, after)) if each is not None]
        if missing:
            return None, f"a {missing[0].type} was not stored ({missing[0].reason})"
        one, other = self.digests.of(before), self.digests.of(after)
        if one.text == other.text:
            return True, ""
        if one.loose and other.loose:
            return None, one.loose
        return False, ""

    def _named(self, before: Any, after: Any) -> tuple[str, ...]:
        """Return where containers or tables differ; () for other values."""
        try:
            found = list(islice(self._places(before, after, "", 0), PLACES + 1))
        except Exception:  # noqa: BLE001 - it changes at this very moment, or is broken in another way
            return ()
        return (*found[:PLACES], "…") if len(found) > PLACES else tuple(found)

    def _places(self, before: Any, after: Any, path: str, depth: int) -> Iterator[str]:
        kinds = (type(before), type(after))
        if depth < DEEP and kinds == (dict, dict) and _has_plain_keys(before) and _has_plain_keys(after):
            yield from self._in_mappings(before, after, path, depth)
        elif depth < DEEP and kinds[0] is kinds[1] and kinds[0] in (list, tuple) and len(before) == len(after) <= WIDE:
            for number, pair in enumerate(zip(before, after, strict=True)):
                if self.same(*pair)[0] is False:
                    yield from self._places(*pair, f"{path}[{number}]", depth + 1)
        elif table := _table_places(before, after, self):
            yield from (f"{path}: {each}" if path else each for each in table)
        elif path:
            yield f"{path}: {' → '.join(_both(before, after, 40))}"
        elif kinds[0] is kinds[1] and kinds[0] in (list, tuple, dict):
            yield f"{count_of(len(before), 'item')} → {count_of(len(after), 'item')}"

    def _in_mappings(self, before: Mapping[Any, Any], after: Mapping[Any, Any], path: str, depth: int) -> Iterator[str]:
        for key in before:
            where = f"{path}[{shorten_value(key, 30)}]"
            if key not in after:
                yield f"{where}: {_shown(before[key], 40)} → (none)"
            elif self.same(before[key], after[key])[0] is False:
                yield from self._places(before[key], after[key], where, depth + 1)
        for key in after:
            if key not in before:
                yield f"{path}[{shorten_value(key, 30)}]: (none) → {_shown(after[key], 40)}"


def _both(before: Any, after: Any, limit: int) -> tuple[str, str]:
    """Return two values as short texts, in which the places at which they differ are seen."""
    if type(before) is type(after) is str:
        return cut_both(quote(before, LONG), quote(after, LONG), limit)
    return _shown(before, limit), _shown(after, limit)


def _has_plain_keys(value: Mapping[Any, Any]) -> bool:
    """Whether a dict is small, and looking up its keys runs no code of theirs."""
    return len(value) <= WIDE and all(type(key) in _SCALARS for key in value)


def _shown(value: Any, limit: int = LENGTH) -> str:
    text = describe_outcome(value, limit)
    return cut(f"{value.kind}: {text}" if type(value) is Failure and not text.startswith(value.kind) else text, limit)


def _table_places(before: Any, after: Any, comparer: Comparer) -> list[str]:
    """Return how two tables differ: in size, or else in which columns."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not (type(before) is type(after) is pandas.DataFrame):
        return []
    sizes = [f"{count_of(frame.shape[0], 'row')}, {count_of(frame.shape[1], 'column')}" for frame in (before, after)]
    if sizes[0] != sizes[1]:
        return [" → ".join(sizes)]
    names = [list(frame.columns) for frame in (before, after)]
    if comparer.same(*names)[0] is not True:
        return ["other names of columns"]
    columns = [
        shorten_value(name, 30)
        for number, name in enumerate(names[0][:WIDE])
        if comparer.same(before.iloc[:, number], after.iloc[:, number])[0] is False
    ]
    return [f"column {name} differs" for name in columns]
