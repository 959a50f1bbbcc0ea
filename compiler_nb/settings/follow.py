"""FollowUp: what earlier questions of a conversation leave to the next one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from compiler_nb.outcome import FOLLOWED
from compiler_nb.plan.task import Task

READ: Final = 5
"""Earlier runs of a conversation that are known; older ones are forgotten."""


class Turn(NamedTuple):
    """A question of the conversation, the text of its last plan, and its answer; answered: whether there is one."""

    question: str
    plan: str
    answer: Any
    answered: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class FollowUp:
    """What earlier runs leave to a question that follows them.

    runs: the runs themselves, the oldest first; turns: of them; tasks, outcomes: of all of them, by id, later ones
    instead of earlier ones; names: what a variable means, as an id; origins: the run that a task belongs to; keys: what
    identifies tasks; outdated: the input of results that were made of one that has changed since; lost: why values that
    are done are not there; failures: why others have none, in words; effects: what became of their side effects, in
    words; since: the mark of the last side effect; informed: whether one of the plans was written after tools had
    returned something.
    """

    runs: tuple[Any, ...] = ()
    turns: tuple[Turn, ...] = ()
    tasks: Mapping[str, Task] = field(default_factory=dict)
    outcomes: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str | None] = field(default_factory=dict)
    outdated: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    effects: Mapping[str, str] = field(default_factory=dict)
    since: str = ""
    informed: bool = False

    @property
    def readable(self) -> dict[str, str]:
        """The fingerprints of the tasks that a plan may read, by id."""
        return {id_: self.tasks[id_].fingerprint for id_ in self.outcomes if id_ not in self.lost}

    def needed(self, ids: Iterable[str], there: Mapping[str, Any]) -> list[Task]:
        """Return the tasks that these ids name, and those that they come from, in their order; without those there."""
        wanted: set[str] = set()
        open_ = [id_ for id_ in ids if id_ in self.tasks]
        while open_:
            id_ = open_.pop()
            if id_ not in wanted and id_ not in there and id_ in self.tasks:
                wanted.add(id_)
                open_ += self.tasks[id_].dependencies
        return [task for id_, task in self.tasks.items() if id_ in wanted] if wanted else []

    def how(self, id_: str) -> str:
        """Return `TaskEnded.how` of a task that is taken over."""
        return f"{FOLLOWED} {self.origins[id_]}"
