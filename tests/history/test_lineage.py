"""What a run has done outside, in its rounds and in runs that come from it: not repeated, and told; reads are fresh."""

from __future__ import annotations

import asyncio
import time

import pytest

from compiler_nb import Compiler, History, ScriptedModel, tool
from compiler_nb.events import TaskStarted
from compiler_nb.plan.plan import Plan
from tests.support.desk import begin, texts
from tests.support.stored import until


class Office:
    """Tools that change something, what they were called with, and whether a letter gets stuck."""

    def __init__(self) -> None:
        self.paid: list[object] = []
        self.sent: list[str] = []
        self.reads = 0
        self.up = False
        self.people = ["ann", "bob"]
        self.stuck = ""

        @tool(side_effects=True)
        async def pay(x: float, currency: str = "EUR") -> str:
            """Pay."""
            self.paid.append((x, currency) if currency != "EUR" else x)
            return f"receipt {len(self.paid)}"

        @tool(side_effects=True)
        async def send(to: str) -> str:
            """Send a letter."""
            self.sent.append(to)
            if to == self.stuck:
                await asyncio.sleep(60)
            return f"sent to {to}"

        @tool(side_effects=True)
        async def restart(host: str) -> str:
            """Restart."""
            self.up = True
            return host

        @tool
        async def status(host: str) -> str:
            """Read whether it is up."""
            self.reads += 1
            return f"{host} {'up' if self.up else 'down'}"

        @tool
        async def people() -> list[str]:
            """List them."""
            return list(self.people)

        self.tools = [pay, send, restart, status, people]

    def compiler(self, *plans: str, approve=("pay", "send", "restart"), **settings) -> Compiler:
        """Return a compiler whose planner writes these plans, one for each round."""
        joins = ["Replan: more"] * (len(plans) - 1)
        replies = {"planner": list(plans[:1]), "replan": list(plans[1:])}
        model = ScriptedModel({**replies, "joiner": lambda request: joins.pop() if joins else "done"})
        return Compiler(model, self.tools, approve=approve, **settings)


async def cut_off(compiler: Compiler, office: Office, plan: str, **inputs: object):
    """Return a run of a plan that was stopped while a letter was stuck."""
    parsed = Plan.parse(plan, tools=compiler.settings.tools, inputs=tuple(inputs))
    run, work = begin(compiler, "", plan=parsed, inputs=inputs)
    task = asyncio.create_task(work)
    await until(lambda: office.stuck in office.sent)
    run.cancel()
    await task
    return run


# -------------------------------------------------------------------- rounds


@pytest.mark.parametrize(
    "again",
    ["a = pay(2)", "b = pay(2)", "b = pay(x=2)", "b = pay(1 + 1)", "b = pay(2.0, 'EUR')", "n = 2\nb = pay(n)",
     "b = [pay(n) for n in [2]]", "b = {n: pay(n) for n in [2]}", "pay(2)", "b = pay(2) if p else None",
     "b = f'{pay(2)}'"],
)  # fmt: skip
def test_a_replan_that_pays_again_in_other_words_pays_once(again):
    """However it is spelled: the call gets the receipt that there is, and says so."""
    office = Office()
    run = office.compiler("p = people()\na = pay(2)\njoin()\n", f"{again}\njoin()\n").run_sync("Pay.")
    if "f'" in again:  # side effects stand alone on a line: the plan is refused
        assert run.status == "failed"
    assert office.paid == [2]
    if "f'" not in again:
        assert run.status == "done"
        kept = [id_ for id_, end in run.progress.ends.items() if end.how == "not repeated: done in round 1"]
        assert len(kept) == 1
        assert run.results[kept[0]] == "receipt 1"
        assert "done, not repeated: done in round 1" in run.words().whole(kept[0])


def test_two_equal_calls_of_one_plan_are_two_and_a_replan_with_three_makes_one_more():
    """The k-th takes the k-th."""
    office = Office()
    run = office.compiler("a = pay(2)\nb = pay(2)\njoin()\n", "c = pay(2)\nd = pay(2)\ne = pay(2)\njoin()\n").run_sync(
        "Pay."
    )
    assert office.paid == [2, 2, 2]
    assert [run[name] for name in "cde"] == ["receipt 1", "receipt 2", "receipt 3"]


def test_the_joiner_and_the_planner_are_told_what_is_done():
    """The next plan's request lists it with its arguments, contents apart; the joiner hears what was not repeated."""
    office = Office()
    office.people = ["zoe"]
    compiler = office.compiler(
        "p = people()\na = send(p[0])\nb = [pay(n) for n in [3, 4]]\njoin()\n", "c = send('zoe')\njoin()\n"
    )
    run = compiler.run_sync("Write.")
    replan, (first, second) = texts(compiler.settings.planner, "replan")[0], texts(compiler.settings.planner, "joiner")
    assert "one that is done is not made again" in replan
    assert "a: send(p[0]) was done in round 1" in replan
    assert "was done in round 1 (2 calls)" in replan
    assert "zoe" not in replan
    assert "not repeated" not in first
    assert "(not repeated: done in round 1)" in second
    assert run["c"] == "sent to zoe"


@pytest.mark.parametrize(
    ("again", "told"),
    [
        ("c = [pay(n) for n in [4, 3, 5]]", "[pay(n) for n in [4, 3, 5]] (2 items not repeated: done in round 1)"),
        ("c = pay(3) if p else None", "pay(3) (not repeated: done in round 1)"),
    ],
)
def test_the_joiner_is_told_of_items_and_guarded_calls_that_are_not_repeated(again, told):
    """They stand in the results under the name of their line, which says it for them."""
    compiler = Office().compiler("p = people()\nb = [pay(n) for n in [3, 4]]\njoin()\n", f"{again}\njoin()\n")
    compiler.run_sync("Pay.")
    assert told in texts(compiler.settings.planner, "joiner")[1]


@pytest.mark.slow
def test_what_was_read_below_a_call_that_timed_out_is_read_again_in_each_later_round():
    """Its thread goes on, and has its effect when it was read already."""
    done: list[int] = []

    @tool(side_effects=True, timeout=0.1)
    def put(x: int) -> int:
        """Put it there, later."""
        time.sleep(0.3)
        done.append(x)
        return x

    @tool
    async def total() -> int:
        """Count."""
        return len(done)

    @tool(pure=True)
    async def later() -> int:
        """Wait."""
        await asyncio.sleep(0.5)
        return 0

    joins = ["Replan: more", "Replan: more"]
    replies = {"planner": "put(1)\nt = total()\nlater()\njoin()\n", "replan": ["t = total()\njoin()\n"] * 2}
    model = ScriptedModel({**replies, "joiner": lambda request: joins.pop() if joins else "done"})
    run = Compiler(model, [put, total, later], approve=("put",)).run_sync("Count.")
    assert [run.results[id_] for id_ in run.results if id_.startswith("t")] == [0, 1, 1]


def test_a_status_below_a_restart_is_read_again_and_one_above_it_is_not():
    """In the plan, and in the next round; what comes of it, too."""
    office = Office()
    lines = "s = status('h')\nt = [s]\nr = restart('h')\nu = status('h')\nv = [u]\n"
    run = office.compiler(f"{lines}join()\n", "s = status('h')\nt = [s]\njoin()\n", f"{lines}join()\n").run_sync("Up?")
    assert office.reads == 3  # the second round reads what the first read below; the third has another restart above it
    first, second, third = (each.plan for each in run.rounds)
    outcomes = run.results
    assert [outcomes[task.id] for task in first if task.kind == "expr"] == [["h down"], ["h up"]]
    assert [outcomes[task.id] for task in second if task.kind == "expr"] == [["h up"]]
    assert [outcomes[task.id] for task in third if task.kind == "expr"] == [["h up"], ["h up"]]


@pytest.mark.parametrize(("answer", "paid"), [(True, [2]), ("again", [2, 2]), (False, [2])])
def test_a_person_who_is_asked_may_have_it_made_again(answer, paid):
    """Under `ask` the question says that it is done; yes goes on with that, "again" pays again, no denies."""
    office, asked = Office(), []

    async def ask(task, shown):
        asked.append(f"{task.id}: {shown}")
        return True if len(asked) == 1 else answer

    run, work = begin(
        office.compiler("a = pay(2)\njoin()\n", "b = pay(1 + 1)\njoin()\n", approve="ask"), "Pay.", ask=ask
    )
    asyncio.run(work)
    assert asked == ["a: 2.0", "b: 2.0; not repeated: done in round 1"]
    assert office.paid == paid
    assert run.state("b") == ("done" if answer else "failed")


# -------------------------------------------------------------------- runs that come from a run


def test_what_is_done_keeps_its_result_if_nobody_can_be_asked():
    """That makes no call; the others of the fan-out are denied."""
    office = Office()
    asked = []

    async def main():
        async def ask(task, shown):
            asked.append(task.id)
            if len(asked) > 1:
                raise OSError("no page")
            return True

        compiler = office.compiler(
            "a = pay(2)\njoin()\n", "b = pay(2)\nc = [pay(n) for n in [3]]\njoin()\n", approve="ask"
        )
        run, work = begin(compiler, "Pay.", ask=ask)
        await work
        return run

    run = asyncio.run(main())
    assert (asked, office.paid) == (["a", "b", "c"], [2])
    assert (run["b"], run.state("c")) == ("receipt 1", "failed")


@pytest.mark.parametrize("stored", [False, True])
def test_a_rerun_a_resume_and_an_edited_plan_pay_nothing_again(tmp_path, stored):
    """They say in which run it was done; the same plan run anew is a new intention."""
    office = Office()
    history = History(tmp_path / "runs.db") if stored else None
    compiler = office.compiler(history=history)
    plan = "a = pay(2)\nb = pay(2)\nxs = [pay(n) for n in [5, 6]]\njoin()\n"
    old = compiler.execute_sync(plan)
    given = old.id if stored else old
    edited = "x = pay(2, currency='EUR')\ny = pay(x=6)\nz = pay(7)\njoin()\n"
    runs = [compiler.rerun_sync(given), compiler.rerun_sync(given, start="a"), compiler.resume_sync(given),
            compiler.execute_sync(edited, source=given), compiler.execute_sync(edited, source=given)]  # fmt: skip
    assert office.paid == [2, 2, 5, 6, 7]
    assert all(run.status == "done" for run in runs)
    assert f"not repeated: done in round 1 of the run {old.id}" in runs[0].why("a")
    assert f"not repeated: done in round 1 of the run {runs[3].id}" in runs[4].why("z")
    compiler.execute_sync(plan)
    assert len(office.paid) == 9
    if history is not None:
        history.close()


def test_a_letter_that_was_cut_off_is_in_doubt_by_its_address_not_by_its_place(tmp_path):
    """A list in another order: the one who may have it is asked about, the other gets one."""
    office = Office()
    office.stuck = "ann"
    with History(tmp_path / "runs.db") as history:
        compiler = office.compiler(history=history)
        old = asyncio.run(cut_off(compiler, office, "p = people()\na = send(p[0])\njoin()\n"))
        office.stuck, office.people = "", ["bob", "ann"]
        again = compiler.rerun_sync(old.id)
        assert (office.sent, again["a"]) == (["ann", "bob"], "sent to bob")
        office.people = ["ann", "bob"]
        again = compiler.rerun_sync(old.id)
        assert (office.sent, again.failures["a"].kind) == (["ann", "bob"], "denied")
        assert "may have had its effect before: an equal call was cut off in round 1" in " ".join(
            again.progress.warnings["a"]
        )


def test_a_resume_reads_again_below_a_side_effect_that_it_makes(tmp_path):
    """What stood above it is adopted, and so is what stood below one that is done."""
    office = Office()
    office.stuck = "ann"
    plan = "s = status('a')\nr = restart('h')\nt = status('b')\nx = send('ann')\nu = status('c')\njoin()\n"
    with History(tmp_path / "runs.db") as history:
        compiler = office.compiler(history=history, approve="auto")
        old = asyncio.run(cut_off(compiler, office, plan))
        assert office.reads == 2

        async def approve():
            async def ask(task, shown):
                return True

            office.stuck = ""
            run, work = compiler.begin(compiler.order_resumed(compiler.recall(old.id)), ask=ask)
            await work
            return run

        run = asyncio.run(approve())
    assert (run.status, office.reads, office.sent) == ("done", 3, ["ann", "ann"])
    assert [run.progress.ends[id_].how[:12] for id_ in "srt"] == ["adopted", "not repeated", "adopted"]


def test_a_resume_with_another_input_reads_again_below_the_side_effect_that_it_changes(tmp_path):
    """The same line is another call then, and what was read below the one before is stale."""
    office = Office()
    office.stuck = "ann"
    plan = "s = status('a')\na = pay(amount)\nt = status('b')\nx = send('ann')\njoin()\n"
    with History(tmp_path / "runs.db") as history:
        compiler = office.compiler(history=history)
        old = asyncio.run(cut_off(compiler, office, plan, amount=1))
        assert office.reads == 2
        run = asyncio.run(compiler.resume(old.id, inputs={"amount": 2}))
    assert (office.paid, office.reads) == ([1, 2], 3)
    assert run.progress.ends["s"].how == "adopted"


async def perform(compiler, order):
    """Perform an order, and return its run."""
    run, work = compiler.begin(order)
    await work
    return run


def test_a_plan_that_was_written_after_tools_spoke_remembers_that(tmp_path):
    """`auto` denies what it asks for, in a rerun of it, in a rerun of that, and when it is executed by itself."""
    office = Office()
    with History(tmp_path / "runs.db") as history:
        compiler = office.compiler("s = status('h')\njoin()\n", "b = pay(7)\njoin()\n", approve="auto", history=history)
        old = compiler.run_sync("Pay?")
        runs = [old, compiler.rerun_sync(old), compiler.rerun_sync(old.id), compiler.execute_sync(old.plan)]
        runs.append(compiler.rerun_sync(runs[-1].id))
        again = compiler.order(plan=old.plan.text, source=old)  # as `%%plan --from RUN` gives its text, perhaps edited
        runs.append(asyncio.run(perform(compiler, again)))
        runs.append(asyncio.run(perform(compiler, compiler.order(plan="b = pay(8)\njoin()\n", source=runs[-1]))))
    assert [run.failures["b"].kind for run in runs] == ["denied"] * 7
    assert office.paid == []
    assert old.plan.after_tools
    assert not old.rounds[0].plan.after_tools


def test_what_a_user_did_to_single_tasks_is_stored_and_a_resume_keeps_it(tmp_path):
    """The value, its mark, and the words; a rerun below it marks it again."""
    office = Office()
    plan = "a = pay(1)\nb = status(a)\nanswer(b)\n"
    with History(tmp_path / "runs.db") as history:
        compiler = office.compiler(history=history, approve="auto")
        run, work = compiler.begin(compiler.order(plan=plan))
        run.log.listeners.append(
            lambda event: run.set("a", "h") if isinstance(event, TaskStarted) and event.task == "a" else None
        )
        asyncio.run(work)
        loaded = history.load(run.id)
        assert loaded.progress.outcomes == run.progress.outcomes
        assert (loaded.why("a"), loaded.progress.given) == (run.why("a"), run.progress.given)
        again = compiler.rerun_sync(loaded, start="b")
    assert again.progress.ends["a"].how == run.progress.ends["a"].how
