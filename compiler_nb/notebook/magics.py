"""The magics: `%%compile`, `%%plan` and `%compile VERB`. Each parses, calls and shows; the work is done elsewhere.

What does the work is imported by the first magic, so that loading the extension takes no time.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Enum, Float, Int, Unicode, default

from compiler_nb.errors import CompilerError, PlanError
from compiler_nb.notebook import loop as loops
from compiler_nb.notebook.output.mark import marked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compiler_nb.history.history import History
    from compiler_nb.models.base import Model
    from compiler_nb.notebook.variables.namespace import Namespace
    from compiler_nb.run import Run

KEPT_RUNS: Final = 50
HISTORY: Final = ".compiler_nb/runs.db"
"""Where the runs of a notebook are kept, beside it."""
Error = TypeVar("Error", bound=BaseException)


@dataclass
class Memory:
    """What outlives a reload of the extension: the variables that are ours, the runs, and models by their names."""

    names: Namespace
    runs: deque[Run] = field(default_factory=lambda: deque(maxlen=KEPT_RUNS))
    connected: dict[str, Model] = field(default_factory=dict)
    histories: dict[str, History] = field(default_factory=dict)  # by setting
    unwritten: set[str] = field(default_factory=set)  # settings whose files cannot be written


_MEMORIES: WeakKeyDictionary[Any, Memory] = WeakKeyDictionary()


@magics_class
class CompileMagics(Magics):
    """`%%compile` answers a question, `%%plan` runs a plan, `%compile VERB` does the rest."""

    model = AnyTrait(None, help="provider:model, a Model, or the name of a variable that holds one").tag(config=True)
    planner = AnyTrait(None, help="another model for the planner").tag(config=True)
    joiner = AnyTrait(None, help="another model for the joiner").tag(config=True)
    worker = AnyTrait(None, help="another model for the tools llm and extract").tag(config=True)
    dialect = Enum(("python", "numbered", "json"), "python", help="the planner's language").tag(config=True)
    share = Enum(("all", "summary", "none"), "all", help="what of contents models see").tag(config=True)
    preview = Bool(default_value=False, help="show contents of results when asking for another plan").tag(config=True)
    max_concurrency = Int(8, min=1, help="calls of tools at a time").tag(config=True)
    max_replans = Int(2, min=0, help="further plans at most").tag(config=True)
    max_repairs = Int(1, min=0, help="second tries for a plan that is none").tag(config=True)
    timeout = Float(None, allow_none=True, min=1e-3, help="seconds that a run may take").tag(config=True)
    limits = Dict(help="what providers allow, as {'openai': {'concurrency': 4, 'rpm': 60}}").tag(config=True)
    approve = AnyTrait("ask", help="side effects: ask, auto, deny, or names of approved tools").tag(config=True)
    layout = Enum(("auto", "graphviz", "own"), "auto", help="what lays pictures out").tag(config=True)
    history = Unicode(help="the file in which runs are kept; empty for none").tag(config=True)
    loop = Enum(("own", "kernel"), "own", help="whose event loop runs are on").tag(config=True)
    live = Bool(help="off: one output that is the same from run to run").tag(config=True)

    def __init__(self, shell: Any, **kwargs: Any) -> None:
        super().__init__(shell, **kwargs)
        self.idle = loops.Idle(shell)
        self.folder = os.getcwd()  # noqa: PTH109 - a path is made when one is needed

    @default("live")
    def _live_by_environment(self) -> bool:
        return os.environ.get("COMPILER_NB_LIVE", "1") != "0"

    @default("history")
    def _history_by_environment(self) -> str:
        given = os.environ.get("COMPILER_NB_HISTORY", "on")
        if given not in ("on", "off"):
            return given
        beside = given == "on" and getattr(self.shell, "kernel", None) is not None  # a notebook, not a terminal
        return HISTORY if beside else ""

    @property
    def memory(self) -> Memory:
        """What is remembered of this shell's runs."""
        shell: Any = self.shell
        if shell not in _MEMORIES:
            from compiler_nb.notebook.variables.namespace import Namespace  # noqa: PLC0415 - see above

            _MEMORIES[shell] = Memory(Namespace(shell.user_ns))
        return _MEMORIES[shell]

    @no_var_expand
    @cell_magic("compile")  # type: ignore[arg-type]  # annotated for plain functions only
    def compile_cell(self, line: str, body: str) -> None:
        """Answer the question in the cell: `%%compile -h` lists the options."""
        self._block("compile", line, body)

    @no_var_expand
    @cell_magic("plan")  # type: ignore[arg-type]  # as above
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
    @line_magic("compile")  # type: ignore[arg-type]  # as above
    def compile_line(self, line: str) -> None:
        """Do the rest: `%compile help` lists the verbs."""
        from compiler_nb.notebook.verbs import perform  # noqa: PLC0415 - see above

        with tidy():
            perform(self, line)

    def _block(self, magic: str, line: str, body: str) -> None:
        from compiler_nb.notebook.jobs import make_job  # noqa: PLC0415 - see above

        with tidy():
            job = make_job(self, magic, line, body, outermost=False)
            if job is not None:
                job.finish(loops.block(job.work, job.stop, job.main, kernel=job.kernel))

    async def _await(self, magic: str, line: str, body: str) -> None:
        from compiler_nb.notebook.jobs import make_job  # noqa: PLC0415 - see above

        with tidy():
            job = make_job(self, magic, line, body, outermost=True)
            if job is not None:
                job.finish(await loops.wait(job.work, job.stop, job.main, kernel=job.kernel))


@contextlib.contextmanager
def tidy() -> Iterator[None]:
    """Let errors of ours show their message alone, without a traceback through our own files."""
    try:
        yield
    except CompilerError as error:
        raise shortened(error) from None


def shortened(error: Error) -> Error:
    """Return an error that a notebook shows as its message alone; a plan's problems stand with their lines."""
    told = marked(error) if isinstance(error, PlanError) else error
    error._render_traceback_ = lambda: [f"{type(error).__name__}: {told}"]  # type: ignore[attr-defined]
    return error
