"""Forged tables and arrays: whatever their bytes or heads say, a HistoryError or a value, bounded memory, no code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from compiler_nb.errors import HistoryError
from compiler_nb.values.code import decode, encode
from compiler_nb.values.forms import is_zone
from tests.support.forged import ARRAYS, BOMBS, TABLES, frame, pivoted, sealed
from tests.support.memory import peak_kilobytes
from tests.support.scale import seed, times

ROOT = Path(__file__).parents[2]


def read(head: dict, blobs: list[bytes]):
    """Return what a head, and bytes with the right hashes, are read as."""
    return decode(sealed(head, blobs), blob=blobs.__getitem__, shared={"@arr": np.arange(6.0)})


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_table_that_says_it_is_large_or_more_is_refused(bomb):
    """Before it is made: in no time, and in little memory."""
    before = peak_kilobytes()
    with pytest.raises(HistoryError):
        read(*BOMBS[bomb])
    assert peak_kilobytes() - before < 100_000


@pytest.mark.parametrize("head", ARRAYS, ids=str)
def test_a_head_that_does_not_fit_an_arrays_bytes_is_refused(head):
    """Shapes and types that cannot be."""
    with pytest.raises(HistoryError):
        read({"$": "array", "dtype": "<f8", "shape": [6], "blob": 0} | head, [np.arange(6.0).tobytes()])


@pytest.mark.parametrize("head", TABLES, ids=str)
def test_a_head_that_does_not_fit_a_tables_bytes_is_refused(head):
    """Names of columns that are too few, or none."""
    coded = encode(pivoted())
    with pytest.raises(HistoryError):
        read(json.loads(coded.text) | head, list(coded.blobs))


@pytest.mark.slow
def test_tables_of_all_kinds_come_back():
    """Names of two levels, types of pandas' own, time zones, cells that are dicts."""
    for value in (frame(), pivoted(), frame().reset_index(drop=True), pd.DataFrame({"a": [None] * 100_000}),
                  pd.DataFrame({"s": ["x" * 1_000] * 20_000})):  # fmt: skip
        coded = encode(value, largest=100_000_000)
        assert coded.stored, coded.text
        pd.testing.assert_frame_equal(decode(coded.text, blob=coded.blobs.__getitem__), value)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("Europe/Paris", True), ("UTC", True), ("+02:00", False),
        ("America", False), ("tzlocal()", False), ("Foo/Bar", False), ("", False),
        ("../../etc/passwd", False), ("/etc/passwd", False), ("dateutil/Europe/Paris", False), ("Europe", False),
        ("localtime", False),
        (None, False), ("Europe/Paris\0", False), ("os.system", False),
    ],
)  # fmt: skip
def test_time_zones_are_those_of_this_machine(name, known):
    """No name leads to a file elsewhere, or to an import."""
    assert is_zone(name) is known


def test_a_time_in_an_unknown_zone_is_a_history_error():
    """It is not looked for."""
    with pytest.raises(HistoryError, match="unknown zone"):
        decode('{"$":"datetime","v":["2026-01-05T00:00:00","os.path",0]}')


LOAD = """
import json, shutil, sys
from pathlib import Path
from random import Random
from compiler_nb.errors import HistoryError
from compiler_nb.history import History
from tests.support.forged import forge, store_tables
from tests.support.memory import peak_kilobytes

folder, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
good, bad = folder / "good.db", folder / "bad.db"
with History(good) as history:
    run = store_tables(history)
found, loading = [], False
ACTS = ("import", "exec", "compile", "os.system", "subprocess.Popen", "socket.connect", "ctypes.dlopen")

def hook(event, args):
    if loading and (event in ACTS or event == "open" and not str(args[0]).startswith(str(folder))):
        found.append((event, str(args)[:200]))

def load(path):
    inputs = History(path).load(run.id).inputs
    repr(inputs)
    return inputs

assert len(load(good)) == 4
sys.addaudithook(hook)
before, refused = peak_kilobytes(), 0
for number in range(count):
    shutil.copyfile(good, bad)
    forge(Random(seed + number), bad)
    print(f"seed {seed}, forgery {number}", file=sys.stderr)
    loading = True
    try:
        load(bad)
    except HistoryError as error:
        assert str(error)
        refused += 1
    finally:
        loading = False
print(json.dumps([found[:5], refused, (peak_kilobytes() - before) // 1_000]))
"""


@pytest.mark.promise
@pytest.mark.timeout(900)
def test_loading_history_of_forged_tables_runs_no_code(tmp_path, figure):
    """500 forgeries with right hashes: only HistoryError, 0 imports, 0 opened files, memory that is bounded."""
    arguments = [sys.executable, "-W", "ignore", "-c", LOAD, str(tmp_path), str(times(500)), str(seed())]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3_000:]
    found, refused, megabytes = json.loads(done.stdout)
    assert found == []
    assert times(500) * 0.3 < refused < times(500)
    assert megabytes < 600
    figure(f"{times(500):,} forgeries, {refused:,} refused, {megabytes:,} MB at most")
