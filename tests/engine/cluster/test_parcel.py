"""What is sent as bytes, what goes beside it, and which values come home at once."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest

from compiler_nb.engine.cluster.parcel import pack, pack_function, pack_small, unpack, unpack_function
from compiler_nb.outcome import Remote
from compiler_nb.tool import tool
from tests.support.cluster import BIG, numbers


def test_arguments_are_packed_with_what_goes_beside_them():
    """A value of the cluster, and what is large, are not in the bytes but named in them."""
    remote = Remote("a list", 10, None)
    parcel = pack("f", ([remote, 1],), {"x": "y"}, str)
    assert (len(parcel.data) < 300, parcel.beside) == (True, [remote])
    assert unpack(parcel.data, ["it"]) == ((["it", 1],), {"x": "y"})


def test_small_plain_data_comes_home_and_all_else_stays():
    """Objects of classes stay, however small."""
    assert [pack_small(value) is not None for value in (1, "a", [1, {"a": (2, None)}])] == [True] * 3
    assert [pack_small(value) for value in (numbers, {"a": object()}, list(range(BIG)), "x" * 20_000)] == [None] * 4


def test_a_tool_of_a_module_is_sent_by_its_name():
    """So what else stands in the module does not leave; a function of a cell is sent as it is."""
    data = pack_function("numbers", numbers.function)
    assert unpack_function(data) is numbers.function
    assert len(data) < 300
    local = pack_function("own", lambda x: x + 1)
    assert unpack_function(local)(1) == 2


@tool
def coast(city: str) -> str:
    """Say on which coast a city lies; the set is a constant of the code."""
    return "west" if city in {"Los Angeles", "Portland", "Seattle", "San Francisco"} else "east"


def test_the_code_of_a_tool_is_told_alike_in_every_process():
    """Workers have a hash seed of their own, by which a set is written in another order."""
    code = "from tests.engine.cluster.test_parcel import *; print(pack_function('coast', coast.function).hex())"
    told = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                       env={**os.environ, "PYTHONHASHSEED": seed}).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(told) == 1
    assert unpack_function(bytes.fromhex(told.pop())) is coast.function


MODULE = """
import functools
from compiler_nb import tool

def logged(function):
    @functools.wraps(function)
    def inner(numbers):
        return function(numbers)
    return inner

@tool
def least(numbers: list) -> int:
    return min(numbers, key=lambda n: n)

@tool
@logged
def most(numbers: list) -> int:
    return max(numbers)
"""


@pytest.mark.parametrize(("name", "change"), [("least", ("n: n", "n: -n")), ("most", ("max(", "min("))])
def test_a_worker_with_older_code_loads_the_module_again(tmp_path, monkeypatch, name, change):
    """Also if the change is in a lambda, or in what a decorator wraps."""
    path = tmp_path / "edited_tools.py"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path.write_text(MODULE.replace(*change))
    data = pack_function(name, vars(importlib.import_module("edited_tools"))[name].function)
    path.write_text(MODULE)
    old = importlib.reload(sys.modules["edited_tools"])
    assert vars(old)[name].function([3, 1, 2]) == (1 if name == "least" else 3)
    path.write_text(MODULE.replace(*change))
    assert unpack_function(data)([3, 1, 2]) == (3 if name == "least" else 1)
    del sys.modules["edited_tools"]
