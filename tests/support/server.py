r"""A real OpenAI-compatible server on 127.0.0.1, that answers what a test says and fails as it says.

    with Server(reply="a = f(1)\n", faults=["429=0.01", "reset=2"]) as server:
        ...                    # server.url, server.requests

The first request gets the first fault, and so on; after the last one all goes well. `always` is a fault for every
request. "name=value" gives a fault its value; FAULTS is the list of them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
import sys
import threading
import time
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

REASONS: Final = {200: "OK", 307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized", 429: "Too Many"}
SPIN: Final = 0.002
"""Pauses below this, in seconds, are spun: the loop's timer is too coarse for them."""


class Wait(NamedTuple):
    """A pause in a body, in seconds."""

    seconds: float


RESET: Final = "reset"  # the connection is reset
HANG: Final = "hang"  # nothing more comes until the client leaves
Step = bytes | Wait | str
UNREACHED: Final = 0
"""The status if there was no connection; the only step says why: "refused", "no host" or "tls"."""


class Seen(NamedTuple):
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def key(self) -> str:
        """What the request was signed with."""
        return self.headers.get("authorization", "").removeprefix("Bearer ") or self.headers.get("api-key", "")


class Response(NamedTuple):
    """What goes back: status, headers, and the body's steps; each bytes step is one write."""

    status: int
    headers: Mapping[str, str]
    steps: tuple[Step, ...]


class Case(NamedTuple):
    """All that a fault may need: the request, the reply that would be right, its events, and the fault's value."""

    seen: Seen
    text: str
    events: list[dict[str, Any]]
    value: str

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.seen.body.get("model", ""))

    def number(self, default: float) -> float:
        """Return the value as a number."""
        return float(self.value or default)


def events_of(text: str, size: int, model: str = "scripted") -> list[dict[str, Any]]:
    """Return the events of a streamed reply: role, pieces of `size` characters, finish, usage."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text[start : start + size]} for start in range(0, len(text), size)]
    events = [_event(model, delta) for delta in deltas]
    events.append(_event(model, {}, finish="stop"))
    events.append({**_event(model, {}), "choices": [], "usage": usage_of(text)})
    return events


def usage_of(text: str) -> dict[str, int]:
    """Return the usage that the server reports: 10 tokens in, one for each character out."""
    return {"prompt_tokens": 10, "completion_tokens": len(text), "total_tokens": 10 + len(text)}


def _event(model: str, delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model}
    return {**head, "service_tier": "default", "system_fingerprint": None, "choices": [choice]}


def sse(event: object, before: bytes = b"data: ", after: bytes = b"\n\n") -> bytes:
    """Return an event as it goes over the wire."""
    text = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
    return before + text.encode() + after


DONE: Final = sse("[DONE]")


def stream(steps: Iterable[Step], kind: str = "text/event-stream; charset=utf-8") -> Response:
    """Return a streamed response."""
    return Response(200, {"Content-Type": kind, "x-request-id": "req_1"}, tuple(steps))


def whole(status: int, body: object, **headers: str) -> Response:
    """Return a response in one piece: JSON, or HTML if the body is a text."""
    kind = "text/html" if isinstance(body, str) else "application/json"
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"Content-Type": kind, "x-request-id": "req_1", **named}, (data,))


def _error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}}


def _good(case: Case) -> Response:
    if case.seen.body.get("stream"):
        return stream([*map(sse, case.events), DONE])
    message = {"role": "assistant", "content": case.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = {"object": "chat.completion", "model": case.model, "choices": [choice], "usage": usage_of(case.text)}
    return whole(200, body)


def _wire(before: bytes = b"data: ", after: bytes = b"\n\n") -> Callable[[Case], Response]:
    return lambda case: stream(sse(event, before, after) for event in [*case.events, "[DONE]"])


def _finish(reason: str) -> Callable[[Case], Response]:
    def answer(case: Case) -> Response:
        half = case.events[: 1 + len(case.events[1:-2]) // 2]
        return stream([*map(sse, [*half, _event(case.model, {}, finish=reason), case.events[-1]]), DONE])

    return answer


def _cut(end: Step | None, count: int = 3) -> Callable[[Case], Response]:
    """Return a fault that ends the stream after some events (the role's own counts)."""

    def answer(case: Case) -> Response:
        first = [sse(event) for event in case.events[: int(case.number(count))]]
        return stream([*first, Wait(0.01), end] if end else first)

    return answer


def _in_stream(body: object, after: bytes = b"\n\n") -> Callable[[Case], Response]:
    return lambda case: stream([*map(sse, case.events[:3]), sse(body, after=after)])


def _usage(usage: object) -> Callable[[Case], Response]:
    return lambda case: stream([*map(sse, case.events[:-1]), sse({"choices": [], "usage": usage}), DONE])


def _bytes(case: Case) -> Response:
    data = b"".join([*map(sse, case.events), DONE])
    size = int(case.number(1))
    return stream(data[start : start + size] for start in range(0, len(data), size))


def _choices(case: Case) -> Response:
    other = [_event(case.model, {"content": "NOT THIS"}, index=1) for _ in case.events[1:-2]]
    mixed = [event for pair in zip(other, case.events[1:-2], strict=True) for event in pair]
    return stream([*map(sse, [case.events[0], *mixed, *case.events[-2:]]), DONE])


def _thinks(case: Case) -> Response:
    thoughts = [_event(case.model, {"reasoning_content": "hm"}) for _ in range(3)]
    steps: list[Step] = [part for thought in thoughts for part in (sse(thought), Wait(case.number(0.02)))]
    return stream([*steps, *map(sse, case.events), DONE])


def _refuses(case: Case) -> Response:
    parts = [_event(case.model, {"refusal": piece}) for piece in ("I cannot ", "help with that.")]
    return stream([*map(sse, [*parts, *case.events[-2:]]), DONE])


def _overlong(case: Case) -> Response:
    return stream([sse(case.events[0]), b"data: " + b"x" * int(case.number(1_100_000))])


def _endless(case: Case) -> Response:
    piece = sse(_event(case.model, {"content": "x" * 100_000}))
    return stream([piece] * int(case.number(120)))


def _alive(case: Case) -> Response:
    pings = [part for _ in range(50) for part in (b": ping\n\n", Wait(case.number(0.005)))]
    return stream([*map(sse, case.events[:3]), *pings, HANG])


def _bomb(case: Case) -> Response:
    event = sse(_event(case.model, {"content": "x" * 900_000}))
    response = stream(_packed(event, int(case.number(60))))
    return response._replace(headers={**response.headers, "Content-Encoding": "gzip"})


def _packed(part: bytes, times: int) -> list[bytes]:
    """Return so many times the same, compressed, without ever holding all of it."""
    packer = zlib.compressobj(wbits=31)
    packed = b"".join([packer.compress(part) for _ in range(times)]) + packer.flush()
    return [packed[start : start + 60_000] for start in range(0, len(packed), 60_000)]


def _packed_error(case: Case) -> Response:
    """Refuse a request with so many MB of zeros, compressed."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return Response(400, headers, tuple(_packed(bytes(1_000_000), int(case.number(30)))))


def _calls_tools(case: Case) -> Response:
    """Answer with calls of tools, and no text."""
    calls = [{"index": 0, "id": "1", "type": "function", "function": {"name": "weather", "arguments": ""}}]
    more = [{"index": 0, "function": {"arguments": '{"city": "Rome"}'}}]
    deltas = [_event(case.model, {"tool_calls": each}) for each in (calls, more)]
    return stream([*map(sse, [*deltas, _event(case.model, {}, finish="tool_calls"), case.events[-1]]), DONE])


def _without_reasons(case: Case) -> Response:
    """Answer as servers do that never say why a model ended."""
    choices = [{name: part for name, part in event["choices"][0].items() if name != "finish_reason"}
               for event in case.events[:-2]]  # fmt: skip
    return stream([*(sse({"model": case.model, "choices": [choice]}) for choice in choices), DONE])


def _typed(kind: str | None) -> Callable[[Case], Response]:
    def answer(case: Case) -> Response:
        response = _good(case)
        headers = {"x-request-id": "req_1", **({"Content-Type": kind} if kind else {})}
        return response._replace(headers=headers)

    return answer


def _named(case: Case) -> Response:
    """Answer in another model's name, as a server does that knows an alias, or chooses itself."""
    return stream([*(sse({**event, "model": case.value}) for event in case.events), DONE])


def _context(case: Case) -> Response:
    """Refuse a request for its length, by a code, or in the words of servers that have none."""
    body = {
        "vllm": {"object": "error", "type": "BadRequestError", "code": 400,
                 "message": "This model's maximum context length is 8192 tokens. However, you requested 9000."},
        "claude": {"error": {"type": "invalid_request_error", "message": "prompt is too long: 9000 tokens > 8192"}},
    }.get(case.value, _error("maximum context length is 8192", code="context_length_exceeded"))  # fmt: skip
    return whole(400, body)


def _unreached(why: str) -> Callable[[Case], Response]:
    return lambda _: Response(UNREACHED, {}, (why,))


def _no_options(case: Case) -> Response:
    """Refuse `stream_options`, as servers do that do not know it."""
    if "stream_options" not in case.seen.body:
        return stream([*map(sse, case.events[:-1]), DONE])  # usage was not asked for
    said = {"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}
    return whole(int(case.number(422)), {"detail": [said]})


def _no_system(case: Case) -> Response:
    """Refuse a message in the role `system`, in the words of a model's template; answer a request without one.

    "stubborn" refuses that, too.
    """
    if case.value != "stubborn" and all(message["role"] != "system" for message in case.seen.body["messages"]):
        return _good(case)
    alternate = "Conversation roles must alternate user/assistant/user/assistant/..."
    said = {
        "vllm": (400, {"object": "error", "message": "System role not supported", "type": "BadRequestError",
                       "param": None, "code": 400}),
        "new vllm": (400, _error("System role not supported None", type="BadRequestError", code=400)),
        "mistral": (400, {"object": "error", "message": alternate, "code": 400}),
        "stubborn": (400, {"object": "error", "message": alternate, "code": 400}),
        "transformers": (500, _error("Only user and assistant roles are supported!")),
        "tgi": (422, {"error": "Template error: invalid operation: System role not supported (in <string>:1)",
                      "error_type": "template_error"}),
        "reasoning": (400, _error("Unsupported value: 'messages[0].role' does not support 'system' with this model.")),
        "nameless": (500, {"error": {"code": 500, "message": "Unexpected message role.", "type": "server_error"}}),
        "gemini": (400, [{"error": {"code": 400, "status": "INVALID_ARGUMENT",
                                    "message": "Developer instruction is not enabled for models/gemma-3-27b-it"}}]),
    }  # fmt: skip
    status, body = said[case.value]
    return whole(status, body)


def _no_grammar(case: Case) -> Response:
    """Refuse what holds a reply to a grammar, in the words of a server; answer a request without it."""
    body = case.seen.body
    fields = {"grammar", "structured_outputs", "guided_grammar", "response_format"} & body.keys()
    if not fields and "format" not in body.get("text", {}):
        return _response(case) if "input" in body else _good(case)
    said = {
        "llama.cpp": (400, {"error": {"code": 400, "message": "Failed to initialize samplers: failed to parse grammar",
                                      "type": "invalid_request_error"}}),
        "bare": (400, "Bad request"),
        "proxy": (413, "<html><head><title>413 Request Entity Too Large</title></head><body></body></html>"),
        "long": (400, _error("The prompt is too long: 9000 tokens")),
        "key": (400, _error("API key not valid. Please pass a valid API key.")),
        "parameter": (400, _error("'temperature' must be at most 1")),
        "vllm": (400, {"object": "error", "message": "Grammar error: failed to parse", "code": 400}),
        "ollama": (500, _error("invalid JSON schema in format", type="api_error")),
        "azure": (400, _error("response_format value as json_schema is enabled only for api versions 2024-08-01 on")),
        "fastapi": (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", *fields], "msg": "not permitted"}]}),
    }  # fmt: skip
    return whole(*said.get(case.value, (400, _error("Unsupported value: 'text.format'", param="text.format"))))


def _with_ids(case: Case, key: str) -> Response:
    response = stream([*(sse({**event, "id": key, "system_fingerprint": key}) for event in case.events), DONE])
    return response._replace(headers={**response.headers, "x-request-id": quote(key)})


def _echoes(case: Case) -> Response:
    """Put the key into some place of a reply that a provider fills itself."""
    key = case.seen.key
    coded = base64.b64encode(f"Bearer {key}".encode()).decode()
    begun = [*map(sse, case.events[:3])]
    return {
        "finish": lambda: stream([*begun, sse(_event(case.model, {}, finish=key)), DONE]),
        "refusal": lambda: stream([*begun, sse(_event(case.model, {"refusal": f"not with {key}"})), DONE]),
        "broken": lambda: stream([*begun, sse(f'{{"choices": {key}')]),
        "model": lambda: stream([*(sse({**event, "model": f"m-{key}"}) for event in case.events), DONE]),
        "ids": lambda: _with_ids(case, key),
        "usage": lambda: _usage({"prompt_tokens": key, "completion_tokens": 3, key: {"cached_tokens": key}})(case),
        "html": lambda: whole(200, f"<html><p title='{key}'>You came with Bearer {key}</p></html>"),
        "header": lambda: whole(500, _error("fault"), x_request_id=quote(key)),
        "code": lambda: whole(400, _error("no", code=key, type=key, param=key)),
        "base64": lambda: whole(403, _error(coded)),
        "detail": lambda: whole(422, {"detail": [{"input": {"authorization": f"Bearer {key}"}}]}),
        "redirect": lambda: whole(307, {}, Location=f"http://elsewhere.test/v1?key={quote(key, safe='')}"),
    }[case.value or "detail"]()


def _responded(case: Case, status: str = "completed", **more: Any) -> dict[str, Any]:
    """Return a whole response of the Responses API, as it also ends a stream."""
    part = {"type": "output_text", "text": case.text, "annotations": []}
    output = [{"type": "reasoning", "summary": []}, {"type": "message", "role": "assistant", "content": [part]}]
    usage = {
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens": len(case.text), "output_tokens_details": {"reasoning_tokens": 1},
    }  # fmt: skip
    head = {"object": "response", "model": case.model, "status": status, "error": None, "output": output}
    return {**head, "usage": usage, **more}


def _response_events(case: Case, *ends: dict[str, Any]) -> Response:
    """Return a stream of the Responses API: it begins, thinks, says the text in pieces, and ends."""
    begun = {"object": "response", "model": case.model, "status": "in_progress", "output": [], "usage": None}
    pieces = [event["choices"][0]["delta"].get("content") for event in case.events[1:-2]]
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.reasoning_summary_text.delta", "delta": "NOT THIS"},
        *({"type": "response.output_text.delta", "delta": piece} for piece in pieces),
        {"type": "response.output_text.done", "text": case.text},
        *ends,
    ]
    return stream(f"event: {event['type']}\n".encode() + sse(event) for event in events)


def _response(case: Case) -> Response:
    """Return the reply of the Responses API, to a request that has its fields."""
    body = case.seen.body
    if "messages" in body or not body.get("input") or body.get("store") is not False:
        return whole(400, _error("Missing required parameter: 'input'."))
    done = _responded(case)
    if not body.get("stream"):
        return whole(200, done)
    return _response_events(case, {"type": "response.completed", "response": done})


def _incomplete(case: Case) -> Response:
    ended = _responded(case, "incomplete", incomplete_details={"reason": case.value})
    return _response_events(case, {"type": "response.incomplete", "response": ended})


def _failed(case: Case) -> Response:
    error = {"code": case.value or "server_error", "message": "upstream failed"}
    ended = _responded(case, "failed", error=error)
    return _response_events(case, {"type": "response.failed", "response": ended})


def _repeats(case: Case) -> Response:
    """Put the key into some place of a response that a provider fills itself."""
    key, done = case.seen.key, _responded(case)
    error = {"code": key, "message": f"not with {key}", "param": key, "type": key}
    ends: dict[str, list[dict[str, Any]]] = {
        "failed": [{"type": "response.failed", "response": {**done, "status": "failed", "error": error}}],
        "error": [{**error, "type": "error"}],
        "refusal": [{"type": "response.refusal.delta", "delta": f"not with {key}"},
                    {"type": "response.completed", "response": done}],
        "reason": [{"type": "response.incomplete", "response": {
            **done, "status": "incomplete", "incomplete_details": {"reason": key}}}],
        "model": [{"type": "response.completed", "response": {**done, "model": f"m-{key}", "id": key}}],
        "usage": [{"type": "response.completed", "response": {**done, "usage": {"input_tokens": key, key: key}}}],
    }  # fmt: skip
    return _response_events(case, *ends[case.value or "failed"])


RESPONSES: Final[dict[str, Callable[[Case], Response]]] = {
    "incomplete": _incomplete,
    "failed": _failed,
    "event-error": lambda case: _response_events(
        case, {"type": "error", "code": case.value or "server_error", "message": "upstream failed", "param": None}
    ),
    "declines": lambda case: stream(
        map(sse, [{"type": "response.refusal.delta", "delta": "I cannot."},
                  {"type": "response.completed", "response": _responded(case, output=[])}])
    ),
    "repeats": _repeats,
    "no-deltas": lambda case: stream([sse({"type": "response.completed", "response": _responded(case)})]),
    "cut-events": _response_events,
    "cut-done": lambda case: stream([*_response_events(case).steps, DONE]),
    "thinks-long": lambda case: stream([
        sse({"type": "response.reasoning_text.delta", "delta": "hm"}), Wait(case.number(0.1)), *_response(case).steps
    ]),
}  # fmt: skip
"""What may go wrong with the Responses API, besides the statuses of FAULTS."""
FAULTS: Final[dict[str, Callable[[Case], Response]]] = {
    "429": lambda case: whole(
        429,
        _error("Rate limit reached", code="rate_limit_exceeded"),
        **({"Retry_After": case.value} if case.value else {}),
    ),
    "quota": lambda _: whole(429, _error("You exceeded your current quota", code="insufficient_quota")),
    "status": lambda case: whole(int(case.number(500)), _error("The server had an error", type="server_error")),
    "html-502": lambda _: whole(502, "<html><body><h1>502 Bad Gateway</h1></body></html>"),
    "html-200": lambda _: whole(200, "<html><head><title>Sign in</title></head><body>to the wifi</body></html>"),
    "401": lambda case: whole(401, _error(f"Incorrect API key provided: {case.seen.key}.", code="invalid_api_key")),
    "context": _context,
    "filter-400": lambda _: whole(400, _error("filtered", code="content_filter")),
    "model-404": lambda _: whole(404, _error("The model does not exist", code="model_not_found")),
    "no-options": _no_options,
    "redirect": lambda case: whole(307, {}, Location=case.value),
    "reset": _cut(RESET),
    "early-reset": lambda _: stream([RESET]),
    "silent-end": _cut(None),
    "blank": lambda case: stream(map(sse, [case.events[0], *case.events[-2:]])),
    "no-end": lambda case: stream(map(sse, case.events[:-2])),
    "model": _named,
    "stall": _cut(HANG),
    "mute": lambda _: stream([HANG]),
    "keep-alive": lambda case: stream([part for _ in range(500) for part in (b": ping\n\n", Wait(case.number(0.005)))]),
    "slow-first": lambda case: stream([Wait(case.number(0.05)), *map(sse, case.events), DONE]),
    "thinks": _thinks,
    "open-end": lambda case: stream([*map(sse, case.events), DONE, HANG]),
    "open-finish": lambda case: stream([*map(sse, case.events[:-1]), HANG]),
    "no-done": lambda case: stream(map(sse, case.events)),
    "no-finish": lambda case: stream([*map(sse, case.events[:-2]), DONE]),
    "error": lambda case: _in_stream(_error("upstream failed", type="server_error", code=case.value or None))(case),
    "error-echo": lambda case: _in_stream(_error(f"bad key {case.seen.key}", code="invalid_api_key"))(case),
    "broken-json": _in_stream('{"choices": [{"index": 0, "delta": {"cont'),
    "answers-as": lambda case: _good(case._replace(events=[{**each, "model": case.value} for each in case.events])),
    "usage-is": lambda case: _usage(json.loads(case.value))(case),
    "no-usage": lambda case: stream([*map(sse, case.events[:-1]), DONE]),
    "bad-usage": _usage({"prompt_tokens": -5, "completion_tokens": "many"}),
    "negative-usage": _usage({"prompt_tokens": -5, "completion_tokens": 7}),
    "bytes": _bytes,
    "crlf": _wire(after=b"\r\n\r\n"),
    "no-space": _wire(before=b"data:"),
    "one-newline": _wire(after=b"\n"),
    "comments": _wire(before=b": ping\n\nid: 3\nretry: 10\nevent: x\ndata: "),
    "choices": _choices,
    "length": _finish("length"),
    "content-filter": _finish("content_filter"),
    "tool-calls": _finish("tool_calls"),
    "refusal": _refuses,
    "duplicate": lambda case: stream([*(sse(event) for each in case.events for event in (each, each)), DONE]),
    "overlong": _overlong,
    "endless": _endless,
    "json": lambda case: _good(case._replace(seen=case.seen._replace(body={}))),
    "stall-alive": _alive,
    "bomb": _bomb,
    "empty": lambda _: stream([]),
    "no-choices": lambda case: stream([sse({"choices": []}), *map(sse, case.events), DONE]),
    "plain": _typed("text/plain"),
    "octets": _typed("application/octet-stream"),
    "false-json": _typed("application/json"),
    "no-type": _typed(None),
    "refused": _unreached("refused"),
    "no-host": _unreached("no host"),
    "tls": _unreached("tls"),
    "echo": _echoes,
    "done": lambda _: stream([DONE]),
    "no-reasons": _without_reasons,
    "finish-reset": lambda case: stream([*map(sse, case.events[:-1]), Wait(0.01), RESET]),
    "finish-error": lambda case: stream(map(sse, [*case.events[:-1], _error("fault"), case.events[-1]])),
    "only-tools": _calls_tools,
    "packed-error": _packed_error,
    "loading": lambda _: whole(503, _error("Loading model", type="unavailable_error", code=503)),
    "busy": lambda case: whole(503, _error("busy", type="server_error"), Retry_After=case.value),
    "404": lambda case: whole(404, _error(case.value) if case.value else {"detail": "Not Found"}),
    "unsupported": lambda case: whole(
        400,
        _error(f"Unsupported parameter: '{case.value}' is not supported with this model", code="unsupported_parameter"),
    ),
    "no-grammar": _no_grammar,
    "no-system": _no_system,
    "json-error": lambda _: whole(200, _error("no such deployment", code="model_not_found")),
}


def answer(seen: Seen, text: str, fault: str = "", chunk: int = 4) -> Response:
    """Return the response to a request: a text in pieces of `chunk` characters, or what a fault makes of it."""
    name, _, value = fault.partition("=")
    events = events_of(text, chunk, seen.body.get("model", ""))
    known = {**FAULTS, **RESPONSES, "": _response} if seen.path.partition("?")[0].endswith("/responses") else FAULTS
    return known.get(name, _good)(Case(seen, text, events, value))


class Server:
    """Serves /chat/completions and /responses under any path, in a thread of its own.

    reply: a text, or a function of the request's body; chunk: characters per event; pace: seconds between events;
    batch: events per write; owner: of the models that it lists, "" if it lists none; version: what it says of itself;
    mute: whether it never says what it is.
    Who asks what the server is (/models, /version) meets no fault; `looks` holds the paths of these requests.
    """

    def __init__(
        self,
        reply: str | Callable[[dict[str, Any]], str] = "ok",
        *,
        chunk: int = 4,
        pace: float = 0.0,
        batch: int = 1,
        faults: Iterable[str] = (),
        always: str = "",
        owner: str = "",
        version: str = "",
        mute: bool = False,
    ) -> None:
        self.owner, self.version, self.mute = owner, version, mute
        self.looks: list[str] = []
        self.reply, self.chunk, self.pace, self.batch = reply, chunk, pace, batch
        self.faults, self.always = list(faults), always
        self.requests: list[Seen] = []
        self.connections = 0
        for fault in (*self.faults, always):
            if fault and fault.partition("=")[0] not in {*FAULTS, *RESPONSES}:
                raise ValueError(f"no fault is called {fault!r}; there are {', '.join(FAULTS)}")
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._serve, name="test server", daemon=True)
        self._listens = threading.Event()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self._listens.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        loop = self._loop
        server = loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", 0, limit=2**24))
        self.port = server.sockets[0].getsockname()[1]
        self._listens.set()
        loop.run_forever()
        server.close()
        loop.run_until_complete(self._hang_up())
        loop.close()

    async def _hang_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while (seen := await _read(reader)) is not None:
                if seen.path.endswith(("/models", "/version")):
                    self.looks.append(seen.path)
                    await self._send(self._told(seen.path), reader, writer)
                    continue
                self.requests.append(seen)
                await self._send(self._answer(seen), reader, writer)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    def _told(self, path: str) -> Response:
        """Say what the server is, as far as it does."""
        if self.mute:
            return stream([HANG])
        if path.endswith("/version") and self.version:
            return whole(200, {"version": self.version})
        if path.endswith("/models") and self.owner:
            listed = {"id": "gpt-test", "object": "model", "created": 1_700_000_000, "owned_by": self.owner}
            return whole(200, {"object": "list", "data": [listed]})
        return whole(404, {"detail": "Not Found"})

    def _answer(self, seen: Seen) -> Response:
        text = self.reply if isinstance(self.reply, str) else self.reply(seen.body)
        fault = self.faults.pop(0) if self.faults else self.always
        return answer(seen, text, fault, self.chunk)

    async def _send(self, response: Response, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if response.status == UNREACHED:
            raise ConnectionResetError
        head = f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Other')}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        steps = _batched(response.steps, self.batch)
        for step in steps:
            if isinstance(step, bytes):
                writer.write(b"%x\r\n%s\r\n" % (len(step), step))
                await writer.drain()
                await _pause(self.pace)
            elif isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
            elif step == HANG:
                await reader.read(1)
                raise ConnectionResetError
            else:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                raise ConnectionResetError
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Seen | None:
    begin = await reader.readexactly(1)
    if begin == b"\x16":  # a TLS handshake, which is no request
        return None
    head = (begin + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Seen(first.split()[1], headers, json.loads(body or b"{}"))


def _batched(steps: tuple[Step, ...], size: int) -> Iterable[Step]:
    if size == 1 or not all(isinstance(step, bytes) for step in steps):
        return steps
    return [b"".join(steps[start : start + size]) for start in range(0, len(steps), size)]  # type: ignore[arg-type]


async def _pause(seconds: float) -> None:
    if seconds >= SPIN:
        await asyncio.sleep(seconds)
    elif seconds > 0:
        until = time.perf_counter() + seconds
        await asyncio.sleep(0)
        while time.perf_counter() < until:
            pass


def main() -> None:
    """Serve until standard input ends: arguments are the reply's events, seconds between writes, events per write."""
    events, pace, batch = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    with Server("abcd" * events, pace=pace, batch=batch) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
