"""How a run ends, as data: its status and why, or the plan if only that was wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compiler_nb.errors import CompilerError, PlanError, RunFailed
from compiler_nb.outcome import Cancelled, Status
from compiler_nb.plan.plan import Plan
from compiler_nb.run import Run
from compiler_nb.text import describe_error

CANCELLED: Final = Cancelled().message


@dataclass(eq=False)
class Stopped(Exception):
    """The run ends with this status, and why."""

    status: Status
    error: str


def ending_of(error: BaseException, *, late: float | None) -> tuple[Status, str]:
    """Return the status and the error of a run whose rounds were ended by an exception.

    late: the time limit, in seconds, if it is over; else None.
    """
    if isinstance(error, Stopped):
        return error.status, error.error
    if late is not None and isinstance(error, TimeoutError):
        return "limit", f"the run took longer than {late:g} s"
    if isinstance(error, PlanError):  # a plan that was given is refused before there is a run
        return "failed", f"the planner's plan is refused: {error}"
    return "failed", str(error) if isinstance(error, CompilerError) else describe_error(error)


def plan_of(run: Run) -> Plan:
    """Return the plan of a run that was only to make one.

    Raises the PlanError or ModelError that prevented it, or RunFailed if it reached a limit or was cancelled.
    """
    if run.control.fault is not None:
        raise run.control.fault
    if run.plan is None or run.status != "done":
        raise RunFailed(run.error or run.status, run)
    return run.plan
