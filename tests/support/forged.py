"""Stored tables and arrays that someone has forged: with hashes that are right, and bytes or heads that are not."""

from __future__ import annotations

import json
import pickle
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from compiler_nb.compiler import Compiler
from compiler_nb.history.file import checksum
from compiler_nb.values.coded import digest_of
from tests.support.desk import Desk, run, scripted

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

WORDS: list[Any] = [
    "os.system", "../../etc/passwd", "dateutil//etc/passwd", "dateutil/Europe/Paris", "datetime64[ns, Foo/Bar]",
    "datetime64[ns, ../x]", "period[os]", "interval[os, right]", "Sparse[int]", "S999999999", "i4,i4", "category",
    "object", "x" * 999, "json[pyarrow]", "Int64", "datetimetz", "Europe/Paris", "+99:99", None, 5, -1, 10**30, [], {},
    True, 1e300, "|O8", "<i8", "<f8", "<M8[ns]", "ns", "pyarrow", "python", "boolean", "Europe", "localtime", "C",
    "W-SUN",
    [0], [1, 1], [2**62, 4], 86_399.5, "0x" + "f" * 400, "-0x1", "both", "tzlocal()",
    {"$": "table"}, {"$": "task", "v": "@df"},
]  # fmt: skip
"""What a file may say in the place of a type, a time zone, a frequency or a number."""
ARRAYS: list[dict[str, Any]] = [
    {"shape": [10**12]}, {"shape": [2**62, 4]}, {"shape": [-1]}, {"shape": [True]}, {"shape": [[1]]}, {"shape": 3},
    {"shape": [0] * 99}, {"shape": [0, 10**30]}, {"shape": "x"}, {"dtype": "<U999999999"}, {"dtype": "|O8"},
    {"dtype": "<f0"}, {"dtype": 8}, {"dtype": "<M8[zz]"}, {"dtype": "V8"}, {"$": "table"}, {"$": "column", "name": 1},
    {"dtype": "<M8[ns] "}, {"dtype": "<f8\n"}, {"blob": 1}, {"blob": True}, {"blob": None}, {"$": "cell", "v": 5},
    {"dtype": "<U900000000", "$": "scalar", "v": "00"},
]  # fmt: skip
"""What the head of an array may say instead."""
TABLES: list[dict[str, Any]] = [
    {"columns": 5}, {"columns": [["a"]]}, {"columns": {"$": "task", "v": "@df"}},
    {"columns": {"$": "absent", "type": "", "reason": ""}},
    {"columns": {"$": "range index", "v": ["0x0", "0x5", "0x1"], "name": None}},
    {"index": {}}, {"v": []}, {"v": 5}, {"v": [5]},
    {"index": {"$": "range index", "v": ["0x0", hex(10**12), "0x1"], "name": None}}, {"v": [{"$": "task", "v": "@df"}]},
    {"$": "array", "dtype": "<f8", "shape": [3]}, {"$": "x"}, {"$": ["x"]},
    {"$": "column"}, {"$": "levels"}, {"$": "category"},
]  # fmt: skip
"""What the head of a table may say instead."""


def frame() -> Any:
    """Return a table with a bit of everything."""
    return pd.DataFrame(
        {
            "n": [1, 2], "s": ["a", None], "c": pd.Categorical(["x", "y"]), "d": [{"a": "q"}, {"a": "r"}],
            "z": pd.to_datetime(["2026-01-05"] * 2).tz_localize("Europe/Paris"),
            "I": pd.array([1, None], dtype="Int64"), "p": pd.period_range("2026", periods=2),
            "i": pd.interval_range(0, 2), "b": pd.array([True, None], dtype="boolean"),
            "t": pd.array(["x", None], dtype="string[python]"), "m": [1, "x"],
        },
        index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", None]),
    )  # fmt: skip


def pivoted() -> Any:
    """Return a table whose columns have names of two levels."""
    return pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", None]))


def store_tables(history: Any) -> Any:
    """Store a run with tables and arrays as its inputs."""
    given = {
        "df": frame(),
        "piv": pivoted(),
        "arr": np.arange(6.0).reshape(2, 3),
        "ser": pd.Series(["a", "b"], name="n"),
    }
    return run(Compiler(None, Desk().tools, planner=scripted("answer(1)\n"), history=history), inputs=given)


def _array(dtype: str, *shape: int, blob: int = 0) -> Any:
    return {"$": "array", "dtype": dtype, "shape": list(shape), "blob": blob}


def _zoned(unit: str, zone: str) -> Any:
    return _table({"$": "zoned", "v": _array("<i8", 1), "unit": unit, "zone": zone}), [EIGHT]


def _masked(kind: str, *shape: int) -> Any:
    return _table({"$": "masked", "v": [_array("<i8", *shape), _array("|b1", 1)], "type": kind}), [EIGHT]


def _range(rows: int) -> Any:
    return {"$": "range index", "v": ["0x0", hex(rows), "0x1"], "name": None}


def _table(*columns: Any, index: Any = None, rows: int = 1) -> Any:
    return {"$": "table", "v": list(columns), "index": index or _range(rows), "columns": _range(len(columns))}


def _index(array: Any, **more: Any) -> Any:
    return {"$": "index", "v": array, "name": None, **more}


HUGE = 10**12
EIGHT = bytes(range(8))
BOMBS: dict[str, tuple[Any, list[bytes]]] = {
    "long": (_table(_array("<f8", HUGE), rows=HUGE), [EIGHT]),
    "wide": (_table(*[_array("<f8", 125_000)] * 10_000, rows=125_000), [bytes(1_000_000)]),
    "no columns": (_table(rows=HUGE), []),
    "no room": (_table(_array("|S0", HUGE), rows=HUGE), [b""]),
    "large items": (_table(_array("<U900000000", 0), rows=0), [EIGHT]),
    "empty axes": (_table(_array("<f8", 0, HUGE), rows=0), [b""]),
    "endless index": (_table(_array("<i8", 1), rows=HUGE), [EIGHT]),
    "endless categories": (_table({"$": "category", "v": [_array("|i1", 1), _range(HUGE)], "ordered": True}), [b"0"]),
    "endless levels": (_table(_array("<i8", 1), index={"$": "levels", "v": [_range(HUGE)], "name": [None]}), [EIGHT]),
    "endless intervals": (_table({"$": "intervals", "v": [_range(HUGE), _range(HUGE)], "closed": "left"}), []),
    "named again": (_table(*[{"$": "task", "v": "@arr"}] * 10_000, rows=6), []),
    "masked square": _masked("Int64", 1, 1),
    "masked class": _masked("Sparse[int]", 1),
    "other storage": (_table({"$": "texts", "v": ["x"], "storage": "os", "nan": True}), []),
    "other texts": (_table({"$": "texts", "v": [["x"]], "storage": "python", "nan": True}), []),
    "a zone elsewhere": _zoned("ns", "../../etc/passwd"),
    "a zone's package": _zoned("ns", "America"),
    "a zone by code": _zoned("ns", "dateutil/Europe/Paris"),
    "a unit": _zoned("ns]", "UTC"),
    "a frequency": (_table({"$": "periods", "v": _array("<i8", 1), "freq": "os.system"}), [EIGHT]),
    "an index's frequency": (
        _table(_array("<i8", 1), index=_index(_array("<M8[ns]", 1, blob=1), freq="x" * 99)), [EIGHT, EIGHT]
    ),
    "objects": (_table(_array("|O8", 1)), [EIGHT]),
    "pickled": (_table(_array("|O8", 1)), [pickle.dumps([1])]),
    "records": (_table(_array("i4,i4", 1)), [EIGHT]),
    "a table in a column": (_table(_table()), []),
    "cells of another shape": (_table({"$": "array", "shape": [HUGE], "v": [1]}), []),
}  # fmt: skip
"""Tables whose heads say what their bytes do not: most of them are a few bytes that would take terabytes."""


def sealed(head: Any, blobs: list[bytes]) -> str:
    """Return a head as text, with the hashes of its bytes put right wherever it names some."""

    def seal(part: Any) -> Any:
        if isinstance(part, list):
            return [seal(each) for each in part]
        if not isinstance(part, dict):
            return part
        number = part.get("blob")
        right = {"hash": digest_of(blobs[number])} if type(number) is int and number < len(blobs) else {}
        return {key: seal(each) for key, each in part.items()} | right

    return json.dumps(seal(head))


def forge(random: Random, path: Path) -> None:
    """Put other bytes, another word in a head, or a whole other table in the place of an input's, its hashes right."""
    with closing(sqlite3.connect(path)) as db, db:
        name, body = random.choice(db.execute("SELECT name, body FROM inputs").fetchall())
        where = (f"input {name}",)
        found = db.execute("SELECT data FROM blobs WHERE owner = ? ORDER BY number", where).fetchall()
        head, blobs, kind = json.loads(body), [data for (data,) in found], random.random()
        if kind < 0.1:
            head |= random.choice(ARRAYS + TABLES)
        elif kind < 0.15:
            head, blobs = random.choice(list(BOMBS.values()))
        elif kind < 0.6 or not blobs:
            change(random, head)
        else:
            place = random.randrange(len(blobs))
            blobs[place] = forged(random, blobs[place])
        text = sealed(head, blobs)
        db.execute("UPDATE inputs SET body = ?, crc = ? WHERE name = ?", (text, checksum(name, text), name))
        db.execute("DELETE FROM blobs WHERE owner = ?", where)
        run = db.execute("SELECT id FROM runs").fetchone()[0]
        db.executemany(
            "INSERT INTO blobs VALUES (?, ?, ?, ?)", [(run, *where, n, data) for n, data in enumerate(blobs)]
        )


def forged(random: Random, data: bytes) -> bytes:
    """Return other bytes."""
    found = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 8])):
        at = random.randrange(len(found) + 1)
        match random.randrange(4):
            case 0:
                found[at : at + 1] = bytes([random.randrange(256)])
            case 1:
                found[at : at + 8] = random.choice([b"\xff" * 8, b"\x7f" * 8, bytes(8), random.randbytes(8)])
            case 2:
                found[at:at] = found[at : at + random.randrange(40)]
            case _:
                del found[at : at + random.randrange(1, 40)]
        found = found or bytearray(b"?")
    return bytes(found)


def change(random: Random, said: Any) -> None:
    """Put another word somewhere into what is said of a table."""
    while True:
        keys = list(said) if isinstance(said, dict) else list(range(len(said)))
        key = random.choice(keys)
        if not isinstance(said[key], dict | list) or not said[key] or random.random() < 0.1:
            said[key] = random.choice(WORDS)
            return
        said = said[key]
