"""Imports what the first question needs before it is asked: the SDK alone takes a third of a second."""

from __future__ import annotations

import functools
import importlib
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

_LOADED: Final[set[str]] = set()
_BEGUN: Final[set[str]] = set()


def is_loaded(resource: str) -> bool:
    """Whether a resource of the SDK is there; somebody else may have imported it."""
    return resource in _LOADED or (resource not in _BEGUN and f"openai.resources.{resource}" in sys.modules)


def load(resource: str) -> None:
    """Import the SDK with a resource ("chat.completions", "responses"), its HTTP client, and what that waits with."""
    import anyio  # noqa: PLC0415 - as slow as the SDK, which brings it
    import openai  # noqa: PLC0415 - it takes 0.4 s

    importlib.import_module(f"openai.resources.{resource}")
    part: object = openai.AsyncOpenAI(api_key="none")  # the SDK imports the rest only if it is used
    for name in (*resource.split("."), "with_streaming_response", "create"):
        part = getattr(part, name)
    anyio.run(anyio.sleep, 0)
    tls()
    _LOADED.add(resource)


def tls() -> Any:
    """Return what all clients trust, True for what they trust by themselves: reading certificates takes 20 ms."""
    return _read_certificates(*map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR")))


@functools.cache
def _read_certificates(*_: str | None) -> Any:
    import openai  # noqa: PLC0415 - it takes 0.4 s

    # which HTTP client it is depends on the SDK's version
    http = sys.modules[openai.DefaultAsyncHttpxClient.__mro__[-2].__module__.partition(".")[0]]
    make = getattr(http, "create_ssl_context", None)
    return True if make is None else make()


def begin(what: str, work: Callable[[], object]) -> None:
    """Begin what has this name on a thread of its own, once; do nothing if no thread can be started."""
    if what not in _BEGUN:
        _BEGUN.add(what)
        with suppress(RuntimeError):  # in a browser
            threading.Thread(target=_try, args=(work,), name="compiler_nb-imports", daemon=True).start()


def _try(work: Callable[[], object]) -> None:
    with suppress(Exception):  # whoever needs it is told what is wrong
        work()
