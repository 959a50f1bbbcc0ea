"""Read a plan from a model's reply: each task is taken while the model still speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from compiler_nb.errors import ModelError
from compiler_nb.plan.check import TEXT_LIMIT
from compiler_nb.plan.expression import Fanout
from compiler_nb.plan.tree import walk
from compiler_nb.planner.requests import READABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from compiler_nb.models.base import Model, Request
    from compiler_nb.models.calls import Calls
    from compiler_nb.plan.builder import Builder
    from compiler_nb.plan.parser import PlanParser
    from compiler_nb.plan.task import Task

CUT: Final = frozenset({"", "length", "content_filter"})
"""Finishes of a reply that is not whole."""
_KEPT: Final = 8


async def write_plan(
    calls: Calls, model: Model, request: Request, parser: PlanParser, take: Callable[[Task], None]
) -> bool:
    """Feed a model's reply to the parser, and each task to `take` as soon as it is complete.

    Returns whether the model ended of itself; a text longer than any plan may be is not read to its end. Raises a
    ModelError if the call failed, or if the reply broke off and is not a plan for that reason. The parser then holds
    what had arrived, and is closed as cut off.
    """
    finish, length, fault = "", 0, None
    reply = calls.open(model, request)
    whole: list[Task] = []
    try:
        async with reply:
            async for text in reply:
                for task in parser.feed(text):
                    take(task)
                    whole.append(task)
                length += len(text)
                if length > TEXT_LIMIT:
                    break
            finish = reply.finish
    except ModelError as error:
        fault = error
    finally:
        complete = finish not in CUT
        for task in parser.close(complete):
            take(task)
            whole.append(task)
    if fault is None and not complete and _is_cut(parser):
        fault = reply.stopped() if finish else reply.cut()
        fault.retryable = True  # a repaired plan may be shorter, or come through
    if fault is not None:
        earlier = sum(message["role"] == "assistant" for message in request.messages)  # plans with problems
        fault.attempts, fault.kept = earlier + reply.tried, _kept(whole, parser.builder)
        raise fault
    return complete


def _is_cut(parser: PlanParser) -> bool:
    """Whether a text that broke off is not a plan for that reason alone. With side effects it never is one."""
    builder = parser.builder
    if builder.problems:
        return all(problem.kind == "truncated" for problem in builder.problems)
    return any(has_effects(task, builder) for task in builder.tasks)


def has_effects(task: Task, builder: Builder) -> bool:
    """Whether a task calls a tool with side effects."""
    tools = builder.tools or {}
    called = [task.tool, *(step.tool for node in walk(task) if isinstance(node, Fanout) for step in node.steps)]
    return any(tools[name].side_effects for name in called if name in tools)


def _kept(whole: Iterable[Task], builder: Builder) -> str:
    """Return which results stay when a plan broke off, in words; tasks that wait for side effects never ran."""
    ids: list[str] = []
    held: set[str] = set()
    for task in whole:
        if has_effects(task, builder) or not held.isdisjoint(task.dependencies):
            held.add(task.id)
        elif READABLE.fullmatch(task.id):
            ids.append(task.id)
    named = [", ".join(ids[:_KEPT])] if ids else []
    named += [f"{len(ids) - _KEPT} more"] if len(ids) > _KEPT else []
    named += ["all that ran before"] if builder.earlier.keys() - ids else []
    return f"kept: {' and '.join(named)}" if named else "no task was whole"
