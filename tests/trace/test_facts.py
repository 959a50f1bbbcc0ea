"""What a list says of a run: in the list of a notebook, in tables of runs and of tasks, fresh and stored."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import pytest

from compiler_nb import Compiler, ScriptedModel, save_prompt, tool
from compiler_nb.history import History
from compiler_nb.trace import Cost, Facts, facts_of

COVERS = ("table.py",)
PLAN = "a = ask(1)\nb = llm('Which?', a)\nanswer(b)"


@tool
def ask(n: int) -> str:
    """Ask."""
    return f"{n} city"


def run_of(plan=PLAN, history=None, model="scripted", **settings):
    """Return a run with three calls of a model, one of them a task's."""
    asked = ScriptedModel({"planner": plan, "worker": "Rome, by far."}, name=model)
    return Compiler(asked, [ask], history=history, **settings).run_sync("Which city?")


def test_the_facts_of_a_run():
    """The models that it asked, once each, tokens, dollars and the answer."""
    run = run_of()
    assert facts_of(run.progress) == Facts(("scripted:scripted",), Cost(run.usage), "Rome, by far.")


@pytest.mark.parametrize("plan", [PLAN, "a = ask(1)\nanswer(a)", "answer({'x': [1, 2]})", "a = ask(1)\nanswer(a, a)"])
def test_a_stored_run_has_the_same_facts(tmp_path, plan):
    """An answer may stand in the file as what a task returned; a run without an answer has none."""
    with History(tmp_path / "runs.db") as history:
        run = run_of(plan, history, max_repairs=0)
        assert history.facts([run.id, "nobody"]) == {run.id: facts_of(run.progress), "nobody": Facts()}


def test_the_users_own_prompts_are_among_them(tmp_path):
    """With their versions; of a stored run as well."""
    save_prompt("joiner", "brief", "Answer in one word.")
    with History(tmp_path / "runs.db") as history:
        run = run_of("a = ask(1)\nanswer(a)", history, prompts={"joiner": "brief"})
        assert facts_of(run.progress).prompts == (run.settings.variants["joiner"],)
        assert history.facts([run.id])[run.id].prompts == (run.settings.variants["joiner"],)
    assert run.settings.variants["joiner"].startswith("brief@")


def test_a_history_is_a_table_with_a_row_per_run(tmp_path):
    """The newest first; an empty one has the columns."""
    with History(tmp_path / "runs.db") as history:
        columns = ["run", "at", "status", "question", "answer", "model", "tasks", "tokens", "cost", "seconds"]
        assert list(history.to_pandas().columns) == columns
        runs = [run_of(history=history), run_of("a = ask(1)\njoin()", history)]
        table = history.to_pandas().set_index("run")
    told = table.loc[runs[0].id]
    assert set(table.index) == {run.id for run in runs}
    assert told["answer"] == "Rome, by far."
    assert (told["status"], told["tasks"], told["model"], told["cost"]) == ("done", 2, "scripted:scripted", 0)
    assert told["tokens"] == runs[0].usage.tokens


def test_a_run_is_a_table_with_a_row_per_task():
    """When each began, which models it asked, and what that cost."""
    before = datetime.now().astimezone()
    run = run_of()
    table = run.to_pandas().set_index("task")
    assert before <= run.at <= table["at"]["a"] <= table["at"]["b"] < before + timedelta(seconds=60)
    assert list(table["model"]) == ["", "scripted:scripted"]
    assert (table["tokens"]["a"], table["tokens"]["b"] > 0) == (0, True)
    assert math.isclose(table["cost"]["b"], 0)
