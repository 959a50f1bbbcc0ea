"""The promise of steering: nothing hangs or is lost, and side effects stay what the plan says, whatever a user does."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import pytest

from compiler_nb.engine.steering import Steering
from compiler_nb.errors import SteerError
from compiler_nb.events import TaskPlanned, TaskStarted
from compiler_nb.outcome import ENDED, SET
from compiler_nb.plan.effects import nature
from compiler_nb.plan.plan import Plan
from compiler_nb.trace import Progress
from tests.promises.test_order import Shop, Story
from tests.support.clock import run_virtually
from tests.support.scale import seed, times
from tests.support.session import opened, states

pytestmark = pytest.mark.promise
VERBS = ("skip", "retry", "retry", "set", "pause", "mend")


async def steered(random: Random, story: Story, shop: Shop, done: Counter[str]):
    """Perform a story's program, while somebody does this and that to its tasks; return the session."""

    async def ask(task, shown):
        await asyncio.sleep(random.random())
        return False  # so that nothing in doubt is made again

    options = {"max_concurrency": random.choice([1, 2, 8]), "approve": "auto", "ask": ask}
    async with opened(shop.tools, **options) as session:
        for task in Plan.parse(story.program, tools=session.tools):
            session.log.emit(TaskPlanned, task.id, 0, task, "")
            session.add(task)
        session.close()
        for _ in range(random.randint(1, 12)):
            await asyncio.sleep(random.choice([0, 0.001, random.random(), 1.0]))
            move(random, session, story, done)
        session.pause(paused=False)
        async with asyncio.timeout(1_000):
            await session.drained()
        return session


def move(random: Random, session, story: Story, done: Counter[str]) -> None:
    """Do something to a task, whatever it is; a refusal changes nothing."""
    verb, id_ = random.choice(VERBS), random.choice(list(session.tasks))
    before = len(session.log.events), {id_: node.state for id_, node in session.schedule.nodes.items()}
    try:
        if verb == "mend":
            story.broken.clear()
        elif verb == "pause":
            session.pause(paused=not session.schedule.paused)
        elif verb == "set":
            Steering(session).set(id_, random.choice([1, 50, 77]))
        else:
            getattr(Steering(session), verb)(id_)
        done[verb] += 1
    except SteerError:
        done["refused"] += 1
        assert before == (len(session.log.events), {id_: node.state for id_, node in session.schedule.nodes.items()})


def out_of_order(session) -> list[str]:
    """Return the calls that began after what comes after them in the order of side effects."""
    found, latest = [], {"effect": 0, "read": 0}
    for event in session.log.events:
        if type(event) is not TaskStarted:
            continue
        task = session.tasks[event.task]
        kind = nature(task, session.tools)
        if kind == "pure":
            continue
        if task.line < latest["effect"] or (kind == "effect" and task.line < latest["read"]):
            found.append(f"{task.id} of line {task.line} after {latest}")
        latest[kind] = max(latest[kind], task.line)
    return found


def test_whatever_is_done_to_single_tasks_side_effects_stay_what_the_plan_says(figure):
    """500 random programs with failures, and up to 12 moves in each."""
    done: Counter[str] = Counter()
    for number in range(times(500)):
        random = Random(seed() + number)
        story = Story(random)
        shop = Shop(random, story)
        session = run_virtually(steered(random, story, shop, done))
        shown = f"seed {seed() + number}, broken {story.broken}:\n{story.program}"
        twice = [call for call, count in Counter(shop.store.made).items() if count > 1]
        assert not twice, f"{twice} in {shown}"
        assert not out_of_order(session), f"{out_of_order(session)} in {shown}"
        assert not shop.overlaps, f"{shop.overlaps} in {shown}"
        assert set(states(session).values()) <= ENDED, shown
        progress = Progress(session.log.events)
        assert progress.outcomes == dict(session.outcomes), shown
        assert all(progress.states[id_] == "done" for id_, end in progress.ends.items() if end.how == SET), shown
    figure(f"{times(500):,} programs, {sum(done.values()):,} moves, {done['refused']:,} of them refused")
