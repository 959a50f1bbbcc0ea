"""`%compile prompt`."""

from __future__ import annotations

import pytest

from compiler_nb import ScriptedModel
from compiler_nb.models.providers import set_key
from compiler_nb.prompts import saved
from tests.support.shell import told

PLANS = ["a = nope(1)\n", "a = double(1)\nb = llm('Say it.', a)\njoin(a)\n", "a = double(2)\njoin(a)\n"]


@pytest.fixture
def two(shell, monkeypatch):
    """Give a shell with two runs: the first one's plan was repaired, and a task of it asked a model."""
    monkeypatch.setattr(saved, "_SHELF", {})
    shell.ns["m"] = ScriptedModel({"planner": [PLANS[0], PLANS[2]], "repair": PLANS[1], "worker": "hey",
                                   "joiner": ["Two.", "Four."]})  # fmt: skip
    shell.ok("%%compile -m m -o first\nWhat is two?")
    shell.ok("%%compile -m m -o second\nWhat is four?")
    return shell


def test_a_prompt_engineer_sees_what_was_sent_and_what_came_back(two, capsys):
    """Word for word; lines that changed since the run before are marked."""
    text = told(two, capsys, "%compile prompt")
    assert text == told(two, capsys, "%compile prompt planner") == told(two, capsys, "%compile prompt planner second")
    assert text.startswith("planner, to scripted:scripted · ")
    head, sent, came = text.partition("---- sent")[0], *text.partition("---- sent")[2].split("\n\n---- came back")
    assert head.endswith(" tokens\n\n")
    assert sent.startswith(" (changes since the run before are marked)\n  [system]\n  You are the planner.")
    assert sent.endswith("- Question: What is two?\n+ Question: What is four?")
    assert came == " (changes since the run before are marked)\n- a = nope(1)\n+ a = double(2)\n+ join(a)\n"
    first = told(two, capsys, "%compile prompt planner first")
    assert f"---- sent\n{two.ns['first'].prompt()}\n\n---- came back\n{PLANS[0]}" in first
    same = told(two, capsys, "%compile prompt joiner --against second")
    assert "---- sent (the same as in second)\n[system]\nYou are the joiner." in same


def test_any_call_of_a_model_can_be_chosen(two, capsys):
    """By its role, its number, or the task that asked; a single word may be a run."""
    assert PLANS[1] in told(two, capsys, "%compile prompt repair first")
    assert told(two, capsys, "%compile prompt b first").startswith("b, to scripted:scripted")
    assert told(two, capsys, "%compile prompt -2") == told(two, capsys, "%compile prompt planner first --call 1")
    assert told(two, capsys, "%compile prompt first") == told(two, capsys, "%compile prompt planner -2 --call=-1")
    two.ns["m"] = ScriptedModel({"planner": "a = llm('A')\nb = llm('B')\njoin()", "worker": ["1", "2"], "joiner": "x"})
    two.ok("%%compile -m m\nTwo calls?")
    assert told(two, capsys, "%compile prompt worker --call 1").startswith("worker, call 1 of 2, to ")
    assert told(two, capsys, "%compile prompt worker").startswith("worker, call 2 of 2, to ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("prompt planr", "this run asked no model as 'planr'; it asked: planner, joiner. Did you"),
        ("prompt worker", "this run asked no model as 'worker'; it asked: planner, joiner"),
        ("prompt joiner nobody", "no run is called 'nobody'"),
        ("prompt -9", "no run is called '-9'"),
        ("prompt joiner --call 3", "there is 1 call of joiner in this run, and none has that number; -1 is the last"),
        ("prompt joiner --call 0", "--call takes a number from 1, or -1 for the last call, not '0'"),
        ("prompt joiner --call x", "--call takes a number from 1, or -1 for the last call, not 'x'"),
        ("prompt joiner --against nobody", "no run is called 'nobody'"),
        ("prompt repair first --against second", "this run asked no model as 'repair'"),
        ("prompt --edit", "which prompt? write: %compile prompt planner --edit [NAME]"),
        ("prompt repair --edit", "those of planner and joiner; 'repair' is not one of them"),
        ("prompt planner --edit terse", "no saved planner prompt is called 'terse'"),
        ("prompt a b c", "%compile prompt does not take 'c'"),
    ],
)
def test_what_cannot_be_shown_says_what_there_is(two, line, message):
    """A role, a run, a call and a saved prompt that do not exist."""
    assert message in two.error(f"%compile {line}")


def test_a_page_shows_the_changes_inert(two):
    """What a model says is text there, and what changed is marked within the line."""
    two.ns["m"] = ScriptedModel({"planner": "a = double(2)\nanswer('<script>$x$</script>')\n"})
    two.ok("%%compile -m m\nWhat is <b>four</b>?")
    two.ip.kernel = type("Kernel", (), {"get_parent": lambda _: {"content": {"allow_stdin": True}}})()
    two.ok("%compile prompt")
    page = two.shown[-1]["text/html"]
    assert "<script>" not in page.partition("</style>")[2]
    assert "Question: What is <ins>&lt;b&gt;</ins>four<ins>&lt;/b&gt;</ins>?" in page
    assert "&lt;script&gt;<span>$</span>x<span>$</span>&lt;/script&gt;" in page
    assert two.text().startswith("planner, to scripted:scripted")


def test_no_key_is_shown(two, capsys, monkeypatch):
    """Neither of what was sent nor of what came back."""
    monkeypatch.setenv("FRIENDLI_TOKEN", "")
    two.ns["m"] = ScriptedModel({"planner": "answer('sk-secret-key-0123456789')\n"})
    two.ok("%%compile -m m\nWhat is sk-secret-key-0123456789?")
    set_key("friendli", "sk-secret-key-0123456789")
    assert "sk-secret" not in told(two, capsys, "%compile prompt")
    two.ip.kernel = type("Kernel", (), {"get_parent": lambda _: {"content": {"allow_stdin": True}}})()
    two.ok("%compile example add -1 it")
    for listed in ("example", "runs"):
        two.ok(f"%compile {listed}")
        assert ("<table" in two.shown[-1]["text/html"], "sk-secret" in str(two.shown[-1])) == (True, False), listed
