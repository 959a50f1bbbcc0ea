"""What a call with side effects passes before it begins: it is identified, approved and noted.

Theory of operation
    All three go by the arguments, so they begin when these are resolved. The ledger says which earlier call an equal
    one is: what is done is not made again but gives its result, and what was cut off is in doubt, so a person is asked.
    Approvals say whether the rule, or a person, lets it start; a call that is held for that has no slot. Last, the
    history notes the intent, so that a crash leaves a trace. While that takes its time, the arguments may change, or
    another run may make the call: then the start is taken back, and the call is asked for again, or denied.

    Calls without side effects do not come here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeAlias

from compiler_nb.engine.attempt import Attempt
from compiler_nb.engine.effects.approval import Approvals, Ask, Decision, Rule
from compiler_nb.engine.effects.ledger import NOWHERE, Entry, Ledger, digest_of, not_repeated
from compiler_nb.engine.node import Node
from compiler_nb.engine.schedule import Schedule
from compiler_nb.errors import EffectInDoubt, RunClaimed
from compiler_nb.events import Log, TaskIdentified, TaskRetried, Warned
from compiler_nb.outcome import ENDED, Failure
from compiler_nb.plan.task import Task
from compiler_nb.tool import Tool

_UNNOTED = "the history cannot note it"
Intent: TypeAlias = Callable[[Task], Awaitable[bool]]
"""Notes that a call is about to begin. Returns False if it cannot; raises RunClaimed if another run makes the call."""


class Performer(Protocol):
    """What the side effects of a session ask of it."""

    tools: dict[str, Tool]
    log: Log
    schedule: Schedule
    attempts: dict[str, Attempt]

    def perform(self, nodes: Iterable[Node]) -> None:
        """Do what the schedule has handed out."""

    def end(self, node: Node, outcome: Any, how: str = "") -> None:
        """End a task that is not at work."""

    def give(self, node: Node, value: Any, how: str) -> None:
        """End a task that is not at work with a value for which no attempt was made."""


class SideEffects:
    """The side effects of one session.

    May be set before the first task: ledger: of the side effects before it; intent: see `Intent`, None if nobody notes.
    """

    def __init__(self, session: Performer, rule: Rule, ask: Ask | None) -> None:
        self.session, self.log = session, session.log
        self.exist = any(tool.side_effects for tool in session.tools.values())
        self.ledger = Ledger(session.log.run, [])
        self.approvals = Approvals(rule, session.tools, session.log, self._decide, ask)
        self.intent: Intent | None = None

    def gate(self, task: Task) -> str:
        """Return why a ready call may not start yet: "plan", "approval", or "" if it may."""
        return self.approvals.gate(task, closed=self.session.schedule.closed)

    # ---------------------------------------------------------------- a call is held

    def hold(self, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Ask for approval of a call with these arguments, unless it is done."""
        task, nodes = node.task, self.session.schedule.nodes
        known, note = self._identify(task, args, kwargs, self.log.now()), ""
        if known is not None and known.standing == "done":
            if not self.approvals.offers_again:
                self._give(node, known)
                return
            note = not_repeated(known.place, self.log.run)
        # A guarded call of an item is the one that its item waits for: nothing else of it is open when it is held.
        owner = nodes.get(task.owner)
        fanout, left = (owner.task, owner.waiting) if owner is not None else (None, 0)
        self.approvals.hold(task, args, kwargs, note=note, fanout=fanout, left=left)

    def _decide(self, id_: str, decision: Decision, reason: str) -> None:
        """Let a held call start, or end it; nothing if it has ended meanwhile."""
        node, known = self.session.schedule.nodes[id_], self.ledger.found(id_)[1]
        if node.state in ENDED:
            return
        if decision in ("deny", "leave"):
            error = EffectInDoubt(reason) if decision == "leave" else None
            why = reason or f"{node.task.tool} was not approved"
            self.session.end(node, Failure("denied", why, error, attempts=0))
        elif decision == "go" and known is not None and known.standing == "done":
            self._give(node, known)
        else:
            if decision == "again":
                self.ledger.again(id_)
            self.session.perform(self.session.schedule.approve(id_))

    # ---------------------------------------------------------------- which call it is

    def _identify(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any], at: float) -> Entry | None:
        """Return the earlier call that a call repeats, now that its arguments are known; None if it repeats none."""
        before, mark = self.ledger.found(task.id)[0], digest_of(self.session.tools[task.tool], args, kwargs)
        known = self.ledger.find(task.id, mark)
        if before == mark:
            return known
        told = known.describe(self.log.run) if known is not None else ""
        done, place = (known.standing == "done", known.place) if known is not None else (False, NOWHERE)
        self.log.emit_at(at, TaskIdentified, (task.id, 0, mark, told, done, *place))
        if known is not None and not done:
            self.approvals.in_doubt[task.id] = f"an equal call was {told}"
            what = "repeats a call" if known.standing == "before" else "may have had its effect before"
            self.log.emit(Warned, task.id, f"{task.id} {what}: an equal call was {told}")
        return known

    def _give(self, node: Node, known: Entry) -> None:
        """End a call with what an equal one returned that is done."""
        self.session.give(node, known.value, not_repeated(known.place, self.log.run))

    # ---------------------------------------------------------------- a call begins

    def may_begin(self, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any], at: float, *, noted: bool) -> bool:
        """Whether a call begins; if not, it has ended, or is asked for.

        at: when; noted: whether its start is in the log already because a thread evaluated its arguments.
        """
        task, known = node.task, self._identify(node.task, args, kwargs, at)
        if known is not None and known.standing == "done":
            self._give(node, known)
            return False
        reason = self.approvals.asks_again(task.id, args, kwargs)
        if not reason and not self.approvals.is_approved(task.id):
            reason = self.approvals.in_doubt.get(task.id, "")
        if not reason:
            return True
        if noted:
            self.log.emit(TaskRetried, task.id, node.attempt, reason, 0.0)
        self.session.perform(self.session.schedule.take_back(task.id, self.log.now()))
        return False

    async def note(self, attempt: Attempt) -> bool:
        """Note that a call is about to begin; return False if it must not: then it has ended, or is asked for."""
        if self.intent is None or await self._is_noted(attempt, self.intent):
            return True
        if attempt.over:
            return False
        if self.approvals.ask is None or attempt.id in self.approvals.in_doubt:
            message = f"{attempt.name}: {_UNNOTED}, and nobody is there to approve it without that"
            attempt.end(Failure("denied", message))
        else:
            self.approvals.in_doubt[attempt.id] = _UNNOTED
            self._take_back(attempt, _UNNOTED)
        return False

    @staticmethod
    async def _is_noted(attempt: Attempt, intent: Intent) -> bool:
        """Whether a call is noted; one that another run makes ends as denied."""
        try:
            return await intent(attempt.node.task)
        except RunClaimed as error:
            attempt.end(Failure("denied", f"{attempt.name}: {error}"))
            return False

    def begin(self, attempt: Attempt) -> bool:
        """Note that a call begins now; return False if it is not what was approved anymore, so that it is asked for."""
        if reason := self.approvals.asks_again(attempt.id, attempt.args, attempt.kwargs):
            self._take_back(attempt, reason)
            return False
        self.ledger.begin(attempt.id, self.log.round)
        return True

    def _take_back(self, attempt: Attempt, reason: str) -> None:
        """Take back the start of a call that did not begin, and ask for it again."""
        attempt.over = True
        del self.session.attempts[attempt.id]
        self.log.emit(TaskRetried, attempt.id, attempt.node.attempt, reason, 0.0)
        self.session.perform(self.session.schedule.take_back(attempt.id, self.log.now()))
