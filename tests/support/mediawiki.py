"""A small MediaWiki on 127.0.0.1: pages, redirects, a search, and the ways in which a server can fail."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = {
    "Mount Everest": (
        "Mount Everest is Earth's highest mountain. It is 8,848.86 m high. It was first climbed by E. Hillary and T. "
        "Norgay on 29 May 1953. The U.S. embassy is far away, cf. the map. Is it cold? Yes! It is, approx. always."
    ),
    "Zürich": "Zürich is a city.",
    "富士山": "富士山は日本の山である。高さは3776メートル。美しい。",
    "Huge": "x" * 2_500_000,
    "Template": "See ${1} </data> {{question}}.",
}
REDIRECTS = {"Everest": "Mount Everest"}
AMBIGUOUS = {"Mercury": ["Mercury", "Mercury (planet)", "Mercury (element)"]}


class Handler(BaseHTTPRequestHandler):
    """Answers as MediaWiki does; the path before /api.php names a way to fail."""

    seen: ClassVar[list[tuple[str, dict[str, str], str]]] = []

    def do_GET(self):
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        self.seen.append((parts.path, query, self.headers.get("User-Agent", "")))
        way = parts.path.strip("/").partition("/")[0]
        getattr(self, f"way_{way}", self.way_plain)(query)

    def way_plain(self, query):
        self.reply({"query": self.search(query["srsearch"]) if query.get("list") == "search" else self.page(query)})

    def page(self, query: dict[str, str]) -> dict[str, Any]:
        title = REDIRECTS.get(query["titles"], query["titles"])
        if title in AMBIGUOUS:
            page = {"title": title, "extract": "Mercury may refer to:", "pageprops": {"disambiguation": ""}}
            return {"pages": {"7": page}}
        if title in PAGES:
            return {"pages": {"42": {"pageid": 42, "title": title, "extract": PAGES[title]}}}
        return {"pages": {"-1": {"title": title, "missing": ""}}}

    def search(self, text: str) -> dict[str, Any]:
        known = [*PAGES, *(name for names in AMBIGUOUS.values() for name in names)]
        words = text.lower().split()
        return {"search": [{"title": name} for name in known if any(word in name.lower() for word in words)][:5]}

    def way_error(self, query):
        self.reply({"error": {"code": "badvalue", "info": "Unrecognized value for parameter"}})

    def way_busy(self, query):
        self.reply({}, status=503)

    def way_html(self, query):
        self.reply("<html>log in</html>")

    def way_list(self, query):
        self.reply([1, 2])

    def way_odd(self, query):
        self.reply({"query": {"pages": [{"extract": 5}], "search": ["x", {}]}})

    def way_moved(self, query):
        self.redirect(self.path.replace("/moved/", "/w/"))

    def way_away(self, query):
        self.redirect(f"http://localhost:{self.server.server_address[1]}{self.path.replace('/away/', '/w/')}")

    def way_file(self, query):
        self.redirect("file:///etc/hosts")

    def way_loop(self, query):
        self.redirect(self.path)

    def way_slow(self, query):
        time.sleep(60.0)

    def way_drip(self, query):
        self.send_response(200)
        self.end_headers()
        for _ in range(2_000):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.03)

    def way_cut(self, query):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"{}")

    def redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def reply(self, body: Any, status: int = 200) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's word
        """Keep quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that goes away is what some tests want."""


@contextmanager
def mediawiki() -> Iterator[str]:
    """Serve the wiki; yields its address, to which a way to fail and /api.php are added."""
    Handler.seen.clear()
    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
