"""From what a cell says to what it waits for: models, tools, inputs, a run, and what follows its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from compiler_nb.compiler import Compiler
from compiler_nb.drive import give_up
from compiler_nb.engine.background import BACKGROUND, MainThread
from compiler_nb.errors import CompilerError, OptionError, RunFailed
from compiler_nb.events import RunEnded
from compiler_nb.history import NotStored
from compiler_nb.models.connect import no_model
from compiler_nb.notebook import loop
from compiler_nb.notebook.ask import asker, page_asker
from compiler_nb.notebook.cell import identity
from compiler_nb.notebook.hand import Hand
from compiler_nb.notebook.models import is_hand, roles_of
from compiler_nb.notebook.options import Line, help_text, read
from compiler_nb.notebook.output import show
from compiler_nb.notebook.output.errors import shortened
from compiler_nb.notebook.output.front import front_end, look_of
from compiler_nb.notebook.output.presenter import Live, Presenter, Replaced, Still, display, say
from compiler_nb.notebook.runs import history_of
from compiler_nb.notebook.variables.binding import Binding, variables
from compiler_nb.plan.plan import Plan
from compiler_nb.tool import Toolbox
from compiler_nb.toolbox.language import make_language_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from compiler_nb.engine.approval import Ask
    from compiler_nb.events import Event
    from compiler_nb.notebook.desk import Desk
    from compiler_nb.run import Run

Begun: TypeAlias = "tuple[Run, Coroutine[Any, Any, None]]"
PASSED_ON = (
    "dialect", "share", "preview", "max_concurrency", "max_replans", "max_repairs", "timeout", "limits", "approve",
)  # fmt: skip


class Job(NamedTuple):
    """What a cell waits for: a coroutine, what stops it, its jobs for the main thread, and what follows its end.

    finish is told whether an interrupt stopped it, and may raise; kernel: whether it lives on the kernel's loop.
    """

    work: loop.Work
    stop: Callable[[], None]
    main: MainThread
    finish: Callable[[bool], None]
    kernel: bool = False


class Question(NamedTuple):
    """What a cell asks: what it says, its text with variables pasted, its inputs, its identity, a person as planner."""

    said: Line
    text: str
    inputs: dict[str, Any]
    cell: str
    hand: Hand
    kernel: bool


def make_job(desk: Desk, magic: str, line: str, body: str, *, outermost: bool) -> Job | None:
    """Return what a cell waits for; None where it has been served at once. Raises OptionError for a wrong line."""
    said = read(magic, line, body)
    if said.given.get("help") or not (said.plan.strip() if magic == "plan" else said.question):
        say(help_text(magic))
        return None
    names = desk.memory.names
    wanted = [*said.given.get("inputs", ()), *names.named_in(said.question), *names.read_by(said.plan)]
    question = Question(
        said,
        names.paste(said.question),
        names.inputs(dict.fromkeys(wanted)),
        identity(desk.shell, outermost=outermost, text=f"{magic} {line}\n{body}"),
        Hand(),
        desk.setting(said.given, "loop") == "kernel",
    )
    compiler = _compiler(desk, said.given, question.hand)
    make = _run_job if said.given.get("execute", True) else _plan_job
    return make(desk, compiler, question)


def _compiler(desk: Desk, given: Mapping[str, Any], hand: Hand) -> Compiler:
    """Return the compiler for a cell; a person plays the planner only, `hand` takes the prompt."""
    models = roles_of(desk, given)
    roles: dict[str, Any] = {role: None if is_hand(model) else model for role, model in models.items()}
    if is_hand(models["planner"]):
        roles["planner"] = hand.model
    settings: dict[str, Any] = {name: desk.setting(given, name) for name in PASSED_ON}
    tools = desk.memory.names.tools(given.get("tools"))
    try:
        return Compiler(None, tools, **(roles | settings), budget=given.get("budget"), history=history_of(desk))
    except (ValueError, TypeError) as error:
        raise OptionError(str(error)) from None


# ---------------------------------------------------------------- a plan that is not run


def _plan_job(desk: Desk, compiler: Compiler, question: Question) -> Job:
    """Return the making and drawing of a plan."""
    said = question.said
    if said.plan:
        planning = loop.Stoppable(_parse_later(compiler, question))
    elif compiler.settings.planner is None:
        raise no_model()
    else:
        planning = loop.Stoppable(compiler.plan(question.text, question.inputs))

    def finish(interrupted: bool) -> None:  # noqa: FBT001 - a Job's shape
        if question.hand.request is not None:
            question.hand.show(desk.shell, said.head, question.text)
            return
        if interrupted:
            raise interruption("planning was stopped")
        look = look_of(desk, said.given)
        if planning.error is not None:
            raise planning.error
        if not look.quiet:
            display(show.plan_bundle(planning.result, look))

    return Job(planning.perform(), planning.stop, MainThread(), finish, question.kernel)


async def _parse_later(compiler: Compiler, question: Question) -> Plan:
    return _parse(compiler, question)


def _parse(compiler: Compiler, question: Question) -> Plan:
    """Return the plan in the cell; without a last line its last statement's value is the answer."""
    tools = compiler.settings.tools
    return Plan.parse(question.said.plan, tools=tools, inputs=tuple(question.inputs), implied="value")


# ---------------------------------------------------------------- a run


def _run_job(desk: Desk, compiler: Compiler, question: Question) -> Job | None:
    """Begin the run of a question or a plan."""

    def begin(**front: Any) -> Begun:
        plan = _parse(compiler, question) if question.said.plan else None
        return compiler.begin(compiler.order(question.text, plan=plan, inputs=question.inputs), **front)

    return _job_of(desk, question, begin)


def make_again_job(desk: Desk, old: Run, *, start: str = "", failed: bool = False) -> Job | None:
    """Return what `%compile rerun` waits for: a run that goes on with one that did not finish, or repeats its plan."""
    said = Line({}, question=old.question)
    hand, own = Hand(), {name: value for name, value in old.inputs.items() if not isinstance(value, NotStored)}
    lost = {name: desk.memory.names.get(name, "rerun") for name in old.inputs if name not in own}
    question = Question(said, old.question, own | lost, "rerun", hand, desk.setting({}, "loop") == "kernel")
    compiler = _compiler(desk, {}, hand)
    old = compiler.recall(old)

    def begin(**front: Any) -> Begun:
        if old.status == "done" or start or failed:
            try:
                return compiler.begin(compiler.order_again(old, start, failed=failed, inputs=lost), **front)
            except KeyError as error:
                raise OptionError(str(error.args[0])) from None
        return compiler.begin(compiler.order_resumed(old, lost), **front)

    return _job_of(desk, question, begin)


def _job_of(desk: Desk, question: Question, begin: Callable[..., Begun]) -> Job | None:
    """Begin a run; in the background it is left to itself, and there is no job."""
    said, main, memory = question.said, MainThread(), desk.memory
    background, name = said.given.get("background", False), said.given.get("out", "run")
    look = look_of(desk, said.given)
    presenter, ask = _front(desk, said, look, main)
    detached = loop.Detached(main, desk.idle)

    def listen(event: Event) -> None:
        presenter.event(event)
        if background and isinstance(event, RunEnded):
            detached.over()

    try:
        run, work = begin(on_event=listen, ask=ask, main=main.post)
    except CompilerError:
        memory.binder.bind(question.cell, {})  # what an earlier run of the cell has left is stale
        raise
    memory.runs.append(run)
    presenter.begin(run)
    if background:
        memory.binder.bind_more(question.cell, {name: run})
        detached.start(work, lambda: presenter.end(run, bind(desk, run, question)))
        return None

    def finish(interrupted: bool) -> None:  # noqa: FBT001 - a Job's shape
        if question.hand.request is not None:
            memory.runs.remove(run)
            memory.binder.bind(question.cell, {})
            question.hand.show(desk.shell, said.head, question.text)
            return
        if interrupted and run.status == "running" and not question.kernel and BACKGROUND.give_up():
            give_up(run, "a tool blocks the event loop and cannot be stopped; it goes on until the kernel ends")
        presenter.end(run, bind(desk, run, question))
        if interrupted:
            raise interruption("the run was stopped; what had finished is kept")
        if said.given.get("raises", True) and run.status in ("failed", "limit") and not show.has_answer(run):
            raise shortened(RunFailed(show.outcome_text(run), run))

    return Job(work, run.cancel, main, finish, question.kernel)


def _front(desk: Desk, said: Line, look: show.Look, main: MainThread) -> tuple[Presenter, Ask | None]:
    """Return what shows a run, and what asks for approval: the page where it is heard, else the waiting cell."""
    background, front = said.given.get("background", False), front_end(desk, said.given)
    waiting = None if background else asker(main)
    if front == "page":
        live = Live(look)
        return live, page_asker(live.is_heard, waiting)
    if background:
        return Replaced(look, said.given.get("out", "run")), None
    if front == "terminal":
        from compiler_nb.notebook.output.lines import Lines  # noqa: PLC0415 - only there

        return Lines(look), waiting
    return Still(look), waiting


def bind(desk: Desk, run: Run, question: Question) -> Binding:
    """Bind the results, the answer and the run, in the main thread."""
    said = question.said
    wanted: dict[str, Any] = {}
    without: list[tuple[str, str]] = []
    if said.given.get("bind", True):
        tasks = {id_: task for id_, task in run.progress.tasks.items() if not task.owner}
        wanted, without = variables(tasks, run.progress.outcomes, said.given.get("prefix", ""))
    if said.answer and show.has_answer(run):
        wanted[said.answer] = run.answer
    elif said.answer:
        without.append((said.answer, "no answer"))
    wanted[said.given.get("out", "run")] = run
    return desk.memory.binder.bind(question.cell, wanted, without)


def interruption(message: str) -> KeyboardInterrupt:
    """Return what an interrupted cell raises; it shows one line."""
    return shortened(KeyboardInterrupt(message))


def offered(tools: Toolbox) -> Toolbox:
    """Return the tools that a plan may call beside the notebook's own."""
    return tools.plus(Toolbox(make_language_tools()))
