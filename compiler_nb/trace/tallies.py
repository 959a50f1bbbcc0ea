"""How many tasks are in which state: those of the plan, and the items of each fan-out. All that counts asks here."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from compiler_nb.events import TaskEnded
from compiler_nb.outcome import ENDED, STATES, Skipped, State
from compiler_nb.plan.task import is_part, line_of, owner_of
from compiler_nb.text import count_of

Tally = Counter[State]
"""How many tasks are in each state."""


class Counted(NamedTuple):
    """How a run stands, in numbers.

    tasks: those of the plan that are needed, by state; failed: how many of them failed, without the fan-outs whose
    items say so; items: of fan-outs that failed; busy: calls that hold a slot.
    """

    tasks: tuple[int, ...]
    failed: int
    items: int
    busy: int

    @property
    def all(self) -> int:
        """How many tasks there are."""
        return sum(self.tasks)

    @property
    def ended(self) -> int:
        """How many of them have ended."""
        return sum(count for state, count in zip(STATES, self.tasks, strict=True) if state in ENDED)


class Items(NamedTuple):
    """How many items a fan-out has, how many of them have ended, and how many with a value."""

    all: int = 0
    ended: int = 0
    done: int = 0

    @property
    def lost(self) -> int:
        """How many ended without a value."""
        return self.ended - self.done

    def __str__(self) -> str:
        failed = f", {self.lost:,} failed" if self.lost else ""
        return f"{self.done:,} of {count_of(self.all, 'item')} done{failed}" if self.all else ""


class Tallies:
    """Counts tasks by state. A call in an item's chain is not an item, and tasks that are not needed do not count.

    of: by the id of a fan-out whose items are known, "" for the tasks of the plan; failed: items that failed, or a call
    of their chains did, by fan-out.
    """

    def __init__(self) -> None:
        self.of: dict[str, Tally] = {"": Counter()}
        self.failed: Counter[str] = Counter()

    def open(self, fanout: str) -> None:
        """Count the items of a fan-out from now on."""
        self.of[fanout] = Counter()

    def add(self, id_: str) -> None:
        """Count a task that has come; it waits."""
        if (tally := self._tally(id_)) is not None:
            tally["waiting"] += 1

    def move(self, id_: str, before: State, after: State) -> None:
        """Count a task in another state."""
        if (tally := self._tally(id_)) is not None:
            tally[before] -= 1
            tally[after] += 1

    def leave(self, id_: str) -> None:
        """Stop counting a task that turned out not to be needed."""
        if (tally := self._tally(id_)) is not None:
            tally["skipped"] -= 1

    def _tally(self, id_: str) -> Tally | None:
        owner = owner_of(id_)
        return None if owner and is_part(id_) else self.of.get(owner)

    def fail(self, end: TaskEnded, step: int) -> None:
        """Count an item that failed, or is skipped because a call of its chain did; step: -1 if it goes on again."""
        owner = owner_of(end.task)
        if owner in self.of and owner and not is_part(end.task):
            own = type(end.outcome) is Skipped and line_of(end.outcome.cause) == end.task
            if own or end.state == "failed":
                self.failed[owner] += step

    @property
    def fanouts(self) -> list[str]:
        """The fan-outs whose items are known."""
        return list(filter(None, list(self.of)))

    def items(self, fanout: str) -> Items:
        """Return how the items of a fan-out stand; none, if they are not known."""
        tally = self.of.get(fanout, Counter[State]())
        ended = sum(tally[state] for state in STATES if state in ENDED)
        return Items(sum(tally[state] for state in STATES), ended, tally["done"])

    def by_state(self, owner: str) -> list[int]:
        """Return the items of a fan-out by state, in the order of STATES."""
        tally = self.of[owner]
        return [tally[state] for state in STATES]
