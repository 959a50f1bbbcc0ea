"""The interface of models: a request goes in, pieces of text come out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from compiler_nb.outcome import Usage

Role: TypeAlias = Literal["planner", "repair", "replan", "joiner", "worker"]
ASKED_IN: Final = {"repair": "planner", "replan": "planner"}
"""The role whose model answers requests of another role."""
Message: TypeAlias = "Mapping[str, str]"
"""{"role": "system" | "user" | "assistant", "content": text}."""

GrammarForm: TypeAlias = Literal["gbnf", "lark", "json_schema", "strict_schema"]
"""What a grammar is written in; "strict_schema" is the weaker JSON schema that OpenAI's strict mode takes."""


class ReplyGrammar:
    """What a reply may be, for a model whose server can hold it to that. It is written only if a model wants it.

    about: what it is made of, in words ("4 tools"); write: returns it in a form, and raises ValueError if that form
    cannot say it.
    """

    def __init__(self, about: str, write: Callable[[GrammarForm], str]) -> None:
        self.about, self._write = about, write
        self._written: dict[GrammarForm, str] = {}

    def __repr__(self) -> str:
        return f"ReplyGrammar({self.about!r})"

    def text(self, form: GrammarForm) -> str:
        """Return the grammar in a form. Raises ValueError if that form cannot say it."""
        if form not in self._written:
            self._written[form] = self._write(form)
        return self._written[form]


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked: its role in the pattern, the messages, and the task that asks ("" if none does).

    prompt: the content hash of the prompt's text file; grammar: what the reply may be, None if that is open; a model
    that cannot hold its reply to it leaves it out.
    """

    role: Role
    messages: tuple[Message, ...]
    task: str = ""
    prompt: str = ""  # content hash of the prompt's text file
    grammar: ReplyGrammar | None = field(default=None, compare=False)


class Chunk(NamedTuple):
    """A piece of text; the last one says why the model ended (finish: "stop", "length", ...) and what it used (usage).

    A stream that never gives a `finish` was cut, unless it yields only plain strings. A chunk without text shows that
    the model is still thinking. model: the name that the reply itself gives, or ""; grammar: what the whole reply is
    held to, in words ("4 tools"), or ""; notice: what the user should know of the reply, or ""; template: what the
    server's chat template makes of messages in the request's roles, or "".
    """

    text: str = ""
    finish: str = ""
    usage: Usage | None = None
    model: str = ""
    grammar: str = ""
    notice: str = ""
    template: str = ""


@runtime_checkable
class Model(Protocol):
    """A language model, or anything that can stand in for one.

    name: the model's own name; provider: whose limits its calls count against. It may have more: `secrets`, which no
    text may show; `patience`, the seconds that it may be silent before its text begins, if that is longer than usual;
    `prompts`, "small" if it wants short ones; `dialect`, the language in which it plans best, if that is not python;
    `for_role`, which returns the Model that answers in a role; `hide_keys`, which is told the keys of all models of a
    run; `backoff`, the seconds before a second try, if they are not the usual ones; `learn_shapes`, False if it must
    not be told what tools returned in earlier runs; `identity`, what its replies depend on beside the request, by which
    a cache tells it from others of its name.
    """

    name: str
    provider: str

    def stream(self, request: Request) -> AsyncIterator[Chunk | str]:
        """Yield the reply in pieces; raise a ModelError if there is none."""
        ...


def where_of(model: Model) -> dict[str, Any]:
    """Return what a ModelError says of the model: its arguments `provider` and `model`."""
    return {"provider": model.provider, "model": model.name}


def estimate_tokens(characters: int) -> int:
    """Estimate the tokens of a text by its characters: a quarter, rounded up."""
    return -(-characters // 4)


def estimate_request(request: Request) -> int:
    """Estimate the tokens that a request sends."""
    return estimate_tokens(sum(len(message["content"]) for message in request.messages))
