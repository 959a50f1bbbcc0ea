"""The body of a response: its bytes, unpacked in small steps and read within bounds.

Nobody asks a server to compress, but some do. The HTTP client would unpack each read whole, and 64 kB may become 64 MB;
the SDK would read the body of an error to its end, however long it is. So both are done here.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any, Final

from compiler_nb.models.wire import REPLY_LIMIT, StatusError, WireError

STEP: Final = 65_536
"""Bytes that are unpacked at a time."""
ERROR_LIMIT: Final = 1_000_000
"""Bytes that are read of an error's body."""
ERROR_TIME: Final = 5.0
"""Seconds to wait for the body of an error, whose status is known already."""
_WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""The arguments (wbits) with which zlib unpacks each coding."""


def bytes_of(response: Any) -> AsyncGenerator[bytes, None]:
    """Return the body of the HTTP client's response as it comes; if it is compressed, unpacked."""
    coding = response.headers.get("content-encoding", "").strip().lower()
    raw: AsyncGenerator[bytes, None] = response.aiter_raw()
    return raw if coding in ("", "identity") else _unpacked(raw, coding)


async def _unpacked(raw: AsyncGenerator[bytes, None], coding: str) -> AsyncGenerator[bytes, None]:
    """Yield at most STEP bytes at a time. Raises WireError if they cannot be unpacked."""
    async with aclosing(raw):
        if coding not in _WINDOWS:
            raise WireError(f"the reply is compressed ({coding[:40]}), which was not asked for")
        unpacker = zlib.decompressobj(_WINDOWS[coding])
        async for data in raw:
            rest = data
            while rest and not unpacker.eof:
                try:
                    piece = unpacker.decompress(rest, STEP)
                except zlib.error:
                    raise WireError(f"the reply is not {coding}, although its header says so") from None
                rest = unpacker.unconsumed_tail
                yield piece


async def whole(body: AsyncGenerator[bytes, None], begin: bytes = b"") -> bytes:
    """Return a body that began with these bytes. Raises WireError if it is too long."""
    read = bytearray(begin)
    async for data in body:
        read += data
        if len(read) > REPLY_LIMIT:
            raise WireError(f"the reply is over {REPLY_LIMIT:,} bytes")
    return bytes(read)


async def refuse_errors(response: Any) -> None:
    """Raise StatusError if a response reports an error, with as much of its body as is needed.

    The HTTP client calls it with each response, before anything else reads the body.
    """
    if response.is_success:
        return
    read = bytearray()
    with suppress(Exception):  # even if its body breaks off, the status is known
        async with asyncio.timeout(ERROR_TIME), aclosing(bytes_of(response)) as body:
            async for data in body:
                read += data
                if len(read) > ERROR_LIMIT:
                    break
    text = read[:ERROR_LIMIT].decode("utf-8", "replace").strip(" \t\r\n\0")
    said: Any = text
    with suppress(ValueError, RecursionError):
        said = json.loads(text)
    raise StatusError(response.status_code, said, dict(response.headers))
