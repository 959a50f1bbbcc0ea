"""`%compile why`, `%compile cost` and `%compile disclosed`; `show` is in `test_listing`."""

from __future__ import annotations

import re
import threading

import pytest

from compiler_nb.events import ModelWaits
from compiler_nb.models import prices
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.models.scripted import ScriptedModel
from tests.support.server import Server
from tests.support.shell import told


@pytest.mark.slow
def test_why_tells_what_the_planner_waits_for(shell, capsys):
    """While no task is planned yet, a provider that asks to wait is all there is to tell."""
    waits = threading.Event()

    def note(event):
        if isinstance(event, ModelWaits):
            waits.set()

    with Server("answer(1)\n", faults=["429=1"]) as server:
        shell.ns["m"] = OpenAIModel("m", provider="vllm", base_url=server.url)
        shell.ok("%%compile -b -m m -o r\nWhat?")
        run = shell.ns["r"]
        run.log.listeners.append(note)
        assert run.progress.waits or waits.wait(10)
        assert re.fullmatch(
            r"the planner waits for vllm: asked for 1 s, \d\.\d s left\n", told(shell, capsys, "%compile why")
        )
        assert "the planner waits for vllm: asked for 1 s" in repr(run)
        run.wait(10)
    assert run.answer == 1
    assert re.fullmatch(r"the run took [12]\.\d s: planner\n", told(shell, capsys, "%compile why"))


def test_cost_is_a_table_by_role_and_task(shell, capsys, monkeypatch):
    """In tokens if a model is free; with a price in the notebook's settings in dollars, too, as in the list of runs."""
    monkeypatch.setattr(prices, "_OWN", {})
    shell.ok("%%plan\nx = double(1)")
    assert told(shell, capsys, "%compile cost") == "no model was asked in this run\n"
    shell.ns["m"] = ScriptedModel({"planner": "a = llm('Why?')\nanswer(a)\n", "worker": "Because."})
    shell.ok("%%compile -m m -o r\nWhy?")
    lines = told(shell, capsys, "%compile cost").splitlines()
    assert [line.split("  ")[0] for line in lines] == ["", "planner", "llm", "task a", "all", "", lines[-1]]
    assert lines[-1] == str(shell.ns["r"].costs())
    shell.ok("%config CompileMagics.prices = {'scripted:scripted': (1, 10)}")
    said = told(shell, capsys, "%compile cost r")
    assert shell.ns["r"].progress.cost.money in said
    assert shell.ns["r"].progress.cost.money in told(shell, capsys, "%compile runs")
    shell.ok("%config CompileMagics.prices = {}")
    assert shell.ns["r"].cost == 0


def test_wrong_prices_are_refused_when_they_are_set(shell, caplog, monkeypatch):
    """With what they must be; those that were set stay."""
    monkeypatch.setattr(prices, "_OWN", {})
    shell.ok("%config CompileMagics.prices = {'vllm:m': (1, 2)}")
    for wrong in ("{'m': (1, 2)}", "{'vllm:m': 3}", "3"):
        shell.run(f"%config CompileMagics.prices = {wrong}")
    assert set(prices._OWN) == {"vllm:m"}
    assert "the price of vllm:m must be (input, output)" in caplog.text
    shell.ok("%config CompileMagics.prices = {}")
    assert prices._OWN == {}


def test_disclosed_says_what_left_this_machine(shell, capsys):
    """Of the last run, or of one that is named."""
    shell.planner("a = double(2)\nanswer(a)\n")
    shell.ok("%%compile -m m\nTwice two?")
    assert told(shell, capsys, "%compile disclosed").startswith("no prompt left this machine\n1. planner to scripted: ")
    assert "planner" in told(shell, capsys, "%compile disclosed run")
