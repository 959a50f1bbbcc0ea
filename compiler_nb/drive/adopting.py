"""What planned tasks adopt from earlier runs: their outcomes, and what is known of the side effects that they made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from compiler_nb.engine.effects.ledger import Entry
from compiler_nb.engine.session import Session
from compiler_nb.events import TaskIdentified, TaskPlanned
from compiler_nb.outcome import UNNEEDED, unstored
from compiler_nb.plan.task import Task
from compiler_nb.run import Run
from compiler_nb.settings.order import Past


class Adopter:
    """Hands the tasks of plans to a session, each with the outcome that an earlier run has left for it, if one has.

    past: what earlier runs leave; taking from it changes it.
    """

    def __init__(self, run: Run, session: Session, past: Past) -> None:
        self.run, self.log, self.session, self.past = run, run.log, session, past
        # Most runs come from no other: then a task is handed on without a look, as the session itself would take it.
        self.add = session.add if past.is_empty else self._adopt

    def _adopt(self, task: Task) -> None:
        """Let a task run, or give it the outcome that an earlier run has left for it."""
        found = self.past.take(task)
        if found is None:
            self.session.add(task)
            return
        self.session.pin(task, found.outcome, found.how)
        if unstored(found.outcome):
            self.session.reach.unstored.add(task.id)
        self._identify(task, self.session.effects.ledger.take(task.id, found.effects))

    def bring(self, ids: Iterable[str]) -> None:
        """Take over the results of earlier questions that a plan reads, with the tasks that they come from."""
        past, follow = self.past, self.past.follow
        if follow is None:
            return
        for planned in follow.needed(ids, self.run.progress.tasks):
            task = replace(planned, follows=())
            self.log.emit(TaskPlanned, task.id, 0, task, "")
            if self.run.order.planning:
                continue
            self.session.pin(task, follow.outcomes.get(task.id, UNNEEDED), follow.how(task.id))
            self.session.reach.unstored.update({task.id} & follow.lost.keys())
            if past.keys is not None:
                past.keys.by_id[task.id] = follow.keys.get(task.id)
            made = (entry for entry in past.effects if entry.place.task == task.id)
            self._identify(task, (entry for entry in made if entry.place.run == follow.origins[task.id]))

    def _identify(self, task: Task, entries: Iterable[Entry]) -> None:
        """Note which side effects of earlier runs the outcome of a task comes from."""
        for entry in entries:
            told = entry.describe(self.run.id)
            self.log.emit(TaskIdentified, task.id, 0, entry.digest, told, True, *entry.place)  # noqa: FBT003 - a field
