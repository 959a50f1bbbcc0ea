"""A small MCP server made with the official SDK: over standard input and output, or over HTTP on 127.0.0.1.

`python -m tests.support.mcp_real FOLDER`: what its tools did is written into the folder, a file for each event.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

import anyio
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from collections.abc import Iterator

READS = ToolAnnotations(read_only_hint=True)
SECRET = "canary-9f8e7d6c5b4a3f2e"  # noqa: S105 - a key that nothing may show


class Forecast(TypedDict):
    """What it will be like."""

    city: str
    degrees: float


class Line(BaseModel):
    """One line of an order."""

    sku: str
    quantity: int = 1


def picture() -> bytes:
    """Return a PNG of one dark pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def make_server(folder: Path) -> MCPServer:  # noqa: C901 - a list of tools
    """Return a server; folder: where it notes what was done."""
    server = MCPServer("demo", version="1.2")

    @server.tool(annotations=READS)
    def add(a: float, b: float) -> float:
        """Return the sum of two numbers."""
        return a + b

    @server.tool(annotations=READS)
    def weather(
        city: Annotated[str, Field(description="its name in English")],
        days: Annotated[int, Field(ge=1, le=7)] = 3,
        unit: Literal["C", "F"] = "C",
    ) -> Forecast:
        """Return the forecast of a city."""
        return {"city": f"{city}, {days} days, {unit}", "degrees": 21.5}

    @server.tool(annotations=READS)
    def total(lines: list[Line], note: str | None = None) -> dict[str, int]:
        """Return how many pieces an order has, by article."""
        return {line.sku: line.quantity for line in lines}

    @server.tool(name="send-mail")
    def send_mail(to: str) -> str:
        """Send a mail."""
        (folder / f"mail-{to}").touch()
        return f"sent to {to}"

    @server.tool(annotations=READS, structured_output=False)
    def parts() -> list[object]:
        """Return a text, a table and a picture."""
        return ["two", '{"rows": [1, 2]}', Image(data=picture(), format="png")]

    @server.tool(annotations=READS)
    async def count(to: int, ctx: Context) -> int:
        """Count, and say how far it is."""
        for number in range(1, to + 1):
            await ctx.report_progress(number, to, f"number {number}")
        return to

    @server.tool(annotations=READS)
    async def wait() -> str:
        """Wait until it is told not to."""
        (folder / "waits").touch()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            (folder / "cancelled").touch()
            raise
        return "never"

    @server.tool(annotations=READS)
    def refuse() -> str:
        """Always fail."""
        raise ToolError("no such city: Atlantis")

    @server.tool(annotations=READS)
    def who() -> dict[str, object]:
        """Return the number of this process, and what it was given."""
        return {"pid": os.getpid(), "token": os.environ.get("DEMO_TOKEN", "")}

    @server.tool(annotations=READS)
    def echo(text: str) -> str:
        """Return a text, or fail with it if it is short."""
        return text

    return server


@contextmanager
def running_http(folder: Path, *, stateless: bool = False) -> Iterator[str]:
    """Run the server on a thread, and give its address."""
    import socket

    import uvicorn

    app = make_server(folder).streamable_http_app(stateless_http=stateless)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


if __name__ == "__main__":
    make_server(Path(sys.argv[1])).run("stdio")
