"""A stored run that holds a bit of everything, and mutations of its file."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import zlib
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from compiler_nb.cache import Cache, Stored
from compiler_nb.compiler import Compiler
from compiler_nb.history import History
from compiler_nb.history.file import checksum
from compiler_nb.history.kept import Kept, KeptIn
from compiler_nb.tool import tool
from tests.support.desk import Desk, scripted
from tests.support.mutate import mutate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from compiler_nb.run import Run


@dataclass
class City:
    """A place."""

    name: str
    seen: datetime


@tool
def city(name: str) -> City:
    """Return a city."""
    return City(name, datetime(2026, 1, 5, tzinfo=UTC))


@tool
def prices() -> Any:
    """Return a table."""
    import pandas as pd

    return pd.DataFrame({"day": pd.to_datetime(["2026-01-05", "2026-01-06"]), "close": [1.5, None], "name": ["x", "ü"]})


@tool
def odd_values() -> Any:
    """Return what JSON has no form for."""
    return {1: (1, 2), "set": {3, "a"}, "raw": b"\0\xff", "big": 10**30, "nan": float("nan"), "money": Decimal("1.10")}


PLAN = """
a = get("x")
home = city("Oslo")
table = prices()
odd = odd_values()
rows = {n: get(n * 2) for n in [1, 2, 3]}
f = fail("f")
g = get(f)
best = max(rows, key=lambda n: rows[n])
send("hi")
join(a, best)
"""


async def until(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds."""
    while not condition():  # noqa: ASYNC110 - what it looks at has no event to wait for
        await asyncio.sleep(0.005)


def rich_compiler(history: Any) -> Compiler:
    """Return a compiler whose run holds a bit of everything."""
    model = scripted(PLAN, joiner="It is well.")
    return Compiler(model, [*Desk().tools, city, prices, odd_values], history=history, approve="auto")


def store_rich_run(path: Path) -> Run:
    """Store a run in a file, and let go of the file."""
    with History(path) as history:
        cache = Cache(history)
        for number in range(3):
            about = {"parts": {"n": "1"}, "run": "r", "seconds": 0.1, "texts": {}}
            cache.put(Stored(f"entry {number}", "values of f", about, (b"[1]", b"x")))
        for table in BESIDE[:2]:
            history.put(table, [Kept(f"{table} {number}", "some", {"text": "x", "n": number}) for number in range(3)])
        return asyncio.run(rich_compiler(history).run("What is it?", inputs={"df": prices.function(), "k": 3}))


def mutate_file(random: Random, path: Path) -> None:
    """Change a file: bytes of it, its length, or what a row says, with a checksum that is right again."""
    if random.random() < 0.5:
        mutate_bytes(random, path)
    else:
        mutate_row(random, path)


def mutate_bytes(random: Random, path: Path) -> None:
    """Change bytes."""
    data = bytearray(path.read_bytes())
    for _ in range(random.choice([1, 1, 3, 40])):
        at = random.randrange(len(data))
        match random.randrange(4):
            case 0:
                data[at] ^= 1 << random.randrange(8)
            case 1:
                data[at : at + 64] = random.randbytes(64)
            case 2:
                data[at : at + 512] = bytes(512)
            case _:
                del data[max(at, 100) :]
    path.write_bytes(data or b"?")


BESIDE: tuple[KeptIn, ...] = ("prompts", "cells", "cache")
"""Tables of rows that are no run's."""
KEYS = {"events": "run, seq", "inputs": "run, name", "runs": "id", "blobs": "run, owner, number"}
KEYS |= dict.fromkeys(BESIDE, "key")
CHANGED = {
    "events": ["body", "body", "body", "kind", "at", "round", "seq"], "inputs": ["body", "hash"],
    "runs": ["settings", "status", "at", "owner", "question"], "blobs": ["data", "number", "owner"],
}  # fmt: skip
CHANGED |= {table: ["body", "name", "at", "key"] for table in BESIDE}
CHECKED = {"events": ("kind", "body"), "inputs": ("name", "body"), "runs": ("question", "settings")}
CHECKED |= dict.fromkeys(BESIDE, ("key", "body"))


def mutate_row(random: Random, path: Path) -> None:
    """Change what a row says."""
    table = random.choice(["events", *CHANGED])
    column = random.choice(CHANGED[table])
    with closing(sqlite3.connect(path)) as db, db:
        rows = db.execute(f"SELECT {KEYS[table]}, {column} FROM {table}").fetchall()  # noqa: S608 - our own names
        *keys, old = random.choice(rows)
        where = " AND ".join(f"{key} = ?" for key in KEYS[table].split(", "))
        statement = f"UPDATE OR REPLACE {table} SET {column} = ? WHERE {where}"  # noqa: S608 - as above
        with suppress(sqlite3.IntegrityError):
            db.execute(statement, (mutated(random, old), *keys))
        for name, (first, second) in CHECKED.items():
            for row in db.execute(f"SELECT {first}, {second} FROM {name}").fetchall():  # noqa: S608 - as above
                if all(isinstance(each, str) for each in row):
                    set_crc = f"UPDATE {name} SET crc = ? WHERE {first} = ? AND {second} = ?"  # noqa: S608 - as above
                    db.execute(set_crc, (checksum(*row), *row))


def mutated(random: Random, old: Any) -> Any:
    """Return another value of a column."""
    if isinstance(old, bytes):
        at = random.randrange(len(old))
        return old[:at] + random.randbytes(3) + old[at + 3 :]
    if isinstance(old, str) and random.random() < 0.6:
        with suppress(ValueError):
            return json.dumps(mutated_data(random, json.loads(old))).replace('"DEEP"', "[" * 5_000 + "]" * 5_000)
    if isinstance(old, str) and random.random() < 0.8:
        return mutate(random, old, [old]).encode("utf-8", "replace").decode()
    return random.choice([None, -1, 10**15, "", "RunEnded", 1e300, float("inf"), b"\x80", zlib.compress(b"x" * 99)])


def mutated_data(random: Random, data: Any) -> Any:
    """Return JSON data with one part changed."""
    parts = list(data.items()) if isinstance(data, dict) else list(enumerate(data)) if isinstance(data, list) else []
    if parts and random.random() < 0.8:
        key, part = random.choice(parts)
        changed = data.copy()
        changed[key] = mutated_data(random, part)
        return changed
    forms = [{"$": name, "v": data} for name in ("tuple", "Ref", "Task", "Fanout", "task", "typed", "int", "dict", "x")]
    return random.choice([*forms, None, True, 3, "x", [], {}, [data], "DEEP", {"$": "table", "blob": 0, "hash": ""}])
