"""What can be read only once goes on to another tool as it is, and is used up by nobody else."""

from __future__ import annotations

import io

import pytest

from compiler_nb import Compiler, tool

COVERS = ("results.py",)
MADE: list[object] = []


def keep(value: object) -> object:
    """Keep a value that a tool returns, to see that it is the one which arrives."""
    MADE[:] = [value]
    return value


@tool
def some() -> object:
    """Return a generator."""
    return keep(number for number in range(3))


@tool
async def later() -> object:
    """Return a generator."""
    return keep(number for number in range(3))


@tool
def streamed() -> object:
    """Return an async generator."""

    async def each():
        for number in range(3):
            yield number

    return keep(each())


@tool
def opened() -> object:
    """Return an open file."""
    return keep(io.StringIO("0\n1\n2\n"))


@tool
async def read(items: object, n: int = 0) -> object:
    """Return whether it is the very object, and what is in it."""
    whole = items[0] if type(items) is list else items
    found = [item async for item in whole] if hasattr(whole, "__anext__") else list(whole)
    return [whole is MADE[0], *(int(item) for item in found)]


TOOLS = [some, later, streamed, opened, read]


@pytest.mark.parametrize("source", ["some", "later", "streamed", "opened"])
@pytest.mark.parametrize(
    "plan",
    [
        "g = {}()\nanswer(read(g))\n",
        "answer(read({}()))\n",
        "g = {}()\nx = g\nanswer(read(items=x, n=1))\n",
        "g = {}()\nanswer(read([g]))\n",
        "g = {}()\nx = read(g) if g is not None else None\nanswer(x)\n",
        "g = {}()\nx = read(g if g else [])\nanswer(x)\n",
        "g = {}()\nxs = [read(g, n) for n in [1]]\nanswer(xs[0])\n",
    ],
)
def test_a_tool_is_given_the_very_object_that_another_returned(plan, source):
    """Whole, by place or by name, within a list, behind a test or in a fan-out: it still has all its items."""
    run = Compiler(tools=TOOLS).execute_sync(plan.format(source))
    assert (run.answer, run.progress.warnings) == ([True, 0, 1, 2], {})


def test_tools_that_are_given_one_generator_are_warned_of():
    """The first that reads it uses it up, and the others find nothing, in whatever order they come."""
    plan = "g = some()\na = read(g)\nxs = [read(g, n) for n in [1, 2, 3]]\nb = read(g) if not a else None\njoin()\n"
    run = Compiler(tools=TOOLS).execute_sync(plan)
    (warning,) = run.progress.warnings["g"]
    assert warning == "g can be read only once, but a, xs[0], xs[1] and 1 more were given it: return a list instead"
