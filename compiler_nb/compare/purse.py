"""What a whole grid may use: its runs share one Budget, each of them asked before each of its calls of a model."""

from __future__ import annotations

import threading

from compiler_nb.settings.budget import Budget
from compiler_nb.trace import Progress


class Purse:
    """A budget that several runs use up together; spent: what is used up, in words, "" as long as there is more.

    limit: what they may use together; its seconds and replans are not kept here.
    """

    def __init__(self, limit: Budget) -> None:
        self.limit, self.spent = limit, ""
        self.calls = self.tokens = 0
        self.usd = 0.0
        self._running: dict[int, Progress] = {}
        self._refused: set[int] = set()
        self._lock = threading.Lock()

    def shares(self, own: Budget) -> Budget:
        """Return a run's own budget, which also asks this purse."""
        share = PurseShare(own.tokens, own.usd, own.calls, own.seconds, own.replans)
        object.__setattr__(share, "purse", self)
        return share

    def refuses(self, progress: Progress, sends: int) -> str:
        """Return why a run may not make another call, which sends so many tokens, "" if it may; then it counts."""
        with self._lock:
            self._running[id(progress)] = progress
            self.spent = self.spent or self._spent(sends)
            if self.spent:
                self._refused.add(id(progress))
            else:
                self.calls += 1
            return self.spent

    def ended(self, progress: Progress) -> bool:
        """Take what a run has used in all; return whether it was refused a call, and so is no measure of anything."""
        with self._lock:
            self._running.pop(id(progress), None)
            self.tokens += progress.usage.tokens
            self.usd += progress.cost.known
            refused = id(progress) in self._refused
            self._refused.discard(id(progress))
            return refused

    def _spent(self, sends: int) -> str:
        limit, running = self.limit, list(self._running.values())
        if limit.calls is not None and self.calls >= limit.calls:
            return f"the grid's budget of {limit.calls:,} calls of models is used up"
        if limit.tokens is not None:
            used = self.tokens + sum(each.usage.tokens for each in running)
            if used + sends > limit.tokens or used >= limit.tokens:
                rest = f"{used:,}; the next call sends about {sends:,}"
                return f"the grid's budget of {limit.tokens:,} tokens is used up ({rest})"
        if limit.usd is not None:
            spent = self.usd + sum(each.cost.known for each in running)
            if spent >= limit.usd:
                return f"the grid's budget of ${limit.usd:g} is used up (${spent:.4f})"
        return ""


class PurseShare(Budget):
    """A run's own budget within a grid."""

    purse: Purse

    def exceeded(self, progress: Progress, asked: int, sends: int = 0, under_way: int = 0) -> str:
        """Return which part of the budget, the run's or the grid's, has no room for another call, "" if all have."""
        own = super().exceeded(progress, asked, sends, under_way)
        return own or self.purse.refuses(progress, sends + under_way)


def is_metered(budget: Budget) -> bool:
    """Whether a grid has a limit that its runs must ask for."""
    return (budget.tokens, budget.calls, budget.usd) != (None, None, None)
