"""Shapes of values: types and keys, never contents. That is all that a planner may know of a value.

A key is shown if it looks like the name of a field and stood in every dict that was seen at its place. Keys that look
like data, because there are many or because they differ, are counted: `dict of 40 str to float`.

A shape is a tuple of the kinds of values that were seen at one place. Shapes are merged as results come, so what is
kept of a thousand results is as large as what is kept of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final, TypeAlias

from compiler_nb.outcome import NOT_DONE, NotStored, StoredFigure
from compiler_nb.prompts.missing import UNNOTED, Notes, NoteTable, named_columns
from compiler_nb.signature.types import describe_type
from compiler_nb.text import ALIKE, MOST, count_of, cut, is_field, type_name

LEVELS: Final = 2
"""Levels of keys that are shown."""
_NESTED: Final = 8
"""Containers within each other that are looked into."""
_PARTS: Final = 200
"""Parts of a long container that are looked at."""
_SEQUENCES: Final = frozenset({list, tuple, set, frozenset})
_PLAIN: Final = {kind: (kind.__name__,) for kind in (str, int, float, bool, type(None))}
"""The shapes of nearly all values."""
_LENGTH: Final = 1_000
"""Most characters of a shape in words."""
_NOTED: Final = 2_000
"""Most characters of one value's shape, with what is said of its columns beside their types."""
_NONE: Final = "NoneType"


@dataclass(frozen=True, slots=True)
class Many:
    """A list, tuple, set or array; size: its length or sizes, None if that differs; inside: the shape of its parts.

    notes: what is said of an array's values beside their type; it is lost when shapes are merged.
    """

    kind: str
    size: Any
    inside: Shapes
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A dict; fields: shapes by key, of the keys that look like fields; inside: the shape of all its values.

    size: how many keys, None if that differs; largest: the most keys; keys: the types of its keys.
    """

    kind: str
    size: int | None
    largest: int
    keys: tuple[str, ...]
    fields: tuple[tuple[str, Shapes], ...]
    inside: Shapes


@dataclass(frozen=True, slots=True)
class Table:
    """A table; size: how many rows, None if that differs; columns: labels that are text, with types; more: others.

    notes: what is said of each of these columns beside its type, none if nothing is; uncounted: how many were too large
    to be looked at. Both are lost when shapes are merged.
    """

    kind: str
    size: int | None
    columns: tuple[tuple[str, str], ...]
    more: int
    notes: tuple[str, ...] = ()
    uncounted: int = 0


Part: TypeAlias = str | Many | Keyed | Table
Shapes: TypeAlias = tuple[Part, ...]


# -------------------------------------------------------------------- from values


class Looks:
    """How many more values are looked at; after that nothing is known of what containers hold but outermost keys.

    notes: what is said of tables' columns beside their types.
    """

    def __init__(self, left: int = 20_000, notes: NoteTable | None = None) -> None:
        self.left, self.notes = left, notes or {}


def shape_of(value: Any, looks: Looks | None = None, nested: int = 0) -> Shapes:
    """Return the shape of a value; only built-in containers and tables are looked into, and long ones in part."""
    looks, kind = looks or Looks(), type(value)
    looks.left -= 1
    # The outermost container is always looked into: its keys are worth most, and they are few.
    if kind in _PLAIN or (nested and looks.left < 0):
        return _PLAIN.get(kind, ())
    if kind is dict and nested < _NESTED:
        return (_keyed(value, looks, nested + 1),)
    if kind in _SEQUENCES and nested < _NESTED:
        # Parts from all over a long list, since its first rows are often alike.
        some = value[:: len(value) // _PARTS + 1] if kind is list or kind is tuple else islice(value, _PARTS)
        return (Many(kind.__name__, len(value), merge(shape_of(part, looks, nested + 1) for part in some)),)
    # Libraries are recognised by the attributes of their classes: nothing is imported, and no object is asked.
    if all(hasattr(kind, name) for name in ("columns", "dtypes", "iloc")):
        return (_table(value, looks.notes.get(id(value), UNNOTED)),)
    if hasattr(kind, "shape") and hasattr(kind, "dtype"):
        notes = looks.notes.get(id(value), UNNOTED)
        told = notes.of(0) or " with missing values not counted" * bool(notes.uncounted)
        return (Many(type_name(value), tuple(value.shape), (str(value.dtype),), told),)
    return (_object(value, kind),)


def _object(value: Any, kind: type) -> str:
    """Return what is said of an object; what stands for one that was not stored has that one's type."""
    if issubclass(kind, (NotStored, StoredFigure)):
        return value.type  # type: ignore[no-any-return]  # a text
    return type_name(value) if issubclass(kind, NOT_DONE) else describe_type(kind, LEVELS, only=is_field)


def _keyed(value: dict[Any, Any], looks: Looks, nested: int) -> Keyed:
    shapes = [(key, shape_of(item, looks, nested)) for key, item in islice(value.items(), _PARTS)]
    fields = tuple((key, shape) for key, shape in shapes if is_field(key)) if len(value) <= MOST else ()
    keys = tuple(dict.fromkeys(type_name(key) for key, _ in shapes))
    return Keyed("dict", len(value), len(value), keys, fields, merge(shape for _, shape in shapes))


def _table(table: Any, notes: Notes) -> Table:
    labels, dtypes, places = list(table.columns), list(table.dtypes), named_columns(table)
    named = tuple((str(labels[place]), str(dtypes[place])) for place in places)
    told = tuple(map(notes.of, places)) if notes.columns else ()
    return Table(type_name(table), len(table), named, len(labels) - len(named), told, notes.uncounted)


def merge(shapes: Iterable[Shapes]) -> Shapes:
    """Return what shapes have in common: one part for each kind of value."""
    groups: dict[Any, dict[Part, None]] = {}
    for part in chain.from_iterable(shapes):
        groups.setdefault(part if isinstance(part, str) else (type(part), part.kind), {})[part] = None
    return tuple(next(iter(group)) if len(group) == 1 else _joined(list(group)) for group in groups.values())


def _joined(parts: list[Any]) -> Part:
    """Return one part for several of a kind."""
    # Only what all of them have is kept: a key that was once missing is not promised to a planner.
    first = parts[0]
    size = first.size if len({part.size for part in parts}) == 1 else None
    if type(first) is Many:
        return Many(first.kind, size, merge(part.inside for part in parts))
    pairs = [dict(part.columns if type(first) is Table else part.fields) for part in parts]
    shared = [name for name in pairs[0] if all(name in each for each in pairs)]
    if type(first) is Table:
        more = max(part.more + len(part.columns) for part in parts) - len(shared)
        return Table(first.kind, size, tuple((name, pairs[0][name]) for name in shared), more)
    keys = tuple(dict.fromkeys(key for part in parts for key in part.keys))
    fields = tuple((name, merge(each[name] for each in pairs)) for name in shared)
    return Keyed(
        first.kind, size, max(part.largest for part in parts), keys, fields, merge(part.inside for part in parts)
    )


def _fields(part: Keyed) -> tuple[tuple[str, Shapes], ...]:
    """Return the fields of a dict, none if its keys look like data: most of them differ, or many hold the same type."""
    # A dict from names to prices has keys that look like fields, too. It is told by its values: all numbers, or all of
    # one type; a record's differ.
    fields = part.fields
    types = {("number" if each in ("int", "float") else getattr(each, "kind", each))
             for _, shape in fields for each in shape if each != _NONE}  # fmt: skip
    is_data = 2 * len(fields) < part.largest or (part.largest > ALIKE and len(types) <= 1)
    return () if is_data else fields


# -------------------------------------------------------------------- in words


def spell_seen(shape: Shapes) -> str:
    """Return what a tool returned so far: `{order_id: str, lines: [{sku, qty}]}`; of the innermost keys the names."""
    return cut(_spell(shape, LEVELS, _spell_seen).replace(_NONE, "None"), _LENGTH)


def spell_sized(shape: Shapes) -> str:
    """Return what one value is, with sizes: `dict (order_id: str, lines: list of 2 dict (sku: str, qty: int))`."""
    return cut(_spell(shape, LEVELS, _spell_sized), _NOTED)


def _spell(shape: Shapes, levels: int, spell: Callable[[Any, int], str]) -> str:
    """Return the kinds of a place in words; that there may be none comes last."""
    parts = sorted(shape, key=lambda part: part == _NONE)
    return " or ".join(part if isinstance(part, str) else spell(part, levels) for part in parts)


def _spell_seen(part: Any, levels: int) -> str:
    inner = _spell(getattr(part, "inside", ()), levels, _spell_seen)
    match part:
        case Table():
            named = [f"{name}: {dtype}" for name, dtype in part.columns if name.isidentifier()]
            rest = len(part.columns) + part.more - len(named)
            return f"{part.kind} ({', '.join([*named, *([f'… {rest} more'] if rest else [])])})"
        case Many(kind="list") if inner:
            return f"[{inner}]"
        case Many():
            return f"{part.kind} of {inner}" if inner else part.kind
        case Keyed() if levels and (fields := _fields(part)):
            shown = [
                name if levels == 1 else f"{name}: {_spell(value, levels - 1, _spell_seen)}" for name, value in fields
            ]
            return f"{{{', '.join(shown)}{', …' if len(fields) < part.largest else ''}}}"
    if not levels or not inner:
        return str(part.kind)
    size = f" of {part.size:,}" if part.size is not None else " of"
    return f"dict{size} {' or '.join(part.keys)} to {_spell(part.inside, levels - 1, _spell_seen)}"


def _spell_sized(part: Any, levels: int) -> str:
    size = " of" if part.size is None else f" of {part.size:,}" if type(part.size) is int else f" of shape {part.size},"
    match part:
        case Table():
            notes = part.notes or ("",) * len(part.columns)
            columns = [f"{name}: {dtype}{note}" for (name, dtype), note in zip(part.columns, notes, strict=True)]
            more = [f"… {part.more:,} more"] if part.more else []
            more += [f"missing values of {count_of(part.uncounted, 'column')} not counted"] if part.uncounted else []
            return f"{part.kind}{size} rows ({', '.join([*columns, *more])})"
        case Many():
            inner = _spell(part.inside, levels, _spell_sized)
            whole = f"{part.kind}{size} {inner}" if inner else f"{part.kind}{size if part.size is not None else ''}"
            return f"{whole}{part.notes}"
        case Keyed() if levels and (fields := _fields(part)):
            named = [(name, _spell(value, levels - 1, _spell_sized)) for name, value in fields]
            shown = [f"{name}: {value}" if value else name for name, value in named]
            return f"dict ({', '.join(shown)}{', …' if len(fields) < part.largest else ''})"
    inner = _spell(part.inside, levels - 1, _spell_sized) if levels else ""
    plain = f"dict{size if part.size is not None else ''}"
    return f"dict{size} {' or '.join(part.keys)} to {inner}" if inner else plain
