"""What a request is made of: framed data by name, the question and the rest; how large each is, and how much is shown.

All of it is read from the messages as they are sent, so a stored run says the same as one that goes on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from compiler_nb.models.base import Message, Request, estimate_tokens
from compiler_nb.text import shorten

NAMED: Final = 5
"""How many parts of a request are named, the largest first."""
NAME: Final = 60
ALL: Final = "all "
"""The beginning of what a block says if it holds the whole table: "all 12 rows"."""
TYPE_ONLY: Final = "its type only"
"""What a block says if it holds nothing of the value."""
BLOCK: Final = re.compile(
    r'^<data name="([^"\n]*)"(?: call="[^"\n]*")?(?: shown="[^"\n]*")?>\n.*?\n</data>$', re.MULTILINE | re.DOTALL
)
"""A piece of framed data in a request, with its name."""
_SHOWN: Final = re.compile(r'\n<data name="([^"\n]*)"(?: call="[^"\n]*")? shown="([^"\n]*)">\n')
"""The first line of a block that says so; found without reading what is in blocks, of which runs may have many."""
_QUESTION: Final = re.compile(r"^Question: ", re.MULTILINE)


def sizes_of(role: str, messages: Iterable[Message]) -> Counter[str]:
    """Return the characters of a request by what they are, never their content: framed data by name, then the rest."""
    is_planner = role in ("planner", "repair", "replan")
    names = {
        "system": f"the system prompt{' (rules, tools, examples)' if is_planner else ''}",
        "assistant": "the earlier reply",
        "user": "the instruction" if role == "worker" else "the question",
    }
    sizes: Counter[str] = Counter()
    shown = list(messages)
    examples = _examples(role, shown)
    if examples:
        sizes["the examples"] = sum(len(message["content"]) for message in examples)
    for message in [*shown[:1], *shown[1 + len(examples) :]]:
        text = message["content"]
        blocks = list(BLOCK.finditer(text))
        for block in blocks:
            sizes[_name(block)] += len(block[0])
        framed = sum(len(block[0]) for block in blocks)
        sizes[names.get(message["role"], "other messages")] += len(text) - framed
    return sizes


def shown_of(role: str, messages: Iterable[Message]) -> dict[str, str]:
    """Return how much of a table, list or text a request shows, by the names of `sizes_of`; whole ones may be missing.

    Only what we send is looked at: a model's own reply may look like anything.
    """
    shown = list(messages)
    asked = [message["content"] for message in shown[1 + len(_examples(role, shown)) :] if message["role"] == "user"]
    return {_name(head): head[2] for text in asked for head in _SHOWN.finditer(f"\n{text}")}


def in_part(shown: str) -> bool:
    """Whether only a part of a value is shown, by what `shown_of` says of it."""
    return not shown.startswith(ALL) and shown != TYPE_ONLY


def _name(block: re.Match[str]) -> str:
    return f"`{shorten(block[1], NAME)}`"


def _examples(role: str, messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages that show questions and replies as if they had been asked before.

    Those of a repair, of a worker, and of a joiner that is asked again were: the last message holds no question.
    """
    between = messages[1:-1]
    is_first = bool(between) and _QUESTION.search(messages[-1]["content"]) is not None
    return between if is_first and role not in ("repair", "worker") else ()


def describe_sizes(request: Request) -> str:
    """Return the largest parts of a request in estimated tokens."""
    sizes = sizes_of(request.role, request.messages)
    named = [f"{name} {estimate_tokens(size):,}" for name, size in sizes.most_common(NAMED)]
    more = [f"{len(sizes) - NAMED} more"] if len(sizes) > NAMED else []
    return f"about {estimate_tokens(sizes.total()):,} tokens: {', '.join(named + more)}"
