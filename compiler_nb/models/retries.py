"""Whether a call that failed is tried again, and after how long: pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from compiler_nb.errors import ModelError

LONGEST_DELAY: Final = 20.0
"""Seconds of the longest back-off of our own."""
SILENT_TRIES: Final = 2
"""How many tries may end without an answer from the provider; more would only take longer."""


@dataclass(slots=True)
class Retries:
    """Counts the tries of one call.

    most: tries; backoff: seconds before the second try, doubled each time; longest_wait: seconds that the call waits in
    total because its provider asks for that. Tries that were too many for the provider, or too early for a model that
    it still loads, do not count against `most`: waiting longer is all that helps, and it does help.
    """

    most: int = 4
    backoff: float = 0.5
    longest_wait: float = 120.0
    silent: int = 0
    waited: float = 0.0

    def delay(self, fault: ModelError, tried: int) -> float | None:
        """Return the seconds until the next try, or None if there should be none; tried: tries so far, all failed."""
        if not fault.retryable:
            return None
        spread = random.uniform(0.5, 1.0)  # noqa: S311 - it protects nothing
        delay = min(LONGEST_DELAY, self.backoff * 2.0 ** min(tried - 1, 30)) * spread
        if fault.patient or fault.retry_after:
            delay += fault.retry_after or 0.0
            self.waited += delay
            if self.waited > self.longest_wait:
                return None
        if fault.patient:
            return delay
        self.silent += fault.status is None
        return delay if tried < self.most and self.silent < SILENT_TRIES else None
