"""How much a promise is tried: `make.py soak` sets the factor and the seed by environment variables."""

from __future__ import annotations

import os

SEED = 20_260_105
"""The seed of a test run: the same in each, so that a failure can be seen again."""


def factor() -> float:
    """Return how much larger than in a test run the figures are; 1 in a test run."""
    return float(os.environ.get("COMPILER_NB_FACTOR", "1"))


def seed() -> int:
    """Return the seed for everything that a promise's test draws."""
    return int(os.environ.get("COMPILER_NB_SEED", str(SEED)))


def times(number: int) -> int:
    """Return a test run's figure scaled by the factor, at least 1."""
    return max(1, round(number * factor()))
