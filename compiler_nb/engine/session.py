"""The asyncio engine: performs what the schedule says, on one loop.

Theory of operation
    A Session lives as long as a run. Whatever happens (a task is planned, an attempt ends, the plan closes, someone
    cancels) is a call of a method on the loop's thread. The method passes it to the schedule and performs what the
    schedule hands out. The loop's own queue is the one inbox, and nothing polls. Each node is handed out with a verb,
    and `_perform` looks up the method for the verb in a table. Expressions and fan-outs are performed inline, from a
    work list rather than by recursion, because the end of one may start others. Calls become Attempts, which runners
    perform.

    `attempts` holds every attempt from its start until it reports its end to `ended`, the only place where a task that
    was started gets its outcome. Every end, by an attempt or by the schedule alone, goes through `_note_end`. One timer
    serves all timeouts, graces and pauses.
"""

from __future__ import annotations

import asyncio
import random
from collections import ChainMap, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from types import MappingProxyType
from typing import Any, Final

from compiler_nb.engine.arguments import arguments, bind, no_tool, plain_arguments
from compiler_nb.engine.attempt import Attempt
from compiler_nb.engine.call import Runner
from compiler_nb.engine.effects.approval import Ask, Rule
from compiler_nb.engine.effects.side_effects import SideEffects
from compiler_nb.engine.evaluation import Evaluation, Evaluator, Work
from compiler_nb.engine.fanouts import Fanouts
from compiler_nb.engine.flights import HELD, Flights
from compiler_nb.engine.node import CANCELLED, Node, Tasks, Verb, find_lanes
from compiler_nb.engine.runners import PostToMain, make_runners
from compiler_nb.engine.schedule import Schedule
from compiler_nb.engine.timer import Timer
from compiler_nb.events import (
    Log,
    Paused,
    TaskChosen,
    TaskEnded,
    TaskExpanded,
    TaskHeld,
    TaskParked,
    TaskPlanned,
    TaskRetried,
    TaskRevived,
    TaskStarted,
    Warned,
)
from compiler_nb.models.limits import Limits
from compiler_nb.models.secret import Secret, mask
from compiler_nb.operations.bounds import BOUNDS, Bounds, Heavy, Scope
from compiler_nb.outcome import ENDED, SET, UNNEEDED, Cancelled, Failure
from compiler_nb.plan.effects import nature
from compiler_nb.plan.evaluate import LostValue, evaluate
from compiler_nb.plan.expression import Unary
from compiler_nb.plan.fanout import Expansion
from compiler_nb.plan.task import Task, owner_of
from compiler_nb.plan.tree import Tree
from compiler_nb.tool import Tool

STILL_RUNS: Final = "still runs: it could not be stopped"
"""How the warning of a call that was abandoned while it worked ends."""
ITEMS: Final = 1_000
"""Items of a fan-out that are taken at a time; if calls have side effects, all are, for they are approved together."""


@dataclass(slots=True, eq=False)
class Reach:
    """What of a session a user can steer (steering.py).

    earlier: the tasks of earlier rounds, which nobody can; over: why nobody can steer any, "" if that is not so;
    sources: tasks that get the outcomes of others, with those; unstored: tasks of an earlier run whose values were not
    stored, at least in part: no further plan can read them.
    """

    earlier: Collection[str] = ()
    over: str = ""
    sources: dict[str, str] = field(default_factory=dict)
    unstored: set[str] = field(default_factory=set)


class Session:
    """The tasks of one run, performed on the running loop.

    tools: by name; log: takes the events; inputs: values of the offered variables; max_concurrency: calls at a time;
    limits: calls at a time per resource ("provider:openai", "tool:search"); approve: "ask", "auto", "deny" or the names
    of approved tools; ask: asks someone to approve a task and its arguments, None if there is no one; main: posts a
    function to the main thread, and returns False if nobody serves it; runners: perform calls, by default those of
    `make_runners`; drop_failed: the share of its items that may fail without making a fan-out fail; bounds: what
    expressions may cost.

    May be set before the first task: recall returns an item of a fan-out, as its value if an earlier run has left one,
    and how that is known;
    secrets: what no failure's message may hold; rates: the providers' limits per minute; rated: the tools whose calls
    these count here, with their providers (other tools count their calls of models where they make them); warn: called
    with a task's id and a warning that cannot wait for the loop, on any thread; and what `effects` says.
    """

    def __init__(
        self,
        tools: Mapping[str, Tool],
        log: Log,
        *,
        inputs: Mapping[str, Any] | None = None,
        max_concurrency: int = 8,
        limits: Mapping[str, int] | None = None,
        approve: Rule = "ask",
        ask: Ask | None = None,
        main: PostToMain | None = None,
        runners: Mapping[str, Runner] | None = None,
        drop_failed: float = 0.0,
        bounds: Bounds = BOUNDS,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.tools, self.log, self.inputs = dict(tools), log, dict(inputs or {})
        self.warn: Callable[[str, str], None] | None = None
        self.recall: Callable[[Task], tuple[Task, str]] | None = None
        self.secrets: tuple[Secret, ...] = ()
        self.rates: Limits | None = None
        self.rated: Mapping[str, str] = {}
        self.effects = SideEffects(self, approve, ask)
        self.flights = Flights(self) if any(tool.pure for tool in tools.values()) else None

        caps, lanes = find_lanes(tools.values(), limits or {})
        self.schedule = Schedule(
            max_concurrency,
            limits=caps,
            resources=lanes,
            gate=self._gate(),
            effect=lambda task: nature(task, self.tools) == "effect",
        )
        self.tasks: Mapping[str, Task] = Tasks(self.schedule.nodes)  # all of them, by id, items of fan-outs included
        self.reach = Reach()
        self._outcomes: dict[str, Any] = {}
        self.fanouts = Fanouts(self.schedule.nodes, self._outcomes, self.tools, drop_failed)
        self._planless = ""  # why the plan will never be whole, if it will not

        self.attempts: dict[str, Attempt] = {}
        self.abandoned_calls = 0
        self.runners = runners if runners is not None else make_runners(self.loop, max_concurrency, main)
        self.timer = Timer(self.loop, self.attempts)
        self.evaluator = Evaluator(self, self._outcomes, bounds, self.runners.get("evaluator"))
        self._work: deque[Node] = deque()
        self._working = False
        self._methods: dict[Verb, Callable[[Node], None]] = {
            "start": self._start, "ask": self._ask, "resume": self._resume, "work": self._do_work,
            "choose": self._choose, "evaluate": self._evaluate, "expand": self._expand, "collect": self._collect,
            "link": self._link,
        }  # fmt: skip
        if self.flights is not None:
            self._methods["start"] = self._start_pure
        self._idle: asyncio.Event | None = None  # set when every task has ended; None if nobody waits for that
        self._waiters: defaultdict[str, list[Callable[[], object]]] = defaultdict(list)  # called when a task has ended

    def _gate(self) -> Callable[[Task], str] | None:
        """Return what says why a ready call may not start yet, None if no call is held for anything."""
        flights, effects = self.flights, self.effects
        if flights is None:
            return effects.gate if effects.exist else None
        return lambda task: flights.gate(task) or (effects.gate(task) if effects.exist else "")

    # ---------------------------------------------------------------- what may happen

    def add(self, task: Task) -> None:
        """Take a planned task; it starts when its inputs exist."""
        inline = self.evaluator.inline
        if task.kind == "expr" and not inline.turn_is_over and self._may_pin(task):
            try:
                value = inline.compute(evaluate, task.args[0])
            except Heavy:
                pass
            else:
                if inline.scope.notes:
                    self.evaluator.tell_notes(task.id, inline.scope)
                self.pin(task, value, "inline")
                return
        if task.kind == "fanout":
            self.fanouts.exist = True
        if self.fanouts.exist:
            nodes = self.schedule.add(task, self.log.now(), *self.fanouts.needs(task))
        else:  # the schedule knows what it waits for
            nodes = self.schedule.add(task, self.log.now())
        if nodes or self.schedule.ended:  # most tasks only come to wait
            self.perform(nodes)

    def _may_pin(self, task: Task) -> bool:
        """Whether an expression can be evaluated at once: what it reads is done, and whole."""
        return self.schedule.has_inputs(task) and not (self.fanouts.partial and self.fanouts.reads_partial(task))

    def adopt(self, task: Task, source: str) -> None:
        """Take a planned task that computes what `source` does, which is done or running: it gets the same outcome."""
        if source in self._outcomes:
            self.pin(task, self._outcomes[source], "adopted")
        else:
            # it waits for nothing itself, whatever the task refers to
            twin = replace(task, kind="expr", tool="", args=(), kwargs={}, after=(), guard=None)
            self.perform(self.schedule.add_twin(twin))
            self.reach.sources[twin.id] = source
            self._wait_for_source(twin.id)

    def _wait_for_source(self, id_: str) -> None:
        source = self.reach.sources[id_]
        self._waiters[source].append(lambda: self._end_twin(id_, self._outcomes[source]))

    def _end_twin(self, id_: str, outcome: Any) -> None:
        node = self.schedule.nodes[id_]
        if node.state not in ENDED:
            self._end(node, outcome, "adopted")

    def give(self, node: Node, value: Any, how: str) -> None:
        """End a task that is not at work with a value for which no attempt was made."""
        now = self.log.now()
        nodes = self.schedule.finish(node.task.id, value, now)
        self._note_end(node, 0, value, how, now)
        self.perform(nodes)

    def pin(self, task: Task, value: Any, how: str = "pinned") -> None:
        """Take a task whose value, or other outcome, is known already."""
        node = self.schedule.add_known(task, value)
        if self.schedule.ended:  # the run was cancelled before
            self._settle()
        else:
            self._note_end(node, 0, value, how, self.log.now())

    def drop(self, ids: Iterable[str], message: str, how: str = "") -> list[str]:
        """End those of these tasks that have not started, for the plan no longer holds them; return their ids."""
        dropped, wanted = [], set(ids)
        for id_ in reversed([id_ for id_ in self.tasks if id_ in wanted]):  # or the end of one would let others begin
            if self.schedule.may_drop(id_):
                self.effects.approvals.forget(id_)
                self._end(self.schedule.nodes[id_], Cancelled(message), how)
                dropped.append(id_)
        return dropped

    def keep(self, task: Task) -> None:
        """Take the place that a known task has in this plan: it may follow others than before."""
        if task.follows != self.tasks[task.id].follows:
            self.log.emit(TaskPlanned, task.id, 0, task, "")
            self.perform(self.schedule.reorder(task, self.log.now()))

    def begin_round(self, *, informed: bool) -> None:
        """Note that another plan begins; informed: whether it was written after tools had returned something."""
        self.effects.ledger.open()
        self.effects.approvals.informed = informed
        self.reach.earlier, self.reach.over = frozenset(self.tasks), ""

    def open(self) -> None:
        """Note that a plan is being written: side effects wait for its end."""
        self.schedule.open()

    def close(self) -> None:
        """Note that the plan is whole and right: side effects may start."""
        self._unqueue(lambda node: node.held == "plan")  # they are judged anew: handed out twice, they would run twice
        self.perform(self.schedule.close())

    def give_up_plan(self, message: str) -> None:
        """Note that the plan will never be whole: what waits for that is dropped, now and later; the rest goes on."""
        self._planless = message
        self.drop([id_ for id_ in self.tasks if self.schedule.waits_for_plan(id_)], message)

    def pause(self, paused: bool) -> None:  # noqa: FBT001 - the name says it
        """Start no new call, or go on."""
        if paused != self.schedule.paused:
            self.log.emit(Paused, paused)
        self.perform(self.schedule.pause(paused))

    def approve(self, id_: str, by: str = "user", mark: str = "", *, again: bool = False) -> None:
        """Let a call start that is held for approval; nothing if it is not, or `mark` is not its arguments' digest.

        One that is done already gets that outcome, unless it is to be made again.
        """
        self.effects.approvals.answer(id_, approved=True, by=by, mark=mark, again=again)

    def deny(self, id_: str, by: str = "user", reason: str = "", mark: str = "") -> None:
        """End a call as denied that is held for approval; nothing if it is not."""
        self.effects.approvals.answer(id_, approved=False, by=by, reason=reason, mark=mark)

    async def connect(self) -> None:
        """Wait until calls can be performed: here they can."""

    async def bring_home(self, ids: Callable[[], Iterable[str]] | None = None, largest: float = inf) -> None:
        """Wait until the values of these tasks, or of all, are in this process: here they are."""

    def cancel(self, outcome: Cancelled = CANCELLED) -> None:
        """Stop everything: what finished stays, the rest gets this outcome; attempts get a grace to end."""
        if self.schedule.cancelled:
            return
        running = self.schedule.cancel(outcome)
        self.effects.approvals.close()
        self.perform([])
        for node in running:
            attempt = self.attempts.get(node.task.id)
            if attempt is not None:
                attempt.stop(outcome)
            else:  # it was handed out in this very moment
                self._end(node, outcome)
        for attempt in list(self.attempts.values()):
            if isinstance(attempt, Evaluation) and attempt.stopped is None:
                attempt.stop(outcome)

    def finish(self) -> None:
        """Let go of threads and timers; the session takes no further task."""
        for runner in self.runners.values():
            runner.close()
        self.timer.close()
        self.effects.approvals.close()

    def forget(self) -> None:
        """Let go of everything, once nobody asks here anymore.

        A session lies in cycles, which Python collects late, and the values that it holds may be large.
        """
        self.evaluator.close()
        for part in (self.effects, self.evaluator, self):
            vars(part).clear()

    def parking(self, id_: str) -> Attempt | None:
        """Return what lets a running task wait for its provider without a slot; None if there is no such task."""
        return self.attempts.get(id_)

    # ---------------------------------------------------------------- what came of it

    def is_drained(self) -> bool:
        """Whether every task has ended."""
        return not self.schedule.unfinished

    def is_guarded(self, id_: str) -> bool:
        """Whether a task may turn out not to be needed."""
        return self.schedule.nodes[id_].guarded

    async def drained(self) -> None:
        """Wait until every task has ended."""
        while not self.is_drained():
            self._idle = asyncio.Event()
            await self._idle.wait()

    def when_ended(self, id_: str, tell: Callable[[], object]) -> None:
        """Call a function when a task has ended."""
        self._waiters[id_].append(tell)

    async def ready(self, ids: Iterable[str]) -> bool:
        """Wait until these tasks have ended; return whether all are done."""
        wanted = tuple(ids)
        for id_ in wanted:
            if id_ not in self._outcomes:
                ended = asyncio.Event()
                self._waiters[id_].append(ended.set)
                await ended.wait()
        return not any(map(self.is_lost, wanted))

    @property
    def outcomes(self) -> Mapping[str, Any]:
        """How all tasks ended that have ended, by id: a view, which shows what ends later, too."""
        return MappingProxyType(self._outcomes)

    @property
    def values(self) -> dict[str, Any]:
        """The values of all tasks that are done, by id, and what may be read of fan-outs that failed."""
        nodes = self.schedule.nodes
        done = {id_: outcome for id_, outcome in self._outcomes.items() if nodes[id_].state == "done"}
        done.update(self.fanouts.partial)
        return done

    @property
    def read(self) -> Mapping[str, Any]:
        """What references stand for, by id: outcomes, and of fan-outs that failed before this round what there is."""
        return self.evaluator.scope.values

    def is_lost(self, id_: str) -> bool:
        """Whether a task has no value, although it was needed. Raises KeyError if there is no such task."""
        node = self.schedule.nodes[id_]
        return (node.lost and not node.readable) or id_ in self.reach.unstored

    def alive(self) -> dict[str, str]:
        """Return the fingerprints of the tasks that can be read, by id; "" of a fan-out that would run again."""
        nodes = self.schedule.nodes.items()
        return {id_: "" if node.readable else node.task.fingerprint for id_, node in nodes if not self.is_lost(id_)}

    def keep_items(self) -> None:
        """Let later tasks read fan-outs that failed: they get the items that exist."""
        self.fanouts.keep_items()
        if self.fanouts.partial:
            self.evaluator.scope.values = ChainMap(self.fanouts.partial, self._outcomes)

    # ---------------------------------------------------------------- what the schedule hands out

    def perform(self, nodes: Iterable[Node]) -> None:
        """Do what the schedule asks for, and what follows from that, one after the other."""
        if self.schedule.ended:
            self._settle()
        work, inline = self._work, self.evaluator.inline
        work.extend(nodes)
        if self._working:
            return
        self._working = True
        try:
            while work and not inline.turn_is_over:
                node = work.popleft()
                if node.state not in ENDED or node.verb == "work":  # it may have ended since it was handed out
                    self._methods[node.verb](node)
        finally:
            self._working = False

    def _unqueue(self, is_stale: Callable[[Node], bool]) -> None:
        """Forget what was handed out and is not done yet, for the turn of the loop was over."""
        if self._work:
            kept = [node for node in self._work if not is_stale(node)]
            self._work.clear()
            self._work.extend(kept)

    def _settle(self) -> None:
        """Note the ends of tasks that the schedule ended by itself: they were skipped or cancelled."""
        ended, self.schedule.ended = self.schedule.ended, []
        if self.effects.exist:
            for node, _ in ended:  # all of them, before the end of one item lets its fan-out be asked for
                self.effects.approvals.forget(node.task.id)
        for node, outcome in ended:
            self._note_end(node, 0, outcome, "", self.log.now())

    def _choose(self, node: Node) -> None:
        """End a guarded task as not needed, or let it wait for its arguments, as its guard says."""
        test = Unary("not", Unary("not", node.task.guard))  # whether it is true may raise anything, too
        self._compute(node, self._value_of, test, partial(self._chosen, node))

    def _chosen(self, node: Node, needed: Any) -> None:
        if needed is True:
            task = replace(node.task, guard=None)
            self.log.emit(TaskChosen, task.id, 0)
            self.perform(self.schedule.link(task.id, task, self.log.now(), *self.fanouts.needs(task)))
        else:
            self._end(node, needed or UNNEEDED, "inline")

    def _evaluate(self, node: Node) -> None:
        self._compute(node, self._value_of, node.task.args[0], partial(self._value_is_there, node))

    def _value_of(self, tree: Tree, scope: Scope) -> Any:
        """Return the value of an expression, or what it is skipped for."""
        try:
            return evaluate(tree, scope)
        except LostValue as lost:
            return self.schedule.nodes[lost.id].fate

    def _value_is_there(self, node: Node, outcome: Any) -> None:
        self._end(node, outcome, "" if node.attempt else self.fanouts.recalled.get(node.task.id, "inline"))

    # ---------------------------------------------------------------- work of the evaluator

    def _compute(self, node: Node, work: Work, subject: Any, then: Callable[[Any], None]) -> None:
        """Have the evaluator do something, and go on with its value or Failure: at once, or from a thread if heavy."""
        try:
            outcome = self.evaluator.compute(node, work, subject)
        except Heavy:
            self.evaluator.defer(node, work, subject, then)
        else:
            then(outcome)

    def _do_work(self, node: Node) -> None:
        self.evaluator.begin(node, self.attempts[node.task.id])

    async def value_of(self, tree: Tree) -> Any:
        """Return the value of an expression of no task, such as the answer's, or the Failure that it is."""
        ended: asyncio.Future[Any] = self.loop.create_future()

        def then(outcome: Any) -> None:
            if not ended.done():
                ended.set_result(outcome)

        node = Node(Task("", "expr", "", (tree,)), verb="evaluate")
        self._compute(node, evaluate, tree, then)
        return await ended

    # ---------------------------------------------------------------- what fan-outs and guards lead to

    def _expand(self, node: Node) -> None:
        self._compute(node, self.fanouts.expand, node.task, partial(self._expanded, node))

    def _expanded(self, node: Node, expansion: Expansion | Failure | Cancelled) -> None:
        id_ = node.task.id
        if not isinstance(expansion, Expansion):
            self._end(node, expansion, "inline")
            return
        tasks = self.fanouts.take(node.task, expansion)
        self.log.emit(TaskExpanded, id_, 1, tuple(task for task, _ in tasks))
        if self.recall is not None:
            tasks = self.fanouts.recall(tasks, self.recall)
        most = max(ITEMS // (1 + expansion.weight // 10), 1)
        self._take_items(node, deque(tasks), len(tasks) if self.effects.exist else most)

    def _take_items(self, node: Node, tasks: deque[tuple[Task, bool]], most: int) -> None:
        """Take items of a fan-out, so many at a time: the rest of the loop has its turn in between."""
        if node.state in ENDED:
            return
        some = [tasks.popleft() for _ in range(min(most, len(tasks)))]
        if tasks:
            self.loop.call_soon(self._take_items, node, tasks, most)
        self.perform(self.schedule.expand(node.task.id, some, self.log.now(), more=bool(tasks)))

    def _collect(self, node: Node) -> None:
        id_ = node.task.id
        self.effects.approvals.forget(id_)
        outcome, how = self.fanouts.collect(id_, self.schedule.stop(id_))
        self._end(node, outcome, how)

    def _link(self, node: Node) -> None:
        """Let a task wait for the very items that it reads, now that they are known."""
        task = self.fanouts.link(node.task)
        self.perform(self.schedule.link(task.id, task, self.log.now()))

    def _ask(self, node: Node) -> None:
        """Ask for what holds a ready call; its arguments are resolved."""
        task = node.task
        if node.held == "plan":
            if self._planless:
                self.drop([task.id], self._planless)
            else:
                self.log.emit(TaskHeld, task.id, 0, "plan", "", "")
            return
        self._compute(node, arguments, task, partial(self._hold, node))

    def _hold(self, node: Node, found: Any) -> None:
        """Ask for approval of a call with these arguments, or for its value if the tool is pure."""
        tool = self.tools[node.task.tool]
        if tool.pure and node.held != HELD:
            return  # it was asked for before, and may start
        bound = bind(tool, found)
        if not isinstance(bound, tuple):
            self._end(node, replace(bound, attempts=0) if type(bound) is Failure else bound)
        elif tool.pure and self.flights is not None:
            self.flights.hold(node, *bound)
        else:
            self.effects.hold(node, *bound)

    # ---------------------------------------------------------------- attempts

    def _start(self, node: Node) -> None:
        at, task = self.log.now(), node.task  # before a tool's first binding makes its schema, which is no wait
        plain = plain_arguments(task, self.evaluator.scope)
        if plain is not None:
            self._begin(node, at, plain)
        else:
            self._compute(node, arguments, task, partial(self._begin, node, at))

    def _start_pure(self, node: Node) -> None:
        """Start a call, with the very arguments for which its value was looked for, if it was."""
        at, task = self.log.now(), node.task
        if node.state != "running" or task.id in self.attempts:
            return  # it was handed out to be asked for twice, as the plan closed, and has been started since
        bound = self.flights.arguments(task.id, at) if self.flights is not None else None
        if bound is None:
            self._start(node)
            return
        tool = self.tools[task.tool]
        self.log.emit_at(at, TaskStarted, (task.id, node.attempt, node.ready_at))
        attempt = self.attempts[task.id] = Attempt(node, tool, *bound, self.runners[tool.runs_on], self)
        if task.tool in self.rated:
            attempt.begin_admitted()
        else:
            attempt.begin()

    def _begin(self, node: Node, at: float, found: Any) -> None:
        """Begin a call with these arguments, which may be a Failure, or Cancelled."""
        task = node.task
        tool = self.tools.get(task.tool)
        bound = bind(tool, found) if tool is not None else no_tool(task.tool)
        is_noted = task.id in self.evaluator.noted
        if is_noted:
            self.evaluator.noted.discard(task.id)
        fields = task.id, node.attempt, node.ready_at
        if tool is None or type(bound) is not tuple:
            if not is_noted:
                self.log.emit_at(at, TaskStarted, fields)
            self._end(node, replace(bound, attempts=node.attempt) if type(bound) is Failure else bound)
            return
        args, kwargs = bound
        effect = tool.side_effects
        if effect and not self.effects.may_begin(
            node, args, kwargs, self.log.now() if is_noted else at, noted=is_noted
        ):
            return
        if not is_noted:
            self.log.emit_at(at, TaskStarted, fields)
        attempt = self.attempts[task.id] = Attempt(node, tool, args, kwargs, self.runners[tool.runs_on], self)
        if (effect and self.effects.intent is not None) or task.tool in self.rated:
            attempt.begin_admitted()
        else:
            if effect:
                self.effects.ledger.begin(task.id, self.log.round)
            attempt.begin()

    def _resume(self, node: Node) -> None:
        attempt = self.attempts.get(node.task.id)
        if attempt is not None:
            self.log.emit(TaskParked, attempt.id, node.attempt, attempt.tool.provider, False)  # noqa: FBT003 - a field
            attempt.resume()

    async def admit(self, attempt: Attempt) -> bool:
        """Wait until a call is noted, if it has side effects, and until its provider takes it, if that counts calls.

        Return False if it needs another approval, which is asked for, or cannot be had.
        """
        tool = attempt.tool
        if tool.side_effects and not await self.effects.note(attempt):
            return False
        if self.rates is not None and tool.name in self.rated:
            await self.rates.admit(self.rated[tool.name], attempt)
        return not tool.side_effects or self.effects.begin(attempt)

    def park(self, attempt: Attempt) -> bool:
        """Lend an attempt's slot to others while it waits for its provider; False if it keeps it."""
        nodes = self.schedule.park(attempt.id)
        if attempt.node.parked:
            self.log.emit(TaskParked, attempt.id, attempt.node.attempt, attempt.tool.provider, True)  # noqa: FBT003 - a field
            self.perform(nodes)
        return bool(attempt.node.parked)

    def unpark(self, attempt: Attempt) -> None:
        """Ask for a slot for a parked attempt."""
        self.perform(self.schedule.unpark(attempt.id))

    def abandoned(self, attempt: Attempt) -> None:
        """Count an attempt that still works although it was given up, and warn of it."""
        self.abandoned_calls += 1
        self.log.emit(Warned, attempt.id, f"{attempt.tool.name} {STILL_RUNS}")

    def ended(self, attempt: Attempt, outcome: Any) -> None:
        """Take an attempt out: its task ends, or is tried again."""
        del self.attempts[attempt.id]
        if type(attempt) is Evaluation:
            self.evaluator.ended(attempt, outcome)
            return
        node, tool = attempt.node, attempt.tool
        if type(outcome) is Failure:
            outcome = replace(outcome, message=mask(outcome.message, self.secrets), attempts=node.attempt)
            if node.attempt <= tool.retries and not isinstance(attempt.stopped, Cancelled):
                self._retry(node, outcome)
                return
        if tool.side_effects:
            self.effects.ledger.end(node.task.id, outcome)
        self._end(node, outcome)

    def _retry(self, node: Node, failure: Failure) -> None:
        id_ = node.task.id
        delay = min(0.2 * 2 ** (node.attempt - 1), 10.0) * (0.5 + random.random())  # noqa: S311 - jitter
        self.log.emit(TaskRetried, id_, node.attempt, failure.message, delay)
        self.timer.call(delay, partial(self._pause_is_over, node, node.attempt))
        self.perform(self.schedule.retry(id_))

    def _pause_is_over(self, node: Node, attempt: int) -> None:
        if node.state == "waiting" and node.attempt == attempt:  # or the user was quicker
            self.try_again(node.task.id)

    # ---------------------------------------------------------------- one task is steered (by steering.py)

    def stop(self, attempt: Attempt, then: Callable[[Any], None]) -> None:
        """Stop an attempt, and go on with `then`, which is given how it ended, instead of with its task's end."""
        attempt.divert(partial(self._stopped, attempt, then))

    def _stopped(self, attempt: Attempt, then: Callable[[Any], None], outcome: Any) -> None:
        node, nodes = attempt.node, []
        del self.attempts[attempt.id]
        self.evaluator.noted.discard(attempt.id)
        if isinstance(attempt, Evaluation):
            nodes = self.evaluator.settle(attempt)
        if node.state not in ENDED:
            then(outcome)
        self.perform(nodes)

    def end(self, node: Node, outcome: Any, how: str = "") -> None:
        """End a task that is not at work, even if it waits for a slot."""
        self.schedule.withdraw(node.task.id)
        if how == SET:
            self.fanouts.give(node.task.id)
        self._end(node, outcome, how)

    def give_other(self, id_: str, value: Any) -> None:
        """Give a task that is done another value; nothing has read the first."""
        self.fanouts.give(id_)
        self._outcomes[id_] = value
        self.log.emit(TaskEnded, id_, self.schedule.nodes[id_].attempt, "done", value, SET)

    def start_over(self, node: Node, why: str) -> None:
        """Start a call again whose attempt has been stopped."""
        self.log.emit(TaskRetried, node.task.id, node.attempt, why, 0.0)
        self._unqueue(lambda each: each is node)
        self.perform(self.schedule.retry(node.task.id))
        self.try_again(node.task.id)

    def try_again(self, id_: str) -> None:
        """End the pause between two attempts of a call."""
        self.perform(self.schedule.again(id_, self.log.now()))

    def revive(self, ids: Iterable[str], why: str, *, given: str = "") -> None:
        """Let tasks go on that ended without values; given: the one of them whose end follows at once."""
        if given:
            self.fanouts.give(given)
        reads, fanouts = {}, self.fanouts
        for id_ in ids:
            task, node = self.tasks[id_], self.schedule.nodes[id_]
            del self._outcomes[id_]
            fanouts.ends.pop(owner_of(id_), None)
            self.log.emit(TaskRevived, id_, node.attempt, why)
            reads[id_] = fanouts.needs(task) if fanouts.exist else (task.awaited(), ())
        twins = self.reach.sources.keys() & reads.keys()
        nodes = self.schedule.revive(reads, self.log.now(), idle={*twins, given})
        # Some were handed out before they ended; others read these, or collect them, and wait now once more.
        self._unqueue(lambda node: node.task.id in reads or node.waiting > 0)
        for twin in twins:
            self._wait_for_source(twin)
        self.perform(nodes)

    def source_of(self, node: Node) -> str:
        """Return the task whose outcome a task gets, "" if it has its own."""
        return self.reach.sources.get(node.task.id, "")

    def is_dropped(self, id_: str) -> bool:
        """Whether a task ended because its plan does not hold it anymore, or will never be whole."""
        return type(self._outcomes.get(id_)) is Cancelled

    # ---------------------------------------------------------------- ends

    def _end(self, node: Node, outcome: Any, how: str = "") -> None:
        """Give a task its outcome, and perform what waited for it."""
        now = self.log.now()
        nodes = self.schedule.finish(node.task.id, outcome, now)
        self._note_end(node, node.attempt, outcome, how, now)
        if nodes or self.schedule.ended:
            self.perform(nodes)

    def _note_end(self, node: Node, attempt: int, outcome: Any, how: str, now: float) -> None:
        """Record a task's outcome, and let go on what waits for it."""
        id_ = node.task.id
        self._outcomes[id_] = outcome
        self.log.emit_at(now, TaskEnded, (id_, attempt, node.state, outcome, how))
        if self._waiters:
            for tell in self._waiters.pop(id_, ()):
                tell()
        if node.owner is not None:
            self.effects.approvals.look_at(node.owner.task, node.owner.waiting)
        if self._idle is not None and not self.schedule.unfinished:
            self._idle.set()

    # ---------------------------------------------------------------- asked by the watch

    def call_in(self, task: asyncio.Task[object]) -> str:
        """Return the id of the call that an asyncio task performs, "" if none; may be called from any thread."""
        return next((attempt.id for attempt in tuple(self.attempts.values()) if attempt.handle is task), "")

    def warn_blocked(self, id_: str) -> None:
        """Warn of a tool that blocks the loop: at once whoever asked for that, and in the log when the loop goes on."""
        name = self.tasks[id_].tool
        message = f"{name} blocks the event loop, and with it all other tasks: make it a plain `def`"
        if self.warn is not None:
            self.warn(id_, message)
        self.loop.call_soon_threadsafe(self.log.emit, Warned, id_, message)
