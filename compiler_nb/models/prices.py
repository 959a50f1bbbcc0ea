"""What a call of a model costs: by the prices that the user set, else by the price list of the extra `prices`.

An unknown price is None, never 0. The list is a file of the extra, so no network is touched. It takes 0.4 s to load:
who must not wait (a running event loop) asks `is_loaded` first.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from compiler_nb.models import warm
from compiler_nb.models.base import Model
from compiler_nb.models.providers import HAND, LOCAL, PROVIDERS, is_same_model
from compiler_nb.outcome import Usage
from compiler_nb.text import cut, shorten_value

FREE: Final = frozenset({"scripted", HAND, LOCAL, "ollama", "vllm"})
"""Providers whose calls cost nothing unless a price is set: scripts, people, and the user's own servers."""
MILLION: Final = 1_000_000
_MAKERS: Final = frozenset({"openai", "anthropic", "google", "x-ai"})
"""Makers of models that nobody else hosts: an address of the user's that serves one resells it."""
_OPEN: Final = "gpt-oss"
"""Models that the list has for their makers, who do not sell them: each host has its own price."""


class Price(NamedTuple):
    """Dollars per million tokens: sent, received, and sent but read from the provider's cache."""

    input: float
    output: float
    cached: float

    def of(self, usage: Usage) -> float:
        """Return what a usage costs in dollars."""
        fresh = usage.input_tokens - usage.cached_tokens
        spent = fresh * self.input + usage.cached_tokens * self.cached + usage.output_tokens * self.output
        return spent / MILLION


_OWN: Final[dict[str, Price]] = {}


def set_price(
    model: str | Model,
    *,
    input: float | None = None,  # noqa: A002 - as providers name it
    output: float | None = None,
    cached: float | None = None,
) -> None:
    """Set what a model costs, in dollars per million tokens, in this process; it goes before the price list.

    model: "provider:model", or a Model; input, output: of tokens sent and received; cached: of tokens sent that the
    provider reads from its cache, by default as `input`. Without any number the price is forgotten.
    Raises ValueError if the name or a number is wrong.
    """
    name = f"{model.provider}:{model.name}" if isinstance(model, Model) else str(model)
    if not all(name.partition(":")):
        raise ValueError(f"a price belongs to a model such as 'vllm:my-model', not {cut(name, 80)!r}")
    if input is output is cached is None:
        _OWN.pop(name, None)
        return
    numbers: dict[str, Any] = {"input": input, "output": output, "cached": input if cached is None else cached}
    if input is None or output is None:
        raise ValueError(f"the price of {name} needs input and output, in dollars per million tokens")
    for what, number in numbers.items():
        if type(number) not in (int, float) or not 0 <= number < MILLION:
            shown = shorten_value(number, 40)
            raise ValueError(f"{what} must be dollars per million tokens, a number from 0, not {shown}")
    _OWN[name] = Price(**{what: float(number) for what, number in numbers.items()})


def set_prices(prices: Any, old: Iterable[str] = ()) -> None:
    """Set several prices by model: (input, output), or a dict of `set_price`'s numbers; those of `old` are forgotten.

    Raises ValueError if one is wrong; then none is changed.
    """
    if not isinstance(prices, Mapping):
        what = f"prices must be a dict such as {{'vllm:my-model': (0.2, 0.6)}}, not {shorten_value(prices, 80)}"
        raise ValueError(what)  # noqa: TRY004 - as all settings
    wanted, before = {name: _numbers(name, given) for name, given in prices.items()}, dict(_OWN)
    try:
        for name in old:
            set_price(name)
        for name, numbers in wanted.items():
            set_price(name, **numbers)
    except ValueError:
        _OWN.clear()
        _OWN.update(before)
        raise


def _numbers(name: str, given: Any) -> dict[str, Any]:
    names = ("input", "output", "cached")
    if isinstance(given, tuple | list) and len(given) in (2, 3):
        return dict(zip(names, given, strict=False))
    if isinstance(given, dict) and given and given.keys() <= set(names):
        return given
    shown = shorten_value(given, 80)
    raise ValueError(f"the price of {name} must be (input, output) or {{'input': …, 'output': …}}, not {shown}")


def price(provider: str, model: str, usage: Usage, answered: str = "", at: float = 0.0) -> float | None:
    """Return what a call costs in dollars, or None if no price is known (or the extra `prices` is not installed).

    answered: the model that the reply names, if it is not the asked one: its price counts. at: when it was made, in
    seconds since the epoch, since some prices changed or depend on the hour; 0 means now.
    """
    names = [answered, model] if answered else [model]
    for name in names:
        if own := _OWN.get(f"{provider}:{name}"):
            return own.of(usage)
    if provider in FREE:
        return 0.0
    if not usage.tokens:  # a call that was never answered
        return 0.0
    if answered and provider != "azure" and not is_same_model(model, answered):
        names = [answered]  # an alias, or a proxy that chose: the price of the model that was asked would be wrong
    try:
        found = (_listed(provider, name, usage, at) for name in names)
        return next((dollars for dollars in found if dollars is not None), None)
    except ImportError:
        return None


@lru_cache(maxsize=100_000)  # a budget in dollars adds up all calls before each call
def _listed(provider: str, model: str, usage: Usage, at: float) -> float | None:
    """Return what the list says, or None if it does not know the model. Raises ImportError if there is no list."""
    import datetime as dt  # noqa: PLC0415 - only who has a list needs it

    import genai_prices  # noqa: PLC0415 - an extra, and heavy

    used = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,  # some of these are reasoning tokens, which few models sell at another price
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=min(usage.cache_write_tokens, usage.input_tokens - usage.cached_tokens),
        **({"output_reasoning_tokens": usage.reasoning_tokens} if usage.reasoning_tokens else {}),
    )
    when = dt.datetime.fromtimestamp(at, dt.UTC) if at else None
    for provider_id in (provider,) if provider in PROVIDERS else (provider, None):
        try:
            found = genai_prices.calc_price(used, model, provider_id=provider_id, genai_request_timestamp=when)
        except (LookupError, ValueError):  # it is not listed, or not sold by these tokens
            continue
        is_makers = provider_id is not None or found.provider.id in _MAKERS
        if is_makers and not (found.provider.id in _MAKERS and _OPEN in model):
            return float(found.total_price)
    return None


def is_loaded(provider: str = "") -> bool:
    """Whether `price` answers at once; if not, the list is loaded in the background."""
    if provider in FREE or _LOADED:
        return True
    warm.begin("prices", load)
    return False


def is_installed() -> bool:
    """Whether there is a price list."""
    return importlib.util.find_spec("genai_prices") is not None


_LOADED: Final[list[bool]] = []


def load() -> None:
    """Load the price list, if it is installed."""
    try:
        _listed("openai", "gpt-4o-mini", Usage(1, 1, 1), 0.0)
    except ImportError:
        pass
    finally:
        _LOADED[:] = [True]
