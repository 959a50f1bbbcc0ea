"""llama.cpp's server, from the package xllamacpp, in a process of its own that lives no longer than this one.

Theory of operation
    A damaged file can abort llama.cpp or keep it busy for ever, so it does not run in the kernel itself: then it would
    take the user's variables with it. Its process waits at the end of a pipe that this process holds. However this one
    ends, even if it is killed, the pipe closes and the server ends.
    One thread starts the server and reads what it says: its address, or why it failed, and later only errors. The last
    lines are kept, and nothing is printed. Whoever needs the address waits for a future, on a thread or in a loop.
    Servers are shared by file and settings. After a fork the child forgets them and starts its own.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from compiler_nb.models import llama_process
from compiler_nb.models.gguf import ModelFile
from compiler_nb.models.secret import Secret
from compiler_nb.text import shorten

PACKAGE: Final = "xllamacpp"
STARTS: Final = 60.0
"""Seconds that a server may take to start, and one more for each SLOWEST bytes of its file."""
SLOWEST: Final = 10_000_000
STOPS: Final = 2.0
"""Seconds that a server may take to end."""
KEPT: Final = 50
"""How many lines of what it says are kept."""
FIXED: Final = {
    "hostnames": ["127.0.0.1"],
    "port": 0,  # a free one
    "offline": True,
    "ui": False,
    "cors_origins": "",  # no page of a browser may ask it
    "warmup": False,
    "fit_params": False,
    "verbosity": 1,  # errors only
    "cache_ram_mib": 256,
}
"""Settings that no user changes: on this machine only, no network, no page, and a quiet log."""
KEY: Final = Secret(secrets.token_urlsafe(24))
"""The key of all servers of this process, so that no other user of the machine can ask them."""
_STAMP: Final = re.compile(r"^[\d.]+ [A-Z] +(?:srv|cmn|slot)? *")
_REASON: Final = re.compile(r"(?:error loading model: |gguf_\w+: |GGML_ASSERT\()(?P<reason>.+)")
"""How llama.cpp begins the line that says what is wrong with a file; the first such line is the cause."""
_SERVERS: Final[dict[str, LlamaServer]] = {}
_LOCK: Final = threading.Lock()


class LlamaFailed(Exception):
    """A server could not start; the message says why."""


class LlamaServer:
    """A server of llama.cpp with one model. address: a future that is done when it can be asked, or has failed."""

    def __init__(self, file: ModelFile, settings: Mapping[str, Any]) -> None:
        self.file, self.settings = file, {**FIXED, **settings, "model.path": str(file.path)}
        self.address: Future[str] = Future()
        self.address.set_running_or_notify_cancel()  # so that nobody who waits can cancel it for the others
        self.said: deque[str] = deque(maxlen=KEPT)
        self._process: subprocess.Popen[str] | None = None
        self._late = False
        threading.Thread(target=self._run, name="compiler_nb-llama", daemon=True).start()

    @property
    def is_usable(self) -> bool:
        """Whether it runs, or may still start."""
        if not self.address.done():
            return True
        return self.address.exception() is None and self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The number of its process, 0 if there is none."""
        return 0 if self._process is None else self._process.pid

    def stop(self) -> None:
        """End it, and wait for its end."""
        process = self._process
        if process is None:
            return
        if not self.address.done():
            process.kill()  # while it loads, it does not listen
        with suppress(OSError):
            process.stdin.close()  # type: ignore[union-attr]  # it was asked for
        try:
            process.wait(STOPS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _run(self) -> None:
        """Start it and read what it says until it ends."""
        try:
            process = self._process = self._start()
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            self.address.set_exception(LlamaFailed(f"llama.cpp's process cannot be started ({error})"))
            return
        limit = threading.Timer(STARTS + self.file.bytes / SLOWEST, self._give_up)
        limit.daemon = True
        limit.start()
        with process:
            for line in process.stdout or ():
                if line.startswith(llama_process.MARK):
                    limit.cancel()
                    self.address.set_result(line.removeprefix(llama_process.MARK).strip())
                elif line.strip():
                    self.said.append(_STAMP.sub("", line.strip()))
            limit.cancel()
        if not self.address.done():
            self.address.set_exception(LlamaFailed(self._why(process.returncode)))

    def _start(self) -> subprocess.Popen[str]:
        spec = importlib.util.find_spec(PACKAGE)
        site = str(Path(spec.origin).parent.parent) if spec is not None and spec.origin else ""
        own_group: dict[str, Any] = (  # an interrupt of the kernel's process group is not meant for it
            {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined,unused-ignore]
            if sys.platform == "win32"
            else {"start_new_session": True}
        )
        process = subprocess.Popen(  # noqa: S603 - our own program, by a list of arguments
            [sys.executable, "-P", str(llama_process.__file__)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", errors="replace", env={**os.environ, "GGML_NO_BACKTRACE": "1"}, **own_group,
        )  # fmt: skip
        with suppress(OSError):  # it ended at once, and says why
            told = {"site": site, "settings": {**self.settings, "api_keys": [KEY.reveal()]}}
            process.stdin.write(json.dumps(told) + "\n")  # type: ignore[union-attr]  # it was asked for
            process.stdin.flush()  # type: ignore[union-attr]
        return process

    def _give_up(self) -> None:
        self._late = True
        if self._process is not None:
            self._process.kill()

    def _why(self, code: int) -> str:
        """Return why it did not start; code: of its exit."""
        if self._late:
            return f"llama.cpp did not start within {STARTS + self.file.bytes / SLOWEST:,.0f} s; is the file damaged?"
        reason = next((found["reason"] for line in self.said if (found := _REASON.search(line))), "")
        if reason:
            return f"llama.cpp cannot load the file: {shorten(reason, 300)}; get it again, or take another one"
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            return f"llama.cpp was ended by {name} while it loaded the file; is there enough memory for it?"
        return f"llama.cpp did not start (exit code {code}): {shorten(' '.join(self.said), 400)}"


def server_for(file: ModelFile, settings: Mapping[str, Any]) -> LlamaServer:
    """Return the server for a file, started if there is none that works. It may be called from any thread."""
    wanted = json.dumps([str(file.path), settings], sort_keys=True)
    with _LOCK:
        found = _SERVERS.get(wanted)
        if found is None or not found.is_usable:
            found = _SERVERS[wanted] = LlamaServer(file, settings)
        return found


def running() -> tuple[LlamaServer, ...]:
    """Return the servers that were started and have not ended."""
    return tuple(server for server in _SERVERS.values() if server.is_usable)


@atexit.register
def stop_all() -> None:
    """End all servers."""
    while _SERVERS:
        _SERVERS.popitem()[1].stop()


def _forget() -> None:
    """Leave the servers to the process that was forked, with a lock that nobody holds."""
    global _LOCK  # noqa: PLW0603 - a lock that was held during the fork stays locked
    _LOCK = threading.Lock()  # type: ignore[misc]
    _SERVERS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
