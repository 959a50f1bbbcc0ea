"""Runs kept in a file: written as they happen, read back without running anything, continued after a crash."""

from __future__ import annotations

from compiler_nb.history.history import History, open_history
from compiler_nb.history.listing import StoredRun
from compiler_nb.outcome import NotStored

__all__ = ["History", "NotStored", "StoredRun", "open_history"]
