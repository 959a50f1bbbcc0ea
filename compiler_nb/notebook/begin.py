"""From what a cell says to the job that it waits for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from compiler_nb.compare.cases import Case
from compiler_nb.compiler import Compiler
from compiler_nb.errors import OptionError, PlanError
from compiler_nb.models.hand import HandModel
from compiler_nb.notebook.again import offer_reruns
from compiler_nb.notebook.cell import identity, lines_above
from compiler_nb.notebook.compilers import compiler_for
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.grids import GridJob, is_grid, mark_of
from compiler_nb.notebook.job import PlanJob, Question, RunJob, draw_plan
from compiler_nb.notebook.models import YOUR_TURN, no_model_for
from compiler_nb.notebook.options import Line, help_text, read
from compiler_nb.notebook.output.errors import counted_in_cell, naming_functions
from compiler_nb.notebook.output.presenter import say
from compiler_nb.notebook.runs import find_run
from compiler_nb.notebook.variables.namespace import without_quotes
from compiler_nb.outcome import unstored
from compiler_nb.plan.plan import Plan
from compiler_nb.run import Run
from compiler_nb.settings.settings import APPROVE
from compiler_nb.text import suggest

FOR_PLANS: Final = {
    "check": "--check is for %%plan; -N makes and draws a plan for a question",
    "source": "--from is for %%plan; to go on with a run: %compile rerun",
    "override": "--override is for %%plan and %compile rerun: before a question is asked there are no tasks to name",
}
"""Options that only the cell of a plan takes, by field, and what is said if a question is given one."""


def begin_cell(desk: Desk, magic: str, line: str, body: str, *, outermost: bool) -> PlanJob | RunJob | GridJob | None:
    """Begin what a cell says; return what the cell waits for, or None if there is nothing to wait for.

    Raises OptionError if the line is wrong, PlanError or NoModel if nothing can run.
    """
    said = read(magic, line, body)
    if said.given.get("help") or not (said.plan.strip() if magic == "plan" else said.question):
        is_turn = magic == "plan" and said.question and not said.given.get("help")
        say(YOUR_TURN if is_turn else help_text(magic))
        return None
    offer_reruns(desk)
    cell = identity(desk.shell, outermost=outermost, text=f"{magic} {line}\n{body}")
    return (_begin_plan if magic == "plan" else _begin_question)(desk, said, cell)


def _begin_question(desk: Desk, said: Line, cell: str) -> PlanJob | RunJob | GridJob | None:
    """Begin to answer a question: in one run, in a table of runs, or only by a plan."""
    for field, instead in FOR_PLANS.items():
        if field in said.given:
            raise OptionError(f"%%compile: {instead}")
    question = _question(desk, said, cell)
    compiler = compiler_for(desk, question)
    after = find_run(desk, said.given["after"]) if "after" in said.given else None
    if after is not None:  # what the history could not store may still be a variable
        known = desk.memory.names.visible()
        question.inputs.update({name: each for name, each in known.items() if _is_lost(name, after, question.inputs)})
    if is_grid(said.given):
        if after is not None:
            raise OptionError(
                "--after is for one question at a time: leave out --after, or leave out --variants and --repeat"
            )
        case = Case(question.text, None, question.inputs)
        return GridJob(desk, said, compiler, case, cell, answer_type=question.answer_type).begin()
    _check_approved(said, compiler)
    if compiler.settings.planner is None:
        with desk.memory.binder.nothing_stale(cell):
            raise no_model_for(desk.memory.names)
    if isinstance(compiler.settings.planner, HandModel):
        desk.memory.binder.bind(cell, {})  # the next cell carries the question on, and leaves its results
        return PlanJob(desk, question, compiler)
    if not said.given.get("execute", True):
        return PlanJob(desk, question, compiler, after)
    with desk.memory.binder.nothing_stale(cell):
        order = compiler.order(
            question.text, inputs=question.inputs, answer_type=question.answer_type,
            after=compiler.recall(after) if after is not None else None,
        )  # fmt: skip
    return RunJob(desk, question, compiler, order).begin()


def _begin_plan(desk: Desk, said: Line, cell: str) -> RunJob | None:
    """Begin to run the plan in a cell, or only check it, or draw it."""
    if "after" in said.given:
        raise OptionError(
            "%%plan: --after is for questions; a plan reads the notebook's variables, and --from RUN goes on with a run"
        )
    old = find_run(desk, said.given["source"]) if "source" in said.given else None
    question = _question(desk, said, cell)
    if old is not None:
        question.inputs.update(_own_inputs(old, said.plan, question.inputs))
    compiler = compiler_for(desk, question)
    if is_grid(said.given):
        raise OptionError(f"%%plan: {mark_of(said.given)} is for %%compile: a plan that is given is the same each time")
    _check_approved(said, compiler)
    if said.given.get("check"):
        say(f"no problems\n{_parse(desk, compiler, question).explain()}")
        return None
    if not said.given.get("execute", True):
        draw_plan(desk, said, _parse(desk, compiler, question))
        return None
    with desk.memory.binder.nothing_stale(cell):
        plan = _parse(desk, compiler, question)
        order = compiler.order(
            question.text, plan=plan if old is None else _noting_variables(plan, old), inputs=question.inputs,
            source=compiler.recall(old) if old is not None else None, overrides=_overrides(desk, said, plan),
            answer_type=question.answer_type,
        )  # fmt: skip
    return RunJob(desk, question, compiler, order).begin()


def _question(desk: Desk, said: Line, cell: str) -> Question:
    """Return what a cell asks, with the values of the notebook's variables that it names."""
    names = desk.memory.names
    wanted = [*said.given.get("inputs", ()), *names.named_in(said.question), *names.read_by(said.plan)]
    inputs = names.inputs(dict.fromkeys(wanted))
    wanted_type = names.answer_type(said.given.get("answer_type", ""))
    return Question(said, names.paste(said.question), inputs, cell, [], wanted_type)


def _check_approved(said: Line, compiler: Compiler) -> None:
    """Raise OptionError if a cell approves a tool that it does not offer: nothing would be approved by that."""
    tools, approved = compiler.settings.tools, said.given.get("approve", "ask")
    for name in () if approved in APPROVE else approved:
        if name not in tools:
            ways = f"It takes {', '.join(APPROVE)}, or names of tools"
            raise OptionError(f"--approve: no tool is called {name!r}.{suggest(name, [*APPROVE, *tools])} {ways}")


def _is_lost(name: str, run: Run, given: Mapping[str, Any]) -> bool:
    """Whether an input of a run was not stored, and is not given."""
    return name not in given and unstored(run.inputs.get(name)) is not None


def _own_inputs(old: Run, plan: str, there: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a run that a plan which comes from it still names, and the notebook does not hold."""
    read = {name for each in old.rounds if each.plan is not None for name in each.plan.inputs} - there.keys()
    found = {name: old.inputs[name] for name in read if name in old.inputs and re.search(rf"\b{name}\b", plan)}
    for name, value in found.items():
        if lost := unstored(value):
            raise OptionError(
                f"%%plan: the input {name} was not stored ({lost.reason}): assign it to the variable {name} again"
            )
    return found


def _noting_variables(plan: Plan, old: Run) -> Plan:
    """Return a plan that comes from a run, with notes if it reads variables of the notebook that were tasks there.

    A task that was deleted, or stands below what reads it, may have left a variable: that one is read.
    """
    before = {task.name for task in old.progress.variables} - old.inputs.keys()
    lines = {name: task.line for task in reversed(plan.tasks) for name in task.inputs}
    last = plan.text.rstrip().count("\n") + 1
    read = [(lines.get(name, last), name) for name in plan.inputs if name in before]
    told = "is not a task above this line, so the notebook's variable is read"
    return replace(plan, notes=(*plan.notes, *(f"line {line}: {name} {told}" for line, name in sorted(read))))


def _overrides(desk: Desk, said: Line, plan: Plan | None) -> dict[str, Any]:
    """Return the values that a cell gives to tasks of its plan, by id."""
    if plan is None or "override" not in said.given:
        return {}
    values = desk.memory.names.assigned(said.given["override"], "%%plan: --override")
    try:
        return {plan.id_of(without_quotes(name)): value for name, value in values.items()}
    except KeyError as error:
        raise OptionError(f"%%plan: --override: {error.args[0]}") from None


def _parse(desk: Desk, compiler: Compiler, question: Question) -> Plan:
    """Return the plan in the cell; without a last line, the value of its last statement is the answer."""
    tools, text = compiler.settings.tools, question.said.plan
    try:
        return Plan.parse(text, tools=tools, inputs=tuple(question.inputs), implied="value")
    except PlanError as error:
        told = naming_functions(error, desk.memory.names.visible())
        raise counted_in_cell(told, lines_above(desk.shell, text)) from None
