"""History: what is kept of runs in a file, and the way back from there to a Run; and Keeper, which has one run kept."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import weakref
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from os import PathLike
from pathlib import Path
from typing import Any, Final, Self

from compiler_nb.errors import HistoryError, RunClaimed
from compiler_nb.events import Event, TaskApproved, Warned
from compiler_nb.history import claims, listing, reader
from compiler_nb.history.file import LOG
from compiler_nb.history.kept import Kept, KeptIn, kept_prompt, read, removal, rows_of, saved_of
from compiler_nb.history.listing import COLUMNS, StoredRun, row_of
from compiler_nb.history.rows import Sql
from compiler_nb.history.writer import WriterThread
from compiler_nb.models.providers import known_secrets
from compiler_nb.models.secret import Secret
from compiler_nb.plan.task import Task
from compiler_nb.prompts.saved import SavedPrompt
from compiler_nb.run import Run
from compiler_nb.settings.order import Claim
from compiler_nb.text import describe_error
from compiler_nb.trace import Facts
from compiler_nb.values.coded import LARGEST

NOT_KEPT: Final = "this run is not kept"
"""The beginning of the warning that a run is not kept."""
INTENDED_WITHIN: Final = 12.0
"""Seconds that a side effect waits until it is noted: another process may hold the file for a while."""
WRITTEN_WITHIN: Final = 2.0
"""Seconds that the end of a run, or a reader, waits for what this process still has to write."""
CODED_WITHIN: Final = 20.0
"""Seconds that the end of a run waits if a value of it takes so long to be coded: a figure of a million points."""


class History:
    """A file in which runs are kept as they happen, with what their tasks returned; several processes may share it.

    path: a SQLite database, made for the user alone if there is none; largest: bytes that one value may take, a larger
    one is not stored and says so. Nothing that goes wrong with the file stops a run: it costs a warning.
    """

    def __init__(self, path: str | PathLike[str], *, largest: int = LARGEST) -> None:
        self.path = Path(path).expanduser().absolute()
        self.largest = largest
        self._writer = WriterThread(self.path, largest)
        _OPEN.add(self)

    def runs(self) -> list[StoredRun]:
        """Return the runs, the newest first. Raises HistoryError if the file cannot be read."""
        alive = self._catch_up()  # which may make the file
        return listing.read_runs(self.path, alive) if self.path.exists() else []

    def facts(self, run_ids: Iterable[str]) -> dict[str, Facts]:
        """Return models, tokens, dollars and answers of runs, by id. Raises HistoryError if the file cannot be read."""
        self._catch_up()
        return reader.facts(self.path, run_ids) if self.path.exists() else {}

    def to_pandas(self) -> Any:
        """Return a DataFrame with a row per run, the newest first.

        Its columns: run (its id), at (local time), status, question, answer, model (all that were asked), tasks,
        tokens, cost (dollars, missing if a price is not known), seconds. Raises HistoryError if the file cannot be
        read.
        """
        import pandas as pd  # noqa: PLC0415 - an extra

        runs = self.runs()
        known = self.facts([run.id for run in runs])
        return pd.DataFrame([row_of(run, known.get(run.id, Facts())) for run in runs], columns=list(COLUMNS))

    def load(self, run_id: str, tools: Iterable[Any] | Mapping[str, Any] = ()) -> Run:
        """Return a stored run, finished or broken off, from its events; no code is run for that.

        tools: by whose return types values of the user's own classes are made again; without them those are NotStored.
        Raises HistoryError if there is no such run, or the file is damaged.
        """
        return reader.load(self.path, run_id, tools, alive=self._catch_up())

    def prune(self, keep: int) -> int:
        """Remove all runs but the newest ones and those that are being written; return how many were removed.

        keep: the runs that stay, 0 or more. What is removed is forgotten, and its space given back. Raises ValueError
        if it is not such a number, HistoryError if the file cannot be written.
        """
        if type(keep) is not int or keep < 0:
            raise ValueError(f"keep must be the number of runs that stay, 0 or more, not {keep!r}")
        alive = self._catch_up()
        return listing.prune(self.path, keep, alive) if self.path.exists() else 0

    def returned(self, tools: Mapping[str, tuple[str, Any]]) -> list[tuple[str, Any]]:
        """Return what tools returned in the newest runs, as far as it is stored and not large: names and values.

        tools: the hash of its code and its return type, by name. An empty list if the file cannot be read.
        """
        try:
            return reader.returned(self.path, tools) if self.path.exists() else []
        except HistoryError:  # a run that is kept in this file says so, with a warning
            return []

    def used(self) -> dict[str, int]:
        """Return how many tasks of the newest runs called each tool; an empty dict if the file cannot be read."""
        try:
            return reader.used(self.path) if self.path.exists() else {}
        except HistoryError:  # a run that is kept in this file says so, with a warning
            return {}

    def lineage(self, run_id: str, tools: Iterable[Any] | Mapping[str, Any] = ()) -> list[Run]:
        """Return the runs that have begun side effects of those that a run comes from or that come from it, and itself.

        The oldest is the first; tools, errors: as for `load`.
        """
        alive = self._catch_up()
        ids = reader.lineage(self.path, run_id) if self.path.exists() else []
        return [reader.load(self.path, each, tools, alive=alive) for each in ids]

    def claim_on(self, run_id: str, *, take: bool = False) -> Claim | None:
        """Return the claim on a run's lineage, None if there is none; to be asked before `lineage`.

        take: whether to take it from a process that cannot be asked. Raises RunClaimed if another run holds it.
        """
        alive = self._catch_up()
        return claims.look(self.path, run_id, alive, take=take) if self.path.exists() else None

    def refusal(self, run_id: str) -> str:
        """Return why a run that is being written makes no further side effect, "" if it may."""
        known = self._writer.runs.get(run_id)
        return known.refusal if known is not None else ""

    def put(self, table: KeptIn, rows: Iterable[Kept], secrets: Iterable[Secret] = ()) -> None:
        """Keep rows in a table beside the runs, and wait until the disk has them; a key that is there is replaced.

        secrets: keys, which never get into the file. Raises HistoryError if they cannot be written.
        """
        self._write(rows_of(table, rows, secrets))

    def get(self, table: KeptIn, *, key: str = "", name: str = "") -> list[Kept]:
        """Return a row of such a table, those of a name, or all, the newest first.

        Raises HistoryError if the file cannot be read, or one of the rows is damaged.
        """
        self._catch_up()  # which may make the file
        return read(self.path, table, key=key, name=name) if self.path.exists() else []

    def remove(self, table: KeptIn, *, key: str = "", name: str = "") -> None:
        """Remove a row of such a table, those of a name, or all. Raises HistoryError if the file cannot be written."""
        if self.path.exists():
            self._write(removal(table, key=key, name=name))

    def prompts(self, role: str = "", name: str = "") -> list[SavedPrompt]:
        """Return all versions of saved prompts, or those of a role and a name, the newest first.

        Raises HistoryError if the file cannot be read, or one of them is damaged.
        """
        return [saved_of(each) for each in self.get("prompts", name=f"{role} {name}" if name else "")]

    def keep_prompt(self, saved: SavedPrompt) -> None:
        """Keep a saved prompt; if that version is there already, it becomes the newest.

        Raises HistoryError if the file cannot be written.
        """
        self.put("prompts", [kept_prompt(saved)], known_secrets())

    def write(self, rows: list[Sql]) -> None:
        """Have rows written that belong to no run; neither wait for that nor say whether it could be done."""
        self._writer.write(rows, lambda _: None)

    def wait(self) -> None:
        """Wait until what this process has to write is written, for two seconds at most."""
        self._catch_up()

    def _write(self, rows: list[Sql]) -> None:
        told: Future[str] = Future()
        self._writer.write(rows, told.set_result, urgent=True)
        try:
            fault = told.result(INTENDED_WITHIN)
        except TimeoutError:
            fault = f"nothing was written to the history {self.path} for {INTENDED_WITHIN:g} s"
        if fault:
            raise HistoryError(fault)

    def _catch_up(self) -> set[str]:
        """Wait until what came so far is written; return the ids of the runs that this process is writing."""
        self._writer.wait(WRITTEN_WITHIN)
        return {run for history in list(_OPEN) for run in list(history._writer.runs)}  # noqa: SLF001 - our own

    def begin(self, run: Run, lost: Callable[[str], None]) -> Callable[[Event], None]:
        """Take a run to be kept; return the listener for its log.

        lost: called on another thread, with the reason, if no more of it can be kept.
        """
        return self._writer.begin(run, lost)

    def coded(self, run: str) -> tuple[int, bool]:
        """Return how many events of a run are coded, and whether one is being coded."""
        known = self._writer.runs.get(run)
        return (known.coded, known.coding) if known is not None else (0, False)

    def flush(self, run: str, tell: Callable[[bool], None]) -> None:
        """Commit what came of a run so far; `tell` is called on another thread, with whether that was done."""
        self._writer.flush(run, tell)

    def close(self) -> None:
        """Write what came so far and let go of the file; runs that go on are not kept from here on."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"History({str(self.path)!r})"


_OPEN: Final[weakref.WeakSet[History]] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for history in list(_OPEN):
        history.close()


def open_history(given: object) -> History | None:
    """Return the history that an argument means: a History, a path, or None. Raises ValueError for anything else."""
    if given is None or isinstance(given, History):
        return given
    if isinstance(given, str | Path) and str(given):
        return History(given)
    raise ValueError(f"history must be a History, a path, or None, not {given!r}")


class Keeper:
    """Has one run kept while it goes on; made on the run's loop, before its first event."""

    def __init__(self, history: History, run: Run) -> None:
        self.history, self.run = history, run
        self.loop = asyncio.get_running_loop()
        self.fault = ""
        self._listener = history.begin(run, self._lost)
        run.log.listeners.append(self._listener)

    def _lost(self, reason: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the run is over
            self.loop.call_soon_threadsafe(self.lose, reason)

    def lose(self, reason: str) -> None:
        """Warn once that the run is not kept, and why."""
        if self.fault:
            return
        self.fault = reason
        if self.run.status == "running":
            self.run.log.emit(Warned, "", f"{NOT_KEPT}: {reason}")
        else:
            LOG.warning("the end of the run %s is not kept: %s", self.run.id, reason)

    async def committed(self, seconds: float = WRITTEN_WITHIN) -> bool:
        """Wait until all that happened so far is stored; return whether it is.

        It is not if the writer makes no progress for `seconds`, unless it works on a value that takes long.
        """
        log = self.run.log
        if not any(each is self._listener for each in log.listeners):  # the log drops one that raises
            self.lose("; ".join(map(describe_error, log.broken[:3])) or "its events do not reach the history anymore")
        if self.fault:
            return False
        stored: Future[bool] = Future()

        def tell(done: bool) -> None:  # noqa: FBT001 - the one thing to say
            if stored.set_running_or_notify_cancel():  # false if nobody waits anymore: the time is up, or the run over
                stored.set_result(done)

        self.history.flush(self.run.id, tell)
        waiting, waited, before = asyncio.wrap_future(stored), 0.0, None
        try:
            while True:
                coded = self.history.coded(self.run.id)
                waited = waited + seconds if coded == before else 0.0
                before = coded
                if waited >= (CODED_WITHIN if coded[1] else seconds):
                    break
                await asyncio.wait({waiting}, timeout=seconds)
                if waiting.done():
                    return waiting.result()
        finally:
            waiting.cancel()  # nobody hears a report that comes later
        self.lose(f"{self.history.path} is slow or locked: nothing was written for {seconds:g} s")
        return False

    async def intend(self, task: Task) -> bool:
        """Note that a side effect is about to begin; return whether it may: that is noted, or the user approved it.

        Raises RunClaimed if another run makes those of its lineage.
        """
        noted = await self.committed(INTENDED_WITHIN)
        if noted and (refusal := self.history.refusal(self.run.id)):
            raise RunClaimed(refusal)
        return noted or any(
            type(event) is TaskApproved and event.task == task.id and event.approved and event.by != "rule"
            for event in self.run.log.events
        )
