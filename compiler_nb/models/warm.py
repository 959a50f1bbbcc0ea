"""What the first call of a model imports, begun before it is made: the SDK alone takes a third of a second."""

from __future__ import annotations

import importlib
import sys
import threading
from contextlib import suppress
from typing import Final

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
    _LOADED.add(resource)


def begin(resource: str) -> None:
    """Begin to import a resource on a thread of its own, once; do nothing if there can be no thread."""
    if resource not in _BEGUN:
        _BEGUN.add(resource)
        with suppress(RuntimeError):  # in a browser
            threading.Thread(target=_try_to_load, args=(resource,), name="compiler_nb-imports", daemon=True).start()


def _try_to_load(resource: str) -> None:
    with suppress(Exception):  # the first call says what is wrong
        load(resource)
