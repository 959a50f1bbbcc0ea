"""`%compile VERB`."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from compiler_nb import ScriptedModel
from compiler_nb.events import ModelWaits
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.notebook.output.show import footer
from compiler_nb.notebook.variables.binding import Binding
from tests.support.server import Server
from tests.support.shell import PLAN

COVERS = ("runs.py",)


def told(shell, capsys, line):
    """Return what a line prints."""
    capsys.readouterr()
    shell.ok(line)
    return capsys.readouterr().out


def test_help(shell, capsys):
    """Alone it lists options and verbs; a verb has its own; every way to ask works."""
    whole = told(shell, capsys, "%compile")
    assert whole == told(shell, capsys, "%compile help") == told(shell, capsys, "%compile -h")
    assert "  model [MODEL" in whole
    assert "--planner MODEL" in whole
    assert told(shell, capsys, "%compile help runs") == told(shell, capsys, "%compile runs -h")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("step x", "OptionError: %compile step does not exist yet"),
        ("edit x", "no run is called 'x'"),
        ("skip", "which task? %compile show lists them; write: %compile skip TASK [RUN]"),
        ("set x", "%compile set takes a task and its value; write: %compile set TASK EXPRESSION [--run RUN]"),
        ("set x 5", "no run is called '-1'"),
        ("run x", "OptionError: %compile has no verb 'run'. Did you mean 'runs'? The verbs are: help, model"),
        ("rerun x", "no run is called 'x'"),
        ("rerun -1 --start", "--start needs a value"),
        ("rerun a b", "%compile rerun does not take 'b'; write: %compile rerun [RUN] [--start TASK] [--failed]"),
        ("rerun --override", "--override needs a value: --override TASK=VALUE"),
        ("rerun --override 5", "--override takes TASK=VALUE, such as best=[1, 2], not 5: it has no name"),
        ("rerun --override b=open('x')", "not b=open('x'): a function is called in a cell above"),
        ("rerun --override b=", "not b=: this is not a line of a plan"),
        ("show --override b=1", "%compile show has no option --override; it has -d VIEWS"),
        ("modle", "Did you mean 'model'?"),
        ("help step", "OptionError: %compile step does not exist yet"),
        ("rerun --from x", "%compile rerun has no option --from; it has --start TASK and --failed and --override"),
        ("pause --all", "OptionError: %compile pause has no option --all"),
        ("show", "OptionError: no run is called '-1'"),
        ("show nobody", "no run is called 'nobody'"),
        ("cancel -9", "no run is called '-9'"),
        ("runs now", "%compile runs does not take 'now'; write: %compile runs [--keep N]"),
        ("runs --keep", "%compile runs: --keep needs a value: --keep N"),
        ("runs --keep -1", "--keep takes a number of runs, 0 or more, not '-1'"),
        ("runs --keep 3 x", "%compile runs does not take 'x'"),
        ("runs --keep 3", "there is no history"),
        ("model --kye", "%compile model has no option --kye; it has --key and --check"),
        ("model m x", "'x' is not a setting"),
        ("model", "NoModel: no model is set. Choose one with"),
        ("model nobody", "No variable is called 'nobody' either"),
        ("show 'x", "%compile: No closing quotation"),
    ],
)
def test_wrong_lines(shell, line, message):
    """Each is a short error that says what there is."""
    assert message in shell.error(f"%compile {line}")


def test_model_is_set_shown_and_checked(shell, capsys):
    """A variable or a name is set for all roles; --check sends one tiny call."""
    shell.ns["m"] = ScriptedModel({"worker": "ready", "planner": PLAN})
    assert told(shell, capsys, "%compile model m") == "planner, joiner, worker: scripted  no key needed\n"
    assert "scripted:scripted answered 'ready' in" in told(shell, capsys, "%compile model --check")
    shell.ok("%%compile\nq")
    assert shell.ns["best"] == 4
    assert "http://127.0.0.1:9/v1" in told(shell, capsys, "%compile model openai:x base_url=http://127.0.0.1:9/v1")


def test_a_key_is_asked_for_unseen(shell, capsys, monkeypatch):
    """It is kept in the process, and shown nowhere; a server that needs none takes none from a person."""
    monkeypatch.delenv("FRIENDLI_TOKEN", raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "sk-secret-key-0123456789")
    out = told(shell, capsys, "%compile model friendli:x --key")
    assert "key: set in this session" in out
    assert "sk-secret" not in out
    monkeypatch.setattr("getpass.getpass", lambda prompt: "")
    assert "key: none found" in told(shell, capsys, "%compile model --key")
    shell.planner(PLAN)
    assert "scripted takes no key" in shell.error("%compile model m --key")


def test_tools_runs_show_and_cancel(shell, capsys):
    """What is offered, what has run, a run again, and nothing to cancel."""
    shell.planner(PLAN)
    assert "double(x: float) -> float\n    Return twice a number." in told(shell, capsys, "%compile tools")
    assert told(shell, capsys, "%compile runs") == "no runs yet\n"
    shell.ok("%%compile -m m -o first\nWhich is\nbetter?")
    shell.ok("%%plan --no-raise\nx = fail(1)")
    rows = told(shell, capsys, "%compile runs").splitlines()
    assert rows[0].split() == ["status", "tasks", "when", "model", "tokens", "cost", "time", "id", "answer", "question"]
    assert re.search(r"3 +\d\d \w{3} \d\d:\d\d  scripted:scripted +[\d,]+ ", rows[2])
    assert re.search(r"-[0-9a-f]{6}  4\.0 +Which is better\?$", rows[2])
    assert rows[1].startswith("-1  failed  1 ")
    assert rows[2].startswith("-2  done    3 ")
    assert rows[2].endswith("Which is better?")
    for run in ("first", "-2", shell.ns["first"].id):
        shell.ok(f"%compile show {run}")
        assert shell.text().startswith("Which is\nbetter?")
    shell.ok("%compile show")
    assert "✗ failed  x" in shell.text()
    for views in ("-d graph,table", "-d graph, table", "--display=graph, table"):
        shell.ok(f"%compile show first {views}")
        html = shell.shown[-1]["text/html"]
        assert ("cnb-inline" in html, "<pre>" in html.replace('<pre class="cnb-flat">', "")) == (True, True), views
    assert told(shell, capsys, "%compile cancel") == "no run is running\n"
    assert told(shell, capsys, "%compile cancel first") == "first is not running, its status is done\n"
    assert "%compile rerun continues" in told(shell, capsys, "%compile resume first")
    assert told(shell, capsys, "%compile go") == told(shell, capsys, "%compile resume")


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


def test_runs_are_pruned_and_damaged_ones_listed(shell, capsys, tmp_path):
    """One line says what was done; a run of this session is listed still; what is damaged hides nothing."""
    path = tmp_path / "runs.db"
    shell.ok(f"%config CompileMagics.history = {str(path)!r}")
    shell.planner(PLAN)
    for _ in range(3):
        shell.ok("%%compile -m m\nWhich?")
    assert told(shell, capsys, "%compile runs --keep 2") == f"removed 1 run from {path}, kept the newest 2\n"
    assert len(told(shell, capsys, "%compile runs").splitlines()) == 4
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO runs (id, question, status) VALUES ('bad', 7, 'done')")
    rows = told(shell, capsys, "%compile runs").splitlines()
    assert rows[-1].split()[:2] == ["-4", "damaged"]
    assert "HistoryError" in shell.error("%compile show bad")
    assert told(shell, capsys, "%compile runs --keep 0") == f"removed 3 runs from {path}, kept the newest 0\n"


def test_why_tells_what_the_planner_waits_for(shell, capsys):
    """While no task is planned yet, a provider that asks to wait is all there is to tell."""
    waits = threading.Event()

    def note(event):
        if isinstance(event, ModelWaits):
            waits.set()

    with Server("answer(1)\n", faults=["429=1"]) as server:
        shell.ns["m"] = OpenAIModel("m", provider="vllm", base_url=server.url)
        shell.ok("%%compile -b -m m -o r\nWhat?")
        run = shell.ns["r"]
        run.log.listeners.append(note)
        assert run.progress.waits or waits.wait(10)
        assert re.fullmatch(
            r"the planner waits for vllm: asked for 1 s, \d\.\d s left\n", told(shell, capsys, "%compile why")
        )
        assert "the planner waits for vllm: asked for 1 s" in repr(run)
        run.wait(10)
    assert run.answer == 1
    assert re.fullmatch(r"the run took [12]\.\d s: planner\n", told(shell, capsys, "%compile why"))


def test_disclosed_says_what_left_this_machine(shell, capsys):
    """Of the last run, or of one that is named."""
    shell.planner("a = double(2)\nanswer(a)\n")
    shell.ok("%%compile -m m\nTwice two?")
    assert told(shell, capsys, "%compile disclosed").startswith("no prompt left this machine\n1. planner to scripted: ")
    assert "planner" in told(shell, capsys, "%compile disclosed run")


# ---------------------------------------------------------------- one task in a user's hands

SLOW = """
import asyncio
from compiler_nb import tool
gate, broken = [], ["x"]
@tool
async def slow(x: object) -> object:
    "Return it later."
    while not gate:
        await asyncio.sleep(0.01)
    return x
@tool
async def frail(x: object) -> object:
    "Fail as long as it is broken."
    if broken:
        raise ValueError("search failed, 404")
    return x
"""


def going(shell, program):
    """Begin a plan in the background, and wait until `f` has failed."""
    shell.ok(SLOW)
    shell.ok(f"%%plan -b -o r\n{program}")
    run = shell.ns["r"]
    deadline = time.monotonic() + 10
    while run.progress.states.get("f") != "failed":
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return run


def test_a_task_of_a_run_that_goes_on_is_given_a_value_tried_again_or_skipped(shell, capsys):
    """A value may be an expression that reads the notebook's variables; what depends on the task runs then."""
    run = going(shell, "a = slow(1)\nb = slow(2)\nf = frail(3)\ng = frail(4)\nc = [a, f, g]\nanswer(c)\n")
    shell.ns["k"] = {"n x": [7]}
    assert told(shell, capsys, "%compile set f k['n x'] + [8]") == "set: f = [7, 8]\n"
    assert told(shell, capsys, "%compile skip b") == "skipped: b\n"
    shell.ok("broken.clear()")
    assert told(shell, capsys, "%compile retry g r") == "tried again: g\n"
    shell.ok("gate.append(1)")
    assert run.wait(10).answer == [1, [7, 8], 4]
    assert (run.why("b"), run.state("g")) == ("skipped by you", "done")
    assert "set by you" in run.why("f")
    text = shell.run("r.visualize()").result.svg
    assert "f · done · set by you" in text


def test_what_cannot_be_done_to_a_task_says_the_way_on(shell, capsys):
    """In one line, without a traceback: also when the run has ended."""
    run = going(shell, "a = slow(1)\nf = frail(3)\nanswer(a)\n")
    assert "no task 'nobody'" in shell.error("%compile skip nobody")
    assert "%compile set takes an expression" in shell.error("%compile set f open('x')")
    assert shell.error("%compile retry a -1 x").startswith("OptionError: %compile retry does not take 'x'")
    shell.ok("gate.append(1)")
    run.wait(10)
    ended = f"the run {run.id} has ended (done); run it again: %compile rerun {run.id}"
    assert f"SteerError: f cannot be tried again: {ended} --start f" in shell.error("%compile retry f")
    assert f"SteerError: f cannot be given a value: {ended} --override TASK=VALUE" in shell.error("%compile set f 5")


# ---------------------------------------------------------------- edit


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
