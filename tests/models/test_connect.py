import asyncio
from urllib.parse import urlsplit

import pytest

from compiler_nb.errors import BadRequest, ModelTimeout, NoModel, ProviderUnavailable, StreamBroken
from compiler_nb.models.connect import NO_MODEL, check, connect, describe, no_model
from compiler_nb.models.hand import HandModel
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.models.providers import PROVIDERS, known_secrets, set_key
from compiler_nb.models.scripted import ScriptedModel
from tests.support.server import Server

VARIABLES = sorted({name for p in PROVIDERS.values() for name in (*p.key_variables, *p.address_variables)})


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    """No key or address of the machine that runs the tests."""
    for name in (*VARIABLES, "OPENAI_API_VERSION"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("spec", "name", "address"),
    [
        ("openai:gpt-5-mini", "gpt-5-mini", "https://api.openai.com/v1"),
        ("friendli:org/model", "org/model", "https://api.friendli.ai/serverless/v1"),
        ("openrouter:a/b:free", "a/b:free", "https://openrouter.ai/api/v1"),
        ("ollama:llama3.2:3b", "llama3.2:3b", "http://127.0.0.1:11434/v1"),
        (" vllm:m ", "m", "http://127.0.0.1:8000/v1"),
        ("anthropic:claude-sonnet-4-5", "claude-sonnet-4-5", "https://api.anthropic.com/v1"),
        ("gemini:gemini-2.5-pro", "gemini-2.5-pro", "https://generativelanguage.googleapis.com/v1beta/openai"),
        ("mistral:m", "m", "https://api.mistral.ai/v1"),
        ("groq:meta/m", "meta/m", "https://api.groq.com/openai/v1"),
    ],
)
def test_a_name_gives_a_model(spec, name, address):
    """The provider is before the first colon, the rest is the model's name."""
    model = connect(spec)
    assert isinstance(model, OpenAIModel)
    assert (model.provider, model.name, model.address) == (spec.strip().partition(":")[0], name, address)


def test_hand_is_a_person():
    """A person is a model without a colon."""
    assert isinstance(connect("hand"), HandModel)


def test_settings_and_parameters_go_through():
    """What OpenAIModel takes it gets; the rest goes with each request."""
    with Server("ok") as server:
        model = connect("openai:m", base_url=server.url + "/", api_key="sk-12345678", temperature=0)
        asyncio.run(check(model))
        assert (server.requests[0].body["temperature"], server.requests[0].key) == (0, "sk-12345678")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("opnai:gpt-5", "Did you mean 'openai'?"),
        ("Ollama:x", "Did you mean 'ollama'?"),
        ("gpt-5-mini", "as in 'openai:gpt-5-mini'"),
        ("claude-sonnet-4-5", "as in 'anthropic:claude-sonnet-4-5'"),
        ("cohere:command", "openai:MODEL, with base_url="),
        ("openai", "as in 'openai:gpt-5-mini'"),
        ("azure:", "as in 'azure:DEPLOYMENT'"),
        ("", "The providers are: openai, azure"),
        ("azure:dep", "give base_url=... or set AZURE_OPENAI_ENDPOINT"),
        ("x" * 10_000, "The providers are:"),
    ],
)
def test_what_names_no_model_says_how_to(spec, words):
    """A slip gets the nearest match or the form."""
    with pytest.raises(BadRequest) as caught:
        connect(spec)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8000",
        "ftp://host/v1",
        "http://",
        "http://host:port/v1",
        "http://me:pw1234@host/v1",
        "http://h/v1?k=pw1234",
    ],
)
def test_a_wrong_address_is_refused_without_showing_it(address):
    """An address may hold a password, so the message does not repeat it."""
    with pytest.raises(BadRequest, match="base_url") as caught:
        connect("vllm:m", base_url=address)
    assert "pw1234" not in str(caught.value)


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "mistral", "groq"])
def test_a_question_to_a_provider_by_its_openai_compatible_address(provider, monkeypatch):
    """Key and address come from the provider's own variables, whose address may lack the path; or base_url says it."""
    known = PROVIDERS[provider]
    monkeypatch.setenv(known.key_variables[-1], "sk-of-the-provider")
    with Server("ready") as server:
        monkeypatch.setenv(known.address_variables[0], server.url.removesuffix("/v1"))
        for settings in ({}, {"base_url": f"{server.url}/mine/"}):
            asyncio.run(check(connect(f"{provider}:m", **settings)))
        paths, keys = [seen.path for seen in server.requests], {seen.key for seen in server.requests}
    assert paths == [f"{urlsplit(known.address).path}/chat/completions", "/v1/mine/chat/completions"]
    assert keys == {"sk-of-the-provider"}


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),  # noqa: S104 - what a server listens on, a client cannot call
        ("box:8080", "http://box:8080/v1"),
        ("https://box", "https://box:443/v1"),
        ("http://[::1]:99/api/v1", "http://[::1]:99/api/v1"),
    ],
)
def test_ollama_s_own_variable_is_understood(host, address, monkeypatch):
    """OLLAMA_HOST may lack scheme, port and path."""
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert describe(connect("ollama:m"))["address"] == address


def test_describe_says_where_the_key_comes_from(monkeypatch):
    """The source is named, the key never shown: given, set in this session, of the environment, none."""
    assert describe(connect("openai:m")) == {
        "name": "m",
        "provider": "openai",
        "address": "https://api.openai.com/v1",
        "key_found": False,
        "key_source": "none found",
    }
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    assert describe(connect("openai:m"))["key_source"] == "OPENAI_API_KEY"
    set_key("openai", "sk-session")
    try:
        assert describe(connect("openai:m"))["key_source"] == "set in this session"
        assert describe(connect("openai:m", api_key="sk-given"))["key_source"] == "api_key="
    finally:
        set_key("openai", "")
    assert describe(connect("openai:m"))["key_source"] == "OPENAI_API_KEY"


def test_a_key_is_hidden_although_another_goes_before_it(monkeypatch):
    """The environment's is still a key when one was set in this session."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment-0123456789")
    set_key("openai", "sk-session-0123456789")
    hidden = {key.reveal() for key in known_secrets()}
    assert {"sk-environment-0123456789", "sk-session-0123456789"} <= hidden


@pytest.mark.parametrize("model", [ScriptedModel([]), HandModel(), OpenAIModel("m", provider="ollama")])
def test_describe_any_model(model):
    """A model without a key needs none."""
    about = describe(model)
    assert (about["name"], about["provider"]) == (model.name, model.provider)
    assert (about["key_found"], about["key_source"]) == (False, "no need")


def test_check_makes_one_tiny_call():
    """One request, and a sentence that says what came back."""
    with Server("ready") as server:
        said = asyncio.run(check(connect("vllm:m", base_url=server.url)))
        assert len(server.requests) == 1
    assert said.startswith("vllm:m answered 'ready' in ")


def test_check_says_what_is_wrong():
    """A provider's fault, silence and an empty reply are errors."""
    with Server(always="status=500") as server, pytest.raises(ProviderUnavailable):
        asyncio.run(check(connect("vllm:m", base_url=server.url)))
    with pytest.raises(ModelTimeout, match=r"did not answer within 0.01 s"):
        asyncio.run(check(ScriptedModel(["late"], ttft=5), timeout=0.01))
    with pytest.raises(StreamBroken, match="sent an empty reply"):
        asyncio.run(check(ScriptedModel([" "])))


def test_no_model_names_every_way_to_one():
    """Who has no model is told of each provider with its variable, local servers, hand and a script."""
    error = no_model()
    assert isinstance(error, NoModel)
    assert str(error) == NO_MODEL
    needed = [p.key_variables[0] for p in PROVIDERS.values() if p.needs_key]
    for word in (*PROVIDERS, *needed, "ollama serve", "vllm serve", "hand", "ScriptedModel", "base_url"):
        assert word in NO_MODEL


def test_check_repeats_no_key():
    """What the model says is shown without the key that it was asked with."""
    with Server("your key is sk-canary-012345") as server:
        said = asyncio.run(check(connect("openai:m", base_url=server.url, api_key="sk-canary-012345")))
    assert said.startswith("openai:m answered 'your key is ***' in ")


def test_check_is_not_troubled_by_a_connection_that_was_closed_meanwhile():
    """The server closed it after the first check; the second one is sent once more, on a new connection."""

    async def twice(model):
        return [await check(model), await check(model)]

    with Server("ready", faults=["", "refused"]) as server:
        said = asyncio.run(twice(connect("vllm:m", base_url=server.url)))
    assert all(each.startswith("vllm:m answered 'ready' in ") for each in said)


def test_a_setting_for_a_person_is_refused():
    """As for any model that does not take it."""
    with pytest.raises(BadRequest, match="hand is a person, who takes no setting temperature: leave it out"):
        connect("hand", temperature=0)
