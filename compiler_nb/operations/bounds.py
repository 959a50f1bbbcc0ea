"""What expressions may cost, the account that is kept while one is evaluated, and what values weigh.

Theory of operation
    Work is counted in steps of about a microsecond: a part of an expression, 25 items that are copied or searched, and
    so on. What may take long in one go is weighed by size and paid *before* it begins. Every LOOK steps a scope looks
    up: it calls `look`, by which an engine sees the clock and whether somebody wants the evaluation to stop. A scope
    that is `inline`, on the loop, raises Heavy after INLINE steps: the expression is pure, so it can be evaluated
    afresh on a thread. There, too, other threads must get their turn: what takes long in C is done in batches.

No attribute of a value is read here or in the files that use this, except of tables and of a few exact types of the
standard library. A value is judged by its type alone, and a text or a sequence is as long as its built-in type says,
whatever a subclass claims.
"""

from __future__ import annotations

import operator
import sys
from collections import Counter, UserList, UserString, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, Final

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.tables import base_of, groups_of, items, kind_of, view_of
from compiler_nb.text import type_name

INLINE: Final = 5_000
"""Steps after which an expression is too heavy for the loop: about 5 ms."""
LOOK: Final = 50
"""Steps between two looks at the clock."""
ITEMS: Final = 1_000_000
TEXT: Final = 5_000_000
MEMBERS: Final = 500_000
"""Members of a set, keys of a dict, or pairs, that are made."""
WRITTEN: Final = 50_000
"""Items of containers that are written as one text: up to 30 ms."""
COMPARED: Final = 3_000_000
"""What is compared in one go, counted in flat items of a list: up to 40 ms."""
ALIKE: Final = 200
"""Members of a set, or keys of a dict, that may have the same hash: each is compared with all others."""
DIGITS: Final = 4_300
BITS: Final = int(DIGITS * 3.33)
CELLS: Final = 500_000
"""Cells of a table that an expression may read where there are no threads: up to 50 ms."""
_NO_THREADS: Final = "the most where there are no threads: use a tool"
BATCH: Final = 25
"""Items of a container that are copied, compared or searched in a step."""
CHARACTERS: Final = 1_000
"""Characters that are copied or searched in a step."""
_LINE: Final = 4
"""Items that are written as text in a step."""
OBJECTS: Final = 20
"""Objects that are made in a step."""
RUN: Final = 20_000
"""Items that are made or sorted in one go: up to 5 ms."""
OBJECT: Final = 60
"""Bytes of a pair, and of a short text."""
LEVELS: Final = 1_000
"""How deep a value may nest that is compared or hashed: Python's own hash of a tuple overflows the stack."""
_VISIT: Final = 20
"""Items that looking into one more container counts for."""
_NESTED, _MEMBER = 15, 10
"""How many flat items comparing one more container takes, and one member of a set or dict."""
_DEEP: Final = 3
"""How deep a tuple is looked into that may equal another."""
_SHORT: Final = 60
_UNIQUE: Final = sys.hash_info.modulus
"""Whole numbers below this, either way, have hashes of their own, but for -1 and -2."""
TEXTS: Final = (str, bytes, bytearray, UserString)
OWN: Final = (UserString, UserList)
"""Sequences whose memory is not measured, for their contents are elsewhere."""
_SEQUENCES: Final = (*TEXTS, list, tuple, deque, UserList)
NESTS: Final = frozenset({list, tuple, dict, set, frozenset})
_WEIGHED: Final = NESTS | {str, bytes, bytearray, deque}
_HASHED: Final = frozenset({dict, set, frozenset})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the expressions of plans may cost.

    items: of a fan-out; steps, bytes, seconds: of one expression (a step is about a microsecond, bytes are those of the
    lists, texts and so on that it makes); run_steps, run_bytes, run_seconds: of all expressions of a run together.
    Raises ValueError if one is not a number above 0.
    """

    items: int = 10_000
    steps: int = 1_000_000
    bytes: int = 100_000_000
    seconds: float = 10.0
    run_steps: int = 20_000_000
    run_bytes: int = 200_000_000
    run_seconds: float = 60.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) not in (int, float) or not value > 0:
                raise ValueError(f"Bounds.{field.name} must be a number above 0, not {value!r}")

    def on_loop(self) -> Bounds:
        """Return what holds where there are no threads: nothing may take long, for all else waits meanwhile."""
        most = {"steps": min(self.steps, 10 * INLINE), "bytes": min(self.bytes, 10_000_000)}
        return _OnLoop(**{field.name: getattr(self, field.name) for field in fields(self)} | most)

    def error(self, name: str, subject: str, unit: str = "") -> ExpressionError:
        """Return the error of a bound that was reached, which names it, and says how to raise it."""
        most = getattr(self, name)
        raised = f'use a tool, or raise it: bounds={{"{name}": {2 * most:_}}}'
        return ExpressionError(f"{subject} more than {most:,} {unit or name} (Bounds.{name}): {raised}")

    def check_table(self, table: Any) -> None:
        """Raise an ExpressionError if a table is too large for what cannot be stopped."""


class _OnLoop(Bounds):
    """The bounds where there are no threads."""

    __slots__ = ()

    def error(self, name: str, subject: str, unit: str = "") -> ExpressionError:
        """Return the error of a bound that was reached; steps and bytes cannot be raised."""
        if name not in ("steps", "bytes"):
            return super().error(name, subject, unit)
        return ExpressionError(f"{subject} more than {getattr(self, name):,} {unit or name}, {_NO_THREADS}")

    def check_table(self, table: Any) -> None:
        """Raise an ExpressionError if a table is too large to compute with while all else waits."""
        if kind_of(table) and table.size > CELLS:
            raise ExpressionError(f"a table has {table.size:,} cells, more than {CELLS:,}, {_NO_THREADS}")


BOUNDS: Final = Bounds()


def read_bounds(given: Any) -> Bounds:
    """Return the bounds that a setting gives, Bounds or a dict of some of them; None means the defaults.

    Raises ValueError if it is something else, or one of them is wrong.
    """
    if given is None:
        return BOUNDS
    if isinstance(given, Bounds):
        return given
    if not isinstance(given, Mapping):
        must = 'bounds must be a dict such as {"items": 100_000}, or Bounds(items=100_000)'
        raise ValueError(f"{must}, not {given!r}")  # noqa: TRY004 - as all settings
    known = [field.name for field in fields(Bounds)]
    wrong = [name for name in given if name not in known]
    if wrong:
        raise ValueError(f"there is no bound {wrong[0]!r}; there are {', '.join(known)}")
    return Bounds(**given)


class Heavy(Exception):
    """An expression is too heavy for the loop: it is to be evaluated afresh on a thread. Never seen by users."""


class Account:
    """What the expressions of a run have left of its bounds; `is_used_up` is set by `charge` if one is passed."""

    __slots__ = ("bounds", "bytes", "is_used_up", "seconds", "steps")

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.bounds, self.is_used_up = bounds, False
        self.steps, self.bytes, self.seconds = bounds.run_steps, bounds.run_bytes, bounds.run_seconds

    def charge(self, steps: int, seconds: float) -> None:
        """Take off what an expression has cost."""
        self.steps -= steps
        self.seconds -= seconds
        self.is_used_up = self.steps < 0 or self.bytes < 0 or self.seconds < 0

    def check(self) -> None:
        """Raise an ExpressionError if the run has used up one of its bounds."""
        if self.steps < 0 or self.bytes < 0 or self.seconds < 0:
            name = "run_steps" if self.steps < 0 else "run_bytes" if self.bytes < 0 else "run_seconds"
            raise self.bounds.error(name, "the expressions of this run take", name[4:])


class Scope:
    """What names mean while an expression is evaluated, and what is left of its bounds.

    inline: whether it is evaluated on the loop, where anything heavy raises Heavy; account: what the run has left;
    look: called every LOOK steps, may raise to end the evaluation.
    """

    __slots__ = (
        "_whole", "account", "bounds", "bytes", "inline", "inputs", "locals", "look", "mark", "notes", "steps",
        "values",
    )  # fmt: skip

    def __init__(
        self,
        values: Mapping[str, Any],
        inputs: Mapping[str, Any] | None = None,
        names: Mapping[str, Any] | None = None,
        *,
        account: Account | None = None,
        inline: bool = False,
        look: Callable[[], None] | None = None,
    ) -> None:
        self.values, self.inputs = values, inputs or {}
        self.locals = dict(names or {})
        self.account = account or Account()
        self.bounds, self.inline, self.look = self.account.bounds, inline, look
        self.notes: list[str] = []  # what a reader of the result should know
        steps = self.bounds.steps
        self._whole = steps, self.bounds.bytes, max(steps - LOOK, 0)
        self.begin()

    def begin(self) -> None:
        """Begin another expression: all of its bounds are left again."""
        self.steps, self.bytes, self.mark = self._whole
        if self.notes:
            self.notes.clear()

    def within(self, values: Mapping[str, Any]) -> Scope:
        """Return a scope with other values and the same bounds, of which as much is left."""
        inner = Scope(values, self.inputs, account=self.account, inline=self.inline, look=self.look)
        inner.notes = self.notes
        inner.steps, inner.bytes, inner.mark = self.steps, self.bytes, self.mark
        return inner

    def spend(self, steps: int) -> None:
        """Count work; raise an ExpressionError if there was too much, Heavy if it is too much for the loop."""
        self.steps -= steps
        if self.steps <= self.mark:
            self._look_up()

    def _look_up(self) -> None:
        if self.steps < 0:
            raise self.bounds.error("steps", "the expression takes")
        if self.bounds.steps - self.steps > INLINE:
            self.heavy()
        if self.look is not None:
            self.look()
        self.mark = max(self.steps - LOOK, 0)

    def heavy(self, *tables: Any) -> None:
        """Note that something heavy follows, such as an operation on tables: it may not begin on the loop."""
        if self.inline:
            raise Heavy
        for table in tables:
            self.bounds.check_table(table)

    def hold(self, size: int) -> None:
        """Count bytes of memory; raise an ExpressionError if there were too many."""
        self.bytes -= size
        self.account.bytes -= size
        if self.bytes < 0:
            raise self.bounds.error("bytes", "the expression makes", "bytes")
        if self.account.bytes < 0:
            self.account.check()

    def made(self, value: Any) -> Any:
        """Return a value that was made, after counting its memory: that of its parts was counted when they were."""
        if type(value) in _WEIGHED:
            self.hold(sys.getsizeof(value))
        return value


def bound(size: int, limit: int, what: str) -> None:
    """Raise an ExpressionError if there is more of something than allowed."""
    if size > limit:
        digits = f" ({DIGITS:,} digits)" if what == "bits" else ""
        raise ExpressionError(f"that is more than {limit:,} {what}{digits}: use a tool")


# -------------------------------------------------------------------- what a value is


def is_a(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """Whether a value is of a type or of a subclass; unlike isinstance, this does not ask the value."""
    return issubclass(type(value), kinds)


def length(value: Any) -> int:
    """Return the true length of a text or a sequence, -1 for anything else."""
    return next((kind.__len__(value) for kind in _SEQUENCES if is_a(value, kind)), -1)


def standard(module: str, name: str) -> Any:
    """Return a type of the standard library; None if nobody has imported its module, so that no value is of it."""
    return getattr(sys.modules.get(module), name, None)


def size_of(value: Any) -> int:
    """Return how many bits a whole number, or a number of the standard library that is as exact as one, takes."""
    kind = type(value)
    if is_a(value, int):
        return int.bit_length(value)
    if kind is standard("decimal", "Decimal"):
        return 4 * abs(int(value.adjusted())) if value.is_finite() else 0
    if kind is standard("fractions", "Fraction"):
        return max(int.bit_length(value.numerator), int.bit_length(value.denominator))
    return 0


def whole(value: Any) -> int | None:
    """Return the whole number that Python takes a value for, as in an index; None if it is not a whole number."""
    try:
        return operator.index(value)
    except Exception:  # noqa: BLE001 - it has no index, as most values, or is a user's object that raises anything
        return None


def short(value: Any) -> str:
    """Return a value as a short text for a message; its own `__repr__` is not called."""
    kind = type(value)
    if kind is str:
        return repr(value) if len(value) <= _SHORT else f"{value[:_SHORT]!r}…"
    if value is None or kind in (bool, float) or (kind is int and value.bit_length() < BITS // 50):
        return repr(value)
    if kind in (list, tuple, dict, set):
        return f"{kind.__name__} of {len(value)}"
    return type_name(value)


# -------------------------------------------------------------------- what work costs


def weigh(value: Any) -> int:
    """Return how many steps it costs to copy or search a plain value."""
    kind = type(value)
    return len(value) // (CHARACTERS if kind in TEXTS else BATCH) if kind in _WEIGHED else 0


def spend_on_parts(value: Any, scope: Scope, most: int = COMPARED) -> None:
    """Spend what it costs to compare or hash a value: its parts at all depths, shared parts each time they occur.

    Raises ExpressionError if there are more than `most`, counted in flat items of a list.
    """
    level, count, depth, compared = [value] if type(value) in NESTS else [], 0, 0, 0
    scope.spend(weigh(value))
    while level:
        depth += 1
        if depth > LEVELS:
            raise ExpressionError(f"a value nests more than {LEVELS:,} deep: use a tool")
        below: list[Any] = []
        for part in level:
            compared += _NESTED + len(part) * (_MEMBER if type(part) in _HASHED else 1)
            if compared > most and type(part) in NESTS:
                raise ExpressionError("the values are too large to be compared in one go: use a tool")
            count += _VISIT + (len(part) * BATCH // CHARACTERS if type(part) in (str, bytes) else 2 * len(part))
            if count >= BATCH:
                scope.spend(count // BATCH)
                count %= BATCH
            if type(part) in NESTS:
                below += [each for each in part if _is_heavy(each)]
            if type(part) is dict:
                below += [each for each in part.values() if _is_heavy(each)]
            if type(part) in _HASHED:
                count += _VISIT  # its keys and its values are looked through
                spend_on_hashes(part, scope)
        level = below


def _is_heavy(value: Any) -> bool:
    kind = type(value)
    return kind in NESTS or (kind in (str, bytes) and len(value) >= CHARACTERS)


def spend_on_hashes(members: Collection[Any], scope: Scope) -> None:
    """Spend what it costs to compare members of a set, or keys of a dict, that have equal hashes.

    The hash of a text is random, that of a number or a tuple is not: anyone can write thousands that hash alike.
    Raises ExpressionError if too many do.
    """
    if len(members) <= ALIKE:
        return
    times: Counter[int] = Counter()
    rest = iter(members)
    while batch := list(islice(rest, RUN)):
        odd = [each for each in batch if type(each) is not str and (type(each) is not int or abs(each) >= _UNIQUE)]
        scope.spend(len(odd) // OBJECTS)
        times.update(map(hash, odd))
    often = {number for number, count in times.items() if count > ALIKE}
    different = _different(members, often) if often else {}
    if max(map(len, different.values()), default=0) > ALIKE:
        where = f"more than {ALIKE} members of a set, or keys of a dict, have the same hash"
        raise ExpressionError(f"{where}, and would all be compared: use a tool")
    compared = (count * (len(different[each]) if each in often else count - 1) for each, count in times.items())
    scope.spend(sum(compared) // BATCH)


def _different(members: Iterable[Any], often: set[int]) -> dict[int, set[Any]]:
    """Return what is not equal among the members with these hashes: the same key may come a thousand times.

    Members are told apart by their texts, whose hashes are random.
    """
    found: dict[int, set[Any]] = {number: set() for number in often}
    for each in members:
        number = hash(each)
        if number in often and len(found[number]) <= ALIKE:
            found[number].add(_as_text(each, _DEEP))
    return found


def _as_text(value: Any, deep: int) -> Any:
    kind = type(value)
    if kind is tuple and deep:
        return tuple(_as_text(part, deep - 1) for part in value)
    if kind is str or value is None:
        return value
    return hex(value) if kind is int else value.hex() if kind is float else ("", id(value))


def hashed(value: Any, scope: Scope) -> Any:
    """Return a value that becomes a key or a member of a set, after paying for its hash."""
    if type(value) is tuple or type(value) is frozenset:
        spend_on_parts(value, scope)
    return value


def check_size(value: Any, scope: Scope) -> None:
    """Pay for writing a value as text; raise an ExpressionError if it is too large; shared parts count again."""
    stack, count, written = [value], 0, 0
    while stack:
        part = stack.pop()
        kind = type(part)
        if kind is str or kind is bytes:
            count += len(part)
        elif kind is standard("decimal", "Decimal"):
            count += abs(part.adjusted()) if part.is_finite() else 0  # `:f` writes all of its zeros
        elif kind in NESTS:
            count += 2 + 3 * len(part)  # brackets, and at least "0, " for an item
            written += 1 + len(part)
            bound(written, WRITTEN, "items to be written as text")
            scope.spend(len(part) // _LINE)
            stack += part
            if kind is dict:
                stack += part.values()
        bound(count, TEXT, "characters of text")


# -------------------------------------------------------------------- items


def items_of(source: Any, scope: Scope) -> Iterator[Any]:
    """Yield the items of a value, one step each; raise an ExpressionError if there are too many."""
    source = _iterated(source, scope)
    for count, item in enumerate(source):
        if count >= ITEMS:
            raise ExpressionError(f"more than {ITEMS:,} items: use a tool")
        scope.spend(1)
        yield item


def _iterated(source: Any, scope: Scope) -> Any:
    """Return what is iterated of a table, with Python's numbers; anything else as it is, but never an iterator."""
    if view_of(source) == "DataFrameGroupBy":
        scope.heavy(base_of(source))
        bound(len(source), RUN, "groups")
        return groups_of(source)
    if not kind_of(source):
        if hasattr(type(source), "__next__"):
            first = f"a {type_name(source)} is used up by whoever reads it first, and an expression changes nothing"
            raise ExpressionError(f"{first}: return a list from the tool, or offer list(...) of it")
        return source
    scope.heavy(source)
    bound(0 if kind_of(source) == "DataFrame" else len(source), ITEMS, "items")
    return items(source)


def listed(source: Any, scope: Scope) -> list[Any]:
    """Return the argument of a function as a list, after checking its size."""
    kind = type(source)
    if kind in _WEIGHED or kind is range:
        bound(len(source), ITEMS, "items")
        scope.spend(len(source) // BATCH)
        scope.hold(OBJECT * len(source) if kind is str else 0)
        return list(source)
    return gathered(_iterated(source, scope), scope)  # a user's object may go on forever


def gathered(source: Iterable[Any], scope: Scope, most: int = ITEMS) -> list[Any]:
    """Return the items that an iterable gives, in batches: while one is made nothing else can run."""
    found: list[Any] = []
    iterator = iter(source)
    while batch := list(islice(iterator, RUN)):
        found += batch
        bound(len(found), most, "items")
        scope.spend(len(batch) // OBJECTS)
        scope.hold(OBJECT * len(batch))
    return found
