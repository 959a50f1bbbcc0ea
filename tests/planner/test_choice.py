"""Of many tools those that fit the question best are described, the others named, within a budget."""

from __future__ import annotations

import asyncio
import re

import pytest

from compiler_nb import Compiler, History, ScriptedModel, Tool, Toolbox, tool
from compiler_nb.models.base import estimate_tokens
from compiler_nb.planner.choice import asked_for, choose, ranked, words_of
from compiler_nb.planner.requests import listed
from tests.support.desk import run, scripted, texts

VERBS = ("create", "list", "update", "delete", "find")
NOUNS = ("issue", "pull_request", "invoice", "calendar_event", "webhook")


def many(count, *, server=True):
    """Return tools of several servers; the last one alone is about volcanoes."""
    found = []
    for number in range(count):
        name = f"{VERBS[number % 5]}_{NOUNS[number // 5 % 5]}_{number}"

        def act(owner: str, name: str, limit: int = 10) -> dict:
            return {"owner": owner, "name": name, "limit": limit}

        act.__doc__ = f"{VERBS[number % 5].title()} one {NOUNS[number // 5 % 5].replace('_', ' ')} of an owner."
        made = Tool(act, name=name)
        made.server = ("hub", "desk", None)[number % 3] if server else None
        found.append(made)

    @tool(name="eruptionOf")
    def eruption_of(volcano: str) -> int:
        """Return the year in which a volcano erupted last."""
        return 1944

    return Toolbox([*found, eruption_of])


def size_of(choice, wording="full"):
    """Return the tokens of what is told."""
    told = [*listed(choice.described, {}, wording), *choice.lines]
    return estimate_tokens(sum(len(each) + 1 for each in told))


def test_tools_that_fit_are_all_described():
    """As ever: nothing is ranked, and nothing is named."""
    tools = many(30)
    assert choose(tools, "anything") == (tools, (), True)


def test_those_that_fit_the_question_are_described_and_others_are_named_by_server():
    """Words of names in any spelling count, and the words of descriptions and parameters."""
    choice = choose(many(400), "When did the volcano Vesuvius erupt, and which pull requests are open?", 1_000)
    assert "eruptionOf" in choice.described
    assert sum("pull_request" in name for name in choice.described) > len(choice.described) // 2
    assert size_of(choice) <= 1_000
    assert [line.split(":")[0] for line in choice.lines[1:4]] == ["desk", "here", "hub"]
    assert "create_pull_request_205" in " ".join(choice.described) + " ".join(choice.lines)


@pytest.mark.slow
@pytest.mark.parametrize("count", [300, 2_000])
@pytest.mark.parametrize("tokens", [200, 1_000, 4_000])
@pytest.mark.parametrize("wording", ["full", "small"])
def test_what_is_told_stays_within_the_budget_and_counts_the_rest(count, tokens, wording):
    """Even the names of 2,000 tools are more than it."""
    tools = many(count)
    choice = choose(tools, "list the invoices", tokens, wording=wording)
    assert size_of(choice, wording) <= tokens + 5
    named = sum(line.count(",") + 1 for line in choice.lines[1:] if ":" in line)
    left = [int(found[1].replace(",", "")) for line in choice.lines if (found := re.match(r"and ([\d,]+) more", line))]
    assert len(choice.described) + named + sum(left) == len(tools)


def test_the_choice_is_the_same_each_time():
    """A provider can cache the prompt."""
    question = "find calendar events"
    assert choose(many(300), question).lines == choose(many(300), question).lines


def test_tools_that_were_used_before_come_first_among_equals():
    """A little: words count more."""
    tools = tuple(many(100).values())
    used = {"create_issue_50": 100}
    assert tools[ranked(tools, "nothing of that", used)[0]].name == "create_issue_50"
    assert tools[ranked(tools, "the eruption of a volcano", used)[0]].name == "eruptionOf"


def test_names_are_split_into_words():
    """At underscores, at capitals, at digits; plurals count as one."""
    assert words_of("getHTTPUrls_v2 files class gas été") == [
        "get",
        "http",
        "url",
        "v",
        "2",
        "file",
        "class",
        "gas",
        "été",
    ]


def test_tools_that_a_text_names_are_described_in_a_repair():
    """Not those that were described before."""
    tools = many(400)
    choice = choose(tools, "volcano", 300)
    hidden = next(name for name in tools if name not in choice.described)
    told = asked_for(
        tools, choice, [f"x = {hidden}(1)", "eruptionOf(2)", f"no tool is called 'a'. Did you mean '{hidden}'?"]
    )
    assert [each.name for each in told] == [hidden]


# -------------------------------------------------------------------- through a run


def test_a_plan_may_call_a_tool_that_was_only_named():
    """It is checked against its full signature, and performed."""
    tools = many(150)
    compiler = Compiler(
        planner=scripted('a = update_issue_52("me", "x")\nanswer(a["limit"])\n'), tools=tools, tool_tokens=1_500
    )
    found = run(compiler, "When did the volcano erupt?")
    [asked] = texts(compiler.settings.planner, "planner")
    assert found.answer == 10
    assert "update_issue_52(" not in asked
    assert "update_issue_52" in asked
    assert estimate_tokens(len(asked)) < 1_500 + 1_500  # with the rules and the examples of the language


@pytest.mark.slow
def test_a_wrong_call_of_a_tool_that_was_only_named_is_repaired_with_its_description():
    """And under a grammar it may be called then."""
    planner = ScriptedModel(
        {"planner": "a = update_issue_52(owner_name=1)\n", "repair": 'a = update_issue_52("me", "x")\nanswer(1)\n'}
    )
    compiler = Compiler(planner=planner, tools=many(150), tool_tokens=1_500)
    assert run(compiler, "When did the volcano erupt?").answer == 1
    [asked] = texts(planner, "repair")
    assert "These tools are called so:\nupdate_issue_52(owner: str, name: str, limit: int = 10) -> dict" in asked
    first, second = (request.grammar.text("gbnf") for request in planner.calls)
    assert "update_issue_52(" not in first
    assert "update_issue_52(" in second


def test_tools_of_the_plan_so_far_are_described_in_a_replan():
    """A model that has called one may call it again."""
    plans = ('a = update_issue_2("me", "x")\njoin(a)\n', 'b = update_issue_2("you", "y")\njoin(b)\n')
    model = scripted(*plans, joiner=["Replan: of another owner", "fine"])
    assert run(Compiler(model, many(400)), "When did the volcano erupt?").answer == "fine"
    assert "update_issue_2(owner: str" in texts(model, "replan")[0]
    assert estimate_tokens(len(texts(model, "joiner")[0])) < 6_000


@pytest.mark.slow
def test_what_earlier_runs_have_called_is_described(tmp_path):
    """From the runs of this compiler, and those of a history."""
    with History(tmp_path / "runs.db") as history:
        plan = 'a = delete_webhook_398("me", "x")\nanswer(1)\n'
        for _ in range(2):
            compiler = Compiler(planner=scripted(plan, "answer(2)\n"), tools=many(400), history=history)
            run(compiler, "one")
            run(compiler, "two")
            first, second = texts(compiler.settings.planner, "planner")
            assert "delete_webhook_398(owner: str" in second
        assert "delete_webhook_398(owner: str" in first  # known from the history


def test_the_budget_is_a_setting():
    """And nothing but a whole number of tokens."""
    compiler = Compiler(planner=scripted("answer(1)\n"), tools=many(20), tool_tokens=200)
    asyncio.run(compiler.run("When did the volcano erupt?"))
    assert "Other tools, by name only" in texts(compiler.settings.planner, "planner")[0]
    with pytest.raises(ValueError, match="tool_tokens must be a whole number of tokens from 1, not 0"):
        Compiler(tool_tokens=0)


def test_few_more_tools_are_looked_at_than_there_is_room_for():
    """Once what is left is less than any of them takes, the other hundreds are not described to see that."""
    tools = many(400)
    described = choose(tools, "Which invoices are open?", 800).described
    looked = [each for each in tools.values() if "signature" in vars(each)]
    assert len(described) >= 5
    assert len(looked) <= 3 * len(described)
