"""The figures of speed: ratios to fixed baselines, measured by `make.py bench`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: `measure()` returns it; it is good at or under `goal`, and passes at or under `gate`.

    name: short, for --only; what: one line for the table; gate, goal: in the unit of the figure, mostly a ratio;
    process: figures in a row with the same name here share a process, because they share a measurement; processes: how
    many measure it, of which the median counts: where Python's collector happens to come differs from one to the next.
    """

    name: str
    what: str
    gate: float
    goal: float
    measure: Callable[[], float]
    process: str = ""
    processes: int = 1
