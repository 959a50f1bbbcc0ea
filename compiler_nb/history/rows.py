"""What is written of a run: the rows that each of its events makes, without any key in them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final, TypeAlias

from compiler_nb.events import (
    Decided,
    Event,
    ModelChunk,
    RunEnded,
    RunStarted,
    TaskEnded,
    TaskExpanded,
    TaskFetched,
    TaskIdentified,
    TaskPlanned,
    TaskRetried,
    TaskStarted,
)
from compiler_nb.history.claims import claim
from compiler_nb.history.file import checksum
from compiler_nb.history.listing import owner_mark
from compiler_nb.models.secret import STARS, Secret, mask
from compiler_nb.outcome import Answer
from compiler_nb.plan.task import Task
from compiler_nb.run import Run
from compiler_nb.settings.settings import PLAIN
from compiler_nb.values.code import content_hash, encode, encode_fields
from compiler_nb.values.coded import Coded, Shared
from compiler_nb.values.copies import ATOMS, Snapshots
from compiler_nb.values.functions import code_hash
from compiler_nb.values.records import body_of
from compiler_nb.values.typed import prepare

_TAIL: Final = 256
"""Characters of a model's text that are kept to find a key that arrives in pieces."""
_RUN: Final = "INSERT INTO runs VALUES (?, ?, 'running', '', ?, ?, ?, ?, ?)"
_INPUT: Final = "INSERT OR REPLACE INTO inputs VALUES (?, ?, ?, ?, ?)"
_TASK: Final = "INSERT OR IGNORE INTO tasks VALUES (?, ?, ?, ?, ?, 'waiting')"
_ATTEMPT: Final = "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, NULL, 'running', ?, ?)"
_ATTEMPT_ENDED: Final = "UPDATE attempts SET ended = ?, state = ? WHERE run = ? AND task = ? AND attempt = ?"
_EFFECTS: Final = 4
"""The index of the value in an attempt's row that says whether its tool has side effects."""
_EVENT: Final = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)"
_BLOB: Final = "INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?)"
_CHECKED: Final = {_EVENT: (4, 5), _RUN: (1, 5), _INPUT: (1, 3)}
"""Statements whose rows end in a checksum, and the two values that it is made of."""
_TABLES: Final = {_RUN: "runs", _INPUT: "inputs", _EVENT: "events", _BLOB: "blobs"}
"""The statements that write what a run is read from, and their tables."""
Sql: TypeAlias = tuple[str, tuple[Any, ...]]


def _holds_key(secrets: tuple[Secret, ...], data: bytes | bytearray) -> bool:
    text = data.decode("latin-1")
    return mask(text, secrets) is not text


class RunRows:
    """What the thread knows of one run that is being written.

    lost: called once with the reason if it is not written anymore; fault: that reason, "" until then; refusal: why it
    makes no further side effect, "" if it may.
    """

    def __init__(self, run: Run, lost: Callable[[str], None], largest: int, put: Callable[[Event], None]) -> None:
        self.settings, self.order, self.secrets = run.settings, run.order, run.settings.secrets
        self.lost, self.largest, self.fault, self.refusal = lost, largest, "", ""
        self.run = run.id
        self.coded, self.coding = 0, False  # how many events are coded, and whether one is at this moment
        self.snapshots = Snapshots(self.settings.tools, put, largest=largest, leaks=partial(_holds_key, self.secrets))
        self.inputs = self.snapshots.inputs(run.inputs)
        self.shared = Shared(self.snapshots.known, {})  # with digests of outcomes and inputs that are stored
        self.marks: dict[str, str] = {}  # the digests of side effects, by task
        self.tails: dict[int, str] = {}  # the end of what each call of a model has said

    # ---------------------------------------------------------------- rows

    def rows(self, events: list[Event]) -> Iterator[Sql]:
        """Yield the statements that write events, without keys and with their checksums."""
        rows = [row for event in events for row in self._rows(event)]
        for sql, values in self._masked(rows, events) if self.secrets else rows:
            first, second = _CHECKED.get(sql, (0, 0))
            yield sql, (*values[:-1], checksum(values[first], values[second])) if second else values

    def claimed(self, rows: Iterable[Sql], connection: sqlite3.Connection) -> Iterator[Sql]:
        """Yield rows while they are written; an intent claims the run's lineage, and is left out if that is refused."""
        for sql, values in rows:
            if sql is _ATTEMPT and values[_EFFECTS]:
                self.refusal = claim(connection, self.run, self.order.past.claim)
                if self.refusal:
                    continue
            yield sql, values

    def _rows(self, event: Event) -> Iterator[Sql]:
        self.snapshots.landed(event)
        self.coding = True
        yield from self._beside(event)
        coded = self._body(event)
        self.coded, self.coding = self.coded + 1, False
        yield from _blobs(event.run, f"seq {event.seq}", coded)
        yield _EVENT, (event.run, event.seq, event.round, event.at, type(event).__name__, coded.text, 0)

    def _beside(self, event: Event) -> Iterator[Sql]:
        """Yield what an event changes in the other tables."""
        match event:
            case RunStarted():
                yield from self._begun(event)
            case TaskPlanned():
                yield _task(event.run, event.planned)
            case TaskExpanded():
                yield from (_task(event.run, item) for item in event.items)
            case TaskIdentified():
                self.marks[event.task] = event.digest
            case TaskStarted():
                tool = self.snapshots.tool_of(event.task)
                mark = self.marks.get(event.task) or self.snapshots.tasks[event.task].fingerprint
                effects = int(tool is not None and tool.side_effects)
                yield _ATTEMPT, (event.run, event.task, event.attempt, event.at, effects, mark)
            case TaskRetried():
                yield _ATTEMPT_ENDED, (event.at, "failed", event.run, event.task, event.attempt)
            case TaskEnded():
                yield "UPDATE tasks SET state = ? WHERE run = ? AND id = ?", (event.state, event.run, event.task)
                yield _ATTEMPT_ENDED, (event.at, event.state, event.run, event.task, event.attempt)
            case RunEnded():
                yield "UPDATE runs SET status = ?, error = ? WHERE id = ?", (event.status, event.error, event.run)

    def _begun(self, event: RunStarted) -> Iterator[Sql]:
        """Yield the rows of the run itself and of its inputs."""
        settings, past, grid = self.settings, self.order.past, self.order.grid
        prepare(tool.returns for tool in settings.tools.values())
        tools = {
            name: {
                "hash": code_hash(tool), "provider": tool.provider,
                "max_concurrency": tool.max_concurrency, "side_effects": tool.side_effects, "pure": tool.pure,
                "positional": tool.positional,
            }
            for name, tool in settings.tools.items()
        }  # fmt: skip
        limits = {name: limit.concurrency for name, limit in settings.limits.items() if limit.concurrency}
        approve = settings.approve if isinstance(settings.approve, str) else sorted(settings.approve)
        told = json.dumps({
            "max_concurrency": settings.max_concurrency, "limits": limits, "tools": tools,
            "doubts": [each.digest for each in past.effects if each.place.run != event.run],
            "executing": self.order.executing, "approve": approve, **({"grid": grid} if grid else {}),
            "budget": asdict(settings.budget), "bounds": asdict(settings.bounds), "variants": dict(settings.variants),
            **{name: getattr(settings, name) for name in PLAIN},
        }, default=float)  # fmt: skip
        yield _RUN, (event.run, event.question, event.started_at, past.parent, owner_mark(), told, 0)
        for name, value in self.inputs.items():
            coded = encode(value, largest=self.largest, leaks=self.snapshots.leaks)
            yield _INPUT, (event.run, name, content_hash(value), coded.text, 0)
            yield from _blobs(event.run, f"input {name}", coded)
            self._note(f"@{name}", coded)

    def _body(self, event: Event) -> Coded:
        """Return the coded fields of an event; a task's outcome by its tool's return type if it needs that."""
        if isinstance(event, Decided) and isinstance(event.decision, Answer) and self.order.answer_type is not None:
            plain = self.order.answer_type.plain(event.decision.value)  # its class is known in the notebook only
            event = event._replace(decision=replace(event.decision, value=plain))
        if not isinstance(event, TaskEnded | TaskFetched):
            return encode_fields(body_of(event), largest=self.largest, shared=self.shared, leaks=self.snapshots.leaks)
        value, hint = event.outcome, self.snapshots.hint_of(event)
        coded = value if type(value) is Coded else encode(
            value, hint=hint, largest=self.largest, shared=self.shared, leaks=self.snapshots.leaks
        )  # fmt: skip
        if id(type(value)) not in ATOMS:
            self._note(event.task, coded)
        if isinstance(event, TaskFetched):
            return coded._replace(text=f"[{json.dumps(event.task)},{event.attempt},{coded.text}]")
        how = f'"{event.how}"'
        return coded._replace(text=f'[{json.dumps(event.task)},{event.attempt},"{event.state}",{coded.text},{how}]')

    def _note(self, name: str, coded: Coded) -> None:
        """Note what is stored, so that other values may name it instead of holding it again."""
        if coded.stored:
            self.shared.digests[name] = coded.digest

    # ---------------------------------------------------------------- keys

    def _masked(self, rows: list[Sql], events: list[Event]) -> list[Sql]:
        """Return rows without a piece of a key in them."""
        secrets = self.secrets
        rows = self._without_split_keys(rows, events)
        together = "\n".join(value for _, values in rows for value in values if type(value) is str)
        if mask(together, secrets) is together:  # far quicker than looking at each of them
            return rows
        return [(sql, tuple(mask(each, secrets) if type(each) is str else each for each in row)) for sql, row in rows]

    def _without_split_keys(self, rows: list[Sql], events: list[Event]) -> list[Sql]:
        """Return rows in which a key that a model said in several pieces is masked in each of them."""
        said: dict[int, list[ModelChunk]] = {}
        for event in events:
            if isinstance(event, ModelChunk):
                said.setdefault(event.call, []).append(event)
        changed: dict[int, str] = {}
        for call, chunks in said.items():
            whole = self.tails.get(call, "") + "".join(chunk.text for chunk in chunks)
            self.tails[call] = whole[-_TAIL:]
            if mask(whole, self.secrets) is not whole:
                changed |= {chunk.seq: encode_fields([call, STARS]).text for chunk in chunks}
        return [
            (sql, (*row[:5], changed[row[1]], 0)) if sql is _EVENT and row[1] in changed else (sql, row)
            for sql, row in rows
        ]


def rows_of(run: Run, largest: int) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of a run as it is now, by table; largest: bytes that one value may take."""
    taken: list[Event] = []
    rows = RunRows(run, lambda reason: None, largest, taken.append)
    for event in list(run.events):  # it may go on
        rows.snapshots.listen(event)
    found: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _TABLES.values()}
    for sql, values in rows.rows(taken):
        if sql in _TABLES:
            found[_TABLES[sql]].append(values)
    return found


def _blobs(run: str, owner: str, coded: Coded) -> Iterable[Sql]:
    return ((_BLOB, (run, owner, number, data)) for number, data in enumerate(coded.blobs))


def _task(run: str, task: Task) -> Sql:
    return _TASK, (run, task.id, task.kind, task.tool, task.fingerprint)
