"""Tasks that read single items of a fan-out wait for those items, and for no other."""

from __future__ import annotations

import asyncio

import pytest

from compiler_nb import Compiler, History, Run, tool
from compiler_nb.events import TaskEnded
from compiler_nb.notebook.output.show import Look, bundle
from compiler_nb.notebook.variables.binding import Binding
from tests.support.desk import begin


@tool
async def price(name: str) -> float:
    """Be slow for B, fail for C."""
    await asyncio.sleep({"B": 0.15}.get(name, 0.0))
    if name == "C":
        raise ValueError("no price")
    return float(ord(name))


@tool
async def twice(x: float) -> float:
    """Return twice a number."""
    return 2 * x


def run_of(plan: str) -> Run:
    """Run a plan to its end."""
    return Compiler(tools=[price, twice]).execute_sync(plan)


def order(run: Run) -> list[str]:
    """Return the ids in the order of their ends."""
    return [event.task for event in run.events if isinstance(event, TaskEnded)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "plan",
    [
        'rows = {t: price(t) for t in ["A", "B"]}\na = twice(rows["A"])\nb = rows["A"] + 1\njoin()\n',
        'rows = [price(t) for t in ["A", "B"]]\na = twice(rows[0])\nb = rows[-2] + 1\njoin()\n',
    ],
)
def test_an_item_is_all_that_a_reader_waits_for(plan):
    """rows[A] --> a, b, while rows[B] still runs."""
    run = run_of(plan)
    assert (run["a"], run["b"]) == (130.0, 66.0)
    ends = order(run)
    assert max(ends.index("a"), ends.index("b")) < ends.index("rows")


def test_a_failed_item_takes_only_its_readers_along():
    """rows[C] fails: its reader is skipped and names it, another item's reader is done, who reads all is skipped."""
    run = run_of(
        'rows = {t: price(t) for t in ["A", "C"]}\na = twice(rows["A"])\nc = twice(rows["C"])\nn = len(rows)\n'
    )
    assert run["a"] == 130.0
    assert run.failures["c"].cause == "rows[C]"
    assert run.failures["n"].cause == "rows"
    assert run.partial("rows")["A"] == 65.0


def test_an_item_that_is_not_there_fails_when_the_whole_is_known():
    """The error is Python's own."""
    run = run_of('rows = {t: price(t) for t in ["A"]}\nz = twice(rows["Z"])\nlate = [price("A")]\njoin()\n')
    assert "KeyError: 'Z'" in run.failures["z"].message


def test_who_reads_an_item_and_the_whole_waits_for_the_whole():
    """A second use by name is a use of all."""
    run = run_of('rows = {t: price(t) for t in ["A", "B"]}\nshare = rows["A"] / sum(rows.values())\njoin()\n')
    assert order(run).index("share") > order(run).index("rows")
    assert run["share"] == pytest.approx(65 / 131)


def test_a_source_that_fails_takes_the_readers_of_items_along():
    """There are no items to read."""
    run = run_of('bad = price("C")\nrows = [price(t) for t in bad]\na = twice(rows[0])\njoin()\n')
    assert run.failures["a"].cause == "bad"


def test_readers_of_items_are_cancelled_with_the_run():
    """A cancelled run leaves nobody waiting for items."""

    async def main() -> Run:
        plan = 'rows = {t: price(t) for t in ["B"]}\na = twice(rows["B"])\nb = twice(a)\njoin()\n'
        run, work = begin(Compiler(tools=[price, twice]), plan=plan)
        task = asyncio.create_task(work)
        await asyncio.sleep(0.02)
        run.cancel()
        await task
        return run

    run = asyncio.run(main())
    assert run.status == "cancelled"
    assert {run.state(id_) for id_ in ("rows", "a", "b")} == {"cancelled"}


def test_a_reader_of_an_item_that_failed_long_ago_is_skipped_and_so_is_what_reads_it():
    """It waits for the items of two fan-outs; when the second one's are known, the first one's has failed."""
    run = run_of(
        'rows = {t: price(t) for t in ["A", "C"]}\nslow = price("B")\nlate = [twice(x) for x in [slow]]\n'
        'a = twice(rows["C"] + late[0])\nb = twice(a)\n'
    )
    assert [run.failures[name].cause for name in ("a", "b")] == ["rows[C]"] * 2


# -------------------------------------------------------------------- items that fail


TABLES = 'rows = {t: price(t) for t in ["A", "B", "C"]}\nmore = {t: x + 1 for t, x in rows.items()}\n'


def test_one_bad_table_does_not_spoil_a_plain_comprehension_over_them():
    """`{n: len(t) for n, t in tables.items()}` has what there is, as one with a call would."""
    run = run_of(f"{TABLES}join()\n")
    assert {key: value for key, value in run.partial("more").items() if key != "C"} == {"A": 66.0, "B": 67.0}
    assert run.partial("more")["C"].cause == "rows[C]"
    assert (run.results["more[A]"], run.state("more[C]")) == (66.0, "skipped")


def dropping(share: float, plan: str) -> Run:
    """Run a plan that goes on without a share of failed items."""
    return Compiler(tools=[price, twice], drop_failed=share).execute_sync(plan)


@pytest.mark.slow
def test_failed_items_are_dropped_up_to_a_share():
    """What reads the fan-out goes on; what reads a failed item does not."""
    plan = f'{TABLES}total = sum(more.values())\nc = twice(rows["C"])\nb = twice(rows["B"])\nanswer([total, b])\n'
    run = dropping(0.34, plan)
    assert (run.status, run.answer) == ("done", [133.0, 132.0])
    assert (run["rows"], run["more"]) == ({"A": 65.0, "B": 66.0}, {"A": 66.0, "B": 67.0})
    assert run.progress.left_out == {"rows": (1, 3), "more": (1, 3)}
    assert "without the items that failed" in run.why("rows")
    assert list(run.failures) == ["rows[C]", "more[C]", "c"]
    assert dropping(0.33, plan).status == "failed"


def test_29_of_100_items_are_no_more_than_0_29_of_them():
    """In floating point 0.29 * 100 is less than 29."""
    plan = 'rows = [price(t) for t in ["C"] * 29 + ["A"] * 71]\nanswer(len(rows))\n'
    assert dropping(0.29, plan).answer == 71
    assert dropping(0.28, plan).status == "failed"


@pytest.mark.slow
def test_dropped_items_are_no_reason_to_raise():
    """Who wants them dropped does not want an error for them."""
    run = dropping(0.5, f"{TABLES}answer(len(more))\n")
    assert run.raise_for_failures().answer == 2
    assert dropping(0.3, f"{TABLES}join()\n").status == "failed"


def test_a_fanout_of_failures_alone_fails():
    """Nothing is left to go on with."""
    run = dropping(1.0, 'rows = [price(t) for t in ["C"]]\nanswer(len(rows))\n')
    assert (run.status, run.state("rows")) == ("failed", "failed")


@pytest.mark.parametrize("late", [False, True])
def test_an_index_means_the_same_item_whenever_it_is_read(late):
    """Of a list without a failed item `rows[2]` is the third item made, and the answer agrees with the tasks."""
    wait = 'w = price("B")\n' if late else ""
    run = dropping(0.5, f'{wait}rows = [price(t) for t in ["A", "C", "D"]]\nx = twice(rows[2])\nanswer([x, rows[2]])\n')
    assert run.answer == [136.0, 68.0]
    assert run["rows"] == [65.0, 68.0]


def test_a_rerun_that_keeps_a_value_without_failed_items_says_so(tmp_path):
    """Its answer goes without them, too, although it made none of the items; so does a resumed run's."""
    with History(tmp_path / "runs.db") as history:
        compiler = Compiler(tools=[price, twice], drop_failed=0.5, history=history)
        run = compiler.execute_sync('rows = [price(t) for t in ["A", "C"]]\nx = twice(len(rows))\nanswer(x)\n')
        for again in (compiler.rerun_sync(run.id, start="x"), compiler.resume_sync(run.id)):
            assert (again.answer, again.progress.left_out) == (2, {"rows": (0, 0)})
            text = bundle(again, Binding(), Look(layout="own"))["text/plain"]
            assert "\n\nwithout items of rows, which failed\n\n" in text
            assert "without the items that failed" in again.why("rows")


def test_a_fanout_over_all_that_is_left_goes_on():
    """Its source needs the values, not the items as they were made."""
    run = dropping(0.5, 'rows = [price(t) for t in ["B", "C", "A"]]\nmore = [twice(x) for x in sorted(rows)]\n')
    assert run["more"] == [130.0, 132.0]


def test_dropped_items_are_tried_again_by_a_rerun_of_what_failed():
    """Those that are done are kept."""
    compiler = Compiler(tools=[price, twice], drop_failed=0.5)
    run = compiler.execute_sync(f"{TABLES}answer(len(more))\n")
    again = compiler.rerun_sync(run, failed=True)
    assert again.answer == 2
    started = [event.task for event in again.events if type(event).__name__ == "TaskStarted"]
    assert started == ["rows[C]"]
