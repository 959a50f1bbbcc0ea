# ruff: noqa: D103 - tools and helpers of a test are read where they stand
from __future__ import annotations

import pytest

from compiler_nb.errors import PlanError
from compiler_nb.plan.builder import Builder
from compiler_nb.plan.expression import Binary, Field, Item, Text, spell
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Join, Return
from compiler_nb.plan.tree import Input, Ref
from compiler_nb.tool import Toolbox, tool
from tests.support.calls import in_python, performed
from tests.support.plans import Reading, edges, kinds, problems, read

COVERS = ("line.py", "reading.py")


def plan_of(text: str, **options) -> Plan:
    return read(text, "python", **options)


def only_problem(text: str, **options):
    found = problems(text, "python", **options)
    assert len(found) == 1, found
    return found[0]


PROGRAM = """\
# compare both coasts
ny = search("New York")
la = search('''Los
Angeles''', k=3)
names = ["a", "é"]
alias = ny
rows = {n: fetch(f"{n} of {alias}") for n in names if n != "b"}
dear = max(rows, key=lambda n: len(rows[n]))
note = summarize(f"Why {dear}? {rows[dear]!r:>10}", max_words=len(
    combine([ny, la])))  # nested
send_email("a@b", note)
answer({"note": note, "coast": "NY" if ny > la else "LA"})
"""


# ------------------------------------------------------------------- what a line becomes


def test_a_call_is_a_task_with_its_arguments_as_data():
    """`name = tool(...)` becomes a call; names become references, literals stay what they are."""
    plan = plan_of("a = search('x', k=-3)\nb = combine([a, {'deep': (a, [1, -2.5, None, True])}])")
    assert (plan["a"].kind, plan["a"].tool, plan["a"].args, plan["a"].kwargs) == ("call", "search", ("x",), {"k": -3})
    assert plan["b"].args == ([Ref("a"), {"deep": (Ref("a"), [1, -2.5, None, True])}],)
    assert edges(plan) == {"a": (), "b": ("a",)}


def test_a_pure_expression_is_a_task_of_its_own_kind():
    """What calls no tool is evaluated inline: a task of kind expr."""
    plan = plan_of("a = search('x')\nb = a['n'] + 1\nc = combine([b * 2])")
    assert (plan["b"].kind, plan["b"].tool) == ("expr", "")
    assert plan["b"].args == (Binary(Item(Ref("a"), "n"), "+", 1),)
    assert plan["c"].args == ([Binary(Ref("b"), "*", 2)],)


def test_literals_and_aliases_are_inlined_away():
    """`name = literal` and `name = other` are no tasks; what they stand for is written where they are used."""
    plan = plan_of("a = search('x')\nb = a\nk = [1, 2]\nc = combine([b, k, city])\nd = city\ne = search(d)")
    assert edges(plan) == {"a": (), "c": ("a",), "e": ()}
    assert plan["c"].args == ([Ref("a"), [1, 2], Input("city")],)
    assert plan.inputs == ("city",)


def test_an_alias_keeps_its_meaning_when_the_name_is_assigned_again():
    """An alias stands for the task of then, not for the name."""
    plan = plan_of("a = search('x')\nb = a\na = search('y')\nc = compare(a, b)")
    assert plan["c"].args == (Ref("a_2"), Ref("a"))


def test_nested_calls_are_numbered_in_order_of_evaluation():
    """The calls in a statement are name.1, name.2, ...; inner ones come first."""
    plan = plan_of("n = compare(summarize(search('x')), f'{search(city)}!')\nm = search('y')['a'] + len(search('z'))")
    assert [task.id for task in plan] == ["n.1", "n.2", "n.3", "n", "m.1", "m.2", "m"]
    assert edges(plan)["n"] == ("n.2", "n.3")
    assert edges(plan)["n.2"] == ("n.1",)
    assert plan["m"].kind == "expr"


def test_bare_calls_are_numbered_by_statement():
    """A call without a name is @n, and statements are counted, comments are not."""
    plan = plan_of("# x\na = now()\n\nsearch('y')\nb = 1\nsummarize(search('z'))")
    assert [task.id for task in plan] == ["a", "@2", "@4.1", "@4"]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("{k: len(t) for k, t in rows.items()}", "fanout"),
        ("[len(t) for t in rows.values() if True]", "fanout"),
        ("{k: (k, n) for n, k in enumerate(rows)}", "fanout"),
        ("[len(rows[k]) for k in ['a', 'b']]", "fanout"),
        ("[t for k, t in rows.items() if t]", "expr"),  # the condition reads every item
        ("{t: k for k, t in rows.items()}", "expr"),  # so does the key
        ("sorted([len(t) for t in rows.values()])", "expr"),
        ("[x for t in rows.values() for x in t]", "expr"),
        ("{len(t) for t in rows.values()}", "expr"),
        ("[x for x in city]", "expr"),
    ],
)
def test_a_plain_comprehension_over_a_fanout_is_linked_item_by_item(line, kind):
    """As one with a call is, if it needs no value whole; it reads back as the same plan."""
    plan = plan_of(f"rows = {{k: search(k) for k in ['a', 'b']}}\nx = {line}\n")
    assert plan["x"].kind == kind
    assert plan_of(plan.to_text()) == plan


def test_a_name_assigned_twice_is_two_tasks():
    """The later one is a_2, and later references mean it."""
    plan = plan_of("a = search('x')\na = summarize(a)\na = summarize(a)\nb = combine([a])")
    assert edges(plan) == {"a": (), "a_2": ("a",), "a_3": ("a_2",), "b": ("a_3",)}


@pytest.mark.parametrize(
    ("lines", "last"),
    [
        ("a, b = b, a", {"a": "b", "b": "a"}),
        ("a = b", {"a": "b"}),
        ("a = b = None", {"a": None, "b": "a_2"}),
        ("a = city", {"a": Input("city")}),
        ("c = a\na = b\na = c", {"a": "a"}),
        ("a = a", {}),
        ("sum = now()\nsum = 5", {"sum_2": 5}),
    ],
)
def test_a_name_that_is_given_another_value_means_it(lines, last):
    """Two names that change places, an alias or a literal: the name has a task that says what it means in the end."""
    plan = plan_of(f"a = search('x')\nb = search('y')\n{lines}\nn = combine([a, b])\n")
    again = {task.name: task.args[0] for task in plan if task.kind == "expr"}
    assert again == {name: Ref(value) if type(value) is str else value for name, value in last.items()}
    read = plan_of(plan.to_text())
    assert [(task.name, task.fingerprint) for task in read] == [(task.name, task.fingerprint) for task in plan]


def test_fanouts_that_change_places_are_linked_item_by_item():
    """As a fan-out of all its items; what reads one item waits for that one."""
    plan = plan_of("xs = [search(t) for t in ['a']]\nys = {t: fetch(t) for t in ['b']}\nxs, ys = ys, xs\n")
    assert [(task.id, task.name, task.kind) for task in plan][2:] == [
        ("xs_2", "xs", "fanout"),
        ("ys_2", "ys", "fanout"),
    ]
    assert plan.to_text().splitlines()[2:] == [
        "old_xs = xs", "xs = {key: each for key, each in ys.items()}", "ys = [each for each in old_xs]", "join()"
    ]  # fmt: skip
    assert plan_of(plan.to_text()) == plan


@pytest.mark.parametrize("name", ["sum", "list", "In", "display", "search", "join", "answer", "print"])
def test_a_name_that_is_taken_is_renamed(name):
    """Builtins, IPython's names, tools, join and answer are renamed in the plan before anything starts."""
    plan = plan_of(f"{name} = search('x')\nb = summarize({name})")
    assert edges(plan) == {f"{name}_2": (), "b": (f"{name}_2",)}


def test_a_tool_and_its_result_may_share_a_name():
    """In call position a name means the tool, elsewhere the task or the input."""
    weather = tool(name="weather")(lambda city: city)
    plan = plan_of("weather = weather('Kyoto')\nx = weather(weather)", tools=Toolbox([weather]), inputs=())
    assert edges(plan) == {"weather_2": (), "x": ("weather_2",)}
    assert plan_of("x = weather(weather)", tools=Toolbox([weather]), inputs=["weather"])["x"].args == (
        Input("weather"),
    )


def test_a_comment_above_a_task_is_its_note():
    """Lines of comment directly above; a blank line parts them from the task."""
    plan = plan_of("# far\n\n# one\n#  two\na = now()\nb = now()  # behind\n")
    assert (plan["a"].note, plan["b"].note) == ("one two", "")


def test_await_before_a_call_is_ignored():
    """Models like to write it."""
    assert edges(plan_of("a = await search('x')\nb = summarize(await fetch(a))\nawait now()")) == {
        "a": (), "b.1": ("a",), "b": ("b.1",), "@3": (),
    }  # fmt: skip


def test_an_f_string_holds_its_references():
    """The fields of an f-string are trees, the rest is text; without fields it is a literal."""
    plan = plan_of("a = search('x')\nb = search(f'{{a}} {a[0]!r:>5} {1.5:.1f}')\nc = search(f'plain {{}}')")
    assert plan["b"].args == (Text(("{a} ", Field(Item(Ref("a"), 0), "r", ">5"), " ", Field(1.5, "", ".1f"))),)
    assert plan["c"].args == ("plain {}",)


@pytest.mark.parametrize(
    "text",
    [
        "a, b = pair('x')\nc = load(b, a)",
        "a, b = load(1), load(2)\na, b = b, a\nc = load(a)",
        "(a, b), c = [pair(1), load(2)]",
        "(a, _), b = pair(1), 2\nc = [a, b]",
        "[a, b] = [x * 2 for x in pair('y')]\nc = a - b",
        "_, c = pair('z')",
        "a, b, e, d = xs\nc = load(a, b, e, d)",
        "k, c = next((k, v) for k, v in rows.items() if v == 0)",
        "a = b = load(1)\nc = load(a, b)",
        "a, b = 'xy'\nc = b + a",
    ],
)
def test_a_result_is_unpacked_as_in_python(text):
    """Each name gets its part, read before any of the names changes; the calls are made once."""
    calls, names = in_python(text)
    made, outcomes = performed(text)
    assert (outcomes["c"], made) == (names["c"], calls)


def test_a_result_of_another_length_does_not_unpack():
    """It is a failure of the names, as in Python, and never the first items in silence."""
    with pytest.raises(AssertionError, match="cannot be unpacked"):
        performed("a, b = parts('xy')\nc, d, e, f, g = parts('a')")


def test_the_first_that_fits_is_found_with_next():
    """Of a generator, with a default or without; nothing found is a failure that says so."""
    for text in ("v = next(x for x in xs if x < 3)", "v = next((x for x in xs if x > 5), city)"):
        assert performed(text)[1]["v"] == in_python(text)[1]["v"]
    with pytest.raises(AssertionError, match="give a default"):
        performed("v = next(x for x in xs if x > 5)")


def test_what_stands_first_is_called_first():
    """The calls of a method's object come before those of its arguments, the value of a field before its format."""
    plan = plan_of("n = search('x').replace(fetch('a'), fetch('b'))\nm = f'{now():>{len(search(city))}}'")
    assert [(task.id, task.tool) for task in plan if task.tool] == [
        ("n.1", "search"), ("n.2", "fetch"), ("n.3", "fetch"), ("m.1", "now"), ("m.2", "search"),
    ]  # fmt: skip


# ------------------------------------------------------------------- fan-outs


def test_a_list_comprehension_with_a_call_is_a_fanout():
    """One task of kind fanout; what it reads are its dependencies, the loop's name is not."""
    plan = plan_of("xs = search('x')\npages = [fetch(x) for x in xs if x != 'b']\nn = len(pages)")
    assert plan["pages"].kind == "fanout"
    assert edges(plan) == {"xs": (), "pages": ("xs",), "n": ("pages",)}
    node = plan["pages"].args[0]
    assert (node.container, node.target, [step.id for step in node.steps]) == ("list", "x", [""])


def test_a_dict_comprehension_may_chain_calls():
    """The calls of one element are steps .1, .2, ...; the element's own call has no suffix."""
    plan = plan_of("rows = {a: summarize(fetch(a)) for a, b in zip(city, city)}\nn = [{'p': fetch(x)} for x in rows]")
    node = plan["rows"].args[0]
    assert (node.container, node.target, [step.id for step in node.steps]) == ("dict", ("a", "b"), [".1", ""])
    assert [step.id for step in plan["n"].args[0].steps] == [".1"]


def test_a_fanout_within_an_expression_is_a_part():
    """It is a nested task; a generator counts as a list."""
    plan = plan_of("n = sum(len(fetch(x)) for x in city)")
    assert [(task.id, task.kind) for task in plan] == [("n.1", "fanout"), ("n", "expr")]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a = next(fetch(x) for x in city)", "nested_call"),
        ("a = any(send_email(x, 'y') for x in city)", "nested_call"),
        ("a = [[fetch(y) for y in x] for x in city]", "nested_call"),
        ("a = [send_email(x, fetch(x)) for x in city]", "nested_call"),
        ("a = max(city, key=lambda x: fetch(x))", "nested_call"),
        ("a = max(city, key=lambda x: fetch(x) if x else 0)", "nested_call"),
        ("a = city and fetch('x')", "nested_call"),
    ],
)
def test_data_never_chooses_calls(text, kind):
    """A call whose number or making data would decide in another way than by one `for` is refused."""
    assert kinds(text, "python") == [kind]


def test_side_effects_stand_alone():
    """On a line of their own, or as the only call of a fan-out."""
    assert (
        plan_of("x = now()\nsend_email('a', x)\nall_ = [send_email(c, 'b') for c in city]")["@2"].tool == "send_email"
    )
    assert kinds("a = summarize(send_email('a', 'b'))", "python") == ["nested_call"]
    assert kinds("a = [{'s': send_email(c, 'b')} for c in city]", "python") == ["nested_call"]


# ------------------------------------------------------------------- the end


@pytest.mark.parametrize(
    ("line", "final"),
    [
        ("join()", Join()),
        ("join(a, b, a)", Join(("a", "b"))),
        ("join(a, instruction='be brief')", Join(("a",), "be brief")),
        ("answer(a)", Return(Ref("a"))),
        ("answer({'x': [a, b]})", Return({"x": [Ref("a"), Ref("b")]})),
        ("", Join()),
    ],
)
def test_the_last_line_says_what_becomes_of_the_results(line, final):
    """join(...) names results for the joiner, answer(...) is the answer, and no last line means join()."""
    assert plan_of(f"a = search('x')\nb = search('y')\n{line}").final == final


def test_what_join_and_answer_compute_are_tasks():
    """Calls in answer(...), and expressions in join(...), are generated tasks."""
    assert edges(plan_of("a = now()\nanswer(summarize(a))")) == {"a": (), "answer.1": ("a",)}
    plan = plan_of("a = now()\njoin(a, a[0])")
    assert (plan.final, plan["join.1"].kind) == (Join(("a", "join.1")), "expr")
    assert plan_of("a = now()\nk = [1]\njoin(a, k)")["join.1"].args == ([1],)


@pytest.mark.parametrize(
    "text",
    ["join()\na = now()", "a = now()\njoin(a)\njoin(a)", "a = join()", "a = now()\nanswer()", "answer(1, 2)",
     "a = now()\njoin(5)", "a = now()\njoin(a, why='x')", "a = now()\njoin(a, instruction=f'about {a}')"],
)  # fmt: skip
def test_the_end_stands_alone_and_last(text):
    """Anything after it, and anything else of it, is a problem of kind join."""
    assert "join" in kinds(text, "python")


def test_a_literal_answer_is_a_plan():
    """`answer(5)` alone is one, `join()` alone is empty."""
    assert plan_of("answer(5)").final == Return(5)
    assert kinds("join()", "python") == ["empty"]


def test_in_a_cell_the_last_value_is_the_answer():
    """With implied="value" a plan without a last line ends in its last statement's value."""
    assert plan_of("a = now()\nb = 5", implied="value").final == Return(5)
    assert plan_of("b = 5\na = now()", implied="value").final == Return(Ref("a"))


# ------------------------------------------------------------------- problems


@pytest.mark.parametrize(
    ("text", "kind", "line", "column", "hint"),
    [
        ("a = search(df.to_head)", "attribute", 1, 12, 'value["to_head"]'),
        ("é = search(df._head)", "attribute", 1, 12, "cannot be read"),
        ("  é = search(df._head)", "attribute", 1, 14, "cannot be read"),
        ("é = 東(1)", "unknown_tool", 1, 5, "The tools are"),
        ("a = compare(\n    'é', df._é,\n)", "attribute", 2, 10, "cannot be read"),
        ("a = compare('x',\n  zearch('é'))", "unknown_tool", 2, 3, "Did you mean 'search'"),
        ("é = = 1", "syntax", 1, 5, "with text in quotes"),
        ("Write a plan", "syntax", 1, 7, "write name = tool(...), or # before a comment"),
        ("for x in city:\n    search(x)", "statement", 1, 1, "[tool(x) for x in xs]"),
        ("a = sarch('x')", "unknown_tool", 1, 5, "Did you mean 'search'"),
        ("a = search(cty)", "missing_ref", 1, 12, "Did you mean 'city'"),
        ("a = search(len)", "missing_ref", 1, 12, "call it: len(...)"),
        ("a = search('x', q=1)", "bad_args", 1, 5, "has no argument 'q'"),
        ("a, *b = now()", "statement", 1, 1, "first = name[0] and rest = name[1:]"),
        ("a: str = now()", "statement", 1, 1, "leave out the annotation"),
        ("df['x'] = now()", "statement", 1, 1, "name of its own"),
        ("_a = now()", "dunder", 1, 1, "begins with a letter"),
        ("a = df['_x']", "dunder", 1, 5, "cannot be read"),
        ("a = max(city, default=1, q=2)", "bad_args", 1, 5, "takes no q="),
        ("a = df.dropna(inplace=True)", "bad_args", 1, 5, "leave out inplace, and name what it gives"),
        ("a = df.dropna(limit=1)", "bad_args", 1, 5, "takes no limit="),
        ("a = df.agg(max)", "expression", 1, 12, 'by its name, as text: "max"'),
        ("a = search(*city)", "star_args", 1, 5, "one by one"),
        ("a = b'x'", "expression", 1, 5, "write text or a number"),
        ("a = 1 if df._x else 2", "attribute", 1, 10, "cannot be read"),
        ("city + 'x'", "statement", 1, 1, "a line of a plan"),
        ("len(city)", "statement", 1, 1, "give it a name"),
        ("a = now(); b = now()", "statement", 1, 12, "each its own"),
        ("a = [x for x in city for x in x]", "bad_name", 1, 26, "another name"),
        ('a = search(f"{df["x"]}")', "fstring", 1, 1, "other kind of quotes"),
        ("a = search(\n f'{city:>101}')", "fstring", 2, 0, "leave it out"),
        (f"a = search(\n f'{{city:{'0' * 30}1{'0' * 9}}}')", "fstring", 2, 0, "leave it out"),
        ("a = (lambda: 1)()", "expression", 1, 5, "by its name"),
        ("x = lambda a: a", "expression", 1, 5, "key="),
    ],
)
def test_a_problem_says_what_where_and_how_to_fix_it(text, kind, line, column, hint):
    """Kind, line and column from 1 (characters, not bytes), and the way to write it instead."""
    problem = only_problem(text)
    assert (problem.kind, problem.line, column and problem.column) == (kind, line, column)
    assert hint in problem.message


def test_all_problems_are_reported_and_none_twice():
    """Reading goes on after a problem; what refers to a task that was refused is no further problem."""
    text = "a = search(nope)\nb = summarize(a)\nc = compare(sarch('x'), serch('y'))\nd = summarize(c, q=1)\n"
    assert [(p.kind, p.line) for p in problems(text, "python")] == [
        ("missing_ref", 1), ("unknown_tool", 3), ("unknown_tool", 3), ("bad_args", 4),
    ]  # fmt: skip


def test_a_block_is_one_problem():
    """The indented lines under a `for` are not looked at."""
    assert kinds("for x in city:\n    y = zap(x)\n\n    del y\na = now()", "python") == ["statement"]


def test_quotes_after_an_f_are_no_f_string():
    """A string that ends in "f" before a brace is not taken for an f-string."""
    assert plan_of('a = compare("f", {"x": 1})')["a"].args == ("f", {"x": 1})
    assert plan_of('a = compare("40 f", "{")')["a"].args == ("40 f", "{")


def test_literals_behind_names_stay_within_bounds():
    """Names cannot be used to write out a literal that is too large or too deep."""
    doubled = ["a0 = [1, 1]", *(f"a{n + 1} = [a{n}, a{n}]" for n in range(40)), "x = combine(a40)"]
    assert kinds("\n".join(doubled), "python") == ["too_large"]
    nested = ["a0 = []", *(f"a{n + 1} = {'[' * 15}a{n}{']' * 15}" for n in range(40)), "x = combine(a40)"]
    assert set(kinds("\n".join(nested), "python")) == {"too_deep"}
    long = ["a = '" + "x" * 100_000 + "'", *(f"b{n} = search(a)" for n in range(1_000))]
    assert set(kinds("\n".join(long), "python")) == {"too_large"}


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("a.pipe(f)", ".pipe() cannot be called in a plan: use a tool. Only these can: of text split, strip"),
        ("a['x'].any()", ".any() cannot be called in a plan: use a tool, or write any(value) of a list or a column"),
        ("a.to_csv()", ".to_csv() cannot be called in a plan: use a tool, or write answer(df) at the end"),
        ("a.to_excel()", ".to_excel() cannot be called in a plan: use a tool. Only these"),
        ("a.query('x > 1')", 'use a tool, or write a filter, df[df["age"] > 9]'),
        ("pd.read_csv('x')", "pd.read_csv() cannot be called in a plan: use a tool. Write df, a table that"),
        ("pd.read_x('x')", "pd.read_x() cannot be called in a plan: use a tool. There are pd.concat"),
        ("'{}'.format(a)", "use a tool, or write an f-string"),
        ("a.append(1)", "use a tool, or write value + [item]"),
        ("a.iloc(3)", ".iloc() cannot be called in a plan: use a tool. Only these"),
        ("a.iat[0]", "cells cannot be read by .iat in a plan: write .iloc[...]"),
        ("a.to_csv", 'a column or a key is value["to_csv"]'),
    ],
)
def test_a_method_or_an_attribute_is_replaced_by_what_says_the_same(expression, hint):
    """An item only if it may be one."""
    problem = only_problem(f"a = now()\nb = {expression}")
    assert problem.kind == "attribute"
    assert hint in problem.message
    assert ("value[" in problem.message) == (expression == "a.to_csv")


def test_a_name_used_before_its_line_is_told_so_once():
    """With the line that gives it; two lines that need each other are a cycle."""
    found = problems("b = summarize(a)\nc = compare(a, b)\na = search('x')", "python")
    assert [(p.kind, p.line, p.message) for p in found] == [
        ("forward_ref", 1, "'a' is given in line 3 only: move that line above this one")
    ]
    problem = only_problem("a = summarize(b)\nc = summarize(a)\nb = summarize(c)")
    assert (problem.kind, problem.line) == ("cycle", 1)
    assert "'a' and 'b' need each other" in problem.message


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\nx += len(city)\ny = summarize(x)",
        "import pandas as pd\ny = summarize(pd)",
        "if city:\n    b = search('x')\nelse:\n    b = now()\ny = summarize(b)",
        "for c in city:\n    b = search(c)\ny = summarize(b)",
        "try:\n    b = search('x')\nexcept Exception as error:\n    b = None\ny = compare(b, error)",
        "a, *b = now()\ny = compare(a, b)",
        "a: str = now()\ny = summarize(a)",
        "a = search('x'))\ny = summarize(a)",
        "with open('x') as file:\n    b = file\ny = summarize(b)",
        "a = search('it')s\ny = summarize(a)",
    ],
)
def test_what_follows_from_one_mistake_is_not_reported(text):
    """Of a name that a refused line would have given, no further problem is told."""
    only_problem(text)


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("a = search(Barbie)", 12, 'Text stands in quotes: "Barbie"'),
        ("a = search(cty)", 12, "Did you mean 'city'?"),
        ("a = summarize(true)", 15, "Did you mean True?"),
        ("res = now()\na = summarize(rse)", 15, "Did you mean 'res'?"),
        ("a = lenn(city)", 5, "Did you mean 'len'?"),
        ("a = [summarize(pgae) for page in city]", 16, "Did you mean 'page'?"),
        ("a = search(\u201cx\u201d)", 12, "straight quotes"),
        ('a = search("x\u201d)', 12, "straight quotes"),
        ('a = search("x)', 12, 'not closed: end it with "'),
        ("a = search(f'x)", 12, "not closed: end it with '"),
        ("a = search('x'", 11, "the ( that stands here is not closed: write ) at its end"),
        ("a = compare(now(), [1, 2\nb = now()", 20, "the [ that stands here is not closed: write ]) at its end"),
        ('a = search("""x\ny', 12, 'the """ that stands here is not closed: write """) at its end'),
        ("a = search('x'))", 16, "leave out this bracket"),
        ("a = search(['x'))", 16, "its own kind"),
        ("print(city)", 1, "end the plan with answer(value)"),
        ("a = input('Which city?')", 5, "offer a variable of the notebook"),
        ("x = 1\nx += now() * 2", 1, "write it out: x = x + now() * 2"),
        ("x = 1\nx *= city + 'a'", 1, "write it out: x = x * (city + 'a')"),
        ("a = search(x := 'b')", 12, "on a line of its own"),
        ('a = search(f"{df["x"]}")', 1, "the other kind of quotes inside it, or give the value a line of its own"),
    ],
)
def test_a_mistake_of_a_student_has_its_own_words(text, column, hint):
    """What is wrong, where it stands, and what to write."""
    problem = only_problem(text)
    assert hint in problem.message
    assert problem.column == column


def test_a_text_that_goes_over_lines_is_one_problem():
    """What follows it is its rest, up to the next line of a plan; problems of another kind are still told."""
    found = problems("a = search('one\ntwo, three\nfour')\nb = search('x')\nc = zearch('y'))", "python")
    assert [(problem.line, problem.kind) for problem in found] == [(1, "syntax"), (5, "syntax")]
    assert '"""..."""' in found[0].message


@pytest.mark.parametrize("place", ["search({})", "search(k={})", "[{}, 1]", "city == {}", "df[{}]"])
def test_where_a_text_may_stand_a_name_may_lack_its_quotes(place):
    """As an argument, an item, a key, or what something is compared with."""
    assert 'Text stands in quotes: "Barbie"' in only_problem(f"a = {place.format('Barbie')}").message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a = frame.sum()", "called 'frame'. There are: city, df"),
        ("a = dff['x'].sum()", "Did you mean 'df'?"),
        ("a = frame.columns", "There are: "), ("a = frame[0]", "There are: "), ("a = frame * 2", "There are: "),
        ("a = [x for x in frame]", "There are: "), ("a = 1 if frame else 2", "There are: "),
        ("a = f'{frame}'", "There are: "), ("join(frame)", "There are: "),
        ("a = np.array(df)", "There are: city, df; modules cannot be used in a plan"),
        ("a = tools.search('x')", "Call the tool itself: search(...)"),
        ("a = str.join(', ', df)", "Write value.join(...) with a value of your own"),
    ],
)  # fmt: skip
def test_where_no_text_can_stand_no_quotes_are_asked_for(text, hint):
    """As a table whose method is called, an operand, or what a `for` goes through."""
    message = only_problem(text).message
    assert hint in message
    assert "quotes" not in message


# ------------------------------------------------------------------- as text arrives


def released(pieces, *, complete: bool = True):
    return Reading(pieces, "python", complete=complete).released


@pytest.mark.slow
def test_how_the_text_arrives_does_not_matter():
    """Whole, in characters, and split in two anywhere: the same tasks in the same order."""
    whole = Reading([PROGRAM], "python")
    assert whole.plan is not None
    assert whole.released == list(whole.plan.tasks)
    assert Reading(PROGRAM, "python").released == whole.released
    for at in range(len(PROGRAM)):
        reading = Reading([PROGRAM[:at], PROGRAM[at:]], "python")
        assert reading.released == whole.released, at
        assert reading.plan == whole.plan, at


def test_a_task_is_released_by_its_line_feed():
    """Not before, and a string or a bracket that is open keeps the statement open."""
    parser = PlanParser(dialect="python")
    assert parser.feed('a = f("x")') == []
    assert [task.id for task in parser.feed("\n")] == ["a"]
    assert parser.feed('b = f("""x\n\n"""') == []
    assert parser.feed("\n") == []
    assert [task.id for task in parser.feed(")\n")] == ["b"]


def test_an_unterminated_line_counts_only_where_its_author_ended_it():
    """close(complete=False) drops it with the problem truncated, and there is no implied join."""
    assert [task.id for task in released(["a = now()\nb = now()"])] == ["a", "b"]
    cut = Reading(["a = now()\nb = now()"], "python", complete=False)
    assert [task.id for task in cut.released] == ["a"]
    assert [problem.kind for problem in cut.problems] == ["truncated"]
    assert [problem.kind for problem in Reading(["a = now()\n"], "python", complete=False).problems] == ["truncated"]


def test_nothing_is_released_after_the_first_problem():
    """What came before may have started; what comes after does not."""
    assert [task.id for task in released(["a = now()\n", "b = nope(1)\n", "c = now()\n"])] == ["a"]


def test_names_of_earlier_rounds_are_results_and_ids_stay_unique():
    """A later round's plan may read earlier results; an id that is taken gets a number."""
    builder = Builder(earlier={"ny": "f1"}, taken=["ny", "la"])
    assert builder.resolve("ny") == Ref("ny")
    parser = PlanParser(dialect="python", earlier={"ny": "f1"}, taken=["ny", "la"])
    tasks = parser.feed("la = f(ny)\nny = f(la)\n")
    assert [(task.id, task.dependencies) for task in tasks] == [("la_2", ("ny",)), ("ny_2", ("la_2",))]


# ------------------------------------------------------------------- written again


def test_a_plan_can_be_written_again():
    """Each task's own text, read again, gives the same fingerprints."""
    plan = plan_of(PROGRAM)
    again = plan_of(plan.to_text("python"))
    assert [task.fingerprint for task in again] == [task.fingerprint for task in plan]
    assert spell(again.final.expression) == spell(plan.final.expression)


@pytest.mark.parametrize(
    ("text", "column", "told"),
    [
        ("a = search([1, 2)\nb = search(a)\nanswer(b)", 17, "the ) that stands here closes a [: write ] before it"),
        ("a = search({'k': [1]\n)\nanswer(a)", 1, "the ) that stands here closes a {: write } before it"),
        ("a = search((1, 2]\nanswer(a)", 17, "the ] that stands here closes a (: write ) before it"),
    ],
)
def test_a_bracket_that_closes_one_of_another_kind_is_pointed_at(text, column, told):
    """And not the outermost, which would stay open after what the hint says."""
    found = only_problem(text)
    assert (found.kind, found.column, found.message) == ("syntax", column, told)


@pytest.mark.parametrize(
    "line",
    ["let a = search('x');", "const a = search('x')", "a <- search('x')", "a == search('x')", "a := search('x')"],
)
def test_a_name_given_as_in_another_language_is_one_problem(line):
    """The lines that read it are right, once it is given."""
    assert only_problem(f"{line}\nb = search(a)\nanswer(b)").line == 1


def test_an_if_with_an_else_that_give_one_name_is_told_to_be_one_guarded_line():
    """Two guarded lines would give the name twice, and the second alone would count."""
    message = only_problem(
        "if yes:\n    a = search('x')\nelse:\n    a = search('y')\nanswer(a)", inputs=["yes"]
    ).message
    assert "write name = tool(...) if test else other(...)" in message


@pytest.mark.parametrize("text", ["b = f(a\r or 'z')\nc = f(a\r or')", "x = f(\r'", "x = f(\r\n'\r", "x = 'a\rb\rc"])
def test_a_carriage_return_within_a_statement_that_cannot_be_read(text):
    """Python ends a line there, and counts it: the problem is named all the same."""
    with pytest.raises(PlanError, match="is not closed"):
        Plan.parse(text, tools=None)
