"""Keys are removed from what the libraries below us log: a provider may have repeated the key, even in a header."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from compiler_nb.models.secret import Secret, mask

STACK: Final = ("openai", "httpx", "httpx2", "httpcore", "httpcore2", "h11", "h2", "hpack")
"""The libraries between us and the network, by the first part of their loggers' names."""
_LATER: Final = [
    f"{core}.{part}"
    for core in ("httpcore", "httpcore2")
    for part in ("connection", "http11", "http2", "proxy", "socks")
]
"""Loggers of modules that are imported when a connection needs them."""
_LOGGED: Final[set[str]] = set()
"""The keys that no record may show."""


def mask_logs(secrets: Iterable[Secret]) -> None:
    """Remove these secrets, too, from what the stack logs. A filter holds for one logger, not for those below it."""
    _LOGGED.update(secret.reveal() for secret in secrets)
    known = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in STACK]
    for name in (*STACK, *_LATER, *known):
        logging.getLogger(name).addFilter(_mask_record)  # adding it twice has no effect


def _mask_record(record: logging.LogRecord) -> bool:
    """Mask a record, and let it pass."""
    secrets = [Secret(value) for value in _LOGGED]
    text = record.getMessage()
    masked = mask(text, secrets)
    if masked != text:
        record.msg, record.args = masked, ()
    if record.exc_info:
        record.exc_text = mask(logging.Formatter().formatException(record.exc_info), secrets)
        record.exc_info = None
    return True
