"""`%compile why` and `%compile disclosed`; `show` is in `test_listing`."""

from __future__ import annotations

import re
import threading

from compiler_nb.events import ModelWaits
from compiler_nb.models.openai import OpenAIModel
from tests.support.server import Server
from tests.support.shell import told


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


def test_disclosed_says_what_left_this_machine(shell, capsys):
    """Of the last run, or of one that is named."""
    shell.planner("a = double(2)\nanswer(a)\n")
    shell.ok("%%compile -m m\nTwice two?")
    assert told(shell, capsys, "%compile disclosed").startswith("no prompt left this machine\n1. planner to scripted: ")
    assert "planner" in told(shell, capsys, "%compile disclosed run")
