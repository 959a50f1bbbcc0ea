"""Why a task waits or waited, and how it ended, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from compiler_nb.events import EQUAL, ModelWaits, TaskEnded
from compiler_nb.outcome import CACHED, ENDED, LEFT_OUT, NOT_REPEATED, PINNED, SET, Failure, Skipped, is_followed
from compiler_nb.plan.expression import spell
from compiler_nb.plan.short import named_in
from compiler_nb.plan.task import owner_of
from compiler_nb.text import cut, seconds_text, wait_text
from compiler_nb.trace.progress import Progress
from compiler_nb.trace.readiness import ITEM, ITEMS, TWIN

NAMED: Final = 3
"""Most things named in one list; the others are counted."""
NAME: Final = 40
MESSAGE: Final = 300
SHORTEST: Final = 0.001
"""Seconds that are worth telling."""
_WHAT: Final = {ITEMS: "the items of ", ITEM: "an item of "}
_HELD: Final = {
    "approval": "approval",
    "plan": "the end of the plan",
    "fanout": "approval of its fan-out",
    EQUAL: "an equal call",
}
_ENDS: Final = {
    LEFT_OUT: ", without the items that failed",
    CACHED: ", from the cache",
    PINNED: ", pinned: you gave its value",
    SET: f", {SET}",
}
UNRUN: Final = "was planned and not run"
"""What is said of a task that has not ended although its run has: only its plan was wanted."""


class Words:
    """What can be said of the tasks at one moment: in full for a person who asks, in short for a row or a box.

    Both come from the same rules, so that they cannot contradict each other; `short` leaves out what changes with
    every moment: times, counts, and the states of the tasks that are waited for.
    at: seconds since the run began; limits: calls at a time, by resource ("" for all together, "provider:openai",
    "tool:search"); lanes: the limited resources that each tool needs; effects: the tools with side effects.
    """

    def __init__(
        self,
        progress: Progress,
        at: float,
        limits: Mapping[str, int],
        lanes: Mapping[str, Sequence[str]],
        effects: Collection[str] = (),
    ) -> None:
        self.progress, self.at, self.limits, self.lanes, self.effects = progress, at, limits, lanes, effects
        self._short, self._clock = False, True

    def whole(self, id_: str, *, clock: bool = True) -> str:
        """Return all that can be said of a task; clock: also that it runs and for how long, as a page itself says."""
        if id_ in self.progress.ends:
            return self._ended(self.progress.ends[id_])
        if self.progress.status != "running":
            return UNRUN
        self._clock = clock
        told = self._running(id_) if self.progress.states[id_] == "running" else self._open(id_)
        self._clock = True
        return told

    def short(self, id_: str) -> str:
        """Return what a task waits for, in a few words; "" if it does not wait."""
        state, provider = self.progress.states[id_], self.progress.parked.get(id_)
        if state == "running":
            if wait := self._paused(id_):
                return wait_text(wait.provider, wait.asked)
            return f"waits for {provider}" if provider else ""
        if state in ENDED:
            return ""
        if self.progress.status != "running":
            return UNRUN
        self._short = True
        told = self._open(id_)
        self._short = False
        return told.removeprefix("ready, ")

    def turn(self, id_: str) -> str:
        """Return what a task that waits for approval starts after even then, in a few words; "" if it is its turn."""
        self._short = True
        told = self._turn(id_)
        self._short = False
        return told

    def all(self, most: int) -> list[str]:
        """Return a line for each task that has not ended, after what the roles wait for; if all have, for each line.

        most: lines of tasks; the others are counted.
        """
        states = self.progress.states
        waiting = [id_ for id_, state in states.items() if state not in ENDED]
        shown = waiting or [id_ for id_ in states if not owner_of(id_)]
        more = [f"… {len(shown) - most:,} more"] if len(shown) > most else []
        return [*self.roles(), *(f"{id_}: {self.whole(id_)}" for id_ in shown[:most]), *more]

    def roles(self, *, left: bool = True) -> list[str]:
        """Return what the planner and the joiner wait for, if they do; left: with the seconds that are left."""
        who = {"joiner": "the joiner"}
        waits = [wait for wait in self.progress.waits.values() if not wait.task]
        return [f"{who.get(wait.role, 'the planner')} {self._wait(wait, left=left)}" for wait in waits]

    def providers(self, *, left: bool = True) -> list[str]:
        """Return what roles wait for, and for each provider how many tasks do."""
        tasks: dict[str, dict[str, ModelWaits]] = {}
        for wait in sorted(self.progress.waits.values(), key=_end):
            if wait.task:
                tasks.setdefault(wait.provider, {})[wait.task] = wait
        counts = [(len(waits), *list(waits.items())[-1]) for waits in tasks.values()]
        return self.roles(left=left) + [
            f"{cut(id_, NAME) if count == 1 else f'{count:,} tasks'} {self._wait(wait, left=left, count=count)}"
            for count, id_, wait in counts
        ]

    def _wait(self, wait: ModelWaits, *, left: bool = True, count: int = 1) -> str:
        return wait_text(wait.provider, wait.asked, max(_end(wait) - self.at, 0.0) if left else None, count)

    def _paused(self, id_: str) -> ModelWaits | None:
        """Return the longest wait that a provider has asked a task's calls for, if there is one."""
        waits = [wait for wait in self.progress.waits.values() if wait.task == id_]
        return max(waits, key=_end, default=None)

    def _open(self, id_: str) -> str:
        """Return what a task that has not started waits for."""
        is_ready = self.progress.states[id_] == "ready" or id_ in self.progress.retries
        return self._ready(id_) if is_ready else self._waiting(id_)

    def _brief(self, id_: str) -> str:
        """Return how another task stands."""
        state = self.progress.states.get(id_)
        if state is None:
            return "not planned"
        if state == "ready" or id_ in self.progress.retries:
            return self._ready(id_)
        if state == "running":
            return f"running {seconds_text(self._since_start(id_))}" if self._clock else state
        return state

    def _name(self, id_: str) -> str:
        return cut(id_, NAME) if self._short else f"`{cut(id_, NAME)}`"

    def _detail(self, words: str) -> str:
        return "" if self._short else f" ({words})"

    # ---------------------------------------------------------------- not yet

    def _waiting(self, id_: str) -> str:
        missing = self.progress.readiness.missing.get(id_, {})
        parts = []
        for name, how in list(missing.items())[: NAMED + 1]:
            standing = "" if self._short else self._detail(self._brief(name))
            parts.append(
                f"{_WHAT.get(how, '')}{self._name(name)}{standing}{', which computes the same' * (how == TWIN)}"
            )
        if not parts:
            turn = self._turn(id_)
            return f"waits for {turn}" if turn else "has all its inputs, and is evaluated next"
        decides = ", to know whether it is needed" if id_ in self.progress.readiness.guarded else ""
        return f"waits for {_and(parts, len(missing))}{decides}"

    def _turn(self, id_: str) -> str:
        """Return what a task waits for until its turn comes, and why; "" if it has come."""
        progress = self.progress
        names = progress.readiness.turn_of(id_)
        if not names:
            return ""
        calls = {name: self._called(name) for name in names[: NAMED + 1]}
        shown = [f"{self._name(name)}{self._detail(f'{calls[name]}{self._brief(name)}')}" for name in calls]
        if self._short:
            return _and([name if self.progress.tasks[name].name else self._tool(name) for name in calls], len(names))
        tool, other = self._tool(id_), self._tool(names[0])
        if tool in self.effects and other in self.effects:
            why = "side effects are made one after another"
        else:
            changes, reads = (tool, other) if tool in self.effects else (other, tool)
            why = (
                f"{reads or 'it'} may read what {changes or 'that'} changes; if it does not, @tool(pure=True) frees it"
            )
        return f"{_and(shown, len(names))}: {why}"

    def _called(self, id_: str) -> str:
        """Return the tool of a task that has no name of its own."""
        return f"{self._tool(id_)}, " if self._tool(id_) and not self.progress.tasks[id_].name else ""

    def _tool(self, id_: str) -> str:
        """Return the tool that a task calls; of a fan-out the one with side effects, if there is one."""
        task = self.progress.tasks[id_]
        tools = [step.tool for step in task.args[0].steps] if task.kind == "fanout" else [task.tool]
        return next((tool for tool in tools if tool in self.effects), tools[-1])

    def _ready(self, id_: str) -> str:
        progress, retry = self.progress, self.progress.retries.get(id_)
        if retry is not None:
            left, error = retry.at + retry.delay - self.at, cut(retry.error, MESSAGE)
            if self._short:
                return "waits before it is tried again" if left > 0 else f"{self._for_slot(id_)} to try again"
            if left > 0:
                return f"tries again in {seconds_text(left)}, after: {error}"
            return f"{self._for_slot(id_)} to try again, after: {error}"
        hold = progress.hold(id_)
        if hold is not None and hold.reason == EQUAL:
            if hold.arguments not in progress.ends:
                standing = "" if self._short else self._detail(self._brief(hold.arguments))
                return f"ready, waits for the equal call {self._name(hold.arguments)}{standing}"
        elif hold is not None:
            arguments = f" of ({cut(hold.arguments, MESSAGE)})" if hold.reason == "approval" and not self._short else ""
            turn = self._turn(id_)
            then = f", then for {turn}" if turn else ""
            return f"ready, waits for {_HELD.get(hold.reason, hold.reason)}{arguments}{then}"
        turn = self._turn(id_)
        return f"ready, waits for {turn}" if turn else self._for_slot(id_)

    def _for_slot(self, id_: str) -> str:
        if self.progress.paused:
            return "the run is paused" if self._short else "ready, but no new task starts: the run is paused"
        if not self.limits:
            return "ready, waits for a slot"
        full = [slot for slot in map(self._slot, ["", *self._lane(id_)]) if slot]
        return f"ready, waits for {_and(full, len(full))}" if full else "ready, starts next"

    def _slot(self, resource: str) -> str:
        """Return a resource's slot in words if none is free, else nothing."""
        most, busy, owner = self.limits.get(resource), self.progress.busy, resource.partition(":")[2]
        ahead = [id_ for id_, provider in self.progress.parked.items() if resource == f"provider:{provider}"]
        if ahead:
            who = f"{_and(list(map(self._name, ahead[: NAMED + 2])), len(ahead))} {'does' if len(ahead) == 1 else 'do'}"
            return owner if self._short else f"{owner}, as {who}"
        if most is None or len(busy) < most:
            return ""
        count = len(busy) if not resource else sum(resource in self._lane(id_) for id_ in busy)
        slot = f"a slot{f' of {owner}' if owner else ''}"
        return f"{slot}{self._detail(f'{most} of {most} in use')}" if count >= most else ""

    def _lane(self, id_: str) -> Sequence[str]:
        task = self.progress.tasks.get(id_)
        return self.lanes.get(task.tool, ()) if task is not None else ()

    # ---------------------------------------------------------------- running

    def _running(self, id_: str) -> str:
        parts = [f"running for {seconds_text(self._since_start(id_))}"] if self._clock else []
        tried = self.progress.spans[id_]
        if tried[-1].attempt > 1:
            parts.append(f"attempt {tried[-1].attempt}")
        if items := str(self.progress.tallies.items(id_)):
            parts.append(items)
        wait = self._paused(id_)
        told = ", ".join(parts) + self._asking(id_)
        return "; ".join(filter(None, [told.removeprefix(", "), self._wait(wait) if wait else ""]))

    def _since_start(self, id_: str) -> float:
        return max(self.at - self.progress.spans[id_][-1].started, 0.0)

    def _asking(self, id_: str) -> str:
        """Return how much of a task's time it waited for its provider."""
        if id_ not in self.progress.parks:
            return ""
        waits: dict[str, float] = {}
        for park in self.progress.parks[id_]:
            until = self.at if park.until is None else park.until
            waits[park.provider] = waits.get(park.provider, 0.0) + until - park.since
        now = self.progress.parked.get(id_) if self.progress.states[id_] == "running" else None
        shown = [(name, wait) for name, wait in waits.items() if wait > SHORTEST or name == now]
        told = [f"{seconds_text(wait)} waiting for {name}" for name, wait in shown]
        return f", of which {_and(told, len(told))}" if told else ""

    # ---------------------------------------------------------------- ended

    def _ended(self, event: TaskEnded) -> str:
        id_, outcome = event.task, event.outcome
        tried = [span for span in self.progress.spans.get(id_, ()) if span.ended is not None]
        if id_ in self.progress.readiness.unneeded:
            guard = spell(self.progress.tasks[id_].guard, named_in(self.progress.tasks))
            return f"not needed: called only if {cut(guard, MESSAGE)}"
        if isinstance(outcome, Skipped) and outcome.by_user:
            who = "skipped" if outcome.cause == id_ else f"skipped, because {self._name(outcome.cause)} was skipped"
            return f"{who} by you{f': {cut(outcome.message, MESSAGE)}' if outcome.message else ''}"
        if event.state == "skipped" and isinstance(outcome, Skipped):
            return f"skipped, because {self._name(outcome.cause)} failed: {cut(outcome.message, MESSAGE)}"
        told = "denied" if isinstance(outcome, Failure) and outcome.kind == "denied" else str(event.state)
        if tried:
            told += f" after {seconds_text(event.at - tried[0].started)}"
            if len(tried) > 1:
                ran = sum((span.ended or event.at) - span.started for span in tried)  # without the pauses between them
                told += f", in {len(tried)} attempts that ran {seconds_text(ran)}"
            told += self._asking(id_)
        if event.how:
            told += self._how(event)
        told += self._cache(id_, event)
        if event.state != "done":
            told += f": {cut(str(outcome), MESSAGE)}"
        waits = [f"{seconds_text(seconds)} {what}" for what, seconds in self._waits(id_, event) if seconds > SHORTEST]
        return f"{told}; it waited {', then '.join(waits)}" if waits else told

    def _cache(self, id_: str, event: TaskEnded) -> str:
        """Return what the cache said of a task."""
        looked = self.progress.looked.get(id_)
        if looked is None or event.how == "adopted":
            return ""
        if event.how == CACHED:
            return f" ({looked.told})"
        what = f"its call of the {looked.role}" if looked.role else "it"
        return f"; {what} was {'' if looked.hit else 'not '}from the cache: {looked.told}"

    def _how(self, event: TaskEnded) -> str:
        source, looked = self.progress.readiness.adopted.get(event.task), self.progress.looked.get(event.task)
        if event.how == "adopted" and looked is not None:
            return f", with the value {looked.told}"
        if event.how == "adopted":
            if source is None:
                return ", not run again: an earlier run left its outcome"
            return f", with the outcome of {self._name(source)}, which computes the same"
        if is_followed(event.how):
            return f", taken {event.how}, which this one follows"
        return f", {event.how}" if event.how.startswith(NOT_REPEATED) else _ENDS.get(event.how, "")

    def _waits(self, id_: str, event: TaskEnded) -> Iterator[tuple[str, float]]:
        """Yield what a task waited for and how long, one after the other."""
        progress, readiness = self.progress, self.progress.readiness
        born = progress.born[id_]
        tried = progress.spans.get(id_, ()) if id_ not in readiness.items else ()  # a fan-out itself needs no slot
        name, ready = readiness.last.get(id_, ("", born))
        if id_ in readiness.adopted:
            return
        ready = tried[0].ready if tried else min(ready, event.at)
        if ready - born > SHORTEST and (name or readiness.missing.get(id_)):
            cause = self._cause(name)
            yield f"for {self._name(cause) if cause else 'one of its inputs'}", ready - born
        for number, span in enumerate(tried):
            if number:
                yield "between two attempts", span.ready - (tried[number - 1].ended or span.ready)
            slot = span.started - span.ready
            if slot <= SHORTEST:
                continue
            for hold in progress.holds.get(id_, ()):
                length = _overlap(span.ready, span.started, hold.since, hold.until)
                yield f"for {_HELD.get(hold.reason, hold.reason)}", length
                slot -= length
            looked = progress.looked.get(id_)
            if looked is not None and not looked.role and not number:
                length = min(max(looked.at - span.ready, 0.0), slot)
                yield "for the cache", length
                slot -= length
            paused = sum(_overlap(span.ready, span.started, since, until) for since, until in progress.pauses)
            yield "while the run was paused", min(paused, slot)
            yield "for a slot", slot - min(paused, slot)

    def _cause(self, name: str) -> str:
        """Return what took the time that a task waited for: an expression takes none, but waits for others itself."""
        progress = self.progress
        while name and progress.tasks[name].kind == "expr" and name not in progress.spans:
            before, _ = progress.readiness.last.get(name, ("", 0.0))
            if not before:
                break
            name = before
        return name


def _end(wait: ModelWaits) -> float:
    return wait.at + wait.left


def _overlap(start: float, end: float, since: float, until: float | None) -> float:
    return max(min(end, end if until is None else until) - max(start, since), 0.0)


def _and(parts: Sequence[str], count: int) -> str:
    """Return a list in words; count: of all, of which `parts` may be the first few."""
    shown = list(parts[:NAMED]) if count > NAMED + 1 else list(parts)
    if len(shown) < count:
        shown.append(f"{count - len(shown):,} more")
    return " and ".join([part for part in (", ".join(shown[:-1]), shown[-1]) if part])
