"""The file of a history: a SQLite database, its schema, how it is opened, and what may be wrong with it.

Schema, version 3 (`PRAGMA user_version`; `application_id` marks the file as ours):

    runs      id, question, status ("running" until its end), error, at (seconds since the epoch), parent (the run that
              it resumes or repeats), owner (host, process), settings (JSON: concurrency, limits, tools with a hash of
              their code, side effects in doubt), crc (of question and settings)
    inputs    run, name, hash (of the content, null if it has none), body (the value, coded), crc
    tasks     run, id, kind, tool, fingerprint, state ("waiting" until its end)
    attempts  run, task, attempt, started, ended (seconds since the run began), state, effects (1 if the tool has side
              effects), fingerprint (of one with side effects the digest of its tool and arguments; it is committed
              before the call begins, so one without an end is in doubt)
    events    run, seq, round, at, kind, body (the fields after `at`, coded), crc (of kind and body)
    blobs     run, owner ("seq 12", "input df"), number, data: arrays of a value
    claims    lineage (the run that others come from), run (the one of them that makes side effects), owner (host,
              process), effects (how many were begun): set with each intent; since version 2
    cache     key, name, at, body, crc, hits, size, data: answers that need not be worked out again; since version 3
    prompts   key, name, at, body, crc: saved prompts; since version 3
    cells     key, name, at, body, crc: cells of grids; since version 3

The last three do not belong to a run (kept.py). Their body is JSON, and each has its checksum (of key and body).

A newer version is refused and left alone; an older one is brought up by the scripts in MIGRATIONS, one by one, each in
a transaction.

Theory of operation
    The journal is SQLite's plain rollback journal, emptied after each commit. It works on every file system whose locks
    work, network ones too, and needs no shared memory and no lock of our own. It costs two things. A commit waits for
    the disk, under 1 ms on a local one: events are committed in groups, on a thread of their own. And a commit waits
    until nobody reads: so readers fetch all that they need at once, and close the file before they look at it.
    If a process is killed within a commit, its journal stays, and whoever opens the file next, reader or writer, takes
    the unfinished commit back. That is the one thing that a reader ever writes.
    Files from before this have a write-ahead log. The next writer switches them, unless someone else has them open;
    until then they are read and written as they are.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from compiler_nb.errors import HistoryError
from compiler_nb.text import describe_error
from compiler_nb.values.forms import expect, of_kind

LOG: Final = logging.getLogger("compiler_nb")
APPLICATION: Final = 0x636E6221
"""What marks a file as ours: "cnb!"."""
LET_GO: Final = 10.0
"""Seconds that a writer, or a reader, waits for others to let go of the file."""
_LOOK: Final = 5
"""Milliseconds after which a writer looks again whether another has let go."""
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
    "CREATE TABLE claims (lineage TEXT PRIMARY KEY, run TEXT, owner TEXT, effects INTEGER) WITHOUT ROWID;",
    """
    CREATE TABLE cache (key TEXT PRIMARY KEY, name TEXT, at REAL, body TEXT, crc INTEGER, hits INTEGER, size INTEGER,
        data BLOB);
    CREATE TABLE prompts (key TEXT PRIMARY KEY, name TEXT, at REAL, body TEXT, crc INTEGER);
    CREATE TABLE cells (key TEXT PRIMARY KEY, name TEXT, at REAL, body TEXT, crc INTEGER);
    CREATE INDEX cache_name ON cache (name, at);
    CREATE INDEX cache_at ON cache (at);
    CREATE INDEX prompts_name ON prompts (name, at);
    CREATE INDEX cells_name ON cells (name, at);
    """,
)
VERSION: Final = len(MIGRATIONS)
_FIRST: Final = frozenset({"runs", "inputs", "tasks", "attempts", "events", "blobs"})
OF_RUNS: Final = _FIRST | {"claims"}
"""Tables whose rows belong to a run, and go with it."""
TABLES: Final = OF_RUNS | {"cache", "prompts", "cells"}


class Unmade(HistoryError):
    """The file has no tables yet: whoever made it was stopped before."""


class File:
    """A connection that writes; made, used and closed on one thread. Raises HistoryError if the file cannot be used.

    wait: seconds that it waits for others to let go of the file.
    """

    def __init__(self, path: Path, *, wait: float = LET_GO) -> None:
        self.path, self.wait = path, wait
        with naming(path, "cannot be written"):
            _make_private(path)
            self.connection = sqlite3.connect(path, timeout=wait, isolation_level=None, cached_statements=64)
            try:
                self._prepare()
            except BaseException:
                self.connection.close()
                raise
            self._identity = _identity(path)

    def _prepare(self) -> None:
        run = self.connection.execute
        # first of all: the settings below would already change another program's database
        check_ours(self.connection, self.path)
        run("PRAGMA trusted_schema=OFF")
        run("PRAGMA auto_vacuum=INCREMENTAL")  # of a new file: space can be given back piece by piece
        with contextlib.suppress(sqlite3.OperationalError):  # of an earlier file that someone else has open
            run("PRAGMA journal_mode=TRUNCATE")
        run("PRAGMA synchronous=FULL")  # what is committed survives a loss of power
        if version_of(self.connection) < VERSION:
            with self._transaction():
                for number in range(version_of(self.connection), VERSION):  # asked again: two processes may be here
                    for statement in filter(str.strip, MIGRATIONS[number].split(";")):
                        run(statement)
                run(f"PRAGMA application_id={APPLICATION}")
                run(f"PRAGMA user_version={VERSION}")

    def _begin(self) -> None:
        """Wait for our turn to write: SQLite's own waiting looks ever less often, and starves beside a busy writer."""
        until = time.monotonic() + self.wait
        self.connection.execute(f"PRAGMA busy_timeout={_LOOK}")
        try:
            while True:
                try:
                    self.connection.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > until:
                        raise
                else:
                    return
        finally:
            self.connection.execute(f"PRAGMA busy_timeout={int(1_000 * self.wait)}")  # until the readers are gone

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._begin()
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")
            raise

    def write(self, rows: Iterable[tuple[str, tuple[Any, ...]]]) -> None:
        """Commit statements with their values together; returns once the disk has them."""
        with self._named(), self._transaction():
            for statement, values in rows:
                self.connection.execute(statement, values)

    def give_back(self) -> bool:
        """Give a piece of what is free in the file back to the disk; return whether there is more."""
        run = self.connection.execute
        with self._named():
            if run("PRAGMA auto_vacuum").fetchone()[0] == 0:  # a file from before it was asked for
                run("PRAGMA auto_vacuum=INCREMENTAL")
                run("VACUUM")
            with self._transaction():
                before = self._free()
                run(f"PRAGMA incremental_vacuum({_PIECE})").fetchall()
                return 0 < self._free() < before

    def _free(self) -> int:
        return int(self.connection.execute("PRAGMA freelist_count").fetchone()[0])

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Name the file in what goes wrong during the block, and refuse another file at its path."""
        with naming(self.path, "cannot be written"):
            expect(
                _identity(self.path) == self._identity,
                f"the history {self.path} was deleted or replaced while it was in use",
            )
            yield

    def close(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()


def _make_private(path: Path) -> None:
    """Make the file, and its folder if there is none, readable by the user alone; so is a file that is still empty."""
    path = path.resolve()  # a link may lead to where no file is yet
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # never opened if it is there: to close it would undo SQLite's locks
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    found = path.stat()
    if found.st_size == 0 and found.st_mode & 0o077:
        try:
            path.chmod(0o600)
        except OSError as error:
            LOG.warning("others can read the history %s, and that cannot be changed: %s", path, error)


def _identity(path: Path) -> tuple[int, int]:
    """Return which file lies at a path."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that only reads; everything that goes wrong in the block is a HistoryError.

    A writer waits meanwhile: fetch in the block, and look at it afterwards.
    """
    with naming(path, "cannot be read"):
        expect(path.is_file(), f"there is no history {path}")
        connection = _open_to_read(path)
        try:
            check_ours(connection, path)
            if version_of(connection) == 0:
                raise Unmade(f"the history {path} holds no runs yet")
            yield connection
        finally:
            connection.close()


_OTHERWISE: Final = {"SQLITE_READONLY_ROLLBACK": "rw", "SQLITE_CANTOPEN": "ro&immutable=1"}
"""How a file is opened if it cannot be opened to be read only: to take back a commit that was cut off; as one that
nobody changes, if it has a write-ahead log and lies in a folder that cannot be written."""


def _open_to_read(path: Path, mode: str = "ro") -> sqlite3.Connection:
    address = f"file:{quote(str(path.resolve()))}?mode={mode}"
    connection = sqlite3.connect(address, uri=True, timeout=LET_GO, isolation_level=None)
    try:
        connection.executescript("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA query_only=ON")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        other = _OTHERWISE.get(error.sqlite_errorname, "")
        if mode != "ro" or not other or ("immutable" in other and os.access(path.parent, os.W_OK)):
            raise
        return _open_to_read(path, other)
    return connection


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
    """Raise HistoryError if a file is another program's, of a newer version, or does not have our tables."""
    version = version_of(connection)  # first of all: another process may bring the file up meanwhile
    found = connection.execute("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'").fetchall()
    if not found:
        return
    expect(
        connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION,
        f"{path} is a database of another program; it is left as it is",
    )
    expect(version <= VERSION, f"the history {path} is of version {version}, which a newer compiler_nb has written; "
           f"this one knows {VERSION}; it is left as it is")  # fmt: skip
    expect(
        {("table", name) for name in (TABLES if version == VERSION else _FIRST)} <= set(found)
        and {kind for kind, _ in found} <= {"table", "index"},
        f"the history {path} does not have our tables; it is left as it is",
    )


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the schema, 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_row(name: Any, body: Any, crc: Any, what: str) -> None:
    """Raise HistoryError if the two texts of a row are not those that were written; what: names the row."""
    expect(checksum(of_kind(str, name), of_kind(str, body)) == crc, f"{what} is damaged")


def checksum(name: str, body: str) -> int:
    """Return the checksum of a row's two texts."""
    return zlib.crc32(f"{name}\0{body}".encode("utf-8", "surrogatepass"))
