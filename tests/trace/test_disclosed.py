"""What left this machine, as a user asks for it after a run."""

from __future__ import annotations

import pytest

from compiler_nb import Compiler, History, ScriptedModel, connect, tool
from compiler_nb.notebook.live.details import details
from compiler_nb.toolbox.wikipedia import make_wikipedia
from compiler_nb.trace import ModelCall, disclosed
from tests.support.server import Server
from tests.support.wire import Wire, model_on, role_of

PLAN = 'a = get("x")\nb = llm("Say it.", a)\njoin(b)\n'
SAYS = {"planner": PLAN, "worker": "said", "joiner": "It was said."}


@tool
async def get(x: str) -> str:
    """Return a page."""
    return x * 1_000


def ask(model, **settings):
    """Return the run of a question to a model."""
    run = Compiler(model, [get], **settings).run_sync("What is said?")
    assert (run.status, run.error) == ("done", "")
    return run


def elsewhere():
    """Return a model whose server is somewhere else."""
    return model_on(Wire(lambda body: SAYS[role_of(body)]))


def test_a_user_sees_what_left_the_machine_call_by_call():
    """Which call, to whom and where, and how much of what: names and sizes, never the contents."""
    run = ask(elsewhere())
    told = run.disclosed()
    assert [(each.call, each.role, each.task) for each in told] == [
        (1, "planner", ""), (2, "worker", "b"), (3, "joiner", ""),
    ]  # fmt: skip
    to = ("openai:gpt-test", "http://provider.test/v1", True)
    assert {(each.to, each.address, each.left) for each in told} == {to}
    sent = [sum(len(message["content"]) for message in call.messages) for call in run.progress.calls.values()]
    assert [each.characters for each in told] == [sum(each.parts.values()) for each in told] == sent
    assert told.characters == sum(sent)
    assert 1_000 < told[1].parts["`input`"] < 1_100
    assert list(told[0].parts) == ["the system prompt (rules, tools, examples)", "the question"]
    lines = repr(told).splitlines()
    assert lines[0] == f"{sum(sent):,} characters left this machine, to provider.test"
    assert lines[2].startswith(f"2. worker of b to openai:gpt-test at provider.test: {sent[1]:,} characters (about ")
    assert "left this machine: `input` 1,0" in lines[2]
    assert "xxx" not in repr(told)


def test_a_stored_run_says_the_same(tmp_path):
    """Also one that another process loads, without the model."""
    history = History(tmp_path / "runs.db")
    run = ask(elsewhere(), history=history)
    assert repr(history.load(run.id).disclosed()) == repr(run.disclosed())


def test_what_stays_here_is_told_apart():
    """A script, and a server on this machine; a model that says nothing of its address may be anywhere."""
    script = ScriptedModel({"planner": PLAN, "worker": "said", "joiner": "ok"})
    assert {each.left for each in ask(script).disclosed()} == {False}
    said = repr(ask(ScriptedModel(dict(SAYS))).disclosed())
    assert said.startswith("no prompt left this machine\n1. planner to scripted: ")
    with Server(lambda body: SAYS[role_of(body)]) as server:
        told = ask(connect("vllm:m", base_url=server.url)).disclosed()
    assert (told.characters, {each.left for each in told}) == (0, {False})


@pytest.mark.parametrize(
    ("provider", "address", "left"),
    [
        ("openai", "https://api.openai.com/v1", True),
        ("openai", "http://localhost:1/v1", False),
        ("vllm", "http://[::1]:8000/v1", False),
        ("vllm", "http://10.0.0.7:8000/v1", True),
        ("openai", "", True),  # stored before addresses were
        ("vllm", "", None),
        ("hand", "", False),
        ("mine", "", None),
    ],
)
def test_whether_it_left_is_told_by_the_address(provider, address, left):
    """And by the provider if there is none."""
    assert disclosed(ModelCall(1, "planner", "", provider, "m", 0.0, address=address)).left is left


def test_calls_that_failed_say_so():
    """Whether anything was sent before is not known."""
    with Server(always="401") as server:
        run = Compiler(connect("openai:m", base_url=server.url, api_key="sk-12345678"), [get]).run_sync("?")
    [told] = run.disclosed()
    assert told.error
    assert str(told).endswith("; the call failed")


def test_tools_that_ask_a_provider_are_counted():
    """What they send is theirs."""
    script = ScriptedModel({"planner": 'w = wikipedia("Oslo")\nv = wikipedia("Rome")\nanswer(1)\n'})
    wiki = make_wikipedia("http://127.0.0.1:9/w/api.php", timeout=1)
    told = Compiler(script, [wiki]).run_sync("?").disclosed()
    assert told.tools == {"wikipedia": 2}
    assert repr(told).endswith("what tools send is theirs, and not known: wikipedia, 2 calls")


def test_the_details_of_a_task_say_what_its_prompt_disclosed():
    """Next to the prompt itself."""
    shown = details(ask(elsewhere()), "b")
    assert "worker of b to openai:gpt-test at provider.test: " in shown
    assert "left this machine: `input` 1,0" in shown
