"""What models are told: each result once, by the names that plans use, and what failed as long as it counts."""

from __future__ import annotations

import asyncio
import re

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.tool import tool
from tests.support.desk import Desk, planner_of, run, scripted, texts


def test_the_joiner_sees_what_join_names():
    """`join(a)` shows the joiner that result, `join()` all; its text is the answer."""
    desk = Desk()
    model = scripted('a = get("alpha")\nb = get("beta")\njoin(a)\n', joiner="It is alpha.")
    found = run(Compiler(model, desk.tools))
    assert (found.status, found.answer) == ("done", "It is alpha.")
    (text,) = texts(model, "joiner")
    assert "alpha" in text
    assert "beta" not in text


def test_a_later_joiner_knows_the_earlier_reasons():
    """So that it does not ask for the same again."""
    model = scripted("a = get(1)\njoin(a)\n", "b = get(2)\njoin()\n", joiner=["Replan: need the second", "Done."])
    assert run(Compiler(model, Desk().tools)).answer == "Done."
    assert "need the second" in texts(model, "joiner")[1]


def test_a_later_round_reads_the_last_version_of_a_name():
    """`x` means what it meant last: the request lists it once, and the plan that reads it gets that value."""
    model = scripted(
        "x = get(1)\nx = x + 1\njoin()\n", "y = get(x)\njoin(y)\n", "x = get(7)\nanswer([x, y])\n",
        joiner=["Replan: a", "Replan: b"],
    )  # fmt: skip
    found = run(Compiler(model, Desk().tools))
    assert (found.answer, found["x"]) == ([7, 2], 7)
    assert found.results == {"x": 1, "x_2": 2, "y": 2, "x_3": 7}
    assert '<data name="results">\nx: int\n</data>' in texts(model, "replan")[0]
    assert '<data name="x" call="1 + 1">\n2\n</data>' in texts(model, "joiner")[0]


def test_a_later_round_gives_a_name_a_known_value():
    """A literal, or another result: the variable means it, not what an earlier round left, and the joiner sees it."""
    model = scripted("x = get(1)\ny = get(2)\njoin()\n", "x = 5\ny = x\nz = get(y)\njoin()\n",
                     joiner=["Replan: other", "Done."])  # fmt: skip
    found = run(Compiler(model, Desk().tools))
    assert (found["x"], found["y"], found["z"]) == (5, 5, 5)
    assert '<data name="x" call="5">\n5\n</data>' in texts(model, "joiner")[1]


@pytest.mark.parametrize(
    ("line", "blocks"),
    [
        ("x = get(5) if ok else None", ['x" call="get(5)']),
        ("x = None if ok else get(5)", ['x" call="None if True else get(5)']),
        ("x = fail(5) if not ok else get(4) if ok else get(3)", ['x" call="get(4)']),
        ("x = get(5) + 1 if ok else 0", ['x.1" call="get(5)', 'x" call="5 + 1 if True else 0']),
        ("get(5) if ok else None", ['@2" call="get(5)']),
        ("x = get(ok) if get(ok) else None", ['x.1" call="get(True)', 'x" call="get(True)']),
    ],
)
def test_a_guarded_call_is_shown_to_the_joiner_once(line, blocks):
    """Under its line's name, with the call that was made, if the line's value is the call's; so is it in an answer."""
    model = scripted(f"ok = get(True)\n{line}\njoin()\n", joiner="Done.")
    run(Compiler(model, Desk().tools))
    (asked,) = texts(model, "joiner")
    assert re.findall('<data name="([^>]*)">', asked)[2:] == blocks
    ids = [block.split('"')[0] for block in blocks]
    assert list(run(planner_of(f"ok = get(True)\n{line}\njoin()\n")).answer) == ["ok", *ids]


def test_a_failure_that_a_later_round_replaced_is_not_shown_to_the_joiner():
    """It is shown as long as nothing has come in its place; numbered blocks say whose they are."""

    @tool
    def page(name: str) -> str:
        """Read a page."""
        if name in ("Mont Blanc", "Zug"):
            raise ValueError("404")
        return "high"

    plans = ['1. page("Mont Blanc")\n2. page("Eiger")\n3. join()\n', '1. page("Zug")\n2. join()\n',
             '1. page("Monte Bianco")\n2. join()\n']  # fmt: skip
    model = ScriptedModel({"planner": plans, "joiner": ["Replan: more", "Replan: more", "done"]})
    run = asyncio.run(Compiler(model, [page], dialect="numbered").run("How high?"))
    assert (run.status, run.answer) == ("done", "done")
    first, second, third = texts(model, "joiner")
    assert '1: failed (raised): ValueError: 404; the call was page("Mont Blanc")' in first
    assert "1: failed (raised)" in second
    assert "failed (raised)" not in third
    assert "What has no result" not in third
    assert "call=\"page('Monte Bianco')\"" in third
    assert "page(name: str) -> str: Read a page." in second
    assert "Tools that another plan may call" not in third
