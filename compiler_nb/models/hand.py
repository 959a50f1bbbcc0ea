"""A person as the model: the prompt is shown, and what the person writes is the reply."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

from compiler_nb.errors import NoModel
from compiler_nb.models.base import Chunk, Request, where_of

AskForReply: TypeAlias = Callable[[Request], "Awaitable[str] | None"]
"""Shows a request to a person; returns the future reply, or None if the person answers in another cell."""


class HandModel:
    """A person is the model. The notebook sets `ask`, which shows the prompt and waits for the reply."""

    name = "hand"
    provider = "hand"

    def __init__(self, ask: AskForReply | None = None) -> None:
        self.ask = ask

    def __repr__(self) -> str:
        return "HandModel()" if self.ask is None else "HandModel(ask=...)"

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """Yield the reply as one piece; raise NoModel if there is nobody to ask, or no reply to wait for."""
        if self.ask is None:
            raise NoModel("`hand` needs a notebook to ask a person: %%compile -m hand", **where_of(self))
        asked = self.ask(request)
        if asked is None:
            raise NoModel("the prompt is shown; write the reply in the cell that opened below it", **where_of(self))
        yield Chunk(await asked, "stop")


def prompt_text(request: Request) -> str:
    """Return the exact prompt as one text: each message under its role."""
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in request.messages)
