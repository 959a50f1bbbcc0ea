"""The arguments of a call: looked up if nothing is to be evaluated, else evaluated; then as the tool gets them."""

from __future__ import annotations

import pytest

from compiler_nb.engine.arguments import arguments, bind, no_tool, plain_arguments
from compiler_nb.errors import ArgumentError, ToolUnavailable
from compiler_nb.operations.bounds import Scope
from compiler_nb.outcome import Cancelled, Failure
from compiler_nb.plan.expression import Binary
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Ref
from compiler_nb.tool import Tool

SCOPE = Scope({"a": 2, "lost": Failure("error", "no")})


@pytest.mark.parametrize(
    ("args", "kwargs", "found"),
    [
        ((), {}, ((), {})),
        ((1, "x"), {}, ((1, "x"), {})),
        ((Ref("a"), 3), {"far": Ref("a")}, ((2, 3), {"far": 2})),
        ((), {"far": True}, ((), {"far": True})),
    ],
)
def test_results_and_literals_are_looked_up_and_evaluate_to_the_same(args, kwargs, found):
    """Nothing is evaluated for most calls."""
    task = Task("t", "call", "go", args, kwargs)
    assert plain_arguments(task, SCOPE) == arguments(task, SCOPE) == found


@pytest.mark.parametrize("tree", [Binary(Ref("a"), "+", 1), [Ref("a")], Ref("lost")])
@pytest.mark.parametrize("named", [False, True])
def test_what_must_be_evaluated_or_has_no_value_is_not_looked_up(tree, named):
    """Neither an expression, nor a container, nor a task that failed."""
    task = Task("t", "call", "go", (1,) if named else (1, tree), {"far": tree} if named else {})
    assert plain_arguments(task, SCOPE) is None


def test_expressions_are_evaluated():
    """Containers are made anew."""
    task = Task("t", "call", "go", (Binary(Ref("a"), "+", 1),), {"far": [Ref("a")]})
    assert arguments(task, SCOPE) == ((3,), {"far": [2]})


def go(km: float, far: bool = False) -> str:
    """Go."""
    return f"{km} {far}"


def test_a_tool_gets_arguments_as_it_declares_them():
    """A whole number for a float becomes one."""
    assert bind(Tool(go), ((1,), {"far": True})) == ((1.0,), {"far": True})


def test_arguments_that_do_not_fit_are_a_failure_that_says_which():
    """Nothing is raised into the session."""
    failure = bind(Tool(go), (("far away",), {}))
    assert type(failure) is Failure
    assert type(failure.error) is ArgumentError
    assert "km" in failure.message


@pytest.mark.parametrize("outcome", [Failure("error", "no"), Cancelled("stopped")])
def test_what_came_instead_of_arguments_is_handed_on(outcome):
    """They could not be evaluated, or the run was stopped."""
    assert bind(Tool(go), outcome) is outcome


def test_a_tool_that_is_not_there_is_named():
    """As in a stored run whose tool is gone."""
    failure = no_tool("gone")
    assert type(failure.error) is ToolUnavailable
    assert "'gone'" in failure.message
