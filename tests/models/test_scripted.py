import asyncio

import pytest

from compiler_nb.errors import ModelError, RateLimited
from compiler_nb.models.base import Chunk, Model, Request
from compiler_nb.models.scripted import ScriptedModel, split_tokens
from compiler_nb.outcome import Usage
from tests.support.clock import run_virtually

COVERS = ("base.py",)

PLAN = 'ny = weather("New York")\n\n# both\nla = weather("Los Ángeles")\njoin()\n'


def ask(model, role="planner", content="Which?"):
    """Return the chunks of one reply."""

    async def read():
        return [chunk async for chunk in model.stream(Request(role, ({"role": "user", "content": content},)))]

    return asyncio.run(read())


def said(model, role="planner"):
    """Return the text of one reply."""
    return "".join(chunk.text for chunk in ask(model, role))


def test_it_is_a_model():
    """A scripted model fits wherever a model does."""
    assert isinstance(ScriptedModel([]), Model)


def test_a_list_is_said_in_order_and_goes_on_across_runs():
    """Each call takes the next reply, whatever event loop it is on."""
    model = ScriptedModel(["one", "two"])
    assert [said(model), said(model, "joiner")] == ["one", "two"]


def test_a_used_up_list_names_the_role_and_what_was_given():
    """A reply that is missing says whose and how many there were."""
    model = ScriptedModel({"joiner": ["one"]})
    said(model, "joiner")
    with pytest.raises(ModelError, match=r"only reply for the joiner is used up; the joiner asks for call 2"):
        ask(model, "joiner")


def test_a_missing_reply_names_the_question_and_not_one_of_the_examples():
    """The planner's prompt shows questions of examples, which stand before the user's own."""
    model = ScriptedModel({"planner": ["answer(1)"]})
    asked = [
        {"role": "system", "content": "Example:\nQuestion: Which dragon is heavier?"},
        {"role": "user", "content": "Question: How high is it?"},
    ]
    said(model)
    with pytest.raises(ModelError, match=r"asks for call 2: Question: How high is it\?; make the model with repeat"):
        asyncio.run(anext(model.stream(Request("planner", tuple(asked)))))


def test_a_script_that_repeats_is_run_again_and_again():
    """Each role's list begins anew when it is used up."""
    model = ScriptedModel({"planner": ["p1", "p2"], "joiner": ["j"]}, repeat=True)
    asked = ["planner", "joiner", "planner", "planner", "joiner"]
    assert [said(model, role) for role in asked] == ["p1", "j", "p2", "p1", "j"]
    assert [said(ScriptedModel("p", repeat=True))] == ["p"]


def test_a_script_may_begin_anew():
    """As if it had just been made."""
    model = ScriptedModel(["one", "two"])
    said(model)
    model.reset()
    assert model.calls == []
    assert said(model) == "one"


def test_an_error_of_a_script_names_the_request_and_the_remedy():
    """The role, which call it is, and its question."""
    model = ScriptedModel(["one"])
    said(model)
    with pytest.raises(ModelError) as raised:
        ask(model, content="Rules.\n\nQuestion: Which is best?\n")
    assert "the planner asks for call 2: Question: Which is best?; make the model with repeat=True" in str(raised.value)
    assert "call its reset(), or add a reply" in str(raised.value)
    with pytest.raises(
        ModelError, match=r"no reply for the joiner; .* planner only .*; the joiner asks for call 1: Which\?"
    ):
        ask(ScriptedModel({"planner": "p"}), "joiner")
    with pytest.raises(ModelError, match="used up"):
        ask(ScriptedModel([], repeat=True))


def test_a_dict_gives_replies_by_role():
    """A text is said every time, a list in order, a function sees the request."""
    model = ScriptedModel({"planner": "p", "joiner": ["j1", "j2"], "worker": lambda request: request.role.upper()})
    assert [said(model, role) for role in ("planner", "planner", "joiner", "joiner", "worker")] == [
        "p", "p", "j1", "j2", "WORKER",
    ]  # fmt: skip


@pytest.mark.parametrize("role", ["repair", "replan"])
def test_repair_and_replan_fall_back_to_the_planner(role):
    """Another plan comes from the planner's list, if the role has none of its own."""
    assert said(ScriptedModel({"planner": ["plan"]}), role) == "plan"
    assert said(ScriptedModel({"planner": ["plan"], role: "own"}), role) == "own"


def test_an_absent_role_is_named():
    """A role without a script says which roles have one."""
    with pytest.raises(ModelError, match=r"no reply for the worker; it has replies for: planner, joiner"):
        ask(ScriptedModel({"planner": "p", "joiner": "j"}), "worker")


def test_a_function_gets_the_request_and_calls_keep_it():
    """What was asked can be looked at afterwards."""
    model = ScriptedModel(lambda request: request.messages[0]["content"])
    assert said(model) == "Which?"
    assert [call.role for call in model.calls] == ["planner"]


def test_an_exception_is_raised_before_any_text():
    """A script can fail as a provider does."""
    model = ScriptedModel([RateLimited("slow down", retry_after=1.0), "then"])
    with pytest.raises(RateLimited):
        ask(model)
    assert said(model) == "then"


@pytest.mark.parametrize("reply", [None, 3, ["nested"]])
def test_a_reply_that_is_no_text_is_named(reply):
    """A script's mistake is a clear error."""
    with pytest.raises(ModelError, match=f"for the planner is a {type(reply).__name__}; give a str"):
        ask(ScriptedModel([reply]))


def test_it_streams_small_pieces_and_ends_with_stop_and_usage():
    """A reply comes in several token-like pieces, then a finish and an estimate."""
    *pieces, last = ask(ScriptedModel([PLAN]), content="x" * 9)
    assert "".join(chunk.text for chunk in pieces) == PLAN
    assert len(pieces) > len(PLAN) / 6
    assert last == Chunk("", "stop", Usage(1, 3, -(-len(PLAN) // 4)))


@pytest.mark.parametrize("text", [PLAN, "", " ", "\n\n", "a  b\t\tc\r\n", "日本語のテキスト", "$1 * ${2}", "é" * 9])
def test_pieces_are_the_text(text):
    """No character is lost or added, and no piece is long."""
    pieces = split_tokens(text)
    assert "".join(pieces) == text
    assert all(len(piece) <= 6 for piece in pieces)


def test_the_pace_does_not_drift():
    """The whole reply takes ttft and its pieces' time, also if each piece keeps its reader busy for a while."""

    async def read():
        model = ScriptedModel(["abcd" * 100], ttft=0.01, tokens_per_second=2000)
        async for _ in model.stream(Request("planner", ())):
            await asyncio.sleep(0.0003)
        return asyncio.get_running_loop().time()

    assert run_virtually(read()) == pytest.approx(0.01 + 99 / 2000, abs=0.001)


@pytest.mark.parametrize("pace", [0, -1.0])
def test_a_pace_that_is_none_is_refused(pace):
    """A model that never speaks is a mistake."""
    with pytest.raises(ValueError, match="above 0, or None"):
        ScriptedModel([], tokens_per_second=pace)
