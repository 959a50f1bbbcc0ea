"""What tools hold open is opened once, shared, opened anew if it breaks, and closed with the run."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from compiler_nb.engine.resources import RESOURCES, Resources, resources_for_a_call


class Thing:
    """A resource that notes what is done with it, and by which task."""

    def __init__(self, fault: str = "") -> None:
        self.fault, self.broken = fault, False
        self.notes: list[str] = []
        self.task: object = None

    @contextlib.asynccontextmanager
    async def open(self):
        self.notes.append("opened")
        self.task = asyncio.current_task()
        await asyncio.sleep(0)
        if self.fault:
            raise ConnectionError(self.fault)
        try:
            yield self
        finally:
            assert asyncio.current_task() is self.task
            await asyncio.sleep(0)
            self.notes.append("closed")


def test_calls_share_what_is_open():
    """Several that come at the same time, too; the run's end closes it, in the task that has opened it."""

    async def story():
        resources, thing = Resources(), Thing()
        found = await asyncio.gather(*(resources.get("key", thing.open) for _ in range(3)))
        assert found == [thing] * 3
        await resources.close()
        return thing.notes

    assert asyncio.run(story()) == ["opened", "closed"]


def test_what_cannot_be_opened_is_tried_again_by_the_next_call():
    """All that wait for it are told why."""

    async def story():
        resources, thing = Resources(), Thing("no network")
        told = await asyncio.gather(*(resources.get("key", thing.open) for _ in range(2)), return_exceptions=True)
        assert [str(each) for each in told] == ["no network"] * 2
        thing.fault = ""
        assert await resources.get("key", thing.open) is thing
        await resources.close()

    asyncio.run(story())


def test_what_breaks_is_closed_and_opened_anew():
    """By whoever drops it first, or if it says so itself."""

    async def story():
        resources, one, two = Resources(), Thing(), Thing()
        assert await resources.get("key", one.open) is one
        await asyncio.gather(resources.drop("key", one), resources.drop("key", one))
        assert one.notes == ["opened", "closed"]
        assert await resources.get("key", two.open) is two
        await resources.drop("key", one)
        two.broken = True
        assert await resources.get("key", one.open) is one
        assert two.notes == ["opened", "closed"]
        await resources.close()

    asyncio.run(story())


def test_a_run_that_ends_breaks_off_what_is_being_opened():
    """And does not wait for it."""

    async def story():
        resources = Resources()

        @contextlib.asynccontextmanager
        async def never():
            await asyncio.Event().wait()
            yield

        waiting = asyncio.ensure_future(resources.get("key", never))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await resources.close()
        with pytest.raises(ConnectionError, match="it was closed"):
            await waiting

    asyncio.run(story())


def test_what_does_not_close_is_given_up(monkeypatch):
    """The run's end does not hang."""
    monkeypatch.setattr("compiler_nb.engine.resources.CLOSING", 0.01)

    async def story():
        resources, ended = Resources(), []

        @contextlib.asynccontextmanager
        async def stubborn():
            try:
                yield "open"
            finally:
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.append("ended")

        await resources.get("key", stubborn)
        await resources.close()
        return ended

    assert asyncio.run(story()) == ["ended"]


def test_a_call_outside_of_runs_has_its_own():
    """They are closed when it ends; those of a run stay."""

    async def story():
        thing = Thing()
        async with resources_for_a_call() as own:
            await own.get("key", thing.open)
        assert thing.notes == ["opened", "closed"]
        RESOURCES.set(resources := Resources())
        async with resources_for_a_call() as found:
            assert found is resources

    asyncio.run(story())
