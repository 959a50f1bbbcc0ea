"""A reply is held to a grammar if the server takes one, in its own words; if it refuses, it is asked without."""

from __future__ import annotations

import asyncio
import itertools
import json
import time

import pytest

from compiler_nb import Compiler, connect, tool
from compiler_nb.errors import BadRequest
from compiler_nb.events import ModelEnded, ModelStarted, Warned
from compiler_nb.models import grammars
from compiler_nb.models.base import Chunk, ReplyGrammar, Request
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.trace import Progress
from tests.support.server import Server

KEY = "sk-canary-0123456789/abcdef"
QUESTION = ({"role": "user", "content": "Which?"},)
PLANS = {
    "python": 't1 = weather("Oslo")\njoin(t1)\n',
    "numbered": '1. weather("Oslo")\n2. join($1)<END_OF_PLAN>\n',
    "json": '{"tasks": [\n  {"id": "t1", "tool": "weather", "args": {"city": "Oslo"}}\n]}\n',
}
KINDS = {
    "llama.cpp": {"owner": "llamacpp"},
    "vllm": {"owner": "vllm", "version": "0.32.0"},
    "old vllm": {"owner": "vllm", "version": "0.10.2"},
    "ollama": {"owner": "library"},
}
"""What servers say of themselves."""


@tool
def weather(city: str) -> str:
    """Return the weather."""
    return f"sunny in {city}"


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch):
    """Ports are used again, by servers of another kind."""
    monkeypatch.setattr(grammars, "_FOUND", {})
    monkeypatch.setattr(grammars, "_QUIET", {})


def reply_to(dialect):
    """Return what replies: a plan to the planner, and to the joiner an answer."""
    return lambda body: PLANS[dialect] if "weather(" in str(body) and "joiner" not in str(body) else "It is sunny."


def ask(server, dialect="python", *, provider="openai", **settings):
    """Return the run of a question, whose model is behind a server."""
    model = connect(f"{provider}:gpt-test", base_url=server.url, api_key=KEY, grace=0.02, **settings)
    return asyncio.run(Compiler(model, [weather], dialect=dialect).run("What is the weather in Oslo?"))


def sent(server, place=0):
    """Return the fields by which a request held its reply to something."""
    names = ("grammar", "structured_outputs", "guided_grammar", "response_format", "text")
    return {name: value for name, value in server.requests[place].body.items() if name in names}


def told(run):
    """Return what the run's calls were held to, by role, and the notices."""
    calls = Progress(run.events).calls.values()
    held = {call.role: call.grammar for call in calls}
    return held, [event.message for event in run.events if isinstance(event, Warned)]


@pytest.mark.slow
@pytest.mark.parametrize("dialect", PLANS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_is_written_under_the_grammar_of_the_tools_where_a_server_takes_one(kind, dialect):
    """Each kind of server by the field of its documentation, found out once; trace and call say so."""
    with Server(reply_to(dialect), **KINDS[kind]) as server:
        run, again = ask(server, dialect), ask(server, dialect)
        looks, planner, joiner = list(server.looks), sent(server), sent(server, 1)
    assert (run.status, run.answer, again.status) == ("done", "It is sunny.", "done")
    held, notices = told(run)
    assert notices == []
    assert looks == ["/v1/models", *(["/version"] if "vllm" in kind else [])]
    if kind == "ollama":
        assert joiner == {}  # its answer is no JSON
        if dialect != "json":
            assert (planner, held) == ({}, {"planner": "", "joiner": ""})
            return
        schema = planner["response_format"]["json_schema"]
        assert (planner["response_format"]["type"], schema["name"], "strict" in schema) == (
            "json_schema", "reply", False,
        )  # fmt: skip
        text, other = json.dumps(schema["schema"]), ""
    else:
        read = {
            "llama.cpp": lambda fields: fields.pop("grammar"),
            "vllm": lambda fields: fields.pop("structured_outputs")["grammar"],
            "old vllm": lambda fields: fields.pop("guided_grammar"),
        }[kind]
        text, other = read(planner), read(joiner)
        assert (planner, joiner) == ({}, {})
        assert text.startswith("root ::=")
        assert other.startswith('root ::= "Replan: "')
    assert "weather" in text
    assert held == {"planner": "3 tools", "joiner": "a decision" if other else ""}
    ended = [event.grammar for event in run.events if isinstance(event, ModelEnded)]
    assert ended == list(held.values())


@pytest.mark.parametrize("provider", ["openai", "azure", "mistral"])
def test_a_strict_schema_is_sent_where_no_grammar_is_taken(provider):
    """Asked for by `on`, for plans in the dialect json; elsewhere a server is not asked what it is."""
    with Server(reply_to("json")) as server:
        run = ask(server, "json", provider=provider, grammar="on")
        planner, joiner = sent(server), sent(server, 1)
        assert server.looks == (["/v1/models"] if provider == "openai" else [])
    form = planner["response_format"]
    assert (form["type"], form["json_schema"]["strict"], joiner) == ("json_schema", True, {})
    assert form["json_schema"]["schema"]["required"] == ["tasks"]
    assert told(run) == ({"planner": "3 tools", "joiner": ""}, [])


def test_the_responses_api_is_sent_the_schema_as_its_text_format():
    """Its fields stand one level higher there."""
    with Server(reply_to("json")) as server:
        run = ask(server, "json", api="responses", grammar="on")
        format_ = sent(server)["text"]["format"]
    assert (format_["type"], format_["name"], format_["strict"], run.status) == ("json_schema", "reply", True, "done")
    assert "response_format" not in server.requests[0].body


@pytest.mark.parametrize("settings", [{}, {"grammar": "off"}, {"extra_body": {"grammar": "root ::= 'x'"}}])
def test_nothing_is_sent_to_a_server_of_which_nothing_is_known(settings):
    """Nor if it is off, or if the user holds the replies to something else."""
    with Server(reply_to("python"), owner="somebody" if not settings else "llamacpp") as server:
        run = ask(server, **settings)
        assert sent(server) == settings.get("extra_body", {})
        assert server.looks == ([] if settings else ["/v1/models"])
    assert told(run) == ({"planner": "", "joiner": ""}, [])


REFUSALS = [
    ("openai", {"owner": "llamacpp"}, "llama.cpp", "python", {}),
    ("openai", {"owner": "vllm"}, "vllm", "numbered", {}),
    ("ollama", {}, "ollama", "json", {}),
    ("azure", {}, "azure", "json", {"grammar": "on"}),
    ("openai", {}, "fastapi", "json", {"grammar": "on"}),
    ("openai", {}, "responses", "json", {"grammar": "on", "api": "responses"}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("provider", "says", "words", "dialect", "settings"), REFUSALS)
def test_a_server_that_refuses_is_asked_at_once_without_and_the_user_is_told(provider, says, words, dialect, settings):
    """No try has failed; the same is not sent again, and not told again."""
    with Server(reply_to(dialect), always=f"no-grammar={words}", **says) as server:
        model = connect(f"{provider}:gpt-test", base_url=server.url, api_key=KEY, grace=0.02, **settings)
        compiler = Compiler(model, [weather], dialect=dialect)
        run, again = (compiler.run_sync("What is the weather in Oslo?") for _ in range(2))
        planners = [
            bool(sent(server, place)) for place, seen in enumerate(server.requests) if "joiner" not in str(seen)
        ]
    assert (run.status, again.status) == ("done", "done")
    assert planners == [True, False, False]
    held, notices = told(run)
    assert set(held.values()) == {""}
    assert notices[0].startswith(f"call 1: {provider}:gpt-test: the reply is written without the grammar of 3 tools: ")
    assert "the server refused it (" in notices[0]
    assert notices[0].endswith("); grammar='off' does not try it")
    assert told(again)[1] == []
    assert len([event for event in run.events if isinstance(event, ModelStarted)]) == 2
    assert "trying again" not in str(notices)


@pytest.mark.parametrize(("words", "said"), [("bare", "Bad request"), ("proxy", "413 Request Entity Too Large")])
def test_a_refusal_that_names_nothing_is_asked_again_without_the_grammar(words, said):
    """A bare 400, or a proxy that finds the request too large: it is remembered if the request is then taken."""
    with Server(reply_to("python"), always=f"no-grammar={words}", owner="llamacpp") as server:
        model = connect("openai:gpt-test", base_url=server.url, api_key=KEY, grace=0.02)
        runs = [Compiler(model, [weather]).run_sync("What is the weather in Oslo?") for _ in range(2)]
        held = [bool(sent(server, place)) for place in range(len(server.requests))]
    assert [run.answer for run in runs] == ["It is sunny.", "It is sunny."]
    assert held == [True, False, True, False, False, False]
    why = f"the server refused the request with it ({said}), and took it without; grammar='off' does not try it"
    assert told(runs[0])[1] == [
        f"call {call}: openai:gpt-test: the reply is written without the grammar of {what}: {why}"
        for call, what in ((1, "3 tools"), (2, "a decision"))
    ]
    assert told(runs[1])[1] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "words", "asked"),
    [
        ("no-grammar=long", "too long for the model", 1),
        ("no-grammar=key", "API key not valid", 1),
        ("no-grammar=parameter", "temperature", 1),
        ("model-404", "no such model", 1),
        ("401", "the key was refused", 1),
        ("filter-400", "filtered by the provider", 1),
        ("unsupported=temperature", "temperature", 1),
        ("status=400", "The server had an error", 2),
    ],
)
def test_a_refusal_for_another_reason_is_not_asked_again_and_teaches_nothing(fault, words, asked):
    """One that names nothing is asked once more; if it is refused again, the grammar was not the reason."""
    with Server(reply_to("python"), faults=[fault] * asked, owner="llamacpp") as server:
        model = connect("openai:gpt-test", base_url=server.url, api_key=KEY, grace=0.02)
        run, again = (Compiler(model, [weather]).run_sync("What is the weather?") for _ in range(2))
        held = [bool(sent(server, place)) for place in range(asked + 1)]
    assert words in run.error
    assert (again.answer, told(again)) == ("It is sunny.", ({"planner": "3 tools", "joiner": "a decision"}, []))
    assert held == [True, False, True] if asked > 1 else [True, True]


def test_another_grammar_of_as_many_tools_is_tried():
    """What is refused is this one, not its description; a server that says it knows none is asked no more."""

    def asked(words):
        with Server("ok", faults=[f"no-grammar={words}"], owner="llamacpp") as server:
            model = OpenAIModel("gpt-test", base_url=server.url, api_key=KEY, grace=0.02)
            for text in ("a", "b", "a", "b"):
                grammar = ReplyGrammar("3 tools", lambda form, text=text: f'root ::= "{text}"')
                asyncio.run(_read(model, Request("planner", QUESTION, grammar=grammar)))
            return [fields.get("grammar", "")[-2:-1] for fields in map(sent, [server] * 5, range(5))]

    assert asked("llama.cpp") == ["a", "", "b", "", "b"]
    assert asked("fastapi") == ["a", "", "", "", ""]


async def _read(model, request):
    return [chunk async for chunk in model.stream(request)]


def test_who_asks_for_a_grammar_in_a_dialect_without_one_is_told_which_has_one():
    """Once: a JSON schema says only plans in JSON."""
    with Server(reply_to("python")) as server:
        run = ask(server, grammar="on")
        assert sent(server) == {}
    why = "the server takes a JSON schema only: write plans in the dialect json; grammar='off' does not try it"
    said = f"call 1: openai:gpt-test: the reply is written without the grammar of 3 tools: {why}"
    assert told(run)[1] == [said]


@pytest.mark.slow
def test_a_server_that_does_not_say_what_it_is_does_not_hold_up_the_question(monkeypatch):
    """Whoever cannot be reached is asked again the next time; the error is that of the request that matters."""
    monkeypatch.setattr(grammars, "PATIENCE", 0.2)
    run = Compiler(connect("openai:gpt-test", base_url="http://127.0.0.1:9/v1", api_key=KEY), [weather]).run_sync("Q?")
    assert "no connection to 127.0.0.1:9" in run.error
    assert grammars._FOUND == {}


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["openai", "vllm"])
def test_a_server_that_hangs_when_it_is_asked_what_it_is_holds_up_one_call_a_minute(monkeypatch, provider):
    """The others do not wait for it; after a while it is looked at again."""
    monkeypatch.setattr(grammars, "PATIENCE", 0.2)
    with Server(reply_to("python"), mute=True) as server:
        for _ in range(2):
            assert ask(server, provider=provider).answer == "It is sunny."
        assert len(server.looks) == 1
        [until] = grammars._QUIET.values()
        grammars._QUIET.clear()
        ask(server, provider=provider)
        assert len(server.looks) == 2
    assert 50 < until - time.monotonic() <= grammars.SILENT
    assert grammars._FOUND == {}


def test_a_wrong_mode_is_refused_with_the_way_for_a_grammar_of_ones_own():
    """Before anything is sent."""
    with pytest.raises(BadRequest, match=r"grammar must be 'auto', 'on' or 'off', not 'root ::= .*extra_body=\{'gram"):
        OpenAIModel("m", grammar='root ::= "x"')  # type: ignore[arg-type]


def test_a_grammar_is_written_once_off_the_loop():
    """Other tasks go on meanwhile, and a repair takes what was written."""
    counted = itertools.count()
    grammar = ReplyGrammar("2 tools", lambda form: f"root ::= {next(counted)} {form}")
    with Server("ok", owner="llamacpp") as server:
        model = OpenAIModel("gpt-test", base_url=server.url, api_key=KEY, grace=0.02)

        async def read():
            return [chunk async for chunk in model.stream(Request("planner", QUESTION, grammar=grammar))]

        chunks = [asyncio.run(read()) for _ in range(2)]
        assert [sent(server, place) for place in (0, 1)] == [{"grammar": "root ::= 0 gbnf"}] * 2
    assert chunks[0][0] == Chunk("ok", grammar="2 tools")
