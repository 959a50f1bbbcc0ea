import asyncio

import pytest

from compiler_nb.errors import ModelError
from compiler_nb.events import Log
from compiler_nb.models.base import Chunk, Request
from compiler_nb.models.calls import Calls
from compiler_nb.plan.parser import PlanParser
from compiler_nb.planner.reading import write_plan
from compiler_nb.tool import Toolbox
from tests.support.desk import Desk, Pieces

COVERS = ("writing.py",)

TOOLS = Toolbox(Desk().tools)


def read(pieces, **limits):
    """Return whether a model's reply was complete, the ids that were taken, and the parser."""
    taken = []

    async def main():
        calls, parser = Calls(Log("r").emit, **limits), PlanParser(dialect="python", tools=TOOLS)
        try:
            complete = await write_plan(calls, Pieces(pieces), Request("planner", ()), parser, taken.append)
        except ModelError as error:
            complete = error
        return complete, [task.id for task in taken], parser

    return asyncio.run(main())


def test_tasks_are_taken_while_the_model_speaks():
    """Each as soon as its line is complete."""
    seen = []

    async def main():
        parser = PlanParser(dialect="python", tools=TOOLS)

        async def look():
            seen.append(len(parser.builder.tasks))

        model = Pieces([Chunk("a = get(1)"), look, Chunk("\nb"), look, Chunk(" = get(2)\n"), look, Chunk("", "stop")])
        return await write_plan(Calls(Log("r").emit), model, Request("planner", ()), parser, lambda task: None)

    assert asyncio.run(main())
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(("finish", "complete"), [("stop", True), ("", False), ("length", False), ("weird", True)])
def test_a_reply_is_complete_where_the_model_ended(finish, complete):
    """A last line without its end counts only then; else the error says whose, why, how often, and what is kept."""
    ended, ids, parser = read([Chunk("a = get(1)\nb = get(2)"), Chunk("", finish)])
    assert (ended is True, ids) == (complete, ["a", "b"] if complete else ["a"])
    if not complete:
        why = {"": "the reply ended without a finish", "length": "the reply is cut off at the model's"}[finish]
        assert str(ended).startswith(f"pieces:pieces: {why}")
        assert str(ended).endswith("(kept: a)")
        assert ended.retryable
    assert [problem.kind for problem in parser.problems] == ([] if complete else ["truncated"])


def test_a_failed_call_leaves_what_had_come():
    """The error is raised, and the parser is closed as cut."""
    error, ids, parser = read([Chunk("a = get(1)\nb = g"), ModelError("down")])
    assert (str(error), ids, parser.closed) == ("down (kept: a)", ["a"], True)
    assert [problem.kind for problem in parser.problems] == ["truncated"]


def test_a_model_without_end_is_not_read_for_ever():
    """After the longest text that can be a plan nothing more is read."""
    told = []

    def endless():
        while True:
            told.append(1)
            yield Chunk("# " + "x" * 99_998 + "\n")

    complete, _, parser = read(endless())
    assert complete is False
    assert len(told) <= 12
    assert "too_large" in [problem.kind for problem in parser.problems]
