"""Calls that may not begin at once although they are started: their provider counts them, or they are noted first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compiler_nb.engine.parking import Parked
from compiler_nb.engine.threads import submit
from compiler_nb.events import TaskRetried
from compiler_nb.outcome import Failure

if TYPE_CHECKING:
    from compiler_nb.engine.attempt import Attempt
    from compiler_nb.engine.node import Node
    from compiler_nb.engine.session import Session


async def admit(session: Session, attempt: Attempt, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Begin an attempt when its provider lets it and, with side effects, when it is noted."""
    node, tool = attempt.node, attempt.tool
    if tool.side_effects and session.intent is not None and not await session.intent(node):
        _ask_without_note(session, attempt)
        return
    provider = session.rated.get(node.task.tool)
    if provider is not None and session.rates is not None:
        await session.rates.admit(provider, Parked(session, attempt))
    if tool.side_effects and not session.approval.confirms(node.task.id, args, kwargs):
        _take_back(session, attempt, "its arguments have changed since they were approved")
        return
    if tool.timeout is not None:
        session.timer.watch(attempt, tool.timeout)
    if tool.is_async:
        await session.serve(attempt, args, kwargs)
    else:
        attempt.task = None
        submit(session, attempt, args, kwargs)


def _ask_without_note(session: Session, attempt: Attempt) -> None:
    """Ask a person for a call with side effects that cannot be noted, or deny it."""
    node, name, approval = attempt.node, attempt.tool.name, session.approval
    task = node.task
    if approval.ask is None or not task.fingerprint or task.fingerprint in approval.in_doubt:
        told = f"{name}: the history cannot note it, and nobody is there to approve it without"
        session.take_out(attempt, Failure("denied", told, attempts=0))
        return
    approval.in_doubt.add(task.fingerprint)
    _take_back(session, attempt, "the history cannot note it")


def _take_back(session: Session, attempt: Attempt, reason: str) -> None:
    """Take back the start of a call that did not begin, and ask for it again."""
    task = attempt.node.task
    attempt.ended = True
    del session.attempts[task.id]
    session.log.emit(TaskRetried, task.id, attempt.node.attempt, reason, 0.0)
    ask_again(session, attempt.node)


def ask_again(session: Session, node: Node) -> None:
    """Give a call's slot back that needs another word: its arguments have changed, or it cannot be noted."""
    node.attempt -= 1
    starts = session.schedule.retry(node.task.id, session.log.now())
    session.perform([*starts, *session.schedule.again(node.task.id, session.log.now())])
