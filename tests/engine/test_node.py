"""What limits the calls of tools: their own number, and their provider's."""

from __future__ import annotations

from compiler_nb.engine.node import find_lanes, provider_caps
from compiler_nb.models.limits import Limit
from compiler_nb.tool import tool


def test_tools_need_what_limits_them_or_their_provider():
    """A lane holds a tool's own limit and its provider, which may be closed; a local provider serves one call."""

    @tool(provider="openai", max_concurrency=2)
    def ask(x: int) -> int:
        return x

    @tool(provider="other")
    def look(x: int) -> int:
        return x

    @tool
    def free(x: int) -> int:
        return x

    caps, lanes = find_lanes([ask, look, free], provider_caps({"openai": Limit(4), "other": Limit(rpm=9)}))
    assert caps == {"provider:openai": 4, "tool:ask": 2, "provider:ollama": 1, "provider:hand": 1, "provider:local": 1}
    assert lanes == {"ask": ("tool:ask", "provider:openai"), "look": ("provider:other",)}
