"""A run in Chrome's trace format: what its viewers need of each event, and what stands in it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from compiler_nb import Compiler
from tests.support.desk import Desk, begin, scripted
from tests.support.stored import until

PLAN = 'a = get("x")\nb = llm("say it", a)\nf = fail(a)\ng = get(f)\nr = [get(n) for n in [1, 2, 3]]\njoin(b, r)\n'


def traced(run, tmp_path):
    """Return the events that a saved trace holds."""
    return json.loads(run.save(tmp_path / "run.trace.json").read_text())


@pytest.fixture
def run():
    """Give a run with two rounds, a failure, a fan-out and calls of three roles."""
    model = scripted(PLAN, joiner=["Replan: more", "It is so."], worker="said", replan="d = get(4)\njoin(d)\n")
    model.ttft = 0.05
    return asyncio.run(Compiler(model, Desk().tools).run("What?"))


def check(data):
    """Check a trace against what the format asks of each kind of event."""
    assert set(data) == {"traceEvents", "displayTimeUnit", "otherData"}
    open_waits = Counter()
    for event in data["traceEvents"]:
        assert {"name", "ph", "ts", "pid", "tid"} <= set(event)
        assert isinstance(event["name"], str)
        assert event["ts"] >= 0
        assert {"X": lambda e: e["dur"] > 0, "M": lambda e: e["args"], "i": lambda e: e["s"] == "p"}.get(
            event["ph"], lambda e: e["ph"] in "be" and "id" in e and e["cat"]
        )(event)
        if event["ph"] in "be":
            open_waits[event["id"]] += 1 if event["ph"] == "b" else -1
            assert open_waits[event["id"]] in (0, 1)
    assert not any(open_waits.values())
    named = {event["tid"] for event in data["traceEvents"] if event["name"] == "thread_name"}
    slices = [event for event in data["traceEvents"] if event["ph"] == "X"]
    assert {event["tid"] for event in slices} <= named
    for one in slices:  # within a lane slices follow one another, or one holds the other
        for other in slices:
            if (
                one is not other
                and one["tid"] == other["tid"]
                and one["ts"] <= other["ts"] < one["ts"] + one["dur"] - 0.01
            ):
                assert other["ts"] + other["dur"] <= one["ts"] + one["dur"] + 0.01, (one, other)
    return slices


@pytest.mark.slow
def test_a_trace_has_what_its_viewers_need(run, tmp_path):
    """Times in microseconds, lanes with names, waits in pairs, slices that do not cross."""
    slices = check(traced(run, tmp_path))
    assert Counter(event["cat"] for event in slices)["round"] == 2
    calls = [event["name"] for event in slices if event["cat"] == "model"]
    assert Counter(name.partition(":")[0] for name in calls) == {"planner": 1, "worker": 1, "joiner": 2, "replan": 1}
    planner = next(event for event in slices if event["name"].startswith("planner"))
    assert 49 < planner["args"]["ms_to_first_text"] < 500
    assert planner["args"]["output_tokens"] == run.progress.calls[1].usage.output_tokens


@pytest.mark.slow
def test_a_slice_says_what_a_task_did(run, tmp_path):
    """Its call, its value in short, its state and its round."""
    slices = {event["name"]: event for event in check(traced(run, tmp_path))}
    assert slices["a"]["args"] == {"call": 'get("x")', "state": "done", "outcome": '"x"', "round": 1}
    assert slices["f"]["args"]["outcome"] == "raised: LookupError: no x"
    assert slices["d"]["args"]["round"] == 2
    worker = next(event for name, event in slices.items() if name.startswith("worker"))
    assert worker["tid"] == slices["b"]["tid"]
    assert "g" not in slices


def test_slots_are_lanes_and_waits_are_apart(tmp_path):
    """Two slots, four tasks: two lanes, and two tasks that wait for a slot."""

    async def slow():
        async def nap(x: int) -> int:
            """Take a moment."""
            await asyncio.sleep(0.02)
            return x

        plan = "a = nap(1)\nb = nap(2)\nc = nap(3)\nd = nap(4)\nanswer(a)"
        return await Compiler(tools=[nap], max_concurrency=2).execute(plan)

    data = traced(asyncio.run(slow()), tmp_path)
    lanes = Counter(event["tid"] for event in check(data) if event["cat"] == "nap")
    assert sorted(lanes.values()) == [2, 2]
    waits = [event for event in data["traceEvents"] if event["ph"] == "b"]
    assert [event["name"] for event in waits] == ["c: waits for a slot", "d: waits for a slot"]


def test_a_run_that_goes_on_is_drawn_up_to_now(tmp_path):
    """What has not ended ends where the trace does."""
    desk = Desk()

    async def save():
        run, work = begin(Compiler(tools=desk.tools), plan="b = wait(1)\nanswer(b)")
        task = asyncio.ensure_future(work)
        await until(lambda: desk.working)
        found = traced(run, tmp_path)
        desk.open()
        await task
        return found

    slices = check(asyncio.run(save()))
    assert next(event for event in slices if event["name"] == "b")["args"]["state"] == "running"


def test_values_that_no_attempt_made_are_moments(tmp_path):
    """Such as those of an earlier run."""
    desk = Desk()
    compiler = Compiler(tools=desk.tools)
    first = asyncio.run(compiler.execute("a = get(1)\nb = get(a)\nanswer(b)"))
    again = asyncio.run(compiler.rerun(first, overrides={"a": 5}))
    moments = [event for event in traced(again, tmp_path)["traceEvents"] if event["ph"] == "i"]
    assert [(event["name"], event["args"]["value"]) for event in moments if event["cat"] == "task"] == [("a", "5")]
