from __future__ import annotations

from compiler_nb.compare.cases import Case
from compiler_nb.compare.marks import key_of, mark_of
from compiler_nb.compare.variants import read_variants
from compiler_nb.compiler import Compiler
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.tool import tool
from tests.support.desk import Desk

COVERS = ["marks.py"]


def arguments(compiler, overrides):
    """Return the arguments that make a variant's compiler."""
    variants, problems = read_variants({"one": overrides}, compiler.settings, compiler.given)
    assert problems == []
    return variants[0].arguments


def server(**settings):
    """Return a model behind a server that nobody asks."""
    return OpenAIModel("m", base_url="http://127.0.0.1:9/v1", api_key="k", **settings)


def test_a_variant_overrides_what_the_compiler_was_made_with():
    """All else stays."""
    compiler = Compiler(ScriptedModel([]), Desk().tools, max_replans=1, share="none")
    found = arguments(compiler, {"max_replans": 0})
    assert (found["max_replans"], found["share"]) == (0, "none")
    assert list(Compiler(**found).settings.tools) == list(compiler.settings.tools)


def test_a_variants_model_is_that_of_all_roles_it_does_not_name():
    """Also if the compiler names its roles, as a cell's does."""
    one, other, third = (ScriptedModel([], name=name) for name in ("one", "other", "third"))
    compiler = Compiler(None, planner=one, joiner=one, worker=one)
    settings = Compiler(**arguments(compiler, {"model": other, "worker": third})).settings
    assert (settings.planner, settings.joiner, settings.worker) == (other, other, third)


def test_parameters_go_into_the_requests_of_a_variants_models():
    """Into copies: the compiler's own model says what it said."""
    model = server(temperature=1, seed=3)
    compiler = Compiler(model)
    settings = Compiler(**arguments(compiler, {"temperature": 0})).settings
    assert settings.planner.parameters == {"temperature": 0, "seed": 3}
    assert model.parameters["temperature"] == 1
    named = arguments(compiler, {"planner": "ollama:qwen3:8b", "temperature": 0})
    assert (named["planner"].parameters, named["planner"].name) == ({"temperature": 0}, "qwen3:8b")


def test_a_prompt_replaces_one_role_and_leaves_the_other():
    """Given as a text, beside what the compiler's prompts are."""
    compiler = Compiler(ScriptedModel([]), prompts={"joiner": "Join {{x}}".replace("{{x}}", "them")})
    found = arguments(compiler, {"planner_prompt": "{{rules}} {{tools}} {{examples}}"})
    assert found["prompts"] == {"joiner": "Join them", "planner": "{{rules}} {{tools}} {{examples}}"}
    small = Compiler(ScriptedModel([]), prompts="small")
    assert arguments(small, {"joiner_prompt": "Join"})["prompts"] == {"planner": "small", "joiner": "Join"}


def test_a_mark_is_of_the_content():
    """Two that are made alike have one, in any process; a changed model, prompt, tool or setting has another."""
    desk = Desk()

    def mark(model=None, tools=None, **settings):
        return mark_of(Compiler(model or server(), desk.tools if tools is None else tools, **settings).settings)

    @tool
    async def get(x: int) -> int:
        """Return it."""
        return x

    @tool(name="get")
    async def described(x: int) -> int:
        """Return it at once."""
        return x

    same = {mark(), mark(), mark(limits={"openai": {"rpm": 3}}), mark(history="x.db")}
    others = {
        mark(server(temperature=0)), mark(max_replans=0), mark(prompts="small"),
        mark(tools=[get]), mark(tools=[described]), mark(ScriptedModel(["a"])), mark(ScriptedModel(["b"])),
        mark(ScriptedModel(lambda request: "a")), mark(ScriptedModel(lambda request: "b")),
        mark(examples=[("q?", "a = get(1)\nanswer(a)")]),
    }  # fmt: skip
    assert len(same) == 1
    assert len(others | same) == 11


def test_a_cell_whose_inputs_cannot_be_compared_is_not_kept():
    """It has no key; others have one by their content."""
    assert key_of("m", Case("q?", None, {"x": object()}), 0) == ""
    assert key_of("m", Case("q?", None, {"x": [1]}), 0) == key_of("m", Case("q?", 3, {"x": [1]}), 0)
    assert key_of("m", Case("q?", None, {"x": [2]}), 0) != key_of("m", Case("q?", None, {"x": [1]}), 0)
    assert key_of("m", Case("q?"), 0) != key_of("m", Case("q?"), 1)
