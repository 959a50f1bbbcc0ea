"""Stored tables and arrays that someone has forged: with hashes that are right, and bytes or heads that are not."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from compiler_nb.compiler import Compiler
from compiler_nb.history.rows import checksum
from compiler_nb.values.code import digest_of
from tests.support.desk import Desk, run, scripted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

WORDS = [
    "os.system", "../../etc/passwd", "dateutil//etc/passwd", "dateutil/Europe/Paris", "datetime64[ns, Foo/Bar]",
    "datetime64[ns, ../x]", "period[os]", "interval[os, right]", "Sparse[int]", "S999999999", "i4,i4", "category",
    "object", "x" * 999, "json[pyarrow]", "Int64", "datetimetz", "Europe/Paris", "+99:99", None, 5, -1, 10**30, [], {},
    True, 1e300,
]  # fmt: skip
"""What a file may say in the place of a type, a time zone or a number."""
ARRAYS: list[dict[str, Any]] = [
    {"shape": [10**12]}, {"shape": [2**62, 4]}, {"shape": [-1]}, {"shape": [True]}, {"shape": [[1]]}, {"shape": 3},
    {"shape": [0] * 99}, {"shape": [0, 10**30]}, {"shape": "x"}, {"dtype": "<U999999999"}, {"dtype": "|O8"},
    {"dtype": "<f0"}, {"dtype": 8}, {"dtype": "<M8[zz]"}, {"dtype": "V8"}, {"$": "frame"}, {"$": "series", "named": 1},
    {"dtype": "<U900000000", "$": "scalar", "v": "00"},
]  # fmt: skip
"""What the head of an array may say instead."""
TABLES: list[dict[str, Any]] = [
    {"columns": [["a"]], "names": [None]}, {"columns": 5, "names": []}, {"columns": [[{}], [[]]], "names": [[]]},
    {"columns": [["a", 1], ["b"]]}, {"names": ["k"]}, {"$": "array", "dtype": "<f8", "shape": [3]}, {"$": "x"},
]  # fmt: skip
"""What the head of a table may say instead."""


def frame() -> Any:
    """Return a table with a bit of everything."""
    return pd.DataFrame(
        {
            "n": [1, 2], "s": ["a", None], "c": pd.Categorical(["x", "y"]), "d": [{"a": "q"}, {"a": "r"}],
            "z": pd.to_datetime(["2026-01-05"] * 2).tz_localize("Europe/Paris"),
            "I": pd.array([1, None], dtype="Int64"), "p": pd.period_range("2026", periods=2),
            "i": pd.interval_range(0, 2),
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


def parquet_of(table: Any, **options: Any) -> bytes:
    """Return a table as Parquet."""
    out = io.BytesIO()
    parquet.write_table(table, out, **({"compression": "none"} | options))
    return out.getvalue()


def packed() -> bytes:
    """Return pages that are packed."""
    return parquet_of(pa.table({"x": np.zeros(2_000_000)}), compression="gzip")


def long() -> bytes:
    """Return rows without end that take no room."""
    return parquet_of(pa.table({"x": pa.nulls(50_000_000)}))


def repeated() -> bytes:
    """Return a long text that is named millions of times: some terabytes."""
    numbers = pa.array(np.zeros(4_000_000, dtype="int8"))
    return parquet_of(pa.table({"x": pa.DictionaryArray.from_arrays(numbers, ["x" * 1_000_000])}).cast(
        pa.schema([("x", pa.dictionary(pa.int8(), pa.string()))])), store_schema=False)  # fmt: skip


def growing() -> bytes:
    """Return texts of which each is the last one and a letter more."""
    texts = pa.table({"x": ["x" * size for size in range(3_000)]})
    return parquet_of(texts, use_dictionary=False, column_encoding={"x": "DELTA_BYTE_ARRAY"})


def lists() -> bytes:
    """Return a column of lists."""
    return parquet_of(pa.table({"x": [[1], [2]]}))


def code() -> bytes:
    """Return a column of a type that is made by running what stands in the file."""
    said = {b"ARROW:extension:name": b"arrow.py_extension_type",
            b"ARROW:extension:metadata": b"cos\nsystem\n(S'touch ran'\ntR."}  # fmt: skip
    return parquet_of(pa.table({"x": [1]}, schema=pa.schema([pa.field("x", pa.int64(), metadata=said)])))


def wide() -> bytes:
    """Return more columns than a table has."""
    return parquet_of(pa.table({f"c{number}": [1] for number in range(10_001)}))


BOMBS: dict[str, Callable[[], bytes]] = {
    each.__name__: each for each in (packed, long, repeated, growing, lists, wide)
}  # fmt: skip


def forge(random: Random, path: Path, bombs: list[bytes]) -> None:
    """Put other bytes, or another head, in the place of a table's or array's, with hashes that are right."""
    with closing(sqlite3.connect(path)) as db, db:
        name, body = random.choice(db.execute("SELECT name, body FROM inputs WHERE name != 'k'").fetchall())
        (data,) = db.execute("SELECT data FROM blobs WHERE owner = ?", (f"input {name}",)).fetchone()
        head = json.loads(body)
        if random.random() < 0.25:
            head |= random.choice(ARRAYS + TABLES)
        else:
            data = random.choice(bombs) if random.random() < 0.05 else forged(random, data)
        head["hash"] = digest_of(data)
        text = json.dumps(head)
        db.execute("UPDATE inputs SET body = ?, crc = ? WHERE name = ?", (text, checksum(name, text), name))
        db.execute("UPDATE blobs SET data = ? WHERE owner = ?", (data, f"input {name}"))


def forged(random: Random, data: bytes) -> bytes:
    """Return other bytes: of a table's, often with another word in what they say of its types."""
    if data[:4] == b"PAR1" and random.random() < 0.5:
        table = parquet.read_table(io.BytesIO(data))
        said = json.loads(table.schema.metadata[b"pandas"])
        change(random, said)
        return parquet_of(table.replace_schema_metadata({b"pandas": json.dumps(said).encode()}))
    found = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 8])):
        at = random.randrange(len(found)) if random.random() < 0.5 else max(0, len(found) - random.randrange(1, 3_000))
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
