"""The reply of an OpenAI-compatible server, read from bytes: pure, and cheap per event.

The SDK builds a validated object for each event, which costs more than everything else together; a plan needs three of
its fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from compiler_nb.outcome import Usage

EVENTS: Final = "text/event-stream"
"""The kind of a streamed reply, which some servers do not name, or call by another name."""
EVENT_LIMIT: Final = 1_000_000
"""Most bytes of one event; more cannot be a reply."""
REPLY_LIMIT: Final = 10_000_000
"""Most bytes of a whole reply; more cannot be a plan."""
NAME_LIMIT: Final = 200
"""Characters of a model's name that are kept."""
FINISHES: Final = {
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "safety": "content_filter",
    "function_call": "tool_calls",
}
"""Finish reasons of some servers, and what OpenAI calls them."""

BodyForm: TypeAlias = Literal["events", "json", "page", ""]
TOOLS: Final = 5
"""How many of the tools that a reply calls are named."""
_FIELDS: Final = (b"data:", b"event:", b"id:", b"retry:", b":")
"""How the lines of events begin; the last one is a comment."""

_decode = json.JSONDecoder().raw_decode


class WireError(Exception):
    """The bytes are not a reply."""


class ErrorObject(Exception):
    """In the middle of a reply the provider says that it failed; `body` is what it says."""

    def __init__(self, body: Any) -> None:
        super().__init__("error object")
        self.body = body


class StatusError(Exception):
    """The response has a status that means that there is no reply; `body` is what it says, a JSON value or a text."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str]) -> None:
        super().__init__(f"status {status}")
        self.status, self.body, self.headers = status, body, headers


def form_of(begin: bytes, kind: str, *, ended: bool = False) -> BodyForm:
    """Return what a body with this beginning is; "" if more of it is needed.

    kind: what its header calls it, which decides only if the bytes do not; ended: whether nothing follows.
    """
    start = begin.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] == b"{" or (start[:1] == b"[" and kind.endswith("json")):
        return "json"
    if start.startswith(_FIELDS):
        return "events"
    if not ended and any(field.startswith(start) for field in _FIELDS):
        return ""
    if start[:1] != b"<" and (kind == EVENTS or kind.endswith("json")):
        return "events" if kind == EVENTS else "json"
    return "page"


class EventReader:
    """Splits a body into the payloads of its server-sent events, in any chunking."""

    def __init__(self) -> None:
        self._rest = bytearray()  # a line whose end has not come; bytes would be copied whole for each small piece
        self._payload = b""  # data lines of an event whose blank line has not come
        self._read = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that are complete now; raise WireError if a limit is exceeded."""
        self._read += len(data)
        if self._read > REPLY_LIMIT:
            raise WireError(f"the reply is over {REPLY_LIMIT:,} bytes")
        if not self._rest and not self._payload and _is_event(data):
            return [data[5:-2]]
        payloads: list[bytes] = []
        self._rest += data
        if b"\n" in data:
            *whole, self._rest = self._rest.split(b"\n")
            for line in whole:
                self._line(bytes(line), payloads)
        _check_size(self._rest)
        return payloads

    def close(self) -> list[bytes]:
        """Return the last payload: some servers end without the last blank line."""
        return self.feed(b"\n\n")

    def _line(self, line: bytes, payloads: list[bytes]) -> None:
        line = line.removesuffix(b"\r")
        is_data = line.startswith(b"data:")
        # an event may have several data lines, but some servers forget the blank line between two events
        if self._payload and (not line or (is_data and _is_whole(self._payload))):
            payloads.append(self._payload)
            self._payload = b""
        if is_data:
            self._payload = self._payload + b"\n" + line[5:] if self._payload else line[5:]
            _check_size(self._payload)


def _is_event(data: bytes) -> bool:
    """Whether these bytes are exactly one event of one line, as most reads are: the short cut halves their cost."""
    return data[:5] == b"data:" and data[-2:] == b"\n\n" and data.count(b"\n") == 2 and len(data) <= EVENT_LIMIT  # noqa: PLR2004


def _check_size(event: bytes | bytearray) -> None:
    if len(event) > EVENT_LIMIT:
        raise WireError(f"an event is over {EVENT_LIMIT:,} bytes")


def _is_whole(payload: bytes) -> bool:
    try:
        parse_event(payload)
    except WireError:
        return False
    return True


def parse_event(payload: bytes) -> dict[str, Any] | None:
    """Return an event, or None if it says that nothing follows."""
    try:
        text = payload.decode().strip()
        if text == "[DONE]":
            return None
        event, end = _decode(text)
    except (ValueError, RecursionError):
        event, end = None, 0
    if type(event) is not dict or end != len(text):
        raise WireError(f"an event is not a JSON object: {payload[:80].decode('utf-8', 'replace')}")
    return event


@dataclass(slots=True, repr=False)  # a traceback shows the repr, and a refusal may repeat the key
class Completion:
    """What the events of one reply add up to.

    finish: why it ended, in OpenAI's words; done: whether the server said that nothing follows; usage: None if the
    server reported none; model: the name that the reply gives; refusal: the text of a refusal; thinks: whether
    reasoning or calls of tools came, which are not text but show that the model works; broken: what made the rest
    unreadable, unless the model had ended before; spoke: whether text came; reasons: whether the server says why a
    model ended, or that it has not yet, None until a choice came; tools: the names of tools that the reply calls.
    """

    finish: str = ""
    done: bool = False
    usage: Usage | None = None
    model: str = ""
    refusal: str = ""
    thinks: bool = False
    broken: WireError | ErrorObject | None = None
    spoke: bool = False
    reasons: bool | None = None
    tools: tuple[str, ...] = ()

    def absorb(self, payloads: list[bytes]) -> str:
        """Return the text of payloads up to the first broken one, whose error is kept in `broken`."""
        text = ""
        try:
            for payload in payloads:
                text += self.take(payload)
        except (WireError, ErrorObject) as error:
            self.broken = None if self.finish else error
        return text

    @property
    def ended(self) -> bool:
        """Whether no more text comes."""
        return self.done or self.finish != "" or self.broken is not None

    @property
    def ending(self) -> str:
        """Why the reply ended, "" if it was cut off: a server that gives reasons did not give one."""
        return self.finish or ("stop" if self.done and self.reasons is False else "")

    def take(self, payload: bytes) -> str:
        """Return the text of one payload; raise WireError or ErrorObject if it is not part of a reply."""
        event = parse_event(payload)
        if event is None:
            self.done = True
            return ""
        choices = event.get("choices")
        if (
            event.get("error")
            or event.get("object") == "error"
            or (choices is None and {"message", "detail"} & event.keys())
        ):
            raise ErrorObject(event.get("error") or event)
        if not self.model and type(model := event.get("model")) is str:
            self.model = model[:NAME_LIMIT]
        if usage := event.get("usage"):
            self.usage = usage_of(usage)
        listed = choices if type(choices) is list else ()
        return "".join(self._choice(each) for each in listed if type(each) is dict and not each.get("index"))

    def _choice(self, choice: dict[str, Any]) -> str:
        delta = choice.get("delta") or choice.get("message")
        text = ""
        if type(delta) is dict:
            content = delta.get("content")
            if content and not self.finish:
                text = content if type(content) is str else _joined(content)
            if type(refusal := delta.get("refusal")) is str:
                self.refusal += refusal
            if text:
                self.spoke = True
            elif called := delta.get("tool_calls"):
                self.tools = tuple(dict.fromkeys((*self.tools, *_called(called))))[:TOOLS]
                self.thinks = True
            elif delta.get("reasoning_content") or delta.get("reasoning"):
                self.thinks = True
        if not self.reasons:
            self.reasons = "finish_reason" in choice
        finish = choice.get("finish_reason")
        if finish and type(finish) is str:
            self.finish = FINISHES.get(finish.lower(), finish.lower()[:40])
        return text


def _joined(content: Any) -> str:
    """Return the text of content that comes as a list of parts."""
    parts = content if type(content) is list else ()
    return "".join(part["text"] for part in parts if type(part) is dict and type(part.get("text")) is str)


def _called(calls: Any) -> list[str]:
    """Return the names of the tools that are called; pieces of arguments name none."""
    listed = calls if type(calls) is list else ()
    functions = [call.get("function") for call in listed if type(call) is dict]
    names = [each.get("name") for each in functions if type(each) is dict]
    return [name[:NAME_LIMIT] for name in names if type(name) is str and name]


def usage_of(usage: Any) -> Usage | None:
    """Return the usage that a provider reports, of either API, or None if it is not in numbers.

    Some leave a model's reasoning out of what it wrote (xAI, Gemini): the total tells how much that was.
    """
    if type(usage) is not dict:
        return None
    names = ("input", "output") if "input_tokens" in usage else ("prompt", "completion")
    sent, received = (usage.get(f"{name}_tokens") for name in names)
    if type(sent) is not int or type(received) is not int:
        return None
    read, wrote = (usage.get(f"{name}_tokens_details") for name in names)
    thought = _count(wrote, "reasoning_tokens")
    left_out = max(_count(usage, "total_tokens") - sent - received, 0)
    if left_out and thought in (0, left_out):
        thought, received = left_out, received + left_out
    return Usage(
        1, sent, received, _count(read, "cached_tokens"),
        reasoning_tokens=thought, cache_write_tokens=_count(read, "cache_write_tokens"),
    )  # fmt: skip


def _count(details: Any, name: str) -> int:
    """Return a number of a usage's details, 0 if it does not say."""
    count = details.get(name) if type(details) is dict else None
    return count if type(count) is int else 0
