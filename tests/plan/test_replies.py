# ruff: noqa: D103 - helpers of a test are read where they stand
"""What a planner wrote, first try, to 22 real questions in each of four ways: read as its author meant it.

`python` was asked for by rules, `free` by "a straight-line Python program" alone; each reply is accepted, or refused
with a fix that makes it right. The edges below were read off the programs by hand.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from compiler_nb.operations.bounds import Scope
from compiler_nb.plan.evaluate import evaluate
from compiler_nb.plan.fanout import Shape, expand, needs
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Join, Return
from compiler_nb.plan.tree import Ref
from compiler_nb.tool import Tool
from compiler_nb.toolbox.arithmetic import calculate
from tests.support import planner
from tests.support.clock import run_virtually
from tests.support.plans import Reading
from tests.support.session import perform

OFFERED = {"tools": planner.TOOLS, "inputs": planner.INPUTS}
PANDAS = ("data-0", "data-2")
"""The free replies that use methods of tables."""
REPLIES = {
    f"{dialect} {id_}": text
    for dialect in ("python", "free", "numbered", "json")
    for id_, text in planner.replies(dialect).items()
    if dialect != "free" or id_ not in PANDAS
}
PROGRAMS = {name: text for name, text in REPLIES.items() if name.startswith(("python", "free"))}
del PROGRAMS["free data-8"]  # it is tried with tables below, which it needs


def plan_of(name: str) -> Plan:
    return Plan.parse(REPLIES[name], **OFFERED)


# ------------------------------------------------------------------- accepted


def test_as_many_are_tried_as_were_asked():
    """22 questions in four ways; two free replies are tried apart."""
    assert Counter(name.split()[0] for name in REPLIES) == {"python": 22, "free": 20, "numbered": 22, "json": 22}


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_is_a_plan(name):
    """Whole, and in drops: the same plan, each task of it released as its line ends."""
    plan = plan_of(name)
    assert plan.tasks
    dripped = Reading(REPLIES[name], "auto", **OFFERED)
    assert dripped.plan == plan
    assert dripped.released == list(plan.tasks)


def what(task) -> str:
    """Return what a task does: the tool that it calls, "[tool]" for one per item, "=" for an expression."""
    if task.kind == "fanout":
        return f"[{' '.join(step.tool for step in task.args[0].steps)}]"
    return task.tool or "="


# ------------------------------------------------------------------- as their author meant

MEANT: dict[str, dict[str, tuple[str, ...]]] = {
    # two pages, a number from each, one sum
    "python parallelqa-11": {
        "mariana_page": ("search",),
        "puerto_page": ("search",),
        "mariana": ("llm", "mariana_page"),
        "puerto": ("llm", "puerto_page"),
        "diff": ("calculate", "mariana", "puerto"),
    },
    # the last call compares two texts that hold the two numbers
    "python parallelqa-3": {
        "sahara_page": ("search",),
        "kalahari_page": ("search",),
        "sahara": ("llm", "sahara_page"),
        "kalahari": ("llm", "kalahari_page"),
        "sahara_new": ("calculate", "sahara"),
        "kalahari_new": ("calculate", "kalahari"),
        "larger": ("llm", "sahara_new", "kalahari_new"),
    },
    # Thailand is read twice and searched once
    "python parallelqa-82": {
        "china_page": ("search",),
        "thailand_page": ("search",),
        "vietnam_page": ("search",),
        "korea_page": ("search",),
        "japan_page": ("search",),
        "china": ("llm", "china_page"),
        "thailand": ("llm", "thailand_page"),
        "vietnam": ("llm", "vietnam_page"),
        "korea": ("llm", "korea_page"),
        "japan": ("llm", "japan_page"),
        "largest": ("calculate", "china", "thailand", "vietnam", "korea", "japan"),
    },
    # five names, a search for each, a number from each page, one sum
    "python parallelqa-101": {
        "pages": ("[search]",),
        "areas": ("[llm]", "pages"),
        "total": ("calculate", "areas"),
    },
    "python movie-299": {
        "liked": ("[search]",),
        "options": ("[search]",),
        "best": ("llm", "liked", "options"),
    },
    "python data-0": {
        "totals": ("group_by",),
        "q2": ("filter_rows",),
        "q3": ("filter_rows",),
        "q2_totals": ("group_by", "q2"),
        "q3_totals": ("group_by", "q3"),
        "result": ("llm", "totals", "q2_totals", "q3_totals"),
    },
    # `weather` is the table that was offered, not the tool
    "python data-2": {
        "seattle": ("filter_rows",),
        "new_york": ("filter_rows",),
        "seattle_monthly": ("resample", "seattle"),
        "new_york_monthly": ("resample", "new_york"),
        "both": ("join_tables", "seattle_monthly", "new_york_monthly"),
        "comparison": ("llm", "both"),
    },
    "python data-4": {
        "complaints": ("topics",),
        "drafts": ("[llm]", "complaints"),
        "body": ("llm", "complaints", "drafts"),
        "sent": ("send_email", "body"),
    },
    # the list of methods is a literal, which join shows all the same
    "python data-6": {
        "monthly": ("resample",),
        "forecasts": ("[forecast]", "monthly"),
        "errors": ("[backtest]", "monthly"),
        "best": ("llm", "errors"),
        "best_forecast": ("forecast", "monthly", "best"),
        "chart": ("plot", "best_forecast", "best"),
        "join.1": ("=",),
    },
    "python data-8": {
        "rate": ("exchange_rate",),
        "sums": ("group_by",),
        "counts": ("group_by",),
        "usd_sum": ("llm", "sums"),
        "eur_sum": ("llm", "sums"),
        "usd_count": ("llm", "counts"),
        "eur_count": ("llm", "counts"),
        "average": ("calculate", "eur_sum", "usd_sum", "rate", "eur_count", "usd_count"),
    },
    # a conditional value: no model chooses
    "free parallelqa-3": {
        "sahara_text": ("search",),
        "kalahari_text": ("search",),
        "sahara_area": ("llm", "sahara_text"),
        "kalahari_area": ("llm", "kalahari_text"),
        "sahara_new": ("calculate", "sahara_area"),
        "kalahari_new": ("calculate", "kalahari_area"),
        "larger": ("=", "sahara_new", "kalahari_new"),
    },
    "free parallelqa-13": {
        "sahara": ("search",),
        "sonoran": ("search",),
        "sahara_area": ("llm", "sahara"),
        "sonoran_area": ("llm", "sonoran"),
        "ratio": ("calculate", "sahara_area", "sonoran_area"),
    },
    # the smaller of two, then a text of it and a third
    "free parallelqa-33": {
        "everest_text": ("search",),
        "empire_text": ("search",),
        "cn_text": ("search",),
        "everest_h": ("llm", "everest_text"),
        "empire_h": ("llm", "empire_text"),
        "cn_h": ("llm", "cn_text"),
        "everest_new": ("calculate", "everest_h"),
        "empire_new": ("calculate", "empire_h"),
        "cn_new": ("calculate", "cn_h"),
        "shorter": ("=", "empire_new", "cn_new"),
        "times": ("calculate", "everest_new", "shorter"),
    },
    # a dict of three, and the key of its least value
    "free parallelqa-23": {
        "greyhound": ("search",),
        "gazelle": ("search",),
        "falcon": ("search",),
        "greyhound_speed": ("llm", "greyhound"),
        "gazelle_speed": ("llm", "gazelle"),
        "falcon_speed": ("llm", "falcon"),
        "greyhound_new": ("calculate", "greyhound_speed"),
        "gazelle_new": ("calculate", "gazelle_speed"),
        "falcon_new": ("calculate", "falcon_speed"),
        "speeds": ("=", "greyhound_new", "gazelle_new", "falcon_new"),
        "slowest": ("=", "speeds"),
    },
    # the dict stands on several lines
    "free parallelqa-55": {
        "sahara": ("search",),
        "kalahari": ("search",),
        "sonoran": ("search",),
        "arabian": ("search",),
        "sahara_area": ("llm", "sahara"),
        "kalahari_area": ("llm", "kalahari"),
        "sonoran_area": ("llm", "sonoran"),
        "arabian_area": ("llm", "arabian"),
        "sahara_new": ("calculate", "sahara_area"),
        "kalahari_new": ("calculate", "kalahari_area"),
        "sonoran_new": ("calculate", "sonoran_area"),
        "arabian_new": ("calculate", "arabian_area"),
        "areas": ("=", "sahara_new", "kalahari_new", "sonoran_new", "arabian_new"),
        "smallest": ("=", "areas"),
    },
    "free parallelqa-82": {
        "china": ("search",),
        "thailand": ("search",),
        "vietnam": ("search",),
        "south_korea": ("search",),
        "japan": ("search",),
        "china_pop": ("llm", "china"),
        "thailand_pop": ("llm", "thailand"),
        "vietnam_pop": ("llm", "vietnam"),
        "south_korea_pop": ("llm", "south_korea"),
        "japan_pop": ("llm", "japan"),
        "china_thailand": ("calculate", "china_pop", "thailand_pop"),
        "vietnam_korea": ("calculate", "vietnam_pop", "south_korea_pop"),
        "japan_thailand": ("calculate", "japan_pop", "thailand_pop"),
        "largest": ("=", "china_thailand", "vietnam_korea", "japan_thailand"),
    },
    "free hotpot-4": {
        "curtis": ("search",),
        "draper": ("search",),
        "common": ("llm", "curtis", "draper"),
    },
    # eight searches, and one call on several lines, its first argument two strings side by side
    "free movie-299": {
        "ref1": ("search",),
        "ref2": ("search",),
        "ref3": ("search",),
        "ref4": ("search",),
        "opt1": ("search",),
        "opt2": ("search",),
        "opt3": ("search",),
        "opt4": ("search",),
        "best": ("llm", "ref1", "ref2", "ref3", "ref4", "opt1", "opt2", "opt3", "opt4"),
    },
    # nobody uses `complaints`; items and slices are expressions
    "free data-4": {
        "complaints": ("llm",),
        "top_topics": ("topics",),
        "topic1": ("=", "top_topics"),
        "topic2": ("=", "top_topics"),
        "topic3": ("=", "top_topics"),
        "examples1": ("=", "topic1"),
        "examples2": ("=", "topic2"),
        "examples3": ("=", "topic3"),
        "draft1": ("llm", "topic1", "examples1"),
        "draft2": ("llm", "topic2", "examples2"),
        "draft3": ("llm", "topic3", "examples3"),
        "body": (
            "llm", "topic1", "examples1", "draft1", "topic2", "examples2", "draft2", "topic3", "examples3", "draft3",
        ),
        "sent": ("send_email", "body"),
    },
    # a forecast is chosen by a computed key, not made again
    "free data-6": {
        "cleaned": ("clean",),
        "monthly": ("resample", "cleaned"),
        "forecast_naive": ("forecast", "monthly"),
        "forecast_ets": ("forecast", "monthly"),
        "forecast_arima": ("forecast", "monthly"),
        "error_naive": ("backtest", "monthly"),
        "error_ets": ("backtest", "monthly"),
        "error_arima": ("backtest", "monthly"),
        "errors": ("=", "error_naive", "error_ets", "error_arima"),
        "forecasts": ("=", "forecast_naive", "forecast_ets", "forecast_arima"),
        "best_method": ("=", "errors"),
        "best_forecast": ("=", "forecasts", "best_method"),
        "chart": ("plot", "best_forecast", "best_method"),
    },
}  # fmt: skip
"""By reply and task: what it does, and what it waits for."""

ENDS = {
    "python parallelqa-11": Return(Ref("diff")),
    "python parallelqa-3": Return(Ref("larger")),
    "python parallelqa-82": Return(Ref("largest")),
    "python parallelqa-101": Return(Ref("total")),
    "python movie-299": Return(Ref("best")),
    "python data-0": Return(Ref("result")),
    "python data-2": Return(Ref("comparison")),
    "python data-4": Join(("complaints", "drafts", "sent")),
    "python data-6": Join(("join.1", "errors", "best", "forecasts", "chart")),
    "python data-8": Return(Ref("average")),
    "free parallelqa-3": Return(Ref("larger")),
    "free parallelqa-13": Return(Ref("ratio")),
    "free parallelqa-33": Return(Ref("times")),
    "free parallelqa-23": Return(Ref("slowest")),
    "free parallelqa-55": Return(Ref("smallest")),
    "free parallelqa-82": Return(Ref("largest")),
    "free hotpot-4": Return(Ref("common")),
    "free movie-299": Return(Ref("best")),
    "free data-4": Return(Ref("body")),
    "free data-6": Join(("errors", "best_method", "chart")),
}
READS = {"data-0": ("sales",), "data-2": ("weather",), "data-4": ("reviews",), "data-6": ("sales",),
         "data-8": ("orders",)}  # fmt: skip
"""The offered variables that a question's program reads; none if it is not listed."""


@pytest.mark.parametrize("name", MEANT)
def test_a_reply_is_read_as_its_author_meant(name):
    """Ten of each: its calls, what each waits for, in order, its inputs, and its end."""
    plan = plan_of(name)
    assert {task.id: (what(task), *task.dependencies) for task in plan} == MEANT[name]
    assert [task.id for task in plan] == list(MEANT[name])
    assert plan.inputs == READS.get(name.split()[1], ())
    assert plan.final == ENDS[name]


def item_calls(name: str, id_: str, shapes: dict[str, Shape], **values: Any) -> dict[str, tuple[Any, ...]]:
    """Return the arguments of a fan-out's items, with what these values and shapes say."""
    expansion = expand(plan_of(name)[id_], Scope(values), shapes)
    return {task.id: tuple(evaluate(arg, Scope(Echo())) for arg in task.args) for task, _ in expansion.tasks}


class Echo(dict[str, str]):
    """Gives each id itself, in brackets, so that a value tells where it came from."""

    def __missing__(self, id_: str) -> str:
        return f"<{id_}>"


FORESTS = ["Amazon Rainforest", "Congo Rainforest", "Forests of Australia", "Borneo Rainforest", "Black Forest"]


def test_pages_are_read_one_by_one():
    """Each of five searches feeds its own extraction, and the sum reads the five items."""
    name = "python parallelqa-101"
    pages = item_calls(name, "pages", {})
    assert pages == {f"pages[{n}]": (f"{forest} area",) for n, forest in enumerate(FORESTS)}
    plan, shape = plan_of(name), Shape.of("list", [None] * 5, list(pages))
    assert needs(plan["areas"], lambda id_: "list" if id_ == "pages" else "") == ((), ("pages",))
    areas = item_calls(name, "areas", {"pages": shape})
    assert [args[1:] for args in areas.values()] == [(f"<pages[{n}]>",) for n in range(5)]
    assert needs(plan["total"], lambda id_: "list") == ((), ("areas",))


def test_items_get_what_their_line_says():
    """Literal sources, values known at run time, and arguments that are the same for each item."""
    liked = item_calls("python movie-25", "liked", {})
    assert list(liked.values()) == [(f"{title} film",) for title in (
        "Star Wars Episode IV - A New Hope", "The Fugitive", "Being John Malkovich", "Mission Impossible")]  # fmt: skip
    forecasts = item_calls("python data-6", "forecasts", {})
    assert list(forecasts.values()) == [("<monthly>", "revenue", 6, way) for way in ("naive", "ets", "arima")]
    complaints = [{"topic": f"t{n}", "examples": [f"{n}a", f"{n}b", f"{n}c"]} for n in range(2)]
    drafts = item_calls("python data-4", "drafts", {}, complaints=complaints)
    assert [args[1:] for args in drafts.values()] == [("t0", "0a", "0b"), ("t1", "1a", "1b")]


# ------------------------------------------------------------------- as Python performs them


def performed_by_python(
    program: str, tools: dict[str, Any], inputs: dict[str, Any]
) -> tuple[dict[str, Any], list[Any]]:
    """Return the names that a program leaves, and what it ends in, when Python performs it line by line."""
    end: list[Any] = []
    names = {**tools, **inputs, "answer": end.append, "join": lambda *values: end.extend(values)}
    known = {*names, "__builtins__"}
    exec("\n".join(line for line in program.split("\n") if not line.startswith("```")), names)  # noqa: S102 - our own
    return {name: value for name, value in names.items() if name not in known}, end


def performed_by_us(program: str, tools: dict[str, Any], inputs: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Return the same of what the engine makes of a program, all at once."""

    def waiting(name: str) -> Tool:
        async def call(*args: Any, **kwargs: Any) -> Any:
            return tools[name](*args, **kwargs)

        return Tool(call, name=name, side_effects=planner.TOOLS[name].side_effects)

    doubles = [waiting(name) for name in tools]
    values = run_virtually(perform(program, doubles, inputs=inputs, approve="auto")).values
    final = Plan.parse(program, **OFFERED).final
    if isinstance(final, Join):
        return values, [values[id_] for id_ in final.refs]
    return values, [evaluate(final.expression, Scope(values))]


def counting(calls: Counter[str]) -> dict[str, Any]:
    """Return tools that note how they are called."""

    def make(name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls[repr((name, args, kwargs))] += 1
            return planner.give(name, args, kwargs)

        return call

    return {name: make(name) for name in planner.TOOLS}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_reply_gives_what_python_gives(name):
    """The same calls, values and end."""
    inputs = {name: f"the {name}" for name in planner.INPUTS}
    expected_calls, calls = Counter[str](), Counter[str]()
    expected, expected_end = performed_by_python(PROGRAMS[name], counting(expected_calls), inputs)
    values, end = performed_by_us(PROGRAMS[name], counting(calls), inputs)
    assert calls == expected_calls
    assert end == expected_end
    shared = expected.keys() & values.keys()
    assert shared
    assert {id_: values[id_] for id_ in shared} == {id_: expected[id_] for id_ in shared}


# ------------------------------------------------------------------- pandas as models write it


def tables() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tools and the inputs of the questions about tables, at work on a little data."""
    pandas = pytest.importorskip("pandas")
    days = pandas.date_range("2025-01-01", periods=273)
    sales = pandas.DataFrame(
        [
            (day, f"region {r}", float((r + 1) * (n % 7 + 1) + r * n % 11))
            for n, day in enumerate(days)
            for r in range(7)
        ],
        columns=["date", "region", "revenue"],
    )
    weather = pandas.DataFrame(
        [
            (day, place, n * step % 17 / 2)
            for n, day in enumerate(days)
            for place, step in (("Seattle", 5), ("New York", 3))
        ],
        columns=["date", "location", "precipitation"],
    )
    orders = pandas.DataFrame({"currency": ["USD", "EUR", "USD"], "amount": [10.5, 20.25, 30.0]})
    tools = {
        "clean": lambda df: df.drop_duplicates(),
        "filter_rows": lambda df, where: df.query(where, engine="python"),
        "group_by": lambda df, by, value, how="sum": df.groupby(by, as_index=False)[value].agg(how),
        "resample": lambda df, every, value, how: (
            df.resample(every[0].upper() + "S", on="date")[[value]].agg(how).reset_index()
        ),
        "join_tables": lambda left, right, on: left.merge(right, on=on),
        "calculate": calculate.function,
        "exchange_rate": lambda source, target: 0.9,
        "llm": lambda instruction, *inputs: [day.month for day in inputs[-1]["date"]],
    }
    return tools, {"sales": sales, "weather_df": weather, "orders": orders}


@pytest.mark.parametrize("name", [*PANDAS, "data-8"])
def test_pandas_as_a_model_writes_it_gives_what_its_author_wanted(name):
    """The reply as it came, with methods of tables in it: accepted, and with the answer that Python gives."""
    tools, inputs = tables()
    text = planner.replies("free")[name]
    _, expected = performed_by_python(text, tools, inputs)
    _, end = performed_by_us(text, tools, inputs)
    assert end == expected
    assert end != [[]]
