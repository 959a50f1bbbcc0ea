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
    """What a model is asked: its role in the pattern, the messages, and the task that asks ("" where none does)."""

    role: Role
    messages: tuple[Message, ...]
    task: str = ""
    prompt: str = ""  # content hash of the prompt's text file


class Chunk(NamedTuple):
    """A piece of text; the last one says why the model ended ("stop", "length", ...), what it used, and who it was.

    A stream that never says a `finish` was cut, unless all that it yields is plain strings. A chunk without text is a
    sign of life of a model that thinks. model: the name that the reply itself gives, "" where it gives none.
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
        """Yield the reply in pieces; raise a ModelError where there is none."""
        ...
