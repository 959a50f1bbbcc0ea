"""One run through its rounds: plan, run, join, and perhaps plan again."""

from __future__ import annotations

from compiler_nb.drive.drive import Drive, finish, give_up
from compiler_nb.drive.ending import plan_of

__all__ = ["Drive", "finish", "give_up", "plan_of"]
