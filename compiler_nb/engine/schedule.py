"""The pure decision of what may start: events in, tasks to start out.

Theory of operation
    The schedule knows no clock, no loop and no values. It is told what happens - `add`, `expand`, `finish`, `retry`,
    `approve`, `close`, `cancel` - with the time as an argument, and each call returns the nodes that must be started
    now. Every engine, the stepper and playback drive this one machine.

    A node counts the parents that it still waits for. At zero it is ready: an expression or a fan-out is started at
    once, for it holds no slot; a call is started where a slot is free, else it waits in the heap of its lane. A lane is
    the set of limited resources (a tool's own limit, a provider's) that a call needs besides an overall slot; there are
    few lanes, so the best of their tops is found by looking at each. A running call that has to wait for its provider
    is parked: it gives its slot back and closes its lane, for whoever started there would only wait too; when the
    provider takes it, it gets the next free slot before all that is ready.

    Priority is the height: the length of the longest chain that hangs on a task, in hops or in learned seconds. Heights
    are recomputed when the plan has doubled and when it closes, never per added task.

    A fan-out is started twice: first to be expanded into items, which are nodes from then on; then, when its last item
    has ended, to be collected. A failed item skips only what refers to it.

    All changes of state are in TRANSITIONS; everything else is refused.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.engine.lane import Lane
from compiler_nb.engine.node import Evaluated, Node
from compiler_nb.outcome import ENDED, Cancelled, Failure, Skipped, State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from compiler_nb.plan.task import Task

TRANSITIONS: Final[frozenset[tuple[State, State]]] = frozenset({
    ("waiting", "ready"), ("ready", "running"), ("running", "done"), ("running", "failed"), ("running", "cancelled"),
    ("running", "waiting"),  # a retry: it holds no slot
    ("waiting", "done"),  # cached, pinned or adopted
    ("waiting", "failed"),  # its arguments, or a pinned or adopted outcome, are wrong
    ("waiting", "skipped"), ("waiting", "cancelled"),
    ("ready", "failed"),  # denied
    ("ready", "cancelled"),
})  # fmt: skip


_LEGAL: Final = {old: frozenset(new for start, new in TRANSITIONS if start == old) for old, _ in TRANSITIONS} | {
    state: frozenset[State]() for state in ENDED
}
_INLINE: Final = frozenset({"expr", "link"})
_ANY: Final = 1 << 30
"""Calls at a time of a resource without a limit."""
_CLOSED: Final = 1 << 40
"""What each parked call takes from its provider's spare calls, so that none is left."""
_ENDINGS: Final[dict[type, State]] = {Failure: "failed", Skipped: "skipped", Cancelled: "cancelled"}


class Schedule:
    """Tasks, their states, and who may start.

    capacity: calls at a time; limits: calls at a time per resource; resources: the limited resources that a task
    needs; gate: why a ready call may not start yet ("approval", "plan"), "" where it may; weigh: a task's expected
    duration, in any unit.
    """

    def __init__(
        self,
        capacity: int = 8,
        *,
        limits: Mapping[str, int] | None = None,
        resources: Callable[[Task], tuple[str, ...]] | None = None,
        gate: Callable[[Task], str] | None = None,
        weigh: Callable[[Task], float] | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity is 1 or more")
        self.capacity, self.free = capacity, capacity
        self.limits: dict[str, int] = dict(limits or {})
        self.spare: defaultdict[str, int] = defaultdict(lambda: _ANY, self.limits)
        self._resources, self._gate, self._weigh = resources, gate, weigh
        self.nodes: dict[str, Node] = {}
        self.lanes: dict[tuple[str, ...], Lane] = {}
        self.returning: deque[Node] = deque()  # parked calls that want a slot again
        self.unfinished = 0
        self.closed = self.paused = self.cancelled = False
        self.ended: list[tuple[Node, Any]] = []  # nodes that ended without being started; the engine takes them
        self._ranked = 16
        self._chained = False  # whether anything ever waited for anything: else all heights are alike

    # ---------------------------------------------------------------- events

    def add(  # noqa: C901 - the hot path
        self,
        task: Task,
        now: float,
        *,
        after: Collection[str] | None = None,
        shapes: Iterable[str] = (),
        start: bool = True,
        link: bool = False,
    ) -> list[Node]:
        """Take a task whose parents are all known.

        `shapes` are fan-outs of which only the items must be known; `after` replaces the task's own dependencies where
        it has to wait for fewer; without `start` it waits until `finish` brings an outcome that is known elsewhere;
        with `link` it is handed out, unstarted, when the shapes are known, for `link` to say which items it reads.
        """
        nodes = self.nodes
        if task.id in nodes:
            raise ValueError(f"two tasks are called {task.id!r}")
        lane = self._resources(task) if self._resources is not None and task.kind == "call" else ()
        node = nodes[task.id] = Node(task, len(nodes), lane, 1.0 if self._weigh is None else self._weigh(task))
        self.unfinished += 1
        if len(nodes) >= 2 * self._ranked:
            self._rank()
        if self.cancelled:
            return self._end_early(node, "cancelled", Cancelled())
        if link:
            node.kind = "link"
        names = task.dependencies if after is None else after
        early = self._wait_for(node, names) if names else None
        if early is not None:
            return early
        for name in shapes:
            parent = nodes[name]
            if not parent.expanded and parent.state != "done":
                if parent.state in ENDED:
                    return self._end_early(node, *parent.fate, fate=parent.fate)
                node.waiting += 1
                parent.watchers = [*parent.watchers, node]
        if node.waiting or not start:
            return []
        if node.kind == "call" and self._gate is None:
            node.ready_at, node.state = now, "ready"  # as in _ready
            return self._queue(node)
        return self._ready(node, now)

    def link(self, id_: str, task: Task, now: float) -> list[Node]:
        """Take what a task reads once the fan-outs that it reads items of are known; start it where all is there."""
        node = self.nodes[id_]
        node.task, node.kind = task, task.kind
        early = self._wait_for(node, task.dependencies)
        return early if early is not None else [] if node.waiting else self._ready(node, now)

    def _wait_for(self, node: Node, names: Iterable[str]) -> list[Node] | None:
        """Let a node wait for those parents that have not ended; where one ended badly, end the node and return."""
        for name in names:
            parent = self.nodes[name]
            if parent.state not in ENDED:
                node.waiting += 1
                if parent.children:
                    parent.children.append(node)
                else:
                    parent.children = [node]
                    self._chained = True
            elif parent.state != "done":
                return self._end_early(node, *parent.fate, fate=parent.fate)
        return None

    def has_inputs(self, task: Task) -> bool:
        """Whether an expression could be evaluated now, so that it never has to wait here."""
        if self.cancelled:
            return False
        for name in task.dependencies:  # noqa: SIM110 - faster
            if self.nodes[name].state != "done":
                return False
        return True

    def close_leaf(self, node: Node) -> bool:
        """End an expression well for which nothing waits; return whether that was all there was to do."""
        if node.children or node.watchers or node.owner is not None:
            return False
        node.state = "done"  # from waiting, as the caller has seen
        self.unfinished -= 1
        return True

    def record(self, task: Task, outcome: Any) -> State:
        """Take an expression that was evaluated before it was added; return its end state."""
        node = Evaluated(task)
        if self.nodes.setdefault(task.id, node) is not node:
            raise ValueError(f"two tasks are called {task.id!r}")
        if type(outcome) is Failure:
            node.state, node.fate = "failed", ("skipped", Skipped(task.id, outcome.message))
        return node.state

    def expand(self, id_: str, items: Iterable[tuple[Task, bool]], now: float) -> list[Node]:
        """Take the items of a fan-out: tasks, each with whether its value is an item's (else it is a step to one)."""
        owner = self.nodes[id_]
        owner.expanded = True
        starts: list[Node] = []
        for task, is_item in items:
            if is_item:
                owner.waiting += 1
            starts += self._add_item(task, owner if is_item else None, now)
        for watcher in owner.watchers:
            watcher.waiting -= 1
            if not watcher.waiting and watcher.state == "waiting":
                starts += self._ready(watcher, now)
        owner.watchers = ()
        if not owner.waiting:
            starts.append(owner)
        return starts

    def _add_item(self, task: Task, owner: Node | None, now: float) -> list[Node]:
        starts = self.add(task, now)
        node = self.nodes[task.id]
        if owner is not None:
            if node.state in ENDED:
                owner.waiting -= 1
            else:
                node.owner = owner
        return starts

    def finish(self, id_: str, outcome: Any, now: float) -> list[Node]:  # noqa: C901, PLR0912 - the hot path
        """Note that a started task ended, or that one which needs no start has its outcome."""
        node = self.nodes[id_]
        starts: list[Node] = []
        kind = type(outcome)
        state: State = "done"
        if kind is Failure or kind is Skipped or kind is Cancelled:  # a user's class may have no hash
            state = _ENDINGS[kind]
        if state not in _LEGAL[node.state]:
            raise ValueError(f"{id_} cannot go from {node.state} to {state}")
        if node.attempt and node.state == "running":
            self.free += 1
            if node.lane:
                self._give_resources(node)
        node.state = state
        self.unfinished -= 1
        if node.owner is not None:
            self._count_item(node.owner, starts)
        if state != "done":
            if kind is not Cancelled:
                node.fate = ("skipped", outcome if kind is Skipped else Skipped(id_, outcome.message))
            self._skip(node, starts)
        elif node.children or node.watchers:
            for child in _highest_first(node):
                child.waiting -= 1
                if not child.waiting and child.state == "waiting":
                    if child.kind in _INLINE:
                        starts.append(child)
                    else:
                        starts += self._ready(child, now)
            node.children = node.watchers = ()
        if self.lanes or self.returning:
            self._fill(starts)
        return starts

    def retry(self, id_: str, now: float) -> list[Node]:
        """Note that an attempt failed and another may follow: the slot is free, the task waits for `again`."""
        node = self.nodes[id_]
        if node.state != "running":
            raise ValueError(f"{id_} is {node.state}, so no attempt of it can have failed")
        self.free += 1
        self._give_resources(node)
        node.state = "waiting"
        starts: list[Node] = []
        self._fill(starts)
        return starts

    def again(self, id_: str, now: float) -> list[Node]:
        """Note that the pause before another attempt is over."""
        node = self.nodes[id_]
        return self._ready(node, now) if node.state == "waiting" else []

    def park(self, id_: str) -> list[Node]:
        """Note that a running call waits for its provider: its slot is free, and no other call to that one starts."""
        node = self.nodes[id_]
        starts: list[Node] = []
        if node.state == "running" and not node.parked and any(map(_is_provider, node.lane)):
            node.parked = "provider"
            self.free += 1
            self._count_provider(node, -_CLOSED)
            self._fill(starts)
        return starts

    def unpark(self, id_: str) -> list[Node]:
        """Note that a parked call's provider takes it: it goes on when it is returned, here or by a later event."""
        node = self.nodes[id_]
        starts: list[Node] = []
        if node.parked == "provider":
            node.parked = "slot"
            self._count_provider(node, _CLOSED)
            self.returning.append(node)
            self._fill(starts)
        return starts

    def approve(self, id_: str, now: float) -> list[Node]:
        """Let a held task start."""
        node = self.nodes[id_]
        if node.state != "ready" or not node.held:
            return []
        node.held = ""
        return self._queue(node)

    def close(self, now: float) -> list[Node]:
        """Note that the plan is whole: what was held for that is judged again."""
        self.closed = True
        self._rank()
        starts: list[Node] = []
        if self._gate is None:
            return starts
        for node in self.nodes.values():
            if node.held and node.state == "ready":
                node.held = self._gate(node.task)
                starts += [node] if node.held else self._queue(node)
        return starts

    def pause(self, paused: bool) -> list[Node]:  # noqa: FBT001 - the word says it
        """Start no new call, or go on."""
        self.paused = paused
        starts: list[Node] = []
        self._fill(starts)
        return starts

    def cancel(self) -> list[Node]:
        """End everything that is not running; return what is."""
        self.cancelled = True
        self.lanes.clear()
        running = []
        for node in list(self.nodes.values()):
            if node.state in ("waiting", "ready") or (node.state == "running" and node.kind != "call"):
                self._end_early(node, "cancelled", Cancelled())
            elif node.state == "running":
                running.append(node)
        return running

    # ---------------------------------------------------------------- within

    def _ready(self, node: Node, now: float) -> list[Node]:
        node.ready_at = now
        if node.kind != "call":
            if node.kind == "fanout":
                node.state = "running"  # through ready, in one step: it holds no slot
            return [node]
        node.state = "ready"  # from waiting, as the caller has seen
        if self._gate is not None:
            node.held = self._gate(node.task)
            if node.held:
                return [node]
        return self._queue(node)

    def _queue(self, node: Node) -> list[Node]:
        """Start a ready call where there is room, else let it wait in its lane."""
        key = node.lane
        at_once = self.free and not self.lanes and not self.returning and not self.paused
        if at_once and (not key or self._has_room(key)):
            self._take_slot(node)
            return [node]
        lane = self.lanes.get(key)
        if lane is None:
            lane = self.lanes[key] = Lane()
        lane.push(node)
        starts: list[Node] = []
        if self.free:
            self._fill(starts)  # another lane waits, with calls that may be higher
        return starts

    def _take_slot(self, node: Node) -> None:
        self.free -= 1
        if node.lane:
            for resource in node.lane:
                self.spare[resource] -= 1
        node.state = "running"  # from ready
        node.attempt += 1

    def _give_resources(self, node: Node) -> None:
        """Give back what a call holds besides its slot; the slot of a parked one was given back before."""
        if node.parked:
            self.free -= 1
            if node.parked == "provider":
                self._count_provider(node, _CLOSED)
            else:
                self.returning.remove(node)
            node.parked = ""
        for resource in node.lane:
            self.spare[resource] += 1

    def _count_provider(self, node: Node, calls: int) -> None:
        for resource in node.lane:
            if _is_provider(resource):
                self.spare[resource] += calls

    def _has_room(self, lane: tuple[str, ...]) -> bool:
        return all(self.spare[resource] > 0 for resource in lane)

    def _fill(self, starts: list[Node]) -> None:
        lanes = self.lanes
        while self.free > 0 and self.returning and not self.cancelled:
            node = self.returning.popleft()
            node.parked, node.held = "", "slot"
            self.free -= 1
            starts.append(node)
        while self.free > 0 and lanes and not self.paused:
            best = lanes.get(()) if len(lanes) == 1 else None
            if best is None:
                open_lanes = [lane for key, lane in lanes.items() if self._has_room(key)]
                if not open_lanes:
                    return
                best = min(open_lanes, key=lambda lane: lane.rank)
            node = best.pop()
            if not best.heights:
                del lanes[node.lane]
            self._take_slot(node)
            starts.append(node)

    @staticmethod
    def _count_item(owner: Node, starts: list[Node]) -> None:
        """Note that an item of a fan-out ended; after the last one it is started again, to be collected."""
        owner.waiting -= 1
        if not owner.waiting and owner.state == "running":
            starts.append(owner)

    def _end(self, node: Node, state: State, starts: list[Node]) -> None:
        if state not in _LEGAL[node.state]:
            raise ValueError(f"{node.task.id} cannot go from {node.state} to {state}")
        node.state = state
        self.unfinished -= 1
        if node.owner is not None:
            self._count_item(node.owner, starts)

    def _end_early(self, node: Node, state: State, outcome: Any, fate: tuple[State, Any] | None = None) -> list[Node]:
        starts: list[Node] = []
        node.fate = fate or node.fate
        self._end(node, state, starts)
        self.ended.append((node, outcome))
        return starts

    def _skip(self, failed: Node, starts: list[Node]) -> None:
        """End all that hangs on a node that did not end well, without recursion."""
        state, outcome = failed.fate
        stack = [failed]
        while stack:
            node = stack.pop()
            hanging = [*node.children, *node.watchers]
            node.children = node.watchers = ()
            for child in hanging:
                if child.state == "waiting":
                    child.fate = failed.fate
                    self._end(child, state, starts)
                    self.ended.append((child, outcome))
                    stack.append(child)

    def _rank(self) -> None:
        """Recompute the heights of what has not ended, and the heaps by them."""
        self._ranked = len(self.nodes)
        if not self._chained:
            return
        weigh, moved = self._weigh, False
        for node in reversed(self.nodes.values()):
            if node.children:
                height = max([child.height for child in node.children]) + (1.0 if weigh is None else weigh(node.task))
                if height != node.height:
                    node.height, moved = height, True
        if moved:
            self.lanes = {key: Lane(lane.nodes()) for key, lane in self.lanes.items()}


def _highest_first(node: Node) -> list[Node]:
    """Return what waits for a node: of those that it lets start, the highest is first at the free slot."""
    hanging = [*node.children, *node.watchers]
    return sorted(hanging, key=lambda child: -child.height) if len(hanging) > 1 else hanging


def _is_provider(resource: str) -> bool:
    return resource.startswith("provider:")
