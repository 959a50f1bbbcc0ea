"""Measure figures, each in a process of its own: none feels what an earlier one has imported or left behind.

Baseline and ours share the process. So do figures that share a measurement.
"""

from __future__ import annotations

import importlib
import multiprocessing
import pkgutil
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import tests.bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.bench import Figure


class Measured(NamedTuple):
    """A figure's value, or the error that kept it from being measured."""

    figure: Figure
    value: float | None
    error: str = ""

    @property
    def mark(self) -> str:
        """How the value stands to goal and gate."""
        if self.value is None:
            return f"not measured: {self.error}"
        return "goal" if self.value <= self.figure.goal else "gate" if self.value <= self.figure.gate else "over"


def collect() -> list[Figure]:
    """Return the FIGURES of all modules of this package that have some."""
    names = sorted(module.name for module in pkgutil.iter_modules(tests.bench.__path__) if module.name != "__main__")
    modules = [importlib.import_module(f"tests.bench.{name}") for name in names]
    return [figure for module in modules for figure in getattr(module, "FIGURES", ())]


def measure(figure: Figure) -> Measured:
    """Measure one figure here; what goes wrong is shown in its line, and the others go on."""
    try:
        return Measured(figure, float(figure.measure()))
    except Exception as error:  # noqa: BLE001 - whatever a measurement raises
        return Measured(figure, None, f"{type(error).__name__}: {error}")


def measure_named(name: str) -> tuple[float | None, str]:
    """Measure a figure by its name, for its functions do not go from process to process; return value and error."""
    (figure,) = (figure for figure in collect() if figure.name == name)
    return measure(figure)[1:]


def measure_apart(
    figures: Iterable[Figure], by_name: Callable[[str], tuple[float | None, str]] = measure_named
) -> Iterator[Measured]:
    """Measure figures one after the other, each in a fresh process, unless it shares that of the one before it."""
    fresh = multiprocessing.get_context("spawn")
    for _, together in groupby(figures, lambda figure: figure.process or figure.name):
        with ProcessPoolExecutor(1, fresh) as process:
            for figure in together:
                try:
                    value, error = process.submit(by_name, figure.name).result()
                except BrokenExecutor:
                    value, error = None, "its process died"
                yield Measured(figure, value, error)
