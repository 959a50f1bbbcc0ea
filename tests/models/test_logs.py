"""What the libraries below us log holds no key."""

from __future__ import annotations

import asyncio
import logging

import pytest

from compiler_nb.errors import ModelError
from compiler_nb.models.base import Request
from compiler_nb.models.logs import STACK, mask_logs
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.models.secret import Secret
from tests.support.server import Server

KEY = "sk-canary-0123456789/abcdef"


@pytest.mark.parametrize(
    "fault", ["echo=ids", "echo=header", "echo=redirect", "redirect=http://127.0.0.1:9/v1?k={key}"]
)
def test_a_key_that_a_server_repeats_in_a_header_is_in_no_log(fault, caplog):
    """The connection's own debug log quotes all headers of a response."""
    caplog.set_level(logging.DEBUG)

    async def ask(model):
        return [chunk async for chunk in model.stream(Request("worker", ({"role": "user", "content": "x"},)))]

    with Server("ok", always=fault.format(key=KEY)) as server:
        try:
            asyncio.run(ask(OpenAIModel("m", base_url=server.url, api_key=KEY)))
        except ModelError:
            assert fault != "echo=ids"
    quoting = [record for record in caplog.records if "receive_response_headers.complete" in record.getMessage()]
    assert quoting
    assert any("***" in record.getMessage() for record in quoting)
    assert "0123456789" not in caplog.text


@pytest.mark.parametrize("name", [*STACK, "openai._response", "httpcore.http2", "httpcore2.proxy"])
def test_each_logger_of_the_stack_is_masked(name, caplog):
    """Also those of modules that are imported later, and the exceptions that they log."""
    caplog.set_level(logging.DEBUG)
    mask_logs([Secret(KEY)])
    error = ValueError(f"with {KEY}")
    logging.getLogger(name).debug("headers %r", [(b"x", KEY.encode())], exc_info=error)
    assert "ValueError: with ***" in caplog.text
    assert "headers [(b'x', b'***')]" in caplog.text
    assert "0123456789" not in caplog.text
