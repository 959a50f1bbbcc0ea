"""What an earlier run leaves to one that goes on where it stopped, or runs its plan again.

A task is the same as an earlier one when its key is (keys.py). The k-th of equal tasks takes the k-th's outcome.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from compiler_nb.events import ModelStarted, TaskStarted
from compiler_nb.outcome import NOT_DONE, Answer, Failure, Replan
from compiler_nb.plan.bounds import is_a
from compiler_nb.plan.expression import Value
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Return, Task, owner_of
from compiler_nb.plan.tree import references
from compiler_nb.values.code import content_hash
from compiler_nb.values.forms import NotStored
from compiler_nb.values.keys import Keys, hash_tools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compiler_nb.run import Run
    from compiler_nb.trace import Round

UNKNOWN: Final = frozenset({"timeout", "abandoned"})
"""Kinds of failures of which the tool itself knows nothing: its side effect may have happened."""
NOT_BEGUN: Final = frozenset({"denied", "arguments", "expression"})
"""Kinds of failures before a tool was called."""


class Old(NamedTuple):
    """An earlier round: its plan, and what the joiner decided after it."""

    plan: Plan
    decision: Answer | Replan | None


class Past:
    """The outcomes that a new run may take over.

    rounds: earlier rounds whose plans are whole, to be gone through again; doubts: fingerprints of side effects that
    may have happened; executing: whether the plan was given, not asked for.
    """

    def __init__(self, parent: str = "", doubts: frozenset[str] = frozenset()) -> None:
        self.parent, self.doubts = parent, doubts
        self.rounds: list[Old] = []
        self.executing = False
        self.pins: dict[str, tuple[Any, str]] = {}  # outcomes by id, with how they came to be
        self.known: dict[str, deque[Any]] = defaultdict(deque)  # outcomes by key
        self.keys: Keys | None = None

    def take(self, task: Task) -> tuple[Any, str] | None:
        """Return a task's outcome and how it came to be known, None where it is to run."""
        key = self.keys.add(task) if self.keys is not None else None
        if task.id in self.pins:
            return self.pins[task.id]
        found = self.known.get(key) if key is not None else None
        return (found.popleft(), "adopted") if found else None

    def recall(self, item: Task) -> Task:
        """Return an item of a fan-out, as the value that it has where that is known."""
        found = self.take(item)
        if found is None or is_a(found[0], NOT_DONE):
            return item
        return Task(item.id, "expr", "", (Value(found[0]),), line=item.line, column=item.column)


# -------------------------------------------------------------------- going on


def resumed(old: Run, new: Run, tools: Mapping[str, Any]) -> Past:
    """Return what a run leaves to `new`, which goes on where it stopped.

    tools: the new run's.
    """
    past = Past(old.id, begun_effects(old, tools))
    past.executing = not any(isinstance(event, ModelStarted) and not event.task for event in old.events)
    for round_ in old.rounds:
        if round_.plan is None:
            break
        past.rounds.append(Old(round_.plan, _kept(round_)))
    past.keys = Keys(hash_tools(tools), hash_inputs(new))
    keys = Keys({**past.keys.tools, **hash_tools(old.compiler.tools)}, hash_inputs(old))
    again, outcomes = _to_run_again(old, past.rounds), old.progress.outcomes
    for task in old.progress.tasks.values():
        key = keys.add(task)
        if key is not None and task.id not in again:
            past.known[key].append(outcomes[task.id])
    return past


def hash_inputs(run: Run) -> dict[str, str | None]:
    """Return the hashes of a run's inputs; what has no content to hash is told by which object it is."""
    stored: Mapping[str, str | None] = getattr(run.compiler, "input_hashes", {})
    return {
        name: stored[name] if name in stored else content_hash(value) or f"object {id(value)}"
        for name, value in run.inputs.items()
    }


def _kept(round_: Round) -> Answer | Replan | None:
    """Return what the joiner decided; an answer of the plan's own is worked out again."""
    decision, plan = round_.decision, round_.plan
    if isinstance(decision, Answer) and (plan is None or isinstance(plan.final, Return)):
        return None
    return None if isinstance(decision, Answer) and isinstance(decision.value, NotStored) else decision


def _to_run_again(old: Run, rounds: list[Old]) -> set[str]:
    """Return the ids of the tasks that are to run: those not done, and those whose values are needed and not stored."""
    outcomes = old.progress.outcomes
    decided = {task.id for each in rounds if each.decision is not None for task in each.plan}
    needed, again = _needed(old, rounds), set()
    for id_, task in reversed(old.progress.tasks.items()):
        outcome = outcomes.get(id_, _NONE)
        lost = is_a(outcome, NOT_DONE) and (owner_of(id_) or id_) not in decided
        if outcome is _NONE or lost or (isinstance(outcome, NotStored) and id_ in needed):
            again.add(id_)
            needed.update(task.dependencies)
    return again


_NONE: Final = object()


def _needed(old: Run, rounds: list[Old]) -> set[str]:
    """Return the ids whose values the end of the run reads."""
    if len(rounds) < len(old.rounds) or not rounds:
        return set(old.progress.tasks)  # another plan is to be written, and may read anything
    last = rounds[-1]
    if isinstance(last.plan.final, Return):
        return set(references(last.plan.final.expression))
    return set(last.plan.final.refs or old.progress.tasks)


def begun_effects(old: Run, tools: Mapping[str, Any]) -> frozenset[str]:
    """Return the fingerprints of the side effects that a run, or one before it, has begun: done, failed or cut off."""
    found = set(old.doubts)
    tasks, outcomes = old.progress.tasks, old.progress.outcomes
    known = {**tools, **old.compiler.tools}
    for id_ in {event.task for event in old.events if isinstance(event, TaskStarted)}:
        tool, outcome = known.get(tasks[id_].tool), outcomes.get(id_)
        harmless = isinstance(outcome, Failure) and outcome.kind in NOT_BEGUN
        if tool is not None and tool.side_effects and not harmless:
            found.add(tasks[id_].fingerprint)
    return frozenset(found)


# -------------------------------------------------------------------- running again


def repeated(old: Run, *, start: str = "", overrides: Mapping[str, Any], failed: bool) -> tuple[Plan, Past]:
    """Return the whole plan of a run, and what is pinned of it: all but what is to run.

    That is everything; with `start` that task and what hangs on it, with `failed` what is not done; and what hangs on
    an overridden task. Raises KeyError for a task that there is not.
    """
    plan = whole_plan(old)
    fixed = {old.id_of(name): value for name, value in overrides.items()}
    begin = {old.id_of(start)} if start else set()
    outcomes = old.progress.outcomes
    if failed:
        begin |= {task.id for task in plan if is_a(outcomes.get(task.id, _NONE), NOT_DONE)}
    begin |= {task.id for task in plan if task.id not in outcomes}
    if not (start or failed):
        begin = {task.id for task in plan}
    moved = {*begin, *fixed}
    for task in plan:
        if task.id not in fixed and moved.intersection(task.dependencies):
            moved.add(task.id)
    moved = _with_lost_values(plan, outcomes, moved - set(fixed))
    past = Past(old.id, unknown_effects(old))
    past.executing = True
    past.pins = {
        task.id: (outcomes[task.id], "pinned") for task in plan if task.id not in moved and task.id in outcomes
    }
    past.pins |= {id_: (value, "pinned") for id_, value in fixed.items()}
    if failed:
        past.pins |= _items(old, plan, moved)
    return plan, past


def _with_lost_values(plan: Plan, outcomes: Mapping[str, Any], moved: set[str]) -> set[str]:
    """Return what is to run, with the tasks whose values it needs and that were not stored."""
    needed = set(references(plan.final.expression) if isinstance(plan.final, Return) else plan.final.refs or plan.by_id)
    for task in reversed(plan.tasks):
        if task.id in moved or (task.id in needed and isinstance(outcomes.get(task.id), NotStored)):
            moved.add(task.id)
            needed.update(task.dependencies)
    return moved


def _items(old: Run, plan: Plan, moved: set[str]) -> dict[str, tuple[Any, str]]:
    """Return the values of the items that are done of fan-outs that run again over the same things."""
    sources = {task.id for task in plan if task.kind == "fanout" and not moved.intersection(task.dependencies)}
    return {
        id_: (outcome, "pinned")
        for id_, outcome in old.progress.outcomes.items()
        if owner_of(id_) in sources & moved and not is_a(outcome, (*NOT_DONE, NotStored))
    }


def unknown_effects(old: Run) -> frozenset[str]:
    """Return the fingerprints of the side effects of which it is unknown whether they happened."""
    tasks, outcomes, states = old.progress.tasks, old.progress.outcomes, old.progress.states
    begun = {event.task for event in old.events if isinstance(event, TaskStarted)}
    tools = old.compiler.tools
    return old.doubts | {
        tasks[id_].fingerprint
        for id_ in begun
        if tasks[id_].tool in tools and tools[tasks[id_].tool].side_effects
        and (states[id_] != "done" and getattr(outcomes.get(id_), "kind", "timeout") in UNKNOWN)
    }  # fmt: skip


def whole_plan(old: Run) -> Plan:
    """Return the last plan of a run with the tasks of earlier rounds that it needs; raises KeyError where none is."""
    last = old.plan
    if last is None:
        raise KeyError(f"the run {old.id} has no whole plan: resume it, or ask again")
    tasks = old.progress.tasks
    needed: set[str] = set()
    final = references(last.final.expression) if isinstance(last.final, Return) else last.final.refs
    open_ids = [*last.by_id, *final]
    while open_ids:
        id_ = open_ids.pop()
        if id_ in tasks and id_ not in needed:
            needed.add(id_)
            open_ids += tasks[id_].dependencies
    kept = tuple(task for id_, task in tasks.items() if id_ in needed and not task.owner)
    return Plan(kept, last.final, last.text, last.dialect)
