"""A person as the model: the prompt is shown, and what the person writes is the reply."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from compiler_nb.errors import NoModel
from compiler_nb.models.base import Chunk, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Ask: TypeAlias = Callable[[Request], "Awaitable[str] | None"]
"""Shows a request to a person; returns what will be the reply, or None where the person answers in another cell."""


class HandModel:
    """A person is the model; `ask` is set by the notebook, which knows how to ask."""

    name = "hand"
    provider = "hand"

    def __init__(self, ask: Ask | None = None) -> None:
        self.ask = ask

    def __repr__(self) -> str:
        return "HandModel()" if self.ask is None else "HandModel(ask=...)"

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """Yield the person's reply as one piece; raise NoModel where there is nobody to ask, or no reply to await."""
        if self.ask is None:
            raise self._nobody("`hand` needs a notebook, where a person is asked: %%compile -m hand")
        asked = self.ask(request)
        if asked is None:
            raise self._nobody("the prompt is shown; the reply goes into the cell that it opened")
        yield Chunk(await asked, "stop")

    def _nobody(self, message: str) -> NoModel:
        return NoModel(message, provider=self.provider, model=self.name)


def prompt_text(request: Request) -> str:
    """Return the exact prompt as one readable text: every message under its role."""
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in request.messages)
