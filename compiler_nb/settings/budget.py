"""What a run may use of models, and what it has used: tokens, money, calls, seconds and replans."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from compiler_nb.models.prices import price

if TYPE_CHECKING:
    from compiler_nb.trace import Progress


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may use; None means no limit.

    tokens: input and output of all calls of models; usd: dollars, by the price list of the extra `prices`; calls: calls
    of models; seconds: from the question to the answer; replans: further plans. Raises ValueError if one is negative.
    """

    tokens: int | None = None
    usd: float | None = None
    calls: int | None = None
    seconds: float | None = None
    replans: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value >= 0:
                raise ValueError(f"a budget's {field.name} must be a number from 0, or None, not {value!r}")


class Meter:
    """What a run has used so far, against its budget.

    asked: calls of models that were allowed; the last ones may not be in the events yet.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.asked = 0
        self._paid: dict[int, float] = {}  # dollars by call: a price is looked up once

    def exceeded(self, progress: Progress) -> str:
        """Return which part of the budget is used up, in words, or "" if none is."""
        budget, used = self.budget, progress.usage
        if budget.tokens is not None and used.tokens >= budget.tokens:
            return f"the budget of {budget.tokens:,} tokens is used up ({used.tokens:,})"
        if budget.calls is not None and max(self.asked, used.calls) >= budget.calls:
            return f"the budget of {budget.calls} calls of models is used up"
        if budget.usd is not None and (spent := self._spent(progress)) >= budget.usd:
            return f"the budget of ${budget.usd:g} is used up (${spent:.4f})"
        return ""

    def _spent(self, progress: Progress) -> float:
        for number, call in progress.calls.items():
            if call.usage is not None and number not in self._paid:
                self._paid[number] = price(call.provider, call.model, call.usage) or 0.0
        return sum(self._paid.values())
