"""The verbs of `%compile`."""

from __future__ import annotations

import difflib
import shlex
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from compiler_nb import trace
from compiler_nb.drawing.text import text_table
from compiler_nb.engine.background import BACKGROUND
from compiler_nb.errors import OptionError
from compiler_nb.notebook import loop, models
from compiler_nb.notebook.jobs import make_again_job, offered
from compiler_nb.notebook.models import roles_of
from compiler_nb.notebook.options import help_text, read
from compiler_nb.notebook.output import show
from compiler_nb.notebook.output.front import front_end, look_of
from compiler_nb.notebook.output.presenter import display, say
from compiler_nb.notebook.runs import find_run, history_of, stored_runs
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.outcome import ENDED
from compiler_nb.plan.task import owner_of
from compiler_nb.text import cut, seconds_text

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from compiler_nb.notebook.desk import Desk
    from compiler_nb.run import Run

LISTED: Final = 30
"""Runs that are listed at most."""
_QUESTION: Final = 60


class Verb(NamedTuple):
    """A verb: what does it, how it is written, and what it is for."""

    perform: Callable[[Desk, list[str]], None]
    usage: str
    help: str


def perform(desk: Desk, line: str) -> None:
    """Do what a line says; raises OptionError for a verb that is none."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise OptionError(f"%compile: {error}: {line.strip()}") from None
    name, *rest = words or ["help"]
    if name in ("-h", "--help"):
        name = "help"
    if name not in VERBS:
        near = difflib.get_close_matches(name, VERBS, 1)
        mend = f"; did you mean {near[0]!r}?" if near else ""
        raise OptionError(f"%compile has no verb {name!r} yet{mend}; it has: {', '.join(VERBS)}")
    if {"-h", "--help"} & set(rest):
        rest, name = [name], "help"
    VERBS[name].perform(desk, rest)


def help_(desk: Desk, words: list[str]) -> None:
    """Print the verbs, or the help of one."""
    if words:
        verb = VERBS.get(words[0])
        if verb is None:
            raise OptionError(f"%compile has no verb {words[0]!r}; it has: {', '.join(VERBS)}")
        say(f"%compile {verb.usage}\n\n{verb.help}.")
        return
    rows = "\n".join(f"  {verb.usage}\n      {verb.help}" for verb in VERBS.values())
    say(f"{help_text('compile')}\n\n%compile VERB\n{rows}\n\nRUN is a variable, an id, or -1 for the last one.")


def model(desk: Desk, words: list[str]) -> None:
    """Show the models, or set the model for all roles; ask for its key, or try it."""
    flags = {word for word in words if word.startswith("--")}
    if unknown := flags - {"--key", "--check"}:
        raise OptionError(f"%compile model has no option {min(unknown)}; it has --key and --check")
    name, *settings = [word for word in words if word not in flags] or [""]
    if name:
        found = models.find(name, desk.memory.names, **models.settings_of(settings))
        desk.settings.model = found if settings else name
        desk.memory.connected.pop(name, None)
    roles = roles_of(desk, {})
    known = list({id(each): each for each in roles.values() if each is not None}.values())
    if "--key" in flags:
        for provider in dict.fromkeys(each.provider for each in known):
            models.ask_key(provider)
    say(models.about(roles))
    if "--check" in flags:
        for each in known:
            say(_waited(models.check(each)) if not models.is_hand(each) else "hand: a person answers")


def _waited(work: Coroutine[Any, Any, str]) -> str:
    return BACKGROUND.run(work)


def tools(desk: Desk, words: list[str]) -> None:
    """Print the tools that a question is offered."""
    _no_words("tools", words)
    say(offered(desk.memory.names.tools()).description)


def runs(desk: Desk, words: list[str]) -> None:
    """Print the runs of this session, the newest first, then those in the history; with --keep N remove older ones."""
    if words[:1] == ["--keep"]:
        say(_pruned(desk, words[1:]))
        return
    _no_words("runs", words)
    rows = list(_rows(desk))
    if not rows:
        say("no runs yet")
        return
    more = f"\n… {len(rows) - LISTED:,} older ones" if len(rows) > LISTED else ""
    say(text_table([["", "status", "tasks", "time", "id", "question"], *rows[:LISTED]]) + more)


def _pruned(desk: Desk, words: list[str]) -> str:
    """Remove all but the newest runs from the history; return what was done."""
    if len(words) != 1 or not (words[0].isascii() and words[0].isdigit()):
        raise OptionError(f"%compile runs: --keep takes a number of runs, 0 or more, not {' '.join(words)!r}")
    history = history_of(desk)
    if history is None:
        raise OptionError("%compile runs: no history is kept here; %config CompileMagics.history names its file")
    count = history.prune(int(words[0]))
    return f"removed {count:,} run{'' if count == 1 else 's'} from {history.path}, kept the newest {words[0]}"


def _rows(desk: Desk) -> Iterator[list[str]]:
    own = reversed(desk.memory.runs)
    told: list[tuple[str, int, float, str, str]]
    told = [(run.status, sum(not owner_of(id_) for id_ in run.tasks), run.seconds, run.id, run.question) for run in own]
    told += [(run.status, run.tasks, run.seconds, run.id, run.question) for run in stored_runs(desk)]
    for number, (status, count, seconds, id_, question) in enumerate(told, 1):
        shown = cut(" ".join(question.split()), _QUESTION) or "(a plan)"
        yield [f"-{number}", status, str(count), seconds_text(seconds), id_, shown]


def rerun(desk: Desk, words: list[str]) -> None:
    """Run a run's plan again, or a part of it; one that did not finish goes on where it stopped."""
    start, rest = "", list(words)
    if "--start" in rest:
        at = rest.index("--start")
        start = next(iter(rest[at + 1 :]), "")
        del rest[at : at + 2]
        if not start:
            raise OptionError("%compile rerun: --start needs a value: --start TASK")
    named = [word for word in rest if word != "--failed"]
    unknown = [word for word in named if word.startswith("--")]
    if unknown or len(named) > 1:
        raise OptionError(f"%compile rerun takes a run, --start TASK and --failed, not {' '.join(unknown or named)!r}")
    old = find_run(desk, named[0] if named else "-1")
    job = make_again_job(desk, old, start=start, failed="--failed" in rest)
    if job is not None:
        job.finish(loop.block(job.work, job.stop, job.main, kernel=job.kernel))


def show_(desk: Desk, words: list[str]) -> None:
    """Show a run again, as it is now: the live view where there is a page for it and no views are named."""
    back = [word for word in words if word[:1] == "-" and word[1:].isdecimal()]
    rest = [word for word in words if word not in back]
    start = next((number for number, word in enumerate(rest) if word.startswith("-")), len(rest))
    said = read("compile", shlex.join(rest[start:]))
    if other := set(said.given) - {"display"}:
        raise OptionError(f"%compile show takes -d VIEWS and a run, not {', '.join(sorted(other))}")
    named = [*back, *rest[:start], *said.question.split()]
    run = find_run(desk, named[0] if named else "-1")
    if not said.given and front_end(desk, {}) == "page":
        display(run.view().mime)
    else:
        display(show.bundle(run, Binding(), look_of(desk, said.given)))


def why(desk: Desk, words: list[str]) -> None:
    """Say why a task waits or waited; without one, of all that have not ended."""
    name, run = _task_and_run(desk, words)
    wanted = [name] if name else [id_ for id_, state in trace.states(run.events).items() if state not in ENDED]
    say("\n".join(_of_task(run.why, id_) for id_ in wanted) or "every task has ended", run)


def pause(desk: Desk, words: list[str]) -> None:
    """Start no new task of the runs that go on, or of one."""
    for run in _running(desk, words):
        run.pause()
        say(f"paused: {run.id}; what runs goes on, %compile go starts the rest")


def go(desk: Desk, words: list[str]) -> None:
    """Let tasks start again."""
    for run in _running(desk, words):
        run.go()
        say(f"goes on: {run.id}")


def approve(desk: Desk, words: list[str]) -> None:
    """Let a task start that waits for approval; without one, list those that do."""
    _judge(desk, words, "approve")


def deny(desk: Desk, words: list[str]) -> None:
    """End a task that waits for approval as denied; without one, list those that wait."""
    _judge(desk, words, "deny")


def _judge(desk: Desk, words: list[str], verb: str) -> None:
    name, run = _task_and_run(desk, words)
    held = run.held
    if not name or name not in held:
        known = "\n".join(f"  {id_}: {_call(run, id_, arguments)}" for id_, arguments in held.items())
        told = f"{name} does not wait for approval; " if name else ""
        say(f"{told}waiting for approval:\n{known}" if held else f"{told}nothing waits for approval", run)
        return
    call = _call(run, name, held[name])
    {"approve": run.approve, "deny": run.deny}[verb](name)
    say(f"{'approved' if verb == 'approve' else 'denied'}: {call}")


def _call(run: Run, id_: str, arguments: str) -> str:
    tool = run.tasks[id_].tool
    return f"{tool}({arguments})" if tool else arguments  # of a fan-out all calls are shown


def _task_and_run(desk: Desk, words: list[str]) -> tuple[str, Run]:
    """Return the task and the run that words mean; without a run the last one, without both no task."""
    if len(words) > 2:  # noqa: PLR2004 - a task and a run
        raise OptionError(f"a task and a run at most, not {' '.join(words)!r}")
    return words[0] if words else "", find_run(desk, words[1] if len(words) > 1 else "-1")


def _of_task(what: Callable[[str], str], name: str) -> str:
    try:
        return what(name)
    except KeyError as error:
        raise OptionError(str(error.args[0])) from None


def _running(desk: Desk, words: list[str]) -> list[Run]:
    """Return the run that is named, or all that are running; say so where there is none."""
    chosen = [find_run(desk, words[0])] if words else list(desk.memory.runs)
    running = [run for run in chosen if run.status == "running"]
    if not running:
        say("no run is running")
    return running


def cancel(desk: Desk, words: list[str]) -> None:
    """Cancel a run, or all that are running."""
    chosen = [find_run(desk, words[0])] if words else [run for run in desk.memory.runs if run.status == "running"]
    for run in chosen:
        run.cancel()
    say(f"cancelled: {len(chosen)} run{'' if len(chosen) == 1 else 's'}" if chosen else "no run is running")


def _no_words(verb: str, words: list[str]) -> None:
    if words:
        raise OptionError(f"%compile {verb} takes nothing, not {words[0]!r}")


VERBS: Final = {
    "help": Verb(help_, "help [VERB]", "print the options and the verbs, or the help of one verb"),
    "model": Verb(
        model,
        "model [MODEL [name=value ...]] [--key] [--check]",
        "show the models, or set the one for all roles; --key asks for its key, --check sends one tiny call",
    ),
    "tools": Verb(tools, "tools", "print the tools that a question is offered"),
    "runs": Verb(
        runs,
        "runs [--keep N]",
        "print the runs, the newest first: those of this session, then those in the history; --keep removes from the "
        "history all but the newest N, and those that still run",
    ),
    "show": Verb(
        show_, "show [RUN] [-d VIEWS]", "show a run again, in a page with the live view; -d shows these views only"
    ),
    "rerun": Verb(
        rerun,
        "rerun [RUN] [--start TASK] [--failed]",
        "run its plan again: all of it, a task and what hangs on it, or what failed; one that did not finish goes on",
    ),
    "why": Verb(why, "why [TASK [RUN]]", "say why a task waits or waited; without one, of all that have not ended"),
    "pause": Verb(pause, "pause [RUN]", "start no new task; what runs goes on"),
    "go": Verb(go, "go [RUN]", "let tasks start again"),
    "approve": Verb(approve, "approve [TASK [RUN]]", "let a task with side effects start; without one, list who waits"),
    "deny": Verb(deny, "deny [TASK [RUN]]", "end a task that waits for approval; without one, list who waits"),
    "cancel": Verb(cancel, "cancel [RUN]", "cancel a run, or all that are running"),
}
