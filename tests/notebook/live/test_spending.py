"""What a page is told of tokens and dollars, while a run goes on and at its end."""

from __future__ import annotations

import pytest

from compiler_nb import Compiler, ScriptedModel, tool
from compiler_nb.events import Log, ModelChunk, ModelEnded, ModelStarted
from compiler_nb.models import prices
from compiler_nb.notebook.live.board import Board
from compiler_nb.notebook.live.details import details
from compiler_nb.outcome import Usage
from compiler_nb.trace import Progress
from tests.support.frames import Page

PLAN = 'a = llm("say", "x")\nb = [llm("say more", n) for n in get([1, 2])]\njoin(a)\n'


@tool
def get(x: object) -> object:
    """Return it."""
    return x


class Sold(ScriptedModel):
    """A script at the prices of a well-known model."""

    provider = "openai"

    def __init__(self):
        replies = {"planner": PLAN, "joiner": "ok", "worker": lambda request: "word " * len(request.task)}
        super().__init__(replies, name="gpt-4o-mini")


def page_of(run):
    """Return what a page knows of a run that has ended."""
    board = Board(run.progress, run.words)
    board.spending.settle()
    return board, Page([board.frame(run.seconds)])


def test_a_page_is_told_what_each_task_cost_and_each_role():
    """Tasks by their numbers, a fan-out with its items together; calls of planner and joiner with their bars."""
    run = Compiler(Sold(), [get]).run_sync("?")
    costs = run.costs()
    board, page = page_of(run)
    told = {page.ids[number]: rest for number, rest in page.by_task["costs"].items()}
    assert told == {id_: [str(cost).split(", "), cost.usage.tokens] for id_, cost in costs.tasks.items()}
    assert set(told) == {"a", "b", "b[0]", "b[1]"}
    usage = page.facts["usage"]
    assert usage == {
        "calls": 5, "words": [costs.total.tokens, costs.total.money], "shares": str(costs),
    }  # fmt: skip
    assert usage["shares"].startswith("planner ")
    assert [row[7] for row in page.facts["models"]] == [str(costs.roles["planner"]), str(costs.roles["joiner"])]
    late = Page([board.snapshot(run.seconds)])
    assert (late.by_task["costs"], late.facts["usage"]) == (page.by_task["costs"], usage)
    assert board.rows_from(0, 1)["costs"] == [[0, *told["a"]]]


def test_tokens_so_far_are_estimated_while_a_model_writes():
    """What was sent, and what came until now; the provider's own numbers follow."""
    log = Log("r")
    board = Board(Progress(log.events))
    page = Page([board.frame(0.0)] if board.catch_up() else [])
    message = {"role": "user", "content": "x" * 400}
    log.emit(ModelStarted, 1, "planner", "", "scripted", "m", (message,), "", "")
    page.apply(board.frame(0.1))
    assert page.facts["usage"]["words"] == ["~100 tokens"]
    log.emit(ModelChunk, 1, "y" * 40)
    page.apply(board.frame(0.2))
    assert (page.facts["usage"]["words"], page.facts["usage"]["calls"]) == (["~110 tokens"], 0)
    log.emit(ModelEnded, 1, "stop", Usage(1, 90, 12), "", "", "", "")
    page.apply(board.frame(0.3))
    assert (page.facts["usage"]["words"], page.facts["usage"]["calls"]) == (["102 tokens"], 1)


def test_the_run_does_not_wait_for_the_price_list(monkeypatch):
    """Until it is there tokens are told, and then dollars, too."""
    monkeypatch.setattr(prices, "_LOADED", [])
    monkeypatch.setattr(prices.warm, "begin", lambda name, work: None)
    run = Compiler(Sold(), [get]).run_sync("?")
    board = Board(run.progress, run.words)
    page = Page([board.frame(0.1)])
    assert (page.facts["usage"]["words"], page.by_task["costs"]) == ([f"{run.usage.tokens:,} tokens"], {})
    board.spending.settle()
    page.apply(board.frame(0.2))
    assert ", ".join(page.facts["usage"]["words"]) == str(run.costs().total)
    assert set(page.by_task["costs"]) == {page.ids.index(id_) for id_ in run.costs().tasks}


@pytest.mark.parametrize(("task", "words"), [("a", "1 call of a model: "), ("b", "2 calls of a model: ")])
def test_details_say_what_a_task_cost(task, words):
    """Above its prompts; a fan-out says it of all its items."""
    run = Compiler(Sold(), [get]).run_sync("?")
    said = details(run, task).replace("<span>$</span>", "$")
    assert f"<p>{words}{run.costs().tasks[task]}</p>" in said
