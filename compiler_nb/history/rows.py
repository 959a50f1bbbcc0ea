"""What is written of a run: the rows that each of its events makes, without any key in them."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from compiler_nb.events import (
    Event,
    ModelChunk,
    RunEnded,
    RunStarted,
    TaskEnded,
    TaskExpanded,
    TaskPlanned,
    TaskRetried,
    TaskStarted,
)
from compiler_nb.history.owner import owner_mark
from compiler_nb.models.secret import STARS, Secret, mask
from compiler_nb.outcome import NOT_DONE
from compiler_nb.plan.bounds import is_a
from compiler_nb.values.code import Coded, Shared, content_hash, encode, encode_fields, prepare
from compiler_nb.values.copies import ATOMS, Snapshots
from compiler_nb.values.keys import code_hash
from compiler_nb.values.records import body_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from compiler_nb.plan.task import Task
    from compiler_nb.tool import Tool

_TAIL: Final = 256
"""Characters of a model's text that are kept to find a key that arrives in pieces."""

_RUN: Final = "INSERT INTO runs VALUES (?, ?, 'running', '', ?, ?, ?, ?, ?)"
_RUN_ENDED: Final = "UPDATE runs SET status = ?, error = ? WHERE id = ?"
_INPUT: Final = "INSERT OR REPLACE INTO inputs VALUES (?, ?, ?, ?, ?)"
_TASK: Final = "INSERT OR IGNORE INTO tasks VALUES (?, ?, ?, ?, ?, 'waiting')"
_TASK_ENDED: Final = "UPDATE tasks SET state = ? WHERE run = ? AND id = ?"
_ATTEMPT: Final = "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, NULL, 'running', ?, ?)"
_ATTEMPT_ENDED: Final = "UPDATE attempts SET ended = ?, state = ? WHERE run = ? AND task = ? AND attempt = ?"
_EVENT: Final = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)"
_BLOB: Final = "INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?)"
Row = tuple[str, tuple[Any, ...]]


class Facts(NamedTuple):
    """What is stored of a run beside its events."""

    tools: Mapping[str, Tool]
    inputs: Mapping[str, Any]
    max_concurrency: int = 8
    limits: Mapping[str, int] = {}
    parent: str = ""
    doubts: frozenset[str] = frozenset()
    secrets: tuple[Secret, ...] = ()


class Record:
    """What the thread knows of one run that is being written; `lost` is told once why it is not written any more."""

    def __init__(self, facts: Facts, lost: Callable[[str], None], largest: int, put: Callable[[Event], None]) -> None:
        self.lost, self.largest = lost, largest
        self.taker = Snapshots(facts.tools, put, largest=largest, leaks=lambda blob: holds_key(blob, facts.secrets))
        self.facts = facts._replace(inputs=self.taker.inputs(facts.inputs))
        self.fault = ""
        self.tasks: dict[str, tuple[str, str]] = {}  # tool and fingerprint by task
        self.digests: dict[str, str] = {}  # of outcomes and inputs that are stored
        self.shared = Shared(self.taker.known, self.digests)
        self.tails: dict[int, str] = {}  # the end of what each call of a model has said

    # ---------------------------------------------------------------- rows

    def rows(self, event: Event) -> Iterator[Row]:
        """Yield the statements that write an event."""
        run, kind = event.run, type(event)
        self.taker.landed(event)
        if kind in _MORE:
            yield from _MORE[kind](self, event)
        coded = self.body(event)
        for number, blob in enumerate(coded.blobs):
            yield _BLOB, (run, f"seq {event.seq}", number, blob)
        yield _EVENT, (run, event.seq, event.round, event.at, kind.__name__, coded.text, 0)

    def planned_rows(self, event: TaskPlanned) -> Iterator[Row]:
        """Yield what the event changes beside its own row."""
        yield self.task_row(event.run, event.planned)

    def expanded_rows(self, event: TaskExpanded) -> Iterator[Row]:
        """Yield what the event changes beside its own row."""
        yield from (self.task_row(event.run, item) for item in event.items)

    def started_rows(self, event: TaskStarted) -> Iterator[Row]:
        """Yield what the event changes beside its own row."""
        name, fingerprint = self.tasks.get(event.task, ("", ""))
        tool = self.facts.tools.get(name)
        effects = tool is not None and tool.side_effects
        yield _ATTEMPT, (event.run, event.task, event.attempt, event.at, int(effects), fingerprint)

    def retried_rows(self, event: TaskRetried) -> Iterator[Row]:
        """Yield what the event changes beside its own row."""
        yield _ATTEMPT_ENDED, (event.at, "failed", event.run, event.task, event.attempt)

    def ended_rows(self, event: TaskEnded) -> Iterator[Row]:
        """Yield what the event changes beside its own row."""
        yield _TASK_ENDED, (event.state, event.run, event.task)
        if event.attempt:
            yield _ATTEMPT_ENDED, (event.at, event.state, event.run, event.task, event.attempt)

    def run_ended_rows(self, event: RunEnded) -> Iterator[Row]:
        """Yield what the event changes beside its own row."""
        yield _RUN_ENDED, (event.status, event.error, event.run)

    def run_rows(self, event: RunStarted) -> Iterator[Row]:
        """Yield the rows of the run itself and of its inputs."""
        facts = self.facts
        prepare(tool.returns for tool in facts.tools.values())
        tools = {
            name: {
                "hash": code_hash(tool), "provider": tool.provider, "max_concurrency": tool.max_concurrency,
                "side_effects": tool.side_effects, "pure": tool.pure,
            }
            for name, tool in facts.tools.items()
        }  # fmt: skip
        settings = {
            "max_concurrency": facts.max_concurrency, "limits": dict(facts.limits), "tools": tools,
            "doubts": sorted(facts.doubts),
        }  # fmt: skip
        told = (event.run, event.question, event.started_at, facts.parent, owner_mark(), json.dumps(settings), 0)
        yield _RUN, told
        for name, value in facts.inputs.items():
            coded = encode(value, largest=self.largest, leaks=self.leaks)
            yield _INPUT, (event.run, name, content_hash(value), coded.text, 0)
            for number, blob in enumerate(coded.blobs):
                yield _BLOB, (event.run, f"input {name}", number, blob)
            self.note(f"@{name}", coded)

    def task_row(self, run: str, task: Task) -> Row:
        """Return a task's row."""
        self.tasks[task.id] = (task.tool, task.fingerprint)
        return _TASK, (run, task.id, task.kind, task.tool, task.fingerprint)

    def body(self, event: Event) -> Coded:
        """Return the coded fields of an event."""
        if not isinstance(event, TaskEnded):
            return encode_fields(body_of(event), largest=self.largest, shared=self.shared, leaks=self.leaks)
        coded, how = self.outcome(event), f'"{event.how}"'
        return coded._replace(text=f'[{json.dumps(event.task)},{event.attempt},"{event.state}",{coded.text},{how}]')

    def outcome(self, event: TaskEnded) -> Coded:
        """Return a task's outcome coded, by its tool's return type where it needs that."""
        value = event.outcome
        if type(value) is Coded:
            coded = value
        else:
            tool = self.facts.tools.get(self.tasks.get(event.task, ("", ""))[0])
            hint = tool.returns if tool is not None and not is_a(value, NOT_DONE) else None
            coded = encode(value, hint=hint, largest=self.largest, shared=self.shared, leaks=self.leaks)
        if id(type(value)) not in ATOMS:
            self.note(event.task, coded)
        return coded

    def note(self, name: str, coded: Coded) -> None:
        """Note what is stored, so that other values may name it instead of holding it again."""
        if coded.stored:
            self.digests[name] = coded.digest

    # ---------------------------------------------------------------- keys

    def masked(self, rows: list[Row], events: list[Event]) -> list[Row]:
        """Return rows without a piece of a key in them."""
        secrets = self.facts.secrets
        rows = self._without_split_keys(rows, events)
        texts = [value for _, values in rows for value in values if type(value) is str]
        together = "\n".join(texts)
        if mask(together, secrets) is not together:
            return [(sql, tuple(self._masked(value) for value in values)) for sql, values in rows]
        return rows

    def _masked(self, value: Any) -> Any:
        return mask(value, self.facts.secrets) if type(value) is str else value

    def leaks(self, blob: bytes | bytearray) -> bool:
        """Whether bytes hold a piece of a key."""
        return holds_key(blob, self.facts.secrets)

    def _without_split_keys(self, rows: list[Row], events: list[Event]) -> list[Row]:
        """Return rows in which a key that a model said in several pieces is masked in each of them."""
        said: dict[int, list[ModelChunk]] = {}
        for event in events:
            if isinstance(event, ModelChunk):
                said.setdefault(event.call, []).append(event)
        changed: dict[int, str] = {}
        for call, chunks in said.items():
            tail = self.tails.get(call, "")
            whole = tail + "".join(chunk.text for chunk in chunks)
            self.tails[call] = whole[-_TAIL:]
            if mask(whole, self.facts.secrets) is not whole:
                changed |= {chunk.seq: encode_fields([call, STARS]).text for chunk in chunks}
        if not changed:
            return rows
        return [
            (sql, (*values[:5], changed[values[1]], 0)) if sql is _EVENT and values[1] in changed else (sql, values)
            for sql, values in rows
        ]


def holds_key(blob: bytes | bytearray, secrets: tuple[Secret, ...]) -> bool:
    """Whether bytes hold a piece of a key."""
    text = blob.decode("latin-1")
    return mask(text, secrets) is not text


_CHECKED: Final = {_EVENT: (4, 5), _RUN: (1, 5), _INPUT: (1, 3)}
"""Statements whose rows carry a checksum, their last value, and what it is of."""


def mark(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows with their checksums."""
    for sql, values in rows:
        if sql in _CHECKED:
            first, second = _CHECKED[sql]
            yield sql, (*values[:-1], checksum(values[first], values[second]))
        else:
            yield sql, values


_MORE: Final[dict[type[Any], Callable[[Record, Any], Iterator[Row]]]] = {
    RunStarted: Record.run_rows,
    TaskPlanned: Record.planned_rows,
    TaskExpanded: Record.expanded_rows,
    TaskStarted: Record.started_rows,
    TaskRetried: Record.retried_rows,
    TaskEnded: Record.ended_rows,
    RunEnded: Record.run_ended_rows,
}
"""What events change in other tables than their own."""


def checksum(name: str, body: str) -> int:
    """Return what a row is checked by when it is read."""
    return zlib.crc32(f"{name}\0{body}".encode("utf-8", "surrogatepass"))
