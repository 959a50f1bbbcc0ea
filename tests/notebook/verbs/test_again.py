"""`%compile rerun` and `%compile edit`."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from compiler_nb import ScriptedModel
from compiler_nb.notebook.output.show import footer
from compiler_nb.notebook.variables.binding import Binding
from tests.support.shell import told


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
    assert "no task 'rows[APPL]' in this run; it has rows, all_. Did you mean 'rows[AAPL]'?" in said


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
    assert footer(shell.ns["run"], Binding(), times=False) == "2 tasks · not repeated: b"
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
    assert cell == f"%%plan --from {shell.ns['run'].id}\n# twice\na = double(1)\nb = pay(a)\nanswer(b)\n"
    shell.ok(cell.replace("%%plan", "%%plan --approve auto").replace("answer(b)", "answer(b + 1)"))
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
    shell.ok(next_cell(shell))
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
