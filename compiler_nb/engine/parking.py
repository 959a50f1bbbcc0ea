"""A running call's wait for its provider: it holds no slot meanwhile, and its timeout does not run."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from compiler_nb.events import TaskParked

if TYPE_CHECKING:
    from compiler_nb.engine.attempt import Attempt
    from compiler_nb.engine.session import Session


class Parked:
    """One attempt that may have to wait for its provider; a call of a lane without a provider keeps its slot."""

    def __init__(self, session: Session, attempt: Attempt) -> None:
        self.session, self.attempt = session, attempt
        self.left = inf  # seconds of its timeout

    def park(self) -> None:
        """Give the slot back."""
        session, attempt, node = self.session, self.attempt, self.attempt.node
        if attempt.ended or attempt.cancelled or attempt.timed_out:
            return
        starts = session.schedule.park(node.task.id)
        if node.parked:
            self.left, attempt.deadline = attempt.deadline - session.loop.time(), inf
            session.log.emit(TaskParked, node.task.id, node.attempt, attempt.tool.provider, True)  # noqa: FBT003 - a field
            session.perform(starts)

    async def back(self) -> None:
        """Wait for a slot again."""
        session, attempt, node = self.session, self.attempt, self.attempt.node
        if attempt.ended or attempt.cancelled or not node.parked:
            return
        attempt.back = session.loop.create_future()
        session.perform(session.schedule.unpark(node.task.id))
        await attempt.back
        attempt.back = None
        session.log.emit(TaskParked, node.task.id, node.attempt, attempt.tool.provider, False)  # noqa: FBT003 - a field
        if self.left < inf:
            session.timer.watch(attempt, self.left)
