"""Reads a joiner's decision from its reply, in the many ways in which models write it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from compiler_nb.models.endings import THINKING
from compiler_nb.outcome import Answer, Replan
from compiler_nb.text import shorten

_NO_REASON: Final = "the joiner gave no reason"
_PLAIN_FENCES: Final = frozenset({"", "text", "txt", "plaintext", "markdown", "md"})
_KEYS: Final = frozenset(
    {"decision", "action", "thought", "reason", "feedback", "replan", "answer", "final_answer", "value"}
)
_BLANK: Final = " \t\r\n\v\f\u00a0\u200b\u3000\ufeff"
_QUOTES: Final = "\"'`\u201c"
# Repeats below are possessive or limited, so that no reply can make the matching take longer than its length.
_LABEL: Final = r"(?:final[ ])?(?:answer|finish)"
_HEAD: Final = re.compile(
    rf"""(?: [*_]{{0,3}} action [*_]{{0,3}} [ ]? : [*_]{{0,3}} \s{{0,3}} )?+
    (?: (?P<replan> [*_]{{0,3}} replan [*_]{{0,3}}
          (?: [ ]? [:(] [*_]{{0,3}} | [ ][-\u2013\u2014][ ] | (?= [.]? [ \t]{{0,8}} (?:\n|\Z)) ))
      | (?P<finish> finish\( )
      | (?P<label> \*\*{_LABEL}[ ]?:\*\* | \*\*{_LABEL}\*\*[ ]?: | {_LABEL}[ ]?: ) )""",
    re.IGNORECASE | re.VERBOSE,
)
_THOUGHT: Final = re.compile(r"[*_]{0,3}thoughts?[*_]{0,3} ?:[*_]{0,3}", re.IGNORECASE)
_FENCE: Final = re.compile(r"```([\w-]*+)[^\n]*+\n(.*?)\n?```", re.DOTALL)
_OPENS: Final = re.compile(r"^[\[{]", re.MULTILINE)
_LATE: Final = re.compile(r"^(?:action:[ ]?)?finish\(", re.IGNORECASE | re.MULTILINE)


def read_decision(text: str) -> Answer | Replan:
    """Return what a joiner's reply decides; a reply that does not ask for another plan is the answer itself.

    A request for another plan counts only at the beginning, or after lines that begin with "Thought:"; inside an answer
    it is part of the text. `Finish(...)` goes up to the last closing bracket, JSON may have the keys decision, answer,
    replan and reason, and a fence around the whole reply is removed.
    """
    at, thought = _skip_thoughts(text)
    if at == len(text):  # nothing but thoughts: the first one is all there is
        return Answer(text[thought or at :].strip(_BLANK))
    head = _HEAD.match(text, at)
    content = text[head.end() if head else at :].strip(_BLANK)
    match head and head.lastgroup:
        case "replan":
            return _replan(content, bracket=text[: head.end()].rstrip("*_").endswith("("))  # type: ignore[union-attr]
        case "finish":
            return Answer(_in_brackets(content))
        case "label":
            return Answer(content)
    if text.startswith(("{", "```"), at):
        return _read_whole(content)
    late = _LATE.search(content) if thought else None  # a mark that a model puts behind its thoughts, further down
    return Answer(_in_brackets(content[late.end() :]) if late else content)


def is_all_thought(text: str) -> bool:
    """Whether a reply holds nothing but thoughts: if it is cut off, these are not an answer."""
    return _skip_thoughts(text)[0] == len(text)


def _skip_thoughts(text: str) -> tuple[int, int]:
    """Return where a reply's content begins, behind its thoughts, and where the first "Thought:" ends, 0 if none."""
    at, first = _skip_blank(text, 0), 0
    while True:
        if text.startswith(THINKING[0], at):
            end = text.find(THINKING[1], at)
            at = len(text) if end < 0 else _skip_blank(text, end + len(THINKING[1]))
        elif found := _THOUGHT.match(text, at):
            first = first or found.end()
            at = _after_thought(text, found.end())
        else:
            return at, first


def _after_thought(text: str, at: int) -> int:
    """Return where a thought's paragraph ends: at a blank line, a mark or another thought."""
    while True:
        feed = text.find("\n", at)
        if feed < 0:
            return len(text)
        at = _skip_blank(text, feed)
        if at == len(text) or text.count("\n", feed, at) > 1 or _HEAD.match(text, at) or _THOUGHT.match(text, at):
            return at


def _skip_blank(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _replan(reason: str, *, bracket: bool) -> Replan:
    inner = _in_brackets(reason) if bracket else reason
    return Replan(shorten(inner.strip(_BLANK + "*_.") or _NO_REASON))


def _in_brackets(text: str) -> str:
    """Return a text up to its last closing bracket, without quotes around it."""
    end = text.rfind(")")
    inner = (text[:end] if end >= 0 else text).strip(_BLANK)
    quoted = len(inner) > 1 and inner[0] == inner[-1] and inner[0] in _QUOTES and inner[0] not in inner[1:-1]
    return inner[1:-1] if quoted else inner


def unfence(text: str) -> tuple[str, str] | None:
    """Return the language and the content of a fence around a whole text, or None if there is no such fence."""
    found = _FENCE.fullmatch(text.strip(_BLANK))
    return (found[1].lower(), found[2]) if found and "\n```" not in found[2] else None


def blocks_in(text: str) -> Iterator[str]:
    """Yield what is set apart from the words around it: the only fenced block, and JSON on lines of its own."""
    fenced = _FENCE.findall(text)
    if len(fenced) == 1:
        yield fenced[0][1].strip(_BLANK)
    first, last = _OPENS.search(text), max(text.rfind("}"), text.rfind("]"))
    if first is not None and not text[last + 1 :].partition("\n")[0].strip(_BLANK):
        yield text[first.start() : last + 1]


def _read_whole(text: str) -> Answer | Replan:
    fence = unfence(text)
    inner = fence[1].strip(_BLANK) if fence else text
    decision = _from_json(inner)
    if decision is not None:
        return decision
    if fence is None:
        return Answer(text)
    if _HEAD.match(inner) or _skip_thoughts(inner)[0]:
        return read_decision(inner)
    return Answer(inner if fence[0] in _PLAIN_FENCES else text)


def _from_json(text: str) -> Answer | Replan | None:
    """Return the decision in a JSON object with our own keys, or None if there is no decision in it."""
    try:
        data = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        return None
    if type(data) is not dict or data.keys() - _KEYS:
        return None
    word = str(data.get("decision", data.get("action", ""))).lower()
    wish = data.get("replan")
    given = [data[key] for key in ("answer", "final_answer", "value") if key in data and (word or key != "value")]
    if word == "replan" or (not word and wish and str(wish).lower() not in ("false", "no", "none")):
        reasons = (wish, data.get("reason"), data.get("feedback"), *given)
        return _replan(next((each for each in reasons if type(each) is str), ""), bracket=False)
    return Answer(given[0]) if given else None
