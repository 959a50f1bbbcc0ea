"""Plans, decisions and replies to tools are used again, and a model that is asked says why."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from compiler_nb import Compiler, History, OpenAIModel, Run, ScriptedModel, tool
from compiler_nb.cache.replies import parts_of_messages, parts_of_model
from compiler_nb.events import CacheLooked, ModelRecalled, ModelStarted
from compiler_nb.models.hand import HandModel

PLAN = "a = search('x')\nb = llm('say', a)\njoin(b)\n"


@tool
async def search(text: str) -> str:
    """Search for a text."""
    return text * 2


@tool
async def price(name: str) -> float:
    """Return a price."""
    return 1.0


class Desk:
    """Runs a question again and again, each time with everything made anew."""

    def __init__(self, path: Any) -> None:
        self.path = path
        self.model = self.script()

    @staticmethod
    def script(plan: Any = PLAN, joiner: Any = "Fine.", worker: Any = "said", **more: Any) -> ScriptedModel:
        """Return a model."""
        return ScriptedModel({"planner": plan, "joiner": joiner, "worker": worker}, **more)

    def run(self, question: str = "What?", tools: Any = (search,), model: Any = None, **settings: Any) -> Run:
        """Return the run of a question."""
        inputs, repetition = settings.pop("inputs", None), settings.pop("repetition", 0)
        with History(self.path) as history:
            options = {"cache": "plan", "history": history} | settings
            compiler = Compiler(model or self.script(), tools, **options)
            order = replace(compiler.order(question, inputs=inputs), repetition=repetition)
            found, work = compiler.begin(order)
            asyncio.run(work)
            return found


@pytest.fixture
def desk(tmp_path):
    """Return a desk with a file of its own."""
    return Desk(tmp_path / "runs.db")


def asked(found: Run) -> list[str]:
    """Return the roles of the models that were asked."""
    return [event.role for event in found.events if type(event) is ModelStarted]


def why(found: Run, role: str = "planner") -> str:
    """Return why a model was asked in a role."""
    (look,) = [event for event in found.events if type(event) is CacheLooked and event.role == role]
    assert not look.hit
    return look.told


def test_an_unchanged_question_reuses_its_plan_and_the_decision_on_it(desk):
    """The tools run; `llm` is asked again. What was learned of results meanwhile is no change."""
    first, second = desk.run(), desk.run()
    assert asked(first) == ["planner", "worker", "joiner"]
    assert asked(second) == ["worker"]
    assert (second.status, second.answer) == ("done", "Fine.")
    assert second.plan.text == first.plan.text
    assert first.usage.calls == 3
    assert second.usage.calls == 1
    assert [event.role for event in second.events if type(event) is ModelRecalled] == ["planner", "joiner"]
    assert second.progress.looks[0].told.startswith(f"made in {first.id}, with ")


def test_with_all_nothing_is_asked_at_all(desk):
    """`llm` included; it costs nothing, and says so."""
    first, second = desk.run(cache="all"), desk.run(cache="all")
    assert (asked(second), second.answer) == ([], first.answer)
    assert (second.usage.calls, second.usage.tokens, second.cost.dollars if second.cost else 0) == (0, 0, 0)
    assert "its call of the worker was from the cache: made in " in second.why("b")
    assert second.prompt("planner").startswith("[system]\n")
    assert second.prompt("planner").endswith("[not sent: the reply is from the cache]")


@pytest.mark.parametrize("cache", ["off", "pure"])
def test_plans_are_not_used_unless_it_is_asked_for(desk, cache):
    """Nor kept."""
    desk.run(cache=cache)
    assert asked(desk.run(cache=cache)) == ["planner", "worker", "joiner"]


@pytest.mark.slow
@pytest.mark.parametrize(("change", "told"), [
    ({"question": "Why?"}, "the question changed: 'What?' → 'Why?'"),
    ({"tools": (search, price)}, "tool `price` was added"),
    ({"tools": ()}, "tool `search` was removed"),
    ({"model": Desk.script(name="other")}, "the model changed: scripted:scripted → scripted:other"),
    ({"model": Desk.script(joiner="Good.")}, "the model's settings changed: joiner='Fine.' → joiner='Good.'"),
    ({"dialect": "json"}, "the dialect changed: python → json"),
    ({"examples": (("How?", "a = search('y')\nanswer(a)\n"),)}, "the examples changed"),
    ({"inputs": {"df": [1]}}, "input `df` was added"),
    ({"prompts": {"planner": "Plan.\n{{rules}}\n{{tools}}\n{{examples}}"}}, "prompt planner changed"),
    ({"repetition": 1}, "the repetition changed: 0 → 1"),
])  # fmt: skip
def test_a_changed_request_is_asked_anew_and_says_what_changed(desk, change, told):
    """Unchanged once more, the first plan is there still."""
    desk.run()
    found = desk.run(**change)
    assert "planner" in asked(found)
    assert told in why(found)
    assert "planner" not in asked(desk.run())


def test_a_tools_changed_description_is_named(desk):
    """As the planner reads it."""
    desk.run()

    @tool(name="search")
    async def other(text: str, most: int = 3) -> str:
        """Search for a text."""
        return text * 2

    assert why(desk.run(tools=[other])) == "tool `search` changed"


def test_changed_results_are_decided_on_anew(desk):
    """The plan is the old one."""
    desk.run()
    found = desk.run(model=desk.script())
    assert asked(found) == ["worker"]

    @tool(name="search")
    async def other(text: str) -> str:
        """Search for a text."""
        return text * 3

    found = desk.run(tools=[other], model=desk.script(worker=lambda request: f"{len(str(request.messages))}"))
    assert "joiner" in asked(found)


def test_a_tool_that_returns_another_shape_has_its_plan_written_anew(desk):
    """What was not known before is no change; what is different is."""
    shapes: list[Any] = [{"close": 1}, {"close": 1}, {"last": 1}, {"last": 1}, {"last": 1}]

    def shaped(value: Any) -> Any:
        @tool
        async def quote(name: str) -> Any:
            """Return a quote."""
            return value

        return quote

    told = []
    for shape in shapes:
        model = desk.script("a = quote('x')\nanswer(a)\n")
        found = desk.run(tools=[shaped(shape)], model=model)
        told.append([event.hit for event in found.events if type(event) is CacheLooked])
    assert told[0] == [False]
    assert told[1] == [True]


def test_several_rounds_are_used_again(desk):
    """A further plan, and each decision."""

    def script() -> ScriptedModel:
        return ScriptedModel({
            "planner": "a = search('x')\njoin(a)\n", "replan": "b = search(a)\njoin(b)\n",
            "joiner": ["Replan: once more", "Done."],
        })  # fmt: skip

    first, second = desk.run(model=script()), desk.run(model=script())
    assert asked(first) == ["planner", "joiner", "replan", "joiner"]
    assert (asked(second), second.answer, len(second.rounds)) == ([], "Done.", 2)
    assert second.results == first.results


def test_a_plan_that_was_repaired_is_kept_as_it_became(desk):
    """Neither the planner is asked for it again, nor for the repair."""

    def script() -> ScriptedModel:
        return ScriptedModel({"planner": "a = serch('x')\nanswer(a)\n", "repair": "a = search('x')\nanswer(a)\n"})

    first, second = desk.run(model=script()), desk.run(model=script())
    assert asked(first) == ["planner", "repair"]
    assert (asked(second), second.answer) == ([], "xx")


def test_a_plan_with_problems_is_not_kept(desk):
    """It is asked for anew."""

    def script() -> ScriptedModel:
        return ScriptedModel({"planner": "a = serch('x')\n", "repair": "a = serch('x')\n"})

    assert desk.run(model=script()).status == "failed"
    assert asked(desk.run(model=script())) == ["planner", "repair"]


def test_a_cut_off_answer_is_not_kept(desk):
    """Nor an empty one: the model is asked again."""
    assert desk.run(model=desk.script("answer_ = search('x')\njoin(answer_)\n", joiner="")).status == "failed"
    assert asked(desk.run(model=desk.script("answer_ = search('x')\njoin(answer_)\n", joiner=""))) == ["joiner"]


def test_a_person_is_asked_each_time():
    """Who writes plans by hand wants to."""
    assert parts_of_model(HandModel())["model"] == "hand:hand"


def test_a_stored_run_tells_of_it(desk):
    """Its events come back as they were."""
    desk.run()
    found = desk.run()
    with History(desk.path) as history:
        stored = history.load(found.id, [search])
    assert [type(event) for event in stored.events] == [type(event) for event in found.events]
    assert stored.usage == found.usage
    assert stored.prompt("joiner") == found.prompt("joiner")


class Own:
    """A model of the user's own class."""

    provider, name = "own", "own"

    def __init__(self, depth: int) -> None:
        self.depth, self.connection, self._calls = depth, object(), 0


def test_what_tells_models_apart():
    """Parameters, scripts and plain fields; never what changes from call to call."""

    def settings(model: Any) -> str:
        return parts_of_model(model)["settings"]

    assert settings(OpenAIModel("m", temperature=0)) == "temperature=0, api='chat', grammar='auto'"
    assert settings(OpenAIModel("m", temperature=0)) != settings(OpenAIModel("m", temperature=1))
    assert parts_of_model(OpenAIModel("m", base_url="http://127.0.0.1:1/v1"))["address"] == "http://127.0.0.1:1/v1"
    assert settings(Own(1)) == settings(Own(1)) != settings(Own(2))
    assert settings(ScriptedModel(["a"])) != settings(ScriptedModel(["b"]))
    assert settings(ScriptedModel(lambda r: "a")) != settings(ScriptedModel(lambda r: "b"))
    assert settings(ScriptedModel([ValueError("a")])) != settings(ScriptedModel([ValueError("b")]))


def test_a_request_is_split_into_its_parts():
    """What is framed is told by its name."""
    parts = parts_of_messages((
        {"role": "system", "content": "Join."},
        {"role": "user", "content": 'Question: What?\n\n<data name="a" call="f()">\n1\n</data>\n\nReply.'},
    ))  # fmt: skip
    assert parts["prompt"] == "Join."
    assert parts["result a"] == '<data name="a" call="f()">\n1\n</data>'
    assert parts["question"].startswith("What?")
    assert "Reply." in parts["request"]
