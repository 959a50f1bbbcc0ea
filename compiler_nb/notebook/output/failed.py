"""What a cell says of tools that failed: what each raised, once, and the line of the user's own code that did."""

from __future__ import annotations

from typing import Final

from compiler_nb.drive.deciding import AGAIN
from compiler_nb.errors import RunFailed
from compiler_nb.models.secret import mask
from compiler_nb.notebook.output.errors import shortened
from compiler_nb.outcome import Failure
from compiler_nb.run import Run
from compiler_nb.text import count_of, cut, visible_lines
from compiler_nb.tracebacks import caused, foreign, place_of

SHOWN: Final = 3
"""Places that are told; the others are counted."""
LINE: Final = 200
DEBUG: Final = "%debug opens the frame that raised"


def places(run: Run) -> list[str]:
    """Return where in the user's own code tasks failed, two lines each; equal places are told once."""
    found: dict[str, list[str]] = {}
    for id_, failure in run.failures.items():
        place = place_of(failure.traceback) if isinstance(failure, Failure) else None
        if place is not None:
            found.setdefault(f"{cut(place.where, LINE)}\n    {cut(place.code, LINE)}", []).append(cut(id_, LINE))
    told = [f"{_and_more(ids)} failed in {at}" for at, ids in found.items()]
    more = [f"… {len(told) - SHOWN:,} more places: run.failures"] if len(told) > SHOWN else []
    return [visible_lines(mask(each, run.settings.secrets)) for each in (*told[:SHOWN], *more)]


def _and_more(ids: list[str]) -> str:
    return f"{ids[0]} and {len(ids) - 1:,} more" if len(ids) > 1 else ids[0]


def run_failed(run: Run, told: str) -> RunFailed:
    """Return the error of a run without an answer; `%debug` after it opens the frames that raised.

    told: why there is no answer.
    """
    error, lines = RunFailed(told.removeprefix("failed: "), run), places(run)  # its name says that it failed
    raised = [failure.error for failure in run.failures.values() if isinstance(failure, Failure) and failure.error]
    cause = next((each for each in raised if foreign(each.__traceback__) is not None), None)
    if cause is not None:
        error = caused(error, cause)
        lines.append(DEBUG)
    lost = sum(run.progress.tallies.items(id_).lost for id_ in run.failures)
    asked = [call.role for call in run.progress.calls.values() if not call.task]
    if asked and run.rounds[-1].problems:  # lines are counted in a text that the cell may not show
        lines.append(f"%compile prompt {asked[-1]} shows what the planner was asked, and the plan that it wrote")
    if lost and AGAIN not in told:
        lines.append(f"%compile rerun --failed runs again what failed, {count_of(lost, 'item')}, and keeps the others")
    return shortened(error, *lines)
