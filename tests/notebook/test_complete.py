"""Completion of options, values, verbs and names."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter

from compiler_nb import Run, ScriptedModel
from compiler_nb.notebook.complete import candidates
from compiler_nb.notebook.variables.namespace import Namespace
from compiler_nb.notebook.verbs import VERBS
from tests.support.shell import PLAN


def plain(x):
    """Return x."""
    return x


NAMES = Namespace({"frame": 1, "plain": plain, "model": ScriptedModel("x"), "done": Run.__new__(Run)})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("%%compile --pl", ["--planner"]),
        ("%%plan --no-b", ["--no-bind"]),
        ("# why\n%%compile --ti", ["--timeout"]),
        ("%%compile -m mo", ["model"]),
        ("%%compile -m oll", ["ollama:"]),
        ("%%compile --planner=ha", ["hand"]),
        ("%%compile --dialect n", ["numbered"]),
        ("%%compile --loop ", ["own", "kernel"]),
        ("%%compile --engine ", ["local"]),
        ("%%compile -T x,pl", ["plain"]),
        ("%%compile -i fr", ["frame"]),
        ("%%compile --approve d", ["deny"]),
        ("%%compile -b\nLook at @fr", ["frame"]),
        ("%%compile -b\nLook at {fr", ["frame"]),
        ("%%compile -b\nLook at fr", None),
        ("%compile ", list(VERBS)),
        ("x = 1\n%compile sh", ["show"]),
        ("%compile show do", ["done"]),
        ("%compile rerun --", ["--start", "--failed", "--override", "--take"]),
        ("%compile edit --", []),
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
