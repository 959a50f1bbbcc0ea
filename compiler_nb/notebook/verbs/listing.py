"""Verbs that list what there is: tools, and runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final

from compiler_nb.compiler import Compiler
from compiler_nb.errors import OptionError
from compiler_nb.history import StoredRun
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.output import show
from compiler_nb.notebook.output.answer import to_text
from compiler_nb.notebook.output.presenter import say, say_table
from compiler_nb.notebook.runs import grid_runs, history_of, stored_runs
from compiler_nb.planner.requests import listed
from compiler_nb.run import Run
from compiler_nb.text import count_of, cut, seconds_text
from compiler_nb.trace import Facts, facts_of

LISTED: Final = 30
"""How many runs are listed at most."""
_QUESTION, _ANSWER, _MODEL, _PROMPT = 40, 40, 24, 48
_COLUMNS: Final = [
    "", "status", "tasks", "when", "model", "prompt", "tokens", "cost", "time", "id", "answer", "question",
]  # fmt: skip
_IF_ANY: Final = _COLUMNS.index("prompt")
"""The column that is there only if a run that is listed used a prompt of the user's."""


def tools(desk: Desk, _: list[str], __: dict[str, str]) -> None:
    """Print the tools that a question is offered."""
    offered = Compiler(tools=desk.memory.names.tools()).settings.tools
    say("\n".join(listed(offered, {})))


def runs(desk: Desk, _: list[str], options: dict[str, str]) -> None:
    """Print the runs of this session, the newest first, then those in the history; with --keep N remove older ones."""
    if "--keep" in options:
        say(_prune(desk, options["--keep"]))
        return
    grids = list(_grids(desk))
    rows, older = list(islice(_rows(desk), LISTED)), max(0, len(desk.memory.runs) + len(stored_runs(desk)) - LISTED)
    rows += grids[:LISTED]
    if not rows:
        say("no runs yet")
        return
    more = f"… {older:,} older ones: history.to_pandas()" if older else ""
    columns, *rows = _without_empty([_COLUMNS, *rows])
    say_table(desk, columns, rows, more)


def _without_empty(table: list[list[str]]) -> list[list[str]]:
    """Return a table without the column of prompts if no row has one."""
    is_told = any(row[_IF_ANY] for row in table[1:])
    return table if is_told else [[*row[:_IF_ANY], *row[_IF_ANY + 1 :]] for row in table]


def _prune(desk: Desk, keep: str) -> str:
    """Remove all but the newest runs from the history; return what was done."""
    if not (keep.isascii() and keep.isdigit()):
        raise OptionError(f"%compile runs: --keep takes a number of runs, 0 or more, not {keep!r}")
    history = history_of(desk)
    if history is None:
        raise OptionError("%compile runs: there is no history; %config CompileMagics.history sets its file")
    count = history.prune(int(keep))
    return f"removed {count_of(count, 'run')} from {history.path}, kept the newest {keep}"


def _grids(desk: Desk) -> Iterator[list[str]]:
    """Yield what is told of each grid in the history, the newest first; its runs are not listed one by one."""
    runs = grid_runs(desk)
    for mark, count in Counter(run.grid for run in runs).items():
        newest = next(run for run in runs if run.grid == mark)
        asked = cut(" ".join(newest.question.split()), _QUESTION)
        head = ["", f"grid of {count_of(count, 'run')}", "", f"{newest.at:%d %b %H:%M}"]
        yield [*head, *[""] * (len(_COLUMNS) - len(head) - 1), asked]


def _rows(desk: Desk) -> Iterator[list[str]]:
    """Yield what is told of each run, the newest first: those of this session, then those of the history."""
    own, stored = list(reversed(desk.memory.runs)), stored_runs(desk)[:LISTED]
    history = history_of(desk, to_write=False)
    known = history.facts(run.id for run in stored) if history is not None and stored else {}
    found: list[tuple[Run | StoredRun, int, Facts]] = [
        *((run, len(show.plain_tasks(run)), facts_of(run.progress)) for run in own),
        *((run, run.tasks, known.get(run.id, Facts())) for run in stored),
    ]
    for number, (run, count, facts) in enumerate(found, 1):
        tokens = facts.cost.tokens.partition(" ")[0] if facts.cost.usage.tokens else ""
        answer = "" if facts.answer is None else cut(" ".join(to_text(facts.answer).split()), _ANSWER)
        yield [
            f"-{number}", run.status, str(count), f"{run.at:%d %b %H:%M}" if run.at else "",
            cut(", ".join(facts.models), _MODEL), cut(", ".join(facts.prompts), _PROMPT), tokens,
            facts.cost.money, seconds_text(run.seconds), run.id, answer,
            cut(" ".join(run.question.split()), _QUESTION) or "(a plan)",
        ]  # fmt: skip
