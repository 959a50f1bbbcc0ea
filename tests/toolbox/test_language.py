"""`llm` and `extract` ask the worker model, show it inputs as data, and read typed values out of its replies."""

from __future__ import annotations

import asyncio
import datetime as dt
import subprocess
import sys

import pytest

from compiler_nb import Compiler, ScriptedModel, tool, toolbox
from compiler_nb.engine.call import CURRENT
from compiler_nb.errors import ArgumentError, ToolError
from compiler_nb.toolbox import make_language_tools
from compiler_nb.toolbox.language import Unreadable, read_number, read_value
from tests.support.desk import texts
from tests.support.hostile import OUTPUTS


class Worker:
    """A worker that replies as it is told, and keeps what it was asked."""

    def __init__(self, *replies):
        self.replies, self.asked = list(replies), []

    async def __call__(self, messages, task, grammar):
        self.asked.append((messages, task))
        self.grammar = grammar
        return self.replies[len(self.asked) - 1]

    def tools(self, share="all"):
        return {tool.name: tool for tool in make_language_tools(self, share=share)}

    def use(self, name, *args, share="all", **kwargs):
        """Call a tool as the engine does: arguments bound first."""
        tool = self.tools(share)[name]
        bound, named = tool.bind(args, kwargs)
        return asyncio.run(tool(*bound, **named))

    @property
    def content(self):
        """What the user's message of the last request says."""
        return self.asked[-1][0][1]["content"]


def test_llm_does_something_with_its_inputs():
    """One request: the instruction, then each input as data."""
    worker = Worker(" Both are cities. \n")
    assert worker.use("llm", "What are they?", "Paris", {"city": "Rome"}) == "Both are cities."
    assert worker.content == (
        'What are they?\n\n<data name="input 1">\nParis\n</data>\n\n<data name="input 2">\n{"city": "Rome"}\n</data>'
    )
    assert [message["role"] for message in worker.asked[0][0]] == ["system", "user"]


def test_llm_needs_no_inputs():
    """An instruction alone is a request."""
    worker = Worker("4")
    assert worker.use("llm", "Give a number.") == "4"
    assert worker.content == "Give a number."


def test_the_asking_task_is_told():
    """So that the call is counted as its own."""
    worker = Worker("4")

    async def work():
        CURRENT.set("note")
        return await worker.tools()["llm"]("?")

    asyncio.run(work())
    assert worker.asked[0][1] == "note"


def test_an_empty_reply_is_an_error():
    """No text is no result."""
    with pytest.raises(ToolError, match="nothing"):
        Worker("  ").use("llm", "?")


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTPUTS)
def test_hostile_inputs_stay_in_their_frame(name):
    """Whatever an earlier tool returned."""
    worker = Worker("ok", '{"value": "ok"}')
    worker.use("llm", "Summarize.", OUTPUTS[name]())
    assert worker.content.count("</data>") == worker.content.count("<data name=") == 1
    worker.use("extract", "the name", OUTPUTS[name]())
    assert worker.content.count("</data>") == worker.content.count("<data name=") == 1


@pytest.mark.parametrize("tool", ["llm", "extract"])
def test_only_what_is_shared_is_sent(tool):
    """A summary shows the beginning, none the type."""
    page = "x" * 300 + " CANARY"
    for share in ("summary", "none"):
        worker = Worker('{"value": "ok"}')
        worker.use(tool, "what", page, share=share)
        assert "CANARY" not in worker.content
        assert "str" in worker.content
        assert ("xxx" in worker.content) == (share == "summary")


def test_extract_is_told_which_call_its_text_comes_from():
    """Through expressions and fan-outs, with arguments as values, or as they are spelled if contents are not shared."""

    @tool
    def page(name: str) -> str:
        """Read a page."""
        return f"{name}: 8,000 m deep, and another one 9,000 m"

    plan = """
trench = "Tonga Trench"
a = page(trench)
b = a[:200] if a else None
x = extract("depth", b, "number")
pages = {n: page(n) for n in names}
y = {n: extract("depth", text, type="number") for n, text in pages.items()}
z = llm("Compare", a, page(names[1]), 7)
join(x, y, z)
"""
    for share in ("all", "none"):
        model = ScriptedModel({"planner": plan, "worker": lambda _: '{"value": 8000}', "joiner": "ok"})
        compiler = Compiler(model, [page], share=share)
        assert asyncio.run(compiler.run("How deep?", inputs={"names": ["Kermadec", "Aleutian"]})).status == "done"
        found = {line for text in texts(model, "worker") for line in text.split("\n") if line.startswith("<data")}
        assert all(' shown="its type only"' in line for line in found) is (share == "none")
        found = {line.replace(' shown="its type only"', "") for line in found}
        second = "'Aleutian'" if share == "all" else "names[1]"
        assert {"<data name=\"input\" call=\"page('Tonga Trench')\">",
                "<data name=\"input 1\" call=\"page('Tonga Trench')\">",
                f'<data name="input 2" call="page({second})">', '<data name="input 3">'} <= found  # fmt: skip
        assert any("Kermadec" in line for line in found) is (share == "all")
        assert not any("8,000" in line for line in found)


def test_an_input_that_is_too_long_is_refused():
    """Before the model is asked, with the fix."""
    worker = Worker("x")
    with pytest.raises(ToolError, match=r"input has 30,000 characters.*shorten"):
        worker.use("llm", "?", "x" * 30_000)
    assert worker.asked == []


@pytest.mark.parametrize(
    ("type_", "reply", "value"),
    [
        ("number", '{"value": 10984}', 10984),
        ("number", '{"value": 8848.86}', 8848.86),
        ("number", '```json\n{"value": 3}\n```', 3),
        ("number", '{"value": "10,984 m"}', 10984),
        ("number", "10,984 m", 10984),
        ("text", '{"value": " Paris "}', "Paris"),
        ("text", "Paris", "Paris"),
        ("text", '{"value": 5}', "5"),
        ("list", '{"value": ["a", 1]}', ["a", 1]),
        ("list", '["a"]', ["a"]),
        ("bool", '{"value": true}', True),
        ("bool", "Yes.", True),
        ("bool", '{"value": "no"}', False),
        ("date", '{"value": "1953-05-29"}', dt.date(1953, 5, 29)),
        ("date", "1953-05-29T11:30:00Z", dt.date(1953, 5, 29)),
    ],
)
def test_extract_returns_a_typed_value(type_, reply, value):
    """As JSON, in a fence, or bare; one request is enough."""
    worker = Worker(reply)
    found = worker.use("extract", "what", "text", type_)
    assert (found, type(found)) == (value, type(value))
    assert len(worker.asked) == 1


@pytest.mark.parametrize(
    ("type_", "reply", "told"),
    [
        ("number", '{"value": "between 10 and 20"}', "holds 2"),
        ("number", '{"value": "many"}', "no clear one"),
        ("number", '{"value": true}', "not a number"),
        ("number", '{"value": NaN}', "not finite"),
        ("number", '{"value": [1]}', "not a number"),
        ("number", '{"value": 1', "not valid JSON"),
        ("number", '{"number": 1}', 'no key "value"'),
        ("number", "", "empty"),
        ("text", '{"value": ["a"]}', "not a text"),
        ("text", '{"value": "  "}', "not a text"),
        ("list", '{"value": "a, b"}', "not a list"),
        ("bool", '{"value": "perhaps"}', "neither true nor false"),
        ("bool", '{"value": 1}', "neither true nor false"),
        ("date", '{"value": "May 1953"}', "not a date such as"),
        ("date", '{"value": 1953}', "not a date such as"),
        ("list", "[" * 100_000, "not valid JSON"),
    ],
)
def test_extract_asks_once_more(type_, reply, told):
    """The model sees its reply and what is wrong with it; the second reply counts, or there is an error."""
    good = {"number": "7", "text": '"x"', "list": "[]", "bool": "false", "date": '"2026-01-05"'}[type_]
    worker = Worker(reply, f'{{"value": {good}}}')
    worker.use("extract", "what", "text", type_)
    *first, said, problem = worker.asked[1][0]
    assert tuple(first) == worker.asked[0][0]
    assert (said["role"], said["content"]) == ("assistant", reply or "(nothing)")
    assert told in problem["content"]
    with pytest.raises(ToolError, match=f"no {type_} can be read"):
        Worker(reply, reply).use("extract", "what", "text", type_)


def test_what_the_text_does_not_say_is_an_error_at_once():
    """A null is an answer: nothing is made up, and nothing asked again."""
    worker = Worker('{"value": null}')
    with pytest.raises(ToolError, match="does not say: the depth"):
        worker.use("extract", "the depth", "text", "number")
    assert len(worker.asked) == 1


def test_the_type_is_told_to_the_model():
    """The system message says what the value has to be."""
    worker = Worker('{"value": "1953-05-29"}')
    worker.use("extract", "the day", "text", "date")
    assert "YYYY-MM-DD" in worker.asked[0][0][0]["content"]
    with pytest.raises(ArgumentError, match="'type' must be one of 'number', 'text'"):
        worker.use("extract", "the day", "text", "integer")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("10984", 10984),
        ("10,984 m", 10984),
        ("about 8,848.86 metres", 8848.86),
        ("-12.5 °C", -12.5),
        ("\u22123", -3),
        ("10 984 m", 10984),
        ("9.2 million km²", 9_200_000),
        ("8.1 billion", 8_100_000_000),
        ("1.5e3 m^2", 1500.0),
        ("15%", 15),
        ("$1,234,567.", 1234567),
        (".5", 0.5),
        ("120 km/h", 120),
        ("0.1 million", 100_000),
        ("1e999 billion", float("inf")),
    ],
)
def test_the_only_number_of_a_text(text, number):
    """Commas and spaces group digits, words scale, units and their exponents are left out."""
    found = read_number(text)
    assert (found, type(found)) == (number, type(number))


@pytest.mark.parametrize(
    "text",
    ["", "none", "1 or 2", "10-20", "2026-01-05", "1,5", "1.234,5", "1,23,456", "12:30", "1/2", "1 " * 500],
)
def test_what_is_no_clear_number(text):
    """Rather none than a wrong one."""
    with pytest.raises(Unreadable):
        read_number(text)


def test_replies_are_read_without_a_tool_at_hand():
    """The reader is pure."""
    assert read_value('{"value": [1]}', "list") == [1]


def test_what_a_planner_reads():
    """Short lines, with the types to choose from."""
    tools = Worker().tools()
    assert tools["llm"].description == (
        "llm(instruction: str, *inputs) -> str\n    Ask a language model to do something with the inputs."
    )
    types = "Literal['number', 'text', 'list', 'bool', 'date'] = 'text'"
    assert tools["extract"].signature == f"extract(what: str, text, type: {types})"
    assert all(tool.is_async and tool.timeout == 300.0 for tool in tools.values())


def test_checking_a_plan_that_extracts_imports_nothing_heavy():
    """The type is judged without pydantic, which would hold up a plan's first task."""
    code = (
        "import sys; from compiler_nb.plan.plan import Plan; from compiler_nb.toolbox import make_language_tools;"
        'Plan.parse(\'a = extract("x", "y", "number")\', tools=make_language_tools(None));'
        "print('pydantic' in sys.modules, 'urllib.request' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "False"]


def test_a_tool_that_ships_is_loaded_when_it_is_used():
    """Not with the compiler; and its name means the tool, whatever else was imported."""
    code = (
        "import sys, compiler_nb.compiler, compiler_nb.notebook.shipped;"
        "held = ('arithmetic', 'plot_tool', 'plot_data', 'wikipedia_tool');"
        "print(*[name for name in held if f'compiler_nb.toolbox.{name}' in sys.modules]);"
        "import compiler_nb.toolbox.plot_tool, compiler_nb.toolbox.wikipedia_tool;"
        "from compiler_nb.toolbox import calculate, plot, wikipedia;"
        "print(calculate.name, plot.name, wikipedia.name)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "\ncalculate plot wikipedia\n"
    with pytest.raises(AttributeError, match="has no 'plott'"):
        toolbox.plott  # noqa: B018 - that is what is tried
