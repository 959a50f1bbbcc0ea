"""Why a task waits, and why it waited, in words."""

import asyncio

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.events import (
    ModelWaits,
    Paused,
    PlanClosed,
    TaskApproved,
    TaskEnded,
    TaskHeld,
    TaskParked,
    TaskPlanned,
    TaskRetried,
    TaskStarted,
)
from compiler_nb.models.limits import Limit
from compiler_nb.outcome import Cancelled, Failure, Skipped
from compiler_nb.plan.task import Task
from compiler_nb.tool import tool
from compiler_nb.trace import Progress, Words, spent
from tests.support.desk import Desk, begin, scripted
from tests.support.story import Story

LIMITS = {"": 2, "provider:openai": 1, "tool:search": 1}
LANES = {"search": ("tool:search", "provider:openai"), "ask": ("provider:openai",)}


def called(story, id_, name="get"):
    """Append the planning and the start of a call."""
    story.tell(TaskPlanned, id_, 0, Task(id_, "call", name), "")
    return story.tell(TaskStarted, id_, 1, story.now)


def why(story, id_="a", *, at=None, limits=None, lanes=None):
    """Return what is said after the events up to `at`, by default all."""
    progress = Progress([event for event in story.events if at is None or event.at <= at])
    return Words(progress, progress.at if at is None else at, limits or {}, lanes or {}).whole(id_)


def test_it_waits_for_others():
    """Each by name, with where it stands; many are counted."""
    story = called(Story().plan("b", "la", "ny", "c"), "la").plan("ny")
    assert why(story, "b", at=5.8) == (
        "waits for `la` (running 2.8 s), `ny` (ready, waits for a slot) and `c` (not planned)"
    )
    story.plan("all", *(f"t{number}" for number in range(20)))
    assert why(story, "all").endswith("`t2` (not planned) and 17 more")


@pytest.mark.parametrize(
    ("running", "name", "told"),
    [
        (["get", "get"], "get", "ready, waits for a slot (2 of 2 in use)"),
        (["ask"], "ask", "ready, waits for a slot of openai (1 of 1 in use)"),
        (["search"], "search",
         "ready, waits for a slot of search (1 of 1 in use) and a slot of openai (1 of 1 in use)"),
        (["ask", "get"], "ask", "ready, waits for a slot (2 of 2 in use) and a slot of openai (1 of 1 in use)"),
        (["ask"], "get", "ready, starts next"),
    ],
)  # fmt: skip
def test_it_waits_for_a_slot(running, name, told):
    """Of all that limits it, what is in use is named."""
    story = Story()
    for number, each in enumerate(running):
        called(story, f"r{number}", each)
    story.tell(TaskPlanned, "a", 0, Task("a", "call", name), "")
    assert why(story, limits=LIMITS, lanes=LANES) == told
    assert why(story) == "ready, waits for a slot"


def test_it_is_held():
    """For the plan's end, for approval, because the run is paused."""
    story = Story().plan("a").tell(TaskHeld, "a", 0, "plan", "", "")
    assert why(story) == "ready, waits for the end of the plan"
    story.tell(PlanClosed, "", True, None, "python", ("a",), (), False)
    assert why(story) == "ready, waits for a slot"
    story.tell(TaskHeld, "a", 0, "approval", 'to="bob"', "")
    assert why(story) == 'ready, waits for approval of (to="bob")'
    story.plan("b", "a")
    assert why(story, "b") == 'waits for `a` (ready, waits for approval of (to="bob"))'
    story.tell(TaskApproved, "a", 0, True, "user").tell(Paused, True)
    assert why(story) == "ready, but no new task starts: the run is paused"


def test_it_is_tried_again():
    """After a pause, and then when there is a slot."""
    story = called(Story(), "a").tell(TaskRetried, "a", 1, "OSError: down", 0.4)
    assert why(story) == "tries again in 0.4 s, after: OSError: down"
    assert why(story, at=3.5, limits=LIMITS) == "ready, starts next to try again, after: OSError: down"


def test_items_of_fan_outs_are_told_apart():
    """What waits for an item says which, what waits for all of them how many have ended."""
    story = Story().program('a = get(1)\nrows = {k: get(k) for k in a}\nb = get(rows["x"])\nc = get(rows[a])')
    assert why(story, "rows") == "waits for `a` (ready, waits for a slot)"
    assert why(story, "b") == "waits for the items of `rows` (waiting)"
    story.tell(TaskEnded, "a", 1, "done", 1, "").expand("rows", "rows[x].1", "rows[x]", "rows[y]")
    assert why(story, "b") == "waits for `rows[x]` (ready, waits for a slot)"
    assert why(story, "c", at=8.5) == "waits for `rows` (running 2.5 s)"
    story.tell(TaskEnded, "rows[y]", 1, "done", 1, "")
    assert why(story, "rows") == "running for 1.0 s, 1 of 2 items done"


def test_a_moment_can_be_looked_back_at():
    """Later events have not happened."""
    story = called(Story(), "a").tell(TaskEnded, "a", 1, "done", 1, "")
    assert [why(story, at=at) for at in (1.0, 2.5, 3.0)] == [
        "ready, waits for a slot", "running for 0.5 s", "done after 1.0 s",
    ]  # fmt: skip


def test_a_wait_for_a_provider_is_told_apart():
    """A running task that is parked waits for its provider, and so does what would ask the same one."""
    story = called(called(Story(), "a", "ask"), "b", "ask")
    story.tell(TaskParked, "b", 1, "openai", True)
    assert why(story, "b", at=7.0) == "running for 3.0 s, of which 2.0 s waiting for openai"
    story.tell(TaskParked, "b", 1, "openai", False)
    assert why(story, "b", at=9.0) == "running for 5.0 s, of which 1.0 s waiting for openai"
    story.tell(TaskParked, "b", 1, "openai", True).tell(TaskEnded, "b", 1, "done", 1, "")
    assert why(story, "b") == "done after 4.0 s, of which 2.0 s waiting for openai"


def test_a_wait_that_a_provider_asked_for_says_how_long_it_lasts():
    """For how long it asked, what is left, and in short what stays the same."""
    story = called(Story(), "a", "ask").tell(TaskParked, "a", 1, "openai", True)  # parked at 3
    story.tell(ModelWaits, 1, "worker", "a", "openai", "m", 45.0, 45.3, True)  # at 4
    assert why(story, at=11.0) == (
        "running for 9.0 s, of which 8.0 s waiting for openai; waits for openai: asked for 45 s, 38 s left"
    )
    words = Words(Progress(story.events), 11.0, {}, {})
    assert (words.short("a"), words.roles()) == ("waits for openai: asked for 45 s", [])
    story.tell(ModelWaits, 1, "worker", "a", "openai", "m", 0.0, 0.0, False).tell(TaskParked, "a", 1, "openai", False)
    assert why(story, at=11.0) == "running for 9.0 s, of which 3.0 s waiting for openai"


def test_the_planner_and_the_joiner_may_have_to_wait_too():
    """They are no tasks, but they are told of; a wait of our own says when the call is tried again."""
    story = Story().tell(ModelWaits, 1, "replan", "", "openai", "m", 2.5, 2.5, True)
    story.tell(ModelWaits, 2, "joiner", "", "vllm", "m", 0.0, 12.0, True)
    progress = Progress(story.events)
    words = Words(progress, progress.at, {}, {})
    assert words.roles() == [
        "the planner waits for openai: asked for 2.5 s, 1.5 s left", "the joiner waits for vllm: tries again in 12 s",
    ]  # fmt: skip
    assert words.roles(left=False)[1] == "the joiner waits for vllm: tries again"


def test_how_many_tasks_wait_is_told_by_provider():
    """One by its name, more by their number, with the longest wait of all."""
    story = Story()
    for call, (task, provider, asked) in enumerate([("a", "openai", 9.0), ("b", "openai", 45.0), ("c", "vllm", 0.0)]):
        called(story, task).tell(ModelWaits, call, "worker", task, provider, "m", asked, 50.0 - call, True)
    words = Words(Progress(story.events), 10.0, {}, {})
    assert words.providers() == [
        "2 tasks wait for openai: asked for 45 s, 45 s left", "c waits for vllm: tries again in 47 s",
    ]  # fmt: skip
    assert words.providers(left=False) == ["2 tasks wait for openai: asked for 45 s", "c waits for vllm: tries again"]


def test_a_task_whose_provider_is_closed_says_who_waits_there_too():
    """A slot is free for others, but not for those that need the same provider."""
    story = called(Story(), "a", "ask").tell(TaskParked, "a", 1, "openai", True).plan("c")
    lanes = {"get": ("provider:openai",)}
    assert why(story, "c", limits={"": 1}, lanes=lanes) == "ready, waits for openai, as `a` does"
    story.tell(TaskParked, "a", 1, "openai", False)
    assert why(story, "c", limits={"": 1}, lanes=lanes) == "ready, waits for a slot (1 of 1 in use)"


def test_an_ended_task_tells_what_it_waited_for():
    """One after the other: others, approval, a pause, a slot, between attempts."""
    story = Story().plan("la").plan("a", "la").tell(TaskEnded, "la", 1, "done", 1, "")  # ready at 3
    story.tell(TaskHeld, "a", 0, "approval", "", "").tell(TaskApproved, "a", 0, True, "user").tell(Paused, True)
    story.tell(Paused, False).tell(TaskStarted, "a", 1, 3.0)
    story.tell(TaskRetried, "a", 1, "down", 0.5).tell(TaskStarted, "a", 2, 9.5).tell(TaskEnded, "a", 2, "done", 1, "")
    assert why(story) == (
        "done after 3.0 s, in 2 attempts that ran 2.0 s; it waited 1.0 s for `la`, then 1.0 s for approval, "
        "then 1.0 s while the run was paused, then 3.0 s for a slot, then 0.5 s between two attempts, "
        "then 0.5 s for a slot"
    )


def test_an_expression_is_not_what_a_task_waited_for():
    """It takes no time: what it waited for itself took it; the figures are those of the table."""
    story = Story().program("a = get(1)\ntotal = a + 1\nlate = get(total)")
    story.tell(TaskStarted, "a", 1, 4.0).tell(TaskEnded, "a", 1, "done", 1, "")
    story.tell(TaskEnded, "total", 0, "done", 2, "inline").tell(TaskStarted, "late", 1, 6.0)
    story.tell(TaskEnded, "late", 1, "done", 3, "")
    progress = Progress(story.events)
    assert why(story, "late") == "done after 1.0 s; it waited 3.0 s for `a`, then 1.0 s for a slot"
    assert why(story, "total") == "done; it waited 3.0 s for `a`"
    assert [spent(progress, id_, 9.0).waited for id_ in ("late", "total")] == [4.0, 4.0]


def test_what_goes_on_is_told_without_its_clock_where_that_stands_beside_it():
    """In the details of a live page, whose head says that the task runs, and for how long: that is not said twice."""
    progress = Progress(called(Story(), "a").events)
    words = Words(progress, 9.0, {}, {})
    assert words.whole("a") == "running for 7.0 s"
    assert words.whole("a", clock=False) == ""


@pytest.mark.parametrize(
    ("state", "outcome", "how", "told"),
    [
        ("failed", Failure("raised", "OSError: down"), "", "failed after 1.0 s: OSError: down"),
        ("failed", Failure("denied", "send was not approved"), "", "denied after 1.0 s: send was not approved"),
        ("skipped", Skipped("x", "ValueError: 404"), "", "skipped, because `x` failed: ValueError: 404"),
        ("cancelled", Cancelled(), "", "cancelled after 1.0 s: the run was cancelled"),
        ("done", 1, "pinned", "done after 1.0 s, pinned: you gave its value"),
    ],
)
def test_an_end_has_its_reason(state, outcome, how, told):
    """In the outcome's own words."""
    assert why(called(Story(), "a").tell(TaskEnded, "a", 1, state, outcome, how)) == told


def test_one_that_was_never_tried_has_no_time():
    """It was denied, or computed at once."""
    story = Story().plan("a").tell(TaskEnded, "a", 0, "failed", Failure("denied", "no"), "")
    assert why(story) == "denied: no"
    story = Story().plan("a").tell(TaskEnded, "a", 0, "done", 1, "adopted")
    assert why(story) == "done, not run again: an earlier run left its outcome"


def test_a_run_says_it_with_its_own_limits():
    """Of providers, of tools and of all together."""
    desk = Desk()

    @tool(provider="openai")
    async def ask(x: int) -> int:
        return x

    wait = tool(max_concurrency=1)(desk.tools[1].function)
    plan = "a = wait(1)\nb = wait(2)\nc = get(a)\nanswer(c)"
    compiler = Compiler(None, [ask, wait, desk.tools[0]], planner=scripted(plan), limits={"openai": Limit(1)})
    run, work = begin(compiler, "What?")
    told = []

    def look(event):
        if isinstance(event, PlanClosed):
            told.extend(run.why(id_) for id_ in "abc")
            desk.open()

    run.log.listeners.append(look)
    asyncio.run(work)
    assert told[0].startswith("running for ")
    assert told[1] == "ready, waits for a slot of wait (1 of 1 in use)"
    assert told[2].startswith("waits for `a` (running ")
