"""Prompts that users save under names: what a text must have, its version, and how a name is found again.

Those of this session are on a shelf of the process; a history keeps them for later sessions, too. All versions are
kept, and of a name the newest counts: `terse` is that one, `terse@1a2b` one whose version begins so.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from compiler_nb.models.providers import known_secrets
from compiler_nb.models.secret import mask
from compiler_nb.prompts import SLOTS, WORDINGS, Prompt, check_own, load_worded
from compiler_nb.text import suggest

LONGEST: Final = 200_000
"""Characters of the longest prompt that is saved."""
_NAME: Final = re.compile(r"[^\W\d_][\w-]{0,63}")
_TAKEN: Final = frozenset({"auto", "list", *WORDINGS})
"""Words that mean something else where a name may stand."""
_CONTROL: Final = re.compile(r"[^\n\t\x20-\x7e\x80-\U0010ffff]|[\x80-\x9f\ud800-\udfff\ufffe\uffff]")
"""A character of binary data, which no text holds."""


class SavedPrompt(NamedTuple):
    """A text that stands in for the package's prompt of a role; at: when it was saved, in seconds since the epoch."""

    role: str
    name: str
    text: str
    at: float = 0.0

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits of its content."""
        return Prompt(self.name, self.text).hash

    @property
    def label(self) -> str:
        """Its name and version: what a run says of the prompt that it used."""
        return f"{self.name}@{self.version}"


class PromptHistory(Protocol):
    """What keeps prompts for later sessions: a History."""

    def prompts(self, role: str = "", name: str = "") -> list[SavedPrompt]:
        """Return all, or those of a role and a name, the newest first."""
        ...

    def keep_prompt(self, saved: SavedPrompt) -> None:
        """Keep one; if that version is there already, it becomes the newest."""
        ...


_SHELF: Final[dict[tuple[str, str, str], SavedPrompt]] = {}
"""Those of this session, by role, name and version; the newest is the last."""


def save_prompt(role: str, name: str, text: str, *, history: PromptHistory | None = None) -> SavedPrompt:
    """Save a text under a name, in this session and in a history if one is given; earlier versions of the name stay.

    role: "planner" or "joiner"; name: letters, digits, _ and -; text: with all slots of the package's own prompt.
    `Compiler(prompts={role: name})` uses it. Raises ValueError if one of them is wrong, HistoryError if the history
    cannot be written: the prompt is then saved in this session.
    """
    saved = SavedPrompt(check_role(role), _checked_name(name), _plain(text), time.time())
    if wrong := problem_of(saved):
        raise ValueError(f"the {role} prompt {name!r} {wrong}")
    _shelve(saved)
    if history is not None:
        history.keep_prompt(saved)
    return saved


def find_prompt(role: str, name: str, history: PromptHistory | None = None) -> SavedPrompt:
    """Return a saved prompt: the newest of a name, or the version that is named behind an @.

    Those of this session go first, and what is found in the history becomes one of them: a name means the same for the
    whole session, whatever others save meanwhile. Raises ValueError if there is none, with those there are, or if this
    version of the package cannot use it.
    """
    word, _, version = name.partition("@")
    here = [each for each in _newest(_SHELF.values()) if (each.role, each.name) == (role, word)]
    found = next((each for each in here if each.version.startswith(version)), None)
    if found is None and history is not None:
        kept = history.prompts(role, word)
        found = next((each for each in kept if each.version.startswith(version)), None)
        for each in kept if found is not None and not here else ():
            _shelve(each)
    if found is None:
        raise ValueError(_unknown(check_role(role), name, saved_prompts(history)))
    if wrong := problem_of(found):
        edit = f"%compile prompt {role} --edit {name}"
        raise ValueError(f"the saved {role} prompt {found.label} cannot be used: it {wrong}; edit it: {edit}")
    return found


def saved_prompts(history: PromptHistory | None = None) -> list[SavedPrompt]:
    """Return all versions of all saved prompts, of this session and of a history, the newest first."""
    kept = {(each.role, each.name, each.version): each for each in history.prompts()} if history is not None else {}
    return _newest((kept | _SHELF).values())


def named_texts(given: Mapping[str, Any], history: PromptHistory | None) -> tuple[dict[str, Any], dict[str, str]]:
    """Return prompts by role with texts instead of names, and what each text is called: "terse@1a2b…", "@1a2b…".

    A single word is a name if there is such a prompt, and for the planner in any case: no text of one word has its
    slots. Raises ValueError if there is no such prompt.
    """
    texts, labels = dict(given), {}
    for role, text in given.items():
        if role not in SLOTS or not isinstance(text, str) or text in _TAKEN:
            continue  # the settings say what is wrong with it, if anything is
        saved = find_prompt(role, text, history) if _is_name(role, text, history) else SavedPrompt(role, "", text)
        texts[role], labels[role] = saved.text, saved.label
    return texts, labels


def _is_name(role: str, text: str, history: PromptHistory | None) -> bool:
    word = text.partition("@")[0]
    if not _NAME.fullmatch(word):
        return False
    return bool(SLOTS[role]) or any((each.role, each.name) == (role, word) for each in saved_prompts(history))


def shipped_text(role: str, wording: str) -> str:
    """Return the package's own text of a role, as it is saved if nothing is changed in it."""
    return _plain(load_worded(check_role(role), wording).text)


def check_role(role: str) -> str:
    """Return a role whose prompt can be replaced; raise ValueError for any other."""
    if role not in SLOTS:
        others = f"{role!r} is not one of them.{suggest(str(role), SLOTS)}"
        raise ValueError(f"the prompts that can be replaced are those of {' and '.join(SLOTS)}; {others}")
    return role


def problem_of(saved: SavedPrompt) -> str:
    """Return why a prompt cannot be used, in words, or "" if it can."""
    text = saved.text
    if not text.strip():
        return "is empty"
    if len(text) > LONGEST:
        return f"has {len(text):,} characters; at most {LONGEST:,} are taken"
    if found := _CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        return f"holds the character U+{ord(found[0]):04X} in line {line}: a prompt is text"
    if mask(text, known_secrets()) is not text:
        return "holds a key: take it out, because what is saved is sent and stored"
    return check_own(saved.role, text, whole=True)


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN:
        taken = f"{name!r} means something else here" if name in _TAKEN else f"{name!r} cannot be the name of a prompt"
        raise ValueError(f"{taken}: a name has up to 64 letters, digits, _ and -, and begins with a letter")
    return name


def _plain(text: object) -> str:
    """Return a text without empty lines around it, with plain line ends: the same however it came here."""
    if not isinstance(text, str):
        raise ValueError(f"a prompt is text, not {type(text).__name__}")  # noqa: TRY004 - as everything else that is wrong
    lines = text.replace("\r\n", "\n").split("\n")
    while lines and not lines[0].strip():
        del lines[0]
    return "\n".join(lines).rstrip() + "\n" if lines else ""


def _shelve(saved: SavedPrompt) -> None:
    key = saved.role, saved.name, saved.version
    _SHELF.pop(key, None)
    _SHELF[key] = saved


def _newest(found: Iterable[SavedPrompt]) -> list[SavedPrompt]:
    return sorted(found, key=lambda each: each.at, reverse=True)


def _unknown(role: str, name: str, known: Iterable[SavedPrompt]) -> str:
    word, _, version = name.partition("@")
    own = [each for each in known if each.role == role]
    versions = [each.label for each in own if each.name == word]
    if versions:
        return f"the {role} prompt {word!r} has no version {version!r}; it has {', '.join(versions)}"
    names = sorted({each.name for each in own})
    listed = f"there are: {', '.join(names)}" if names else f"none is saved; %%prompt {role} NAME saves one"
    return f"no saved {role} prompt is called {name!r}.{suggest(name, names)} {listed[0].upper()}{listed[1:]}"
