"""One table of options: lines are read by it, and help is written from it."""

from __future__ import annotations

import re

import pytest

from compiler_nb import Budget, OptionError
from compiler_nb.notebook.options import BY_FLAG, NOT_YET, OPTIONS, help_text, listed, read


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("-m openai:gpt-5-mini", {"model": "openai:gpt-5-mini"}),
        ("--model=openai:x -j 4", {"model": "openai:x", "max_concurrency": 4}),
        ("-j4 -b", {"max_concurrency": 4, "background": True}),
        ("-T a,b -i rows", {"tools": ("a", "b"), "inputs": ("rows",)}),
        ("-T a, b", {"tools": ("a", "b")}),
        ("-d graph, table", {"display": ("graph", "table")}),
        ("--display=graph,  table, timeline", {"display": ("graph", "table", "timeline")}),
        ("--approve send, pay -b", {"approve": ("send", "pay"), "background": True}),
        ("--budget calls=3, replans=0", {"budget": Budget(calls=3, replans=0)}),
        ("-m 'a b'", {"model": "a b"}),
        ("--timeout 1.5 --max-replans 0", {"timeout": 1.5, "max_replans": 0}),
        ("--budget tokens=20k,calls=30", {"budget": Budget(tokens=20_000, calls=30)}),
        ("--budget usd=0.05,seconds=1.5,replans=0", {"budget": Budget(usd=0.05, seconds=1.5, replans=0)}),
        ("--approve send,pay", {"approve": ("send", "pay")}),
        ("--approve auto", {"approve": "auto"}),
        ("--no-bind --no-raise -N", {"bind": False, "raises": False, "execute": False}),
        ("--drop-failed 0.1", {"drop_failed": 0.1}),
        ("--drop-failed=25%", {"drop_failed": 0.25}),
        ("--live off -d table,graph -q", {"live": False, "display": ("table", "graph"), "quiet": True}),
        ("--engine local --cache plan --loop kernel", {"engine": "local", "cache": "plan", "loop": "kernel"}),
        ("-o mine --prefix p_", {"out": "mine", "prefix": "p_"}),
        ("--as dict[str, float] --after -1", {"answer_type": "dict[str,float]", "after": "-1"}),
        (
            "--as \"Literal['a b'] | None\" --tool-tokens 500",
            {"answer_type": "Literal['a b'] | None", "tool_tokens": 500},
        ),
    ],
)
def test_options_are_read(line, given):
    """Short and long, with blank or equals sign, lists with and without blanks; quotes hold a value together."""
    assert read("compile", line, "q").given == given


@pytest.mark.parametrize(
    ("line", "body", "question"),
    [
        ("", "What is it?\n", "What is it?"),
        ('-b What\'s the "best"?', "\n", 'What\'s the "best"?'),
        ("Compare", "these\n", "Compare\nthese"),
        ("", "one\n# NBVAL_IGNORE_OUTPUT\n# PYTEST_VALIDATE\n# kept\ntwo", "one\n\n\n# kept\ntwo"),
        ("-- -5 or 5?", "", "-5 or 5?"),
        ("- is a dash", "", "- is a dash"),
        ("", "{a} and {{b}} $x", "{a} and {{b}} $x"),
    ],
)
def test_the_rest_is_the_question(line, body, question):
    """What follows the options, and the body, verbatim; what speaks to nbval is left out."""
    assert read("compile", line, body).question == question


@pytest.mark.parametrize("line", ["best << -b", "best= << -b", " best  <<  -b", "best = << -b"])
def test_a_target_takes_the_answer(line):
    """`NAME <<` and `NAME= <<` come before the options."""
    said = read("compile", line, "q")
    assert (said.answer, said.given, said.question) == ("best", {"background": True}, "q")


def test_a_plan_keeps_its_lines():
    """In `%%plan` the body is the plan, each line where it was, and the line is the question."""
    said = read("plan", "-j 2 Which is best?", "# NBVAL_SKIP\na = f({x})\n\n")
    assert (said.question, said.plan, said.head) == ("Which is best?", "\na = f({x})", "-j 2")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--drop-failed 2", "--drop-failed takes a share from 0 to 1, such as 0.1 or 10%, not '2'"),
        ("--drop-failed much", "--drop-failed takes a share from 0 to 1, such as 0.1 or 10%, not 'much'"),
        ("--modle x", "no option --modle. Did you mean '--model'?"),
        ("--zzz", "no option --zzz. %%compile -h"),
        ("-x", "no option -x"),
        ("-m", "-m needs a value: -m MODEL (provider:model, or a variable that holds a model, for all roles)"),
        ("How warm is it? -m m", "write -m before the question, or the question below the line"),
        ("-m --timeout 3", "-m needs a value"),
        ("-b=1", "-b takes no value"),
        ("-j 0", "-j takes a whole number, 1 or more, not '0'"),
        ("-j many", "not 'many'"),
        ("--timeout nan", "a number of seconds above 0"),
        ("--timeout -1", "a number of seconds above 0"),
        ("--dialect yaml", "--dialect takes auto or python or numbered or json, not 'yaml'"),
        ("--budget tokens=many", "limits such as tokens=20k,usd=0.05,calls=30"),
        ("--budget euro=1", "limits such as tokens=20k,usd=0.05,calls=30"),
        ("--live maybe", "--live takes on or off, not 'maybe'"),
        ("-d times", "graph, timeline, table or none"),
        ("-T 3x", "-T takes names of variables, separated by commas"),
        ("-o class", "-o takes the name of a variable, not 'class'"),
        ("-o print", "-o takes a name that Python and IPython do not use, not 'print'"),
        ("-o In", "a name that Python and IPython do not use"),
        ("_x << ", "the name of a variable"),
        ("max << ", "a name that Python and IPython do not use"),
        (
            "--engine ray:8786",
            "--engine takes local, dask, dask:ADDRESS of a scheduler, such as dask:tcp://10.0.0.5:8786, or the name of",
        ),
        ("--cache disk", "--cache takes off or plan or pure or all, not 'disk'"),
        ("--step", "--step does not exist yet"),
        ("--variants ,", "names of variants, separated by commas"),
        ("what is it --step", "write --step before the question"),
        ("what is it --timeout 3", "write --timeout before the question"),
    ],
)
def test_wrong_lines_say_what_and_how(line, message):
    """A short error of ours names the option and how to fix it."""
    with pytest.raises(OptionError) as raised:
        read("compile", line, "q")
    assert message in str(raised.value)
    assert raised.value._render_traceback_() == [f"OptionError: {raised.value}"]


def test_help_lists_every_option_once():
    """What exists is listed, what does not exist yet is not, and no flag is taken twice."""
    text = help_text("compile")
    for option in OPTIONS:
        found = [flag for flag in option.flags if re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", text)]
        assert found == (list(option.flags) if option in listed() else []), option
    assert len(BY_FLAG) == sum(len(option.flags) for option in OPTIONS)
    assert not [name for name in NOT_YET if name in text]
    assert not NOT_YET & set(BY_FLAG)
    assert max(map(len, text.split("\n"))) <= 120
    assert help_text("plan").startswith("%%plan")
