"""What is special about calls on a cluster: what is sent and what stays, workers that die, clusters that are gone."""
# ruff: noqa: D103 - tools of a test are read where they stand

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time

import pytest
from distributed import Client

from compiler_nb.compiler import Compiler
from compiler_nb.engine import dask_runner
from compiler_nb.engine.dask import DaskEngine, NamedEngine, read_engine
from compiler_nb.engine.parcel import ClusterError, pack, pack_function, pack_small, unpack, unpack_function
from compiler_nb.errors import ToolError
from compiler_nb.events import TaskEnded, TaskFetched, Warned
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.outcome import Remote
from compiler_nb.tool import tool
from tests.support.cluster import BIG, execute, kill, numbers, total, wait_for

COVERS = ("dask_runner.py", "dask_worker.py", "parcel.py")


class Opened:
    """An object that tells which process has read it."""

    def __init__(self, folder):
        self.folder = folder

    def __setstate__(self, state):
        self.folder = state["folder"]
        (self.folder / f"read-{os.getpid()}").touch()


# -------------------------------------------------------------------- what stays


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


def test_a_large_input_is_sent_once(dask_client, monkeypatch):
    """Not with each call that takes it."""
    sent = []
    scatter = dask_runner._scatter
    monkeypatch.setattr(dask_runner, "_scatter", lambda client, value: sent.append(1) or scatter(client, value))
    numpy = pytest.importorskip("numpy")

    @tool
    def part(values, n: int) -> float:
        return float(values[n])

    run = execute(dask_client, "xs = [part(data, n) for n in range(6)]\nanswer(xs)", [part],
                  {"data": numpy.arange(200_000.0)})  # fmt: skip
    assert (run.answer, sent) == ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [1])


@pytest.mark.parametrize("kind", [list, "x".join], ids=["list", "text"])
def test_a_large_list_or_text_is_sent_once(dask_client, monkeypatch, kind):
    """By its content: what a tool's annotation checks is another object in each call."""
    sent = []
    scatter = dask_runner._scatter
    monkeypatch.setattr(dask_runner, "_scatter", lambda client, value: sent.append(1) or scatter(client, value))

    @tool
    def part(values: list[str] | str, n: int) -> str:
        return values[n]

    data = kind(str(number) for number in range(300_000))
    run = execute(dask_client, "xs = [part(data, n) for n in range(4)]\nanswer(xs)", [part], {"data": data})
    assert (run.answer, sent) == (list(data[:4]), [1]), run.failures


# -------------------------------------------------------------------- what is sent


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


def test_what_is_large_and_does_not_pickle_is_named_too(dask_client):
    """An argument that would go beside the others, and a table as a result; with `fall_back` both run here."""
    pandas = pytest.importorskip("pandas")

    @tool
    def count(table: object) -> int:
        return len(table)

    @tool
    def locks(n: int) -> object:
        return pandas.DataFrame({"lock": [threading.Lock() for _ in range(n)]})

    plan = "a = count(table)\nb = locks(2)\nc = count(b)\njoin(a, c)"
    inputs = {"table": pandas.DataFrame({"lock": [threading.Lock()] * 200_000})}
    run = execute(dask_client, plan, [count, locks], inputs)
    told = "(DataFrame) cannot be sent to the cluster: TypeError: cannot pickle '_thread.lock' object; run such calls"
    assert run.failures["a"].message.startswith(f"count: the argument 'table' {told}")
    assert run.failures["b"].message.startswith(f"locks: its result {told}")
    assert execute(dask_client, plan, [count, locks], inputs, fall_back=True).answer == {"a": 200_000, "c": 2}


KEY = "sk-canary-6f1b9d2c84aa7e35"


@pytest.mark.parametrize("make", ["table of texts", "table of objects", "array", "list", "text"])
def test_a_key_in_what_is_large_never_leaves(dask_client, make):
    """In whatever form: what goes beside the arguments is looked at before it is sent."""
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    values = {
        "table of texts": lambda: pandas.DataFrame({"k": [f"{n} {KEY}" for n in range(60_000)]}),
        "table of objects": lambda: pandas.DataFrame({"k": [*range(200_000), KEY]}, dtype=object),
        "array": lambda: numpy.array([KEY] * 20_000),
        "list": lambda: [*map(str, range(300_000)), KEY],
        "text": lambda: "x" * 2_000_000 + KEY,
    }

    @tool
    def count(values: object) -> int:
        return len(values)

    model = OpenAIModel("gpt", base_url="http://127.0.0.1:9", api_key=KEY)
    run = execute(dask_client, "a = count(values)", [count], {"values": values[make]()}, planner=model)
    assert "keys never leave" in run.failures["a"].message


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


def test_workers_that_we_start_do_not_inherit_the_keys_of_models(monkeypatch):
    """But everything else of the environment; their number is told, and they serve the next run, too."""
    monkeypatch.setattr("compiler_nb.engine.dask.MOST_WORKERS", 1)
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


# -------------------------------------------------------------------- workers that die


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_no_wrong_result_and_no_second_side_effect(dask_client, tmp_path):
    """One is killed in the middle of a call, one ends itself; lost values are made again, side effects are not."""
    gate, effects = tmp_path / "gate", tmp_path / "effects"

    @tool
    def slow(values: list) -> int:
        (tmp_path / "pid").write_text(str(os.getpid()))
        while not gate.exists():
            time.sleep(0.01)
        return sum(values)

    @tool
    def ends(n: int) -> int:
        if not (tmp_path / "ended").exists():
            (tmp_path / "ended").touch()
            os._exit(3)
        return n

    @tool(side_effects=True)
    def send(value: int) -> int:
        with effects.open("a") as file:
            file.write(f"{value}\n")
        return value

    def strike():
        kill(int(wait_for(tmp_path / "pid")))
        gate.touch()

    plan = f"""
parts = [numbers(n) for n in range({BIG}, {BIG + 4})]
first = send(7)
a = slow(parts[0])
b = ends(5)
sums = [total(part) for part in parts]
second = send(a)
answer([a, b, sums, first, second])
"""
    thread = threading.Thread(target=strike)
    thread.start()
    run = execute(dask_client, plan, [numbers, total, slow, ends, send], approve="auto")
    thread.join()
    sums = [sum(range(n)) for n in range(BIG, BIG + 4)]
    assert run.answer == [sums[0], 5, sums, 7, sums[0]], run.failures
    assert effects.read_text() == f"7\n{sums[0]}\n"
    dask_client.wait_for_workers(2, timeout=60)


@pytest.mark.slow
def test_a_call_that_kills_its_workers_is_given_up(dask_client):
    """After as many as Dask allows; the failure says so, and others go on."""

    @tool
    def deadly() -> int:
        os._exit(1)

    allowed = dask_client.run_on_scheduler(_allow_failures, 0)
    try:
        run = execute(dask_client, "a = deadly()\nb = numbers(2)\nanswer(b)", [deadly, numbers])
    finally:
        dask_client.run_on_scheduler(_allow_failures, allowed)
    assert run.answer == [0, 1]
    assert "deadly was lost with its workers" in run.failures["a"].message
    dask_client.wait_for_workers(2, timeout=60)


def _allow_failures(most, dask_scheduler):
    before, dask_scheduler.allowed_failures = dask_scheduler.allowed_failures, most
    return before


@pytest.mark.slow
def test_a_cluster_that_is_gone_is_said_so(dask_client, tmp_path):
    """In the middle of a run, and to the next one; nothing hangs."""
    began, gate = tmp_path / "began", tmp_path / "gate"

    @tool
    def hang() -> int:
        began.write_text("x")
        while not gate.exists():
            time.sleep(0.01)
        return 1

    with Client(dask_client.scheduler.address, set_as_default=False) as client:
        compiler = Compiler(None, [hang, numbers], engine=DaskEngine(client))

        def close():
            wait_for(began)
            client.close()

        thread = threading.Thread(target=close)
        thread.start()
        run = compiler.execute_sync(f"c = numbers({BIG})\na = hang()\nb = numbers(3)\nanswer([a, b])")
        thread.join()
        gate.touch()
        assert (run.status, "gone" in run.error) == ("failed", True), run.error
        again = compiler.execute_sync("a = numbers(3)\nanswer(a)")
        assert (again.status, "gone" in again.error) == ("failed", True), again.error
        with pytest.raises(ToolError, match="gone"):
            run["c"]


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


# -------------------------------------------------------------------- clients and names


@pytest.mark.slow
def test_an_asynchronous_client_works_on_its_own_loop(dask_client):
    """On the loop of the run, and on another one; what has stayed comes home before the run ends."""

    async def main():
        address = dask_client.scheduler.address
        async with Client(address, asynchronous=True, set_as_default=False) as client:
            compiler = Compiler(None, [numbers, total], engine=DaskEngine(client))
            plan = f"a = numbers({BIG})\nb = total(a)\nanswer(b)"
            one = await compiler.execute(plan)
            other = await asyncio.to_thread(compiler.execute_sync, plan)
            return one, other

    for run in asyncio.run(main()):
        assert (run.answer, len(run["a"])) == (sum(range(BIG)), BIG), run.error


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


def test_something_else_at_the_address(monkeypatch):
    """A server that never answers, or not as a scheduler does, is left alone in the time that a connection may take."""
    monkeypatch.setattr("compiler_nb.engine.dask.CONNECTS_WITHIN", 0.2)
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
    monkeypatch.setattr("compiler_nb.engine.dask.has_dask", lambda: False)
    with pytest.raises(ValueError, match=r"pip install 'compiler_nb\[dask\]'"):
        Compiler(engine="dask:tcp://127.0.0.1:2")


def test_a_cluster_larger_than_the_run_is_told(dask_client):
    """How many calls it could take, and how to give it as many."""
    run = execute(dask_client, "answer(numbers(2))", [numbers], max_concurrency=1)
    warned = [event.message for event in run.events if type(event) is Warned]
    assert warned == ["the cluster runs 2 calls at a time, and this run starts 1: set max_concurrency=4"]


def test_many_questions_share_one_cluster(dask_client):
    """Runs at the same time; each hears of its own calls only."""

    async def main():
        compiler = Compiler(None, [numbers, total], engine=DaskEngine(dask_client))
        plans = [f"a = numbers({BIG + n})\nanswer(total(a))" for n in range(6)]
        return await asyncio.gather(*map(compiler.execute, plans))

    runs = asyncio.run(main())
    assert [run.answer for run in runs] == [sum(range(BIG + n)) for n in range(6)]
    assert all(sum(type(event) is TaskEnded for event in run.events) == 2 for run in runs)


def test_a_cluster_error_is_an_error_of_tools():
    """Whoever catches those catches it."""
    assert issubclass(ClusterError, ToolError)
