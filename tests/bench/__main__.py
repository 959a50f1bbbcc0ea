"""Measure the figures and print them: `python -m tests.bench [--only NAME] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import small
from tests.bench.measure import collect, measure_apart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.bench.measure import Measured


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
    parser.add_argument("--small", metavar="MODEL", nargs="?", const="local", help="how well a small model plans")
    options = parser.parse_args(arguments)
    if options.small:
        small.main(options.small)
        return 0
    known = collect()
    figures = [figure for figure in known if options.only in figure.name]
    if not figures:
        print(f"no figure's name contains {options.only!r}; there are: {', '.join(f.name for f in known) or 'none'}")
        return 2
    print(f"{'figure':<12} {'value':>8} {'gate':>8} {'goal':>8}")
    all_measured = []
    for measured in measure_apart(figures):
        all_measured.append(measured)
        print(line(measured), flush=True)
    if options.json:
        Path(options.json).write_text(as_json(all_measured), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
