"""The asyncio engine: performs what the schedule says, on one loop.

Theory of operation
    A Session lives as long as a run. Whatever happens - a task is planned, an attempt ends, the plan closes, someone
    cancels - is a call of a method on the loop's thread, which tells the schedule and performs what that returns: the
    one inbox is the loop's own queue, and nothing polls. Expressions and fan-outs are performed inline, in a work list
    and not by recursion. An async tool runs in an asyncio task, a sync one on a thread of our pool, one that may not
    leave the main thread where `main` posts it. An asyncio task whose attempt ended well takes the next one that may
    start in its place, for making a task costs more than all else here; not where the tool left the context changed.

    Attempts live in a dict that the session owns. An attempt that ends is taken out by its own last line, so a tool
    that swallows its cancellation holds nobody: after a grace it is taken out as abandoned, and what it returns later
    is dropped. One timer of the loop serves all.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from compiler_nb.engine.admission import admit, ask_again
from compiler_nb.engine.approval import Approval, Ask, Rule
from compiler_nb.engine.attempt import CURRENT, Attempt, failure_of, is_unused
from compiler_nb.engine.limits import find_lanes
from compiler_nb.engine.node import Node
from compiler_nb.engine.parking import Parked
from compiler_nb.engine.pool import Pool
from compiler_nb.engine.schedule import Schedule
from compiler_nb.engine.stopping import stop, time_out, timeout_failure
from compiler_nb.engine.threads import submit
from compiler_nb.engine.timer import Timer
from compiler_nb.errors import ToolUnavailable
from compiler_nb.events import (
    Log,
    Paused,
    TaskEnded,
    TaskExpanded,
    TaskRetried,
    TaskStarted,
    Warned,
)
from compiler_nb.models.secret import mask
from compiler_nb.outcome import ENDED, Cancelled, Failure, State
from compiler_nb.plan.bounds import STEPS, Scope
from compiler_nb.plan.evaluate import evaluate
from compiler_nb.plan.fanout import Shape, collect, expand, item_reads, link_items, needs
from compiler_nb.plan.task import Task

if TYPE_CHECKING:
    from compiler_nb.models.limits import Limits
    from compiler_nb.models.secret import Secret
    from compiler_nb.tool import Tool

FAIR: Final = 50
"""Attempts that one asyncio task may take in a row before it lets the loop look at the rest of the world."""
LOST: Final[frozenset[State]] = frozenset({"failed", "skipped", "cancelled"})
"""The states of tasks that have ended without a value."""
PostToMain: TypeAlias = Callable[[Callable[[], None]], bool]
Intent: TypeAlias = Callable[[Node], Awaitable[bool]]


class _Tasks(Mapping[str, Task]):
    """The tasks of a schedule's nodes, by id: a view, which shows what is added later, too."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes

    def __getitem__(self, id_: str) -> Task:
        return self._nodes[id_].task

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)


class Session:
    """The tasks of one run, performed on the running loop.

    tools: by name; log: takes the events; inputs: values of the offered variables; max_concurrency: calls at a time;
    limits: calls at a time per resource ("provider:openai", "tool:search"); approve: "ask", "auto", "deny" or the names
    of approved tools; ask: asks someone to approve a task and its arguments, None where there is no one;
    main: posts a function to the main thread, False where nobody serves it; intent: notes that a call with side effects
    is about to begin, False where it cannot be noted; recall: returns an item of a fan-out, as its value where an
    earlier run has left one; secrets: what no failure's message may hold; rates: the providers' limits per minute,
    rated: the tools whose calls these count here (others count their calls of models where they make them), with their
    providers.
    """

    intent: Intent | None = None
    recall: Callable[[Task], Task] | None = None
    secrets: tuple[Secret, ...] = ()
    rates: Limits | None = None
    rated: Mapping[str, str] = {}
    shapes_wanted = False  # whether there is any fan-out; on the class, for CPython is slower beyond 30 attributes

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
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.tools, self.log, self.inputs = tools, log, dict(inputs or {})
        self.main = main
        self.approval = Approval(self, approve, ask)
        caps, lanes = find_lanes(tools.values(), limits or {})
        effects = any(tool.side_effects for tool in tools.values())
        self.schedule = Schedule(
            max_concurrency,
            limits=caps,
            resources=(lambda task: lanes.get(task.tool, ())) if lanes else None,
            gate=self.approval.gate if effects else None,
        )
        self._outcomes: dict[str, Any] = {}
        self.outcomes: Mapping[str, Any] = MappingProxyType(self._outcomes)  # of all that ended, by id
        self.tasks: Mapping[str, Task] = _Tasks(self.schedule.nodes)  # all of them, by id, items of fan-outs included
        self._scope = Scope(self._outcomes, self.inputs)
        self.shapes: dict[str, Shape] = {}
        self.attempts: dict[str, Attempt] = {}
        self.abandoned = 0
        self.pool = Pool(self.loop, max_concurrency)
        self.context = contextvars.copy_context()
        self.timer = Timer(self.loop, self.attempts, lambda attempt: time_out(self, attempt))
        self._work: deque[Node] = deque()
        self._working = False
        self._vacant = False  # an asyncio task is at its end and could take an attempt
        self._next: tuple[Attempt, tuple[Any, ...], dict[str, Any]] | None = None  # the one that it takes
        self._watches: list[tuple[set[str], asyncio.Future[bool]]] = []
        self._idle: asyncio.Future[None] | None = None
        self._adopted: dict[str, list[str]] = {}

    # ---------------------------------------------------------------- what may happen

    def add(self, task: Task) -> None:
        """Take a planned task; it starts when its inputs exist."""
        schedule = self.schedule
        if task.kind == "expr" and schedule.has_inputs(task):
            log, scope = self.log, self._scope
            scope.steps = STEPS
            try:  # as in _evaluate, which the many expressions that start at once need not call
                outcome = evaluate(task.args[0], scope)
            except BaseException as error:  # noqa: BLE001 - operators of a user's object may raise anything
                outcome = failure_of(error, None, 1)
            log.emit_ended(log.clock() - log.began, task.id, 0, schedule.record(task, outcome), outcome, "inline")
            self._outcomes[task.id] = outcome
            return
        if task.kind == "fanout":
            self.shapes_wanted = True
            after, shapes = needs(task, self._container)
            starts = schedule.add(task, self.log.now(), after=after, shapes=shapes)
        elif self.shapes_wanted and (read := item_reads(task, self._container)):
            rest = [name for name in task.dependencies if name not in read]
            starts = schedule.add(task, self.log.now(), after=rest, shapes=read, link=True)
        else:
            log = self.log
            starts = schedule.add(task, log.clock() - log.began)
        if starts or schedule.ended:
            self.perform(starts)

    def adopt(self, task: Task, source: str) -> None:
        """Take a planned task that computes what `source` does, which is done or running: it gets the same outcome."""
        known = self._outcomes.get(source, self)
        if known is not self:
            self.pin(task, known, "adopted")
        else:
            twin = Task(task.id, "expr", "", (), line=task.line, column=task.column, fingerprint=task.fingerprint)
            self.schedule.add(twin, self.log.now(), after=(), start=False)
            self._adopted.setdefault(source, []).append(task.id)
            self.perform([])

    def pin(self, task: Task, value: Any, how: str = "pinned") -> None:
        """Take a task whose value is known already."""
        self.schedule.add(task, self.log.now(), after=(), start=False)
        if self.schedule.ended:  # the run was cancelled
            self._settle()
        else:
            self.end(self.schedule.nodes[task.id], value, how)

    def drop(self, ids: Iterable[str], message: str, how: str = "") -> list[str]:
        """End those of these tasks that have not started, for the plan no longer holds them; return their ids."""
        dropped = []
        for id_ in ids:
            node = self.schedule.nodes[id_]
            if node.state == "waiting" or (node.state == "ready" and node.held):
                self.approval.forget(id_)
                node.fate = ("cancelled", Cancelled(message))
                self.end(node, Cancelled(message), how)
                dropped.append(id_)
        return dropped

    def open(self) -> None:
        """Note that another plan begins: side effects wait for its end."""
        self.schedule.closed = False

    def close(self) -> None:
        """Note that the plan is whole and right: side effects may start."""
        self.perform(self.schedule.close(self.log.now()))

    def give_up_plan(self, message: str) -> None:
        """Note that the plan will never be whole: what waits for that is dropped, now and later; the rest goes on."""
        self.approval.planless = message
        self.drop([id_ for id_, node in self.schedule.nodes.items() if node.held == "plan"], message)

    def pause(self, paused: bool) -> None:  # noqa: FBT001 - the word says it
        """Start no new call, or go on."""
        if paused != self.schedule.paused:
            self.log.emit(Paused, paused)
        self.perform(self.schedule.pause(paused))

    def approve(self, id_: str, by: str = "user", mark: str = "") -> None:
        """Let a task start that is held for approval; nothing where it is not, or `mark` not its arguments' digest."""
        self.approval.approve(id_, by, mark)

    def deny(self, id_: str, by: str = "user", reason: str = "", mark: str = "") -> None:
        """End a held task as denied; nothing where it is not held."""
        self.approval.deny(id_, by, reason, mark)

    def cancel(self, message: str = "the run was cancelled") -> None:
        """Stop everything: what finished stays, the rest is cancelled; attempts get a grace to end."""
        if self.schedule.cancelled:
            return
        running = self.schedule.cancel()
        self.approval.close()
        self._settle()
        for node in running:
            attempt = self.attempts.get(node.task.id)
            if attempt is not None:
                attempt.cancelled = True
                stop(self, attempt, Cancelled(message))
            else:  # a fault of ours took it out without an end
                self.end(node, Cancelled(message))
        self._check_idle()

    async def drained(self) -> None:
        """Wait until every task has ended."""
        while self.schedule.unfinished:
            self._idle = self.loop.create_future()
            await self._idle

    async def ready(self, ids: Iterable[str]) -> bool:
        """Wait until these tasks have ended; return whether all are done."""
        wanted = tuple(ids)
        open_ids = {id_ for id_ in wanted if id_ not in self.outcomes}
        if open_ids:
            future = self.loop.create_future()
            self._watches.append((open_ids, future))
            await future
        return all(self.schedule.nodes[id_].state == "done" for id_ in wanted)

    def tell_blocked(self, attempt: Attempt) -> None:
        """Warn of a tool that blocks the loop: at once who asked for that, and in the log when the loop goes on."""
        message = f"{attempt.tool.name} blocks the event loop, and with it all other tasks: make it a plain `def`"
        if self.log.urgent is not None:
            self.log.urgent(attempt.node.task.id, message)
        self.loop.call_soon_threadsafe(self.log.emit, Warned, attempt.node.task.id, message)

    def finish(self) -> None:
        """Let go of threads and timers; the session takes no further task."""
        self.pool.close()
        self.timer.close()
        self.approval.close()

    # ---------------------------------------------------------------- what came of it

    @property
    def values(self) -> dict[str, Any]:
        """The values of all tasks that are done, by id."""
        nodes = self.schedule.nodes
        return {id_: outcome for id_, outcome in self._outcomes.items() if nodes[id_].state == "done"}

    def is_lost(self, id_: str) -> bool:
        """Whether a task has ended without a value. Raises KeyError if there is no such task."""
        return self.schedule.nodes[id_].state in LOST

    def alive(self) -> dict[str, str]:
        """Return the fingerprints of the tasks that are not lost, by id."""
        return {id_: node.task.fingerprint for id_, node in self.schedule.nodes.items() if node.state not in LOST}

    def doubts(self, fingerprints: Iterable[str]) -> None:
        """Note side effects that may have happened before: equal calls need approval, whatever the rule."""
        self.approval.in_doubt.update(fingerprints)

    def is_in_doubt(self, task: Task) -> bool:
        """Whether a task's side effect may have happened before."""
        return task.fingerprint in self.approval.in_doubt

    # ---------------------------------------------------------------- performing

    def perform(self, starts: list[Node]) -> None:  # noqa: PLR0912 - a case per kind, in one loop
        """Start nodes, and what becomes startable by that, one after the other."""
        if self.schedule.ended:
            self._settle()
        work = self._work
        if self._working:
            work.extend(starts)
            return
        self._working = True
        node: Node | None
        try:
            if len(starts) == 1:
                node = starts[0]  # mostly it is one, and needs no list
            else:
                work.extend(starts)
                node = work.popleft() if work else None
            while node is not None:
                kind = node.kind
                if kind == "call":
                    if node.held:
                        self._hold(node)
                    else:
                        self._start(node)
                elif kind == "expr":
                    self._inline(node)
                elif kind == "fanout":
                    self._fan_out(node)
                else:
                    self._link(node)
                node = work.popleft() if work else None
        finally:
            self._working = False
        if not self.schedule.unfinished:
            self._check_idle()

    def _link(self, node: Node) -> None:
        """Let a task wait for the very items that it reads, now that they are known."""
        if node.state == "waiting":
            task = link_items(node.task, self.shapes)
            self.perform(self.schedule.link(task.id, task, self.log.now()))

    def _inline(self, node: Node) -> None:
        if node.state != "waiting":
            return
        task = node.task
        outcome = self._evaluate(task)
        if self._watches or self._adopted or isinstance(outcome, Failure) or not self.schedule.close_leaf(node):
            self.end(node, outcome, "inline")
        else:
            self._outcomes[task.id] = outcome
            log = self.log
            log.emit_ended(log.clock() - log.began, task.id, 0, "done", outcome, "inline")

    def _evaluate(self, task: Task) -> Any:
        """Return an expression's value, or the Failure that it is."""
        try:
            self._scope.steps = STEPS
            return evaluate(task.args[0], self._scope)
        except BaseException as error:  # noqa: BLE001 - operators of a user's object may raise anything
            return failure_of(error, None, 1)

    def _fan_out(self, node: Node) -> None:
        id_ = node.task.id
        if node.state != "running":
            return
        if node.expanded:
            self.end(node, collect(self.shapes[id_], self._outcomes), "inline")
            return
        try:
            expansion = expand(node.task, Scope(self._outcomes, self.inputs), self.shapes)
        except BaseException as error:  # noqa: BLE001 - operators of a user's object may raise anything
            self.end(node, failure_of(error, None, 1), "inline")
            return
        self.shapes[id_] = expansion.shape
        self.log.emit(TaskExpanded, id_, 1, tuple(task for task, _ in expansion.tasks))
        tasks = expansion.tasks
        if self.recall is not None:
            tasks = [(self.recall(task), is_item) for task, is_item in tasks]
        self.perform(self.schedule.expand(id_, tasks, self.log.now()))

    def _start(self, node: Node) -> None:
        task = node.task
        log = self.log
        began = log.clock() - log.began  # a tool's first binding makes its schema, which is no wait for a slot
        tool = self.tools.get(task.tool)
        try:
            if tool is None:
                raise ToolUnavailable(f"there is no tool {task.tool!r} here")  # noqa: TRY301 - one way to fail
            args, kwargs = task.args, task.kwargs
            if args or kwargs or tool.parameters:
                args, kwargs = self.bind(task, tool)
        except BaseException as error:  # noqa: BLE001 - operators of a user's object may raise anything
            log.emit_at(began, TaskStarted, (task.id, node.attempt, node.ready_at))
            self.end(node, failure_of(error, tool, node.attempt))
            return
        if tool.side_effects and not self.approval.confirms(task.id, args, kwargs):
            ask_again(self, node)
            return
        log.emit_at(began, TaskStarted, (task.id, node.attempt, node.ready_at))
        attempt = self.attempts[task.id] = Attempt(node, tool)
        if (tool.side_effects and self.intent is not None) or task.tool in self.rated:
            admitted = admit(self, attempt, args, kwargs)
            attempt.task = self.loop.create_task(admitted, context=self.context.copy())
            return
        if tool.timeout is not None:
            self.timer.watch(attempt, tool.timeout)
        if not tool.is_async:
            submit(self, attempt, args, kwargs)
        elif self._vacant:
            self._vacant = False
            self._next = (attempt, args, kwargs)
        else:
            attempt.task = self.loop.create_task(self.serve(attempt, args, kwargs), context=self.context.copy())

    def _hold(self, node: Node) -> None:
        """Ask for a call that is held; one that was parked has a slot again, and goes on."""
        if node.held != "slot":
            self.approval.hold(node)
            return
        node.held = ""
        attempt = self.attempts.get(node.task.id)
        if attempt is not None and attempt.back is not None and not attempt.back.done():
            attempt.back.set_result(None)

    def parking(self, id_: str) -> Parked | None:
        """Return how a running task waits for its provider, None where there is no such task."""
        attempt = self.attempts.get(id_)
        return None if attempt is None else Parked(self, attempt)

    def bind(self, task: Task, tool: Tool) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments as the tool gets them."""
        args, kwargs = task.args, task.kwargs
        if args or kwargs:
            scope = Scope(self._outcomes, self.inputs)
            args = tuple([evaluate(arg, scope) for arg in args])
            if kwargs:
                kwargs = {name: evaluate(value, scope) for name, value in kwargs.items()}
        return tool.bind(args, kwargs)

    async def serve(self, attempt: Attempt, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Await an async tool and take its attempt out; go on with the next one that this lets start."""
        task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]  # this runs in one
        for turn in itertools.count(1):
            CURRENT.set(attempt.node.task.id)
            context: contextvars.Context | None = contextvars.copy_context()
            try:
                if turn % FAIR == 0:
                    await asyncio.sleep(0)
                outcome = await attempt.tool.function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - whatever a tool raises stays in its task
                context = None  # a task that raised, or was cancelled, is not used again
                outcome = self._interpret(attempt, error)
            if attempt.ended:
                return
            self._vacant = context is not None and is_unused(context) and not task.cancelling()
            self.take_out(attempt, outcome)
            if self._vacant or self._next is None:
                self._vacant = False
                return
            (attempt, args, kwargs), self._next = self._next, None
            attempt.task = task

    def _interpret(self, attempt: Attempt, error: BaseException) -> Any:
        if isinstance(error, asyncio.CancelledError):
            if attempt.cancelled:
                return Cancelled()
            if attempt.timed_out:
                return timeout_failure(attempt)
        return failure_of(error, attempt.tool, attempt.node.attempt)

    def take_out(self, attempt: Attempt, outcome: Any) -> None:
        """Take an attempt out: its task ends, or is tried again."""
        attempt.ended = True
        node = attempt.node
        self.attempts.pop(node.task.id, None)
        if type(outcome) is Failure:
            self._failed(attempt, replace(outcome, message=mask(outcome.message, self.secrets)))
        else:
            self.end(node, outcome)
        attempt.task = attempt.job = None  # its deadline still holds it, and must not hold its arguments

    def _failed(self, attempt: Attempt, failure: Failure) -> None:
        node, tool = attempt.node, attempt.tool
        if node.attempt <= tool.retries and not attempt.cancelled:
            self._retry(node, failure)
            return
        if tool.side_effects and failure.kind in ("timeout", "abandoned"):
            self.approval.in_doubt.add(node.task.fingerprint)
        self.end(node, failure)

    def _retry(self, node: Node, failure: Failure) -> None:
        delay = min(0.2 * 2 ** (node.attempt - 1), 10.0) * (0.5 + random.random())  # noqa: S311 - jitter
        self.log.emit(TaskRetried, node.task.id, node.attempt, failure.message, delay)
        starts = self.schedule.retry(node.task.id, self.log.now())
        self.timer.call(delay, lambda: self.perform(self.schedule.again(node.task.id, self.log.now())))
        self.perform(starts)

    def end(self, node: Node, outcome: Any, how: str = "") -> None:
        """Give a task its outcome, and start what waited for it."""
        task = node.task
        id_ = task.id
        log = self.log
        now = log.clock() - log.began
        starts = self.schedule.finish(id_, outcome, now)
        self._outcomes[id_] = outcome
        log.emit_ended(now, id_, node.attempt, node.state, outcome, how)
        if self._adopted and id_ in self._adopted:
            self._end_twins(id_, outcome)
        if self._watches:
            self._tell_watches(id_)
        if starts or self.schedule.ended:
            self.perform(starts)
        elif not self.schedule.unfinished:
            self._check_idle()
        if self.approval.groups and node.owner is not None:
            self.approval.look_at(node.owner)

    def _end_twins(self, id_: str, outcome: Any) -> None:
        """Give a task's outcome to those that adopted it while it ran."""
        for twin in self._adopted.pop(id_, ()):
            node = self.schedule.nodes[twin]
            if node.state not in ENDED:
                self.end(node, outcome, "adopted")

    def _settle(self) -> None:
        """Record what the schedule ended by itself: skipped and cancelled tasks."""
        ended, self.schedule.ended = self.schedule.ended, []
        for node, outcome in ended:
            id_ = node.task.id
            self._outcomes[id_] = outcome
            self.log.emit(TaskEnded, id_, 0, node.state, outcome, "")
            self._end_twins(id_, outcome)
            if self._watches:
                self._tell_watches(id_)
            if self.approval.groups and node.owner is not None:
                self.approval.look_at(node.owner)
        self._check_idle()

    def _check_idle(self) -> None:
        if not self.schedule.unfinished and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _tell_watches(self, id_: str) -> None:
        for open_ids, future in self._watches:
            open_ids.discard(id_)
            if not open_ids and not future.done():
                future.set_result(True)
        self._watches = [watch for watch in self._watches if watch[0]]

    def _container(self, id_: str) -> str:
        """Return "list" or "dict" for a fan-out whose value is not there yet, else ""."""
        node = self.schedule.nodes.get(id_)
        if node is None or node.task.kind != "fanout" or node.state == "done":
            return ""
        container: str = node.task.args[0].container
        return container
