import asyncio
import gc
import logging
import pickle
import socket
import ssl
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import openai.resources.chat.completions  # noqa: F401 - its import is no part of what is timed here
import pytest

from compiler_nb import errors
from compiler_nb.models import providers
from compiler_nb.models.base import Chunk, Model, Request
from compiler_nb.models.faults import Where, explain, from_body, retry_after
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.models.secret import Secret
from compiler_nb.models.wire import usage_of
from compiler_nb.outcome import Usage
from compiler_nb.prompts.data import frame
from tests.support.server import FAULTS, Server

COVERS = ("faults.py",)

KEY = "sk-canary-0123456789/abcdef"
PLAN = 'ny = weather("Nový York")\njoin(ny)\n'
QUESTION = Request("planner", ({"role": "system", "content": "Plan."}, {"role": "user", "content": "Which?"}))
GOOD = [
    "bytes", "crlf", "no-space", "one-newline", "comments", "choices", "json",
    "open-end", "open-finish", "no-done", "slow-first", "thinks", "plain", "octets", "false-json", "no-reasons",
    "finish-reset", "finish-error",
]  # fmt: skip


def model_of(server, **settings):
    """Return a model behind the test server."""
    return OpenAIModel("gpt-test", **{"base_url": server.url, "api_key": KEY, "grace": 0.02, **settings})


def ask(model, request=QUESTION):
    """Return all chunks of one reply."""

    async def read():
        return [chunk async for chunk in model.stream(request)]

    return asyncio.run(read())


def fault_of(fault, **settings):
    """Return the error that a fault of the server becomes."""
    with Server(PLAN, always=fault) as server, pytest.raises(errors.ModelError) as caught:
        ask(model_of(server, **settings))
    return caught.value


def text_of(chunks):
    """Return the chunks' text."""
    return "".join(chunk.text for chunk in chunks)


def test_it_streams_the_reply_piece_by_piece():
    """Text comes as the server sends it, then one chunk with finish and usage."""
    with Server(PLAN, pace=0.003) as server:
        model = model_of(server)
        chunks = ask(model)
    assert isinstance(model, Model)
    assert text_of(chunks) == PLAN
    assert len(chunks) > 5
    assert chunks[-1] == Chunk("", "stop", Usage(1, 10, len(PLAN)), "gpt-test")


def test_the_request_says_what_was_asked_and_nothing_else():
    """Messages and parameters go as they are; usage is asked for; the key is sent."""
    with Server(PLAN) as server:
        ask(model_of(server, temperature=0, reasoning_effort="low", top_k=3, seed=None, extra_headers={"X-Team": "a"}))
        seen = server.requests[0]
    assert seen.path == "/v1/chat/completions"
    assert seen.key == KEY
    assert seen.headers["x-team"] == "a"
    assert seen.body == {
        "model": "gpt-test",
        "messages": [dict(message) for message in QUESTION.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "reasoning_effort": "low",
        "top_k": 3,
    }


def test_without_streaming_the_reply_comes_at_once():
    """One request, one reply."""
    with Server(PLAN) as server:
        chunks = ask(model_of(server, stream=False))
        assert "stream" not in server.requests[0].body
    assert chunks == [Chunk(PLAN), Chunk("", "stop", Usage(1, 10, len(PLAN)), "gpt-test")]


@pytest.mark.parametrize("fault", GOOD)
def test_odd_but_right_replies_are_read(fault):
    """However the server writes its events, the reply is the same, and what never comes is not waited for."""
    began = time.perf_counter()
    with Server(PLAN, always=fault) as server:
        chunks = ask(model_of(server))
    assert text_of(chunks) == PLAN
    assert chunks[-1].finish == "stop"
    assert time.perf_counter() - began < 30  # what never comes would be waited for until the model's 600 s are over


@pytest.mark.parametrize(
    ("fault", "finish"),
    [("length", "length"), ("content-filter", "content_filter"), ("tool-calls", "tool_calls"), ("no-finish", "")],
)
def test_the_finish_says_why_the_model_ended(fault, finish):
    """A reply that is not whole says so."""
    with Server(PLAN, always=fault) as server:
        chunks = ask(model_of(server))
    assert chunks[-1].finish == finish
    assert PLAN.startswith(text_of(chunks))


def test_a_silent_end_has_no_finish():
    """A body that just ends is no whole reply, and the chunk says so."""
    with Server(PLAN, always="silent-end") as server:
        chunks = ask(model_of(server))
    assert text_of(chunks) == PLAN[:8]
    assert chunks[-1].finish == ""


@pytest.mark.parametrize("fault", ["no-usage", "bad-usage"])
def test_missing_usage_is_none(fault):
    """The caller estimates if the provider gave no numbers."""
    with Server(PLAN, always=fault) as server:
        assert ask(model_of(server))[-1] == Chunk("", "stop", None, "gpt-test")


@pytest.mark.parametrize("status", ["", "=400"])
def test_a_server_that_rejects_stream_options_is_asked_once_more_without(status):
    """The reply comes all the same, without its usage; later calls do not ask for it."""
    with Server(PLAN, always=f"no-options{status}") as server:
        model = model_of(server)
        chunks = [ask(model), ask(model)]
        asked = ["stream_options" in seen.body for seen in server.requests]
    assert asked == [True, False, False]
    assert [text_of(each) for each in chunks] == [PLAN, PLAN]
    assert chunks[0][-1] == Chunk("", "stop", None, "gpt-test")


def test_what_the_user_says_of_stream_options_stands():
    """A server that rejects it is not asked again, and None leaves it out."""
    with Server(PLAN, always="no-options") as server:
        with pytest.raises(errors.BadRequest, match="stream_options"):
            ask(model_of(server, stream_options={"include_usage": True}))
        assert text_of(ask(model_of(server, stream_options=None))) == PLAN
        assert len(server.requests) == 2


def test_usage_holds_reasoning_and_cache_writes():
    """As far as the server reports them."""
    usage = {
        "prompt_tokens": 10, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 5},
        "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
    }  # fmt: skip
    assert usage_of(usage) == Usage(1, 10, 7, 3, reasoning_tokens=5, cache_write_tokens=2)
    assert usage_of({**usage, "completion_tokens_details": None}).reasoning_tokens == 0


def test_thinking_is_a_chunk_without_text():
    """Reasoning shows that the model lives."""
    with Server(PLAN, always="thinks") as server:
        assert ask(model_of(server))[0] == Chunk()


@pytest.mark.parametrize(
    ("fault", "kind", "words", "retryable"),
    [
        ("429", "RateLimited", "too many requests", True),
        ("quota", "QuotaExceeded", "quota is used up", False),
        ("status=500", "ProviderUnavailable", "127.0.0.1:", True),
        ("status=529", "ProviderUnavailable", "529", True),
        ("html-502", "ProviderUnavailable", "502 Bad Gateway", True),
        ("html-200", "ProviderUnavailable", "answered HTML: Sign in to the wifi", False),
        ("401", "AuthenticationFailed", "it came from: api_key=", False),
        ("status=403", "AuthenticationFailed", "no permission", False),
        ("context", "BadRequest", "maximum context length", False),
        ("context=vllm", "BadRequest", "the request is too long for the model", False),
        ("context=claude", "BadRequest", "offer or share less, or use a model with a longer context", False),
        ("status=413", "BadRequest", "too long", False),
        ("filter-400", "ModelRefused", "filtered", False),
        ("model-404", "BadRequest", "no such model or address: The model does not exist", False),
        ("404", "BadRequest", "does the address end in /v1", False),
        ("status=408", "ModelTimeout", "in time", True),
        ("status=422", "BadRequest", "refused", False),
        ("redirect=http://127.0.0.1:9/v1", "ProviderUnavailable", "not followed", False),
        ("reset", "StreamBroken", "in the middle of the reply", True),
        ("early-reset", "StreamBroken", "in the middle of the reply", True),
        ("broken-json", "StreamBroken", "not a JSON", True),
        ("overlong", "StreamBroken", "over 1,000,000 bytes", True),
        ("endless", "StreamBroken", "over 10,000,000 bytes", True),
        ("error", "ProviderUnavailable", "upstream failed", True),
        ("error=rate_limit_exceeded", "RateLimited", "upstream failed", True),
        ("error=429", "RateLimited", "upstream failed", True),
        ("error=insufficient_quota", "QuotaExceeded", "upstream failed", False),
        ("error=context_length_exceeded", "BadRequest", "upstream failed", False),
        ("json-error", "BadRequest", "no such deployment", False),
        ("refusal", "ModelRefused", "I cannot help with that.", False),
    ],
)
def test_every_fault_has_its_error(fault, kind, words, retryable):
    """A fault is told by its own class, names model and provider, and says whether a retry may help."""
    error = fault_of(fault)
    assert type(error).__name__ == kind
    assert words in str(error)
    assert (error.provider, error.model, error.retryable) == ("openai", "gpt-test", retryable)
    assert str(error).startswith("openai:gpt-test: ")
    assert str(error).endswith(" (request req_1)")
    assert error.request_id == "req_1"


def test_statuses_and_refusals_are_kept():
    """What a program may ask of an error is there."""
    assert fault_of("quota").status == 429
    assert fault_of("error=429").status == 429
    assert fault_of("refusal").text == "I cannot help with that."
    assert fault_of("429=7").retry_after == 7.0


def everything_of(error):
    """Return all that can be seen of an error, with the local variables of our own frames."""
    chain = [error.__cause__, error.__context__]
    verbose = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame.locals for frame in verbose.stack if "compiler_nb/models" in frame.filename]
    assert frames
    return f"{error} {error!r} {vars(error)} {pickle.dumps(error.args)!r} {chain} {frames}"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.slow
@pytest.mark.parametrize("fault", [*FAULTS, "redirect=http://127.0.0.1:9/v1?k={key}"])
def test_the_key_is_in_no_error(fault, stream, caplog):
    """Neither text, repr, attributes, chain, traceback, pickle nor log of any fault holds the key."""
    caplog.set_level(logging.DEBUG)
    headers = {"X-Api-Token": f"other-{KEY[::-1]}"}
    fault = "keep-alive=0.0001" if fault == "keep-alive" else fault
    with Server(PLAN, always=fault.format(key=KEY)) as server:
        model = model_of(server, stream=stream, read_timeout=0.05, extra_headers=headers)
        try:
            shown = repr(ask(model))
        except errors.ModelError as error:
            shown = everything_of(error)
    shown += caplog.text + repr(model) + repr(vars(model))
    assert "[None, None]" in shown or "Chunk(" in shown
    assert KEY[10:18] not in shown
    assert KEY[::-1] not in shown


def test_the_echoed_key_is_starred():
    """A provider that repeats the key is quoted without it, before and within a reply."""
    for fault in ("401", "error-echo"):
        assert "***" in str(fault_of(fault))


def test_a_verbose_traceback_shows_no_key():
    """Even with all local variables shown, a failing constructor or call hides the key."""
    with pytest.raises(errors.BadRequest) as caught:
        OpenAIModel("m", base_url="ftp://x", api_key=KEY, extra_headers={"Authorization": KEY})
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [frame for frame in frames if "compiler_nb/models" in frame.filename]
    assert ours
    assert KEY not in repr([frame.locals for frame in ours])


def test_a_redirect_sends_nothing_elsewhere():
    """The other host sees no request, so no key."""
    with Server() as other, Server(always=f"redirect={other.url}/chat/completions") as server:
        with pytest.raises(errors.ProviderUnavailable, match="not followed"):
            ask(model_of(server))
        assert (len(server.requests), other.requests) == (1, [])


def test_the_sdk_does_not_retry():
    """One call is one request: retries are the caller's."""
    with Server(always="status=500") as server:
        with pytest.raises(errors.ProviderUnavailable):
            ask(model_of(server))
        assert len(server.requests) == 1


@pytest.mark.parametrize("before", ["", "status=500"])
def test_a_connection_that_the_server_closed_meanwhile_is_no_error(before):
    """A pooled one turns out to be closed when it is used: the request is sent once more, at once, and unseen."""

    async def twice(model):
        for _ in range(2):
            with suppress(errors.ProviderUnavailable):
                chunks = [chunk async for chunk in model.stream(QUESTION)]
        return chunks

    with Server(PLAN, faults=[before, "refused"]) as server:
        assert text_of(asyncio.run(twice(model_of(server)))) == PLAN
        assert len(server.requests) == 3


def test_a_server_that_hangs_up_each_time_is_told():
    """A first connection is not tried again here, and a second one only once."""
    with Server(PLAN, always="refused") as server:
        for _ in range(2):
            with pytest.raises(errors.ProviderUnavailable, match="no connection to"):
                ask(model_of(server))
        assert len(server.requests) == 2  # each loop has its own client


@pytest.mark.parametrize("stream", [True, False])
def test_a_reply_of_tool_calls_says_so(stream):
    """A plan is text, and there is none."""
    error = fault_of("only-tools", stream=stream)
    assert "the reply is only calls of tools, without a text" in str(error)
    assert "tool_choice='none'" in str(error)
    assert str(error).endswith(": weather (request req_1)")
    assert error.retryable


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("unsupported=temperature", "reasoning models take no temperature but their own: leave it out"),
        ("unsupported=max_tokens", "reasoning models take max_completion_tokens instead of max_tokens"),
        ("404", "no such model or address; does the address end in /v1?: Not Found"),
        ("404=the deployment was deleted", "no such model or address: the deployment was deleted"),
        ("loading", "is still loading the model: Loading model"),
        ("busy=30", "failed with status 503; try again later; the provider asks to wait 30 s: busy"),
        ("done", None),
    ],
)
def test_a_refusal_says_what_helps(fault, words):
    """And only that."""
    if words is None:
        with Server(PLAN, always=fault) as server:
            assert ask(model_of(server))[-1].finish == ""
    else:
        assert words in str(fault_of(fault))


@pytest.mark.parametrize(
    ("said", "guesses"),
    [
        ({"detail": "Not Found"}, True), ("404 page not found", True), ({"error": {"message": "File Not Found"}}, True),
        ({"error": {"message": "Invalid URL (POST /chat/completions)"}}, True), ("", True), (None, True),
        ({"error": "Unexpected endpoint or method. (POST /chat/completions)"}, True),
        ("<html><h1>404 Not Found</h1>nginx/1.25</html>", True),
        ({"message": "no Route matched with those values"}, True),
        ({"error": {"message": "The model `tiny` does not exist", "code": "model_not_found"}}, False),
        ({"error": {"message": "model 'llama9' not found"}}, False),
        ({"error": {"message": "The API deployment for this resource does not exist."}}, False),
    ],
)  # fmt: skip
def test_a_404_guesses_at_the_address_only_if_the_server_gives_no_reason(said, guesses):
    """Its own reason is enough."""
    assert ("does the address end in /v1?" in str(from_body(said, WHERE, 404))) == guesses


@pytest.mark.parametrize(
    ("said", "patient"),
    [
        ({"error": {"message": "Loading model", "code": 503}}, True),
        ({"error": "Model a/b is currently loading"}, True),
        ("The model is still loading, please wait", True), ({"error": "busy"}, False),
        ({"error": "error loading model: no such file"}, False), ({"error": "model failed while loading"}, False),
    ],
)  # fmt: skip
def test_a_server_that_loads_its_model_is_told_from_one_that_cannot(said, patient):
    """By its words, and only with 503."""
    assert from_body(said, WHERE, 503).patient == patient
    assert not from_body(said, WHERE, 500).patient


def test_a_wrong_value_is_not_taken_for_a_parameter_that_is_not_there():
    """A temperature of 3 is refused by all models."""
    error = from_body({"error": {"message": "temperature must be below 2", "param": "temperature"}}, WHERE, 400)
    assert "reasoning" not in str(error)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 529])
def test_a_provider_may_ask_to_wait_with_any_fault_that_passes(status):
    """Retry-After counts for all of them, and for none that does not pass."""
    assert from_body({}, WHERE, status, {"retry-after": "45"}).retry_after == 45.0
    assert from_body({}, WHERE, 400, {"retry-after": "45"}).retry_after is None


def test_a_silent_server_is_a_timeout():
    """Without a byte the read timeout ends it, within the reply or before."""
    for fault in ("mute", "stall"):
        assert type(fault_of(fault, read_timeout=0.05)) is errors.ModelTimeout


def test_nobody_listening_names_the_host_and_the_fix():
    """A refused connection says where it went, and how a local server is started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(errors.ProviderUnavailable, match=f"no connection to {address}; start it with `ollama serve`"):
        ask(OpenAIModel("llama", provider="ollama", base_url=f"http://{address}/v1"))


def test_a_server_without_tls_is_told_as_such():
    """A slip in the address: it is not tried again, and nobody is told to turn checks off."""
    with Server(PLAN) as server, pytest.raises(errors.ProviderUnavailable, match="does it speak only http") as caught:
        ask(model_of(server, base_url=server.url.replace("http:", "https:")))
    assert "no secure connection to 127.0.0.1:" in str(caught.value)
    assert (caught.value.retryable, "verify" in str(caught.value)) == (False, False)


def test_an_early_end_closes_the_connection():
    """Who stops reading leaves no stream behind."""

    async def one_piece(model):
        stream = model.stream(QUESTION)
        first = await anext(stream)
        await stream.aclose()
        return first, [chunk async for chunk in model.stream(QUESTION)]

    with Server(PLAN, faults=["stall"]) as server:
        first, chunks = asyncio.run(one_piece(model_of(server)))
        assert text_of([first]) in PLAN
        assert text_of(chunks) == PLAN


def test_one_loop_has_one_connection_and_every_loop_its_own():
    """Models of one server share its connections; another loop never touches them."""

    async def several(server):
        for name in ("a", "b"):
            model = OpenAIModel(name, base_url=server.url, api_key=KEY)
            for _ in range(3):
                [chunk async for chunk in model.stream(QUESTION)]

    with Server(PLAN) as server:
        asyncio.run(several(server))
        assert server.connections == 1
        asyncio.run(several(server))
        assert server.connections == 2
    gc.collect()  # an unclosed connection would warn here, and a warning is an error


def test_another_key_is_another_client():
    """A key that is set later is the one that is sent."""
    with Server(PLAN) as server:
        model = OpenAIModel("m", provider="vllm", base_url=server.url)
        ask(model)
        providers.set_key("vllm", KEY)
        try:
            ask(model)
        finally:
            providers.set_key("vllm", "")
        assert [seen.key for seen in server.requests] == ["none", KEY]


def test_the_environment_of_the_sdk_does_not_leak(monkeypatch):
    """OpenAI's organization and authorization, set for the SDK, go to no other provider."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer other")
    with Server(PLAN) as server:
        ask(model_of(server, provider="friendli", timeout=None))
        headers = server.requests[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert not {"openai-organization", "openai-project"} & set(headers)


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"api_version": "2024-10-21"}, "/openai/deployments/gpt-test/chat/completions?api-version=2024-10-21"),
        ({}, "/openai/v1/chat/completions"),
    ],
)
def test_azure_is_reached_dated_and_undated(settings, path, monkeypatch):
    """With an API version the deployment is in the path, without one it is the common interface."""
    monkeypatch.delenv("OPENAI_API_VERSION", raising=False)
    with Server(PLAN) as server:
        chunks = ask(model_of(server, provider="azure", base_url=server.url.removesuffix("/v1"), **settings))
        assert (server.requests[0].path, server.requests[0].key) == (path, KEY)
    assert text_of(chunks) == PLAN


@pytest.mark.parametrize("settings", [{"api_version": "2024-10-21"}, {}], ids=["dated", "undated"])
def test_azure_takes_an_entra_token_in_place_of_a_key(settings, monkeypatch):
    """It is sent as what it is, a newer one with the next call, and a key goes before it; none of it is shown."""
    monkeypatch.delenv("OPENAI_API_VERSION", raising=False)
    monkeypatch.delenv("AZURE_OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "eyJ-first-token-0123")
    with Server(PLAN, faults=["", "", "401"]) as server:
        model = model_of(server, provider="azure", base_url=server.url.removesuffix("/v1"), api_key=None, **settings)
        assert text_of(ask(model)) == PLAN
        monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "eyJ-second-token-4567")
        ask(model)
        with pytest.raises(errors.AuthenticationFailed, match="it came from: AZURE_OPENAI_AD_TOKEN") as caught:
            ask(model)
        assert "second-token" not in str(caught.value)
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
        ask(model)
        sent = [(seen.headers.get("authorization"), seen.headers.get("api-key")) for seen in server.requests]
    assert sent[:2] == [("Bearer eyJ-first-token-0123", None), ("Bearer eyJ-second-token-4567", None)]
    assert sent[3] == ((None, KEY) if settings else (f"Bearer {KEY}", None))


def test_a_missing_key_names_its_variable(monkeypatch):
    """No request is made, and the message says how to fix it."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(errors.AuthenticationFailed, match=r"no key was found; set OPENAI_API_KEY, or .*--key"):
        ask(OpenAIModel("gpt-5-mini"))


WHERE = Where("p", "m", "https://host.example/v1", "P_KEY", (Secret(KEY),))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "150", "retry-after": "9"}, 0.15),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": format_datetime(datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC), usegmt=True)}, 30.0),
        ({"retry-after": format_datetime(datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=1), usegmt=True)}, 0.0),
    ],
)
def test_the_provider_says_how_long_to_wait(headers, seconds):
    """Seconds, milliseconds and dates are understood; a moment in the past is now, nonsense is nothing."""
    assert retry_after(headers, datetime(2026, 1, 1, tzinfo=UTC)) == seconds


def chained(*causes):
    """Return the first of some exceptions, each caused by the next."""
    for outer, inner in pairwise(causes):
        outer.__cause__ = inner
    return causes[0]


class APIConnectionError(Exception):
    """Named as the SDK's, by which it is known."""


@pytest.mark.parametrize(
    ("cause", "words", "retryable"),
    [
        (socket.gaierror(-2, "unknown"), "there is no host host.example; check the address (base_url)", True),
        (socket.gaierror(-2, "unknown"), "Behind a proxy, set HTTPS_PROXY", True),
        (
            ssl.SSLCertVerificationError(1, "bad"),
            "host.example; is a proxy's certificate not trusted",
            False,
        ),
        (
            ssl.SSLError(1, "[SSL] wrong version"),
            "host.example; does it speak only http",
            False,
        ),
        (ExceptionGroup("all", [ConnectionRefusedError()]), "no connection to host.example", True),
    ],
)
def test_a_connection_that_failed_says_why(cause, words, retryable):
    """Name, certificate or nobody there: each in its own words, and never a hint to turn checks off."""
    error = explain(chained(APIConnectionError(), OSError(), cause), WHERE)
    assert type(error) is errors.ProviderUnavailable
    assert words in str(error)
    assert error.retryable is retryable
    assert "verify=" not in str(error)


def test_what_nobody_thought_of_is_an_error_of_ours():
    """Any other exception becomes a ModelError, masked."""
    error = explain(TypeError(f"bad {KEY}"), WHERE)
    assert type(error) is errors.ModelError
    assert str(error) == "p:m: the call failed (TypeError): bad ***"


@pytest.mark.parametrize("body", [None, "", [], 3, {"error": None}, {"error": {"code": 3}}, "<script>x</script>" * 999])
def test_any_error_body_will_do(body):
    """A body of any shape gives a bounded message."""
    error = from_body(body, WHERE, 500)
    assert type(error) is errors.ProviderUnavailable
    assert len(str(error)) < 600


@pytest.mark.parametrize("fault", ["context", "context=vllm", "context=claude", "status=413"])
def test_a_request_that_is_too_long_is_told_by_its_parts(fault):
    """The largest ones first, in estimated tokens, and nothing of what they hold."""
    rows = frame("rows", "SECRET" * 2_000)
    messages = ({"role": "system", "content": "s" * 80}, {"role": "user", "content": f"Question: why?\n\n{rows}"})
    with Server(always=fault) as server, pytest.raises(errors.BadRequest) as caught:
        ask(model_of(server), Request("joiner", messages))
    assert "(about 3,031 tokens: `rows` 3,007, the system prompt 20, the question 4)" in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "error", "too_long"),
    [
        (400, {"code": "context_length_exceeded"}, True),
        (400, {"type": "exceed_context_size_error", "message": "the request exceeds what is there"}, True),
        (400, {"message": "The input token count (9) exceeds the maximum number of tokens allowed (8)."}, True),
        (422, {"message": "Please reduce the length of the messages or completion."}, True),
        (429, {"code": "rate_limit_exceeded", "type": "tokens", "message": "Request too large for m on TPM"}, True),
        (None, {"code": 400, "message": "This endpoint's maximum context length is 8 tokens."}, True),
        (400, {"message": "max_tokens is too large: this model supports at most 16384 completion tokens"}, False),
        (400, {"message": "temperature must be below 2", "param": "temperature"}, False),
        (429, {"message": "Too many tokens per minute; the context window is fine"}, False),
        (500, {"message": "context length"}, False),
    ],
)
def test_too_long_is_told_by_code_type_or_words(status, error, too_long):
    """Providers say it in their own ways; another fault of a number is not taken for it."""
    found = from_body({"error": error}, WHERE, status)
    assert ("too long for the model" in str(found)) == too_long
    assert not too_long or (type(found), found.retryable) == (errors.BadRequest, False)


@pytest.mark.parametrize("stream", [True, False])
def test_the_last_chunk_says_which_model_answered(stream):
    """As the reply names it, without the key if a provider repeats that."""
    with Server(PLAN, faults=["model=gpt-test-2026-11-20", "echo=model"] * stream) as server:
        model = model_of(server, stream=stream)
        assert ask(model)[-1].model == ("gpt-test-2026-11-20" if stream else "gpt-test")
        assert ask(model)[-1].model == ("m-***" if stream else "gpt-test")
