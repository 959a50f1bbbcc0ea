"""OpenAI's Responses API, which some models need: which ones, what it is asked, and what the events of a reply say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from compiler_nb.models.base import Message
from compiler_nb.models.wire import NAME_LIMIT, TOOLS, Completion, ErrorObject, WireError, parse_event, usage_of

_ONLY: Final = re.compile(
    r"(?:gpt-[\d.]+-(?:pro|codex(?:-\w+)?)|o\d-pro|(?:\w+-)*deep-research|computer-use-preview)(?:-\d{4}-\d\d-\d\d)?"
)
_LENGTH: Final = ("max_tokens", "max_completion_tokens")
"""What the chat completions call `max_output_tokens`."""
_ENDINGS: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}


def needs_responses(model: str) -> bool:
    """Whether a model has the name of one that OpenAI serves by the Responses API only."""
    return _ONLY.fullmatch(model.rpartition("/")[2]) is not None


def request_body(messages: Sequence[Message], parameters: Mapping[str, Any], *, streaming: bool) -> dict[str, Any]:
    """Return the fields of a request without its model; parameters may have the names of the chat completions.

    Nothing is stored by the provider unless a parameter says so.
    """
    body = {"input": [dict(message) for message in messages], "store": False, **parameters}
    if streaming:
        body["stream"] = True
    if limits := [value for name in _LENGTH if (value := body.pop(name, None)) is not None]:
        body.setdefault("max_output_tokens", limits[-1])
    inner = {
        "reasoning": {"effort": body.pop("reasoning_effort", None)},
        "text": {"verbosity": body.pop("verbosity", None), "format": _format(body.pop("response_format", None))},
    }
    for name, parts in inner.items():
        if given := {part: value for part, value in parts.items() if value is not None}:
            body[name] = {**given, **body.get(name, {})}
    return {name: value for name, value in body.items() if value is not None}


def _format(given: Any) -> Any:
    """Return the format of an answer; of a JSON schema, the chat completions put everything one level deeper."""
    schema = given.get("json_schema") if isinstance(given, Mapping) else None
    return {"type": "json_schema", **schema} if isinstance(schema, Mapping) else given


@dataclass(slots=True, repr=False)  # as the base class does
class ResponseReply(Completion):
    """What the events of a reply of the Responses API add up to; or one event, the whole reply."""

    reasons: bool | None = True

    def take(self, payload: bytes) -> str:
        """Return the text of one payload; raise WireError or ErrorObject if it is not part of a reply."""
        event = parse_event(payload)
        if event is None:
            self.done = True
            return ""
        kind, delta = str(event.get("type") or ""), event.get("delta")
        if kind == "error" or (event.get("error") and "output" not in event):
            raise ErrorObject(event.get("error") or event)
        if not kind and {"message", "detail"} & event.keys():
            raise ErrorObject(event)
        if "choices" in event:
            raise WireError("it is one of the chat completions: leave api='responses' out")
        text = delta if type(delta) is str else ""
        self.thinks = self.thinks or "reasoning" in kind
        if kind == "response.refusal.delta":
            self.refusal += text
        response = event.get("response", event if event.get("object") == "response" else None)
        if type(response) is dict:
            return self._respond(response)
        if kind != "response.output_text.delta":
            return ""
        self.spoke = self.spoke or text != ""
        return text

    def _respond(self, response: dict[str, Any]) -> str:
        """Take the whole response, as it stands when it begins and when it ends; return its text if none came."""
        if not self.model and type(model := response.get("model")) is str:
            self.model = model[:NAME_LIMIT]
        if usage := response.get("usage"):
            self.usage = usage_of(usage)
        status = response.get("status")
        if status in ("failed", "cancelled"):
            raise ErrorObject(response.get("error") or {"message": f"the response is {status}"})
        if status not in ("completed", "incomplete"):
            return ""
        details = response.get("incomplete_details")
        reason = str(details.get("reason") or "incomplete") if type(details) is dict else "incomplete"
        self.done, self.finish = True, "stop" if status == "completed" else _ENDINGS.get(reason, reason[:40])
        return self._output(response.get("output"))

    def _output(self, output: Any) -> str:
        """Take the parts of an output that did not come before, and return their text."""
        items = [item for item in output if type(item) is dict] if type(output) is list else []
        called = [item.get("name") for item in items if item.get("type") == "function_call"]
        self.tools = tuple(name[:NAME_LIMIT] for name in called if type(name) is str)[:TOOLS]
        listed = [item.get("content") for item in items if item.get("type") == "message"]
        parts = [part for each in listed if type(each) is list for part in each if type(part) is dict]
        self.refusal = self.refusal or _joined(parts, "refusal")
        text = "" if self.spoke else _joined(parts, "text")
        self.spoke = self.spoke or text != ""
        return text


def _joined(parts: list[dict[str, Any]], field: str) -> str:
    return "".join(part[field] for part in parts if type(part.get(field)) is str)
