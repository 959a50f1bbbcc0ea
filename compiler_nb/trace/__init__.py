"""What a run's events say: its tasks and their states, why a task waits, how long it took, what it used."""

from __future__ import annotations

from compiler_nb.trace.disclosed import Disclosed, Disclosure, disclosed
from compiler_nb.trace.durations import Times, path_text, times
from compiler_nb.trace.progress import Progress
from compiler_nb.trace.records import Hold, ModelCall, Park, Round, Span
from compiler_nb.trace.waiting import Words

__all__ = [
    "Disclosed", "Disclosure", "Hold", "ModelCall", "Park", "Progress", "Round", "Span", "Times", "Words", "disclosed",
    "path_text", "times",
]  # fmt: skip
