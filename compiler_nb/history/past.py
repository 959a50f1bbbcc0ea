"""What an earlier run leaves to one that goes on where it stopped, or runs its plan again.

A task is the same as an earlier one when its key is (keys.py). The k-th of equal tasks takes the k-th's outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from compiler_nb.errors import HistoryError
from compiler_nb.events import ModelStarted, TaskStarted
from compiler_nb.outcome import NOT_DONE, Answer, Failure, Replan
from compiler_nb.plan.bounds import is_a
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Return, owner_of
from compiler_nb.plan.tree import references
from compiler_nb.settings.order import Order, Past, PastRound
from compiler_nb.values.code import content_hash
from compiler_nb.values.forms import NotStored
from compiler_nb.values.keys import Keys, hash_tools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compiler_nb.run import Run
    from compiler_nb.trace import Round

UNKNOWN: Final = frozenset({"timeout", "abandoned"})
"""Kinds of failures after which a side effect may have happened, or may still happen."""
NOT_BEGUN: Final = frozenset({"denied", "arguments", "expression"})
"""Kinds of failures before a tool was called."""


# -------------------------------------------------------------------- going on


def resumed(old: Run, tools: Mapping[str, Any], inputs: Mapping[str, Any], *, later: frozenset[str]) -> Order:
    """Return the order to go on where a run stopped.

    tools: the new run's; inputs: those that replace the run's own; later: fingerprints of side effects that runs which
    came from it have begun. Raises HistoryError if an input was not stored.
    """
    given = _inputs_of(old, inputs)
    past = Past(parent=old.id, doubts=begun_effects(old, tools) | later)
    past.executing = not any(isinstance(event, ModelStarted) and not event.task for event in old.events)
    for round_ in old.rounds:
        if round_.plan is None:
            break
        past.rounds.append(PastRound(round_.plan, _kept(round_)))
    past.keys = Keys(hash_tools(tools), hash_inputs(given, {}))
    keys = Keys({**past.keys.tools, **hash_tools(old.settings.tools)}, hash_inputs(old.inputs, old.order.input_hashes))
    again, outcomes = _to_run_again(old, past.rounds), old.progress.outcomes
    for task in old.progress.tasks.values():
        key = keys.add(task)
        if key is not None and task.id not in again:
            past.known[key].append(outcomes[task.id])
    return Order(question=old.question, inputs=given, past=past)


def _inputs_of(old: Run, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's inputs, given ones in their places. Raises HistoryError if one was not stored."""
    inputs = {**old.inputs, **given}
    for name, value in inputs.items():
        if isinstance(value, NotStored):
            raise HistoryError(f"the input {name} was not stored ({value.reason}): give it, inputs={{{name!r}: ...}}")
    return inputs


def hash_inputs(inputs: Mapping[str, Any], stored: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the hashes of inputs; a value whose content has no hash is known by which object it is."""
    return {
        name: stored[name] if name in stored else content_hash(value) or f"object {id(value)}"
        for name, value in inputs.items()
    }


def _kept(round_: Round) -> Answer | Replan | None:
    """Return what the joiner decided; an answer of the plan's own is worked out again."""
    decision, plan = round_.decision, round_.plan
    if isinstance(decision, Answer) and (plan is None or isinstance(plan.final, Return)):
        return None
    return None if isinstance(decision, Answer) and isinstance(decision.value, NotStored) else decision


def _to_run_again(old: Run, rounds: list[PastRound]) -> set[str]:
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


def _needed(old: Run, rounds: list[PastRound]) -> set[str]:
    """Return the ids whose values the end of the run reads."""
    if len(rounds) < len(old.rounds) or not rounds:
        return set(old.progress.tasks)  # another plan is to be written, and may read anything
    last = rounds[-1]
    if isinstance(last.plan.final, Return):
        return set(references(last.plan.final.expression))
    return set(last.plan.final.refs or old.progress.tasks)


def begun_effects(old: Run, tools: Mapping[str, Any]) -> frozenset[str]:
    """Return the fingerprints of the side effects that a run, or one before it, has begun: done, failed or cut off."""
    found = set(old.order.past.doubts)
    tasks, outcomes = old.progress.tasks, old.progress.outcomes
    known = {**tools, **old.settings.tools}
    for id_ in {event.task for event in old.events if isinstance(event, TaskStarted)}:
        tool, outcome = known.get(tasks[id_].tool), outcomes.get(id_)
        harmless = isinstance(outcome, Failure) and outcome.kind in NOT_BEGUN
        if tool is not None and tool.side_effects and not harmless:
            found.add(tasks[id_].fingerprint)
    return frozenset(found)


# -------------------------------------------------------------------- running again


def repeated(
    old: Run,
    *,
    start: str,
    overrides: Mapping[str, Any],
    failed: bool,
    inputs: Mapping[str, Any],
    later: frozenset[str],
) -> Order:
    """Return the order to run the whole plan of a run again, with what is pinned of it: all but what is to run.

    That is everything; with `start` that task and what depends on it, with `failed` what is not done; and what depends
    on an overridden task. inputs, later: as for `resumed`. Raises KeyError if there is no such task.
    """
    given = _inputs_of(old, inputs)
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
    past = Past(parent=old.id, doubts=unknown_effects(old) | later)
    past.pins = {
        task.id: (outcomes[task.id], "pinned") for task in plan if task.id not in moved and task.id in outcomes
    }
    past.pins |= {id_: (value, "pinned") for id_, value in fixed.items()}
    if failed:
        past.pins |= _items(old, plan, moved)
    return Order(question=old.question, plan=plan, inputs=given, past=past)


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
    """Return the fingerprints of the side effects that may have happened."""
    tasks, outcomes, states = old.progress.tasks, old.progress.outcomes, old.progress.states
    begun = {event.task for event in old.events if isinstance(event, TaskStarted)}
    tools = old.settings.tools
    return old.order.past.doubts | {
        tasks[id_].fingerprint
        for id_ in begun
        if tasks[id_].tool in tools and tools[tasks[id_].tool].side_effects
        and (states[id_] != "done" and getattr(outcomes.get(id_), "kind", "timeout") in UNKNOWN)
    }  # fmt: skip


def whole_plan(old: Run) -> Plan:
    """Return the last plan of a run and the tasks of earlier rounds that it needs. Raises KeyError if there is none."""
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
