"""The magics: `%%compile`, `%%plan` and `%compile VERB`. Each parses, calls and shows; the work is done elsewhere."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from traitlets import Any as AnyTrait
from traitlets import Bool, Enum, Float, Int, default

from compiler_nb.background import MainThread
from compiler_nb.compiler import Compiler
from compiler_nb.errors import CompilerError, OptionError, RunFailed
from compiler_nb.models.connect import no_model
from compiler_nb.notebook import loop, models, show, verbs
from compiler_nb.notebook.ask import asker
from compiler_nb.notebook.cell import identity
from compiler_nb.notebook.hand import Hand
from compiler_nb.notebook.namespace import Namespace, variables
from compiler_nb.notebook.options import Line, help_text, read
from compiler_nb.plan.task import Plan

if TYPE_CHECKING:
    from compiler_nb.models.base import Model
    from compiler_nb.notebook.namespace import Binding
    from compiler_nb.notebook.show import Presenter
    from compiler_nb.run import Run

KEPT_RUNS: Final = 50
Error = TypeVar("Error", bound=BaseException)


class Job(NamedTuple):
    """What a cell waits for: a coroutine, what stops it, its jobs for the main thread, and what follows its end.

    finish is told whether an interrupt stopped it, and may raise; kernel: whether it lives on the kernel's loop.
    """

    work: loop.Work
    stop: Callable[[], None]
    main: MainThread
    finish: Callable[[bool], None]
    kernel: bool = False


@magics_class
class CompileMagics(Magics):  # type: ignore[misc]  # IPython's classes are untyped
    """`%%compile` answers a question, `%%plan` runs a plan, `%compile VERB` does the rest."""

    model = AnyTrait(None, help="provider:model, a Model, or the name of a variable that holds one").tag(config=True)
    planner = AnyTrait(None, help="another model for the planner").tag(config=True)
    joiner = AnyTrait(None, help="another model for the joiner").tag(config=True)
    worker = AnyTrait(None, help="another model for the tools llm and extract").tag(config=True)
    dialect = Enum(("python", "numbered", "json"), "python", help="the planner's language").tag(config=True)
    share = Enum(("all", "summary", "none"), "all", help="what of contents models see").tag(config=True)
    preview = Bool(False, help="show contents of results when asking for another plan").tag(config=True)
    max_concurrency = Int(8, min=1, help="calls of tools at a time").tag(config=True)
    max_replans = Int(2, min=0, help="further plans at most").tag(config=True)
    max_repairs = Int(1, min=0, help="second tries for a plan that is none").tag(config=True)
    timeout = Float(None, allow_none=True, min=1e-3, help="seconds that a run may take").tag(config=True)
    approve = AnyTrait("ask", help="side effects: ask, auto, deny, or names of approved tools").tag(config=True)
    layout = Enum(("auto", "graphviz", "own"), "auto", help="what lays pictures out").tag(config=True)
    loop = Enum(("own", "kernel"), "own", help="whose event loop runs are on").tag(config=True)
    live = Bool(help="off: one output that is the same from run to run").tag(config=True)

    def __init__(self, shell: Any, names: Namespace | None = None, **kwargs: Any) -> None:
        super().__init__(shell, **kwargs)
        self.names = names or Namespace(shell.user_ns)
        self.runs: deque[Run] = deque(maxlen=KEPT_RUNS)
        self.idle = loop.Idle(shell)
        self.connected: dict[str, Model] = {}

    @default("live")
    def _live_by_environment(self) -> bool:
        return os.environ.get("COMPILER_NB_LIVE", "1") != "0"

    # ---------------------------------------------------------------- the magics

    @no_var_expand
    @cell_magic("compile")
    def compile_cell(self, line: str, body: str) -> None:
        """Answer the question in the cell: `%%compile -h` lists the options."""
        self._block("compile", line, body)

    @no_var_expand
    @cell_magic("plan")
    def plan_cell(self, line: str, body: str) -> None:
        """Run the plan in the cell: `%%plan -h` lists the options."""
        self._block("plan", line, body)

    @no_var_expand
    async def compile_awaited(self, line: str, body: str) -> None:
        """Answer the question in the outermost cell, which awaits this."""
        await self._await("compile", line, body)

    @no_var_expand
    async def plan_awaited(self, line: str, body: str) -> None:
        """Run the plan in the outermost cell, which awaits this."""
        await self._await("plan", line, body)

    @no_var_expand
    @line_magic("compile")
    def compile_line(self, line: str) -> None:
        """Do the rest: `%compile help` lists the verbs."""
        with tidy():
            verbs.perform(self, line)

    def _block(self, magic: str, line: str, body: str) -> None:
        with tidy():
            job = self._job(magic, line, body, outermost=False)
            if job is not None:
                job.finish(loop.block(job.work, job.stop, job.main, kernel=job.kernel))

    async def _await(self, magic: str, line: str, body: str) -> None:
        with tidy():
            job = self._job(magic, line, body, outermost=True)
            if job is not None:
                job.finish(await loop.wait(job.work, job.stop, job.main, kernel=job.kernel))

    # ---------------------------------------------------------------- what a cell asks for

    def _job(self, magic: str, line: str, body: str, *, outermost: bool) -> Job | None:
        """Return what a cell waits for; None where it has been served at once."""
        said = read(magic, line, body)
        if said.given.get("help") or not (said.plan.strip() if magic == "plan" else said.question):
            show.say(help_text(magic))
            return None
        cell = identity(self.shell, outermost=outermost, text=f"{magic} {line}\n{body}")
        hand = Hand()
        compiler = self._compiler(said.given, hand)
        question = self.names.paste(said.question)
        offered = [*said.given.get("inputs", ()), *self.names.named_in(said.question), *self.names.read_by(said.plan)]
        inputs = self.names.inputs(dict.fromkeys(offered))
        kernel = self._setting(said.given, "loop") == "kernel"
        if not said.given.get("execute", True):
            return self._job_of_plan(compiler, said, question, inputs, kernel=kernel)
        return self._job_of_run(compiler, said, question, inputs, cell=cell, hand=hand, kernel=kernel)

    def _setting(self, given: Mapping[str, Any], name: str) -> Any:
        return given[name] if name in given else getattr(self, name)

    def look(self, given: Mapping[str, Any]) -> show.Look:
        """Return how runs are shown, by a cell's options and the settings."""
        views = given.get("display", show.DEFAULT_VIEWS)
        return show.Look(views, self.layout, self._setting(given, "live"), given.get("quiet", False))

    def roles(self, given: Mapping[str, Any]) -> dict[str, Model | None]:
        """Return the model for each role, None where there is none."""
        own = self._connect(self._setting(given, "model"))
        return {role: self._connect(self._setting(given, role)) or own for role in models.ROLES}

    def _connect(self, spec: Any) -> Model | None:
        """Return the model that a setting means; one that is connected by name is kept, and its connections with it."""
        if isinstance(spec, str) and spec in self.connected and spec not in self.names.values:
            return self.connected[spec]
        model = models.find(spec, self.names)
        if model is not None and isinstance(spec, str) and ":" in spec:
            self.connected[spec] = model
        return model

    def _compiler(self, given: Mapping[str, Any], hand: Hand) -> Compiler:
        roles = self.roles(given)
        by_hand = models.is_hand(roles["planner"])
        roles = {role: None if models.is_hand(model) else model for role, model in roles.items()}
        if by_hand:
            roles["planner"] = hand.model
        options = ("dialect", "share", "preview", "max_concurrency", "max_replans", "max_repairs", "timeout", "approve")
        settings = {name: self._setting(given, name) for name in options}
        try:
            tools = self.names.tools(given.get("tools"))
            return Compiler(None, tools, **roles, **settings, budget=given.get("budget"))
        except (ValueError, TypeError) as error:
            raise OptionError(str(error)) from None

    # ---------------------------------------------------------------- plans and runs

    def _job_of_plan(
        self, compiler: Compiler, said: Line, question: str, inputs: dict[str, Any], *, kernel: bool
    ) -> Job:
        """Return the making and drawing of a plan that is not run."""
        if not said.plan and compiler.planner is None:
            raise no_model()
        planning = loop.Stoppable(_made(compiler, said.plan, inputs) if said.plan else compiler.plan(question, inputs))

        def finish(interrupted: bool) -> None:  # noqa: FBT001 - a Job's shape
            if interrupted:
                raise interruption()
            look = self.look(said.given)
            if not look.quiet:
                show.display(show.plan_bundle(planning.result, look))

        return Job(planning.perform(), planning.stop, MainThread(), finish, kernel)

    def _job_of_run(
        self, compiler: Compiler, said: Line, question: str, inputs: dict[str, Any], *, cell: str, hand: Hand, kernel: bool
    ) -> Job | None:
        """Begin a run; in the background it is left to itself, and there is no job."""
        main, given = MainThread(), said.given
        background, name = given.get("background", False), given.get("out", "run")
        look = self.look(given)
        presenter: Presenter = show.Replaced(look, name) if background else show.Still(look)
        try:
            run, work = compiler.begin(
                question,
                plan=said.plan or None,
                inputs=inputs,
                on_event=presenter.event,
                ask=None if background else asker(main),
                main=main.post,
            )
        except CompilerError:
            self.names.bind(cell, {})  # what an earlier run of the cell has left is stale
            raise
        self.runs.append(run)
        presenter.begin(run)
        if background:
            self.names.bind_more(cell, {name: run})
            loop.start(work, main, self.idle, lambda: self._end(run, presenter, said, cell))
            return None

        def finish(interrupted: bool) -> None:  # noqa: FBT001 - a Job's shape
            if hand.request is not None:
                self.runs.remove(run)
                self.names.bind(cell, {})
                hand.show(self.shell, said.head, question)
                return
            self._end(run, presenter, said, cell)
            if interrupted:
                raise interruption()
            if given.get("raises", True) and run.status in ("failed", "limit") and not show.has_answer(run):
                raise RunFailed(show.outcome_text(run), run)

        return Job(work, run.cancel, main, finish, kernel)

    def _end(self, run: Run, presenter: Presenter, said: Line, cell: str) -> None:
        presenter.end(run, self._bind(run, said, cell))

    def _bind(self, run: Run, said: Line, cell: str) -> Binding:
        """Bind the results, the answer and the run, in the main thread."""
        wanted: dict[str, Any] = {}
        without: list[tuple[str, str]] = []
        if said.given.get("bind", True):
            tasks = {id_: task for id_, task in run.tasks.items() if "[" not in id_}
            wanted, without = variables(tasks, run.outcomes, said.given.get("prefix", ""))
        if said.answer and show.has_answer(run):
            wanted[said.answer] = run.answer
        elif said.answer:
            without.append((said.answer, "no answer"))
        wanted[said.given.get("out", "run")] = run
        return self.names.bind(cell, wanted, without)


async def _made(compiler: Compiler, text: str, inputs: Mapping[str, Any]) -> Plan:
    """Return the plan that a cell holds; raises PlanError with all its problems."""
    return Plan.parse(text, tools=verbs.offered(compiler), inputs=tuple(inputs), implied="value")


def interruption() -> KeyboardInterrupt:
    """Return what an interrupted cell raises; it shows one line."""
    return shortened(KeyboardInterrupt("the run was stopped; what had finished is kept"))


def shortened(error: Error) -> Error:
    """Return an error that a notebook shows as its message alone."""
    error._render_traceback_ = lambda: [f"{type(error).__name__}: {error}"]  # type: ignore[attr-defined]  # noqa: SLF001
    return error


@contextlib.contextmanager
def tidy() -> Iterator[None]:
    """Let errors of ours show their message alone, without a traceback through our own files."""
    try:
        yield
    except CompilerError as error:
        raise shortened(error) from None
