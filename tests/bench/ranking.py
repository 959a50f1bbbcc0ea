"""Choosing which of many tools a planner is told of."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from tests.bench import Figure

if TYPE_CHECKING:
    from compiler_nb.tool import Toolbox

TOOLS, ROUNDS = 2_000, 11
VERBS = ("create", "list", "get", "update", "delete", "search", "send", "move", "merge", "close")
NOUNS = ("issue", "pull_request", "branch", "file", "message", "event", "invoice", "customer", "alert", "dashboard")
QUESTIONS = tuple(f"Which {noun.replace('_', ' ')}s of {number} were closed, and by whom?"
                  for number, noun in enumerate((*NOUNS, "row")))  # fmt: skip


def ranking() -> float:
    """Return the milliseconds of a choice for another question about the same tools."""
    from compiler_nb.planner.choice import choose

    tools, times = _tools(), []
    choose(tools, "the first one")
    for question in QUESTIONS[:ROUNDS]:
        began = perf_counter()
        choose(tools, question)
        times.append((perf_counter() - began) * 1e3)
    return median(times)


def indexing() -> float:
    """Return the milliseconds in which tools are indexed, which is done once."""
    from compiler_nb.planner.choice import index_of

    times = []
    for _ in range(3):
        tools = tuple(_tools().values())
        began = perf_counter()
        index_of(tools)
        times.append((perf_counter() - began) * 1e3)
    return median(times)


def _tools() -> Toolbox:
    from compiler_nb.tool import Tool, Toolbox

    made = []
    for number in range(TOOLS):
        verb, noun = VERBS[number % 10], NOUNS[number // 10 % 10]

        def act(owner: str, name: str, limit: int = 10, state: str = "open") -> dict[str, str]:
            return {"owner": owner, "name": name, "limit": str(limit), "state": state}

        act.__doc__ = (
            f"{verb.title()} {noun.replace('_', ' ')}s of an owner by name and state, and say what came of it."
        )
        each = Tool(act, name=f"{verb}_{noun}_{number}")
        each.server = f"server{number % 7}"
        made.append(each)
    return Toolbox(made)


FIGURES = [
    Figure("ranking", "which of 2,000 tools a planner is told of: one more question, ms", 20, 10, ranking),
    Figure("indexing", "their words, once for a set of tools, ms", 200, 80, indexing),
]
