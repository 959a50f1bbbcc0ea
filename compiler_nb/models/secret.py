"""A key that is never shown, and texts from which keys are taken out."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PIECE: Final = 8
"""A key's piece of so many characters is taken out of a text; shorter ones tell nothing."""
SHORTEST: Final = 4
"""Texts below this length are no keys: masking them would only spoil messages."""
STARS: Final = "***"
PLACEHOLDERS: Final = frozenset({
    "api-key", "apikey", "anything", "bearer", "default", "dummy", "empty", "fake", "free", "litellm", "llama",
    "llama.cpp", "lm-studio", "lmstudio", "local", "local-llm", "localhost", "no-key", "no-key-needed",
    "no-key-required", "none", "not-needed", "not-required", "nothing", "null", "ollama", "openai", "placeholder",
    "secret", "sk-no-key-required", "test", "token", "unused", "vllm", "whatever", "your-api-key",
})  # fmt: skip
"""What people write where a server asks for no key: taken out of a text it would spoil plans and answers."""


class Secret:
    """A text that `reveal` gives out and nothing else: not repr, str, format, vars or pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str | Secret) -> None:
        self._value = value.reveal() if isinstance(value, Secret) else str(value)

    def reveal(self) -> str:
        """Return the text itself."""
        return self._value

    @property
    def is_sendable(self) -> bool:
        """Whether it can stand in a header: one line of visible ASCII."""
        return self._value.isascii() and self._value.isprintable()

    def __repr__(self) -> str:
        return STARS

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a secret is never pickled; give the key by its environment variable")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self


class LogMask(logging.Filter):
    """Takes secrets out of what a library logs, which may hold what a provider has repeated."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: set[str] = set()

    def watch(self, logger: str, secrets: Iterable[Secret]) -> None:
        """Take these secrets, too, out of the records of a logger."""
        self.secrets.update(secret.reveal() for secret in secrets)
        logging.getLogger(logger).addFilter(self)  # once, however often it is added

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask a record, and let it pass."""
        text = record.getMessage()
        masked = mask(text, [Secret(value) for value in self.secrets])
        if masked != text:
            record.msg, record.args = masked, ()
        return True


LOG_MASK: Final = LogMask()


def mask(text: str, secrets: Iterable[Secret]) -> str:
    """Return the text with every piece of a secret, as it is or encoded, replaced by stars."""
    found = _table(tuple(secret.reveal() for secret in secrets)).find(text)
    return _starred(text, _hide(bytearray(len(text)), found)) if found else text


class Screen:
    """Takes keys out of a text that comes in pieces: what it gives out, together, is what `mask` makes of the whole.

    Held back is only an end that may go on as a piece of a key: less than PIECE characters, and never a line's end.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._table = table = _table(tuple(secret.reveal() for secret in secrets))
        self._parts, self._shortest, self._longest = table.parts, table.shortest, table.longest
        self._held = ""
        self._marks = bytearray()  # which of the held characters are hidden; empty where none is
        self._starred = False  # whether the last character that was given out was hidden

    def feed(self, text: str) -> str:
        """Return what may be shown now, of this piece and of what was held back before it."""
        if self._held:
            text = self._held + text
        parts, size = self._parts, len(text)
        end = size
        while end and text[end - 1 :] in parts and size - end < self._longest:
            end -= 1
        return self._give(text, end)

    def close(self) -> str:
        """Return what was held back: nothing follows."""
        return self._give(self._held, len(self._held))

    def _give(self, text: str, end: int) -> str:
        """Return a text up to `end`, screened, and hold the rest of it back."""
        found = self._table.find(text) if len(text) >= self._shortest else ()
        self._held = text[end:]
        if found or self._marks:
            return self._cover(text[:end], _hide(self._marks.ljust(len(text), b"\0"), found))
        if end:
            self._starred = False
        return text[:end]

    def _cover(self, shown: str, hidden: bytearray) -> str:
        """Return a text with stars for what is hidden of it; the marks beyond it are those of what is held back."""
        end = len(shown)
        self._marks = hidden[end:] if any(hidden[end:]) else bytearray()
        covered = _starred(shown, hidden, after_stars=self._starred)
        if end:
            self._starred = bool(hidden[end - 1])
        return covered


class _Table(NamedTuple):
    """The pieces of some keys by their length, all parts that are shorter, and the runs of characters to look at."""

    pieces: dict[int, frozenset[str]]
    parts: frozenset[str]
    runs: re.Pattern[str]
    shortest: int
    longest: int

    def find(self, text: str) -> list[tuple[int, int]]:
        """Return the spans of a text that hold a piece."""
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
    return _Table(kept, frozenset(parts), runs, shortest, max(pieces, default=1) - 1)


def _windows(form: str, size: int) -> Iterator[str]:
    """Yield the pieces of so many characters."""
    return (form[at : at + size] for at in range(len(form) - size + 1))


def _hide(hidden: bytearray, found: Iterable[tuple[int, int]]) -> bytearray:
    """Return marks with those of the spans that were found."""
    for start, end in found:
        hidden[start:end] = b"\x01" * (end - start)
    return hidden


def _starred(text: str, hidden: bytearray, *, after_stars: bool = False) -> str:
    parts: list[str] = []
    for index, character in enumerate(text):
        if not hidden[index]:
            parts.append(character)
        elif not (hidden[index - 1] if index else after_stars):
            parts.append(STARS)
    return "".join(parts)


def _forms(key: str) -> Iterator[str]:
    """Yield how a key may be written: plainly, in an address, in JSON, in a page, within these, in base64."""
    if len(key) < SHORTEST or key.casefold() in PLACEHOLDERS:
        return
    plain = (key, quote(key, safe=""), json.dumps(key)[1:-1], html.escape(key))
    yield from dict.fromkeys((*plain, *(write(text)[1:-1] for text in plain for write in (json.dumps, repr))))
    raw = key.encode("utf-8", "replace")
    for offset in range(3):
        coded = base64.b64encode(b"x" * offset + raw).decode("ascii").rstrip("=")
        yield coded[4 if offset else 0 : -1]
