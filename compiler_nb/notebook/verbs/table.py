"""The table of the verbs of `%compile`: what does each, how it is written, what it does and what it takes."""

from __future__ import annotations

import functools
from typing import Final

from compiler_nb.errors import OptionError
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.options import help_text
from compiler_nb.notebook.output.presenter import say
from compiler_nb.notebook.verbs import (
    again,
    approve,
    cache,
    compare,
    examples,
    export,
    listing,
    look,
    model,
    prompts,
    steer,
)
from compiler_nb.notebook.verbs.command import Command
from compiler_nb.run import Run
from compiler_nb.text import suggest

_MANY: Final = 99


def find_verb(name: str) -> Command:
    """Return a verb; raise OptionError that names those there are."""
    if name in NOT_YET:
        raise OptionError(f"%compile {name} does not exist yet")
    if name not in VERBS:
        near = suggest(name, VERBS) or " A question, and options, stand in a cell that begins with %%compile."
        raise OptionError(f"%compile has no verb {name!r}.{near} The verbs are: {', '.join(VERBS)}")
    return VERBS[name]


def help_(_: Desk, words: list[str], __: dict[str, str]) -> None:
    """Print the verbs, or the help of one."""
    if words:
        verb = find_verb(words[0])
        say(f"%compile {verb.usage}\n\n{verb.help}.")
        return
    verbs = {verb.usage: verb for verb in VERBS.values()}  # without synonyms
    rows = "\n".join(f"  {verb.usage}\n      {verb.help}" for verb in verbs.values())
    say(f"{help_text('compile')}\n\n%compile VERB\n{rows}\n\nRUN is a variable, an id, or -1 for the last run.")


VERBS: Final = {
    "help": Command(help_, "help [VERB]", "print the options and the verbs, or the help of one verb", 1),
    "model": Command(
        model.model,
        "model [MODEL [name=value ...]] [--key] [--check]",
        "show the models, or set one for all roles; --key asks for its key, --check sends one tiny request",
        _MANY,
        {"--key": "", "--check": ""},
    ),
    "tools": Command(listing.tools, "tools", "print the tools that a question is offered"),
    "runs": Command(
        listing.runs,
        "runs [--keep N]",
        "list the runs, the newest first: status, models, saved prompts, tokens, cost, the answer's first words; "
        "--keep removes all but the newest N from the history",
        flags={"--keep": "N"},
    ),
    "show": Command(
        look.show_,
        "show [RUN] [-d VIEWS]",
        "show a run again, in a page with the live view; -d shows only these views",
        1,
        {"-d": "VIEWS", "--display": "VIEWS"},
    ),
    "rerun": Command(
        again.rerun,
        "rerun [NAME <<] [RUN] [--start TASK] [--failed] [--override TASK=VALUE] [--take]",
        "run a plan again: all of it, a task and what depends on it, or what failed; continue a run that was stopped; "
        "--override gives a task a value, which may read variables of the notebook; --take goes on with a run even if "
        "a process on another host, which cannot be asked, may still work on it; options of %%compile that a plan can "
        "use may be given, too: -o, -d, -b, --approve, --timeout and others",
        1,
        {"--start": "TASK", "--failed": "", "--override": "TASK=VALUE", "--take": ""},
        again.SHARED,
    ),
    "diff": Command(
        compare.diff,
        "diff [A [B]] [--times]",
        "show how run A became run B: what they were asked, their plans as one picture, values, answers, figures, and "
        "two timelines on one axis; by default the last two runs, or A and the last one; --times tells seconds in text",
        2,
        {"--times": ""},
    ),
    "why": Command(look.why, "why [TASK [RUN]]", "say why a task waits or waited; without TASK, for all", 2),
    "cost": Command(
        look.cost,
        "cost [RUN]",
        "say what a run's calls of models cost: tokens, dollars and shares by role, task, model",
        1,
    ),
    "disclosed": Command(
        look.disclosed, "disclosed [RUN]", "say what a run sent to models: to whom, call by call, with sizes", 1
    ),
    "pause": Command(
        functools.partial(
            steer.steer, act=Run.pause, message="paused: {}; running tasks go on, %compile resume starts the others"
        ),
        "pause [RUN]",
        "start no new task; running tasks go on",
        1,
    ),
    "resume": Command(
        functools.partial(
            steer.steer, act=Run.resume, message="resumed: {}", hint="; %compile rerun continues a run that was stopped"
        ),
        "resume [RUN]",
        "start tasks again after a pause; `go` does the same",
        1,
    ),
    "approve": Command(
        functools.partial(approve.judge, approve=True),
        "approve [TASK [RUN]] [--again]",
        "let a task with side effects start, with --again even if it is done; without TASK, list those that wait",
        2,
        {"--again": ""},
    ),
    "deny": Command(
        functools.partial(approve.judge, approve=False),
        "deny [TASK [RUN]]",
        "end a task that waits for approval; without TASK, list those that wait",
        2,
    ),
    "skip": Command(
        functools.partial(steer.hand, act=Run.skip, message="skip"),
        "skip TASK [RUN]",
        "skip a task of a run that goes on; what depends on it is skipped, too",
        2,
    ),
    "retry": Command(
        functools.partial(steer.hand, act=Run.retry, message="retry"),
        "retry TASK [RUN]",
        "try a task again that failed, was skipped or is running; what was skipped because of it may then run",
        2,
    ),
    "set": Command(
        steer.set_,
        "set TASK EXPRESSION [--run RUN]",
        "give a task a value, unless another task has read it already; the value may read variables of the notebook",
        1,
    ),
    "prompt": Command(
        prompts.prompt,
        "prompt [ROLE] [RUN] [--call N] [--against RUN], prompt list, or prompt ROLE --edit [NAME]",
        "show exactly what a model was sent and what came back, with the changes since the run before; ROLE is "
        "planner, repair, replan, joiner, worker or a task; --call chooses one of several calls, --against another run "
        "to compare with; list the saved prompts; open a cell with a saved prompt, or the package's own, to edit it",
        2,
        {"--call": "N", "--against": "RUN", "--edit": ""},
    ),
    "example": Command(
        examples.example,
        "example add RUN [NAME] | list | drop N | ablate [QUESTION] [--repeat N] [-m MODEL]",
        "make a run's question and plan an example that later questions show to the planner, until the kernel ends; "
        "list the examples; drop one by its number or name; ask a question (by default the last one) with all examples "
        "and without each, as a table",
        _MANY,
        {"--repeat": "N", "-m": "MODEL"},
    ),
    "edit": Command(
        again.edit, "edit [RUN]", "open a cell with a run's plan, to be changed: only what changed runs again", 1
    ),
    "export": Command(
        export.export,
        "export [RUN] FILE [--force]",
        "write a run's plan as a plain asyncio script, FILE.py, which needs nothing of this package; or the run as "
        "another form: .html, .jsonl, .svg and others; --force writes over a file that exists",
        2,
        {"--force": ""},
    ),
    "cache": Command(
        cache.cache,
        "cache [show [RUN] | clear]",
        "show what the cache holds, or what it knew of a run and why it did not know the rest; or empty it",
        2,
    ),
    "cancel": Command(steer.cancel, "cancel [RUN]", "cancel a run, or all that are running", 1),
}
VERBS["go"] = VERBS["resume"]
NOT_YET: Final = frozenset({"step", "demo"})
"""Verbs that are planned: each is refused by its name, and listed nowhere."""
