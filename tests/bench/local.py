"""What the model in the box costs: the seconds until it can be asked, and the memory of its server."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from statistics import median

from compiler_nb.models.connect import check, connect
from tests.bench import Figure


def start_seconds() -> float:
    """Return the seconds from the first call until the server can be asked. Raises NoModel if there is no model."""
    spent = []
    for _ in range(7):
        model = connect("local")
        began = time.perf_counter()
        asyncio.run(model.start())
        spent.append(time.perf_counter() - began)
        model.stop()
    return median(spent)


def megabytes() -> float:
    """Return the memory of the server, in MB, once it has answered."""
    model = connect("local", max_tokens=8)
    asyncio.run(check(model))
    status = Path(f"/proc/{model.server.pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s*(\d+) kB", status)
    model.stop()
    if found is None:
        raise OSError("this system does not tell the memory of a process")
    return int(found[1]) / 1_000


FIGURES = [
    Figure("local-start", "the model in the box, until it can be asked, s", 3, 1, start_seconds),
    Figure("local-memory", "its server's memory after an answer, MB", 500, 400, megabytes),
]
