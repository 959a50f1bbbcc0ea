"""A key that is never shown, and texts from which keys are taken out."""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PIECE: Final = 8
"""A key's piece of so many characters is taken out of a text; shorter ones tell nothing."""
SHORTEST: Final = 4
"""Texts below this length are no keys: masking them would only spoil messages."""
STARS: Final = "***"


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
    hidden = bytearray(len(text))
    for secret in secrets:
        for form in _forms(secret.reveal()):
            for start, end in _found(text, form):
                hidden[start:end] = b"\x01" * (end - start)
    return _starred(text, hidden) if any(hidden) else text


def _starred(text: str, hidden: bytearray) -> str:
    parts: list[str] = []
    for index, character in enumerate(text):
        if not hidden[index]:
            parts.append(character)
        elif index == 0 or not hidden[index - 1]:
            parts.append(STARS)
    return "".join(parts)


def _forms(key: str) -> Iterator[str]:
    """Yield how a key may be written: plainly, in an address, in JSON, in base64 at any offset."""
    if len(key) < SHORTEST:
        return
    yield from dict.fromkeys((key, quote(key, safe=""), json.dumps(key)[1:-1]))
    raw = key.encode("utf-8", "replace")
    for offset in range(3):
        coded = base64.b64encode(b"x" * offset + raw).decode("ascii").rstrip("=")
        yield coded[4 if offset else 0 : -1]


def _found(text: str, form: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of a text that hold a piece of `form`."""
    size = min(PIECE, len(form))
    for first in range(len(form) - size + 1):
        piece = form[first : first + size]
        start = text.find(piece)
        while start >= 0:
            yield start, start + size
            start = text.find(piece, start + 1)
