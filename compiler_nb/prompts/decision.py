"""A joiner's reply read as its decision, whole or while it streams, in the many ways in which models write it."""

from __future__ import annotations

import json
import re
from typing import Final, Literal, NamedTuple

from compiler_nb.outcome import Answer, Replan
from compiler_nb.text import shorten

AHEAD: Final = 48
"""Characters of a reply that show whether it begins with a mark."""
_NO_REASON: Final = "the joiner gave no reason"
_PLAIN_FENCES: Final = frozenset({"", "text", "txt", "plaintext", "markdown", "md"})
_KEYS: Final = frozenset(
    {"decision", "action", "thought", "reason", "feedback", "replan", "answer", "final_answer", "value"}
)
_BLANK: Final = " \t\r\n\v\f\u00a0\u200b\u3000\ufeff"
_QUOTES: Final = "\"'`\u201c"
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
_LATE: Final = re.compile(r"^(?:action:[ ]?)?finish\(", re.IGNORECASE | re.MULTILINE)
_THINKING: Final = ("<think>", "</think>")


class _Form(NamedTuple):
    """How a reply is to be read, and the index where its content begins.

    plain: an answer as it is; label: an answer behind "Answer:"; finish: one in Finish(...); replan: a reason;
    whole: JSON or a fence; thought: nothing but thoughts; late: thoughts, and then text without the expected mark.
    """

    kind: Literal["plain", "label", "finish", "replan", "whole", "thought", "late"]
    start: int


def read_decision(text: str) -> Answer | Replan:
    """Return what a joiner's reply decides; a reply that does not ask for another plan is the answer itself.

    A request for another plan counts only at the beginning, or after lines that begin with "Thought:"; inside an answer
    it is part of the text. `Finish(...)` goes up to the last closing bracket, JSON may have the keys decision, answer,
    replan and reason, and a fence around the whole reply is removed.
    """
    form = _form_of(text, ended=True) or _Form("plain", 0)
    content = text[form.start :].strip(_BLANK)
    match form.kind:
        case "replan":
            return _replan(content, bracket=text[: form.start].rstrip("*_").endswith("("))
        case "finish":
            return Answer(_in_brackets(content))
        case "whole":
            return _read_whole(content)
        case "late":
            late = _LATE.search(content)
            return Answer(_in_brackets(content[late.end() :]) if late else content)
        case _:
            return Answer(content)


def _form_of(text: str, *, ended: bool) -> _Form | None:
    """Return how a reply is to be read, or None if more of it is needed to know that."""
    at = _skip_blank(text, 0)
    first_thought = -1
    while True:
        if not ended and len(text) - at < AHEAD:
            return None
        after: int | None
        if text.startswith(_THINKING[0], at):
            after = _after_thinking(text, at, ended=ended)
        elif found := _THOUGHT.match(text, at):
            first_thought = found.end() if first_thought < 0 else first_thought
            after = _after_thought(text, found.end(), ended=ended)
        else:
            break
        if after is None:
            return None
        if after == len(text):
            return _Form("thought", after if first_thought < 0 else first_thought)
        at = after
    head = _HEAD.match(text, at)
    if head is not None:
        return _Form(head.lastgroup, head.end())  # type: ignore[arg-type]  # the groups are called like the kinds
    if text.startswith(("{", "```"), at):
        return _Form("whole", at)
    return _Form("plain" if first_thought < 0 else "late", at)


def _after_thinking(text: str, at: int, *, ended: bool) -> int | None:
    end = text.find(_THINKING[1], at)
    if end < 0:
        return len(text) if ended else None
    return _skip_blank(text, end + len(_THINKING[1]))


def _after_thought(text: str, at: int, *, ended: bool) -> int | None:
    """Return where a thought's paragraph ends: at a blank line, a mark or another thought; None if not there yet."""
    while True:
        feed = text.find("\n", at)
        if feed < 0:
            return len(text) if ended else None
        at = _skip_blank(text, feed)
        if not ended and len(text) - at < AHEAD:
            return None
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


def _read_whole(text: str) -> Answer | Replan:
    fence = unfence(text)
    inner = fence[1].strip(_BLANK) if fence else text
    decision = _from_json(inner)
    if decision is not None:
        return decision
    if fence is None:
        return Answer(text)
    form = _form_of(inner, ended=True)
    if form is not None and form.kind not in ("plain", "whole"):
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


class DecisionReader:
    """Reads a reply while it streams: what is certainly part of the answer can be shown at once.

    The time is linear in the text: while it is open how to read it, it is looked at when it has grown by a part of its
    length, and pieces that make nothing certain are only collected.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = self._look_at = 0  # characters so far, and how many there must be to look again
        self._kind = ""
        self._held: list[str] = []  # of the content, not shown yet
        self._began = self._bracket = False  # whether content was shown, and whether a bracket is held

    def feed(self, text: str) -> str:
        """Take a piece of the reply; return the next piece of the answer, or "" if none is certain.

        All pieces together are the beginning of the answer that `close` returns, and nothing of a Replan.
        """
        self._parts.append(text)
        if not self._kind:
            text = self._begin(len(text))
        if self._kind not in ("plain", "label", "finish") or not text.strip(_BLANK):
            self._held.append(text)
            return ""
        self._held.append(text)
        return "" if self._bracket and ")" not in text else self._certain()

    def _begin(self, size: int) -> str:
        """Find out how the reply is to be read, if that can be known yet; return its content so far."""
        self._size += size
        if self._size < max(self._look_at, AHEAD):
            return ""
        self._look_at = self._size + self._size // 8
        whole = "".join(self._parts)
        form = _form_of(whole, ended=False)
        if form is None:
            return ""
        self._kind = form.kind
        return whole[form.start :]

    def _certain(self) -> str:
        """Return what is certain of what is held: all but blanks at its end, and all from its last bracket on."""
        held = "".join(self._held)
        if not self._began:
            held = held.lstrip(_BLANK)
        end = len(held)
        if self._kind == "finish":
            if not self._began and held[0] in _QUOTES:
                self._kind = "whole"  # the quotes may be no part of the answer
                return ""
            self._bracket = ")" in held
            end = held.rfind(")") if self._bracket else end
        shown = held[:end].rstrip(_BLANK)
        self._held = [held[len(shown) :]]
        self._began = self._began or bool(shown)
        return shown

    def close(self) -> Answer | Replan:
        """End the reply and return its decision."""
        return read_decision("".join(self._parts))
