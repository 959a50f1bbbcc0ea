"""How much text the result of an idiom would hold, before it is made.

Texts get longer if each match is replaced, if numbers are written, if a text is put into many cells, and if a text
that exists once, such as a category or the name of a column, is copied for each row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.patterns import is_pattern, least_width, may_look_far
from compiler_nb.operations.sizes import (
    bytes_of,
    characters_of,
    check_cells,
    check_text,
    is_loose,
    longest_of,
    longest_text,
    packed,
    written,
)
from compiler_nb.operations.tables import kind_of
from compiler_nb.text import type_name

_LONG: Final = 2_000
"""Characters of the longest text in which a pattern may look far."""
_TEXT_TYPES: Final = frozenset({"str", "string"})
_LONGEST_DAY: Final = datetime(2024, 9, 25, 23, 59, 59, 999_999)  # noqa: DTZ001 - it is written only


def check_texts(name: str, table: Any, given: dict[str, Any]) -> None:
    """Raise an ExpressionError if the result of an idiom would hold too much text; table: None for a function."""
    if name not in _TEXTS:
        return
    if "pat" in given:
        _check_far(name, table, given)
    there = sum(bytes_of(each) for each in (table, *given.values()) if kind_of(each) in ("DataFrame", "Series"))
    check_text(_TEXTS[name](table, given), there)


def _check_far(name: str, column: Any, given: dict[str, Any]) -> None:
    if is_pattern(name, given) and may_look_far(given["pat"]) and characters_of(column) > _LONG:
        longest = longest_of(column)
        if longest > _LONG:
            far = f"a pattern with * or + is looked for in texts of up to {_LONG:,} characters"
            raise ExpressionError(f"{far}, and one has {longest:,}: add regex=False, or use a tool")


def _is_category(column: Any) -> bool:
    return type_name(column.dtype) == "CategoricalDtype"


def _replaced(column: Any, given: dict[str, Any]) -> Iterator[int]:
    """Yield how many characters there are at most if each match becomes a text, which may repeat what was found."""
    there, pattern, repl = characters_of(column), given["pat"], str(given.get("repl", ""))
    as_pattern = is_pattern("replace", given)
    width = least_width(pattern) if as_pattern else len(pattern)
    kept = there * (1 + (repl.count("\\") if as_pattern else 0))
    yield kept + len(repl) * (there // width if width else there + len(column))
    if not _is_category(column) and given.get("case") is None:
        yield kept + len(repl) * int(column.str.count(pattern if as_pattern else re.escape(pattern)).sum())


def _split(column: Any, given: dict[str, Any]) -> Iterator[int]:
    pattern, rows = given.get("pat"), len(column)
    column = column.dtype.categories if _is_category(column) else column
    check_cells(_pieces(column, pattern, is_pattern("split", given), given.get("n", -1), rows), rows)
    yield 0  # the pieces together are no longer than the texts


def _pieces(column: Any, pattern: Any, as_pattern: bool, limit: Any, rows: int) -> Iterator[int]:  # noqa: FBT001
    if type(limit) is int and limit > 0:
        yield rows * (limit + 1)
    yield characters_of(column) + rows
    pattern = r"\s+" if pattern is None else pattern if as_pattern else re.escape(pattern)
    yield int(column.str.count(pattern).sum()) + rows


def _as_text(table: Any, given: dict[str, Any]) -> Iterator[int]:
    """Yield how many characters the cells that become texts take."""
    kinds = given.get("dtype")
    if kind_of(table) == "DataFrame":
        names = enumerate(table.columns)
        meant = [at for at, name in names if (kinds.get(name) if type(kinds) is dict else kinds) in _TEXT_TYPES]
        yield sum(written(table.iloc[:, at]) for at in meant)
    else:
        yield written(table) if type(kinds) is str and kinds in _TEXT_TYPES else 0


def _copied(column: Any, given: dict[str, Any]) -> Iterator[int]:
    """Yield how many characters there are if the texts of categories are written for each row."""
    yield characters_of(column) if _is_category(column) else 0


def _filled(table: Any, given: dict[str, Any]) -> Iterator[int]:
    value: Any = given.get("value")
    there = bytes_of(table)
    if kind_of(value) == kind_of(table) == "Series" and table.index.equals(value.index):
        yield there + (characters_of(value) if is_loose(value.dtype) else 0)
        return
    longest = longest_text(value)
    yield there + longest * int(table.size)
    if longest:
        yield there + longest * int(table.isna().to_numpy().sum())


def _shifted(table: Any, given: dict[str, Any]) -> Iterator[int]:
    longest = longest_text(given.get("fill_value"))
    yield bytes_of(table) + longest * int(table.size)
    periods = given.get("periods", 1)
    if type(periods) is int:
        yield bytes_of(table) + longest * min(abs(periods), len(table)) * (int(table.size) // max(len(table), 1))


def _assigned(table: Any, given: dict[str, Any]) -> Iterator[int]:
    yield sum(_put(value, table) for value in given.values())


def _put(value: Any, table: Any) -> int:
    kind = kind_of(value)
    if type(value) in (list, tuple):
        return sum(len(each) for each in value if type(each) is str)
    if kind == "Series" and not (table.index.is_unique or table.index.equals(value.index)):
        return longest_text(value) * len(table)
    return longest_text(value) * len(table) if not kind else 0


def _repeated(table: Any, given: dict[str, Any]) -> Iterator[int]:
    """Yield how many characters there are if the longest text of a group is written for each of its rows."""
    yield sum(map(longest_of, packed(table))) * len(table)


def _melted(table: Any, given: dict[str, Any]) -> Iterator[int]:
    labels = max((len(name) for name in table.columns if type(name) is str), default=0)
    yield (bytes_of(table) + labels * len(table)) * len(table.columns)


def _put_together(_: Any, given: dict[str, Any]) -> Iterator[int]:
    parts = parts_of(given.get("objs"))
    keys: Any = given["objs"] if type(given["objs"]) is dict else given.get("keys")
    names = list(keys) if type(keys) in (list, tuple, dict) else []
    longest = max((len(name) for name in names if type(name) is str), default=0)
    yield sum(map(bytes_of, parts)) + longest * sum(map(len, parts))


def parts_of(value: Any) -> list[Any]:
    """Return the tables that are put together; raises ExpressionError if there is something else, or nothing."""
    found: Iterable[Any] = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
    parts = list(found)
    if not parts or any(kind_of(part) not in ("Series", "DataFrame") for part in parts):
        raise ExpressionError("pd.concat() takes a list of tables, or of columns")
    return parts


def _dated(column: Any, given: dict[str, Any]) -> Iterator[int]:
    form = str(given.get("date_format", ""))
    yield len(column) * (len(_LONGEST_DAY.strftime(form)) + 2 * form.count("%"))


_TEXTS: Final[dict[str, Callable[[Any, dict[str, Any]], Iterable[int]]]] = {
    "replace": _replaced,
    "contains": lambda column, given: [0],
    "split": _split,
    "astype": _as_text,
    "fillna": _filled,
    "shift": _shifted,
    "assign": _assigned,
    "melt": _melted,
    "pd.concat": _put_together,
    "strftime": _dated,
    "transform": _repeated,
    **dict.fromkeys(("lower", "upper", "title", "strip", "get"), _copied),
}
"""How many characters an idiom makes at most, given the table and its arguments; the cheapest bound first."""
