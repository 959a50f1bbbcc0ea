"""Calls on a cluster: what is sent and what stays, what cannot be sent, and keys, which never are."""
# ruff: noqa: D103 - tools of a test are read where they stand

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.engine.cluster.engine import DaskEngine
from compiler_nb.events import TaskEnded, TaskFetched
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.tool import tool
from tests.support.cluster import BIG, KEY, execute, numbers, total

COVERS = ("worker.py",)


class Opened:
    """An object that tells which process has read it."""

    def __init__(self, folder):
        self.folder = folder

    def __setstate__(self, state):
        self.folder = state["folder"]
        (self.folder / f"read-{os.getpid()}").touch()


def test_a_value_comes_home_only_when_somebody_looks(dask_client, tmp_path):
    """A call takes it on the cluster; here it is read for the first time when the user asks for it."""

    @tool
    def make() -> object:
        return Opened(tmp_path)

    @tool
    def look(value: object) -> str:
        return type(value).__name__

    run = execute(dask_client, "a = make()\nb = look(a)\nanswer(b)", [make, look])
    here = tmp_path / f"read-{os.getpid()}"
    assert (run.answer, here.exists()) == ("Opened", False)
    assert "on the cluster" in repr(run.progress.ends["a"].outcome)
    assert type(run["a"]) is Opened
    assert here.exists()


def test_an_expression_fetches_a_value_once(dask_client):
    """However many read it; one event says that it came."""
    run = execute(dask_client, f"a = numbers({BIG})\nb = a[1]\nc = a[2]\nd = len(a)\nanswer([b, c, d])", [numbers])
    assert run.answer == [1, 2, BIG]
    assert [event.task for event in run.events if type(event) is TaskFetched] == ["a"]


def test_what_is_joined_comes_home(dask_client):
    """The dict of results that a plan without a joiner gives."""
    run = execute(dask_client, f"a = numbers({BIG})\nb = total(a)\njoin(a, b)", [numbers, total])
    assert run.answer == {"a": list(range(BIG)), "b": sum(range(BIG))}


def test_what_does_not_pickle_is_named_at_once(dask_client):
    """The tool and the argument, the type, and the way on."""
    run = execute(
        dask_client, "a = total(lock)\nb = numbers(2)\nanswer(b)", [total, numbers], {"lock": [threading.Lock()]}
    )
    failure = run.failures["a"]
    assert (failure.kind, run.answer) == ("arguments", [0, 1])
    assert failure.message.startswith("total: the argument 'values' (list) cannot be sent to the cluster: TypeError")
    assert "DaskEngine(client, fall_back=True)" in failure.message


@tool
def opened(count: int) -> object:
    """Return what cannot leave its process."""
    return threading.Lock(), count


@tool
def used(value: object, values: list) -> tuple:
    return os.getpid(), value[1] + len(values)


def test_what_does_not_pickle_runs_here_if_that_is_wanted(dask_client):
    """Results too, and calls that take them; their other arguments come home."""
    plan = f"a = opened(1)\nb = numbers({BIG})\nc = used(a, b)\nanswer(c)"
    refused = execute(dask_client, plan, [opened, numbers, used])
    assert "opened: its result (tuple) cannot be sent to the cluster" in refused.failures["a"].message
    run = execute(dask_client, plan, [opened, numbers, used], fall_back=True)
    assert run.answer == (os.getpid(), BIG + 1), run.failures


def test_a_key_never_leaves(dask_client, monkeypatch):
    """Not in a tool's own values, nor in arguments, nor with the settings: everything that is sent is looked at."""
    sent = []
    submit = dask_client.submit
    monkeypatch.setattr(
        dask_client, "submit", lambda *args, **named: sent.append((args, named)) or submit(*args, **named)
    )
    model = OpenAIModel("gpt", base_url="http://127.0.0.1:9", api_key=KEY)
    key = KEY

    @tool
    def leaky(x: int) -> str:
        return f"{key}{x}"

    run = execute(dask_client, "a = leaky(1)\nb = total(values)\nc = numbers(3)", [leaky, total, numbers],
                  {"values": [KEY]}, planner=model)  # fmt: skip
    assert run["c"] == [0, 1, 2]
    assert ["keys never leave" in run.failures[id_].message for id_ in "ab"] == [True, True]
    assert len(sent) == 1
    assert KEY not in repr(sent)


@pytest.mark.slow
def test_a_call_that_waits_for_a_worker_is_not_late(dask_client, tmp_path):
    """Its timeout counts from its begin there: here both workers are taken for longer than that."""
    gate = tmp_path / "gate"

    @tool
    def hold(n: int) -> int:
        while not gate.exists():
            time.sleep(0.01)
        return n

    @tool(timeout=1.0)
    def quick(n: int) -> int:
        return n

    @tool
    async def release() -> None:
        await asyncio.sleep(1.3)
        gate.touch()

    plan = "r = release()\nheld = [hold(n) for n in [1, 2]]\nq = [quick(n) for n in [3, 4]]\nanswer(q)"
    run = execute(dask_client, plan, [hold, quick, release])
    assert run.answer == [3, 4], run.failures


def test_many_questions_share_one_cluster(dask_client):
    """Runs at the same time; each hears of its own calls only."""

    async def main():
        compiler = Compiler(None, [numbers, total], engine=DaskEngine(dask_client))
        plans = [f"a = numbers({BIG + n})\nanswer(total(a))" for n in range(6)]
        return await asyncio.gather(*map(compiler.execute, plans))

    runs = asyncio.run(main())
    assert [run.answer for run in runs] == [sum(range(BIG + n)) for n in range(6)]
    assert all(sum(type(event) is TaskEnded for event in run.events) == 2 for run in runs)
