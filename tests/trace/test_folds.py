import asyncio

from compiler_nb import trace
from compiler_nb.compiler import Compiler
from compiler_nb.events import ModelChunk, ModelEnded, ModelStarted, TaskEnded, TaskExpanded, TaskRetried, TaskStarted
from compiler_nb.outcome import Usage
from compiler_nb.plan.task import Task
from compiler_nb.tool import tool
from compiler_nb.values.records import body_of, make_event
from tests.support.desk import Desk
from tests.support.story import Story


def called(story, call, usage, task=""):
    """Append a model's call."""
    role = "worker" if task else "planner"
    story.tell(ModelStarted, call, role, task, "p", "m", (), "")
    return story.tell(ModelEnded, call, "stop", usage, "", "")


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


def test_calls_of_models_have_a_beginning_a_first_word_and_an_end():
    """Each as far as it went, and which model answered where that was another."""
    story = (
        Story()
        .tell(ModelStarted, 1, "planner", "", "p", "m", (), "")
        .tell(ModelStarted, 2, "worker", "a", "p", "m", (), "")
    )
    assert [(call.role, call.started, call.first, call.ended) for call in trace.calls(story.events)] == [
        ("planner", 1.0, None, None), ("worker", 2.0, None, None),
    ]  # fmt: skip
    story.tell(ModelChunk, 1, "x").tell(ModelChunk, 1, "y").tell(ModelEnded, 1, "stop", Usage(), "cut", "m-2")
    assert trace.calls(story.events)[0] == trace.ModelCall(1, "planner", "", "p", "m", 1.0, 3.0, 5.0, "cut", "m-2")


def test_what_writes_words_is_imported_when_it_is_asked_for():
    """A name that is none is an error as with any module."""
    assert trace.why([], "a") == "there is no task 'a' in this run"
    assert set(trace.__all__) <= {*dir(trace), *trace._LATER}
    assert not hasattr(trace, "nothing")


def test_a_call_that_was_stored_before_it_said_who_answered_is_still_one():
    """Events of older runs have fewer fields."""
    story = called(Story(), 1, Usage(1, 10, 5))
    started, ended = story.events
    old = make_event("ModelEnded", ended[:4], body_of(ended)[:-1])
    assert old == ended
    assert trace.calls([started, old])[0].answered == ""
