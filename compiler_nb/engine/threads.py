"""Where sync tools run: on a thread of the session's pool, or on the main thread, where somebody serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compiler_nb.engine.attempt import CURRENT, failure_of, on_main_thread
from compiler_nb.engine.pool import ABANDONED_LIMIT, Job
from compiler_nb.errors import ToolUnavailable
from compiler_nb.outcome import Failure

if TYPE_CHECKING:
    from compiler_nb.engine.attempt import Attempt
    from compiler_nb.engine.session import Session


def submit(session: Session, attempt: Attempt, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Have a sync tool called on its thread; the session takes the attempt out when that is told."""
    context = session.context.copy()
    context.run(CURRENT.set, attempt.node.task.id)
    job = Job(attempt.tool.function, args, kwargs, context, lambda job: _ended(session, attempt, job))
    attempt.job = job
    if attempt.tool.thread == "main":
        _submit_to_main(session, attempt, job)
    elif session.pool.abandoned >= ABANDONED_LIMIT:
        message = f"{ABANDONED_LIMIT} earlier calls still hang in their threads: restart the kernel"
        session.take_out(attempt, Failure("abandoned", message, attempts=attempt.node.attempt))
    else:
        session.pool.submit(job)


def _submit_to_main(session: Session, attempt: Attempt, job: Job) -> None:
    def serve() -> None:
        if not job.abandoned:
            job.run()
        session.loop.call_soon_threadsafe(job.report, job)

    def serve_for_waiter() -> None:
        serve()
        if isinstance(job.error, KeyboardInterrupt):
            raise job.error  # it was meant for whoever waits there

    if on_main_thread():
        session.loop.call_soon(serve)
    elif session.main is None or not session.main(serve_for_waiter):
        message = f"{attempt.tool.name} needs the main thread, and nothing serves it there: use run_sync, or a cell"
        session.take_out(attempt, failure_of(ToolUnavailable(message), attempt.tool, attempt.node.attempt))


def _ended(session: Session, attempt: Attempt, job: Job) -> None:
    if not attempt.ended:
        error = job.error
        outcome = job.outcome if error is None else failure_of(error, attempt.tool, attempt.node.attempt)
        session.take_out(attempt, outcome)
