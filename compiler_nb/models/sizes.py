"""The parts of a request by size, never by content, for the error that the request is too long."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from compiler_nb.models.scripted import estimate_tokens
from compiler_nb.text import shorten

if TYPE_CHECKING:
    from compiler_nb.models.base import Request

SHOWN: Final = 5
"""How many parts of a request are named, the largest first."""
_BLOCK: Final = re.compile(r'^<data name="([^"\n]*)">\n.*?\n</data>$', re.MULTILINE | re.DOTALL)
_PLANNERS: Final = frozenset({"planner", "repair", "replan"})


def describe_sizes(request: Request) -> str:
    """Return a request's largest parts in estimated tokens: framed data by name, then the rest of each message."""
    names = {
        "system": f"the system prompt{' (rules, tools, examples)' if request.role in _PLANNERS else ''}",
        "assistant": "the earlier reply",
        "user": "the instruction" if request.role == "worker" else "the question",
    }
    sizes: Counter[str] = Counter()
    for message in request.messages:
        text = message["content"]
        blocks = list(_BLOCK.finditer(text))
        for block in blocks:
            sizes[f"`{shorten(block[1], 60)}`"] += len(block[0])
        rest = names.get(message["role"], "other messages")
        sizes[rest] += len(text) - sum(len(block[0]) for block in blocks)
    named = [f"{name} {estimate_tokens(size):,}" for name, size in sizes.most_common(SHOWN)]
    more = [f"{len(sizes) - SHOWN} more"] if len(sizes) > SHOWN else []
    return f"about {estimate_tokens(sizes.total()):,} tokens: {', '.join(named + more)}"
