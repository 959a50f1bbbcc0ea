"""llmock, a mock of many providers that nobody here wrote: it fails as it is told, and judges its client.

It lives in a folder of its own, where `make.py test` installs it with all that it needs (llmock.txt), since its web
framework wants other versions than the notebook does.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION: Final = "0.2.2"
FOLDER: Final = Path(sys.prefix) / "llmock" / VERSION
STARTS: Final = 60.0
"""Seconds that it may take to start."""


class Mock:
    """A running llmock; url: where it listens."""

    def __init__(self, url: str) -> None:
        self.url = url

    def script(self, *behaviors: dict[str, Any]) -> None:
        """Queue what it does to the next requests: of each type, a request takes the first one that fits."""
        self._ask("scenario", {"behaviors": list(behaviors)})

    def reset(self) -> None:
        """Forget what was queued, and what the client did."""
        self._ask("reset", {})

    def verdict(self) -> dict[str, Any]:
        """Return how the client has done so far."""
        told: dict[str, Any] = self._ask("verdict")
        return told

    def _ask(self, what: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.url}/_llmock/{what}", data), timeout=10) as response:  # noqa: S310 - our own
            return json.load(response)


def says(model: str, *texts: str) -> list[dict[str, Any]]:
    """Return the replies of a model; the last one stays."""
    found: list[dict[str, Any]] = [{"type": "reply", "text": text, "match": {"model": model}} for text in texts]
    return [*found[:-1], {**found[-1], "times": None}]


@contextmanager
def running_llmock(*options: str) -> Iterator[Mock]:
    """Start llmock on a port of 127.0.0.1, and stop it at the end; skip the test if it is not installed."""
    if not (FOLDER / "llmock").exists():
        pytest.skip(f"llmock {VERSION} is not installed in its own folder: make.py test does that, if it can")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "llmock.cli", "serve", "--host", "127.0.0.1", "--port", str(port), *options]
    variables = {**os.environ, "PYTHONPATH": str(FOLDER)}
    mock = Mock(f"http://127.0.0.1:{port}")
    with subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + STARTS
            while True:
                try:
                    mock.verdict()
                    break
                except URLError:
                    assert process.poll() is None, "llmock ended at once"
                    assert time.monotonic() < deadline, f"llmock did not start within {STARTS:g} s"
                    time.sleep(0.1)
            yield mock
        finally:
            process.terminate()
