"""One contract for all engines: the same plans end alike wherever their calls run."""
# ruff: noqa: D103 - tools of a test are read where they stand

from __future__ import annotations

import asyncio
import os
import random
import threading
import time

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.engine.call import CURRENT
from compiler_nb.engine.cluster.engine import DaskEngine
from compiler_nb.events import TaskEnded, TaskPrinted, TaskRetried, TaskStarted, Warned
from compiler_nb.history import History
from compiler_nb.outcome import Cancelled, Skipped
from compiler_nb.run import Run
from compiler_nb.tool import tool
from tests.support.cluster import BIG, execute, numbers, total

COVERS = ("remote.py",)


@pytest.fixture(params=["local", pytest.param("dask", marks=pytest.mark.slow)])
def engine(request):
    """Each engine in turn."""
    return "local" if request.param == "local" else DaskEngine(request.getfixturevalue("dask_client"))


@tool
def add(a: int, b: int) -> int:
    return a + b


@tool
def fail(message: str) -> int:
    raise ValueError(message)


@tool
async def later(value: int) -> int:
    await asyncio.sleep(0)
    return -value


@tool
def name() -> str:
    print("here is", CURRENT.get())  # noqa: T201 - what is tested
    return CURRENT.get()


TOOLS = [add, numbers, total, fail, later, name]


@pytest.mark.slow
def test_values_pass_from_call_to_call(engine):
    """Small ones and large ones, into calls of every kind, expressions and the answer."""
    plan = f"""
a = add(1, 2)
big = numbers({BIG})
b = total(big)
c = big[a]
d = later(big[4])
e = total(values=[b, c, d])
answer((a, b, c, d, e, len(big)))
"""
    run = execute(engine, plan, TOOLS)
    assert run.answer == (3, sum(range(BIG)), 3, -4, sum(range(BIG)) - 1, BIG), run.error
    assert run["big"] == list(range(BIG))
    assert set(run.results) == {"a", "big", "b", "c", "d", "d.1", "e"} - {"d.1"}


def test_fanouts_are_linked_item_by_item(engine):
    """Of large values too, by iteration, by key, and as a whole."""
    plan = f"""
parts = {{n: numbers(n) for n in [{BIG}, {BIG + 1}]}}
sums = [total(part) for part in parts.values()]
one = total(parts[{BIG}])
all = add(*sums)
first = [part[0] + n for n, part in parts.items()]
answer([sums, one, all, first])
""".replace("add(*sums)", "total(sums)")
    run = execute(engine, plan, TOOLS)
    s = sum(range(BIG))
    assert run.answer == [[s, s + BIG], s, 2 * s + BIG, [BIG, BIG + 1]], (run.error, run.failures)
    assert [len(part) for part in run["parts"].values()] == [BIG, BIG + 1]


def test_guards_read_values_wherever_they_are(engine):
    """A call that is not needed is not made."""
    run = execute(engine, f"big = numbers({BIG})\nx = total(big) if big[1] == 1 else fail('no')\nanswer(x)", TOOLS)
    assert run.answer == sum(range(BIG))
    assert run.state("x.2") == "skipped"


def test_what_stands_in_the_call_is_bound_as_declared(engine):
    """Arguments by name, a default, and a wrong type, which is said of the argument."""

    @tool
    def scaled(values: list[int], by: float = 2.0) -> float:
        return sum(values) * by

    plan = f"""
big = numbers({BIG})
words = names()
word = words[0]
a = scaled(big)
b = scaled(by=1, values=[1, 2])
c = scaled(words[0])
d = scaled(big, word)
e = scaled(words)
"""
    run = execute(engine, plan, [numbers, tool(name="names")(lambda: ["a", "b"]), scaled])
    assert (run["a"], run["b"]) == (2.0 * sum(range(BIG)), 3.0)
    assert [run.failures[id_].kind for id_ in "cde"] == ["arguments"] * 3
    assert ("'values'" in run.failures["c"].message, "'by'" in run.failures["d"].message) == (True, True)


def test_a_failure_has_its_error_and_the_line_of_the_tool(engine):
    """And those that depend on it are skipped; others go on."""
    run = execute(engine, "a = fail('no luck')\nb = add(a, 1)\nc = add(1, 1)\nanswer(c)", TOOLS)
    failure = run.failures["a"]
    assert (failure.kind, failure.message, type(failure.error)) == ("raised", "ValueError: no luck", ValueError)
    assert "raise ValueError(message)" in failure.traceback
    assert isinstance(run.failures["b"], Skipped)
    assert run.answer == 2


@pytest.mark.slow
def test_a_call_is_tried_again_as_often_as_its_tool_says(engine, tmp_path):
    """By the session, which says so in events."""
    path = tmp_path / "tries"

    @tool(retries=2)
    def flaky() -> int:
        with path.open("a") as file:
            file.write("x")
        if len(path.read_text()) < 3:
            raise OSError("again")
        return 1

    run = execute(engine, "a = flaky()\nanswer(a)", [flaky])
    assert (run.answer, path.read_text()) == (1, "xxx")
    assert [event.error for event in run.events if type(event) is TaskRetried] == ["OSError: again"] * 2


def test_what_a_tool_prints_is_noted_as_its_own(engine, capsys):
    """With the text in the events of its task."""
    run = execute(engine, "a = name()\nb = name()\nanswer([a, b])", TOOLS)
    assert run.answer == ["a", "b"]
    told = {event.task: event.text for event in run.events if type(event) is TaskPrinted}
    assert told == {"a": "here is a\n", "b": "here is b\n"}
    capsys.readouterr()


def test_a_plain_function_around_an_async_one_is_awaited(engine):
    """A decorator may have made it one."""

    async def inner(x):
        await asyncio.sleep(0)
        return 2 * x

    run = execute(engine, "answer(own(4))", [tool(name="own")(lambda x: inner(x))])  # noqa: PLW0108 - what is tested
    assert run.answer == 8


def test_what_a_tool_returns_lazily_is_a_list(engine):
    """Nobody uses it up."""
    run = execute(
        engine, "a = squares(3)\nanswer([sum(a), len(a)])", [tool(name="squares")(lambda n: map(abs, range(n)))]
    )
    assert run.answer == [3, 3]


def test_a_tool_that_ends_its_process_by_an_exception_fails_alone(engine):
    """SystemExit stays in its task."""

    @tool
    def leave() -> int:
        raise SystemExit(3)

    run = execute(engine, "a = leave()\nb = add(1, 1)\nanswer(b)", [leave, add])
    assert (run.answer, run.failures["a"].kind) == (2, "raised")


@pytest.mark.slow
def test_a_call_that_takes_too_long_is_abandoned(engine, tmp_path):
    """Its slot is another's; it is said that it still runs, for a function cannot be stopped."""
    gate = tmp_path / "gate"

    @tool(timeout=0.3)
    def hang() -> int:
        while not gate.exists():
            time.sleep(0.01)
        return 1

    try:
        run = execute(engine, "a = hang()\nb = add(1, 1)\nanswer(b)", [hang, add], max_concurrency=2)
    finally:
        gate.touch()
    assert run.answer == 2
    assert run.failures["a"].kind == "abandoned"
    assert "longer than its timeout of 0.3 s" in run.failures["a"].message
    assert any("still runs" in event.message for event in run.events if type(event) is Warned)


def test_a_run_that_is_stopped_keeps_what_finished(engine, tmp_path):
    """What runs is given up at once, and the rest never begins."""
    began, gate = tmp_path / "began", tmp_path / "gate"

    @tool
    def hang() -> int:
        began.write_text("x")
        while not gate.exists():
            time.sleep(0.01)
        return 1

    async def main() -> Run:
        compiler = Compiler(None, [hang, add], engine=engine, max_concurrency=1)
        run, work = compiler.begin(compiler.order(plan="a = add(1, 1)\nb = hang()\nc = add(b, 1)"))
        task = asyncio.create_task(work)
        while not began.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.005)
        run.cancel()
        await task  # it ends although the call does not
        assert not gate.exists()
        return run

    try:
        run = asyncio.run(main())
    finally:
        gate.touch()
    assert (run.status, run["a"]) == ("cancelled", 2)
    assert {type(run.failures[id_]) for id_ in "bc"} == {Cancelled}


def test_limits_hold(engine):
    """Calls at a time, of all tools and of one."""

    @tool(max_concurrency=1)
    def alone(n: int) -> int:
        return n

    run = execute(engine, "xs = [alone(n) for n in range(4)]\nys = [add(n, 1) for n in range(6)]", [alone, add],
                  max_concurrency=2)  # fmt: skip
    open_, most, most_alone = set(), 0, 0
    for event in run.events:
        if type(event) is TaskStarted:
            open_.add(event.task)
        elif type(event) is TaskEnded:
            open_.discard(event.task)
        most = max(most, len(open_))
        most_alone = max(most_alone, sum(id_.startswith("xs") for id_ in open_))
    assert (most, most_alone) == (2, 1)


def test_side_effects_async_and_main_thread_stay_in_this_process(engine):
    """And so does what a provider counts; other tools may run anywhere."""

    @tool(side_effects=True)
    def send(value: list) -> int:
        return os.getpid()

    @tool(thread="main")
    def draw(value: list) -> tuple:
        return os.getpid(), threading.current_thread() is threading.main_thread()

    @tool(provider="openai")
    def ask(value: list) -> int:
        return os.getpid()

    @tool
    async def wait(value: list) -> int:
        return os.getpid()

    @tool
    def compute(value: list) -> int:
        return os.getpid()

    tools = [numbers, send, draw, ask, wait, compute]
    plan = f"big = numbers({BIG})\na = send(big)\nb = draw(big)\nc = ask(big)\nd = wait(big)\ne = compute(big)"
    run = execute(engine, plan, tools, approve="auto")
    here = os.getpid()
    assert (run["a"], run["b"], run["c"], run["d"]) == (here, (here, True), here, here)
    assert (run["e"] == here) == (engine == "local")


@pytest.mark.slow
def test_the_history_keeps_values_wherever_they_were_made(engine, tmp_path):
    """So that a stored run reads the same, and another one can go on with it."""
    history = History(tmp_path / "runs.db")
    compiler = Compiler(None, TOOLS, engine=engine, history=history)
    run = compiler.execute_sync(
        f"big = numbers({BIG})\nparts = [numbers(n) for n in [{BIG}]]\nb = total(big)\nanswer(b)"
    )
    stored = history.load(run.id)
    assert (stored["big"], stored["parts"]) == (list(range(BIG)), [list(range(BIG))])
    assert stored.answer == run.answer
    again = compiler.rerun_sync(run.id, start="b")
    assert again.answer == run.answer
    assert [event.task for event in again.events if type(event) is TaskStarted] == ["b"]
    history.close()


def test_equal_calls_of_pure_tools_are_made_once(engine, tmp_path):
    """Whoever makes them."""
    path = tmp_path / "calls"

    @tool(pure=True)
    def square(x: int) -> int:
        with path.open("a") as file:
            file.write("x")
        return x * x

    run = execute(engine, "a = square(3)\nb = square(3)\nc = square(a)\nanswer([a, b, c])", [square])
    assert (run.answer, path.read_text()) == ([9, 9, 81], "xx")


def random_plan(seed: int) -> str:
    """Return calls that read each other at random, and sometimes fail."""
    chance, lines = random.Random(seed), ["t0 = add(1, 1)"]
    for number in range(1, 12):
        one, two = (f"t{chance.randrange(number)}" for _ in range(2))
        kinds = [f"add({one}, {two})", f"{one} + len(str({two}))", f"total([{one}, {two}])",
                 f"total(numbers({one} % 7 * 700))", f"later({one})", f"fail({one})"]  # fmt: skip
        lines.append(f"t{number} = {chance.choices(kinds, (4, 2, 2, 3, 2, 1))[0]}")
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_random_plans_end_alike_on_both_engines(dask_client, seed):
    """Each task in the same state, with the same value."""
    plan = random_plan(seed)
    runs = [execute(engine, plan, TOOLS) for engine in ("local", DaskEngine(dask_client))]
    one, other = ({id_: run.state(id_) for id_ in run.progress.tasks} for run in runs)
    assert one == other
    assert runs[0].results == runs[1].results
