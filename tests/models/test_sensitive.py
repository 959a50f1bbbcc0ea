"""What means a key, and what is an ordinary word."""

from __future__ import annotations

import asyncio
import traceback

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import BadRequest
from compiler_nb.models.connect import connect
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.models.secret import Secret
from compiler_nb.models.sensitive import is_ordinary, means_key, to_hide
from tests.support.desk import Desk
from tests.support.server import Server

KEY = "sk-canary-0123456789abcdef"


@pytest.mark.parametrize(
    "name", ["key", "api_token", "OPENAI_API_KEY", "apiKey", "password", "auth", "secret", "token"]
)
def test_a_key_that_is_given_as_a_setting_is_refused(name):
    """It would go into the body of each request; the message names the right way, and no frame shows the key."""
    with pytest.raises(
        BadRequest, match=rf"{name}= looks like a key.*give a key by api_key=... or OPENAI_API_KEY"
    ) as told:
        connect("openai:good", **{name: KEY})
    frames = traceback.TracebackException.from_exception(told.value, capture_locals=True).stack
    assert KEY not in repr([frame.locals for frame in frames if "compiler_nb/models" in frame.filename])


def test_a_key_under_any_name_is_known_by_its_form():
    """Whatever the setting is called."""
    with pytest.raises(BadRequest, match="user= looks like a key"):
        OpenAIModel("m", base_url="http://h.test/v1", user=KEY)
    with pytest.raises(BadRequest, match="give headers by extra_headers="):
        connect("vllm:m", default_headers={"Authorization": KEY})


@pytest.mark.parametrize(
    "settings",
    [
        {"max_tokens": 9, "temperature": 0, "stop_token_ids": [2], "skip_special_tokens": True, "user": "skating-2026"},
        {"prompt_cache_key": "plans", "stop_token": "END", "metadata": {"key": "x"}, "logit_bias": {"5": 1}},
        {"api_key": KEY, "extra_headers": {"x-portkey-api-key": KEY}},
    ],
)
def test_other_settings_are_sent_as_they_are(settings):
    """What only sounds like a key is none."""
    model = connect("vllm:m", **settings)
    assert model.parameters == {
        name: value for name, value in settings.items() if not name.endswith(("_headers", "i_key"))
    }


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Authorization", True), ("X-Api-Key", True), ("x-portkey-api-key", True), ("cf-access-client-secret", True),
        ("Set-Cookie", True), ("xApiKey", True), ("X-APIKey", True), ("x_auth_token", True),
        ("x-portkey-metadata", False), ("x-keyboard", False), ("X-Author", False), ("x-monkey", False),
        ("x-tokenizer", False), ("x-secretary", False),
    ],
)  # fmt: skip
def test_a_name_means_a_key_by_a_whole_word(name, found):
    """Not by letters in the middle of one."""
    assert means_key(name) == found


@pytest.mark.parametrize(
    ("text", "ordinary"),
    [
        ("New York", True), ("weather", True), ("production", True), ("END", True), ("end-user", True),
        ("Genève", True), ("zq7#Xk", False), ("sk-session", False), ("aaaaaaaaaaaa", False),
        ("QwErTy", False), ("abc123", False),
        ("my-secret-key", False), (KEY, False),
    ],
)  # fmt: skip
def test_ordinary_words_are_no_keys(text, ordinary):
    """Nor are two short ones; what is longer, has digits or odd capitals may be a key."""
    assert is_ordinary(text) == ordinary
    assert bool(to_hide(Secret(text))) != ordinary


def test_of_a_header_only_what_may_be_a_key_is_hidden():
    """Its scheme and its words are not."""
    headers = {"Authorization": f"Bearer {KEY}", "x-team-key": "New York, Rome", "x-portkey-metadata": "abc123def"}
    assert [secret.reveal() for secret in to_hide(headers={name: Secret(each) for name, each in headers.items()})] == [
        KEY
    ]


@pytest.mark.parametrize("header", ["x-portkey-metadata", "x-api-key"])
def test_a_plan_keeps_the_words_that_a_header_holds(header):
    """`get("New York")` is called with New York, and the request says it too."""
    with Server('a = get("New York")\nanswer(a)\n') as server:
        model = OpenAIModel("m", base_url=server.url, api_key=KEY, extra_headers={header: "New York"})
        desk = Desk()
        run = asyncio.run(Compiler(model, desk.tools).run("How is New York?"))
        assert "How is New York?" in server.requests[0].body["messages"][-1]["content"]
    assert (run.answer, desk.asked("get")) == ("New York", ["New York"])
