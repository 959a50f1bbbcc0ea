"""What the schedule keeps of a task, and which resources the calls of tools need.

A resource is something that only so many calls may use at a time: a provider ("provider:openai") or a tool with a limit
of its own ("tool:search"). A lane is the set of resources that a call needs besides one of the slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, ValuesView
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Literal, TypeAlias

from compiler_nb.models.limits import NEEDED, Limit
from compiler_nb.outcome import Cancelled, Skipped, State
from compiler_nb.plan.task import Task
from compiler_nb.tool import Tool

Verb: TypeAlias = Literal["start", "ask", "resume", "work", "choose", "evaluate", "expand", "collect", "link"]
"""What an engine is to do with a node that the schedule hands out.

start: call its tool, it has a slot; ask: ask for what holds it (`held`); resume: let a parked call go on, it has a slot
again; work: do what was too heavy for the loop, it has a slot; choose: evaluate its guard, and end it if it is not
needed; evaluate: evaluate its expression; expand: say which items a fan-out has; collect: say what its value is, for
all items have ended; link: say which items of fan-outs it reads.
"""
PROVIDER: Final = "provider:"
EVALUATORS: Final = 2
"""Expressions that are evaluated on threads at a time: they compute, and with more the loop's thread would starve."""
LOST: Final[frozenset[State]] = frozenset({"failed", "skipped", "cancelled"})
"""The states of tasks that have ended without a value."""
CANCELLED: Final = Cancelled()


@dataclass(slots=True, eq=False, repr=False)
class Node:
    """A task in the schedule, and all that changes about it; only the schedule changes it.

    Slots, and no defaults on the class: CPython reads an attribute slowly if its class has one of that name.
    """

    task: Task
    lane: tuple[str, ...] = ()
    verb: Verb = "start"  # what was last asked of the engine
    state: State = "waiting"
    # parents that have not ended, and fan-outs whose items are not known yet; of a fan-out: open items
    waiting: int = 0
    children: list[Node] | tuple[()] = ()  # wait for its value
    watchers: list[Node] | tuple[()] = ()  # wait until its items are known
    height: int = 1  # tasks on the longest chain that starts here
    owner: Node | None = None  # the fan-out that this is an item of
    within: Node | None = None  # the fan-out that this is an item of, or a call in the chain of one
    open: int = 0  # of a fan-out: the tasks within it that have not ended
    expanded: bool = False
    links: bool = False  # whether it is yet to be linked
    guarded: bool = False  # whether it may turn out not to be needed
    lenient: bool = False  # whether it is evaluated even if something that it refers to has no value
    readable: bool = False  # a fan-out that failed: whether what comes later may read the items that exist
    # why a ready call may not start yet: "plan", "approval", "turn", "cache"; "user": someone is about to end it
    held: str = ""
    parked: str = ""  # "provider" while a running call waits for its provider, then "slot" while it waits for a slot
    errand: Verb | Literal[""] = ""  # the verb whose work needs a slot, while it waits for one or has it
    attempt: int = 0
    ready_at: float = 0.0
    fate: Skipped | Cancelled = CANCELLED  # what descendants get if it ends without a value

    def __repr__(self) -> str:
        return f"<{self.task.id} {self.state}>"

    @property
    def lost(self) -> bool:
        """Whether it has ended without a value, although it was needed."""
        return self.state in LOST and not (
            self.state == "skipped" and type(self.fate) is Skipped and self.fate.not_needed
        )

    def take_children(self) -> Iterable[Node]:
        """Return what waits for this node, of either kind, and forget it."""
        hanging = [*self.children, *self.watchers]
        self.children = self.watchers = ()
        return hanging


class Tasks(Mapping[str, Task]):
    """The tasks of a schedule's nodes, by id: a view, which shows what is added later, too."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes

    def __getitem__(self, id_: str) -> Task:
        return self.nodes[id_].task

    def __iter__(self) -> Iterator[str]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def values(self) -> _Values:
        """Return the tasks."""
        return _Values(self)


class _Values(ValuesView[Task]):
    """The tasks alone: to look each up by its id would take three times as long."""

    _mapping: Tasks

    def __iter__(self) -> Iterator[Task]:
        return map(_task, self._mapping.nodes.values())


_task: Final = attrgetter("task")


# -------------------------------------------------------------------- the resources that tools need


def provider_caps(limits: Mapping[str, Limit]) -> dict[str, int]:
    """Return how many calls may go to each provider at a time, by resource."""
    caps = {**NEEDED, **limits}
    return {f"{PROVIDER}{name}": limit.concurrency for name, limit in caps.items() if limit.concurrency}


def find_lanes(tools: Iterable[Tool], caps: Mapping[str, int]) -> tuple[dict[str, int], dict[str, tuple[str, ...]]]:
    """Return the calls at a time by resource, and the resources that tools need, by the names of the tools.

    caps: the limits of providers; a provider without one is a resource all the same, for it may be away for a while.
    """
    caps, lanes = dict(caps), {}
    for tool in tools:
        lane = []
        if tool.max_concurrency:
            lane.append(f"tool:{tool.name}")
            caps[lane[0]] = tool.max_concurrency
        if tool.provider:
            lane.append(f"{PROVIDER}{tool.provider}")
        if lane:
            lanes[tool.name] = tuple(lane)
    return caps, lanes
