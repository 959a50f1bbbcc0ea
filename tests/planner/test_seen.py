"""Planners are told keys and types of what tools returned before, in this notebook or in its history."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, TypedDict

import pandas as pd
import pytest

from compiler_nb import Compiler, History, ScriptedModel, tool
from compiler_nb.events import RunStarted
from compiler_nb.planner.seen import Seen, is_open
from tests.support.desk import texts
from tests.support.shell import open_shell

ORDER = {"order_id": "CANARY", "lines": [{"sku": "CANARY", "qty": 3}]}
SEEN = "seen: {order_id: str, lines: [{sku, qty}]}"
PLAN = 'a = order("x")\njoin(a)\n'


@tool
def order(id: str) -> dict:  # noqa: A002 - as a user writes it
    """Fetch an order."""
    return ORDER


def ask(compiler, plan=PLAN, **options):
    """Have a question answered by this plan; return what the planner was told."""
    model = ScriptedModel({"planner": plan, "joiner": "done"})
    asked = Compiler(model, compiler.settings.tools, history=compiler.settings.history, **options)
    asked.seen = compiler.seen
    assert asyncio.run(asked.run("What?")).status == "done"
    return texts(model, "planner")[0]


def test_a_second_question_knows_what_the_tool_returned_for_the_first():
    """Keys and types, below the tool, and no contents."""
    compiler = Compiler(tools=[order])
    assert "seen:" not in ask(compiler)
    told = ask(compiler)
    assert f"order(id: str) -> dict\n    Fetch an order.\n    {SEEN}" in told
    assert "CANARY" not in told


def test_a_key_that_one_result_lacked_is_not_told():
    """It stood not in every result seen, so a plan must not rely on it."""
    results = iter([{"id": 1, "note": "x"}, {"id": 2}, {"id": 3}])

    @tool
    def fetch(x: int):
        return next(results)

    compiler = Compiler(tools=[fetch])
    ask(compiler, "a = fetch(1)\njoin(a)\n")
    assert "seen: {id: int, note: str}" in ask(compiler, "a = fetch(2)\njoin(a)\n")
    assert "seen: {id: int, …}" in ask(compiler, "a = fetch(3)\njoin(a)\n")


def test_the_items_of_a_fan_out_are_results_too():
    """Each of them; what failed is none."""

    @tool
    def fetch(x: int) -> list:
        if x == 2:
            raise ValueError("CANARY")
        return [{"id": x} if x else {"id": 1, "more": 2}]

    compiler = Compiler(tools=[fetch])
    ask(compiler, "a = [fetch(n) for n in range(4)]\njoin(a)\n")
    assert "seen: [{id: int, …}]" in ask(compiler, "a = fetch(1)\njoin(a)\n")


@pytest.mark.parametrize("options", [{"share": "none"}, {"learn_shapes": False}])
def test_nothing_is_told_or_learned_if_that_is_turned_off(options):
    """By sharing nothing, or by the setting; what was learned is not forgotten."""
    compiler = Compiler(tools=[order])
    ask(compiler, **options)
    assert "seen:" not in ask(compiler)
    assert "seen:" not in ask(compiler, **options)
    assert SEEN in ask(compiler)


def test_a_run_does_not_change_what_it_is_told():
    """It is fixed when the run begins, and stands in its first event; a replan's request shows the same."""
    model = ScriptedModel(
        {"planner": [PLAN, 'b = order("y")\njoin(b)\n', PLAN], "joiner": ["Replan: more", "ok", "ok"]}
    )
    compiler = Compiler(model, [order])
    first = asyncio.run(compiler.run("What?"))
    second = asyncio.run(compiler.run("What?"))
    assert [SEEN in text for text in texts(model, "planner", "replan")] == [False, False, True]
    assert isinstance(first.events[0], RunStarted)
    assert (first.events[0].shapes, second.events[0].shapes) == ({}, {"order": SEEN.removeprefix("seen: ")})
    hashes = [request.prompt for request in model.calls if request.role == "planner"]
    assert hashes[0] == hashes[1]


def test_a_new_kernel_knows_what_the_history_holds(tmp_path):
    """Of tools whose code is as it was; tables by their columns; a run that shared nothing counts for nothing."""

    @tool
    def rows(x: int):
        return pd.DataFrame({"city": ["CANARY"], "kg": [1.5]})

    path = tmp_path / "runs.db"
    with History(path) as history:
        ask(Compiler(tools=[order, rows], history=history), 'a = order("x")\nb = rows(1)\njoin(a)\n')
    with History(path) as history:
        told = ask(Compiler(tools=[order, rows], history=history))
        assert SEEN in told
        assert "seen: DataFrame (city: " in told
        assert "kg: float64)" in told
        assert "CANARY" not in told

    @tool(name="order")
    def changed(id: str) -> dict:  # noqa: A002 - as above
        """Fetch an order."""
        return {"other": 1}

    with History(path) as history:
        assert "seen:" not in ask(Compiler(tools=[changed], history=history))
    with History(tmp_path / "other.db") as history:
        ask(Compiler(tools=[order], history=history), share="none")
    with History(tmp_path / "other.db") as history:
        assert "seen:" not in ask(Compiler(tools=[order], history=history))


def test_a_stored_run_knows_what_its_planner_was_told(tmp_path):
    """So a resume asks with the same words, whatever was learned since."""
    model = ScriptedModel({"planner": [PLAN, PLAN, "b = order(5)\n"], "joiner": ["ok", "Replan: more"]})
    with History(tmp_path / "runs.db") as history:
        compiler = Compiler(model, [order], history=history)
        asyncio.run(compiler.run("What?"))
        run = asyncio.run(compiler.run("What?"))
        stored = history.load(run.id)
        assert stored.events[0].shapes == run.events[0].shapes == {"order": SEEN.removeprefix("seen: ")}
        assert run.prompt("planner") == stored.prompt("planner")
        other = Compiler(model, [order], history=history)
        assert other.order_resumed(stored).shapes == run.events[0].shapes


def test_a_damaged_or_foreign_history_only_tells_nothing(tmp_path):
    """Planning goes on."""
    path = tmp_path / "runs.db"
    path.write_bytes(b"no database" * 100)
    history = History(path)
    assert history.returned({"order": ("x", None)}) == []
    assert History(tmp_path / "none.db").returned({"order": ("x", None)}) == []


def test_a_notebook_learns_from_cell_to_cell():
    """Each cell has a compiler of its own, and all know what tools returned."""
    with open_shell() as shell:
        model = ScriptedModel({"planner": [PLAN] * 3, "joiner": ["done"] * 3})
        shell.ns.update(m=model, order=order)
        shell.ok("%%compile -m m\nWhat?")
        shell.ok("%%compile -m m\nAnd now?")
        shell.ok("%config CompileMagics.learn_shapes = False")
        shell.ok("%%compile -m m\nAnd now?")
        assert [SEEN in text for text in texts(model, "planner")] == [False, True, False]


class Row(TypedDict):
    """A row."""

    name: str


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        (None, True), (Any, True), (dict, True), (dict[str, float], True), (list, True), (list[dict], True),
        (list[Any], True), (dict | None, True), (Annotated[list, "x"], True), (pd.DataFrame, True), (tuple, True),
        (str, False), (int | None, False), (list[str], False), (Row, False), (list[Row], False), (bytes, False),
        (type(None), False),
    ],
)  # fmt: skip
def test_only_results_that_a_type_leaves_open_are_looked_at(hint, told):
    """What a type says is told already."""
    assert is_open(hint) is told


def test_a_value_that_cannot_be_looked_at_is_left_out():
    """A user's object may raise anything, and is never asked."""

    class Table(list):
        dtypes = iloc = ()

        @property
        def columns(self):
            raise ValueError("CANARY")

    seen = Seen()
    run = asyncio.run(Compiler(tools=[tool(name="give")(lambda x: Table())]).execute("a = give(1)\njoin(a)\n"))
    seen.learn(run.progress.tasks, run.progress.outcomes, run.settings.tools)
    assert seen.told(run.settings.tools) == {}
