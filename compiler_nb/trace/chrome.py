"""A run in the trace format of Chrome, which Perfetto (ui.perfetto.dev) and chrome://tracing show.

Rounds, the planner and the joiner have a lane each; attempts of tasks have as many as ran at a time. Times are
microseconds since the run began. What waited is an asynchronous slice of its own, since waits overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

from compiler_nb.events import RoundStarted, Warned
from compiler_nb.plan.short import shorten_call
from compiler_nb.text import cut, describe_outcome
from compiler_nb.trace.progress import Progress
from compiler_nb.trace.records import JOINER, PLANNER, ModelCall, Span, role_of

TraceEvent: TypeAlias = "dict[str, Any]"
SHORT: Final = 160
"""Characters of an argument in a trace, such as a call or a value."""
LEAST: Final = 0.0005
"""Seconds of the shortest wait that is shown."""
PROCESS: Final = 1
ROUNDS, PLANNING, JOINING, SLOTS = 1, 2, 3, 10
"""The lanes; those of tasks begin at SLOTS."""


def chrome_trace(progress: Progress, run: str, question: str, at: float) -> dict[str, Any]:
    """Return a run as a trace; run: its id; at: the seconds up to which what goes on is drawn."""
    with progress.lock:
        lanes = _lanes(progress.attempts, at)
        events = [
            *_named(run, question, max(lanes.values(), default=SLOTS - 1)),
            *_rounds(progress, at),
            *(_call(call, PLANNING if role_of(call) == PLANNER else JOINING, at) for call in _own(progress)),
            *_tasks(progress, lanes, at),
            *_waits(progress, at),
            *_moments(progress),
        ]
    told = {"run": run, "question": cut(question, SHORT), "status": progress.status}
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": told}


def _own(progress: Progress) -> list[ModelCall]:
    """Return the calls of models that no task made."""
    return [call for call in progress.calls.values() if not call.task]


# -------------------------------------------------------------------- events


def _slice(name: str, kind: str, lane: int, start: float, end: float, **about: Any) -> TraceEvent:
    return {
        "name": name, "cat": kind, "ph": "X", "pid": PROCESS, "tid": lane, "ts": _micro(start),
        "dur": max(round(_micro(end) - _micro(start), 3), 0.001),
        "args": {key: value for key, value in about.items() if value},
    }  # fmt: skip


def _micro(seconds: float) -> float:
    return round(seconds * 1e6, 3)


def _named(run: str, question: str, last: int) -> Iterator[TraceEvent]:
    """Yield what the process and its lanes are called, and their order."""
    lanes = {ROUNDS: "rounds", PLANNING: PLANNER, JOINING: JOINER}
    lanes |= {number: f"slot {number - SLOTS + 1}" for number in range(SLOTS, last + 1)}
    about = {"pid": PROCESS, "ph": "M", "ts": 0}
    name = f"{run}  {cut(question, 80)}".rstrip()
    yield {**about, "tid": 0, "name": "process_name", "args": {"name": name}}
    for number, lane in lanes.items():
        yield {**about, "tid": number, "name": "thread_name", "args": {"name": lane}}
        yield {**about, "tid": number, "name": "thread_sort_index", "args": {"sort_index": number}}


def _rounds(progress: Progress, at: float) -> Iterator[TraceEvent]:
    starts = [event for event in progress.events[: progress.taken] if type(event) is RoundStarted]
    ends = [*(event.at for event in starts[1:]), at]
    for event, end in zip(starts, ends, strict=True):
        yield _slice(f"round {event.round + 1}", "round", ROUNDS, event.at, end, reason=cut(event.reason, SHORT))


def _call(call: ModelCall, lane: int, at: float) -> TraceEvent:
    end, usage = at if call.ended is None else call.ended, call.usage
    thought = round((call.first - call.started) * 1e3, 3) if call.first is not None else 0
    return _slice(
        f"{call.role}: {call.provider}:{call.answered or call.model}", "model", lane, call.started, end,
        call=call.number, task=call.task, ms_to_first_text=thought, input_tokens=usage and usage.input_tokens,
        output_tokens=usage and usage.output_tokens, cached_tokens=usage and usage.cached_tokens,
        reported=str(usage.reported).lower() if usage else "", grammar=call.grammar, error=cut(call.error, SHORT),
    )  # fmt: skip


def _lanes(attempts: Iterable[Span], at: float) -> dict[tuple[str, int], int]:
    """Return a lane for each attempt, the first that is free: as many lanes as ran at a time."""
    free: list[float] = []
    found = {}
    for span in attempts:
        number = next((place for place, until in enumerate(free) if until <= span.started), len(free))
        free[number : number + 1] = [at if span.ended is None else max(span.ended, span.started)]
        found[span.task, span.attempt] = SLOTS + number
    return found


def _tasks(progress: Progress, lanes: dict[tuple[str, int], int], at: float) -> Iterator[TraceEvent]:
    """Yield the attempts of tasks, and in them the calls of models that they made."""
    calls: dict[str, list[ModelCall]] = {}
    for call in progress.calls.values():
        calls.setdefault(call.task, []).append(call)
    for span in progress.attempts:
        lane, end = lanes[span.task, span.attempt], at if span.ended is None else span.ended
        task, last = progress.tasks[span.task], progress.ends.get(span.task)
        is_last = span is progress.spans[span.task][-1]
        outcome = describe_outcome(last.outcome, SHORT) if last is not None and is_last else span.error
        yield _slice(
            span.task, task.tool or task.kind, lane, span.started, end, call=shorten_call(task, SHORT),
            state=span.state, outcome=cut(outcome, SHORT), attempt=span.attempt if span.attempt > 1 else 0,
            note=cut(task.note, SHORT),
            round=progress.round_of[span.task] + 1, after=", ".join(task.dependencies),
        )  # fmt: skip
        for call in calls.get(span.task, ()):
            if span.started <= call.started <= end:
                yield _call(call, lane, end)


def _waits(progress: Progress, at: float) -> Iterator[TraceEvent]:
    """Yield pairs of events: waits for a slot, for an approval or another hold, for a provider; and pauses."""
    found: list[tuple[str, str, float, float | None]] = []
    found += [(span.task, "waits for a slot", span.ready, span.started) for span in progress.attempts]
    for id_, holds in progress.holds.items():
        found += [(id_, f"held: {each.reason}", each.since, each.until) for each in holds]
    for id_, parks in progress.parks.items():
        found += [(id_, f"waits for {each.provider}", each.since, each.until) for each in parks]
    found += [("the run", "paused", since, until) for since, until in progress.pauses]
    for number, (id_, why, since, until) in enumerate(found):
        end = at if until is None else until
        if end - since >= LEAST:
            about = {"name": f"{id_}: {why}", "cat": "wait", "id": number, "pid": PROCESS, "tid": SLOTS}
            yield {**about, "ph": "b", "ts": _micro(since), "args": {}}
            yield {**about, "ph": "e", "ts": _micro(end), "args": {}}


def _moments(progress: Progress) -> Iterator[TraceEvent]:
    """Yield what took no time: values that did not come from an attempt, such as cached ones, and warnings."""
    about = {"ph": "i", "s": "p", "pid": PROCESS, "tid": ROUNDS}
    for id_, end in progress.ends.items():
        if id_ not in progress.spans and end.how not in ("", "inline"):
            told = {"how": end.how, "value": describe_outcome(end.outcome, SHORT)}
            yield {**about, "name": id_, "cat": "task", "ts": _micro(end.at), "args": told}
    for event in progress.events[: progress.taken]:
        if type(event) is Warned:
            said = {"task": event.task, "message": cut(event.message, SHORT)}
            yield {**about, "name": "warning", "cat": "warning", "ts": _micro(event.at), "args": said}
