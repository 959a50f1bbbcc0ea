"""Verbs that run a plan again: as it was, in part, or edited in a cell."""

from __future__ import annotations

from typing import Final

from compiler_nb.errors import OptionError
from compiler_nb.history.past import editable
from compiler_nb.notebook import loop
from compiler_nb.notebook.again import begin_again
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.job import RunJob
from compiler_nb.notebook.options import listed, read_name
from compiler_nb.notebook.verbs.command import known, run_of, shared_values

SHARED: Final = tuple(option for option in listed() if option.field in {
    "model", "joiner", "worker", "joiner_prompt", "record", "replay", "timings", "tools", "share", "out", "prefix",
    "bind", "max_concurrency", "timeout", "budget", "drop_failed", "approve", "cache", "engine", "loop", "background",
    "live", "display", "raises", "quiet", "answer_type",
})  # fmt: skip
"""Options of `%%compile` that a rerun takes: those that are not about how a plan is written, or what it reads."""


def rerun(desk: Desk, words: list[str], options: dict[str, str]) -> None:
    """Run the plan of a run again, or a part of it; a run that did not finish is continued."""
    job = begin_rerun(desk, words, options)
    if job is not None:
        job.finish(loop.block(job))


def begin_rerun(desk: Desk, words: list[str], options: dict[str, str]) -> RunJob | None:
    """Begin to run a plan again; return what is waited for, None if it goes on in the background."""
    answer = read_name("%compile rerun", options["<<"]) if "<<" in options else ""
    overrides = desk.memory.names.assigned(options.get("--override", ""), "%compile rerun: --override")
    run = run_of(desk, words)
    start = known(run, options["--start"]) if "--start" in options else ""
    return begin_again(
        desk, run, start=start, failed="--failed" in options, take="--take" in options,
        overrides={known(run, name): value for name, value in overrides.items()},
        given=shared_values("rerun", options), answer=answer,
    )  # fmt: skip


def edit(desk: Desk, words: list[str], _: dict[str, str]) -> None:
    """Open a cell with the plan of a run, to be changed and run: what has not changed does not run again."""
    run = run_of(desk, words)
    try:
        text = editable(run)
    except KeyError as error:
        raise OptionError(str(error.args[0])) from None
    head = f"%%plan {desk.memory.kept.get(run.id, '')}".rstrip()
    desk.shell.set_next_input(f"{head} --from {run.id}\n{text}")
