"""Importing the package, over importing asyncio: whole processes less an empty one, in turns."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from tests.bench import Figure


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


FIGURES = [Figure("import", "from compiler_nb import Compiler, tool / import asyncio", 4, 2.5, ratio)]
