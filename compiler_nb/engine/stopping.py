"""How a running call is stopped: a coroutine gets a grace to end, a thread is given up at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.events import Warned
from compiler_nb.outcome import Failure

if TYPE_CHECKING:
    from compiler_nb.engine.attempt import Attempt
    from compiler_nb.engine.session import Session

GRACE: Final = 0.2
"""Seconds that a cancelled coroutine has to end before it is abandoned."""
STILL_RUNS: Final = "still runs: it could not be stopped"
"""How the warning of a call that was abandoned while it worked ends."""


def time_out(session: Session, attempt: Attempt) -> None:
    """Stop an attempt whose deadline has come."""
    attempt.deadline = math.inf
    if not attempt.ended and not attempt.cancelled:
        attempt.timed_out = True
        stop(session, attempt, timeout_failure(attempt))


def timeout_failure(attempt: Attempt) -> Failure:
    """Return the Failure of an attempt that took too long."""
    message = f"{attempt.tool.name} took longer than its timeout of {attempt.tool.timeout:g} s"
    if attempt.job is not None:
        return Failure("abandoned", f"{message}; its thread cannot be stopped", attempts=attempt.node.attempt)
    return Failure("timeout", message, attempts=attempt.node.attempt)


def stop(session: Session, attempt: Attempt, outcome: Any) -> None:
    """Cancel an attempt; it ends with this outcome where it does not say another itself."""
    if attempt.task is None:
        _abandon(session, attempt, outcome)
        return

    def never_began(_: object) -> None:
        """Take an attempt out whose coroutine was cancelled before its first line, and so had no last one."""
        if not attempt.ended:
            session.take_out(attempt, outcome)

    attempt.task.cancel()
    attempt.task.add_done_callback(never_began)
    session.timer.call(GRACE, lambda: _abandon(session, attempt, outcome))


def _abandon(session: Session, attempt: Attempt, outcome: Any) -> None:
    if attempt.ended:
        return
    session.abandoned += 1
    if attempt.job is not None and attempt.tool.thread != "main":
        session.pool.abandon(attempt.job)
    elif attempt.job is not None:
        attempt.job.abandoned = True
    if attempt.job is None or attempt.job.started:
        session.log.emit(Warned, attempt.node.task.id, f"{attempt.tool.name} {STILL_RUNS}")
    session.take_out(attempt, outcome)
