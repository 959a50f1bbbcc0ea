"""How many rows there would be, and how much text, if the rows of two tables were matched: by their labels or by keys.

A label that occurs several times on both sides is matched with each of its equals. Counting that takes as long as
matching them, so cheaper bounds go first: if no key occurs twice on one side, each row of the other has one match at
most; otherwise as many as the most frequent key has rows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

from compiler_nb.operations.sizes import bytes_of, check_cells, check_text, longest_of, packed
from compiler_nb.operations.tables import kind_of
from compiler_nb.text import type_name

_EXACT: Final = 2**53
"""Whole numbers up to this, positive or negative, are exact as floats."""
_SPARSE: Final = 4
"""Whole numbers are counted by position if there are at most this many positions for each."""


def joined(one: Any, other: Any) -> int:
    """Return how many labels there are if each of one index is matched with each equal one of the other."""
    if one is other or one.equals(other):
        return len(one)
    if one.is_unique or other.is_unique:
        return len(one) + len(other)
    # As numbers with a point: the products of counts may be larger than the library's whole numbers.
    counts = one.value_counts(dropna=False).astype(float), other.value_counts(dropna=False).astype(float)
    common = counts[0].index.intersection(counts[1].index)
    return len(one) + len(other) + int((counts[0].loc[common] * counts[1].loc[common]).sum())


def check_merge(table: Any, given: dict[str, Any]) -> None:
    """Raise an ExpressionError if a merge would have too many cells, or too much text."""
    left, right = given.get("left", table), given["right"]
    right = right.to_frame() if kind_of(right) == "Series" else right
    if kind_of(left) != "DataFrame" or kind_of(right) != "DataFrame":
        return  # pandas refuses it
    is_cross = given.get("how") == "cross"
    keys = None if is_cross else _keys_of_both(left, right, given)
    if keys is None and not is_cross:
        return  # a key that is not there: pandas says so
    match = _Match(left, right, keys, given)
    columns = len(left.columns) + len(right.columns)
    cells = check_cells((rows * columns for rows in match.rows()), left.size + right.size)
    check_text(match.characters(cells // max(columns, 1)), bytes_of(left) + bytes_of(right))


class _Match:
    """Two tables whose rows are matched; keys: the columns by which, in the same order; None matches all with all."""

    def __init__(self, left: Any, right: Any, keys: tuple[Any, Any] | None, given: dict[str, Any]) -> None:
        self.keys, how = keys, given.get("how", "inner")
        sides = []
        for name, side, key in zip(("left", "right"), (left, right), keys or (None, None), strict=True):
            texts = [*packed(side), *(packed(side.index) if given.get(f"{name}_index") else ())]
            sides.append((len(side), how in (name, "outer"), key, texts))
        # Of two as long, the right one goes first: it is mostly what is looked up, and has each key once.
        many, few = sorted(sides, key=lambda side: side[0], reverse=True)
        self.few, self.few_kept, self.few_keys, self.few_texts = few
        self.many, self.many_kept, self.many_keys, self.many_texts = many

    @cached_property
    def is_comparable(self) -> bool:
        """Whether keys are equal in both tables exactly if they are equal in one."""
        if self.keys is None:
            return False
        pairs = zip(*([key.iloc[:, at] for at in range(key.shape[1])] for key in self.keys), strict=True)
        return all(_are_comparable(*pair) for pair in pairs)

    @cached_property
    def most_few(self) -> int:
        """How many rows of the smaller table have the same key at most."""
        return _most_alike(self.few_keys)

    @cached_property
    def most_many(self) -> int:
        """How many rows of the larger table have the same key at most."""
        return _most_alike(self.many_keys)

    def rows(self) -> Iterator[int]:
        """Yield how many rows there are at most, the cheapest bound first; the last is exact."""
        if self.keys is None:
            yield self.few * self.many
            return
        yield (self.few + 1) * (self.many + 1)
        if self.is_comparable:  # a row that is kept without a match is one row
            yield self.many * max(self.most_few, 1) + self.few * self.few_kept
            yield self.few * max(self.most_many, 1) + self.many * self.many_kept
        yield _rows(self.few_keys, self.many_keys, few_kept=self.few_kept, many_kept=self.many_kept)

    def characters(self, rows: int) -> Iterator[int]:
        """Yield how many characters are copied at most into so many rows, the cheapest bound first."""
        few, many = (sum(int(text.nbytes) for text in texts) for texts in (self.few_texts, self.many_texts))
        yield few * (self.many + 1) + many * (self.few + 1)
        if self.is_comparable:
            once = many * max(self.most_few, 1)
            yield once + sum(map(longest_of, self.few_texts)) * rows
            yield once + few * max(self.most_many, 1)
        yield sum(map(longest_of, self.few_texts + self.many_texts)) * rows


def _keys_of_both(left: Any, right: Any, given: dict[str, Any]) -> tuple[Any, Any] | None:
    keys = _keys(left, given, "left"), _keys(right, given, "right")
    if keys[0] is not None and keys[1] is not None and keys[0].shape[1] == keys[1].shape[1]:
        return keys
    common = [name for name in left.columns if name in right.columns]
    named = any(word in given for word in ("on", "left_on", "right_on", "left_index", "right_index"))
    return None if named or not common else (left[common], right[common])


def _keys(side: Any, given: dict[str, Any], name: str) -> Any:
    """Return the columns by which a side of a merge is matched, None if they are not there."""
    if given.get(f"{name}_index"):
        return side.index.to_frame(index=False)
    names: Any = given.get("on", given.get(f"{name}_on"))
    names = list(names) if type(names) in (list, tuple) else [] if names is None else [names]
    known = [*side.columns, *side.index.names]
    if not names or any(type(each) not in (str, int) or each not in known for each in names):
        return None
    return side.reset_index()[names] if any(each not in side.columns for each in names) else side[names]


def _are_comparable(one: Any, other: Any) -> bool:
    if one.dtype == other.dtype:
        return True
    return _is_exact(one) and _is_exact(other)  # they become fractions, of which large ones are equal by rounding


def _is_exact(column: Any) -> bool:
    if not _is_plain(column.dtype, "iuf"):
        return False
    return column.dtype.kind == "f" or not len(column) or max(abs(int(column.min())), abs(int(column.max()))) < _EXACT


def _is_plain(dtype: Any, kinds: str) -> bool:
    """Whether a type is NumPy's own, of one of these kinds."""
    return isinstance(dtype, sys.modules["numpy"].dtype) and dtype.kind in kinds


def _most_alike(keys: Any) -> int:
    """Return how many rows have the same keys at most: no more than have the same value in any one of the columns."""
    least = len(keys)
    for at in range(keys.shape[1]):
        least = min(least, _most_frequent(keys.iloc[:, at])) if least > 1 else least
    return least


def _most_frequent(column: Any) -> int:
    numpy = sys.modules["numpy"]
    if type_name(column.dtype) == "CategoricalDtype":
        return int(numpy.bincount(column.cat.codes.to_numpy().astype("int64") + 1).max(initial=0))
    if _is_plain(column.dtype, "iu") and len(column) and _is_exact(column):
        low, high = int(column.min()), int(column.max())
        if high - low <= _SPARSE * len(column):
            return int(numpy.bincount(column.to_numpy().astype("int64", copy=False) - low).max())
    most = int(column.value_counts(dropna=False, sort=False).max()) if len(column) else 0
    # What is missing among objects may be None, nan and NaT, which match each other.
    return max(most, int(column.isna().sum())) if str(column.dtype) == "object" else most


def _rows(few: Any, many: Any, *, few_kept: bool, many_kept: bool) -> int:
    """Return how many rows there are if each is matched with each equal one of the other table."""
    pandas, numpy = sys.modules["pandas"], sys.modules["numpy"]
    names = [str(number) for number in range(few.shape[1])]
    both = pandas.concat([side.set_axis(names, axis=1) for side in (few, many)], ignore_index=True)
    codes = both.groupby(names, dropna=False, sort=False, observed=True).ngroup().to_numpy()
    parts = (codes[: len(few)], codes[len(few) :])
    one, other = (numpy.bincount(part, minlength=len(codes) + 1).astype(float) for part in parts)
    alone = one[other == 0].sum() * few_kept + other[one == 0].sum() * many_kept
    return int((one * other).sum() + alone)
