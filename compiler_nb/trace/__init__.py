"""What a run's events say: its tasks and their states, why a task waits, how long it took, what it used."""

from __future__ import annotations

from compiler_nb.trace.chain import Link, find_chain
from compiler_nb.trace.costs import Cost, Costs, cost_of, costs_of, estimate_call, share_text
from compiler_nb.trace.disclosed import Disclosed, Disclosure, disclosed, disclosure, sent_in_part, shown_in
from compiler_nb.trace.durations import Spent, Times, path_text, spent, times
from compiler_nb.trace.exchanges import Exchange, calls_of, counterpart, exchange, exchanges
from compiler_nb.trace.facts import Facts, facts_of
from compiler_nb.trace.progress import Progress
from compiler_nb.trace.records import JOINER, PLANNER, Hold, ModelCall, Park, Round, Span, role_of
from compiler_nb.trace.table import rows_of
from compiler_nb.trace.tallies import Counted
from compiler_nb.trace.waiting import Words

__all__ = [
    "JOINER", "PLANNER", "Cost", "Costs", "Counted", "Disclosed", "Disclosure", "Exchange", "Facts", "Hold", "Link",
    "ModelCall", "Park", "Progress", "Round", "Span", "Spent", "Times", "Words", "calls_of", "cost_of", "costs_of",
    "counterpart", "disclosed", "disclosure", "estimate_call", "exchange", "exchanges", "facts_of", "find_chain",
    "path_text", "role_of", "rows_of", "sent_in_part", "share_text", "shown_in", "spent", "times",
]  # fmt: skip
