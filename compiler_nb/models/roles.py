"""Models whose chat templates have no system role: this is found out once; they get the rules with the first question.

A server renders the messages by the model's own template, and some of those raise an error at a system message. It is
the server's answer then, mostly with the status 400, in words of the template's author.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from compiler_nb.models.base import Message
from compiler_nb.models.faults import refusal_of, words_of
from compiler_nb.text import shorten

STATUSES: Final = (400, 422, 500, 501)
"""Some servers call what a template raises their own fault."""
_REFUSED: Final = re.compile(
    r"\bsystem\W{1,3}(?:role|message|prompt|instruction)s?\b.{0,20}(?:not|n't|un) ?(?:supported|allowed|enabled)"
    r"|not support.{0,40}\bsystem\W{1,3}(?:role|message|prompt|instruction|with)"
    r"|(?:unsupported|unexpected|unknown|invalid) (?:message )?role\b"
    r"(?!\W{1,4}(?:user|assistant|tool|function|developer)\b)"
    r"|\brole\W{1,4}system\W{1,3}(?:is )?not (?:supported|allowed)"
    r"|only user(?:,| and) assistant[\w ,]* roles are supported(?!, with)"
    r"|(?<!optional system message, )conversation roles must alternate"
    r"|developer instruction is not enabled",
    re.IGNORECASE,
)
_WITHOUT: Final[set[tuple[str, str]]] = set()
"""Models that refused a system message, by the server's address and their names."""


class Roles:
    """In which roles one model of a server takes messages."""

    def __init__(self, address: str, model: str) -> None:
        self._who = (address, model)
        self._notice = ""

    def fit(self, messages: Sequence[Message]) -> list[Message]:
        """Return messages as they are sent: without a system role, if the model knows none."""
        return fold(messages) if self._who in _WITHOUT else list(messages)

    def refuses(self, error: Exception, sent: Iterable[Message]) -> bool:
        """Whether an error says that the model knows no system role. It is not sent one again, and the user is told."""
        refused = refusal_of(error)
        if refused is None or refused.status not in STATUSES or not _has_system(sent):
            return False
        said = words_of(refused.body)
        if not _REFUSED.search(said):
            return False
        if self._who not in _WITHOUT:
            why = shorten(" ".join(said.split()), 200)
            self._notice = f"the model knows no system role ({why}): it is told the rules with the first question"
        _WITHOUT.add(self._who)
        return True

    def notice(self) -> str:
        """Return what the user must be told now, once; "" if nothing."""
        told, self._notice = self._notice, ""
        return told

    def template(self, messages: Sequence[Message]) -> str:
        """Return what the model reads of messages in these roles, "" if they are sent as they are.

        `{system}` stands for what the system message says.
        """
        if self._who not in _WITHOUT or not _has_system(messages):
            return ""
        read = fold([{"role": message["role"], "content": f"{{{message['role']}}}"} for message in messages])
        return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in read)


def fold(messages: Sequence[Message]) -> list[Message]:
    """Return messages with the text of the system's at the beginning of the first user's."""
    told = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    rest = [message for message in messages if message["role"] != "system"]
    if not told:
        return rest
    at = next((place for place, message in enumerate(rest) if message["role"] == "user"), None)
    if at is None:
        return [{"role": "user", "content": told}, *rest]
    rest[at] = {**rest[at], "content": f"{told}\n\n{rest[at]['content']}"}
    return rest


def _has_system(messages: Iterable[Message]) -> bool:
    return any(message["role"] == "system" for message in messages)
