"""How a server holds a reply to a grammar: which kind of server it is, and what it is sent.

Kinds of servers
    llama.cpp   `grammar`, in GBNF; so does the engine of `local:`
    vllm        `structured_outputs`; before version 0.11 `guided_grammar`. It ignores the one that it does not know
    ollama      `response_format` with a JSON schema; so for plans in the dialect json only
    strict      `response_format` with the weaker schema of OpenAI's strict mode: OpenAI, Azure, and others like them
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

from compiler_nb.models.base import GrammarForm, Request
from compiler_nb.models.faults import refusal_of, words_of
from compiler_nb.models.providers import PROVIDERS
from compiler_nb.text import shorten

GrammarMode = Literal["auto", "on", "off"]
PATIENCE: Final = 2.0
"""Seconds that a server has to say what it is."""
OWN: Final = frozenset({
    "grammar", "structured_outputs", "guided_grammar", "guided_json", "guided_regex", "guided_choice", "json_schema",
    "response_format", "text", "format",
})  # fmt: skip
"""Parameters by which a user holds replies to something else."""
_NAMED: Final = re.compile(
    r"grammar|guided|structured|schema|response_format|\bformat\b|sampler", re.IGNORECASE
)  # fmt: skip
"""What a refusal names if the grammar is the reason."""
_STATUSES: Final = (400, 422, 500, 501)
"""Some servers call a grammar that they cannot read their own fault."""
_SINCE: Final = (0, 11)
"""The version of vLLM that renamed the field."""


class ServerKind(NamedTuple):
    """How a kind of server takes a grammar: in which form, and as which fields of the request."""

    form: GrammarForm
    fields: Callable[[str], dict[str, Any]]


def _schema(schema: str, **more: Any) -> dict[str, Any]:
    named = {"name": "reply", **more, "schema": json.loads(schema)}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


KINDS: Final = {
    "llama.cpp": ServerKind("gbnf", lambda text: {"grammar": text}),
    "vllm": ServerKind("gbnf", lambda text: {"structured_outputs": {"grammar": text}}),
    "old vllm": ServerKind("gbnf", lambda text: {"guided_grammar": text}),
    "ollama": ServerKind("json_schema", _schema),
    "strict": ServerKind("strict_schema", lambda text: _schema(text, strict=True)),
}
OWNERS: Final = {"llamacpp": "llama.cpp", "vllm": "vllm", "library": "ollama"}
"""Who owns the models that a server lists, by which it can be told."""
_FOUND: Final[dict[str, str]] = {}
"""The kinds of the servers that were asked, by address; "" for an unknown one."""


class Constraint(NamedTuple):
    """What a reply is held to, in words ("4 tools"), and how the request says it."""

    about: str = ""
    fields: Mapping[str, Any] = {}


class Grammars:
    """Whether and how one model's replies are held to grammars, and what its server refused."""

    def __init__(self, mode: GrammarMode, provider: str, address: str, parameters: Mapping[str, Any]) -> None:
        self.mode = "off" if OWN & parameters.keys() else mode
        self.provider, self.address = provider, address
        self._refused: set[str] = set()
        self._notices: list[str] = []

    async def hold(self, client: Any, request: Request) -> Constraint:
        """Return what a reply is held to; nothing if the server takes no grammar of that."""
        grammar = request.grammar
        if grammar is None or self.mode == "off" or grammar.about in self._refused:
            return Constraint()
        name = await self._kind(client)
        if not name:
            return Constraint()
        kind = KINDS[name]
        try:
            text = await asyncio.to_thread(grammar.text, kind.form)
        except ValueError:
            if self.mode == "on" and kind.form.endswith("schema") and request.role in ("planner", "repair", "replan"):
                self._tell(grammar.about, "the server takes a JSON schema only: write plans in the dialect json")
            return Constraint()
        return Constraint(grammar.about, kind.fields(text))

    def refuses(self, error: Exception, held: Constraint) -> bool:
        """Whether an error says that the server refuses a grammar. It is not sent again, and the user is told."""
        refused = refusal_of(error)
        if not held.about or refused is None or refused.status not in _STATUSES or not _NAMED.search(str(refused.body)):
            return False
        said = shorten(" ".join(words_of(refused.body).split()), 200)
        self._tell(held.about, f"the server refused it ({said})")
        return True

    def notice(self) -> str:
        """Return what the user must be told now, once; "" if nothing."""
        told = "; ".join(self._notices)
        self._notices.clear()
        return told

    def _tell(self, about: str, why: str) -> None:
        self._refused.add(about)
        hint = "grammar='off' does not try it"
        self._notices.append(f"the reply is written without the grammar of {about}: {why}; {hint}")

    async def _kind(self, client: Any) -> str:
        """Return the name of the server's kind, "" if no grammar is sent to it."""
        known = PROVIDERS.get(self.provider)
        own = self.provider == "openai" and known is not None and self.address != known.address
        if known is not None and not own:
            found = await self._version(client) if known.engine == "vllm" else known.engine
        else:
            found = await self._look(client)
        return found or ("strict" if self.mode == "on" else "")

    async def _look(self, client: Any) -> str:
        """Ask a server what it is, by whom its models are owned; once, if it answers."""
        if self.address not in _FOUND:
            listed, answered = await _get(client, "/models")
            models = listed.get("data") if isinstance(listed, dict) else None
            owners = [each.get("owned_by") for each in models or () if isinstance(each, dict)]
            found = next((OWNERS[owner] for owner in owners if owner in OWNERS), "")
            if found == "vllm":
                return await self._version(client)
            if answered:
                _FOUND[self.address] = found
            return found
        return _FOUND[self.address]

    async def _version(self, client: Any) -> str:
        """Return which of vLLM's two fields the server knows: the newer one, unless it says that it is old."""
        if self.address not in _FOUND:
            said, answered = await _get(client, f"{self.address.removesuffix('/v1')}/version")
            version = re.match(r"v?(\d+)\.(\d+)", str(said.get("version"))) if isinstance(said, dict) else None
            found = "old vllm" if version and tuple(map(int, version.groups())) < _SINCE else "vllm"
            if not answered:
                return found
            _FOUND[self.address] = found
        return _FOUND[self.address]


async def _get(client: Any, path: str) -> tuple[Any, bool]:
    """Return what a server answers, None if that is nothing of use, and whether it answered at all."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await client.get(path, cast_to=object, options={"timeout": PATIENCE}), True
    except Exception as error:  # noqa: BLE001 - whatever is wrong shows in the request that matters
        return None, refusal_of(error) is not None


def check_mode(mode: str) -> str:
    """Return why a mode is wrong, "" if it is right."""
    hint = "a grammar of your own goes by extra_body={'grammar': ...}"
    return "" if mode in ("auto", "on", "off") else f"grammar must be 'auto', 'on' or 'off', not {mode[:40]!r}; {hint}"
