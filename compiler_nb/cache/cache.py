"""What is kept: entries by key, in the memory of this process and in the history's file, if there is one.

Theory of operation
    An entry's key is a hash of all that its value follows from; two entries of one key hold the same. So it does not
    matter who has written one, or when: several processes may share a file, and memory is only asked first. Entries are
    written by the history's own thread, and read on whatever thread asks. What is wrong with the file is never a fault
    of a run: the entry is not there.
    `at` is when an entry was last used. Those that were not used for longest go first, once there are more than MOST,
    or more than LARGEST bytes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from compiler_nb.errors import HistoryError
from compiler_nb.history.file import Unmade, check_row, checksum, reading, version_of
from compiler_nb.history.history import History
from compiler_nb.history.kept import SINCE
from compiler_nb.history.rows import Sql
from compiler_nb.models.secret import Secret, mask
from compiler_nb.text import count_of
from compiler_nb.values.coded import digest_of
from compiler_nb.values.forms import expect, of_kind

MOST: Final = 20_000
"""Entries that are kept."""
LARGEST: Final = 200_000_000
"""Bytes that all entries may take."""
IN_MEMORY: Final = 50_000_000
"""Bytes of entries that are also kept in memory; without a history these are all."""
COMPARED: Final = 500
"""How many of a name's newest entries a miss is compared with."""
_AT_ONCE: Final = 500
"""Most keys of one statement: SQLite has a limit."""
_COLUMNS: Final = "key, name, at, body, crc, hits, size"
_FIND: Final = f"SELECT {_COLUMNS}, data FROM cache WHERE key IN ({{}})"  # noqa: S608 - our own names
_NAMED: Final = f"SELECT {_COLUMNS} FROM cache WHERE name = ? ORDER BY at DESC, rowid DESC LIMIT ?"  # noqa: S608 - as above
_ALL: Final = f"SELECT {_COLUMNS} FROM cache ORDER BY at DESC, rowid DESC"  # noqa: S608 - as above
_PUT: Final = "INSERT OR REPLACE INTO cache VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_HIT: Final = "UPDATE cache SET at = max(at, ?), hits = hits + 1 WHERE key = ?"
_PRUNE: Final = """
    DELETE FROM cache WHERE rowid IN (SELECT id FROM (
        SELECT rowid AS id, row_number() OVER newest AS number, sum(size) OVER newest AS total FROM cache
        WINDOW newest AS (ORDER BY at DESC, rowid DESC)
    ) WHERE number > ? OR total > ?)
"""


class Stored(NamedTuple):
    """One entry: its key, the name by which others are compared with it, what it was made of, and the value's bytes.

    about: what JSON can say; `parts` in it are digests by name; data: pieces of bytes; at: when it was last used, in
    seconds since the epoch; hits: how often it was; size: of it all.
    """

    key: str
    name: str
    about: dict[str, Any]
    data: tuple[bytes, ...] = ()
    at: float = 0.0
    hits: int = 0
    size: int = 0


class Cache:
    """What need not be worked out again; `show` says what is in it, `clear` empties it.

    history: whose file keeps it, None for the memory of this object alone; largest, most: bytes and entries kept.
    """

    def __init__(self, history: History | None = None, *, largest: int = LARGEST, most: int = MOST) -> None:
        self.history, self.largest, self.most = history, largest, most
        self._memory: OrderedDict[str, Stored] = OrderedDict()
        self._held = 0  # bytes in memory
        self._lock = threading.Lock()
        self._unpruned = 0  # entries since old ones were taken out

    # ---------------------------------------------------------------- looking

    def find(self, keys: Collection[str]) -> dict[str, Stored]:
        """Return those of these entries that exist, by key; may be called on any thread, and reads the file."""
        with self._lock:
            found = {key: self._memory[key] for key in keys if key in self._memory}
        missing = [key for key in keys if key not in found]
        with contextlib.suppress(HistoryError):
            for first in range(0, len(missing) if self._path else 0, _AT_ONCE):
                some = missing[first : first + _AT_ONCE]
                rows = self._read(_FIND.format(", ".join("?" * len(some))), some)
                found |= {each.key: each for each in _entries(rows)}
        with self._lock:
            for key in missing:
                if key in found:
                    self._remember(found[key])
        return found

    def named(self, name: str) -> list[Stored]:
        """Return the newest entries of a name, without their data; the newest is the first."""
        with self._lock:
            own = [each._replace(data=()) for each in self._memory.values() if each.name == name]
        known = {each.key: each for each in own}
        with contextlib.suppress(HistoryError):
            known |= {
                each.key: each for each in _entries(self._read(_NAMED, [name, COMPARED])) if each.key not in known
            }
        return sorted(known.values(), key=lambda each: each.at, reverse=True)[:COMPARED]

    def entries(self) -> list[Stored]:
        """Return all entries without their data, the last used first. Raises HistoryError if they cannot be read."""
        if self.history is not None:
            self.history.wait()
            return _entries(self._read(_ALL, []))
        with self._lock:
            return [each._replace(data=()) for each in reversed(self._memory.values())]

    @property
    def _path(self) -> Path | None:
        return self.history.path if self.history is not None and self.history.path.exists() else None

    def _read(self, statement: str, values: list[Any]) -> list[tuple[Any, ...]]:
        path = self._path
        if path is None:
            return []
        with contextlib.suppress(Unmade), reading(path) as connection:
            if version_of(connection) >= SINCE:
                return connection.execute(statement, values).fetchall()
        return []

    # ---------------------------------------------------------------- keeping

    def put(self, entry: Stored, secrets: Iterable[Secret] = ()) -> str:
        """Keep an entry; return why it is not kept, "" if it is."""
        body, name = json.dumps(entry.about), entry.name.encode("utf-8", "backslashreplace").decode()
        texts = "\n".join([body, name, *(each.decode("latin-1") for each in entry.data)])
        if mask(texts, secrets) != texts:
            return "it holds a key"
        size = len(body) + sum(map(len, entry.data))
        if size > self.largest // 4:
            return f"it takes {size:,} bytes, and all entries may take {self.largest:,}"
        entry = entry._replace(name=name, at=time.time(), size=size)
        with self._lock:
            self._remember(entry)
        sizes = json.dumps([len(each) for each in entry.data])
        data = b"".join([sizes.encode(), b"\n", *entry.data])
        body = json.dumps({"digest": digest_of(data), "about": entry.about})
        row = (entry.key, name, entry.at, body, checksum(entry.key, body), entry.hits, size, data)
        self._write([(_PUT, row)])
        self._unpruned += 1
        return ""

    def hit(self, keys: Iterable[str]) -> None:
        """Note that entries were used."""
        now, rows = time.time(), []
        with self._lock:
            for key in keys:
                rows.append((_HIT, (now, key)))
                if key in self._memory:
                    known = self._memory[key]
                    self._memory[key] = known._replace(at=now, hits=known.hits + 1)
                    self._memory.move_to_end(key)
        self._write(rows)

    def prune(self) -> None:
        """Take out what was not used for longest, if there is too much; to be called now and then."""
        if self._unpruned:
            self._unpruned = 0
            self._write([(_PRUNE, (self.most, self.largest))])

    def clear(self) -> int:
        """Take out everything; return how many entries that were. Raises HistoryError if the file cannot be written."""
        count = len(self.entries())
        with self._lock:
            self._memory.clear()
            self._held = 0
        if self.history is not None:
            self.history.remove("cache")
        return count

    def _remember(self, entry: Stored) -> None:
        """Keep an entry in memory; called under the lock."""
        old = self._memory.pop(entry.key, None)
        self._held += entry.size - (old.size if old is not None else 0)
        self._memory[entry.key] = entry
        most, largest = (self.most, self.largest) if self.history is None else (MOST, IN_MEMORY)
        while self._held > min(largest, IN_MEMORY) or len(self._memory) > most:
            _, gone = self._memory.popitem(last=False)
            self._held -= gone.size

    def _write(self, rows: list[Sql]) -> None:
        if self.history is not None and rows:
            self.history.write(rows)

    # ---------------------------------------------------------------- showing

    def show(self) -> str:
        """Return what is in it, in words: by what it is, how many, how large, how often used."""
        entries = self.entries()
        if not entries:
            return "the cache is empty"
        groups: dict[str, list[Stored]] = {}
        for each in entries:
            groups.setdefault(each.name, []).append(each)
        lines = [
            f"  {name}: {len(found):,}, {_bytes(found)}, {count_of(sum(each.hits for each in found), 'hit')}"
            for name, found in sorted(groups.items())
        ]
        where = self.history.path if self.history is not None else "memory, until this process ends"
        count = f"{len(entries):,} {'entry' if len(entries) == 1 else 'entries'}"
        return "\n".join([f"{count}, {_bytes(entries)} in {where}", *lines])

    def __repr__(self) -> str:
        return f"Cache({str(self.history.path) if self.history is not None else 'in memory'!r})"


def _bytes(entries: Iterable[Stored]) -> str:
    size = sum(each.size for each in entries)
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"  # noqa: PLR2004 - a tenth of a MB


def _entries(rows: Iterable[tuple[Any, ...]]) -> list[Stored]:
    """Return the entries of rows, without those that are damaged."""
    found = []
    for row in rows:
        with contextlib.suppress(HistoryError, ValueError, TypeError, KeyError, RecursionError):
            found.append(_entry(*row))
    return found


def _entry(  # noqa: PLR0917 - a row
    key: Any, name: Any, at: Any, body: Any, crc: Any, hits: Any, size: Any, data: Any = None
) -> Stored:
    check_row(key, body, crc, "an entry of the cache")
    said = json.loads(body)
    about = of_kind(dict, said["about"])
    parts = of_kind(dict, about["parts"])
    expect(all(type(each) is str for pair in parts.items() for each in pair), "an entry's parts are damaged")
    pieces: tuple[bytes, ...] = ()
    if data is not None:
        expect(digest_of(of_kind(bytes, data)) == said["digest"], "an entry's value is damaged")
        sizes, _, rest = data.partition(b"\n")
        ends = [0]
        for each in json.loads(sizes):
            ends.append(ends[-1] + of_kind(int, each))
        pieces = tuple(rest[start:end] for start, end in itertools.pairwise(ends))
    return Stored(key, of_kind(str, name), about, pieces, of_kind(float, at), of_kind(int, hits), of_kind(int, size))


def parts_of(about: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the digests of what an entry was made of, by name."""
    found: Mapping[str, str] = about["parts"]
    return found
