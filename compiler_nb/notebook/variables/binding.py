"""What a run leaves in the notebook's variables.

A variable is ours while it holds the very object that a run bound. Everything else is the user's, and stays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from compiler_nb.errors import CompilerError
from compiler_nb.outcome import NOT_DONE, Cancelled, Failure, NotStored, Skipped
from compiler_nb.plan.python import RESERVED
from compiler_nb.plan.task import Task
from compiler_nb.values.remotes import remotes_in


class Binding(NamedTuple):
    """What became of the variables: bound ones, ones that were not bound, with the reason, and deleted stale ones."""

    bound: tuple[str, ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    deleted: tuple[str, ...] = ()


class Binder:
    """Binds results to the variables of a notebook, and knows which of them are ours."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self._ours: dict[str, Any] = {}
        self._by_cell: dict[str, set[str]] = {}

    def is_ours(self, name: str) -> bool:
        """Whether a variable still holds the object that a run bound to it."""
        return name in self._ours and name in self.values and self.values[name] is self._ours[name]

    def bind(self, cell: str, wanted: Mapping[str, Any], kept: Iterable[tuple[str, str]] = ()) -> Binding:
        """Bind values by name, and delete what this cell's previous run bound and this one does not.

        kept: further names that are not bound, with the reason. A variable of the user's is left alone, and listed as
        kept.
        """
        before = self._by_cell.get(cell, set())
        bound, left = self._put(wanted)
        deleted = [name for name in sorted(before - set(bound)) if self.is_ours(name)]
        for name in deleted:
            del self.values[name]
        self._by_cell[cell] = set(bound)
        # forget objects whose variables were deleted or overwritten, or they would live as long as the notebook
        self._ours = {name: value for name, value in self._ours.items() if self.is_ours(name)}
        return Binding(tuple(bound), (*left, *kept), tuple(deleted))

    def bind_more(self, cell: str, wanted: Mapping[str, Any]) -> Binding:
        """Bind values by name, and keep what the cell has bound so far."""
        bound, left = self._put(wanted)
        self._by_cell.setdefault(cell, set()).update(bound)
        return Binding(tuple(bound), tuple(left))

    @contextlib.contextmanager
    def nothing_stale(self, cell: str) -> Iterator[None]:
        """If the cell cannot run, delete what its previous run bound: that is stale now."""
        try:
            yield
        except CompilerError:
            self.bind(cell, {})
            raise

    def _put(self, wanted: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, str]]]:
        bound: list[str] = []
        left: list[tuple[str, str]] = []
        for name, value in wanted.items():
            if name in RESERVED:
                left.append((name, "Python's or IPython's"))
            elif name in self.values and not self.is_ours(name):  # identity, not equality: an equal value may be theirs
                left.append((name, "yours"))
            else:
                self.values[name] = self._ours[name] = value
                bound.append(name)
        return bound, left


def variables(
    tasks: Iterable[Task], outcomes: Mapping[str, Any], prefix: str = ""
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the values to bind by variable, and the variables without a value, each with the reason.

    tasks: those that leave variables, one for each. Of a fan-out that failed the partial value is bound, with the
    failures in their places.
    """
    wanted: dict[str, Any] = {}
    without: list[tuple[str, str]] = []
    for task in tasks:
        if not task.name:
            continue
        name, outcome = prefix + task.name, outcomes.get(task.id, Cancelled("it has not ended"))
        if isinstance(outcome, Failure) and outcome.partial is not None:
            wanted[name] = outcome.partial
        elif next(remotes_in(outcome), None) is not None:
            without.append((name, f"on the cluster; run[{task.name!r}] fetches it"))
        elif type(outcome) is NotStored:
            without.append((name, f"not stored; `%compile rerun --start {task.name}` computes it again"))
        elif isinstance(outcome, NOT_DONE):
            without.append((name, _reason(outcome)))
        else:
            wanted[name] = outcome
    return wanted, without


def _reason(outcome: Any) -> str:
    if isinstance(outcome, Failure):
        return f"failed: {outcome.message}"
    if isinstance(outcome, Skipped) and outcome.cause:
        return f"skipped: {outcome.cause} failed"  # why that failed is told once, of it
    return "cancelled" if isinstance(outcome, Cancelled) else str(outcome)
