"""Fan-outs at work: a failed item fails alone, the list says which and why, and only what failed runs again."""

from __future__ import annotations

import time

import pytest

from compiler_nb import History
from compiler_nb.notebook.output.failed import run_failed
from tests.support.shell import open_shell

SETUP = """
from collections import Counter
from compiler_nb import tool
made, bad = Counter(), {n for n in range(60) if n % 3 == 0}

@tool(max_concurrency=7)
async def price(n: int) -> float:
    "Return a price."
    made["price"] += 1
    if n in bad:
        raise ValueError(f"no price for {n}: HTTP 503 (request {n * 7919 + 10000})")
    return n * 1.5

@tool
async def double(x: float) -> float:
    "Double it."
    made["double"] += 1
    return 2 * x

@tool(side_effects=True)
async def send(n: int) -> str:
    "Send it."
    made[f"send {n}"] += 1
    if n in bad:
        raise ValueError("the mailbox is full")
    return f"sent {n}"
"""
PLAN = "%%plan --no-raise\nrows = {n: double(price(n)) for n in range(60)}\nbest = max(rows.values())\nanswer(best)"


@pytest.fixture
def desk(tmp_path):
    """Give a shell with a history and the tools above."""
    with open_shell(SETUP, history=str(tmp_path / "runs.db")) as shell:
        yield shell


def test_failed_items_are_told_by_their_reason_and_the_rest_is_kept(desk):
    """In the table, in `failures`, in `why`; the partial value has the others, and a variable holds it."""
    desk.ok(PLAN)
    run = desk.ns["run"]
    assert "20 of 60 items failed: ValueError: no price for 0" in desk.text()
    told = repr(run.failures).splitlines()
    assert told[0] == (
        "rows: 20 of 60 items failed: ValueError: no price for 0: HTTP 503 (request 10000) "
        "(rows[0], rows[3], rows[6], … 17 more)"
    )
    assert (len(told), len(run.failures)) == (2, 42)
    assert "20 of 60 items failed" in run.why("rows")
    kept = {key: value for key, value in run.partial("rows").items() if type(value) is float}
    assert kept == {n: 3.0 * n for n in range(60) if n % 3}
    assert desk.ns["rows"].keys() == run.partial("rows").keys()


def test_only_failed_items_run_again_twice_in_a_row_and_after_a_reload(desk):
    """What is done of each item's chain stays done, also of a run that comes from the history."""
    desk.ok(PLAN)
    assert desk.ns["made"] == {"price": 60, "double": 40}
    desk.ns["bad"] -= {n for n in range(60) if n % 2}
    desk.ok("%compile rerun --failed --no-raise")
    assert desk.ns["made"] == {"price": 80, "double": 50}
    desk.ok("%compile rerun --failed --no-raise")
    assert desk.ns["made"] == {"price": 90, "double": 50}
    desk.ns["old"] = old = History(desk.ns["run"].settings.history.path).load(desk.ns["run"].id)
    assert (old.status, len(old.partial("rows"))) == ("failed", 60)
    desk.ns["bad"].clear()
    desk.ok("%compile rerun old --failed")
    assert (desk.ns["made"], desk.ns["run"].answer) == ({"price": 100, "double": 60}, 177.0)
    assert desk.ns["run"]["rows"] == {n: 3.0 * n for n in range(60)}


def test_side_effects_of_items_are_not_repeated(desk):
    """Those that were made stay made, however often the failed ones run again."""
    desk.ok("%%plan --approve auto --no-raise\nposted = [send(n) for n in range(6)]\nanswer(len(posted))")
    desk.ok("%compile rerun --failed --approve auto --no-raise")
    desk.ns["bad"].clear()
    desk.ok("%compile rerun --failed --approve auto")
    desk.ok("%compile rerun --failed --approve auto")
    assert desk.ns["made"] == {f"send {n}": 1 + 2 * (n % 3 == 0) for n in range(6)}
    assert desk.ns["run"].answer == 6


def test_an_error_says_how_only_failed_items_run_again(desk):
    """After what raised; below it, if the error has another reason."""
    error = desk.run(PLAN.replace(" --no-raise", "")).error_in_exec
    lines = "\n".join(error._render_traceback_())
    assert "to try it again and keep the rest: %compile rerun --failed" in lines
    assert "runs again what failed" not in lines
    told = "\n".join(run_failed(desk.ns["run"], "the run took longer than 1 s")._render_traceback_())
    assert told.endswith("\n%compile rerun --failed runs again what failed, 20 items, and keeps the others")


@pytest.mark.slow
def test_a_run_that_goes_on_says_how_its_items_stand(desk):
    """`why` and the table: how many are done, and how many failed."""
    desk.ok(
        "import asyncio\nopened = []\n@tool\nasync def hold(n: int) -> int:\n"
        "    'Wait for the gate, or fail.'\n    if n < 5: return 1 // n\n    while not opened:\n"
        "        await asyncio.sleep(0.01)\n    return n"
    )
    desk.ok("%%plan -b -o held -j 3\nrows = [hold(n) for n in range(1200)]\nanswer(len(rows))")
    run = desk.ns["held"]
    while run.progress.tallies.items("rows").ended < 5:
        time.sleep(0.01)
    assert "4 of 1,200 items done, 1 failed" in run.why("rows")
    desk.ok("%compile show held")
    assert "rows  [hold(n) for n in range(1200)]  4 of 1,200 items done, 1 failed" in desk.text()
    run.cancel()
    run.wait(10)


@pytest.mark.slow
def test_what_a_notebook_saves_of_many_items_is_bounded(desk):
    """Ten times the items, and no more than a tenth more of output: neither the page nor its text lists them."""
    sizes = []
    for count in (700, 7_000):
        desk.ns["bad"].clear()
        desk.ok(f"%%plan\nrows = [price(n) for n in range({count})]\nanswer(sum(rows) > 0)")
        sizes.append(sum(len(part) for name, part in desk.shown[-1].items() if name != "image/png"))
    assert sizes[1] < 1.1 * sizes[0] < 60_000


@pytest.mark.slow
def test_the_history_of_many_items_grows_with_their_number_only(desk, tmp_path):
    """Some hundred bytes for each item, and the run comes back whole."""
    desk.ns["bad"].clear()
    desk.ok("%%plan\nrows = [price(n) for n in range(3000)]\nanswer(len(rows))")
    run = desk.ns["run"]
    kept = History(run.settings.history.path).load(run.id)
    assert (len(kept.events), len(kept["rows"]), kept.answer) == (len(run.events), 3_000, 3_000)
    stored = sum(path.stat().st_size for path in tmp_path.glob("runs.db*"))
    assert stored < 3_000 * 1_500, f"{stored:,} bytes"


def test_an_item_that_is_pinned_says_so_and_the_last_line_counts_those_that_were_kept(desk):
    """In the line below the answer, in `why`, in hover texts; also when only failed ones run again after it."""
    desk.ok("bad.clear(); bad.update({1, 3})")
    desk.ok("%%plan --no-raise\nrows = [price(n) for n in range(6)]\nanswer(sum(rows))")
    desk.ok("%compile rerun --failed --override rows[1]=10.0 --no-raise")
    assert "pinned: rows[1] · not run again: rows (4 items)" in desk.text()
    assert desk.ns["run"].why("rows[1]") == "done, pinned: you gave its value"
    assert "rows[1] · done · pinned by you" in desk.ns["run"].visualize().svg
    desk.ns["bad"].clear()
    desk.ok("%compile rerun --failed")
    assert "pinned: rows[1] · not run again: rows (4 items)" in desk.text()
    assert desk.ns["run"].answer == 10.0 + 1.5 * (0 + 2 + 3 + 4 + 5)


def test_a_pinned_item_of_an_edited_plan_is_no_value_of_the_plan(desk):
    """A cell of that run that does not pin it computes it; one that pins an item is heard, and so is what reads it."""
    desk.ns["bad"].clear()
    desk.ok("%%plan -o one\nrows = [price(n) for n in range(4)]\ntotal = price(sum(rows))\nanswer(total)")
    assert desk.ns["one"].answer == 13.5
    desk.ok("%%plan --from one -o two --override rows[0]=100.0\n"
            "rows = [price(n) for n in range(4)]\ntotal = price(sum(rows))\nanswer(total)")  # fmt: skip
    assert desk.ns["two"].answer == 163.5
    assert "pinned: rows[0] · not run again: rows (3 items)" in desk.text()
    desk.ok("%%plan --from two -o three\nrows = [price(n) for n in range(4)]\ntotal = price(sum(rows))\nanswer(total)")
    assert desk.ns["three"].answer == 13.5
    made = desk.ns["made"]["price"]
    desk.ok("%%plan --from two -o four --override rows[0]=100.0\n"
            "rows = [price(n) for n in range(4)]\ntotal = price(sum(rows))\nanswer(total)")  # fmt: skip
    assert (desk.ns["four"].answer, desk.ns["made"]["price"]) == (163.5, made)


def test_a_value_for_an_item_that_does_not_exist_is_not_dropped_in_silence(desk):
    """The last line says so, and so do the warnings of the run, which are stored."""
    desk.ns["bad"].clear()
    desk.ok("%%plan --override rows[9]=3.0\nrows = [price(n) for n in range(3)]\nanswer(sum(rows))")
    assert "not pinned: rows[9] (no such item)" in desk.text()
    assert desk.ns["run"].progress.warnings["rows"] == [
        "rows[9] was given a value, but rows has no such item: name it as `run.results` shows it"
    ]


@pytest.mark.parametrize(
    ("plan", "noted"),
    [
        ("b = same(a)\nanswer(b)", {"line 1: a"}),
        ("a = same(b)\nb = same(a)\nanswer(b)", {"line 1: b"}),
        ("a = same(a)\nanswer(a)", {"line 1: a"}),
        ("a = same(3)\nanswer(b)", {"line 2: b"}),
        ("a = same(3)\nb = same(a + x)\nanswer(b)", set()),
    ],
    ids=["removed", "circle", "itself", "answer", "input"],
)
def test_an_edited_plan_says_which_variables_stand_in_for_its_tasks(desk, plan, noted):
    """A task that was removed, or stands below, may have left a variable, which is read: a note names the line."""
    desk.ns["bad"].clear()
    desk.ok("x = 0\n@tool\ndef same(n: float) -> float:\n    'Give it back.'\n    return n")
    desk.ok("%%plan -o base\na = same(3)\nb = same(a + x)\nanswer(b)")
    desk.ok(f"%%plan --from base\n{plan}")
    told = "is not a task above this line, so the notebook's variable is read"
    notes = {line for line in desk.text().splitlines() if line.startswith("note: ")}
    assert notes == {f"note: {each} {told}" for each in noted}
