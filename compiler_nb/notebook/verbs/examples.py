"""The verb `example`: questions with good plans that later questions of the notebook show to the planner."""

from __future__ import annotations

from typing import Final

from compiler_nb.compare.cases import Case
from compiler_nb.errors import OptionError
from compiler_nb.notebook import loop
from compiler_nb.notebook.compilers import compiler_for
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.examples import example_of, place_of_example, without_each
from compiler_nb.notebook.grids import GridJob
from compiler_nb.notebook.job import Question
from compiler_nb.notebook.options import Line
from compiler_nb.notebook.output.presenter import say, say_table
from compiler_nb.notebook.verbs.command import run_of
from compiler_nb.text import count_of, cut

_COLUMNS: Final = ["", "name", "question", "plan", "run"]
_SHORT: Final = 60
"""Characters of a question, and of a plan, that are shown."""
_WAYS: Final = "add RUN [NAME], list, drop N, or ablate [QUESTION]"


def example(desk: Desk, words: list[str], options: dict[str, str]) -> None:
    """Add a run as an example, list the examples, drop one, or say what each of them does."""
    what, *rest = words or ["list"]
    if what == "ablate":
        _ablate(desk, " ".join(rest), options)
    elif options:
        raise OptionError(f"%compile example: {next(iter(options))} is for ablate")
    elif what == "add" and len(rest) <= len(("RUN", "NAME")):
        _add(desk, rest)
    elif what == "drop" and len(rest) == 1:
        _drop(desk, rest[0])
    elif what == "list" and not rest:
        _list(desk)
    else:
        raise OptionError(f"%compile example takes {_WAYS}, not {' '.join(words)!r}")


def _add(desk: Desk, words: list[str]) -> None:
    examples = desk.memory.examples
    made = example_of(run_of(desk, words), words[1] if words[1:] else "")
    if made.name and any(each.name == made.name for each in examples):
        raise OptionError(f"there is an example {made.name!r} already; %compile example drop {made.name} drops it")
    if any((each.question, each.plan) == (made.question, made.plan) for each in examples):
        say("this question with this plan is an example already")
        return
    examples.append(made)
    what = f"{_short(made.question)} ({count_of(len(made.plan), 'task')})"
    say(f"example {len(examples)}: {what}; the planner is shown it from now on")


def _drop(desk: Desk, word: str) -> None:
    place = place_of_example(desk.memory.examples, word)
    dropped = desk.memory.examples.pop(place)
    say(f"dropped: example {place + 1}, {_short(dropped.question)}")


def _ablate(desk: Desk, question: str, options: dict[str, str]) -> None:
    """Ask a question with all examples, and without each of them in turn; it defaults to the last one."""
    if not desk.memory.examples:
        raise OptionError("there are no examples to leave out; %compile example add RUN makes one")
    repeat = options.get("--repeat", "1")
    if not repeat.isdecimal() or int(repeat) < 1:
        raise OptionError(f"%compile example ablate: --repeat takes a whole number, 1 or more, not {repeat!r}")
    asked = question or next((run.question for run in reversed(desk.memory.runs) if run.question), "")
    if not asked:
        raise OptionError("which question? No cell has asked one yet; write: %compile example ablate QUESTION")
    model = {"model": options["-m"]} if "-m" in options else {}
    job = _ablation(desk, Line({"repeat": int(repeat), **model}, question=asked))
    job.finish(loop.block(job))


def _ablation(desk: Desk, said: Line) -> GridJob:
    """Begin to ask a question with all examples, and without each of them."""
    names = desk.memory.names
    question = Question(said, names.paste(said.question), names.inputs(names.named_in(said.question)), "ablate", [])
    compiler = compiler_for(desk, question)
    variants = without_each(desk.memory.examples, compiler.settings.dialect, compiler.settings.tools)
    case = Case(question.text, None, question.inputs)
    return GridJob(desk, said, compiler, case, question.cell, {"all": {}, **variants}).begin()


def _short(text: str) -> str:
    return cut(" ".join(text.split()), _SHORT)


def _list(desk: Desk) -> None:
    examples = desk.memory.examples
    if not examples:
        say("no examples yet; %compile example add RUN makes one of a run's question and plan")
        return
    rows = [
        [
            str(number),
            each.name,
            _short(each.question),
            _short("; ".join(each.plan.to_text().strip().split("\n"))),
            each.run,
        ]
        for number, each in enumerate(examples, 1)
    ]
    say_table(desk, _COLUMNS, rows)
