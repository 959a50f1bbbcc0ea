"""The file of a cassette: what is written, and what is wrong with a file that is not a sound one."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from compiler_nb import Cassette, Chunk, Compiler, HistoryError, ModelError, Request, Usage
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.models.tape import Take, append, prepare, read
from tests.models.test_cassette import SAYS
from tests.support.clock import run_virtually
from tests.support.desk import Desk

EARLIER = Path(__file__).parent / "earlier.jsonl"
HEAD = '{"cassette": 1}\n'
CALL = {
    "role": "worker", "provider": "p", "model": "m", "messages": [{"role": "user", "content": "Which?"}],
    "reply": [[0.1, "a"], [0.2, "", {"finish": "stop", "usage": {"calls": 1, "input_tokens": 3}}]], "seconds": 0.2,
}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    """Give the path of a cassette that is not there yet."""
    return tmp_path / "runs.jsonl"


def of(path, *lines):
    """Write lines as a file, and read it as a cassette."""
    path.write_text(HEAD + "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return read(path)


def test_a_call_is_one_line(path):
    """With what was asked and answered, and when."""
    found = of(path, CALL)[0]
    assert (found.role, found.provider, found.model, found.task) == ("worker", "p", "m", "")
    assert found.reply == ((0.1, Chunk("a")), (0.2, Chunk("", "stop", Usage(1, 3))))
    assert (found.seconds, found.fault, found.stopped, found.plain) == (0.2, None, False, False)


def test_lines_may_have_the_ends_that_other_systems_give_them(path):
    """Git may write them so."""
    path.write_bytes((HEAD + json.dumps(CALL) + "\n").replace("\n", "\r\n").encode())
    assert len(read(path)) == 1


def test_a_cassette_of_this_version_is_opened_by_later_ones():
    """One that was recorded when the form was new: its requests are answered as they were then."""

    async def ask(cassette, each):
        try:
            return [piece async for piece in cassette.stream(Request(each.role, each.messages, each.task))]
        except ModelError as error:
            return str(error), vars(error)

    cassette = Cassette(EARLIER, timings=True)
    found = [run_virtually(ask(cassette, each)) for each in cassette.recorded]
    assert [error for error, _ in (each for each in found if isinstance(each, tuple))] == [
        "too many requests (request r-1)",
        "refused",
        "plain:plain was stopped by its caller while it was recorded",
    ]
    assert found[0][1]["retry_after"] == 2.0
    assert found[1][1]["text"] == "I will not"
    last = Chunk("id", "stop", Usage(1, 20, 2, 4, True, 1, 0), "small-1-0105", "4 tools", "a notice", "[user]\n{user}")
    assert found[2:5] == [[Chunk("sa"), last], ["It is ", "Zürich."], ["It is ", "Zürich."]]
    planner = cassette.for_role("planner")
    assert (planner.prompts, planner.dialect, planner.patience) == ("small", "numbered", 60.0)
    assert (planner.address, planner.parameters) == ("http://127.0.0.1:8000/v1", {"max_tokens": 100})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rol": 1}, "line 2 .*: the call has an unknown field 'rol'. Did you mean 'role'?"),
        ({"role": "cook"}, "'role' of the call is not planner or repair or replan or joiner or worker"),
        ({"role": ["worker"]}, "'role' of the call is not planner"),
        ({"messages": [{"role": "user"}]}, "a message has no 'content'"),
        ({"messages": ["x"]}, "a message is not an object"),
        ({"messages": {}}, "'messages' of the call is not a list"),
        ({"reply": [[1]]}, r"a piece of the reply is not \[seconds, text\]"),
        ({"reply": [[-1, "x"]]}, r"a piece of the reply is not \[seconds, text\]"),
        ({"reply": [[1, "x", {"finish": 3}]]}, "'finish' of a piece is not a text"),
        ({"reply": [[1, "x", {"usage": {"calls": -1}}]]}, "'calls' of `usage` is not a whole number"),
        ({"reply": [[1, "x", {"usage": {"tokens": 1}}]]}, "`usage` has an unknown field 'tokens'"),
        ({"seconds": "1"}, "'seconds' of the call is not a number of seconds"),
        ({"seconds": float("nan")}, "'seconds' of the call is not a number of seconds"),
        ({"error": {"kind": "SystemExit", "message": "x"}}, "'kind' of `error` is not the name of an error of models"),
        ({"error": {"kind": ["x"], "message": "x"}}, "damaged"),
        ({"error": {"kind": "RateLimited"}}, "`error` has no 'message'"),
        ({"about": {"dialect": "klingon"}}, "'dialect' of `about` is not a dialect"),
        ({"about": {"limits": {"max_tokens": "x"}}}, "'max_tokens' of `limits` is not a whole number"),
        ({"stopped": 1}, "'stopped' of the call is not true or false"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_line_is_named(path, change, told):
    """With the number of the line, and the field."""
    with pytest.raises(HistoryError, match=told):
        of(path, CALL | change)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty; delete it, and record it again"),
        ("{}\n", r'is not a cassette: its first line is not {"cassette": 1}'),
        ("# runs\n", "is not a cassette"),
        ('{"cassette": 2}\n', "is of version 2, which a newer compiler_nb has written; this one knows 1"),
        ('{"cassette": 0}\n', "is of version 0; this one knows 1"),
        ('{"cassette": true}\n', "is of version True; this one knows 1"),
        ('{"cassette": 1}', "is not a cassette"),
        (HEAD + json.dumps(CALL), "line 2 of the cassette .* is cut off, as its recording was interrupted; delete"),
        (HEAD + "{\n", "line 2 of the cassette .* is damaged: it is not JSON"),
        (HEAD + "[" * 100_000 + "\n", "line 2 .* is damaged"),
        (HEAD + '{"role": ' + "9" * 5_000 + "}\n", "line 2 .* is damaged"),
        (HEAD + "[]\n", "line 2 .* is damaged: it is not a JSON object"),
        (HEAD + "\n", "line 2 .* is damaged: it is not JSON"),
        (HEAD + '{"cassette": 3}\n', "is of version 3"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(path, text, told):
    """When it is opened to be played, and before anything is recorded to it."""
    path.write_text(text)
    with pytest.raises(HistoryError, match=told):
        read(path)
    if text:
        with pytest.raises(HistoryError, match=told):
            prepare(path)
        assert path.read_text() == text


def test_another_kind_of_file_is_left_alone(path):
    """A folder, a compressed file: nothing is written there."""
    path.write_bytes(gzip.compress(HEAD.encode()))
    with pytest.raises(HistoryError, match="is not a cassette"):
        prepare(path)
    with pytest.raises(HistoryError, match="cannot be read"):
        read(path.parent)
    with pytest.raises(HistoryError, match="cannot be read"):
        prepare(path.parent)


def test_a_recording_makes_its_folder_and_is_closed_to_others(tmp_path):
    """As a history does; a file that is there keeps its rights."""
    path = tmp_path / "new" / "runs.jsonl"
    prepare(path)
    assert path.read_text() == HEAD
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    prepare(path)
    append(path, json.dumps(CALL))
    assert path.stat().st_mode & 0o777 == 0o644
    assert len(read(path)) == 1


def test_several_processes_may_record_at_once(path):
    """Each line is written whole, however many write."""
    prepare(path)
    line = json.dumps(CALL | {"model": "m" * 3_000})
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            for _ in range(50):
                append(path, line)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert len(read(path)) == 200


def test_text_of_any_kind_comes_back(path):
    """Signs of other alphabets are readable in the file; halves of signs are escaped."""
    prepare(path)
    model = ScriptedModel("x")
    for said in ("Zürich 東京 \u2028", "half \ud800"):
        take = Take(Request("worker", ({"role": "user", "content": said},)), model, ())
        take.add(0.1, Chunk(said, "stop"))
        append(path, take.line(0.2, None, stopped=False))
    assert [each.messages[0]["content"] for each in read(path)] == ["Zürich 東京 \u2028", "half \ud800"]
    assert "東京" in path.read_text(encoding="utf-8")


def test_neither_headers_nor_settings_are_written(path):
    """A line has the fields that are named here, and no others."""
    run_virtually(Compiler(Cassette.record(path, ScriptedModel(SAYS)), Desk().tools).run("What?"))
    fields = {name for line in path.read_text().splitlines()[1:] for name in json.loads(line)}
    assert fields == {"role", "task", "provider", "model", "about", "messages", "seconds", "reply"}
