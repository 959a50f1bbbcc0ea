"""What a cell waits for: the making of a plan, or a run. It is begun, can be stopped from any thread, and finishes."""

from __future__ import annotations

import contextlib
from typing import Any, Final, NamedTuple

from compiler_nb.compiler import Compiler
from compiler_nb.drive import give_up, plan_of
from compiler_nb.engine.background import BACKGROUND, MainThread
from compiler_nb.engine.printout import Labels
from compiler_nb.engine.prints import ROUTER
from compiler_nb.errors import ClusterError
from compiler_nb.events import Event, RunEnded
from compiler_nb.models.base import Request
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.live.view import View
from compiler_nb.notebook.loop import Detached
from compiler_nb.notebook.models import show_prompt
from compiler_nb.notebook.options import Line
from compiler_nb.notebook.output import show
from compiler_nb.notebook.output.answer import has_answer
from compiler_nb.notebook.output.errors import shortened
from compiler_nb.notebook.output.failed import run_failed
from compiler_nb.notebook.output.footer import footer_of
from compiler_nb.notebook.output.parts import close_figures
from compiler_nb.notebook.output.presenter import display, front_of, look_of
from compiler_nb.notebook.variables.binding import variables
from compiler_nb.outcome import is_followed
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.run import Run
from compiler_nb.settings.order import Order
from compiler_nb.signature.answers import AnswerType

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
        draw_plan(desk, said, plan_of(run), footer_of(run, binding, times=False))


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
        without = run.status in ("failed", "limit") and not has_answer(run) and not self.question.prompts
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
        if said.answer and has_answer(run):
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


def draw_plan(desk: Desk, said: Line, plan: Plan, last: str = "") -> None:
    """Show a plan that is not run, unless the cell is to show nothing; last: the line below it."""
    look = look_of(desk, said.given)
    if not look.quiet:
        display(show.plan_bundle(plan, look, last))
