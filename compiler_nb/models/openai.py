"""Any OpenAI-compatible server as a model, through the official SDK.

Theory of operation
    The SDK signs, sends and pools; `wire` reads the bytes of the reply, since the SDK's own reading costs ten times as
    much. The SDK does not retry: `calls` does, because only it knows whether a piece was already used.
    A client is bound to the event loop on which it was first used, so each loop has its own; models of one server share
    it, with its open connections. A generator that the loop knows closes them when the loop shuts down.
    An error of the SDK holds the request and so the key: it is caught, `faults.explain` makes one of ours from it, and
    that is raised when no exception is being handled, so that Python does not chain the SDK's error to it.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from compiler_nb.errors import AuthenticationFailed, BadRequest, ModelError, ModelRefused, ProviderUnavailable
from compiler_nb.models import prices, warm
from compiler_nb.models.base import Chunk, Message, Request
from compiler_nb.models.body import bytes_of, refuse_errors, whole
from compiler_nb.models.faults import Where, explain, final, is_hung_up, refusal_of
from compiler_nb.models.grammars import Constraint, Doubt, GrammarMode, Grammars, check_mode
from compiler_nb.models.limits import of_loop
from compiler_nb.models.logs import mask_logs
from compiler_nb.models.providers import AD_TOKEN, PROVIDERS, Key, find_address, find_key
from compiler_nb.models.responses import ResponseReply, needs_responses, request_body
from compiler_nb.models.roles import Roles
from compiler_nb.models.secret import Secret
from compiler_nb.models.sensitive import refuse_keys, to_hide
from compiler_nb.models.wire import EVENTS, Completion, EventReader, form_of

LOOK: Final = 4_096
"""Bytes that are looked at to tell what a body is; some servers send blank lines while a model thinks."""
QUOTED: Final = 200
"""Characters quoted of a page that came instead of a reply."""
DRAIN: Final = 0.05
"""Seconds to wait for the body to end after the reply, so that the connection can be used again."""
REFUSED: Final = (400, 422)
"""The statuses for a request that holds something that the server does not know."""
RESOURCES: Final = {"chat": "chat.completions", "responses": "responses"}
"""The parts of the SDK by the API that they speak."""
_CLIENTS: Final[dict[asyncio.AbstractEventLoop, AsyncGenerator[dict[str, _Client], None]]] = {}


@dataclass(slots=True)
class _Client:
    """A client of the SDK; used: whether a request was sent, so that a connection may wait in its pool."""

    client: Any
    used: bool = False


class OpenAIModel:
    """A model behind the chat completions of OpenAI, or of any server that speaks like it.

    base_url: the server, by default the provider's; api_key: by default `set_key`'s, then the environment's;
    api: "responses" for models that only OpenAI's Responses API serves, which takes the same parameters;
    provider: whose limits its calls count against; stream: False asks for the whole reply at once;
    grammar: "auto" holds plans, decisions and extracted values to a grammar if the server is known to take one
    (llama.cpp, vLLM, Ollama), "on" asks any server for it, "off" none;
    connect_timeout, read_timeout: seconds to connect, and between two reads; grace: seconds to wait for the numbers
    that follow the text; api_version: Azure's dated API, by default OPENAI_API_VERSION or none;
    extra_headers: further headers of each request; transport: one of the HTTP client's own, in place of its
    connections: for a proxy, a certificate, a test; parameters: what else the request says (temperature,
    reasoning_effort, max_tokens, ...), as the server calls it.

    If the server gives no finish reason, neither does the stream: the caller then treats the reply as cut off.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | Secret | None = None,
        api: Literal["chat", "responses"] = "chat",
        provider: str = "openai",
        stream: bool = True,
        grammar: GrammarMode = "auto",
        connect_timeout: float = 10.0,
        read_timeout: float = 600.0,
        grace: float = 1.0,
        api_version: str | None = None,
        extra_headers: Mapping[str, str | Secret] | None = None,
        transport: Any = None,
        **parameters: Any,
    ) -> None:
        # hidden before anything can fail, because a verbose traceback shows the arguments of every frame
        api_key = hidden_key = Secret(api_key) if api_key else None
        extra_headers = hidden_headers = {name: Secret(value) for name, value in (extra_headers or {}).items()}
        refuse_keys(parameters, PROVIDERS[provider].key_variables if provider in PROVIDERS else ())
        self.name, self.provider, self.address, self.streaming = model, provider, "", stream
        self.address = find_address(provider, base_url)
        self.connect_timeout, self.read_timeout, self.grace = connect_timeout, read_timeout, grace
        self.api_version, self.transport = api_version, transport
        self.parameters = {**parameters.pop("extra_body", {}), **parameters}
        self._given_key, self._headers = hidden_key, hidden_headers
        if api not in RESOURCES:
            raise BadRequest(f"api must be 'chat' or 'responses', not {api!r}", provider=provider, model=model)
        if wrong := check_mode(grammar):
            raise BadRequest(wrong, provider=provider, model=model)
        self.api = api
        self.grammars = Grammars(grammar, provider, self.address, self.parameters)
        self.roles = Roles(self.address, model)
        self._asks_usage = api == "chat"  # until the server refuses to be asked
        # Models that need the Responses API think for minutes without a word.
        self.patience = read_timeout if api == "responses" else 0.0

    def __repr__(self) -> str:
        return f"OpenAIModel({self.name!r}, provider={self.provider!r}, base_url={self.address!r})"

    @property
    def identity(self) -> dict[str, Any]:
        """What its replies depend on beside the request."""
        return {**self.parameters, "api": self.api, "grammar": self.grammars.mode}

    def saying(self, **parameters: Any) -> Self:
        """Return a copy whose requests say these parameters, in place of its own of the same names."""
        copied = copy.copy(self)
        copied.parameters = {**self.parameters, **parameters}
        return copied

    def prepare(self) -> None:
        """Begin, in the background, to import what the first call needs."""
        resource = RESOURCES[self.api]

        def load() -> None:
            warm.load(resource)
            prices.load()

        warm.begin(resource, load)

    @property
    def hint(self) -> str:
        """What to try if a server refuses the model: its name may be one of the other API."""
        if self.api == "responses":
            return "if the server has no Responses API, leave api='responses' out"
        needed = f"{self.name} is served by the Responses API only: give api='responses'"
        return needed if needs_responses(self.name) else ""

    @property
    def key(self) -> Key:
        """The key that the next call uses, and where it comes from."""
        return find_key(self.provider, self._given_key)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What no stored or shown text may contain: its key, and the values of those of its headers that hold one."""
        return self._where(self.key).secrets

    @property
    def needs_key(self) -> bool:
        """Whether the provider needs a key for every call."""
        known = PROVIDERS.get(self.provider)
        return known is not None and known.needs_key and known.address in ("", self.address)

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:  # noqa: C901, PLR0912 - a fault at each step
        """Yield the reply as it arrives; an empty chunk means that the model is thinking."""
        key = self.key
        where = self._where(key, request)
        if self.needs_key and not key.secret:
            raise self._no_key(where)
        if key.secret and not key.secret.is_sendable:  # the HTTP client would show it, also in its log
            what = "the key contains a line break or another invalid character; check that it was copied correctly"
            raise where.error(AuthenticationFailed, f"{what} (it came from: {key.source})")
        reply, events = (ResponseReply() if self.api == "responses" else Completion()), EventReader()
        response: Any = None
        fault: ModelError | None = None
        form, begin, data, text = "", b"", b"", ""
        held: Constraint | None = None
        try:
            kept = await self._client(key)
            held = await self._hold(kept, request)
            async with AsyncExitStack() as opened:
                response, held = await self._answer(opened, kept, request, held)
                body = await opened.enter_async_context(aclosing(bytes_of(response.http_response)))
                async for data in body:
                    if form != "events":  # what it is shows in its first bytes
                        begin += data
                        form = form_of(begin, _kind(response), ended=len(begin) > LOOK)
                        if form != "events":
                            if form:
                                break
                            continue
                        data = begin  # noqa: PLW2901 - events begin with it
                    text = reply.absorb(events.feed(data))
                    if text or reply.thinks:
                        yield self._begin(text, held, request)
                        held, reply.thinks = None, False
                    if reply.ended:
                        break
                form = form or form_of(begin, _kind(response), ended=True)
                if form == "events":
                    await self._rest(body, events, reply)
                elif form == "json":
                    text = reply.absorb([await whole(body, begin)])
                    yield self._begin(text, held, request)
                else:
                    fault = await _page(response, begin, body, where)
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises becomes an error of ours
            fault = explain(error, where, begun=response is not None)
        # a traceback shows local variables, and a provider may have repeated the key in them
        begin, data, text = b"", b"", ""
        fault = fault or _fault_of(reply, where)
        if fault is not None:
            if response is not None:
                fault.request_id = where.clean(response.request_id or "", 100)
            raise fault
        yield Chunk("", where.clean(reply.ending), reply.usage, where.clean(reply.model))

    async def _rest(self, body: AsyncGenerator[bytes, None], events: EventReader, reply: Completion) -> None:
        """Read what follows the text, above all its usage, but wait no longer than the grace."""
        if not reply.ended:
            reply.absorb(events.close())
        elif not reply.broken:
            with suppress(Exception) if reply.finish else nullcontext():  # the reply is whole, whatever follows
                if not reply.done:
                    await _read_on(body, events, reply, self.grace)
                await _read_on(body, events, reply, DRAIN, to_end=True)

    async def _hold(self, kept: _Client, request: Request) -> Constraint:
        """Return what the reply is held to; for that, the server may be asked what it is."""
        held = await self.grammars.hold(kept.client, request)
        kept.used = kept.used or held.about != ""
        return held

    def _begin(self, text: str, held: Constraint | None, request: Request) -> Chunk:
        """Return a piece of text; the first one says what the reply is `held` to, and how it was asked."""
        if held is None:
            return Chunk(text)
        notice = "; ".join(filter(None, (self.roles.notice(), self.grammars.notice())))
        return Chunk(text, grammar=held.about, notice=notice, template=self.roles.template(request.messages))

    async def _answer(
        self, opened: AsyncExitStack, kept: _Client, request: Request, held: Constraint
    ) -> tuple[Any, Constraint]:
        """Send a request and return the response, to be closed with `opened`, and what the reply is held to.

        It is sent once more if the server closed a connection that waited in the pool, just when it was used; and if
        the server refuses `stream_options`, the grammar or the system role, which it is not sent from then on. A
        refusal that names nothing may be meant for the grammar: that shows if the request is taken without it.
        """
        may_be_closed, kept.used = kept.used, True
        messages = self.roles.fit(request.messages)
        doubt: Doubt | None = None
        while True:
            try:
                response = await opened.enter_async_context(self._create(kept.client, messages, held.fields))
            except Exception as error:
                if may_be_closed and is_hung_up(error):
                    may_be_closed = False
                elif self._refuses_options(error):
                    self._asks_usage = False
                elif self.grammars.refuses(error, held):
                    held = Constraint()
                elif self.roles.refuses(error, messages):
                    messages = self.roles.fit(request.messages)
                elif found := self.grammars.doubt(error, held):
                    doubt, held = found, Constraint()
                else:
                    raise
            else:
                self.grammars.learn(held, doubt)
                return response, held

    def _refuses_options(self, error: Exception) -> bool:
        """Whether a server refuses a request because it asks for the usage of a stream."""
        is_ours = self.streaming and self._asks_usage and "stream_options" not in self.parameters
        refused = refusal_of(error)
        return is_ours and refused is not None and refused.status in REFUSED and "stream_options" in str(refused.body)

    def _create(self, client: Any, messages: Sequence[Message], fields: Mapping[str, Any]) -> Any:
        said: dict[str, Any] = {"stream": True} if self.streaming else {}
        if self.streaming and self._asks_usage:
            said["stream_options"] = {"include_usage": True}
        parameters = {**self.parameters, **fields}
        body = {name: value for name, value in {**said, **parameters}.items() if value is not None}
        more: dict[str, Any] = {"model": self.name, "extra_headers": {"Accept-Encoding": "identity"}}
        if self.api == "responses":
            asked = request_body(messages, parameters, streaming=self.streaming)
            return client.responses.with_streaming_response.create(extra_body=asked, **more)
        turns = [dict(message) for message in messages]
        return client.chat.completions.with_streaming_response.create(messages=turns, extra_body=body, **more)

    async def _client(self, key: Key) -> _Client:
        """Return this loop's client. Importing the SDK takes long, so it does not happen on the loop."""
        if not warm.is_loaded(RESOURCES[self.api]):
            await asyncio.to_thread(warm.load, RESOURCES[self.api])
        keeper = of_loop(_CLIENTS, _clients_of_loop)
        clients = await anext(keeper)  # its first step lets the loop know it
        headers = {name: value.reveal() for name, value in self._headers.items()}
        settings: list[object] = [
            self.provider, self._version, self.address, self.connect_timeout, self.read_timeout,
            self.transport and id(self.transport), headers, key.secret and key.secret.reveal(),
        ]  # fmt: skip
        # as a digest, so that no key stands in the table of clients
        digest = hashlib.blake2b(repr(settings).encode()).hexdigest()
        if digest not in clients:
            clients[digest] = _Client(self._build(key, headers))
        return clients[digest]

    @property
    def _is_resource(self) -> bool:
        """Whether the address is that of a whole Azure resource, below which the API has a path of its own."""
        return self.provider == "azure" and not self.address.endswith("/v1")

    @property
    def _version(self) -> str:
        """Azure's dated API, or "" for the one without a date."""
        return (self.api_version or os.environ.get("OPENAI_API_VERSION", "")) if self._is_resource else ""

    def _build(self, key: Key, headers: dict[str, str]) -> Any:
        import openai  # noqa: PLC0415 - `warm` has imported it

        timeout = openai.Timeout(self.read_timeout, connect=self.connect_timeout, pool=None)
        http = openai.DefaultAsyncHttpxClient(
            follow_redirects=False, timeout=timeout, transport=self.transport, verify=warm.tls(),
            event_hooks={"response": [refuse_errors]},
        )  # fmt: skip
        mask_logs(self._where(key).secrets)
        shown = key.secret.reveal() if key.secret else "none"
        settings: dict[str, Any] = {"timeout": timeout, "max_retries": 0, "http_client": http}
        if self._version:
            settings["azure_ad_token" if key.source == AD_TOKEN else "api_key"] = shown
            return openai.AsyncAzureOpenAI(
                azure_endpoint=self.address, api_version=self._version, default_headers=headers, **settings
            )
        if not any(name.lower() == "authorization" for name in headers):
            # given explicitly, so that no other authorization from the environment takes its place
            headers["Authorization"] = f"Bearer {shown}"
        address = f"{self.address}/openai/v1" if self._is_resource else self.address
        client = openai.AsyncOpenAI(base_url=address, default_headers=headers, api_key=shown, **settings)
        if self.provider != "openai":
            client.organization = client.project = None  # those in the environment are for OpenAI only
        return client

    def _where(self, key: Key, request: Request | None = None) -> Where:
        secrets = to_hide(key.secret, headers=self._headers)
        return Where(self.provider, self.name, self.address, key.source, secrets, request, self.hint)

    def _no_key(self, where: Where) -> ModelError:
        variables = " or ".join(PROVIDERS[self.provider].key_variables)
        ways = f"set {variables}, or give it with %compile model {self.provider}:{self.name} --key"
        return where.error(AuthenticationFailed, f"no key was found; {ways}")


async def _clients_of_loop() -> AsyncGenerator[dict[str, _Client], None]:
    """Yield the clients of the running loop, as often as they are asked for; close them when the loop shuts down.

    A loop that shuts down closes the generators that took a step on it, while connections can still be closed.
    """
    clients: dict[str, _Client] = {}
    try:
        while True:
            yield clients
    finally:
        _CLIENTS.pop(asyncio.get_running_loop(), None)
        for kept in clients.values():
            with suppress(Exception):
                await kept.client.close()


def _fault_of(reply: Completion, where: Where) -> ModelError | None:
    if reply.broken:
        return explain(reply.broken, where, begun=True)
    if reply.refusal:
        said = where.clean(reply.refusal)
        return where.error(ModelRefused, "the model declined; rephrase the question", said, text=said)
    if reply.tools and not reply.spoke:
        what = "the reply is only calls of tools, without a text; tool_choice='none' may help, or the server's settings"
        fault = where.error(ModelError, what, ", ".join(reply.tools))
        fault.retryable = True
        return fault
    return None


def _kind(response: Any) -> str:
    """Return the kind of a body: `stream` keeps it in no variable, since a provider may have repeated the key in it."""
    return str(response.headers.get("content-type", EVENTS)).partition(";")[0].strip().lower()


async def _page(response: Any, page: bytes, body: AsyncGenerator[bytes, None], where: Where) -> ModelError:
    """Return the error for a page that came instead of a reply: from a proxy, a login, a wrong address."""
    async for data in body:
        page += data
        if len(page) > QUOTED * 20:
            break
    said = where.clean(page.decode("utf-8", "replace"), QUOTED)
    kind = _kind(response)
    what = f"a proxy or a wrong address answered {'HTML' if 'html' in kind else kind or 'something else'}"
    return final(where.error(ProviderUnavailable, what, said, status=response.status_code))


async def _read_on(
    body: AsyncGenerator[bytes, None], events: EventReader, reply: Completion, seconds: float, *, to_end: bool = False
) -> None:
    """Read until nothing follows, or time is up; to_end: to the body's end, so that its connection is free again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for data in body:
                reply.absorb(events.feed(data))
                if reply.done and not to_end:
                    return
