"""What a call of a model costs."""

from __future__ import annotations

import pytest

from compiler_nb.models.prices import price
from compiler_nb.outcome import Usage


def test_prices_are_known_or_not():
    """Scripts and own servers cost nothing, sold models what the list says, others are not known."""
    used = Usage(1, 1_000_000, 0)
    assert price("scripted", "scripted", used) == price("vllm", "anything", used) == 0.0
    assert price("openai", "gpt-4o-mini", used) == pytest.approx(0.15)
    assert price("elsewhere", "gpt-4o-mini", used) == pytest.approx(0.15)
    assert price("openai", "no-such-model", used) is None
