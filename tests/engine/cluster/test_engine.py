"""Which clusters there are: a client's, one at an address, one that is started here; and none."""

from __future__ import annotations

import os
import socket

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.engine.cluster.engine import DaskEngine, NamedEngine, read_engine
from compiler_nb.errors import ClusterError, ToolError
from compiler_nb.events import Warned
from compiler_nb.tool import tool
from tests.support.cluster import KEY, execute, numbers

COVERS = ("clients.py",)


@pytest.mark.slow
def test_workers_that_we_start_do_not_inherit_the_keys_of_models(monkeypatch):
    """But everything else of the environment; their number is told, and they serve the next run, too."""
    monkeypatch.setattr("compiler_nb.engine.cluster.clients.MOST_WORKERS", 1)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("MY_SETTING", "mine")

    @tool
    def known() -> list:
        return [os.environ.get("OPENAI_API_KEY"), os.environ["MY_SETTING"]]

    engine = NamedEngine("")
    try:
        runs = [execute(engine, "answer(known())", [known]) for _ in range(2)]
        assert [run.answer for run in runs] == [["", "mine"]] * 2
        assert [run.progress.where for run in runs] == ["on 1 Dask worker"] * 2
    finally:
        client = engine._made.client
        client.cluster.close()
        client.close()


def test_a_named_cluster_is_connected_when_the_first_run_begins(dask_client):
    """And one that does not answer is an error of the run that says what to do."""
    address = dask_client.scheduler.address
    compiler = Compiler(None, [numbers], engine=f"dask:{address}")
    engine = compiler.settings.engine
    assert repr(engine) == f"DaskEngine('dask:{address}')"
    run = compiler.execute_sync("answer(numbers(2))")
    assert (run.answer, run.progress.where) == ([0, 1], "on 2 Dask workers")
    assert f"<Client: '{address}' processes=2 threads=2" in repr(engine)
    assert read_engine(f"dask:{address}") is engine
    engine._made.client.close()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("tcp://127.0.0.1:1", "ConnectionRefusedError"),
        ("127.0.0.1:1", "ConnectionRefusedError"),
        ("somewhere", "missing port number in address 'somewhere'"),
        ("http://127.0.0.1:1", "unknown address scheme 'http'"),
    ],
)
def test_nobody_at_the_address(address, why):
    """It is said at once, with what is wrong there."""
    run = Compiler(None, [numbers], engine=f"dask:{address}").execute_sync("answer(numbers(2))")
    assert run.status == "failed"
    assert f"no Dask scheduler answers at {address}: start one there (dask scheduler)" in run.error
    assert why in run.error
    assert run.seconds < 5


@pytest.mark.slow
def test_something_else_at_the_address(monkeypatch):
    """A server that never answers, or not as a scheduler does, is left alone in the time that a connection may take."""
    monkeypatch.setattr("compiler_nb.engine.cluster.clients.CONNECTS_WITHIN", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        run = Compiler(None, [numbers], engine=f"dask:{address}").execute_sync("answer(numbers(2))")
    assert run.status == "failed"
    assert f"no Dask scheduler answers at {address}" in run.error


def test_an_engine_is_checked_when_it_is_given(monkeypatch):
    """What is none, and what needs Dask where there is no Dask."""
    with pytest.raises(ValueError, match="engine must be 'local', 'dask'"):
        Compiler(engine="ray")
    with pytest.raises(ValueError, match="takes a Client of Dask"):
        DaskEngine("tcp://127.0.0.1:1")
    monkeypatch.setattr("compiler_nb.engine.cluster.engine.has_dask", lambda: False)
    with pytest.raises(ValueError, match=r"pip install 'compiler_nb\[dask\]'"):
        Compiler(engine="dask:tcp://127.0.0.1:2")


def test_a_cluster_larger_than_the_run_is_told(dask_client):
    """How many calls it could take, and how to give it as many."""
    run = execute(dask_client, "answer(numbers(2))", [numbers], max_concurrency=1)
    warned = [event.message for event in run.events if type(event) is Warned]
    assert warned == ["the cluster runs 2 calls at a time, and this run starts 1: set max_concurrency=4"]


def test_a_cluster_error_is_an_error_of_tools():
    """Whoever catches those catches it."""
    assert issubclass(ClusterError, ToolError)
