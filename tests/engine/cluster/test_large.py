"""Large objects are sent once, if they can be sent and hold no key."""

from __future__ import annotations

import threading

import pytest

from compiler_nb.models.openai import OpenAIModel
from compiler_nb.tool import tool
from tests.support.cluster import KEY, execute


def scattered(client, monkeypatch):
    """Note each object that is sent to the cluster beside a call; return the list."""
    sent, scatter = [], client.scatter
    monkeypatch.setattr(client, "scatter", lambda *args, **named: sent.append(1) or scatter(*args, **named))
    return sent


def test_a_large_input_is_sent_once(dask_client, monkeypatch):
    """Not with each call that takes it."""
    sent = scattered(dask_client, monkeypatch)
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
    sent = scattered(dask_client, monkeypatch)

    @tool
    def part(values: list[str] | str, n: int) -> str:
        return values[n]

    data = kind(str(number) for number in range(300_000))
    run = execute(dask_client, "xs = [part(data, n) for n in range(4)]\nanswer(xs)", [part], {"data": data})
    assert (run.answer, sent) == (list(data[:4]), [1]), run.failures


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
