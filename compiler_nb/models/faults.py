"""Everything that can go wrong with a provider, as our own errors: without the SDK's objects, and without the key.

An error of the SDK holds the request, and with it the key. So it is never chained or kept: `explain` makes one of ours
from it, which is raised outside the `except` block that caught it.
"""

from __future__ import annotations

import html
import json
import math
import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

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
from compiler_nb.models.base import Request
from compiler_nb.models.parts import describe_sizes
from compiler_nb.models.providers import LOCAL, PROVIDERS, host_of
from compiler_nb.models.secret import Secret, mask
from compiler_nb.models.wire import ErrorObject, StatusError, WireError
from compiler_nb.text import shorten

SAID_LIMIT: Final = 400
"""Characters kept of what a provider says."""
_READ_LIMIT: Final = 4_000
TIMEOUTS: Final = frozenset({"APITimeoutError", "TimeoutException"})
"""The classes of the SDK and its HTTP client that mean that nothing came in time."""
_REDIRECTS: Final = range(300, 400)

_PROXY: Final = "Behind a proxy, set HTTPS_PROXY"
_SHORTER: Final = "offer or share less, or use a model with a longer context"
BY_STATUS: Final[dict[int, tuple[type[ModelError], str]]] = {
    400: (BadRequest, "the request was refused"),
    401: (AuthenticationFailed, "the key was refused"),
    402: (QuotaExceeded, "the account's quota is used up; waiting does not help"),
    403: (AuthenticationFailed, "the key has no permission for this"),
    404: (BadRequest, "no such model or address"),
    408: (ModelTimeout, "the provider did not answer in time; try again"),
    409: (ProviderUnavailable, "the provider is busy; try again"),
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
_TOO_MANY_TOKENS: Final = re.compile(
    r"context (?:length|window|size)|(?:prompt|input|request)s? (?:is |are )?too (?:long|large)|input token count"
    r"|reduce the length|too many (?:input|prompt) tokens",
    re.IGNORECASE,
)
_SAYS_TOO_LONG: Final = {
    400: _TOO_MANY_TOKENS,
    413: re.compile(""),  # whatever the text says
    422: _TOO_MANY_TOKENS,
    429: re.compile("request too large", re.IGNORECASE),  # for the tokens that the provider allows in a minute
}
"""How providers without an error code for it say that a request is too long, by the status that they send with it."""
_NO_PATH: Final = re.compile(
    r"(?:404:? )?(?:(?:file|page|path|route|url|endpoint|resource) )?not found\.?"
    r"|.*\b(?:invalid url|unexpected endpoint|no route|cannot post)\b.*|\s*<.*|",
    re.IGNORECASE | re.DOTALL,
)
"""What servers say, if anything, of a path that they do not have; a page of HTML is not an API's answer."""
_LOADING: Final = re.compile(
    r"(?!.*\b(?:error|fail))(?:.*\bloading\b.{0,40}\bmodel\b|.*\bmodel\b.{0,80}\bloading\b)", re.IGNORECASE | re.DOTALL
)
"""What servers say while they load a model."""
_UNSUPPORTED: Final = re.compile(r"unsupported|(?:not|n't) support", re.IGNORECASE)
_REASONING: Final = {
    "max_tokens": "reasoning models take max_completion_tokens instead of max_tokens",
    "temperature": "reasoning models take no temperature but their own: leave it out, or set reasoning_effort",
    "top_p": "reasoning models take no top_p: leave it out, or set reasoning_effort",
}
"""What to do about a parameter that a model does not take."""
_ELSEWHERE: Final = (401, 402, 403, 404, 429, 529)
"""Codes of errors that no other form of the request can help."""
_OTHERWISE: Final = re.compile(
    r"\bmodel\b.{0,80}?\b(?:not found|not exist|unknown|not available|not loaded|no access)"
    r"|(?:unknown|invalid|no such) model\b"
    r"|api[_ ]key|unauthori[sz]ed|authenticat|permission|quota|billing|credit balance|content (?:policy|filter)",
    re.IGNORECASE | re.DOTALL,
)
"""The same in the words of refusals."""
_FILTERED: Final = frozenset({"content_filter", "content_policy_violation"})


@dataclass(frozen=True, slots=True)
class Where:
    """The call that failed: what messages name, the secrets that they must not show, and what was asked.

    hint: what to try if the server does not know the model or the address.
    """

    provider: str
    model: str
    address: str
    key_source: str
    secrets: tuple[Secret, ...] = ()
    request: Request | None = field(default=None, repr=False)
    hint: str = ""

    def clean(self, text: str, limit: int = SAID_LIMIT) -> str:
        """Return a text of the provider as short plain text without secrets."""
        # masked first, since whatever changes the text could hide a key, and last, since it could also complete one
        return shorten(mask(as_line(mask(text[:_READ_LIMIT], self.secrets)), self.secrets), limit)

    def error(self, kind: type[ModelError], what: str, said: str = "", **more: Any) -> ModelError:
        """Return an error of this kind; `said` is the provider's own text."""
        quoted = self.clean(said) if said else ""
        message = mask(f"{self.provider}:{self.model}: {what}", self.secrets)
        more["request_id"] = self.clean(str(more.get("request_id") or ""), 100)
        provider, model = mask(self.provider, self.secrets), mask(self.model, self.secrets)
        return kind(f"{message}: {quoted}" if quoted else message, provider=provider, model=model, **more)


def explain(error: Exception, where: Where, *, begun: bool = False) -> ModelError:
    """Return our error for any exception of a call; `begun` says whether the reply had begun."""
    refused = refusal_of(error)
    if refused is not None:
        return from_body(refused.body, where, refused.status, refused.headers)
    if isinstance(error, ErrorObject):
        return from_body(error.body, where)
    if isinstance(error, WireError):
        return where.error(StreamBroken, "the reply cannot be read; try again", str(error))
    # by name, since neither the SDK nor its HTTP client is imported before a call is made
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & TIMEOUTS:
        return where.error(ModelTimeout, f"{host_of(where.address)} sent nothing in time; try again later")
    if begun and names & {"TransportError", "StreamError", "DecodingError"}:
        return where.error(StreamBroken, "the connection broke in the middle of the reply; try again", str(error))
    is_unconnected = names & {"APIConnectionError", "TransportError"}
    what = f"the call failed ({type(error).__name__})"
    return _no_connection(error, where) if is_unconnected else where.error(ModelError, what, str(error))


def refusal_of(error: Exception) -> StatusError | None:
    """Return what an exception says of a response that is not a reply, if that is what caused it."""
    return next((cause for cause in _causes(error) if isinstance(cause, StatusError)), None)


def words_of(body: Any) -> str:
    """Return what an error's body says, or the body."""
    inner = body.get("error", body) if isinstance(body, dict) else body
    message = inner.get("message") if isinstance(inner, dict) else inner
    return message if isinstance(message, str) else json.dumps(body)


def as_line(text: str) -> str:
    """Return a text of a server, perhaps a page of HTML, as one line of words."""
    text = text[:_READ_LIMIT]
    if "<" in text:
        text = html.unescape(re.sub(r"<(?:script|style)\b[^>]*>[^<]*|<[^>]*>", " ", text))
    return " ".join(text.split())


def has_plain_cause(refused: StatusError, sent: Iterable[str]) -> bool:
    """Whether a refusal of a request says what is wrong: its length, the key, the model, a filter or a parameter.

    sent: the names of the parameters of the request that are not in doubt.
    """
    inner = refused.body.get("error", refused.body) if isinstance(refused.body, dict) else refused.body
    said = str(refused.body)[:_READ_LIMIT]
    words = _codes_of(inner)
    named = "|".join(map(re.escape, {*sent, *_REASONING, "messages", "role", "stream_options"}))
    return (
        bool((_TOO_LONG | _FILTERED).intersection(words))
        or any(_status_of(word) in _ELSEWHERE for word in words)
        or _TOO_MANY_TOKENS.search(said) is not None
        or _OTHERWISE.search(said) is not None
        or re.search(rf"\b(?:{named})\b", said) is not None
        or bool(isinstance(inner, dict) and inner.get("param"))
    )


def is_timeout(error: Exception) -> bool:
    """Whether a server sent nothing in time."""
    return bool({kind.__name__ for kind in type(error).__mro__} & {*TIMEOUTS, "TimeoutError"})


def is_hung_up(error: Exception) -> bool:
    """Whether a connection was closed before anything of the response came."""
    names = {kind.__name__ for cause in _causes(error) for kind in type(cause).__mro__}
    return bool(names & {"RemoteProtocolError", "ReadError", "WriteError"})


def from_body(
    body: Any, where: Where, status: int | None = None, headers: Mapping[str, str] | None = None
) -> ModelError:
    """Return the error that a provider's error body means; status: of HTTP, None if the body came within a reply."""
    headers = headers or {}
    inner = body.get("error", body) if isinstance(body, dict) else body
    said = _said(inner)
    words = _codes_of(inner)
    meant = next(filter(None, map(_status_of, words)), None)
    more: dict[str, Any] = {"status": status, "request_id": headers.get("x-request-id", "")}
    if _FILTERED.intersection(words):
        what = "filtered by the provider; rephrase the question"
        return where.error(ModelRefused, what, said, text=where.clean(said), **more)
    if status in _REDIRECTS:
        what = "the address redirects; redirects are not followed, to keep the key from other servers; set base_url"
        return final(where.error(ProviderUnavailable, what, headers.get("location", ""), **more))
    if status is None or (status == 429 and meant == 402):  # noqa: PLR2004 - HTTP's own numbers
        status = meant or 500
        more["status"] = more["status"] or status
    if _is_too_long(status, words, said):
        sizes = f" ({describe_sizes(where.request)})" if where.request is not None else ""
        more_context = f", {where.hint}" if where.provider == LOCAL and where.hint else ""
        what = f"the request is too long for the model; {_SHORTER}{more_context}{sizes}"
        return where.error(BadRequest, what, said, **more)
    kind, what = BY_STATUS.get(status, BY_STATUS[400])
    if status >= 500:  # noqa: PLR2004
        kind, what = ProviderUnavailable, f"{host_of(where.address)} failed with status {status}; try again later"
    is_loading = status == 503 and bool(_LOADING.match(said[:_READ_LIMIT]))  # noqa: PLR2004
    if is_loading:
        what = f"{host_of(where.address)} is still loading the model"
    if kind is AuthenticationFailed:
        what += f" (it came from: {where.key_source})"
    if where.hint and (status in {404, 405} or (status == 400 and re.search(r"\bchat\b|/responses\b", said))):  # noqa: PLR2004
        what += f"; {where.hint}"
    else:
        what += _fix(status, inner, said[:_READ_LIMIT], f"{words} {said[:_READ_LIMIT]}")
    if kind is RateLimited or kind.retryable:
        more["retry_after"] = seconds = retry_after(headers)
        hint = "; limits=Limit(rpm=...) avoids this" if kind is RateLimited else ""
        what += f"; the provider asks to wait {seconds:,.0f} s" if seconds else hint
    fault = where.error(kind, what, said, **more)
    fault.patient = kind.patient or is_loading
    return fault


def _fix(status: int, body: Any, said: str, words: str) -> str:
    """Return what to do about a request that was refused, if it is known; words: all that the provider says of it."""
    if status == 404 and _NO_PATH.fullmatch(said):  # noqa: PLR2004 - HTTP's own numbers
        return "; does the address end in /v1?"
    if status not in {400, 422} or not _UNSUPPORTED.search(words):
        return ""
    named = f"{body.get('param') if isinstance(body, dict) else ''} {words}"
    return "".join(f"; {fix}" for name, fix in _REASONING.items() if re.search(rf"\b{name}\b", named))


def _is_too_long(status: int, words: Iterable[str], said: str) -> bool:
    """Whether a request is too long, for the model or for the tokens that the provider allows in a minute."""
    says = _SAYS_TOO_LONG.get(status)
    return bool(_TOO_LONG.intersection(words) or (says and says.search(said[:_READ_LIMIT])))


def _codes_of(body: Any) -> list[str]:
    """Return what an error's body calls the error, as words."""
    return [str(body.get(key)) for key in ("code", "type")] if isinstance(body, dict) else []


def _status_of(word: str) -> int | None:
    """Return the status that an error code or type means; some providers write the status itself."""
    return int(word) if re.fullmatch(r"[45]\d\d", word) else BY_WORD.get(word)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that a provider asks to wait, never below 0, or None if it does not say."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "nan")) * unit
        except ValueError:
            seconds = _until(headers[name], now or datetime.now(UTC))
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def _until(date: str, now: datetime) -> float:
    """Return the seconds until an HTTP date, nan if it is not one."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - slow to import, and seldom needed

    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError):
        return math.nan
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()


def _said(body: Any) -> str:
    if isinstance(body, dict):
        texts = (body[key] for key in ("message", "detail", "error", "msg") if isinstance(body.get(key), str))
        return next(texts, str(body or ""))
    return body if isinstance(body, str) else ""


def _no_connection(error: Exception, where: Where) -> ModelError:
    host = host_of(where.address)
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            is_untrusted = isinstance(cause, ssl.SSLCertVerificationError)
            hint = "is a proxy's certificate not trusted here?" if is_untrusted else "does it speak only http?"
            reason = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "TLS error"
            return final(where.error(ProviderUnavailable, f"no secure connection to {host}; {hint}", str(reason)))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        what = f"there is no host {host}; check the address (base_url) and the network. {_PROXY}"
    elif where.provider in PROVIDERS and PROVIDERS[where.provider].start:
        what = f"no connection to {host}; start it with `{PROVIDERS[where.provider].start}`"
    else:
        what = f"no connection to {host}; check that the server is up and the address (base_url) is right. {_PROXY}"
    return where.error(ProviderUnavailable, what)


def _causes(error: BaseException) -> list[BaseException]:
    """Return an exception and everything that caused it, or that it holds as a group; the chain may be a circle."""
    found = [error]
    for each in found:  # it grows while it is read
        known = set(map(id, found))
        held = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        causes = (each.__cause__, each.__context__, *held)
        found += [cause for cause in causes if cause is not None and id(cause) not in known]
    return found


def final(error: ModelError) -> ModelError:
    """Mark an error that trying again cannot help."""
    error.retryable = False
    return error
