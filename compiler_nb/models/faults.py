"""Whatever goes wrong with a provider, told in our own errors: without its objects, and without the key.

An error of the SDK holds the request, and with it the key, so none is ever chained or kept: each is told again by
`explain`, and raised outside the `except` that caught it.
"""

from __future__ import annotations

import math
import re
import socket
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.errors import (
    AuthenticationFailed,
    BadRequest,
    ModelError,
    ModelRefused,
    ModelTimeout,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
    StreamBroken,
)
from compiler_nb.models.providers import PROVIDERS, host_of
from compiler_nb.models.secret import Secret, mask
from compiler_nb.models.sizes import describe_sizes
from compiler_nb.models.wire import ErrorObject, WireError
from compiler_nb.text import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from compiler_nb.models.base import Request

SAID_LIMIT: Final = 400
"""Characters kept of what a provider says."""
_READ_LIMIT: Final = 4_000
_REDIRECTS: Final = range(300, 400)

_PROXY: Final = "Behind a proxy, set HTTPS_PROXY"
_SHORTER: Final = "offer or share less, or take a model with a longer context"
BY_STATUS: Final[dict[int, tuple[type[ModelError], str]]] = {
    400: (BadRequest, "the request is refused"),
    401: (AuthenticationFailed, "the key is refused"),
    402: (QuotaExceeded, "the account's quota is used up; waiting does not help"),
    403: (AuthenticationFailed, "the key may not do this"),
    404: (BadRequest, "no such model or address; does the address end in /v1?"),
    408: (ModelTimeout, "the provider did not answer in time; ask again"),
    409: (ProviderUnavailable, "the provider is busy; ask again"),
    429: (RateLimited, "too many requests or tokens"),
}
BY_WORD: Final[dict[str, int]] = {
    "insufficient_quota": 402,
    "billing_hard_limit_reached": 402,
    "billing_not_active": 402,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "requests": 429,
    "tokens": 429,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "model_not_found": 404,
    "overloaded_error": 529,
    "server_error": 500,
}
"""The HTTP status that a provider's error code or type stands for."""
_TOO_LONG: Final = frozenset({"context_length_exceeded", "exceed_context_size_error", "request_too_large"})
_SAYS_TOO_LONG: Final = re.compile(
    r"context (?:length|window|size)|(?:prompt|input|request)s? (?:is |are )?too (?:long|large)|input token count"
    r"|reduce the length|too many (?:input|prompt) tokens",
    re.IGNORECASE,
)
"""How providers that have no code for it say that a request is too long."""
_FILTERED: Final = frozenset({"content_filter", "content_policy_violation"})


@dataclass(frozen=True, slots=True)
class Where:
    """Whose fault it is: what messages name, the secrets that they must not show, and what was asked."""

    provider: str
    model: str
    address: str
    key_source: str
    secrets: tuple[Secret, ...] = ()
    request: Request | None = field(default=None, repr=False)

    def clean(self, text: str, limit: int = SAID_LIMIT) -> str:
        """Return a text of the provider as short plain text without secrets."""
        plain = mask(text[:_READ_LIMIT], self.secrets)  # before anything in it changes, and again afterwards
        if "<" in plain:
            import html  # noqa: PLC0415 - only broken proxies need it

            plain = html.unescape(re.sub(r"<(?:script|style)\b[^>]*>[^<]*|<[^>]*>", " ", plain))
        return shorten(mask(" ".join(plain.split()), self.secrets), limit)

    def error(self, kind: type[ModelError], what: str, said: str = "", **more: Any) -> ModelError:
        """Return an error of this kind; `said` is the provider's own text."""
        quoted = self.clean(said) if said else ""
        message = mask(f"{self.provider}:{self.model}: {what}", self.secrets)
        more["request_id"] = self.clean(str(more.get("request_id") or ""), 100)
        provider, model = mask(self.provider, self.secrets), mask(self.model, self.secrets)
        return kind(f"{message}: {quoted}" if quoted else message, provider=provider, model=model, **more)


def explain(error: Exception, where: Where, *, begun: bool = False) -> ModelError:
    """Return our error for any exception of a call; `begun` is whether the reply had begun."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        headers = getattr(getattr(error, "response", None), "headers", {})
        return from_body(getattr(error, "body", None), where, status, headers)
    if isinstance(error, ErrorObject):
        return from_body(error.body, where)
    if isinstance(error, WireError):
        return where.error(StreamBroken, "the reply is broken; ask again", str(error))
    return _unanswered(error, where, begun=begun)


def _unanswered(error: Exception, where: Where, *, begun: bool) -> ModelError:
    # by name, since neither the SDK nor its HTTP client is imported before a call is made
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"APITimeoutError", "TimeoutException"}:
        return where.error(ModelTimeout, f"{host_of(where.address)} sent nothing in time; ask again later")
    if begun and names & {"TransportError", "StreamError", "DecodingError"}:
        return where.error(StreamBroken, "the connection broke in the middle of the reply; ask again", str(error))
    if names & {"APIConnectionError", "TransportError"}:
        return _no_connection(error, where)
    return where.error(ModelError, f"the call failed ({type(error).__name__})", str(error))


def from_body(
    body: Any, where: Where, status: int | None = None, headers: Mapping[str, str] | None = None
) -> ModelError:
    """Return the error that a provider's error body means, with the HTTP status that came with it, or without."""
    headers = headers or {}
    inner = body.get("error", body) if isinstance(body, dict) else body
    said = _said(inner)
    words = [str(inner.get(key)) for key in ("code", "type")] if isinstance(inner, dict) else []
    meant = next((_status_of(word) for word in words if _status_of(word)), None)
    more: dict[str, Any] = {"status": status, "request_id": headers.get("x-request-id", "")}
    if _FILTERED.intersection(words):
        told = "filtered by the provider; rephrase the question"
        return where.error(ModelRefused, told, said, text=where.clean(said), **more)
    if status in _REDIRECTS:
        return _redirected(where, headers, more)
    if status is None or (status == 429 and meant == 402):  # noqa: PLR2004 - HTTP's own numbers
        status = meant or 500
        more["status"] = more["status"] or status
    if _is_too_long(status, words, said):
        sizes = f" ({describe_sizes(where.request)})" if where.request is not None else ""
        return where.error(BadRequest, f"the request is too long for the model; {_SHORTER}{sizes}", said, **more)
    kind, what = BY_STATUS.get(status, (BadRequest, "the request is refused"))
    if status >= 500:  # noqa: PLR2004
        kind, what = ProviderUnavailable, f"{host_of(where.address)} has a fault of its own ({status}); ask again later"
    if kind is AuthenticationFailed:
        what += f" (it came from: {where.key_source})"
    if kind is RateLimited:
        more["retry_after"] = seconds = retry_after(headers)
        what += f"; it asks to wait {seconds:,.0f} s" if seconds else "; limits=Limit(rpm=...) keeps below its limit"
    return where.error(kind, what, said, **more)


def _is_too_long(status: int, words: Iterable[str], said: str) -> bool:
    """Whether a request cannot be served for its length: where tokens are counted by the minute, that too."""
    if _TOO_LONG.intersection(words) or status == 413:  # noqa: PLR2004 - HTTP's own number
        return True
    if status == 429:  # noqa: PLR2004
        return "request too large" in said[:_READ_LIMIT].lower()
    return status in (400, 422) and _SAYS_TOO_LONG.search(said[:_READ_LIMIT]) is not None


def _status_of(word: str) -> int | None:
    """Return the status that a code or type means; some providers write the status itself."""
    return int(word) if re.fullmatch(r"[45]\d\d", word) else BY_WORD.get(word)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that a provider asks to wait, never below 0; None where it does not say."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            seconds = _until(value, now or datetime.now(UTC))
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def _until(date: str, now: datetime) -> float:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - slow to import, and seldom needed

    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError):
        return math.nan
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()


def _said(body: Any) -> str:
    if isinstance(body, dict):
        for key in ("message", "detail", "error", "msg"):
            if isinstance(body.get(key), str):
                return str(body[key])
        return "" if not body else str(body)
    return body if isinstance(body, str) else ""


def _redirected(where: Where, headers: Mapping[str, str], more: dict[str, Any]) -> ModelError:
    to = headers.get("location", "")
    what = "the address answers with a redirect, which is not followed, so that the key goes nowhere else; set base_url"
    return final(where.error(ProviderUnavailable, what, to, **more))


def _no_connection(error: Exception, where: Where) -> ModelError:
    host = host_of(where.address)
    causes = list(_causes(error))
    certificate = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if certificate is not None:
        reason = getattr(certificate, "verify_message", "") or getattr(certificate, "reason", "") or "TLS error"
        mend = "is a proxy between, whose certificate is not known here?"
        if not isinstance(certificate, ssl.SSLCertVerificationError):
            mend = "does it speak https, or only http?"
        told = f"no safe connection to {host}; {mend}"
        return final(where.error(ProviderUnavailable, told, str(reason)))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        told = f"no host is called {host}; is the address (base_url) right, is there a network? {_PROXY}"
        return where.error(ProviderUnavailable, told)
    known = PROVIDERS.get(where.provider)
    mend = (
        f"start it by `{known.start}`"
        if known and known.start
        else f"is the server up, is the address (base_url) right? {_PROXY}"
    )
    return where.error(ProviderUnavailable, f"no connection to {host}; {mend}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    stack: list[BaseException | None] = [error]
    while stack:
        cause = stack.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        stack += (cause.__cause__, cause.__context__)
        if isinstance(cause, BaseExceptionGroup):
            stack += cause.exceptions


def final(error: ModelError) -> ModelError:
    """Return the error as one that trying again does not help."""
    error.retryable = False
    return error
