"""Order: what a run is to do, and what an earlier run leaves to it."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from compiler_nb.engine.effects.ledger import Entry, Place
from compiler_nb.operations.weights import is_a
from compiler_nb.outcome import ADOPTED, GIVEN, NOT_DONE, PINNED, Answer, Replan, unstored
from compiler_nb.plan.effects import nature
from compiler_nb.plan.expression import Value
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task, owner_of
from compiler_nb.settings.follow import FollowUp
from compiler_nb.tool import Tool
from compiler_nb.trace import Progress

if TYPE_CHECKING:  # loaded only if it is used
    from compiler_nb.signature.answers import AnswerType
    from compiler_nb.values.keys import Keys


class PastRound(NamedTuple):
    """An earlier round: its plan, and what the joiner decided after it."""

    plan: Plan
    decision: Answer | Replan | None


class Claim(NamedTuple):
    """Which run last made side effects in a lineage, its process, and how many were begun in all."""

    run: str
    owner: str
    effects: int


class Taken(NamedTuple):
    """How a task ended in an earlier run, how that came to be known, and the side effects that this was.

    read_as: the key by which those that read it know it, "" if that is its own.
    """

    outcome: Any
    how: str = ADOPTED
    effects: tuple[Place, ...] = ()
    read_as: str = ""


@dataclass(kw_only=True, eq=False)
class Past:
    """What an earlier run leaves to one that goes on, or runs its plan again; an empty one leaves nothing.

    parent: the earlier run's id; claim: the one on the lineage that was seen; effects: the side effects of the lineage,
    in the order in which they were begun, to which the new run adds its own; wary: whether one that failed is asked
    for, too; tools: the new run's; rounds: earlier rounds whose plans are whole, which the new run repeats first; pins:
    outcomes by id; known: outcomes by key (the k-th of equal tasks takes the k-th); items: those of the items of
    fan-outs, by the fan-out's key: one that is taken whole has no items in the run; keys: of the new run's tasks;
    executing: whether the plan was given, not written by a planner; follow: what the question follows, None if it
    follows nothing.
    """

    parent: str = ""
    claim: Claim | None = None
    effects: list[Entry] = field(default_factory=list)
    wary: bool = False
    tools: Mapping[str, Tool] = field(default_factory=dict)
    rounds: list[PastRound] = field(default_factory=list)
    pins: dict[str, Taken] = field(default_factory=dict)
    known: dict[str, deque[Taken]] = field(default_factory=lambda: defaultdict(deque))
    items: dict[str, dict[str, list[Taken]]] = field(default_factory=dict)
    keys: Keys | None = None
    executing: bool = False
    follow: FollowUp | None = None
    _is_moved: bool = field(default=False, init=False)  # whether a side effect is new or another one

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left, so that each task runs."""
        return self.keys is None and not self.pins and not self.known

    def fresh(self) -> Past:
        """Return a copy for one run to take from, so that an order can be begun any number of times."""
        known = defaultdict(deque, {key: deque(outcomes) for key, outcomes in self.known.items()})
        return replace(self, known=known, keys=self.keys and self.keys.fresh())

    def take(self, task: Task) -> Taken | None:
        """Return a task's outcome, or None if the task is to run.

        Below a side effect that is to be made, what was read before it is stale, and with it all that comes of that.
        """
        key = self.keys.add(task, stale=self._is_moved and bool(task.since)) if self.keys is not None else None
        found, given = self.pins.get(task.id), self._items_given(task)
        if found is not None and self.keys is not None:
            self.keys.give(task.id, found.outcome)
        if found is None and given:  # it is not taken whole
            key = None
            if self.keys is not None:
                self.keys.mix(task.id, given)
        if found is None and key is not None and self.known.get(key):
            found = self.known[key].popleft()
            if self.keys is not None and found.read_as:
                self.keys.by_id[task.id] = found.read_as
        if found is None and self.tools:
            kind = nature(task, self.tools)
            self._is_moved = self._is_moved or kind == "effect"
            is_another = key in self.known and kind != "pure"  # equal ones are taken; this one may return another value
            if self.keys is not None and (is_another or (kind == "effect" and self.follow is not None)):
                self.keys.by_id[task.id] = None  # so what reads it is new
        return found

    def unheard(self, progress: Progress) -> list[str]:
        """Return the items to which the user gave values and that do not exist, of fan-outs whose items are known."""
        given = [id_ for id_, each in self.pins.items() if each.how in GIVEN and owner_of(id_)]
        return [id_ for id_ in given if id_ not in progress.tasks and owner_of(id_) in progress.tallies.of]

    def _items_given(self, task: Task) -> list[list[Any]]:
        """Return the items of a fan-out to which the user gives values, with these."""
        if task.kind != "fanout":
            return []
        pins = self.pins.items()
        found = [(id_, each.outcome) for id_, each in pins if each.how in GIVEN and owner_of(id_) == task.id]
        return [list(pair) for pair in sorted(found, key=itemgetter(0))]

    def recall(self, item: Task) -> tuple[Task, str]:
        """Return an item of a fan-out, as an expression of its value if that is known, and how it is known, or "".

        A side effect stays a call: it is looked up when its arguments are known, so that it is seen not to be repeated.
        """
        pinned = self.pins.get(item.id)
        if nature(item, self.tools) == "effect" and (pinned is None or pinned.how != PINNED):
            return item, ""
        found = self.take(item)
        # one that was not needed is asked again, which costs nothing; what was not stored is worked out again
        if found is None or is_a(found.outcome, NOT_DONE) or unstored(found.outcome):
            return item, ""
        return Task(item.id, "expr", "", (Value(found.outcome),), line=item.line, column=item.column), found.how


@dataclass(frozen=True, kw_only=True, eq=False)
class Order:
    """What a run is to do: answer a question, or run a plan, perhaps with what an earlier run leaves.

    plan: None if the planner is to write it; inputs: values of the offered variables; input_hashes: hashes of the
    contents of those that came from a history; shapes: what the planner is told of the results of tools, by tool, which
    no other run changes while this one goes on; uses: how often tools were called before; planning: whether only the
    plan is wanted; grid: the mark of the grid that it is a run of, "" if of none; repetition: the number of this one
    among repetitions of one question: replies that are kept of another one do not count; answer_type: what the answer
    is to be, None if that is open.
    """

    question: str = ""
    plan: Plan | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    past: Past = field(default_factory=Past)
    input_hashes: Mapping[str, str | None] = field(default_factory=dict)
    shapes: Mapping[str, str] = field(default_factory=dict)
    uses: Mapping[str, int] = field(default_factory=dict)
    planning: bool = False
    grid: str = ""
    repetition: int = 0
    answer_type: AnswerType | None = None

    @property
    def executing(self) -> bool:
        """Whether a plan was given, so that no planner is asked for another."""
        return self.plan is not None or self.past.executing
