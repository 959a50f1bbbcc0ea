"""What a run leaves to a question that follows it.

A follow-up is a new run, and not of the lineage of the run before: two of them may go on at the same time. It reads
what the run before has by name, and takes over what it would compute again. A side effect is another matter: "send it
again" must be possible, and so it is made again, but an equal one is asked for, whatever the rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from compiler_nb.engine.effects.ledger import Entry
from compiler_nb.history.past import AS_IT_WAS
from compiler_nb.operations.weights import is_a
from compiler_nb.outcome import ADOPTED, FOLLOWED, NOT_DONE, Failure, is_lost, unstored
from compiler_nb.plan.effects import nature
from compiler_nb.plan.fanout import existing
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import Task, owner_of
from compiler_nb.run import Run
from compiler_nb.settings.follow import FollowUp, Turn
from compiler_nb.settings.order import Past, Taken
from compiler_nb.tool import Tool
from compiler_nb.values.code import content_hash
from compiler_nb.values.functions import hash_tools
from compiler_nb.values.keys import Keys

TOLD: Final = 50
"""Calls with side effects that a planner is told of."""
CALL: Final = 200
"""Characters of such a call."""


def followed(
    runs: Sequence[Run], tools: Mapping[str, Tool], inputs: Mapping[str, Any], effects: Iterable[Entry]
) -> Past:
    """Return what runs leave to a question that follows the last of them.

    runs: the oldest first; tools, inputs: the new run's; effects: the side effects that they have made.
    """
    known = [_asked_for(entry) for entry in effects]
    past = Past(tools=tools, effects=known)
    hashes = _hashes(runs, inputs)
    past.keys = Keys(hash_tools(tools), hashes)
    tasks: dict[str, Task] = {}
    outcomes: dict[str, Any] = {}
    names: dict[str, str] = {}
    origins: dict[str, str] = {}
    found_keys: dict[str, str | None] = {}
    failures: dict[str, str] = {}
    outdated: dict[str, str] = {}
    for run in runs:
        progress = run.progress
        held = {name for name, value in inputs.items() if run.inputs.get(name, run) is value}
        same = {name: AS_IT_WAS if run.has_changed(name) else hashes[name] for name in held}
        own = _hashes([], {name: value for name, value in run.inputs.items() if name not in same})
        then: dict[str, str | None] = {**own, **run.order.input_hashes, **same}
        changed = {name for name in inputs if name in then and then[name] != hashes[name]}
        keys = Keys({**past.keys.tools, **hash_tools(run.settings.tools)}, then)
        for id_, task in progress.tasks.items():
            key, end = keys.add(task), progress.ends.get(id_)
            if end is None:
                continue
            outcome = end.outcome
            is_whole = not is_a(outcome, NOT_DONE) and unstored(outcome) is None
            if is_whole and key is not None and _may_take(task, end.how, tools):
                past.known[key].append(Taken(outcome, f"{FOLLOWED} {run.id}"))
            if task.owner:
                continue
            tasks[id_], found_keys[id_] = task, key
            of = [name for name in task.inputs if name in changed]
            of += [outdated[other] for other in task.dependencies if other in outdated]
            outdated.pop(id_, None)
            outdated |= {id_: of[0]} if of else {}
            origins[id_] = end.how.removeprefix(f"{FOLLOWED} ") if end.how.startswith(FOLLOWED) else run.id
            part = existing(outcome.partial) if type(outcome) is Failure and outcome.partial is not None else None
            if part is not None:
                outcome = part
            if is_lost(outcome):
                failures[id_] = str(outcome)[:500]
                outcomes.pop(id_, None)
            else:
                failures.pop(id_, None)
                outcomes[id_] = outcome
        names |= progress.names
    past.follow = FollowUp(
        runs=tuple(runs), turns=tuple(map(_turn, runs)), tasks=tasks, outcomes=outcomes, names=names, origins=origins,
        keys=found_keys, failures=failures, outdated=outdated, since=_last_effect(tasks, tools),
        effects=_told(known, tasks),
        lost={id_: part.reason for id_, value in outcomes.items() if (part := unstored(value)) is not None},
        informed=any(each.number > 0 or (each.plan and each.plan.after_tools) for run in runs for each in run.rounds),
    )  # fmt: skip
    return past


def inputs_of(last: Run, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a question that follows a run: that one's as far as they are there, and those given."""
    return {name: value for name, value in last.inputs.items() if unstored(value) is None} | dict(given)


def _may_take(task: Task, how: str, tools: Mapping[str, Tool]) -> bool:
    """Whether a task that is computed again takes this value: no side effect, and none that somebody has given."""
    return nature(task, tools) != "effect" and (how in {"", "inline", ADOPTED, "cached"})


def _hashes(runs: Sequence[Run], inputs: Mapping[str, Any]) -> dict[str, str | None]:
    """Return what identifies inputs; an object that is the one that a run was given need not be read."""
    found: dict[str, str | None] = {}
    for name, value in inputs.items():
        holders = [run for run in runs if run.inputs.get(name, run) is value and not run.has_changed(name)]
        stored = next((run.order.input_hashes[name] for run in holders if name in run.order.input_hashes), None)
        found[name] = stored or (f"object {id(value)}" if holders else content_hash(value) or f"object {id(value)}")
    return found


def _asked_for(entry: Entry) -> Entry:
    """Return a side effect as a follow-up knows it: an equal one is made only if a person says so."""
    is_known = entry.standing in {"done", "lost", "alike"} or not entry.place.run
    standing = "before" if is_known else entry.standing
    return replace(entry, standing=standing, value=None)


def _last_effect(tasks: Mapping[str, Task], tools: Mapping[str, Tool]) -> str:
    """Return the mark of the last side effect: what was read before it is stale."""
    if not any(tool.side_effects for tool in tools.values()):
        return ""
    found = ""
    for task in tasks.values():
        found = task.fingerprint if nature(task, tools) == "effect" else task.since or found
    return found


def _told(effects: Iterable[Entry], tasks: Mapping[str, Task]) -> dict[str, str]:
    """Return which calls with side effects were begun, by task, as they are written in its plan."""
    told: dict[str, str] = {}
    for entry in effects:
        name = owner_of(entry.place.task) or entry.place.task
        if name in tasks and len(told) < TOLD:
            what = "made" if entry.standing == "before" else "begun, and may have had its effect"
            told[name] = f"{shorten_call(tasks[name], CALL)} was {what}"
    return told


def _turn(run: Run) -> Turn:
    text = run.plan.text if run.plan is not None else ""
    answered = run.status == "done" and any(each.decision is not None for each in run.rounds)
    return Turn(run.question, text, run.answer, answered)
