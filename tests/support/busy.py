"""How long a page is busy at a time: the processor time of its tasks, whatever else the machine does."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS = ["disabled-by-default-devtools.timeline", "__metadata"]


@contextmanager
def tasks_of(browser: Any, page: Any) -> Iterator[list[float]]:
    """Yield a list that is filled at the end: the milliseconds of work of each task of the page's main thread.

    While a task works the page neither repaints nor answers a click.
    """
    found: list[float] = []
    browser.start_tracing(page=page, categories=PARTS)
    try:
        yield found
    finally:
        events = json.loads(browser.stop_tracing())["traceEvents"]
        threads = {
            (each["pid"], each["tid"])
            for each in events
            if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain"
        }
        found += [
            each["tdur"] / 1000
            for each in events
            if each["name"] == "RunTask" and "tdur" in each and (each["pid"], each["tid"]) in threads
        ]
