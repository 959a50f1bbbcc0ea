"""llama.cpp's own server, if one is on PATH: a real engine, whose model may be as small and as foolish as it likes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from compiler_nb import Compiler, connect
from tests.support.scale import times

pytestmark = pytest.mark.promise
KEY = "sk-canary-0123456789/abcdef"
STARTS = 120.0
"""Seconds that it may take to load its model."""


@pytest.fixture(scope="module")
def server():
    """Start one with the model that COMPILER_NB_GGUF names; yield its address."""
    program, model = shutil.which("llama-server"), os.environ.get("COMPILER_NB_GGUF", "")
    if program is None:
        pytest.skip("no llama-server on PATH")
    if not Path(model).is_file():
        pytest.skip("llama-server has no model: name a GGUF file in COMPILER_NB_GGUF")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["-m", model, "-c", "8192", "-np", "2", "--api-key", KEY, "--alias", "tiny"]
    command = [program, *options, "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + STARTS
            while not is_up(port):
                assert process.poll() is None, "llama-server ended at once"
                assert time.monotonic() < deadline, f"llama-server did not start within {STARTS:g} s"
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def is_up(port):
    """Return whether the model is loaded."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as response:
            return response.status == 200
    except (URLError, OSError):
        return False


@pytest.mark.parametrize("dialect", ["python", "numbered", "json"])
def test_a_llama_server_is_asked_in_each_dialect(server, dialect, figure):
    """Whatever its model writes is a plan or a named problem, and the server's own numbers are counted."""
    for number in range(times(1)):
        model = connect("openai:tiny", base_url=server, api_key=KEY, temperature=0, seed=number, max_tokens=60)
        run = Compiler(model, [], dialect=dialect, max_repairs=0, max_replans=0).run_sync("What is 2 + 2?")
        assert run.status in ("done", "failed", "limit")
        assert run.error or run.status == "done"
        assert (run.usage.reported, run.usage.output_tokens > 0) == (True, True)
        assert KEY not in repr(run.events)
    figure(f"{dialect}: {run.usage.tokens:,} tokens, {run.status}")


def test_a_llama_server_says_what_is_wrong_in_words_that_are_understood(server):
    """A wrong key, and a request that is longer than its context."""
    wrong = Compiler(connect("openai:tiny", base_url=server, api_key="sk-wrong-0123456789"), []).run_sync("?")
    assert "the key was refused" in wrong.error
    long = Compiler(connect("openai:tiny", base_url=server, api_key=KEY), []).run_sync("many words " * 20_000)
    assert "the request is too long for the model" in long.error
