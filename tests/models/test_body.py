"""Bodies are read within bounds, compressed ones too, whatever the status."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
import time
import zlib
from types import SimpleNamespace

import openai.resources.chat.completions  # noqa: F401 - its import is no part of what is timed here
import pytest

from compiler_nb.errors import BadRequest, StreamBroken
from compiler_nb.models.base import Request
from compiler_nb.models.body import ERROR_LIMIT, STEP, bytes_of, whole
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.models.wire import REPLY_LIMIT, WireError
from tests.support.server import HANG, Response, Server, sse

QUESTION = Request("worker", ({"role": "user", "content": "x"},))
EVENT = sse({"choices": [{"delta": {"content": "fine"}, "finish_reason": "stop"}]})


def ask(server, **settings):
    """Return the text of one reply."""

    async def read():
        model = OpenAIModel("m", provider="vllm", base_url=server.url, grace=0.02, **settings)
        return "".join([chunk.text async for chunk in model.stream(QUESTION)])

    return asyncio.run(read())


class Answers(Server):
    """A server that gives one response, as it stands."""

    def __init__(self, response):
        super().__init__()
        self.response = response

    def _answer(self, seen):
        return self.response


GREEDY = """
import asyncio
import openai.resources.chat.completions
from compiler_nb.errors import ModelError
from compiler_nb.models.base import Request
from compiler_nb.models.openai import OpenAIModel
from tests.support.memory import peak_kilobytes
from tests.support.server import Server

async def ask(model):
    async for chunk in model.stream(Request("worker", ({"role": "user", "content": "x"},))):
        pass

for fault in ("packed-error=1", "packed-error=300", "bomb=300"):
    with Server(always=fault) as server:
        before = peak_kilobytes()
        try:
            asyncio.run(ask(OpenAIModel("m", provider="vllm", base_url=server.url)))
        except ModelError as error:
            print(peak_kilobytes() - before, type(error).__name__)
"""


@pytest.mark.slow
def test_an_error_of_300_mb_in_300_kb_takes_no_memory(figure):
    """A 400 of compressed zeros, like a good reply of that kind, is read within bounds."""
    done = subprocess.run([sys.executable, "-c", GREEDY], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [name for _, name in rows] == ["BadRequest", "BadRequest", "StreamBroken"]
    figure(f"a 400 of 300 MB of zeros in gzip: {int(rows[1][0]):,} kB more")
    figure(f"a stream of 270 MB in gzip: {int(rows[2][0]):,} kB more")
    assert int(rows[1][0]) < 40_000
    assert int(rows[2][0]) < 40_000


def test_an_error_that_goes_on_for_ever_is_told_at_once():
    """What it has said until then is quoted, and nobody waits for the rest."""
    words = b"no such parameter " * (ERROR_LIMIT // 18 + 10)
    began = time.perf_counter()
    with Answers(Response(400, {}, (words, HANG))) as server, pytest.raises(BadRequest, match="no such parameter"):
        ask(server)
    assert time.perf_counter() - began < 30  # of the minutes in which a model may say nothing


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff\xfe\x00", b"", b'{"error": '])
def test_an_error_of_any_bytes_has_its_status(body):
    """Whatever stands in its body."""
    with Answers(Response(400, {}, (body,) if body else ())) as server, pytest.raises(BadRequest):
        ask(server)


def test_an_error_whose_body_breaks_off_has_its_status():
    """The status was there before."""
    with Answers(Response(400, {"Content-Encoding": "gzip"}, (b"no gzip",))) as server, pytest.raises(BadRequest):
        ask(server)
    with Answers(Response(400, {}, (b"half a wo", "reset"))) as server, pytest.raises(BadRequest, match="half a wo"):
        ask(server)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "GZIP"])
def test_what_a_server_compresses_unasked_is_read(coding):
    """In any splitting of the bytes."""
    packed = zlib.compress(EVENT) if coding == "deflate" else gzip.compress(EVENT)
    for size in (1, 7, 1_000):
        steps = tuple(packed[at : at + size] for at in range(0, len(packed), size))
        response = Response(200, {"Content-Type": "text/event-stream", "Content-Encoding": coding}, steps)
        with Answers(response) as server:
            assert ask(server) == "fine"


@pytest.mark.parametrize(("coding", "words"), [("br", r"compressed \(br\), which was not asked"), ("gzip", "not gzip")])
def test_what_cannot_be_unpacked_is_told(coding, words):
    """By the name of the coding."""
    response = Response(200, {"Content-Encoding": coding}, (EVENT,))
    with Answers(response) as server, pytest.raises(StreamBroken, match=words):
        ask(server)


@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
def test_a_server_may_send_blank_lines_while_it_thinks(kind):
    """As many as it likes, before events as before a reply in one piece."""
    whole_reply = b'{"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}]}'
    steps = (*[b"\n" * 1_000] * 9, EVENT if kind == "text/event-stream" else whole_reply)
    with Answers(Response(200, {"Content-Type": kind}, steps)) as server:
        assert ask(server) == "fine"


def test_bytes_are_unpacked_in_small_steps():
    """However many a read holds."""

    async def packed():
        yield gzip.compress(bytes(50 * STEP))

    async def sizes():
        response = SimpleNamespace(headers={"content-encoding": "gzip"}, aiter_raw=packed)
        return [len(piece) async for piece in bytes_of(response)]

    found = asyncio.run(sizes())
    assert max(found) <= STEP
    assert sum(found) == 50 * STEP


def test_a_body_in_one_piece_is_bounded():
    """Like one of events."""

    async def endless():
        while True:
            yield bytes(1_000_000)

    with pytest.raises(WireError, match=f"over {REPLY_LIMIT:,} bytes"):
        asyncio.run(whole(endless()))
