import asyncio
import re

import openai.resources.chat.completions  # noqa: F401 - its import is no part of what is timed here
import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.events import ModelChunk, PlanProblem, TaskEnded, Warned
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.outcome import Usage
from compiler_nb.trace import Progress
from tests.support.desk import Desk
from tests.support.server import Server
from tests.support.wire import role_of

KEY = "sk-canary-0123456789/abcdef"
PLANS = {
    "python": ('a = get("x")\nb = get([a, "y"])\njoin(b)\n', 'c = get(["z", b])\njoin(c)\n'),
    "numbered": (
        '1. get("x")\n2. get(["$1", "y"])\n3. join()<END_OF_PLAN>',
        '3. get(["z", $2])\n4. join()<END_OF_PLAN>',
    ),
    "json": (
        """{"tasks": [{"id": "a", "tool": "get", "args": {"x": "x"}},
                      {"id": "b", "tool": "get", "args": {"x": ["$a", "y"]}, "deps": ["a"]}]}""",
        '{"tasks": [{"id": "c", "tool": "get", "args": {"x": ["z", "$b"]}}]}',
    ),
}


class Says:
    """A server's replies by role: a text, or a list of texts in order; the last one stays."""

    def __init__(self, **replies):
        self.replies = {role: [said] if isinstance(said, str) else list(said) for role, said in replies.items()}
        self.asked = []

    def __call__(self, body):
        role = role_of(body)
        self.asked.append(role)
        left = self.replies[role]
        return left.pop(0) if len(left) > 1 else left[0]


def model_of(server, **settings):
    """Return a real model behind the test server."""
    return OpenAIModel("gpt-test", base_url=server.url, api_key=KEY, grace=0.02, **settings)


def ask(server, desk, *, question="What?", **settings):
    """Return the run of a question, answered by what the server says."""

    async def main():
        return await Compiler(model_of(server), desk.tools, **settings).run(question)

    return asyncio.run(main())


def leaks(found):
    """Return whether the key, or a long piece of it, is anywhere in a run."""
    text = "\n".join(
        [repr(found), found.error, repr(found.events), repr(found.progress.outcomes), repr(vars(found.settings))]
    )
    return "0123456789" in text or KEY[:12] in text


@pytest.mark.parametrize("fault", ["", "json"], ids=["streaming", "whole"])
@pytest.mark.parametrize("dialect", list(PLANS))
def test_a_question_with_a_replan(dialect, fault):
    """Each dialect, streamed and in one piece: plan, join, another plan that reads the first one's result, answer."""
    first, second = PLANS[dialect]
    desk = Desk()
    says = Says(planner=first, replan=second, joiner=["Replan: z is missing", "It is x, y and z."])
    with Server(says, always=fault) as server:
        found = ask(server, desk, dialect=dialect)
    assert (found.error, found.status, found.answer) == ("", "done", "It is x, y and z.")
    assert says.asked == ["planner", "joiner", "replan", "joiner"]
    assert desk.asked("get") == ["x", ["x", "y"], ["z", ["x", "y"]]]
    assert [round_.reason for round_ in found.rounds] == ["", "z is missing"]
    assert found.usage.calls == 4
    assert found.usage.input_tokens == 40
    assert (any(isinstance(event, ModelChunk) for event in found.events), leaks(found)) == (True, False)


@pytest.mark.slow
def test_tasks_start_while_the_plan_streams():
    """The first tool is called before the plan's last word was sent."""
    desk, order = Desk(), []

    def look(event):
        if isinstance(event, ModelChunk | TaskEnded):
            order.append(type(event).__name__)

    plan = 'a = get("x")\n' + "".join(f'a{number} = get("{number}")\n' for number in range(20)) + "answer(a)\n"
    with Server(Says(planner=plan), pace=0.003) as server:
        compiler = Compiler(model_of(server), desk.tools)
        found = asyncio.run(compiler.run("What?", on_event=look))
    assert found.answer == "x"
    assert order.index("TaskEnded") < len(order) - 20 - order[::-1].index("ModelChunk")


def test_the_worker_serves_tools_that_call_a_model():
    """`llm` and `extract` ask it, with the inputs as data; its tokens belong to the tasks."""
    plan = 'text = get("Mont Blanc is 4,806 m high.")\nh = extract("height", text, type="number")\n'
    plan += 'note = llm("Say it in French.", text)\nanswer([h, note])\n'

    def says(body):
        if role_of(body) == "planner":
            return plan
        return '{"value": 4806}' if "Find: height" in body["messages"][-1]["content"] else "Haut."

    with Server(says) as server:
        found = ask(server, Desk())
    assert found.answer == [4806, "Haut."]
    used = {id_: cost.usage for id_, cost in found.costs().tasks.items()}
    assert used == {"h": Usage(1, 10, 15), "note": Usage(1, 10, 5)}
    assert "Mont Blanc" not in found.prompt("planner")
    assert "Mont Blanc" in found.prompt("worker")


# ---------------------------------------------------------------- what it costs


def sold(server, desk, plan="answer(1)\n", **replies):
    """Return the run of a question, answered by a server that resells a well-known model."""
    server.reply = Says(planner=plan, **replies)
    model = OpenAIModel("gpt-4o-mini", base_url=server.url, api_key=KEY, grace=0.02)
    return Compiler(model, desk.tools).run_sync("What?")


MINI = (0.15e-6, 0.6e-6)
"""Dollars for a token that gpt-4o-mini is sent, and that it writes."""


def test_a_question_costs_what_its_tokens_cost():
    """The server counts 10 tokens in, and one for each character out; a repair, a replan and a tool's calls count."""
    plan, again = 'a = gte("x")\njoin(a)\n', 'c = llm("Say it.", a)\njoin(c)\n'
    replies = {"repair": 'a = get("x")\njoin(a)\n', "replan": again, "worker": "Oui."}
    with Server() as server:
        found = sold(server, Desk(), plan, joiner=["Replan: say it", "Done."], **replies)
    assert (found.answer, found.usage.calls) == ("Done.", 6)
    costs = found.costs()
    assert costs.steps == {"planner": 1, "repair": 1, "joiner": 2, "replan": 1, "worker": 1}
    written = {"planner": len(plan + replies["repair"] + again), "joiner": len("Replan: say itDone."), "llm": 4}
    asked = {"planner": 3, "joiner": 2, "llm": 1}
    for role, letters in written.items():
        assert costs.roles[role].dollars == pytest.approx(10 * asked[role] * MINI[0] + letters * MINI[1])
    assert found.cost == pytest.approx(60 * MINI[0] + sum(written.values()) * MINI[1])
    assert str(costs).startswith(f"planner {costs.shares['planner']:.0%} of $0.0000".replace("%", " %"))
    assert costs.tasks["c"] == costs.roles["llm"]


@pytest.mark.parametrize(
    ("fault", "dollars", "words"),
    [
        ("answers-as=gpt-4o", 10 * 2.5e-6 + 10 * 10e-6, "20 tokens, $0.00013"),
        ("answers-as=gpt-4o-mini-2024-07-18", 10 * MINI[0] + 10 * MINI[1], "20 tokens, $0.0000075"),
        ("answers-as=nobody-knows", None, "20 tokens, no price"),
        ("no-usage", "estimated", ""),
        ('usage-is={"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 800}}',
         200 * MINI[0] + 800 * 0.075e-6 + 10 * MINI[1], "1,010 tokens, $0.000096"),
        ('usage-is={"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 520}',
         10 * MINI[0] + 510 * MINI[1], "520 tokens, $0.00031"),
    ],
)  # fmt: skip
def test_what_the_provider_says_is_what_is_paid(fault, dollars, words):
    """Another model that answered, cached tokens, reasoning that only the total counts; without numbers an estimate."""
    with Server(always=fault) as server:
        found = sold(server, Desk())
    assert found.answer == 1
    cost = found.progress.cost
    if dollars == "estimated":
        assert re.fullmatch(r"~[\d,]+ tokens, ~\$0\.000\d+", str(cost))
        assert found.cost == pytest.approx(found.usage.input_tokens * MINI[0] + found.usage.output_tokens * MINI[1])
    else:
        assert (found.cost, str(cost)) == (dollars if dollars is None else pytest.approx(dollars), words)


@pytest.mark.slow
def test_a_stream_that_breaks_off_costs_what_came():
    """Nobody counts it, so it is estimated; the repeated call is counted by the server."""
    with Server(faults=["reset=3"]) as server:
        found = sold(server, Desk(), "a = 1\n" * 40 + "answer(a)\n")
    broken = next(call for call in found.progress.calls.values() if call.error)
    assert (broken.usage.reported, broken.usage.output_tokens > 0) == (False, True)
    assert found.progress.cost.money.startswith("~$0.0")


PLAN = PLANS["python"][0]
STOPS = {
    "401": "the key was refused",
    "model-404": "no such model or address",
    "quota": "the account's quota is used up",
    "refusal": "the model declined",
    "html-200": "a proxy or a wrong address answered HTML",
    "error-echo": "the key was refused",
}


@pytest.mark.parametrize(("fault", "words"), STOPS.items())
def test_a_planner_that_cannot_be_asked_ends_the_run_by_name(fault, words):
    """The run is failed and says why, without the key."""
    with Server(Says(planner=PLAN, joiner="ok"), always=fault) as server:
        found = ask(server, Desk())
    assert found.status == "failed"
    assert found.error.startswith(f"openai:gpt-test: {words}")
    assert not leaks(found)


@pytest.mark.slow
def test_a_server_error_is_tried_again():
    """A 500 before any text costs a second try and nothing else."""
    desk = Desk()
    with Server(Says(planner=PLAN, joiner="ok"), faults=["status=500"]) as server:
        found = ask(server, desk)
    assert (found.status, found.answer) == ("done", "ok")
    assert desk.asked("get") == ["x", ["x", "y"]]


@pytest.mark.parametrize("fault", ["silent-end=8", "reset=8", "length", "content-filter", "broken-json", "error"])
def test_a_plan_that_breaks_off_is_mended(fault):
    """The planner writes it again; no task runs twice, and the answer is whole."""
    desk = Desk()
    says = Says(planner=PLAN, repair=PLAN, joiner="ok")
    with Server(says, faults=[fault]) as server:
        found = ask(server, desk)
    assert (found.status, found.answer, found.error) == ("done", "ok", "")
    assert says.asked == ["planner", "repair", "joiner"]
    assert [event.problem.kind for event in found.events if isinstance(event, PlanProblem)] == ["truncated"]
    assert found.results == {"a": "x", "b": ["x", "y"]}
    assert desk.asked("get") == ["x", ["x", "y"]]
    assert not leaks(found)


@pytest.mark.parametrize("fault", ["reset=8", "error"])
def test_a_plan_that_breaks_off_twice_ends_the_run_by_name(fault):
    """What had finished stays, and nothing ran twice."""
    desk = Desk()
    with Server(Says(planner=PLAN, repair=PLAN), always=fault) as server:
        found = ask(server, desk)
    assert found.status == "failed"
    assert found.error.startswith("openai:gpt-test: ")
    assert len(desk.asked("get")) <= 1
    assert not leaks(found)


def failing(role, fault, server):
    """Return the replies of a server that fails in one role only, whenever it is asked in that role."""

    def says(body):
        server.always = fault if role_of(body) in {role, "repair" if role == "planner" else role} else ""
        return TEXTS.get(role_of(body), TEXTS["planner"])

    return says


TEXTS = {
    "planner": 'a = get("x")\nb = get([a, "y"])\nc = llm("say it", b)\njoin(b, c)\n',
    "joiner": "It is so, and there is no more to it.",
    "worker": "said, in so many words",
}
ROLES = ["planner", "joiner", "worker"]


def ask_failing(role, fault, **settings):
    """Return the run of a question whose provider always fails in a role, and the message of what failed."""
    with Server(always="") as server:
        server.reply = failing(role, fault, server)
        found = ask(server, Desk(), **settings)
    return found, found.failures["c"].message if role == "worker" and "c" in found.failures else found.error


@pytest.mark.parametrize("role", ROLES)
def test_a_reply_that_ends_without_a_word_each_time_is_told(role):
    """Whose it is, that it was cut, how often it was tried, what is kept, and what to do."""
    found, told = ask_failing(role, "silent-end=5")
    assert found.status == ("done" if role == "worker" else "failed")
    assert "openai:gpt-test: the reply ended without a finish reason and may be cut off" in told
    assert "in front of it (tried 2 times" in told
    kept = {"planner": ", kept: a)", "joiner": ", kept: all results)", "worker": "times)"}[role]
    assert told.endswith(kept)
    assert found.results["a"] == "x"


@pytest.mark.parametrize("role", ROLES)
def test_a_request_that_is_too_long_says_what_is_long_in_it(role):
    """By name and size, without contents; and it is not asked again."""
    found, told = ask_failing(role, "context")
    assert "openai:gpt-test: the request is too long for the model; offer or share less" in told
    part = {"planner": "the system prompt (rules, tools, examples)", "joiner": "`b`", "worker": "`input`"}[role]
    assert re.search(rf"\(about [\d,]+ tokens: .*{re.escape(part)} \d", told)
    assert sum(call.role == role for call in Progress(found.events).calls.values()) == 1


@pytest.mark.parametrize("role", ROLES)
def test_another_model_that_answers_is_shown(role):
    """In the trace, and by one warning; nothing else changes."""
    found, _ = ask_failing(role, "model=a-smaller-one")
    assert (found.status, found.answer) == ("done", TEXTS["joiner"])
    assert [call.answered for call in Progress(found.events).calls.values() if call.role == role] == ["a-smaller-one"]
    (told,) = [event.message for event in found.events if isinstance(event, Warned)]
    assert told.endswith(
        "openai:gpt-test was asked, but a-smaller-one answered; is it an alias, or does a proxy choose?"
    )


@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_a_key_in_a_reply_is_masked_before_anything_sees_it(chunk):
    """In a plan, an answer and a worker's text, split anywhere: tools and variables get stars."""
    desk = Desk()
    said = {"planner": f'a = get("{KEY}")\nb = llm("say it", a)\njoin(b)  # {KEY}', "joiner": f"so, {KEY}"}
    with Server(lambda body: {**said, "worker": f"{KEY} it is"}[role_of(body)], chunk=chunk) as server:
        found = ask(server, desk)
    assert (found.results, found.answer) == ({"a": "***", "b": "*** it is"}, "so, ***")
    assert desk.asked("get") == ["***"]
    assert not leaks(found)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["silent-end=1", "reset", "content-filter", "status=400"])
def test_a_joiner_that_fails_keeps_the_results(fault):
    """It is asked once more at most; then the run is failed by name, and the results are there."""

    def says(body):
        if role_of(body) == "joiner":
            server.always = fault
            return "a long enough answer"
        return PLAN

    with Server(says) as server:
        found = ask(server, Desk())
    assert found.status == "failed"
    assert re.search(r"joiner|openai|cut off|400", found.error)
    assert found.results == {"a": "x", "b": ["x", "y"]}


def test_an_answer_that_a_limit_cuts_off_is_the_run_s_and_marked():
    """The joiner is asked once, the run is done, and says where its answer ends and how to get the rest."""

    def says(body):
        server.always = "length" if role_of(body) == "joiner" else ""
        return {"joiner": "a long enough answer"}.get(role_of(body), PLAN)

    with Server(says) as server:
        found = ask(server, Desk())
    assert (found.status, found.error, found.rounds[-1].decision.value) == ("done", "", found.answer)
    assert "a long enough answer".startswith(found.answer)
    assert found.answer_cut.startswith("cut off at the model's limit, after ")
    assert [call.role for call in found.progress.calls.values()] == ["planner", "joiner"]


def test_a_worker_that_fails_fails_its_task():
    """The joiner is told, the key is not."""

    def says(body):
        server.always = "401" if role_of(body) == "worker" else ""
        return {"planner": 'a = llm("say")\nb = get(1)\njoin()\n', "joiner": "partly"}.get(role_of(body), "")

    with Server(says) as server:
        found = ask(server, Desk())
    assert (found.status, found.answer, found.results) == ("done", "partly", {"b": 1})
    assert "AuthenticationFailed" in found.failures["a"].message
    assert not leaks(found)


def test_a_provider_that_says_nothing_is_left():
    """A planner that never speaks ends by the run's own timeout."""
    with Server(Says(planner=PLAN), always="mute") as server:
        found = ask(server, Desk(), timeout=0.2)
    assert (found.status, found.error) == ("limit", "the run took longer than 0.2 s")


def test_calls_are_made_by_the_run_alone():
    """Nothing is asked that no event tells."""
    with Server(Says(planner=PLAN, joiner="ok")) as server:
        found = ask(server, Desk())
        sent = [[message["content"] for message in seen.body["messages"]] for seen in server.requests]
    told = [[message["content"] for message in event.messages] for event in found.events if hasattr(event, "messages")]
    assert told == sent
