"""Plans as plain asyncio scripts, performed in interpreters that have no package of ours."""

from __future__ import annotations

import asyncio
import math
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from compiler_nb import Compiler, Limit, Plan, tool
from compiler_nb.errors import PlanError, ToolError
from compiler_nb.script.script import write_script
from compiler_nb.tool import Tool, Toolbox
from tests.support import toolkit
from tests.support.corpus import INPUTS, JSON, NUMBERED, PYTHON, TOOLS
from tests.support.programs import random_program
from tests.support.scale import seed, times

COVERS = ("writer.py", "pieces.py", "gather.py")
SUPPORT = Path(__file__).parents[1] / "support"
EFFECTS = ("swap", "put")


def tools_of_toolkit():
    """Return the tools of random plans, as those of a module that a script can import."""
    sys.modules.setdefault("toolkit", toolkit)
    names = ("f", "g", "h", "keep", *EFFECTS, "total")
    return {name: Tool(getattr(toolkit, name), side_effects=name in EFFECTS, pure=len(name) == 1) for name in names}


def perform(folder, scripts):
    """Perform scripts, by name, in an interpreter without this package; return what came of each."""
    shutil.copy(SUPPORT / "toolkit.py", folder)
    for name, text in scripts.items():
        own = text.replace("from tests.support.toolkit import", "from toolkit import")
        (folder / f"{name}.py").write_text(own, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", str(SUPPORT / "performer.py"), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name: pickle.loads((folder / f"{name}.pkl").read_bytes()) for name in scripts}  # noqa: S301 - our own


def differences(run, made, found):
    """Return how a script's tasks differ from a run's."""
    if "broken" in found:
        return [found["broken"]]
    outcomes, states, wrong = run.progress.outcomes, run.progress.states, []
    for id_, (how, value) in found["tasks"].items():
        unneeded = getattr(outcomes[id_], "not_needed", False)
        expected = "unneeded" if unneeded else "done" if states[id_] == "done" else "failed"
        if how != expected or (how == "done" and value != outcomes[id_]):
            wrong.append((id_, how, value, outcomes[id_]))
    if set(found["tasks"]) != {id_ for id_ in outcomes if "[" not in id_}:
        wrong.append(("tasks", sorted(found["tasks"])))
    if in_order(made) != in_order(found["made"]):
        wrong.append(("side effects", made, found["made"]))
    if run.status == "done" and found.get("answer") != run.answer:
        wrong.append(("answer", run.answer, found))
    return wrong


def in_order(made):
    """Return side effects in their order; the items of one fan-out go together."""
    return [each for each in made if each[1] == "swap"] + sorted(each for each in made if each[1] != "swap")


@pytest.mark.slow
def test_random_plans_give_in_a_script_what_they_give_here(tmp_path):
    """150 of them, with fan-outs, guarded calls, side effects, failing calls and dropped items: all is equal."""
    tools, runs, scripts = tools_of_toolkit(), {}, {}
    for number in range(times(150)):
        random = Random(seed() + number)
        share, drop = random.choice([(0, 0.0), (7, 0.0), (4, 0.34), (3, 0.7), (3, 1.0)])
        program = random_program(random, random.randint(2, 14), effects=random.random() < 0.4) + "join()\n"
        plan = Plan.parse(program, tools=tools)
        toolkit.reset(share)
        run = Compiler(None, list(tools.values()), approve="auto", max_concurrency=3, drop_failed=drop).execute_sync(
            plan
        )
        name = f"plan_{number}_{share}"
        runs[name] = program, run, list(toolkit.made)
        scripts[name] = run.to_script()
    for name, found in perform(tmp_path, scripts).items():
        program, run, made = runs[name]
        assert differences(run, made, found) == [], f"{program}\n{scripts[name]}"


@pytest.mark.slow
def test_every_plan_of_the_corpus_is_a_script_that_python_compiles():
    """In each dialect, with the tools' names to be imported if they are not given."""
    count = 0
    for case in (*JSON, *NUMBERED, *PYTHON):
        text = case.text() if callable(case.text) else case.text
        try:
            plan = Plan.parse(text, dialect=case.dialect, tools=TOOLS, inputs=INPUTS)
        except PlanError:
            continue
        for script in (plan.to_script(), plan.to_script(TOOLS)):
            compile(script, case.name, "exec")
        count += 1
    assert count > 50


RATE = 2


def helper(x):
    """Name what a tool of a notebook names."""
    return math.sqrt(x) * RATE


@tool(timeout=9, retries=1)
async def scaled(x: float) -> float:
    """Scale a number."""
    await asyncio.sleep(0)
    return helper(x)


def as_of_a_notebook(function):
    """Return a function as a notebook has it: of no module that could be imported."""
    plain = function.function if isinstance(function, Tool) else function
    plain.__module__ = "__main__"
    return plain


def test_functions_of_a_notebook_are_written_out_with_all_that_they_name(tmp_path):
    """Without the decorator; modules are imported, other functions and constants stand above them."""
    for each in (scaled, helper):
        as_of_a_notebook(each)
    plan = Plan.parse("a = scaled(16)\nanswer(a)", tools=[scaled])
    script = plan.to_script([scaled])
    assert "@tool" not in script
    assert 'scaled": _Tool(scaled, timeout=9, retries=1, numbers={"x": float})' in script
    for line in ("import math", "RATE = 2", "def helper(x):", "async def scaled(x: float) -> float:"):
        assert f"\n{line}\n" in script
    assert perform(tmp_path, {"plan_0_0": script})["plan_0_0"]["answer"] == 8.0
    assert script.missing == {}


def test_what_has_no_source_is_named_and_to_be_filled_in():
    """A lambda, a closure, an object, a key, a tool that asks a model, and a variable without a literal."""

    def closed(n):
        def add(x):
            return x + n

        return as_of_a_notebook(add)

    class Box:
        def __call__(self, x):
            return x

    twice = as_of_a_notebook(lambda x: 2 * x)
    tools = [Tool(twice, name="twice"), Tool(closed(3), name="add"), Tool(Box(), name="box")]
    language = Compiler(tools=tools).settings.tools
    plan = Plan.parse("a = twice(d)\nb = add(a)\nc = llm('x', b)\ne = box(c)\nanswer(e)", tools=language, inputs=["d"])
    script = write_script(plan, language, inputs={"d": Box()})
    compile(script, "script", "exec")
    assert script.missing == {
        "twice": "a lambda: write it as a function",
        "add": "a closure over n, which its source does not say",
        "llm": "it asks a model: fill in _ask_model",
        "box": "a Box, whose state is not text",
        "d": "Box: main() takes it as an argument",
    }
    assert "async def main(d):" in script
    assert 'raise SystemExit("fill in d (Box), and delete this line")' in script


def test_no_key_gets_into_a_script():
    """Not as an input, nor as what a function names; a name that says so is enough."""
    names = {"__name__": "__main__"}
    exec("API_KEY = 'abc-123'\ndef ask(): return API_KEY", names)  # noqa: S102 - a cell
    from compiler_nb.script.gather import Gathered

    gathered = Gathered()
    gathered.value("API_KEY", "abc-123")
    assert "abc-123" not in str(gathered.definitions)
    assert gathered.missing == {"API_KEY": "it may be a key: read it from the environment"}


def test_limits_timeouts_and_threads_hold_in_a_script(tmp_path):
    """A tool that is too slow is given up, without waiting for its thread; no more calls go on than may."""
    text = """
import threading, time
going = [0, 0]
def slow(x):
    time.sleep(5)
def counted(x):
    going[0] += 1
    going[1] = max(going)
    time.sleep(0.01)
    going[0] -= 1
    return threading.current_thread() is not threading.main_thread()
def most():
    return going[1]
"""
    (tmp_path / "own.py").write_text(text, encoding="utf-8")
    plan = Plan.parse("s = slow(1)\nrows = [counted(i) for i in range(9)]\nm = most() if rows else 0\njoin(rows, m)")
    script = plan.to_script()
    script = script.replace("# from my_tools import slow, counted, most", "from own import slow, counted, most")
    script = script.replace("_Tool(slow)", "_Tool(slow, timeout=0.05)").replace("calls=8", "calls=2")
    found = perform(tmp_path, {"plan_0_0": script})["plan_0_0"]
    assert found["answer"] == {"rows": [True] * 9, "m": 2}
    assert found["tasks"]["s"][0] == "failed"
    assert "TimeoutError" in found["tasks"]["s"][1]


def test_a_script_has_only_the_helpers_that_it_needs():
    """A plan of one call has nothing of tables, of fan-outs or of the order of side effects."""
    script = Plan.parse("a = f(1)\nanswer(a)").to_script()
    assert "_task" in script
    assert not [name for name in ("_fanout", "_get", "_sum", "_turn(", "numpy", "_FillIn") if f"{name}" in script]


def test_a_function_that_is_called_as_a_helper_is_refused():
    """By name."""
    names = {"__name__": "__main__"}
    exec("def _value(x): return x", names)  # noqa: S102 - a cell
    made = Toolbox([Tool(as_of_a_notebook(_value), name="value_")])
    with pytest.raises(ToolError, match="the script has a helper called _value, and so have your functions: rename"):
        Plan.parse("a = value_(1)\nanswer(a)", tools=made).to_script(made)


def _value(x):
    return x


def test_a_script_goes_without_the_items_that_failed_as_its_run_did(tmp_path):
    """Up to the share that may fail; what reads the fan-out whole reads the others, and says how many lack."""
    tools = tools_of_toolkit()
    toolkit.reset(3)
    compiler = Compiler(None, list(tools.values()), drop_failed=0.9)
    plan = "rows = {x: f(x) for x in range(9)}\nn = len(rows)\nanswer([n, sum(rows.values())])"
    run = compiler.execute_sync(plan)
    assert run.status == "done"
    assert 0 < run.progress.left_out["rows"][0] < 9
    script = run.to_script()
    assert '@_fanout("rows", dict, drop_failed=0.9)' in script
    assert perform(tmp_path, {"plan_0_3": script})["plan_0_3"]["answer"] == run.answer


def test_the_head_of_a_script_says_what_it_does_not_do():
    """Limits per minute of the tools that it calls, and the joiner; nothing of what its plan does not have."""

    @tool(provider="shop")
    async def price(x: int) -> int:
        """Return it."""
        return x

    limits = {"shop": Limit(rpm=6_000, concurrency=2), "other": Limit(tpm=10)}
    run = Compiler(None, [price], limits=limits).execute_sync("a = price(1)\njoin(a)")
    head = " ".join(run.to_script().split('"""')[1].split())
    assert "Calls do not wait for limits per minute (shop allows 6,000 requests a minute)" in head
    assert "No model is asked for an answer: it returns the results that a joiner would read" in head
    run = Compiler(None, [price]).execute_sync("a = price(1)\nanswer(a)")
    plain = run.to_script().split('"""')[1]
    assert "per minute" not in plain
    assert "joiner" not in plain
