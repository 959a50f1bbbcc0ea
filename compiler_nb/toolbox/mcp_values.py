"""What goes to an MCP server, and what comes back: arguments as JSON, and results as values of Python."""

from __future__ import annotations

import base64
import json
from typing import Any, Final, NamedTuple

from compiler_nb.errors import ArgumentError, ToolError
from compiler_nb.text import describe_error, shorten, type_name

SENT: Final = 10_000_000
"""Characters of the arguments of one call."""
SAID: Final = 2_000
"""Characters of a failed call's own words that its error repeats."""


class Image(NamedTuple):
    """A picture that a server has sent: its bytes, and what they are, such as image/png. It shows itself."""

    data: bytes
    mime: str

    def __repr__(self) -> str:
        return f"<{self.mime}, {len(self.data):,} bytes>"

    def _repr_png_(self) -> bytes | None:
        return self.data if self.mime == "image/png" else None

    def _repr_jpeg_(self) -> bytes | None:
        return self.data if self.mime == "image/jpeg" else None


# -------------------------------------------------------------------- to the server


def to_json(tool: str, name: str, value: Any) -> Any:
    """Return an argument as JSON has it: tuples as lists, times as text, numbers of numpy as numbers.

    Raises ArgumentError if JSON has no such value, or if it is too long.
    """
    from pydantic_core import PydanticSerializationError, to_jsonable_python  # noqa: PLC0415 - imported at first use

    try:
        made = to_jsonable_python(value, fallback=_plain, inf_nan_mode="constants")
        size = len(json.dumps(made, allow_nan=False))
    except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
        what = "it holds a number that is not finite" if _holds_nan(error) else shorten(describe_error(error), 200)
        raise ArgumentError(f"{tool}: {name!r} cannot be sent to the server: {what}") from None
    if size > SENT:
        raise ArgumentError(
            f"{tool}: {name!r} is {size:,} characters long as JSON; {SENT:,} is the limit: pass a part of it"
        )
    return made


def _holds_nan(error: Exception) -> bool:
    return "JSON compliant" in str(error)


def _plain(value: Any) -> Any:
    """Return a value of numpy or pandas as plain data."""
    kind = type(value)
    if kind.__module__.partition(".")[0] == "numpy" and hasattr(kind, "tolist"):
        return value.tolist()
    hint = ': give it rows, such as df.to_dict("records")' if hasattr(kind, "iloc") else ""
    raise TypeError(f"JSON has no {type_name(value)}{hint}")


# -------------------------------------------------------------------- from the server


def to_value(result: Any, *, wrapped: bool) -> Any:
    """Return the value of a result: its structured content, or else its parts.

    wrapped: whether the structured content holds the value itself under "result". Of one part its value is returned, of
    several a list, of none None. A text that is a JSON object or array is returned as that.
    """
    found = result.structured_content
    if found is not None:
        return found["result"] if wrapped and isinstance(found, dict) and set(found) == {"result"} else found
    parts = [_part(each) for each in result.content]
    return parts[0] if len(parts) == 1 else parts or None


def to_error(result: Any) -> str:
    """Return what a failed call says, in the server's own words."""
    texts = [each.text for each in result.content if each.type == "text"]
    said = "\n".join(texts).strip() or ("" if result.structured_content is None else str(result.structured_content))
    return shorten(said, SAID) or "the server does not say why"


def _part(part: Any) -> Any:
    match part.type:
        case "text":
            return _text(part.text)
        case "image":
            return Image(_bytes(part.data), part.mime_type)
        case "audio":
            return _bytes(part.data)
        case "resource":
            inner = part.resource
            return _text(inner.text) if hasattr(inner, "text") else _bytes(inner.blob)
    return part.model_dump(mode="json", exclude_none=True, include={"uri", "name", "title", "description", "mime_type"})


def _text(text: str) -> Any:
    """Return a text, or the JSON object or array that it is."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            pass
    return text


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _bytes(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except ValueError:
        raise ToolError("the server sent bytes that are not in base64") from None
