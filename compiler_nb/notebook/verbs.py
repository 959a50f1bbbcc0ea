"""The verbs of `%compile`: one table, which also says what words and options each of them takes."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

from compiler_nb.compiler import Compiler
from compiler_nb.drawing.text import text_table
from compiler_nb.engine.background import BACKGROUND
from compiler_nb.errors import OptionError
from compiler_nb.history import StoredRun
from compiler_nb.history.past import editable
from compiler_nb.models.connect import check
from compiler_nb.notebook import loop, models
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.job import begin_again
from compiler_nb.notebook.live import widget
from compiler_nb.notebook.options import BY_FLAG, help_text, read_value
from compiler_nb.notebook.output import show
from compiler_nb.notebook.output.answer import to_text
from compiler_nb.notebook.output.presenter import display, front_end, look_of, say
from compiler_nb.notebook.runs import find_run, history_of, stored_runs
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.run import Run
from compiler_nb.text import count_of, cut, seconds_text, shorten_value, suggest
from compiler_nb.trace import Facts, facts_of

LISTED: Final = 30
"""How many runs are listed at most."""
_QUESTION, _ANSWER, _MODEL = 40, 40, 24
_COLUMNS: Final = ["", "status", "tasks", "when", "model", "tokens", "cost", "time", "id", "answer", "question"]
_WIDE: Final = 200
"""Columns of the list of runs as text: ids are never cut."""
_MANY: Final = 99
_HELP: Final = {"-h", "--help"}
_OVERRIDE: Final = re.compile(r"\s--override[\s=]+(.*?)(?=\s--(?:start|failed|override|take)\b|$)")
"""Values of tasks as they are written: what a shell would make of their quotes and blanks is not meant."""


_SET: Final = re.compile(r"""\s*set\s+('[^']*'|"[^"]*"|[^-\s]\S*)\s+(.+?)(?:\s--run[\s=]+(\S+))?\s*""", re.DOTALL)
"""A task, an expression as it is written, and a run."""


class Command(NamedTuple):
    """A verb of `%compile`: the function that does it, how it is written, what it does, and what it takes.

    perform: is given the desk, the words and the options; words: how many it takes at most; flags: its options, each
    with the name of its value, or "" if it has none.
    """

    perform: Callable[[Desk, list[str], dict[str, str]], None]
    usage: str
    help: str
    words: int = 0
    flags: Mapping[str, str] = {}


def perform(desk: Desk, line: str) -> None:
    """Do what a line says; raises OptionError if it makes no sense."""
    if given := _SET.fullmatch(line):
        VERBS["set"].perform(desk, [given[1].strip("'\""), given[3] or ""], {"": given[2]})
        return
    overrides = ", ".join(_OVERRIDE.findall(line))
    try:
        words = shlex.split(_OVERRIDE.sub(" --override _", line))
    except ValueError as error:
        raise OptionError(f"%compile: {error}: {line.strip()}") from None
    name, *rest = words or ["help"]
    if _HELP & set(words):
        name, rest = "help", [word for word in words if word not in _HELP][:1]
    verb = _verb(name)
    words, options = _read(name, verb, rest)
    verb.perform(desk, words, options | ({"--override": overrides} if overrides else {}))


def _verb(name: str) -> Command:
    if name in NOT_YET:
        raise OptionError(f"%compile {name} does not exist yet")
    if name not in VERBS:
        raise OptionError(f"%compile has no verb {name!r}.{suggest(name, VERBS)} The verbs are: {', '.join(VERBS)}")
    return VERBS[name]


def _read(name: str, verb: Command, given: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words and the options that a verb is given; raise OptionError for one that it does not take."""
    words: list[str] = []
    options: dict[str, str] = {}
    rest = iter(given)
    for word in rest:
        flag, _, value = word.partition("=")
        if flag in verb.flags:
            value = value or (next(rest, "") if verb.flags[flag] else "on")
            while value.endswith(",") and (more := next(rest, "")):  # a list, with blanks after its commas
                value += more
            options[flag] = value
            if not value:
                raise OptionError(f"%compile {name}: {flag} needs a value: {flag} {verb.flags[flag]}")
        elif word.startswith("-") and not word[1:].isdecimal():  # -1 is a run
            known = " and ".join(f"{flag} {value}".rstrip() for flag, value in verb.flags.items())
            raise OptionError(f"%compile {name} has no option {word}" + (f"; it has {known}" if known else ""))
        else:
            words.append(word)
    if len(words) > verb.words:
        raise OptionError(f"%compile {name} does not take {words[verb.words]!r}; write: %compile {verb.usage}")
    return words, options


# ---------------------------------------------------------------- what there is


def help_(_: Desk, words: list[str], __: dict[str, str]) -> None:
    """Print the verbs, or the help of one."""
    if words:
        verb = _verb(words[0])
        say(f"%compile {verb.usage}\n\n{verb.help}.")
        return
    verbs = {verb.usage: verb for verb in VERBS.values()}  # without synonyms
    rows = "\n".join(f"  {verb.usage}\n      {verb.help}" for verb in verbs.values())
    say(f"{help_text('compile')}\n\n%compile VERB\n{rows}\n\nRUN is a variable, an id, or -1 for the last run.")


def model(desk: Desk, words: list[str], options: dict[str, str]) -> None:
    """Show the models, or set the model for all roles; ask for its key, or try it."""
    if words:
        name, *settings = words
        found = models.find(name, desk.memory.names, **models.settings_of(settings))
        desk.settings.model = found if settings else name
        desk.memory.connected.pop(name, None)
    roles = models.roles_of(desk, {})
    known = {id(each): each for each in roles.values() if each is not None}.values()
    if front_end(desk, {}) == "page":
        widget.prepare()
    if "--key" in options:
        for provider in dict.fromkeys(each.provider for each in known):
            models.ask_key(provider)
    say(models.about(roles))
    if "--check" in options:
        for each in known:
            say("hand: a person answers" if models.is_hand(each) else BACKGROUND.run(check(each)))


def tools(desk: Desk, _: list[str], __: dict[str, str]) -> None:
    """Print the tools that a question is offered."""
    say(Compiler(tools=desk.memory.names.tools()).settings.tools.description)


def runs(desk: Desk, _: list[str], options: dict[str, str]) -> None:
    """Print the runs of this session, the newest first, then those in the history; with --keep N remove older ones."""
    if "--keep" in options:
        say(_prune(desk, options["--keep"]))
        return
    rows, older = list(islice(_rows(desk), LISTED)), max(0, len(desk.memory.runs) + len(stored_runs(desk)) - LISTED)
    if not rows:
        say("no runs yet")
        return
    more = f"… {older:,} older ones: history.to_pandas()" if older else ""
    text = "\n".join(filter(None, (text_table([_COLUMNS, *rows], _WIDE), more)))
    if front_end(desk, {}) == "page":
        display({"text/plain": text, "text/html": show.table_page(_COLUMNS, rows, more)})
    else:
        say(text)


def _prune(desk: Desk, keep: str) -> str:
    """Remove all but the newest runs from the history; return what was done."""
    if not (keep.isascii() and keep.isdigit()):
        raise OptionError(f"%compile runs: --keep takes a number of runs, 0 or more, not {keep!r}")
    history = history_of(desk)
    if history is None:
        raise OptionError("%compile runs: there is no history; %config CompileMagics.history sets its file")
    count = history.prune(int(keep))
    return f"removed {count_of(count, 'run')} from {history.path}, kept the newest {keep}"


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
        dollars = "" if facts.cost is None else f"${facts.cost:.4f}" if facts.cost else ""
        tokens = f"{'' if facts.reported else '~'}{facts.tokens:,}" if facts.tokens else ""
        answer = "" if facts.answer is None else cut(" ".join(to_text(facts.answer).split()), _ANSWER)
        yield [
            f"-{number}", run.status, str(count), f"{run.at:%d %b %H:%M}" if run.at else "",
            cut(", ".join(facts.models), _MODEL), tokens, dollars, seconds_text(run.seconds), run.id, answer,
            cut(" ".join(run.question.split()), _QUESTION) or "(a plan)",
        ]  # fmt: skip


def show_(desk: Desk, words: list[str], options: dict[str, str]) -> None:
    """Show a run again, as it is now: in a page the live view, unless views are named."""
    run = _run(desk, words)
    views = {BY_FLAG[flag].field: read_value("%compile show", BY_FLAG[flag], flag, options[flag]) for flag in options}
    if not views and front_end(desk, {}) == "page":
        run.view()._ipython_display_()
    else:
        display(show.bundle(run, Binding(), look_of(desk, views)))


def why(desk: Desk, words: list[str], _: dict[str, str]) -> None:
    """Say why a task waits or waited; without a task, do so for all that have not ended, or for all if all have."""
    run = _run(desk, words[1:])
    say(run.why(_known(run, words[0]) if words else ""), run)


def disclosed(desk: Desk, words: list[str], _: dict[str, str]) -> None:
    """Print what left this machine in a run."""
    run = _run(desk, words)
    say(str(run.disclosed()), run)


# ---------------------------------------------------------------- what may be done to a run


def rerun(desk: Desk, words: list[str], options: dict[str, str]) -> None:
    """Run the plan of a run again, or a part of it; a run that did not finish is continued."""
    overrides = desk.memory.names.assigned(options.get("--override", ""), "%compile rerun: --override")
    run = _run(desk, words)
    start = _known(run, options["--start"]) if "--start" in options else ""
    job = begin_again(
        desk, run, start=start, failed="--failed" in options, take="--take" in options,
        overrides={_known(run, name): value for name, value in overrides.items()},
    )  # fmt: skip
    if job is not None:
        job.finish(loop.block(job))


def _steer(
    desk: Desk, words: list[str], _: dict[str, str], *, act: Callable[[Run], None], message: str, hint: str = ""
) -> None:
    """Pause or resume the runs that are running, or one; `message` has a place for the run's id."""
    for run in _running(desk, words, hint):
        act(run)
        say(message.format(run.id))


def _hand(desk: Desk, words: list[str], _: dict[str, str], *, act: Callable[[Run, str], None], message: str) -> None:
    """Skip a task, or try it again; `message` begins with what was done."""
    if not words:
        raise OptionError(f"which task? %compile show lists them; write: %compile {message} TASK [RUN]")
    run = _run(desk, words[1:]) if words[1:] else _going(desk, words[0])
    name = _known(run, words[0])
    act(run, name)
    say(f"{'skipped' if message == 'skip' else 'tried again'}: {name}")


def set_(desk: Desk, words: list[str], options: dict[str, str]) -> None:
    """Give a task the value of an expression, which may read the notebook's variables."""
    if "" not in options:
        raise OptionError("%compile set takes a task and its value; write: %compile set TASK EXPRESSION [--run RUN]")
    name, other = words
    run = _run(desk, [other]) if other else _going(desk, name)
    value = desk.memory.names.value(options[""], "%compile set")
    run.set(_known(run, name), value)
    say(f"set: {name} = {shorten_value(value)}")


def _going(desk: Desk, name: str) -> Run:
    """Return the newest run that goes on and has a task of this name; the last run if there is none."""
    going = [run for run in reversed(desk.memory.runs) if run.status == "running"]
    return next((run for run in going if name in run.progress.names or name in run.progress.tasks), None) or _run(
        desk, []
    )


def edit(desk: Desk, words: list[str], _: dict[str, str]) -> None:
    """Open a cell with the plan of a run, to be changed and run: side effects that were made are not repeated."""
    run = _run(desk, words)
    try:
        text = editable(run)
    except KeyError as error:
        raise OptionError(str(error.args[0])) from None
    desk.shell.set_next_input(f"%%plan --from {run.id}\n{text}")


def cancel(desk: Desk, words: list[str], _: dict[str, str]) -> None:
    """Cancel a run, or all that are running."""
    running = _running(desk, words)
    for run in running:
        run.cancel()
    if running:
        say(f"cancelled: {count_of(len(running), 'run')}")


def _judge(desk: Desk, words: list[str], options: dict[str, str], *, approve: bool) -> None:
    """Approve or deny a task that waits for approval; without a task, list those that wait."""
    run = _run(desk, words[1:])
    held = {id_: _call(run, id_, arguments) for id_, arguments in run.progress.held.items()}
    name = _known(run, words[0]) if words else ""
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


def _run(desk: Desk, words: list[str]) -> Run:
    return find_run(desk, words[0] if words else "-1")


def _known(run: Run, name: str) -> str:
    """Return the name of a task; raise OptionError if there is no such task."""
    try:
        run.id_of(name)
    except KeyError as error:
        raise OptionError(str(error.args[0])) from None
    return name


def _running(desk: Desk, words: list[str], hint: str = "") -> list[Run]:
    """Return the run that is named, or all that are running; print a message with `hint` if there is none."""
    chosen = [_run(desk, words)] if words else list(desk.memory.runs)
    running = [run for run in chosen if run.status == "running"]
    if not running:
        say((f"{words[0]} is not running, its status is {chosen[0].status}" if words else "no run is running") + hint)
    return running


VERBS: Final = {
    "help": Command(help_, "help [VERB]", "print the options and the verbs, or the help of one verb", 1),
    "model": Command(
        model,
        "model [MODEL [name=value ...]] [--key] [--check]",
        "show the models, or set one for all roles; --key asks for its key, --check sends one tiny request",
        _MANY,
        {"--key": "", "--check": ""},
    ),
    "tools": Command(tools, "tools", "print the tools that a question is offered"),
    "runs": Command(
        runs,
        "runs [--keep N]",
        "list the runs, the newest first: status, models, tokens, cost, the answer's first words; "
        "--keep removes all but the newest N from the history",
        flags={"--keep": "N"},
    ),
    "show": Command(
        show_,
        "show [RUN] [-d VIEWS]",
        "show a run again, in a page with the live view; -d shows only these views",
        1,
        {"-d": "VIEWS", "--display": "VIEWS"},
    ),
    "rerun": Command(
        rerun,
        "rerun [RUN] [--start TASK] [--failed] [--override TASK=VALUE] [--take]",
        "run a plan again: all of it, a task and what depends on it, or what failed; continue a run that was stopped; "
        "--override gives a task a value, which may read variables of the notebook; --take goes on with a run though a "
        "process on another host, which cannot be asked, may still do so",
        1,
        {"--start": "TASK", "--failed": "", "--override": "TASK=VALUE", "--take": ""},
    ),
    "why": Command(why, "why [TASK [RUN]]", "say why a task waits or waited; without TASK, for all", 2),
    "disclosed": Command(
        disclosed, "disclosed [RUN]", "say what a run sent to models: to whom, call by call, with sizes", 1
    ),
    "pause": Command(
        functools.partial(
            _steer, act=Run.pause, message="paused: {}; running tasks go on, %compile resume starts the others"
        ),
        "pause [RUN]",
        "start no new task; running tasks go on",
        1,
    ),
    "resume": Command(
        functools.partial(
            _steer, act=Run.resume, message="resumed: {}", hint="; %compile rerun continues a run that was stopped"
        ),
        "resume [RUN]",
        "start tasks again after a pause; `go` does the same",
        1,
    ),
    "approve": Command(
        functools.partial(_judge, approve=True),
        "approve [TASK [RUN]] [--again]",
        "let a task with side effects start, with --again even if it is done; without TASK, list those that wait",
        2,
        {"--again": ""},
    ),
    "deny": Command(
        functools.partial(_judge, approve=False),
        "deny [TASK [RUN]]",
        "end a task that waits for approval; without TASK, list those that wait",
        2,
    ),
    "skip": Command(
        functools.partial(_hand, act=Run.skip, message="skip"),
        "skip TASK [RUN]",
        "skip a task of a run that goes on; what depends on it is skipped, too",
        2,
    ),
    "retry": Command(
        functools.partial(_hand, act=Run.retry, message="retry"),
        "retry TASK [RUN]",
        "try a task again that failed, was skipped, or runs; what was skipped for its sake may run then",
        2,
    ),
    "set": Command(
        set_,
        "set TASK EXPRESSION [--run RUN]",
        "give a task a value that nothing has read yet; it may read variables of the notebook",
        1,
    ),
    "edit": Command(edit, "edit [RUN]", "open a cell with the plan of a run, to change it and run it", 1),
    "cancel": Command(cancel, "cancel [RUN]", "cancel a run, or all that are running", 1),
}
VERBS["go"] = VERBS["resume"]
NOT_YET: Final = frozenset({"step", "diff", "export", "prompt", "example", "cache", "demo"})
"""Verbs that are planned: each is refused by its name, and listed nowhere."""
