"""The interface of what remembers replies: a request goes in, and the kept reply to an equal one may come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from compiler_nb.models.base import Model, Request
from compiler_nb.outcome import Usage


class Asked(NamedTuple):
    """A request to a model, as it is remembered.

    parts: texts by name that its reply follows from; none if its messages say it all; seen: texts by name that make it
    another request only if they were known before and differ now: what tools returned is learned from run to run.
    """

    model: Model
    request: Request
    parts: Mapping[str, str] = {}
    seen: Mapping[str, str] = {}


class ReplyMemory(Protocol):
    """What remembers replies for one run."""

    async def recall(self, asked: Asked, call: Callable[[], int], check: Callable[[str], bool]) -> str | None:
        """Return the reply that is kept of an equal request, None if there is none, or it does not pass the check.

        call: numbers a call of a model.
        """

    def keep(self, asked: Asked, text: str, usage: Usage) -> None:
        """Keep a reply."""
