import asyncio

from compiler_nb import trace
from compiler_nb.compiler import Compiler
from compiler_nb.events import (
    Log,
    ModelEnded,
    ModelStarted,
    TaskApproved,
    TaskEnded,
    TaskExpanded,
    TaskHeld,
    TaskPlanned,
    TaskRetried,
    TaskStarted,
)
from compiler_nb.outcome import Failure, Usage
from compiler_nb.plan.task import Ref, Task
from compiler_nb.tool import tool
from tests.support.desk import Desk


class Story:
    """Events with a clock that goes on by a second each."""

    def __init__(self):
        self.now = 0.0
        self.log = Log("r", clock=self.tick)

    def tick(self):
        self.now += 1.0
        return self.now

    def tell(self, kind, *fields):
        """Append an event, and return the story."""
        self.log.emit(kind, *fields)
        return self

    def plan(self, id_, *needs):
        """Append the planning of a call."""
        return self.tell(TaskPlanned, id_, 0, Task(id_, "call", "get", tuple(Ref(name) for name in needs)))

    @property
    def events(self):
        """What happened."""
        return self.log.events


def called(story, call, usage, task=""):
    """Append a model's call."""
    role = "worker" if task else "planner"
    story.tell(ModelStarted, call, role, task, "p", "m", (), "")
    return story.tell(ModelEnded, call, "stop", usage, "")


def test_usage_is_the_sum_of_the_calls():
    """It is reported where all are; by task it is that of the calls its tool made."""
    story = called(called(called(Story(), 1, Usage(1, 10, 5)), 2, Usage(1, 3, 2), "a"), 3, Usage(1, 1, 1), "a")
    assert trace.usage(story.events) == Usage(3, 14, 8)
    assert trace.usage_by_call(story.events)[2] == Usage(1, 3, 2)
    assert trace.usage_by_task(story.events) == {"a": Usage(2, 4, 3)}
    called(story, 4, Usage(1, 1, 1, reported=False))
    assert trace.usage(story.events).reported is False
    assert trace.usage([]) == Usage()


def test_a_call_that_goes_on_has_used_nothing_yet():
    """Only ended calls count."""
    story = Story().tell(ModelStarted, 1, "planner", "", "p", "m", (), "")
    assert trace.usage(story.events) == Usage()


def test_tasks_are_in_the_order_of_their_birth():
    """Items of a fan-out come when it is expanded."""
    items = (Task("rows[0]", "call", "get"), Task("rows[1]", "call", "get"))
    story = Story().plan("rows").plan("b").tell(TaskExpanded, "rows", 1, items)
    assert list(trace.tasks(story.events)) == ["rows", "b", "rows[0]", "rows[1]"]


def test_states_follow_the_events():
    """waiting, ready where it is held, running, back to waiting for a retry, and the end."""
    story, seen = Story().plan("a"), []

    def tell(*event):
        story.tell(*event)
        seen.append(trace.states(story.events)["a"])

    tell(TaskHeld, "a", 0, "approval", "x=1")
    tell(TaskApproved, "a", 0, True, "user")
    tell(TaskStarted, "a", 1, 1.0)
    tell(TaskRetried, "a", 1, "down", 0.1)
    tell(TaskStarted, "a", 2, 1.0)
    tell(TaskEnded, "a", 2, "done", 7, "")
    assert seen == ["ready", "ready", "running", "waiting", "running", "done"]


def test_a_fan_out_runs_from_its_expansion_on():
    """Its items wait at first."""
    story = Story().plan("rows").tell(TaskExpanded, "rows", 1, (Task("rows[0]", "call", "get"),))
    assert trace.states(story.events) == {"rows": "running", "rows[0]": "waiting"}


def test_spans_are_attempts():
    """Each with when it was ready, began and ended; one that runs has no end."""
    story = Story().plan("a")
    story.tell(TaskStarted, "a", 1, 1.5).tell(TaskRetried, "a", 1, "down", 0.1).tell(TaskStarted, "a", 2, 4.5)
    first, second = trace.spans(story.events)
    assert first == trace.Span("a", 1, 1.5, 2.0, 3.0, "failed")
    assert second == trace.Span("a", 2, 4.5, 4.0, None, "running")
    story.tell(TaskEnded, "a", 2, "done", 1, "")
    assert trace.spans(story.events)[1].ended == 5.0


def test_what_was_adopted_has_no_span():
    """No attempt was made."""
    story = Story().plan("a").tell(TaskEnded, "a", 0, "done", 1, "adopted")
    assert trace.spans(story.events) == []
    assert trace.states(story.events) == {"a": "done"}


def test_why_a_task_waits():
    """For others, for approval, for the plan's end, for a slot."""
    story = Story().plan("a").plan("b", "a", "c")
    assert trace.why(story.events, "b") == "b waits for a (waiting), c (not planned)"
    assert trace.why(story.events, "a") == "a is ready and waits for a slot"
    story.tell(TaskHeld, "a", 0, "plan", "")
    assert trace.why(story.events, "a") == "a is ready and waits for the end of the plan"
    story.tell(TaskHeld, "a", 0, "approval", "x='hi'")
    assert trace.why(story.events, "a") == "a is ready and waits for approval of (x='hi')"
    story.tell(TaskApproved, "a", 0, True, "user")
    assert trace.why(story.events, "a") == "a is ready and waits for a slot"
    assert trace.why(story.events, "z") == "there is no task 'z' in this run"


def test_why_a_task_ended_so():
    """A failure's own words, and how long it waited for a slot."""
    story = Story().plan("a").tell(TaskStarted, "a", 1, 0.5)
    story.tell(TaskEnded, "a", 1, "failed", Failure("raised", "OSError: down"), "")
    assert trace.why(story.events, "a") == "a is failed; it waited 1.50 s for a slot: OSError: down"


def test_the_folds_of_a_real_run_agree():
    """Retries, fan-outs and failures: every task has one end state, every attempt a span that ends."""
    tries = []

    @tool(retries=1)
    async def shaky(x: int) -> int:
        tries.append(x)
        if len(tries) == 1:
            raise OSError("down")
        return x

    plan = 'a = shaky(1)\nb = get([1, 2])\nc = [get(x) for x in b]\nd = fail("d")\ne = get(d)\njoin()\n'
    found = asyncio.run(Compiler(tools=[*Desk().tools, shaky]).execute(plan))
    states = trace.states(found.events)
    assert {id_ for id_, state in states.items() if state == "done"} == set(found.results)
    assert states["d"] == "failed"
    assert states["e"] == "skipped"
    spans = trace.spans(found.events)
    assert [span.state for span in spans if span.task == "a"] == ["failed", "done"]
    assert all(span.ready <= span.started <= span.ended for span in spans)
