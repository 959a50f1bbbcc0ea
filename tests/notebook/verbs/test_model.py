"""`%compile model`."""

from __future__ import annotations

from compiler_nb import ScriptedModel
from tests.support.shell import PLAN, told


def test_model_is_set_shown_and_checked(shell, capsys):
    """A variable or a name is set for all roles; --check sends one tiny call."""
    shell.ns["m"] = ScriptedModel({"worker": "ready", "planner": PLAN})
    assert told(shell, capsys, "%compile model m") == "planner, joiner, worker: scripted  no key needed\n"
    assert "scripted:scripted answered 'ready' in" in told(shell, capsys, "%compile model --check")
    shell.ok("%%compile\nq")
    assert shell.ns["best"] == 4
    assert "http://127.0.0.1:9/v1" in told(shell, capsys, "%compile model openai:x base_url=http://127.0.0.1:9/v1")


def test_a_key_is_asked_for_unseen(shell, capsys, monkeypatch):
    """It is kept in the process, and shown nowhere; a server that needs none takes none from a person."""
    monkeypatch.delenv("FRIENDLI_TOKEN", raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "sk-secret-key-0123456789")
    out = told(shell, capsys, "%compile model friendli:x --key")
    assert "key: set in this session" in out
    assert "sk-secret" not in out
    monkeypatch.setattr("getpass.getpass", lambda prompt: "")
    assert "key: none found" in told(shell, capsys, "%compile model --key")
    shell.planner(PLAN)
    assert "scripted takes no key" in shell.error("%compile model m --key")
