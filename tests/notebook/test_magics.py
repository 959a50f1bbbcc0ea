"""The magics in a shell: from a cell to variables, outputs and errors."""

from __future__ import annotations

import os
import re
import sys
import threading
import time

import pytest

from compiler_nb import PlanError, ScriptedModel
from compiler_nb.notebook.output.errors import marked
from tests.support.shell import PLAN, SETUP, open_shell

COVERS = ("desk.py",)


def names(shell):
    """Return the variables that a run may have bound."""
    return sorted(set(shell.ns) & {"a", "b", "best", "run", "late", "note", "t1"})


def test_a_question_leaves_variables_and_one_output(shell):
    """Each result, and the run; run again, the same names with the new values."""
    shell.planner(PLAN, PLAN.replace("double(2)", "double(3)"))
    for best in (4, 6):
        shell.ok("%%compile -m m\nWhich is better?")
        assert (names(shell), shell.ns["best"], shell.ns["run"].answer) == (["a", "b", "best", "run"], best, best)
    assert len(shell.shown) == 2
    assert "bound: a, b, best, run" in shell.text()


def test_a_plan_in_a_cell_runs(shell):
    """Its last statement's value is the answer; it may read the notebook's data by name."""
    shell.ns["numbers"] = [1, 2, 3]
    shell.ok("# by hand\n\n%%plan -q\nbest = sum([double(n) for n in numbers])")
    assert shell.ns["run"].answer == 12
    assert not shell.shown


def test_a_name_assigned_twice_is_the_last_value(shell, capsys):
    """The variable, `%compile why` and `%compile rerun --start` mean the last version; the picture shows both."""
    shell.ok("%%plan\nx = double(2)\nx = x + 1\nanswer(x)")
    assert (shell.ns["x"], shell.ns["run"].answer, shell.ns["run"]["x"]) == (5, 5, 5)
    assert "x_2" not in shell.ns
    assert "bound: x, run" in shell.text()
    assert 'data-task="x"' in shell.shown[-1]["text/html"]
    assert 'data-task="x_2"' in shell.shown[-1]["text/html"]
    shell.ok("%compile rerun --start x")
    assert shell.ns["run"]["x"] == 5
    ends = {event.task: event.how for event in shell.ns["run"].events if type(event).__name__ == "TaskEnded"}
    assert ends == {"x": "adopted", "x_2": "inline"}
    shell.ok("%compile why x")
    assert capsys.readouterr().out.startswith("done")


def test_variables_that_change_places_are_bound_as_python_would(shell):
    """Each means what was assigned to it last, and so it does after a rerun."""
    shell.ok("%%plan\na = double(1)\nb = double(2)\na, b = b, a\nb = None\nanswer(a)")
    for _ in range(2):
        assert (shell.ns["a"], shell.ns["b"], shell.ns["run"].answer, shell.ns["run"]["b"]) == (4, None, 4, None)
        assert "bound: a, b, run" in shell.text()
        shell.ok("%compile rerun --start a")


def test_a_plans_answer_that_failed_is_named_in_the_cell(shell):
    """Although the joiner answered instead."""
    shell.ns["m"] = ScriptedModel({"planner": "a = double(1)\nanswer(a['max'])", "joiner": "Two."})
    shell.ok("%%compile -m m\nHow much?")
    assert "Two." in shell.text()
    assert """note: the plan's answer failed: ExpressionError: a["max"]: TypeError:""" in shell.text()
    assert "the plan&#x27;s answer failed" in shell.shown[-1]["text/html"]


def test_failed_items_are_left_out_if_that_is_wanted(shell):
    """With --drop-failed the rest goes on; the line under the answer and the picture say that items are missing."""
    shell.ok("from compiler_nb import tool\n@tool\ndef half(n: int) -> int:\n    return 6 // n")
    plan = "rows = [half(n) for n in [1, 0, 2]]\nanswer(sum(rows))"
    assert "1 of 3 items failed: ZeroDivisionError" in shell.error(f"%%plan\n{plan}")
    shell.ok(f"%%plan --drop-failed 40%\n{plan}")
    assert (shell.ns["rows"], shell.ns["run"].answer) == ([6, 3], 9)
    assert shell.text().startswith("✓ done  rows  [half(n) for n in [1, 0, 2]]  2 of 3 items: [6, 3]\n")
    assert "\n\n9\n\nwithout 1 of 3 items of rows, which failed\n\n" in shell.text()
    html = shell.shown[-1]["text/html"]
    assert '</div>\n<p class="cnb-footer">without 1 of 3 items of rows, which failed</p>\n' in html
    assert "2 of 3<" in html
    assert "ZeroDivisionError" in shell.error(f"%%plan --drop-failed 0.3\n{plan}")


def test_a_name_whose_last_version_failed_is_not_bound(shell):
    """An older value would be a silent stand-in for it."""
    shell.ok("%%plan\nx = double(2)\nanswer(x)")
    shell.ok("%%plan --no-raise\nx = double(2)\nx = fail(x)\njoin()")
    assert "not bound: x (failed)" in shell.text()


def test_the_answer_goes_where_it_is_wanted(shell):
    """`NAME <<` takes it, `-o` the run, `--prefix` and `--no-bind` the results."""
    shell.planner(PLAN)
    shell.ok("%%compile found << -m m -o mine --prefix p_ Which is better?")
    assert (shell.ns["found"], shell.ns["mine"].answer, shell.ns["p_best"]) == (4, 4, 4)
    shell.ok("%%compile -m m --no-bind\nq")
    assert names(shell) == ["run"]


def test_the_users_own_is_never_overwritten(shell):
    """The footer says what was left alone; a run under a taken name is still in `%compile runs`."""
    shell.planner(PLAN)
    shell.ns.update(best="mine", run="mine too")
    shell.ok("%%compile -m m\nq")
    assert (shell.ns["best"], shell.ns["run"]) == ("mine", "mine too")
    assert "bound: a, b · not bound: best (yours), run (yours)" in shell.text()


def test_a_failed_run_is_shown_then_raised(shell):
    """What finished is bound, what an earlier run of the cell left is deleted, the error is short."""
    cell = "%%compile --planner m\nq"
    shell.planner("a = double(1)\nnote = double(2)\nanswer(note)", "a = double(3)\nnote = fail(1)\nanswer(note)")
    shell.ok(cell)
    assert names(shell) == ["a", "note", "run"]
    message = shell.error(cell)
    assert message.startswith("RunFailed: ")
    assert "search failed, 404" in message
    assert (names(shell), shell.ns["a"]) == (["a", "run"], 6)
    assert "not bound: note (failed) · deleted: note (stale)" in shell.text()


def test_no_raise_and_failed_tasks_with_an_answer_raise_nothing(shell):
    """An answer is an answer; `--no-raise` shows and goes on."""
    shell.ok("%%plan --no-raise\nnote = fail(1)")
    shell.ok("%%plan\nnote = fail(1)\na = double(1)\nanswer(a)")
    assert "not bound: note (failed" in shell.text()


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%%compile\nq", "NoModel: no model is set, but the notebook holds one: m. Write %%compile -m m"),
        ("%%compile -N\nq", "NoModel"),
        ("%%compile --modle\nq", "OptionError: %%compile has no option --modle"),
        ("%%compile -T nobody -m m\nq", "OptionError: -T: no variable is called 'nobody'"),
        ("%%compile -i nobody -m m\nq", "OptionError: -i: no variable is called 'nobody'"),
        ("%%plan\na = duoble(1)", "PlanError: line 2, column 5: no tool is called 'duoble'. Did you mean 'double'?"),
        (
            "%%plan\na = plain(1)",
            "PlanError: line 2, column 5: plain is a function, but not a tool: write @tool above it",
        ),
        ("%%plan -T plain\na = double(1)", "PlanError: line 2, column 5: the tool double is not offered in this cell"),
        (
            "%%plan --approve yes\na = double(1)",
            "OptionError: --approve: no tool is called 'yes'. It takes ask, auto, deny,",
        ),
        ("%%plan -N\na = f(", "PlanError"),
        ("%%plan\na = 1\ndel a", "PlanError: line 3"),
    ],
)
def test_errors_are_short_and_ours(shell, cell, message):
    """Never a UsageError, which notebook tests overlook; a notebook shows the message alone."""
    shell.planner(PLAN)
    shell.ok("def plain(n): return n")
    result = shell.run(cell)
    raised = result.error_in_exec
    assert f"{type(raised).__name__}: {raised}".startswith(message)
    told = marked(raised) if isinstance(raised, PlanError) else raised
    (shown,) = raised._render_traceback_()
    assert shown.split() == f"{type(raised).__name__}: {told}".split()


@pytest.mark.slow
def test_a_cell_that_fails_to_begin_leaves_nothing_stale(shell):
    """What its previous run bound is gone, when the plan is none any more."""
    shell.ns["factor"] = 2
    shell.ok("%%plan\na = double(factor)")
    assert names(shell) == ["a", "run"]
    del shell.ns["factor"]
    assert "PlanError" in shell.error("%%plan\na = double(factor)")
    assert names(shell) == []


@pytest.mark.parametrize("cell", ["%%compile", "%%compile -h", "%%compile\n\n", "%%plan -m m", "%%compile -h\nq"])
def test_an_empty_cell_prints_the_help(shell, capsys, cell):
    """Not IPython's UsageError."""
    shell.ok(cell)
    assert "--planner MODEL" in capsys.readouterr().out


def test_what_a_question_offers_and_pastes(shell):
    """The planner sees names and shapes of what is offered, text of what is pasted, and nothing else."""
    model = shell.planner("a = double(numbers[0])\nanswer(a)")
    shell.ns.update({"numbers": [5, 6], "city": "Rome", "secret": "canary"})
    shell.ok("%%compile -m m -T double\nTwice the first of @numbers in {city}, {unknown} {secret!r}?\n# NBVAL_SKIP")
    (request,) = model.calls
    prompt = "\n".join(message["content"] for message in request.messages)
    assert "Question: Twice the first of @numbers in Rome, {unknown} {secret!r}?" in prompt
    assert "numbers: list of 2 int" in prompt
    assert not any(word in prompt for word in ("canary", "NBVAL", "fail(", "5, 6"))
    assert shell.ns["a"] == 10


@pytest.mark.parametrize("wrap", ["%%time\n", "%%capture kept\n"])
def test_a_nested_cell_blocks_and_works(shell, wrap):
    """So does a call from a function."""
    shell.planner(PLAN)
    shell.ok(f"{wrap}%%compile -m m\nq")
    assert shell.ns["best"] == 4
    shell.ok("def again(q):\n    get_ipython().run_cell_magic('compile', '-m m -o late', q)\nagain('q')")
    assert shell.ns["late"].answer == 4


def test_autoawait_may_be_off(shell):
    """The cell blocks."""
    shell.planner(PLAN)
    shell.ok("%autoawait off")
    shell.ok("%%compile -m m\nq")
    assert shell.ns["best"] == 4


def test_a_main_thread_tool_runs_there(shell):
    """In an awaiting cell and in a nested one; on the kernel's loop, see tests/kernel."""
    shell.ok("import threading\n@tool(thread='main')\ndef where() -> str:\n    return threading.current_thread().name")
    for wrap in ("", "%%capture kept\n"):
        shell.ok(f"{wrap}%%plan\na = where()")
        assert shell.ns["a"] == threading.main_thread().name


def test_a_background_run_is_bound_before_the_next_cell(shell):
    """The run is there at once; its results come when no cell runs, and the output is replaced."""
    shell.ok(
        "import threading\ngate = threading.Event()\n@tool\ndef late_one() -> int:\n    gate.wait(5)\n    return 7"
    )
    shell.ok("%%plan -b -o late\na = late_one()\nanswer(a)")
    assert (names(shell), shell.ns["late"].status) == (["late"], "running")
    shell.ok("gate.set(); late.wait(5)")
    shell.ok("assert a == 7")
    assert "1 task · bound: a, late" in shell.text()


def test_side_effects_are_denied_where_nobody_answers(shell, monkeypatch):
    """The reason says how to approve; `--approve` with the tool's name does."""
    shell.ok("sent = []\n@tool(side_effects=True)\ndef send(to: str) -> str:\n    sent.append(to)\n    return 'sent'")

    def nobody(text):
        raise NotImplementedError

    monkeypatch.setattr("builtins.input", nobody)
    assert "nobody can be asked here; --approve auto" in shell.error("%%plan\na = send('bob')")
    assert shell.ns["sent"] == []
    shell.ok("%%plan --approve send\na = send('bob')")
    monkeypatch.setattr("builtins.input", lambda text: "y")
    shell.ok("%%plan\na = send('eve')")
    assert shell.ns["sent"] == ["bob", "eve"]


def test_settings_hold_for_all_cells():
    """`%config CompileMagics` gives defaults, an option wins; a limit ends a run with what there is."""
    with open_shell(SETUP, live=False, timeout=0.05) as shell:  # loop="kernel" patches asyncio: see tests/kernel
        shell.ns["slow"] = ScriptedModel(PLAN, ttft=30)
        shell.ok("%config CompileMagics.model = 'slow'")
        assert "RunFailed: limit: the run took longer than 0.05 s" in shell.error("%%compile\nq")
        shell.ok("%%plan --timeout 5\nnote = double(1)")
        assert " ms" not in shell.shown[-1]["text/html"]


def test_limits_of_providers_are_a_setting():
    """A dict by provider, which holds from cell to cell; a wrong one is a short error."""
    with open_shell(SETUP, limits={"scripted": {"rpm": 1}}) as shell:
        shell.planner("answer(1)\n")
        shell.ok("%%compile --timeout 0.2 -m m\nq")
        assert "RunFailed: limit: the run took longer than 0.2 s" in shell.error("%%compile --timeout 0.2 -m m\nq")
        shell.ok("%config CompileMagics.limits = {'scripted': {'rps': 1}}")
        assert "OptionError: limits of scripted: it is {'rps': 1}" in shell.error("%%compile -m m\nq")


@pytest.mark.slow
@pytest.mark.parametrize("value", ['{"items": 20}', "dict(items=20)", "Bounds(items=20)"])
def test_bounds_of_expressions_are_a_setting(shell, value):
    """A dict or Bounds, for all cells; the error says how to raise what was reached, and that works as it stands."""
    plan = "%%plan\nr = [double(x) for x in range(30)]\nanswer(len(r))"
    shell.ok("from compiler_nb import Bounds")
    shell.ok(f"%config CompileMagics.bounds = {value}")
    error = shell.error(plan)
    assert (
        'the fan-out goes over more than 20 items (Bounds.items): use a tool, or raise it: bounds={"items": 40}'
        in error
    )
    shell.ok(f"%config CompileMagics.{error.split('raise it: ')[1].split('}')[0]}}}")
    shell.ok(plan)
    shell.ok("%config CompileMagics.bounds = None")
    shell.ok(plan)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('{"itms": 3}', "there is no bound 'itms'; there are items, steps, bytes, seconds, run_steps, run_bytes"),
        ('{"items": 0}', "Bounds.items must be a number above 0, not 0"),
        ('{"items": "20"}', "Bounds.items must be a number above 0, not '20'"),
        ('"items=20"', "bounds must be a dict such as {\"items\": 100_000}, or Bounds(items=100_000), not 'items=20'"),
        ("20", 'bounds must be a dict such as {"items": 100_000}, or Bounds(items=100_000), not 20'),
    ],
)
def test_wrong_bounds_are_refused_when_they_are_set(shell, value, said, caplog):
    """As other settings are; what was set before holds."""
    shell.ok('%config CompileMagics.bounds = {"items": 20}')
    shell.run(f"%config CompileMagics.bounds = {value}")
    assert said in caplog.text
    assert "more than 20 items" in shell.error("%%plan\nr = [double(x) for x in range(30)]\nanswer(len(r))")


def test_only_a_plan_with_an_option(shell):
    """`-N` draws and runs nothing; the planner's run is kept."""
    shell.planner(PLAN)
    shell.ok("%%compile -N -m m\nq")
    shell.ok("%%plan -N\na = fail(1)")
    assert names(shell) == ["run"]
    assert shell.text() == "a  fail(1)\nanswer(a)"


def test_a_plan_is_checked_without_running(shell, capsys):
    """It says how the plan was read; a problem is marked under its line; nothing is run, bound or deleted."""
    shell.ok("%%plan\na = double(1)")
    capsys.readouterr()
    shell.ok("%%plan --check\nb = double(2)\nnote = fail(b)\nanswer(note)")
    out = capsys.readouterr().out
    assert out.startswith("no problems\n")
    assert "note" in out
    result = shell.run("%%plan --check\nb = duoble(2)")
    (told,) = result.error_in_exec._render_traceback_()
    assert told.split("\n")[-2:] == ["    b = duoble(2)", "        ^"]
    assert names(shell) == ["a", "run"]
    assert "OptionError: %%compile: --check is for %%plan" in shell.error("%%compile --check\nq")


def test_a_guarded_line_binds_its_value_whatever_was_needed(shell):
    """What is not needed is neither a failure nor a name that is not bound."""
    shell.ok("from compiler_nb import tool\n@tool\ndef shout(x): return x.upper()\nok = False")
    shell.ok("%%plan -i ok\na = shout('a') if ok else 'b'\nc = shout(a)")
    assert (shell.ns["a"], shell.ns["c"]) == ("b", "B")
    assert re.search(r'skipped  a\.1  shout\("a"\) +not needed', shell.text())
    assert "2 tasks · bound: a, c, run" in shell.text()


def test_an_imported_tool_is_what_its_file_says_now_under_autoreload(shell, tmp_path, monkeypatch):
    """`from mytools import price` names the old tool, and no cell is run again."""
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "mytools.py"

    def write(body: str, seconds: int):
        file.write_text(f"from compiler_nb import tool\n@tool\ndef price(x{body}\ndef plain(x{body}\n")
        os.utime(file, (time.time() + seconds, time.time() + seconds))

    write("): return x + 1", 0)
    shell.ok("%load_ext autoreload\n%autoreload 2\nfrom mytools import price, plain")
    shell.ok("%%plan -T price,plain\nanswer([price(1), plain(1)])")
    assert shell.ns["run"].answer == [2, 2]
    write(", times=10): return x * times", 10)
    shell.ok("%%plan -T price,plain\nanswer([price(1), plain(1), price(2, times=3), plain(2, times=3)])")
    assert shell.ns["run"].answer == [10, 10, 6, 6]
    shell.planner("answer(price(1))\n")
    shell.ok("%%compile -m m\nWhat is it?")
    assert shell.ns["run"].answer == 10
    assert "times" in shell.ns["run"].prompt("planner")
    del sys.modules["mytools"]
