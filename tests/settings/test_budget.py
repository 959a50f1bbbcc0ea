"""Budgets: what a run may use, what it has used, and how it ends at a limit."""

from __future__ import annotations

import asyncio

import pytest

from compiler_nb import Budget, Compiler, ScriptedModel, tool
from compiler_nb.events import Log, ModelEnded, ModelStarted
from compiler_nb.outcome import Usage
from compiler_nb.trace import Progress


@tool
async def get(x: object) -> object:
    """Return it."""
    return x


@tool
async def nap(seconds: float) -> float:
    """Wait."""
    await asyncio.sleep(seconds)
    return seconds


class Sold(ScriptedModel):
    """A script that a provider sells, by the million tokens."""

    provider = "openai"

    def __init__(self, replies):
        super().__init__(replies, name="gpt-4o-mini")


def after(*calls):
    """Return what the events of calls with these usages say."""
    log = Log("r")
    for number, usage in enumerate(calls):
        log.emit(ModelStarted, number, "planner", "", "openai", "gpt-4o-mini", (), "", "")
        log.emit(ModelEnded, number, "stop", usage, "", "", "", "")
    return Progress(log.events)


@pytest.mark.parametrize(
    ("budget", "used", "words"),
    [
        (Budget(), Usage(99, 10**9), ""),
        (Budget(tokens=20), Usage(1, 10, 9), ""),
        (Budget(tokens=20), Usage(1, 10, 10), "the budget of 20 tokens is used up (20)"),
        (Budget(calls=2), Usage(2), "the budget of 2 calls of models is used up"),
        (Budget(usd=0.01), Usage(1, 10_000, 1_000), ""),
        (Budget(usd=0.01), Usage(1, 100_000, 1_000), "the budget of $0.01 is used up ($0.016)"),
    ],
)
def test_it_says_what_is_used_up(budget, used, words):
    """In words, and nothing while there is some left."""
    assert budget.exceeded(after(used), 0) == words


def test_calls_that_are_under_way_count():
    """Those that were allowed and have not ended yet."""
    assert Budget(calls=2).exceeded(after(), 2)


def test_money_adds_up():
    """Each call counts, also one that has ended since the last look."""
    budget, call = Budget(usd=0.02), Usage(1, 100_000, 0)
    assert [budget.exceeded(after(*[call] * count), 0) for count in (0, 1)] == ["", ""]
    assert budget.exceeded(after(call, call), 0) == "the budget of $0.02 is used up ($0.030)"


@pytest.mark.parametrize(
    "wrong", [{"tokens": -1}, {"usd": float("nan")}, {"seconds": -0.1}, {"usd": "3"}, {"calls": True}]
)
def test_a_budget_that_is_not_a_number_from_0_is_refused(wrong):
    """When it is made."""
    with pytest.raises(ValueError, match="a number from 0"):
        Budget(**wrong)


def test_the_cost_is_known_if_all_prices_are():
    """It is the sum over the calls that have ended."""
    log = Log("r")
    log.emit(ModelStarted, 0, "planner", "", "openai", "gpt-4o-mini", (), "", "")
    log.emit(ModelEnded, 0, "stop", Usage(1, 1_000_000, 0), "", "", "", "")
    assert Progress(log.events).cost.dollars == pytest.approx(0.15)
    log.emit(ModelStarted, 1, "joiner", "", "openai", "no-such-model", (), "", "")
    log.emit(ModelEnded, 1, "stop", Usage(1, 5, 0), "", "", "", "")
    assert (Progress(log.events).cost.dollars, Progress(log.events).cost.money) == (None, "≥ $0.15")


def test_money_needs_a_price():
    """A budget in dollars is refused for a model whose price is not known, before anything is asked."""
    unknown = Sold({"planner": "answer(1)\n"})
    unknown.name = "no-such-model"
    with pytest.raises(ValueError, match=r"no price is known for openai:no-such-model: leave usd out"):
        Compiler(unknown, budget=Budget(usd=1))
    assert Compiler(Sold({"planner": "answer(1)\n"}), budget=Budget(usd=1)).run_sync("?").answer == 1


def test_a_budget_of_nothing_is_for_models_that_cost_nothing():
    """Another is refused before anything is asked."""
    assert Compiler(ScriptedModel({"planner": "answer(1)\n"}), budget=Budget(usd=0)).run_sync("?").answer == 1
    with pytest.raises(ValueError, match=r"a budget of \$0 allows no call of openai:gpt-4o-mini, which costs money"):
        Compiler(Sold({"planner": "answer(1)\n"}), budget=Budget(usd=0))


def test_money_that_is_used_up_ends_the_run_with_what_exists():
    """The joiner is not asked any more; the answer is what it would have been shown."""
    model = Sold({"planner": "a = get(1)\nb = get(2)\njoin(a)\n", "joiner": "never"})
    run = Compiler(model, [get], budget=Budget(usd=1e-9)).run_sync("?")
    assert (run.status, run.answer) == ("limit", {"a": 1})
    assert run.error.startswith("the budget of $1e-09 is used up")
    assert run.cost > 0
    assert [request.role for request in model.calls] == ["planner"]


def test_seconds_end_the_run_with_what_exists():
    """The smaller one of the timeout and the budget holds."""
    compiler = Compiler(None, [get, nap], timeout=30, budget=Budget(seconds=0.05))
    run = compiler.execute_sync("a = get(1)\nb = nap(20)\njoin(a, b)")
    assert (run.status, run.answer, run.error) == ("limit", {"a": 1}, "the run took longer than 0.05 s")
    assert Compiler(None, timeout=1, budget=Budget(seconds=5)).settings.seconds == 1


def test_replans_end_the_run_with_what_exists():
    """The last plan's results."""
    replies = {"planner": "a = get(1)\njoin(a)\n", "replan": "b = get(2)\njoin(b)\n", "joiner": "Replan: more"}
    run = Compiler(ScriptedModel(replies), [get], budget=Budget(replans=1)).run_sync("?")
    assert (run.status, run.answer) == ("limit", {"b": 2})
    assert "1 replan" in run.error


def test_nothing_is_no_answer():
    """A run that has no result at its limit has no answer."""
    run = Compiler(None, [nap], timeout=0.05).execute_sync("a = nap(20)\njoin(a)")
    assert (run.status, run.answer) == ("limit", None)
