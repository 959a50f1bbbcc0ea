"""What models are told of the tasks of a run: the joiner, the planner of another round, and the worker.

All of it is read off the session and the run at the moment when it is asked for, and nothing is kept or changed.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from operator import attrgetter
from typing import Any, Final

from compiler_nb.engine.session import Session
from compiler_nb.outcome import NOT_REPEATED, Failure, Skipped, is_lost
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Join, Return, Task, line_of, owner_of
from compiler_nb.planner.requests import SET_BY_USER, Earlier, earlier_of
from compiler_nb.prompts.missing import NoteTable
from compiler_nb.prompts.origin import Origins
from compiler_nb.run import Run
from compiler_nb.text import count_of

LOST: Final = Failure("raised", "its value was not stored: a plan that needs it has to call the tool again")
"""What the planner of another round is told of a task of an earlier run."""
EFFECTS: Final = 100
"""Calls with side effects that the planner of a later round is told of."""
FAILED_ITEMS: Final = 10
"""Failed items of a fan-out that the planner of a later round is told of."""
_VERSION: Final = attrgetter("version_of")


class Briefing:
    """What models are told of the tasks of a run; dropped: tasks that only a refused text of a plan held."""

    def __init__(self, session: Session, run: Run, dropped: AbstractSet[str]) -> None:
        self.session, self.run, self.dropped = session, run, dropped

    @property
    def names(self) -> dict[str, str]:
        """The tasks that names mean; a look at the run folds it, which only a later round has to pay for."""
        return dict(self.run.progress.names)

    def left(self) -> list[Task]:
        """Return the tasks that later rounds and the joiner are told of: those of plans, of a name the last one."""
        tasks = list(self.session.tasks.values())
        if self.dropped:
            tasks = [task for task in tasks if task.id not in self.dropped]
        if not any(map(_VERSION, tasks)):
            return tasks
        names = self.names
        return [task for task in tasks if names.get(task.name, task.id) == task.id]

    def end_of(self, id_: str) -> str:
        """Return how a task ended that has no value; of one that was skipped, what failed."""
        end = self.session.outcomes.get(id_)
        if type(end) is Skipped and not end.by_user and not end.not_needed:
            return f"{id_} was skipped because {end.cause} failed: {end.message}"
        return f"{id_} failed: {end}" if type(end) is Failure else f"{id_}: {end}"

    # ---------------------------------------------------------------- the joiner

    def shown(self, final: Join | Return) -> list[Task]:
        """Return the tasks whose results the joiner is shown, if they have any; all, if the plan does not name them."""
        if isinstance(final, Join) and final.refs:
            return [self.session.tasks[id_] for id_ in final.refs]
        # A plain name is that of a line, neither of an item nor of a call within a line: so are most.
        return [task for task in self.left() if task.id.isidentifier() or self._stands_alone(task.id)]

    def _stands_alone(self, id_: str) -> bool:
        """Whether no other task shows the same: its fan-out, or the line of a guarded call with that very value."""
        line, outcomes = line_of(id_), self.session.outcomes
        same = line in outcomes and outcomes[line] is outcomes.get(id_) and self.session.is_guarded(id_)
        return not same and not owner_of(id_)

    def joined(self, final: Join | Return, plan: Plan) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the results that the joiner is shown, and all failures, in the order of the plan."""
        session = self.session
        tasks, outcomes, values = session.tasks, session.outcomes, session.values
        results = {task.name or task.id: values[task.id] for task in self.shown(final) if task.id in values}
        # A fan-out that failed in part is both: it has a value, that of the items that exist.
        lost = (outcomes.keys() - values.keys() | session.fanouts.partial.keys()) - self.dropped
        failures = {id_: outcomes[id_] for id_ in tasks if id_ in lost and is_lost(outcomes.get(id_))} if lost else {}
        # This round's plan was written in place of what failed in earlier ones, unless it has no result either.
        if failures and not values.keys().isdisjoint(plan.by_id):
            failures = {id_: end for id_, end in failures.items() if (tasks[id_].owner or id_) in plan.by_id}
        return results, failures

    def calls(self, names: Collection[str]) -> dict[str, str]:
        """Return which calls the results are of that the joiner is shown under these names."""
        tasks, notes = self.session.tasks, self._notes()
        origins = self._origins(shared=self.run.settings.share == "all")
        ids = {name: id_ for id_, task in tasks.items() for name in (task.name or id_, id_) if name in names}
        return {name: origins.call(id_) + notes.get(id_, "") for name, id_ in ids.items()}

    def _notes(self) -> dict[str, str]:
        """Return what is not repeated or was set by the user, by task; a line says it for its calls and its items."""
        progress = self.run.progress
        told = {id_: end.how for id_, end in progress.ends.items() if end.how.startswith(NOT_REPEATED)}
        told |= dict.fromkeys(progress.given, SET_BY_USER)
        items = Counter((owner_of(id_), how) for id_, how in told.items() if owner_of(id_))
        notes = {line: f" ({how})" for id_, how in told.items() for line in (id_, line_of(id_))}
        for (owner, how), count in items.items():
            notes[owner] = f"{notes.get(owner, '')} ({count_of(count, 'item')} {how})"
        return notes

    # ---------------------------------------------------------------- the planner of another round

    def earlier(self, plan: Plan, reason: str, notes: NoteTable) -> Earlier:
        """Return what the planner of another round is told of those before it; notes: as for `describe_schema`."""
        outcomes, progress = self.outcomes, self.run.progress
        preview = self.run.settings.preview
        found = earlier_of(plan, outcomes, self.left(), reason, preview=preview, given=progress.given, notes=notes)
        unanswered = progress.rounds[-1].failure
        lost: dict[str, Any] = {"answer": unanswered} if unanswered is not None else {}
        fanouts = self.session.fanouts
        for id_ in fanouts.partial:  # later rounds read these without the items that failed
            lost |= itertools.islice(fanouts.failed_items(id_).items(), FAILED_ITEMS)
        failures = {id_: str(end)[:500] for id_, end in lost.items()}
        return found._replace(failures={**failures, **found.failures}, effects=self._effects())

    @property
    def outcomes(self) -> Mapping[str, Any]:
        """How the tasks ended, as a planner reads them: of a fan-out that failed in part the items that exist."""
        session = self.session
        return {**session.outcomes, **session.fanouts.partial, **dict.fromkeys(session.reach.unstored, LOST)}

    def _effects(self) -> dict[str, str]:
        """Return which calls with side effects were made, and what became of them."""
        preview = self.run.settings.preview
        origins, counts = self._origins(shared=preview), Counter[str]()
        for id_, told in self.session.effects.ledger.told().items():
            name = id_ if preview else owner_of(id_) or id_  # an item's id may hold its key
            counts[f"{name}: {origins.call(id_)} was {told}"] += 1
        lines = list(counts.items())[:EFFECTS]
        return dict(f"{line}{f' ({count:,} calls)' if count > 1 else ''}".split(": ", 1) for line, count in lines)

    # ---------------------------------------------------------------- the worker

    def sources(self, id_: str, parameter: str) -> list[str]:
        """Return which calls the arguments come from that a task of `llm` or `extract` has for a parameter."""
        task = self.session.tasks.get(id_)
        if task is None:
            return []
        origins = self._origins(shared=self.run.settings.share == "all")
        given = task.kwargs.get(parameter, task.args[1:2] if parameter == "text" else task.args[1:])
        return list(map(origins.sources, given if type(given) in (list, tuple) else [given]))

    def _origins(self, *, shared: bool) -> Origins:
        """Return what says where values come from; shared: whether contents may be in that."""
        session = self.session
        return Origins(session.tasks, session.outcomes, session.inputs, shared=shared)
