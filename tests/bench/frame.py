"""The memory that a plan takes beside a large table which passes through it: nothing may copy it."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path
from typing import Any

from compiler_nb import Compiler, tool
from tests.bench import Figure

ROWS, COLUMNS, TASKS = 2_500_000, 10, 10


@tool
def step(frame: Any, n: int) -> Any:
    """Look at a table, and return it."""
    assert frame["c3"].iloc[n] >= 0
    return frame


def kilobytes_of(what: str) -> int:
    """Return what Linux says of this process: VmRSS, what it takes; VmHWM, the most that it took."""
    return int(re.search(rf"^{what}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)[1])  # type: ignore[index]


def measure_frame(history: str | None = None) -> float:
    """Return the peak of memory while a table of 200 MB passes through ten tasks, over the table."""
    import numpy as np
    import pandas as pd

    names = [f"c{number}" for number in range(COLUMNS)]
    lines = [f"t{number} = step({f't{number - 1}' if number else 'big'}, {number})" for number in range(TASKS)]
    plan = "\n".join([*lines, f"answer(len(t{TASKS - 1}))", ""])
    compiler = Compiler(None, [step], history=history)
    asyncio.run(compiler.execute(plan, {"big": pd.DataFrame(np.ones((20, COLUMNS)), columns=names)}))
    frame = pd.DataFrame({name: np.ones(ROWS) for name in names}, copy=False)
    size = int(frame.memory_usage().sum())
    before = kilobytes_of("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins anew
    run = asyncio.run(compiler.execute(plan, {"big": frame}))
    if run["t9"] is not frame:
        raise AssertionError("the table is not itself anymore")
    return 1 + (kilobytes_of("VmHWM") - before) * 1024 / size


def measure_kept_frame() -> float:
    """Return the same of a run that a history keeps."""
    with tempfile.TemporaryDirectory() as folder:
        return measure_frame(str(Path(folder) / "runs.db"))


FIGURES = [
    Figure("frame", "peak of memory, a table of 200 MB through ten tasks / the table", 1.2, 1.05, measure_frame),
    Figure("frame-kept", "the same, kept in a history", 1.2, 1.1, measure_kept_frame),
]
