"""Verbs for tasks with side effects that wait: approve them or deny them."""

from __future__ import annotations

import functools

from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.output.presenter import say
from compiler_nb.notebook.verbs.command import known, run_of
from compiler_nb.run import Run


def judge(desk: Desk, words: list[str], options: dict[str, str], *, approve: bool) -> None:
    """Approve or deny a task that waits for approval; without a task, list those that wait."""
    run = run_of(desk, words[1:])
    held = {id_: _call(run, id_, arguments) for id_, arguments in run.progress.held.items()}
    name = known(run, words[0]) if words else ""
    meant = (run.progress.held_in(name) or run.progress.held_in(run.id_of(name))) if name else []
    if meant:
        (functools.partial(run.approve, again="--again" in options) if approve else run.deny)(name)
        say(f"{'approved' if approve else 'denied'}: {', '.join(held[id_] for id_ in meant)}")
        return
    waiting = "".join(f"\n  {id_}: {call}" for id_, call in held.items())
    other = f"{name} does not wait for approval; " if name else ""
    say(f"{other}waiting for approval:{waiting}" if held else f"{other}nothing waits for approval", run)


def _call(run: Run, id_: str, arguments: str) -> str:
    tool = run.progress.tasks[id_].tool
    return f"{tool}({arguments})" if tool else arguments  # a fan-out shows all its calls
