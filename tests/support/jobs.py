"""Calls for what performs them, without a session."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def call_of(function: Any, *args: Any) -> Any:
    """Return what a runner and a thread read of a call."""
    return SimpleNamespace(id="t", name="t", function=function, args=args, kwargs={}, handle=None)
