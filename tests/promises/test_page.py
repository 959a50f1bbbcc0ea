"""What a page forges starts nothing and approves nothing."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.events import TaskStarted
from compiler_nb.notebook.live.view import View
from compiler_nb.tool import tool
from tests.support.desk import begin
from tests.support.scale import seed, times

pytestmark = pytest.mark.promise
SAYS = ("approve", "again", "deny", "task", "rows", "here", "hello", "")
NUMBERS = (0, 1, 2, -1, True, 1.0, 10**12, None, "0", [0], {"task": 0})


class Widget:
    """A widget that keeps how often it was given something to send, all of it JSON."""

    def __init__(self, _: Any) -> None:
        self.sent = 0
        self.hear: Any = None

    def send(self, content: Any) -> None:
        """Count it."""
        json.dumps(content)
        self.sent += 1

    def on_msg(self, hear: Any) -> None:
        """Keep who listens."""
        self.hear = hear

    def close(self) -> None:
        """Nothing is open."""


def anything(random: Random, depth: int = 0) -> Any:
    """Return any JSON value."""
    kind = random.randint(0, 6 if depth < 3 else 3)
    if kind == 4:
        return [anything(random, depth + 1) for _ in range(random.randint(0, 3))]
    if kind > 4:
        return {random.choice(("say", "task", "mark", "from", "x")): anything(random, depth + 1) for _ in range(3)}
    return (random.choice(NUMBERS), random.choice(SAYS), random.getrandbits(80), chr(random.randrange(0xD800)))[kind]


def forged(random: Random, marks: list[str]) -> Any:
    """Return a message of a page that does not know a question's mark, or knows another's."""
    if random.random() < 0.2:
        return anything(random)
    mark = random.choice((None, "", marks[0][:-1], marks[0].upper() + " ", f"{random.getrandbits(48):012x}", ["x"]))
    said = {"say": random.choice(SAYS), "task": random.choice(NUMBERS), "mark": mark}
    if random.random() < 0.2:
        said |= {"task": 0, "mark": marks[1]}  # the other question's
    said |= {"from": random.choice(NUMBERS), "to": random.choice(NUMBERS)}
    if random.random() < 0.2:
        said[random.choice(list(said))] = anything(random)
    if said["mark"] == marks[1] and said["task"] != 0:
        said["mark"] = ""  # that would be its own question's, and no forgery
    return said


def test_what_a_page_forges_starts_nothing(figure):
    """2,000 messages for two side effects that wait: no exception, no start, both wait as before."""
    random, sent = Random(seed()), []

    @tool(side_effects=True)
    def send(to: str) -> str:
        sent.append(to)
        return to

    async def perform() -> int:
        asked: asyncio.Queue[str] = asyncio.Queue()

        async def ask(task: Any, _: str) -> bool:
            asked.put_nowait(task.id)
            return await asyncio.get_running_loop().create_future()

        views: list[View] = []
        plan = "a = send('ann')\nb = send('bob')\nanswer(a)"
        tell = lambda event: views[0].event(event)  # noqa: PLW0108 - it is there only then
        run, work = begin(Compiler(None, [send]), plan=plan, ask=ask, on_event=tell)
        view = View(run, "own", Widget)
        views.append(view)
        task = asyncio.create_task(work)
        assert {await asked.get(), await asked.get()} == {"a", "b"}
        marks = [run.progress.hold(id_).mark for id_ in "ab"]
        assert len(set(marks)) == 2
        for number in range(times(2_000)):
            view.widget.hear(view.widget, forged(random, marks), [])
            if number % 100 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert set(run.progress.held) == {"a", "b"}
        assert not any(isinstance(event, TaskStarted) for event in run.events)
        assert sent == []
        run.cancel()
        await task
        return view.widget.sent

    answered = asyncio.run(perform())
    figure(f"{times(2_000):,} messages, {answered:,} answered, 0 starts")
