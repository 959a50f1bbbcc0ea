"""Who writes a run: which process, and whether it still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def owner_mark(pid: int = 0) -> str:
    """Return what names a process, by default this one: its host, its number, and when it began where that is told."""
    pid = pid or os.getpid()
    return f"{socket.gethostname()}:{pid}:{_began(pid)}"


def is_alive(mark: str) -> bool:
    """Whether a process of this host that a mark names still runs."""
    pid = _pid(mark)
    if pid is None or not can_be_asked(mark):
        return pid == os.getpid()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is another user's
    return owner_mark(pid) == mark


def can_be_asked(mark: str) -> bool:
    """Whether it can be told if a process still runs: not one of another host, nor where asking would be killing."""
    return os.name != "nt" and _pid(mark) is not None


def _pid(mark: str) -> int | None:
    """Return the number of a process of this host, None for one of another."""
    host, _, rest = mark.rpartition(":")[0].rpartition(":")
    return int(rest) if host == socket.gethostname() and rest.isdecimal() else None


def _began(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
