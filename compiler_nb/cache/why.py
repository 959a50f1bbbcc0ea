"""Why something is not in the cache, in words: what differs from what is kept of the same thing.

What an entry was made of is a digest by name; the names begin with what they are: "argument day", "source price",
"tool search", "question". Some parts are kept as text, too, so that both can be named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from compiler_nb.cache.cache import Stored, parts_of

SHOWN: Final = 3
"""Differences that are named; the others are counted."""
_MADE: Final = {
    "model": "the model", "settings": "the model's settings", "address": "the model's address",
    "dialect": "the dialect",
    "question": "the question", "prompt": "the prompt", "examples": "the examples", "repetition": "the repetition",
    "answer type": "the type of the answer", "conversation": "the questions before it",
    "grammar": "the grammar", "reason": "the reason for another plan", "plan": "the plan so far",
    "request": "the request", "rules": "the rules of the dialect",
}  # fmt: skip


class Made(NamedTuple):
    """What a value is made of: digests by name; texts: of some of them, for words; task: that wanted it.

    sources: the tasks ("tickers") and inputs ("@df") that an argument comes from, by argument.
    """

    parts: Mapping[str, str]
    texts: Mapping[str, str] = {}
    task: str = ""
    sources: Mapping[str, list[str]] = {}

    def about(self, **more: Any) -> dict[str, Any]:
        """Return what is kept of it."""
        return {"parts": dict(self.parts), "texts": dict(self.texts), "task": self.task, **more}


def changed(new: Mapping[str, str], old: Mapping[str, str]) -> list[str]:
    """Return the names of parts that differ, those of the new one first."""
    return [name for name in dict.fromkeys((*new, *old)) if new.get(name) != old.get(name)]


def nearest(made: Made, entries: Iterable[Stored]) -> Stored | None:
    """Return the entry that differs least: one of the same task if there is one, of equal ones the last used."""
    known = list(entries)
    own = [each for each in known if each.about.get("task") == made.task] if made.task else []
    return min(own or known, key=lambda each: len(changed(made.parts, parts_of(each.about))), default=None)


def _listed(told: list[str]) -> str:
    shown = list(dict.fromkeys(told))
    more = [f"{len(shown) - SHOWN:,} more"] if len(shown) > SHOWN else []
    return ", ".join([*shown[:SHOWN], *more])


def _texts(old: Stored) -> Mapping[str, str]:
    found = old.about.get("texts")
    return found if isinstance(found, dict) else {}


# -------------------------------------------------------------------- calls of tools


def why_called(tool: str, made: Made, entries: Iterable[Stored]) -> str:
    """Return why a call of a pure tool is made, though others of it are kept."""
    old = nearest(made, entries)
    if old is None:
        return f"nothing is kept of `{tool}` yet"
    told = changed(made.parts, parts_of(old.about))
    by_kind: dict[str, list[str]] = {"source": [], "argument": [], "class": []}
    for name in told:
        kind, _, rest = name.partition(" ")
        by_kind.setdefault(kind, []).append(rest)
    words = [
        *_source_words(tool, by_kind["source"], made, old),
        *(f"class `{name}` changed" for name in by_kind["class"]),
    ]
    own_task = old.about.get("task") == made.task
    if by_kind["argument"] and not own_task and not words:
        return f"`{tool}` was not called with these arguments: {_spelled(made)}"
    words += [_argument(name, made, old) for name in by_kind["argument"]]
    return _listed(words) or f"what is kept of `{tool}` cannot be read"


def _spelled(made: Made) -> str:
    return ", ".join(f"{name.partition(' ')[2]}={text}" for name, text in made.texts.items() if name[:9] == "argument ")


def _source_words(tool: str, names: list[str], made: Made, old: Stored) -> list[str]:
    if not names:
        return []
    if f"={tool}" in names:  # its own code
        return [f"tool `{tool}` changed"]
    texts, before = made.texts, _texts(old)
    told = []
    for name in names:
        new, was = texts.get(f"source {name}", ""), before.get(f"source {name}", "")
        told.append(f"`{name}`" + (f" {was} → {new}" if new and was else ""))
    return [f"tool `{tool}` changed: it reaches {_listed(told)}"]


def _argument(name: str, made: Made, old: Stored) -> str:
    sources = made.sources.get(name, [])
    if sources:
        kinds = [f"input `{each[1:]}`" if each[:1] == "@" else f"upstream `{each}`" for each in sources]
        return f"{' or '.join(kinds[:SHOWN])} changed"
    key = f"argument {name}"
    new, was = made.texts.get(key), _texts(old).get(key)
    if new is None or was is None:
        return f"argument `{name}` {'is new' if was is None else 'is gone'}"
    return f"argument `{name}`: {was} → {new}" if new != was else f"argument `{name}` changed"


# -------------------------------------------------------------------- requests to models


def why_asked(role: str, made: Made, entries: Iterable[Stored]) -> str:
    """Return why a model is asked, though other replies in this role are kept."""
    old = nearest(made, entries)
    if old is None:
        return "nothing is kept yet"
    told = [each for each in changed(made.parts, parts_of(old.about)) if each != "request"] or ["request"]
    is_there: Callable[[str], bool] = parts_of(old.about).__contains__
    return _listed([_part(role, name, made, old, is_there(name)) for name in told])


def _part(role: str, name: str, made: Made, old: Stored, was_there: bool) -> str:  # noqa: FBT001 - a fact of the part
    kind, _, rest = name.partition(" ")
    verb = "changed" if was_there and name in made.parts else "is gone" if was_there else "is new"
    if rest:
        how = {"is gone": "was removed", "is new": "was added"}.get(verb, verb)
        if kind == "seen":
            return f"what `{rest}` returns changed"
        return f"{kind} `{rest}` {how}"
    word = f"prompt {role} changed" if kind == "prompt" else ""
    new, was = made.texts.get(name), _texts(old).get(name)
    if kind == "settings" and new is not None and was is not None:
        new, was = _other(new, was), _other(was, new)
    more = f": {was} → {new}" if new is not None and was is not None and new != was else ""
    return word or f"{_MADE.get(kind, kind)} changed{more}"


def _other(settings: str, others: str) -> str:
    """Return those of the settings in a text that the others do not have as they are."""
    return ", ".join(each for each in settings.split(", ") if each not in others.split(", ")) or "none"
