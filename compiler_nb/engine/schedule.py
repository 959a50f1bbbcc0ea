"""The pure decision of what may start: events in, tasks to start out.

Theory of operation
    The schedule knows no clock, no loop and no values. Its methods are the events (`add`, `expand`, `finish`, `retry`,
    `approve`, `close`, `cancel` and so on), with the time as an argument. Each returns the nodes that need something
    now; `node.verb` says what (see `Verb`). Nodes that ended without the engine, because they were skipped or
    cancelled, are left in `ended`. Every engine, the stepper and playback drive this one machine.

    A node counts the parents that it still waits for. At zero it is ready. An expression or a fan-out is handed out at
    once, because it needs no slot. A call joins the queue of its lane, unless the gate holds it. At the end of each
    event `_hand_out` gives the free slots to the highest calls whose resources have room; there are few lanes, so it
    looks at each of them. A running call that has to wait for its provider is parked: it gives its slot back and closes
    its provider, because any other call to it would only wait too. Once the provider takes it, it gets the next free
    slot, before everything that is ready.

    Priority is the height: the number of tasks on the longest chain that starts at a task. Heights are recomputed when
    the plan closes, and before a slot is given away if the plan has doubled, so that adding stays linear.

    A fan-out is handed out twice: first to be expanded into items, which are nodes from then on, and again when the
    last of them has ended, to be collected; so have the calls in their chains then, even of an item that one of them
    has made fail, or to which the user gave a value: what follows the fan-out must not begin while they are at work.
    A failed item skips only what refers to it. A task that reads items of a
    fan-out by their keys waits until they are known. Then it is handed out to be linked, that is, replaced by a task
    that refers to the items themselves.

    Work of the evaluator that turns out to be too heavy for the loop claims a slot, whatever the node was handed out
    for: it gets the next free one, before everything that is ready, and gives it back with `release`. An expression is
    running meanwhile, anything else stays in its state.

    A guarded task waits for what its guard reads, and for nothing else. Then it is handed out for the engine to choose:
    if the guard is false, it ends as not needed, which skips nobody: those that read it have one task less to wait for.
    If the guard is true, the task is replaced by itself without its guard, which waits for its arguments.
    An expression with guarded calls is evaluated once all that it refers to has ended, for what failed may stand in the
    branch that is not taken.

    Side effects keep the order of the plan, and what may read what they change keeps it with them (plan/effects.py).
    Such a call waits for its turn when it has its inputs; if it needs approval, it is asked for meanwhile. If a side
    effect failed or its end is unknown, those whose turn comes later are skipped; if someone denied it, they are not.

    A task that ended without a value may go on (`revive`), with what was skipped for its sake: it waits once more, as
    if it had just come, and what follows it in the order of side effects waits for its turn again. Nothing that still
    refers to it from before counts then.

    All changes of state are in TRANSITIONS and are made by `_move`. An event that would need another one raises
    ValueError and changes nothing.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from heapq import heapify, heappop, heappush
from math import inf
from operator import attrgetter
from typing import Any, Final, TypeAlias

from compiler_nb.engine.node import CANCELLED, EVALUATORS, PROVIDER, Node, Verb
from compiler_nb.errors import EffectInDoubt
from compiler_nb.outcome import ENDED, STATES, UNKNOWN, Cancelled, Failure, Skipped, State, is_lost
from compiler_nb.plan.effects import Turns
from compiler_nb.plan.task import Task

TRANSITIONS: Final[frozenset[tuple[State, State]]] = frozenset({
    ("waiting", "ready"), ("ready", "running"), ("running", "done"), ("running", "failed"), ("running", "cancelled"),
    ("running", "skipped"),  # an expression on a thread, of which the branch that is taken reads what failed
    ("running", "waiting"),  # a retry: it holds no slot
    ("waiting", "done"),  # an expression; what is cached, pinned or adopted
    ("waiting", "failed"),  # an expression; its arguments, or a pinned or adopted outcome, are wrong
    ("waiting", "skipped"), ("waiting", "cancelled"),
    ("ready", "failed"),  # denied
    ("ready", "done"),  # not made, for an equal call with side effects is done
    ("ready", "cancelled"),
    ("ready", "skipped"),  # it waits for approval or its turn, and a side effect above it failed; or a user skips it
    # someone tries it again, or gives a value to it or to what it was skipped for
    ("failed", "waiting"), ("skipped", "waiting"), ("cancelled", "waiting"),
})  # fmt: skip

_AFTER: Final = {old: frozenset(new for start, new in TRANSITIONS if start == old) for old in STATES}
_height: Final = attrgetter("height")
_VERBS: Final[dict[str, Verb]] = {"expr": "evaluate", "fanout": "expand"}


Reads: TypeAlias = tuple[Collection[str], Collection[str]]
"""The tasks that a task waits for, and the fan-outs whose items it waits for."""
Lane: TypeAlias = list[tuple[int, int, Node]]
"""A heap of the ready calls that need the same resources: by height, the highest first, then by arrival."""


class Schedule:
    """Tasks, their states, and who may start.

    capacity: calls at a time; limits: calls at a time per resource, others are unlimited; resources: those that tools
    need, by name; gate: returns why a ready call may not start yet ("approval", "plan"), "" if it may; effect: says
    whether a task has side effects.
    """

    def __init__(
        self,
        capacity: int = 8,
        *,
        limits: Mapping[str, int] | None = None,
        resources: Mapping[str, tuple[str, ...]] | None = None,
        gate: Callable[[Task], str] | None = None,
        effect: Callable[[Task], bool] = lambda _: False,
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity must be 1 or more")
        self.free = capacity
        self.spare: defaultdict[str, float] = defaultdict(lambda: inf, limits or {})
        self.away: Counter[str] = Counter()  # parked calls, by the provider that they wait for
        self._resources, self._gate, self._effect = resources or {}, gate, effect
        self.nodes: dict[str, Node] = {}
        self.lanes: defaultdict[tuple[str, ...], Lane] = defaultdict(list)  # by resources; none of them is empty
        self.returning: deque[Node] = deque()  # parked calls that want a slot again
        self.claims: deque[Node] = deque()  # nodes whose work needs a slot
        self.working = 0  # nodes that do such work
        self.unfinished = 0
        self.closed = self.paused = False
        self.cancelled: Cancelled | None = None  # what all that has not ended was cancelled with
        self.ended: list[tuple[Node, Skipped | Cancelled]] = []  # ended without the engine, which takes them from here
        self.turns: Turns | None = None  # None if no task follows others
        self._over: list[tuple[Node, Any]] = []  # ended, with their outcomes, and have not let others pass
        self._refused: set[str] = set()  # tasks that were denied
        self._out: list[Node] = []  # what the current event hands out
        self._ranked = 16
        self._arrivals = itertools.count()

    # ---------------------------------------------------------------- tasks come

    def add(
        self, task: Task, now: float, after: Collection[str] | None = None, items_of: Collection[str] = ()
    ) -> list[Node]:
        """Take a task, which starts when the tasks of `after` are done, by default all that it waits for first.

        One that reads items of fan-outs also waits until those of `items_of` are expanded. Then it is handed out to be
        linked, unless it is a fan-out itself, which is expanded. Raises KeyError if one of these tasks is not known.
        """
        self._take(task, now, task.awaited() if after is None else after, items_of)
        if self._over:
            self._pass_turns(now)
        return self._hand_out()

    def add_known(self, task: Task, outcome: Any) -> Node:
        """Take a task whose outcome is known: it is not started, and nothing waits for it yet."""
        node = self._enter(task)
        if node.state == "waiting":
            self._settle(node, outcome)  # nothing follows it yet, and what is known of before stops nothing
        return node

    def add_twin(self, task: Task) -> list[Node]:
        """Take a task that is not started either, but whose outcome `finish` brings later."""
        self._enter(task)
        return self._hand_out()

    def has_inputs(self, task: Task) -> bool:
        """Whether an expression could be evaluated now, so that it need not wait here."""
        for name in task.reads()[0]:  # all() takes twice as long, for each expression of a plan
            if self.nodes[name].state != "done":
                return False
        return not self.cancelled

    def link(
        self, id_: str, task: Task, now: float, after: Collection[str] | None = None, items_of: Collection[str] = ()
    ) -> list[Node]:
        """Replace a task that was handed out to be linked, chosen or evaluated; the new one starts when it can.

        after, items_of: as for `add`.
        """
        node = self.nodes[id_]
        if node.state != "waiting" or node.waiting or node.verb not in ("link", "choose", "evaluate"):
            raise ValueError(f"{id_} is {node.state} and cannot be linked")
        known = self.nodes.__getitem__
        parents = list(map(known, task.awaited() if after is None else after))
        fanouts = list(map(known, items_of))
        node.task, node.lane, node.links = task, self._resources.get(task.tool, ()), False
        self._wait_for(node, parents)
        if fanouts:
            self._wait_for_items(node, fanouts)
        self._ready(node, now)
        if node.lost:  # what it reads now has failed before
            self._skip_descendants(node, now)
        if self._over:
            self._pass_turns(now)
        return self._hand_out()

    def expand(self, id_: str, items: Iterable[tuple[Task, bool]], now: float, *, more: bool = False) -> list[Node]:
        """Take the items of a fan-out: tasks, each with whether its value is an item's (otherwise it leads to one).

        more: whether further items follow, by another call.
        """
        owner = self.nodes[id_]
        if owner.state != "running" or owner.verb != "expand" or owner.expanded:
            raise ValueError(f"{id_} is {owner.state} and cannot be expanded")
        for task, is_item in items:
            node = self._take(task, now, task.awaited())
            is_open = node.state not in ENDED
            node.within = owner
            owner.open += is_open
            if is_item:
                node.owner = owner
                owner.waiting += is_open
        if self._over:
            self._pass_turns(now)
        if more:
            return self._hand_out()
        owner.expanded = True
        watchers, owner.watchers = owner.watchers, ()
        self._count_down(watchers, now)
        if not owner.open:
            self._give(owner, "collect")
        return self._hand_out()

    # ---------------------------------------------------------------- attempts go

    def finish(self, id_: str, outcome: Any, now: float) -> list[Node]:
        """Note that a task ended: one that was started, one that is known, or one that will not be needed."""
        node = self.nodes[id_]
        if node.state == "ready" and not node.held and node.task.kind == "call":
            raise ValueError(f"{id_} is ready and waits for a slot, so it cannot end yet")
        had_slot = node.state == "running" and node.task.kind == "call"
        self._finish(node, outcome)
        if had_slot:
            self._give_back(node)
        if node.children or node.watchers:
            if node.state != "done" and node.lost:
                self._skip_descendants(node, now)
            else:
                self._count_down(node.take_children(), now)
        if self._over:
            self._pass_turns(now)
        return self._hand_out()

    def retry(self, id_: str) -> list[Node]:
        """Note that an attempt failed and another may follow: the slot is free, the task waits for `again`."""
        self._stop_attempt(id_)
        return self._hand_out()

    def again(self, id_: str, now: float) -> list[Node]:
        """Note that the pause before another attempt is over; nothing happens if the task has ended meanwhile."""
        node = self.nodes[id_]
        if node.state not in ENDED:
            if node.state != "waiting" or not node.attempt:
                raise ValueError(f"{id_} is {node.state} and waits for no further attempt")
            self._ready(node, now)
        return self._hand_out()

    def take_back(self, id_: str, now: float) -> list[Node]:
        """Note that a call that was started did not begin: it gives its slot back, and the gate judges it anew."""
        node = self._stop_attempt(id_)
        node.attempt -= 1
        self._ready(node, now)
        return self._hand_out()

    def park(self, id_: str) -> list[Node]:
        """Note that a running call waits for its provider: its slot is free, and no other call to that one starts.

        A call of a lane without a provider keeps its slot: nothing would be closed for it, and all might come to wait.
        """
        node = self._started(id_)
        providers = _providers(node)
        if providers and not node.parked:
            node.parked = "provider"
            self.free += 1
            self.away.update(providers)
        return self._hand_out()

    def unpark(self, id_: str) -> list[Node]:
        """Note that a parked call's provider takes it: it goes on when it is handed out, here or by a later event."""
        node = self.nodes[id_]
        if node.parked == "provider":
            node.parked = "slot"
            self.away.subtract(_providers(node))
            self.returning.append(node)
        return self._hand_out()

    def claim(self, node: Node) -> list[Node]:
        """Note that what a node was handed out for needs a slot: it is handed out to work when it has one."""
        node.errand = node.verb
        if node.task.kind == "expr" and node.task.guard is None:
            self._move(node, "ready")
        self.claims.append(node)
        return self._hand_out()

    def release(self, node: Node) -> list[Node]:
        """Take back the slot that a node has claimed, or its claim."""
        if node.verb == "work":
            self.free += 1
            self.working -= 1
        else:
            self.claims.remove(node)
        node.verb, node.errand = node.errand or node.verb, ""
        return self._hand_out()

    # ---------------------------------------------------------------- someone decides

    def approve(self, id_: str) -> list[Node]:
        """Let a held call start; nothing happens if it is not held."""
        node = self.nodes[id_]
        if node.held and node.state == "ready":
            self._let_go(node)
        return self._hand_out()

    def may_drop(self, id_: str) -> bool:
        """Whether a task waits for others, for its plan or for approval, so that it may end without having started."""
        node = self.nodes[id_]
        return node.state == "waiting" or (node.state == "ready" and bool(node.held))

    def open(self) -> None:
        """Note that another plan begins: what failed in an earlier one stops nothing in it."""
        self.closed = False
        if self.turns is not None:
            self.turns.stops.clear()

    def close(self) -> list[Node]:
        """Note that the plan is whole: what was held for that is judged again."""
        self.closed = True
        self._rank()
        for node in self.nodes.values():
            if node.held and node.state == "ready":
                if not self._is_held(node):
                    self._let_go(node)
            elif node.task.follows and self._waits_for_turn(node):
                self._ask_before(node)
        return self._hand_out()

    def pause(self, paused: bool) -> list[Node]:  # noqa: FBT001 - the name says it
        """Start no new call, or go on."""
        self.paused = paused
        return self._hand_out()

    def cancel(self, outcome: Cancelled = CANCELLED) -> list[Node]:
        """End everything that is not at work; return what is, calls and evaluations, which the engine must stop."""
        self.cancelled = outcome
        self.lanes.clear()
        running = []
        for node in list(self.nodes.values()):
            if node.state == "running" and (node.task.kind == "call" or node.verb == "work"):
                running.append(node)
            elif node.state not in ENDED:
                self._end(node, outcome)
        self._out.clear()
        self._over.clear()
        return running

    # ---------------------------------------------------------------- one task is steered

    def withdraw(self, id_: str) -> None:
        """Take a ready call out of the queue, if it is there: it is held until it ends."""
        node = self.nodes[id_]
        lane = self.lanes.get(node.lane, [])
        kept = [entry for entry in lane if entry[2] is not node]
        if len(kept) == len(lane):
            return
        node.held = "user"
        del self.lanes[node.lane]
        if kept:
            heapify(kept)
            self.lanes[node.lane] = kept

    def revive(self, reads: Mapping[str, Reads], now: float, *, idle: Collection[str] = ()) -> list[Node]:
        """Let tasks go on that ended without a value, those first that others of them read.

        reads: what each waits for, as for `add`; idle: those of which `finish` brings the outcome, without a start.
        Raises ValueError if one of them has a value, or has not ended.
        """
        nodes = [self.nodes[id_] for id_ in reads]
        for node in nodes:
            if not node.lost:
                raise ValueError(f"{node.task.id} is {node.state} and cannot go on")
        for node in nodes:
            self._move(node, "waiting")
            self.unfinished += 1
            node.held, node.waiting, node.fate = "", 0, CANCELLED
            node.links = node.lenient = node.readable = False
        self._forget(nodes)
        self._take_turns_back(nodes)
        for node in nodes:
            if node.task.id not in idle:
                self._wait_again(node, *reads[node.task.id], now)
        for node in nodes:
            if node.lost:  # what it reads besides has failed, too
                self._skip_descendants(node, now)
        if self._over:
            self._pass_turns(now)
        return self._hand_out()

    def _forget(self, revived: list[Node]) -> None:
        """Forget what revived nodes waited for before; let open nodes wait for them that did not do so anymore."""
        ids = {node.task.id for node in revived}
        for node in self.nodes.values():
            if node.children:
                node.children = [child for child in node.children if child.task.id not in ids]
            if node.watchers:
                node.watchers = [watcher for watcher in node.watchers if watcher.task.id not in ids]
            if node.task.id in ids:
                if node.within is not None:
                    node.within.open += 1
                if node.owner is not None:
                    node.owner.waiting += 1
            elif node.state == "waiting" and node.lenient and not ids.isdisjoint(node.task.awaited()):
                self._wait_for(node, [self.nodes[id_] for id_ in node.task.awaited() if id_ in ids])

    def _wait_again(self, node: Node, after: Collection[str], items_of: Collection[str], now: float) -> None:
        """Let a revived node wait; a fan-out whose items are known waits for those of them that go on."""
        if node.expanded:
            self._move(node, "ready")
            self._move(node, "running")
            if not node.open:
                self._give(node, "collect")
            return
        self._wait_for(node, [self.nodes[id_] for id_ in after])
        if items_of:
            self._wait_for_items(node, [self.nodes[id_] for id_ in items_of])
        self._ready(node, now)

    def _take_turns_back(self, revived: list[Node]) -> None:
        """Let what follows revived nodes wait for its turn again; what they have stopped is not stopped anymore."""
        turns, ids = self.turns, {node.task.id for node in revived}
        self._refused -= ids
        if turns is None:
            return
        turns.stops = {id_: stop for id_, stop in turns.stops.items() if stop.cause not in ids}
        tasks = [node.task for node in self.nodes.values()]
        for id_ in ids:
            for waits in turns.reopen(id_, tasks):
                self.withdraw(waits)
                if self.nodes[waits].held == "user":
                    self.nodes[waits].held = "turn"

    # ---------------------------------------------------------------- changes of state

    def _move(self, node: Node, state: State) -> None:
        """Change a node's state: the only place that does."""
        if state not in _AFTER[node.state]:
            raise ValueError(f"{node.task.id} cannot go from {node.state} to {state}")
        node.state = state

    def _settle(self, node: Node, outcome: Any) -> None:
        """Give a node the state that its outcome means, and what its descendants get if that is no value."""
        kind = type(outcome)  # its very class: a user's may have no hash, and odd equality
        if kind is Failure:
            self._move(node, "failed")
            node.fate = Skipped(node.task.id, outcome.message)
        elif kind is Skipped or kind is Cancelled:
            self._move(node, "skipped" if kind is Skipped else "cancelled")
            node.fate = outcome
        else:
            self._move(node, "done")
        self.unfinished -= 1

    def _finish(self, node: Node, outcome: Any) -> None:
        """End a node that others may wait for: what follows it, and the fan-out that it is an item of."""
        self._settle(node, outcome)
        if self.turns is not None:
            self._over.append((node, outcome))
        fanout = node.within
        if fanout is not None:
            fanout.open -= 1
            if node.owner is not None:
                fanout.waiting -= 1
            if not fanout.open and fanout.expanded and fanout.state == "running":
                self._give(fanout, "collect")

    def _started(self, id_: str) -> Node:
        """Return a call that was started; a parked one is, though its slot is lent. Raises ValueError otherwise."""
        node = self.nodes[id_]
        if node.state != "running" or node.task.kind != "call":
            raise ValueError(f"{id_} is {node.state}: no attempt of it goes on")
        return node

    def _stop_attempt(self, id_: str) -> Node:
        node = self._started(id_)
        self._move(node, "waiting")
        self._give_back(node)
        return node

    def _end(self, node: Node, outcome: Skipped | Cancelled) -> None:
        """End a node that the engine need do nothing about."""
        self._finish(node, outcome)
        self.ended.append((node, outcome))

    def _skip_descendants(self, failed: Node, now: float) -> None:
        """End all that hangs on a node that has no value; without recursion, for chains are long."""
        stack = [failed]
        while stack:
            lost = stack.pop()
            for child in lost.take_children():
                if child.lenient and not lost.guarded:
                    self._count_down((child,), now)
                elif child.state == "waiting":
                    self._end(child, lost.fate)
                    stack.append(child)

    # ---------------------------------------------------------------- from waiting to ready

    def _take(self, task: Task, now: float, after: Collection[str], items_of: Collection[str] = ()) -> Node:
        """Take a task that waits for other tasks, and for the items of fan-outs to be known."""
        parents = list(map(self.nodes.__getitem__, after)) if after else ()
        fanouts = list(map(self.nodes.__getitem__, items_of)) if items_of else ()
        node = self._enter(task)  # only now, for an unknown name must change nothing
        if parents:
            self._wait_for(node, parents)
        if fanouts:
            self._wait_for_items(node, fanouts)
        if not node.waiting:
            self._ready(node, now)
        return node

    def _enter(self, task: Task) -> Node:
        if task.id in self.nodes:
            raise ValueError(f"two tasks are called {task.id!r}")
        node = self.nodes[task.id] = Node(task, self._resources.get(task.tool, ()) if task.tool else ())
        if task.guard is not None:
            node.guarded = True
        self.unfinished += 1
        if task.follows:
            self._follow(task)
        if self.cancelled:
            self._end(node, self.cancelled)
        return node

    def _wait_for(self, node: Node, parents: Collection[Node]) -> None:
        """Let a node wait for those parents that are not done."""
        if node.task.kind == "expr":
            node.lenient = node.lenient or any(parent.guarded for parent in parents)
        for parent in parents:
            if parent.state not in ENDED:
                node.waiting += 1
                if parent.children:
                    parent.children.append(node)
                else:
                    parent.children = [node]
            elif parent.state != "done" and parent.lost and not parent.readable:
                self._lose(node, parent)

    def _wait_for_items(self, node: Node, fanouts: Iterable[Node]) -> None:
        """Let a node wait for those fan-outs whose items are not known; one that has its value needs none."""
        node.links = node.task.kind != "fanout" or node.task.guard is not None
        for fanout in fanouts:
            if fanout.expanded:
                continue
            if fanout.lost:
                self._lose(node, fanout)
            elif fanout.state not in ENDED:
                node.waiting += 1
                fanout.watchers = fanout.watchers or []
                fanout.watchers.append(node)

    def _lose(self, node: Node, parent: Node) -> None:
        """End a node whose parent has no value, unless it has lost another one already."""
        if node.state == "waiting" and (parent.guarded or not node.lenient):
            self._end(node, parent.fate)

    def _count_down(self, nodes: Iterable[Node], now: float) -> None:
        """Note that something that these nodes wait for is there."""
        for node in nodes:
            node.waiting -= 1
            if not node.waiting:
                self._ready(node, now)

    def _ready(self, node: Node, now: float) -> None:
        """Hand a node out if it waits for nothing anymore; a call is queued for a slot, unless it is held."""
        if node.waiting or node.state != "waiting":
            return
        node.ready_at = now
        kind = node.task.kind
        if self.cancelled:
            self._end(node, self.cancelled)
        elif node.links:
            self._give(node, "link")
        elif node.task.guard is not None:
            self._give(node, "choose")
        elif kind == "call":
            if node.task.follows and not self._has_turn(node, now):
                return
            self._move(node, "ready")
            if self._gate is None or not self._is_held(node):
                self._queue(node)
        else:
            if kind == "fanout":
                self._move(node, "ready")
                self._move(node, "running")  # it holds no slot
            self._give(node, _VERBS[kind])

    def _is_held(self, node: Node) -> bool:
        """Ask the gate whether a ready call may start; if not, hand it out to be asked for."""
        node.held = self._gate(node.task) if self._gate is not None else ""
        if node.held:
            self._give(node, "ask")
        return bool(node.held)

    # ---------------------------------------------------------------- turns

    def reorder(self, task: Task, now: float) -> list[Node]:
        """Let a task follow others than before: it stands elsewhere in a repaired plan."""
        node = self.nodes[task.id]
        before, node.task = node.task, replace(node.task, follows=task.follows)
        if self.turns is None:
            self.turns = Turns(self._has_ended)
        self.turns.move(before, node.task)
        if task.id not in self.turns.left and node.state not in ENDED:
            self._take_turn(node, now)
        return self._hand_out()

    def waits_for_plan(self, id_: str) -> bool:
        """Whether a task waits for the end of the plan, or for the turn of one that does."""
        node = self.nodes[id_]
        return node.held == "plan" or (self.turns is not None and id_ in self.turns.left and node.state == "waiting")

    def stop(self, id_: str) -> Skipped | None:
        """Return why a task is skipped whose turn never came, None if it is not."""
        return self.turns.stops.get(id_) if self.turns is not None else None

    def _follow(self, task: Task) -> None:
        if self.turns is None:
            self.turns = Turns(self._has_ended)
        self.turns.add(task)

    def _has_ended(self, id_: str) -> bool:
        return id_ not in self.nodes or self.nodes[id_].state in ENDED

    def _waits_for_turn(self, node: Node) -> bool:
        """Whether a call has its inputs, and waits for its turn only."""
        waits = self.turns is not None and node.task.id in self.turns.left
        return waits and node.state == "waiting" and not node.waiting and _is_plain(node)

    def _has_turn(self, node: Node, now: float) -> bool:
        """Whether a call that has its inputs may start, as far as the order of side effects goes."""
        if self.turns is not None and node.task.id in self.turns.left:
            self._ask_before(node)
            return False
        return not self._is_stopped(node, now)

    def _ask_before(self, node: Node) -> None:
        """Ask for a call before its turn has come, if it needs approval."""
        if self.closed and self._gate is not None and self._gate(node.task) == "approval":
            self._move(node, "ready")
            node.held = "approval"
            self._give(node, "ask")

    def _let_go(self, node: Node) -> None:
        """Queue a ready call that nothing holds, unless it waits for its turn."""
        node.held = "turn" if self.turns is not None and node.task.id in self.turns.left else ""
        if not node.held:
            self._queue(node)

    def _is_stopped(self, node: Node, now: float) -> bool:
        """Skip a side effect if one above it stops it; return whether it was.

        A guarded call may not be needed, and a fan-out may have no items, whatever stops it: that comes first.
        """
        stop = self.stop(node.task.id) if _is_plain(node) else None
        if stop is None or not self._effect(node.task):
            return False
        self._end(node, stop)
        self._skip_descendants(node, now)
        return True

    def _pass_turns(self, now: float) -> None:
        """Let the turn go to what follows those that have ended."""
        turns = self.turns
        while self._over and turns is not None:
            over, self._over = self._over, []
            for node, outcome in over:  # all of them, before the first lets others pass
                if node.lost and (stop := self._stop_of(node, outcome)) is not None:
                    turns.stops.setdefault(node.task.id, stop)
            for node, _ in over:
                for id_ in turns.end(node.task.id):
                    self._take_turn(self.nodes[id_], now)

    def _take_turn(self, node: Node, now: float) -> None:
        """Let a task go on whose turn has come."""
        if node.state not in ("waiting", "ready") or self._is_stopped(node, now):
            return
        if node.state == "ready":
            node.ready_at = now
            if node.held == "turn":
                self._let_go(node)
        elif _is_plain(node):
            self._ready(node, now)

    def _stop_of(self, node: Node, outcome: Any) -> Skipped | None:
        """Return why no later side effect is made, if a task that ended so is a reason for that."""
        by_user = type(outcome) is Skipped and outcome.by_user
        if (by_user and not node.attempt) or (not by_user and self._is_refused(outcome)):
            self._refused.add(node.task.id)
            return None
        if not self._effect(node.task) or (type(outcome) is Cancelled and not node.attempt):
            return None
        unknown = by_user or type(outcome) is Cancelled or getattr(outcome, "kind", "") in UNKNOWN
        unknown = unknown or type(getattr(outcome, "error", None)) is EffectInDoubt
        why = "whether it had its effect is unknown, so no" if unknown else "no"
        cause = outcome.cause if type(outcome) is Skipped else node.task.id
        parts = filter(None, (outcome.message, f"{why} later side effect of the plan is made"))
        return Skipped(cause, "; ".join(parts), by_user=by_user)

    def _is_refused(self, outcome: Any) -> bool:
        """Whether a task has no value because someone said no, to it or to what it depends on."""
        if type(outcome) is Skipped:
            return outcome.cause in self._refused
        if type(outcome) is not Failure or outcome.kind != "items":
            return type(outcome) is Failure and outcome.kind == "denied" and type(outcome.error) is not EffectInDoubt
        items = outcome.partial.values() if type(outcome.partial) is dict else outcome.partial
        return all(self._is_refused(item) for item in items if is_lost(item))

    # ---------------------------------------------------------------- from ready to running

    def _queue(self, node: Node) -> None:
        heappush(self.lanes[node.lane], (-node.height, next(self._arrivals), node))

    def _give(self, node: Node, verb: Verb) -> None:
        node.verb = verb
        self._out.append(node)

    def _hand_out(self) -> list[Node]:
        """Give the free slots away; return all that the engine has to do after this event."""
        if self.returning or self.claims:
            self._go_on()
        while self.free > 0 and self.lanes and not self.paused:
            if len(self.nodes) > 2 * self._ranked:
                self._rank()
            first: Lane | None = None
            for resources, lane in self.lanes.items():
                if (first is None or lane < first) and (not resources or self._has_room(resources)):
                    first = lane
            if first is None:
                break
            node = heappop(first)[2]
            if not first:
                del self.lanes[node.lane]
            self.free -= 1
            for resource in node.lane:
                self.spare[resource] -= 1
            self._move(node, "running")
            node.attempt += 1
            self._give(node, "start")
        out, self._out = self._out, []
        return out

    def _go_on(self) -> None:
        """Give free slots to parked calls that go on and to work of the evaluator, before everything that is ready."""
        while self.free > 0 and self.returning and not self.cancelled:
            node = self.returning.popleft()
            node.parked = ""
            self.free -= 1
            self._give(node, "resume")
        while self.free > 0 and self.claims and self.working < EVALUATORS and not self.cancelled:
            node = self.claims.popleft()
            if node.state == "ready" and node.task.kind == "expr":
                self._move(node, "running")
                node.attempt += 1
            self.free -= 1
            self.working += 1
            self._give(node, "work")

    def _has_room(self, lane: tuple[str, ...]) -> bool:
        return all(self.spare[resource] > 0 and not self.away[resource] for resource in lane)

    def _give_back(self, node: Node) -> None:
        """Give back what a call holds; the slot of a parked one was given back before."""
        if not node.parked:
            self.free += 1
        elif node.parked == "provider":
            self.away.subtract(_providers(node))
        else:
            self.returning.remove(node)
        node.parked = ""
        for resource in node.lane:
            self.spare[resource] += 1

    def _rank(self) -> None:
        """Recompute the heights of what has not ended, and the lanes by them."""
        self._ranked = len(self.nodes)
        if self.unfinished <= 1:  # nothing is to be put in order, as in a plan of expressions that are done at once
            return
        changed, turns = False, self.turns
        for node in reversed(self.nodes.values()):  # children come after their parents, but for a few linked ones
            below: Collection[Node] = node.children
            if turns is not None:
                below = [*below, *(self.nodes[id_] for id_ in turns.followers.get(node.task.id, ()))]
            if below:
                height = 1 + max(map(_height, below))
                changed = changed or height != node.height
                node.height = height
        if changed:
            for lane in self.lanes.values():
                lane[:] = [(-node.height, arrival, node) for _, arrival, node in lane]
                heapify(lane)


def _is_plain(node: Node) -> bool:
    """Whether a node is a call of which nothing is to be found out before it waits for its arguments."""
    return node.task.kind == "call" and node.task.guard is None and not node.links


def _providers(node: Node) -> list[str]:
    return [resource for resource in node.lane if resource.startswith(PROVIDER)]
