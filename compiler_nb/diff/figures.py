"""The figures of a run that are compared: the shape of its plans, what it used, and how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from compiler_nb.plan.shape import critical_path, levels
from compiler_nb.plan.task import Task, owner_of
from compiler_nb.run import Run
from compiler_nb.trace.costs import Costs


class Figures(NamedTuple):
    """The figures of one run.

    tasks: without items of fan-outs; items: of all fan-outs; rounds: how many; width: tasks of the widest level;
    levels: of all rounds together; critical_path: the longest chain of each round, in tasks; costs: tokens and dollars
    by role, task and model; failures: tasks that failed or were skipped or cancelled; seconds: how long it took.
    """

    tasks: int
    items: int
    rounds: int
    width: int
    levels: int
    critical_path: tuple[str, ...]
    costs: Costs
    failures: int
    seconds: float


def figures_of(run: Run, rounds: Sequence[Sequence[Task]]) -> Figures:
    """Return the figures of a run; rounds: the tasks that were planned in each."""
    progress = run.progress
    shapes = [_shape(tasks) for tasks in rounds]
    return Figures(
        tasks=sum(map(len, rounds)),
        items=sum(progress.tallies.items(id_).all for id_ in progress.tallies.fanouts),
        rounds=len(rounds),
        width=max((len(level) for found, _ in shapes for level in found), default=0),
        levels=sum(len(found) for found, _ in shapes),
        critical_path=tuple(id_ for _, path in shapes for id_ in path),
        costs=progress.costs,
        failures=sum(not owner_of(id_) for id_ in run.failures),
        seconds=run.seconds,
    )


def _shape(tasks: Sequence[Task]) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    try:
        return levels(tasks), critical_path(tasks)
    except ValueError:  # a damaged file may lead in a circle
        return (), ()
