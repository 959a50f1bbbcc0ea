"""Who goes on with a run: of all runs that continue or repeat it, only one at a time makes side effects.

Theory of operation
    Runs that come from one another are a lineage, named after the one that all of them come from. A side effect claims
    its lineage in the very transaction that stores its intent, before it begins: so of two that go on with the same run
    at once only one makes any. Whoever goes on with a run looks at the claim first, and then at what was done. Its own
    claim is refused unless the claim is still the one that it saw: otherwise another run has made side effects
    meanwhile that it knows nothing of.
    A claim lapses when its run has ended, or the process of that run. If that is a process of another host, nobody here
    can ask, and the user may take the claim. A run whose claim was taken makes no further side effect.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Final

from compiler_nb.errors import RunClaimed
from compiler_nb.history.file import Unmade, reading, version_of
from compiler_nb.history.listing import is_alive, owner_mark
from compiler_nb.settings.order import Claim
from compiler_nb.values.forms import of_kind

_SINCE: Final = 2
"""The version from which a file has claims."""
_FIND: Final = "SELECT run, owner, effects FROM claims WHERE lineage = ?"
_SET: Final = "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)"


def look(path: Path, run: str, alive: Collection[str], *, take: bool) -> Claim | None:
    """Return the claim on the lineage of a run that somebody wants to go on with, None if there is none.

    alive: the runs that this process is writing; take: whether to take it from a process that cannot be asked. Raises
    RunClaimed if it holds.
    """
    with contextlib.suppress(Unmade), reading(path) as connection:
        claim = _find(connection, _lineage(connection, run))
        ended = claim is None or _has_ended(connection, claim.run)
        if claim is None or ended or _is_at_work(claim, alive) is False:
            return claim
        held = f"the side effects of {run} are in the hands of {_words(claim)}"
        if _is_at_work(claim, alive):
            raise RunClaimed(
                f"{held}, which is still running: wait for its end, or cancel it there, or end that process"
            )
        if not take:
            raise RunClaimed(
                f"{held}, and nobody here can ask whether that is still running: if you know that it is not, take "
                f"them over: %compile rerun {run} --take, or in Python resume({run!r}, take=True)"
            )
        return claim
    return None


def claim(connection: sqlite3.Connection, run: str, seen: Claim | None) -> str:
    """Have a run claim its lineage, in a transaction that is open; return why it must not, "" if it has.

    seen: the claim that whoever gave the order saw.
    """
    lineage = _lineage(connection, run)
    found = _find(connection, lineage)
    if found is not None and found.run == run:
        seen = found
    if found != seen:
        other = "another run" if found is None else _words(found)
        ended = found is None or _has_ended(connection, found.run)
        again = f"go on with {found.run}: %compile rerun {found.run}" if found is not None else "try again"
        return (
            f"{other} has made side effects of {lineage} since this run began, so it makes none: "
            f"{again if ended else f'wait for its end, then {again}'}"
        )
    connection.execute(_SET, (lineage, run, owner_mark(), 1 if seen is None else seen.effects + 1))
    return ""


def _lineage(connection: sqlite3.Connection, run: str) -> str:
    """Return the first run of the lineage that a run belongs to; itself if it comes from no other."""
    seen: set[str] = set()
    while run not in seen:
        seen.add(run)
        (parent,) = connection.execute("SELECT parent FROM runs WHERE id = ?", (run,)).fetchone() or ("",)
        run = of_kind(str, parent) or run
    return run


def _find(connection: sqlite3.Connection, lineage: str) -> Claim | None:
    found = connection.execute(_FIND, (lineage,)).fetchone() if version_of(connection) >= _SINCE else None
    return None if found is None else Claim(of_kind(str, found[0]), of_kind(str, found[1]), of_kind(int, found[2]))


def _has_ended(connection: sqlite3.Connection, run: str) -> bool:
    found = connection.execute("SELECT status FROM runs WHERE id = ?", (run,)).fetchone()
    return found is None or found[0] != "running"


def _is_at_work(claim: Claim, alive: Collection[str]) -> bool | None:
    """Return whether the process that holds a claim still works on its run; None if it cannot be asked."""
    return claim.run in alive if claim.owner == owner_mark() else is_alive(claim.owner)


def _words(claim: Claim) -> str:
    host, _, process = claim.owner.rpartition(":")[0].rpartition(":")
    return f"{claim.run} (process {process} on {host})"
