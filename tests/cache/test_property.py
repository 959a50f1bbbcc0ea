"""Nothing wrong is taken from the cache: a run with it gives what a fresh one gives, and only what changed runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from compiler_nb import Compiler, History, Run, Tool
from compiler_nb.events import TaskStarted
from tests.support.scale import seed, times

NAMES = ("f", "g", "h")


class Program:
    """Three pure tools with their sources, a plan over them and inputs: all may change from run to run.

    f calls `help_f`, which reads `RATE`; g reads the list `TABLE`; h has a default.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.sources = {"f": "x * RATE + 1", "g": "[*x, len(TABLE)]", "h": "(x, y)"}
        self.rate, self.table, self.default = 2, [1], "1"
        self.inputs: dict[str, Any] = {"a": 1, "b": [1, 2.0], "c": {"k": 1, "l": [True]}}
        self.length = random.randint(3, 9)
        self.lines = [self.line(number) for number in range(self.length)]

    def line(self, number: int) -> str:
        """Return a line of the plan that calls a tool with what stands above it."""
        above = [f"t{n}" for n in range(number)] + list(self.inputs)
        one = self.random.choice(above)
        match self.random.randrange(5):
            case 0:
                return f"t{number} = f({self.random.choice(['1', '1.0', 'True', '-0.0', '0.0', '2'])})"
            case 1:
                return f"t{number} = g([{one}, {self.random.randrange(3)}])"
            case 2:
                return f"t{number} = h({one}, {self.random.randrange(2)})"
            case 3:
                return f"t{number} = h({one})"
            case _:
                return f"t{number} = {{n: h({one}, n) for n in range({self.random.randint(1, 4)})}}"

    def change(self) -> None:
        """Change something, or nothing."""
        random = self.random
        match random.randrange(9):
            case 0:
                self.sources["f"] = random.choice(["x * RATE + 1", "x * RATE - 1", "RATE * x + 1"])
            case 1:
                self.rate = random.choice([2, 2.0, 3])
            case 2:
                self.table = random.choice([[1], [1, 2], [2]])
            case 3:
                self.default = random.choice(["1", "2", "1.0", "True"])
            case 4:
                self.inputs["a"] = random.choice([1, 1.0, True, 2, "1"])
            case 5:
                self.inputs["b"] = random.choice([[1, 2.0], [1, 2], (1, 2.0), []])
            case 6:
                self.inputs["c"] = random.choice([{"k": 1, "l": [True]}, {"l": [True], "k": 1}, {"k": 1, "l": [1]}])
            case 7:
                number = random.randrange(self.length)
                self.lines[number] = self.line(number)

    def tools(self) -> list[Tool]:
        """Return the tools, made anew as in a fresh kernel."""
        text = f"""
RATE = {self.rate!r}
TABLE = {self.table!r}
def help_f(x): return {self.sources["f"]}
def f(x): return help_f(x)
def g(x: list): return {self.sources["g"]}
def h(x, y={self.default}): return {self.sources["h"]}
"""
        module: dict[str, Any] = {"__name__": "__main__"}
        exec(text, module)  # noqa: S102 - our own
        return [Tool(module[name], pure=True) for name in NAMES]

    def run(self, cache: str, history: History | None) -> Run:
        """Return the run of the plan."""
        plan = "\n".join([*self.lines, f"answer([{', '.join(f't{n}' for n in range(self.length))}])"])
        compiler = Compiler(None, self.tools(), cache=cache, history=history)
        return compiler.execute_sync(plan, inputs=self.inputs)


def started(run: Run) -> set[str]:
    """Return the tasks whose tools were called."""
    return {event.task for event in run.events if type(event) is TaskStarted}


def exact(value: Any) -> str:
    """Return a value as text that tells 1 from 1.0 and True."""
    return repr(value)


def try_one(random: Random, path: Path) -> tuple[int, int]:
    """Change a program several times; return how many calls were made in all, and how many with the cache."""
    program, asked, made = Program(random), 0, 0
    known: set[str] = set()
    for _ in range(6):
        fresh = program.run("off", None)
        with History(path) as history:
            cached = program.run("pure", history)
        assert (cached.status, exact(cached.answer)) == (fresh.status, exact(fresh.answer)), program.lines
        assert {id_: exact(value) for id_, value in cached.results.items()} == {
            id_: exact(value) for id_, value in fresh.results.items()
        }
        keys = {id_: key for id_, key in calls_in(program, fresh).items() if id_ in started(fresh)}
        assert {keys[id_] for id_ in started(cached) if id_ in keys} == set(keys.values()) - known
        known |= set(keys.values())
        asked, made = asked + len(keys), made + len(started(cached))
        program.change()
    return asked, made


def calls_in(program: Program, run: Run) -> dict[str, str]:
    """Return by task what its value follows from, as an oracle that knows the program says."""
    reaches: dict[str, Callable[[], Any]] = {
        "f": lambda: (program.sources["f"], program.rate), "g": lambda: program.table, "h": lambda: program.default,
    }  # fmt: skip
    found = {}
    scope = {**run.results, **program.inputs}
    for id_, task in run.progress.tasks.items():
        if task.kind == "call":
            args = [_value(tree, scope) for tree in (*task.args, *task.kwargs.values())]
            found[id_] = repr((task.tool, reaches[task.tool](), args))
    return found


def _value(tree: Any, scope: dict[str, Any]) -> Any:
    from compiler_nb.operations.bounds import BOUNDS, Account, Scope
    from compiler_nb.plan.evaluate import evaluate

    return evaluate(tree, Scope(scope, scope, account=Account(BOUNDS)))


@pytest.mark.promise
@pytest.mark.timeout(1800)
def test_a_cached_run_gives_what_a_fresh_run_gives(tmp_path, figure):
    """40 random programs, each changed 5 times: 0 values differ, and exactly the calls that are new are made."""
    asked = made = 0
    for number in range(times(40)):
        some, few = try_one(Random(seed() + number), tmp_path / f"{number}.db")
        asked, made = asked + some, made + few
    figure(f"{times(40):,} programs, {asked:,} calls, of which {made:,} were made")
