from __future__ import annotations

import pytest

from compiler_nb.errors import PlanError
from compiler_nb.plan.parser import BLANK, PlanParser, tell_dialect
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Join, Return
from compiler_nb.plan.tree import Ref
from tests.support.corpus import INPUTS, TOOLS
from tests.support.plans import Reading, edges, kinds, problems, read

COVERS = ("builder.py", "check.py")

PYTHON = "a = search('x')\nb = summarize(a)\n"
NUMBERED = '1. search("x")\n2. math("$1")\n3. join()<END_OF_PLAN>\n'
JSON = '{"tasks": [{"id": "a", "tool": "search", "args": {"query": "x"}}]}\n'


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        (PYTHON, "python"),
        ("# a note\n\n" + PYTHON, "python"),
        ("await search('x')", "python"),
        ("search('x')", "python"),
        (NUMBERED, "numbered"),
        ("Here is the plan:\n\n" + NUMBERED, "numbered"),
        ("Sure, here it comes.\n" + NUMBERED, "numbered"),
        ("Thought: easy\n" + NUMBERED, "numbered"),
        ("1) now()\n2) join()", "numbered"),
        (JSON, "json"),
        ("\n\n  " + JSON, "json"),
        ("\ufeff" + JSON, "json"),
        (f"Here it is:\n```json\n{JSON}```\nGood luck!", "json"),
        (f"```\n{NUMBERED}```", "numbered"),
        (f"You could (perhaps) do this:\n  ```python\n{PYTHON}  ```", "python"),
        (f"search(query) is what I need:\n```\n{NUMBERED}```", "numbered"),
    ],
)
def test_auto_finds_the_dialect(text, dialect):
    """The dialect is told by the first line that tells, with any greeting, fence or mark of byte order before it."""
    plan = read(text, "auto")
    assert plan.dialect == dialect
    assert Reading(text, "auto").plan == plan
    assert plan.text.lstrip(BLANK) == text.lstrip(BLANK)


def test_a_plan_that_begins_with_empty_lines_begins_with_line_1():
    """In its tasks, its problems and its text, however the text is cut."""
    for above in ("", "\n", "\n\n", "\ufeff\r\n\n"):
        for line, found in (("b = a + 1", [1, 2]), ("import os", [])):
            text = f"{above}a = now()\n{line}\nanswer(b)\n"
            for size in (1, 2, len(text)):
                parser = PlanParser(dialect="python")
                for at in range(0, len(text), size):
                    parser.feed(text[at : at + size])
                parser.close()
                assert [problem.line for problem in parser.problems] == ([] if found else [2, 3])
                assert not found or [each.line for each in parser.parts().tasks] == found


def test_a_line_without_an_end_tells_too():
    """Where the text ends before its first line feed, that line tells."""
    assert (read("1. now()", "auto").dialect, read("1. now()", "auto").final) == ("numbered", Join())
    assert [task.id for task in read("a = now()", "auto")] == ["a"]


def test_a_line_tells_or_does_not():
    """Prose and comments tell nothing."""
    assert [tell_dialect(line) for line in ("Well, then", "# so", "", "I (we) say", "3. May")] == [
        "",
        "",
        "",
        "python",
        "numbered",
    ]


def test_an_unknown_dialect_is_refused():
    """A dialect that does not exist is an error of the caller."""
    with pytest.raises(ValueError, match="yaml"):
        PlanParser(dialect="yaml")


def test_text_after_the_block_is_ignored_and_a_second_block_is_not():
    """One block is the plan; two are a problem where the second begins."""
    one = f"```\n{PYTHON}```\n"
    assert edges(read(one + "ny = nothing", "python")) == {"a": (), "b": ("a",)}
    (problem,) = problems(f"{one}\nor\n{one}", "python")
    assert (problem.kind, problem.line, problem.column) == ("multiple_blocks", 7, 1)


def test_places_count_the_lines_of_the_whole_text():
    """Lines are counted from the beginning of the text, fence and greeting included."""
    (problem,) = problems("Hello\n```python\n\na = nosuch('x')\n```\n", "auto")
    assert (problem.line, problem.column) == (4, 5)


def test_a_block_that_does_not_close_is_truncated():
    """A fence without its end is a cut text: what was whole was released, what was not is dropped."""
    cut = Reading([f"```\n{NUMBERED[:20]}"], "numbered")
    assert ([task.id for task in cut.released], [p.kind for p in cut.problems]) == (["1"], ["truncated", "truncated"])


def test_backquotes_in_a_line_are_no_fence():
    """Only a line that begins with three backquotes is one, indented a little at most."""
    assert read("a = search('```')\n", "python")["a"].args == ("```",)
    assert kinds(" " * 80 + "```\na = now()", "python") != []


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("a = now()\nb = search('\x00')", "control_char", (2, 13)),
        ("a = now()\nb = search('\u202e')", "control_char", (2, 13)),
        ("a = search('\udc80')", "encoding", (1, 13)),
        ("a = search('\x00\udc80')", "control_char", (1, 13)),
    ],
)
def test_characters_that_no_plan_holds(text, kind, place):
    """Control characters and lone surrogates are problems where they stand, however the text comes."""
    whole = problems(text, "python")
    assert (kind, *place) in [problem[:3] for problem in whole]
    assert Reading(text, "python").problems == whole


def test_too_long_a_text_is_one_problem():
    """Over the limit of a text nothing more is read, and nothing else is said."""
    assert kinds("#" * 1_000_001, "python") == ["too_large"]
    drops = ["a = now()\n", "b = search('" + "x" * 999_000, "y" * 2_000, "')\n"]
    reading = Reading(drops, "python")
    assert ([task.id for task in reading.released], [p.kind for p in reading.problems]) == (["a"], ["too_large"])


@pytest.mark.slow
def test_how_a_text_arrives_changes_neither_places_nor_results():
    """A fence with a form feed, two byte-order marks, two problems at one place, and too long a text."""
    texts = (
        f"```python\x0c\n{PYTHON}```\x0c\n",
        f"\ufeff\ufeff{PYTHON}",
        "\ufeff\ufeffa = nosuch('x')",
        "a = search('x')\n\x00b = = 1\n",
        "\x00nosuch(1)\n",
        "1. nosuch('x')\x0b\n2. search($9)",
    )
    for text in texts:
        whole = Reading([text], "auto")
        assert Reading(text, "auto").outcome == whole.outcome, text
        for at in range(len(text)):
            assert Reading([text[:at], text[at:]], "auto").outcome == whole.outcome, (text, at)
    assert Reading([texts[0]], "auto").plan is not None
    long = "a = nosuch('x')\n" + "# and so on\n" * 90_000
    assert [p[:3] for p in Reading([long], "python").problems] == [("unknown_tool", 1, 5), ("too_large", 83334, 1)]
    halves = Reading([long[:999_990], long[999_990:]], "python")
    assert halves.problems == Reading([long], "python").problems


def test_a_statement_that_is_too_large_does_not_hide_the_end():
    """Only a text over its limit is not read to its end; a statement over its limit is one problem of several."""
    text = "a = search('" + "x" * 260_000 + "')\nb = search('y'"
    assert kinds(text, "python") == ["too_large", "truncated"]


def test_problems_have_an_end():
    """Of a text that is no plan at all, a hundred problems are told."""
    for dialect, line in (("python", "a b\n"), ("numbered", "1. x\n"), ("json", "")):
        text = line * 5_000 or '{"tasks": [' + "null," * 5_000 + "null]}"
        assert len(problems(text, dialect)) == 100


def test_bytes_are_utf8():
    """Bytes that are not UTF-8 are a problem with its place."""
    with pytest.raises(PlanError) as caught:
        Plan.parse("a = now()\nb = search('é')".encode("latin-1"), tools=TOOLS)
    assert (caught.value.kind, caught.value.problems[0][1:3]) == ("encoding", (2, 13))
    assert Plan.parse(PYTHON.encode(), tools=TOOLS, inputs=INPUTS) == read(PYTHON, "python")


def test_after_a_problem_nothing_more_starts():
    """Reading goes on to find all problems, but no further task is released."""
    reading = Reading("a = now()\nb = nosuch()\nc = now()\nd = nosuch()\n", "python")
    assert [task.id for task in reading.released] == ["a"]
    assert [p.line for p in reading.problems] == [2, 4]


def test_a_plan_that_is_cut_has_no_implied_end():
    """No last line means join() only if the model ended of itself."""
    assert Reading([PYTHON], "python").plan.final == Join()
    assert [p.kind for p in Reading([PYTHON], "python", complete=False).problems] == ["truncated"]
    assert Reading([PYTHON + "join()\n"], "python", complete=False).plan.final == Join()


def test_a_cell_ends_in_its_last_value():
    """Where a plan is written in a cell, the last statement's value is the answer."""
    assert Plan.parse(PYTHON, tools=TOOLS, implied="value").final == Return(Ref("b"))


def test_a_text_without_a_task_is_empty():
    """Nothing, blanks, and join() alone are no plans in any dialect."""
    for text in ("", " \n\n", "\ufeff", "join()", "1. join()<END_OF_PLAN>\n", '{"tasks": []}'):
        assert kinds(text, "auto") == ["empty"], text


def test_a_plan_without_tasks_may_ask_the_joiner():
    """If it says what to do: an instruction for the joiner is a plan, as a literal answer is."""
    for text in ('{"tasks": [], "join_instruction": "Greet."}', 'join(instruction="Greet.")'):
        plan = read(text, "auto")
        assert (plan.tasks, plan.final) == ((), Join((), "Greet."))


def test_closing_twice_does_nothing():
    """A closed parser stays as it is."""
    parser = PlanParser(tools=TOOLS)
    parser.feed("a = now()")
    assert [task.id for task in parser.close()] == ["a"]
    assert parser.close() == []


def test_a_later_round_reads_earlier_results():
    """Ids that a run has used are not given again; the same work keeps its id."""
    first = Reading([PYTHON], "python").plan
    known = {task.id: task.fingerprint for task in first}
    again = Reading([PYTHON + "c = compare(a, b)\n"], "python", earlier=known).plan
    assert [task.id for task in again] == ["a", "b", "c"]
    other = Reading(["a = search('y')\nc = compare(a, b)\n"], "python", earlier=known, taken=["a", "b"]).plan
    assert edges(other) == {"a_2": (), "c": ("a_2", "b")}


@pytest.mark.parametrize(
    ("last", "final"),
    [
        ("a + 1", "answer(a + 1)"), ("a", "answer(a)"), ("a['x']", "answer(a['x'])"),
        ("f'{a:.1f}'", "answer(f'{a:.1f}')"),
        ("[a, g(a)]", "answer([a, g(a)])"), ("'done'", "answer('done')"), ("max(a)", "answer(max(a))"),
    ],
)  # fmt: skip
def test_an_expression_as_the_last_line_of_a_cell_is_the_answer(last, final):
    """As in any cell; where a plan without a last line ends in `join()`, and in the middle, it is refused."""
    begin = "a = f(1)\n"
    found, meant = Plan.parse(begin + last, implied="value"), Plan.parse(begin + final)
    assert (found.final, [task.tool for task in found]) == (meant.final, [task.tool for task in meant])
    with pytest.raises(PlanError, match=r"line 3.*nothing may follow the last line \(line 2\)"):
        Plan.parse(f"{begin}a['x']\nb = g(a)", implied="value")
    with pytest.raises(PlanError, match="line 2"):
        Plan.parse(begin + last)
