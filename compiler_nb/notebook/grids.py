"""A cell that asks its question in several ways, or several times: `--variants A,B` and `--repeat N`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from compiler_nb.compare.cases import Case
from compiler_nb.compare.grid import Grid
from compiler_nb.compare.progress import TerminalBar, show_on
from compiler_nb.compare.store import InMemory
from compiler_nb.compiler import Compiler
from compiler_nb.engine.background import MainThread
from compiler_nb.errors import OptionError
from compiler_nb.models.hand import HandModel
from compiler_nb.models.providers import known_secrets
from compiler_nb.models.secret import mask
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.options import Line
from compiler_nb.notebook.output.bar import PageBar
from compiler_nb.notebook.output.errors import shortened
from compiler_nb.notebook.output.grids import grid_page
from compiler_nb.notebook.output.presenter import display, front_end, say
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.prompts import SLOTS
from compiler_nb.prompts.saved import saved_prompts
from compiler_nb.signature.answers import AnswerType
from compiler_nb.text import suggest

BASE: Final = "base"
OF_ONE_RUN: Final = {
    "background": "-b", "execute": "-N", "source": "--from", "check": "--check", "prefix": "--prefix",
    "bind": "--no-bind",
}  # fmt: skip
"""Options that mean one run, which a grid does not take."""


def is_grid(given: Mapping[str, Any]) -> bool:
    """Whether a cell's options ask for a grid."""
    return "variants" in given or "repeat" in given


def mark_of(given: Mapping[str, Any]) -> str:
    """Return the option by which a cell asks for a grid."""
    return "--variants" if "variants" in given else "--repeat"


class GridJob:
    """A grid in a cell: how far it is shows while it goes on, and the table when it has ended."""

    def __init__(  # noqa: PLR0917 - what a cell is made of
        self,
        desk: Desk,
        said: Line,
        compiler: Compiler,
        case: Case,
        cell: str,
        variants: Mapping[str, Mapping[str, Any]] | None = None,
        answer_type: AnswerType | None = None,
    ) -> None:
        given = said.given
        _check(said, compiler)
        self.desk, self.said, self.cell = desk, said, cell
        self.name: str = given.get("out", "grid")
        self.kernel = desk.setting(given, "loop") == "kernel"
        self.main = MainThread()
        self.bar: PageBar | TerminalBar | None = None
        memory = desk.memory
        compiler.cells = memory.cells = memory.cells or InMemory()
        if "variants" in given:
            variants = variants_of(desk, given["variants"], compiler.settings.history)
        try:
            self.runner = compiler.prepare(
                [case._asdict()], variants, repeat=given.get("repeat", 1), budget=given.get("budget"),
                approve=given.get("approve", "deny"), fresh=given.get("fresh", False), main=self.main.post,
                answer_type=answer_type,
            )  # fmt: skip
        except ValueError as error:
            raise OptionError(f"%%compile: {error}") from None
        self.work = self.runner.perform()

    def begin(self) -> GridJob:
        """Show that it has begun; return it, for the cell to wait for."""
        end = front_end(self.desk, self.said.given)
        self.bar = PageBar(self.runner.grid) if end == "page" else None
        if end == "terminal" and sys.stderr.isatty():
            self.bar = TerminalBar(self.runner.grid, sys.stderr)
        if self.bar is not None:
            show_on(self.runner, self.bar, self.main.post)
        return self

    def stop(self) -> None:
        """Stop it, from any thread."""
        self.runner.stop()

    def finish(self, interrupted: bool) -> None:  # noqa: FBT001 - its only argument
        """Bind the grid and the answers, and show it; raise KeyboardInterrupt after an interrupt."""
        grid = self.runner.grid
        wanted: dict[str, Any] = {self.name: grid}
        if self.said.answer:
            wanted[self.said.answer] = grid.answers
        binding = self.desk.memory.binder.bind(self.cell, wanted)
        if not self.said.given.get("quiet"):
            self._show(grid, bound_text(binding))
        if interrupted:
            raise shortened(KeyboardInterrupt("the grid was stopped; what is done is kept"))

    def _show(self, grid: Grid, last: str) -> None:
        plain = mask(f"{grid}\n\n{last}", known_secrets())
        if isinstance(self.bar, TerminalBar):
            self.bar.end()
            say(plain)
            return
        shown = {"text/plain": plain, "text/html": grid_page(grid, self.name, last)}
        if self.bar is not None and self.bar.handle is not None:
            self.bar.handle.update(shown, raw=True)
        else:
            display(shown)


def bound_text(binding: Binding) -> str:
    """Return what became of a grid's variables."""
    kept = [f"not bound: {name} ({reason}); -o NAME binds it to another name" for name, reason in binding.kept]
    bound = [f"bound: {', '.join(binding.bound)}"] if binding.bound else []
    return " · ".join([*bound, *kept, *(f"deleted: {name} (stale)" for name in binding.deleted)])


def _check(said: Line, compiler: Compiler) -> None:
    """Raise OptionError if a cell says what a grid cannot do."""
    mark = mark_of(said.given)
    for name, flag in OF_ONE_RUN.items():
        if name in said.given:
            raise OptionError(f"%%compile: {flag} is for one run, and {mark} asks for a table of runs")
    if isinstance(compiler.settings.planner, HandModel):
        raise OptionError(f"%%compile: {mark} cannot ask a person for each run: choose a model with -m")


def variants_of(desk: Desk, names: Sequence[str], history: Any) -> dict[str, Mapping[str, Any]]:
    """Return variants by name: `base` is the cell as it is; others are variables that hold settings, or saved prompts.

    Raises OptionError if a name means neither.
    """
    known, saved = desk.memory.names.visible(), saved_prompts(history)
    found: dict[str, Mapping[str, Any]] = {}
    for name in names:
        word = name.partition("@")[0]
        roles = [role for role in SLOTS if any((each.role, each.name) == (role, word) for each in saved)]
        if name == BASE:
            found[name] = {}
        elif isinstance(known.get(name), Mapping):
            found[name] = known[name]
        elif roles:
            found[name] = {f"{role}_prompt": name for role in roles}
        else:
            dicts = (other for other, value in known.items() if isinstance(value, Mapping))
            near = suggest(name, [BASE, *dicts, *(each.name for each in saved)])
            raise OptionError(
                f"%%compile: --variants: {name!r} is neither a saved prompt nor a variable with a dict of settings."
                f"{near} %%prompt planner {name} saves a prompt; {name} = {{'temperature': 0}} is a variant, too; "
                f"{BASE} is the cell as it is"
            )
    return found
