"""A question that follows a run: what is there is read by name, and not computed again."""

from __future__ import annotations

import asyncio

import pytest

from compiler_nb import Compiler, History, ScriptedModel, tool
from compiler_nb.errors import HistoryError
from compiler_nb.events import Warned
from tests.support.desk import Desk, run, scripted, texts


class Office:
    """Tools that note their calls: get returns its argument, send has side effects."""

    def __init__(self):
        self.asked, self.sent = [], []

        @tool
        def get(x: object) -> object:
            """Return it."""
            self.asked.append(x)
            return x

        @tool(side_effects=True)
        def send(x: object) -> str:
            """Send it."""
            self.sent.append(x)
            return f"sent {x}"

        self.tools = [get, send]

    def compiler(self, *plans, joiner=None, **settings):
        """Return a compiler whose planner writes these plans."""
        return Compiler(scripted(*plans, joiner=joiner), self.tools, **settings)


FIRST = "ny = get(12)\nla = get(25)\nwarm = max(ny, la)\nanswer(warm)\n"


def follow(compiler, before, question="and Boston?", **given):
    """Return the run of a question that follows another run."""
    return run(compiler, question, after=before, **given)


@pytest.fixture(params=["in this session", "from a history"])
def chain(request, tmp_path):
    """Give what makes a compiler, and what names a run for `after`: itself, or its id in a history."""
    if request.param == "in this session":
        yield lambda office, *plans, **settings: (office.compiler(*plans, **settings), lambda found: found)
        return
    with History(tmp_path / "runs.db") as history:
        yield lambda office, *plans, **settings: (
            office.compiler(*plans, history=history, **settings), lambda found: found.id,
        )  # fmt: skip


def test_a_follow_up_reads_results_by_name_and_computes_nothing_again(chain):
    """An equal call takes its result, too, whatever it is called."""
    office = Office()
    compiler, named = chain(office, FIRST, "boston = get(7)\nsame = get(12)\nanswer([warm - boston, same, ny])\n")
    first = run(compiler, "How warm are New York and Los Angeles?")
    second = follow(compiler, named(first))
    assert (second.answer, second.after, first.after) == ([18, 12, 12], first.id, "")
    assert office.asked == [12, 25, 7]
    told = f"done, taken from the run {first.id}, which this one follows"
    assert [second.why(name) for name in ("warm", "ny", "la", "same")] == [told] * 4
    assert second["warm"] == 25


def test_the_planner_is_told_the_question_the_plan_and_the_results_by_shape(chain):
    """As in a replan; contents only under preview."""
    office = Office()
    compiler, named = chain(office, "secret = get('12 degrees')\nanswer(secret)\n", "answer(secret)\n")
    first = run(compiler, "How warm is New York?")
    follow(compiler, named(first))
    sent = texts(compiler.settings.planner, "planner")[1]
    assert "- How warm is New York?" in sent
    assert "secret = get('12 degrees')" in sent  # the planner's own text
    assert '<data name="results">\nsecret: str\n</data>' in sent
    assert sent.endswith("Question: and Boston?")


@pytest.mark.slow
def test_a_chain_of_follow_ups_reads_all_of_it_and_its_prompt_stays_bounded(chain):
    """Also what the run in between has only read."""
    office = Office()
    plans = [FIRST, *(f"x{n} = get({n})\nanswer(warm + x{n})\n" for n in range(100, 112))]
    compiler, named = chain(office, *plans)
    found = run(compiler, "first")
    sizes = []
    for number in range(12):
        found = follow(compiler, named(found), f"follow-up {number}")
        assert found.answer == 25 + 100 + number, found.error
        sizes.append(len(texts(compiler.settings.planner, "planner")[-1]))
    assert office.asked == [12, 25, *range(100, 112)]
    assert max(sizes) < 2 * sizes[0]
    assert found.settings.planner is compiler.settings.planner


def test_a_side_effect_of_the_run_before_is_asked_for_whatever_the_rule(chain):
    """What is asked for again is possible, an accidental repetition asks, and another call goes by the rule."""
    office = Office()
    compiler, named = chain(office, "send('ann')\nanswer(1)\n", "send('bob')\nsend('ann')\nanswer(2)\n", approve="auto")
    first = run(compiler)
    second = follow(compiler, named(first))
    assert office.sent == ["ann", "bob"]
    [denied] = second.failures.values()
    assert denied.message == (
        f"send: an equal call was made in round 1 of the run {first.id}; nobody is there to approve another"
    )
    assert "send('ann') was made" in texts(compiler.settings.planner, "planner")[1].replace('"', "'")


def test_a_person_may_have_it_sent_again(chain):
    """And is told that it was made before; then it is one of the follow-up's own."""
    office = Office()
    compiler, named = chain(office, "send('ann')\nanswer(1)\n", "send('ann')\nanswer(2)\n", approve=["send"])
    first = run(compiler)
    asked = []

    async def ask(task, shown):
        asked.append(shown)
        return True

    async def again():
        order = compiler.order("again", after=compiler.recall(named(first)))
        found, work = compiler.begin(order, ask=ask)
        await work
        return found

    second = asyncio.run(again())
    assert (second.status, office.sent, len(asked)) == ("done", ["ann", "ann"], 1)
    third = asyncio.run(compiler.rerun(named(second)))
    assert third.status == "done"
    assert office.sent == ["ann", "ann"]


def test_what_was_read_before_a_side_effect_is_read_again(chain):
    """It may be stale; what is pure, or was read after it, is not."""
    office = Office()
    plans = ("a = get(1)\nsend('x')\nb = get(2)\nanswer(a)\n", "c = get(1)\nd = get(2)\nanswer([c, d])\n")
    compiler, named = chain(office, *plans, approve=["send"])
    follow(compiler, named(run(compiler)))
    assert office.asked == [1, 2, 1]


def test_the_plan_of_a_follow_up_is_whole_so_it_can_be_run_again(chain):
    """And edited: what it reads of the run before is a part of it."""
    office = Office()
    compiler, named = chain(office, FIRST, "boston = get(7)\nanswer(warm - boston)\n")
    second = follow(compiler, named(run(compiler)))
    assert list(second.plan.by_id) == ["ny", "la", "warm", "boston"]
    again = asyncio.run(compiler.rerun(named(second), start="boston"))
    assert (again.answer, office.asked) == (18, [12, 25, 7, 7])
    again = asyncio.run(compiler.rerun(named(second)))
    assert (again.answer, office.asked) == (18, [12, 25, 7, 7, 12, 25, 7])


def test_a_replan_of_a_follow_up_may_still_read_the_run_before(chain):
    """Also what its first plan did not read; and `join` may name it."""
    office = Office()
    plans = (FIRST, "boston = get(7)\njoin(boston, ny)\n", "join(boston, la)\n")
    compiler, named = chain(office, *plans, joiner=["Replan: more", "fine"])
    second = follow(compiler, named(run(compiler, "How warm?")))
    assert (second.answer, len(second.rounds), second.error) == ("fine", 2, "")
    asked = texts(compiler.settings.joiner, "joiner")
    assert '<data name="ny"' in asked[0]
    assert '<data name="la"' in asked[1]
    assert "It follows the question: How warm?" in asked[0]
    assert "25" in asked[0]


def test_a_joiner_sees_of_an_earlier_answer_what_is_shared():
    """Nothing of it under "none"."""
    office = Office()
    compiler = office.compiler(
        "a = get('secret')\nanswer(a)\n", "join()\n", "b = get(1)\njoin(b)\n", joiner="x", share="none"
    )
    first = run(compiler)
    follow(compiler, first)
    [asked] = texts(compiler.settings.joiner, "joiner")
    assert "It follows the question: What?" in asked
    assert "secret" not in asked


def test_what_was_not_stored_is_said_and_computed_again(tmp_path):
    """Its name is no result; the planner is told so, and the user."""
    office, path = Office(), tmp_path / "runs.db"
    plans = ("a = get(it)\nb = get(2)\nanswer(b)\n", "c = get(it)\nanswer(b)\n")
    with History(path) as history:
        compiler = office.compiler(*plans, history=history)
        first = run(compiler, inputs={"it": object()})
        second = follow(compiler, first.id, inputs={"it": 5})
    assert (second.status, second.answer, office.asked[1:]) == ("done", 2, [2, 5])
    assert "a: it was not stored" in texts(compiler.settings.planner, "planner")[1]
    warned = [event.message for event in second.events if isinstance(event, Warned)]
    assert any(f"a of the run {first.id} was not stored" in each for each in warned)


def test_inputs_of_the_run_before_are_offered_again_and_passed_by_reference():
    """A new one of that name takes its place, and what read the old one is computed anew."""
    office, table = Office(), [1, 2, 3]
    plans = ("a = get(rows)\nanswer(a)\n", "b = get(rows)\nanswer(b)\n", "b = get(rows)\nanswer(b)\n")
    compiler = office.compiler(*plans)
    first = run(compiler, inputs={"rows": table})
    assert follow(compiler, first).answer is table
    assert len(office.asked) == 1
    assert follow(compiler, first, inputs={"rows": [4]}).answer == [4]
    assert office.asked == [table, [4]]


def test_a_tool_that_was_changed_since_is_called_anew():
    """Its old result may still be read by name."""
    office, other = Office(), Desk()
    first = run(office.compiler(FIRST))

    @tool
    def get(x: object) -> object:
        """Return twice of it."""
        return x * 2

    changed = Compiler(planner=scripted("a = get(12)\nanswer([a, ny])\n"), tools=[get, *other.tools[3:4]])
    assert follow(changed, first).answer == [24, 12]


def test_fan_outs_of_the_run_before_are_taken_over_item_by_item(chain):
    """A new one over more things computes those alone; of one that failed in part what there is can be read."""
    office = Office()
    plans = (
        "rows = [get(x) for x in [1, 2, 3]]\nanswer(rows)\n",
        "more = [get(x) for x in [2, 3, 4]]\nanswer([more, rows[0]])\n",
    )
    compiler, named = chain(office, *plans)
    second = follow(compiler, named(run(compiler)))
    assert (second.answer, sorted(office.asked)) == ([[2, 3, 4], 1], [1, 2, 3, 4])


def test_two_follow_ups_of_a_run_may_go_on_at_the_same_time():
    """They are no lineage: neither claims the side effects of the other."""
    office = Office()
    compiler = office.compiler("send(0)\nanswer(0)\n", "send(1)\nanswer(1)\n", "send(2)\nanswer(2)\n", approve="auto")
    first = run(compiler)

    async def both():
        return await asyncio.gather(*(compiler.run("again", after=first) for _ in range(2)))

    assert [each.status for each in asyncio.run(both())] == ["done", "done"]
    assert sorted(office.sent) == [0, 1, 2]


def test_a_run_that_is_not_there_cannot_be_followed(tmp_path):
    """As for a rerun."""
    office = Office()
    with pytest.raises(HistoryError, match="there is no history to look for 'x' in"):
        follow(office.compiler(FIRST), "x")
    with pytest.raises(HistoryError, match="there is no history"):
        follow(office.compiler(FIRST, history=tmp_path / "runs.db"), "x")


FIRST_JSON = '{"tasks": [{"id": "t1", "tool": "get", "args": {"x": 12}}], "join_instruction": "say"}'
SECOND_JSON = """{"tasks": [
    {"id": "t2", "tool": "get", "args": {"x": 7}},
    {"id": "t3", "tool": "answer", "args": {"value": "${t1} ${t2}"}}
]}"""


@pytest.mark.parametrize(
    ("dialect", "first", "second"),
    [
        ("numbered", "1. get(12)\n2. answer($1)<END_OF_PLAN>", '3. get(7)\n4. answer("${1} ${3}")<END_OF_PLAN>'),
        ("json", FIRST_JSON, SECOND_JSON),
    ],
)
def test_a_follow_up_reads_earlier_results_in_each_dialect(dialect, first, second):
    """By their numbers, or ids."""
    office = Office()
    compiler = office.compiler(first, second, joiner="12", dialect=dialect)
    assert follow(compiler, run(compiler)).answer == "12 7"
    assert office.asked == [12, 7]


def test_only_the_plan_of_a_follow_up_can_be_made():
    """It names what it would read, and runs nothing."""
    office = Office()
    compiler = office.compiler(FIRST, "boston = get(7)\nanswer(warm - boston)\n")
    first = run(compiler)

    async def planned():
        found, work = compiler.begin(compiler.order_planned("and Boston?", after=first))
        await work
        return found

    assert list(asyncio.run(planned()).plan.by_id) == ["ny", "la", "warm", "boston"]
    assert office.asked == [12, 25]


def test_a_follow_up_that_failed_is_resumed_with_what_it_followed(tmp_path):
    """A planner that gave no plan is asked again, and told the same."""
    office = Office()
    with History(tmp_path / "runs.db") as history:
        model = ScriptedModel({"planner": [FIRST, "a = nobody(1)\n", "answer(warm)\n"], "repair": "a = nobody(1)\n"})
        compiler = Compiler(planner=model, tools=office.tools, history=history)
        second = follow(compiler, run(compiler).id)
        assert second.status == "failed"
        third = asyncio.run(compiler.resume(second.id))
    assert (third.answer, office.asked) == (25, [12, 25])
