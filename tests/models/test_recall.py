"""What remembers replies is asked before a model is, and told what it said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from compiler_nb.models.base import Request
from compiler_nb.models.calls import Calls
from compiler_nb.models.recall import Asked, ReplyMemory
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.outcome import Usage


class Book:
    """Remembers texts by the first message."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, Usage]] = {}
        self.calls: list[int] = []

    async def recall(self, asked: Asked, call: Callable[[], int], check: Callable[[str], bool]) -> str | None:
        """Return a text."""
        text = self.kept.get(asked.request.messages[0]["content"], ("", Usage()))[0]
        if not text or not check(text):
            return None
        self.calls.append(call())
        return text

    def keep(self, asked: Asked, text: str, usage: Usage) -> None:
        """Keep a text."""
        self.kept[asked.request.messages[0]["content"]] = (text, usage)


def test_a_reply_is_kept_with_its_usage_and_recalled_if_it_passes_the_check():
    """Recalled calls are numbered like others; without a memory nothing is."""
    events: list[object] = []
    calls = Calls(lambda kind, *fields: events.append(kind))
    model = ScriptedModel(["hello"])
    asked = Asked(model, Request("worker", ({"role": "user", "content": "hi"},)))

    async def main() -> None:
        assert await calls.recall(asked) is None
        reply = await calls.text(model, asked.request)
        calls.keep(asked, reply.text)
        book: ReplyMemory = Book()
        calls.memory = book
        assert await calls.recall(asked) is None
        calls.keep(asked, reply.text)
        assert await calls.recall(asked) == "hello"
        assert await calls.recall(asked, lambda text: False) is None
        assert isinstance(book, Book)
        assert book.calls == [2]
        assert book.kept["hi"][1].calls == 1

    asyncio.run(main())
