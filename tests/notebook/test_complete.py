"""Completion of options, values, verbs and names."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter

from compiler_nb import Run, ScriptedModel, connect
from compiler_nb.notebook.complete import candidates
from compiler_nb.notebook.variables.namespace import Namespace
from compiler_nb.notebook.verbs.table import VERBS
from tests.support.shell import PLAN


def plain(x):
    """Return x."""
    return x


COVERS = ("tips.py",)
NAMES = Namespace(
    {
        "frame": 1,
        "plain": plain,
        "model": ScriptedModel("x"),
        "done": Run.__new__(Run),
        "connect": connect,
        "cold": {"temperature": 0},
    }
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("%%compile --pl", ["--planner", "--planner-prompt"]),
        ("%%plan --no-b", ["--no-bind"]),
        ("# why\n%%compile --timeo", ["--timeout"]),
        ("%%compile -m mo", ["model"]),
        ("%%compile -m oll", ["ollama:"]),
        ("%%compile --planner=ha", ["hand"]),
        ("%%compile --dialect n", ["numbered"]),
        ("%%compile --loop ", ["own", "kernel"]),
        ("%%compile --as list[", ["list[dict]", "list[float]", "list[str]"]),
        ("%%compile --after do", ["done"]),
        ("%%compile --engine ", ["local", "dask"]),
        ("%%compile -T x,pl", ["plain", "plot"]),
        ("%%compile -T c", ["calculate"]),
        ("%%compile -i fr", ["frame"]),
        ("%%compile --approve d", ["deny"]),
        ("%%compile --variants base,co", ["cold"]),
        ("%%compile --variants ba", ["base"]),
        ("%%compile -b\nLook at @fr", ["frame"]),
        ("%%compile -b\nLook at {fr", ["frame"]),
        ("%%compile -b\nLook at fr", None),
        ("%compile ", list(VERBS)),
        ("x = 1\n%compile sh", ["show"]),
        ("%compile show do", ["done"]),
        ("%compile rerun --fa", ["--failed"]),
        ("%compile rerun --ap", ["--approve"]),
        ("%compile rerun done --approve ", ["ask", "auto", "deny"]),
        ("%compile edit --", []),
        ("%compile diff do", ["done"]),
        ("%compile diff done do", ["done"]),
        ("%compile diff --", ["--times"]),
        ("%compile prompt jo", ["joiner"]),
        ("%compile prompt planner --e", ["--edit"]),
        ("%compile example dr", ["drop"]),
        ("%%prompt pl", ["planner"]),
        ("%%prompt planner x\nUse {{to", ["tools}}"]),
        ("%compile model --c", ["--check"]),
        ("%compile model az", ["azure:"]),
        ("%%compile what", None),
        ("%%time --pl", None),
        ("%compile", None),
        ("", None),
    ],
)
def test_candidates(text, found):
    """What may stand at the end of a text; None leaves it to IPython."""
    _, words = candidates(text, NAMES) or ("", None)
    assert words == found


def test_tasks_of_a_run_complete_by_variable(shell):
    """Where a task is named: the variables of the runs at hand, also of a name that was assigned twice."""
    shell.ok("%%plan\ntotal = double(1)\ntotal = total * 2\ntall = double(3)\nanswer(total)")
    for line in ("%compile why to", "%compile rerun --start to", "%compile approve to"):
        assert candidates(line, Namespace(shell.ns)) == ("to", ["total", "total_2"])


TYPED = """%%plan -j 2
rows = double(2)
best, rest = rows
tot"""


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (TYPED + "al = ro", ["rows"]),
        (TYPED + "al = max(be", ["best"]),
        (TYPED + "al = re", ["rest"]),
        (TYPED + "al = dou", ["double"]),
        (TYPED + "al = ll", ["llm"]),
        (TYPED + "al = pri", ["prices"]),
        (TYPED + "al = ans", ["answer"]),
        (TYPED + "al = tota", []),
        (TYPED + "al = rows.ro", None),
        (TYPED + "al = no_variable", []),
    ],
)
def test_a_plan_completes_names_above_tools_and_inputs(shell, typed, found):
    """What stands on the line itself is not there yet; what follows a dot is Python's, and modules are nobody's."""
    shell.ns |= {"prices": [1], "pricing": pytest, "price_of": len}
    _, words = candidates(typed, Namespace(shell.ns)) or ("", None)
    assert words == found


def test_shift_tab_shows_how_a_tool_is_called(shell):
    """One line for the call, what it does, and what is special; also of the tools that no cell defines."""
    told = shell.ip.object_inspect_mime("double")["text/plain"]
    assert told == "double(x: float) -> float\n\nReturn twice a number.\n\nTool: timeout 300 s"
    assert shell.ip.object_inspect_mime("llm")["text/plain"].startswith(
        "llm(instruction: str, *inputs) -> str\n\nAsk a"
    )
    assert "Built-in function" in shell.ip.object_inspect_mime("len")["text/plain"] or shell.ip.object_inspect_mime(
        "len"
    )
    with pytest.raises(KeyError):
        shell.ip.object_inspect_mime("nothing_of_this_name")


def test_a_shell_completes(shell):
    """Through IPython's own completer, replacing exactly what is typed."""
    shell.planner(PLAN)
    for text, expected in {
        "%%compile --no-e": "%%compile --no-execute",
        "%compile ca": "%compile cancel",
        "%%compile --dialect=nu": "%%compile --dialect=numbered",
        "%%plan\nx = dou": "%%plan\nx = double",
        "%%compile -m olla": "%%compile -m ollama:",
    }.items():
        with provisionalcompleter():
            found = [text[: c.start] + c.text + text[c.end :] for c in shell.ip.Completer.completions(text, len(text))]
        assert expected in found, (text, found)
