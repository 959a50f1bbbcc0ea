"""Why a model had to stop before its reply was whole, in words, and what to do about it."""

from __future__ import annotations

from typing import Final

from compiler_nb.errors import ModelError, ModelRefused
from compiler_nb.models.base import Model, Request, where_of
from compiler_nb.outcome import Usage

STOPPED: Final = frozenset({"length", "content_filter"})
"""The finishes of a reply that is not whole although the provider ended it properly."""
LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""The names of servers' parameters for the most tokens of a reply."""
THINKING: Final = ("<think>", "</think>")


def describe_limit(model: Model, used: Usage) -> tuple[str, str]:
    """Return which limit ended a reply, and how to allow more; used: what the call used."""
    given = getattr(model, "parameters", {})
    name = next((each for each in LIMITS if type(given.get(each)) is int), LIMITS[0])
    most, wrote = given.get(name), used.output_tokens
    if type(most) is int and (wrote >= most or not used.reported):
        return f"the reply's limit of {most:,} tokens", f"raise {name}"
    # the server's own limit, or the end of the context, which may come before the limit that was set
    return f"the model's limit, after {wrote:,} tokens", f"set {name} higher, or use a model with a longer context"


def stop_of(model: Model, request: Request, finish: str, text: str, used: Usage) -> ModelError:
    """Return the error for a reply that is not whole; text: what came of it."""
    role = request.role if request.role in ("joiner", "worker") else "planner"
    who = f"{model.provider}:{model.name}: the {role}"
    if finish == "content_filter":
        what = f"{who}'s reply is cut off by the provider's content filter; rephrase the request"
        return ModelRefused(what, text=text, **where_of(model))
    limit, fix = describe_limit(model, used)
    what = f"{who}'s reply is cut off at {limit}; ask for less, or {fix}"
    if used.reasoning_tokens or THINKING[0] in text:
        if not _without_thoughts(text):
            what = f"{who} reached {limit}, while it was thinking, and wrote nothing"
            what += f"; {fix}, or let it think less (reasoning_effort)"
    elif not text.strip():
        what = f"{who} reached {limit}, and wrote nothing; if it was thinking, let it think less (reasoning_effort)"
        what += f", or {fix}"
    return ModelError(what, **where_of(model))


def _without_thoughts(text: str) -> str:
    """Return what a text says after its thoughts, "" if they go on to its end."""
    begin, end = THINKING
    said = text.rpartition(end)[2] if end in text else text.partition(begin)[0]
    return said.strip()
