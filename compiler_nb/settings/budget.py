"""What a run may use of models, and what it has used: tokens, money, calls, seconds and replans."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from compiler_nb.events import ModelEnded, ModelStarted
from compiler_nb.outcome import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compiler_nb.events import Event
    from compiler_nb.trace import ModelCall

FREE: Final = frozenset({"scripted", "hand", "ollama", "vllm"})
"""Providers whose calls cost nothing: scripts, people, and servers of one's own."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may use; None for any amount.

    tokens: input and output of all calls of models; usd: dollars, by the price list of the extra `prices`; calls: calls
    of models; seconds: from the question to the answer; replans: further plans. Raises ValueError for what is none.
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
                raise ValueError(f"a budget's {field.name} is a number from 0, or None, not {value!r}")


class Meter:
    """What a run has used so far, by its events, against its budget."""

    def __init__(self, budget: Budget | None) -> None:
        self.budget = budget or Budget()
        self.used = Usage()
        self.usd = 0.0
        self.asked = 0  # calls that were allowed; some have not been told of yet
        self._models: dict[int, tuple[str, str]] = {}

    def take(self, event: Event) -> None:
        """Note what happened."""
        if type(event) is ModelStarted:
            self._models[event.call] = (event.provider, event.model)
        elif type(event) is ModelEnded:
            self.used = self.used + event.usage
            if self.budget.usd is not None:
                self.usd += price(*self._models.get(event.call, ("", "")), event.usage) or 0.0

    def exceeded(self) -> str:
        """Return which part of the budget is used up, in words, "" where none is."""
        budget, calls = self.budget, max(self.asked, self.used.calls)
        if budget.tokens is not None and self.used.tokens >= budget.tokens:
            return f"the budget of {budget.tokens:,} tokens is used up ({self.used.tokens:,})"
        if budget.calls is not None and calls >= budget.calls:
            return f"the budget of {budget.calls} calls of models is used up"
        if budget.usd is not None and self.usd >= budget.usd:
            return f"the budget of ${budget.usd:g} is used up (${self.usd:.4f})"
        return ""


# -------------------------------------------------------------------- money


def price(provider: str, model: str, usage: Usage) -> float | None:
    """Return what a call costs in dollars, None where no price is known (or the extra `prices` is not installed)."""
    if provider in FREE:
        return 0.0
    try:
        import genai_prices  # noqa: PLC0415 - an extra, and heavy
    except ImportError:
        return None
    used = genai_prices.Usage(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, cache_read_tokens=usage.cached_tokens
    )
    for provider_id in (provider, None):  # an own address may sell a well-known model
        try:
            return float(genai_prices.calc_price(used, model_ref=model, provider_id=provider_id).total_price)
        except LookupError:
            continue
    return None


def cost(calls: Iterable[ModelCall]) -> float | None:
    """Return what a run's calls of models cost in dollars, or None if the price of one is not known."""
    spent = [price(call.provider, call.model, call.usage) for call in calls if call.usage is not None]
    return None if None in spent else sum(each or 0.0 for each in spent)
