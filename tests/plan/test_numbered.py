from __future__ import annotations

import pytest

from compiler_nb.plan.expression import Field, Item, Text
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.task import Join, Return
from compiler_nb.plan.tree import Input, Ref
from compiler_nb.tool import tool
from tests.support.corpus import TOOLS
from tests.support.plans import Reading, edges, kinds, problems, read

END = "9. join()<END_OF_PLAN>\n"


@tool
def keep(*values: object, **named: object) -> object:
    """Take anything."""


def plan_of(*lines: str, **options):
    """Return the plan of these lines and a last one."""
    return read("\n".join([*lines, END]), "numbered", **options)


def wrong(*lines: str, **options):
    """Return the kinds of what is wrong with these lines and a last one."""
    return kinds("\n".join([*lines, END]), "numbered", **options)


def value(text: str):
    """Return the argument of `keep(text)` in a plan with a line 1 before it."""
    return plan_of('1. search("a")', f"2. keep({text})", tools=TOOLS.plus(type(TOOLS)([keep])))["2"].args[0]


def test_a_line_is_a_task_as_soon_as_its_feed_comes():
    """A task is released with its line's feed, not before, and the reference is a value in its arguments."""
    parser = PlanParser(dialect="numbered", tools=TOOLS)
    assert parser.feed('1. search("x")') == []
    (first,) = parser.feed("\n2. math(")
    assert (first.id, first.kind, first.tool, first.args, first.name) == ("1", "call", "search", ("x",), "t1")
    (second,) = parser.feed('"$1")\n')
    assert second.args == (Ref("1"),)
    assert parser.feed("3. join()<END_OF_PLAN>\n") == []
    assert parser.parts().final == Join()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("$1", Ref("1")),
        ("${1}", Ref("1")),
        ('"$1"', Ref("1")),
        ('"${1}"', Ref("1")),
        ("$1.title", Item(Ref("1"), "title")),
        ("$1[0]", Item(Ref("1"), 0)),
        ("$1[-1].x", Item(Item(Ref("1"), -1), "x")),
        ('$1["a b"]', Item(Ref("1"), "a b")),
        ("${1.title}", Item(Ref("1"), "title")),
        ("'${1}.title'", Item(Ref("1"), "title")),
        ("'$1[\"x\"]'", Item(Ref("1"), "x")),
        ('"a $1"', Text(("a ", Field(Ref("1"))))),
        ('"${1} * ${1}"', Text((Field(Ref("1")), " * ", Field(Ref("1"))))),
        ('"see ${1.title}!"', Text(("see ", Field(Item(Ref("1"), "title")), "!"))),
        ('"a $1.title"', Text(("a ", Field(Ref("1")), ".title"))),
        ('"$1abc"', Text((Field(Ref("1")), "abc"))),
        ('"$1_2 or so"', Text((Field(Ref("1")), "_2 or so"))),
        ('"$$1 and $$$1"', Text(("$1 and $", Field(Ref("1"))))),
        ('"costs $$5"', "costs $5"),
        ('"in $PATH and ${HOME}, $ alone, ${ x"', "in $PATH and ${HOME}, $ alone, ${ x"),
        ("[$1, {'k': ($1, -2.5)}]", [Ref("1"), {"k": (Ref("1"), -2.5)}]),
        ("{'$1': true}", {"$1": True}),
    ],
)
def test_references(written, expected):
    """A reference is typed as it is if it stands alone, and becomes text only in a longer string."""
    assert value(written) == expected


def test_inputs_are_offered_by_name():
    """`@name` outside strings is an offered input, or an item of one; in a string it is text."""
    plan = plan_of('1. summarize(@df["price"])', '2. search("@df")', "3. search(@city)")
    assert [task.args for task in plan] == [(Item(Input("df"), "price"),), ("@df",), (Input("city"),)]
    assert plan.inputs == ("df", "city")
    (problem,) = problems(f"1. search(@cty)\n{END}", "numbered")
    assert (problem.kind, "Did you mean 'city'? There are: @city, @df" in problem.message) == ("private_ref", True)


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (['1. search("$2")', '2. search("a")'], "forward_ref"),
        (['1. search("see $1")'], "self_ref"),
        (['1. search("$7")'], "missing_ref"),
        (['1. search("see ${7}")'], "missing_ref"),
        (['1. search("$name")'], "missing_ref"),
        (['1. search("a")', '2. search("see $t1 there")'], "missing_ref"),
        (['1. search("a")', '2. search("see ${t1}")'], "missing_ref"),
        (['1. search("a")', '2. search("see ${1 there")'], "ambiguous_ref"),
        (['1. search("a")', '2. search("see ${1 + 2}")'], "ambiguous_ref"),
        (['1. search("a")', "2. search(${1)"], "ambiguous_ref"),
        (['1. search("a")', "2. search($1.__class__)"], "dunder"),
        (['1. search("a")', "2. search($1['_x'])"], "dunder"),
        (['1. search("a")', "2. search($1" + ".a" * 30 + ")"], "too_deep"),
        (['1. search("a")', '1. search("b")'], "duplicate_id"),
        (['01. search("a")'], "bad_id"),
        (['1. search(math("2"))'], "nested_call"),
        (['1. search(f"x")'], "fstring"),
        (['1. search(b"x")'], "expression"),
        (["1. search(1 + 2)"], "expression"),
        (["1. combine([*$1])"], "star_args"),
        (["1. search(*['x'])"], "star_args"),
        (['1. search(query="a", query="b")'], "duplicate_key"),
        (['1. summarize({"a": 1, "a": 2})'], "duplicate_key"),
        (['1. summarize({"a", "b"})'], "expression"),
        (['1. search("a", __x=1)'], "dunder"),
        (['1. search(k=1, "a")'], "syntax"),
        (["1. scale(1e999, 1)"], "non_finite"),
        (["1. scale(" + "9" * 400 + ", 1)"], "too_large"),
        (["1. scale(007, 1)"], "syntax"),
        (["1. combine(" + "[" * 25 + "]" * 25 + ")"], "too_deep"),
        (["1. combine([" + "1," * 130_000 + "])"], "too_large"),
        (['1. search("' + "a" * 210_000 + '")'], "too_large"),
        (['1. search("\\N{no such}")'], "syntax"),
        (['1. search("\\ud800")'], "encoding"),
        (['1. search("a\\0")'], "control_char"),
        (['1. search("a)'], "syntax"),
        (['1. search("a").title'], "expression"),
        (['1. search("a") search("b")'], "junk"),
        (['1. search("a")', "so far so good"], "junk"),
        (['ny = search("a")'], "junk"),
        (['1. os.system("a")'], "unknown_tool"),
        (['1. search("a")<END_OF_PLAN>'], "join"),
        (['1. search("a")', "<END_OF_PLAN>"], "join"),
        (['1. search("a")', "2. join($1)", '3. search("b")'], "join"),
        (['1. search("a")', '2. join("both")'], "join"),
        (['1. search("a")', "2. answer()"], "join"),
    ],
)
def test_what_is_refused(lines, kind):
    """Everything else is a problem of the right kind."""
    assert wrong(*lines)[0] == kind


def test_problems_are_reported_together_with_their_places():
    """All problems of a text come at once, each with the line and column where it stands."""
    text = '1. search("a")\n  2. serch("b")\n3. compare($1, $8)\n4. math(1 + 1)\n'
    found = [(p.kind, p.line, p.column) for p in problems(text + END, "numbered")]
    assert found == [("unknown_tool", 2, 3), ("missing_ref", 3, 16), ("expression", 4, 11)]


def test_a_broken_line_is_told_once():
    """What refers to a line with a problem is no further problem."""
    assert wrong('1. serch("a")', '2. search("$1")', '3. search("$2")') == ["unknown_tool"]


def test_a_thought_above_a_line_that_is_read_otherwise_stays_its_note():
    """What was changed is a note on the plan, and no note of the task's author."""
    plan = read("Thought: look\n1. search(Austin Powers\n2. join()\n", "numbered")
    assert plan["1"].note == "look"
    assert plan.notes == ("line 2: Austin Powers has no quotes and was read as text", "line 2: ) was added at the end")


def test_notes_and_what_is_left_out():
    """Thoughts and comment lines are the next task's note; a greeting, trailing comments and what follows are not."""
    plan = read(
        "Sure, here it is:\n\nThought: first\n# then\n1. search('a')  # done\n2. now()\n"
        "3. join() <END_OF_PLAN>\nGood luck!",
        "numbered",
    )
    assert [task.note for task in plan] == ["first then", ""]


def test_the_last_line():
    """The last line may name results and an instruction, or be the answer; the marker may be missing or cut."""
    one = '1. search("a")\n'
    assert read(one + "2. join($1, '$1')", "numbered").final == Join(("1",))
    assert read(one + "2. join($1, instruction='be short')<END", "numbered").final == Join(("1",), "be short")
    assert read(one + "2. join()\n<END_OF_PLAN>\n", "numbered").final == Join()
    assert read(one + '2. answer({"a": $1})', "numbered").final == Return({"a": Ref("1")})
    assert read(one, "numbered").final == Join()
    assert [p.kind for p in Reading([one], "numbered", complete=False).problems] == ["truncated"]


def test_a_plan_without_a_last_line_is_joined():
    """As in the other dialects, if the model ended of itself; in a cell the last result is the answer."""
    lines = '1. search("a")\n2. search("b")\n'
    assert read(lines, "numbered").final == Join()
    assert read(lines, "numbered", implied="value").final == Return(Ref("2"))


def test_a_price_in_a_question_is_text():
    """`$12` in a longer text is text if no line above has the number; the plan notes it, and nothing is printed."""
    plan = plan_of('1. search("shoes under $12, or ${1}")'.replace("${1}", "$$1"), '2. search("$1 for $3,000")')
    assert plan["1"].args == ("shoes under $12, or $1",)
    assert plan["2"].args == (Text((Field(Ref("1")), " for $3,000")),)
    assert plan.notes == (
        "line 1: $12 is text: no line above has this number",
        "line 2: $3 is text: no line above has this number",
    )
    assert "line 1: $12 is text" in plan.explain()
    assert wrong('1. search("$12")') == ["missing_ref"]


def test_a_number_that_comes_later_is_not_text():
    """It is a result that was used before its line; so says the problem, however late the line comes."""
    (problem,) = problems(f'1. search("see $2")\n2. search("b")\n{END}', "numbered")
    assert (problem.kind, problem.line, problem.column) == ("forward_ref", 1, 11)
    assert problem.message == "line 2 comes later: write it above this line, or $$2 for the text"


@pytest.mark.parametrize(
    ("lines", "pair"),
    [
        (['1. search("$2")', '2. search("$1")'], (1, 2)),
        (['1. search("see $2")', '2. search("see $1")'], (1, 2)),
        (['1. search("$3")', '2. search("$1")', '3. search("$2")'], (1, 3)),
    ],
)
def test_lines_that_need_each_other_are_told_so(lines, pair):
    """A cycle is one problem, which names both lines."""
    (problem,) = problems("\n".join([*lines, END]), "numbered")
    assert (problem.kind, problem.line) == ("cycle", 1)
    assert "lines {} and {} need each other".format(*pair) in problem.message


EXAMPLES = (
    # a bracket that is left open, three times
    """1. search("emu")
2. ask("top speed of an emu if 1.3 times slower?", ["$1"]
3. search("ostrich")
4. ask("top speed of an ostrich if 1.5 times faster?", ["$3"]
5. ask("max($2, $4) / min($2, $4)")
Thought: I can answer the question now.
6. join()<END_OF_PLAN>
###
""",
    # titles without quotes
    """Thought: I need to find all films.
1. search("The Third Man")
Thought: I need to find all films of the options.
2. search(Touch of Evil and Other Films by the Master)
3. search(In a Lonely Place)
4. search(Laura)
Thought: I can answer the question now.
5. join()<END_OF_PLAN>
""",
)


@pytest.mark.parametrize(
    ("text", "waits"), [(EXAMPLES[0], {"2": ("1",), "4": ("3",), "5": ("2", "4")}), (EXAMPLES[1], {})]
)
def test_a_plan_as_the_papers_own_prompts_show_it_is_a_plan(text, waits):
    """Their examples leave brackets open and titles without quotes; models write as they were shown."""
    plan = read(text, "auto", tools=None)
    assert plan.dialect == "numbered"
    assert {id_: needs for id_, needs in edges(plan).items() if needs} == waits
    assert len(plan.notes) == (2 if waits else 3)


def test_a_call_over_several_lines_is_one_problem():
    """The lines that belong to it are not reported as well."""
    assert wrong("1. compare(", '  "a",', '  "b"', ")", '2. search("c")') == ["syntax"]


def test_a_cut_line_is_dropped():
    """Where the model did not end of itself, a line without its feed is no task and no last line."""
    text = '1. search("a")\n2. search("b")\n3. join()'
    cut = Reading([text], "numbered", complete=False)
    assert [task.id for task in cut.released] == ["1", "2"]
    assert [(p.kind, p.line) for p in cut.problems] == [("truncated", 3)]
    assert Reading([text + "\n"], "numbered", complete=False).plan is not None


def test_a_later_round():
    """Earlier results can be read, `1_2` too; a number that is used again is the new one's."""
    earlier = {"1": "x", "2": "y", "1_2": "z"}
    text = '3. compare($1, $1_2)\n1. search("$2 and $1_2")\n4. math("$1")\n5. join($1)\n'
    reading = Reading([text], "numbered", earlier=earlier, taken=["1", "2", "1_2"])
    assert edges(reading.plan) == {"3": ("1", "1_2"), "1_3": ("2", "1_2"), "4": ("1_3",)}
    assert reading.plan.final == Join(("1_3",))


def test_deep_and_long_lines_within_the_limits_are_plans():
    """The limits themselves are allowed."""
    assert plan_of("1. combine(" + "[" * 19 + "]" * 19 + ")")
    assert plan_of('1. search("' + "a" * 200_000 + '")')
