"""Names of models: variables, providers, and what is said of them."""

from __future__ import annotations

import pytest

from compiler_nb import HandModel, NoModel, OpenAIModel, OptionError, ScriptedModel, connect
from compiler_nb.notebook.models import about, find, is_hand, settings_of
from compiler_nb.notebook.variables.namespace import Namespace
from tests.support.local import real_model

OWN = ScriptedModel("x")
NAMES = Namespace({"m": OWN, "n": 3, "kind": ScriptedModel})


def test_a_name_is_a_variable_or_a_provider():
    """A Model stays one, a variable is looked up, the rest is connected."""
    assert find(None, NAMES) is None
    assert find(OWN, NAMES) is OWN
    assert find("m", NAMES) is OWN
    assert find("openai:gpt-5-mini", NAMES).name == "gpt-5-mini"
    assert is_hand(find("hand", NAMES))
    assert not is_hand(HandModel(lambda request: None))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("n", "n is not a model"),
        ("kind", "kind is not a model"),
        (3, "int is not a model"),
        ("mm", "no variable is called 'mm' (those that hold a model: m), and there is no provider 'mm'"),
        ("opnai:x", "Did you mean 'openai'"),
        ("openai:", "names no model"),
    ],
)
def test_what_means_no_model_is_told(spec, message):
    """An option error with the fix."""
    with pytest.raises(OptionError) as raised:
        find(spec, NAMES)
    assert message in str(raised.value)


def test_a_cell_without_a_model_names_the_variables_that_hold_one(shell):
    """Who forgot -m reads what to write; without such a variable all ways to a model are listed."""
    shell.ns.update(m=OWN, n=3)
    assert "holds one: m. Write %%compile -m m, or %compile model m for the whole notebook" in shell.error(
        "%%compile\nHow?"
    )
    del shell.ns["m"]
    assert "Choose one with" in shell.error("%%compile\nHow?")
    assert "no variable is called 'm' (after a restart, run the cell that makes it)" in shell.error(
        "%%compile -m m\nHow?"
    )


def test_about_says_that_a_model_needs_the_responses_api():
    """Before anything is asked; not so if it is asked by it."""
    needs = "gpt-5-pro is served by the Responses API only: give api='responses'"
    for settings, said in (({}, True), ({"api": "responses"}, False)):
        told = about({"planner": connect("openai:gpt-5-pro", api_key="sk-12345678", **settings)})
        assert (needs in told) == said


def test_about_names_roles_addresses_and_keys(monkeypatch):
    """Roles of one model share a line; no model is an error that names the ways to one."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    model = find("openai:gpt-5-mini", NAMES)
    told = about({"planner": model, "joiner": OWN, "worker": model})
    assert told.splitlines() == [
        "planner, worker: openai:gpt-5-mini  https://api.openai.com/v1  key: none found",
        "joiner: scripted  no key needed",
    ]
    with pytest.raises(NoModel, match="hand"):
        about({"planner": None})


def test_settings_are_literals_and_never_keys():
    """name=value is read as JSON or Python, else as text; a key is refused."""
    assert settings_of(["temperature=0", "stream=false", "base_url=http://127.0.0.1:1/v1", "stop=['a']"]) == {
        "temperature": 0, "stream": False, "base_url": "http://127.0.0.1:1/v1", "stop": ["a"],
    }  # fmt: skip
    for wrong in ("temperature", "=1", "api_key=sk-1", "key=sk-1", "user=sk-0123456789abcdefgh"):
        with pytest.raises(OptionError):
            settings_of([wrong])


def test_a_grammar_is_asked_for_from_a_cell():
    """As any setting of a model: %compile model openai:m grammar=on."""
    found = find("openai:m", NAMES, **settings_of(["grammar=on", "base_url=http://127.0.0.1:1/v1"]))
    assert isinstance(found, OpenAIModel)
    assert found.grammars.mode == "on"


@real_model
def test_a_local_model_is_described_in_short_lines():
    """What it is, that it plans badly, and the way to a better one: a page would cut a longer line within a word."""
    name, what, *expect = about({"planner": connect("local")}).split("\n")
    assert name == "planner: local:SmolLM2-135M-Instruct.Q4_1"
    assert what.endswith("135M parameters, 98 MB, context 8,192 tokens, on this machine, no key needed")
    assert expect == [
        "  it plans badly: it is for trying, teaching and testing",
        "  for a better one: local:/path/to/model.gguf",
    ]
