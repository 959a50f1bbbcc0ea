"""The test server's replies and faults without any network, so that they can be had in virtual time."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

from compiler_nb.models.openai import OpenAIModel
from tests.support.server import HANG, UNREACHED, Response, Seen, Wait, answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

CAUSES = {
    "refused": ConnectionRefusedError(111, "Connection refused"),
    "no host": socket.gaierror(-2, "Name or service not known"),
    "tls": ssl.SSLCertVerificationError(1, "certificate verify failed"),
}


class Wire:
    """A transport of the HTTP client, which answers by itself.

    reply, fault: the text, and the name of a fault or "", for the body of a request; chunk: characters per event;
    `requests` holds what came.
    """

    def __init__(
        self,
        reply: Callable[[dict[str, Any]], str],
        fault: Callable[[dict[str, Any]], str] = lambda _: "",
        chunk: int = 4,
    ) -> None:
        self.reply, self.fault, self.chunk = reply, fault, chunk
        self.requests: list[Seen] = []

    async def handle_async_request(self, request: Any) -> Any:
        """Answer a request."""
        http = sys.modules[type(request).__module__.partition(".")[0]]
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = Seen(request.url.path, headers, json.loads(await request.aread()))
        self.requests.append(seen)
        response = answer(seen, self.reply(seen.body), self.fault(seen.body), self.chunk)
        if response.status == UNREACHED:
            raise http.ConnectError("all attempts failed") from CAUSES[str(response.steps[0])]
        content = _body(response, http)
        return http.Response(response.status, headers=dict(response.headers), content=content, request=request)

    async def aclose(self) -> None:
        """Do nothing: there is nothing open."""


async def _body(response: Response, http: Any) -> AsyncIterator[bytes]:
    for step in response.steps:
        if isinstance(step, bytes):
            yield step
            await asyncio.sleep(0)  # others have their turn, as they have while a network is waited for
        elif isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
        elif step == HANG:
            await asyncio.get_running_loop().create_future()
        else:
            raise http.ReadError("connection reset by peer")


def model_on(wire: Wire, key: str = "sk-test-key-0123456789", **settings: Any) -> OpenAIModel:
    """Return a real model whose requests go to a wire."""
    return OpenAIModel("gpt-test", base_url="http://provider.test/v1", api_key=key, transport=wire, **settings)


def role_of(body: dict[str, Any]) -> str:
    """Return the role that a request's messages tell."""
    messages = body.get("messages") or body["input"]
    system, user = messages[0]["content"], messages[-1]["content"]
    if system.startswith("You are the planner"):
        if user.startswith("This plan cannot be read"):
            return "repair"
        return "replan" if "Why another plan is needed" in user else "planner"
    return "joiner" if system.startswith("You are the joiner") else "worker"
