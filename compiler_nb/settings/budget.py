"""What a run may use of models, and what it has used: tokens, money, calls, seconds and replans."""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from compiler_nb.trace import Progress


def is_number(value: Any) -> bool:
    """Whether a value is a real number; True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may use; None means no limit.

    tokens: input and output of all calls of models, and what the next call sends, as far as it can be estimated; usd:
    dollars, by `set_price` and the price list of the extra `prices`; calls: calls of models; seconds: from the question
    to the answer; replans: further plans.
    Raises ValueError if one is not a number from 0.
    """

    tokens: int | None = None
    usd: float | None = None
    calls: int | None = None
    seconds: float | None = None
    replans: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not (is_number(value) and value >= 0):
                raise ValueError(f"a budget's {field.name} must be a number from 0, or None, not {value!r}")

    def exceeded(self, progress: Progress, asked: int, sends: int = 0, under_way: int = 0) -> str:
        """Return which part of the budget has no room for another call of a model, in words, or "" if all have.

        asked: calls that were allowed; the last ones may not be in the events yet; sends, under_way: tokens that the
        call and those that have not ended are estimated to send.
        """
        used = progress.usage
        if self.tokens is not None:
            if used.tokens >= self.tokens:
                return f"the budget of {self.tokens:,} tokens is used up ({used.tokens:,})"
            left = max(0, self.tokens - used.tokens - under_way)
            if sends > left:
                rest = f"the next call sends about {sends:,}, and {left:,} are left; allow more, or offer less"
                return f"the budget of {self.tokens:,} tokens is too small: {rest}"
        if self.calls is not None and max(asked, used.calls) >= self.calls:
            return f"the budget of {self.calls} calls of models is used up"
        if self.usd is not None and (spent := progress.cost).known >= self.usd and (self.usd or spent.known):
            return f"the budget of ${self.usd:g} is used up ({spent.money or '$0'})"  # of $0, free calls use nothing
        return ""
