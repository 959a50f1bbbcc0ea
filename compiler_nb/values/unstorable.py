"""What stands for a value that is not stored, and what says why one cannot be."""

from __future__ import annotations

from typing import NamedTuple


class NotStored(NamedTuple):
    """Stands for a value that was not stored: its type's name, and why."""

    type: str
    reason: str

    def __repr__(self) -> str:
        return f"<not stored: {self.type}, {self.reason}>"


class Unstorable(Exception):
    """A value has no form here; the message says why."""
