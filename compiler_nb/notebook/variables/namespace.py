"""The notebook's variables: what a question may use of them, and what a run leaves in them.

A variable is ours while it holds the very object that a run bound; everything else is the user's, and stays.
"""

from __future__ import annotations

import difflib
import re
import types
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from compiler_nb.errors import OptionError, ToolError
from compiler_nb.outcome import NOT_DONE, Cancelled, Failure, describe_error
from compiler_nb.plan.python import IPYTHON, RESERVED
from compiler_nb.tool import Tool, Toolbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compiler_nb.plan.task import Task

PASTE_LIMIT: Final = 100_000
"""Characters that `{name}` may paste."""
_OFFERED = re.compile(r"(?<![\w@.])@([^\W\d]\w*)")
_PASTED = re.compile(r"(?<!\{)\{([^\W\d]\w*)\}(?!\})")
_NAME = re.compile(r"[^\W\d]\w*")


class Binding(NamedTuple):
    """What became of the variables: those bound, those not bound with the reason, and the stale ones deleted."""

    bound: tuple[str, ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    deleted: tuple[str, ...] = ()


class Namespace:
    """The variables of a notebook, by name, and which of them runs have bound."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self._ours: dict[str, Any] = {}
        self._by_cell: dict[str, set[str]] = {}

    def is_ours(self, name: str) -> bool:
        """Whether a variable still holds what a run bound to it."""
        return name in self._ours and name in self.values and self.values[name] is self._ours[name]

    def bind(self, cell: str, wanted: Mapping[str, Any], kept: Iterable[tuple[str, str]] = ()) -> Binding:
        """Bind values by name, and delete what this cell's previous run bound and this one does not.

        kept: further names that are not bound, with the reason. A name that holds something of the user's is left
        alone, and listed as kept.
        """
        before = self._by_cell.get(cell, set())
        bound, left = self._put(wanted)
        deleted = [name for name in sorted(before - set(bound)) if self.is_ours(name)]
        for name in deleted:
            del self.values[name]
        self._by_cell[cell] = set(bound)
        self._forget()
        return Binding(tuple(bound), (*left, *kept), tuple(deleted))

    def bind_more(self, cell: str, wanted: Mapping[str, Any]) -> Binding:
        """Bind values by name beside those that the cell has bound."""
        bound, left = self._put(wanted)
        self._by_cell.setdefault(cell, set()).update(bound)
        return Binding(tuple(bound), tuple(left))

    def _put(self, wanted: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, str]]]:
        bound: list[str] = []
        left: list[tuple[str, str]] = []
        for name, value in wanted.items():
            if name in RESERVED:
                left.append((name, "Python's or IPython's"))
            elif name in self.values and not self.is_ours(name):
                left.append((name, "yours"))
            else:
                self.values[name] = self._ours[name] = value
                bound.append(name)
        return bound, left

    def _forget(self) -> None:
        """Let go of objects whose variables are gone, or the user's by now."""
        self._ours = {name: value for name, value in self._ours.items() if self.is_ours(name)}

    # ---------------------------------------------------------------- what a question may use

    def visible(self) -> dict[str, Any]:
        """Return the variables that a user has made."""
        return {name: value for name, value in self.values.items() if not name.startswith("_") and name not in IPYTHON}

    def tools(self, names: Iterable[str] | None = None) -> Toolbox:
        """Return the named functions as tools, by default every Tool of the notebook.

        Raises OptionError for a name that is no function, or cannot be a tool.
        """
        if names is None:
            found = {id(value): value for value in self.visible().values() if isinstance(value, Tool)}
            return _toolbox(found.values())
        made: list[Any] = []
        for name in names:
            value = self.get(name, "-T")
            if isinstance(value, Toolbox):
                made += value.values()
            elif isinstance(value, list | tuple):
                made += value
            else:
                made.append(value)
        return _toolbox(made)

    def get(self, name: str, option: str) -> Any:
        """Return a variable's value; raise OptionError where there is none."""
        known = self.visible()
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            mend = f"; did you mean {near[0]!r}?" if near else ""
            raise OptionError(f"{option}: no variable is called {name!r}{mend}")
        return known[name]

    def inputs(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the named variables."""
        return {name: self.get(name, "-i") for name in names}

    def named_in(self, question: str) -> list[str]:
        """Return the variables that a question offers by @name, each once."""
        known = self.visible()
        return [name for name in dict.fromkeys(_OFFERED.findall(question)) if name in known]

    def read_by(self, plan: str) -> list[str]:
        """Return the variables whose names stand in the text of a plan, data only."""
        known = self.visible()
        names = [name for name in dict.fromkeys(_NAME.findall(plan)) if name in known]
        return [name for name in names if not isinstance(known[name], types.ModuleType) and not callable(known[name])]

    def paste(self, question: str) -> str:
        """Return the question with each `{name}` of a variable replaced by its text; other braces stay as they are.

        Raises OptionError for a text that is too long, or cannot be had.
        """
        known = self.visible()

        def text_of(match: re.Match[str]) -> str:
            if match[1] not in known:
                return match[0]
            try:
                text = str(known[match[1]])
            except Exception as error:  # noqa: BLE001 - a value's own __str__ may raise anything
                raise OptionError(f"{match[0]} cannot be pasted: {describe_error(error)}") from None
            if len(text) > PASTE_LIMIT:
                raise OptionError(f"{match[0]} is {len(text):,} characters long; offer it by @{match[1]} instead")
            return text

        return _PASTED.sub(text_of, question)


def _toolbox(made: Iterable[Any]) -> Toolbox:
    try:
        return Toolbox(list(made))
    except ToolError as error:
        raise OptionError(f"-T: {error}") from None


def variables(
    tasks: Mapping[str, Task], outcomes: Mapping[str, Any], prefix: str = ""
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the values to bind by variable, and the variables without a value, each with the reason.

    A fan-out that failed is bound as far as it came, with the failures in their places.
    """
    wanted: dict[str, Any] = {}
    without: list[tuple[str, str]] = []
    for id_, task in tasks.items():
        if not task.name:
            continue
        name, outcome = prefix + task.name, outcomes.get(id_, Cancelled("it has not ended"))
        if isinstance(outcome, Failure) and outcome.partial is not None:
            wanted[name] = outcome.partial
        elif isinstance(outcome, NOT_DONE):
            without.append((name, _reason(outcome)))
        else:
            wanted[name] = outcome
    return wanted, without


def _reason(outcome: Any) -> str:
    if isinstance(outcome, Failure):
        return f"failed: {outcome.message}"
    return "cancelled" if isinstance(outcome, Cancelled) else str(outcome)
