"""The worker model as tools: `llm` does something with its inputs, `extract` reads one typed value out of a text."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final, Literal, TypeAlias

from compiler_nb.engine.call import CURRENT
from compiler_nb.errors import ToolError, ToolUnavailable
from compiler_nb.models.base import Message, ReplyGrammar
from compiler_nb.prompts import fill, load
from compiler_nb.prompts.data import Oversize, Share, frame_values, outside
from compiler_nb.prompts.decision import unfence
from compiler_nb.prompts.held import value_grammar
from compiler_nb.text import shorten
from compiler_nb.tool import Tool

AskWorker: TypeAlias = "Callable[[tuple[Message, ...], str, ReplyGrammar | None], Awaitable[str]]"
"""Asks the worker model: messages, the id of the task that asks, and what the reply is held to go in, its text comes
out."""


WORKER: Final[ContextVar[AskWorker | None]] = ContextVar("worker", default=None)
"""How the tasks of the current run ask its worker."""


def _no_origins(task: str, parameter: str) -> list[str]:
    return []


ORIGINS: Final[ContextVar[Callable[[str, str], list[str]]]] = ContextVar("origins", default=_no_origins)
"""Says which calls the arguments for a parameter of a task come from; "" for one that comes from none."""


async def ask_worker(messages: tuple[Message, ...], task: str, grammar: ReplyGrammar | None) -> str:
    """Ask the worker of the run that a task belongs to. Raises ToolUnavailable if there is none."""
    ask = WORKER.get()
    if ask is None:
        raise ToolUnavailable(f"{task} needs a worker model: Compiler(model=...) or worker=...")
    return await ask(messages, task, grammar)


class LanguageTool(Tool):
    """A tool that asks a model: that counts against the provider's limits when it asks, not when it starts."""

    regular = False
    stateless = True


class Unreadable(ValueError):
    """A reply does not hold a value of the type; the message tells the model what is wrong."""


def make_language_tools(
    ask: AskWorker = ask_worker, *, share: Share = "all", provider: str | None = None
) -> list[Tool]:
    """Return the tools `llm` and `extract`, which ask a worker model.

    share: what of the inputs' contents the model may see; provider: the worker's. The tools raise ToolError if an
    input is too long to be sent, or if neither of two replies can be read.
    """

    async def llm(instruction: str, *inputs) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN002 - as planners read it
        """Ask a language model to do something with the inputs."""
        messages = _messages(load("worker").text, instruction, inputs, share, "inputs")
        text = (await ask(messages, CURRENT.get(), None)).strip()
        if not text:
            raise ToolError("the model replied with nothing: say in the instruction what to return")
        return text

    async def extract(  # type: ignore[no-untyped-def]  # noqa: ANN202 - as planners read it
        what: str,
        text,  # noqa: ANN001 - as above
        type: Literal["number", "text", "list", "bool", "date"] = "text",  # noqa: A002 - as above
    ):
        """Read one value out of a text or other data."""
        system = fill(load("extract"), form=FORMS[type])
        messages = _messages(system, f"Find: {what}", (text,), share, "text")
        reply = await ask(messages, CURRENT.get(), value_grammar(type))
        try:
            return read_value(reply, type, what)
        except Unreadable as problem:
            messages = (*messages, *_ask_again(reply, problem))
        reply = await ask(messages, CURRENT.get(), value_grammar(type))
        try:
            return read_value(reply, type, what)
        except Unreadable as problem:
            said = shorten(" ".join(reply.split()), 100)
            raise ToolError(f"no {type} can be read out of the model's reply, {said!r}: {problem}") from None

    return [LanguageTool(function, timeout=300.0, provider=provider) for function in (llm, extract)]


def _messages(
    system: str, instruction: str, values: tuple[Any, ...], share: Share, parameter: str
) -> tuple[Message, ...]:
    names = [f"input {number}" for number in range(1, len(values) + 1)] if len(values) > 1 else ["input"]
    try:
        calls = dict(zip(names, ORIGINS.get()(CURRENT.get(), parameter), strict=False))
        blocks = frame_values(zip(names, values, strict=False), share, calls)
    except Oversize as oversize:
        hint = "pass a part of it, or shorten it by a tool; a fan-out can take it piece by piece"
        raise ToolError(f"the model cannot be asked: {oversize}; {hint}") from None
    return {"role": "system", "content": system}, {
        "role": "user",
        "content": "\n\n".join([outside(instruction), *blocks]),
    }


def _ask_again(reply: str, problem: Unreadable) -> tuple[Message, ...]:
    request = f'{problem}. Reply with the JSON object {{"value": ...}} only.'
    said = {"role": "assistant", "content": reply.strip() or "(nothing)"}
    return said, {"role": "user", "content": request}


# -------------------------------------------------------------------- reading

FORMS: Final[dict[str, str]] = {
    "number": "a JSON number, in plain digits, without a unit",
    "text": "a JSON string",
    "list": "a JSON array",
    "bool": "true or false",
    "date": 'a JSON string, "YYYY-MM-DD"',
}
_NUMBER: Final = re.compile(
    r"""(?<![\w.,^])[-+\u2212]?
        (?: \d{1,3}(?:[,\u00a0\u202f ]\d{3})++(?:\.\d++)?+ | \d++(?:\.\d++)?+ | \.\d++ )
        (?:[eE][-+]?\d{1,3})?+ (?![.,]?\d)""",
    re.VERBOSE,
)
_SCALES: Final = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SCALE: Final = re.compile(r"[ ]?(thousand|million|billion|trillion)\b", re.IGNORECASE)
_WORDS: Final = {"true": True, "yes": True, "false": False, "no": False}


def read_value(reply: str, type_: str, what: str = "it") -> Any:
    """Return the value that a model's reply holds; raise Unreadable if there is none, ToolError if it is null."""
    value = _unwrap(reply)
    if value is None:
        raise ToolError(f"the text does not say: {shorten(what, 200)}")
    return _READERS[type_](value)


def _unwrap(reply: str) -> Any:
    """Return the value of the key "value", or the reply itself if it is not such an object."""
    fence = unfence(reply)
    text = (fence[1] if fence else reply).strip()
    if not text:
        raise Unreadable("The reply was empty")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        if text[0] in "{[":
            raise Unreadable("This is not valid JSON") from None
        return text
    if not isinstance(data, dict):
        return data
    if "value" not in data:
        raise Unreadable('The JSON object has no key "value"')
    return data["value"]


def _number(value: Any) -> float:
    number = read_number(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise Unreadable("This is not a number")
    if not math.isfinite(number):
        raise Unreadable("This number is not finite")
    return number


def read_number(text: str) -> float:
    """Return the only number in a short text, such as "10,984 m" or "8.1 billion"; raise Unreadable otherwise."""
    found = list(_NUMBER.finditer(text)) if len(text) <= 200 else []  # noqa: PLR2004
    if len(found) != 1:
        raise Unreadable(f"One number was asked for, and this holds {len(found) or 'no clear one'}")
    digits = re.sub(r"[,\u00a0\u202f ]", "", found[0][0]).replace("\u2212", "-")
    number: float = int(digits) if re.fullmatch(r"[-+]?\d+", digits) else float(digits)
    scale = _SCALE.match(text, found[0].end())
    scaled = number * _SCALES[scale[1].lower()] if scale else number
    return int(scaled) if scale and float(scaled).is_integer() else scaled


def _text(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int | float):
        return json.dumps(value)
    raise Unreadable("This is not a text")


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise Unreadable("This is not a list")


def _bool(value: Any) -> bool:
    known = value if isinstance(value, bool) else _WORDS.get(str(value).strip().strip(".").lower())
    if known is None:
        raise Unreadable("This is neither true nor false")
    return known


def _date(value: Any) -> dt.date:
    try:
        return dt.datetime.fromisoformat(value.strip()).date()
    except (ValueError, AttributeError):
        raise Unreadable("This is not a date such as 2026-01-31") from None


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "number": _number, "text": _text, "list": _list, "bool": _bool, "date": _date,
}  # fmt: skip
