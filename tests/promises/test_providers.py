"""The provider may fail in any way, in any role: nothing hangs, every error has a name, no task runs twice."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import openai.resources.chat.completions  # these imports are no part of what is timed here
import openai.resources.responses  # noqa: F401 - as above
import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import ModelError
from compiler_nb.events import Warned
from compiler_nb.outcome import Failure
from compiler_nb.tool import Tool
from compiler_nb.trace import Progress
from tests.support.clock import run_virtually
from tests.support.desk import Desk
from tests.support.scale import times
from tests.support.server import FAULTS, RESPONSES
from tests.support.wire import Wire, model_on, role_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from compiler_nb.run import Run

pytestmark = pytest.mark.promise
PLAN: Final = 'a = get("x")\nb = get([a, "y"])\nc = llm("say it", b)\nsent = send(a)\njoin(b, c)\n'
SAYS: Final = {
    "planner": PLAN,
    "repair": PLAN,
    "replan": '# what is missing, and what is there\nd = get(["z", b])\njoin(d)\n',
    "joiner": "It is so, and there is nothing more to be said about it today.",
    "worker": "It was said so, and those who heard it agreed, each of them.",
}
CHUNKS: Final = (4, 1, 2, 3, 5, 6, 7, 8, 9, 11)
"""Characters of a reply that come together; a test run tries the first, a soak more of them."""
BOUND: Final = 500.0
"""Virtual seconds that a run takes at most: twice the time for a first token, and the waits between."""
PAST: Final = "Wed, 21 Oct 2015 07:28:00 GMT"
WAITS: Final = {"429=2", f"429={PAST}", "429", "loading"}

# What a scenario comes to. "fine": nobody notices; "again": a fault before the first text, so the call is tried again;
# "broken": the text breaks off, so a plan is repaired and another reply asked for once more; "stopped": the same, but
# the model had to stop, and would again; "final": asking again does not help; "odd": it is a reply, only not a good one
FINE = (
    "", "slow-first", "slow-first=100", "thinks=20", "open-end", "open-finish", "no-done", "no-reasons", "no-usage",
    "bad-usage", "negative-usage", "bytes", "crlf", "no-space", "one-newline", "comments", "choices", "json",
    "no-choices", "no-type", "plain", "octets", "false-json", "finish-reset", "finish-error",
    "model=gpt-test-2026-11-20", "model=gpt-test@main", "model=a-smaller-one",
)  # fmt: skip
AGAIN = {
    "429": "too many requests", "429=2": "the provider asks to wait 2 s", f"429={PAST}": "too many requests",
    "status=500": "failed with status 500; try again later", "status=502": "status 502", "status=503": "status 503",
    "status=529": "status 529", "status=408": "try again", "status=409": "try again", "html-502": "status 502",
    "early-reset": "the connection broke", "empty": "the reply ended without a finish",
    "mute": "said nothing for 120 s; is it down", "keep-alive": "the reply ended without",
    "keep-alive=1": "said nothing for 120 s", "overlong": "over 1,000,000 bytes", "done": "the reply ended without",
    "loading": "provider.test is still loading the model", "busy=2": "the provider asks to wait 2 s",
    "only-tools": "only calls of tools, without a text",
    "refused": "no connection to provider.test; check that", "no-host": "there is no host provider.test",
}  # fmt: skip
BROKEN = {
    "reset=12": "the connection broke in the middle", "silent-end=12": "may be cut off",
    "no-end": "may be cut off; ask again, or check the server", "no-finish": "may be cut off",
    "stall": "said nothing more for 30 s", "stall-alive": "said nothing more", "stall-alive=1": "said nothing more",
    "error": "failed with status 500", "error=rate_limit_exceeded": "too many requests",
    "broken-json": "the reply cannot be read",
}  # fmt: skip
STOPPED = {"length": "cut off at the", "content-filter": "cut off by the provider's"}
FINAL = {
    "quota": "quota is used up; waiting does not help", "401": "the key was refused (it came from: api_key=)",
    "status=403": "the key has no permission for this", "context": "too long for the model; offer or share less",
    "status=413": "too long", "context=vllm": "too long", "context=claude": "too long",
    "filter-400": "rephrase", "model-404": "no such model or address",
    "redirect=http://elsewhere.test/v1": "not followed", "html-200": "a proxy or a wrong address answered HTML",
    "packed-error": "the request was refused", "404": "does the address end in /v1", "404=gone": "no such model or",
    "unsupported=max_tokens": "max_completion_tokens", "refusal": "declined; rephrase",
    "error-echo": "the key was refused", "json-error": "no such model", "tls": "no secure connection to provider.test",
    "429=1000": "the provider asks to wait 1,000 s", "echo=code": "the request was refused", "status=418": "refused",
}  # fmt: skip
ODD = ("tool-calls", "duplicate", "endless", "bomb", "blank")
BAD = {"endless": "over 10,000,000 bytes", "bomb": "over 10,000,000 bytes", "blank": "holds no answer: ask again"}
APART: Final = {"no-options", "no-grammar", "no-system", "answers-as", "usage-is"}
"""No faults to a run: nobody notices them but for a second request (tests/models), or the cost (test_providers)."""
CLASSES: Final = {
    **dict.fromkeys(FINE, "fine"), **dict.fromkeys(AGAIN, "again"), **dict.fromkeys(BROKEN, "broken"),
    **dict.fromkeys(STOPPED, "stopped"), **dict.fromkeys(FINAL, "final"), **dict.fromkeys(ODD, "odd"),
}  # fmt: skip
WORDS: Final = {**AGAIN, **BROKEN, **STOPPED, **FINAL}


class Asked(NamedTuple):
    """A run whose provider failed in one role, and what the provider and the tools saw."""

    run: Run
    desk: Desk
    roles: list[str]
    seconds: float

    def count(self, *roles: str) -> int:
        """Return the requests in some roles."""
        return sum(role in roles for role in self.roles)


@pytest.fixture(params=CHUNKS[: times(1)])
def ask(request: pytest.FixtureRequest) -> Callable[..., Asked]:
    """Return what answers a question while the provider fails, its replies in pieces of some size."""
    return partial(ask_in_pieces, request.param)


def ask_in_pieces(size: int, fault: str, *roles: str, once: bool, api: str = "chat", **settings: Any) -> Asked:
    """Answer a question while the provider fails in some roles, the first time or always."""
    desk, failed = Desk(), []
    decisions = ["Replan: z is missing"] if "replan" in roles else []

    def reply(body: dict[str, Any]) -> str:
        role = role_of(body)
        return decisions.pop() if role == "joiner" and decisions else SAYS[role]

    def fails(body: dict[str, Any]) -> str:
        if role_of(body) not in roles or (once and failed):
            return ""
        failed.append(fault)
        return fault.replace("=12", f"={48 // size}")  # it breaks off at the same character

    wire = Wire(reply, fails, size)

    async def main() -> tuple[Run, float]:
        # What is read below a side effect is read again, in a later round too, unless the tool is pure.
        tools = [Tool(each.function, pure=True) if each.name == "get" else each for each in desk.tools]
        compiler = Compiler(model_on(wire, api=api), tools, approve="auto", **settings)
        run = await asyncio.wait_for(compiler.run("What?"), BOUND)
        return run, asyncio.get_running_loop().time()

    run, seconds = run_virtually(main())
    return Asked(run, desk, [role_of(seen.body) for seen in wire.requests], seconds)


def check_whole(asked: Asked, *, replanned: bool = False) -> None:
    """See that nothing ran twice, and nothing with side effects before a plan was whole."""
    got = asked.desk.asked("get")
    whole = ["x", ["x", "y"], *([["z", ["x", "y"]]] if replanned else [])]
    assert got == whole[: len(got)], "a task ran twice"
    assert len(asked.desk.asked("send")) <= 1


def check_named(message: str, fault: str, *, tried: bool = False) -> None:
    """See that an error names the provider, the model, what happened, what to do, and how often it was tried."""
    assert message.startswith("openai:gpt-test"), message
    assert {**WORDS, **BAD}[fault] in message
    assert bool(re.search(r"\(tried \d+ times[,)]", message)) == tried, message


def test_every_fault_is_in_the_table():
    """A new one is to say what it comes to."""
    assert {fault.partition("=")[0] for fault in CLASSES} == {*FAULTS, "status", ""} - APART


@pytest.mark.parametrize("fault", CLASSES)
def test_a_planner_that_fails_once(ask, fault):
    """What may pass is tried again or repaired, and the answer is whole; else the run fails by name."""
    asked = ask(fault, "planner", once=True)
    check_whole(asked)
    run, kind = asked.run, CLASSES[fault]
    if kind == "final":
        assert (run.status, asked.roles) == ("failed", ["planner"])
        check_named(run.error, fault)
    else:
        assert (run.status, run.error, run.answer) == ("done", "", SAYS["joiner"])
        assert run.results == {"a": "x", "b": ["x", "y"], "c": SAYS["worker"], "sent": "sent"}
        assert asked.count("repair") == (kind in ("broken", "stopped", "odd"))
        assert asked.count("planner") == (2 if kind == "again" else 1)


@pytest.mark.parametrize("fault", CLASSES)
def test_a_planner_that_always_fails(ask, fault):
    """The run ends, by name; tasks of whole lines ran once; nothing with side effects did."""
    asked = ask(fault, "planner", "repair", once=False)
    check_whole(asked)
    run, kind = asked.run, CLASSES[fault]
    if kind == "fine":
        assert run.status == "done"
        return
    assert run.status == "failed"
    assert asked.desk.asked("send") == []
    assert asked.count("planner", "repair") <= (16 if fault in WAITS else 4)
    if kind == "odd":
        assert run.error.startswith("the planner's plan is refused: line "), "a plan's problems are told by line"
        return
    check_named(run.error, fault, tried=kind != "final")
    if kind in ("broken", "stopped"):
        kept = [id_ for id_ in ("a", "b", "c") if id_ in run.progress.tasks]
        assert "(tried 2 times, " in run.error
        assert (f"kept: {', '.join(kept)}" in run.error) if kept else ("kept:" not in run.error)
        assert not re.search(r"kept:.*sent", run.error), "what has side effects waits for a plan that is whole"
        assert set(kept) <= {*run.results}, "a whole line was not kept"
        assert kept or "=12" not in fault


@pytest.mark.parametrize("fault", CLASSES)
def test_another_plan_that_fails(ask, fault):
    """In a later round too: what ran before is kept, and is not run again."""
    asked = ask(fault, "replan", "repair", once=False)
    check_whole(asked, replanned=True)
    run, kind = asked.run, CLASSES[fault]
    assert run.results["b"] == ["x", "y"]
    if fault in ("no-end", "no-finish"):  # a text that reads like a whole plan, and has no side effects, is one
        kind = "fine"
    assert run.status == ("done" if kind == "fine" else "failed")
    if kind not in ("fine", "odd"):
        check_named(run.error, fault, tried=kind != "final")
    if kind in ("broken", "stopped"):
        assert run.error.endswith("all that ran before)")


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("fault", CLASSES)
def test_a_joiner_that_fails(ask, fault, once):
    """It is asked again if that may help; else the run fails by name, and the results are there."""
    asked = ask(fault, "joiner", once=once)
    check_whole(asked)
    run, kind = asked.run, CLASSES[fault]
    assert run.results == {"a": "x", "b": ["x", "y"], "c": SAYS["worker"], "sent": "sent"}
    if kind == "fine" or (once and kind in ("again", "broken")):
        assert (run.status, run.answer) == ("done", SAYS["joiner"])
        assert asked.count("joiner") == (1 if kind == "fine" else 2)
    elif kind == "odd":
        good = fault not in BAD or (once and fault != "blank")
        assert run.status == ("done" if good else "failed")
        assert good or (run.error.startswith("openai:gpt-test: ") and BAD[fault] in run.error)
    elif fault == "length":  # what there is of the answer is kept, and marked
        assert (run.status, SAYS["joiner"].startswith(run.answer)) == ("done", True)
        assert run.answer_cut.startswith("cut off at the model's limit, after ")
    else:
        assert (run.status, run.answer) == ("failed", None)
        check_named(run.error, fault, tried=kind in ("again", "broken"))
        assert run.error.endswith("kept: all results)")


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("fault", CLASSES)
def test_a_worker_that_fails(ask, fault, once):
    """Its task is tried again if that may help; else that task alone fails, by name, and the run has an answer."""
    asked = ask(fault, "worker", once=once)
    check_whole(asked)
    run, kind = asked.run, CLASSES[fault]
    assert (run.status, run.answer) == ("done", SAYS["joiner"])
    assert run.results["b"] == ["x", "y"]
    if kind == "fine" or (once and kind in ("again", "broken")):
        assert run["c"] == SAYS["worker"]
    elif fault == "blank":
        assert "replied with nothing" in str(run.failures["c"])
    elif kind != "odd" or (fault in BAD and not once):
        failure = run.failures["c"]
        assert isinstance(failure, Failure)
        assert isinstance(failure.error, ModelError)
        check_named(str(failure.error), fault, tried=kind in ("again", "broken", "odd"))


def test_a_wait_that_is_longer_than_the_run_may_take_is_not_begun(ask):
    """The run fails at once and says how long the provider asks to wait; a shorter wait ends with the run's time."""
    asked = ask("429=60", "planner", once=False, timeout=10.0)
    assert asked.run.status == "failed"
    assert "60 s" in asked.run.error
    assert asked.seconds <= 0.1
    asked = ask("429=4", "planner", once=False, timeout=10.0)
    assert asked.run.status in ("failed", "limit")
    assert asked.seconds <= 10.1


@pytest.mark.parametrize("role", ["planner", "joiner", "worker"])
@pytest.mark.parametrize("name", ["gpt-test-2026-11-20", "a-smaller-one"])
def test_another_models_name_is_shown(ask, name, role):
    """Who answers stands in the trace; the user is told where more than a version differs."""
    asked = ask(f"model={name}", role, once=False)
    run = asked.run
    assert {call.role: call.answered for call in Progress(run.events).calls.values()} == {
        each: name if each == role else "" for each in ("planner", "joiner", "worker")
    }
    told = [event.message for event in run.events if isinstance(event, Warned)]
    assert len(told) == (name == "a-smaller-one")
    assert all("openai:gpt-test was asked, but a-smaller-one answered" in message for message in told)


def test_the_user_is_told_once_of_another_model(ask):
    """However often it answers."""
    asked = ask("model=a-smaller-one", "planner", "joiner", "worker", once=False)
    assert sum(isinstance(event, Warned) for event in asked.run.events) == 1
    assert [call.answered for call in Progress(asked.run.events).calls.values()] == ["a-smaller-one"] * 3


@pytest.mark.parametrize("once", [True, False], ids=["once", "always"])
@pytest.mark.parametrize("role", ["planner", "joiner", "worker"])
@pytest.mark.parametrize("fault", [*RESPONSES, "incomplete=max_output_tokens", "429=2", "status=500", "early-reset"])
def test_the_responses_api_may_fail_as_well(ask, fault, role, once):
    """In each of its own ways: the run ends, an error has its name, and no task runs twice."""
    asked = ask(fault, role, "repair", once=once, api="responses")
    check_whole(asked)
    run = asked.run
    assert run.status in ("done", "failed")
    assert not run.error or run.error.startswith(("openai:gpt-test", "c: "))
    if once and fault.partition("=")[0] in ("failed", "event-error", "429", "status", "no-deltas", "thinks-long"):
        assert (run.status, run.error, run.answer) == ("done", "", SAYS["joiner"])
