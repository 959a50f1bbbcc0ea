"""What the calls of models of a run have used so far, as a page shows it: in all, by role and by task.

A price list takes a while to load, and the run's loop does not wait for it: until it is there only tokens are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compiler_nb.models import prices
from compiler_nb.notebook.live.changes import Told
from compiler_nb.plan.task import owner_of
from compiler_nb.trace import Cost, Costs, ModelCall, Progress, cost_of, estimate_call, shown_in


class Spending:
    """Folds calls that begin and end; `news` returns what a frame tells, and puts rows of tasks into `rows`."""

    def __init__(self, rows: Told) -> None:
        self.rows = rows
        self.costs = Costs()
        self._open: set[int] = set()
        self._ended: list[int] = []  # calls whose prices have not been asked for

    def begin(self, call: int) -> None:
        """Note that a call began."""
        self._open.add(call)

    def end(self, call: int) -> None:
        """Note that a call ended."""
        self._open.discard(call)
        self._ended.append(call)

    @staticmethod
    def settle() -> None:
        """Wait for the price list; never on the run's loop, which it would hold up."""
        prices.load()

    def news(self, progress: Progress, numbers: Mapping[str, int]) -> dict[str, Any]:
        """Return what a frame says of usage; numbers: of the tasks that get rows, by id."""
        calls = progress.calls
        if all(prices.is_loaded(calls[each].provider) for each in self._ended if each in calls):
            self._fold([calls[each] for each in self._ended if each in calls], progress, numbers)
            self._ended.clear()
        used = progress.usage
        for each in self._open & calls.keys():
            used += estimate_call(calls[each], progress.received.get(each, 0))
        words = Cost(used, self.costs.total.known, self.costs.total.unpriced)
        return {
            "calls": progress.usage.calls, "words": _words(words) if used.tokens else [], "shares": str(self.costs),
        }  # fmt: skip

    def _fold(self, calls: list[ModelCall], progress: Progress, numbers: Mapping[str, int]) -> None:
        for call in calls:
            self.costs.add(call, progress.tasks)
        tasks = dict.fromkeys(id_ for call in calls for id_ in (call.task, owner_of(call.task)))
        for id_ in tasks.keys() & self.costs.tasks.keys() & numbers.keys():
            self.rows.add("costs", self.row(id_, numbers[id_]))

    def row(self, id_: str, number: int) -> list[Any]:
        """Return what a page is told of a task."""
        cost = self.costs.tasks.get(id_, Cost())
        return [number, _words(cost) if cost.usage.calls else [], cost.usage.tokens]

    @staticmethod
    def words(call: ModelCall) -> str:
        """Return what a call used, and how much of long values it sent, "" while it goes on; that the cache knew it."""
        if call.usage is None:
            return ""
        if call.saved is not None:
            return "from the cache"
        cost = cost_of([call]) if prices.is_loaded(call.provider) else Cost(call.usage)
        return ", ".join(filter(None, (str(cost), shown_in(call))))


def _words(cost: Cost) -> list[str]:
    """Return tokens in words, and dollars if the calls were not free."""
    return [each for each in (cost.tokens, cost.money) if each]
