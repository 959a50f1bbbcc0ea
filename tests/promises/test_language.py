"""The promises of the plan language, each with its figure for one test run."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from compiler_nb.outcome import Failure
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.plan import Plan
from compiler_nb.tool import tool
from tests.support.corpus import INPUTS, JSON, NUMBERED
from tests.support.corpus import TOOLS as CORPUS_TOOLS
from tests.support.hostile import VALUES
from tests.support.programs import random_program
from tests.support.scale import seed, times
from tests.support.session import opened

pytestmark = pytest.mark.promise
ROOT = Path(__file__).parents[2]

FUZZ = """
import json, sys, time
from tests.support.memory import peak_kilobytes
from random import Random
from compiler_nb.errors import PlanError
from compiler_nb.plan.plan import Plan
from tests.support import planner
from tests.support.corpus import INPUTS, JSON, NUMBERED, PYTHON, TOOLS, Case, ok
from tests.support.mutate import mutate
from tests.support.witness import LOOKED_UP, Witness, evaluate_all

count, seed = int(sys.argv[1]), int(sys.argv[2])
offered = {"tools": TOOLS.plus(planner.TOOLS), "inputs": (*INPUTS, *planner.INPUTS)}
cases = [case for case in (*JSON, *NUMBERED, *PYTHON) if isinstance(case.text, str)]
replies = [
    Case(id_, "python" if dialect == "free" else dialect, text, ok())
    for dialect in ("python", "free", "numbered", "json")
    for id_, text in planner.replies(dialect).items()
]
world = [Witness(), Witness(), 3, "a b", [1, [2], "x"], {"a": 1, "b": [2]}, [{"a": 1}] * 4, (1, (2, 3))]
found, slowest, accepted, evaluated = [], 0.0, 0, 0

def hook(event, args):
    if event in ("import", "exec", "os.system", "subprocess.Popen", "socket.connect") or event.startswith("open"):
        found.append((event, str(args)[:200]))
    elif event == "compile" and args[1] != "<unknown>":
        found.append((event, str(args)[:200]))

def parse(text, dialect, value):
    global slowest, accepted, evaluated
    began = time.process_time()
    try:
        plan = Plan.parse(text, dialect=dialect, **offered)
        accepted += 1
        evaluated += evaluate_all(plan, value)
    except PlanError as error:
        assert error.problems, text
        assert all(p.kind and p.line >= 1 and p.column >= 1 and p.message for p in error.problems), text
    except BaseException:
        print(repr(text)[:2_000], dialect, repr(value), file=sys.stderr)
        raise
    slowest = max(slowest, time.process_time() - began)

assert all(tool.parameters is not None for tool in offered["tools"].values())
for case in (*cases, *replies):
    for value in world:
        parse(case.text, case.dialect, value)
sys.addaudithook(hook)
for case in cases:
    raw = case.text.encode("utf-8", "surrogatepass")
    for at in range(0, len(raw), max(1, len(raw) // 300)):
        parse(raw[:at], case.dialect, world[0])
random = Random(seed)
accepted = evaluated = 0
for number in range(count):
    case = random.choice(random.choice([cases, replies]))
    others = [other.text for other in random.sample(cases, 2)]
    text = mutate(random, case.text, others)
    parse(text, random.choice([case.dialect, "auto"]), random.choice(world))
print(json.dumps([found[:5], sorted(LOOKED_UP), slowest, accepted, evaluated, peak_kilobytes()]))
"""


def test_any_text_gives_a_plan_or_problems_and_runs_nothing(figure):
    """The corpus cut at every byte and 20,000 mutations of it and of planners' replies.

    No other exception, 2 s and 200 MB at most, and nothing run, neither when read nor when the expressions are
    evaluated: no import, open, exec or compile, and no attribute looked up on a value.
    """
    arguments = [sys.executable, "-c", FUZZ, str(times(20_000)), str(seed())]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3_000:]
    found, looked_up, slowest, accepted, evaluated, kilobytes = json.loads(done.stdout)
    figure(f"{times(20_000):,} texts, {accepted:,} plans; slowest {slowest:.2f} s, most {kilobytes / 1_000:.0f} MB")
    assert (found, looked_up) == ([], []), f"seed {seed()}"
    assert slowest <= 2
    assert kilobytes <= 200_000
    assert accepted > times(20_000) / 50, "the mutations are too wild to try what is accepted"
    assert evaluated > accepted, "the mutations are too wild to try what is evaluated"


# ------------------------------------------------------------------- tools' outputs


@tool
def give() -> object:
    """Give what the test wants."""


@tool
def take(*values: object) -> str:
    """Take anything."""
    return "taken"


@tool(side_effects=True)
def send_email(to: object, body: object) -> None:
    """Send."""


PLANS = {
    "python": "a = give()\nb = take(a)\nc = take('$1 ${1} {a}', [a, {'k': a}])\nd = take(f'{b}: {a}', b)\njoin(d)\n",
    "numbered": '1. give()\n2. take($1)\n3. take("$$1", [$1, $2])\n4. take("of ${1}: $2")\n5. join()<END_OF_PLAN>',
    "json": json.dumps(
        {
            "tasks": [
                {"id": "a", "tool": "give", "args": {}},
                {"id": "b", "tool": "take", "args": {"values": ["$a"]}},
                {"id": "c", "tool": "take", "args": {"values": ["$$a", ["$a", "$b"]]}},
                {"id": "d", "tool": "take", "args": {"values": ["of ${a}: ${b}"]}},
            ]
        }
    ),
}


async def shape_of(dialect: str, value: object):
    """Return the tasks with their edges, the calls, and the tasks whose expressions could not be evaluated."""
    calls: list[tuple[str, str]] = []

    def noting(name: str, result: object):
        def call(*values: object) -> object:
            calls.append((name, str(len(values))))
            return result

        return tool(name=name)(call)

    tools = [noting("give", value), noting("take", "taken"), send_email]
    plan = Plan.parse(PLANS[dialect], dialect=dialect, tools=[give, take, send_email])
    async with opened(tools) as session:
        for task in plan:
            session.add(task)
        session.close()
        await session.drained()
        nodes = session.schedule.nodes.values()
        failed = {id_ for id_, outcome in session.outcomes.items() if isinstance(outcome, Failure)}
        return {node.task.id: node.task.dependencies for node in nodes}, Counter(calls), failed


@pytest.mark.parametrize("dialect", PLANS)
def test_a_tools_output_never_changes_the_plan(dialect):
    """Every hostile output in each dialect: the same tasks, the same edges, the same calls."""
    edges, calls, failed = asyncio.run(shape_of(dialect, "benign"))
    assert (len(edges), failed) == (4, set())
    last = list(edges)[-1]  # the one that makes a text of the value, which some values refuse
    for name, make in VALUES.items():
        value = make()
        found, made, lost = asyncio.run(shape_of(dialect, value))
        assert found == edges, name
        assert lost <= {last}, name
        assert made == (calls if not lost else calls - Counter([("take", "2" if dialect == "python" else "1")])), name
        if name == "a coroutine":
            value.close()


# ------------------------------------------------------------------- streaming


def test_streaming_starts_nothing_that_the_whole_plan_does_not_hold(figure):
    """50 plans cut at every byte: what was released by then is in the whole plan, with the same fingerprint."""
    random = Random(seed())
    python = [("python", random_program(random, random.randint(3, 6))) for _ in range(times(50) - 30)]
    good = [(case.dialect, case.text) for case in (*JSON, *NUMBERED) if not case.expected.kinds]
    assert len(python) + len(good[:30]) == times(50)
    figure(f"{len(python) + 30:,} plans, cut at every byte")
    for dialect, text in [*python, *good[:30]]:
        options = {} if dialect == "python" else {"tools": CORPUS_TOOLS, "inputs": INPUTS}
        whole = {task.id: task.fingerprint for task in Plan.parse(text, dialect=dialect, **options)}
        raw = text.encode()
        for at in range(len(raw)):
            parser = PlanParser(dialect=dialect, **options)
            released = parser.feed(raw[:at].decode(errors="ignore")) + parser.close(complete=False)
            assert all(whole.get(task.id) == task.fingerprint for task in released), (text, at)
