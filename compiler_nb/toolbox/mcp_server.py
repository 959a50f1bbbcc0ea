"""One MCP server, as a client knows it: how to reach it, its tools, and its answers, with errors that name it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from compiler_nb.errors import ServerLost, ToolError, ToolUnavailable
from compiler_nb.models.secret import Secret, mask
from compiler_nb.models.sensitive import is_ordinary, means_key
from compiler_nb.text import describe_error, shorten
from compiler_nb.toolbox.mcp_wire import Inspector, address_streams, process_streams

INSTALL: Final = 'pip install "compiler_nb[mcp]"'
PAGES: Final = 1_000
"""Pages of a list of tools."""
TOOLS: Final = 10_000
"""Tools of one server."""
WORDS: Final = 2_000
"""Characters of what a server says that an error repeats."""
ENDED: Final = "it ended before it answered"
_CLOSED: Final = "Connection closed"
"""The same in the SDK's words."""
LINES: Final = 8
"""Lines of its standard error that an error repeats."""
_KEY: Final = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])[^\s/\\:]{16,}")
"""A value that looks like a key, whatever its name is."""
SHORTEST: Final = 8
"""Fewest characters of a word of a command that may be a key: `--max-token 5` holds none, and 5 is in many results."""
Tell: TypeAlias = Callable[[float, float | None, str | None], Awaitable[None]]
"""Called with how far a call has come: how much is done, of how much, and in words."""


@dataclass(frozen=True, eq=False)
class Server:
    """How to reach a server: by a command that starts it, or at an address. label: what errors call it.

    seconds: the longest that it may take to start and to list its tools. Its repr holds no variable and no header.
    """

    label: str
    command: tuple[str, ...] = field(default=(), repr=False)
    url: str = field(default="", repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = field(default=None, repr=False)
    seconds: float = 30.0

    @property
    def known_by(self) -> tuple[str, ...]:
        """What distinguishes it from others, without variables, headers and parts of an address: these may be keys."""
        parts = urlsplit(self.url)
        return (self.label, *self.command, parts.hostname or "", str(parts.port), parts.path)

    @functools.cached_property
    def secrets(self) -> tuple[Secret, ...]:
        """What no text may show: keys among the variables, the headers, and in the address."""
        parts = urlsplit(self.url)
        given = [*self.env.items(), *self.headers.items(), *parse_qsl(parts.query), ("password", parts.password or "")]
        given += _named_in(self.command)
        found = []
        for name, value in given:
            inner = urlsplit(value).password if "://" in value else None
            words = [inner] if inner else value.split() if means_key(name) else _KEY.findall(value)
            found += [word for word in words if not is_ordinary(word)]
        return tuple(map(Secret, dict.fromkeys([*found, *map(unquote, found)])))

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Start or reach the server, and give the connection, which ends with the block.

        Raises ToolUnavailable if that cannot be done in time.
        """
        client_type = _client_type()
        inspector = Inspector()
        streams = (
            process_streams(self.command, self.env, self.cwd, inspector)
            if self.command
            else address_streams(self.url, self.headers, inspector)
        )
        client = client_type(streams, cache=None)
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(self.seconds):  # not anyio's scope: it ends while the client is open
                    await stack.enter_async_context(client)
                yield Connection(self, client, inspector)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - a group of errors is none of Exception's
            first = _first(error)
            if isinstance(first, ToolError):  # raised by whoever holds the connection
                raise first from None
            inspector.cause = _why(first, self.seconds)
            raise ToolUnavailable(self.told("", inspector)) from None

    def told(self, what: str, inspector: Inspector | None = None) -> str:
        """Return what is wrong with the server, with what it said last, without secrets."""
        reason = what
        if inspector is not None:
            reason = (inspector.fault or what or inspector.cause) + inspector.denial
            if inspector.status:
                reason += f"; it ended with the status {inspector.status}"
            if inspector.stray:
                reason += f"; its standard output is not a message of the protocol: {inspector.stray!r}"
            if inspector.heard:
                reason += "; it said last:\n" + "\n".join(inspector.heard.splitlines()[-LINES:])
        return mask(f"the server {self.label!r}: {shorten(reason, WORDS)}", self.secrets)


@dataclass(eq=False)
class Connection:
    """An open session with a server."""

    server: Server
    client: Any
    inspector: Inspector

    @property
    def broken(self) -> bool:
        """Whether the server has ended, or does not keep to the protocol."""
        return self.inspector.ended

    @property
    def identity(self) -> tuple[str, str]:
        """The server's name and version, as it says itself."""
        info = self.client.server_info
        return (info.name, info.version) if info is not None else ("", "")

    async def tools(self) -> list[Any]:
        """Return the server's tools, as the SDK has them. Raises ToolUnavailable if they cannot be listed in time."""
        found: list[Any] = []
        cursor = None
        try:
            async with asyncio.timeout(self.server.seconds):
                for _ in range(PAGES):
                    page = await self.client.list_tools(cursor=cursor)
                    found += page.tools
                    cursor = page.next_cursor
                    if cursor is None or len(found) > TOOLS:
                        break
        except Exception as error:  # noqa: BLE001 - whatever it was, the server could not be asked
            raise ToolUnavailable(
                self.server.told(_why(error, self.server.seconds, "list its tools"), self.inspector)
            ) from None
        if cursor is not None:
            raise ToolUnavailable(self.server.told(f"it lists more than {TOOLS:,} tools, or without an end"))
        return found

    async def call(self, name: str, arguments: dict[str, Any], tell: Tell | None) -> Any:
        """Return what a call of a tool gives, as the SDK has it.

        Raises ServerLost if the server ended before it answered, ToolError if it refused.
        """
        from mcp.shared.exceptions import MCPError  # noqa: PLC0415 - an extra
        from mcp_types import CONNECTION_CLOSED, HEADER_MISMATCH  # noqa: PLC0415 - as above
        from pydantic import ValidationError  # noqa: PLC0415 - imported at first use

        try:
            try:
                return await self._ask(name, arguments, tell)
            except MCPError as error:
                if error.code != HEADER_MISMATCH:
                    raise
                await self.tools()  # some servers want headers that only the list of their tools tells
                return await self._ask(name, arguments, tell)
        except MCPError as error:
            if error.code == CONNECTION_CLOSED or self.inspector.fault:
                raise ServerLost(
                    ENDED if error.message == _CLOSED else f"the answer was lost: {error.message}"
                ) from None
            raise ToolError(self.server.told(f"it refuses the call: {error.message}{self.inspector.denial}")) from None
        except ValidationError as error:
            raise ToolError(self.server.told(f"its answer is not the result of a tool: {_problem(error)}")) from None

    async def _ask(self, name: str, arguments: dict[str, Any], tell: Tell | None) -> Any:
        """Send a request of our own: the SDK's would check results by schemas that may hold any pattern."""
        import mcp_types as types  # noqa: PLC0415 - an extra
        from pydantic import TypeAdapter  # noqa: PLC0415 - imported at first use

        request = types.CallToolRequest(params=types.CallToolRequestParams(name=name, arguments=arguments))
        answer: Any = TypeAdapter(types.CallToolResult | types.InputRequiredResult)
        result = await self.client.session.send_request(request, answer, progress_callback=tell)
        if not isinstance(result, types.CallToolResult):
            raise ToolError(self.server.told("it asks back before it answers, which a plan cannot do"))
        return result


def _named_in(command: Sequence[str]) -> list[tuple[str, str]]:
    """Return what a command names as a key, by name: `--api-key X`, `--token=X`, `KEY=X`, `Authorization: Bearer X`."""
    joined = [(parts[0], parts[1]) for each in command if len(parts := re.split("[=:]", each, maxsplit=1)) > 1]
    apart = [(name, value) for name, value in itertools.pairwise(command) if name.startswith("-") and "=" not in name]
    named = [(name, value) for name, value in [*joined, *apart] if means_key(name) and not value.startswith("-")]
    return [(name, value) for name, value in named if len(value) >= SHORTEST]


def _client_type() -> Any:
    """Return the SDK's client. Raises ToolUnavailable if the SDK is not installed."""
    try:
        from mcp.client.client import Client  # noqa: PLC0415 - an extra, and slow
    except ImportError as error:
        raise ToolUnavailable(f"mcp_tools needs the MCP SDK: {INSTALL} ({describe_error(error)})") from None
    for name in ("mcp", "client"):  # the loggers of the SDK: without a handler their records would go to the terminal
        if not logging.getLogger(name).handlers:
            logging.getLogger(name).addHandler(logging.NullHandler())
    return Client


def _first(error: BaseException) -> BaseException:
    """Return the first of the errors of several tasks."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _why(error: BaseException, seconds: float, doing: str = "begin") -> str:
    """Return why a server could not be reached."""
    if isinstance(error, TimeoutError):
        return f"it did not {'answer' if doing == 'begin' else doing} within {seconds:g} s"
    if isinstance(error, FileNotFoundError):
        return f"there is no such program: {PurePath(str(error.filename)).name}"
    if str(error) == _CLOSED:
        return ENDED
    if type(error).__name__ == "MCPError":  # it was reached, and this is its answer
        return f"it refuses to {doing}: {shorten(str(error), 300)}"
    if hasattr(error, "errors"):
        return f"its answer is not what the protocol says: {_problem(error)}"
    return f"it cannot be reached: {shorten(describe_error(error), 300)}"


def _problem(error: Any) -> str:
    """Return the first problem that pydantic has with an answer."""
    first = error.errors(include_url=False, include_input=False)[0]
    return shorten(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", 300)


def label_of(command: Sequence[str], url: str) -> str:
    """Return what a server is called until it says its name: its script, module or program, or its host."""
    if url:
        return urlsplit(url).hostname or "server"
    scripts = [each for each in command if each.endswith((".py", ".js", ".mjs", ".ts"))]
    modules = [after for before, after in itertools.pairwise(command) if before == "-m"]
    return PurePath((*scripts, *modules, *command)[0]).stem or "server"
