"""Reading a history: the list of its runs, and a Run from its stored events."""

from __future__ import annotations

import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from compiler_nb import trace
from compiler_nb.engine.effects.ledger import NOWHERE, Entry
from compiler_nb.errors import HistoryError
from compiler_nb.events import (
    Event,
    Log,
    ModelChunk,
    ModelEnded,
    ModelStarted,
    PlanClosed,
    PlanProblem,
    RunEnded,
    RunStarted,
    TaskEnded,
    TaskExpanded,
    TaskFetched,
    TaskPlanned,
    Warned,
)
from compiler_nb.history.file import Unmade, check_row, naming, reading
from compiler_nb.history.listing import BROKEN_OFF, LONGEST, status_of
from compiler_nb.models.limits import Limit
from compiler_nb.operations.bounds import Bounds
from compiler_nb.operations.weights import is_a
from compiler_nb.outcome import ENDED, Cancelled, NotStored
from compiler_nb.run import Run
from compiler_nb.settings.budget import Budget
from compiler_nb.settings.control import Control
from compiler_nb.settings.order import Order, Past
from compiler_nb.settings.settings import PLAIN, Settings
from compiler_nb.tool import Tool, Toolbox
from compiler_nb.values.code import decode
from compiler_nb.values.forms import expect, of_kind
from compiler_nb.values.records import make_event

_LINEAGE: Final = """
    WITH RECURSIVE
        up(id) AS (SELECT ? UNION SELECT parent FROM runs JOIN up USING (id) WHERE parent != ''),
        tree(id) AS (SELECT id FROM up UNION SELECT runs.id FROM runs JOIN tree ON runs.parent = tree.id)
    SELECT DISTINCT run FROM attempts JOIN runs ON runs.id = run WHERE effects AND run IN tree ORDER BY runs.at, run
"""
_ROWS: Final = (
    "SELECT question, status, owner, settings, crc FROM runs WHERE id = ?",
    "SELECT name, hash, body, crc FROM inputs WHERE run = ?",
    "SELECT seq, round, at, kind, body, crc FROM events WHERE run = ? ORDER BY seq",
    "SELECT owner, number, data FROM blobs WHERE run = ?",
)
_TOLD: Final = """
    SELECT seq, round, at, kind, body, crc FROM events
    WHERE run = ? AND kind IN ('RunStarted', 'ModelStarted', 'ModelEnded', 'Decided') ORDER BY seq
"""
_LAST_ENDS: Final = """
    SELECT seq, round, at, kind, body, crc FROM events
    WHERE run = ? AND kind = 'TaskEnded' AND length(body) <= ? ORDER BY seq DESC LIMIT ?
"""
_SMALL_BLOBS: Final = "SELECT owner, number, data FROM blobs WHERE run = ? AND length(data) <= ?"
_NEWEST: Final = "SELECT id, settings FROM runs ORDER BY at DESC LIMIT ?"
_USED: Final = """
    SELECT tool, COUNT(*) FROM tasks WHERE tool != '' AND run IN (SELECT id FROM runs ORDER BY at DESC LIMIT ?)
    GROUP BY tool
"""
_CALLED: Final = "SELECT id, tool FROM tasks WHERE run = ? AND state = 'done' AND tool IN ({})"
_RESULTS: Final = (
    "SELECT seq, body, crc FROM events WHERE run = ? AND kind = 'TaskEnded' AND length(body) <= ? ORDER BY seq LIMIT ?"
)
_BLOBS: Final = "SELECT number, data FROM blobs WHERE run = ? AND owner = ? AND length(data) <= ?"
RUNS: Final = 20
"""How many of the newest runs, and results of each, are searched for what tools returned; no larger ones are read."""
RESULTS: Final = 25
LARGEST_RESULT: Final = 20_000
CHARACTERS: Final = 200_000
"""Characters of stored results that are read in all: a cell waits for it, once for each tool."""
LARGEST_BLOB: Final = 200_000
GONE: Final = "its process ended before the run did"


class StoredTool(NamedTuple):
    """What is stored of a tool; positional: what its positional arguments are called."""

    name: str
    hash: str
    provider: str | None
    max_concurrency: int | None
    side_effects: bool
    pure: bool
    positional: tuple[str, ...] = ()

    @property
    def returns(self) -> None:
        """Its return type is not stored."""


def read_settings(data: Any, dialect: str = "python") -> Settings:
    """Return what a stored run was made with: of its tools only the facts that are stored.

    dialect: the plan's, because a file of an earlier version has only some of the settings.
    """
    tools: Any = {
        of_kind(str, name): StoredTool(
            name, of_kind(str, each["hash"]), of_kind(str, each["provider"], none=True),
            of_kind(int, each["max_concurrency"], none=True), of_kind(bool, each["side_effects"]),
            of_kind(bool, each["pure"]), tuple(of_kind(str, one) for one in of_kind(list, each.get("positional", []))),
        )
        for name, each in data["tools"].items()
    }  # fmt: skip
    limits = {of_kind(str, name): Limit(concurrency=of_kind(int, each)) for name, each in data["limits"].items()}
    more: dict[str, Any] = {"dialect": dialect} | {
        name: data[name] for name in (*PLAIN, "approve", "variants") if name in data
    }
    return Settings(
        tools=tools, max_concurrency=of_kind(int, data["max_concurrency"]), limits=limits,
        budget=Budget(**data.get("budget", {})), bounds=Bounds(**data.get("bounds", {})), **more,
    )  # fmt: skip


def _is_executing(data: Any, question: str, events: Iterable[Event]) -> bool:
    """Return whether a stored run was given its plan; a file of an earlier version only shows who asked a model."""
    if "executing" in data:
        return bool(of_kind(bool, data["executing"]))
    return not (question and any(isinstance(event, ModelStarted) and not event.task for event in events))


def lineage(path: Path, run_id: str) -> list[str]:
    """Return the ids of the runs of a run's lineage that have begun side effects, the oldest first."""
    with contextlib.suppress(Unmade), reading(path) as connection:
        return [of_kind(str, row[0]) for row in connection.execute(_LINEAGE, (run_id,)).fetchall()]
    return []


def returned(path: Path, tools: Mapping[str, tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return what tools returned in the newest runs that shared their results, as names and values.

    tools: the hash of its code and its return type, by name; results of a tool that was changed since do not count.
    """
    with reading(path) as connection:
        rows, left = [], CHARACTERS
        for run, told in connection.execute(_NEWEST, (RUNS,)).fetchall():
            names = _learned(told, tools) if left > 0 else []
            marks = ", ".join("?" * len(names))
            called = dict(connection.execute(_CALLED.format(marks), (run, *names)).fetchall()) if names else {}
            ends = connection.execute(_RESULTS, (run, LARGEST_RESULT, RESULTS)).fetchall() if called else []
            for seq, body, crc in ends:
                left -= len(body)
                rows += [(run, called, seq, body, crc)] if left >= 0 else []
        blobs = [connection.execute(_BLOBS, (run, f"seq {seq}", LARGEST_BLOB)).fetchall() for run, _, seq, *_ in rows]
    found = []
    for (run, called, seq, body, crc), data in zip(rows, blobs, strict=True):
        with contextlib.suppress(HistoryError, KeyError, ValueError, TypeError):  # damaged, or names what is not here
            check_row("TaskEnded", body, crc, f"event {seq} of the run {run}")
            tool = called[json.loads(body)[0]]
            fields = decode(body, blob=dict(data).__getitem__, hint=partial(_same, tools[tool][1]))
            found += [(tool, fields[3])] if not is_a(fields[3], NotStored) else []
    return found


def used(path: Path) -> dict[str, int]:
    """Return how many tasks of the newest runs called each tool."""
    with reading(path) as connection:
        return {of_kind(str, name): of_kind(int, n) for name, n in connection.execute(_USED, (RUNS,)).fetchall()}


def facts(path: Path, run_ids: Iterable[str]) -> dict[str, trace.Facts]:
    """Return the facts of runs, by id, without reading all of them; an answer that is large is left out."""
    with reading(path) as connection:
        rows = {
            run: (
                connection.execute(_TOLD, (run,)).fetchall(),
                connection.execute(_LAST_ENDS, (run, LARGEST_RESULT, RESULTS)).fetchall(),
                connection.execute(_SMALL_BLOBS, (run, LARGEST_BLOB)).fetchall(),
            )
            for run in run_ids
        }
    return {run: _facts(run, *each) for run, each in rows.items()}


def _facts(run: str, told: list[Any], ends: list[Any], blobs: list[Any]) -> trace.Facts:
    loader, events = _Loader(run, {}, blobs), []
    for seq, round_, at, kind, body, crc in sorted([*told, *ends]):  # an answer may stand for what a task returned
        with contextlib.suppress(HistoryError, KeyError, ValueError, TypeError):  # damaged, or not read here
            check_row(kind, body, crc, f"event {seq} of the run {run}")
            event = loader.event(seq, round_, at, kind, body)
            events += [event] if type(event) is not TaskEnded else []
    return trace.facts_of(trace.Progress(events))


def _same(hint: Any, _: str) -> Any:
    return hint


def _learned(told: str, tools: Mapping[str, tuple[str, Any]]) -> list[str]:
    """Return which tools' results count of a run with these settings."""
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        data = json.loads(told)
        if data.get("share") != "none" and data.get("learn_shapes", True):
            return [name for name, each in data["tools"].items() if name in tools and each["hash"] == tools[name][0]]
    return []


def load(path: Path, run_id: str, tools: Iterable[Any] | Mapping[str, Any], *, alive: Collection[str]) -> Run:
    """Return a stored run; raises HistoryError if there is none, or it is damaged."""
    known = tools if isinstance(tools, Toolbox) else Toolbox(tools)
    with reading(path) as connection:  # fetched whole, as of one moment, before any of it is looked at
        connection.execute("BEGIN")
        rows = [connection.execute(each, (run_id,)).fetchall() for each in _ROWS]
    with naming(path, "cannot be read"):
        expect(rows[0], f"there is no run {run_id!r} in {path}")
        question, status, owner, settings, crc = rows[0][0]
        check_row(question, settings, crc, f"the beginning of the run {run_id}")
        status = status_of(of_kind(str, status), of_kind(str, owner), here=run_id in alive)
        return make_run(run_id, known, StoredRows(question, status, settings, *rows[1:]))


class StoredRows(NamedTuple):
    """What is stored of a run: its question, how it stands, its settings (JSON), and rows, as a history has them."""

    question: str
    status: str
    settings: str
    inputs: Iterable[tuple[Any, ...]]
    events: Iterable[tuple[Any, ...]]
    blobs: Iterable[tuple[Any, ...]]


def make_run(run_id: str, tools: Mapping[str, Tool], stored: StoredRows, *, gone: str = GONE) -> Run:
    """Return a run from what is stored of it; gone: why one that was broken off has no end."""
    loader, log = _Loader(run_id, tools, stored.blobs), Log(run_id)
    inputs = loader.inputs(stored.inputs)
    log.events = loader.events(stored.events)
    data = json.loads(stored.settings)
    past = Past(
        effects=[Entry(of_kind(str, each), NOWHERE, "doubt") for each in data["doubts"]],
        executing=_is_executing(data, stored.question, log.events),
    )
    dialects = [event.dialect for event in log.events if isinstance(event, PlanClosed)] or ["python"]
    order = Order(question=stored.question, inputs=inputs, past=past, input_hashes=loader.hashes)
    run = Run(order, read_settings(data, dialects[-1]), log, Control(stored=run_id))
    return _finished(run, stored.status, gone)


class _Loader:
    """Makes values and events of one run's rows."""

    def __init__(self, run: str, tools: Mapping[str, Tool], blobs: Iterable[tuple[Any, ...]]) -> None:
        self.run, self.tools = run, tools
        self.blobs: dict[str, dict[int, bytes]] = defaultdict(dict)
        for owner, number, data in blobs:
            self.blobs[owner][number] = of_kind(bytes, data)
        self.hashes: dict[str, str | None] = {}
        self.values: dict[str, Any] = {}  # of inputs ("@df") and of tasks, as far as they have been read
        self.called: dict[str, str] = {}  # tool by task

    def inputs(self, rows: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
        for name, digest, body, crc in rows:
            check_row(name, body, crc, f"an input of the run {self.run}")
            self.hashes[name] = of_kind(str, digest, none=True)
            self.values[f"@{name}"] = decode(body, blob=self.blobs[f"input {name}"].__getitem__)
        return {name: self.values[f"@{name}"] for name in self.hashes}

    def events(self, rows: Iterable[tuple[Any, ...]]) -> list[Event]:
        found: list[Event] = []
        for seq, round_, at, kind, body, crc in rows:
            check_row(kind, body, crc, f"event {seq} of the run {self.run}")
            expect(seq == len(found), f"event {len(found)} of the run {self.run} is missing")
            event = self.event(seq, round_, at, kind, body)
            if type(event) is PlanClosed and event.tasks is None and event.complete:
                event = _with_tasks(event, found)
            found.append(event)
        return found

    def event(self, seq: int, round_: int, at: float, kind: str, body: str) -> Event:
        # only an outcome is written by its tool's return type, and an end begins with the id of its task
        fields = decode(
            body,
            blob=self.blobs[f"seq {seq}"].__getitem__,
            shared=self.values,
            hint=lambda name: self.hint(json.loads(body)[0]),
        )
        event = make_event(kind, (seq, self.run, round_, at), fields)
        match event:
            case TaskPlanned():
                self.called[event.task] = event.planned.tool
            case TaskExpanded():
                self.called |= {item.id: item.tool for item in event.items}
            case TaskEnded() | TaskFetched():
                self.values[event.task] = event.outcome
        return event

    def hint(self, task: str) -> Any:
        return getattr(self.tools.get(self.called.get(task, "")), "returns", None)


def _with_tasks(closed: PlanClosed, before: list[Event]) -> PlanClosed:
    """Return the end of a plan's text with the plan's tasks, which files of earlier versions do not name.

    They are those that were planned in the round. A text with problems, which stand right before its end, has none.
    """
    if before and type(before[-1]) is PlanProblem:
        return closed
    planned = (event for event in before if type(event) is TaskPlanned and event.round == closed.round)
    return closed._replace(tasks=tuple(event.task for event in planned))


def _finished(run: Run, status: str, gone: str) -> Run:
    """Return a run whose events are checked; one that was broken off is given an end that says so."""
    events = run.events
    expect(events and isinstance(events[0], RunStarted), f"the run {run.id} has no beginning")
    times = [getattr(event, name) for event in events for name in ("at", "ready_at", "delay") if hasattr(event, name)]
    expect(all(0 <= each < LONGEST for each in times), f"the run {run.id} has impossible times")
    _check_events(events)
    if status == BROKEN_OFF:
        _end(run, gone)
    run.progress.outcomes  # noqa: B018 - damage shows now, not later
    if run.status != "running":
        run.control.end()
    else:
        _go_on(run)
    return run


def _go_on(run: Run) -> None:
    """Let the clock of a run that goes on in another process go on here."""
    began = next(event.started_at - event.at for event in run.events if isinstance(event, RunStarted))
    last, gone = run.progress.at, time.time() - began
    run.log.began = run.log.clock() - (gone if last < gone < LONGEST else last)  # clocks of machines may differ


def _end(run: Run, gone: str) -> None:
    """Add the missing end of a run: a running side effect is in doubt, and what had not ended is cancelled."""
    log, progress = run.log, run.progress
    at, log.round = progress.at, log.events[-1].round
    unfinished = {id_: state for id_, state in progress.states.items() if state not in ENDED}
    for id_, state in unfinished.items():
        tool, message = run.settings.tools.get(progress.tasks[id_].tool), gone
        if state == "running" and tool is not None and tool.side_effects:
            message = f"in doubt: {tool.name} had begun, and whether it had its effect is unknown"
            log.emit_at(at, Warned, (id_, f"{id_} is {message}"))
        attempt = progress.spans[id_][-1].attempt if id_ in progress.spans else 0
        log.emit_at(at, TaskEnded, (id_, attempt, "cancelled", Cancelled(message), BROKEN_OFF))
    log.emit_at(at, RunEnded, ("cancelled", gone))


def _check_events(events: Iterable[Event]) -> None:
    """Raise HistoryError if an event names a task, or a call of a model, that no event before it has introduced."""
    known: set[str | int] = set()
    sound = True  # the plan's text, so far
    for event in events:
        named: set[str | int] = set()
        match event:
            case TaskPlanned():
                known.add(event.planned.id)
                named = {event.task, *event.planned.dependencies, *event.planned.follows}
            case TaskExpanded():
                known.update(item.id for item in event.items)
                named = {event.task, *(id_ for item in event.items for id_ in (*item.dependencies, *item.follows))}
            case PlanProblem():
                sound = False
            case PlanClosed():  # the last line of a text that is not a plan may name anything
                named = {*(event.tasks or ()), *(event.final.refs if sound and event.final else ())}
                sound = True
            case ModelStarted():
                known.add(event.call)
            case ModelChunk() | ModelEnded():
                named = {event.call}
            case _ if type(event) is not Warned:  # a warning may be about anything
                named = {getattr(event, "task", "")} - {""}
        for missing in named - known:
            raise HistoryError(f"event {event.seq} names {str(missing)[:40]!r}, which no earlier event introduced")
