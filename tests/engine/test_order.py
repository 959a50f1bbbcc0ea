"""Side effects keep the order of the plan, and reads keep it with them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import ToolError
from compiler_nb.events import TaskEnded, TaskHeld, TaskStarted
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.outcome import Cancelled, Failure, Skipped
from compiler_nb.plan.parser import PlanParser
from compiler_nb.plan.plan import Plan
from compiler_nb.tool import tool
from tests.support.clock import run_virtually
from tests.support.session import add, opened, perform, states, told


class Shop:
    """A basket with calls that take a second each, and what happened in it, in order."""

    def __init__(self, **seconds: float) -> None:
        self.log: list[str] = []
        self.basket: list[str] = []
        self.seconds = seconds

        async def wait(name: str, shown: str) -> None:
            self.log.append(f"{shown} begins")
            await asyncio.sleep(self.seconds.get(name, 1.0))
            self.log.append(f"{shown} ends")

        @tool(side_effects=True, timeout=30)
        async def put(item: str) -> str:
            await wait("put", f"put {item}")
            if item == "bad":
                raise ToolError("sold out")
            self.basket.append(item)
            return item

        @tool(side_effects=True)
        async def buy() -> str:
            await wait("buy", "buy")
            bought = "+".join(self.basket)
            self.basket.clear()
            return bought

        @tool
        async def total(only: str = "") -> str:
            await wait("total", "total")
            return "+".join(self.basket)

        @tool(pure=True)
        async def double(text: str) -> str:
            await wait("double", "double")
            return text * 2

        self.tools = [put, buy, total, double]

    def run(self, program: str, **options):
        """Perform a program with everything approved; return its session."""
        return run_virtually(perform(program, self.tools, **{"approve": "auto", **options}))


# ------------------------------------------------------------------- one after another


def test_put_ends_before_buy_begins_and_total_is_read_after_that():
    """The example of the README, which began all three at once."""
    shop = Shop(put=5.0, buy=2.0)
    session = shop.run('put("tea")\nb = buy()\nt = total()\n')
    assert shop.log == ["put tea begins", "put tea ends", "buy begins", "buy ends", "total begins", "total ends"]
    assert (session.outcomes["b"], session.outcomes["t"]) == ("tea", "")


def test_a_read_above_a_side_effect_is_over_before_it_begins():
    """`before` must not see what is put after it."""
    shop = Shop(total=9.0, put=0.1)
    session = shop.run('before = total()\nput("tea")\nafter = total()\n')
    assert (session.outcomes["before"], session.outcomes["after"]) == ("", "tea")


def test_pure_tools_and_expressions_wait_for_nothing():
    """They begin at once, below a side effect that takes long."""
    shop = Shop(put=60.0)
    session = shop.run('put("tea")\na = double("x")\nb = a + "y"\nc = double(b)\n')
    ended = {event.task: event.at for event in told(session, TaskEnded)}
    assert ended["c"] == pytest.approx(2.0, abs=0.01)


def test_reads_between_two_side_effects_run_side_by_side():
    """Two totals take the time of one."""
    shop = Shop()
    session = shop.run('put("tea")\na = total("a")\nb = total("b")\nput("jam")\n')
    assert session.log.now() == pytest.approx(3.0, abs=0.01)


def test_the_items_of_a_fan_out_of_side_effects_go_together():
    """All items begin when the one above has ended, and the one below when all of them have."""
    shop = Shop()
    session = shop.run('put("a")\nrows = [put(i) for i in ["b", "c", "d"]]\nb = buy()\n')
    assert session.outcomes["b"] == "a+b+c+d"
    assert session.log.now() == pytest.approx(3.0, abs=0.01)
    started = {event.task: event.at for event in told(session, TaskStarted)}
    assert [round(started[f"rows[{n}]"]) for n in range(3)] == [1, 1, 1]


def test_the_items_of_a_fan_out_of_reads_wait_for_the_side_effect_above():
    """And a side effect below waits for all of them."""
    shop = Shop()
    session = shop.run('put("a")\nrows = [total(i) for i in ["b", "c"]]\nput("z")\n')
    assert session.outcomes["rows"] == ["a", "a"]


def test_a_fan_out_over_a_fan_out_keeps_the_order():
    """Items that are linked one by one, in two fan-outs of side effects."""
    shop = Shop()
    session = shop.run('a = [put(i) for i in ["b", "c"]]\nb = [put(i + "!") for i in a]\nt = total()\n')
    assert session.outcomes["t"] == "b+c+b!+c!"
    assert shop.log.index("put b! begins") > shop.log.index("put c ends")


def test_calls_under_a_test_keep_their_place():
    """One that is not needed lets the next one pass, but not before those above it have ended."""
    shop = Shop(put=4.0)
    session = shop.run('put("tea")\nx = put("jam") if 1 > 2 else None\nb = buy()\ny = total() if b else ""\n')
    assert session.outcomes["x.1"].not_needed
    assert session.outcomes["b"] == "tea"
    assert shop.log[1:3] == ["put tea ends", "buy begins"]


def test_a_json_plan_runs_in_the_order_of_its_dependencies():
    """A task that is listed before what it needs comes after that."""
    shop = Shop()
    plan = """{"tasks": [{"id": "b", "tool": "buy", "args": {}, "deps": ["p"]},
        {"id": "p", "tool": "put", "args": {"item": "tea"}}, {"id": "t", "tool": "total", "args": {}}]}"""

    async def main():
        async with opened(shop.tools, approve="auto") as session:
            for task in PlanParser(dialect="json", tools=session.tools).feed(plan):
                session.add(task)
            session.close()
            await session.drained()
            return session

    session = run_virtually(main())
    assert session.outcomes["b"] == "tea"
    assert shop.log[-2:] == ["total begins", "total ends"]


def test_the_longest_chain_goes_first_along_the_order_too():
    """With two slots, what a chain of side effects waits for begins before what nothing waits for."""
    shop = Shop()
    session = shop.run("".join(f"d{n} = double('{n}')\n" for n in range(6)) + "t = total()\n" + "put('a')\n" * 3,
                       max_concurrency=2)  # fmt: skip
    assert session.log.now() == pytest.approx(5.0, abs=0.01)


# ------------------------------------------------------------------- while the plan streams


def test_a_read_above_a_side_effect_runs_while_the_plan_is_written():
    """And one below waits: the side effect waits for the whole plan."""
    shop = Shop()

    async def main():
        async with opened(shop.tools, approve="auto") as session:
            parser = PlanParser(dialect="python", tools=session.tools)
            for task in parser.feed('a = total()\nput("tea")\nb = total()\n'):
                session.add(task)
            await asyncio.sleep(10)
            assert states(session) == {"a": "done", "@2": "ready", "b": "waiting"}
            parser.close()
            session.close()
            await session.drained()
            assert session.outcomes["b"] == "tea"

    run_virtually(main())


def test_nothing_below_a_side_effect_runs_when_the_plan_breaks_off():
    """A read that was to follow it would give what the plan did not mean."""
    shop = Shop()

    async def main():
        async with opened(shop.tools, approve="auto") as session:
            add(session, 'put("tea")\nb = total()\nc = double(b)\n')
            session.give_up_plan("there is no whole plan")
            await session.drained()
            assert isinstance(session.outcomes["b"], Cancelled)

    run_virtually(main())
    assert shop.log == []


# ------------------------------------------------------------------- failures


def test_below_a_side_effect_that_failed_no_other_is_made_but_reads_go_on():
    """Each that is skipped says which one failed."""
    shop = Shop()
    session = shop.run('put("bad")\nb = buy()\nt = total()\nu = put(t + "x")\nd = double("a")\n')
    ends = session.outcomes
    assert str(ends["b"]) == "skipped: @1 failed, ToolError: sold out; no later side effect of the plan is made"
    assert ends["u"] == ends["b"]
    assert (ends["t"], ends["d"]) == ("", "aa")
    states(session)


def test_a_side_effect_whose_end_is_unknown_stops_the_later_ones():
    """It timed out, and may have had its effect."""
    shop = Shop(put=100.0)
    session = shop.run('put("tea")\nb = buy()\n')
    assert isinstance(session.outcomes["b"], Skipped)
    assert "whether it had its effect is unknown, so no later side effect of the plan is made" in str(
        session.outcomes["b"]
    )


def test_a_side_effect_that_was_skipped_for_a_failure_stops_the_later_ones_too():
    """The plan meant it to be made before them."""
    shop = Shop()

    @tool
    async def broken():
        raise ValueError("no page")

    session = run_virtually(perform("p = broken()\nput(p)\nb = buy()\n", [*shop.tools, broken], approve="auto"))
    assert session.outcomes["b"].cause == "p"
    assert shop.log == []


def test_an_item_that_fails_stops_later_side_effects_but_not_the_items_beside_it():
    """The items go together."""
    shop = Shop()
    session = shop.run('rows = [put(i) for i in ["a", "bad", "c"]]\nb = buy()\n')
    assert shop.basket == ["a", "c"]
    assert session.outcomes["b"].cause == "rows"


def test_a_fan_out_below_a_failed_side_effect_is_skipped_as_a_whole():
    """Not called a fan-out whose items failed."""
    shop = Shop()
    session = shop.run('put("bad")\nrows = [put(i) for i in ["a", "b"]]\nt = [total(i) for i in ["a"]]\n')
    assert isinstance(session.outcomes["rows"], Skipped)
    assert session.outcomes["t"] == [""]
    states(session)


def test_items_that_may_be_left_out_stop_nothing():
    """The fan-out is done without them."""
    shop = Shop()
    session = shop.run('rows = [put(i) for i in ["a", "bad", "c"]]\nb = buy()\n', drop_failed=0.5)
    assert session.outcomes["b"] == "a+c"


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["all", "without"])
def test_a_fan_out_is_over_when_nothing_within_it_is_at_work(share):
    """One call of an item fails at once, and with it the item; the side effect below waits for the other call, too."""
    shop = Shop(total=5.0)
    session = shop.run("rows = [total('all') + double(n) for n in [1]]\nput('tea')\n", drop_failed=share)
    assert shop.log == ["total begins", "total ends", "put tea begins", "put tea ends"]
    assert states(session)["rows[0]"] == "skipped"


@pytest.mark.slow
def test_ten_thousand_side_effects_below_a_failed_one_are_skipped():
    """Without recursion."""
    shop = Shop(put=0.0)
    session = shop.run("".join(f'put("{n or "bad"}")\n' for n in range(3_000)))
    assert sum(isinstance(end, Skipped) for end in session.outcomes.values()) == 2_999


# ------------------------------------------------------------------- approval


class Person:
    """Answers questions about side effects when told to."""

    def __init__(self) -> None:
        self.open: dict[str, asyncio.Future[bool]] = {}

    async def __call__(self, task, shown):
        self.open[task.id] = asyncio.get_running_loop().create_future()
        try:
            return await self.open[task.id]
        finally:
            self.open.pop(task.id, None)


def with_person(shop, program, story):
    """Tell a story while a program is performed and a person is asked."""

    async def main():
        person = Person()
        async with opened(shop.tools, approve="ask", ask=person) as session:
            add(session, program)
            session.close()
            await asyncio.sleep(0.01)
            await story(session, person)
            await session.drained()
            states(session)
            return session

    return run_virtually(main())


def test_all_that_waits_for_approval_is_asked_for_at_once_and_made_in_order():
    """A call may be approved before its turn: it begins when that comes."""
    shop = Shop()

    async def story(session, person):
        assert list(person.open) == ["@1", "@2", "b"]
        session.approve("b")
        session.approve("@2")
        await asyncio.sleep(5)
        assert shop.log == []
        session.approve("@1")

    session = with_person(shop, 'put("tea")\nput("jam")\nb = buy()\n', story)
    assert session.outcomes["b"] == "tea+jam"
    assert session.log.now() == pytest.approx(8.0, abs=0.1)


def test_one_that_is_denied_lets_the_later_ones_pass():
    """No is an answer, not a failure; what depends on its value is skipped, and stops nothing either."""
    shop = Shop()

    async def story(session, person):
        session.deny("x")
        session.approve("b")
        await asyncio.sleep(3)

    session = with_person(shop, 'x = put("tea")\nput(x + "!")\nb = buy()\n', story)
    assert session.outcomes["x"].kind == "denied"
    assert session.outcomes["@2"].cause == "x"
    assert session.outcomes["b"] == ""


def test_a_fan_out_that_is_denied_lets_the_later_ones_pass():
    """All its items are denied together."""
    shop = Shop()

    async def story(session, person):
        assert list(person.open) == ["rows", "b"]
        session.deny("rows")
        session.approve("b")

    session = with_person(shop, 'rows = [put(i) for i in ["a", "b"]]\nb = buy()\n', story)
    assert session.outcomes["rows"].kind == "items"
    assert session.outcomes["b"] == ""


def test_a_fan_out_may_be_approved_before_its_turn():
    """Its items begin together when that comes."""
    shop = Shop()

    async def story(session, person):
        assert list(person.open) == ["@1", "rows", "b"]
        for id_ in ("b", "rows", "@1"):
            session.approve(id_)

    session = with_person(shop, 'put("z")\nrows = [put(i) for i in ["a", "b"]]\nb = buy()\n', story)
    assert session.outcomes["b"] == "z+a+b"


@pytest.mark.parametrize("second", ['put("jam")', 'rows = [put(i) for i in ["a", "b"]]'])
def test_a_question_is_withdrawn_when_a_side_effect_above_fails(second):
    """Nobody is asked for what will not be made."""
    shop = Shop()

    async def story(session, person):
        session.approve("@1")
        await asyncio.sleep(2)
        assert person.open == {}
        assert len(told(session, TaskHeld)) <= 5

    session = with_person(shop, f'put("bad")\n{second}\n', story)
    assert shop.log == ["put bad begins", "put bad ends"]
    assert isinstance(session.outcomes["rows" if "rows" in second else "@2"], Skipped)


def test_what_was_approved_is_confirmed_when_its_turn_comes():
    """A side effect above may have changed the very list that was approved."""
    sent = []

    @tool
    async def people():
        return ["ann"]

    @tool(side_effects=True)
    async def invite(to: list, who: str):
        to.append(who)

    @tool(side_effects=True)
    async def send(to: list):
        sent.append(list(to))

    async def story(session, person):
        assert list(person.open) == ["@2", "@3"]
        session.approve("@3")
        session.approve("@2")
        await asyncio.sleep(1)
        assert (sent, list(person.open)) == ([], ["@3"])
        session.approve("@3")

    with_person(SimpleNamespace(tools=[people, invite, send]), 'p = people()\ninvite(p, "bob")\nsend(p)\n', story)
    assert sent == [["ann", "bob"]]


# ------------------------------------------------------------------- stop and pause


def test_a_cancelled_run_makes_nothing_more():
    """What waited for its turn is cancelled with the rest."""
    shop = Shop()

    async def story(session, person):
        session.approve("@1")
        session.approve("b")
        await asyncio.sleep(0.5)
        session.cancel()

    session = with_person(shop, 'put("tea")\nb = buy()\nt = total()\n', story)
    assert {type(end) for end in session.outcomes.values()} == {Cancelled}


def test_a_pause_holds_the_next_in_order():
    """It begins when the run goes on."""
    shop = Shop()

    async def main():
        async with opened(shop.tools, approve="auto") as session:
            add(session, 'put("tea")\nb = buy()\n')
            session.close()
            await asyncio.sleep(0.5)
            session.pause(True)
            await asyncio.sleep(5)
            assert shop.log == ["put tea begins", "put tea ends"]
            session.pause(False)
            await session.drained()
            assert session.outcomes["b"] == "tea"

    run_virtually(main())


def test_what_an_earlier_run_has_left_counts_as_ended():
    """Adopted and pinned tasks let the others pass; a failure of then stops nothing now."""
    shop = Shop()

    async def main():
        async with opened(shop.tools, approve="auto") as session:
            parser = PlanParser(dialect="python", tools=session.tools)
            first, second, third = parser.feed('put("tea")\nt = total()\nb = buy()\n')
            session.pin(first, Failure("raised", "sold out"))
            session.pin(second, "tea")
            session.add(third)
            session.close()
            await session.drained()
            assert session.outcomes["b"] == ""

    run_virtually(main())


# ------------------------------------------------------------------- other plans


def asked(shop, *plans, joiner=()):
    """Have plans written one after the other; return the run."""
    model = ScriptedModel({"planner": list(plans), "joiner": list(joiner)})
    compiler = Compiler(None, shop.tools, planner=model, joiner=model if joiner else None, approve=["put", "buy"])
    return run_virtually(compiler.run("?"))


@pytest.mark.parametrize(
    ("first", "second", "read"),
    [
        ('a = total()\nx = put("tea")\n', 'x = put("tea")\na = total()\n', "tea"),
        ('x = put("tea")\na = total()\n', 'a = total()\nx = put("tea")\n', ""),
    ],
)
def test_a_repaired_plan_has_an_order_of_its_own(first, second, read):
    """A line that it keeps may stand elsewhere: nothing waits for what stands below it now."""
    shop = Shop()
    run = asked(shop, f"{first}b = nope()\n", second)
    assert run.status == "done"
    assert run["a"] == read
    assert shop.basket == ["tea"]
    assert len(run.plan.levels()) == 2


def test_what_failed_in_one_round_stops_nothing_in_the_next():
    """Its joiner has seen it, and its planner too."""
    shop = Shop()
    first, second = 'put("bad")\nt = total()\njoin()\n', "t = total()\nb = buy()\njoin(b)\n"
    run = asked(shop, first, second, joiner=["Replan: again", "ok"])
    assert (run.answer, run.state("b")) == ("ok", "done")


def test_a_rerun_from_a_task_does_not_stop_at_what_failed_before():
    """Whoever names the task to begin with has decided."""
    shop = Shop()

    async def main():
        compiler = Compiler(None, shop.tools, approve="auto")
        run = await compiler.execute(Plan.parse('put("bad")\nb = buy()\n'))
        assert run.state("b") == "skipped"
        return await compiler.rerun(run, start="b")

    assert run_virtually(main()).state("b") == "done"


def test_a_plan_that_was_read_without_tools_runs_in_order():
    """What the tools are is known when it runs."""
    shop = Shop()
    compiler = Compiler(None, shop.tools, approve="auto")
    run = run_virtually(compiler.execute(Plan.parse('put("tea")\nb = buy()\n')))
    assert run["b"] == "tea"
    assert run.plan.levels() == (("@1",), ("b",))


def gone_on(tmp_path, how, ask):
    """Run a plan of which the second side effect fails, and go on with it when it would not; return shop and run."""
    shop, stock = Shop(put=0.0, buy=0.0, total=0.0, double=0.0), []

    @tool(side_effects=True)
    async def take(item: str) -> str:
        if item not in stock:
            raise ToolError(f"no {item}")
        shop.basket.append(item)
        return item

    async def main():
        compiler = Compiler(None, [*shop.tools, take], approve=["put", "take", "buy"], history=tmp_path / "runs.db")
        lines = ['put("jam")', 'take("tea")', "t = total()", "u = [double(x) for x in [t]]", "b = buy()", "answer(b)"]
        old = await compiler.execute(Plan.parse("\n".join(lines)))
        assert (old["t"], old.state("b")) == ("jam", "skipped")
        stock.append("tea")
        again = compiler.order_resumed(old) if how == "resume" else compiler.order_again(old, failed=True)
        run, work = compiler.begin(again, ask=ask)
        await work
        return run

    return shop, asyncio.run(main())


@pytest.mark.parametrize("how", ["resume", "rerun"])
def test_a_run_that_goes_on_keeps_the_order(tmp_path, how):
    """What is done is not made again; what failed is, if someone says so, and reads below it are fresh."""

    async def yes(task, shown):
        return True

    shop, run = gone_on(tmp_path, how, yes)
    assert (run["t"], run["u"], run["b"]) == ("jam+tea", ["jam+teajam+tea"], "jam+tea")
    assert shop.log.count("put jam begins") == 1


@pytest.mark.parametrize("person", [None, False])
def test_a_call_in_doubt_that_nobody_was_asked_about_stops_the_later_ones(person):
    """A rerun makes no payment while an earlier one may still be under way, unless a person says no to that one."""
    log: list[int] = []

    @tool(side_effects=True, timeout=0.05)
    async def pay(x: int) -> int:
        log.append(x)
        await asyncio.sleep(60 if x == 1 else 0)
        return x

    async def ask(_task, _arguments) -> bool:
        return bool(person)

    async def main():
        compiler = Compiler(None, [pay], approve=["pay"])
        run = await compiler.execute("a = pay(1)\nb = pay(2)\n")
        again, work = compiler.begin(compiler.order_again(run, failed=True), ask=ask if person is not None else None)
        await work
        return again

    again = run_virtually(main())
    assert again.failures["a"].kind == "denied"
    assert log == ([1] if person is None else [1, 2])
    if person is None:
        assert "whether it had its effect is unknown, so no later side effect" in str(again.failures["b"])
