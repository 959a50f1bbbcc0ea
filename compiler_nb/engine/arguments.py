"""The arguments of a call: what the plan's trees stand for, and how the tool gets them."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from compiler_nb.engine.attempt import failure_of
from compiler_nb.errors import ToolUnavailable
from compiler_nb.operations.bounds import Scope
from compiler_nb.outcome import Failure
from compiler_nb.plan.evaluate import evaluate, look_up
from compiler_nb.plan.task import Task
from compiler_nb.tool import Tool

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and named ones."""
_NONE: Final[Arguments] = ((), {})


def plain_arguments(task: Task, scope: Scope) -> Arguments | None:
    """Return the values of a call's arguments if all are results or literals, so that nothing is to be evaluated."""
    if not task.args and not task.kwargs:
        return _NONE
    args = look_up(task.args, scope)
    named = look_up(task.kwargs.values(), scope) if task.kwargs else []
    if args is None or named is None:
        return None
    return tuple(args), dict(zip(task.kwargs, named, strict=True)) if named else _NONE[1]


def arguments(task: Task, scope: Scope) -> Arguments:
    """Return the values of a call's arguments, evaluated."""
    args = tuple([evaluate(arg, scope) for arg in task.args])
    return args, {name: evaluate(value, scope) for name, value in task.kwargs.items()} if task.kwargs else {}


def bind(tool: Tool, found: Any) -> Any:
    """Return arguments as the tool gets them, or the Failure that they are; what is not arguments as it is."""
    if type(found) is not tuple:
        return found
    args, kwargs = found
    try:
        return tool.bind(args, kwargs)
    except BaseException as error:  # noqa: BLE001 - a check of a user's type may raise anything
        return failure_of(error, tool)


def no_tool(name: str) -> Failure:
    """Return the failure of a call whose tool is not there."""
    return failure_of(ToolUnavailable(f"there is no tool {name!r} here"))
