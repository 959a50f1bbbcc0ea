from __future__ import annotations

import json

import pytest

from compiler_nb.plan.expression import Field, Item, Text
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.task import Join, Return
from compiler_nb.plan.tree import Input, Ref
from compiler_nb.tool import Toolbox, tool
from tests.support.corpus import TOOLS
from tests.support.plans import Reading, edges, kinds, problems, read

COVERS = ("json_task.py",)


@tool
def keep(*values: object, **named: object) -> object:
    """Take anything."""


@tool
def llm(instruction: str, *inputs: object) -> str:
    """Ask a model."""


def task(id_, tool="search", args=None, **fields):
    """Return a task object."""
    return {"id": id_, "tool": tool, "args": {"query": "x"} if args is None else args, **fields}


def text_of(*tasks, **root):
    """Return the text of a plan of these tasks."""
    return json.dumps({"tasks": tasks, **root})


def wrong(*tasks, **root):
    """Return the kinds of what is wrong with a plan of these tasks."""
    return kinds(text_of(*tasks, **root), "json")


def value(written):
    """Return the argument x of `keep` in a plan with a task t1 before it."""
    plan = read(text_of(task("t1"), task("t2", "keep", {"x": written})), "json", tools=TOOLS.plus(Toolbox([keep])))
    return plan["t2"].kwargs["x"]


def test_a_task_is_released_when_its_object_closes():
    """A task is released with its closing brace, not before."""
    parser = PlanParser(dialect="json", tools=TOOLS)
    assert parser.feed('{"tasks": [{"id": "t1", "tool": "now", "args": {}') == []
    assert [task.id for task in parser.feed("}")] == ["t1"]


def test_a_task_waits_for_those_it_refers_to():
    """Tasks in any order come out in an order in which each finds what it needs."""
    text = text_of(task("c", args={"query": "$b"}), task("b", args={"query": "$a"}, deps=["a"]), task("a"), task("d"))
    reading = Reading(text, "json")
    assert [each.id for each in reading.released] == ["a", "b", "c", "d"]
    assert edges(reading.plan) == {"a": (), "b": ("a",), "c": ("b",), "d": ()}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("$t1", Ref("t1")),
        ("${t1}", Ref("t1")),
        ("$t1.body[0].title", Item(Item(Item(Ref("t1"), "body"), 0), "title")),
        ('${t1["a b"]}', Item(Ref("t1"), "a b")),
        ("${t1}%", Text((Field(Ref("t1")), "%"))),
        ("a ${t1.x} b", Text(("a ", Field(Item(Ref("t1"), "x")), " b"))),
        ("$$t1", "$t1"),
        ("$PATH costs $5, ${}", "$PATH costs $5, ${}"),
        ("@city", Input("city")),
        ("@df.price", Item(Input("df"), "price")),
        ("@@city", "@city"),
        ("@nobody.com", "@nobody.com"),
        ("@city, please", "@city, please"),
        ("mail @city", "mail @city"),
        ([{"$t1": "$t1"}, None, 1.5], [{"$t1": Ref("t1")}, None, 1.5]),
    ],
)
def test_references(written, expected):
    """A whole string is the value itself, braces in a longer one become text; keys are data."""
    assert value(written) == expected


@pytest.mark.parametrize(
    ("tasks", "kind"),
    [
        ([task("a", args={"query": "$b"})], "missing_ref"),
        ([task("a", args={"query": "x ${b} y"})], "missing_ref"),
        ([task("a", deps=["b"])], "missing_ref"),
        ([task("a", args={"query": "$a"})], "self_ref"),
        ([task("a", args={"query": "$j"}), {"id": "j", "tool": "join"}], "missing_ref"),
        ([task("a"), {"id": "j", "tool": "join", "deps": ["b"]}], "missing_ref"),
        ([task("a", args={"query": "$b"}), task("b", args={"query": "$a"})], "cycle"),
        ([task("a"), task("b", args={"query": "see $a"})], "ambiguous_ref"),
        ([task("a", args={"query": "see $b"}), task("b")], "ambiguous_ref"),
        ([task("a", args={"query": "see ${b now"}), task("b")], "ambiguous_ref"),
        ([task("a", args={"query": "$a.__class__"})], "dunder"),
        ([task("a", args={"query": "@secret_token"})], "private_ref"),
        ([task("a", args={"query": "x", "_k": 1})], "dunder"),
        ([task("a", args={"1": "x"})], "bad_args"),
        ([task("a", args=["x"])], "schema"),
        ([task("a", args={"query": "x", "k": "2"})], "bad_args"),
        ([task("a", "search tool")], "unknown_tool"),
        ([task("a", "__import__")], "unknown_tool"),
        ([task("a", tool_name="search")], "schema"),
        ([task("a", deps="b")], "schema"),
        ([task("a", colour="red")], "schema"),
        ([{"id": "a", "note": "?"}], "schema"),
        ([task(True)], "schema"),
        ([task(0)], "bad_id"),
        ([task("_a")], "bad_id"),
        ([task("a-b")], "bad_id"),
        ([task("ﬁle")], "bad_id"),
        ([task("a", deps=["a b"])], "bad_id"),
        ([{"id": "j", "tool": "join"}, task("a")], "join"),
        ([task("a"), {"id": "j", "tool": "join", "args": {"x": "y"}}], "join"),
        ([task("a"), {"id": "z", "tool": "answer", "args": {}}], "join"),
        ([], "empty"),
    ],
)
def test_what_is_refused(tasks, kind):
    """Everything else is a problem of the right kind."""
    assert wrong(*tasks)[0] == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"tasks": 1}', "schema"),
        ("{}", "schema"),
        ('{"tasks": [], "tasks": []}', "duplicate_key"),
        ('{"tasks": [], "final": "x"}', "schema"),
        ('{"tasks": [], "join_instruction": 1}', "schema"),
        ('{"tasks": [{"id": 1, "tool": "now", "args": {"x": NaN}}]}', "non_finite"),
        ('{"tasks": [{"id": 1, "tool": "now", "args": {"x": 1e999}}]}', "non_finite"),
        ('{"tasks": [{"id": 1, "tool": "now", "args": {"x": 01}}]}', "syntax"),
        ("{'tasks': []}", "syntax"),
        ('{"tasks": [{"id": 1, "tool": "now", "args": {}}]} Done!', "syntax"),
        ('{"tasks": [{"id": 1, "tool": "now", "args": {}}]', "truncated"),
    ],
)
def test_what_is_no_plan_object(text, kind):
    """JSON of another shape, and what is nearly JSON, is a problem of the right kind."""
    assert kinds(text, "json")[0] == kind


def test_what_refers_to_a_task_that_is_a_problem_is_not_reported():
    """Whatever is wrong with it: its fields, its tool or its grammar."""
    for broken in (
        '{"id": "a", "tool": "nix"}',
        '{"id": "a", "color": 1}',
        '{"id": "a", "tool": now}',
        '{"id": "a", "tool": 1}',
    ):
        text = f'{{"tasks": [{broken}, {{"id": "b", "tool": "search", "args": {{"query": "$a"}}}}]}}'
        assert len(problems(text, "json")) == 1, broken


def test_problems_have_places():
    """A problem of a task stands where the task begins, one of JSON's grammar where it is."""
    text = '{"tasks": [\n  {"id": "a", "tool": "nix", "args": {}},\n  {"id": "b",\n   "tool": now}\n]}'
    found = [(p.kind, p.line, p.column, p.task) for p in problems(text, "json")]
    assert found == [("unknown_tool", 2, 3, "a"), ("syntax", 4, 12, "")]


def test_every_cycle_is_named():
    """Cycles are told apart, each with the ids that wait for each other; who waits for one is not blamed."""
    pairs = [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"), ("e", "a")]
    text = text_of(*(task(id_, args={"query": f"${other}"}) for id_, other in pairs))
    found = sorted(p.message for p in problems(text, "json"))
    assert [sorted(message.split(": ")[1].split(";")[0].split(", ")) for message in found] == [["a", "b"], ["c", "d"]]


def test_the_three_shapes():
    """Tools by either name, and tasks of instructions with the results of their deps in order, make the same plans."""
    tools = TOOLS.plus(Toolbox([llm]))
    named = read(text_of(task("a"), task("b", deps=["a"]), join_instruction="be short"), "json")
    assert (named["b"].dependencies, named["b"].after, named.final) == (("a",), ("a",), Join((), "be short"))
    other = {"id": 7, "tool_name": "search", "args": {"query": "$5"}, "dependencies": [5]}
    assert edges(read(text_of(task(5), other), "json")) == {"5": (), "7": ("5",)}
    asked = [task("a"), task("b"), {"id": "c", "instruction": "Compare ${a}.", "deps": ["b", "a"]}]
    for offered in (tools, TOOLS):
        plan = read(text_of(*asked, final={"instruction": "Answer."}), "json", tools=offered)
        assert (plan["c"].tool, plan["c"].after, plan.final) == ("llm", (), Join((), "Answer."))
        assert plan["c"].args == (Text(("Compare ", Field(Ref("a")), ".")), Ref("b"), Ref("a"))


def test_arguments_go_by_name_or_position():
    """A var-positional parameter is given by its name, positional arguments by their numbers."""
    tools = TOOLS.plus(Toolbox([llm]))
    plan = read(text_of(task("a"), task("b", "llm", {"instruction": "x", "inputs": ["$a"]})), "json", tools=tools)
    assert plan["b"].kwargs == {"instruction": "x", "inputs": [Ref("a")]}
    assert read(text_of(task("a", args={"0": "x", "k": 3})), "json")["a"].args == ("x",)


def test_the_last_task():
    """The last task may be join, with its deps, or the answer."""
    assert read(text_of(task("a"), {"id": "j", "tool": "join", "deps": ["a"]}), "json").final == Join(("a",))
    joined = {"id": "j", "tool": "join", "args": {"inputs": ["$a", "$b"]}}
    assert read(text_of(joined | {"id": "a", "tool": "now", "args": {}}, task("b"), joined), "json").final == Join(
        ("a", "b")
    )
    told = {"id": "j", "tool": "join", "deps": ["a"], "instruction": "be short"}
    assert read(text_of(task("a"), told), "json").final == Join(("a",), "be short")
    answer = {"id": "z", "tool": "answer", "args": {"value": {"x": "$a"}}}
    assert read(text_of(task("a"), answer), "json").final == Return({"x": Ref("a")})


def test_a_cut_plan_is_truncated_and_a_closed_one_whole():
    """What counts is the root's last brace, not whether the model ended of itself."""
    text = text_of(task("a"))
    assert Reading([text], "json", complete=False).plan is not None
    cut = Reading([text[:-2]], "json")
    assert ([each.id for each in cut.released], [p.kind for p in cut.problems]) == (["a"], ["truncated"])


def test_a_later_round():
    """Earlier results can be read; an id that is used again is renamed, unless it had been read by then."""
    earlier = {"a": "x", "b": "y"}
    again = Reading(
        [text_of(task("b"), task("c", args={"query": "$b"}), task("d", args={"query": "$a"}))], "json", earlier=earlier
    )
    assert edges(again.plan) == {"b_2": (), "c": ("b_2",), "d": ("a",)}
    before = Reading([text_of(task("c", args={"query": "$b"}), task("b"))], "json", earlier=earlier)
    assert [p.kind for p in before.problems] == ["forward_ref"]


def test_ids_that_would_hide_a_builtin_are_renamed():
    """A task's id becomes a variable, so a builtin's name gets a number."""
    plan = read(text_of(task("list"), task("b", args={"query": "$list"})), "json")
    assert edges(plan) == {"list_2": (), "b": ("list_2",)}


def test_notes_are_one_line():
    """A task's note or thought is kept on one line, fit for every dialect."""
    plan = read(text_of(task("a", note=" first\n  then\u2028"), task("b", thought="why"), thought=["ignored"]), "json")
    assert [each.note for each in plan] == ["first then", "why"]
