"""What an earlier run leaves to one that goes on where it stopped, or runs its plan again.

A task is the same as an earlier one when its key is (values/keys.py). The k-th of equal tasks takes the k-th's outcome.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from compiler_nb.engine.effects.ledger import NOWHERE, Entry, Place, not_repeated, standing_of
from compiler_nb.engine.node import CANCELLED
from compiler_nb.errors import HistoryError, PlanError
from compiler_nb.events import TaskIdentified
from compiler_nb.operations.weights import is_a
from compiler_nb.outcome import (
    ADOPTED,
    GIVEN,
    LEFT_OUT,
    NOT_DONE,
    NOT_REPEATED,
    PINNED,
    SET,
    Answer,
    Failure,
    Replan,
    is_lost,
    unstored,
)
from compiler_nb.plan.effects import nature
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import JOIN, LastLine, Return, Task, owner_of
from compiler_nb.run import Run
from compiler_nb.settings.order import Order, Past, PastRound, Taken
from compiler_nb.tool import Tool
from compiler_nb.values.code import content_hash
from compiler_nb.values.functions import hash_tools
from compiler_nb.values.keys import Keys

NOT_BEGUN: Final = frozenset({"denied", "arguments", "expression"})
"""Kinds of failures before a tool was called."""


# -------------------------------------------------------------------- going on


def resumed(old: Run, tools: Mapping[str, Any], inputs: Mapping[str, Any], effects: list[Entry]) -> Order:
    """Return the order to go on where a run stopped.

    tools: the new run's; inputs: those that replace the run's own; effects: the side effects of its lineage. Raises
    HistoryError if an input was not stored.
    """
    given = _inputs_of(old, inputs)
    past = Past(parent=old.id, effects=effects, wary=True, tools=tools, executing=old.order.executing)
    for round_ in old.rounds:
        if round_.plan is None:
            break
        past.rounds.append(PastRound(round_.plan, _kept(round_.plan.final, round_.decision)))
    past.keys = Keys(hash_tools(tools), hash_inputs(given, {}))
    keys = Keys({**past.keys.tools, **hash_tools(old.settings.tools)}, hash_inputs(old.inputs, old.order.input_hashes))
    again, known = _to_run_again(old, past.rounds, tools), _known(old)
    for task in old.progress.tasks.values():
        key = _key(keys, task, tools)
        if key is not None and task.id not in again:
            past.known[key].append(known(task.id, ADOPTED)._replace(read_as=keys.by_id[task.id] or ""))
    return Order(question=old.question, inputs=given, past=past)


# -------------------------------------------------------------------- an edited plan

AS_IT_WAS: Final = "the content that it had"
"""Stands for the content of an input that was changed after a run: it equals nothing that exists now."""


def taken_over(
    old: Run, plan: Plan, tools: Mapping[str, Tool], inputs: Mapping[str, Any], effects: list[Entry]
) -> Past:
    """Return what a run leaves to a plan that comes from it: the values of the tasks that are the same, as they are.

    A task whose tool, code, argument or input differs from those of all tasks of the run has no value there. Neither
    has one that reads such a task, or one whose value was not stored but is read by a task that runs, or by the last
    line. Equal calls keep the values that were made of theirs.

    tools, inputs: the new run's; effects: the side effects of the lineage.
    """
    past = Past(parent=old.id, effects=effects, tools=tools)
    new_hashes, old_hashes = _compared(old, {name: inputs[name] for name in plan.inputs if name in inputs})
    past.keys = Keys(hash_tools(tools), new_hashes)
    keys, known = Keys({**past.keys.tools, **hash_tools(old.settings.tools)}, old_hashes), _known(old)
    lost: dict[str, Taken] = {}  # what was not stored
    given, outcomes = old.progress.given, old.progress.outcomes
    within = _items_given(given, outcomes)
    for task in old.progress.tasks.values():
        key = _key(keys, task, tools)
        outcome = outcomes.get(task.id, CANCELLED)
        if task.id in given or task.id in within:  # a value of the user's is not what the plan says
            _give(keys, task.id, outcome, within.get(task.id, []))
        elif key is not None and unstored(outcome):
            if task.kind == "call" and not task.owner and nature(task, tools) != "effect":
                lost[key] = known(task.id, ADOPTED)
        elif key is not None and not is_a(outcome, NOT_DONE):
            past.known[key].append(known(task.id, ADOPTED)._replace(read_as=keys.by_id[task.id] or ""))
            if owner := keys.by_id.get(task.owner):
                past.items.setdefault(owner, {}).setdefault(key, []).append(past.known[key][-1])
    for key in set(filter(None, keys.by_id.values())) & old.order.past.items.keys() - past.items.keys():
        past.items[key] = old.order.past.items[key]  # it was taken over whole
        for item, found in past.items[key].items():
            past.known[item].extend(found)
    for key in lost.keys() - _needed(plan, past, lost, tools):
        past.known[key].append(lost[key])
    return past


def _key(keys: Keys, task: Task, tools: Mapping[str, Tool]) -> str | None:
    """Return a task's key; calls that may return another value each time are told apart for those that read them."""
    key = keys.add(task)
    if task.kind == "call" and nature(task, tools) != "pure":
        keys.tell_apart(task.id)
    return key


def _needed(plan: Plan, past: Past, lost: Collection[str], tools: Mapping[str, Tool]) -> set[str]:
    """Return the keys of values that were not stored and are needed: read by the last line, or by a task that runs."""
    keys = past.fresh().keys or Keys({}, {})
    of = {task.id: _key(keys, task, tools) or "" for task in plan}
    runs = [task for task in plan if of[task.id] not in past.known and of[task.id] not in lost]
    ahead, needed = [*_values_read(plan.final, of), *(id_ for task in runs for id_ in task.dependencies)], set[str]()
    while ahead:
        id_ = ahead.pop()
        if id_ in of and of[id_] in lost and of[id_] not in needed:
            needed.add(of[id_])
            ahead += plan[id_].dependencies
    return needed


def _give(keys: Keys, id_: str, outcome: Any, items: list[list[Any]]) -> None:
    """Note that the user gave a task its value, or some of its items theirs."""
    if items:
        keys.mix(id_, items)
    else:
        keys.give(id_, outcome)


def _items_given(given: Iterable[str], outcomes: Mapping[str, Any]) -> dict[str, list[list[Any]]]:
    """Return the items to which the user gave values, with these, by their fan-outs."""
    within: dict[str, list[list[Any]]] = {}
    for id_ in sorted(filter(owner_of, given)):
        within.setdefault(owner_of(id_), []).append([id_, outcomes[id_]])
    return within


def _compared(old: Run, given: Mapping[str, Any]) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Return what identifies inputs in a new run and in an old one; an object that is the same need not be read."""
    held = {name for name, value in given.items() if value is old.inputs.get(name, old)}
    changed = {name: AS_IT_WAS for name in held if old.has_changed(name)}
    alike = {name: f"object {id(given[name])}" for name in held - old.order.input_hashes.keys() - changed.keys()}
    return hash_inputs(given, alike), hash_inputs(old.inputs, {**old.order.input_hashes, **alike, **changed})


def _inputs_of(old: Run, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's inputs, given ones in their places. Raises HistoryError if one was not stored."""
    inputs = {**old.inputs, **given}
    for name, value in inputs.items():
        lost = unstored(value)
        if lost is not None:
            what = f"the input {name}" if lost is value else f"a part of the input {name}"
            raise HistoryError(f"{what} was not stored ({lost.reason}): give it, inputs={{{name!r}: ...}}")
    return inputs


def hash_inputs(inputs: Mapping[str, Any], stored: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the hashes of inputs; a value whose content has no hash is identified by the object itself."""
    return {
        name: stored[name] if name in stored else content_hash(value) or f"object {id(value)}"
        for name, value in inputs.items()
    }


def _kept(last: LastLine, decision: Answer | Replan | None) -> Answer | Replan | None:
    """Return what the joiner decided; an answer that is the plan's own, or was not stored, is worked out again."""
    again = isinstance(decision, Answer) and (isinstance(last, Return) or unstored(decision.value))
    return None if again else decision


def _to_run_again(old: Run, rounds: list[PastRound], tools: Mapping[str, Tool]) -> set[str]:
    """Return the ids of the tasks that are to run.

    Those not done, what depends on them or reads below a side effect among them, and those whose values are needed and
    not stored.
    """
    tasks, outcomes = old.progress.tasks, old.progress.outcomes
    decided = {task.id for each in rounds if each.decision is not None for task in each.plan}
    again = {
        id_
        for id_ in tasks
        if id_ not in outcomes or (is_lost(outcomes[id_]) and (owner_of(id_) or id_) not in decided)
    }
    unwritten = not rounds or len(rounds) < len(old.rounds)  # a plan that may read anything
    needed = set(tasks) if unwritten else _values_read(rounds[-1].plan.final, tasks)
    _move(again, (task for task in tasks.values() if not task.owner), tools)
    again.update(id_ for id_, task in tasks.items() if task.owner in again and nature(task, tools) != "effect")
    return _with_lost_values(tasks, outcomes, again, needed)


def _move(moved: set[str], tasks: Iterable[Task], tools: Mapping[str, Tool], fixed: Collection[str] = ()) -> None:
    """Add to the tasks that are to run those that depend on one of them, or read below a side effect among them."""
    is_below = False
    for task in tasks:
        kind = nature(task, tools)
        if task.id not in fixed and (moved.intersection(task.dependencies) or (is_below and kind == "read")):
            moved.add(task.id)
        is_below = is_below or (kind == "effect" and task.id in moved)


def _values_read(last: LastLine, tasks: Iterable[str]) -> set[str]:
    """Return the ids of the tasks whose values a last line reads."""
    return set(last.refs) if last.refs or isinstance(last, Return) else set(tasks)


def _with_lost_values(
    tasks: Mapping[str, Task], outcomes: Mapping[str, Any], again: set[str], needed: Iterable[str]
) -> set[str]:
    """Return what is to run, with the tasks whose values are needed, then or in the end, and were not stored.

    Of a fan-out those items run whose values were not.
    """
    again, items = set(again), defaultdict(list)
    for task in tasks.values():
        items[task.owner].append(task.id)
    ahead = [*needed, *(id_ for each in again if each in tasks for id_ in tasks[each].dependencies)]
    while ahead:
        id_ = ahead.pop()
        if id_ in again or id_ not in tasks or unstored(outcomes.get(id_)) is None:
            continue
        again.add(id_)
        ahead += [*tasks[id_].dependencies, tasks[id_].owner, *items.get(id_, ())]
    return again


def _identified(run: Run) -> list[tuple[TaskIdentified, Place, bool]]:
    """Return which side effects a run's tasks were: where each was made, and whether it was begun here.

    A task has one, the last if its arguments have changed; a fan-out that was adopted has those of its items.
    """
    progress, found = run.progress, {}
    for event in run.events:
        if type(event) is TaskIdentified:
            id_, ends = event.task, progress.ends
            how = ends[id_].how if id_ in ends else ""
            is_call, kept = progress.tasks[id_].kind == "call", how.startswith(NOT_REPEATED)
            begun = is_call and id_ in progress.spans and not kept
            place = Place(run.id, event.round, id_) if begun else _source(event)
            found[id_, None if is_call else place] = event, place, begun
    return list(found.values())


def _source(event: TaskIdentified) -> Place:
    return Place(event.source_run, event.source_round, event.source)


def _known(old: Run) -> Callable[[str, str], Taken]:
    """Return what says how a task ended in a run, and which side effects that was: its own, or those of its items."""
    made: defaultdict[str, list[Place]] = defaultdict(list)
    for event, place, _ in _identified(old):
        for each in {event.task, owner_of(event.task)} - {""}:
            made[each].append(place)

    def known(id_: str, how: str) -> Taken:
        how = LEFT_OUT if old.progress.ends[id_].how == LEFT_OUT else how  # so that it is marked again
        outcome, effects = old.progress.ends[id_].outcome, tuple(made.get(id_, ()))
        if old.progress.ends[id_].how in GIVEN:
            return Taken(outcome, old.progress.ends[id_].how, effects)
        return Taken(outcome, not_repeated(effects[0], "") if effects and not is_lost(outcome) else how, effects)

    return known


def lineage(runs: Iterable[Run]) -> list[Entry]:
    """Return the side effects that the runs of a lineage have begun, as far as is known how they stand."""
    found: dict[Place, Entry] = {}
    for run in runs:
        ends, tasks = run.progress.ends, run.progress.tasks
        for event, place, begun in _identified(run):
            outcome, source = ends[event.task].outcome if event.task in ends else CANCELLED, _source(event)
            if begun and event.task in ends and ends[event.task].how == SET:
                outcome = CANCELLED  # the user gave the value; whether the call had its effect is not known
            if begun and not (isinstance(outcome, Failure) and outcome.kind in NOT_BEGUN):
                if source in found and found[source].standing != "done":  # a person had this one made in its place
                    del found[source]
            elif begun or place in found or is_lost(outcome) or tasks[event.task].kind != "call":
                continue
            standing = "lost" if unstored(outcome) else standing_of(event.digest, outcome)
            found[place] = Entry(event.digest, place, standing, outcome if standing == "done" else None)
    return list(found.values())


def only_noted(old: Run, found: Iterable[Entry]) -> list[Entry]:
    """Return the earlier side effects that a run knew of and that were not found: they are in doubt."""
    there = Counter(entry.digest for entry in found if entry.place.run != old.id)
    missing = Counter(entry.digest for entry in old.order.past.effects if not entry.place.run) - there
    return [Entry(digest, NOWHERE, "doubt") for digest in missing.elements()]


# -------------------------------------------------------------------- running again


def repeated(
    old: Run,
    *,
    start: str,
    overrides: Mapping[str, Any],
    failed: bool,
    tools: Mapping[str, Tool],
    inputs: Mapping[str, Any],
    effects: list[Entry],
) -> Order:
    """Return the order to run the whole plan of a run again, with what is pinned of it: all but what is to run.

    That is everything; with `start` that task and what depends on it, with `failed` what is not done; and what depends
    on an overridden task, or reads below a side effect that is to run. Of a fan-out that runs again only for the sake
    of an overridden item, or of one that is named as `start`, the other items are pinned, too. tools, inputs, effects:
    as for `resumed`. Raises KeyError if there is no such task.
    """
    given, rounds, outcomes, known = _inputs_of(old, inputs), rounds_again(old), old.progress.outcomes, _known(old)
    tasks = {task.id: task for each in rounds for task in each.plan}
    fixed = {old.id_of(name): value for name, value in overrides.items()}
    moved = {id_ for id_ in tasks if id_ not in outcomes or not (start or failed)}
    first = old.id_of(start) if start else ""
    items = {id_ for id_ in (first, *fixed) if id_ and id_ not in tasks}
    if first in tasks:
        moved.add(first)
    if failed:
        left_out = old.progress.left_out
        moved.update(id_ for id_ in tasks if is_lost(outcomes.get(id_)) or id_ in left_out)
    moved.update(fixed)
    _move(moved, tasks.values(), tools, fixed)
    partly = {owner_of(id_) for id_ in items} - moved - fixed.keys()  # fan-outs of which some items run again
    moved.update(partly)
    _move(moved, tasks.values(), tools, fixed)
    moved = _with_lost_values(tasks, outcomes, moved - set(fixed), _values_read(rounds[-1].plan.final, tasks))
    past = Past(parent=old.id, effects=effects, tools=tools, rounds=rounds, executing=True)
    past.pins = {id_: known(id_, ADOPTED) for id_ in tasks if id_ in outcomes and id_ not in moved}
    again = set(tasks) if failed else partly
    past.pins |= {
        id_: known(id_, ADOPTED)._replace(outcome=value, effects=())
        for id_, value in _items(old, tasks.values(), moved).items()
        if owner_of(id_) in again and not _is_after(old.progress.tasks[id_], items, old.progress.tasks)
    }
    past.pins |= {id_: Taken(value, PINNED) for id_, value in fixed.items()}
    return Order(question=old.question, inputs=given, past=past)


def repeats(old: Run, start: str) -> list[Task]:
    """Return the tasks that run again if the run is run again from a task on; none if it is not in the last plan."""
    order = repeated(
        old, start=start, overrides={}, failed=False, tools=old.settings.tools, inputs=dict.fromkeys(old.inputs),
        effects=[],
    )  # fmt: skip
    return [task for each in order.past.rounds for task in each.plan if task.id not in order.past.pins]


def _is_after(item: Task, moved: Collection[str], tasks: Mapping[str, Task]) -> bool:
    """Whether an item of a fan-out is one of these, or reads one of them within its own chain."""
    inner = [tasks[id_] for id_ in item.dependencies if id_ in tasks and owner_of(id_) == item.owner]
    return item.id in moved or any(_is_after(each, moved, tasks) for each in inner)


def _items(old: Run, tasks: Iterable[Task], moved: set[str]) -> dict[str, Any]:
    """Return the values of the items that are done of fan-outs that run again over the same things."""
    sources = {task.id for task in tasks if task.kind == "fanout" and not moved.intersection(task.dependencies)}
    return {
        id_: outcome
        for id_, outcome in old.progress.outcomes.items()
        if owner_of(id_) in sources & moved and not is_a(outcome, NOT_DONE) and not unstored(outcome)
    }


def editable(old: Run) -> str:
    """Return a run's last plan as python text for a `%%plan` cell, with those tasks of earlier rounds that it reads.

    It is the plan's own text if that says all. Raises KeyError if the run has no whole plan.
    """
    rounds = rounds_again(old)
    last = rounds[-1].plan
    if last.dialect == "python" and len(rounds) == 1 and "```" not in last.text:
        with contextlib.suppress(PlanError):
            again = Plan.parse(last.text, dialect="python", inputs=tuple(old.inputs), implied="value")
            if again.final == last.final and again.by_id.keys() == last.by_id.keys():
                return f"{last.text.strip()}\n"
    return plan_again(old).to_text("python")


def plan_again(old: Run) -> Plan:
    """Return a run's last plan with those tasks of earlier rounds that it reads. Raises KeyError if there is none."""
    rounds = rounds_again(old)
    return Plan(tuple(task for each in rounds for task in each.plan), rounds[-1].plan.final)


def rounds_again(old: Run) -> list[PastRound]:
    """Return the rounds up to a run's last plan, the earlier ones with those tasks that it needs.

    They stay rounds: a later one reads the items that exist of a fan-out that failed in part, and waits for its end.
    Raises KeyError if the run has no whole plan.
    """
    last = old.plan
    if last is None:
        raise KeyError(f"the run {old.id} has no whole plan: resume it, or ask again")
    needed = {*last.by_id, *last.final.refs}
    for task in reversed(old.progress.tasks.values()):  # a task comes after those that it reads
        if task.id in needed:
            needed.update(task.dependencies)
    before = [(each.plan, each.decision) for each in old.rounds if each.plan is not None][:-1]
    kept = [(replace(plan, tasks=tuple(task for task in plan if task.id in needed), final=JOIN), decision)
            for plan, decision in before]  # fmt: skip
    return [*(PastRound(plan, decision) for plan, decision in kept if plan.tasks), PastRound(last, None)]
