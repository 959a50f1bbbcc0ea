"""Verbs that steer a run while it goes on: pause, resume and cancel it; skip, try again or set one of its tasks."""

from __future__ import annotations

from collections.abc import Callable

from compiler_nb.errors import OptionError
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.output.presenter import say
from compiler_nb.notebook.verbs.command import known, run_of
from compiler_nb.run import Run
from compiler_nb.text import count_of, shorten_value


def steer(
    desk: Desk, words: list[str], _: dict[str, str], *, act: Callable[[Run], None], message: str, hint: str = ""
) -> None:
    """Pause or resume the runs that are running, or one; `message` has a place for the run's id."""
    for run in _running(desk, words, hint):
        act(run)
        say(message.format(run.id))


def hand(desk: Desk, words: list[str], _: dict[str, str], *, act: Callable[[Run, str], None], message: str) -> None:
    """Skip a task, or try it again; `message` begins with what was done."""
    if not words:
        raise OptionError(f"which task? %compile show lists them; write: %compile {message} TASK [RUN]")
    run = run_of(desk, words[1:]) if words[1:] else _going(desk, words[0])
    name = known(run, words[0])
    act(run, name)
    say(f"{'skipped' if message == 'skip' else 'tried again'}: {name}")


def set_(desk: Desk, words: list[str], options: dict[str, str]) -> None:
    """Give a task the value of an expression, which may read the notebook's variables."""
    if "" not in options:
        raise OptionError("%compile set takes a task and its value; write: %compile set TASK EXPRESSION [--run RUN]")
    name, other = words
    run = run_of(desk, [other]) if other else _going(desk, name)
    value = desk.memory.names.value(options[""], "%compile set")
    run.set(known(run, name), value)
    say(f"set: {name} = {shorten_value(value)}")


def _going(desk: Desk, name: str) -> Run:
    """Return the newest run that goes on and has a task of this name; the last run if there is none."""
    going = [run for run in reversed(desk.memory.runs) if run.status == "running"]
    return next((run for run in going if name in run.progress.names or name in run.progress.tasks), None) or run_of(
        desk, []
    )


def cancel(desk: Desk, words: list[str], _: dict[str, str]) -> None:
    """Cancel a run, or all that are running."""
    running = _running(desk, words)
    for run in running:
        run.cancel()
    if running:
        say(f"cancelled: {count_of(len(running), 'run')}")


def _running(desk: Desk, words: list[str], hint: str = "") -> list[Run]:
    """Return the run that is named, or all that are running; print a message with `hint` if there is none."""
    chosen = [run_of(desk, words)] if words else list(desk.memory.runs)
    running = [run for run in chosen if run.status == "running"]
    if not running:
        say((f"{words[0]} is not running: its status is {chosen[0].status}" if words else "no run is running") + hint)
    return running
