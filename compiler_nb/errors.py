"""The error tree: a branch says what to do, a leaf says what happened.

CompilerError
├── PlanError                fix the plan: every problem has a line, a column and a hint
├── ToolError                look at the tool
│   ├── ArgumentError        the arguments do not fit the tool's signature
│   ├── ExpressionError      an expression of the plan fails, or exceeds its bounds
│   ├── ToolUnavailable      something that the tool needs is missing: a network, a worker model, a main thread
│   │   └── ServerLost       a tool's server ended before it answered: what was asked of it may be done
│   ├── ClusterError         the cluster does not answer or is gone, or a value cannot get there or back
│   └── EffectInDoubt        an equal call may have had its effect, and nobody could be asked for another
├── ModelError               look at the model: provider, model, status and whether a retry may help
│   ├── NoModel              none is set; the message names every way to set one
│   ├── AuthenticationFailed the key is missing, or the provider refuses it
│   ├── RateLimited          too many requests or tokens; `retry_after` in seconds if the provider says it
│   ├── QuotaExceeded        the account's quota is used up: waiting does not help
│   ├── ModelTimeout         no first token, or no next token, in time
│   ├── StreamBroken         the stream ended before the model did
│   ├── ModelRefused         the model or the provider's filter declined; `text` is what it said
│   ├── ProviderUnavailable  no connection, or a server error
│   ├── BadRequest           the request is wrong: unknown model, context too long, bad parameter
│   └── NotRecorded          a cassette has no such request; the message names the first difference to the nearest one
├── SteerError               a task cannot be skipped, tried again or given a value now; the message says the way on
├── RunFailed                a run has no answer; `run` holds its results
├── OptionError              a magic's option or a name in a cell is wrong
└── HistoryError             a stored run or cassette cannot be read
    └── RunClaimed           another run goes on with the same one; the message says which, where, and what to do
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong with a plan: its kind, its line and column (from 1), and a message with a hint.

    task: the id of the task that it is about, "" if there is none.
    """

    kind: str
    line: int
    column: int
    message: str
    task: str = ""

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message} [{self.kind}]"


class CompilerError(Exception):
    """The root of all errors that this package raises on purpose."""


class _Brief:
    """Shows an error in a notebook without a traceback: its message says all that helps."""

    def _render_traceback_(self) -> list[str]:
        """Show the message, as IPython asks for it."""
        return [f"{type(self).__name__}: {self}"]


class PlanError(CompilerError):
    """A text is not a plan; `problems` lists what is wrong, in the order of `text` ("" if it is not known)."""

    def __init__(self, problems: Iterable[Problem], text: str = "") -> None:
        self.problems, self.text = tuple(problems), text
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @property
    def kind(self) -> str:
        """The kind of the first problem."""
        return self.problems[0].kind


class ToolError(CompilerError):
    """A tool cannot do what it is asked to do."""


class ArgumentError(ToolError):
    """Arguments do not fit the tool's signature."""


class ExpressionError(ToolError):
    """An expression of the plan fails, or exceeds its bounds."""


class ClusterError(ToolError):
    """The cluster does not answer or is gone, or a value cannot get there or back."""


class ToolUnavailable(ToolError):
    """Something that the tool needs is missing."""


class ServerLost(ToolUnavailable):
    """The server of a tool ended before it answered, so that what was asked of it may be done or not."""


class EffectInDoubt(ToolError):
    """A side effect was not made: an equal call may have had it, and nobody could be asked whether to repeat it."""


class ModelError(CompilerError):
    """A call of a model failed.

    provider, model: as in `connect`; status: the HTTP status, or None; request_id: the provider's, or "";
    retry_after: the seconds that the provider asks to wait, or None if it does not say;
    retryable: whether the same call may succeed later; patient: whether waiting long enough is all that it takes, so
    that its tries are not counted; attempts: how often it was tried; kept: in words, what is
    kept of the work that it was part of. The text adds request id, attempts and what is kept, if there are any.
    """

    retryable = False
    patient = False
    attempts = 1
    kept = ""

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        model: str = "",
        status: int | None = None,
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.provider, self.model, self.status, self.request_id = provider, model, status, request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        tried = f"tried {self.attempts} times" if self.attempts > 1 else ""
        request = f"request {self.request_id}" if self.request_id else ""
        notes = ", ".join(filter(None, (tried, request, self.kept)))
        return f"{super().__str__()} ({notes})" if notes else super().__str__()


class NoModel(ModelError):
    """No model is set."""


class AuthenticationFailed(ModelError):
    """The key is missing or refused."""


class RateLimited(ModelError):
    """Too many requests or tokens: the provider asks to wait."""

    retryable = True
    patient = True


class QuotaExceeded(ModelError):
    """The account's quota is used up."""


class ModelTimeout(ModelError):
    """No first token, or no next token, arrived in time."""

    retryable = True


class StreamBroken(ModelError):
    """The stream ended before the model did."""

    retryable = True


class ModelRefused(ModelError):
    """The model or a filter declined; `text` is what it said."""

    def __init__(self, message: str, *, text: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.text = text


class ProviderUnavailable(ModelError):
    """No connection to the provider, or a server error."""

    retryable = True


class BadRequest(ModelError):
    """The provider cannot serve such a request."""


class NotRecorded(ModelError):
    """A cassette has no reply to such a request; the message names the first difference to the nearest one."""


class SteerError(_Brief, CompilerError):
    """A task cannot be skipped, tried again or given a value now: the message says why, and the way on."""


class RunFailed(_Brief, CompilerError):
    """A run ended without an answer; `run` holds its results and failures."""

    def __init__(self, message: str, run: Any = None) -> None:
        super().__init__(message)
        self.run = run


class OptionError(_Brief, CompilerError):
    """An option, a verb or a name given to a magic is wrong."""


class HistoryError(CompilerError):
    """A stored run or cassette cannot be read."""


class RunClaimed(HistoryError):
    """Another run makes the side effects of the one that this run goes on with."""
