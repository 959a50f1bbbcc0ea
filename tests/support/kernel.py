"""A real kernel in a process of its own, spoken to as a front end does."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import KernelManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
KERNELS = Path(sys.prefix) / "kernels"
VERSIONS = ("6.31.0", "7.0.1", "7.3.0", "")
"""Versions of ipykernel that the tests are tried with; "" is the newest."""
SETUP = """
%load_ext compiler_nb
import time, asyncio
from compiler_nb import ScriptedModel, tool

@tool
def weather(city: str) -> dict:
    "Weather of a city."
    time.sleep(0.3)
    return {"city": city, "max": len(city)}

planner = ScriptedModel({"planner": '''
ny = weather("New York")
la = weather("Los Angeles")
sf = weather("San Francisco")
best = max(ny["max"], la["max"], sf["max"])
answer(f"The longest has {best} letters.")
'''})
"""


@dataclass
class Reply:
    """What a cell sent back: its messages on iopub in order, and how it ended."""

    status: str = ""
    name: str = ""
    seconds: float = 0.0
    messages: list[dict[str, Any]] = field(default_factory=list)
    payload: list[dict[str, Any]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the contents of the messages of a kind."""
        return [message["content"] for message in self.messages if message["msg_type"] == kind]

    @property
    def printed(self) -> str:
        """What the cell printed, without the kernel's own warnings."""
        return "".join(content["text"] for content in self.of("stream") if content["name"] == "stdout")

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The data of its displays."""
        return [content["data"] for content in self.of("display_data")]

    @property
    def error(self) -> str:
        """The message of its error, or "" if there is none."""
        return " ".join(f"{content['ename']}: {content['evalue']}" for content in self.of("error"))


class Kernel:
    """A kernel and its client; cells are run one by one, or queued."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.client = manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.replies: dict[str, Reply] = {}
        self.comms: list[dict[str, Any]] = []  # what widgets said, whichever cell they belong to

    def info(self) -> dict[str, Any]:
        """Return what the kernel says of itself."""
        self.client.kernel_info()
        while True:
            reply = self.client.get_shell_msg(timeout=10)
            if reply["msg_type"] == "kernel_info_reply":
                content: dict[str, Any] = reply["content"]
                return content

    def send(self, code: str, *, cell: str = "", stdin: bool = False) -> str:
        """Send a cell; return its message's id."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        content |= {"allow_stdin": stdin, "stop_on_error": True}
        message = self.client.session.msg("execute_request", content)
        if cell:
            message["metadata"]["cellId"] = cell
        self.client.shell_channel.send(message)
        id_: str = message["header"]["msg_id"]
        self.replies[id_] = Reply()
        return id_

    def listen(self, seconds: float) -> bool:
        """Take one message from iopub; return False if none comes."""
        try:
            message = self.client.get_iopub_msg(timeout=seconds)
        except Empty:
            return False
        if message["msg_type"].startswith("comm_"):
            self.comms.append(message)
        reply = self.replies.get(message["parent_header"].get("msg_id", ""))
        if reply is not None:
            reply.messages.append(message)
        return True

    def until_true(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        """Take what comes until a condition holds; raise TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the condition did not come true within {timeout} s")
            self.listen(0.05)

    def wait(self, id_: str, timeout: float = 30.0) -> Reply:
        """Return a cell's reply when it is idle; raise TimeoutError after `timeout` seconds."""
        reply, deadline, began = self.replies[id_], time.monotonic() + timeout, time.monotonic()
        while not any(content["execution_state"] == "idle" for content in reply.of("status")):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no end of a cell within {timeout} s: {reply.messages}")
            self.listen(0.1)
        while not reply.status:
            message = self.client.get_shell_msg(timeout=5)
            other = self.replies.get(message["parent_header"].get("msg_id", ""))
            if other is not None:
                content = message["content"]
                other.status, other.name = content["status"], content.get("ename", "")
                other.payload = content.get("payload", [])
        reply.seconds = time.monotonic() - began
        return reply

    def run(self, code: str, *, cell: str = "", timeout: float = 30.0) -> Reply:
        """Run a cell and return its reply."""
        return self.wait(self.send(code, cell=cell), timeout)

    def value(self, expression: str) -> str:
        """Return what an expression prints."""
        reply = self.run(f"print(({expression}))")
        assert reply.status == "ok", reply.error
        return reply.printed.strip()

    def listen_for(self, seconds: float) -> None:
        """Take whatever comes for a while."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.listen(0.05)

    def until(self, id_: str, kind: str, timeout: float = 10.0) -> None:
        """Wait until a cell has sent a message of a kind."""
        deadline = time.monotonic() + timeout
        while not self.replies[id_].of(kind):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {kind} within {timeout} s")
            self.listen(0.1)


def installed(version: str) -> str:
    """Return a version; skip the test if it is not installed."""
    if version and not (KERNELS / version).exists():
        pytest.skip(f"ipykernel {version} is not installed beside the newest: make.py test does that")
    return version


@contextmanager
def running_kernel(setup: str = SETUP, *, version: str = "", **variables: str) -> Iterator[Kernel]:
    """Start a kernel that has run `setup`, with these environment variables; stop it at the end.

    version: of ipykernel, one that make.py has installed beside the newest.
    """
    own = str(KERNELS / version) if version else ""
    path = os.pathsep.join(part for part in (own, str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    manager = KernelManager()
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    assert manager.kernel_spec is not None
    manager.kernel_spec.argv = command
    manager.start_kernel(
        env={
            "COMPILER_NB_HISTORY": "off",
            **os.environ,
            "PYTHONPATH": path,
            "JPY_PARENT_PID": str(os.getpid()),
            **variables,
        }
    )
    kernel = Kernel(manager)
    try:
        reply = kernel.run(setup)
        assert reply.status == "ok", reply.error
        yield kernel
    finally:
        kernel.client.stop_channels()
        manager.shutdown_kernel(now=True)
