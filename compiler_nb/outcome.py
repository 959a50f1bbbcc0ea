"""How things end: outcomes of tasks, decisions of the joiner, usage of models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from compiler_nb.tracebacks import traceback_of

State = Literal["waiting", "ready", "running", "done", "failed", "skipped", "cancelled"]
Status = Literal["running", "done", "failed", "cancelled", "limit"]
STATES: Final = ("waiting", "ready", "running", "done", "failed", "skipped", "cancelled")
ENDED: Final = frozenset({"done", "failed", "skipped", "cancelled"})


@dataclass(frozen=True, slots=True)
class Failure:
    """A task failed.

    kind: raised | timeout | abandoned | denied | arguments | expression | items (of a fan-out) | limit;
    message: short, never longer than `text.MESSAGE_LIMIT`; error: the exception, if there was one;
    attempts: tries made; partial: a fan-out's container with its items' failures in place; told: the traceback of a
    stored one, whose exception is gone.
    """

    kind: str
    message: str
    error: BaseException | None = None
    attempts: int = 1
    partial: Any = field(default=None, repr=False)
    told: str = field(default="", compare=False, repr=False)

    @property
    def traceback(self) -> str:
        """The exception's traceback as text, from the tool's own frame on; "" if there was no exception."""
        return self.told or traceback_of(self.error)

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Skipped:
    """A task did not run, because `cause` (a task's id) failed with `message`.

    It depends on that one, or comes after it in the order of side effects. A guarded call whose test says that it is
    not needed has no cause (`UNNEEDED`), and nothing is wrong with that.
    by_user: the cause did not fail: the user skipped it, and `message` says why, "" if the user gave no reason. That
    task itself has the same outcome, and is its own cause.
    """

    cause: str
    message: str
    by_user: bool = False

    @property
    def not_needed(self) -> bool:
        """Whether the plan has no need of the task, so that nothing failed."""
        return not self.cause

    def __str__(self) -> str:
        if self.by_user:
            return f"skipped: {self.cause} was skipped by the user{f', {self.message}' if self.message else ''}"
        return f"skipped: {self.cause} failed, {self.message}" if self.cause else self.message


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A task was stopped, or had not started, when its run was; `message` says by what."""

    message: str = "the run was cancelled"

    def __str__(self) -> str:
        return self.message


LEFT_OUT: Final = "without failed items"
"""`TaskEnded.how` of a fan-out that is done although some of its items failed."""
NOT_REPEATED: Final = "not repeated"
"""How `TaskEnded.how` begins for a call with side effects that got the outcome of an equal one."""
SET: Final = "set by you"
"""`TaskEnded.how` of a task whose value the user gave while the run went on."""
FOLLOWED: Final = "from the run"
"""How `TaskEnded.how` begins for a task of an earlier question of the conversation; its run's id follows."""
ADOPTED: Final = "adopted"
"""`TaskEnded.how` of a task that got the outcome of an equal one, of this run or of an earlier one."""
PINNED: Final = "pinned"
"""`TaskEnded.how` of a task whose value the user gave before the run began."""
GIVEN: Final = {SET: SET, PINNED: "pinned by you"}
"""`TaskEnded.how` of tasks whose values the user gave, and what is shown beside these values."""
CACHED: Final = "cached"
"""`TaskEnded.how` of a task whose value came from the cache."""
AGAIN: Final = "tried again by you"
"""`TaskRevived.why` and `TaskRetried.error` of a task that the user tries again."""
UNKNOWN: Final = frozenset({"timeout", "abandoned"})
"""Kinds of failures after which a side effect may have happened, or may still happen."""
NOT_DONE: Final = (Failure, Skipped, Cancelled)
UNNEEDED: Final = Skipped("", "not needed")


def is_followed(how: str) -> bool:
    """Whether a task took its outcome from an earlier question of the conversation; how: as in `TaskEnded`."""
    return how.startswith(FOLLOWED)


def is_lost(outcome: Any) -> bool:
    """Whether a task ended without a value although it was needed."""
    kind = type(outcome)  # its very class: a user's may have no hash, and odd equality
    return kind is Failure or kind is Cancelled or (kind is Skipped and not outcome.not_needed)


class NotStored(NamedTuple):
    """Stands for a value that was not stored, or for a part of one: its type's name, and why."""

    type: str
    reason: str

    def __repr__(self) -> str:
        return f"<not stored: {self.type}, {self.reason}>"


@dataclass(frozen=True, slots=True, repr=False)
class StoredFigure:
    """What is stored of a figure: its picture as PNG; it shows itself in a notebook.

    type: the name of the figure's type; label: what it is said to show, "" if nothing is said.
    """

    type: str
    png: bytes
    label: str = ""

    @property
    def reason(self) -> str:
        """Why it is not the figure itself."""
        return "of a figure only its picture is"

    def __repr__(self) -> str:
        return f"<stored picture of a {self.type}{f': {self.label}' if self.label else ''}>"

    def _repr_png_(self) -> bytes:
        return self.png


_HOLDERS: Final = (dict, list, tuple)


def unstored(value: Any) -> NotStored | StoredFigure | None:
    """Return the first part of a value that stands for something that is not here; None if the value is whole."""
    ahead, seen = [value], set()
    while ahead:
        each = ahead.pop()
        kind = type(each)
        if kind is NotStored or kind is StoredFigure:
            return each  # type: ignore[no-any-return]  # it is one of the two
        if kind is Remote:
            return NotStored(each.told, STAYED)
        if any(kind is holder for holder in _HOLDERS) and id(each) not in seen:
            seen.add(id(each))
            ahead += reversed(each.values() if kind is dict else each)
        elif kind is Failure:
            ahead.append(each.partial)
    return None


@dataclass(frozen=True, slots=True)
class Answer:
    """The joiner's decision that the results suffice; `value` is the answer.

    cut: at which limit its text is cut off, and how to allow more; "" if it is whole.
    """

    value: Any
    cut: str = ""


@dataclass(frozen=True, slots=True)
class Replan:
    """The joiner's decision that another plan is needed; `reason` says why.

    cut: at which limit the reason is cut off, and how to allow more; "" if it is whole.
    """

    reason: str
    cut: str = ""

    @property
    def told(self) -> str:
        """The reason, marked if it is cut off."""
        return f"{self.reason}… ({self.cut})" if self.cut else self.reason


STAYED: Final = "it stayed on the cluster"
"""Why a value is not here."""


class Remote:
    """Stands for a value that stayed where it was made, on a cluster; users are given the value itself.

    told: what it is, in words; size: in bytes; place: what keeps it there, and can bring it home.
    """

    __slots__ = ("__weakref__", "place", "size", "told")

    def __init__(self, told: str, size: int, place: Any) -> None:
        self.told, self.size, self.place = told, size, place

    def __str__(self) -> str:
        return f"{self.told}, on the cluster"

    def __repr__(self) -> str:
        return f"<{self}>"

    def __reduce__(self) -> str:
        raise TypeError("a value on a cluster cannot be pickled; bring it home first")


class Usage(NamedTuple):
    """What calls of models cost: calls and tokens; `reported` is False if a provider gave no numbers.

    cached_tokens and cache_write_tokens are part of input_tokens: read from the provider's cache, and written to it;
    reasoning_tokens are part of output_tokens.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reported: bool = True
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:  # type: ignore[override]  # a tuple's own would join the fields
        """Return the sum; it counts as reported if both do."""
        return Usage(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reported and other.reported,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
        )
