"""One at a time: an advisory lock among our own processes, on the folder that a history lies in.

SQLite before 3.51.3 may damage a file with a write-ahead log where two connections write to it, or bring the log into
it, at the same moment. So whoever writes, brings in the log, or closes (which does that) holds this lock meanwhile. It
is on the folder, for a second descriptor on the database would, once closed, take SQLite's own locks away. The
operating system gives it back when a process dies.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SAFE: Final = (3, 51, 3)
"""The version of SQLite from which a write-ahead log is safe without the lock."""
_SHORTEST, _LONGEST = 0.000_5, 0.01
"""Seconds between two tries: there is no way to wait for the lock for a while only."""

_fcntl: Any
try:
    _fcntl = importlib.import_module("fcntl")
except ImportError:  # Windows
    _fcntl = None


class FolderLock:
    """The lock of a folder; `works` says whether there is one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.works = False
        if _fcntl is not None:
            with contextlib.suppress(OSError):
                self._try()

    def _try(self) -> None:
        with self._descriptor() as descriptor, contextlib.suppress(BlockingIOError):
            _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
            _fcntl.flock(descriptor, _fcntl.LOCK_UN)
        self.works = True

    @contextlib.contextmanager
    def _descriptor(self) -> Iterator[int]:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """Hold the lock during the block, or nothing where there is none; raises TimeoutError after `seconds`."""
        if not self.works:
            yield
            return
        with self._descriptor() as descriptor:
            self._take(descriptor, time.monotonic() + seconds)
            try:
                yield
            finally:
                _fcntl.flock(descriptor, _fcntl.LOCK_UN)  # said aloud: a forked child may have the descriptor still

    def _take(self, descriptor: int, until: float) -> None:
        pause = _SHORTEST
        while True:
            try:
                _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise TimeoutError(f"another process has been writing in {self.folder} all the time") from None
                time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that no two wait in step
                pause = min(2 * pause, _LONGEST)
            else:
                return
