"""What a table expression of a plan costs beside the same text in plain pandas, at a million rows.

Ours is a whole run, which performs the expression on a thread, with its bounds checked first.
"""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from compiler_nb import Compiler
from tests.bench import Figure

if TYPE_CHECKING:
    from pandas import DataFrame

ROWS, ROUNDS = 1_000_000, 15
TEXT_ROWS = 300_000
EXPRESSION = 'big[big["delay"] > 0].groupby("carrier")["delay"].mean().sort_values(ascending=False).head(5)'
"""What an analyst asks of a table: which carriers are late, and by how much."""
TEXTS = (
    'big.merge(names, on="id")', 'big[big["carrier"].str.contains("r 1")]', 'big["carrier"].str.contains("c.*7")',
    'big["carrier"].str.replace("carrier", "line")', 'big["id"].astype(str)', 'big["carrier"] + "!"',
)  # fmt: skip
"""What is weighed before it is performed: matched rows, and how long texts become."""


def made() -> DataFrame:
    """Return a table of texts and numbers, some of them missing."""
    import numpy as np
    import pandas as pd

    draw = np.random.default_rng(1)
    delay = draw.normal(5, 30, ROWS)
    delay[draw.random(ROWS) < 0.02] = np.nan
    names = np.array([f"carrier {number}" for number in range(16)])
    return pd.DataFrame({"carrier": names[draw.integers(0, 16, ROWS)], "delay": delay})


def plain(text: str, values: dict[str, Any]) -> tuple[float, Any]:
    """Return the seconds and the result of a text as Python has it."""
    code = compile(text, "plain", "eval")
    began = time.perf_counter()
    result = eval(code, values)  # noqa: S307 - the texts above
    return time.perf_counter() - began, result


def measure_table() -> float:
    """Return ours over plain, the median of rounds in turns."""
    return ratio(EXPRESSION, {"big": made()}, ROUNDS)


def measure_texts() -> float:
    """Return the largest of the ratios of each text."""
    import numpy as np
    import pandas as pd

    big = made()[:TEXT_ROWS].assign(id=np.random.default_rng(2).permutation(TEXT_ROWS))
    names = pd.DataFrame({"id": range(TEXT_ROWS), "seats": 100})
    return max(ratio(text, {"big": big, "names": names}, ROUNDS) for text in TEXTS)


def ratio(text: str, values: dict[str, Any], rounds: int) -> float:
    """Return what a plan takes for a text over what plain pandas takes, the median of rounds in turns."""
    compiler, ratios = Compiler(None, []), []

    async def ours() -> tuple[float, Any]:
        began = time.perf_counter()
        run = await compiler.execute(f"best = {text}\nanswer(best)\n", dict(values))
        return time.perf_counter() - began, run["best"]

    for number in range(rounds + 2):
        floor, wanted = plain(text, dict(values))
        seconds, result = asyncio.run(ours())
        if not result.equals(wanted):
            raise AssertionError("the plan's result is not that of pandas")
        if number > 1:  # the first two warm the caches
            ratios.append(seconds / floor)
    return median(ratios)


FIGURES = [
    Figure("table", "a table expression in a plan, 1 million rows / plain pandas", 1.05, 1.02, measure_table),
    Figure("table-text", "the slowest of six on texts and keys, 300,000 rows / plain pandas", 1.5, 1.3, measure_texts),
]
