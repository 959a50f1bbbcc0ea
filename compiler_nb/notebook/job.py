"""From what a cell says to what it waits for: a run or the making of a plan, and what follows its end."""

from __future__ import annotations

import contextlib
import functools
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from compiler_nb.compare.cases import Case
from compiler_nb.compiler import Compiler
from compiler_nb.drive import give_up, plan_of
from compiler_nb.engine.background import BACKGROUND, MainThread
from compiler_nb.engine.cluster.engine import read_engine
from compiler_nb.engine.printout import Labels
from compiler_nb.engine.prints import ROUTER
from compiler_nb.errors import ClusterError, CompilerError, OptionError, PlanError
from compiler_nb.events import Event, RunEnded
from compiler_nb.models.base import Request
from compiler_nb.models.cassette import Recorder
from compiler_nb.models.hand import HandModel
from compiler_nb.notebook.cassettes import models_of
from compiler_nb.notebook.cell import identity, lines_above
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.examples import fitting, without_each
from compiler_nb.notebook.grids import GridJob, is_grid
from compiler_nb.notebook.live.view import RERUN, View
from compiler_nb.notebook.loop import Detached
from compiler_nb.notebook.models import YOUR_TURN, is_hand, no_model_for, roles_of, show_prompt
from compiler_nb.notebook.options import Line, help_text, read
from compiler_nb.notebook.output import show
from compiler_nb.notebook.output.errors import counted_in_cell, naming_functions, shortened
from compiler_nb.notebook.output.failed import run_failed
from compiler_nb.notebook.output.parts import close_figures
from compiler_nb.notebook.output.presenter import display, front_of, look_of, say
from compiler_nb.notebook.prompts import all_saved, chosen_prompts
from compiler_nb.notebook.runs import cache_in, find_run, history_of
from compiler_nb.notebook.shipped import called_in, offered_unasked
from compiler_nb.notebook.variables.binding import variables
from compiler_nb.notebook.variables.namespace import without_quotes
from compiler_nb.outcome import is_followed, unstored
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.prompts.data import SHARES
from compiler_nb.run import Run
from compiler_nb.settings.order import Order
from compiler_nb.settings.settings import APPROVE
from compiler_nb.signature.answers import AnswerType
from compiler_nb.signature.expressions import read_type
from compiler_nb.text import cut, suggest

PASSED_ON: Final = (
    "dialect", "share", "preview", "max_concurrency", "max_replans", "max_repairs", "timeout", "limits", "approve",
    "learn_shapes", "drop_failed", "bounds", "cache", "tool_tokens",
)  # fmt: skip
"""Settings of `%config` and options that a Compiler takes as they are."""
FOR_PLANS: Final = {
    "check": "--check is for %%plan; -N makes and draws a plan for a question",
    "source": "--from is for %%plan; to go on with a run: %compile rerun",
    "override": "--override is for %%plan and %compile rerun: a question has no tasks yet that could be named",
}
"""Options that only the cell of a plan takes, by field, and what is said if a question is given one."""
LARGEST_BOUND: Final = 200_000_000
"""Bytes up to which a value that stayed on a cluster comes home to be bound."""
BLOCKED: Final = "a tool blocks the event loop and cannot be stopped; it goes on until the kernel ends"


class Question(NamedTuple):
    """What a cell asks: what it says, the question with variables pasted, the inputs, the cell's identity.

    prompts: if a person is the planner, what the person is asked comes in here; answer_type: what the answer is to be.
    """

    said: Line
    text: str
    inputs: dict[str, Any]
    cell: str
    prompts: list[Request]
    answer_type: AnswerType | None = None


# ---------------------------------------------------------------- begin


def begin_cell(  # noqa: PLR0911 - one for each kind of cell
    desk: Desk, magic: str, line: str, body: str, *, outermost: bool
) -> PlanJob | RunJob | GridJob | None:
    """Begin what a cell says; return what the cell waits for, or None if there is nothing to wait for.

    Raises OptionError if the line is wrong, PlanError or NoModel if nothing can run.
    """
    said = read(magic, line, body)
    if said.given.get("help") or not (said.plan.strip() if magic == "plan" else said.question):
        is_turn = magic == "plan" and said.question and not said.given.get("help")
        say(YOUR_TURN if is_turn else help_text(magic))
        return None
    _check_for_plans(magic, said)
    names, old = desk.memory.names, _source(desk, said)
    wanted = [*said.given.get("inputs", ()), *names.named_in(said.question), *names.read_by(said.plan)]
    inputs = names.inputs(dict.fromkeys(wanted))
    if old is not None:
        inputs |= _own_inputs(old, said.plan, inputs)
    cell = identity(desk.shell, outermost=outermost, text=f"{magic} {line}\n{body}")
    question = Question(said, names.paste(said.question), inputs, cell, [], read_answer_type(desk, said.given))
    compiler = _compiler(desk, question)
    after = _run_before(desk, magic, said)
    if after is not None:  # what the history could not store may still be a variable
        inputs |= {name: each for name, each in names.visible().items() if _is_lost(name, after, inputs)}
    if is_grid(said.given):
        _check_for_one(said)
        case = Case(question.text, None, inputs)
        return GridJob(desk, said, compiler, case, cell, answer_type=question.answer_type).begin()
    _check_approved(said, compiler)
    if magic == "compile" and compiler.settings.planner is None:
        with _nothing_stale(desk, cell):
            raise no_model_for(names)
    if said.given.get("check"):
        say(_checked(desk, compiler, question))
        return None
    if not said.plan and _is_written_by_hand(compiler):
        desk.memory.binder.bind(cell, {})  # the next cell carries the question on, and leaves its results
        return PlanJob(desk, question, compiler)
    if said.given.get("execute", True):
        with _nothing_stale(desk, cell):
            plan = _parse(desk, compiler, question) if said.plan else None
            plan = plan if plan is None or old is None else _noting_variables(plan, old)
            source, overrides = compiler.recall(old) if old is not None else None, _overrides(desk, said, plan)
            order = compiler.order(
                question.text, plan=plan, inputs=inputs, source=source, overrides=overrides,
                answer_type=question.answer_type, after=compiler.recall(after) if after is not None else None,
            )  # fmt: skip
        return RunJob(desk, question, compiler, order).begin()
    if said.plan:
        _draw(desk, said, _parse(desk, compiler, question))
        return None
    return PlanJob(desk, question, compiler, after)


def _check_approved(said: Line, compiler: Compiler) -> None:
    """Raise OptionError if a cell approves a tool that it does not offer: nothing would be approved by that."""
    tools, approved = compiler.settings.tools, said.given.get("approve", "ask")
    for name in () if approved in APPROVE else approved:
        if name not in tools:
            ways = f"It takes {', '.join(APPROVE)}, or names of tools"
            raise OptionError(f"--approve: no tool is called {name!r}.{suggest(name, [*APPROVE, *tools])} {ways}")


def _check_for_one(said: Line) -> None:
    """Raise OptionError if a table of runs is given an option that is for one question."""
    if "after" in said.given:
        raise OptionError("--after is for one question at a time: leave it out, or --variants and --repeat")


def _run_before(desk: Desk, magic: str, said: Line) -> Run | None:
    """Return the run that a question follows, None if it follows none."""
    if "after" not in said.given:
        return None
    if magic == "plan":
        raise OptionError("%%plan: --after is for questions; a plan reads variables, and --from RUN takes over a run")
    return find_run(desk, said.given["after"])


def _is_lost(name: str, run: Run, given: Mapping[str, Any]) -> bool:
    """Whether an input of a run was not stored, and is not given."""
    return name not in given and unstored(run.inputs.get(name)) is not None


def read_answer_type(desk: Desk, given: Mapping[str, Any], old: Run | None = None) -> AnswerType | None:
    """Return what the answer is to be, as `--as` says it, or as an earlier run has it; None if that is open.

    Raises OptionError if it is no type, or none that is known in the notebook.
    """
    text = given.get("answer_type", "")
    if not text and (old is None or old.order.answer_type is not None):
        return old.order.answer_type if old is not None else None
    if not (text := text or (old.answer_type if old is not None else "")):
        return None
    try:
        return AnswerType(read_type(text, desk.memory.names.visible()))
    except ValueError as error:
        raise OptionError(f"--as {cut(text, 60)}: {error}") from None


def _is_written_by_hand(compiler: Compiler) -> bool:
    return isinstance(compiler.settings.planner, HandModel)


def _checked(desk: Desk, compiler: Compiler, question: Question) -> str:
    """Return how the plan in a cell was read; raises PlanError with all that is wrong with it."""
    return f"no problems\n{_parse(desk, compiler, question).explain()}"


def _check_for_plans(magic: str, said: Line) -> None:
    """Raise OptionError if a question is given an option that is for a plan in the cell."""
    for field, instead in FOR_PLANS.items() if magic == "compile" else ():
        if field in said.given:
            raise OptionError(f"%%compile: {instead}")


def _source(desk: Desk, said: Line) -> Run | None:
    """Return the run that the plan in a cell comes from, None if it says none."""
    return find_run(desk, said.given["source"]) if "source" in said.given else None


def _own_inputs(old: Run, plan: str, there: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a run that a plan which comes from it still names, and the notebook does not hold."""
    read = {name for each in old.rounds if each.plan is not None for name in each.plan.inputs} - there.keys()
    found = {name: old.inputs[name] for name in read if name in old.inputs and re.search(rf"\b{name}\b", plan)}
    for name, value in found.items():
        if lost := unstored(value):
            raise OptionError(f"%%plan: the input {name} was not stored ({lost.reason}): make it again as {name}")
    return found


def _noting_variables(plan: Plan, old: Run) -> Plan:
    """Return a plan that comes from a run, with notes if it reads variables of the notebook that were tasks there.

    A task that was deleted, or stands below what reads it, may have left a variable: that one is read.
    """
    before = {task.name for task in old.progress.variables} - old.inputs.keys()
    lines = {name: task.line for task in reversed(plan.tasks) for name in task.inputs}
    last = plan.text.rstrip().count("\n") + 1
    read = [(lines.get(name, last), name) for name in plan.inputs if name in before]
    told = "is no task above this line, so the notebook's variable is read"
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


def begin_again(
    desk: Desk,
    old: Run,
    *,
    start: str = "",
    failed: bool = False,
    overrides: Mapping[str, Any] | None = None,
    take: bool = False,
    given: Mapping[str, Any] | None = None,
    answer: str = "",
    view: View | None = None,
) -> RunJob | None:
    """Begin a run that goes on with one that did not finish, or repeats its plan; return what is waited for.

    given, answer: the options, and the name for the answer, as in a cell's line; view: where it is to be shown.
    """
    # what the history could not store is taken from the notebook's variables, if they are still there
    own = {name: value for name, value in old.inputs.items() if unstored(value) is None}
    lost = {name: desk.memory.names.get(name, "rerun") for name in old.inputs if name not in own}
    options = _settings_of(old, desk) | _with_models_of(old, desk, given or {})
    said = Line(options, answer, old.question, kept=desk.memory.kept.get(old.id, ""))
    question = Question(said, old.question, own | lost, f"rerun {said.given.get('out', 'run')}", [])
    compiler = _compiler(desk, question, old)
    old = compiler.recall(old)
    with _nothing_stale(desk, question.cell):
        wanted = read_answer_type(desk, said.given, old)
        if old.status == "done" or start or failed or overrides:
            order = compiler.order_again(
                old, start, overrides, failed=failed, inputs=lost, take=take, answer_type=wanted
            )
        else:
            order = compiler.order_resumed(old, lost, take=take, answer_type=wanted)
    return RunJob(desk, question, compiler, order, view).begin()


def _settings_of(old: Run, desk: Desk) -> dict[str, Any]:
    """Return the options of a run that its rerun keeps; of two shares, of the run and the notebook, that of less."""
    kept: dict[str, Any] = {
        "share": min(old.settings.share, desk.settings.share, key=SHARES.index),
        "drop_failed": old.settings.drop_failed or desk.settings.drop_failed,
    }
    label = old.settings.variants.get("joiner", "")
    if any(each.label == label for each in all_saved(desk) if each.role == "joiner"):
        kept["joiner_prompt"] = label
    return kept


def _with_models_of(old: Run, desk: Desk, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a rerun; where neither they nor the notebook name a model, the old run's own answers."""
    if any(name in given for name in ("record", "replay")) or desk.settings.replay:
        return dict(given)
    own = {role: model.model if isinstance(model, Recorder) else model for role, model in old.settings.roles.items()}
    named = roles_of(desk, given)
    return {role: model for role, model in own.items() if named[role] is None and not is_hand(model)} | dict(given)


def offer_reruns(desk: Desk) -> None:
    """Let the details of a task in a view run the plan again from there, as `%compile rerun` does."""
    RERUN[:] = [functools.partial(_rerun_in, desk)]


def _rerun_in(desk: Desk, view: View, start: str) -> None:
    """Begin a rerun when the kernel is idle, and show it in the view; may be called on any thread."""

    def begin() -> None:
        try:
            begin_again(desk, view.run, start=start, given={"background": True}, view=view)
        except CompilerError as error:
            view.refuse(start, str(error))

    if threading.current_thread() is threading.main_thread():
        desk.idle.attach()
    desk.idle.post(begin)


def begin_ablation(desk: Desk, text: str, given: dict[str, Any]) -> GridJob:
    """Begin to ask a question with all examples of the notebook, and without each of them in turn.

    given: options of a cell.
    """
    names, said = desk.memory.names, Line(given, question=text)
    question = Question(said, names.paste(text), names.inputs(names.named_in(text)), "ablate", [])
    compiler = _compiler(desk, question)
    case, examples = Case(question.text, None, question.inputs), desk.memory.examples
    variants = without_each(examples, compiler.settings.dialect, compiler.settings.tools)
    return GridJob(desk, said, compiler, case, question.cell, {"all": {}, **variants}).begin()


@contextlib.contextmanager
def _nothing_stale(desk: Desk, cell: str) -> Iterator[None]:
    """If nothing can run, delete the variables of the cell's previous run, which are stale now."""
    try:
        yield
    except CompilerError:
        desk.memory.binder.bind(cell, {})
        raise


def _compiler(desk: Desk, question: Question, again: Run | None = None) -> Compiler:
    """Return the compiler for a cell; again: the run that it repeats, or goes on with.

    A person can only be the planner, so other roles of `hand` have no model.
    """
    given, models = question.said.given, models_of(desk, question.said.given)
    roles: dict[str, Any] = {role: None if is_hand(model) else model for role, model in models.items()}
    if is_hand(models["planner"]):
        roles["planner"] = HandModel(question.prompts.append)
    settings: dict[str, Any] = {name: desk.setting(given, name) for name in PASSED_ON}
    settings["prompts"] = chosen_prompts(desk, given)
    names, engine = desk.memory.names, desk.setting(given, "engine")
    tools = names.tools(given.get("tools"))
    if "tools" not in given:
        called = (
            called_in(question.said.plan) if again is None else {task.tool for task in again.progress.tasks.values()}
        )
        tools = tools.plus(offered_unasked(question.inputs, called, names.visible()))
    asks_only = is_hand(models["planner"]) and not question.said.plan  # which is no run to keep
    history = None if asks_only else history_of(desk)
    try:
        settings["engine"] = read_engine(engine, names.visible())
        budget = None if is_grid(given) else given.get("budget")  # a grid's is for all its runs together
        compiler = Compiler(None, tools, **(roles | settings), budget=budget, history=history)
        if desk.memory.examples and not question.said.plan:
            _show_examples(desk, compiler)
    except (ValueError, TypeError) as error:
        raise OptionError(str(error)) from None
    compiler.seen = desk.memory.seen
    if compiler.settings.cache != "off":
        compiler.cache = cache_in(desk)
    return compiler


def _show_examples(desk: Desk, compiler: Compiler) -> None:
    """Have the planner shown the notebook's examples, as far as they fit; a warning says which do not, and why."""
    settings = compiler.settings
    pairs, left_out = fitting(desk.memory.examples, settings.dialect, settings.tools)
    for words in left_out:
        warnings.warn(words, stacklevel=2)
    compiler.settings = replace(settings, examples=tuple(pairs))
    compiler.given["examples"] = tuple(pairs)  # of which its variants are made


def _parse(desk: Desk, compiler: Compiler, question: Question) -> Plan:
    """Return the plan in the cell; without a last line, the value of its last statement is the answer."""
    tools, text = compiler.settings.tools, question.said.plan
    try:
        return Plan.parse(text, tools=tools, inputs=tuple(question.inputs), implied="value")
    except PlanError as error:
        told = naming_functions(error, desk.memory.names.visible())
        raise counted_in_cell(told, lines_above(desk.shell, text)) from None


def _draw(desk: Desk, said: Line, plan: Plan, last: str = "") -> None:
    look = look_of(desk, said.given)
    if not look.quiet:
        display(show.plan_bundle(plan, look, last))


# ---------------------------------------------------------------- jobs


class PlanJob:
    """Makes the plan for a question, and draws it; its run, which ends with the plan, is kept."""

    def __init__(self, desk: Desk, question: Question, compiler: Compiler, after: Run | None = None) -> None:
        self.desk, self.question = desk, question
        self.kernel = desk.setting(question.said.given, "loop") == "kernel"
        self.main = MainThread()
        before = compiler.recall(after) if after is not None else None
        order = compiler.order_planned(question.text, question.inputs, answer_type=question.answer_type, after=before)
        self.run, self.work = compiler.begin(order)

    def stop(self) -> None:
        """Stop planning, from any thread."""
        if self.run.events:
            self.run.cancel()

    def finish(self, interrupted: bool) -> None:  # noqa: FBT001 - its only argument
        """Bind the run and draw the plan, or raise what prevented it."""
        desk, said, run = self.desk, self.question.said, self.run
        if show_prompt(desk.shell, self.question.prompts, said.head, self.question.text):
            return
        desk.memory.add(run, said.kept)
        binding = desk.memory.binder.bind_more(self.question.cell, {said.given.get("out", "run"): run})
        if interrupted:
            raise shortened(KeyboardInterrupt("planning was stopped"))
        _draw(desk, said, plan_of(run), show.footer(run, binding, times=False))


class RunJob:
    """A run in a cell: it is shown while it goes on, and its results become variables when it has ended."""

    def __init__(
        self, desk: Desk, question: Question, compiler: Compiler, order: Order, view: View | None = None
    ) -> None:
        given = question.said.given
        self.desk, self.question = desk, question
        self.name: str = given.get("out", "run")
        self.kernel = desk.setting(given, "loop") == "kernel"
        self.main = MainThread()
        self.presenter, ask = front_of(desk, given, self.main, view)
        self.detached = Detached(self.main, desk.idle) if given.get("background") else None
        self.labels = Labels(ROUTER.write_plain)
        self.run, self.work = compiler.begin(order, on_event=self._listen, ask=ask, main=self.main.post)

    def begin(self) -> RunJob | None:
        """Show the run, and return what the cell waits for; in the background the run is left to itself."""
        self.desk.memory.add(self.run, self.question.said.kept)
        offer_reruns(self.desk)
        self.presenter.begin(self.run)
        self.run.control.printed = self.labels.show
        if self.detached is None:
            return self
        self.desk.memory.binder.bind_more(self.question.cell, {self.name: self.run})
        self.detached.start(self.work, self._bind_and_show)
        return None

    def _listen(self, event: Event) -> None:
        """Show what happened; called on the run's thread."""
        self.labels.event(event)
        self.presenter.event(event)
        if self.detached is not None and isinstance(event, RunEnded):
            # before those who wait for the run hear of it: the next cell finds its results bound
            self.detached.over()

    def stop(self) -> None:
        """Stop the run, from any thread."""
        self.run.cancel()

    def finish(self, interrupted: bool) -> None:  # noqa: FBT001 - its only argument
        """Bind the results and show the run; raise KeyboardInterrupt after an interrupt, RunFailed without answer."""
        run, said = self.run, self.question.said
        # a blocked loop can end nothing, so the run is ended here, and later runs get another loop
        if interrupted and run.status == "running" and not self.kernel and BACKGROUND.give_up():
            give_up(run, BLOCKED)
        without = run.status in ("failed", "limit") and not show.has_answer(run) and not self.question.prompts
        raises = without and not interrupted and said.given.get("raises", True)
        self._bind_and_show(raises=raises)
        if interrupted:
            raise shortened(KeyboardInterrupt("the run was stopped; finished results are kept"))
        if raises:
            raise run_failed(run, show.outcome_text(run))
        show_prompt(self.desk.shell, self.question.prompts, said.head, self.question.text)

    def _bind_and_show(self, *, raises: bool = False) -> None:
        """Bind the results, the answer and the run, and show the run; called in the main thread.

        raises: whether the cell ends in an error that says why there is no answer.
        """
        run, said = self.run, self.question.said
        self.labels.end()
        tasks = _own_variables(run) if said.given.get("bind", True) else ()
        with contextlib.suppress(ClusterError):  # what cannot come home is not bound
            run.bring_home([task.id for task in tasks], LARGEST_BOUND)
        wanted, without = variables(tasks, run.progress.outcomes, said.given.get("prefix", ""))
        if said.answer and show.has_answer(run):
            wanted[said.answer] = run.answer
        elif said.answer:
            without.append((said.answer, "no answer"))
        wanted[self.name] = run
        self.presenter.end(run, self.desk.memory.binder.bind(self.question.cell, wanted, without), raises=raises)
        close_figures(run.answer)


def _own_variables(run: Run) -> list[Task]:
    """Return the tasks that leave variables; what an earlier run has left is that one's, and stays as it is."""
    progress = run.progress
    return [
        task
        for task in progress.variables
        if task.id not in progress.ends or not is_followed(progress.ends[task.id].how)
    ]
