"""How many calls of tools may run at a time: each tool's own number, and that of the provider that it calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler_nb.models.limits import Limit
from compiler_nb.models.providers import CONCURRENCY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compiler_nb.tool import Tool


def provider_caps(limits: Mapping[str, Limit]) -> dict[str, int]:
    """Return how many calls may go to each provider at a time, as a resource: "provider:openai"."""
    caps = {name: Limit(concurrency=number) for name, number in CONCURRENCY.items()} | dict(limits)
    return {f"provider:{name}": limit.concurrency for name, limit in caps.items() if limit.concurrency}


def find_lanes(tools: Iterable[Tool], caps: Mapping[str, int]) -> tuple[dict[str, int], dict[str, tuple[str, ...]]]:
    """Return the calls at a time by resource, with each tool's own ("tool:search"), and the resources that tools need.

    caps: those of providers; a provider without one is a resource all the same, for it may be closed for a while.
    """
    tools = list(tools)
    caps = {**caps, **{f"tool:{tool.name}": tool.max_concurrency for tool in tools if tool.max_concurrency}}
    needed = {
        tool.name: (
            *([f"tool:{tool.name}"] if tool.max_concurrency else []),
            *([f"provider:{tool.provider}"] if tool.provider else []),
        )
        for tool in tools
    }
    return caps, {name: lane for name, lane in needed.items() if lane}
