"""What a run cost: in words, by role, by task and by model; with the real price list."""

from __future__ import annotations

import re

import pytest

from compiler_nb import Compiler, ScriptedModel, tool
from compiler_nb.models import prices
from compiler_nb.models.prices import set_price
from compiler_nb.outcome import Usage
from compiler_nb.plan.plan import Plan
from compiler_nb.trace import Cost, ModelCall, cost_of, costs_of, share_text
from tests.support.pictures import read


def call(role="planner", usage=None, *, model="gpt-5-mini", task="", answered=""):
    """Return a call of a model that OpenAI sells."""
    return ModelCall(1, role, task, "openai", model, 0.0, answered=answered, usage=usage or Usage(1, 1_000, 100))


TASKS = Plan.parse('a = llm("?")\nb = extract("x", "?")\nanswer(b)').tasks
BY_ID = {task.id: task for task in TASKS}


@pytest.mark.parametrize(
    ("calls", "words", "dollars"),
    [
        ([], "0 tokens", 0),
        ([call()], "1,100 tokens, $0.00045", 0.00045),
        ([call(), call(model="no-such-model")], "2,200 tokens, ≥ $0.00045", None),
        ([call(model="no-such-model")], "1,100 tokens, no price", None),
        ([call(usage=Usage(1, 1_000, 100, reported=False))], "~1,100 tokens, ~$0.00045", 0.00045),
        ([call(usage=Usage(1, 4_000_000, 700_000))], "4,700,000 tokens, $2.40", 2.4),
        ([call()._replace(provider="vllm")], "1,100 tokens", 0),
        ([call(usage=Usage(1))], "0 tokens", 0),  # never answered
        ([call()._replace(usage=None)], "0 tokens", 0),  # it goes on
    ],
)
def test_a_cost_says_what_is_known(calls, words, dollars):
    """Nothing if it was free, "no price" if none is known, and marks before estimates and parts of a sum."""
    cost = cost_of(calls)
    assert str(cost) == words
    assert cost.dollars == (dollars if dollars is None else pytest.approx(dollars))


def test_the_share_of_each_role_is_said_first():
    """The planner's repairs and further plans are its own; tools that ask a model go by their names."""
    calls = [
        call("planner"), call("repair", Usage(1, 2_000, 0)), call("replan"), call("joiner"),
        call("worker", task="a"), call("worker", task="a"), call("worker", task="b"),
    ]  # fmt: skip
    costs = costs_of(calls, BY_ID)
    assert list(costs.shares) == ["planner", "joiner", "llm", "extract"]
    assert str(costs) == "planner 44 % of $0.0032 · joiner 14 % · llm 28 % · extract 14 %"
    assert costs.roles["planner"].usage == Usage(3, 4_000, 200)
    assert {id_: cost.usage.calls for id_, cost in costs.tasks.items()} == {"a": 2, "b": 1}
    assert costs.steps == {"planner": 1, "repair": 1, "replan": 1, "joiner": 1, "worker": 3}
    assert sum(costs.roles.values(), Cost()) == costs.total == cost_of(calls)


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        ([], ""),
        ([call(usage=Usage(1))], ""),
        ([call(model="x"), call("joiner")], "planner 50 % of 2,200 tokens, ≥ $0.00045 · joiner 50 %"),
        ([each._replace(provider="vllm") for each in (call(), call("joiner", Usage(1, 3, 0)))],
         "planner 100 % of 1,103 tokens · joiner < 1 %"),
    ],
)  # fmt: skip
def test_shares_are_of_tokens_if_dollars_say_nothing(calls, words):
    """A share of a sum that lacks prices would be a wrong one."""
    assert str(costs_of(calls, {})) == words


def test_a_model_is_paid_by_the_name_of_who_answered():
    """An alias, or a proxy that chose."""
    costs = costs_of([call(), call(answered="gpt-4o")], {})
    assert list(costs.models) == ["openai:gpt-5-mini", "openai:gpt-4o"]
    assert costs.models["openai:gpt-4o"].known == pytest.approx(0.0025 + 0.001)


def test_costs_are_a_table():
    """A row for each role and task, for each model if there are several, and one for all."""
    calls = [call(usage=Usage(1, 1_000, 100, 500, True, 40)), call("worker", Usage(1, 9, 1, reported=False), task="a")]
    head, *rows = costs_of([*calls, call("joiner", model="x")], BY_ID).table()
    assert head == ["", "calls", "sent", "cached", "received", "reasoning", "cost", "share"]
    assert rows == [
        ["planner", "1", "1,000", "500", "100", "40", "$0.00034", "50 %"],
        ["joiner", "1", "1,000", "", "100", "", "no price", "50 %"],
        ["llm", "1", "~9", "", "~1", "", "~$0.0000042", "< 1 %"],
        ["task a", "1", "~9", "", "~1", "", "~$0.0000042", ""],
        ["openai:gpt-5-mini", "2", "~1,009", "~500", "~101", "~40", "~$0.00034", ""],
        ["openai:x", "1", "1,000", "", "100", "", "no price", ""],
        ["all", "3", "~2,009", "~500", "~201", "~40", "≥ $0.00034", ""],
    ]


def test_shares_in_words():
    """Whole percents; what is there is never 0."""
    assert [share_text(each) for each in (0, 0.001, 0.005, 0.624, 1)] == ["0 %", "< 1 %", "< 1 %", "62 %", "100 %"]


@tool
def get(x: object) -> object:
    """Return it."""
    return x


def test_a_run_says_what_it_cost(monkeypatch):
    """Free with a script; with a price of one's own by role and task, items of fan-outs included."""
    monkeypatch.setattr(prices, "_OWN", {})
    plan = 'a = [llm("say", n) for n in get([1, 2])]\njoin(a)\n'
    model = ScriptedModel({"planner": plan, "joiner": "ok", "worker": "some words"})
    run = Compiler(model, [get]).run_sync("?")
    assert (run.cost, run.progress.cost.money) == (0, "")
    set_price(model, input=1, output=10)
    used = run.usage
    assert run.cost == pytest.approx((used.input_tokens + 10 * used.output_tokens) / 1e6)
    costs = run.costs()
    assert set(costs.tasks) == {"a", "a[0]", "a[1]"}
    assert costs.roles["llm"] == costs.tasks["a"] == costs.tasks["a[0]"] + costs.tasks["a[1]"]
    assert [row[0] for row in costs.table()] == ["", "planner", "joiner", "llm", "task a", "all"]
    assert str(costs).startswith("planner ")
    assert run.to_pandas().set_index("task")["cost"]["a[0]"] == pytest.approx(costs.tasks["a[0]"].known)


def test_those_who_point_at_a_task_are_told_what_it_cost(monkeypatch):
    """In the graph and in the timeline of a run that has ended, the calls of planner and joiner included."""
    monkeypatch.setattr(prices, "_OWN", {})
    plan = 'a = get(1)\nb = llm("say", a)\njoin(b)\n'
    model = ScriptedModel({"planner": plan, "joiner": "ok", "worker": "some words"})
    set_price(model, input=1_000, output=10_000)
    run = Compiler(model, [get]).run_sync("?")
    costs, space = run.costs(), "{http://www.w3.org/2000/svg}"
    graph, timeline = (read(picture.svg) for picture in (run.visualize("own"), run.timeline()))
    for drawn in (graph, timeline):
        titles = {
            each.get("data-task"): each.findtext(f"{space}title", "").split("\n")
            for each in drawn.iter(f"{space}g") if each.get("data-task")
        }  # fmt: skip
        assert str(costs.tasks["b"]) in titles["b"]
        assert "$" in str(costs.tasks["b"])
        assert not any("$" in line or "tokens" in line for line in titles["a"])
    told = "\n".join(each.text for each in graph.iter(f"{space}title"))
    assert f"joiner: {costs.roles['joiner']}" in told
    rows = "\n".join(each.text for each in timeline.iter(f"{space}title"))
    assert re.search(rf"planner: .*, {re.escape(str(costs.roles['planner']))}\n", rows)
    assert re.search(rf"joiner: .*, {re.escape(str(costs.roles['joiner']))}$", rows)
