"""A session whose calls may run elsewhere, and whose values stay there until something here needs them.

Theory of operation
    The schedule, attempts and events are those of every session. What differs is what an outcome may be: a Remote, or a
    list or dict of a fan-out with Remotes in it, which others read item by item; `away` knows which outcomes are. A
    call that runs on the cluster takes a Remote as its argument as it is. Everything else (an expression, a guard, the
    source of a fan-out, the answer, a call that runs here) needs the value itself: its node waits until that has come
    home, and then goes on as if it had just been handed out. A value that has come home takes the Remote's place, and
    an event says so, so that nobody fetches it twice; on the cluster only calls that were sent before still read it.
"""

from __future__ import annotations

import asyncio
import copy
import functools
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import inf
from typing import Any, Protocol

from compiler_nb.engine.attempt import failure_of
from compiler_nb.engine.call import Call, Runner
from compiler_nb.engine.node import Node
from compiler_nb.engine.session import Session
from compiler_nb.errors import ClusterError
from compiler_nb.events import ClusterFound, Log, TaskFetched, Warned
from compiler_nb.outcome import ENDED, Failure, Remote
from compiler_nb.plan.fanout import link_items, needs
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Ref, Tree, references
from compiler_nb.signature.arguments import Parameter
from compiler_nb.tool import Tool
from compiler_nb.values.remotes import remotes_in, with_values


class Elsewhere(Runner, Protocol):
    """A runner whose calls run elsewhere; everything is called on the session's loop."""

    @property
    def waits(self) -> bool:
        """Whether values must come home before the run ends, for nobody could wait for them later."""

    def open(self, session: RemoteSession, here: Runner) -> None:
        """Belong to a session; here: performs calls in this process."""

    async def connect(self) -> tuple[str, int, int]:
        """Connect; return the address, how many workers there are, and calls at a time. Raises ClusterError."""

    async def bring(self, remotes: list[Remote]) -> list[Any]:
        """Return the values themselves. Raises ClusterError if that cannot be done."""


class RemoteSession(Session):
    """A session whose sync tools run elsewhere; but not those with side effects, or whose provider counts calls.

    elsewhere: where they run; everything else is as for Session.
    """

    def __init__(self, tools: Mapping[str, Tool], log: Log, *, elsewhere: Elsewhere, **options: Any) -> None:
        self.away: dict[str, tuple[Remote, ...]] = {}  # what has stayed elsewhere of outcomes, by task
        self._works: set[asyncio.Task[None]] = set()
        self._coming: dict[str, asyncio.Task[None]] = {}
        tools = {name: _lenient(tool) if goes_away(tool) else tool for name, tool in tools.items()}
        super().__init__(tools, log, **options)
        self.fanouts.away = self.away
        self.elsewhere, here = elsewhere, self.runners["pool"]
        elsewhere.open(self, here)
        self.runners = {**self.runners, "pool": _Both(self.tools, here, elsewhere)}

    async def connect(self) -> None:
        """Connect to the cluster; warn of one that would wait, or would not be used. Raises ClusterError."""
        address, workers, threads = await self.elsewhere.connect()
        self.log.emit(ClusterFound, address, workers, threads)
        most = self.schedule.free  # nothing has started yet
        if not workers:
            self.log.emit(Warned, "", "the cluster has no workers: calls wait until it has one")
        elif threads > most:
            told = f"the cluster runs {threads:,} calls at a time, and this run starts {most:,}"
            self.log.emit(Warned, "", f"{told}: set max_concurrency={2 * threads}")

    # ---------------------------------------------------------------- what stays, and what is needed

    def _note_end(self, node: Node, attempt: int, outcome: Any, how: str, now: float) -> None:
        if type(outcome) is Remote or (node.task.kind == "fanout" and self.away):
            found = tuple(remotes_in(outcome))
            if found:
                self.away[node.task.id] = found
        super()._note_end(node, attempt, outcome, how, now)

    def _may_pin(self, task: Task) -> bool:
        return not self._needed(task) and super()._may_pin(task)

    def _needed(self, subject: Any) -> list[str]:
        """Return the tasks whose values must come home before a tree, or what a task begins with, is evaluated."""
        if not self.away:
            return []
        if type(subject) is Task and subject.kind == "fanout":
            read = needs(subject, self._container)[0]
        elif type(subject) is Task:
            read = references(subject.guard) if subject.guard is not None else self._read_here(subject)
        else:
            read = references(subject)
        return [id_ for id_ in read if id_ in self.away]

    def _container(self, id_: str) -> str:
        """Return "list" or "dict" for a fan-out whose items are read one by one, "" for anything else."""
        shape = self.fanouts.shapes.get(id_) if id_ in self.away else None
        return shape.container if shape is not None else ""

    def _linked(self, subject: Any) -> Any:
        """Return what is to be evaluated, with single items of fan-outs instead of the whole."""
        is_task = type(subject) is Task
        read = subject.dependencies if is_task else references(subject)
        shapes = {id_: self.fanouts.shapes[id_] for id_ in read if self._container(id_)}
        if not shapes or (is_task and subject.kind == "fanout"):
            return subject
        return link_items(subject, shapes) if is_task else link_items(Task("", "expr", "", (subject,)), shapes).args[0]

    def _read_here(self, task: Task) -> tuple[str, ...]:
        """Return what a call or an expression reads here: of a call that runs elsewhere, only within expressions."""
        tool = self.tools.get(task.tool)
        trees: list[Tree] = [*task.args, *task.kwargs.values()]
        if task.kind == "call" and tool is not None and goes_away(tool):
            trees = [part for tree in trees for part in _evaluated_parts(tree)]
        return references(*trees)

    # ---------------------------------------------------------------- home

    def _when_home(
        self, node: Node, ids: list[str], go_on: Callable[[], None], fail: Callable[[Failure], None]
    ) -> None:
        """Go on with a node when the values of some tasks are here, or fail if they cannot be fetched."""

        async def wait() -> None:
            failure = None
            try:
                await self._fetch(ids)
            except ClusterError as error:
                failure = failure_of(error)
            if node.state not in ENDED:
                go_on() if failure is None else fail(failure)
                self.perform(())

        self._keep(wait())

    def _keep(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self.loop.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        return task

    async def _fetch(self, ids: Iterable[str]) -> None:
        """Have values come home, each once, however many ask for it. Raises ClusterError."""
        wanted = [id_ for id_ in dict.fromkeys(ids) if id_ in self.away]
        new = [id_ for id_ in wanted if id_ not in self._coming]
        if new:
            self._coming.update(dict.fromkeys(new, self._keep(self._bring(new))))
        for coming in {self._coming[id_] for id_ in wanted}:
            await asyncio.shield(coming)

    async def _bring(self, ids: list[str]) -> None:
        remotes = list(dict.fromkeys(each for id_ in ids for each in self.away[id_]))
        coming = self._coming  # the session may be over when this ends
        try:
            found = dict(zip(remotes, await self.elsewhere.bring(remotes), strict=True))
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]  # this runs in one
                raise
            raise ClusterError("the cluster gave up what it was asked for") from None  # which is no stop of this run
        finally:
            for id_ in ids:
                coming.pop(id_, None)
        for id_ in ids:
            self.away.pop(id_, None)
            if id_ in self._outcomes:  # or it goes on again
                self._outcomes[id_] = value = with_values(self._outcomes[id_], found)
                if id_ in self.fanouts.partial:
                    self.fanouts.partial[id_] = with_values(self.fanouts.partial[id_], found)
                self.log.emit(TaskFetched, id_, self.schedule.nodes[id_].attempt, value)

    async def bring_home(self, ids: Callable[[], Iterable[str]] | None = None, largest: float = inf) -> None:
        """Have the values of these tasks here, or of all; values of more than `largest` bytes stay where they are."""
        if ids is None and self.elsewhere.waits:
            largest = inf
        wanted = self.away if ids is None else ids()
        await self._fetch([id_ for id_ in list(wanted) if sum(each.size for each in self.away.get(id_, ())) <= largest])

    # ---------------------------------------------------------------- what the schedule hands out

    def _compute(self, node: Node, work: Any, subject: Any, then: Callable[[Any], None]) -> None:
        subject = self._linked(subject) if self.away else subject
        go_on = partial(super()._compute, node, work, subject, then)
        needed = self._needed(subject)
        if needed:
            self._when_home(node, needed, go_on, then)
        else:
            go_on()

    def _start(self, node: Node) -> None:
        needed = self._needed(self._linked(node.task)) if self.away else []
        if needed:
            self._when_home(node, needed, partial(super()._start, node), partial(self._end, node))
        else:
            super()._start(node)

    def finish(self) -> None:
        """Let go of threads, timers and what the cluster still does for this session."""
        for work in list(self._works):
            work.cancel()
        super().finish()


# -------------------------------------------------------------------- tools


def goes_away(tool: Tool) -> bool:
    """Whether calls of a tool run elsewhere: it is sync, has no side effects, and no provider counts its calls."""
    return tool.runs_on == "pool" and not tool.side_effects and not tool.provider


class _Both:
    """Has calls performed elsewhere, or on a thread here if their tools must stay."""

    stuck = "it cannot be stopped"

    def __init__(self, tools: Mapping[str, Tool], here: Runner, there: Runner) -> None:
        self.tools, self.here, self.there = tools, here, there

    def start(self, call: Call) -> None:
        """Hand a call on to whoever performs it."""
        tool = self.tools.get(call.name)
        call.runner = self.there if tool is not None and goes_away(tool) else self.here
        call.runner.start(call)

    def stop(self, call: Call) -> None:
        """Do nothing: the call is another runner's."""

    def abandon(self, call: Call) -> bool:
        """Do nothing: the call is another runner's."""
        return False

    def close(self) -> None:
        """Let go of both."""
        self.there.close()
        self.here.close()


def _evaluated_parts(tree: Tree) -> list[Tree]:
    """Return the parts of an argument that are evaluated here: not references that stand for themselves."""
    kind = type(tree)
    if kind is Ref:
        return []
    if kind is list or kind is tuple:
        return [part for item in tree for part in _evaluated_parts(item)]
    if kind is dict:
        return [*tree, *(part for item in tree.values() for part in _evaluated_parts(item))]
    return [tree]


def _lenient(tool: Tool) -> Tool:
    """Return a tool that takes values of a cluster without a check; they are checked there."""

    @functools.cache
    def unchecked() -> Tool:
        found = Tool(tool.function, name=tool.name)
        vars(found)["parameters"] = tuple(map(_unchecked, tool.parameters))
        return found

    def bind(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        has_remotes = next(remotes_in([args, kwargs]), None) is not None
        return (unchecked() if has_remotes else tool).bind(args, kwargs)

    lenient = copy.copy(tool)
    lenient.bind = bind  # type: ignore[method-assign]
    return lenient


def _unchecked(parameter: Parameter) -> Parameter:
    check = parameter.check
    if check is None:
        return parameter
    return parameter._replace(check=lambda value: value if next(remotes_in(value), None) else check(value))
