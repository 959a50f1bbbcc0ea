"""Shorthands for tests that read plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compiler_nb.errors import PlanError
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.plan import Plan
from tests.support.corpus import INPUTS, TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compiler_nb.errors import Problem
    from compiler_nb.plan.task import Task


def read(text: str, dialect: str, **options: Any) -> Plan:
    """Return the plan of a text with the corpus's tools and inputs."""
    return Plan.parse(text, dialect=dialect, **{"tools": TOOLS, "inputs": INPUTS, **options})


def problems(text: str, dialect: str, **options: Any) -> tuple[Problem, ...]:
    """Return what is wrong with a text, or nothing if it is a plan."""
    try:
        read(text, dialect, **options)
    except PlanError as error:
        return error.problems
    return ()


def kinds(text: str, dialect: str, **options: Any) -> list[str]:
    """Return the kinds of what is wrong with a text."""
    return [problem.kind for problem in problems(text, dialect, **options)]


def edges(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return the ids that each task waits for."""
    return {task.id: task.dependencies for task in plan}


class Reading:
    """A text that is read in pieces: the tasks that came out, and the plan or the problems."""

    def __init__(self, pieces: Iterable[str], dialect: str, *, complete: bool = True, **options: Any) -> None:
        parser = PlanParser(dialect=dialect, **{"tools": TOOLS, "inputs": INPUTS, **options})
        self.released: list[Task] = []
        for piece in pieces:
            self.released += parser.feed(piece)
        self.released += parser.close(complete)
        self.plan: Plan | None = None
        self.problems: tuple[Problem, ...] = ()
        try:
            self.plan = Plan(*parser.parts())
        except PlanError as error:
            self.problems = error.problems

    @property
    def outcome(self) -> object:
        """What must not depend on how the text was cut."""
        return (self.plan, self.plan and self.plan.text) if self.plan else self.problems
