"""What models were asked and what they replied."""

from __future__ import annotations

import pytest

from compiler_nb import Compiler, ScriptedModel
from compiler_nb.trace import calls_of

PLANS = ["a = nope(1)\n", "a = llm('Say A.')\nb = llm('Say B.')\njoin(a, b)\n"]


@pytest.fixture(scope="module")
def run():
    """Give a run whose plan was repaired, with two tasks that asked a model."""
    model = ScriptedModel({"planner": PLANS[0], "repair": PLANS[1], "worker": lambda request: request.task.upper(),
                           "joiner": "Done."})  # fmt: skip
    return Compiler(model).run_sync("What?")


def test_a_user_reads_what_came_back_word_for_word(run):
    """By role, and by the task that asked."""
    assert (run.reply(), run.reply("repair"), run.reply("joiner")) == (*PLANS, "Done.")
    assert (run.reply("a"), run.reply("b")) == ("A", "B")
    assert run.prompt("a").endswith("Say A.") == run.prompt("b").endswith("Say B.")
    assert [call.task for call in calls_of(run.progress, "worker")] == ["a", "b"]
    assert {run.reply("worker", 0), run.reply("worker", 1)} == {"A", "B"}
    assert run.reply("worker", -1) == run.reply("worker", 1)


def test_a_call_that_was_not_made_is_told_with_those_that_were(run):
    """A misspelt role, and a number that is too high."""
    with pytest.raises(KeyError, match="this run asked no model as 'joinr'; it asked: planner, "):
        run.reply("joinr")
    with pytest.raises(KeyError, match="there is 1 call of planner in this run"):
        run.prompt("planner", 1)
    with pytest.raises(KeyError, match=r"this run asked no model'$"):
        Compiler().execute_sync("x = 1 + 1\nanswer(x)\n").prompt()


def test_what_changed_since_another_run_is_marked(run):
    """In the prompt and in the reply; of a role that was asked more often, with the last call."""
    other = Compiler(ScriptedModel({"planner": PLANS[1], "worker": "X", "joiner": "Nearly done."})).run_sync("Why?")
    assert "- Question: Why?\n+ Question: What?" in run.prompt(since=other)
    assert run.reply("joiner", since=other) == "- Nearly done.\n+ Done."
    assert run.reply("worker", 0, since=run) == f"  {run.reply('worker', 0)}"
    with pytest.raises(KeyError, match="'repair'"):
        run.prompt("repair", since=other)
