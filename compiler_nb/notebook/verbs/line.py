"""How a line `%compile VERB ...` is read: its verb, the words, and the options with their values."""

from __future__ import annotations

import re
import shlex
from typing import Final, NamedTuple

from compiler_nb.errors import OptionError
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.variables.namespace import NEXT
from compiler_nb.notebook.verbs.command import Command
from compiler_nb.notebook.verbs.table import VERBS, find_verb

_HELP: Final = {"-h", "--help"}
_FLAGS: Final = "|".join(map(re.escape, sorted(VERBS["rerun"].values, key=len, reverse=True)))
_OVERRIDE: Final = re.compile(rf"\s--override[\s=]+(.*?)(?=\s(?:{_FLAGS})(?![\w-])|$)")
"""Values of tasks as they are written: what a shell would make of their quotes and blanks is not meant."""
_TARGET: Final = re.compile(r"\s*rerun\s+([^\W\d]\w*)\s*<<(?=\s|$)")
"""The name that a rerun's answer is bound to."""
_SET: Final = re.compile(r"""\s*set\s+('[^']*'|"[^"]*"|[^-\s]\S*)\s+(.+?)(?:\s--run[\s=]+(\S+))?\s*""", re.DOTALL)
"""A task, an expression as it is written, and a run."""


class Said(NamedTuple):
    """What a line says: its verb, the words, and the options with their values as they are written."""

    verb: Command
    words: list[str]
    options: dict[str, str]


def perform(desk: Desk, line: str) -> None:
    """Do what a line says; raises OptionError if it makes no sense."""
    verb, words, options = read(line)
    verb.perform(desk, words, options)


def read(line: str) -> Said:
    """Return what a line says; raises OptionError if it makes no sense."""
    if given := _SET.fullmatch(line):
        return Said(VERBS["set"], [given[1].strip("'\""), given[3] or ""], {"": given[2]})
    target = _TARGET.match(line)
    line = f"rerun{line[target.end() :]}" if target else line
    overrides = f",{NEXT}".join(_OVERRIDE.findall(line))
    try:
        words = shlex.split(_OVERRIDE.sub(" --override _", line))
    except ValueError as error:
        raise OptionError(f"%compile: {error}: {line.strip()}") from None
    name, *rest = words or ["help"]
    if _HELP & set(words):
        name, rest = "help", [word for word in words if word not in _HELP][:1]
    verb = find_verb(name)
    words, options = _read(name, verb, rest)
    options |= {"--override": overrides} if overrides else {}
    return Said(verb, words, options | ({"<<": target[1]} if target else {}))


def _read(name: str, verb: Command, given: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words and the options that a verb is given; raise OptionError for one that it does not take."""
    words: list[str] = []
    options: dict[str, str] = {}
    flags, rest = verb.values, iter(given)
    for word in rest:
        flag, _, value = word.partition("=")
        if flag not in flags and flags.get(flag[:2]):
            flag, value = flag[:2], word[2:]  # -j4
        if flag in flags:
            value = value or (next(rest, "") if flags[flag] else "on")
            while value.endswith(",") and (more := next(rest, "")):  # a list, with blanks after its commas
                value += more
            options[flag] = value
            if not value:
                raise OptionError(f"%compile {name}: {flag} needs a value: {flag} {flags[flag]}")
        elif word.startswith("-") and not word[1:].isdecimal():  # -1 is a run
            known = " and ".join(f"{flag} {value}".rstrip() for flag, value in verb.flags.items())
            raise OptionError(f"%compile {name} has no option {word}" + (f"; it has {known}" if known else ""))
        else:
            words.append(word)
    if len(words) > verb.words:
        raise OptionError(f"%compile {name} does not take {words[verb.words]!r}; write: %compile {verb.usage}")
    return words, options
