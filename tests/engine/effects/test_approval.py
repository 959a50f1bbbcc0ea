"""Side effects: who is asked, once, for which arguments, and what an answer is bound to."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FunctionType

import attrs
import numpy as np
import pandas as pd
import pydantic
import pytest

from compiler_nb import Compiler, ScriptedModel, tool
from compiler_nb.engine.effects.approval import CHANGED
from compiler_nb.engine.effects.ledger import Entry, Ledger, Place, digest_of
from compiler_nb.events import TaskApproved, TaskHeld, Warned
from tests.support.clock import run_virtually
from tests.support.scale import seed, times
from tests.support.session import add, opened, states, told
from tests.values import test_digest as values
from tests.values.test_digest import canonical, drawn

COVERS = ("side_effects.py",)
SENT: list[object] = []


@tool(side_effects=True)
async def send(x: object) -> object:
    """Send it."""
    SENT.append(x)
    return x


@tool
async def aid(x: object, wait: float = 0.0) -> object:
    """Return it later; nothing for a negative number."""
    await asyncio.sleep(wait)
    if isinstance(x, int) and x < 0:
        raise LookupError(f"no {x}")
    return x


@pytest.fixture(autouse=True)
def _nothing_sent():
    SENT.clear()


def perform(program, ask, tools=(send, aid), **options):
    """Run a program in a session whose plan is whole from the start."""

    async def main():
        async with opened(list(tools), ask=ask, **options) as session:
            add(session, program)
            session.close()
            await session.drained()
            return session

    return run_virtually(main())


def saying(answer, questions):
    """Return a person who says the same to each question, and what they were asked."""

    async def ask(task, arguments):
        questions.append((task.id, arguments))
        await asyncio.sleep(1)
        return answer

    return ask


@pytest.mark.parametrize("answer", [True, False])
def test_a_fan_out_is_asked_for_once_with_all_its_calls(answer):
    """When the arguments of all items are there; the one word is for all of them."""
    questions: list[tuple[str, str]] = []
    program = "xs = [aid(x, wait=x) for x in [3, 1, 2]]\nys = [send(x) for x in xs]"
    session = perform(program, saying(answer, questions))
    assert questions == [("ys", "3 calls: send(1); send(2); send(3)")]
    assert sorted(SENT) == ([1, 2, 3] if answer else [])
    assert {state for id_, state in states(session).items() if id_.startswith("ys[")} == {
        "done" if answer else "failed"
    }
    held = [(event.task, event.reason) for event in told(session, TaskHeld)]
    assert held == [("ys[1]", "fanout"), ("ys[2]", "fanout"), ("ys[0]", "fanout"), ("ys", "approval")]
    assert {event.approved for event in told(session, TaskApproved)} == {answer}


def test_items_without_arguments_do_not_keep_the_others_waiting():
    """One that fails before, also as the last one, is left out of the question."""
    for numbers in ("[-1, 2, 3]", "[2, 3, -1]"):
        SENT.clear()
        questions: list[tuple[str, str]] = []
        program = f"xs = [aid(x, wait=4 + x) for x in {numbers}]\nys = [send(x) for x in xs]"
        session = perform(program, saying(True, questions))
        assert questions == [("ys", "2 calls: send(2); send(3)")]
        assert sorted(SENT) == [2, 3]
        assert sorted(states(session).values()).count("skipped") == 1


def test_many_calls_are_counted():
    """A question shows fifty calls and says how many more there are."""
    questions: list[tuple[str, str]] = []
    perform("ys = [send(x) for x in range(60)]", saying(True, questions))
    assert questions[0][1].startswith("60 calls: send(0); send(1);")
    assert questions[0][1].endswith("; … 10 more")
    assert len(SENT) == 60


def test_a_word_is_bound_to_the_arguments():
    """A list that another tool changes after the question makes the call ask again, with what it is then."""
    questions: list[tuple[str, str]] = []

    @tool(pure=True)  # which it is not: so it does not wait for what stands above it
    async def spoil(xs: list, wait: float) -> int:
        """Change what it is given."""
        await asyncio.sleep(wait)
        xs.append("eve@example.com")
        return len(xs)

    async def ask(task, arguments):
        questions.append((task.id, arguments))
        await asyncio.sleep(1 if len(questions) == 1 else 0)
        return True

    program = 'to = aid(["bob@example.com"])\na = send(to)\nb = spoil(to, wait=0.5)'
    perform(program, ask, tools=(send, aid, spoil))
    assert questions == [("a", '["bob@example.com"]'), ("a", '["bob@example.com", "eve@example.com"]')]
    assert SENT == [["bob@example.com", "eve@example.com"]]


def test_an_answer_that_names_other_arguments_is_none():
    """What a page says of a question that is not the one that waits does nothing."""

    async def main():
        async def ask(task, arguments):
            await asyncio.sleep(1_000)

        async with opened([send], ask=ask) as session:
            add(session, "a = send('x')")
            session.close()
            await asyncio.sleep(0.1)
            held = told(session, TaskHeld)[-1]
            session.approve("a", mark="0" * 12)
            session.deny("a", mark="other")
            assert states(session) == {"a": "ready"}
            session.approve("a", mark=held.mark)
            await session.drained()
            assert states(session) == {"a": "done"}

    run_virtually(main())


def test_a_replan_is_not_approved_by_auto():
    """A plan made after tools returned something may have been asked for by what they said: its effects need a word."""
    replies = {"planner": "a = send('first')\njoin()\n", "joiner": ["Replan: more", "done"]}
    replies["replan"] = "b = send('second')\njoin()\n"
    run = Compiler(ScriptedModel(replies), [send], approve="auto").run_sync("Tell them.")
    assert SENT == ["first"]
    assert run.failures["b"].kind == "denied"
    assert "name the tool" in run.failures["b"].message
    SENT.clear()
    Compiler(ScriptedModel(replies), [send], approve=["send"]).run_sync("Tell them.")
    assert SENT == ["first", "second"]


@pytest.mark.parametrize("rule", ["auto", ("send",)])
def test_an_item_in_doubt_is_asked_for_whatever_the_rule(rule):
    """One equal to a call that was cut off needs a word, also in a fan-out; the other items start unasked."""
    questions: list[tuple[str, str]] = []

    async def main():
        async with opened([send], ask=saying(True, questions), approve=rule) as session:
            add(session, "xs = [send(x) for x in [1, 2, 3]]")
            session.effects.ledger = Ledger("run", [Entry(digest_of(send, (2,), {}), Place("old", 0, "x"), "doubt")])
            session.close()
            await session.drained()
            return session

    session = run_virtually(main())
    assert states(session)["xs"] == "done"
    assert questions == [("xs", "1 call: send(2)")]


def test_deny_asks_nobody_even_in_doubt():
    """An item equal to a call that was cut off is left out like the others."""
    questions: list[tuple[str, str]] = []

    async def main():
        async with opened([send], ask=saying(True, questions), approve="deny") as session:
            add(session, "xs = [send(x) for x in [1, 2, 3]]")
            session.effects.ledger = Ledger("run", [Entry(digest_of(send, (2,), {}), Place("old", 0, "x"), "doubt")])
            session.close()
            await session.drained()

    run_virtually(main())
    assert (questions, SENT) == ([], [])


# -------------------------------------------------------------------- what was approved is what is made


def changing(x, change, program="x = given()\na = send(x)", answers=2):
    """Approve a call, change what it is given before it starts; return what was asked, and what was sent, as texts."""
    questions: list[str] = []

    @tool
    async def given() -> object:
        """Return what is sent."""
        return x

    async def ask(task, arguments):
        questions.append(arguments)
        if len(questions) == 1:
            change(x)
        return len(questions) <= answers

    session = perform(program, ask, tools=(send, given))
    return questions, session


@dataclass
class Order:
    """What is ordered."""

    to: str
    what: dict = field(default_factory=dict)


class Form(pydantic.BaseModel):
    """A form."""

    to: str


@attrs.define
class Parcel:
    """A parcel."""

    to: str


class Client:
    """A class that declares no fields."""


@pytest.mark.parametrize(
    ("x", "change"),
    [
        ({"bob"}, lambda x: x.add("eve")),
        (OrderedDict(to="bob"), lambda x: x.update(to="eve")),
        (defaultdict(list, to=["bob"]), lambda x: x["to"].append("eve")),
        (deque(["bob"]), lambda x: x.append("eve")),
        (Order("bob"), lambda x: setattr(x, "to", "eve")),
        (Order("bob", {"a": [1]}), lambda x: x.what["a"].append(2)),
        (Form(to="bob"), lambda x: setattr(x, "to", "eve")),
        (Parcel("bob"), lambda x: setattr(x, "to", "eve")),
        (["x;str:y", "z"], lambda x: x.__setitem__(slice(None), ["y", "z;str:x"])),
        (pd.DataFrame({"to": ["bob"]}), lambda x: x.__setitem__("to", ["eve"])),
        (np.array([1, 2]), lambda x: x.__setitem__(0, 3)),
    ],
    ids=lambda x: type(x).__name__,
)
def test_what_changes_after_it_was_approved_is_asked_for_again(x, change):
    """Whatever it is: a set, a subclass of dict, an object, a list of other texts, a table; unchanged it is not."""
    questions, session = changing(x, lambda x: None)
    assert (len(questions), len(SENT)) == (1, 1)
    questions, session = changing(x, change)
    assert (len(questions), len(SENT)) == (2, 2)
    (warned,) = told(session, Warned)
    assert warned.message == f"a is asked for again: {CHANGED}"


def test_a_tool_that_is_written_anew_after_it_was_approved_is_asked_for_again():
    """Also if the very function gets other code, as %autoreload does it."""

    def old(x: object) -> object:
        return SENT.append(("old", x))

    def new(x: object) -> object:
        return SENT.append(("new", x))

    for change in (lambda it: setattr(it, "function", new), lambda it: setattr(it.function, "__code__", new.__code__)):
        post = tool(name="post", side_effects=True)(FunctionType(old.__code__, globals(), "old"))
        post.function.__annotations__ = {}
        questions: list[str] = []

        async def ask(task, arguments, post=post, change=change, questions=questions):
            questions.append(arguments)
            if len(questions) == 1:
                change(post)
            return True

        perform("a = post(1)", ask, tools=(post,))
        assert len(questions) == 2
        assert SENT.pop() == ("new", 1)


def test_what_has_no_content_to_compare_is_asked_for_twice_and_not_forever():
    """An open file, a generator, an object whose class declares nothing: what is really passed is asked for."""
    with Path(os.devnull).open("rb") as file:
        for x in (file, (each for each in [1]), Client(), [Client()], {"to": file}):
            SENT.clear()
            questions, session = changing(x, lambda x: None)
            assert (len(questions), SENT) == (2, [x])
            (warned,) = told(session, Warned)
            assert "has no content to compare, so nothing shows whether it is what was approved" in warned.message
            SENT.clear()
            questions, session = changing(x, lambda x: None, answers=1)
            assert (len(questions), SENT) == (2, [])
            assert session.outcomes["a"].kind == "denied"


def test_a_fan_out_over_clients_is_asked_for_twice_as_a_whole():
    """All its items together, each time."""
    questions, _ = changing([Client(), Client()], lambda x: None, "xs = given()\na = [send(x) for x in xs]")
    assert [each.partition(":")[0] for each in questions] == ["2 calls", "2 calls"]
    assert len(SENT) == 2


@pytest.mark.parametrize("answer", [1, "yes", np.True_, None, [True], object()], ids=lambda value: type(value).__name__)
def test_only_true_approves(answer):
    """Another answer denies the call, and says what the question must return."""
    session = perform("a = send(1)", saying(answer, []))
    assert SENT == []
    failure = session.outcomes["a"]
    assert failure.kind == "denied"
    assert "send: the answer must be True or False, and ask() returned" in failure.message
    assert [event.by for event in told(session, TaskApproved)] == ["rule"]


def test_a_question_that_is_not_a_coroutine_denies():
    """A plain function cannot be awaited: nobody could be asked."""
    session = perform("a = send(1)", lambda task, arguments: True)
    assert (SENT, session.outcomes["a"].kind) == ([], "denied")
    assert "nobody could be asked" in session.outcomes["a"].message


@pytest.mark.promise
def test_what_was_approved_is_what_is_made(figure):
    """Random values, which another tool changes in a random place after the question, or does not."""
    random, changed = Random(seed()), 0
    for number in range(times(400)):
        x, questions = [drawn(random, 3)], []
        before = canonical(x)
        places = random.choices(mutable_in(x), k=random.randrange(3))

        async def ask(task, arguments, x=x, questions=questions, places=places):
            questions.append(canonical(x))
            if len(questions) == 1:
                for each in places:
                    change(random, each)
            return True

        SENT.clear()
        perform("a = send(x)", ask, tools=(send,), inputs={"x": x})
        is_changed = canonical(x) != before
        changed += is_changed
        assert len(questions) == 1 + is_changed, f"seed {seed()}, number {number}: {before}, then {canonical(x)}"
        assert [canonical(each) for each in SENT] == questions[-1:], number
    figure(f"{times(400):,} approvals, {changed:,} with arguments that changed: 0 made unseen")
    assert times(400) / 5 < changed < times(400)


def mutable_in(value):
    """Return the parts of a value that can be changed."""
    match value:
        case list() | tuple():
            parts = list(value)
        case dict():
            parts = list(value.values())
        case values.Order():
            parts = [value.what]
        case _:
            parts = []
    own = [] if not isinstance(value, list | dict | set | values.Order) else [value]
    return own + [each for part in parts for each in mutable_in(part)]


def change(random, value):
    """Change a part, or take the change back."""
    match value:
        case list():
            value.append(random.choice([1, "a", []])) if random.random() < 0.7 or not value else value.pop()
        case dict():
            value.update(b=random.choice([1, "a"])) if random.random() < 0.7 or not value else value.popitem()
        case set():
            value ^= {random.choice(["a", 1])}
        case _:
            value.to = random.choice(["a", "b"])
