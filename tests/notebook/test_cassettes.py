"""Cassettes in cells: --record, --replay, --timings, and the settings of these names."""

from __future__ import annotations

import json

import pytest

from compiler_nb import Cassette, ScriptedModel
from compiler_nb.notebook.complete import candidates
from compiler_nb.notebook.variables.namespace import Namespace

PLAN = "a = double(1)\nb = double(2)\njoin(a, b)\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Let cells run in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def record(shell, question="Which?", options="--record runs.jsonl"):
    """Record a question with a model that says how often it was asked."""
    shell.ns.setdefault("model", ScriptedModel({"planner": PLAN, "joiner": ["first", "second", "third"]}))
    shell.ok(f"%%compile -m model {options}\n{question}")


def test_a_cell_is_recorded_and_played_without_a_model(shell, folder):
    """All roles in one file; the answer, the results and what is shown are the same."""
    record(shell)
    first = dict(shell.shown[-1])
    del shell.ns["model"]
    shell.ns.pop("a")
    shell.ok("%%compile --replay runs.jsonl\nWhich?")
    assert (shell.ns["run"].answer, shell.ns["a"]) == ("first", 2)
    assert shell.shown[-1]["text/plain"] == first["text/plain"]
    roles = [json.loads(line).get("role") for line in (folder / "runs.jsonl").read_text().splitlines()]
    assert roles == [None, "planner", "joiner"]


def test_what_is_played_needs_no_key_even_if_a_model_is_named(shell, folder):
    """The line stays as it was recorded, but for one word."""
    record(shell)
    shell.ok("%%compile -m openai:gpt-none --replay runs.jsonl\nWhich?")
    assert shell.ns["run"].answer == "first"


def test_cells_that_ask_the_same_get_what_came_in_order(shell, folder):
    """In a fresh kernel, from top to bottom; what is run once more gets the last again."""
    record(shell)
    record(shell)
    answers = []
    for _ in range(3):
        shell.ok("%%compile --replay runs.jsonl\nWhich?")
        answers.append(shell.ns["run"].answer)
    assert answers == ["first", "second", "second"]
    record(shell)  # the file is another one now
    shell.ok("%%compile --replay runs.jsonl\nWhich?")
    assert shell.ns["run"].answer == "first"


def test_another_question_is_an_error_that_names_the_difference(shell, folder):
    """And the model that the cell names is not asked."""
    record(shell)
    error = shell.error("%%compile -m model --replay runs.jsonl\nWhat?")
    assert 'recorded "Question: Which?", asked "Question: What?"' in error
    assert len(shell.ns["model"].calls) == 2


def test_settings_record_and_play_a_whole_notebook(shell, folder):
    """`%config` says it once for all cells; a cell's own option goes first."""
    shell.ok('%config CompileMagics.model = "model"\n%config CompileMagics.record = "all.jsonl"')
    record(shell, options="")
    shell.ok("%compile rerun run")
    record(shell, "What?", options="--record other.jsonl")
    assert [len(Cassette(name).recorded) for name in ("all.jsonl", "other.jsonl")] == [3, 2]
    shell.ok('%config CompileMagics.replay = "all.jsonl"')
    shell.ok("%%compile\nWhich?")
    assert shell.ns["run"].answer == "first"
    shell.ok("%compile rerun run")
    assert shell.ns["run"].answer == "second"
    shell.ok('%config CompileMagics.replay = ""')
    shell.ok('%config CompileMagics.record = ""')


def paced(folder, seconds):
    """Let the recorded replies say that they took so long."""
    head, *calls = (folder / "runs.jsonl").read_text().splitlines()
    slower = [json.loads(each) for each in calls]
    for each in slower:
        each["seconds"] = seconds
    (folder / "runs.jsonl").write_text("\n".join([head, *map(json.dumps, slower), ""]))


@pytest.mark.slow
def test_at_its_own_pace(shell, folder):
    """--timings waits as the model did; without it nobody waits, however long that was."""
    record(shell)
    paced(folder, 600.0)
    shell.ok("%%compile --replay runs.jsonl\nWhich?")
    assert shell.ns["run"].seconds < 300
    paced(folder, 0.2)
    shell.ok("%%compile --replay runs.jsonl --timings\nWhich?")
    assert shell.ns["run"].seconds > 0.39


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--record a.jsonl --replay b.jsonl", "OptionError: %%compile: --record and --replay exclude each other"),
        ("-m model --timings", "OptionError: %%compile: --timings is for --replay FILE"),
        ("-m hand --record a.jsonl", "OptionError: %%compile: --record is for models that answer by themselves"),
        ("--replay none.jsonl", "HistoryError: there is no cassette none.jsonl; record one with"),
        ("--replay torn.jsonl", "HistoryError: line 2 of the cassette torn.jsonl is cut off"),
        ("-m model --record torn.jsonl", "HistoryError: line 2 of the cassette torn.jsonl is cut off"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_asked(shell, folder, options, told):
    """In one line, with the way on."""
    (folder / "torn.jsonl").write_text('{"cassette": 1}\n{"role')
    shell.ns["model"] = ScriptedModel(PLAN)
    assert told in shell.error(f"%%compile {options}\nWhich?")
    assert shell.ns["model"].calls == []
    assert not (folder / "a.jsonl").exists()


def test_the_files_complete(folder):
    """Cassettes in the folder."""
    (folder / "runs.jsonl").touch()
    assert candidates("%%compile --replay r", Namespace({})) == ("r", ["runs.jsonl"])


def test_the_model_says_that_it_is_recorded_or_played(shell, folder, capsys):
    """`%compile model` says where a variable's calls go."""
    shell.ns["taped"] = Cassette.record("runs.jsonl", ScriptedModel("x"))
    shell.ok("%config CompileMagics.model = 'taped'\n%compile model")
    assert "scripted  no key needed  recorded in runs.jsonl" in capsys.readouterr().out
    shell.ns["taped"] = Cassette("runs.jsonl")
    shell.ok("%compile model")
    assert "played from runs.jsonl, no key needed" in capsys.readouterr().out
