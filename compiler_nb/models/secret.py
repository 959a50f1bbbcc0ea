"""A key that is never shown, and texts from which keys are removed."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import quote

PIECE: Final = 8
"""Pieces of a key that have this many characters are removed from a text; shorter ones reveal nothing."""
SHORTEST: Final = 4
"""Shorter texts are not keys: masking them would only spoil messages."""
STARS: Final = "***"
PLACEHOLDERS: Final = frozenset({
    "api-key", "apikey", "anything", "bearer", "default", "dummy", "empty", "fake", "free", "litellm", "llama",
    "llama.cpp", "lm-studio", "lmstudio", "local", "local-llm", "localhost", "no-key", "no-key-needed",
    "no-key-required", "none", "not-needed", "not-required", "nothing", "null", "ollama", "openai", "placeholder",
    "secret", "sk-no-key-required", "test", "token", "unused", "vllm", "whatever", "your-api-key",
})  # fmt: skip
"""What people write if a server needs no key. Masking these words would spoil plans and answers."""

_RUNS: Final = re.compile(rb"\x00+|\x01+")


class Secret:
    """A text that only `reveal` gives out: not repr, str, format, vars or pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str | Secret) -> None:
        self._value = value.reveal() if isinstance(value, Secret) else str(value)

    def reveal(self) -> str:
        """Return the text itself."""
        return self._value

    @property
    def is_sendable(self) -> bool:
        """Whether a header can hold it: one line of visible ASCII."""
        return self._value.isascii() and self._value.isprintable()

    def __repr__(self) -> str:
        return STARS

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be pickled; give the key in its environment variable")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self


def mask(text: str, secrets: Iterable[Secret]) -> str:
    """Return the text with every piece of a secret, plain or encoded, replaced by stars."""
    found = _table(tuple(secret.reveal() for secret in secrets)).find(text)
    return _starred(text, _hide(bytearray(len(text)), found)) if found else text


def mask_all(data: Any, secrets: Iterable[Secret]) -> Any:
    """Return plain JSON data with each of its texts masked; tuples become lists."""
    if isinstance(data, str):
        return mask(data, secrets)
    if isinstance(data, dict):
        return {name: mask_all(value, secrets) for name, value in data.items()}
    return [mask_all(value, secrets) for value in data] if isinstance(data, list | tuple) else data


class Screen:
    """Removes keys from a text that comes in pieces; its pieces joined are what `mask` makes of the whole text.

    Only an end that may continue as a piece of a key is held back: less than PIECE characters, and never the end of a
    line, so that a whole line of a plan is never delayed.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._table = _table(tuple(secret.reveal() for secret in secrets))
        self._held = ""
        self._marks = bytearray()  # which of the held characters are hidden; empty if none is
        self._starred = False  # whether the last character given out was hidden

    def feed(self, text: str) -> str:
        """Return what may be shown now, of this piece and what was held back before."""
        text = self._held + text
        end = len(text)
        while end and text[end - 1 :] in self._table.parts:
            end -= 1
        return self._give(text, end)

    def close(self) -> str:
        """Return what was held back; nothing follows."""
        return self._give(self._held, len(self._held))

    def _give(self, text: str, end: int) -> str:
        """Return a text up to `end`, screened, and hold back the rest."""
        found = self._table.find(text) if len(text) >= self._table.shortest else ()
        self._held, shown = text[end:], text[:end]
        hidden = bytearray()
        if found or self._marks:
            hidden = _hide(self._marks.ljust(len(text), b"\0"), found)
            shown = _starred(shown, hidden[:end], after_stars=self._starred)
            self._marks = hidden[end:] if any(hidden[end:]) else bytearray()
        if end:
            self._starred = bool(hidden) and bool(hidden[end - 1])
        return shown


class _Table(NamedTuple):
    """The pieces of some keys by length, all shorter parts of them, and the runs of characters that may hold one."""

    pieces: dict[int, frozenset[str]]
    parts: frozenset[str]
    runs: re.Pattern[str]
    shortest: int

    def find(self, text: str) -> list[tuple[int, int]]:
        """Return the spans of a text that are pieces."""
        spans = ((run.start(), run.end()) for run in self.runs.finditer(text))
        return [
            (at, at + size)
            for start, end in spans
            for size, pieces in self.pieces.items()
            for at in range(start, end - size + 1)
            if text[at : at + size] in pieces
        ]


@lru_cache(maxsize=32)
def _table(keys: tuple[str, ...]) -> _Table:
    pieces: dict[int, set[str]] = {}
    parts: set[str] = set()
    for form in {form for key in keys for form in _forms(key)}:
        size = min(PIECE, len(form))
        pieces.setdefault(size, set()).update(_windows(form, size))
        parts.update(part for length in range(1, size) for part in _windows(form, length) if "\n" not in part)
    shortest = min(pieces, default=PIECE)
    letters = {character for found in pieces.values() for piece in found for character in piece}
    runs = re.compile(f"[{re.escape(''.join(sorted(letters)))}]{{{shortest},}}" if letters else "(?!)")
    kept = {size: frozenset(found) for size, found in pieces.items()}
    return _Table(kept, frozenset(parts), runs, shortest)


def _windows(form: str, size: int) -> Iterator[str]:
    """Yield the pieces with so many characters."""
    return (form[at : at + size] for at in range(len(form) - size + 1))


def _hide(hidden: bytearray, found: Iterable[tuple[int, int]]) -> bytearray:
    """Mark the spans that were found, and return the marks."""
    for start, end in found:
        hidden[start:end] = b"\x01" * (end - start)
    return hidden


def _starred(text: str, hidden: bytearray, *, after_stars: bool = False) -> str:
    """Return a text with stars for each run of hidden characters, but none for a run that continues one before it."""
    runs = _RUNS.finditer(hidden)
    shown = "".join(STARS if hidden[run.start()] else text[run.start() : run.end()] for run in runs)
    return shown.removeprefix(STARS) if after_stars and hidden[:1] == b"\x01" else shown


def whole_forms(secrets: Iterable[Secret]) -> tuple[bytes, ...]:
    """Return keys as bytes, plain and encoded, for data that is too large to look for their pieces."""
    forms = (form.encode("utf-8", "replace") for secret in secrets for form in _forms(secret.reveal()))
    return tuple(dict.fromkeys(forms))


def _forms(key: str) -> Iterator[str]:
    """Yield the forms in which a key may be written: plain, in an address, in JSON, in a page, nested, in base64."""
    if len(key) < SHORTEST or key.casefold() in PLACEHOLDERS:
        return
    plain = (key, quote(key, safe=""), json.dumps(key)[1:-1], html.escape(key))
    yield from dict.fromkeys((*plain, *(write(text)[1:-1] for text in plain for write in (json.dumps, repr))))
    raw = key.encode("utf-8", "replace")
    for offset in range(3):
        coded = base64.b64encode(b"x" * offset + raw).decode("ascii").rstrip("=")
        yield coded[4 if offset else 0 : -1]
