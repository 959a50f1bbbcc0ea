"""Models that know no system role are told the rules with the first question, whatever server they are behind."""

from __future__ import annotations

import asyncio

import pytest

from compiler_nb import Compiler, connect, tool
from compiler_nb.errors import BadRequest, ModelError
from compiler_nb.events import ModelStarted, Warned
from compiler_nb.models import roles
from compiler_nb.models.base import Request
from compiler_nb.models.roles import fold
from compiler_nb.notebook.live.details import exchange_details
from compiler_nb.trace import Exchange, Progress
from tests.support.server import Server

KEY = "sk-canary-0123456789/abcdef"
KINDS = ("vllm", "new vllm", "mistral", "transformers", "tgi", "reasoning", "gemini", "nameless")
RULES, HELLO = {"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello"}


@tool
def weather(city: str) -> str:
    """Return the weather."""
    return f"sunny in {city}"


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch):
    """Ports are used again, by other servers."""
    monkeypatch.setattr(roles, "_WITHOUT", set())


def reply(body):
    """Plan, or answer."""
    return "t1 = weather('Oslo')\njoin(t1)\n" if "joiner" not in str(body) else "It is sunny."


def model_of(server, name="gpt-test", **settings):
    """Return a model behind a server."""
    return connect(f"openai:{name}", base_url=server.url, api_key=KEY, grace=0.02, **settings)


def sent(server):
    """Return the roles of each request."""
    return [[message["role"] for message in seen.body["messages"]] for seen in server.requests]


def notices(run):
    """Return what a run tells the user."""
    return [event.message for event in run.events if isinstance(event, Warned)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_knows_no_system_role_is_asked_at_once_without_and_the_user_is_told_once(kind):
    """No try has failed; the next cell, with a model object of its own, does not send one again."""
    with Server(reply, always=f"no-system={kind}") as server:
        run, again = (Compiler(model_of(server), [weather]).run_sync("What is the weather?") for _ in range(2))
        asked = sent(server)
        plan = server.requests[1].body["messages"][0]["content"]
    assert (run.status, run.answer, again.answer) == ("done", "It is sunny.", "It is sunny.")
    assert asked == [["system", "user"], ["user"], ["user"], ["user"], ["user"]]
    assert plan.index("weather(") < plan.index("What is the weather?")
    [told] = notices(run)
    assert told.startswith("call 1: openai:gpt-test: the model knows no system role (")
    assert told.endswith("): it is told the rules with the first question")
    assert notices(again) == []
    assert len([event for event in run.events if isinstance(event, ModelStarted)]) == 2


def test_the_details_show_where_the_rules_went():
    """As the template of a local model is shown."""
    with Server("ok", always="no-system=vllm") as server:
        run = Compiler(model_of(server), []).run_sync("Hello?")
    call = next(iter(Progress(run.events).calls.values()))
    assert call.template == "[user]\n{system}\n\n{user}"
    assert "{system}" in exchange_details(Exchange(call, "", ""))


def test_another_model_of_that_server_and_a_model_that_takes_it_are_sent_a_system_message():
    """It hangs on the model's template."""
    with Server(reply, faults=["no-system=vllm"]) as server:
        for name in ("gemma", "qwen"):
            Compiler(model_of(server, name), [weather]).run_sync("What is the weather?")
        assert sent(server)[1:] == [["user"], ["user"], ["system", "user"], ["system", "user"]]


@pytest.mark.parametrize("fault", ["context", "unsupported", "filter-400"])
def test_another_refusal_is_no_reason_to_leave_the_role_out(fault):
    """It is the error, as ever."""
    with Server("ok", always=fault) as server:
        with pytest.raises(ModelError, match="gpt-test"):
            asyncio.run(_read(model_of(server), (RULES, HELLO)))
        assert sent(server) == [["system", "user"]]
    assert not roles._WITHOUT


def test_a_model_that_refuses_the_folded_messages_too_is_not_asked_for_ever():
    """What it says then is the error; a request that has no system message is sent once."""
    with Server("ok", always="no-system=stubborn") as server:
        for messages in ((RULES, HELLO), (HELLO,)):
            with pytest.raises(BadRequest, match="roles must alternate"):
                asyncio.run(_read(model_of(server), messages))
        assert sent(server) == [["system", "user"], ["user"], ["user"]]


async def _read(model, messages):
    return [chunk async for chunk in model.stream(Request("planner", messages))]


def test_the_system_text_stands_at_the_beginning_of_the_first_question():
    """Turns that follow stay as they are; without a question it is one."""
    turns = [{"role": role, "content": role} for role in ("system", "user", "assistant", "user")]
    assert [message["content"] for message in fold(turns)] == ["system\n\nuser", "assistant", "user"]
    assert fold(turns[1:]) == turns[1:]
    assert fold([RULES]) == [{"role": "user", "content": "Be short."}]
    assert turns[1] == {"role": "user", "content": "user"}
