import asyncio
import contextlib

import pytest

from compiler_nb import Compiler, connect
from compiler_nb.errors import AuthenticationFailed, BadRequest, ModelError
from compiler_nb.models.base import Chunk, Request
from compiler_nb.models.calls import Calls
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.models.responses import ResponseReply, needs_responses, request_body
from compiler_nb.models.wire import EventReader
from compiler_nb.outcome import Usage
from compiler_nb.toolbox import calculate
from tests.support.server import Server

KEY = "sk-canary-0123456789/abcdef"
PLAN = 'ny = weather("Nový York")\njoin(ny)\n'
QUESTION = Request("planner", ({"role": "system", "content": "Plan."}, {"role": "user", "content": "Which?"}))


def model_of(server, **settings):
    """Return a model behind the test server."""
    given = {"base_url": server.url, "api_key": KEY, "grace": 0.02, "api": "responses", **settings}
    return OpenAIModel("gpt-5-pro", **given)


def ask(model):
    """Return all chunks of one reply."""

    async def read():
        return [chunk async for chunk in model.stream(QUESTION)]

    return asyncio.run(read())


def text_of(chunks):
    """Return the chunks' text."""
    return "".join(chunk.text for chunk in chunks)


@pytest.mark.parametrize("name", [
    "gpt-5-pro", "gpt-5-pro-2025-10-06", "gpt-5.5-pro", "gpt-5-codex", "gpt-5.1-codex-max", "o3-pro", "o1-pro",
    "openai/o1-pro-2025-03-19", "o3-deep-research", "o4-mini-deep-research-2025-06-26", "computer-use-preview",
])  # fmt: skip
def test_models_that_only_the_responses_api_serves_are_known_by_name(name):
    """With a date and a maker, too."""
    assert needs_responses(name)


@pytest.mark.parametrize("name", ["gpt-5", "gpt-5-mini", "gpt-4o", "o3", "gemini-2.5-pro", "llama-pro", "codex", ""])
def test_others_are_not(name):
    """Other makers' models may be called pro."""
    assert not needs_responses(name)


def test_it_streams_the_reply_piece_by_piece():
    """Text comes as the server sends it; the last chunk has the finish, and usage with reasoning and cache writes."""
    with Server(PLAN, pace=0.003) as server:
        chunks = ask(model_of(server))
        seen = server.requests[0]
    usage = Usage(1, 10, len(PLAN), 4, reasoning_tokens=1, cache_write_tokens=2)
    assert (text_of(chunks), len(chunks) > 5) == (PLAN, True)
    assert chunks[0] == Chunk()  # it thinks, and what it thinks is no text
    assert chunks[-1] == Chunk("", "stop", usage, "gpt-5-pro")
    assert (seen.path, seen.key) == ("/v1/responses", KEY)
    assert seen.body == {
        "model": "gpt-5-pro", "input": [dict(message) for message in QUESTION.messages], "stream": True, "store": False,
    }  # fmt: skip


@pytest.mark.parametrize("settings", [{"stream": False}, {"fault": "no-deltas"}], ids=["whole", "only at the end"])
def test_a_reply_may_come_at_once(settings):
    """Asked without streaming, or from a server that sends no pieces."""
    with Server(PLAN, always=settings.pop("fault", "")) as server:
        chunks = ask(model_of(server, **settings))
    assert [chunk for chunk in chunks if chunk.text] == [Chunk(PLAN)]
    assert (chunks[-1].finish, chunks[-1].usage.reasoning_tokens) == ("stop", 1)


def test_parameters_keep_the_names_that_they_have_elsewhere():
    """What the API calls otherwise is renamed, what it has itself goes as it is, and None leaves something out."""
    said = {
        "reasoning_effort": "low", "max_tokens": 9, "verbosity": "low", "top_p": 0.5, "store": None,
        "reasoning": {"summary": "auto"}, "temperature": None,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
    }  # fmt: skip
    assert request_body(QUESTION.messages[:1], said, streaming=False) == {
        "input": [dict(QUESTION.messages[0])], "max_output_tokens": 9, "top_p": 0.5,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}},
    }  # fmt: skip
    assert request_body((), {"text": None, "max_output_tokens": 3}, streaming=True) == {
        "input": [], "store": False, "stream": True, "max_output_tokens": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "finish"),
    [("incomplete=max_output_tokens", "length"), ("incomplete=content_filter", "content_filter")],
)
def test_the_finish_says_why_the_model_ended(fault, finish):
    """In the words of all models."""
    with Server(PLAN, always=fault) as server:
        chunks = ask(model_of(server))
    assert (text_of(chunks), chunks[-1].finish, chunks[-1].usage.input_tokens) == (PLAN, finish, 10)


@pytest.mark.parametrize("fault", ["cut-events", "cut-done"])
def test_a_stream_that_just_ends_was_cut(fault):
    """Only the whole response at its end says that it is whole."""
    with Server(PLAN, always=fault) as server:
        chunks = ask(model_of(server))
    assert (text_of(chunks), chunks[-1].finish) == (PLAN, "")


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("failed", "ProviderUnavailable", "upstream failed"),
        ("failed=rate_limit_exceeded", "RateLimited", "upstream failed"),
        ("event-error", "ProviderUnavailable", "upstream failed"),
        ("event-error=insufficient_quota", "QuotaExceeded", "upstream failed"),
        ("declines", "ModelRefused", "I cannot."),
        ("401", "AuthenticationFailed", "api_key="),
        ("429=7", "RateLimited", "wait 7 s"),
        ("model-404", "BadRequest", "if the server has no Responses API, leave api='responses' out"),
        ("html-200", "ProviderUnavailable", "answered HTML"),
        ("early-reset", "StreamBroken", "in the middle"),
        ("crlf", "StreamBroken", "the reply cannot be read; try again: it is one of the chat completions"),
    ],
)
def test_every_fault_has_its_error(fault, kind, words):
    """As with the other API."""
    with Server(PLAN, always=fault) as server, pytest.raises(ModelError) as caught:
        ask(model_of(server))
    assert type(caught.value).__name__ == kind
    assert words in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "payload",
    [b"{}", b"3", b'{"detail": "no"}', b'{"type": 3}', b'{"response": 3}', b'{"type": "x", "response": {}}',
     b'{"object": "response", "status": "completed", "output": [3, {"type": "message", "content": [3, {"text": 3}]}]}',
     b'{"type": "response.output_text.delta", "delta": {"a": 1}}'],
)  # fmt: skip
def test_what_is_no_reply_gives_no_text(payload):
    """Whatever it is, nothing but an error comes of it."""
    reply = ResponseReply()
    assert reply.absorb(EventReader().feed(b"data: " + payload + b"\n\n")) == ""


def test_a_question_to_a_model_of_the_responses_api():
    """From the name to the answer, with the usage of the whole run."""
    says = ["a = calculate('2 * 3')\njoin(a)\n", "It is 6."]
    with Server(lambda body: says.pop(0)) as server:
        model = connect("openai:gpt-5.1-codex-max", api="responses", base_url=server.url, api_key=KEY)
        run = Compiler(model, [calculate]).run_sync("What is 2 * 3?")
    assert (run.error, run.answer) == ("", "It is 6.")
    assert (run.usage.calls, run.usage.reasoning_tokens, run.usage.cache_write_tokens) == (2, 2, 4)


@pytest.mark.parametrize("name", ["gpt-5-pro", "gpt-5.5-pro", "gpt-5-codex", "o3-pro", "o1-pro", "o3-deep-research"])
@pytest.mark.parametrize("fault", ["model-404", "status=404"])
def test_asked_without_it_their_names_give_that_hint(name, fault):
    """A server that does not know the model or its address; a key that is refused is another matter."""
    with Server(PLAN, faults=[fault, "401"]) as server:
        model = OpenAIModel(name, base_url=server.url, api_key=KEY)
        with pytest.raises(BadRequest, match=f"{name} is served by the Responses API only: give api='responses'"):
            ask(model)
        with pytest.raises(AuthenticationFailed) as caught:
            ask(model)
    assert "Responses" not in str(caught.value)


@pytest.mark.slow
def test_it_may_think_for_long_before_it_speaks():
    """Its silence is not taken for a fault, as that of other models is."""
    with Server(PLAN, always="thinks-long=0.2") as server:
        for settings, whole in (({}, True), ({"read_timeout": 0.1}, False)):
            calls = Calls(lambda *_: None, first_token=0.05, idle=0.05, tries=1)
            heard = []
            with contextlib.suppress(ModelError):
                heard.append(asyncio.run(calls.text(model_of(server, **settings), QUESTION)).text)
            assert heard == ([PLAN] if whole else [])


def test_azure_has_it_too(monkeypatch):
    """At both of its addresses."""
    monkeypatch.delenv("OPENAI_API_VERSION", raising=False)
    with Server(PLAN) as server:
        base = server.url.removesuffix("/v1")
        for settings in ({}, {"api_version": "2025-04-01-preview"}):
            assert text_of(ask(model_of(server, provider="azure", base_url=base, **settings))) == PLAN
        paths = [seen.path for seen in server.requests]
    assert paths == ["/openai/v1/responses", "/openai/responses?api-version=2025-04-01-preview"]


def test_another_api_is_refused():
    """By the names of the two."""
    with pytest.raises(BadRequest, match="api must be 'chat' or 'responses', not 'assistants'"):
        connect("openai:gpt-5", api="assistants")
