"""Importing the package over importing asyncio, in whole processes less an empty one, and loading the magics."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from compiler_nb import load_ipython_extension, unload_ipython_extension
from tests.bench import Figure
from tests.support.shell import open_shell


def seconds(statement: str) -> float:
    """Return the seconds of a fresh interpreter that runs a statement."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-c", statement], check=True)
    return time.perf_counter() - began


def ratio() -> float:
    """Return `from compiler_nb import Compiler, tool` over `import asyncio`."""
    ratios = []
    for number in range(13):
        empty, floor = seconds("pass"), seconds("import asyncio")
        ours = seconds("from compiler_nb import Compiler, tool")
        if number > 1:
            ratios.append((ours - empty) / (floor - empty))
    return median(ratios)


def load_milliseconds() -> float:
    """Return the milliseconds in which the magics are registered, once their modules are imported."""
    spent = []
    with open_shell() as shell:
        for _ in range(11):
            unload_ipython_extension(shell.ip)
            began = time.perf_counter()
            load_ipython_extension(shell.ip)
            spent.append(1_000 * (time.perf_counter() - began))
    return median(spent)


FIGURES = [
    Figure("import", "from compiler_nb import Compiler, tool / import asyncio", 4, 2.5, ratio),
    Figure("load", "the room's own share of %load_ext, ms", 30, 5, load_milliseconds),
]
