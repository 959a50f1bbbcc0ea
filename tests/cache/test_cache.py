"""What is kept: bounded in memory and in the file, the last used stays, and what is damaged is not there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from compiler_nb import History
from compiler_nb.cache import Cache, Stored
from compiler_nb.errors import HistoryError
from compiler_nb.models.secret import Secret


def entry(number: int, data: bytes = b"value", **parts: str) -> Stored:
    """Return an entry."""
    return Stored(
        f"k{number}", "values of f", {"parts": {"n": str(number), **parts}, "run": "r"}, (data, b"", b"\0\xff")
    )


@pytest.fixture(params=["memory", "file"])
def caches(request, tmp_path):
    """Return what makes a cache anew, in memory or in a file, as another process does."""
    if request.param == "memory":
        cache = Cache(largest=100_000, most=10)
        yield lambda: cache
        return
    histories: list[History] = []

    def make() -> Cache:
        for each in histories:
            each.wait()
        histories.append(History(tmp_path / "runs.db"))
        return Cache(histories[-1], largest=100_000, most=10)

    yield make
    for each in histories:
        each.close()


def numbers(cache: Cache) -> list[int]:
    """Return which entries there are, the last used first."""
    return [int(each.key[1:]) for each in cache.entries()]


def test_an_entry_is_found_by_its_key(caches):
    """With all its pieces; what is not there is not found."""
    assert caches().find(["k1"]) == {}
    caches().put(entry(1))
    found = caches().find(["k1", "k2"])
    assert list(found) == ["k1"]
    assert found["k1"].data == (b"value", b"", b"\0\xff")
    assert found["k1"].about == {"parts": {"n": "1"}, "run": "r"}
    (named,) = caches().named("values of f")
    assert (named.key, named.data) == ("k1", ())
    assert caches().named("values of g") == []


@pytest.mark.slow
def test_what_was_not_used_for_longest_goes_first(caches):
    """By their number, and by their size; a hit is a use."""
    for number in range(10):
        caches().put(entry(number))
    caches().hit(["k0"])
    cache = caches()
    cache.put(entry(10))
    cache.prune()
    assert numbers(caches()) == [10, 0, 9, 8, 7, 6, 5, 4, 3, 2]
    assert {each.key: each.hits for each in caches().entries()}["k0"] == 1
    for number in range(20, 26):
        cache.put(entry(number, b"x" * 20_000))
    cache.prune()
    assert numbers(caches()) == [25, 24, 23, 22]


def test_an_entry_that_is_too_large_is_refused(caches):
    """It would take the place of all others."""
    assert caches().put(entry(1, b"x" * 50_000)).endswith(" bytes, and all entries may take 100,000")
    assert caches().put(entry(1)) == ""


def test_an_entry_with_a_key_is_refused(caches):
    """In its data, or in what is said of it."""
    secrets = [Secret("sk-very-secret-0123456789")]
    assert caches().put(entry(1, b"the key is sk-very-secret"), secrets) == "it holds a key"
    assert caches().put(entry(1, text="sk-very-secret"), secrets) == "it holds a key"
    assert caches().entries() == []


@pytest.mark.slow
def test_it_shows_what_is_in_it_and_is_cleared(caches):
    """By what it is, with sizes and hits."""
    assert caches().show() == "the cache is empty"
    caches().put(entry(1))
    caches().put(entry(2))
    caches().put(entry(3)._replace(name="plans"))
    caches().hit(["k1"])
    caches().hit(["k1", "k2"])
    lines = caches().show().splitlines()
    assert lines[0].startswith("3 entries, 0.1 kB in ")
    assert lines[1:] == ["  plans: 1, 0.0 kB, 0 hits", "  values of f: 2, 0.1 kB, 3 hits"]
    assert caches().clear() == 3
    assert caches().clear() == 0
    assert caches().find(["k1"]) == {}


def test_a_run_that_is_pruned_leaves_the_cache(tmp_path):
    """Entries belong to no run."""
    with History(tmp_path / "runs.db") as history:
        Cache(history).put(entry(1))
        history.prune(keep=0)
        assert numbers(Cache(history)) == [1]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [
    "data = 'x'", "data = x'00'", "data = NULL", "body = '[]'", "crc = 1", "name = NULL", "at = 'soon'", "hits = 'x'",
])  # fmt: skip
def test_a_damaged_entry_is_not_there(tmp_path, damage):
    """And hides no other; it is replaced by a new one."""
    with History(tmp_path / "runs.db") as history:
        cache = Cache(history)
        for number in (1, 2):
            cache.put(entry(number))
        history.wait()
        with closing(sqlite3.connect(history.path)) as db, db:
            db.execute(f"UPDATE cache SET {damage} WHERE key = 'k1'")  # noqa: S608 - our own
        other = Cache(history)
        assert [key for key, each in other.find(["k1", "k2"]).items() if each.data] == ["k2"]
        other.put(entry(1))
        history.wait()
        assert set(Cache(history).find(["k1", "k2"])) == {"k1", "k2"}


def test_a_file_that_cannot_be_read_is_an_empty_cache(tmp_path):
    """Whoever wants to see it is told."""
    path = tmp_path / "runs.db"
    path.write_bytes(b"no database" * 1000)
    with History(path) as history:
        cache = Cache(history)
        assert cache.find(["k1"]) == {}
        assert cache.named("values of f") == []
        cache.put(entry(1))
        assert set(cache.find(["k1"])) == {"k1"}  # from memory
        works: list[Any] = [cache.show, cache.entries, cache.clear]
        for work in works:
            with pytest.raises(HistoryError):
                work()
