"""The items of fan-outs: a page is told how many are in which state, and of a large one all about a few of them.

A row for each of 100,000 items would be a message of six megabytes, for a page that shows a bar. So those that do not
fit are only counted. The first ones are told, those that fail, and more when somebody asks; an item that is told later
than it came brings its past with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from compiler_nb.plan.task import Task, is_part, line_of, owner_of
from compiler_nb.trace import Progress

TOLD: Final = 2_000
"""Up to this many items of a run are told as they come; of a fan-out for which there is no room, FIRST are."""
FIRST: Final = 200
"""How many items are told of a larger fan-out: the first of them, as many that fail, and as many more on demand."""
Numbers = tuple[list[int], int]
"""How many items of a fan-out are in which state, and how many of them a page is not told of."""
StateChange = tuple[str, str, float]
"""A task's id, what changed, and when, as in `Progress.changes`."""


class Untold:
    """Which items a page is not told of, by fan-out, and what it is told of their numbers.

    rest: items that are not told of, with the calls of their chains; unseen: how many items these are.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.rest: dict[str, dict[str, Task]] = {}
        self.unseen: Counter[str] = Counter()
        self._room = TOLD
        self._failed: Counter[str] = Counter()  # those that were told because they failed
        self._stale: set[str] = set()  # fan-outs of which the page may know other numbers
        self._known: dict[str, Numbers] = {}  # what the page knows

    def take(self, fanout: str, items: Sequence[Task]) -> Iterable[Task]:
        """Return the items that a page is told of, of those that a fan-out has."""
        self._stale.add(fanout)
        if len(items) <= self._room:
            self._room -= len(items)
            return items
        count = FIRST
        while count < len(items) and is_part(items[count - 1].id):  # a chain is told as a whole
            count += 1
        self.rest[fanout] = {item.id: item for item in items[count:]}
        self.unseen[fanout] = sum(not is_part(id_) for id_ in self.rest[fanout])
        return items[:count]

    def failing(self, changes: Iterable[StateChange]) -> Iterator[Task]:
        """Take from the rest the items that failed, FIRST of a fan-out at most, with the calls of their chains."""
        for id_, what, _ in changes if self.rest else ():
            owner = owner_of(id_)
            if what == "failed" and id_ in self.rest.get(owner, ()) and self._failed[owner] < FIRST:
                self._failed[owner] += 1
                yield from self._chain(owner, line_of(id_) or id_)

    def _chain(self, owner: str, item: str) -> Iterator[Task]:
        rest, number = self.rest[owner], 1
        while (part := rest.pop(f"{item}.{number}", None)) is not None:
            yield part
            number += 1
        yield rest.pop(item)
        self.unseen[owner] -= 1
        self._stale.add(owner)

    def more(self, fanout: str) -> list[Task]:
        """Take the next items from the rest, with the calls of their chains."""
        rest = self.rest.get(fanout, {})
        items = list(islice((id_ for id_ in rest if not is_part(id_)), FIRST))
        return [task for item in items for task in self._chain(fanout, item)]

    def past(self, id_: str) -> Iterator[StateChange]:
        """Yield the changes of a task up to now."""
        progress, end, at = self.progress, self.progress.ends.get(id_), None
        tried = progress.spans.get(id_, ())
        for span in tried:
            yield id_, "ready", span.ready
            yield id_, "running", span.started
            if (at := span.ended) is not None and (end is None or at != end.at):
                yield id_, "retried", at
        if end is not None:
            yield id_, end.state, end.at
        elif progress.states[id_] == "ready":
            yield id_, "ready", progress.readiness.last.get(id_, ("", progress.born[id_]))[1]

    def news(self, changes: Iterable[StateChange]) -> dict[str, Numbers]:
        """Return the numbers of the fan-outs for which the page knows others, after changes of items."""
        owners = {owner_of(id_) for id_, _, _ in changes}
        self._stale |= owners.intersection(self.progress.tallies.fanouts)
        numbers = {id_: (self.progress.tallies.by_state(id_), self.unseen[id_]) for id_ in self._stale}
        new = {id_: each for id_, each in numbers.items() if each != self._known.get(id_)}
        self._stale.clear()
        self._known |= new
        return new

    def all(self) -> dict[str, Numbers]:
        """Return what `news` has told so far."""
        return self._known
