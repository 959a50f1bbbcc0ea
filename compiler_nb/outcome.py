"""How things end: outcomes of tasks, decisions of the joiner, problems of a plan, usage of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

State = Literal["waiting", "ready", "running", "done", "failed", "skipped", "cancelled"]
Status = Literal["running", "done", "failed", "cancelled", "limit"]
STATES: Final = ("waiting", "ready", "running", "done", "failed", "skipped", "cancelled")
ENDED: Final = frozenset({"done", "failed", "skipped", "cancelled"})
MESSAGE_LIMIT: Final = 2_000
"""Longest text of an error that is kept, in characters; the rest is counted."""


class Problem(NamedTuple):
    """One thing wrong with a plan: its kind, where (line and column from 1), and a mend in words."""

    kind: str
    line: int
    column: int
    message: str
    task: str = ""

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message} [{self.kind}]"


@dataclass(frozen=True, slots=True)
class Failure:
    """A task failed.

    kind: raised | timeout | abandoned | denied | arguments | expression | items (of a fan-out) | limit;
    message: short, never longer than MESSAGE_LIMIT; error: the exception where there was one;
    attempts: tries made; partial: a fan-out's container with its items' failures in place.
    """

    kind: str
    message: str
    error: BaseException | None = None
    attempts: int = 1
    partial: Any = None

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Skipped:
    """A task did not run, because `cause` (a task's id), on which it depends, failed with `message`."""

    cause: str
    message: str

    def __str__(self) -> str:
        return f"skipped: {self.cause} failed, {self.message}"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A task was stopped, or had not started, when its run was."""

    message: str = "the run was cancelled"

    def __str__(self) -> str:
        return self.message


NOT_DONE: Final = (Failure, Skipped, Cancelled)


@dataclass(frozen=True, slots=True)
class Answer:
    """The joiner's decision that the results suffice; `value` is the answer."""

    value: Any


@dataclass(frozen=True, slots=True)
class Replan:
    """The joiner's decision that another plan is needed, and why."""

    reason: str


class Usage(NamedTuple):
    """What calls of models cost: calls and tokens; `reported` is False where a provider gave no numbers."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reported: bool = True

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
        )


def describe_error(error: BaseException) -> str:
    """Return an exception as one bounded line, whatever its `__str__` does."""
    try:
        text = str(error)
    except BaseException as broken:  # noqa: BLE001 - an error's own __str__ may raise anything
        text = f"(its text cannot be read: {type(broken).__name__})"
    parts = getattr(error, "exceptions", None)
    if isinstance(error, BaseExceptionGroup) and parts:
        text += ": " + "; ".join(describe_error(part) for part in parts[:10])
    return shorten(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def shorten(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Cut a text at `limit` characters and say how long it was."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"
