"""The thread that writes a history: events go into a queue, groups of them into one transaction each.

Theory of operation
    The listener of a run's log puts events into the queue, with copies of what may change in them (copies.py). The
    thread takes what has come within GROUP seconds, codes it, masks keys, and commits it; a flush
    wakes it, and the group is committed at once.
    Whatever goes wrong with the file is a fault of the runs that are being written: each hears it once, the rest of its
    events is dropped, and the next run tries the file again.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from compiler_nb.errors import HistoryError
from compiler_nb.events import Event, RunEnded
from compiler_nb.history.file import File
from compiler_nb.history.rows import RunRows, Sql
from compiler_nb.run import Run
from compiler_nb.text import describe_error
from compiler_nb.values.coded import LARGEST

GROUP: Final = 0.02
"""Seconds within which events are committed together."""


class Flush(NamedTuple):
    """Asks for a commit of what came before; `tell` is called with whether it was made."""

    run: str
    tell: Callable[[bool], None]


class Beside(NamedTuple):
    """Rows that belong to no run; `tell` is called with the reason if they cannot be written, "" once they are."""

    rows: list[Sql]
    tell: Callable[[str], None]


class WriterThread:
    """Writes the runs of one process to one file, on a thread that starts with the first of them."""

    def __init__(self, path: Path, largest: int = LARGEST) -> None:
        self.path, self.largest = path, largest
        self.runs: dict[str, RunRows] = {}  # those that are being written
        self.file: File | None = None
        self.closed = False
        # a SimpleQueue may be put to within a signal handler or a finalizer; a Queue's own lock would block there
        self._queue: queue.SimpleQueue[Event | Flush | Beside | None] = queue.SimpleQueue()
        self._urgent = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def begin(self, run: Run, lost: Callable[[str], None]) -> Callable[[Event], None]:
        """Take a run to be written; return the listener for its log.

        `lost` is called once at most: on the writer's thread, or at once if that cannot start.
        """
        with self._lock:
            if fault := self._start():
                lost(fault)
                return lambda event: None
            self.runs[run.id] = rows = RunRows(run, lost, self.largest, self._queue.put)
        return rows.snapshots.listen

    def write(self, rows: list[Sql], tell: Callable[[str], None], *, urgent: bool = False) -> None:
        """Take rows that belong to no run; `tell` is called as Beside says, on the thread, or at once if it has none.

        urgent: whether they are committed at once.
        """
        with self._lock:
            fault = f"the history {self.path} was closed" if self.closed else self._start()
            if not fault:
                self._queue.put(Beside(rows, tell))
        if fault:
            tell(fault)
        elif urgent:
            self._urgent.set()

    def _start(self) -> str:
        """Start the thread if it does not run; return why it cannot be started, "" if it runs."""
        if self._thread is not None and not self._thread.is_alive():
            self._forget()
        if self._thread is None and not self.closed:
            thread = threading.Thread(target=self._serve, name="compiler_nb-history", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # in a browser, or if there are too many
                return f"no thread can be started to write {self.path}: {error}"
            self._thread = thread
        return ""

    def flush(self, run: str, tell: Callable[[bool], None]) -> None:
        """Commit at once what came before, and call `tell`, on the thread, with whether it was written."""
        if self._thread is None or not self._thread.is_alive():
            tell(False)  # noqa: FBT003 - the one thing to say
            return
        self._queue.put(Flush(run, tell))
        self._urgent.set()

    def wait(self, seconds: float) -> bool:
        """Wait until all that came before is written; return whether that was within `seconds`."""
        done = threading.Event()
        self.flush("", lambda _: done.set())
        return done.wait(seconds)

    def close(self, seconds: float = 2.0) -> None:
        """Write what came before and let go of the file, within `seconds`."""
        with self._lock:
            thread, self._thread, self.closed = self._thread, None, True
        if thread is not None:
            self._queue.put(None)
            self._urgent.set()
            thread.join(seconds)
        self.runs.clear()

    def _forget(self) -> None:
        """Give up the work of a thread that has ended, by an error, or because this is a forked process."""
        self._fail("the thread that wrote it has ended")
        self.runs.clear()
        self._queue, self._thread = queue.SimpleQueue(), None

    # ---------------------------------------------------------------- the thread

    def _serve(self) -> None:
        going = True
        try:
            while going:
                group = [self._queue.get()]
                self._urgent.wait(GROUP)
                self._urgent.clear()
                with contextlib.suppress(queue.Empty):
                    while True:
                        group.append(self._queue.get_nowait())
                going = None not in group
                self._commit([each for each in group if each is not None])
                group.clear()  # or values of a run that is over would live until the next one
        finally:
            self._let_go()

    def _commit(self, group: list[Event | Flush | Beside]) -> None:
        events = [each for each in group if not isinstance(each, Flush | Beside)]
        beside, fault = [each for each in group if isinstance(each, Beside)], ""
        try:
            rows = list(self._rows(events))
            if rows or beside:
                file = self.file = self.file or File(self.path)
                written = (row for known, own in rows for row in known.claimed(own, file.connection))
                file.write(itertools.chain(written, (row for each in beside for row in each.rows)))
        except HistoryError as error:
            fault = str(error)
        except BaseException as error:  # noqa: BLE001 - whatever a value's methods raise, the thread goes on
            fault = f"the history {self.path} cannot be written: {describe_error(error)}"
        if fault:
            self._fail(fault)
        for each in group:
            if isinstance(each, Flush):
                known = self.runs.get(each.run)
                each.tell(known is not None and not known.fault)
            elif isinstance(each, Beside):
                each.tell(fault)
        for event in events:
            if isinstance(event, RunEnded):
                self.runs.pop(event.run, None)

    def _let_go(self) -> None:
        file, self.file = self.file, None
        if file is not None:
            file.close()

    def _fail(self, reason: str) -> None:
        """Tell all runs that are being written that they are not anymore; the next one opens the file again."""
        self._let_go()
        for known in list(self.runs.values()):
            if not known.fault:
                known.fault = reason
                known.lost(reason)

    def _rows(self, events: Iterable[Event]) -> Iterator[tuple[RunRows, list[Sql]]]:
        """Yield the runs that events are of, and the rows that these make."""
        by_run: dict[str, list[Event]] = {}
        for event in events:
            by_run.setdefault(event.run, []).append(event)
        for run, own in by_run.items():
            known = self.runs.get(run)
            if known is not None and not known.fault:
                yield known, list(known.rows(own))
