"""A task in the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compiler_nb.outcome import Cancelled, State

if TYPE_CHECKING:
    from compiler_nb.plan.task import Task


class Node:
    """A task in the schedule, and all that changes about it; what rarely changes stands on the class."""

    waiting = 0
    children: list[Node] | tuple[()] = ()
    watchers: list[Node] | tuple[()] = ()  # fan-outs that need only to know this one's items
    owner: Node | None = None  # the fan-out that this is an item of
    expanded = False
    held = ""  # why a ready call may not start yet; "slot" where one that was parked has a slot again
    parked = ""  # "provider" while a running call waits for that, then "slot" while it waits for one; it holds none
    attempt = 0
    ready_at = 0.0
    fate: tuple[State, Any] = ("cancelled", Cancelled())  # what its descendants get where it is not done

    def __init__(self, task: Task, order: int, lane: tuple[str, ...], height: float) -> None:
        self.task, self.order, self.lane, self.height = task, order, lane, height
        self.kind: str = task.kind  # or "link", while it waits to be told which items of fan-outs it reads
        self.state: State = "waiting"

    def __repr__(self) -> str:
        return f"<{self.task.id} {self.state}>"


class Evaluated(Node):
    """An expression that was evaluated before it came here: all but its task is on the class, for there are many."""

    order, lane, height, kind = 0, (), 1.0, "expr"
    state: State = "done"

    def __init__(self, task: Task) -> None:
        self.task = task
