from __future__ import annotations

import keyword
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler_nb.errors import PlanError
from compiler_nb.plan.expression import Field, Item, Text
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Join, Return, Task
from compiler_nb.plan.tree import Input, Ref, replace
from tests.support import planner
from tests.support.corpus import JSON, NUMBERED, PYTHON
from tests.support.plans import Reading, edges, read
from tests.support.programs import random_program

DIALECTS = ("python", "numbered", "json")


def again(plan: Plan, dialect: str) -> Plan:
    """Return what is read of what is written."""
    return Plan.parse(plan.to_text(dialect), dialect=dialect, inputs=plan.inputs)


def prints(plan: Plan) -> list[str]:
    """Return what the tasks compute, in order of the hashes: equal for plans that differ in names only."""
    return sorted(task.fingerprint for task in plan)


def shape(plan: Plan) -> list[tuple[str, ...]]:
    """Return for each task the fingerprints that it waits for: its edges, whatever the names."""
    return sorted((task.fingerprint, *(plan[id_].fingerprint for id_ in task.dependencies)) for task in plan)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "case", [case for case in (*JSON, *NUMBERED, *PYTHON) if not case.expected.kinds], ids=lambda c: c.name
)
def test_a_plan_reads_back_in_every_dialect_that_can_say_it(case, dialect):
    """In its own dialect a plan reads back equal; in another equal but for its ids, or it says which task it is."""
    plan = Reading([case.text], case.dialect).plan
    try:
        read = again(plan, dialect)
    except PlanError as error:
        read, problem = None, error.problems[0]
    if read is None:
        assert dialect != case.dialect
        assert repr(problem.task) in problem.message
        return
    if dialect == case.dialect:
        assert (read.tasks, read.final) == (plan.tasks, plan.final)
    assert (prints(read), shape(read)) == (prints(plan), shape(plan))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("source", ["numbered", "json"])
def test_what_planners_replied_can_be_said_in_every_dialect(source, dialect):
    """The plans of real questions go from each dialect to each, but for deps that nothing reads."""
    for text in planner.replies(source).values():
        plan = Plan.parse(text, dialect=source, inputs=planner.INPUTS)
        read = again(plan, dialect)
        assert shape(read) == shape(plan)
        if dialect == source:
            assert read == plan


def test_text_looks_as_planners_write_it():
    """Each dialect has one plan as a person would write it."""
    text = '# first\nny = search("a")\nboth = compare(ny["title"], k=[1, None], t=f"{ny} $1")\njoin(both)\n'
    plan = Plan.parse(text)
    assert plan.to_text("python") == text
    assert plan.to_text("numbered") == (
        'Thought: first\n1. search("a")\n2. compare($1.title, k=[1, None], t="${1} $$1")\n3. join($2)<END_OF_PLAN>\n'
    )
    assert plan.to_text("json") == (
        '{"tasks": [\n  {"id": "ny", "tool": "search", "args": {"0": "a"}, "deps": [], "note": "first"},\n'
        '  {"id": "both", "tool": "compare", "args": {"0": "$ny.title", "k": [1, null], "t": "${ny} $$1"}, '
        '"deps": ["ny"]},\n'
        '  {"id": "join", "tool": "join", "args": {}, "deps": ["both"]}\n]}\n'
    )


def test_python_keeps_all_that_it_can_say():
    """Nested calls, fan-outs, expressions and the answer read back equal."""
    text = (
        'a = f(g(1), h(x))\nrows = {t: p(t, d=1) for t in x if t}\nbest = max(rows, key=lambda t: rows[t]["c"])\n'
        'k(a)\nanswer({"b": best, "n": w(rows[best])})\n'
    )
    plan = Plan.parse(text, dialect="python", inputs=["x"])
    assert again(plan, "python") == plan
    assert plan.to_text() == text


def test_numbers_and_names():
    """Numbers stay numbers where all are; t1 is 1 in python; nested calls get names of their own in json."""
    numbered = Plan.parse("2. f()\n5. g($2)\n6. join()\n", dialect="numbered")
    assert edges(again(numbered, "numbered")) == {"2": (), "5": ("2",)}
    assert edges(again(numbered, "python")) == {"t2": (), "t5": ("t2",)}
    nested = Plan.parse("a = f(g())\nh(a)\n", dialect="python")
    assert edges(again(nested, "json")) == {"a_1": (), "a": ("a_1",), "line_2": ("a",)}
    assert edges(again(nested, "numbered")) == {"1": (), "2": ("1",), "3": ("2",)}
    keywords = Plan((Task("class", "call", "f"), Task("t1", "call", "f"), Task("1", "call", "g", (Ref("class"),))))
    assert edges(again(keywords, "python")) == {"class_2": (), "t1": (), "t1_2": ("class_2",)}


def test_names_that_are_made_are_free():
    """A name that is made for an id is not one that another task has."""
    plan = Plan((Task("a.1", "call", "g"), Task("a", "call", "f", (Ref("a.1"),)), Task("a_1", "call", "h")))
    assert edges(again(plan, "json")) == {"a_1": (), "a": ("a_1",), "a_1_2": ()}


def test_containers_and_odd_characters():
    """Tuples of any length stay tuples, and characters that no text may hold are escaped."""
    plan = Plan((Task("1", "call", "f", ((), (1,), (1, 2), {"\x85": "\u2028"})),))
    assert again(plan, "numbered") == plan
    assert again(Plan((Task("a", "call", "f", ({"\x85": "\u2028"},)),)), "json")["a"].args == ({"\x85": "\u2028"},)


def test_a_carriage_return_in_a_comment_is_shown_as_one():
    """In each dialect: it never comes back raw, so that a text shows what it holds."""
    texts = ("# one\rtwo\na = now()\n", "Thought: one\rtwo\n1. now()\n2. join()\n",
             '{"tasks": [{"id": "a", "tool": "now", "note": "one\\rtwo"}]}')  # fmt: skip
    for text in texts:
        (task,) = plan = read(text, "auto")
        assert task.note == "one\\rtwo"
        assert "\r" not in plan.to_text() + plan.explain()


def test_a_name_never_hides_an_input():
    """In python a task whose name an input has, which is read later, gets another name."""
    tasks = (Task("city", "call", "f", (Input("city"),)), Task("b", "call", "g", (Input("city"), Ref("city"))))
    assert edges(again(Plan(tasks), "python")) == {"city_2": (), "b": ("city_2",)}
    assert [task.inputs for task in again(Plan(tasks), "python")] == [("city",), ("city",)]


def test_results_of_earlier_rounds():
    """What an earlier round computed is written by its name; numbered lines can write numbers only."""
    plan = Plan((Task("3", "call", "f", (Ref("1_2"), Ref("1"))),))
    assert "3. f($1_2, $1)" in plan.to_text("numbered")
    assert "t3 = f(t1_2, t1)" in plan.to_text("python")
    assert '"$1_2"' in plan.to_text("json")
    with pytest.raises(PlanError, match="'ny', which is not in this plan"):
        Plan((Task("3", "call", "f", (Ref("ny"),)),)).to_text("numbered")


@pytest.mark.parametrize(
    ("task", "dialects"),
    [
        (Task("a", "expr", "", (Text(("x",)),)), "numbered json"),
        (Task("a", "call", "f", after=("b",)), "python numbered"),
        (Task("a", "call", "f", ({1, 2},)), "numbered json"),
        (Task("a", "call", "f", ((1, 2),)), "json"),
        (Task("a", "call", "f", ({1: 2},)), "json"),
        (Task("a", "call", "f", ({(1, 2): 2},)), "numbered json"),
        (Task("a", "call", "f", (Text((Field(Ref("b")),)),)), "numbered json"),
        (Task("a", "call", "f", (Text((Field(Ref("b")), ".x")),)), "numbered json"),
        (Task("a", "call", "f", (Text((Field(Ref("b"), "r"), "x")),)), "numbered json"),
        (Task("a", "call", "f", (Text((Field(Input("i")), "x")),)), "numbered json"),
        (Task("a", "call", "f", (Item(Ref("b"), Ref("b")),)), "numbered json"),
        (Task("a", "call", "f", (Item("text", 0),)), "numbered json"),
        (Task("a", "call", "f", kwargs={"class": 1}), "python"),
        (Task("a", "call", "f", kwargs={"a b": 1}), "python numbered"),
        (Task("a", "call", "f", ([[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]],)), "json"),
    ],
)
def test_what_a_dialect_cannot_say_names_the_task(task, dialects):
    """A task that a dialect cannot say is a PlanError that names it; in the others it reads back."""
    plan = Plan((Task("b", "call", "g"), task))
    for dialect in DIALECTS:
        if dialect in dialects:
            with pytest.raises(PlanError, match="task 'a' cannot be written") as caught:
                plan.to_text(dialect)
            assert caught.value.problems[0].task == "a"
        elif plan.inputs or task.kind == "call":
            assert len(again(plan, dialect)) == 2


def test_an_unknown_dialect_is_refused():
    """A dialect that does not exist is an error of the caller."""
    with pytest.raises(ValueError, match="yaml"):
        Plan(()).to_text("yaml")


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))
TEXTS = st.text(st.sampled_from("ab1_ $@{}[].\"'\\\n\t#é😀\x85\u00a0"), max_size=12)
KEYS = st.one_of(st.integers(-99, 99), TEXTS.filter(lambda key: key and not key.startswith("_")))
REFS = st.builds(Ref, st.integers(0, 4).map(str))
ITEMS = st.builds(Item, REFS, KEYS)
RESULTS = st.one_of(REFS, ITEMS, st.builds(Item, ITEMS, KEYS))
MIXED = st.builds(lambda text, result: Text((f"{text}: ", Field(result))), TEXTS, RESULTS)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, RESULTS, MIXED),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
CALLS = st.tuples(NAMES, st.lists(TREES, max_size=3), st.dictionaries(NAMES, TREES, max_size=2), NAMES)
ENDS = st.builds(Join, st.lists(st.integers(1, 2).map(str), unique=True).map(tuple), TEXTS) | st.just(Return(Ref("1")))


def plan_of(calls, final) -> Plan:
    """Return a plan of calls whose references are to earlier ones, whatever number they were drawn with."""
    tasks = [Task("1", "call", "f"), Task("2", "call", "g")]
    for number, (tool, args, kwargs, note) in enumerate(calls, 3):

        def earlier(node, number=number):
            return Ref(str(int(node.id) % (number - 1) + 1)) if type(node) is Ref else node

        tasks.append(
            Task(str(number), "call", tool, replace(tuple(args), earlier), replace(kwargs, earlier), note=note)
        )
    return Plan(tuple(tasks), final)


@pytest.mark.slow
@given(st.builds(plan_of, st.lists(CALLS, max_size=3), ENDS))
def test_random_plans_read_back_equal(plan):
    """Whatever text, keys and nesting a plan holds, it reads back equal, in python but for t1 instead of 1."""
    assert again(plan, "numbered") == plan
    assert again(plan, "json") == plan
    try:
        read = again(plan, "python")
    except PlanError as error:
        read, reason = None, str(error)
    if read is None:
        assert "f-string" in reason
    else:
        assert again(read, "numbered") == plan


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 600, 100))
def test_random_programs_read_back_with_their_names(start):
    """Names that are assigned again, and those that change places, too: each variable means the same in the end."""
    for seed in range(start, start + 100):
        plan = Plan.parse(random_program(Random(seed), 10), dialect="python")
        with suppress(PlanError):  # an f-string cannot hold every expression
            read = again(plan, "python")
            assert read == plan, seed
            assert [task.name for task in read] == [task.name for task in plan], seed


def test_keys_that_no_fstring_can_hold():
    """A key with a bracket, a quote or an escape cannot stand in an f-string's braces: python says so."""
    for key in ("[", "a\nb", "'\""):
        plan = Plan((Task("a", "call", "f"), Task("b", "call", "g", (Text(("x", Field(Item(Ref("a"), key)))),))))
        assert again(plan, "json") == plan
        with pytest.raises(PlanError, match=r"task 'b' cannot be written in the dialect python: .*f-string"):
            plan.to_text()
