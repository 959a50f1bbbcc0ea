"""What a program calls and gives, as a plan and in Python itself."""

from __future__ import annotations

import asyncio
import warnings
import zlib
from copy import deepcopy
from typing import Any

from compiler_nb.operations.bounds import Scope
from compiler_nb.outcome import Failure, Skipped
from compiler_nb.plan.evaluate import evaluate
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Return
from compiler_nb.tool import Toolbox, tool
from tests.support.session import opened

INPUTS: dict[str, Any] = {"xs": [3, 1, 2, 1], "city": "Paris", "rows": {"a": 1, "b": 0}, "yes": True, "no": False}
"""The offered variables, and their values."""


def _give(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what a tool gives: another value for other arguments, of the kind that its name says."""
    number = zlib.crc32(repr((name, args, sorted(kwargs.items()))).encode()) % 10
    match name:
        case "pair":
            return (number, number + 1)
        case "parts":
            return [number + each for each in range(number % 3 + 1)]
        case "test":
            return number % 2 == 0
        case _:
            return f"{name}{number}"


NAMES = ("load", "two", "pair", "parts", "test")


class Calls:
    """Tools that note their calls: `made`, in order; `tools` for a plan, `functions` for Python."""

    def __init__(self) -> None:
        self.made: list[str] = []

        def noting(name: str) -> Any:
            def call(*args: object, **kwargs: object) -> object:
                self.made.append(f"{name}{args}{kwargs or ''}")
                return _give(name, args, kwargs)

            return call

        self.functions = {name: noting(name) for name in (*NAMES, "send")}
        plain = [tool(name=name)(self.functions[name]) for name in NAMES]
        self.tools = Toolbox([*plain, tool(name="send", side_effects=True)(self.functions["send"])])


def in_python(text: str) -> tuple[list[str], dict[str, Any]]:
    """Run a program; return its calls, sorted, and the variables that it leaves."""
    calls = Calls()
    names: dict[str, Any] = {}
    given = {
        **deepcopy(INPUTS),
        **calls.functions,
        "answer": lambda value: names.update(answer=value),
        "join": lambda *names: None,
    }
    with warnings.catch_warnings(action="ignore"):
        exec(compile(text, "program", "exec"), given, names)  # noqa: S102 - a program of a test
    return sorted(calls.made), names


def in_a_plan(plan: Plan, calls: Calls) -> tuple[list[str], dict[str, Any]]:
    """Perform a plan with these tools; return its calls, sorted, and its values. A task that fails raises."""

    async def perform() -> dict[str, Any]:
        async with opened(calls.tools, inputs=INPUTS, approve="auto") as session:
            for task in plan:
                session.add(task)
            session.close()
            await session.drained()
            return dict(session.outcomes)

    outcomes = asyncio.run(perform())
    for id_, outcome in outcomes.items():
        assert not isinstance(outcome, Failure), (id_, outcome)
        assert not isinstance(outcome, Skipped) or outcome.not_needed, (id_, outcome)
    if isinstance(plan.final, Return):
        outcomes["answer"] = evaluate(plan.final.expression, Scope(outcomes, INPUTS))
    return sorted(calls.made), outcomes


def performed(text: str, dialect: str = "python") -> tuple[list[str], dict[str, Any]]:
    """Read and perform a plan; see `in_a_plan`."""
    calls = Calls()
    return in_a_plan(Plan.parse(text, dialect=dialect, tools=calls.tools, inputs=INPUTS), calls)
