"""How a server holds a reply to a grammar: which kind of server it is, and what it is sent.

Kinds of servers
    llama.cpp   `grammar`, in GBNF; so does the engine of `local:`
    vllm        `structured_outputs`; before version 0.11 `guided_grammar`. It ignores the one that it does not know
    ollama      `response_format` with a JSON schema; so for plans in the dialect json only
    strict      `response_format` with the weaker schema of OpenAI's strict mode: OpenAI, Azure, and others like them

A server that refuses a request under a grammar is asked without it. If it names the grammar, that is the reason. If it
names nothing (a bare "Bad request", a proxy's 413), the grammar was the reason if the request is taken without it.
What is remembered is this very grammar. Another one is tried, unless the server says that it knows none, or has refused
two and taken none.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

from compiler_nb.models.base import GrammarForm, Request
from compiler_nb.models.faults import as_line, has_plain_cause, is_timeout, refusal_of, words_of
from compiler_nb.models.providers import PROVIDERS
from compiler_nb.models.wire import StatusError
from compiler_nb.text import shorten

GrammarMode = Literal["auto", "on", "off"]
PATIENCE: Final = 2.0
"""Seconds that a server has to say what it is."""
SILENT: Final = 60.0
"""Seconds for which a server that did not say what it is is not asked again."""
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
_DOUBTFUL: Final = (400, 413, 422)
"""A grammar may be the reason although the refusal does not name it."""
_UNKNOWN: Final = re.compile(
    r"\bextra[ _]|unrecogni[sz]ed|(?:unknown|unsupported|unexpected) (?:field|parameter|argument|property|name|value)"
    r"|enabled only|(?:does not|n't) support|not supported (?:with|by) this",
    re.IGNORECASE,
)
"""What a refusal says if the server knows no grammar at all; otherwise it could not read this one."""
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
"""Owners of the models that a server lists, which tell what kind of server it is."""
_FOUND: Final[dict[str, str]] = {}
"""The kinds of the servers that were asked, by address; "" for an unknown one."""


_QUIET: Final[dict[str, float]] = {}
"""Until when a server that did not answer is not asked again, by its address, on the monotonic clock."""


class Constraint(NamedTuple):
    """What a reply is held to, in words ("4 tools"), how the request says it, and the digest of the grammar."""

    about: str = ""
    fields: Mapping[str, Any] = {}
    digest: str = ""


class Doubt(NamedTuple):
    """A grammar with which a request was refused, and what the server said."""

    held: Constraint
    said: str


class Grammars:
    """Whether and how one model's replies are held to grammars, and what its server refused."""

    def __init__(self, mode: GrammarMode, provider: str, address: str, parameters: Mapping[str, Any]) -> None:
        self.mode = "off" if OWN & parameters.keys() else mode
        self.provider, self.address, self.parameters = provider, address, parameters
        self._refused: set[str] = set()  # digests of grammars
        self._taken = self._takes_none = False
        self._said: set[str] = set()
        self._notices: list[str] = []

    async def hold(self, client: Any, request: Request) -> Constraint:
        """Return what a reply is held to; nothing if the server takes no such grammar."""
        grammar = request.grammar
        if grammar is None or self.mode == "off" or self._takes_none:
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
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return Constraint() if digest in self._refused else Constraint(grammar.about, kind.fields(text), digest)

    def refuses(self, error: Exception, held: Constraint) -> bool:
        """Whether an error says that the server refuses a grammar. It is not sent again, and the user is told."""
        refused = refusal_of(error)
        if not held.about or refused is None or refused.status not in _STATUSES or not _NAMED.search(str(refused.body)):
            return False
        self._takes_none = _UNKNOWN.search(str(refused.body)) is not None
        self._forbid(held, f"the server refused it ({_quote(refused)})")
        return True

    def doubt(self, error: Exception, held: Constraint) -> Doubt | None:
        """Return what a server says when it refuses a request, if the grammar may be the reason, named or not."""
        refused = refusal_of(error)
        if not held.about or refused is None or refused.status not in _DOUBTFUL:
            return None
        return None if has_plain_cause(refused, self.parameters) else Doubt(held, _quote(refused))

    def learn(self, held: Constraint, doubt: Doubt | None) -> None:
        """Learn from a request that was accepted: with a grammar, or only without the one in doubt."""
        self._taken = self._taken or held.about != ""
        if doubt is not None:
            self._forbid(doubt.held, f"the server refused the request with it ({doubt.said}), and took it without")

    def _forbid(self, held: Constraint, why: str) -> None:
        self._refused.add(held.digest)
        self._takes_none = self._takes_none or (not self._taken and len(self._refused) > 1)
        self._tell(held.about, why)

    def notice(self) -> str:
        """Return what the user must be told now, once; "" if nothing."""
        told = "; ".join(self._notices)
        self._notices.clear()
        return told

    def _tell(self, about: str, why: str) -> None:
        told = f"the reply is written without the grammar of {about}: {why}; grammar='off' does not try it"
        if told not in self._said:
            self._said.add(told)
            self._notices.append(told)

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
            listed, answered = await _get(client, f"{self.address}/models")
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


async def _get(client: Any, address: str) -> tuple[Any, bool]:
    """Return what a server answers, None if that is of no use, and whether it answered at all.

    One that is silent is left alone for a while, so that it does not hold up each call.
    """
    if time.monotonic() < _QUIET.get(address, 0.0):
        return None, False
    try:
        async with asyncio.timeout(PATIENCE):
            return await client.get(address, cast_to=object, options={"timeout": PATIENCE}), True
    except Exception as error:  # noqa: BLE001 - whatever is wrong shows in the request that matters
        if is_timeout(error):
            _QUIET[address] = time.monotonic() + SILENT
        return None, refusal_of(error) is not None


def _quote(refused: StatusError) -> str:
    """Return what a server says of a refusal, in one line."""
    return shorten(as_line(words_of(refused.body)), 200) or f"status {refused.status}"


def check_mode(mode: str) -> str:
    """Return why a mode is wrong, "" if it is right."""
    hint = "a grammar of your own goes by extra_body={'grammar': ...}"
    return "" if mode in ("auto", "on", "off") else f"grammar must be 'auto', 'on' or 'off', not {mode[:40]!r}; {hint}"
