"""Prompts as text files beside this one, each with a short hash of its text as its version."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from compiler_nb.errors import OptionError

_MARKER: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
SLOTS: Final = {"planner": ("rules", "tools", "examples"), "joiner": ()}
"""The prompts that a user's own text may replace, and the markers that are filled in them."""
WORDINGS: Final = ("full", "small")
"""How the package words its prompts: with all rules, or shortly and with examples, for small models."""
_SUFFIX: Final = ".md"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt: its name and its text, in which `{{name}}` marks what is filled in."""

    name: str
    text: str

    @property
    def hash(self) -> str:
        """The text's version: twelve hexadecimal digits of its content."""
        return hashlib.blake2b(self.text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


@cache
def load(name: str) -> Prompt:
    """Return a prompt of the package. Raises an OptionError that lists them if there is no such prompt."""
    if name not in names():
        raise OptionError(f"there is no prompt {name!r}; the prompts are: {', '.join(names())}")
    return Prompt(name, files(__name__).joinpath(name + _SUFFIX).read_text(encoding="utf-8"))


def load_worded(name: str, wording: str) -> Prompt:
    """Return a prompt of the package in a wording; one that has no such wording is the same in all."""
    worded = f"{wording}_{name}"
    return load(worded if worded in names() else name)


@cache
def names() -> tuple[str, ...]:
    """Return the names of the prompts that come with the package, sorted."""
    found = sorted(entry.name for entry in files(__name__).iterdir())
    return tuple(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX))


def fill(prompt: Prompt, **parts: str) -> str:
    """Return the prompt's text with each `{{name}}` replaced by the part of that name; parts are never read again.

    Raises an OptionError if the text has a marker that no part fills; a part without a marker is left out.
    """
    unknown = [name for name in _MARKER.findall(prompt.text) if name not in parts]
    if unknown:
        problem = f"the prompt {prompt.name!r} has {_mark(unknown[0])}, which nothing fills"
        raise OptionError(f"{problem}; it may have: {', '.join(map(_mark, parts)) or 'no marker'}")
    return _MARKER.sub(lambda found: parts[found[1]], prompt.text)


def check_own(role: str, text: str, *, whole: bool = False) -> str:
    """Return what is wrong with a user's own prompt for a role, in words, or "" if it can be used.

    whole: whether it must have all slots, not only the tools.
    """
    slots, marks = SLOTS[role], _MARKER.findall(text)
    shown = ", ".join(map(_mark, slots))
    which = f"its slots are {shown}" if slots else "it has no slots: question and results follow it"
    unknown = [name for name in marks if name not in slots]
    if unknown:
        return f"has {_mark(unknown[0])}, which nothing fills; {which}"
    single = [name for name in slots if name not in marks and re.search(rf"(?<!\{{)\{{\s*{name}\s*\}}(?!\}})", text)]
    if single:
        return f"has {{{single[0]}}}, which is sent as it stands: write {_mark(single[0])}; {which}"
    if "tools" in slots and "tools" not in marks:
        return f"has no {_mark('tools')}, so the model would be told of no tools; {which}"
    missing = [_mark(name) for name in slots if name not in marks]
    return f"has no {' and no '.join(missing)}; {which}" if missing and whole else ""


def has_slot(text: str, name: str) -> bool:
    """Whether a prompt's text has the marker `{{name}}`."""
    return name in _MARKER.findall(text)


def _mark(name: str) -> str:
    return f"{{{{{name}}}}}"
