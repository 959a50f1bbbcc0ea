"""The ledger: which calls with side effects were made, with what arguments, and what came of them.

Theory of operation
    A side effect is known by its tool and its resolved arguments, however it is spelled. A run's ledger holds the
    calls that it has made and those of its lineage: the runs that it goes on with, repeats, or took its plan from.
    A run that asks a question again starts with an empty one.

    Within one plan k equal calls are k calls. So a ledger is opened for each plan, and what was made before that is
    earlier: the plan's first call takes the first earlier one that is equal, the second call the second. One that is
    done gives its outcome, and is not made again unless a person says so; one for which that is not known is asked for.
    A call that takes nothing is made, and noted when it begins and when it ends.

    Without a history the runs of a lineage share one list of entries, and one of them at a time makes side effects: it
    holds the list until it ends. (In a history the runs of several processes do so by claims.)
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from compiler_nb.errors import RunClaimed
from compiler_nb.outcome import NOT_REPEATED, UNKNOWN, Cancelled, Failure, Skipped
from compiler_nb.tool import Tool
from compiler_nb.values.digest import digest_call

Standing: TypeAlias = Literal["done", "lost", "alike", "doubt", "failed", "before"]
"""What is known of a call that was begun: it is done; it is done, but its value is lost; it is done, but whether its
arguments were equal cannot be seen; it was cut off, and may have had its effect; it failed; it was made for an earlier
question, so that a new one may want it again."""
LOOSE: Final = "any call of "
"""What the digest of a call begins with whose arguments cannot be compared."""
_HELD: Final[dict[int, str]] = {}
"""Which run holds a list of entries, by the id of the list."""
_LOCK: Final = threading.Lock()


class Place(NamedTuple):
    """Where a call was made: the run, its round from 0, and the task."""

    run: str
    round: int
    task: str

    def describe(self, run: str) -> str:
        """Return the place in words, for somebody in a run."""
        other = "" if self.run == run else f" of the run {self.run}"
        return f"in round {self.round + 1}{other}" if self.run else "in an earlier run"


NOWHERE: Final = Place("", 0, "")
"""The place of a call of which only its digest is known."""


@dataclass(slots=True, eq=False)
class Entry:
    """A call with side effects that was begun: its digest, where that was, how it stands, and its value if done."""

    digest: str
    place: Place
    standing: Standing
    value: Any = None

    def describe(self, run: str) -> str:
        """Return what became of the call, and where, for somebody in a run."""
        where = self.place.describe(run)
        return {
            "done": f"done {where}",
            "lost": f"done {where}, but its value was not stored",
            "alike": f"done {where}, and whether its arguments were the same cannot be compared",
            "doubt": f"cut off {where}, and it may have had its effect",
            "before": f"made {where}",
            "failed": f"failed {where}, and it may have had a part of its effect",
        }[self.standing]


class Ledger:
    """The side effects of one run, and those before it.

    run: its id; entries: of its lineage, in the order in which they were begun; what this run does is added to them.
    wary: whether a failed call of an earlier run is asked for, too, because it may have done a part of its work.
    """

    def __init__(self, run: str, entries: list[Entry], *, wary: bool = False) -> None:
        self.run, self.entries, self.wary = run, entries, wary
        self._earlier: defaultdict[str, deque[Entry]] = defaultdict(deque)  # what this plan may take, by digest
        self._found: dict[str, tuple[str, Entry | None]] = {}  # a task's digest, and what it has taken
        self._begun: dict[str, Entry] = {}  # what this run makes, by task
        self._own: dict[str, Entry] = {}  # what it has made, or tried to
        self.open()

    def open(self) -> None:
        """Note that another plan begins: what was begun so far is earlier."""
        self._seen = len(self.entries)
        self._earlier.clear()
        for entry in self.entries:
            if entry.standing != "failed" or (self.wary and entry.place.run != self.run):
                self._earlier[entry.digest].append(entry)

    def claim(self) -> None:
        """Hold the entries, so that no other run makes side effects of this lineage until `close`.

        Raises RunClaimed if another run holds them, or has added to them since this one's plan began.
        """
        key = id(self.entries)
        with _LOCK:
            is_held, holder = key in _HELD, _HELD.setdefault(key, self.run)
        if holder != self.run:
            raise RunClaimed(f"{holder} makes the side effects of the same run: wait for its end, or cancel it first")
        if not is_held and len(self.entries) != self._seen:
            self.close()
            other = self.entries[-1].place.run
            raise RunClaimed(f"{other} has made side effects of the same run since this one began: go on with {other}")

    def close(self) -> None:
        """Let go of the entries."""
        with _LOCK:
            if _HELD.get(id(self.entries)) == self.run:
                del _HELD[id(self.entries)]

    def take(self, id_: str, places: Collection[Place]) -> list[Entry]:
        """Note that a task of this plan has adopted what was made at these places; return that."""
        taken = [entry for entry in self.entries if entry.place in places] if places else []
        for entry in taken:
            self._found[id_] = entry.digest, entry
            if entry in self._earlier[entry.digest]:
                self._earlier[entry.digest].remove(entry)
        return taken

    def find(self, id_: str, mark: str) -> Entry | None:
        """Return the earlier call that a task's call is, or None if it is a new one; mark: its digest."""
        before, taken = self._found.get(id_, ("", None))
        if before != mark:
            if taken is not None:  # its arguments have changed meanwhile
                self._earlier[before].appendleft(taken)
            earlier = self._earlier.get(mark)
            taken = earlier.popleft() if earlier else None
            self._found[id_] = mark, taken
        return taken

    def found(self, id_: str) -> tuple[str, Entry | None]:
        """Return a task's digest, and the earlier call that it is; ("", None) if its arguments are not known."""
        return self._found.get(id_, ("", None))

    def again(self, id_: str) -> None:
        """Note that a task's call is to be made although an equal one is done."""
        self._found[id_] = self.found(id_)[0], None

    def begin(self, id_: str, round_: int) -> None:
        """Note that a task's call begins."""
        mark, entry = self.found(id_)
        own = self._own.get(id_)
        if entry is None and own is not None and own.digest == mark:
            entry = own  # it is tried again
        if entry is None:
            entry = Entry(mark, Place(self.run, round_, id_), "doubt")
            self.entries.append(entry)
        entry.place, entry.standing, entry.value = Place(self.run, round_, id_), "doubt", None
        self._begun[id_] = self._own[id_] = entry

    def doubt(self, id_: str, *, wary: bool) -> str:
        """Return why a task's own call may not simply be made again, "" if it may: it may have had its effect.

        wary: whether this includes one that failed.
        """
        own = self._own.get(id_)
        unclear = own is not None and (wary or own.standing != "failed")
        return f"an equal call was {own.describe(self.run)}" if own is not None and unclear else ""

    def end(self, id_: str, outcome: Any) -> bool:
        """Note how a call ended that has begun; return whether it had."""
        entry = self._begun.pop(id_, None)
        if entry is None:
            return False
        entry.standing = standing_of(entry.digest, outcome)
        entry.value = outcome if entry.standing == "done" else None
        return True

    def told(self) -> dict[str, str]:
        """Return what became of the calls that this run's tasks have made or adopted, in words, by task."""
        own = {entry.place.task: entry for entry in self.entries if entry.place.run == self.run}
        known = {id_: own.get(id_, taken) for id_, (_, taken) in self._found.items()}
        return {id_: entry.describe(self.run) for id_, entry in known.items() if entry is not None}


def standing_of(mark: str, outcome: Any) -> Standing:
    """Return the entry of a call that began and ended with this outcome; mark: its digest."""
    if type(outcome) is Failure:
        return "doubt" if outcome.kind in UNKNOWN else "failed"
    if type(outcome) is Cancelled or type(outcome) is Skipped:
        return "doubt"
    return "alike" if mark.startswith(LOOSE) else "done"


def not_repeated(place: Place, run: str) -> str:
    """Return `TaskEnded.how` of a task that is not made again because an equal call was made at that place."""
    return f"{NOT_REPEATED}: done {place.describe(run)}"


def digest_of(tool: Tool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return what identifies a call: its tool and its bound arguments, or only the tool if these cannot be compared."""
    found = digest_call(tool, args, kwargs)
    return f"{LOOSE}{tool.name}" if found.loose else found.text
