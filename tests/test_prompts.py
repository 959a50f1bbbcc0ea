"""Prompts are text files with a version, filled in one pass."""

from __future__ import annotations

import asyncio
import re

import pytest

from compiler_nb import Compiler, Plan, PlanError, tool
from compiler_nb.errors import OptionError
from compiler_nb.models.base import estimate_tokens
from compiler_nb.operations import idioms
from compiler_nb.operations.functions import FUNCTIONS, METHODS
from compiler_nb.plan.task import Join, Return
from compiler_nb.plan.tree import references
from compiler_nb.planner.requests import rules
from compiler_nb.prompts import Prompt, fill, load, names


def test_every_prompt_that_ships_can_be_loaded():
    """Each file beside the room is a prompt with text."""
    assert {"planner", "replan", "repair", "joiner", "worker", "extract"} <= set(names())
    assert all(load(name).text.strip() for name in names())


def test_a_prompt_is_read_once():
    """Loading again costs nothing."""
    assert load("joiner") is load("joiner")


def test_an_unknown_prompt_is_told_with_those_there_are():
    """The error says how to fix it; a path is not a name."""
    with pytest.raises(OptionError, match=r"'joinr'.*joiner"):
        load("joinr")
    with pytest.raises(OptionError):
        load("../errors")


def test_the_hash_is_of_the_text():
    """Equal texts have one version, whatever their name; another text has another."""
    assert Prompt("a", "x").hash == Prompt("b", "x").hash != Prompt("a", "y").hash
    assert len(load("joiner").hash) == 12
    assert len(Prompt("a", "\ud800").hash) == 12


def test_filling_replaces_each_marker():
    """Markers are replaced wherever they stand, also twice, also with spaces in the braces."""
    prompt = Prompt("p", "{{a}} and {{ b }} and {{a}}; {c} stays")
    assert fill(prompt, a="1", b="2") == "1 and 2 and 1; {c} stays"


def test_parts_are_never_read_again():
    """A part that holds a marker, or a group of a pattern, is text."""
    assert fill(Prompt("p", "{{a}}-{{b}}"), a="{{b}}", b=r"\1 \g<0> {{a}}") == r"{{b}}-\1 \g<0> {{a}}"


def test_an_unknown_marker_is_an_error():
    """What nothing fills is told, with what could stand there."""
    with pytest.raises(OptionError, match=r"'mine' has \{\{questoin\}\}.*\{\{question\}\}"):
        fill(Prompt("mine", "{{questoin}}"), question="?")


def test_a_part_may_be_left_out():
    """A prompt of one's own need not use every part."""
    assert fill(Prompt("mine", "short"), question="?") == "short"


# -------------------------------------------------------------------- the examples in the dialects' rules

WEIGHTS = {"Ash": 900, "Ember": 700}
TALES = {1: "gold", 2: "fire", 3: "ice", 4: "fog"}


@tool
def weigh_dragon(name: str) -> dict:
    """Weigh a dragon."""
    return {"kg": WEIGHTS[name]}


@tool
def pick_heavier(weights: dict) -> str:
    """Return the key of the greatest value."""
    return max(weights, key=weights.get)


@tool
def find_lair(name: str) -> str:
    """Say where a dragon sleeps."""
    return f"{name}'s cave"


@tool
def list_dragons(region: str, order: str = "name") -> list[dict]:
    """List the dragons of a region."""
    return [{"id": id_, "name": f"{region} {id_}", "age": 10 * id_} for id_ in TALES]


@tool
def read_tale(id: int) -> str:  # noqa: A002 - as the examples write it
    """Read a dragon's tale."""
    return TALES[id]


@tool
def outline_tale(tale: str, words: int) -> str:
    """Make a tale short."""
    return f"{tale} in {words}"


DRAGONS = [weigh_dragon, pick_heavier, find_lair, list_dragons, read_tale, outline_tale]
INPUTS = {"region": "north"}
EDGES = {  # the tasks of each example with what they wait for, and what its last line reads
    "python": (
        {"ash": "", "ember": "", "heavier": "ash ember", "answer.1": "heavier", "last": "heavier answer.1"},
        {"dragons": "@region", "oldest": "dragons", "tales": "oldest", "plots": "tales", "last": "oldest plots"},
    ),
    "numbered": (
        {"1": "", "2": "", "3": "1 2", "4": "3", "last": "3 4"},
        {"1": "@region", "2": "1", "3": "1", "last": "2 3"},
    ),
    "json": (
        {"t1": "", "t2": "", "t3": "t1 t2", "t4": "t3", "last": "t3 t4"},
        {"t1": "@region", "t2": "t1", "t3": "t1", "last": ""},
    ),
}
each_dialect = pytest.mark.parametrize("dialect", EDGES)


def examples(dialect):
    """Return the plans that a dialect's rules show, read with the tools that they call."""
    blocks = load(dialect).text.split("\nQuestion: ")[1:]
    texts = [block.partition("\n")[2].strip() + "\n" for block in blocks]
    return [Plan.parse(text, dialect=dialect, tools=DRAGONS, inputs=INPUTS) for text in texts]


def edges(plan):
    """Return what each task of a plan waits for, and what its last line reads."""
    found = {task.id: " ".join([*task.dependencies, *(f"@{name}" for name in task.inputs)]) for task in plan.tasks}
    last = references(plan.final.expression) if isinstance(plan.final, Return) else plan.final.refs
    return {**found, "last": " ".join(last)}


@each_dialect
def test_every_example_is_a_plan_and_its_edges_are_the_ones_meant(dialect):
    """With tools and inputs checked, as a planner's own reply would be."""
    assert tuple(edges(plan) for plan in examples(dialect)) == EDGES[dialect]


@each_dialect
def test_every_example_runs(dialect):
    """The first ends in an answer, the second is joined, which gives its results if there is no joiner."""
    heavier, tales = examples(dialect)
    found = asyncio.run(Compiler(tools=DRAGONS).execute(heavier))
    assert (found.status, found.answer) == ("done", "Ash, in Ash's cave")
    found = asyncio.run(Compiler(tools=DRAGONS).execute(tales, INPUTS))
    assert (found.status, isinstance(tales.final, Join)) == ("done", True)
    if dialect == "python":
        assert found.answer["plots"] == {"north 4": "fog in 50", "north 3": "ice in 50", "north 2": "fire in 50"}
    else:
        assert {"gold", "fire"} <= {value for value in found.answer.values() if isinstance(value, str)}


def test_the_python_examples_show_what_the_language_can():
    """Calls side by side, an item, a choice, a call in an f-string, a fan-out that another one goes on with."""
    heavier, tales = examples("python")
    assert [task.kind for task in heavier.tasks] == ["call", "call", "expr", "call"]
    assert [task.kind for task in tales.tasks] == ["call", "expr", "fanout", "fanout"]
    text = load("python").text
    assert all(shown in text for shown in ['ash["kg"]', " if ", "{find_lair(", "tales.items()", "answer(", "join("])


@each_dialect
def test_the_tools_of_the_examples_cannot_be_taken_for_real_ones(dialect):
    """The rules say that they are invented, and none is called like a tool that ships."""
    text = load(dialect).text
    assert "with invented tools: call only those listed under Tools" in text
    assert not {each.name for each in DRAGONS} & set(Compiler().settings.tools)


def problem_of(line):
    """Return the kind of the problem that a line has, "" if it has none."""
    try:
        Plan.parse(f"{line}\n", dialect="python", tools=[], inputs=["df"])
    except PlanError as error:
        return error.kind
    return ""


def test_a_planner_knows_every_function_and_method_that_there_is():
    """They are taken from the evaluator's own tables, so the rules cannot disagree with them; each can be read."""
    text = rules("python")
    functions = re.search(r"comprehensions, (.*?)\. No import", text)[1].split(", ")
    assert functions == list(FUNCTIONS)
    told = dict(re.findall(r"of (text|dicts|lists|tables) ([\w., ]+)", text))
    owners = {"text": str, "dicts": dict, "lists": list}
    for owner, kind in owners.items():
        assert told[owner].split(", ") == [name for name, kinds in METHODS.items() if kind in kinds]
    assert told["tables"].startswith("those of pandas that compute")
    assert {kind for kinds in METHODS.values() for kind in kinds} == set(owners.values())
    lines = [f"a{number} = df.{name}()" for number, name in enumerate([*METHODS, *idioms.METHODS])]
    called = [f"b{number} = {name}(df)" for number, name in enumerate(functions) if name != "next"]
    for line in [*lines, *called, "c = next(x for x in df)"]:
        assert (line, problem_of(line)) == (line, "")


def test_what_the_python_rules_show_can_be_read():
    """Each piece of code in them, with tools of these names; a guarded call is a call that is made if it is needed."""
    text = rules("python").partition("\nExamples")[0]

    @tool
    def f(a):
        return a

    shown = re.findall(r"`([^`]+)`", text)
    assert "x = f(a) if ok else None" in shown
    plan = Plan.parse("x = f(a) if ok else None\nf(a) if ok else None\n", tools=[f], inputs=["a", "ok"])
    assert [task.tool for task in plan.tasks if task.kind == "call"] == ["f", "f"]
    assert all(shown in text for shown in ['x["key"]', 'df[df["age"] > 9]', "x.name", "answer(value)", "join(names)"])
    for line in ['a = x["key"]', 'a = df[df["age"] > 9]', "a = x.name", "answer(x)"]:
        Plan.parse(f"{line}\n", inputs=["x", "df"])


def test_what_the_python_rules_forbid_is_a_problem():
    """Statements, and calls under `and` and `or`."""
    text = rules("python")
    keywords = re.search(r"No import, (.*) or (\w+) statement", text)
    for line in ["import os", "x = df and get(a)", "x = df or get(a)", "x = df.apply(1)"]:
        with pytest.raises(PlanError):
            Plan.parse(f"{line}\n", dialect="python", inputs=["df"])
    for word in [*keywords[1].split(", "), keywords[2]]:
        with pytest.raises(PlanError, match=f"`{word}` is not allowed in a plan"):
            Plan.parse(f"{word} x in df:\n    get(x)\n", dialect="python", inputs=["df"])


@each_dialect
def test_each_dialect_says_what_may_fail_and_what_to_do_without_a_tool(dialect):
    """A call, an index past the end; nobody has to guess."""
    text = rules(dialect)
    assert "A call may fail: what uses it is skipped" in text
    assert "past" in text
    assert "If no tool fits, use llm, or answer what is missing." in text


def test_the_python_rules_and_examples_stay_short():
    """By the package's own estimate; o200k_base counts a tenth more, which is below 480, too."""
    assert estimate_tokens(len(rules("python"))) <= 436
