"""A value that takes part in every operator and notes what is looked up on it; and the evaluation of whole plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.bounds import Scope
from compiler_nb.plan.evaluate import evaluate
from compiler_nb.plan.fanout import expand
from compiler_nb.plan.task import Return

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compiler_nb.plan.plan import Plan
    from compiler_nb.plan.tree import Tree

LOOKED_UP: set[str] = set()
"""The names of attributes that were asked of a Witness. Operators do not ask: they go by the type's slots."""


class Witness:
    """Answers every operator, at best with itself; an attribute that is looked up on it, and a call, are noted."""

    def __getattribute__(self, name: str) -> Any:
        LOOKED_UP.add(name)
        return object.__getattribute__(self, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        LOOKED_UP.add("()")
        return self

    def _itself(self, *args: Any) -> Any:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _itself
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __getitem__ = _itself
    __neg__ = __pos__ = __abs__ = __round__ = _itself

    def __eq__(self, other: object) -> bool:
        return type(other) is Witness

    def __lt__(self, other: object) -> bool:
        return False

    __gt__ = __le__ = __ge__ = __lt__

    def __hash__(self) -> int:
        return 1

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[Any]:
        return iter((self, self))

    def __index__(self) -> int:
        return 1

    def __float__(self) -> float:
        return 1.0

    def __str__(self) -> str:
        return "a witness"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return "a witness"


class Everywhere(dict[str, Any]):
    """Gives the same value for every name."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def __missing__(self, name: str) -> Any:
        return self.value

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value."""
        return self.value


def evaluate_all(plan: Plan, value: Any) -> int:
    """Evaluate every expression of a plan, each reference being this value; return how many gave one.

    Anything but an ExpressionError gets out.
    """
    trees: list[Tree] = [plan.final.expression] if isinstance(plan.final, Return) else []
    values = Everywhere(value)
    count = 0
    for task in plan:
        if task.kind != "fanout":
            trees += (task.args, task.kwargs, task.guard)
            continue
        try:
            items = expand(task, Scope(values, values), {}).tasks
        except ExpressionError:
            continue
        trees += [part for item, _ in items for part in (item.args, item.kwargs, item.guard)]
    for tree in trees:
        try:
            evaluate(tree, Scope(values, values))
            count += 1
        except ExpressionError:
            continue
    return count
