"""A run as lines: what stands in them, and what they leave out."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from compiler_nb import Compiler, ScriptedModel, tool
from compiler_nb.drawing.clocks import times_of
from compiler_nb.drawing.text import columns_of
from compiler_nb.events import ModelWaits, TaskEnded, TaskRetried, TaskStarted, Warned
from compiler_nb.notebook.output.presenter import MOST, Lines
from compiler_nb.notebook.output.show import Look
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.trace import Progress
from tests.support.desk import begin
from tests.support.shell import PLAN, SETUP
from tests.support.story import Story

STILL = Look(times=False)
EVIL = "\x1b[2J\u202e" + "x" * 500


@tool
def weather(city: str) -> str:
    """Weather of a city."""
    return "sunny"


@tool
def fail(x: object) -> object:
    """Fail."""
    raise ValueError("404" if x == "sunny" else x)


@tool
def evil(x: int, y: str) -> str:
    """Say what would act in a terminal."""
    return EVIL


def shown(capsys, plan, look=STILL, columns=100, **models):
    """Return the lines of a run."""
    model = ScriptedModel({"planner": plan, **models})
    lines = Lines(look, columns)
    compiler = Compiler(None, [weather, fail, evil], planner=model, joiner=model if models else None, max_concurrency=1)
    run, work = begin(compiler, "Which?", on_event=lines.event)
    lines.begin(run)
    asyncio.run(work)
    lines.end(run, Binding(("ny",)))
    return capsys.readouterr().out.splitlines()


def test_each_task_has_a_line_and_the_answer_comes_last(capsys):
    """State, id, call, value; then the answer, where the tool failed, and the footer."""
    lines = shown(capsys, 'ny = weather("New York")\nnote = fail(ny)\nbest = weather(note)\nanswer(ny)')
    assert lines[:-1] == [
        '✓ ny  weather("New York")  "sunny"',
        "✗ note  fail(ny)  raised: ValueError: 404",
        "» best  weather(note)  because note failed",
        "",
        "sunny",
        "",
        lines[6],
        '    raise ValueError("404" if x == "sunny" else x)',
        "",
    ]
    assert re.fullmatch(r"note failed in .*test_presenter\.py, line \d+, in fail", lines[6])
    assert lines[-1].startswith("3 tasks · ")
    assert lines[-1].endswith(" · bound: ny")


def test_times_stand_at_the_end_of_a_line(capsys):
    """Where they may be shown, and for what took any."""
    lines = shown(capsys, 'ny = weather("x")\nbest = f"{ny}!"\nanswer(best)', Look())
    assert lines[0].startswith('✓ ny  weather("x")  "sunny"  ')
    assert lines[0].endswith(" ms")
    assert lines[1] == '✓ best  f"{ny}!"  "sunny!"'


def test_a_lines_time_is_that_of_the_picture(capsys):
    """How long a task ran in all its attempts, without the pauses between them."""
    story = Story().plan("a").tell(TaskStarted, "a", 1, 0.0).tell(TaskRetried, "a", 1, "down", 0.5)
    story.tell(Warned, "a", "waits").tell(TaskStarted, "a", 2, 0.0).tell(TaskEnded, "a", 2, "done", 1, "")
    progress = Progress(story.events)
    line = Lines(Look(), 100)._line(story.events[-1], progress)
    assert line.endswith("  2.0 s")
    assert times_of(progress, progress.at)["a"] == "2nd try \u00b7 2.0 s"


def test_items_of_a_fan_out_are_indented(capsys):
    """The fan-out itself comes after them."""
    lines = shown(capsys, 'rows = {c: weather(c) for c in ["a", "b"]}\nanswer(1)')
    assert [line.split("  ")[:2] for line in lines[:2]] == [["", "✓ rows[a]"], ["", "✓ rows[b]"]]
    assert lines[2].startswith("✓ rows  ")


def test_another_plan_says_why(capsys):
    """The joiner's reason stands between the plans' tasks."""
    model = {"joiner": ["Replan: more\x1b[2J", "Answer: fine"]}
    lines = shown(capsys, ['a = weather("x")\njoin()', 'b = weather("y")\njoin()'], **model)
    assert lines[:5] == ['✓ a  weather("x")  "sunny"', "another plan: more\\x1b[2J",
                         '✓ b  weather("y")  "sunny"', "", "fine"]  # fmt: skip


def test_a_run_without_an_answer_says_so(capsys):
    """Where nothing ran, there is no empty line before it."""
    lines = shown(capsys, "a = nope(1)\njoin()")
    assert lines[0].startswith("failed: ")


def test_lines_are_no_wider_than_the_terminal_and_nothing_in_them_acts(capsys):
    """Control characters are shown as escapes."""
    lines = shown(capsys, f"ny = evil(1, {'x' * 99!r})\nbad = fail(ny)\nanswer(ny)", columns=80)
    assert [line[:2] for line in lines[:2]] == ["✓ ", "✗ "]
    assert all(columns_of(line) <= 80 for line in lines[:2])
    assert all(line.isprintable() for line in lines)


def test_a_quiet_one_says_nothing(capsys):
    """`-q`."""
    assert shown(capsys, 'ny = weather("x")\nanswer(ny)', Look(quiet=True)) == []


def test_very_many_tasks_are_not_all_listed(capsys):
    """Printing them would slow down the run."""
    plan = "\n".join(f't{number} = weather("x")' for number in range(MOST + 50))
    told = shown(capsys, f"{plan}\nanswer(1)")
    assert told[MOST - 1].startswith("✓ t")
    assert told[MOST : MOST + 3] == ["… more tasks end", "", "1"]


@pytest.mark.slow
def test_a_terminal_shows_them(tmp_path):
    """IPython itself, without a kernel, on a pipe."""
    model = f"from compiler_nb import ScriptedModel\nm = ScriptedModel({{'planner': {PLAN!r}}})"
    cells = [*SETUP.strip().split("\n\n"), *model.split("\n"), "%load_ext compiler_nb",
             "get_ipython().run_cell_magic('compile', '-m m', 'Which?')", "print('best', '=', best)"]  # fmt: skip
    told = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--colors=nocolor", "--HistoryManager.enabled=False"],
        input="\n\n".join(f"{cell}\n" for cell in cells), capture_output=True, text=True, check=False, timeout=60,
        env={"IPYTHONDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3]), "HOME": str(tmp_path)},
    ).stdout  # fmt: skip
    assert "✓ a  double(1)  2.0" in told
    assert told.index("✓ best  max(a, b)  4.0") < told.index("3 tasks · ")
    assert "best = 4.0" in told


def test_a_wait_that_a_provider_asks_for_has_a_line(capsys):
    """Once, however many calls wait for it; short ones have none."""
    lines = Lines(STILL, 100)
    run, work = begin(Compiler(None, [weather]), plan="ny = weather('NY')\n")
    lines.begin(run)
    story = Story()
    for call in (1, 2):
        story.tell(ModelWaits, call, "worker", "ny", "openai", "m", 45.0, 45.0 - len(story.events), True)
    story.tell(ModelWaits, 3, "worker", "ny", "vllm", "m", 0.0, 0.4, True)
    for event in story.events:
        lines.event(event)
    asyncio.run(work)
    assert capsys.readouterr().out == "waits for openai: asked for 45 s\n"
