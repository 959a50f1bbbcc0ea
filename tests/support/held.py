"""A script whose server holds each reply to a grammar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler_nb.models.base import Chunk, Request
from compiler_nb.models.scripted import ScriptedModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class HeldModel(ScriptedModel):
    """Replies as a script says, and names the grammar that the request brings."""

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """Yield the reply's pieces."""
        held = request.grammar.about if request.grammar else ""
        async for chunk in super().stream(request):
            yield chunk._replace(grammar=held)
