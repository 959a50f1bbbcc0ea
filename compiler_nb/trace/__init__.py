"""What a run's events say: its tasks and their states, why a task waits, how long it took, what it used."""

from __future__ import annotations

from compiler_nb.trace.chain import JOINER, PLANNER, Link, find_chain, role_of
from compiler_nb.trace.disclosed import Disclosed, Disclosure, disclosed
from compiler_nb.trace.durations import Spent, Times, path_text, spent, times
from compiler_nb.trace.facts import Facts, facts_of
from compiler_nb.trace.progress import Progress
from compiler_nb.trace.records import Hold, ModelCall, Park, Round, Span, cost_of
from compiler_nb.trace.waiting import Words

__all__ = [
    "JOINER", "PLANNER", "Disclosed", "Disclosure", "Facts", "Hold", "Link", "ModelCall", "Park", "Progress", "Round",
    "Span", "Spent", "Times", "Words", "cost_of", "disclosed", "facts_of", "find_chain", "path_text", "role_of",
    "spent", "times",
]  # fmt: skip
