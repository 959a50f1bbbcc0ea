"""Measure the figures and print them: `python -m tests.bench [--only NAME] [--json FILE]`."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import tests.bench

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    """Measure one figure; what goes wrong is shown in its line, and the others go on."""
    try:
        return Measured(figure, float(figure.measure()))
    except Exception as error:  # noqa: BLE001 - whatever a measurement raises
        return Measured(figure, None, f"{type(error).__name__}: {error}")


def line(measured: Measured) -> str:
    """Return a figure's line of the table."""
    value = "-" if measured.value is None else f"{measured.value:.3g}"
    figure = measured.figure
    return f"{figure.name:<12} {value:>8} {figure.gate:>8g} {figure.goal:>8g}  {measured.mark:<5} {figure.what}"


def as_json(all_measured: Iterable[Measured]) -> str:
    """Return the figures as JSON, a list of objects."""
    rows = [
        {"name": m.figure.name, "what": m.figure.what, "value": m.value, "gate": m.figure.gate, "goal": m.figure.goal}
        | {"mark": m.mark}
        for m in all_measured
    ]
    return json.dumps(rows, indent=2) + "\n"


def main(arguments: list[str]) -> int:
    """Print the table; return 0 whatever the figures are, 2 if no figure has the name."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME", help="only figures whose name contains NAME")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(arguments)
    known = collect()
    figures = [figure for figure in known if options.only in figure.name]
    if not figures:
        print(f"no figure's name contains {options.only!r}; there are: {', '.join(f.name for f in known) or 'none'}")
        return 2
    print(f"{'figure':<12} {'value':>8} {'gate':>8} {'goal':>8}")
    all_measured = []
    for figure in figures:
        all_measured.append(measure(figure))
        print(line(all_measured[-1]), flush=True)
    if options.json:
        Path(options.json).write_text(as_json(all_measured), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
