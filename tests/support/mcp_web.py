"""A server that speaks MCP over HTTP by hand, on 127.0.0.1, and fails in its calls in every way."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
TOOLS = [{"name": "double", "inputSchema": NUMBER, "annotations": {"readOnlyHint": True}}]
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "web", "version": "1"}}


class Handler(BaseHTTPRequestHandler):
    """Answers the handshake and the list as they should be; the server's `way` says how it fails in a call."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        known: dict[str, Any] = {"initialize": HELLO, "tools/list": {"tools": TOOLS}}
        if self.server.way == "closed":  # type: ignore[attr-defined]
            self.reply(401)
        elif "id" not in asked:
            self.reply(202)
        elif asked["method"] == "tools/call":
            getattr(self, f"way_{self.server.way}")()  # type: ignore[attr-defined]
        elif asked["method"] in known:
            self.reply(200, {"jsonrpc": "2.0", "id": asked["id"], "result": known[asked["method"]]})
        else:
            error = {"code": -32601, "message": "there is no such method"}
            self.reply(200, {"jsonrpc": "2.0", "id": asked["id"], "error": error})

    def do_GET(self):
        self.reply(405)

    def do_DELETE(self):
        self.reply(405)

    def way_flood(self):
        self.pour("application/json", b'"')

    def way_events(self):
        self.pour("text/event-stream", b"data: ")

    def way_close(self):
        self.close_connection = True
        self.connection.close()

    def way_denied(self):
        self.reply(403)

    def way_status(self):
        self.reply(500)

    def way_redirect(self):
        self.reply(307, location="http://127.0.0.2:1/mcp?token=abc")

    def pour(self, kind: str, first: bytes) -> None:
        """Answer without an end."""
        self.send_response(200)
        self.send_header("content-type", kind)
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):  # nobody reads it anymore
            self.wfile.write(first)
            for _ in range(2_000):
                self.wfile.write(b"x" * 1_000_000)

    def reply(self, status: int, data: object = None, **headers: str) -> None:
        """Answer with JSON."""
        body = b"" if data is None else json.dumps(data).encode()
        self.send_response(status)
        kind = {"content-type": "application/json"} if body else {}
        for name, value in {**kind, "content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


@contextmanager
def running_web(way: str) -> Iterator[str]:
    """Run the server on threads, and give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.way = way  # type: ignore[attr-defined]
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mcp"
    finally:
        server.shutdown()
        server.server_close()
