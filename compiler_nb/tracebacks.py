"""Where an error came up: its traceback as text without our own frames, and the line of the user's own code in it.

The line is found in the text, so that a stored failure, which has no frames anymore, says the same as a new one.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, TypeVar

Caused = TypeVar("Caused", bound=BaseException)
OURS: Final = f"{Path(__file__).parent}/"
LONGEST: Final = 20_000
"""Characters of a traceback that are kept: its beginning and its end."""
LABELS: Final[list[Callable[[str], str]]] = []
"""Functions that name code without a file, such as a cell of a notebook: "Cell In[3]", or "" if it is not theirs."""
_LIBRARY: Final = re.compile(r"[/\\](site|dist)-packages[/\\]|^<(?!ipython-input)")
_STANDARD: Final = f"{Path(traceback.__file__).parent}/"
_FILE: Final = re.compile(r'File "([^"\n]*)", (line \d+)')
_FRAME: Final = re.compile(
    r'^[ |]*(?:File "(?P<file>[^"\n]*)"|(?P<cell>Cell [^\n,]*)), line (?P<line>\d+), in (?P<function>[^\n]*)\n'
    r"(?:[ |]*(?P<code>[^\n]*))?",
    re.MULTILINE,
)


class OwnLine(NamedTuple):
    """Where the user's own code raised: "mytools.py, line 12, in fetch", and that line."""

    where: str
    code: str


def traceback_of(error: BaseException | None) -> str:
    """Return the traceback of an error as text, from the first frame that is not ours; "" without an error."""
    if error is None:
        return ""
    try:
        told = "".join(traceback.TracebackException(type(error), error, foreign(error.__traceback__)).format())
    except Exception:  # noqa: BLE001 - an error's own methods may raise anything
        return ""
    told = _FILE.sub(_labelled, told).rstrip()
    return told if len(told) <= LONGEST else f"{told[: LONGEST // 2]}\n…\n{told[-LONGEST // 2 :]}"


def _labelled(match: re.Match[str]) -> str:
    label = next((found for label in LABELS if (found := label(match[1]))), "")
    return f"{label}, {match[2]}" if label else match[0]


def foreign(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without our own frames."""
    kept = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(OURS):
            kept.append(trace)
        trace = trace.tb_next
    made = None
    for each in reversed(kept):
        made = TracebackType(made, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return made


def caused(error: Caused, cause: BaseException | None) -> Caused:
    """Return an error with its cause, and with the cause's frames below its own: a debugger opens the last one.

    Our own frames are taken out of the cause.
    """
    if cause is not None and (trace := foreign(cause.__traceback__)) is not None:
        cause.__traceback__ = trace
        error = error.with_traceback(trace)
    error.__cause__ = cause
    return error


def place_of(told: str) -> OwnLine | None:
    """Return where the user's own code raised, by the text of a traceback; None if none of it is theirs."""
    own = [match for match in _FRAME.finditer(told) if match["cell"] or not _is_library(match["file"])]
    if not own:
        return None
    last = own[-1]
    return OwnLine(f"{last['cell'] or _short(last['file'])}, line {last['line']}, in {last['function']}", last["code"])


def _is_library(file: str) -> bool:
    return bool(_LIBRARY.search(file)) or file.startswith((_STANDARD, OURS))


def _short(file: str) -> str:
    """Return a file's path from the working directory on, if it lies there."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return file
