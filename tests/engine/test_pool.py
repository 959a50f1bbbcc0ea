# ruff: noqa: D103 - tools and helpers of a test are read where they stand
from __future__ import annotations

import asyncio
import contextvars
import threading
import time

from compiler_nb.engine.pool import Pool, ThreadJob
from tests.support.jobs import call_of


def job_of(function, done, *args) -> ThreadJob:
    return ThreadJob(call_of(function, *args), contextvars.copy_context(), done)


def run(main):
    """Run a test's coroutine with a pool that is closed in the end."""

    async def whole():
        pool = Pool(asyncio.get_running_loop(), 2)
        try:
            await asyncio.wait_for(main(pool), 5)
        finally:
            pool.close()

    asyncio.run(whole())


async def all_of(pool: Pool, functions) -> list[ThreadJob]:
    """Submit functions and return their jobs when all have been reported."""
    ended: list[ThreadJob] = []
    last = asyncio.Event()

    def done(job: ThreadJob) -> None:
        ended.append(job)
        if len(ended) == len(functions):
            last.set()

    for function in functions:
        pool.submit(job_of(function, done))
    await last.wait()
    return ended


def test_a_job_reports_its_value_or_its_error_on_the_loop():
    """Whatever it raises, SystemExit too; the report comes on the loop's thread."""

    def leave():
        raise SystemExit(3)

    async def main(pool):
        jobs = await all_of(pool, [lambda: 5, leave])
        assert sorted(repr(job.error or job.outcome) for job in jobs) == ["5", "SystemExit(3)"]

    run(main)


def test_no_more_threads_than_its_size_and_no_more_than_needed():
    """Threads are made when jobs wait, and used again."""
    seen = set()

    async def main(pool):
        for _ in range(3):
            await all_of(pool, [lambda: seen.add(threading.current_thread())])
        assert pool.living == 1
        await all_of(pool, [lambda: (seen.add(threading.current_thread()), time.sleep(0.001))] * 40)
        assert pool.living == 2
        assert len(seen) == 2
        assert all(thread.daemon for thread in seen)

    run(main)


def test_an_abandoned_job_gives_its_place_back_and_is_not_reported():
    """Two hang; the next one runs at once, and what the others return later is dropped."""
    release = threading.Event()
    reported = []

    async def main(pool):
        hung = [job_of(release.wait, reported.append) for _ in range(2)]
        for job in hung:
            pool.submit(job)
        while not all(job.started for job in hung):  # noqa: ASYNC110 - threads set it
            await asyncio.sleep(0.001)
        for job in hung:
            pool.abandon(job)
            pool.abandon(job)
        assert pool.abandoned == 2
        (job,) = await all_of(pool, [lambda: "next"])
        assert job.outcome == "next"
        release.set()
        while pool.abandoned:  # noqa: ASYNC110 - the pool's own count
            await asyncio.sleep(0.001)
        assert reported == []

    run(main)
    release.set()


def test_a_job_that_is_abandoned_before_it_began_never_runs():
    """It is taken out of the queue unseen."""
    release, ran = threading.Event(), []

    async def main(pool):
        done = asyncio.Event()
        for _ in range(2):
            pool.submit(job_of(release.wait, lambda job: None))
        late = job_of(lambda: ran.append("late"), lambda job: ran.append("reported"))
        pool.submit(late)
        pool.abandon(late)
        release.set()
        pool.submit(job_of(lambda: None, lambda job: done.set()))
        await done.wait()
        assert ran == []

    run(main)


def test_threads_end_when_the_pool_is_closed():
    """Each after its job; nothing is left behind."""
    threads = []

    async def main(pool):
        await all_of(pool, [lambda: (threads.append(threading.current_thread()), time.sleep(0.001))] * 4)

    run(main)
    for thread in threads:
        thread.join(1)
        assert not thread.is_alive()


def test_a_thread_whose_job_is_given_up_as_it_ends_does_not_stay():
    """Its result is there and not yet reported; it is not counted anymore, but waits for the next job."""
    threads = []

    async def main(pool):
        job = job_of(lambda: threads.append(threading.current_thread()), lambda job: None)
        pool.submit(job)
        while not pool.woken:  # the loop is held, so that the end stays unreported
            time.sleep(0.001)  # noqa: ASYNC251 - as said
        time.sleep(0.01)  # noqa: ASYNC251 - the thread goes back to wait
        pool.abandon(job)
        await asyncio.sleep(0.001)
        assert not pool.results

    run(main)
    threads[0].join(2)
    assert not threads[0].is_alive()
