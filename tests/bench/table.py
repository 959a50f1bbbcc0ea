"""What a table expression of a plan costs beside the same text in plain pandas, at a million rows.

Ours is a whole run, which performs the expression on a thread, with its bounds checked first.
"""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING

from compiler_nb import Compiler
from tests.bench import Figure

if TYPE_CHECKING:
    from pandas import DataFrame, Series

ROWS, ROUNDS = 1_000_000, 15
EXPRESSION = 'big[big["delay"] > 0].groupby("carrier")["delay"].mean().sort_values(ascending=False).head(5)'
"""What an analyst asks of a table: which carriers are late, and by how much."""


def made() -> DataFrame:
    """Return a table of texts and numbers, some of them missing."""
    import numpy as np
    import pandas as pd

    draw = np.random.default_rng(1)
    delay = draw.normal(5, 30, ROWS)
    delay[draw.random(ROWS) < 0.02] = np.nan
    names = np.array([f"carrier {number}" for number in range(16)])
    return pd.DataFrame({"carrier": names[draw.integers(0, 16, ROWS)], "delay": delay})


def plain(big: DataFrame) -> tuple[float, Series]:
    """Return the seconds and the result of the text as Python has it."""
    code = compile(EXPRESSION, "plain", "eval")
    began = time.perf_counter()
    result = eval(code, {"big": big})  # noqa: S307 - the text above
    return time.perf_counter() - began, result


def measure_table() -> float:
    """Return ours over plain, the median of rounds in turns."""
    big, compiler, ratios = made(), Compiler(None, []), []

    async def ours() -> tuple[float, Series]:
        began = time.perf_counter()
        run = await compiler.execute(f"best = {EXPRESSION}\nanswer(best)\n", {"big": big})
        return time.perf_counter() - began, run["best"]

    for number in range(ROUNDS + 2):
        floor, wanted = plain(big)
        seconds, result = asyncio.run(ours())
        if not result.equals(wanted):
            raise AssertionError("the plan's result is not that of pandas")
        if number > 1:  # the first two warm the caches
            ratios.append(seconds / floor)
    return median(ratios)


FIGURES = [
    Figure("table", "a table expression in a plan, 1 million rows / plain pandas", 1.05, 1.02, measure_table),
]
