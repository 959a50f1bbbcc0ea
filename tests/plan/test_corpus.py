from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from compiler_nb.errors import PlanError
from compiler_nb.plan.plan import Plan
from tests.support.corpus import HUGE, INPUTS, JSON, NUMBERED, PYTHON, RAW, TOOLS, Case
from tests.support.plans import Reading, edges

SMALL = [*JSON, *NUMBERED, *PYTHON]
ROOT = Path(__file__).parents[2]
LONG = 600
"""Texts longer than this are cut at some places only."""


def by_name(cases):
    """Run a test for each case, under its name."""
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def text_of(case: Case):
    """Return a case's text, made now if it is huge."""
    return case.text() if callable(case.text) else case.text


def judge(case: Case, plan: Plan | None, kinds: list[str]):
    """Compare what came of a text with what should."""
    expected = case.expected
    if plan is None:
        assert expected.kinds, f"refused for {kinds}"
        assert kinds[0] in expected.kinds
    else:
        assert not expected.kinds, f"accepted as {edges(plan)}"
        if expected.edges is not None:
            assert edges(plan) == expected.edges
            assert set(plan.inputs) == set(expected.inputs)
        else:
            assert (len(plan), sum(len(task.dependencies) for task in plan)) == (expected.tasks, expected.count)


def parse(case: Case) -> tuple[Plan | None, list[str]]:
    """Return the plan, or the kinds of problem, of which each must have a place and a hint."""
    try:
        return Plan.parse(text_of(case), dialect=case.dialect, tools=TOOLS, inputs=INPUTS), []
    except PlanError as error:
        problems = error.problems
    assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in problems)
    return None, [problem.kind for problem in problems]


def cuts(text: str) -> list[int]:
    """Return where to cut a text: at each character, or at LONG places."""
    step = max(1, len(text) // LONG)
    return list(range(0, len(text), step))


@pytest.mark.promise
@by_name([*SMALL, *RAW])
def test_each_text_gives_what_it_should(case):
    """A good plan has exactly its tasks and edges, a bad one its kind of problem, with a place and a hint."""
    judge(case, *parse(case))


@pytest.mark.promise
@by_name(SMALL)
def test_where_a_text_is_split_does_not_matter(case):
    """Fed in two pieces, split anywhere, or in single characters, a text gives the same plan or the same problems."""
    text = text_of(case)
    whole = Reading([text], case.dialect).outcome
    assert Reading(text, case.dialect).outcome == whole
    for at in cuts(text):
        assert Reading([text[:at], text[at:]], case.dialect).outcome == whole


@pytest.mark.promise
@by_name(SMALL)
def test_a_text_that_is_cut_off_gives_a_plan_or_problems(case):
    """Cut anywhere, a text gives a plan or a PlanError; what it has started by then, the whole plan holds."""
    text = text_of(case)
    whole = Reading([text], case.dialect).plan
    for at in cuts(text):
        Reading([text[:at]], case.dialect)
        reset = Reading([text[:at]], case.dialect, complete=False)
        if whole is not None:
            assert [task for task in reset.released if task not in whole.tasks] == []


@pytest.mark.promise
@by_name(HUGE)
def test_a_huge_text_gives_what_it_should(case):
    """Size changes nothing of what a text gives."""
    judge(case, *parse(case))


@pytest.mark.slow
def test_a_huge_text_that_drips_in_gives_the_same():
    """A huge text in small pieces gives the same kind of problem, or the same tasks."""
    for case in HUGE:
        text = text_of(case)
        if len(text) < 1_000_000:
            reading = Reading((text[at : at + 997] for at in range(0, len(text), 997)), case.dialect)
            judge(case, reading.plan, [problem.kind for problem in reading.problems])


MEASURE = """
import json, sys, time
from tests.support.memory import peak_kilobytes
from tests.plan.test_corpus import HUGE, parse, text_of
parse(HUGE[0]._replace(text="a = now()"))
seconds = {}
for case in HUGE:
    case = case._replace(text=text_of(case))
    began = time.process_time()
    parse(case)
    seconds[case.name] = time.process_time() - began
print(json.dumps([seconds, peak_kilobytes()]))
"""


@pytest.mark.promise
def test_no_text_takes_long_or_much():
    """No text takes more than 2 seconds of work, nor the process more than 200 MB."""
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, kilobytes = json.loads(done.stdout)
    assert {name: spent for name, spent in seconds.items() if spent > 2} == {}
    assert kilobytes < 200_000


AUDIT = """
import sys
from tests.plan.test_corpus import RAW, SMALL, TOOLS, parse
found = []
def hook(event, args):
    if event in ("import", "exec", "os.system", "subprocess.Popen", "socket.connect") or event.startswith("open"):
        found.append((event, str(args)[:200]))
    elif event == "compile" and args[1] != "<unknown>":  # that is ast.parse, which makes no code
        found.append((event, str(args)[:200]))
assert all(tool.parameters is not None for tool in TOOLS.values())  # the tools' own hints, which are evaluated once
for dialect in ("json", "numbered", "python"):
    parse(next(case for case in SMALL if case.dialect == dialect))
sys.addaudithook(hook)
for case in [*SMALL, *RAW]:
    parse(case)
print(len(found), found[:5])
"""


@pytest.mark.promise
def test_reading_a_plan_runs_nothing():
    """No text of the corpus makes Python import, open, compile or execute anything."""
    done = subprocess.run([sys.executable, "-c", AUDIT], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "0 []"
