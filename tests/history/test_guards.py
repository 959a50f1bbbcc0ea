"""Runs with guarded calls as they are stored, resumed, run again and planned anew."""

from __future__ import annotations

import asyncio

import pytest

from compiler_nb import Compiler, History, Plan, tool
from compiler_nb.models.scripted import ScriptedModel
from tests.support.desk import begin
from tests.support.stored import until

PLAN = """\
up = check("d")
x = load("a") if up else load("b")
y = load(x)
z = load("bad")
rows = [load(h) if check(h) else None for h in hosts]
restart("q") if up else None
restart("w") if not up else None
join(y)
"""


class World:
    """Tools that note their calls; load("bad") fails, and `wait` waits until it is let go."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.gate: asyncio.Event | None = None

    @property
    def tools(self):
        """Return the tools."""

        @tool
        async def load(host: str) -> str:
            self.calls.append(f"load {host}")
            if host == "bad":
                raise ValueError(host)
            return f"<{host}>"

        @tool
        async def check(host: str) -> bool:
            self.calls.append(f"check {host}")
            return "d" in host

        @tool
        async def wait(host: str) -> str:
            self.calls.append(f"wait {host}")
            if self.gate is not None:
                await self.gate.wait()
            return host

        @tool(side_effects=True)
        async def restart(host: str) -> str:
            self.calls.append(f"restart {host}")
            return host

        return [load, check, wait, restart]

    def take(self) -> list[str]:
        """Return the calls since the last time, in order of their names."""
        calls, self.calls = sorted(self.calls), []
        return calls


@pytest.fixture
def world():
    """Give tools that note their calls."""
    return World()


@pytest.fixture
def history(tmp_path):
    """Give a history."""
    with History(tmp_path / "runs.db") as opened:
        yield opened


def test_a_stored_run_knows_what_was_not_needed(world, history):
    """States, reasons, failures and events come back as they were."""
    run = Compiler(tools=world.tools, approve="auto", history=history).execute_sync(PLAN, inputs={"hosts": ["d", "u"]})
    stored = history.load(run.id)
    assert (stored.state("x.2"), stored.why("x.2")) == ("skipped", "not needed: called only if not up")
    assert (list(stored.failures), stored.results) == (["z"], run.results)
    assert [type(event) for event in stored.events] == [type(event) for event in run.events]
    assert stored.plan.tasks == run.plan.tasks


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({"failed": True}, ["load bad"]),
        ({"start": "y"}, ["load <a>"]),
        (
            {"overrides": {"up": False}},
            ["check d", "check u", "load <b>", "load b", "load bad", "load d", "restart w"],
        ),
    ],
)
def test_a_run_again_decides_again_only_if_the_test_changes(world, history, options, calls):
    """What was not needed is no failure to run again, and what was needed is not repeated."""
    compiler = Compiler(tools=world.tools, approve=["restart"], history=history)
    run = compiler.execute_sync(PLAN, inputs={"hosts": ["d", "u"]})
    world.take()
    again = compiler.rerun_sync(history.load(run.id), **options)
    made = world.take()
    assert [call for call in made if not call.startswith("restart q")] == calls
    assert again.state("x.2") == ("done" if "overrides" in options else "skipped")


def test_a_resumed_run_takes_over_what_was_not_needed(world, history):
    """x.2 stays not needed; only what had not finished is called."""
    compiler = Compiler(tools=world.tools, history=history)
    plan = Plan.parse(
        'up = check("d")\nx = load("a") if up else load("b")\nw = wait(x) if up else None\nanswer([x, w])\n',
        tools=world.tools,
    )

    async def stopped():
        world.gate = asyncio.Event()
        found, work = begin(compiler, "", plan=plan)
        task = asyncio.create_task(work)
        await until(lambda: "wait <a>" in world.calls)
        found.cancel()
        await task
        return found

    old = asyncio.run(stopped())
    assert (old.status, old.state("x.2"), old.state("w.1")) == ("cancelled", "skipped", "cancelled")
    world.take()
    world.gate = None
    again = asyncio.run(compiler.resume(old.id))
    assert (again.status, again.answer, world.take()) == ("done", ["<a>", "<a>"], ["wait <a>"])
    assert again.why("x.2") == "not needed: called only if not up"


def test_another_round_repeats_nothing_that_a_guard_has_decided(world):
    """The side effect is not made again, and what it may have changed is read again; nothing is a failure."""
    lines = 'up = check("u")\nx = load("a") if up else load("b")\nrestart("k") if not up else None\n'
    model = ScriptedModel({"planner": [f"{lines}join(x)\n", f"{lines}answer(x)\n"], "joiner": ["Replan: again"]})
    run = Compiler(model, tools=world.tools, approve=["restart"]).run_sync("What?")
    assert (run.status, run.answer, world.take()) == ("done", "<b>", [*["check u"] * 2, *["load b"] * 2, "restart k"])
    assert run.why("@3_2.1").startswith("done, not repeated: done in round 1")
    assert "x.1" not in run.prompt("joiner")
    assert "(none)" in run.prompt("replan").partition("What failed")[2]
