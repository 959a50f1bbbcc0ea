"""Two that go on with one run: only one makes side effects, and the other is told who, where, and what to do."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from compiler_nb import Compiler, History, tool
from compiler_nb.errors import HistoryError, RunClaimed
from compiler_nb.history.file import MIGRATIONS, VERSION
from compiler_nb.history.listing import owner_mark
from compiler_nb.settings.order import Order
from tests.history.test_killed import calls_in
from tests.support.killed import compiler_in
from tests.support.resumers import Resumer
from tests.support.scale import seed, times

PLAN = 'a = send("a")\nb = send("b")\nanswer([a, b])\n'


HERE = f"process {os.getpid()} on {os.uname().nodename}"


class Post:
    """A tool that sends, and what it has sent; it can be made to fail, or to wait."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.fails: set[str] = set()
        self.gate: asyncio.Event | None = None

    @property
    def tools(self) -> list[Any]:
        """The tool."""

        @tool(side_effects=True)
        async def send(what: str) -> str:
            """Send it."""
            if self.gate is not None:
                await self.gate.wait()
            if what in self.fails:
                raise ConnectionError(f"no line for {what}")
            self.sent.append(what)
            return what

        return [send]


@pytest.fixture
def post():
    """Return a tool that sends."""
    return Post()


@pytest.fixture
def compiler(tmp_path, post):
    """Return a compiler that keeps its runs, and lets side effects start."""
    with History(tmp_path / "runs.db") as history:
        yield Compiler(None, post.tools, approve="auto", history=history)


async def stopped(compiler: Compiler, order: Order) -> str:
    """Return the id of a run that is stopped before it sends anything."""
    found, work = compiler.begin(order)
    found.pause()
    asyncio.get_running_loop().call_later(0.05, found.cancel)
    await work
    return found.id


@pytest.fixture
def broken(compiler):
    """Return the id of a run that was stopped before it sent anything."""
    return asyncio.run(stopped(compiler, compiler.order(plan=PLAN)))


def in_file(path: Path, *statements: str) -> list[Any]:
    """Change a history from outside; return what the last statement gives."""
    with closing(sqlite3.connect(path)) as db:
        rows = [db.execute(each).fetchall() for each in statements]
        db.commit()
    return rows[-1]


def claims_in(path: Path) -> list[str]:
    """Return the runs that hold a lineage."""
    with suppress(sqlite3.OperationalError):  # it has no tables yet
        return [run for (run,) in in_file(path, "SELECT run FROM claims")]
    return []


def until(happens: Callable[[], object]) -> None:
    """Wait until something has happened, ten seconds at most."""
    ends = time.monotonic() + 10
    while not happens():
        assert time.monotonic() < ends, "it does not happen"
        time.sleep(0.002)


def test_a_second_resume_is_refused_while_the_first_works(compiler, post, broken):
    """It names the run and its process, and makes nothing; when the first has ended, there is nothing left to send."""

    async def both():
        post.gate = asyncio.Event()
        first, work = compiler.begin(compiler.order_resumed(compiler.recall(broken)))
        task = asyncio.create_task(work)
        await asyncio.to_thread(until, lambda: claims_in(compiler.settings.history.path))
        with pytest.raises(RunClaimed) as caught:
            await compiler.resume(broken)
        with pytest.raises(RunClaimed):
            await compiler.rerun(broken, failed=True, take=True)  # it can be asked, and says that it is at work
        post.gate.set()
        await task
        return first, str(caught.value)

    first, message = asyncio.run(both())
    assert message == (
        f"the side effects of {broken} are in the hands of {first.id} ({HERE}), which is still "
        "running: wait for its end, or cancel it there, or end that process"
    )
    assert sorted(post.sent) == ["a", "b"]


def test_a_second_resume_that_had_begun_is_refused_at_its_first_side_effect(compiler, post, broken):
    """Both had looked before either sent; the second fails, and its error says with which run to go on."""
    old = compiler.recall(broken)
    orders = [compiler.order_resumed(old) for _ in range(2)]
    runs = []
    for order in orders:
        found, work = compiler.begin(order)
        asyncio.run(work)
        runs.append(found)
    assert sorted(post.sent) == ["a", "b"]
    first, second = runs
    assert (first.status, second.status) == ("done", "failed")
    assert second.error == (
        f"{first.id} ({HERE}) has made side effects of {broken} since this run "
        f"began, so it makes none: go on with {first.id}: %compile rerun {first.id}"
    )
    assert {each.kind for each in second.failures.values() if hasattr(each, "kind")} == {"denied"}
    assert compiler.settings.history.load(second.id).error == second.error


def test_two_resumes_at_the_same_moment_send_once(compiler, post, broken):
    """In one process, on one loop: one is done, the other failed."""

    async def both():
        old = compiler.recall(broken)
        pairs = [compiler.begin(compiler.order_resumed(old)) for _ in range(2)]
        await asyncio.gather(*(work for _, work in pairs))
        return [found for found, _ in pairs]

    runs = asyncio.run(both())
    assert sorted(post.sent) == ["a", "b"]
    assert sorted(each.status for each in runs) == ["done", "failed"]


def test_without_a_history_two_resumes_at_the_same_moment_send_once_too(post):
    """A run at hand is gone on with twice in one process."""
    compiler = Compiler(None, post.tools, approve="auto")

    async def both():
        found, work = compiler.begin(compiler.order(plan=PLAN))
        found.pause()
        asyncio.get_running_loop().call_later(0.05, found.cancel)
        await work
        return await asyncio.gather(*(compiler.resume(found) for _ in range(3)))

    runs = asyncio.run(both())
    assert sorted(post.sent) == ["a", "b"]
    done = [each for each in runs if each.status == "done"]
    assert len(done) == 1
    told = f"{done[0].id} makes the side effects of the same run"
    assert all(told in each.error or "cut off" in each.error for each in runs if each is not done[0])


def test_a_run_that_goes_on_with_a_run_that_went_on_is_of_one_lineage(compiler, post, broken):
    """A resume of the first run is refused if a resume of its resume has sent meanwhile."""
    old = compiler.recall(broken)
    late = compiler.order_resumed(old)
    middle = asyncio.run(stopped(compiler, compiler.order_resumed(old)))
    found = asyncio.run(compiler.resume(middle))
    assert (found.status, sorted(post.sent)) == ("done", ["a", "b"])
    refused, work = compiler.begin(late)
    asyncio.run(work)
    assert refused.status == "failed"
    assert f"has made side effects of {broken} since this run began" in refused.error
    assert sorted(post.sent) == ["a", "b"]


def elsewhere(path: Path) -> None:
    """Make the run in a file one that another host began, and may still be at work."""
    there = "owner = 'hub-7:4711:1'"
    in_file(path, f"UPDATE runs SET status = 'running', {there}", f"UPDATE claims SET {there}")  # noqa: S608 - our own


def test_a_host_that_cannot_be_asked_holds_its_run_until_it_is_taken(compiler, post, tmp_path):
    """The error says how; once it is taken, a run there makes nothing more."""
    post.fails = {"b"}
    old = asyncio.run(compiler.execute(PLAN))
    assert (old.status, post.sent) == ("failed", ["a"])
    elsewhere(tmp_path / "runs.db")
    post.fails = set()
    with pytest.raises(RunClaimed) as caught:
        asyncio.run(compiler.resume(old.id))
    assert str(caught.value) == (
        f"the side effects of {old.id} are in the hands of {old.id} (process 4711 on hub-7), and nobody here can ask "
        f"whether that is still running: if you know that it is not, take them over: %compile rerun {old.id} --take, "
        f"or in Python resume({old.id!r}, take=True)"
    )
    found = asyncio.run(compiler.resume(old.id, take=True))
    assert found.status in ("done", "failed")
    assert Counter(post.sent)["a"] == 1


def test_a_run_whose_side_effects_were_taken_makes_no_more(compiler, post, tmp_path):
    """It had begun one; another host took the rest."""

    async def main():
        post.gate = asyncio.Event()
        plan = 'a = send("a")\nb = [send(each) for each in [a]]\nanswer(b)\n'
        found, work = compiler.begin(compiler.order(plan=plan))
        task = asyncio.create_task(work)
        await asyncio.to_thread(until, lambda: claims_in(tmp_path / "runs.db"))
        in_file(tmp_path / "runs.db", "UPDATE claims SET run = 'other', owner = 'hub-7:4711:1'")
        post.gate.set()
        await task
        return found

    found = asyncio.run(main())
    assert (found.status, post.sent) == ("failed", ["a"])
    assert found.error.startswith(f"other (process 4711 on hub-7) has made side effects of {found.id} since this run")


def test_a_file_of_version_1_is_read_as_it_is_and_brought_up_by_the_next_run(compiler, post, tmp_path, broken):
    """Without the table of claims; what was stored is there, and can be gone on with."""
    path = tmp_path / "runs.db"
    compiler.settings.history.close()
    later = ["claims", "cache", "prompts", "cells"]
    in_file(path, *(f"DROP TABLE {table}" for table in later), "PRAGMA user_version=1")
    with History(path) as history:
        assert [row.id for row in history.runs()] == [broken]
        old = history.load(broken)
        assert history.claim_on(broken) is None
        assert in_file(path, "PRAGMA user_version") == [(1,)]
        found = asyncio.run(Compiler(None, post.tools, approve="auto", history=history).resume(old.id))
        assert (found.status, sorted(post.sent)) == ("done", ["a", "b"])
        assert in_file(path, "SELECT lineage, run, owner, effects FROM claims") == [(broken, found.id, owner_mark(), 2)]
        assert in_file(path, "PRAGMA user_version") == [(VERSION,)]
    assert len(MIGRATIONS) == VERSION


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["effects = 'many'", "run = CAST(x'c3' AS TEXT)", "owner = NULL"])
def test_a_claim_that_is_damaged_is_no_reason_to_send(compiler, post, tmp_path, broken, damage):
    """Whoever goes on with the run is told, and its side effects wait for a word, as nothing can be noted."""
    post.fails = {"b"}
    asyncio.run(compiler.resume(broken))
    assert post.sent == ["a"]
    post.fails = set()
    in_file(tmp_path / "runs.db", f"UPDATE claims SET {damage}")  # noqa: S608 - our own
    with suppress(HistoryError):
        again = asyncio.run(compiler.rerun(broken))
        assert again.status == "failed", again.results
    assert post.sent == ["a"]


# -------------------------------------------------------------------- processes


@pytest.mark.slow
def test_a_process_that_was_killed_holds_nothing(tmp_path):
    """It goes on with a run and is killed while it sends: the next one goes on; what was in doubt is not repeated."""
    with Resumer() as first, Resumer() as second, Resumer() as third:
        first.tell(tmp_path, stop=0.015)
        run = first.answer()["id"]
        second.tell(tmp_path, run=run)
        until(lambda: claims_in(tmp_path / "runs.db") not in ([], [run]))
        first.tell(tmp_path, run=run)
        refused = first.answer()
        assert refused["status"] == "claimed", refused
        assert f"process {second.process.pid} on" in refused["error"]
        second.kill()
        third.tell(tmp_path, run=run)
        again = third.answer()
    assert again["status"] in ("done", "failed"), again
    assert all("cut off" in each or "skipped" in each or "not needed" in each for each in again["failures"].values()), (
        again
    )
    assert not [what for what, count in sent_in(tmp_path).items() if count > 1]


def sent_in(folder: Path) -> Counter[str]:
    """Return how often each thing was sent."""
    return Counter(argument for name, argument, _ in calls_in(folder) if name == "send")


@pytest.mark.promise
@pytest.mark.timeout(3600)
def test_several_resumes_at_once_send_nothing_twice(tmp_path, figure):
    """Two or three processes go on with one run at about the same moment, and some are killed in the middle of it."""
    random, refused, killed, went_on = Random(seed()), 0, 0, 0
    with ExitStack() as stack:
        resumers = [stack.enter_context(Resumer()) for _ in range(3)]
        for number in range(times(60)):
            folder = tmp_path / str(number)
            folder.mkdir()
            resumers[0].tell(folder, stop=random.uniform(0.005, 0.05))
            run = resumers[0].answer()["id"]
            some = random.sample(resumers, random.choice([2, 2, 3]))
            for each in some:
                each.tell(folder, run=run, wait=random.choice([0, 0, 0.01, 0.05]))
            if random.random() < 0.25:
                time.sleep(random.uniform(0, 0.3))
                victim = random.choice(some)
                victim.kill()
                resumers[resumers.index(victim)] = stack.enter_context(Resumer())
                killed += 1
            answers = [each.answer() for each in some]
            refused += sum(
                each.get("status") == "claimed" or "side effects of" in each.get("error", "") for each in answers
            )
            resumers[0].tell(folder, run=run)
            last = resumers[0].answer()
            went_on += last["status"] != "claimed"
            twice = [what for what, count in sent_in(folder).items() if count > 1]
            assert not twice, f"seed {seed()}, number {number}: {twice} were sent twice; {answers}, then {last}"
    figure(f"{times(60):,} double resumes, {killed:,} with a kill: 0 sent twice; {refused:,} were refused")
    assert refused > times(60) / 4, "they came one after the other"
    assert went_on == times(60), "a claim was left behind by a run that has ended"


@pytest.mark.slow
def test_the_processes_go_on_with_a_run_as_compilers_do(tmp_path):
    """One that is alone finishes what was stopped."""
    with Resumer() as resumer:
        resumer.tell(tmp_path, stop=0.03)
        run = resumer.answer()
        assert run["status"] == "cancelled"
        resumer.tell(tmp_path, run=run["id"])
        assert resumer.answer()["status"] in ("done", "failed")
    compiler, _ = compiler_in(tmp_path)
    assert len(compiler.settings.history.runs()) == 2
    compiler.settings.history.close()
