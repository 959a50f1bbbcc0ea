"""How many tasks are in which state: those of the plan, and the items of each fan-out. All that counts asks here."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from compiler_nb.outcome import ENDED, STATES, State
from compiler_nb.plan.task import is_part, owner_of

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


class Tallies:
    """Counts tasks by state. A call in an item's chain is not an item, and tasks that are not needed do not count.

    of: by the id of a fan-out, "" for the tasks of the plan; failed: items that failed, or a call of their chains did.
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

    def by_state(self, owner: str) -> list[int]:
        """Return the items of a fan-out by state, in the order of STATES."""
        tally = self.of[owner]
        return [tally[state] for state in STATES]
