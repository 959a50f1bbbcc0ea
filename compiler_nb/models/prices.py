"""What a call of a model costs, by the price list of the extra `prices`."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from compiler_nb.outcome import Usage

FREE: Final = frozenset({"scripted", "hand", "ollama", "vllm"})
"""Providers whose calls cost nothing: scripts, people, and servers of one's own."""


def price(provider: str, model: str, usage: Usage) -> float | None:
    """Return what a call costs in dollars, or None if no price is known (or the extra `prices` is not installed)."""
    if provider in FREE:
        return 0.0
    try:
        return _listed_price(provider, model, usage)
    except ImportError:
        return None


@lru_cache(maxsize=100_000)  # a budget in dollars adds up all calls before each call
def _listed_price(provider: str, model: str, usage: Usage) -> float | None:
    """Return what the list says, or None if it does not know the model. Raises ImportError if there is no list."""
    import genai_prices  # noqa: PLC0415 - an extra, and heavy

    used = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    for provider_id in (provider, None):  # an own address may sell a well-known model
        try:
            return float(genai_prices.calc_price(used, model_ref=model, provider_id=provider_id).total_price)
        except LookupError:
            continue
    return None
