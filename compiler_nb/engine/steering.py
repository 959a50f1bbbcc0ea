"""What a user may do to one task while its run goes on: skip it, try it again, or give it a value.

Theory of operation
    A task that is at work is stopped first, like one that times out: its end comes a moment later, and is then what the
    user wanted. If a call with side effects turns out to have ended well by then, it counts as done. If it
    was cut off, whether it had its effect is unknown: it is only made again if somebody approves that.

    What failed may go on, and with it all that was skipped for its sake. Nothing may become untrue by that. So a value
    is only replaced if nothing has read it; and what stands in the order of side effects does not go on if something
    that comes after it in the plan has begun: it would be made, or read, too late.

    All is called on the loop's thread, between two of its steps. Whatever cannot be done raises SteerError, which says
    why, and the way on, and changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any, Final

from compiler_nb.engine.attempt import Attempt
from compiler_nb.engine.evaluation import Evaluation
from compiler_nb.engine.node import Node
from compiler_nb.engine.session import Session
from compiler_nb.errors import SteerError
from compiler_nb.events import TaskPlanned, Warned
from compiler_nb.operations.weights import is_a
from compiler_nb.outcome import AGAIN, ENDED, NOT_DONE, SET, Cancelled, Skipped
from compiler_nb.plan.effects import nature
from compiler_nb.plan.task import Task, owner_of

CUT_OFF: Final = "it was stopped while it ran, and may have had its effect"


class Steering:
    """What a user may do to one task of a session."""

    def __init__(self, session: Session) -> None:
        self.session, self.nodes = session, session.schedule.nodes
        self.later = f"when the run has ended: %compile rerun {session.log.run}"

    def skip(self, id_: str, reason: str = "") -> None:
        """End a task without a value; what depends on it is skipped, too. Raises SteerError if it has ended."""
        node = self._find(id_, "skipped")
        if node.state in ENDED:
            raise SteerError(f"{id_} cannot be skipped: it is {self._stands(node)}")
        self._end(node, Skipped(id_, reason, by_user=True))

    def retry(self, id_: str) -> None:
        """Try a task again that runs, failed or was skipped; what was skipped for its sake may run then, too.

        Raises SteerError if it has not started, or is done, or cannot go on without breaking the plan's order.
        """
        node = self._find(id_, "tried again")
        attempt = self.session.attempts.get(id_)
        if node.lost or (node.task.kind == "fanout" and node.state == "running"):
            self._go_on(node)
        elif node.state == "running" and attempt is not None and type(attempt) is not Evaluation:
            self.session.stop(attempt, partial(self._restart, attempt))
        elif node.state == "waiting" and node.attempt and not node.waiting:  # it pauses between two attempts
            self.session.try_again(id_)
        else:
            way = f"; {self.later} --start {id_}" if node.state == "done" else ""
            raise SteerError(f"{id_} cannot be tried again: it is {self._stands(node)}{way}")

    def set(self, id_: str, value: Any) -> None:
        """Give a task a value that nobody has read yet; what was skipped because it had none may run then.

        Raises SteerError if something has read the value that it had.
        """
        node = self._find(id_, "given a value")
        if is_a(value, NOT_DONE):
            raise SteerError(
                f"{id_} cannot be given a {type(value).__name__}: that is not a value; skip the task instead"
            )
        if node.state == "done" or node.expanded:
            self._check_unread(node)
            owner = self.nodes.get(owner_of(id_), node)
            if owner is not node and owner.state != "running":
                raise SteerError(f"{id_} cannot be given another value: {owner.task.id} has read it")
        if node.state == "done":
            self.session.give_other(id_, value)
        elif node.lost:
            self.session.revive(self._family([id_], given=id_), SET, given=id_)
            self.session.end(node, value, SET)
        elif node.state in ENDED:
            raise SteerError(f"{id_} cannot be given a value: it is {self._stands(node)}")
        else:
            self._end(node, value, SET)

    # ---------------------------------------------------------------- what may be done

    def _find(self, id_: str, done: str) -> Node:
        session, node = self.session, self.nodes.get(id_)
        if node is None:  # many items are taken in turns of the loop, and all of them are known by name at once
            raise SteerError(f"{id_} cannot be {done}: it is just being made; try again in a moment")
        why = session.reach.over
        if not why and id_ in session.reach.earlier:
            why = "it belongs to a round that is over"
        if why:
            raise SteerError(f"{id_} cannot be {done}: {why}; {self.later} --start {id_}, or --override {id_}=VALUE")
        return node

    def _stands(self, node: Node) -> str:
        """Return how a task stands, in words."""
        if node.state == "skipped" and not node.lost:
            return "not needed"
        if node.state == "ready":
            return f"ready, and waits for {node.held or 'a slot'}"
        return {"waiting": "waiting for what it needs", "running": "being evaluated"}.get(node.state, node.state)

    def _check_unread(self, node: Node) -> None:
        """Raise SteerError if something has read a task's value, or one of its items."""
        id_ = node.task.id
        own = {id_, *(item.task.id for item in self._items(node))}
        planned = {event.task: event.planned for event in self.session.log.events if type(event) is TaskPlanned}
        for other in self.nodes.values():
            task, first = other.task, planned.get(other.task.id, other.task)
            if task.id in own or own.isdisjoint((*task.dependencies, *first.dependencies)):
                continue
            is_chosen = first.guard is not None and task.guard is None
            whole = own.isdisjoint(task.dependencies) or id_ in task.dependencies
            waits = other.state == "waiting" or (other.state == "ready" and task.kind == "call")
            waits = waits or (node.lost and other.lost)
            if not waits or is_chosen or not whole:
                which = f"{task.id} has read it" if whole else f"{task.id} reads its items one by one: give them values"
                raise SteerError(f"{id_} cannot be given another value: {which}; {self.later} --override {id_}=VALUE")

    def _items(self, fanout: Node) -> list[Node]:
        """Return the nodes of a fan-out's items, with the calls in their chains."""
        if fanout.task.kind != "fanout":
            return []
        return [node for id_, node in self.nodes.items() if owner_of(id_) == fanout.task.id]

    # ---------------------------------------------------------------- an end

    def _end(self, node: Node, outcome: Any, how: str = "") -> None:
        """End a task that has not ended; of a fan-out its items, too."""
        session, id_ = self.session, node.task.id
        for each in (id_, owner_of(id_), *(item.task.id for item in self._items(node))):
            session.effects.approvals.forget(each)  # what is left of a fan-out is asked for again
        attempt = session.attempts.get(id_)
        if attempt is not None:
            session.stop(attempt, partial(self._stopped, attempt, outcome, how))
            return
        if node.expanded:
            session.fanouts.ends[id_] = outcome, how  # once its items have ended: what follows it waits for them
        else:
            session.end(node, outcome, how)
        left = outcome if type(outcome) is Skipped else Cancelled(f"{id_} was given a value as a whole")
        # those that run go last: the first free slot would let another one start
        for item in sorted(self._items(node), key=lambda each: each.state == "running"):
            if item.state not in ENDED:
                self._end(item, left)

    def _stopped(self, attempt: Attempt, outcome: Any, how: str, found: Any) -> None:
        """End a task whose attempt was stopped for that, and ended with what was found."""
        begun = self._note_effect(attempt, found)
        if begun and not is_a(found, NOT_DONE):
            self.session.end(attempt.node, found)
            return
        if begun and type(outcome) is Skipped:
            outcome = Skipped(outcome.cause, "; ".join(filter(None, (outcome.message, CUT_OFF))), by_user=True)
        if begun:
            self.session.log.emit(Warned, attempt.id, f"{attempt.id}: {CUT_OFF}")
        self.session.end(attempt.node, outcome, how)

    def _note_effect(self, attempt: Attempt, found: Any) -> bool:
        """Note how a call with side effects ended that was stopped; return whether it had begun."""
        if not attempt.tool.side_effects or not self.session.effects.ledger.end(attempt.id, found):
            return False
        if not is_a(found, NOT_DONE):
            self.session.log.emit(Warned, attempt.id, f"{attempt.id} had ended before it could be stopped: it is done")
        return True

    # ---------------------------------------------------------------- another beginning

    def _restart(self, attempt: Attempt, found: Any) -> None:
        """Try a call again whose attempt was stopped for that; one with side effects that is done is not repeated."""
        if self._note_effect(attempt, found) and not is_a(found, NOT_DONE):
            self.session.end(attempt.node, found)
            return
        self._doubt([attempt.id], named=attempt.id)
        self.session.start_over(attempt.node, AGAIN)

    def _go_on(self, node: Node) -> None:
        roots = self._roots(node)
        if not roots:
            raise SteerError(f"{node.task.id} cannot be tried again: it is running, and none of its items has failed")
        family = self._family(roots)
        self._doubt(family, named=node.task.id)
        self.session.revive(family, AGAIN)

    def _roots(self, node: Node) -> list[str]:
        """Return what is to be tried again: a task itself, what it was skipped for, or a fan-out's failed items."""
        id_, outcome = node.task.id, self.session.outcomes.get(node.task.id)
        if type(outcome) is Skipped and outcome.cause != id_:
            cause = self.nodes.get(outcome.cause)
            if cause is None or not cause.lost:
                return [id_]
            if cause.task.id == owner_of(id_):  # the user skipped it with its fan-out, which may have gone on since
                return [cause.task.id, id_] if type(self.session.outcomes[cause.task.id]) is Skipped else [id_]
            return self._roots(cause)
        if node.task.kind == "fanout" and (node.state == "running" or getattr(outcome, "kind", "") == "items"):
            return list(dict.fromkeys(root for item in self._items(node) if item.lost for root in self._roots(item)))
        return [id_]

    def _family(self, roots: Collection[str], *, given: str = "") -> list[str]:
        """Return all that goes on with some tasks, in the order in which they came: what was skipped for their sake.

        given: one that is not performed, but given a value. Raises SteerError if one of the tasks cannot go on.
        """
        session = self.session
        family, more = set(roots), set(roots)
        while more:
            more = {id_ for id_, node in self.nodes.items() if self._hangs_on(node, family)} - family
            more |= {id_ for id_ in map(owner_of, family | more) if id_ and self.nodes[id_].lost} - family
            family |= more
        if given:
            family -= {item.task.id for item in self._items(self.nodes[given])}
        for id_ in roots:
            if why := self._why_not(self.nodes[id_]):
                raise SteerError(f"{id_} cannot go on: {why}; {self.later} --start {id_}")
        late = self._too_late(family, given)
        told = {id_: f"{id_} comes before {begun} in the plan's order of side effects, and {begun} has begun"
                for id_, begun in late.items()}  # fmt: skip
        for id_ in told.keys() & set(roots):
            raise SteerError(f"{id_} cannot be tried again: {told[id_]}; {self.later} --start {id_}")
        readers = [node.task.id for node in self.nodes.values() if self._reads_now(node, family)]
        if readers:
            raise SteerError(f"{', '.join(roots)} cannot go on: {readers[0]} does just now without that")
        for id_, why in told.items():
            session.log.emit(Warned, id_, f"{id_} stays skipped: {why}; {self.later} --start {id_}")
        return [id_ for id_ in self.nodes if id_ in family and id_ not in late and id_ not in session.attempts]

    def _hangs_on(self, node: Node, family: Collection[str]) -> bool:
        """Whether a task has no value because one of these has none."""
        owner = self.nodes.get(owner_of(node.task.id))
        if not node.lost or (owner is not None and owner.state in ENDED and not owner.lost):
            return False
        outcome = self.session.outcomes[node.task.id]
        return (type(outcome) is Skipped and outcome.cause in family) or self.session.source_of(node) in family

    def _why_not(self, node: Node) -> str:
        """Return why a task that has no value cannot go on, "" if it can."""
        session, id_, owner = self.session, node.task.id, self.nodes.get(owner_of(node.task.id), node)
        if session.is_dropped(id_):
            return f"it was cancelled ({session.outcomes[id_]})"
        if id_ in session.attempts:
            return "its last attempt has not ended yet: try again in a moment"
        if id_ in session.reach.earlier:
            return "it belongs to a round that is over"
        if owner.state in ENDED and not owner.lost:
            return f"{owner.task.id} is {owner.state} without it"
        if session.fanouts.is_half_known(owner):
            return f"not all items of {owner.task.id} were known when it ended"
        return ""

    def _reads_now(self, node: Node, family: Collection[str]) -> bool:
        """Whether a task that is at work could go without one of these, and so looks at it right now."""
        is_open = node.task.id not in family and node.lenient and node.state in ("ready", "running")
        return is_open and not set(family).isdisjoint(node.task.dependencies)

    def _too_late(self, family: Collection[str], given: str) -> dict[str, str]:
        """Return the tasks that would start after one that follows them in the plan, with that one, which has begun."""
        session = self.session
        if session.schedule.turns is None:
            return {}
        below: defaultdict[str, list[Task]] = defaultdict(list)
        for node in self.nodes.values():
            for name in node.task.follows:
                below[name].append(node.task)
        late: dict[str, str] = {}
        for id_ in family:
            task, anchor = self.nodes[id_].task, owner_of(id_) or id_
            is_performed = id_ != given and not self.nodes[id_].expanded
            if not is_performed or nature(task, session.tools) == "pure":
                continue
            begun = self._begun_below(anchor, below, family)
            if begun:
                late[id_] = begun
        return late

    def _begun_below(self, anchor: str, below: defaultdict[str, list[Task]], family: Collection[str]) -> str:
        """Return a task that follows another one, however far, and has begun; "" if none has."""
        seen, open_ = {anchor}, [anchor]
        for name in open_:
            for task in below[name]:
                if task.id in seen or owner_of(task.id) == anchor:
                    continue
                if self.nodes[task.id].attempt and task.id not in family:
                    return task.id
                seen.add(task.id)
                open_.append(task.id)
        return ""

    def _doubt(self, ids: Iterable[str], *, named: str) -> None:
        """Have a person asked for the side effects among these that may have happened.

        named: the task that the user wants tried again, which may simply be made again if it failed.
        """
        session = self.session
        for id_ in ids:
            why = session.effects.ledger.doubt(id_, wary=id_ != named and owner_of(id_) != named)
            if why:
                session.effects.approvals.doubt(id_, why)
                session.log.emit(Warned, id_, f"{id_} may have had its effect before: {why}")
