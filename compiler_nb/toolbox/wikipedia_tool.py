"""Wikipedia, or any other MediaWiki, as a tool: the first sentences of a page."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from compiler_nb.errors import ArgumentError, ToolError, ToolUnavailable
from compiler_nb.text import describe_error, shorten
from compiler_nb.tool import Tool

if TYPE_CHECKING:  # loaded only if it is used
    from http.client import HTTPResponse

BASE_URL: Final = "https://en.wikipedia.org/w/api.php"
USER_AGENT: Final = "compiler_nb (a tool in a notebook; python-urllib)"
MOST_BYTES: Final = 2_000_000
_TITLE_BYTES: Final = 255
_PIECE: Final = 65_536
_AT_ONCE: Final = 4
_HINT: Final = "set base_url to a MediaWiki that can be reached, or give the planner a search tool of your own"
_SENTENCE: Final = re.compile(
    r"(?<=[.!?])(?<!\b\w\.)(?<!\b(?:Dr|Mr|St|vs|cf|ca)\.)\s+(?=\W*[A-Z\d])|(?<=[\u3002\uff01\uff1f])(?=.)", re.DOTALL
)
"""Where a sentence ends: not behind an initial or an abbreviation, and not before a small letter."""


def make_wikipedia(
    base_url: str = BASE_URL, *, sentences: int = 5, timeout: float = 10.0, user_agent: str = USER_AGENT
) -> Tool:
    """Return the tool `wikipedia(title)` for the MediaWiki whose api.php is at `base_url`.

    sentences: how many of a page's introduction it returns; timeout: seconds for one request.
    The tool raises ToolUnavailable if the wiki cannot be reached, and ToolError if it has no such page.
    """
    wiki = _Wiki(base_url, timeout, user_agent)

    def wikipedia(title: str) -> str:
        """Return the first sentences of the Wikipedia page with this title, or the titles that are nearest to it."""
        return wiki.introduce(title, sentences)

    return Tool(wikipedia, pure=True, provider="wikipedia", max_concurrency=_AT_ONCE)


class _Wiki:
    """One MediaWiki's API."""

    def __init__(self, base_url: str, timeout: float, user_agent: str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ToolError(f"base_url must be the http address of a wiki's api.php, not {shorten(base_url, 200)!r}")
        self.base_url, self.host, self.timeout = base_url, parts.hostname, timeout
        self.headers = {"User-Agent": user_agent, "Accept": "application/json"}

    def introduce(self, title: str, sentences: int) -> str:
        """Return the introduction of a page, or the nearest titles if there is no such page."""
        title = " ".join(title.split())
        if not title or len(title.encode("utf-8", "replace")) > _TITLE_BYTES:
            raise ArgumentError(f"a title must have 1 to {_TITLE_BYTES} bytes, not {shorten(title, 60)!r}")
        page = {} if re.search(r"[|#<>\[\]{}]", title) else self._page(title)
        text = page.get("extract", "")
        ambiguous = "disambiguation" in page.get("pageprops", {})
        if text and not ambiguous:
            return first_sentences(text.strip(), sentences)
        similar = [name for name in self._nearest(title) if name != title or not ambiguous]
        if not similar:
            raise ToolError(f"{self.host} has no page like {title!r}: try another title")
        said = "may mean several things" if ambiguous else "is not the title of a page"
        return f"{title!r} {said}. Similar: {similar}"

    def _page(self, title: str) -> Mapping[str, Any]:
        asked = {"prop": "extracts|pageprops", "exintro": "1", "explaintext": "1", "ppprop": "disambiguation"}
        answer = self._ask({**asked, "titles": title, "redirects": "1"})
        pages = answer.get("pages", {})
        found = list(pages.values()) if isinstance(pages, dict) else pages
        page = found[0] if isinstance(found, list) and found else {}
        return page if isinstance(page, dict) and isinstance(page.get("extract", ""), str) else {}

    def _nearest(self, title: str) -> list[str]:
        answer = self._ask({"list": "search", "srsearch": re.sub(r"\W+", " ", title), "srlimit": "5"})
        found = answer.get("search", [])
        return [str(each["title"]) for each in found if isinstance(each, dict) and "title" in each]

    # ---------------------------------------------------------------- the wire

    def _ask(self, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        """Return what a query answers."""
        query = urlencode({"action": "query", "format": "json", **parameters}, errors="replace")
        body = self._read(f"{self.base_url}{'&' if '?' in self.base_url else '?'}{query}")
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise ToolUnavailable(f"{self.host} did not answer with JSON; {_HINT}")
        error = answer.get("error")
        if isinstance(error, dict):
            raise ToolError(f"{self.host} refuses the query: {shorten(str(error.get('info', error)), 200)}")
        found = answer.get("query", {})
        return found if isinstance(found, dict) else {}

    def _read(self, url: str) -> bytes:
        from http.client import HTTPException  # noqa: PLC0415 - imported at first use
        from urllib.request import Request  # noqa: PLC0415

        request = Request(url, headers=self.headers)  # noqa: S310 - the scheme is checked
        deadline = time.monotonic() + self.timeout
        try:
            with _opener(self.host).open(request, timeout=self.timeout) as response:
                return self._body(response, deadline)
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None)
            cause = " ".join(describe_error(reason if isinstance(reason, BaseException) else error).split())
            raise ToolUnavailable(f"{self.host} cannot be asked ({shorten(cause, 200)}); {_HINT}") from error

    def _body(self, response: HTTPResponse, deadline: float) -> bytes:
        body = b""
        while piece := response.read1(_PIECE):
            body += piece
            if len(body) > MOST_BYTES:
                raise ToolError(f"{self.host} answered with more than {MOST_BYTES:,} bytes: try another title")
            if time.monotonic() > deadline:
                raise TimeoutError(f"no whole answer within {self.timeout:g} s")
        if response.length:
            raise OSError("the answer is cut off")
        return body


def first_sentences(text: str, count: int) -> str:
    """Return the first sentences of a text as they stand there."""
    ends = [found.start() for found in _SENTENCE.finditer(text)]
    return text if len(ends) < count else text[: ends[count - 1]]


def _opener(host: str) -> Any:
    """Return an opener that follows redirects within one host only, and knows no scheme but http and https."""
    from urllib import request  # noqa: PLC0415 - imported at first use

    class SameHost(request.HTTPRedirectHandler):
        def redirect_request(self, *args: Any) -> request.Request | None:
            target = urlsplit(args[-1])
            if target.hostname != host or target.scheme not in ("http", "https"):
                raise OSError(f"it redirects to another host, {shorten(str(target.hostname), 60)}, which is refused")
            return super().redirect_request(*args)

    return request.build_opener(SameHost)


wikipedia = make_wikipedia()
