"""What is drawn of a plan or of a run: its rounds, each with the tasks that it planned and its last line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from compiler_nb.events import RunStarted
from compiler_nb.outcome import is_followed
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Join, LastLine, Task
from compiler_nb.trace import JOINER, Progress, role_of


def shown_plan(tasks: tuple[Task, ...], plan: Plan | None) -> Plan | tuple[Task, ...]:
    """Return the tasks with the plan's last line; without a plan, only the tasks, which are drawn without one."""
    return tasks if plan is None else Plan(tasks, plan.final)


class DrawnRound(NamedTuple):
    """One round as it is drawn: the tasks that it planned, its last line, and why the joiner asked for it."""

    tasks: tuple[Task, ...]
    final: LastLine | None = None
    reason: str = ""


class Scene(NamedTuple):
    """A whole run as it is drawn: its rounds; by the ids of tasks that adopted an outcome, where it came from.

    joined: the numbers of the rounds whose results a joiner has read, or is to read; before: tasks that an earlier run
    has performed, which this one follows.
    """

    rounds: tuple[DrawnRound, ...]
    adopted: Mapping[str, str] = {}
    joined: frozenset[int] = frozenset()
    before: frozenset[str] = frozenset()

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of all rounds."""
        return tuple(task for each in self.rounds for task in each.tasks)

    @property
    def closed(self) -> set[int]:
        """The numbers of the rounds that have their last line: no more tasks come."""
        return {number for number, each in enumerate(self.rounds) if each.final is not None}


Shown = Plan | Scene | Iterable[Task]
"""What can be drawn; tasks alone are drawn without a last line."""


def scene_of(plan: Shown) -> Scene:
    """Return a plan, or tasks, as a run of one round."""
    if isinstance(plan, Scene):
        return plan
    return Scene((DrawnRound(plan.tasks, plan.final) if isinstance(plan, Plan) else DrawnRound(tuple(plan)),))


def scene_of_run(progress: Progress) -> Scene:
    """Return a run's rounds as they are drawn, without the items of fan-outs."""
    with progress.lock:
        tasks: dict[int, list[Task]] = {number: [] for number in range(max(len(progress.rounds), 1))}
        for id_, task in progress.tasks.items():
            if not task.owner:
                tasks.setdefault(progress.round_of.get(id_, 0), []).append(task)
        rounds = dict(enumerate(progress.rounds))
        adopted = dict(progress.readiness.adopted)
        before = frozenset(
            id_ for id_ in (progress.ends if progress.after else ()) if is_followed(progress.ends[id_].how)
        )
        joined = {each.round for each in progress.calls.values() if not each.task and role_of(each) == JOINER}
        began = progress.events[0] if progress.events else None
        waits = progress.status == "running" and isinstance(began, RunStarted) and JOINER in began.models
    parts = []
    for number, planned in sorted(tasks.items()):
        about = rounds.get(number)
        plan = about.plan if about else None
        parts.append(DrawnRound(tuple(planned), plan.final if plan else None, about.reason if about else ""))
        if waits and plan is not None and isinstance(plan.final, Join):
            joined.add(number)
    return Scene(tuple(parts), adopted, frozenset(joined), before)
