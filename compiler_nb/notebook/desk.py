"""The desk that a cell's work is done at: the shell, the settings of `%config`, and what is remembered of other cells.

It is made when the extension is loaded, so what takes long to import is imported later, and for types only.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Enum, Float, Int, TraitError, Unicode, default, observe, validate
from traitlets.config import Configurable

from compiler_nb.drawing.preferences import PREFERENCES
from compiler_nb.notebook.loop import Idle

if TYPE_CHECKING:  # they bring half of the package along
    from compiler_nb.cache import Cache
    from compiler_nb.compare.store import InMemory
    from compiler_nb.history.history import History
    from compiler_nb.models.base import Model
    from compiler_nb.models.cassette import Cassette
    from compiler_nb.notebook.examples import Example
    from compiler_nb.notebook.variables.binding import Binder
    from compiler_nb.notebook.variables.namespace import Namespace
    from compiler_nb.planner.seen import Seen
    from compiler_nb.run import Run

KEPT_RUNS: Final = 50
HISTORY: Final = ".compiler_nb/runs.db"
"""The file in which a notebook's runs are kept, in the notebook's folder."""


class CellSettings(Configurable):
    """What `%config CompileMagics` sets: the defaults of a cell's options, and what has no option."""

    shell: Any = None  # set by the magics
    _priced: tuple[str, ...] = ()
    model = AnyTrait(None, help="provider:model, a Model, or the name of a variable that holds one").tag(config=True)
    planner = AnyTrait(None, help="another model for the planner").tag(config=True)
    joiner = AnyTrait(None, help="another model for the joiner").tag(config=True)
    worker = AnyTrait(None, help="another model for the tools llm and extract").tag(config=True)
    dialect = Enum(("auto", "python", "numbered", "json"), "auto", help="the language of plans").tag(config=True)
    prompts = AnyTrait("auto", help="full, small, auto (as the model asks for), or texts by role").tag(config=True)
    record = Unicode(help="a cassette that all calls of models are written to").tag(config=True)
    replay = Unicode(help="a cassette that answers in the place of models").tag(config=True)
    planner_prompt = Unicode(help="the name of a saved prompt for the planner").tag(config=True)
    joiner_prompt = Unicode(help="the name of a saved prompt for the joiner").tag(config=True)
    share = Enum(("all", "summary", "none"), "all", help="how much of the contents models see").tag(config=True)
    learn_shapes = Bool(default_value=True, help="tell planners keys and types of what tools returned").tag(config=True)
    tool_tokens = Int(4_000, min=1, help="how many tokens of a planner's prompt the tools may take").tag(config=True)
    preview = Bool(default_value=False, help="show planners ranges of columns, and results").tag(config=True)
    max_concurrency = Int(8, min=1, help="how many tool calls may run at the same time").tag(config=True)
    max_replans = Int(2, min=0, help="how many further plans the joiner may ask for").tag(config=True)
    max_repairs = Int(1, min=0, help="how often the planner may fix an invalid plan").tag(config=True)
    timeout = Float(None, allow_none=True, min=1e-3, help="the longest a run may take, in seconds").tag(config=True)
    limits = Dict(help="limits of providers, such as {'openai': {'concurrency': 4, 'rpm': 60}}").tag(config=True)
    bounds = AnyTrait(None, help="what expressions may cost, such as {'items': 100_000}").tag(config=True)
    prices = AnyTrait({}, help="dollars per million tokens, such as {'vllm:m': (0.2, 0.6)}").tag(config=True)
    approve = AnyTrait("ask", help="side effects: ask, auto, deny, or names of approved tools").tag(config=True)
    drop_failed = Float(0.0, min=0.0, max=1.0, help="the share of items that may fail").tag(config=True)
    cache = Enum(("off", "plan", "pure", "all"), "off", help="what of earlier runs is used again").tag(config=True)
    engine = AnyTrait("local", help="where tools run: local, dask, dask:ADDRESS, or a DaskEngine").tag(config=True)
    layout = Enum(("auto", "graphviz", "own"), "auto", help="what lays out the pictures").tag(config=True)
    scale = Float(1.0, min=0.5, max=4.0, help="how many times larger the view and pictures are").tag(config=True)
    history = Unicode(help="the file in which runs are kept; empty to keep none").tag(config=True)
    loop = Enum(("own", "kernel"), "own", help="the event loop that runs use").tag(config=True)
    live = Bool(help="off: one output at the end, the same from run to run").tag(config=True)

    @validate("bounds")
    def _check_bounds(self, proposal: Any) -> Any:
        """Refuse wrong bounds when they are set, not at the next cell."""
        from compiler_nb.operations.bounds import read_bounds  # noqa: PLC0415 - see above

        try:
            read_bounds(proposal["value"])
        except ValueError as error:
            raise TraitError(str(error)) from None
        return proposal["value"]

    @validate("engine")
    def _check_engine(self, proposal: Any) -> Any:
        """Refuse what is no engine when it is set; a variable that a profile names is there later."""
        from compiler_nb.engine.cluster.engine import read_engine  # noqa: PLC0415 - see above

        given, desk = proposal["value"], getattr(self, "desk", None)
        if desk is None and str(given).isidentifier():
            return given
        try:
            read_engine(given, desk.memory.names.visible() if desk is not None else {})
        except ValueError as error:
            raise TraitError(str(error)) from None
        return given

    @validate("prices")
    def _set_prices(self, proposal: Any) -> Any:
        """Set prices, and forget those that were set so before; refuse wrong ones."""
        from compiler_nb.models.prices import set_prices  # noqa: PLC0415 - see above

        try:
            set_prices(proposal["value"], old=self._priced)
        except ValueError as error:
            raise TraitError(str(error)) from None
        self._priced = tuple(proposal["value"])  # while a setting is made, `prices` is the new one already
        return proposal["value"]

    @observe("layout", "scale")
    def _prefer(self, change: Any) -> None:
        """Tell all that draws: `run.visualize()` has no desk."""
        setattr(PREFERENCES, change["name"], change["new"])

    @default("live")
    def _live_by_environment(self) -> bool:
        return os.environ.get("COMPILER_NB_LIVE", "1") != "0"

    @default("history")
    def _history_by_environment(self) -> str:
        given = os.environ.get("COMPILER_NB_HISTORY", "on")
        if given not in ("on", "off"):
            return given
        # in a terminal there is no notebook to keep it with
        return HISTORY if given == "on" and getattr(self.shell, "kernel", None) is not None else ""


@dataclass
class Memory:
    """What outlives a reload of the extension: variables, runs, and models, cassettes and histories by name."""

    names: Namespace
    binder: Binder
    seen: Seen  # what the tools of all cells returned
    examples: list[Example] = field(default_factory=list)  # that questions show to the planner
    runs: deque[Run] = field(default_factory=lambda: deque(maxlen=KEPT_RUNS))
    kept: dict[str, str] = field(default_factory=dict)  # options for the cell in which a run's plan is edited, by run
    connected: dict[str, Model] = field(default_factory=dict)
    cassettes: dict[str, Cassette] = field(default_factory=dict)  # that are played, by their files
    cells: InMemory | None = None  # of grids without a history
    caches: dict[str, Cache] = field(default_factory=dict)  # by the setting of the history, "" without one
    histories: dict[str, History] = field(default_factory=dict)  # by setting
    unwritten: set[str] = field(default_factory=set)  # settings whose files cannot be written

    def add(self, run: Run, kept: str) -> None:
        """Note a run, and the options of its cell that hold for its edited plan, too."""
        self.runs.append(run)
        self.kept[run.id] = kept


_MEMORIES: WeakKeyDictionary[Any, Memory] = WeakKeyDictionary()


class Desk:
    """What a cell's work is given: the shell, the settings, what is remembered, and the kernel's idle time."""

    def __init__(self, shell: Any, settings: CellSettings) -> None:
        self.shell, self.settings = shell, settings
        self.idle = Idle(shell)
        self.folder = os.getcwd()  # noqa: PTH109 - a path is made when one is needed

    @property
    def memory(self) -> Memory:
        """What is remembered of this shell's cells; it outlives a reload of the extension."""
        if self.shell not in _MEMORIES:
            from compiler_nb.notebook.variables.binding import Binder  # noqa: PLC0415 - see above
            from compiler_nb.notebook.variables.namespace import Namespace  # noqa: PLC0415 - see above
            from compiler_nb.planner.seen import Seen  # noqa: PLC0415 - see above

            values = self.shell.user_ns
            _MEMORIES[self.shell] = Memory(Namespace(values), Binder(values), Seen())
        return _MEMORIES[self.shell]

    def setting(self, given: Mapping[str, Any], name: str) -> Any:
        """Return an option's value; defaults to the setting of its name."""
        return given[name] if name in given else getattr(self.settings, name)


def desk_here() -> Desk | None:
    """Return the desk of this process's shell, None if there is no shell, or if the extension is not loaded in it."""
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 - a view may be shown without a shell

    shell = get_ipython()
    return getattr(shell and shell.magics_manager.registry.get("CompileMagics"), "desk", None)
