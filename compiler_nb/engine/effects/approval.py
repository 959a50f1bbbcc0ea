"""Approval: which calls with side effects may start, and who is asked.

Theory of operation
    A call of a tool with side effects waits until the plan is whole, and then, if no rule lets it start, until a person
    approves it with its resolved arguments. An approval holds for this task, these arguments and this code alone: it is
    bound to their digest (values/digest.py), which is taken again when the call starts, because another tool may have
    changed a list meanwhile, or the user the tool; if so, the person is asked again. An argument that has no content to
    compare, such as an open file, is asked for twice. The items of a fan-out are asked for together, once the arguments
    of all of them are there, and get one answer. Only True approves. If nobody can be asked, the answer is no.

    In two cases a person is asked although a rule would let the call start: if an equal call was cut off, which may
    have had its effect already; and, under "auto", if the plan was made after tools had returned something, because
    what they returned may have asked for the call. In one case nobody needs to be asked: an equal call is done, and is
    not repeated. A person who is asked for each call is told so, and may have it made again.

    Approvals does not know the session: it is called with what is held and what has ended, and calls `decide` with what
    may start and what is denied.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextvars import copy_context
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from compiler_nb.events import Log, TaskApproved, TaskHeld, Warned
from compiler_nb.plan.task import Task
from compiler_nb.text import describe_error, shorten_value
from compiler_nb.tool import Tool
from compiler_nb.values.digest import Digest, digest, digest_call

Rule: TypeAlias = "str | Collection[str]"
"""Which calls start without being asked for: "ask" none, "auto" all, "deny" none, and nobody is asked; or the names of
tools whose calls do."""
Ask: TypeAlias = Callable[[Task, str], Awaitable[bool | str]]
"""Asks a person to approve a task with these arguments; only True approves, and AGAIN, which repeats what is done."""
Decision: TypeAlias = Literal["go", "again", "deny", "leave"]
"""What becomes of a held call: it starts, unless an equal one is done; it starts all the same; it is denied; it is left
out, because an equal one may have had its effect, and nobody could be asked."""
Decide: TypeAlias = Callable[[str, Decision, str], None]
"""Told the id of a held call, what is decided, and why it is denied; "" if a person just said no."""
AGAIN: Final = "again"
SHOWN: Final = 600
"""Characters of an argument that a person is shown."""
LISTED: Final = 50
"""Calls of a fan-out that are shown one by one; the others are counted."""
CHANGED: Final = "its arguments, or its tool's code, have changed since they were approved"
"""Why a call that was about to begin is asked for again."""


class Held(NamedTuple):
    """A call or a whole fan-out that waits for approval: its arguments as a person is shown them, and their digest.

    loose: why that digest does not show whether the arguments change, "" if it does; fanout: the id of its fan-out if
    it is an item, else ""; note: how it ends if it is not made again because an equal call is done, else "".
    """

    task: Task
    shown: str
    mark: str
    loose: str = ""
    fanout: str = ""
    note: str = ""


class Approvals:
    """The side effects of one session: what is approved, what waits, and who is asked."""

    def __init__(self, rule: Rule, tools: Mapping[str, Tool], log: Log, decide: Decide, ask: Ask | None = None) -> None:
        self.rule, self.tools, self.log, self.decide, self.ask = rule, tools, log, decide, ask
        self.in_doubt: dict[str, str] = {}  # why calls need a person's word, whatever the rule
        self.informed = False  # whether the plan was written after tools had returned something
        self._context = copy_context()
        self._approved: dict[str, Held] = {}  # as they were then, by id
        self._asked_twice: set[str] = set()  # calls with an argument that cannot be compared
        self._held: dict[str, Held] = {}  # calls, and fan-outs that are asked for, by id
        self._groups: dict[str, dict[str, Held]] = {}  # held items, by fan-out and id
        self._questions: dict[str, asyncio.Task[None]] = {}  # by the id of a call or a fan-out

    # ---------------------------------------------------------------- rules

    def gate(self, task: Task, *, closed: bool) -> str:
        """Return what a ready call waits for: "plan" if that is not closed yet, "approval", or "" if it may start."""
        tool = self.tools.get(task.tool)
        if tool is None or not tool.side_effects or task.id in self._approved:
            return ""
        if not closed:
            return "plan"
        by_name = not isinstance(self.rule, str)
        allowed = tool.name in self.rule if by_name else self.rule == "auto" and not self.informed
        return "" if allowed and task.id not in self.in_doubt else "approval"

    @property
    def offers_again(self) -> bool:
        """Whether a person is asked for each call, and so may have one repeated that is done."""
        return self.rule == "ask" and self.ask is not None

    def _refusal(self, calls: Collection[str]) -> str:
        """Return why calls cannot be asked for, "" if they can."""
        doubt = next((self.in_doubt[id_] for id_ in calls if id_ in self.in_doubt), "")
        asked = self.rule != "deny" and (bool(doubt) or self.rule in ("ask", "auto"))
        if asked and self.ask is not None:
            return ""
        if doubt and asked:
            return f"{doubt}; nobody is there to approve another"
        if self.rule == "auto":
            return "a plan made after tools returned something needs approval: name the tool to let it start unasked"
        return "nobody is there to approve it" if asked else "side effects are not approved here"

    # ---------------------------------------------------------------- questions

    def hold(
        self,
        task: Task,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        note: str = "",
        fanout: Task | None = None,
        left: int = 0,
    ) -> None:
        """Ask for a call that is ready, with its resolved arguments.

        note: see `Held`; fanout: of an item, which is asked for with the others, of which so many have not ended.
        """
        mark, owner = self._mark(task, args, kwargs), fanout.id if fanout is not None else ""
        held = Held(task, _shown(args, kwargs), *mark, owner, note)
        if fanout is None:
            self._put(held, [task.id])
            return
        self._held[task.id] = self._groups.setdefault(fanout.id, {})[task.id] = held
        self.log.emit(TaskHeld, task.id, 0, "fanout", held.shown, held.mark)
        self.look_at(fanout, left)

    def look_at(self, fanout: Task, left: int) -> None:
        """Ask for a fan-out if all its items that have not ended, so many, are held."""
        group = self._groups.get(fanout.id)
        if not group or len(group) != left or fanout.id in self._held:
            return
        held = list(group.values())
        shown = "; ".join(map(_called, held[:LISTED]))
        more = f"; … {left - LISTED:,} more" if left > LISTED else ""
        together = digest([each.mark for each in held]).text
        counted = f"{left:,} call{'' if left == 1 else 's'}"
        self._put(Held(fanout, f"{counted}: {shown}{more}", together), [each.task.id for each in held])

    def _put(self, held: Held, calls: Collection[str]) -> None:
        """Ask whether a call, or a fan-out's calls, may start; answer at once if nobody can."""
        task = held.task
        self._held[task.id] = held
        self.log.emit(TaskHeld, task.id, 0, "approval", held.shown, held.mark)
        refusal = self._refusal(calls)
        if refusal or self.ask is None:
            self.answer(task.id, approved=False, by="rule", reason=f"{task.tool or task.id}: {refusal}")
            return
        loop = asyncio.get_running_loop()
        question = self._question(task, "; ".join(filter(None, (held.shown, held.note))), self.ask)
        self._questions[task.id] = loop.create_task(question, context=self._context.copy())

    async def _question(self, task: Task, shown: str, ask: Ask) -> None:
        fault = ""
        try:
            approved: object = await ask(task, shown)
            if type(approved) is not bool and not (type(approved) is str and approved == AGAIN):
                fault = f"the answer must be True or False, and ask() returned {shorten_value(approved)}"
        except Exception as error:  # noqa: BLE001 - whoever cannot be asked has not approved
            approved, fault = False, f"nobody could be asked ({describe_error(error)})"
        reason = f"{task.tool or task.id}: {fault}" if fault else ""
        again, by = not fault and approved is not False and approved is not True, "rule" if fault else "user"
        self.answer(task.id, approved=again or approved is True, by=by, reason=reason, again=again)

    # ---------------------------------------------------------------- answers

    def answer(
        self, id_: str, *, approved: bool, by: str = "user", reason: str = "", mark: str = "", again: bool = False
    ) -> None:
        """Let what is held start, or deny it; nothing if it is not held, or `mark` is not that of its arguments.

        again: whether what is done already is made once more; by: "rule" if nobody could be asked.
        """
        held = self._held.get(id_)
        if held is None or (mark and mark != held.mark):
            return
        self.log.emit(TaskApproved, id_, 0, approved, by)
        calls = list(self._groups[id_].values()) if id_ in self._groups else [held]
        for each in (id_, *(call.task.id for call in calls)):  # before the end of one lets the fan-out be looked at
            self.forget(each)
        if approved:
            self._approved |= {call.task.id: call for call in calls}
        for call in calls:
            if approved and call.task.id != id_:
                self.log.emit(TaskApproved, call.task.id, 0, True, by)  # noqa: FBT003 - an event's field
            goes = approved or (call.note and by == "rule")  # what is done keeps its result, which makes no call
            left = by == "rule" and call.task.id in self.in_doubt  # nobody said no
            decision: Decision = "leave" if left else "deny"
            self.decide(call.task.id, ("again" if again else "go") if goes else decision, reason)

    def forget(self, id_: str) -> None:
        """Withdraw the question for a call, or for a fan-out's calls."""
        held = self._held.pop(id_, None)
        if held is not None and held.fanout:
            self._groups[held.fanout].pop(id_, None)
        question = self._questions.pop(id_, None)
        if question is not None and question is not asyncio.current_task():
            question.cancel()

    def asks_again(self, id_: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return why a call that starts needs another approval; "" if what was approved is what is made."""
        held = self._approved.get(id_)
        if held is None:  # it needed none
            return ""
        reason = CHANGED if self._mark(held.task, args, kwargs).text != held.mark else ""
        if not reason and held.loose and id_ not in self._asked_twice:
            self._asked_twice.add(id_)
            reason = f"{held.loose}, so nothing shows whether it is what was approved"
        if reason:
            del self._approved[id_]
            self.log.emit(Warned, id_, f"{id_} is asked for again: {reason}")
        return reason

    def _mark(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Digest:
        """Return the digest of a call and of its tool's code."""
        from compiler_nb.values.functions import code_hash  # noqa: PLC0415 - heavy, and only who is asked needs it

        tool = self.tools[task.tool]
        call = digest_call(tool, args, kwargs)
        return Digest(digest([call.text, code_hash(tool)]).text, call.loose)

    def is_approved(self, id_: str) -> bool:
        """Whether a person has approved a call."""
        return id_ in self._approved

    def doubt(self, id_: str, why: str) -> None:
        """Have a call asked for whatever the rule, even if it was approved before: it may have had its effect."""
        self.in_doubt[id_] = why
        self._approved.pop(id_, None)

    def close(self) -> None:
        """Withdraw all questions."""
        for question in self._questions.values():
            question.cancel()
        self._held.clear()


def _called(held: Held) -> str:
    return f"{held.task.tool}({held.shown}){f' ({held.note})' if held.note else ''}"


def _shown(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return bound arguments as one line."""
    named = [f"{name}={shorten_value(value, SHOWN)}" for name, value in kwargs.items()]
    return ", ".join([*(shorten_value(value, SHOWN) for value in args), *named])
