"""A model whose replies are written in advance: for tests, courses and simulated providers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from compiler_nb.errors import ModelError
from compiler_nb.models.base import ASKED_IN, Chunk, Request, estimate_tokens, where_of
from compiler_nb.outcome import Usage
from compiler_nb.text import cut

ScriptedReply: TypeAlias = "str | Exception"
Script: TypeAlias = "ScriptedReply | Sequence[ScriptedReply] | Callable[[Request], ScriptedReply]"

ASKED: Final = 80
"""Characters of a request that an error shows."""
_QUESTION: Final = re.compile(r"^(Question: .+)", re.MULTILINE)
_PIECE: Final = re.compile(r"[^\S\n]?(?:\w{1,4}|[^\w\s]{1,4})\n?|\s")


class ScriptedModel:
    """A model whose replies are written in advance.

    replies: a list, taken in order, across runs too; a function of the request; or a dict by role of either, or of
    one text for every call (`repair` and `replan` fall back to `planner`). An exception among the replies is raised.
    ttft: seconds to the first piece; tokens_per_second: the pace after it, None means at once; repeat: whether a list
    that is used up starts again, as for a cell that is run again and again; name: what the model is called.
    `calls` holds the requests received. Raises a ModelError that names the request if there is no reply for it.
    """

    provider = "scripted"

    def __init__(
        self,
        replies: Script | Mapping[str, Script],
        *,
        ttft: float = 0.0,
        tokens_per_second: float | None = None,
        repeat: bool = False,
        name: str = "scripted",
    ) -> None:
        if tokens_per_second is not None and not tokens_per_second > 0:
            raise ValueError(f"tokens_per_second is {tokens_per_second!r}; give a number above 0, or None")
        self.replies, self.name, self.repeat = replies, name, repeat
        self.ttft, self.tokens_per_second = ttft, tokens_per_second
        self.calls: list[Request] = []
        self._used: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"ScriptedModel(name={self.name!r}, calls={len(self.calls)})"

    @property
    def identity(self) -> Any:
        """What it would say, by which a cache tells scripts apart."""
        return self.replies

    def reset(self) -> None:
        """Start again: the lists from their first replies, and without calls."""
        self.calls.clear()
        self._used.clear()

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """Yield the next reply for the request in token-like pieces, at the model's pace."""
        self.calls.append(request)
        reply = self._reply(request)
        loop = asyncio.get_running_loop()
        due = loop.time() + self.ttft
        await asyncio.sleep(self.ttft)
        if isinstance(reply, Exception):
            raise reply.with_traceback(None)
        for number, piece in enumerate(split_tokens(reply)):
            if self.tokens_per_second and number:
                # counted from the first piece, so that oversleeping once does not slow down the whole reply
                await asyncio.sleep(max(0.0, due + number / self.tokens_per_second - loop.time()))
            yield Chunk(piece)
        sent = sum(len(message["content"]) for message in request.messages)
        yield Chunk("", "stop", Usage(1, estimate_tokens(sent), estimate_tokens(len(reply))))

    def _reply(self, request: Request) -> ScriptedReply:
        role, script = self._script(request.role)
        if callable(script):
            script = script(request)
        elif isinstance(script, Sequence) and not isinstance(script, str):
            script = self._next(role, script)
        if not isinstance(script, str | Exception):
            kind = type(script).__name__
            said = f"the script's reply for the {request.role} is a {kind}; give a str"
            raise ModelError(f"{said} ({self._asked()})", **where_of(self))
        return script

    def _script(self, role: str) -> tuple[str, Any]:
        """Return the key under which the role's replies are counted, and the replies."""
        if not isinstance(self.replies, Mapping):
            return "", self.replies
        for key in (role, ASKED_IN.get(role, role)):
            if key in self.replies:
                return key, self.replies[key]
        given = ", ".join(map(str, self.replies)) or "none"
        said = f"the script has no reply for the {role}; it has replies for: {given}"
        hint = f"add one, or let it be the planner only (--planner, Compiler(planner=...)); {self._asked()}"
        raise ModelError(f"{said}; {hint if 'planner' in self.replies else self._asked()}", **where_of(self))

    def _next(self, role: str, replies: Sequence[ScriptedReply]) -> ScriptedReply:
        used = self._used.get(role, 0)
        if self.repeat and replies:
            used %= len(replies)
        if used >= len(replies):
            whose = f"the {role}" if role else "any role"
            what = "only reply" if len(replies) == 1 else f"{len(replies)} replies"
            said = f"the script's {what} for {whose} {'is' if len(replies) == 1 else 'are'} used up; {self._asked()}"
            hint = "make the model with repeat=True to run a cell again and again, call its reset(), or add a reply"
            raise ModelError(f"{said}; {hint}", **where_of(self))
        self._used[role] = used + 1
        return replies[used]

    def _asked(self) -> str:
        """Return what the last request asks, in words."""
        request = self.calls[-1]
        texts = [message["content"] for message in reversed(request.messages)]  # questions of examples stand above
        question = next(filter(None, map(_QUESTION.search, texts)), None)
        told = cut((question[1] if question else "\n".join(texts[:1])[-ASKED:]).strip(), ASKED)
        return f"the {request.role} asks for call {len(self.calls)}: {told}"


def split_tokens(text: str) -> list[str]:
    """Split a text into pieces of about a token each."""
    return _PIECE.findall(text)
