"""What a call of a model costs: by the real price list, which is a file, and by prices of one's own."""

from __future__ import annotations

import datetime as dt

import pytest

from compiler_nb import ScriptedModel, set_price
from compiler_nb.models import prices
from compiler_nb.models.prices import FREE, Price, is_loaded, load, price, set_prices
from compiler_nb.outcome import Usage

MILLION = Usage(1, 1_000_000, 0)


@pytest.fixture(autouse=True)
def _own(monkeypatch):
    """Forget the prices that a test sets."""
    monkeypatch.setattr(prices, "_OWN", {})


def test_prices_are_known_or_not():
    """Scripts and own servers cost nothing, sold models what the list says, others are not known."""
    assert [price(provider, "anything", MILLION) for provider in FREE] == [0.0] * len(FREE)
    assert price("openai", "gpt-4o-mini", MILLION) == pytest.approx(0.15)
    assert price("elsewhere", "gpt-4o-mini", MILLION) == pytest.approx(0.15)
    assert price("openai", "no-such-model", MILLION) is None


@pytest.mark.parametrize(
    ("provider", "model", "usage", "dollars"),
    [
        ("openai", "gpt-5-mini", Usage(1, 1_000_000, 1_000_000), 0.25 + 2),
        ("openai", "gpt-5-mini-2025-08-07", Usage(1, 1_000_000, 0), 0.25),
        ("openai", "gpt-5-mini", Usage(1, 1_000_000, 0, 400_000), 0.15 + 0.01),  # a tenth, if it is read from the cache
        ("openai", "gpt-5-mini", Usage(1, 0, 1_000, reasoning_tokens=900), 0.002),  # a part of what it wrote
        ("anthropic", "claude-sonnet-4-5", Usage(1, 100_000, 10_000), 0.3 + 0.15),
        ("gemini", "gemini-2.5-flash", Usage(1, 1_000_000, 1_000_000), 2.8),
        ("azure", "gpt-4o-mini", MILLION, 0.15),
        ("openrouter", "openai/gpt-4o-mini", MILLION, 0.15),
    ],
)
def test_well_known_models_cost_what_their_makers_ask(provider, model, usage, dollars):
    """Cached tokens are cheaper, and reasoning is output."""
    assert price(provider, model, usage) == pytest.approx(dollars)


def test_more_tokens_of_the_cache_than_were_sent_are_no_error():
    """A provider may count what it read and what it wrote twice."""
    assert price("anthropic", "claude-sonnet-4-5", Usage(1, 100, 0, 80, cache_write_tokens=90)) > 0


def test_the_model_that_answered_is_paid():
    """An alias, a proxy that chooses, a deployment: the reply names what is sold."""
    assert price("azure", "my-deployment", MILLION, "gpt-4o-mini-2024-07-18") == pytest.approx(0.15)
    assert price("openai", "gpt-4o-mini", MILLION, "gpt-4o") == pytest.approx(2.5)
    assert price("openai", "gpt-4o-mini", MILLION, "gpt-4o-mini-2099-01-01") == pytest.approx(0.15)
    assert price("openai", "gpt-4o-mini", MILLION, "something-else") is None


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("friendli", "deepseek-r1"),
        ("elsewhere", "deepseek-r1"),
        ("elsewhere", "gpt-oss-20b"),
        ("openai", "gpt-oss-20b"),
        ("groq", "gpt-4o-mini"),
    ],
)
def test_nobody_else_s_price_is_taken_for_a_model_that_anyone_may_host(provider, model):
    """Whoever hosts open weights has prices of their own: not known is better than wrong."""
    assert price(provider, model, MILLION) is None


def test_a_price_of_one_s_own_goes_first():
    """For a model that the list does not know, one that would be free, and one that costs something else here."""
    set_price("vllm:my-model", input=0.2, output=0.6)
    set_price("openai:gpt-4o-mini", input=1, output=2, cached=0.5)
    set_price(ScriptedModel("", name="mine"), input=3, output=0)
    assert price("vllm", "my-model", Usage(1, 1_000_000, 500_000)) == pytest.approx(0.5)
    assert price("vllm", "my-model", Usage(1, 1_000_000, 0, 900_000)) == pytest.approx(0.2)
    assert price("openai", "gpt-4o-mini", Usage(1, 1_000_000, 0, 400_000)) == pytest.approx(0.6 + 0.2)
    assert price("scripted", "mine", MILLION) == pytest.approx(3)
    assert price("vllm", "my-model", MILLION, "/models/weights.gguf") == pytest.approx(0.2)
    set_price("vllm:my-model")
    assert price("vllm", "my-model", MILLION) == 0


@pytest.mark.parametrize(
    ("model", "numbers", "words"),
    [
        ("my-model", {"input": 1, "output": 2}, "a price belongs to a model such as 'vllm:my-model', not 'my-model'"),
        (None, {"input": 1, "output": 2}, "a price belongs to a model such as 'vllm:my-model', not 'None'"),
        ("vllm:x", {"input": 1}, "the price of vllm:x needs input and output, in dollars per million tokens"),
        ("vllm:x", {"cached": 1}, "the price of vllm:x needs input and output"),
        ("vllm:x", {"input": -1, "output": 2}, "input must be .* not -1"),
        ("vllm:x", {"input": "1", "output": 2}, 'input must be .* not "1"'),
        ("vllm:x", {"input": 1, "output": float("nan")}, "output must be .* not nan"),
        ("vllm:x", {"input": 1, "output": True}, "output must be .* not True"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(model, numbers, words):
    """With what it must be."""
    with pytest.raises(ValueError, match=words):
        set_price(model, **numbers)
    assert prices._OWN == {}


def test_several_prices_are_set_together_or_not_at_all():
    """As a notebook's setting does; those that it no longer has are forgotten, those of `set_price` are not."""
    set_price("vllm:kept", input=1, output=1)
    set_prices({"vllm:a": (0.2, 0.6), "vllm:b": {"input": 1, "output": 2, "cached": 0.1}})
    assert prices._OWN["vllm:a"] == Price(0.2, 0.6, 0.2)
    assert prices._OWN["vllm:b"] == Price(1, 2, 0.1)
    for wrong in ({"vllm:c": (1, 1), "vllm:d": 3}, {"vllm:d": {"inputs": 3}}, {"vllm:d": (1, "x")}, [1], "x"):
        with pytest.raises(ValueError, match=r"price|must be"):
            set_prices(wrong, old=["vllm:a", "vllm:b"])
    assert set(prices._OWN) == {"vllm:kept", "vllm:a", "vllm:b"}
    set_prices({"vllm:b": (1, 1)}, old=["vllm:a", "vllm:b"])
    assert set(prices._OWN) == {"vllm:kept", "vllm:b"}


def test_a_price_is_that_of_the_day():
    """A run of the past costs what it cost then: DeepSeek sold at half the price by night, once."""
    day, night = (dt.datetime(2025, 7, 1, hour, tzinfo=dt.UTC).timestamp() for hour in (12, 18))
    used = Usage(1, 1_000_000, 1_000_000)
    assert price("deepseek", "deepseek-chat", used, at=night) < price("deepseek", "deepseek-chat", used, at=day)


def test_a_call_that_was_never_answered_costs_nothing():
    """No provider counts it, whatever it would have cost."""
    assert price("openai", "no-such-model", Usage(1)) == 0


def test_whoever_must_not_wait_for_the_list_is_told(monkeypatch):
    """Free providers need no list; for the others it is loaded in the background."""
    monkeypatch.setattr(prices, "_LOADED", [])
    begun = []
    monkeypatch.setattr(prices.warm, "begin", lambda name, work: begun.append(name))
    assert is_loaded("scripted")
    assert not is_loaded("openai")
    assert begun == ["prices"]
    load()
    assert is_loaded("openai")
