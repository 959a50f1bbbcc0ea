"""The verbs of `%compile`."""

from __future__ import annotations

import difflib
import shlex
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from compiler_nb.background import BACKGROUND
from compiler_nb.drawing.text import text_table
from compiler_nb.drawing.value import cut
from compiler_nb.errors import OptionError
from compiler_nb.notebook import models, show
from compiler_nb.notebook.namespace import Binding
from compiler_nb.notebook.options import help_text
from compiler_nb.notebook.presenter import display, say
from compiler_nb.notebook.settings import look_of, offered, roles_of
from compiler_nb.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from compiler_nb.notebook.magics import CompileMagics

_QUESTION: Final = 60


class Verb(NamedTuple):
    """A verb: what does it, how it is written, and what it is for."""

    perform: Callable[[CompileMagics, list[str]], None]
    usage: str
    help: str


def perform(magics: CompileMagics, line: str) -> None:
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
    VERBS[name].perform(magics, rest)


def help_(magics: CompileMagics, words: list[str]) -> None:
    """Print the verbs, or the help of one."""
    if words:
        verb = VERBS.get(words[0])
        if verb is None:
            raise OptionError(f"%compile has no verb {words[0]!r}; it has: {', '.join(VERBS)}")
        say(f"%compile {verb.usage}\n\n{verb.help}.")
        return
    rows = "\n".join(f"  {verb.usage}\n      {verb.help}" for verb in VERBS.values())
    say(f"{help_text('compile')}\n\n%compile VERB\n{rows}\n\nRUN is a variable, an id, or -1 for the last one.")


def model(magics: CompileMagics, words: list[str]) -> None:
    """Show the models, or set the model for all roles; ask for its key, or try it."""
    flags = {word for word in words if word.startswith("--")}
    if unknown := flags - {"--key", "--check"}:
        raise OptionError(f"%compile model has no option {min(unknown)}; it has --key and --check")
    name, *settings = [word for word in words if word not in flags] or [""]
    if name:
        found = models.find(name, magics.memory.names, **models.settings_of(settings))
        magics.model = found if settings else name
        magics.memory.connected.pop(name, None)
    roles = roles_of(magics, {})
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


def tools(magics: CompileMagics, words: list[str]) -> None:
    """Print the tools that a question is offered."""
    _no_words("tools", words)
    say(offered(magics.memory.names.tools()).description)


def runs(magics: CompileMagics, words: list[str]) -> None:
    """Print the runs of this session, the newest first."""
    _no_words("runs", words)
    if not magics.memory.runs:
        say("no runs yet")
        return
    say(text_table([["", "status", "tasks", "time", "id", "question"], *_rows(magics)]))


def _rows(magics: CompileMagics) -> Iterator[list[str]]:
    for number, run in enumerate(reversed(magics.memory.runs), 1):
        count = sum("[" not in id_ for id_ in run.tasks)
        question = cut(" ".join(run.question.split()), _QUESTION) or "(a plan)"
        yield [f"-{number}", run.status, str(count), show.seconds_text(run.seconds), run.id, question]


def show_(magics: CompileMagics, words: list[str]) -> None:
    """Show a run again, as it is now."""
    run = find_run(magics, words[0] if words else "-1")
    display(show.bundle(run, Binding(), look_of(magics, {})))


def cancel(magics: CompileMagics, words: list[str]) -> None:
    """Cancel a run, or all that are running."""
    chosen = [find_run(magics, words[0])] if words else [run for run in magics.memory.runs if run.status == "running"]
    for run in chosen:
        run.cancel()
    say(f"cancelled: {len(chosen)} run{'' if len(chosen) == 1 else 's'}" if chosen else "no run is running")


def find_run(magics: CompileMagics, word: str) -> Run:
    """Return the run that a word means: a variable, an id, or a number counted back from -1."""
    value = magics.memory.names.values.get(word)
    if isinstance(value, Run):
        return value
    by_id = {run.id: run for run in magics.memory.runs}
    if word in by_id:
        return by_id[word]
    if word.startswith("-") and word[1:].isdecimal() and 0 < int(word[1:]) <= len(magics.memory.runs):
        return magics.memory.runs[int(word)]
    raise OptionError(f"no run is called {word!r}; %compile runs lists them ({len(magics.memory.runs)} so far)")


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
    "runs": Verb(runs, "runs", "print the runs of this session, the newest first"),
    "show": Verb(show_, "show [RUN]", "show a run again"),
    "cancel": Verb(cancel, "cancel [RUN]", "cancel a run, or all that are running"),
}
