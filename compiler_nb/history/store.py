"""The file of a history: a SQLite database, its schema, how it is opened, and what may be wrong with it.

Schema, version 1 (`PRAGMA user_version`; `application_id` says that the file is ours):

    runs      id, question, status ("running" until its end), error, at (seconds since the epoch), parent (the run that
              it resumes or repeats), owner (host, process), settings (JSON: concurrency, limits, tools with a hash of
              their code, side effects in doubt), crc (of question and settings)
    inputs    run, name, hash (of the content, null where it has none), body (the value, coded), crc
    tasks     run, id, kind, tool, fingerprint, state ("waiting" until its end)
    attempts  run, task, attempt, started, ended (seconds since the run began), state, effects (1 where the tool has
              side effects), fingerprint: one with side effects is committed before it begins, so one without an end is
              in doubt
    events    run, seq, round, at, kind, body (the fields after `at`, coded), crc (of kind and body)
    blobs     run, owner ("seq 12", "input df"), number, data: tables and arrays of a value

A newer version is refused and left alone; an older one is brought up by the scripts in MIGRATIONS, one by one, each in
a transaction. Readers take a connection of their own that cannot write, nor bring a write-ahead log into the file; who
writes does so alone, by a lock (lock.py).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from compiler_nb.errors import HistoryError
from compiler_nb.history.lock import FolderLock
from compiler_nb.history.place import filesystem, identity, journal_mode, make_private
from compiler_nb.text import describe_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

APPLICATION: Final = 0x636E6221
"""What marks a file as ours: "cnb!"."""
BUSY: Final = 10.0
"""Seconds that a writer waits for another process to let go of the file."""
_LAST_WAIT: Final = 1.0
"""Seconds that closing waits at most."""
_PIECE: Final = 1_000
"""Pages that are given back at once."""
MIGRATIONS: Final = (
    """
    CREATE TABLE runs (id TEXT PRIMARY KEY, question TEXT, status TEXT, error TEXT, at REAL, parent TEXT, owner TEXT,
        settings TEXT, crc INTEGER) WITHOUT ROWID;
    CREATE TABLE inputs (run TEXT, name TEXT, hash TEXT, body TEXT, crc INTEGER, PRIMARY KEY (run, name)) WITHOUT ROWID;
    CREATE TABLE tasks (run TEXT, id TEXT, kind TEXT, tool TEXT, fingerprint TEXT, state TEXT, PRIMARY KEY (run, id))
        WITHOUT ROWID;
    CREATE TABLE attempts (run TEXT, task TEXT, attempt INTEGER, started REAL, ended REAL, state TEXT, effects INTEGER,
        fingerprint TEXT, PRIMARY KEY (run, task, attempt)) WITHOUT ROWID;
    CREATE TABLE events (run TEXT, seq INTEGER, round INTEGER, at REAL, kind TEXT, body TEXT, crc INTEGER,
        PRIMARY KEY (run, seq)) WITHOUT ROWID;
    CREATE TABLE blobs (run TEXT, owner TEXT, number INTEGER, data BLOB, PRIMARY KEY (run, owner, number));
    CREATE INDEX runs_at ON runs (at);
    CREATE INDEX runs_parent ON runs (parent);
    """,
)
VERSION: Final = len(MIGRATIONS)
TABLES: Final = frozenset({"runs", "inputs", "tasks", "attempts", "events", "blobs"})


class Unmade(HistoryError):
    """The file has no tables yet: who made it was stopped before."""


class Store:
    """A connection that writes; made, used and closed on one thread. Raises HistoryError where the file will not do.

    busy: seconds that it waits for another process to let go of the file.
    """

    def __init__(self, path: Path, *, busy: float = BUSY) -> None:
        self.path, self.busy = path, busy
        with naming(path, "cannot be written"):
            make_private(path)
            self.lock = FolderLock(path.resolve().parent)
            with self.lock.held(busy):
                self.connection = sqlite3.connect(path, timeout=busy, isolation_level=None, cached_statements=64)
                try:
                    self._prepare()
                except BaseException:
                    self.connection.close()
                    raise
            self._identity = identity(path)

    def _prepare(self) -> None:
        run = self.connection.execute
        check_ours(self.connection, self.path)
        run("PRAGMA trusted_schema=OFF")
        run("PRAGMA auto_vacuum=INCREMENTAL")  # of a new file: space can be given back piece by piece
        self._set_mode()
        run("PRAGMA synchronous=NORMAL")
        if version_of(self.connection) < VERSION:
            run("BEGIN IMMEDIATE")  # two processes may be here at once
            try:
                for number in range(version_of(self.connection), VERSION):
                    for statement in filter(str.strip, MIGRATIONS[number].split(";")):
                        run(statement)
                run(f"PRAGMA application_id={APPLICATION}")
                run(f"PRAGMA user_version={VERSION}")
            except BaseException:
                run("ROLLBACK")
                raise
            run("COMMIT")

    def _set_mode(self) -> None:
        """Take a write-ahead log where one works and is safe, else the rollback journal."""
        wanted = journal_mode(filesystem(self.path), sqlite3.sqlite_version_info, locks=self.lock.works)
        for mode in dict.fromkeys((wanted, "DELETE")):
            with contextlib.suppress(sqlite3.OperationalError):
                if self.connection.execute(f"PRAGMA journal_mode={mode}").fetchone()[0] == mode.lower():
                    return

    def write(self, rows: Iterable[tuple[str, tuple[Any, ...]]], *, full: bool = False) -> None:
        """Commit statements with their values together; `full` waits until the disk has them, against a power loss."""
        run = self.connection.execute
        with self._alone():
            run(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
            run("BEGIN IMMEDIATE")
            try:
                for statement, values in rows:
                    run(statement, values)
                run("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    run("ROLLBACK")
                raise

    def give_back(self) -> bool:
        """Give a piece of what is free in the file back to the disk; return whether there is more."""
        run = self.connection.execute
        with self._alone():
            if run("PRAGMA auto_vacuum").fetchone()[0] == 0:  # a file from before it was asked for
                run("PRAGMA auto_vacuum=INCREMENTAL")
                run("VACUUM")
            before = self._free()
            self.connection.executescript(f"PRAGMA incremental_vacuum({_PIECE})")  # `execute` would do one page
            more = 0 < self._free() < before
            if not more:
                run("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return more

    def _free(self) -> int:
        return int(self.connection.execute("PRAGMA freelist_count").fetchone()[0])

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep the others of us from writing during the block, in the file that was opened."""
        with naming(self.path, "cannot be written"), self.lock.held(self.busy):
            if identity(self.path) != self._identity:
                raise HistoryError(f"the history {self.path} was deleted or replaced while it was in use")
            yield

    def close(self) -> None:
        """Let go of the file; its log is brought into it, or left beside it where another process is writing."""
        try:
            with self.lock.held(min(self.busy, _LAST_WAIT)):
                self._close()
        except TimeoutError:
            with contextlib.ExitStack() as stack:
                with contextlib.suppress(sqlite3.Error, OSError, HistoryError):  # the file may be gone
                    stack.enter_context(contextlib.closing(_open_to_read(self.path)))  # the last brings in the log
                self._close()
        except OSError:  # the folder is gone
            self._close()

    def _close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that only reads; everything that goes wrong in the block is a HistoryError."""
    with naming(path, "cannot be read"):
        if not path.is_file():
            raise HistoryError(f"there is no history {path}")
        connection = _open_to_read(path)
        try:
            check_ours(connection, path)
            if version_of(connection) == 0:
                raise Unmade(f"the history {path} holds no runs yet")
            if version_of(connection) < VERSION:
                raise HistoryError(f"the history {path} is of an older version, and is brought up by the next run")
            yield connection
        finally:
            connection.close()


def _open_to_read(path: Path) -> sqlite3.Connection:
    """Return a connection; in a folder that cannot be written it takes the file as one that nobody changes."""
    address = f"file:{quote(str(path.resolve()))}"
    for more in ("?mode=ro", "?mode=ro&immutable=1"):
        connection = sqlite3.connect(address + more, uri=True, timeout=BUSY, isolation_level=None)
        try:
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA cell_size_check=ON")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            if "immutable" in more or os.access(path.parent, os.W_OK):
                raise
        else:
            return connection
    raise HistoryError(f"the history {path} cannot be read")


@contextlib.contextmanager
def naming(path: Path, what: str) -> Iterator[None]:
    """Turn whatever goes wrong in the block into a HistoryError that names the file."""
    try:
        yield
    except HistoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file may raise anything
        raise HistoryError(f"the history {path} {what}: {_reason(error)}; it is left as it is") from None


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text[:200] if isinstance(error, sqlite3.Error | OSError) else describe_error(error)[:200]


def check_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Raise HistoryError for a database of another program, of a newer version, or one that is none of the schema."""
    found = connection.execute("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'").fetchall()
    if not found:
        return
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        raise HistoryError(f"{path} is a database of another program; it is left as it is")
    version = version_of(connection)
    if version > VERSION:
        raise HistoryError(
            f"the history {path} is of version {version}, which a newer compiler_nb has written; this one knows "
            f"{VERSION}; it is left as it is"
        )
    tables = {name for kind, name in found if kind == "table"}
    if not tables >= TABLES or any(kind not in ("table", "index") for kind, _ in found):
        raise HistoryError(f"the history {path} has other tables than ours; it is left as it is")


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the schema, 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
