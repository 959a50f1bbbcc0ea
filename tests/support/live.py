"""A page that shows live views, without a browser: it hears what widgets say in a real kernel, and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.frames import Page

if TYPE_CHECKING:
    from tests.support.kernel import Kernel

WIDGET = "application/vnd.jupyter.widget-view+json"


class LivePage:
    """The live view of a run: its frames, folded, and what a person clicks.

    subshell: messages go to a subshell of the kernel, as JupyterLab's do if the kernel has them.
    """

    def __init__(self, kernel: Kernel, *, number: int = -1, subshell: str = "") -> None:
        self.kernel, self.subshell = kernel, subshell
        self.content = self._opened()[number]["content"]
        self.comm: str = self.content["comm_id"]
        self.model: str = self.comm
        self.details: dict[int, str] = {}
        self.frames: list[dict[str, Any]] = []
        self.page = Page([self.content["data"]["state"]["snapshot"]])
        self._read = 0

    def _opened(self) -> list[dict[str, Any]]:
        """Return the messages that opened widgets with a snapshot; wait for the first."""

        def found() -> list[dict[str, Any]]:
            opened = [each for each in self.kernel.comms if each["msg_type"] == "comm_open"]
            return [each for each in opened if "snapshot" in each["content"]["data"].get("state", {})]

        self.kernel.until_true(lambda: bool(found()))
        return found()

    def look(self) -> Page:
        """Fold the frames that have come."""
        for message in self.kernel.comms[self._read :]:
            content = message["content"]
            if content["comm_id"] != self.comm or message["msg_type"] != "comm_msg":
                continue
            told = content["data"].get("content", {})
            if "frame" in told and (told["frame"].get("reset") or told["frame"]["n"] > self.page.last):
                self.frames.append(told["frame"])
                self.page.apply(told["frame"])
            elif "html" in told:
                self.details[told["task"]] = told["html"]
        self._read = len(self.kernel.comms)
        return self.page

    def until_state(self, id_: str, state: str, timeout: float = 10.0) -> None:
        """Wait until a task has a state."""
        self.kernel.until_true(lambda: self.look().states.get(id_) == state, timeout)

    def until_fact(self, name: str, value: Any, timeout: float = 10.0) -> None:
        """Wait until something is so of the run."""
        self.kernel.until_true(lambda: self.look().facts.get(name) == value, timeout)

    def say(self, what: str, **more: Any) -> None:
        """Say something, as the page's script does."""
        self.send({"method": "custom", "content": {"say": what, **more}})

    def answer(self, word: str, id_: str) -> None:
        """Approve or deny a task, as its button does."""
        number = self.number(id_)
        held = self.page.by_task["held"].get(number, ["", "", ""])
        self.say(word, task=number, mark=held[2])

    def send(self, data: Any) -> None:
        """Send data of the widget protocol."""
        session = self.kernel.client.session
        message = session.msg("comm_msg", {"comm_id": self.comm, "data": data})
        if self.subshell:
            message["header"]["subshell_id"] = self.subshell
        self.kernel.client.shell_channel.send(message)

    def number(self, id_: str) -> int:
        """Return a task's number."""
        return self.look().ids.index(id_)


def make_subshell(kernel: Kernel) -> str:
    """Return the id of a new subshell, or "" if the kernel has none."""
    session, channel = kernel.client.session, kernel.client.control_channel
    if "kernel subshells" not in kernel.info().get("supported_features", []):
        return ""
    channel.send(session.msg("create_subshell_request", {}))
    while True:
        reply = channel.get_msg(timeout=10)
        if reply["msg_type"] == "create_subshell_reply":
            return str(reply["content"]["subshell_id"])
