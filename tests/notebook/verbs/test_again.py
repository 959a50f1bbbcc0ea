"""`%compile rerun` and `%compile edit`."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from compiler_nb import ScriptedModel
from compiler_nb.notebook.output.footer import footer_of
from compiler_nb.notebook.variables.binding import Binding
from tests.support.shell import told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "values"),
    [
        ("--override x=k", [2, 7, 14]),
        ("--start y --override x=k + 1", [2, 8, 16]),
        ("--override x={'n': [1, 2]}['n'] --start y", [2, [1, 2], [1, 2, 1, 2]]),
        ("--override x=3 --take", [2, 3, 6]),
        ("--override=x='a  --b', a=1", [1, "a  --b", "a  --ba  --b"]),
        ("--override a=2 --override x=3", [2, 3, 6]),
        ("--start x", [2, 3, 6]),
    ],
)
def test_a_task_is_given_a_value_and_the_plan_runs_again(shell, options, values):
    """An expression over the notebook's variables, in the place of a name's last version; results are bound anew."""
    shell.ns["k"] = 7
    shell.ok("%%plan\na = double(1)\nx = double(5)\nx = a + 1\ny = x * 2\nanswer([a, x, y])")
    shell.ok(f"%compile rerun -1 {options}")
    assert shell.ns["run"].answer == values
    assert [shell.ns[name] for name in "axy"] == values


def test_a_rerun_asks_the_model_that_the_run_asked(shell):
    """If the notebook has none: the answer is written anew, of the new values; by another model if one is named."""
    shell.ns["m"] = ScriptedModel({"planner": "a = double(1)\nb = a + 1\njoin(b)", "joiner": ["it is 3", "it is 6"]})
    shell.ns["n"] = ScriptedModel({"joiner": "it is seven"})
    shell.ok("%%compile -m m -o first\nWhat is it?")
    shell.ok("%compile rerun said << first --start b --override a=5")
    assert (shell.ns["said"], shell.ns["run"].settings.joiner) == ("it is 6", shell.ns["m"])
    assert "b" in shell.ns["run"].prompt("joiner")
    shell.ok("%compile rerun said << first --start b --override a=6 -m n")
    assert shell.ns["said"] == "it is seven"


def test_the_options_of_a_cell_hold_for_a_rerun(shell):
    """The run's variable, the answer's name, what is shown, who approves, and a run in the background."""
    shell.ok("made = []\n@tool(side_effects=True)\ndef pay(x): made.append(x); return x")
    shell.ok("%%plan -o first --approve auto\na = double(1)\nb = pay(a)\nc = b + 1\nanswer(c)")
    shell.ok("%compile rerun total << first --start c -o again -d table --approve deny")
    assert (shell.ns["total"], shell.ns["again"].answer, shell.ns["first"] is shell.ns["again"]) == (3, 3, False)
    assert shell.ns["made"] == [2]
    assert "image/svg+xml" not in shell.shown[-1]
    shell.ok("%compile rerun first --override a=5 --approve auto -o again --prefix new_ -j4")
    assert (shell.ns["made"], shell.ns["new_c"], shell.ns["again"].settings.max_concurrency) == ([2, 5], 6, 4)
    shell.ok("%compile rerun again -q -b -o late")
    assert shell.ns["late"].wait(10).answer == 3
    assert shell.ns["made"] == [2, 5]
    assert "OptionError: %compile rerun: -d takes graph, timeline" in shell.error("%compile rerun first -d pie")
    assert "has no option --dialect" in shell.error("%compile rerun first --dialect json")
    assert "%compile rerun: << takes a name that Python" in shell.error("%compile rerun sum << first")


def test_items_of_a_fan_out_are_given_values_by_their_keys(shell):
    """As they are shown, or with the key in quotes; several, and with values that hold what looks like one."""
    rows = "rows = {t: double(n) for t, n in {'AAPL': 1, 'MSFT': 2}.items()}"
    shell.ok(f"%%plan\n{rows}\nall_ = sum(rows.values())\nanswer(all_)")
    shell.ok("%compile rerun --start all_ --override rows[AAPL]=10")
    assert shell.ns["run"].answer == 14
    shell.ok("""%compile rerun --start all_ --override rows["AAPL"]=[1, 2][0] --override rows[MSFT]=7""")
    assert shell.ns["run"].answer == 8
    said = shell.error("%compile rerun --override rows[APPL]=1")
    assert "no task 'rows[APPL]' in this run; its tasks are: rows, all_. Did you mean 'rows[AAPL]'?" in said


def test_a_side_effect_is_asked_for_again_only_if_its_arguments_changed(shell):
    """Along the lineage: a rerun of a rerun, and an edited plan that comes from it."""
    shell.ok("made = []\n@tool(side_effects=True)\ndef pay(x): made.append(x); return x")
    shell.ok("%%plan --approve auto\na = double(1)\nb = pay(a)\nc = b + 1\nanswer(c)")
    shell.ok("%compile rerun --start a --approve deny")
    assert (shell.ns["run"].answer, shell.ns["made"]) == (3, [2])
    shell.error("%compile rerun --override a=9 --approve deny")
    assert shell.ns["made"] == [2]
    shell.ok("%compile rerun --override a=9 --approve auto")
    assert shell.ns["made"] == [2, 9]
    shell.ok("%%plan --from run --approve deny\nb = pay(9)\nd = pay(2)\nanswer([b, d])")
    assert (shell.ns["run"].answer, shell.ns["made"]) == ([9, 2], [2, 9])


def test_a_run_of_several_rounds_and_a_stored_one_run_again(shell, tmp_path):
    """From a task of the second round on, by the id of a run that this session did not make."""
    shell.ok(f"%config CompileMagics.history = {str(tmp_path / 'runs.db')!r}")
    shell.ns["m"] = ScriptedModel({"planner": ["a = double(1)\njoin()\n", "b = double(a)\nc = b + 1\nanswer(c)\n"],
                                   "joiner": "Replan: double it"})  # fmt: skip
    shell.ok("%%compile -m m\nWhat?")
    old = shell.ns["run"].id
    shell.ok("del run")
    shell.ip.magics_manager.registry["CompileMagics"].desk.memory.runs.clear()
    shell.ok(f"%compile rerun {old} --start c --override b=10 -o again")
    again = shell.ns["again"]
    assert (again.answer, again.order.past.parent, again.question) == (11, old, "What?")
    assert [task for task, spans in again.progress.spans.items() if spans and task != "c"] == []


def test_a_cell_says_which_options_are_for_a_run_that_has_ended(shell):
    """A question has no tasks yet, and neither has an edited plan: what it takes over is decided by --from."""
    for flag, line in {"--start": "%%compile --start a", "--failed": "%%plan --from -1 --failed"}.items():
        said = shell.error(f"{line}\nx")
        assert f"{flag} is for a run that has ended: %compile rerun [RUN] {flag}" in said


def test_a_run_that_another_host_holds_is_taken_when_the_user_says_so(shell, tmp_path):
    """The error is one message, which names the verb and the option; with that the run goes on."""
    path = tmp_path / "runs.db"
    shell.ok(f"%config CompileMagics.history = {str(path)!r}")
    shell.ok("from compiler_nb import tool\nsent = []\n@tool(side_effects=True)\ndef send(x): sent.append(x)")
    shell.ok("%%plan --approve auto\na = send(1)\nb = double(2)\nanswer(b)\n")
    run = shell.ns["run"]
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE runs SET status = 'running', owner = 'hub-7:4711:1'")
        db.execute("UPDATE claims SET owner = 'hub-7:4711:1'")
    told = shell.error(f"%compile rerun {run.id}")
    assert told.startswith(
        f"RunClaimed: the side effects of {run.id} are in the hands of {run.id} (process 4711 on hub-7)"
    )
    assert f"%compile rerun {run.id} --take" in told
    shell.ok(f"%compile rerun {run.id} --take --start b")
    assert (shell.ns["run"].answer, shell.ns["sent"]) == (4.0, [1])


def test_an_edited_plan_that_comes_from_a_run_pays_nothing_again(shell, capsys):
    """The cell says which run; run anew without that it is a new intention."""
    shell.ok("from compiler_nb import tool\npaid = []\n@tool(side_effects=True)\ndef pay(x): paid.append(x); return x")
    shell.ok("%%plan --approve auto\na = pay(1)\nanswer(a)\n")
    shell.ok("%%plan --approve auto --from -1\nb = pay(x=1)\nc = pay(2)\nanswer([b, c])\n")
    assert (shell.ns["run"].answer, shell.ns["paid"]) == ([1, 2], [1, 2])
    assert "not repeated: done in round 1 of the run" in told(shell, capsys, "%compile why b")
    assert footer_of(shell.ns["run"], Binding(), times=False) == "2 tasks · not repeated: b"
    shell.ok("%%plan --approve auto --from run\nc = pay(2)\nanswer(c)\n")
    assert shell.ns["paid"] == [1, 2]
    shell.ok("%%plan --approve auto\na = pay(1)\nanswer(a)\n")
    assert shell.ns["paid"] == [1, 2, 1]
    assert "--from is for %%plan" in shell.error("%%compile --from -1\nWhich?")
    assert "no run is called 'nope'" in shell.error("%%plan --from nope\nanswer(1)")


def test_the_plan_of_a_run_is_put_into_the_next_cell(shell):
    """As it was written; it runs as it stands, and makes no side effect again that was made."""
    shell.ok("made = []\n@tool(side_effects=True)\ndef pay(x): made.append(x); return x")
    shell.planner("# twice\na = double(1)\nb = pay(a)\nanswer(b)\n")
    shell.ok("%%compile -m m --approve auto\nWhat?")
    shell.ok("%compile edit")
    cell = next_cell(shell)
    head = f"%%plan -m m --approve auto --from {shell.ns['run'].id}"
    assert cell == f"{head}\n# twice\na = double(1)\nb = pay(a)\nanswer(b)\n"
    shell.ok(cell.replace("answer(b)", "answer(b + 1)"))
    assert (shell.ns["run"].answer, shell.ns["made"]) == (3, [2])


JSON = """{"tasks": [{"id": "t1", "tool": "double", "args": {"x": 1}, "deps": []},
{"id": "t2", "tool": "double", "args": {"x": "$t1"}, "deps": ["t1"]}]}"""


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("numbered", "1. double(1)\n2. double($1)\n3. join()<END_OF_PLAN>"),
        ("json", JSON),
        ("python", "```python\nt1 = double(1)\nt2 = double(t1)\njoin()\n```"),
        ("python", "t1 = double(1)\nt2 = double(t1)\n"),
    ],
)  # fmt: skip
def test_a_plan_of_another_dialect_is_edited_as_python(shell, dialect, text):
    """With the last line that it means in a question's plan."""
    shell.planner(text)
    shell.ok(f"%%compile -m m --dialect {dialect} --no-raise\nWhat?")
    shell.ok("%compile edit")
    text = next_cell(shell).partition("\n")[2].replace("x=", "")
    assert text == "t1 = double(1)\nt2 = double(t1)\njoin()\n"
    shell.ok(next_cell(shell).replace("-m m ", ""))
    assert shell.ns["run"].answer == {"t1": 2, "t2": 4}


def test_a_plan_that_reads_an_earlier_round_is_edited_with_what_it_reads(shell):
    """It stands alone."""
    model = ScriptedModel({"planner": ["a = double(1)\nb = fail(a)\njoin()\n", "c = double(a)\nanswer(c)\n"],
                           "joiner": "Replan: b failed"})  # fmt: skip
    shell.ns["m"] = model
    shell.ok("%%compile -m m --no-bind\nWhat?")
    shell.ok("%compile edit run")
    assert next_cell(shell).partition("\n")[2] == "a = double(1)\nc = double(a)\nanswer(c)\n"


def test_a_run_without_a_plan_cannot_be_edited(shell):
    """It says what can be done."""
    shell.planner("a = nope(1)\n", "a = nope(1)\n")
    shell.error("%%compile -m m\nWhat?")
    assert "has no whole plan: resume it, or ask again" in shell.error("%compile edit")


LOAD = """
calls, made = [], []
@tool
def load(x): calls.append(x); return x * 10
@tool(side_effects=True)
def pay(x): made.append(x); return x
"""
FIRST = """# the first one
a = load(1)
b = load(2)  # the second
c = load(a + b)
rows = {n: load(n) for n in [4, 5]}
big = load(c) if c > 100 else None
answer([c, rows, big])
"""


def again(shell, cell):
    """Run a cell, and return its answer and the calls that it made."""
    shell.ns["calls"].clear()
    shell.ok(cell)
    return shell.ns["run"].answer, sorted(shell.ns["calls"])


@pytest.mark.slow
def test_only_what_an_edit_changed_runs_again(shell):
    """Unchanged, renamed, with one argument changed, with one more item, another name's last line, or a new line."""
    shell.ok(LOAD)
    whole = [300, {4: 40, 5: 50}, 3000]
    assert again(shell, f"%%plan\n{FIRST}") == (whole, [1, 2, 4, 5, 30, 300])
    shell.ok("%compile edit")
    cell = next_cell(shell)
    assert cell.partition("\n")[2] == FIRST
    assert again(shell, cell) == (whole, [])
    renamed = cell.replace("a = load(1)", "first = load(1)").replace("a + b", "first + b")
    assert again(shell, renamed) == (whole, [])
    assert again(shell, cell.replace("load(2)", "load(3)")) == ([400, whole[1], 4000], [3, 40, 400])
    shell.ok(cell.replace("answer", "# once more\nanswer"))
    cell = f"%%plan --from {shell.ns['run'].id}\n{FIRST}"  # of a run that has taken the fan-out over as a whole
    assert again(shell, cell.replace("[4, 5]", "[5, 6]")) == ([300, {5: 50, 6: 60}, 3000], [6])
    assert again(shell, cell.replace("c > 100", "c > 1000")) == ([300, whole[1], None], [])
    assert again(shell, cell.replace("answer([", "d = load(9)\nanswer([d, ")) == ([90, *whole], [9])
    assert footer_of(shell.ns["run"], Binding(), times=False) == "7 tasks · not run again: a, b, c, rows, big.1, big"
    assert "not run again: an earlier run left its outcome" in shell.ns["run"].why("a")


def test_what_an_edit_takes_over_is_of_the_same_tool_and_the_same_inputs(shell):
    """A tool that is defined anew runs again, and so does what reads a variable that has another value now."""
    shell.ok(LOAD)
    shell.ok("k = 3")
    text = "a = load(1)\nb = load(k)\nanswer([a, b])"
    assert again(shell, f"%%plan\n{text}") == ([10, 30], [1, 3])
    assert again(shell, f"%%plan --from run\n{text}") == ([10, 30], [])
    shell.ok("k = 4")
    assert again(shell, f"%%plan --from run\n{text}") == ([10, 40], [4])
    shell.ok("@tool\ndef load(x): calls.append(x); return x * 100")
    assert again(shell, f"%%plan --from run\n{text}") == ([100, 400], [1, 4])
    shell.ok("del k")
    assert again(shell, f"%%plan --from run\n{text}") == ([100, 400], [])


def test_an_edited_plan_of_a_stored_run_of_two_rounds_runs_only_what_changed(shell, tmp_path):
    """By its id, in another session; the question is the run's, so that the joiner can answer it."""
    shell.ok(f"%config CompileMagics.history = {str(tmp_path / 'runs.db')!r}")
    shell.ok(LOAD)
    plans = ["a = load(1)\nbad = fail(a)\njoin()\n", "c = load(a + 1)\njoin(c)\n"]
    shell.ns["m"] = ScriptedModel({"planner": plans, "joiner": ["Replan: it failed", "it is 110", "it is 120"]})
    shell.ok("%%compile -m m --no-bind\nWhat?")
    old = shell.ns["run"].id
    shell.ok("del run")
    shell.ip.magics_manager.registry["CompileMagics"].desk.memory.runs.clear()
    shell.ok(f"%compile edit {old}")
    cell = next_cell(shell)
    assert cell == f"%%plan -m m --no-bind --from {old}\na = load(1)\nc = load(a + 1)\njoin(c)\n"
    assert again(shell, cell.replace("a + 1", "a + 2")) == ("it is 120", [12])
    assert "What?" in shell.ns["run"].prompt("joiner")


def test_the_options_of_the_first_cell_stand_in_the_cell_that_edits_its_plan(shell):
    """Those that hold for a plan, with the name of the answer; not how it was written, nor which run it came from."""
    shell.ok(LOAD)
    shell.ok("def plain(x): return x + 1")
    shell.planner("a = plain(1)\np = pay(a)\nanswer(p)\n")
    shell.ok("%%compile total << -m m --dialect python -T plain,pay --approve auto -o first -j 3\nWhat?")
    shell.ok("%compile edit first")
    cell = next_cell(shell)
    head = cell.partition("\n")[0]
    assert head == f"%%plan total << -m m -T plain,pay --approve auto -o first -j 3 --from {shell.ns['first'].id}"
    shell.ok(cell.replace("answer(p)", "answer(p + 1)"))
    assert (shell.ns["total"], shell.ns["made"]) == (3, [2])
    shell.ok("%compile edit first")
    assert next_cell(shell).partition("\n")[0] == f"{head[: head.rindex(' ')]} {shell.ns['first'].id}"


@pytest.mark.parametrize(
    ("options", "answer", "calls"),
    [
        ("--override a=k + 1", [280, 70], []),
        ("--override a='x  -q'", ["x  -qx  -q", 70], []),
        ("--override a=1, b=[1, 2][0] -q", [20, 1], []),
        ("--override=a=1 --override b=2", [20, 2], []),
        ("--override a=1 What is it?", [20, 70], [7]),
    ],
)
def test_a_task_of_a_plan_in_a_cell_is_given_a_value(shell, options, answer, calls):
    """It does not run, and what reads it does; the values are expressions over the notebook's variables."""
    shell.ok(LOAD)
    shell.ok("k = 13")
    text = "a = load(5)\nb = load(7)\nc = double(a)\nd = double(c) * 5\nanswer([c * 10, b])"
    shell.ok(f"%%plan {options}\n{text}".replace("double(a)", "a * 2").replace("d = double(c) * 5\n", "")
             .replace("c * 10", "c * 10 if a != 'x  -q' else c"))  # fmt: skip
    assert shell.ns["run"].answer == answer
    assert shell.ns["calls"] == (calls or ([7] if "b=" not in options else []))


def test_a_value_that_a_task_is_given_says_so_wherever_it_is_shown(shell, capsys):
    """In the table, in the words for why, in the line below, for the joiner and in a table of pandas."""
    shell.ok(LOAD)
    shell.ok("%%plan --override a=5\na = load(1)\nb = load(a)\nanswer(b)")
    run = shell.ns["run"]
    assert (run.answer, run.state("a"), shell.ns["calls"]) == (50, "done", [5])
    assert "5 · pinned by you" in shell.text()
    assert told(shell, capsys, "%compile why a") == "done, pinned: you gave its value\n"
    assert footer_of(run, Binding(), times=False) == "2 tasks · pinned: a"
    assert list(run.to_pandas()["how"]) == ["pinned", ""]
    assert "pinned by you" in run.visualize().svg


def test_a_pinned_task_of_a_run_makes_what_reads_it_run_again(shell):
    """In a plan that comes from a run; the rest keeps its values, and items are pinned by their keys."""
    shell.ok(LOAD)
    assert again(shell, f"%%plan\n{FIRST}") == ([300, {4: 40, 5: 50}, 3000], [1, 2, 4, 5, 30, 300])
    cell = f"%%plan --from run --override a=1\n{FIRST}"
    assert again(shell, cell) == ([210, {4: 40, 5: 50}, 2100], [21, 210])
    assert again(shell, f"%%plan --from run\n{FIRST}")[1] == [1, 30, 300]
    pinned = f"%%plan --from run --override rows[4]=7\n{FIRST.replace('[4, 5]', '[4, 5, 6]')}"
    assert again(shell, pinned) == ([300, {4: 7, 5: 50, 6: 60}, 3000], [6])


@pytest.mark.slow
def test_a_side_effect_that_is_pinned_is_not_made(shell):
    """Nor one of a fan-out's items."""
    shell.ok(LOAD)
    shell.ok("%%plan --approve auto --override p=1, rows[a]=2\np = pay(5)\n"
             "rows = {k: pay(k) for k in 'ab'}\nanswer([p, rows])")  # fmt: skip
    assert (shell.ns["run"].answer, shell.ns["made"]) == ([1, {"a": 2, "b": "b"}], ["b"])


def test_a_wrong_override_says_what_is_wrong(shell):
    """A task that the plan does not have, no value, and a question's cell."""
    plan = "\na = double(1)\nanswer(a)"
    assert "%%plan: --override: no task 'z' in this plan; its tasks are: a" in shell.error(
        f"%%plan --override z=1{plan}"
    )
    assert "--override takes TASK=VALUE, such as best=[1, 2], not 'z'" in shell.error(f"%%plan --override z{plan}")
    assert "not 'a='" in shell.error(f"%%plan --override a= -q{plan}")
    said = shell.error("%%compile --override a=1\nWhat?")
    assert "--override is for %%plan and %compile rerun: before a question is asked" in said


def test_a_plan_that_is_edited_into_nonsense_says_what_is_wrong_by_the_lines_of_the_cell(shell):
    """Each fault with its line, and nothing runs; the run that it came from is still there to go on with."""
    shell.ok(LOAD)
    shell.ok("%%plan\na = load(1)\nanswer(a)")
    said = shell.error("%%plan --from run\na = load(1)\nb = laod(a)\nimport os\nc = load(d)\nanswer(c")
    assert [line.partition(",")[0] for line in said.split(": ", 1)[1].split("\n") if line.startswith("line")] == [
        "line 3", "line 4", "line 5", "line 6",
    ]  # fmt: skip
    assert "Did you mean 'load'?" in said
    assert again(shell, "%%plan --from -1\na = load(1)\nanswer(a)") == (10, [])


def next_cell(shell):
    """Return the text that the next cell is to hold."""
    return shell.ip.rl_next_input


def test_a_rerun_shares_no_more_than_its_run_did(shell):
    """Nor more than the notebook allows by now, unless its line says so; the run's prompt for the joiner stays."""
    shell.ns["m"] = ScriptedModel({"planner": "a = double(1)\njoin(a)", "joiner": ["two"] * 9}, name="m")
    shell.ok("%%prompt joiner brief\nAnswer in one word.")
    shell.ok("%%compile -m m --share summary --joiner-prompt brief --drop-failed 0.5 -o first\nWhat is it?")
    shell.ok("%compile rerun first --start a -o again")
    again = shell.ns["again"].settings
    assert (again.share, again.drop_failed) == ("summary", 0.5)
    assert again.variants["joiner"] == shell.ns["first"].settings.variants["joiner"]
    assert "Answer in one word." in shell.ns["again"].prompt("joiner")
    shell.ok("%config CompileMagics.share = 'none'")
    shell.ok("%compile rerun first --start a -o again")
    assert shell.ns["again"].settings.share == "none"
    shell.ok("%compile rerun first --start a -o again --share all")
    assert shell.ns["again"].settings.share == "all"
