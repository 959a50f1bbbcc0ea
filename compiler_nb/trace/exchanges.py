"""What models were asked and what they replied, word for word: call by call of a role, or of a task that asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from compiler_nb.events import ModelChunk, ModelRecalled
from compiler_nb.text import count_of, suggest
from compiler_nb.trace.progress import Progress
from compiler_nb.trace.records import ModelCall


class Exchange(NamedTuple):
    """One call of a model: sent: its messages as one text; reply: what came back so far, as it came."""

    call: ModelCall
    sent: str
    reply: str


def calls_of(progress: Progress, who: str) -> list[ModelCall]:
    """Return the calls that were made in a role, or for a task by its id or its variable, in their order."""
    calls = list(progress.calls.values())
    task = progress.names.get(who, who)
    return [call for call in calls if call.role == who] or [call for call in calls if call.task and call.task == task]


def exchanges(progress: Progress, calls: Iterable[ModelCall]) -> list[Exchange]:
    """Return calls of a run with what was sent and what came back."""
    said: dict[int, list[str]] = {call.number: [] for call in calls}
    for event in list(progress.events):
        if isinstance(event, ModelChunk | ModelRecalled) and event.call in said:
            said[event.call].append(event.text)
    return [
        Exchange(call, sent_text(call), "".join(said[call.number]))
        for call in list(progress.calls.values())
        if call.number in said
    ]


def exchange(progress: Progress, who: str, number: int = -1) -> Exchange:
    """Return one call of a role or a task; number: which, from 0; -1 is the last. Raises KeyError if none."""
    calls = calls_of(progress, who)
    if not calls:
        there = list(dict.fromkeys(call.task or call.role for call in list(progress.calls.values())))
        told = f" as {who!r}; it asked: {', '.join(there)}.{suggest(who, there)}".removesuffix(".") if there else ""
        raise KeyError(f"this run asked no model{told}")
    if not -len(calls) <= number < len(calls):
        raise KeyError(f"there {_be(len(calls))} of {who} in this run, and none has that number; -1 is the last")
    return exchanges(progress, [calls[number]])[0]


def counterpart(progress: Progress, who: str, number: int = -1) -> Exchange:
    """Return the call of another run to compare with: that of the same number, else the last. Errors as `exchange`."""
    count = len(calls_of(progress, who))
    return exchange(progress, who, number if -count <= number < count else -1)


def _be(count: int) -> str:
    return f"{'is' if count == 1 else 'are'} {count_of(count, 'call')}"


def sent_text(call: ModelCall) -> str:
    """Return the messages of a call as one text; a last line in brackets says if its reply was held to a grammar."""
    held = [f"[{call.held}]"] if call.held else []
    held += ["[not sent: the reply is from the cache]"] if call.saved is not None else []
    return "\n\n".join([*(f"[{each['role']}]\n{each['content']}" for each in call.messages), *held])
