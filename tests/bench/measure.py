"""Measure figures, each in a process of its own: none feels what an earlier one has imported or left behind.

Baseline and ours share the process. So do figures that share a measurement.
"""

from __future__ import annotations

import importlib
import multiprocessing
import pkgutil
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from itertools import groupby
from statistics import median
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
    """Measure figures one after the other, each in a fresh process, unless it shares that of the one before it.

    Of a figure that is measured in several processes the median counts, unless one of them could not measure it.
    """
    for _, group in groupby(figures, lambda figure: figure.process or figure.name):
        together = list(group)
        told = [_measured_in_one(together, by_name) for _ in range(max(figure.processes for figure in together))]
        for figure, tries in zip(together, zip(*told, strict=True), strict=True):
            error = next((error for _, error in tries if error), "")
            yield Measured(figure, None if error else median(value for value, _ in tries if value is not None), error)


def _measured_in_one(
    figures: Iterable[Figure], by_name: Callable[[str], tuple[float | None, str]]
) -> list[tuple[float | None, str]]:
    """Return the values and errors of figures that are measured in one fresh process."""
    found = []
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        for figure in figures:
            try:
                found.append(process.submit(by_name, figure.name).result())
            except BrokenExecutor:
                found.append((None, "its process died"))
    return found
