"""What expressions may cost, and the account that is kept while one is evaluated.

Theory of operation
    Work is counted in steps of about a microsecond: a part of an expression, 25 items that are copied or searched, and
    so on. What may take long in one go is weighed by size (see `weights.py`) and paid *before* it begins. Every LOOK
    steps a scope looks up: it calls `look`, by which an engine sees the clock and whether somebody wants the evaluation
    to stop. A scope that is `inline`, on the loop, raises Heavy after INLINE steps: the expression is pure, so it can
    be evaluated again on a thread. There, too, other threads must get their turn: what takes long in C is done in
    batches.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.tables import kind_of

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
"""Cells of a table that an expression may read if there are no threads: up to 50 ms."""
_NO_THREADS: Final = "the most without threads: use a tool"
RUN: Final = 20_000
"""Items that are made or sorted in one go: up to 5 ms."""
LEVELS: Final = 1_000
"""How deep a value may nest that is compared or hashed: Python's own hash of a tuple overflows the stack."""
NESTS: Final = frozenset({list, tuple, dict, set, frozenset})
"""Types of containers that are looked into."""
WEIGHED: Final = NESTS | {str, bytes, bytearray, deque}
"""Types whose values count by their size."""


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
        """Return the bounds if there are no threads: nothing may take long, because everything else waits meanwhile."""
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
    """The bounds if there are no threads."""

    __slots__ = ()

    def error(self, name: str, subject: str, unit: str = "") -> ExpressionError:
        """Return the error of a bound that was reached; steps and bytes cannot be raised."""
        if name not in ("steps", "bytes"):
            return super().error(name, subject, unit)
        return ExpressionError(f"{subject} more than {getattr(self, name):,} {unit or name}, {_NO_THREADS}")

    def check_table(self, table: Any) -> None:
        """Raise an ExpressionError if a table is too large to compute with while everything else waits."""
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
    """An expression is too heavy for the loop: it is to be evaluated again on a thread. Users never see it."""


class Account:
    """What is left of the bounds of a run's expressions; `charge` sets `is_used_up` if one is exceeded."""

    __slots__ = ("bounds", "bytes", "is_used_up", "seconds", "steps")

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.bounds, self.is_used_up = bounds, False
        self.steps, self.bytes, self.seconds = bounds.run_steps, bounds.run_bytes, bounds.run_seconds

    def charge(self, steps: int, seconds: float) -> None:
        """Subtract what an expression has cost."""
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
    look: called every LOOK steps, may raise to end the evaluation; whole: the steps, bytes and mark of one that begins.
    """

    __slots__ = (
        "account", "bounds", "bytes", "inline", "inputs", "locals", "look", "mark", "notes", "steps", "values", "whole",
    )  # fmt: skip

    def __init__(
        self,
        values: Mapping[str, Any],
        inputs: Mapping[str, Any] | None = None,
        *,
        account: Account | None = None,
        inline: bool = False,
        look: Callable[[], None] | None = None,
    ) -> None:
        self.values, self.inputs = values, inputs or {}
        self.locals: dict[str, Any] = {}
        self.account = account or Account()
        self.bounds, self.inline, self.look = self.account.bounds, inline, look
        self.notes: list[str] = []  # what a reader of the result should know
        steps = self.bounds.steps
        self.whole = steps, self.bounds.bytes, max(steps - LOOK, 0)
        self.steps, self.bytes, self.mark = self.whole

    def within(self, values: Mapping[str, Any]) -> Scope:
        """Return a scope with other values, and with as much left of the same bounds."""
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
        """Return a value that was made, after counting its memory; its parts have been counted already."""
        if type(value) in WEIGHED:
            self.hold(sys.getsizeof(value))
        return value


def bound(size: int, limit: int, what: str) -> None:
    """Raise an ExpressionError if there is more of something than allowed."""
    if size > limit:
        digits = f" ({DIGITS:,} digits)" if what == "bits" else ""
        raise ExpressionError(f"that is more than {limit:,} {what}{digits}: use a tool")
