"""The ways to an MCP server, within bounds: a process that is started, or an address that is asked.

Theory of operation
    Both ways are transports of the MCP SDK: contexts that give a stream of messages to read and one to write. The SDK's
    own reads lines of any length from a process, and leaves its standard error to the terminal. So a process is
    started here: a line has a limit, the end of what it writes to standard error is kept for error messages, and
    whatever happens to the task that holds the context, the process and all that it has started end with it. For an
    address the SDK's transport is used, with a client that bounds each answer.
    Every message passes an Inspector, which counts those that nobody asked for, and removes those tools from a list
    for which the SDK would refuse the whole list.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from compiler_nb.text import shorten, type_name

LARGEST: Final = 10_000_000
"""Bytes of one message."""
UNASKED: Final = 10_000
"""Messages that a server may send between two answers."""
TAIL: Final = 4_000
"""Characters of the standard error that are kept, from its end."""
LEAVE: Final = 1.0
"""Seconds that a process has to end when its standard input is closed, and again when it is asked to."""
LAST_WORDS: Final = 0.5
"""Seconds in which what a process has still written to its standard error is read."""
_PIECE: Final = 65_536
_NO_KEY: Final = frozenset({401, 403})
_FAULTS: Final = 400
_LIVING: Final[set[int]] = set()
"""Groups of processes that were started here and have not ended."""


class Flood(Exception):
    """A server sends too much; the message says what."""


class Inspector:
    """What is known of a server while it is open, and the look at each of its messages."""

    def __init__(self) -> None:
        self.fault = ""  # how it broke the protocol
        self.cause = ""  # why the connection ended
        self.stray = ""  # the first line of its standard output that was not a message
        self.left_out: list[str] = []  # what is listed but is not a valid tool, and why
        self.ended = False
        self.status: int | None = None  # how its process ended
        self.http = 0  # the status of the last answer over HTTP to a message
        self._unasked = 0
        self._tail: deque[str] = deque()
        self._kept = 0

    def look(self, message: Any) -> None:
        """Look at a message of JSON-RPC, and clean it. Raises Flood if too many came that were not asked for."""
        if hasattr(message, "result") or hasattr(message, "error"):
            self._unasked = 0
            result = getattr(message, "result", None)
            if isinstance(result, dict) and isinstance(result.get("tools"), list):
                result["tools"] = [clean for each in result["tools"] if (clean := self._clean(each)) is not None]
        else:
            self.count()

    def count(self) -> None:
        """Count a message that nobody asked for."""
        self._unasked += 1
        if self._unasked > UNASKED:
            raise Flood(f"it sent more than {UNASKED:,} messages that nobody asked for")

    def _clean(self, tool: Any) -> dict[str, Any] | None:
        """Return the parts of a listed tool that count, None if it is not a valid tool."""
        name = tool.get("name") if isinstance(tool, dict) else None
        if not isinstance(name, str) or not name:
            self.left_out.append(f"a tool without a name, {shorten(repr(tool), 60)}")
            return None
        if wrong := _wrong_with(tool.get("inputSchema")):
            self.left_out.append(f"the tool {name!r}: {wrong}")
            return None
        clean: dict[str, Any] = {"name": name, "inputSchema": {**tool["inputSchema"], "type": "object"}}
        if isinstance(tool.get("description"), str):
            clean["description"] = tool["description"]
        if (output := tool.get("outputSchema")) is not None:
            if wrong := _wrong_with(output):
                self.left_out.append(f"what the tool {name!r} says of its result: {wrong}")
            else:
                clean["outputSchema"] = {**output, "type": "object"}
        if isinstance(hints := tool.get("annotations"), dict):
            clean["annotations"] = {key: value for key, value in hints.items() if type(value) is bool}
        return clean

    @property
    def denial(self) -> str:
        """How an address refuses to answer, with the fix; "" if it does not."""
        if self.http in _NO_KEY:
            return f' (HTTP {self.http}: it wants another key; give one with headers={{"Authorization": "Bearer ..."}})'
        return f" (HTTP {self.http})" if self.http >= _FAULTS else ""

    # ---------------------------------------------------------------- what a process says

    def hear(self, text: str) -> None:
        """Keep the end of what a process writes to its standard error."""
        self._tail.append(text[-TAIL:])
        self._kept += len(self._tail[-1])
        while self._kept - len(self._tail[0]) >= TAIL:
            self._kept -= len(self._tail.popleft())

    @property
    def heard(self) -> str:
        """The last lines of the standard error."""
        return "".join(self._tail)[-TAIL:].strip()


def _wrong_with(schema: Any) -> str:
    """Return why the SDK would not take a schema, and with it refuse all tools of its list; "" if it takes it."""
    if not isinstance(schema, dict):
        return f"its schema must be an object, not a {type_name(schema)}"
    if schema.get("type", "object") != "object":
        return "its schema is not of an object"
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict) or not all(isinstance(each, dict | bool) for each in properties.values()):
        return "the properties of its schema are not schemas"
    if not isinstance(required, list) or not all(isinstance(each, str) for each in required):
        return "what its schema requires is not a list of names"
    return "" if isinstance(schema.get("$schema", ""), str) else "its schema is of an unknown kind"


# -------------------------------------------------------------------- a process


@contextlib.asynccontextmanager
async def process_streams(
    command: Sequence[str], env: Mapping[str, str], cwd: str | None, inspector: Inspector
) -> AsyncIterator[tuple[Any, Any]]:
    """Start a server, and give the streams of its messages; it has ended when the block has.

    env: variables beside those that the SDK passes on. Raises OSError if it cannot be started.
    """
    import anyio  # noqa: PLC0415 - comes with the SDK
    from mcp.client.stdio import get_default_environment  # noqa: PLC0415 - an extra

    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        limit=LARGEST, env=get_default_environment() | dict(env), cwd=cwd, start_new_session=True,
    )  # fmt: skip
    _LIVING.add(process.pid)
    try:
        to_session, read = anyio.create_memory_object_stream[Any](0)
        write, from_session = anyio.create_memory_object_stream[Any](0)
        async with read, write, anyio.create_task_group() as group:
            group.start_soon(_read, process, to_session, inspector)
            group.start_soon(_write, process, from_session, to_session)
            group.start_soon(_listen, process, inspector)
            try:
                yield read, write
            finally:
                group.cancel_scope.cancel()
    finally:
        inspector.ended = True
        try:
            inspector.status = await _leave(process, inspector)
        finally:
            _signal(process.pid, "SIGKILL")  # what it has started, and left behind
            process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - a child of it may hold a pipe
            _LIVING.discard(process.pid)


async def _read(process: asyncio.subprocess.Process, to_session: Any, inspector: Inspector) -> None:
    """Pass on the messages of a process, until it sends no more, or too much."""
    import anyio  # noqa: PLC0415 - comes with the SDK
    from mcp.shared.message import SessionMessage  # noqa: PLC0415 - an extra
    from mcp_types import jsonrpc_message_adapter  # noqa: PLC0415 - as above

    assert process.stdout is not None  # noqa: S101 - it is a pipe
    async with to_session:
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                try:
                    line = await process.stdout.readuntil(b"\n")
                    message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                    inspector.look(message)
                except asyncio.IncompleteReadError:
                    break
                except asyncio.LimitOverrunError:
                    inspector.fault = f"it sent a message of more than {LARGEST:,} bytes"
                    break
                except Flood as flood:
                    inspector.fault = str(flood)
                    break
                except ValueError:  # not a message: some servers print there
                    inspector.stray = inspector.stray or shorten(line.decode("utf-8", "replace").strip(), 100)
                    try:
                        inspector.count()
                    except Flood as flood:
                        inspector.fault = str(flood)
                        break
                    continue
                await to_session.send(SessionMessage(message))
    inspector.ended = True


async def _write(process: asyncio.subprocess.Process, from_session: Any, to_session: Any) -> None:
    """Write what the session sends; if nobody reads it anymore, its calls learn that their end has come."""
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    async with from_session:
        try:
            async for message in from_session:
                process.stdin.write(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                await process.stdin.drain()
        except OSError:
            await to_session.aclose()


async def _listen(process: asyncio.subprocess.Process, inspector: Inspector) -> None:
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    while data := await process.stderr.read(_PIECE):
        inspector.hear(data.decode("utf-8", "replace"))


async def _leave(process: asyncio.subprocess.Process, inspector: Inspector) -> int | None:
    """Let a process end: its input is closed, then it is asked to, then it is made to; return its status."""
    if process.stdin is not None:
        process.stdin.close()
    status = None
    for name in ("SIGKILL",) if inspector.fault else ("", "SIGTERM", "SIGKILL"):
        if name:
            _signal(process.pid, name)
        with contextlib.suppress(TimeoutError):
            status = await asyncio.wait_for(process.wait(), LEAVE)
            break
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS):
            await _listen(process, inspector)
    return status


def _signal(pid: int, name: str) -> None:
    """Send a signal to a process and to all that it has started; nothing if they have ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, getattr(signal, name))


@atexit.register
def _kill_all() -> None:
    """End what still lives when the interpreter ends: the loop's thread is gone by then, within its blocks."""
    for pid in tuple(_LIVING):
        _signal(pid, "SIGKILL")


# -------------------------------------------------------------------- an address


@contextlib.asynccontextmanager
async def address_streams(url: str, headers: Mapping[str, str], inspector: Inspector) -> AsyncIterator[tuple[Any, Any]]:
    """Give the streams of the messages of a server at an address."""
    import anyio  # noqa: PLC0415 - comes with the SDK
    import httpx2  # noqa: PLC0415 - as above
    from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415 - an extra

    timeout = httpx2.Timeout(30.0, read=None)  # the SDK's; how long a call may take is its tool's to say
    plain = {**headers, "accept-encoding": "identity"}  # a few compressed bytes may become many

    async def note(response: Any) -> None:
        if response.request.method == "POST":
            inspector.http = response.status_code

    async with (
        httpx2.AsyncClient(headers=plain, timeout=timeout, event_hooks={"response": [note, _bound]}) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=LARGEST) as (messages, write),
    ):
        to_session, read = anyio.create_memory_object_stream[Any](0)
        async with read, anyio.create_task_group() as group:
            group.start_soon(_pass_on, messages, to_session, inspector)
            try:
                yield read, write
            finally:
                inspector.ended = True
                group.cancel_scope.cancel()


async def _pass_on(messages: Any, to_session: Any, inspector: Inspector) -> None:
    import anyio  # noqa: PLC0415 - comes with the SDK

    async with to_session:
        try:
            async for item in messages:
                if hasattr(item, "message"):
                    inspector.look(item.message)
                await to_session.send(item)
        except Flood as flood:
            inspector.fault = str(flood)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
    inspector.ended = True


async def _bound(response: Any) -> None:
    """Read an answer that is not a stream of events only as far as a message may be long."""
    import httpx2  # noqa: PLC0415 - comes with the SDK

    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx2.StreamError("it packs its answers although it was asked not to")
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        response.stream = _bounded_type()(response.stream)


def _bounded_type() -> Callable[[Any], Any]:
    """Return the class of streams that end at a limit; its base comes with the SDK."""
    import httpx2  # noqa: PLC0415 - comes with the SDK

    class Bounded(httpx2.AsyncByteStream):
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            left = LARGEST
            async for piece in self.stream:
                left -= len(piece)
                if left < 0:
                    raise httpx2.StreamError(f"it sent a message of more than {LARGEST:,} bytes")
                yield piece

        async def aclose(self) -> None:
            await self.stream.aclose()

    return Bounded
