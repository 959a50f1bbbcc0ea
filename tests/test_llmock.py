"""A mock of providers that nobody here wrote, and its verdict on this client."""

from __future__ import annotations

import json
import re

import pytest

import make
from compiler_nb import Compiler, Failure, connect, tool
from tests.support import llmock
from tests.support.llmock import FOLDER, VERSION, running_llmock, says
from tests.support.scale import times

pytestmark = pytest.mark.slow
PLAN = 'page = get("Oslo")\nnote = llm("Say it.", page)\njoin(note)\n'
KEY = "sk-canary-0123456789/abcdef"


@tool
async def get(x: str) -> str:
    """Return a page."""
    return f"About {x}."


@pytest.fixture(scope="module")
def running():
    """Start one that most tests share."""
    with running_llmock() as mock:
        yield mock


@pytest.fixture
def mock(running):
    """Give it without anything of an earlier test."""
    running.reset()
    return running


def ask(mock, provider, path, **settings):
    """Return the run of a question whose roles are three models, so that each can be told what to say."""
    roles = {
        role: connect(f"{provider}:{role}", base_url=f"{mock.url}{path}", api_key=KEY, **settings)
        for role in ("planner", "worker", "joiner")
    }
    mock.script(*says("planner", PLAN), *says("worker", "It was said."), *says("joiner", "It is said of Oslo."))
    return Compiler(None, [get], **roles).run_sync("What is said of Oslo?")


def fails(status, model, **more):
    """Return an HTTP error to a model's next request."""
    return {"type": "fail", "status": status, "match": {"model": model}, **more}


def breaks(kind, model):
    """Return a fault in a model's next stream, after two pieces."""
    return {"type": "stream_fault", "kind": kind, "after_chunks": 2, "match": {"model": model}}


def test_its_versions_are_those_that_are_installed():
    """make.py, the tests and the list of packages name one version."""
    lines = (make.ROOT / "tests" / "support" / "llmock.txt").read_text("utf-8").splitlines()
    assert f"llmock=={VERSION}" in lines
    assert all("==" in line for line in lines)
    assert make.LLMOCK == VERSION
    assert FOLDER.parts[-2:] == ("llmock", VERSION)


@pytest.mark.parametrize(
    ("provider", "path", "settings"),
    [
        ("openai", "/v1", {}),
        ("openai", "/v1", {"stream": False}),
        ("openai", "/v1", {"api": "responses"}),
        ("openai", "/v1", {"api": "responses", "stream": False}),
        ("mistral", "/mistral/v1", {}),
        ("groq", "/groq/openai/v1", {}),
    ],
    ids=["chat", "chat at once", "responses", "responses at once", "mistral", "groq"],
)
def test_a_question_is_answered(mock, provider, path, settings):
    """By each API, streamed and in one piece, with the usage that the server reports."""
    run = ask(mock, provider, path, **settings)
    assert (run.error, run.answer) == ("", "It is said of Oslo.")
    assert (run.usage.calls, run.usage.reported, mock.verdict()["findings"]) == (3, True, [])


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_it_finds_no_fault_in_how_errors_are_taken(mock, api):
    """What passes is tried again after the time that was asked for; a stream that breaks is asked for once more."""
    mock.script(
        fails(503, "planner", retry_after=0.6), fails(429, "planner", retry_after=0.6), fails(500, "planner"),
        fails(429, "worker", retry_after=0.4), breaks("truncate", "worker"),
        fails(529, "joiner"), breaks("disconnect", "joiner"),
    )  # fmt: skip
    run = ask(mock, "openai", "/v1", api=api)
    told = mock.verdict()
    assert (run.error, run.answer) == ("", "It is said of Oslo.")
    assert told["faults_injected"] == 7
    assert told["findings"] == [], json.dumps(told, indent=2)


def test_a_chunk_that_cannot_be_read_is_asked_for_again(mock):
    """How far the mock has written before it hears of that is chance, and so is whether it warns."""
    mock.script(breaks("malformed", "joiner"))
    run = ask(mock, "openai", "/v1")
    told = mock.verdict()
    assert (run.error, run.answer, told["attempts"], told["errors"]) == ("", "It is said of Oslo.", 4, 0)


@pytest.mark.parametrize(
    ("status", "words"), [(401, "the key was refused"), (400, "the request was refused"), (404, "no such model")]
)
def test_what_cannot_pass_is_not_tried_again(mock, status, words):
    """A refused key, a wrong request and a model that there is none of."""
    mock.script(fails(status, "planner"))
    run = ask(mock, "openai", "/v1")
    told = mock.verdict()
    assert (run.status, words in run.error) == ("failed", True)
    assert (told["attempts"], told["findings"]) == (1, [])


def test_without_it_its_tests_say_so(monkeypatch):
    """As on a machine that reaches no package index."""
    monkeypatch.setattr(llmock, "FOLDER", FOLDER / "nowhere")
    with pytest.raises(pytest.skip.Exception, match=r"llmock .* is not installed .* make.py test does that, if it can"):
        running_llmock().__enter__()


@pytest.mark.promise
def test_a_provider_that_fails_at_random_is_asked_as_it_wants(figure):
    """Many calls at once: each gets its text or an error with a name, and the mock finds nothing to complain of."""
    count = times(40)
    chaos = ("503=0.1", "500=0.1", "529=0.05", "429=0.05")
    options = [part for rate in chaos for part in ("--error-rate", rate)]
    with running_llmock(*options, "--stream-fault", "disconnect=0.05") as mock:
        worker = connect("openai:worker", base_url=f"{mock.url}/v1", api_key=KEY)
        mock.script(*says("worker", "It was said."))
        plan = f"notes = [llm('Say it.', n) for n in range({count})]\njoin(notes)\n"
        run = Compiler(None, worker=worker).execute_sync(plan)
        told = mock.verdict()
    ends = run.partial("notes")
    failed = [str(end) for end in ends if isinstance(end, Failure)]
    assert len(ends) == count
    assert {end for end in ends if not isinstance(end, Failure)} == {"It was said."}
    assert all(re.match("(ProviderUnavailable|StreamBroken|RateLimited): openai:worker: ", end) for end in failed)
    assert told["errors"] == 0, json.dumps(told, indent=2)
    figure(f"{count} calls, {told['faults_injected']} faults, {len(failed)} failed")
