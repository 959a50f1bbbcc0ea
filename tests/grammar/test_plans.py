"""The grammar of the tools: what it writes is accepted, what a plan says in its words is in it, and engines take it."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Annotated, Any, Literal

import jsonschema
import pytest

from compiler_nb.errors import OptionError, PlanError
from compiler_nb.grammar.plans import CANNOT_SAY, LEFT_OUT, make_grammar
from compiler_nb.grammar.spelling import Leeway
from compiler_nb.plan.plan import Plan
from compiler_nb.tool import Tool, Toolbox, tool
from tests.support.corpus import INPUTS, JSON, NUMBERED, PYTHON, TOOLS
from tests.support.grammars import Matcher, Writer, random_toolbox
from tests.support.plans import kinds

COVERS = ("domain.py", "python.py", "printers.py", "rules.py", "schema.py", "spelling.py")
DIALECTS = ("numbered", "json", "python")
ESCAPE = re.compile(r'\\["\\nt]')


@tool
def weather(city: str, unit: Literal["C", "F"] = "C", *, days: int = 1) -> dict:
    """Return the weather."""


@tool
def compare(a: object, b: object) -> str:
    """Compare two values."""


@tool
def plot(table: dict[str, float], points: list[int], title: str | None = None) -> None:
    """Draw a table."""


@tool(side_effects=True)
def send(to: str, body: Any, urgent: bool = False) -> None:
    """Send a mail."""


BOX = Toolbox([weather, compare, plot, send])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"lines": 2.5}, "lines must be a whole number from 1 to 100, not 2.5"),
        ({"lines": 0}, "lines must be a whole number from 1 to 100, not 0"),
        ({"lines": 10**6}, "lines must be a whole number from 1 to 100, not 1000000"),
        ({"least": None}, "least must be a whole number from 0 to 100, not None"),
        ({"first": 0}, "first must be a whole number from 1 to 1,000,000, not 0"),
        ({"inputs": "home"}, r"inputs must be a list of names, such as \['home'\], not 'home'"),
        ({"inputs": [1]}, "inputs must be a list of names"),
        ({"earlier": None}, "earlier must be a list of names"),
    ],
)
def test_an_argument_of_a_wrong_kind_is_named_with_its_bounds(wrong, words):
    """A text of names would be read letter by letter, and a million lines would take all memory."""
    with pytest.raises(OptionError, match=words):
        BOX.grammar("numbered", **wrong)


def allows(text: str, dialect: str, box: Toolbox = BOX, inputs: tuple[str, ...] = (), lines: int = 4) -> bool:
    """Whether a grammar allows a text."""
    return Matcher(make_grammar(box, dialect, Leeway(inputs, lines=lines)), text).matches()


@pytest.mark.slow
@pytest.mark.promise
@pytest.mark.parametrize("dialect", DIALECTS)
def test_two_thousand_random_texts_of_random_tools_are_accepted(dialect):
    """Each is a plan for its tools, read as its dialect or without being told; only a key of a dict may be repeated."""
    repeated = 0
    for seed in range(200):
        random = Random(seed)
        box, inputs = (
            random_toolbox(random, random.randrange(6)),
            random.choice([(), ("city", "df"), ("größe", "t1", "x")]),
        )
        writer = Writer(make_grammar(box, dialect, Leeway(inputs, lines=4)), random)
        for _ in range(10):
            text = writer.text()
            for asked in (dialect, "auto"):
                found = kinds(text, asked, tools=box, inputs=inputs)
                assert set(found) <= {"duplicate_key"}, (seed, text, found)
                repeated += bool(found)
    assert repeated < 100
    assert "repeated" in CANNOT_SAY


@pytest.mark.slow
@pytest.mark.parametrize("case", [*NUMBERED, *JSON, *PYTHON], ids=lambda case: case.name)
def test_a_plan_of_the_corpus_is_in_the_grammar_if_it_is_accepted(case):
    """Written in the words of the grammar, each plan is in it; those of the core in python, and no refused one is."""
    text = case.text() if callable(case.text) else case.text
    if case.expected.kinds:
        assert not allows(text, case.dialect, TOOLS, INPUTS, 12)
        return
    plan = Plan.parse(text, dialect=case.dialect, tools=TOOLS, inputs=INPUTS)
    try:
        text = spelled(plan, case.dialect)
    except PlanError:
        pytest.skip("it cannot be written in its dialect")
    assert allows(text, case.dialect, TOOLS, INPUTS, 12) == (case.name not in BEYOND), text


BEYOND = {
    *("p_ok_containers", "p_rebind_own_ref", "p_float_nan_call", "p_pow_bomb", "p_comprehension_bomb", "p_generator"),
    *("p_boolop", "p_not", "p_fstring_conversion", "p_guarded", "p_guarded_by_a_call", "p_guarded_fanout"),
    *("p_subscript_by_ref", "p_attribute"),
}
"""Plans of the corpus that are not of python's core."""


def spelled(plan: Plan, dialect: str) -> str:
    """Return a plan in the words of the grammar: without notes, its tasks named as the grammar names them."""
    if dialect == "numbered":
        return "".join(line for line in plan.to_text("numbered").splitlines(True) if not line.startswith("Thought"))
    names = {task.id: f"t{number}" for number, task in enumerate(plan, 1)}
    text = plan.to_text(dialect)
    for id_, name in names.items():
        text = re.sub(rf"\b{re.escape(id_)}\b(?!\()", f"\0{name}", text)
    text = text.replace("\0", "")
    if dialect == "python":
        return "".join(line for line in text.splitlines(True) if not line.startswith("#"))
    tasks = json.loads(text)["tasks"]
    for number, task in enumerate(tasks, 1):
        task["id"] = f"t{number}"
        if not task.get("deps"):
            task.pop("deps", None)
        parameters = [p.name for p in TOOLS[task["tool"]].parameters] if task["tool"] in TOOLS else []
        task["args"] = {parameters[int(key)] if key.isdecimal() else key: value for key, value in task["args"].items()}
    inner = ",\n  ".join(json.dumps(task, ensure_ascii=False) for task in tasks)
    return f'{{"tasks": [\n  {inner}\n]}}\n'


@pytest.mark.parametrize(
    "text",
    [
        '1. weather("Paris")\n2. weather(city="Oslo", days=2)\n3. compare($1.max, $2["max"])\n4. join($3)<END_OF_PLAN>',
        '1. weather(@city.name, "F")\n2. send("a@b", "${1[0]} costs $$1", urgent=True)\n3. join()<END_OF_PLAN>\n',
        '1. plot({"Ash": $1}, [1, 2])\n2. join()<END_OF_PLAN>',
        '1. answer({"a": [1, "x", None]})<END_OF_PLAN>',
    ],
)
def test_a_person_reads_what_is_allowed(text):
    """Calls by position and by name, items, results in texts, inputs; a line that refers to itself is not."""
    allowed = allows(text.replace('$2["max"]', "$2['max']"), "numbered", inputs=("city",))
    assert allowed == ("$1}" not in text or "plot" not in text)


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("numbered", '1. compare($1, $2)\n2. weather("x")\n3. join()<END_OF_PLAN>'),
        ("numbered", '1. compare("${2}", 1)\n2. weather("x")\n3. join()<END_OF_PLAN>'),
        ("numbered", '1. weather("x", "K")\n2. join()<END_OF_PLAN>'),
        ("numbered", "1. weather(5)\n2. join()<END_OF_PLAN>"),
        ("numbered", "1. weather()\n2. join()<END_OF_PLAN>"),
        ("numbered", "1. rain()\n2. join()<END_OF_PLAN>"),
        ("numbered", "1. weather(@secret)\n2. join()<END_OF_PLAN>"),
        ("numbered", "1. join()<END_OF_PLAN>"),
        ("json", '{"tasks": [\n  {"id": "t1", "tool": "weather", "args": {"city": "$t2"}}\n]}'),
        ("json", '{"tasks": [\n  {"id": "t1", "tool": "weather", "args": {"city": "\\u0024t2"}}\n]}'),
        ("json", '{"tasks": [\n  {"id": "t1", "tool": "weather", "args": {"city": "@secret"}}\n]}'),
        ("json", '{"tasks": [\n  {"id": "t1", "tool": "weather", "args": {"city": "x", "key": 1}}\n]}'),
        ("python", "t1 = compare(t2, 1)\njoin(t1)"),
        ("python", 't1 = weather("x")\njoin(t2)'),
        ("python", "t1 = open(1)\njoin()"),
        ("python", 't1 = weather("x").__class__\njoin()'),
    ],
)
def test_what_is_refused_cannot_be_written(dialect, text):
    """Later lines, unknown tools and inputs, wrong values, missing and unknown arguments, and an empty plan."""
    assert not allows(text, dialect, inputs=("city",))


def test_python_has_guards_fan_outs_and_expressions():
    """The core, line by line; the names are given, and free of those of tools and inputs."""
    text = (
        't1 = [weather(x) for x in ["Paris", "Oslo"]]\n'
        't2 = t1[0]["max"] - t1[1]["max"]\n'
        't3 = send("a@b", f"{t2:.1f} in {city}") if t2 > 3 else None\n'
        'answer("Paris" if t2 > 0 else "Oslo")'
    )
    assert allows(text, "python", inputs=("city",))
    clash = text.replace("t1", "t_1").replace("t2", "t_2").replace("t3", "t_3").replace("(x)", "(x_)")
    inputs = ("city", "t1", "x")
    assert allows(clash.replace("for x in", "for x_ in"), "python", inputs=inputs)
    assert Plan.parse(clash.replace("for x in", "for x_ in"), tools=BOX, inputs=inputs).tasks


@pytest.mark.parametrize("dialect", DIALECTS)
def test_names_and_descriptions_cannot_break_a_grammar(dialect):
    """Unicode names, values with quotes, brackets, ends of lines and signs of each form; a description is not in it."""

    def größe(wort: Literal['a"b\\n', "]/|^-\n", "$1 ${1}", "@city", "東"], *, class_: str = "") -> str:  # noqa: PLC2401 - users write such names
        """Say root ::= "evil" | %import x."""

    box = Toolbox([größe])
    text = Writer(make_grammar(box, dialect, Leeway(lines=2)), Random(1)).text()
    assert Plan.parse(text, dialect=dialect, tools=box)
    for form in ("gbnf", "lark"):
        written = box.grammar(dialect, form=form)
        assert "evil" not in written
        assert "größe" in written
        assert all(re.match(r"(r\d+|root|start) (::=|:) \S", line) for line in written.splitlines())
        used = set(re.findall(r"\br\d+\b", re.sub(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]', "", written)))
        assert used <= set(re.findall(r"^r\d+", written, re.MULTILINE))


def test_a_tool_that_cannot_be_called_yet_is_left_out():
    """A table is no literal: the tool waits for a line that returns one, or for an input."""

    def draw(table: bytes) -> str: ...

    box = Toolbox([draw, weather])
    assert not allows('1. draw("x")\n2. join()<END_OF_PLAN>', "numbered", box)
    assert allows("1. draw(@df)\n2. join()<END_OF_PLAN>", "numbered", box, ("df",))
    assert "draw" not in box.grammar("json", lines=1)
    assert "draw" in box.grammar("json", lines=2)
    only = Toolbox([draw])
    assert Writer(make_grammar(only, "numbered"), Random(1)).text().startswith("1. answer(")
    assert json.loads(only.grammar("json", form="json_schema"))


def large_box() -> Toolbox:
    """Return twenty tools, of three to five parameters each."""

    def one(query: str, k: int = 10, region: Literal["us", "eu", "asia"] = "us") -> list[dict]: ...
    def two(a: object, b: object, weights: list[float] | None = None, *, strict: bool = False) -> str: ...
    def three(table: dict[str, float], columns: list[str], limit: int = 5, order: str = "") -> str: ...
    def four(to: str, body: Any, cc: list[str], urgent: bool = False, day: Annotated[str, "a date"] = "") -> None: ...

    return Toolbox([Tool((one, two, three, four)[index % 4], name=f"some_tool_{index}") for index in range(20)])


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_twenty_tools_and_twelve_lines_are_small_and_always_the_same(dialect):
    """Under 200 kB in each form, word for word the same each time."""
    for form in ("gbnf", "lark", *(("json_schema",) if dialect == "json" else ())):
        text = large_box().grammar(dialect, ("city", "df"), form)
        assert len(text.encode()) < 200_000, (form, len(text.encode()))
        assert text == large_box().grammar(dialect, ("city", "df"), form)


@pytest.mark.slow
def test_a_schema_takes_the_same_plans():
    """A plan of the grammar is one of the schema if its texts have no quotes and no ends of lines."""
    found = 0
    for seed in range(30):
        random = Random(seed)
        box, inputs = random_toolbox(random, 4), random.choice([(), ("city", "df")])
        schema = jsonschema.Draft202012Validator(json.loads(box.grammar("json", inputs, "json_schema", 4)))
        writer = Writer(make_grammar(box, "json", Leeway(inputs, lines=4)), random)
        for text in (writer.text() for _ in range(10)):
            if not ESCAPE.search(text):
                assert not list(schema.iter_errors(json.loads(text))), text
                found += 1
    assert found > 200


@pytest.mark.slow
@pytest.mark.parametrize("case", JSON, ids=lambda case: case.name)
def test_a_refused_plan_is_not_one_of_the_schema(case):
    """What is JSON at all, and refused for what it says."""
    text = case.text() if callable(case.text) else case.text
    try:
        data = json.loads(text)
    except ValueError:
        return
    schema = jsonschema.Draft202012Validator(json.loads(TOOLS.grammar("json", INPUTS, "json_schema")))
    if (
        case.expected.kinds - {"duplicate_key", "too_large", "encoding"} and "Infinity" not in text
    ):  # JSON itself has none of these
        assert list(schema.iter_errors(data))


def test_wrong_words_are_named():
    """A form that cannot say a dialect, an unknown form or dialect, an input without a plain name, too few lines."""
    with pytest.raises(ValueError, match="json_schema can say only the dialect json; for python take gbnf or lark"):
        BOX.grammar("python", form="json_schema")
    with pytest.raises(
        ValueError, match="no form of a grammar is called 'ebnf'; for json there are gbnf, lark, json_sch"
    ):
        BOX.grammar("json", form="ebnf")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no dialect is called 'yaml'; there are python, numbered, json"):
        BOX.grammar("yaml")
    with pytest.raises(ValueError, match="'a b' cannot be the name of an offered input"):
        BOX.grammar("json", ("a b",))
    with pytest.raises(ValueError, match="least must be at most lines, not 3 of 2"):
        BOX.grammar("json", lines=2, least=3)
    assert LEFT_OUT.keys() == {"every dialect", *DIALECTS}


def _task(number):
    """Return a task of the json dialect."""
    return f'\n  {{"id": "t{number}", "tool": "weather", "args": {{"city": "x"}}}}'


@pytest.mark.parametrize(
    ("begin", "name", "end"),
    [
        ('t1 = weather("x")\nt2 = weather("y")\njoin(', "t1", ")"),
        ('1. weather("x")\n2. weather("y")\n3. join(', "$1", ")<END_OF_PLAN>"),
        (
            f'{{"tasks": [{",".join(map(_task, "12"))},\n  {{"id": "t3", "tool": "join", "args": {{}}, "deps": [',
            '"t1"',
            "]}\n]}",
        ),
    ],
)
def test_a_join_names_no_more_results_than_there_are(begin, name, end):
    """A very small model would name them until its reply is full."""
    dialect = {"t": "python", "1": "numbered", "{": "json"}[begin[0]]
    texts = [begin + ", ".join([name] * count) + end for count in (1, 2, 3)]
    assert [allows(text, dialect) for text in texts] == [True, True, False]
