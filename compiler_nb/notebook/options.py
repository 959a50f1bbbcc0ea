"""The options of the magics: one table for reading lines, for the help and for completion."""

from __future__ import annotations

import builtins
import keyword
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple

from compiler_nb.errors import OptionError
from compiler_nb.notebook.variables.namespace import NEXT, SHOWN, with_stand_ins, without_texts
from compiler_nb.plan.python import IPYTHON
from compiler_nb.plan.statement import parse_syntax
from compiler_nb.settings.budget import Budget
from compiler_nb.text import cut, suggest

Read = Callable[[str], Any]
"""Returns the value of an option from its text; raises ValueError that says what it takes."""


class Option(NamedTuple):
    """One option: its field, its spellings, the name of its value ("" for a flag, which sets `sets`), its help.

    read: makes the value; choices: all values it takes. With one choice it is accepted, but not listed anywhere.
    verbatim: whether quotes within the value belong to it.
    """

    field: str
    flags: tuple[str, ...]
    value: str = ""
    help: str = ""
    read: Read = str
    choices: tuple[str, ...] = ()
    sets: Any = True
    verbatim: bool = False


class Line(NamedTuple):
    """What a magic's line and body say: the options given, the name before `<<`, the question, and a plan's text.

    head: the line up to the question, as the user wrote it; kept: what of it holds for an edited plan, too.
    """

    given: dict[str, Any]
    answer: str = ""
    question: str = ""
    plan: str = ""
    head: str = ""
    kept: str = ""


# ---------------------------------------------------------------- values


def _like(pattern: str, wanted: str, convert: Read = str) -> Read:
    """Return what reads a value that matches a pattern; `wanted` says what that is."""

    def read_text(text: str) -> Any:
        if not re.fullmatch(pattern, text):
            raise ValueError(wanted)
        return convert(text)

    return read_text


def _list_of(is_valid: Callable[[str], object], wanted: str) -> Read:
    """Return what reads words between commas, at least one; `wanted` says what they are."""

    def read_list(text: str) -> tuple[str, ...]:
        words = tuple(word.strip() for word in text.split(",") if word.strip())
        if not words or not all(map(is_valid, words)):
            raise ValueError(f"{wanted}, separated by commas")
        return words

    return read_list


VIEWS: Final = ("graph", "timeline", "table", "none")
_names = _list_of(str.isidentifier, "names of variables")
_views = _list_of(VIEWS.__contains__, "graph, timeline, table or none")
_variants = _list_of(re.compile(r"[^\W\d][\w@-]*").fullmatch, "names of variants")
_whole = _like(r"\d{1,9}", "a whole number, 0 or more", int)
_engine = _like(
    r"dask(:.+)?|[^\W\d]\w*",
    "local, dask, dask:ADDRESS of a scheduler, such as dask:tcp://10.0.0.5:8786, or the name of a DaskEngine",
)
_count = _like(r"(?!0+$)\d{1,9}", "a whole number, 1 or more", int)
_prefix = _like(r"[^\W\d_]\w*", "the beginning of a variable's name")


def _seconds(text: str) -> float:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:  # noqa: PLR2004 - refuses zero, infinity and nan
        raise ValueError("a number of seconds above 0")
    return seconds


def _share(text: str) -> float:
    percent = text.endswith("%")
    try:
        share = float(text.removesuffix("%")) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError("a share from 0 to 1, such as 0.1 or 10%")
    return share


def _budget(text: str) -> Budget:
    limits: dict[str, Any] = {}
    for part in text.split(","):
        match = re.fullmatch(r"(tokens|usd|calls|seconds|replans)=(\d+(?:\.\d+)?)([kKmM]?)", part.strip())
        if not match:
            raise ValueError("limits such as tokens=20k,usd=0.05,calls=30,seconds=60,replans=1")
        amount = float(match[2]) * {"": 1, "k": 1_000, "m": 1_000_000}[match[3].lower()]
        limits[match[1]] = amount if match[1] in ("usd", "seconds") else round(amount)
    return Budget(**limits)


def _approve(text: str) -> Any:
    return text if text in ("ask", "auto", "deny") else _names(text)


def check_name(name: str) -> str:
    """Return the name of a variable; raise ValueError if no result may be bound to it."""
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise ValueError("the name of a variable")
    if hasattr(builtins, name) or name in IPYTHON:
        raise ValueError("a name that Python and IPython do not use")
    return name


OPTIONS: Final = (
    Option("model", ("-m", "--model"), "MODEL", "provider:model, or a variable that holds a model, for all roles"),
    Option("planner", ("--planner",), "MODEL", "another model for the planner"),
    Option("joiner", ("--joiner",), "MODEL", "another model for the joiner"),
    Option("worker", ("--worker",), "MODEL", "another model for the tools llm and extract"),
    Option("dialect", ("--dialect",), "NAME", "the language of plans", choices=("auto", "python", "numbered", "json")),
    Option("prompts", ("--prompts",), "WHICH", "how models are asked; auto: as each asks for",
           choices=("auto", "full", "small")),
    Option("record", ("--record",), "FILE", "write what models are asked and answer to a cassette, at its end"),
    Option("replay", ("--replay",), "FILE", "let a cassette answer: needs no model, no key and no network"),
    Option("timings", ("--timings",), help="of --replay: replies come at the pace at which they were recorded"),
    Option("planner_prompt", ("--planner-prompt",), "NAME", "a saved prompt for the planner: %compile prompt list"),
    Option("joiner_prompt", ("--joiner-prompt",), "NAME", "a saved prompt for the joiner"),
    Option("tools", ("-T", "--tools"), "a,b", "functions to offer, shipped ones too; defaults to every @tool", _names),
    Option("tool_tokens", ("--tool-tokens",), "N", "tokens of the prompt for tools; others are only named", _count),
    Option("after", ("--after",), "RUN", "the run that the question follows: what it has found is not computed again"),
    Option("source", ("--from",), "RUN", "of %%plan: the run that it comes from; what that run did is not repeated"),
    Option("override", ("--override",), "TASK=VALUE",
           "of %%plan: give a task this value, an expression over variables, and do not run it"),
    Option("check", ("--check",), help="of %%plan: say what is wrong with it, or how it was read; run nothing"),
    Option("answer_type", ("--as",), "TYPE", "what the answer is to be: float, list[str], DataFrame, a class",
           verbatim=True),
    Option("inputs", ("-i", "--inputs"), "a,b", "variables to offer, like @name in the question", _names),
    Option("share", ("--share",), "WHAT", "how much of the contents models see", choices=("all", "summary", "none")),
    Option("preview", ("--preview",), help="show planners ranges of columns, and results"),
    Option("out", ("-o", "--out"), "NAME", "the variable for the run; defaults to run", check_name),
    Option("prefix", ("--prefix",), "P", "start the names of the results' variables with P", _prefix),
    Option("bind", ("--no-bind",), help="bind no results to variables; they stay in the run", sets=False),
    Option("execute", ("-N", "--no-execute"), help="make and draw the plan, but do not run it", sets=False),
    Option("max_concurrency", ("-j", "--max-concurrency"), "N", "run at most N tool calls at the same time", _count),
    Option("timeout", ("--timeout",), "SECONDS", "stop the run after this many seconds", _seconds),
    Option("max_replans", ("--max-replans",), "N", "make at most N further plans", _whole),
    Option("budget", ("--budget",), "LIMITS", "stop the run at these limits, such as tokens=20k,calls=30", _budget),
    Option("drop_failed", ("--drop-failed",), "SHARE", "go on without up to this share of failed items", _share),
    Option("approve", ("--approve",), "RULE", "side effects: ask, auto, deny, or names of approved tools", _approve),
    Option("cache", ("--cache",), "WHAT", "what of earlier runs is used again",
           choices=("off", "plan", "pure", "all")),
    Option("variants", ("--variants",), "A,B",
           "ask in several ways, as a table: base, saved prompts, variables with settings", _variants),
    Option("repeat", ("--repeat",), "N", "ask N times, as a table: how stable are plan and answer", _count),
    Option("fresh", ("--fresh",), help="of a table: run again what was run before"),
    Option("engine", ("--engine",), "WHERE",
           "where tools run: local, dask (workers here), dask:ADDRESS, or a DaskEngine's NAME", _engine),
    Option("loop", ("--loop",), "WHOSE", "the event loop to run on, ours or the kernel's", choices=("own", "kernel")),
    Option("background", ("-b", "--background"), help="return at once; results are bound when the run has ended"),
    Option("live", ("--live",), "on|off", "off: one output at the end, the same from run to run",
           {"on": True, "off": False}.__getitem__, ("on", "off")),
    Option("display", ("-d", "--display"), "VIEWS", "what to show: graph, timeline, table or none", _views),
    Option("raises", ("--no-raise",), help="raise no error if there is no answer", sets=False),
    Option("quiet", ("-q", "--quiet"), help="show nothing"),
    Option("help", ("-h", "--help"), help="show this help"),
)  # fmt: skip
BY_FLAG: Final = {flag: option for option in OPTIONS for flag in option.flags}
NOT_YET: Final = frozenset({"--step"})
"""Options, and values of options, that are planned: each is refused by its name, and listed nowhere."""
RERUN: Final = frozenset({"--start", "--failed", "--take"})
"""Options of `%compile rerun`: a cell's question, or the plan in it, has no tasks yet that could be named."""

EDITED: Final = frozenset({
    "model", "joiner", "worker", "joiner_prompt", "tools", "inputs", "override", "share", "preview", "out", "prefix",
    "bind", "max_concurrency", "timeout", "budget", "drop_failed", "approve", "cache", "engine", "loop", "background",
    "live", "display", "raises", "quiet", "answer_type",
})  # fmt: skip
"""Options of a cell that hold for the cell in which its plan is edited, too."""

_TARGET = re.compile(r"\s*([^\W\d]\w*)\s*=?\s*<<(?=\s|$)")
_WORD = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[^\s"'])+)""")
_FLAG = re.compile(r"\s(--?[a-zA-Z][\w-]*)")
_MARKER = re.compile(r"[^\S\n]*#[^\S\n]*(?:NBVAL_|PYTEST)[^\n]*", re.IGNORECASE)

# ---------------------------------------------------------------- reading


def read(magic: str, line: str, body: str = "") -> Line:
    """Return what a magic's line and body say; raise OptionError that says what is wrong and how to fix it.

    Options come first; what follows them on the line is the question, with the body for `%%compile`. Lines of the body
    that are meant for nbval or pytest are left out.
    """
    answer, position = "", 0
    if target := _TARGET.match(line):
        answer, position = read_name(f"%%{magic}", target[1]), target.end()
    given, spelled, position = _options(magic, line, position)
    head, rest = line[:position].strip(), line[position:].strip()
    kept = " ".join([*([f"{answer} <<"] if answer else []), *(text for name, text in spelled if name in EDITED)])
    body = without_markers(body)
    if magic == "plan":
        return Line(given, answer, rest, body.rstrip(), head, kept)
    return Line(given, answer, "\n".join(part for part in (rest, body.strip()) if part), head=head, kept=kept)


def read_name(where: str, name: str) -> str:
    """Return the name before `<<`; raises OptionError that begins with `where` if nothing may be bound to it."""
    return str(_value(where, "<<", check_name, name))


def without_markers(body: str) -> str:
    """Return a cell's body without lines that are meant for nbval or pytest; lines below keep their numbers."""
    return "\n".join("" if _MARKER.fullmatch(each) else each for each in body.split("\n"))


def _options(magic: str, line: str, position: int) -> tuple[dict[str, Any], list[tuple[str, str]], int]:
    """Return the options from a position on, each as it is written, and where they end."""
    given: dict[str, Any] = {}
    spelled: list[tuple[str, str]] = []
    while (match := _WORD.match(line, position)) and match[1].startswith("-") and len(match[1]) > 1:
        flag, equals, value = match[1].partition("=")
        start, position = position, match.end()
        if flag == "--":  # what follows is the question, even if it begins with a dash
            return given, spelled, position
        if flag not in BY_FLAG and (short := BY_FLAG.get(flag[:2])) is not None and short.value:
            flag, equals, value = flag[:2], "=", match[1][2:]  # -j4
        option = BY_FLAG.get(flag)
        if option is None:
            raise OptionError(_unknown(magic, flag))
        if not option.value:
            if equals:
                raise OptionError(f"%%{magic}: {flag} takes no value")
            given[option.field] = option.sets
        elif option.field == "override":
            text, position = _assignments(magic, flag, line, line.index(flag, start) + len(flag))
            given["override"] = f",{NEXT}".join(filter(None, [given.get("override"), text]))
        else:
            if not equals:
                value, position = _next_word(magic, option, flag, line, position)
            text, position = _whole_list(value, line, position)
            given[option.field] = read_value(f"%%{magic}", option, flag, text)
        spelled.append((option.field, line[start:position].strip()))
    words = (word.partition("=")[0] for word in line[position:].split() if word.startswith("--") or word == "-m")
    late = next((word for word in words if word in BY_FLAG or word in NOT_YET), "")
    if late:
        raise OptionError(f"%%{magic}: write {late} before the question, or the question below the line")
    return given, spelled, position


def _whole_list(value: str, line: str, position: int) -> tuple[str, int]:
    """Return a value with what stands behind the blanks after its commas, and where it ends."""
    while value.endswith(",") and (match := _WORD.match(line, position)):
        value, position = value + match[1], match.end()
    return value, position


def _assignments(magic: str, flag: str, line: str, position: int) -> tuple[str, int]:
    """Return the text of `TASK=VALUE, ...` from a position on, as far as it is Python, and where it ends."""
    begin = position + len(line[position:]) - len(line[position:].lstrip(" \t="))
    plain = without_texts(line[begin:])
    flags = (found for found in _FLAG.finditer(plain) if found[1] in BY_FLAG or found[1][:2] in BY_FLAG)
    rest = line[begin : begin + next((found.start() for found in flags), len(plain))]
    for end in [found.start() for found in re.finditer(r"\s+|$", rest)][::-1]:
        with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            is_whole = end and not rest[:end].endswith(",")
            if is_whole and parse_syntax(f"f({with_stand_ins(rest[:end])[0]})", "eval").body.keywords:
                return rest[:end], begin + end
    raise OptionError(f"%%{magic}: {flag} takes TASK=VALUE, such as best=[1, 2], not {cut(rest, SHOWN)!r}")


def _next_word(magic: str, option: Option, flag: str, line: str, position: int) -> tuple[str, int]:
    """Return the word after an option, which is its value, and where it ends."""
    match = _WORD.match(line, position)
    if not match or (match[1].startswith("-") and match[1].partition("=")[0] in BY_FLAG):
        raise OptionError(f"%%{magic}: {flag} needs a value: {flag} {option.value} ({option.help})")
    return match[1], match.end()


def read_value(where: str, option: Option, flag: str, text: str) -> Any:
    """Return the value of an option from its text; raises OptionError that begins with `where`."""
    try:
        value = " ".join(shlex.split(text))
    except ValueError:
        value = text
    if option.verbatim:
        value = text[1:-1] if text[:1] in {'"', "'"} and text[-1:] == text[:1] else text
    if any(f"{spelling} {value}" in NOT_YET for spelling in option.flags):
        raise OptionError(f"{where}: {flag} {value} does not exist yet")
    if option.choices and value not in option.choices:
        raise OptionError(f"{where}: {flag} takes {' or '.join(option.choices)}, not {value!r}")
    return _value(where, flag, option.read, value)


def _value(where: str, flag: str, convert: Read, value: str) -> Any:
    try:
        return convert(value)
    except ValueError as error:
        raise OptionError(f"{where}: {flag} takes {error}, not {value!r}") from None


def _unknown(magic: str, flag: str) -> str:
    if flag in RERUN:
        return f"%%{magic}: {flag} is for a run that has ended: %compile rerun [RUN] {flag}"
    if flag in NOT_YET:
        return f"%%{magic}: {flag} does not exist yet"
    return f"%%{magic} has no option {flag}.{suggest(flag, BY_FLAG, 0.5)} %%{magic} -h lists them"


# ---------------------------------------------------------------- help

_USAGE: Final = {
    "compile": "%%compile [NAME <<] [options] [question]\nquestion\n\n"
    "Answer a question: a model plans tool calls, they run in parallel, and every result becomes a variable.",
    "plan": "%%plan [NAME <<] [options] [question]\nplan\n\n"
    "Run the plan in the cell. The value of its last line is the answer, unless that is join(...) or answer(...).",
}


def listed() -> Iterator[Option]:
    """Yield the options that help and completion show."""
    return (option for option in OPTIONS if len(option.choices) != 1)


def help_text(magic: str) -> str:
    """Return the usage of a magic and its options."""
    lines = [_USAGE[magic], "", "  NAME <<                    bind the answer to NAME"]
    for option in listed():
        spelled = f"{', '.join(option.flags)} {option.value}".rstrip()
        choices = f" ({' | '.join(option.choices)})" if option.choices and option.read is str else ""
        lines.append(f"  {spelled:<26} {option.help}{choices}")
    if magic == "compile":
        lines += ["", "In the question, @name offers a variable, {name} pastes its text. %compile help lists verbs."]
    return "\n".join(lines)
