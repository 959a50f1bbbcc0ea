"""How a plan is made: it is asked for, its tasks are taken while the model writes, and it is repaired if needed.

Theory of operation
    Tasks start while the plan is still being written, so a text that turns out to have problems has already had
    consequences. The repaired text is therefore read against them: a task that computes what a running or done one does
    takes over its outcome, whatever its name, and what only the refused text held is dropped if it has not started.
    Side effects never come into this: they wait until a plan is whole.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from compiler_nb.engine.session import Session
from compiler_nb.errors import ModelError, PlanError, Problem
from compiler_nb.events import Log, PlanClosed, PlanProblem, TaskPlanned
from compiler_nb.models.base import Model, ReplyGrammar, Request, Role
from compiler_nb.models.calls import Calls
from compiler_nb.models.connect import no_model
from compiler_nb.models.recall import Asked
from compiler_nb.plan.builder import Builder
from compiler_nb.plan.check import TEXT_LIMIT
from compiler_nb.plan.effects import nature
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import LastLine, Return, Task, owner_of
from compiler_nb.plan.tree import references
from compiler_nb.planner.choice import ToldTools, asked_for, choose
from compiler_nb.planner.held import LINES, plan_grammar
from compiler_nb.planner.requests import READABLE, Earlier, ask_for_plan, ask_for_repair, listed, rules, system_prompt
from compiler_nb.planner.samples import make_samples
from compiler_nb.prompts import load_worded
from compiler_nb.settings.follow import FollowUp
from compiler_nb.settings.settings import Settings
from compiler_nb.tool import Tool, Toolbox

CUT: Final = frozenset({"", "length", "content_filter"})
"""Finishes of a reply that is not whole."""
_KEPT: Final = 8
"""Tasks that an error names as kept; the others are counted."""
DROPPED: Final = "it is not in the repaired plan"
"""Why a task is cancelled that was only in a refused text."""


class Writing:
    """Gets the plans of one run from its planner, one for each round.

    shapes: of what tools returned before; uses: how often they were called; add: takes a task that adopts no other
    task's outcome; dropped: tasks that only a refused text held; answer: what the answer is to be, as the planner is
    told, "" if that is open; follow: the conversation that the question follows, None if it follows nothing; bring:
    takes over what tasks of it are read; choice: the tools that the planner was told of last.
    """

    def __init__(
        self,
        settings: Settings,
        question: str,
        schemas: Mapping[str, str],
        log: Log,
        session: Session,
        *,
        shapes: Mapping[str, str],
        uses: Mapping[str, int],
        answer: str,
        follow: FollowUp | None,
        bring: Callable[[Iterable[str]], None],
        calls: Calls,
        add: Callable[[Task], None],
    ) -> None:
        self.settings, self.question, self.schemas, self.shapes, self.log = settings, question, schemas, shapes, log
        self.uses, self.answer, self.calls, self.session, self.add = uses, answer, calls, session, add
        self.follow, self.bring = follow, bring
        self._before: tuple[str, ...] = ()  # the tasks of earlier rounds
        self.choice = ToldTools(settings.tools, ())
        self._asked: dict[str, Tool] = {}  # tools that a repair request has described
        self.dropped: set[str] = set()

    async def write(self, earlier: Earlier | None, names: Mapping[str, str]) -> Plan:
        """Get a plan from the planner, and start its tasks as they come. Raises PlanError if no repair helped.

        names: the tasks that the names of earlier rounds mean.
        """
        settings = self.settings
        own, wording = settings.own_prompt("planner"), settings.wording("planner")
        # A small model copies what it is shown as a conversation rather than what a long text tells it.
        by_turns = wording == "small" and not own
        choice = self.choice = self._choose(earlier, wording)
        tools, named = choice.described, choice.lines
        samples = (settings.examples or make_samples(tools, settings.dialect)) if by_turns else ()
        examples = () if by_turns else settings.examples
        plain = system_prompt(settings.dialect, tools, examples, own, wording=wording, named=named)
        system = system_prompt(settings.dialect, tools, examples, own, self.shapes, wording=wording, named=named)
        messages = ask_for_plan(
            system.text, self.question, self.schemas, earlier, samples=samples, wording=wording, answer=self.answer,
            talk=self._talk(wording),
        )  # fmt: skip
        role: Role = "planner" if earlier is None else "replan"
        self.session.open()
        since = last_effect(self.session.tasks, settings.tools) or (self.follow.since if self.follow else "")
        self._before = tuple(self.session.tasks)
        if any(entry.standing == "doubt" for entry in self.session.effects.ledger.entries):
            since = f"{since} {self.log.run} {self.log.round}"  # it may have its effect yet: what was read is stale
        grammar = self._grammar(names, is_first=earlier is None)
        request = Request(role, tuple(messages), prompt=plain.hash, grammar=grammar)
        said = "\0".join([plain.text, *(message["content"] for message in messages[1:])])
        asked = Asked(self._planner, request, self._parts(said, earlier), self.shapes)
        if (kept := await self._recall(asked, names, since)) is not None:
            return kept
        for repair in range(settings.max_repairs + 1):
            request = Request(role, tuple(messages), prompt=plain.hash, grammar=grammar)
            self.calls.allow(request)
            parser = self._parser(names, since)
            taker = Taker(self.log, self.session, self.add, self.bring)
            problems = await self._read_plan(request, parser, taker.take, repair)
            if not problems:
                plan = self._plan(parser)
                self.dropped.update(taker.drop_rest(plan) if repair else ())
                self.session.close()
                self.calls.keep(asked, plan.text)
                return plan
            text = "".join(parser.text)
            asked_tools = asked_for(settings.tools, choice, [*(problem.message for problem in problems), text])
            self._asked |= {tool.name: tool for tool in asked_tools}
            grammar = self._grammar(names, is_first=earlier is None)
            told = listed(Toolbox(asked_tools), self.shapes, wording)
            messages = ask_for_repair(messages, text, problems, told)
            role = "repair"
        raise PlanError(problems)

    def _choose(self, earlier: Earlier | None, wording: str) -> ToldTools:
        """Return which tools the planner is told of: those of plans so far are described again."""
        settings, question = self.settings, self.question + (f"\n{earlier.reason}" if earlier is not None else "")
        tasks = [*self.session.tasks.values(), *(self.follow.tasks.values() if self.follow is not None else ())]
        shown = {word for _, plan in settings.examples for word in re.findall(r"\w+", plan)}
        needed = {*self._asked, *(task.tool for task in tasks), *(name for name in settings.tools if name in shown)}
        return choose(
            settings.tools, question, settings.tool_tokens, seen=self.shapes, wording=wording, used=self.uses,
            needed=needed,
        )  # fmt: skip

    def _parser(self, names: Mapping[str, str], since: str) -> PlanParser:
        """Return what reads the next text of a plan."""
        settings, session = self.settings, self.session
        follow = self.follow or FollowUp()
        return PlanParser(
            dialect=settings.dialect, tools=settings.tools, inputs=self.schemas,
            earlier={**follow.readable, **session.alive()}, taken=(*follow.tasks, *session.tasks),
            names={**follow.names, **names}, since=since,
        )  # fmt: skip

    def _talk(self, wording: str) -> str:
        """Return what the planner is told of the conversation, "" if there is none."""
        if self.follow is None:
            return ""
        from compiler_nb.planner.follow_up import describe_follow_up  # noqa: PLC0415 - few questions follow another

        return describe_follow_up(self.follow, preview=self.settings.preview, wording=wording)

    def _plan(self, parser: PlanParser) -> Plan:
        """Return a whole plan; what it reads of earlier questions is a part of it, so that it can be run again."""
        plan = Plan(*parser.parts())
        taken = self._taken_over(parser)
        return replace(plan, tasks=(*taken, *plan.tasks)) if taken else plan

    def _taken_over(self, parser: PlanParser) -> list[Task]:
        """Return the tasks of earlier questions that a plan reads, and that no round before it has read."""
        if self.follow is None:
            return []
        builder = parser.builder
        own = {*self._before, *(task.id for task in builder.tasks)}
        read = {id_ for task in builder.tasks for id_ in task.dependencies} | set(last_refs(builder.final))
        return self.follow.needed(read, dict.fromkeys(own))

    async def _recall(self, asked: Asked, names: Mapping[str, str], since: str) -> Plan | None:
        """Return the plan that is kept of an equal request, its tasks taken; None if there is none that is a plan."""
        read: list[tuple[PlanParser, list[Task]]] = []

        def is_plan(text: str) -> bool:
            parser = self._parser(names, since)
            tasks = [*parser.feed(text), *parser.close(complete=True)]
            read[:] = [(parser, tasks)]
            return not parser.problems

        if await self.calls.recall(asked, is_plan) is None:
            return None
        ((parser, tasks),) = read
        taker = Taker(self.log, self.session, self.add, self.bring)
        for task in tasks:
            taker.take(task)
        self._note_text(parser, complete=True, is_whole=True)
        self.session.close()
        return self._plan(parser)

    def _parts(self, said: str, earlier: Earlier | None) -> dict[str, str]:
        """Return what a plan follows from, by name; said: all of it, without what tools returned before."""
        settings, own = self.settings, self.settings.own_prompt("planner")
        wording, dialect = settings.wording("planner"), settings.dialect
        parts = {
            "prompt": own or load_worded("planner", wording).text, "rules": rules(dialect, wording),
            "dialect": dialect, "examples": repr(settings.examples), "question": self.question, "request": said,
        }  # fmt: skip
        parts |= {f"tool {name}": tool.description for name, tool in settings.tools.items()}
        parts |= {f"input {name}": schema for name, schema in self.schemas.items()}
        parts |= {"conversation": talk} if (talk := self._talk("full")) else {}
        parts |= {"answer type": self.answer} if self.answer else {}
        if earlier is not None:
            parts |= {"plan": earlier.plan, "reason": earlier.reason}
            parts |= {f"result {name}": told for name, told in {**earlier.results, **earlier.effects}.items()}
            parts |= {f"failure {name}": told for name, told in earlier.failures.items()}
        return parts

    def _grammar(self, names: Mapping[str, str], *, is_first: bool) -> ReplyGrammar:
        """Return what a reply may be. The first plan of a question has a task at least.

        Otherwise small models would answer at once, without using the tools. A question that needs none is still
        answered: `llm` is a tool, too.
        """
        alive = self.session.alive()
        if self.follow is not None:
            alive, names = {**self.follow.readable, **alive}, {**self.follow.names, **names}
        meant = {**dict.fromkeys(alive), **names}
        readable = [name for name, id_ in meant.items() if (id_ or name) in alive]
        # of thousands of tools a grammar would be endless: it holds to those that the planner is told how to call
        tools, taken = self.choice.described.plus(Toolbox(self._asked)), tuple(self.session.tasks)
        lines = LINES.get(self.settings.wording("planner"), LINES["full"])
        dialect = self.settings.dialect
        return plan_grammar(dialect, tools, self.schemas, readable, taken, lines=lines, least=int(is_first))

    async def _read_plan(
        self, request: Request, parser: PlanParser, take: Callable[[Task], None], earlier: int
    ) -> tuple[Problem, ...]:
        """Read one text of a plan and return its problems. A text that broke off has one if it can be repaired.

        earlier: texts of this plan that had problems. Raises a ModelError if the call failed otherwise.
        """
        complete, failed = False, False
        try:
            complete = await write_plan(self.calls, self._planner, request, parser, take, earlier=earlier)
        except BaseException as error:
            may_help = isinstance(error, ModelError) and error.retryable and any(parser.text)
            failed = earlier == self.settings.max_repairs or not may_help
            if failed:
                raise
        finally:
            problems = tuple(parser.problems) or self._open_end(parser, complete=complete)
            for problem in problems:
                self.log.emit(PlanProblem, problem)
            self._note_text(parser, complete=complete, is_whole=not (problems or failed))
        return problems

    def _note_text(self, parser: PlanParser, *, complete: bool, is_whole: bool) -> None:
        """Note that a plan's text has ended; is_whole: whether it is a plan."""
        builder = parser.builder
        if is_whole:
            self.bring(last_refs(builder.final))
        ids = tuple(task.id for task in (*self._taken_over(parser), *builder.tasks)) if is_whole else None
        text, dialect = "".join(parser.text), "python" if parser.dialect == "auto" else parser.dialect
        self.log.emit(PlanClosed, text, complete, builder.final, dialect, ids, tuple(builder.notes), self.log.round > 0)

    def _open_end(self, parser: PlanParser, *, complete: bool) -> tuple[Problem, ...]:
        """Return the problem of a text that reads like a whole plan but was not ended by the model.

        Only side effects make that a problem: a missing line could have been one that they depend on.
        """
        if complete or not any(has_effects(task, parser.builder) for task in parser.builder.tasks):
            return ()
        line = "".join(parser.text).count("\n") + 1
        return (Problem("truncated", line, 1, "the text may be cut off; side effects wait for a plan that is whole"),)

    @property
    def _planner(self) -> Model:
        if self.settings.planner is None:
            raise no_model()
        return self.settings.planner


class Taker:
    """Takes the tasks of one plan's text. A task that computes what an earlier one does adopts its outcome.

    add: takes the tasks that adopt nothing; bring: as for Writing. Of equal tasks the k-th adopts the k-th.
    """

    def __init__(
        self, log: Log, session: Session, add: Callable[[Task], None], bring: Callable[[Iterable[str]], None]
    ) -> None:
        self.log, self.session, self.add, self.bring = log, session, add, bring
        self.sources: list[str] = []  # of what was adopted
        self._twins: dict[str, list[str]] = defaultdict(list)
        self._tasks = session.tasks
        for id_, task in self._tasks.items():
            if not owner_of(id_):
                self._twins[task.fingerprint].append(id_)

    def take(self, task: Task) -> None:
        """Take a task that is complete and correct."""
        twins = self._twins[task.fingerprint]
        if task.id in self._tasks:  # planned before, and kept
            if task.id in twins:
                twins.remove(task.id)
            self.session.keep(task)
            return
        source = next((id_ for id_ in twins if not self.session.is_lost(id_)), "")
        self.bring(task.dependencies)
        self.log.emit(TaskPlanned, task.id, 0, task, source)
        if not source:
            self.add(task)
        else:
            twins.remove(source)
            self.sources.append(source)
            self.session.adopt(task, source)

    def drop_rest(self, plan: Plan) -> set[str]:
        """End the tasks that only earlier texts held and that have not started; return their ids."""
        last = last_refs(plan.final)
        kept: set[str] = set()
        open_ids = [*(task.id for task in plan.tasks), *self.sources, *last]
        while open_ids:
            id_ = open_ids.pop()
            if id_ in self._tasks and id_ not in kept:
                kept.add(id_)
                open_ids += self._tasks[id_].dependencies
        rest = {id_ for id_ in self._tasks if (owner_of(id_) or id_) not in kept}
        return set(self.session.drop(rest, DROPPED, "dropped"))


def last_refs(final: LastLine | None) -> tuple[str, ...]:
    """Return the ids of the tasks whose values a last line reads."""
    if final is None:
        return ()
    return tuple(references(final.expression)) if isinstance(final, Return) else final.refs


async def write_plan(
    calls: Calls, model: Model, request: Request, parser: PlanParser, take: Callable[[Task], None], *, earlier: int = 0
) -> bool:
    """Feed a model's reply to the parser, and each task to `take` as soon as it is complete.

    earlier: texts of this plan that had problems.
    Returns whether the model ended of itself; a text longer than any plan may be is not read to its end. Raises a
    ModelError if the call failed, or if the reply broke off and is not a plan for that reason. The parser then holds
    what had arrived, and is closed as cut off.
    """
    finish, length, fault = "", 0, None
    reply = calls.open(model, request)
    whole: list[Task] = []
    try:
        async with reply:
            async for text in reply:
                for task in parser.feed(text):
                    take(task)
                    whole.append(task)
                length += len(text)
                if length > TEXT_LIMIT:
                    break
            finish = reply.finish
    except ModelError as error:
        fault = error
    finally:
        complete = finish not in CUT
        for task in parser.close(complete):
            take(task)
            whole.append(task)
    if fault is None and not complete and _is_cut(parser):
        fault = reply.stopped("".join(parser.text)) if finish else reply.cut()
        fault.retryable = True  # a repaired plan may be shorter, or come through
    if fault is not None:
        fault.attempts, fault.kept = earlier + reply.tried, _kept(whole, parser)
        raise fault
    return complete


def _is_cut(parser: PlanParser) -> bool:
    """Whether a text that broke off is not a plan for that reason alone. With side effects it never is one."""
    builder = parser.builder
    if builder.problems:
        return all(problem.kind == "truncated" for problem in builder.problems)
    return any(has_effects(task, builder) for task in builder.tasks)


def has_effects(task: Task, builder: Builder) -> bool:
    """Whether a task calls a tool with side effects."""
    return nature(task, builder.tools or {}) == "effect"


def last_effect(tasks: Mapping[str, Task], tools: Mapping[str, Tool]) -> str:
    """Return the fingerprint of the last task that calls a tool with side effects, "" if none does."""
    if not any(tool.side_effects for tool in tools.values()):
        return ""
    effects = (task for task in reversed(tuple(tasks.values())) if not task.owner and nature(task, tools) == "effect")
    return next((task.fingerprint for task in effects), "")


def _kept(whole: Iterable[Task], parser: PlanParser) -> str:
    """Return which results stay when a plan broke off, in words; tasks that wait for side effects never ran."""
    builder = parser.builder
    ids: list[str] = []
    held: set[str] = set()
    for task in whole:
        if has_effects(task, builder) or not held.isdisjoint((*task.dependencies, *task.follows)):
            held.add(task.id)
        elif READABLE.fullmatch(task.id):
            ids.append(task.id)
    more = f"{len(ids) - _KEPT} more" if len(ids) > _KEPT else ""
    before = "all that ran before" if builder.earlier.keys() - ids else ""
    named = " and ".join(filter(None, (", ".join(ids[:_KEPT]), more, before)))
    if named:
        return f"kept: {named}"
    return "no task was complete" if parser.text else ""
