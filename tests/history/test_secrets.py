"""The API key is never in history: in no form, in no table, split over pieces of a stream neither."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import quote

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.history import History, NotStored
from compiler_nb.models.base import Chunk
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.models.secret import PIECE
from compiler_nb.tool import tool
from tests.support.desk import run

KEY = "sk-live/Aa+19zQ=%canary-0123456789"
OTHER = "sk-env-ZYXWVUTSRQPONMLKJIHG"
FORMS = {
    "raw": KEY, "url": quote(KEY, safe=""), "base64": base64.b64encode(f"user:{KEY}".encode()).decode(),
    "header": f"Bearer {KEY}", "piece": KEY[7 : 7 + PIECE + 3], "environment": OTHER,
}  # fmt: skip


class Speaker:
    """A planner that says a key in small pieces, and a model that holds it."""

    provider = name = "speaker"

    def __init__(self, text: str) -> None:
        self.text = text
        self.secrets = OpenAIModel("x", api_key=KEY).secrets

    async def stream(self, request):
        """Yield five characters at a time."""
        for at in range(0, len(self.text), 5):
            yield Chunk(self.text[at : at + 5])
        yield Chunk("", "stop")


def pieces(key: str) -> list[bytes]:
    """Return what no file may hold."""
    return [key[at : at + PIECE].encode() for at in range(len(key) - PIECE + 1)]


@pytest.mark.promise
@pytest.mark.parametrize("form", FORMS)
def test_the_api_key_is_never_in_history(tmp_path, monkeypatch, form):
    """In the question, inputs, a plan, results, tables, failures, warnings, an answer, a split stream: 0 hits."""
    import pandas as pd

    monkeypatch.setenv("FRIENDLI_TOKEN", OTHER)
    text = FORMS[form]

    @tool
    def get(x: str) -> object:
        """Return what holds it."""
        return {"text": text, text: [x.encode(), text.encode()]}

    @tool
    def table() -> object:
        """Return a table that holds it."""
        return pd.DataFrame({"a": [text, "x"]})

    @tool
    def fail(x: str) -> object:
        """Fail with it."""
        raise ValueError(text)

    plan = f'# {text}\na = get({text!r})\nt = table()\nf = fail("x")\nanswer([a, {text!r}])\n'
    path = tmp_path / "runs.db"
    with History(path) as history:
        compiler = Compiler(None, [get, table, fail], planner=Speaker(plan), history=history)
        found = run(compiler, f"What of {text}?", inputs={"secret": text})
        assert found.status == "done"
        loaded = history.load(found.id)
        assert isinstance(loaded["t"], NotStored)
        assert "***" in loaded.question or form == "base64"
    files = b"".join(file.read_bytes() for file in Path(tmp_path).iterdir())
    assert not [piece for key in (KEY, OTHER) for piece in pieces(key) if piece in files]
    coded = base64.b64encode(f"user:{KEY}".encode())[10:-8]
    assert coded not in files
