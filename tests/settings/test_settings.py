import dataclasses

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.models.hand import HandModel
from compiler_nb.models.limits import Limit
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.settings.budget import Budget
from compiler_nb.settings.settings import Settings
from tests.support.desk import Desk


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dialect": "lisp"}, "dialect must be 'auto' or 'python' or 'numbered' or 'json', not 'lisp'"),
        ({"engine": "ray"}, "engine must be 'local', 'dask', 'dask:ADDRESS' or a DaskEngine, not 'ray'"),
        ({"approve": "maybe"}, "approve must be 'ask' or 'auto' or 'deny', not 'maybe'"),
        ({"share": "some"}, "share must be 'all' or 'summary' or 'none', not 'some'"),
        ({"cache": "disk"}, "cache must be 'off' or 'plan' or 'pure' or 'all', not 'disk'"),
        ({"prompts": {"worker": ""}}, "a role in prompts must be 'planner' or 'joiner', not 'worker'"),
        ({"max_concurrency": 0}, "max_concurrency must be a whole number from 1, not 0"),
        ({"max_concurrency": True}, "max_concurrency must be a whole number from 1, not True"),
        ({"max_replans": -1}, "max_replans must be a whole number from 0, not -1"),
        ({"max_repairs": 1.5}, "max_repairs must be a whole number from 0, not 1.5"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0, or None, not 0"),
        ({"timeout": "x"}, "timeout must be a number of seconds above 0, or None, not 'x'"),
        ({"timeout": True}, "timeout must be a number of seconds above 0, or None, not True"),
        ({"approve": 3}, "approve must be 'ask' or 'auto' or 'deny', or names of tools, not 3"),
        ({"approve": [3]}, "approve must be 'ask' or 'auto' or 'deny', or names of tools, not [3]"),
        ({"preview": 3}, "preview must be True or False, not 3"),
        ({"examples": 3}, "examples must be pairs of a question and a plan, not 3"),
        ({"examples": (("a",),)}, "examples must be pairs of a question and a plan, not (('a',),)"),
        ({"budget": "x"}, "budget must be a Budget, not 'x'"),
        ({"limits": 5}, "limits must be a dict of Limits by provider, not 5"),
        ({"prompts": 3}, "prompts must be 'auto', 'full' or 'small', or a dict of these, or of texts, by role, not 3"),
        (
            {"prompts": {"planner": 3}},
            "prompts must be 'auto', 'full' or 'small', or a dict of these, or of texts, by role, not {'planner': 3}",
        ),
        ({"drop_failed": 1.1}, "drop_failed must be a share from 0 to 1, such as 0.1 for a tenth, not 1.1"),
        ({"drop_failed": True}, "drop_failed must be a share from 0 to 1, such as 0.1 for a tenth, not True"),
        ({"planner": 3}, "planner must be a Model, such as connect('openai:gpt-5-mini'), not 3"),
        ({"worker": {}}, "worker must be a Model, such as connect('openai:gpt-5-mini'), not {}"),
    ],
)
def test_settings_are_valid_once_made(given, message):
    """By whatever door they come; the message says what is allowed."""
    for make in (Settings, lambda **each: dataclasses.replace(Settings(), **each), Compiler):
        with pytest.raises(ValueError, match=r".") as caught:
            make(**given)
        assert str(caught.value) == message


SLOTS = "its slots are {{rules}}, {{tools}}, {{examples}}"
NO_SLOTS = "it has no slots: question and results follow it"


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"planner": "Plan it."},
         f"prompts['planner'] has no {{{{tools}}}}, so the model would be told of no tools; {SLOTS}"),
        ({"planner": "{{rules}} Use {tools}."},
         f"prompts['planner'] has {{tools}}, which is sent as it stands: write {{{{tools}}}}; {SLOTS}"),
        ({"planner": "{{tools}} {{ wands }}"}, f"prompts['planner'] has {{{{wands}}}}, which nothing fills; {SLOTS}"),
        ({"joiner": "Read {{results}}."}, f"prompts['joiner'] has {{{{results}}}}, which nothing fills; {NO_SLOTS}"),
    ],
)  # fmt: skip
def test_a_prompt_that_would_send_no_tools_in_silence_is_refused(prompts, message):
    """With the slots that there are; one that has them is taken, and so are braces that are text."""
    with pytest.raises(ValueError, match=r".") as caught:
        Compiler(prompts=prompts)
    assert str(caught.value) == message
    assert Compiler(prompts={"planner": 'Like {"a": 1}: {{ tools }}', "joiner": "As {json}."})


def test_an_example_that_is_not_a_plan_is_refused_when_it_is_given():
    """With its number, and what is wrong with it; tools are those that are offered, variables those of its question."""
    tools = Desk().tools
    for plan, words in [
        ("import os", r"examples\[1\] is not a plan in the dialect python: .*line 1"),
        ("a = gett(1)\njoin(a)\n", "Did you mean 'get'"),
        ("a = get(df)\njoin(a)\n", r"df.*offer a variable in its question: @df"),
        ("1. get(1)\n2. join($1)\n", "dialect python"),
    ]:
        with pytest.raises(ValueError, match=words):
            Compiler(tools=tools, examples=[("How?", "a = get(1)\njoin(a)\n"), ("How much?", plan)])
    assert Compiler(tools=tools, examples=[("How long is @df?", "answer(len(get(df)))\n")])
    assert Compiler(tools=tools, dialect="numbered", examples=[("How?", "1. get(1)\n2. join($1)<END_OF_PLAN>\n")])
    with pytest.raises(ValueError, match=r"has no \{\{examples\}\} to show them"):
        Compiler(tools=tools, prompts={"planner": "{{tools}}"}, examples=[("How?", "answer(1)\n")])


def test_settings_never_change():
    """Whoever holds them may rely on them, whatever becomes of the dicts and lists that they were made from."""
    prompts, approve = {"joiner": "Join."}, ["send"]
    settings = Settings(prompts=prompts, approve=approve)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.timeout = 3  # type: ignore[misc]
    prompts["nobody"] = ""
    approve.append("delete")
    assert settings.prompts == {"joiner": "Join."}
    assert set(settings.approve) == {"send"}
    with pytest.raises(TypeError):
        settings.limits["openai"] = Limit(rpm=3)  # type: ignore[index]


def test_a_model_for_all_roles_is_checked_too():
    """The class of one, and what was never one."""
    for model in (3, ScriptedModel):
        with pytest.raises(ValueError, match=r"^planner must be a Model, such as connect\('openai:gpt-5-mini'\), not "):
            Compiler(model)


def test_roles_without_a_model_are_left_out():
    """By role, in one order."""
    model = ScriptedModel([])
    settings = Settings(joiner=HandModel(), planner=model)
    assert settings.roles == {"planner": model, "joiner": settings.joiner}
    assert settings.models == {"planner": "scripted:scripted", "joiner": "hand:hand"}


@pytest.mark.parametrize(
    ("timeout", "budget", "seconds", "replans"),
    [(None, Budget(), None, 2), (3, Budget(), 3, 2), (3, Budget(seconds=5, replans=5), 3, 2),
     (None, Budget(seconds=5, replans=0), 5, 0)],
)  # fmt: skip
def test_the_smaller_bound_holds(timeout, budget, seconds, replans):
    """Of the timeout and the budget's seconds, and of the replans."""
    settings = Settings(timeout=timeout, budget=budget)
    assert (settings.seconds, settings.replans) == (seconds, replans)


def test_limits_are_caps_of_resources():
    """As the schedule counts them; a person is one at a time unless it is said otherwise."""
    caps = Settings(limits={"openai": Limit(concurrency=3), "azure": Limit(rpm=5)}).caps
    assert (caps["provider:openai"], caps["provider:hand"], "provider:azure" in caps) == (3, 1, False)


def test_a_compiler_reads_friendly_spellings(tmp_path):
    """Names of models, functions, dicts of limits, a path; one model serves all roles that have none of their own."""

    def look(x: int) -> int:
        """Look."""
        return x

    compiler = Compiler("hand", [look], worker="ollama:llama3.2", limits={"openai": {"rpm": 5}}, history=tmp_path / "r")
    settings = compiler.settings
    assert settings.models == {"planner": "hand:hand", "joiner": "hand:hand", "worker": "ollama:llama3.2"}
    assert settings.planner is settings.joiner
    assert (list(settings.tools), settings.tools["llm"].provider) == (["look", "llm", "extract"], "ollama")
    assert settings.limits == {"openai": Limit(rpm=5)}
    assert settings.history.path == tmp_path / "r"


def test_a_tool_of_the_users_wins_over_ours():
    """By its name."""

    def llm(x: str) -> str:
        """Say it."""
        return x

    assert Compiler(None, [llm, *Desk().tools]).settings.tools["llm"].function is llm
