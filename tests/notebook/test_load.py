"""Loading: silent, light, once; unloading leaves nothing; a wrong setting does not stand in the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from compiler_nb import load_ipython_extension, unload_ipython_extension
from tests.support.shell import PLAN, SETUP, open_shell

ROOT = Path(__file__).resolve().parents[2]
LIGHT = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "compiler_nb")
heavy = "openai ipywidgets anywidget pydantic graphviz pandas nest_asyncio nest_asyncio2"
ours = "plan.python models.base values.forms history.history engine.session run compiler"
print(*(({*heavy.split()} | {f"compiler_nb.{name}" for name in ours.split()}) & set(sys.modules)))
"""


def test_loading_is_silent_and_imports_nothing_heavy():
    """What is large waits for the first use, most of our own rooms included."""
    told = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True, cwd=ROOT)
    assert (told.stdout.strip(), told.stderr) == ("", "")


def everything(ip):
    """Return all that an extension may have registered."""
    return [
        list(ip.magics_manager.registry), *(sorted(ip.magics_manager.magics[kind]) for kind in ("cell", "line")),
        list(ip.input_transformers_cleanup), list(ip.input_transformers_post), list(ip.Completer.custom_matchers),
        {event: list(found) for event, found in ip.events.callbacks.items()}, list(ip.configurables),
    ]  # fmt: skip


def test_loading_twice_is_once_and_unloading_is_whole():
    """Nothing is registered twice, and nothing is left."""
    with open_shell() as shell:
        loaded = everything(shell.ip)
        load_ipython_extension(shell.ip)
        assert everything(shell.ip) == loaded
        unload_ipython_extension(shell.ip)
        bare = everything(shell.ip)
        assert "compile" not in "".join(map(str, bare))
        unload_ipython_extension(shell.ip)
        load_ipython_extension(shell.ip)
        assert [len(part) for part in everything(shell.ip)] == [len(part) for part in loaded]


def test_a_reload_forgets_no_variable():
    """What was ours before is ours after, so that a cell run again binds the same names."""
    with open_shell() as shell:
        shell.planner(PLAN)
        shell.ok("%%compile -m m\nq")
        shell.ok("%reload_ext compiler_nb")
        shell.ok("%%compile -m m\nq")
        assert "bound: a, b, best, run" in shell.text()


def test_a_wrong_setting_is_dropped_with_a_warning():
    """`%config` keeps it, and the next load must not fail."""
    with open_shell(SETUP) as shell:
        shell.run("%config CompileMagics.live = 'perhaps'")
        shell.ok("%config CompileMagics.max_concurrency = 3")
        unload_ipython_extension(shell.ip)
        with pytest.warns(UserWarning, match=r"CompileMagics\.live is left at its default"):
            load_ipython_extension(shell.ip)
        magics = shell.ip.magics_manager.registry["CompileMagics"]
        assert (magics.live, magics.max_concurrency) == (True, 3)


def test_the_environment_turns_live_off(monkeypatch):
    """COMPILER_NB_LIVE=0 is `live=off` for all cells."""
    monkeypatch.setenv("COMPILER_NB_LIVE", "0")
    with open_shell() as shell:
        shell.ok("%%plan\na = double(1)")
        assert " ms" not in shell.shown[-1]["text/html"]
