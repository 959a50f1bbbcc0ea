"""Approval: which calls with side effects may start, and who is asked.

Theory of operation
    A call of a tool with side effects waits until the plan is whole, and then, where no rule lets it start, for a
    person's word on its resolved arguments. That word holds for this task and these arguments alone: it is bound to
    their digest, which is taken again when the call starts; where they have changed in between, it is asked anew.
    The items of a fan-out are asked for together, once the arguments of all of them are there, and get one answer.
    Where nobody can be asked the answer is no. Two things are asked for even where a rule would let them start: a call
    equal to one that was cut off, which may have had its effect already, and, under "auto", calls of a plan that was
    made after tools had spoken, for what they said may have asked for them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from compiler_nb.engine.attempt import failure_of, spell_arguments
from compiler_nb.events import TaskApproved, TaskHeld
from compiler_nb.outcome import Failure
from compiler_nb.plan.task import Task
from compiler_nb.text import shorten_value

if TYPE_CHECKING:
    from compiler_nb.engine.node import Node
    from compiler_nb.engine.session import Session

Rule: TypeAlias = "str | Collection[str]"
"""Which calls may start unasked: "ask" none, "auto" all, "deny" none and nobody is asked, or those of named tools."""
Ask: TypeAlias = Callable[[Task, str], Awaitable[bool]]
"""Asks a person to approve a task with these arguments."""
SHOWN: Final = 600
"""Characters of an argument that a person is shown."""
LISTED: Final = 50
"""Calls of a fan-out that are shown one by one; the others are counted."""
_DEPTH: Final = 20


class Approval:
    """The side effects of one session: what was approved, what waits, and who is asked."""

    def __init__(self, session: Session, rule: Rule, ask: Ask | None) -> None:
        self.session, self.rule, self.ask = session, rule, ask
        self.in_doubt: set[str] = set()  # fingerprints of side effects that were cut off
        self.planless = ""  # why the plan will never be whole, where it will not
        self.groups: dict[str, dict[str, str]] = {}  # by fan-out: what its held items were to be called with
        self._approved: dict[str, str] = {}  # digests of the arguments by task
        self._waiting: dict[str, str] = {}  # the same, of those that are held
        self._questions: dict[str, asyncio.Task[None]] = {}

    # ---------------------------------------------------------------- rules

    def gate(self, task: Task) -> str:
        """Return what a ready call waits for: "plan", "approval", or "" where it may start."""
        tool = self.session.tools.get(task.tool)
        if tool is None or not tool.side_effects or task.id in self._approved:
            return ""
        if not self.session.schedule.closed:
            return "plan"
        if task.fingerprint and task.fingerprint in self.in_doubt:
            return "approval"
        return "" if self._is_allowed(tool.name) else "approval"

    def _is_allowed(self, tool: str) -> bool:
        if isinstance(self.rule, str):
            return self.rule == "auto" and not self.session.log.round
        return tool in self.rule

    def _refusal(self, calls: Iterable[Task]) -> str:
        """Return why calls cannot be asked for, "" where they can."""
        doubt = any(task.fingerprint in self.in_doubt for task in calls)
        asked = doubt or self.rule in ("ask", "auto")
        if asked and self.ask is not None:
            return ""
        if doubt:
            return "an equal call was cut off and may have had its effect, and nobody is there to approve another"
        if self.rule == "auto":
            return "a plan made after tools had spoken needs approval: name the tool to let it start unasked"
        return "nobody is there to approve it" if asked else "side effects are not approved here"

    # ---------------------------------------------------------------- questions

    def hold(self, node: Node) -> None:
        """Ask for what a ready call waits for; its arguments are resolved."""
        task, session = node.task, self.session
        if node.held == "plan" and self.planless:
            session.drop([task.id], self.planless)
            return
        if node.held == "plan":
            session.log.emit(TaskHeld, task.id, 0, "plan", "", "")
            return
        try:
            args, kwargs = session.bind(task, session.tools[task.tool])
        except BaseException as error:  # noqa: BLE001 - operators of a user's object may raise anything
            session.end(node, failure_of(error, session.tools[task.tool], 0))
            return
        shown = spell_arguments(args, kwargs, lambda value: shorten_value(value, SHOWN))
        self._waiting[task.id] = digest(args, kwargs)
        if node.owner is None:
            self._put(task, [task], shown, self._waiting[task.id])
        else:
            session.log.emit(TaskHeld, task.id, 0, "fanout", shown, self._waiting[task.id])
            self.groups.setdefault(node.owner.task.id, {})[task.id] = shown
            self.look_at(node.owner)

    def look_at(self, owner: Node) -> None:
        """Ask for a fan-out when each of its items has its arguments, or has ended without any."""
        group = self.groups.get(owner.task.id)
        if not group or owner.task.id in self._questions:
            return
        held = [id_ for id_ in group if id_ in self._waiting]
        if held and len(held) == owner.waiting:
            calls = [self.session.schedule.nodes[id_].task for id_ in held]
            shown = "; ".join(f"{call.tool}({group[call.id]})" for call in calls[:LISTED])
            more = f"; … {len(held) - LISTED:,} more" if len(held) > LISTED else ""
            together = hashlib.sha256("".join(self._waiting[id_] for id_ in held).encode()).hexdigest()[:12]
            self._waiting[owner.task.id] = together
            self._put(owner.task, calls, f"{len(held):,} call{'' if len(held) == 1 else 's'}: {shown}{more}", together)

    def _put(self, task: Task, calls: Iterable[Task], shown: str, mark: str) -> None:
        """Put the question whether a task, or a fan-out's calls, may start; answer it where nobody can."""
        session = self.session
        session.log.emit(TaskHeld, task.id, 0, "approval", shown, mark)
        refusal = self._refusal(calls)
        if refusal or self.ask is None:
            self.deny(task.id, "rule", f"{task.tool or task.id}: {refusal}")
            return
        question = self._question(task, shown, self.ask)
        self._questions[task.id] = session.loop.create_task(question, context=session.context.copy())

    async def _question(self, task: Task, shown: str, ask: Ask) -> None:
        try:
            approved = await ask(task, shown)
        except Exception as error:  # noqa: BLE001 - who cannot be asked has not approved
            told = f"{task.tool or task.id}: nobody could be asked ({failure_of(error, None, 0).message})"
            self.deny(task.id, "rule", told)
            return
        if approved:
            self.approve(task.id)
        else:
            self.deny(task.id)

    # ---------------------------------------------------------------- answers

    def approve(self, id_: str, by: str = "user", mark: str = "") -> None:
        """Let what is held start; nothing where it is not, or where `mark` is not that of its arguments."""
        if self._is_answered(id_, mark):
            return
        session = self.session
        items = self._items(id_)
        self._judge(id_, by, approved=True)
        self._approved |= {item: self._waiting.pop(item) for item in items if item in self._waiting}
        for item in items:
            if item != id_:
                session.log.emit(TaskApproved, item, 0, True, by)  # noqa: FBT003 - an event's field
            session.perform(session.schedule.approve(item, session.log.now()))

    def deny(self, id_: str, by: str = "user", reason: str = "", mark: str = "") -> None:
        """End what is held as denied; nothing where it is not."""
        if self._is_answered(id_, mark):
            return
        session = self.session
        items = self._items(id_)
        self._judge(id_, by, approved=False)
        for item in items:
            self._waiting.pop(item, None)  # all of them, before the end of one lets the fan-out be looked at
        for item in items:
            node = session.schedule.nodes[item]
            session.end(node, Failure("denied", reason or f"{node.task.tool} was not approved", attempts=0))

    def _is_answered(self, id_: str, mark: str) -> bool:
        return id_ not in self._waiting or bool(mark and mark != self._waiting[id_])

    def _items(self, id_: str) -> list[str]:
        """Return the held calls that an answer is for: the task itself, or a fan-out's items."""
        found = [id_] if id_ not in self.groups else [item for item in self.groups[id_] if item in self._waiting]
        nodes = self.session.schedule.nodes
        return [item for item in found if nodes[item].held == "approval" and nodes[item].state == "ready"]

    def _judge(self, id_: str, by: str, *, approved: bool) -> None:
        self.session.log.emit(TaskApproved, id_, 0, approved, by)
        self.forget(id_)
        if id_ in self.groups:
            self._waiting.pop(id_, None)

    def forget(self, id_: str) -> None:
        """Withdraw a question."""
        question = self._questions.pop(id_, None)
        if question is not None and question is not asyncio.current_task():
            question.cancel()

    def confirms(self, id_: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether a call that starts has the arguments that were approved; one that needed no word has."""
        mark = self._approved.get(id_)
        if mark is None or mark == digest(args, kwargs):
            return True
        del self._approved[id_]
        return False

    def close(self) -> None:
        """Withdraw all questions."""
        for question in self._questions.values():
            question.cancel()


# -------------------------------------------------------------------- what a word is bound to


def digest(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return twelve digits for resolved arguments: plain data by content, other objects by which one they are."""
    told = hashlib.sha256()
    stack: list[tuple[Any, int]] = [(args, 0), (kwargs, 0)]
    while stack:
        value, depth = stack.pop()
        kind = type(value)
        told.update(kind.__name__.encode("utf-8", "replace") + b":")
        if kind in (str, int, float, bool, type(None)):
            told.update((value if kind is str else repr(value)).encode("utf-8", "surrogatepass") + b";")
        elif kind in (bytes, bytearray):
            told.update(value)
            told.update(b";")
        elif kind in (list, tuple, dict) and depth < _DEPTH:
            told.update(f"{len(value)}[".encode())
            parts = value if kind is not dict else [part for pair in value.items() for part in pair]
            stack += [(part, depth + 1) for part in parts]
        else:
            told.update(f"{id(value)};".encode())
    return told.hexdigest()[:12]
