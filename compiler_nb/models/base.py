"""The seam to a model: a request goes in, pieces of text come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from compiler_nb.outcome import Usage

Role: TypeAlias = Literal["planner", "repair", "replan", "joiner", "worker"]
Message: TypeAlias = "Mapping[str, str]"
"""{"role": "system" | "user" | "assistant", "content": text}."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked: its role in the pattern, the messages, and the task that asks ("" if none does)."""

    role: Role
    messages: tuple[Message, ...]
    task: str = ""
    prompt: str = ""  # content hash of the prompt's text file


class Chunk(NamedTuple):
    """A piece of text; the last one says why the model ended ("stop", "length", ...), what it used, and who it was.

    A stream that never gives a `finish` was cut, unless it yields only plain strings. A chunk without text shows that
    the model is still thinking. model: the name that the reply itself gives, or "".
    """

    text: str = ""
    finish: str = ""
    usage: Usage | None = None
    model: str = ""


@runtime_checkable
class Model(Protocol):
    """A language model, or anything that can stand in for one.

    name: the model's own name; provider: whose limits its calls count against.
    """

    name: str
    provider: str

    def stream(self, request: Request) -> AsyncIterator[Chunk | str]:
        """Yield the reply in pieces; raise a ModelError if there is none."""
        ...
