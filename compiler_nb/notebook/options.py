"""The options of the magics: one table, from which lines are read, help is written and completions are taken."""

from __future__ import annotations

import builtins
import difflib
import keyword
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from compiler_nb.errors import OptionError
from compiler_nb.plan.python import IPYTHON
from compiler_nb.settings.budget import Budget

Read = Callable[[str], Any]
"""Returns an option's value from its text; raises ValueError that says what is wanted."""


class Option(NamedTuple):
    """One option: its field, spellings, its value's name ("" for a flag, which sets `sets`), what it does.

    choices: all the values there are; later: those of them that are not built yet; built: whether any of it is.
    """

    field: str
    flags: tuple[str, ...]
    value: str = ""
    help: str = ""
    read: Read = str
    choices: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    sets: Any = True
    built: bool = True


class Line(NamedTuple):
    """What a magic's line and body say: the options given, the name before `<<`, the question, and a plan's text.

    head: the line up to the question, as it was written.
    """

    given: dict[str, Any]
    answer: str = ""
    question: str = ""
    plan: str = ""
    head: str = ""


# ---------------------------------------------------------------- values


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names or not all(name.isidentifier() for name in names):
        raise ValueError("names of the notebook, with commas between them")
    return names


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("a whole number, 0 or more")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ValueError("a whole number, 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:  # noqa: PLR2004 - not nothing, for ever, or nan
        raise ValueError("a number of seconds above 0")
    return seconds


def _budget(text: str) -> Budget:
    limits: dict[str, Any] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", number)
        if name not in ("tokens", "usd", "calls", "seconds", "replans") or not match:
            raise ValueError("limits such as tokens=20k,usd=0.05,calls=30,seconds=60,replans=1")
        amount = float(match[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[match[2].lower()]
        limits[name] = amount if name in ("usd", "seconds") else round(amount)
    return Budget(**limits)


def _approve(text: str) -> str | tuple[str, ...]:
    return text if text in ("ask", "auto", "deny") else _names(text)


def _views(text: str) -> tuple[str, ...]:
    views = tuple(view.strip() for view in text.split(",") if view.strip())
    if not views or set(views) - set(VIEWS):
        raise ValueError("graph, timeline, table or none, with commas between them")
    return views


def _on(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError("on or off")
    return text == "on"


def check_name(name: str) -> str:
    """Return a variable's name; raise ValueError where no result may be bound to it."""
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise ValueError("a variable's name")
    if hasattr(builtins, name) or name in IPYTHON:
        raise ValueError(f"a name of your own; {name!r} is Python's or IPython's")
    return name


def _prefix(text: str) -> str:
    if not text.isidentifier() or text.startswith("_"):
        raise ValueError("the beginning of a variable's name")
    return text


VIEWS: Final = ("graph", "timeline", "table", "none")
OPTIONS: Final = (
    Option("model", ("-m", "--model"), "MODEL", "provider:model, or a variable that holds a model, for all roles"),
    Option("planner", ("--planner",), "MODEL", "another model for the planner"),
    Option("joiner", ("--joiner",), "MODEL", "another model for the joiner"),
    Option("worker", ("--worker",), "MODEL", "another model for the tools llm and extract"),
    Option("dialect", ("--dialect",), "NAME", "the planner's language", choices=("python", "numbered", "json")),
    Option("tools", ("-T", "--tools"), "a,b", "functions to offer; by default every @tool of the notebook", _names),
    Option("inputs", ("-i", "--inputs"), "a,b", "variables to offer, as does @name in the question", _names),
    Option("share", ("--share",), "WHAT", "what of contents models see", choices=("all", "summary", "none")),
    Option("preview", ("--preview",), help="show contents of results when asking for another plan"),
    Option("out", ("-o", "--out"), "NAME", "the variable for the run (default run)", check_name),
    Option("prefix", ("--prefix",), "P", "begin the results' variables with P", _prefix),
    Option("bind", ("--no-bind",), help="leave the results in the run, bind none", sets=False),
    Option("execute", ("-N", "--no-execute"), help="plan and draw only", sets=False),
    Option("max_concurrency", ("-j", "--max-concurrency"), "N", "calls of tools at a time", _count),
    Option("timeout", ("--timeout",), "SECONDS", "the longest that a run may take", _seconds),
    Option("max_replans", ("--max-replans",), "N", "further plans at most", _whole),
    Option("budget", ("--budget",), "LIMITS", "hard limits, as in tokens=20k,calls=30", _budget),
    Option("approve", ("--approve",), "RULE", "side effects: ask, auto, deny, or names of approved tools", _approve),
    Option("engine", ("--engine",), "NAME", "what performs the tasks", choices=("local", "dask"), later=("dask",)),
    Option("loop", ("--loop",), "WHOSE", "the event loop: our own, or the kernel's", choices=("own", "kernel")),
    Option("background", ("-b", "--background"), help="return at once; results are bound when it has ended"),
    Option("live", ("--live",), "on|off", "off: one output that is the same from run to run", _on, ("on", "off")),
    Option("display", ("-d", "--display"), "VIEWS", "graph, timeline, table or none", _views, VIEWS),
    Option("raises", ("--no-raise",), help="raise no error when there is no answer", sets=False),
    Option("quiet", ("-q", "--quiet"), help="show nothing"),
    Option("help", ("-h", "--help"), help="show this help"),
    Option("cache", ("--cache",), "WHAT", "what is kept across runs", choices=("off", "plan", "pure", "all"),
           later=("plan", "pure", "all")),
    Option("planner_prompt", ("--planner-prompt",), "NAME", built=False),
    Option("joiner_prompt", ("--joiner-prompt",), "NAME", built=False),
    Option("drop_failed", ("--drop-failed",), "SHARE", built=False),
    Option("start", ("--start",), "TASK", built=False),
    Option("override", ("--override",), "NAME=VALUE", built=False),
    Option("repeat", ("--repeat",), "N", built=False),
    Option("step", ("--step",), built=False),
    Option("record", ("--record",), "FILE", built=False),
    Option("replay", ("--replay",), "FILE", built=False),
)  # fmt: skip
BY_FLAG: Final = {flag: option for option in OPTIONS for flag in option.flags}

_TARGET = re.compile(r"\s*([^\W\d]\w*)\s*=?\s*<<(?=\s|$)")
_WORD = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[^\s"'])+)""")
_MARKER = re.compile(r"[^\S\n]*#[^\S\n]*(?:NBVAL_|PYTEST)[^\n]*", re.IGNORECASE)

# ---------------------------------------------------------------- reading


def read(magic: str, line: str, body: str = "") -> Line:
    """Return what a magic's line and body say; raise OptionError that names what is wrong and the mend.

    Options come first; what follows them on the line is the question, with the body for `%%compile`. Lines of the body
    that speak to nbval or pytest are left out.
    """
    answer, position = "", 0
    target = _TARGET.match(line)
    if target:
        answer, position = _value(magic, "<<", check_name, target[1]), target.end()
    given, position = _options(magic, line, position)
    head, rest = line[:position].strip(), line[position:].strip()
    body = "\n".join("" if _MARKER.fullmatch(each) else each for each in body.split("\n"))
    if magic == "plan":
        return Line(given, answer, rest, body.rstrip(), head)
    return Line(given, answer, "\n".join(part for part in (rest, body.strip()) if part), head=head)


def _options(magic: str, line: str, position: int) -> tuple[dict[str, Any], int]:
    """Return the options from a position on, and where they end."""
    given: dict[str, Any] = {}
    while (match := _WORD.match(line, position)) and match[1].startswith("-") and len(match[1]) > 1:
        flag, equals, value = match[1].partition("=")
        position = match.end()
        if flag == "--":  # what follows is the question, whatever it begins with
            return given, position
        if flag not in BY_FLAG and (short := BY_FLAG.get(flag[:2])) is not None and short.value:
            flag, equals, value = flag[:2], "=", match[1][2:]  # -j4
        option = BY_FLAG.get(flag)
        if option is None:
            raise OptionError(_unknown(magic, flag))
        if not option.built:
            raise OptionError(f"%%{magic}: {flag} is not built yet")
        if not option.value:
            if equals:
                raise OptionError(f"%%{magic}: {flag} takes no value")
            given[option.field] = option.sets
            continue
        if not equals:
            value, position = _next_value(magic, option, flag, line, position)
        given[option.field] = _read_value(magic, option, flag, value)
    words = line[position:].split()
    late = next((word for word in words if word.startswith("--") and word.partition("=")[0] in BY_FLAG), "")
    if late:
        raise OptionError(f"%%{magic}: write {late} before the question, or the question below the line")
    return given, position


def _next_value(magic: str, option: Option, flag: str, line: str, position: int) -> tuple[str, int]:
    """Return an option's value, which is the next word, and where it ends; a list may have blanks after its commas."""
    match = _WORD.match(line, position)
    if not match or (match[1].startswith("-") and match[1].partition("=")[0] in BY_FLAG):
        raise OptionError(f"%%{magic}: {flag} needs a value: {flag} {option.value}")
    value, position = match[1], match.end()
    while option.read is _names and value.endswith(",") and (match := _WORD.match(line, position)):
        value, position = value + match[1], match.end()
    return value, position


def _read_value(magic: str, option: Option, flag: str, text: str) -> Any:
    try:
        value = " ".join(shlex.split(text))
    except ValueError:
        value = text
    if option.choices and option.read is str and value not in option.choices:
        known = [choice for choice in option.choices if choice not in option.later]
        raise OptionError(f"%%{magic}: {flag} is {' or '.join(known)}, not {value!r}")
    if value in option.later:
        raise OptionError(f"%%{magic}: {flag} {value} is not built yet")
    return _value(magic, flag, option.read, value)


def _value(magic: str, flag: str, convert: Read, value: str) -> Any:
    try:
        return convert(value)
    except ValueError as error:
        raise OptionError(f"%%{magic}: {flag} takes {error}, not {value!r}") from None


def _unknown(magic: str, flag: str) -> str:
    near = difflib.get_close_matches(flag, [each for each, option in BY_FLAG.items() if option.built], 1, 0.5)
    mend = f"; did you mean {near[0]}?" if near else ""
    return f"%%{magic} has no option {flag}{mend} (%%{magic} -h lists them)"


# ---------------------------------------------------------------- help

_USAGE: Final = {
    "compile": "%%compile [NAME <<] [options] [question]\nquestion\n\n"
    "Answer a question: a model plans calls of tools, they run side by side, every result becomes a variable.",
    "plan": "%%plan [NAME <<] [options] [question]\nplan\n\n"
    "Run the plan in the cell; its last line's value is the answer, unless it says join(...) or answer(...).",
}


def help_text(magic: str) -> str:
    """Return a magic's usage and its options."""
    lines = [_USAGE[magic], "", "  NAME <<                    bind the answer to NAME"]
    lines += _rows()
    if magic == "compile":
        lines += ["", "In the question @name offers a variable, {name} pastes its text. %compile help lists the verbs."]
    return "\n".join(lines)


def _rows() -> Iterator[str]:
    for option in OPTIONS:
        if option.built:
            spelled = f"{', '.join(option.flags)} {option.value}".rstrip()
            built = [choice for choice in option.choices if choice not in option.later]
            choices = f" ({' | '.join(built)})" if built and option.read is str else ""
            yield f"  {spelled:<26} {option.help}{choices}"
