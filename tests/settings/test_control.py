import asyncio
import threading

import pytest

from compiler_nb.engine.node import CANCELLED
from compiler_nb.errors import HistoryError
from compiler_nb.events import Paused, RoundStarted, TaskStarted
from compiler_nb.outcome import Cancelled
from compiler_nb.settings.control import Control
from tests.support.desk import Desk, begin, planner_of
from tests.support.stored import until


class Steered:
    """Notes what is done, and on which thread."""

    def __init__(self):
        self.done, self.threads = [], set()

    def note(self, *what):
        self.done.append(what)
        self.threads.add(threading.current_thread())

    def cancel(self, outcome):
        self.note("cancel", str(outcome))

    def pause(self, paused):
        self.note("pause" if paused else "resume")

    def approve(self, id_, by="user", mark="", *, again=False):
        self.note("approve", id_, by, mark, again)

    def deny(self, id_, by="user", reason="", mark=""):
        self.note("deny", id_, by, mark)


def use(control):
    """Do all that can be done, apart from cancelling."""
    control.pause()
    control.resume()
    control.approve("a", "m")
    control.deny("b")


ALL = [("pause",), ("resume",), ("approve", "a", "user", "m", False), ("deny", "b", "user", "")]


def test_each_call_becomes_one_on_the_loop():
    """From any thread, and in order."""
    steered, control = Steered(), Control()

    async def main():
        control.begin(steered)
        await asyncio.to_thread(use, control)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert (steered.done, steered.threads) == (ALL, {threading.current_thread()})


def test_what_comes_before_the_beginning_is_done_then():
    """Nothing is lost."""
    steered, control = Steered(), Control()
    use(control)

    async def main():
        control.begin(steered)

    asyncio.run(main())
    assert steered.done == ALL


def test_what_comes_after_the_end_does_nothing():
    """Also what was on its way, and on a loop that is closed."""
    steered, control = Steered(), Control()

    async def main():
        control.begin(steered)
        use(control)
        control.end()
        await asyncio.sleep(0)

    asyncio.run(main())
    use(control)
    control.cancel()
    assert steered.done == []
    control.wait(0)

    other = Control()

    async def leave():
        other.begin(steered)

    asyncio.run(leave())
    use(other)
    assert steered.done == []


@pytest.mark.parametrize(
    ("stop", "noted"),
    [(Control.cancel, str(CANCELLED)), (lambda it: it.halt(Cancelled("why")), "why")],
)
def test_a_cancellation_ends_the_task_too_and_is_known_as_our_own(stop, noted):
    """The task that drives the run counts as not cancelled then, so that it can end the run in peace; once only."""
    steered, control = Steered(), Control()

    async def main():
        control.begin(steered)
        stop(control)
        stop(control)
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            own = control.is_own()
        await asyncio.sleep(0)
        return own, asyncio.current_task().cancelling()

    assert asyncio.run(main()) == (True, 0)
    assert steered.done == [("cancel", noted)]


def test_a_cancellation_from_outside_is_not_our_own():
    """Who cancelled it is to hear of it."""
    control = Control()

    async def main():
        control.begin(Steered())
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            return control.is_own(), asyncio.current_task().cancelling()

    assert asyncio.run(main()) == (False, 1)


def test_nothing_cancels_an_end_that_has_begun():
    """The task goes on."""
    steered, control = Steered(), Control()

    async def main():
        control.begin(steered)
        control.closing = True
        control.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert steered.done == []


def test_a_stored_run_cannot_be_steered():
    """Each call says what can be done instead; waiting for it ends at once if it has ended."""
    control = Control(stored="r1")
    calls = [control.pause, control.resume, control.cancel, lambda: control.approve("a"), lambda: control.deny("a")]
    for call in (*calls, control.wait):
        with pytest.raises(HistoryError, match=r"r1 comes from a history.*compiler\.resume\('r1'\)"):
            call()
    control.end()
    control.wait()


def test_waiting_has_an_end():
    """It says how long it took."""
    with pytest.raises(TimeoutError, match=r"the run has not ended after 0\.01 s"):
        Control().wait(0.01)


def test_warnings_reach_those_who_listen():
    """All of them, at once."""
    control, heard = Control(), []
    control.listen(lambda *what: heard.append(what))
    control.listen(lambda *what: heard.append(what))
    control.warn("a", "it blocks")
    assert heard == [("a", "it blocks")] * 2


# -------------------------------------------------------------------- of a run


def test_a_run_that_is_cancelled_before_it_begins_never_begins():
    """No round, no task; it says that it was cancelled."""
    found, work = begin(planner_of("a = get(1)\nanswer(a)\n"), "What?")
    found.cancel()
    asyncio.run(work)
    assert (found.status, found.progress.tasks) == ("cancelled", {})
    assert not [event for event in found.events if isinstance(event, RoundStarted)]


def test_a_run_that_is_paused_before_it_begins_starts_nothing():
    """Until it is resumed."""
    desk = Desk()
    found, work = begin(planner_of("a = get(1)\nanswer(a)\n", desk=desk), "What?")
    found.pause()

    async def main():
        task = asyncio.create_task(work)
        await until(lambda: "a" in found.progress.tasks)
        for _ in range(20):
            await asyncio.sleep(0)
        waits = (len(desk.calls), found.status)
        found.resume()
        await task
        return waits

    assert asyncio.run(main()) == (0, "running")
    kinds = [type(event) for event in found.events]
    assert kinds.index(Paused) < kinds.index(TaskStarted)
    assert [event.paused for event in found.events if isinstance(event, Paused)] == [True, False]
    assert found.answer == 1


def test_steering_a_run_that_has_ended_does_nothing():
    """Nothing happens, and nothing is raised."""
    found = asyncio.run(planner_of("a = get(1)\nanswer(a)\n").run("What?"))
    count = len(found.events)
    for call in (found.cancel, found.pause, found.resume, lambda: found.approve("a"), lambda: found.deny("a")):
        call()
    assert (len(found.events), found.status, found.wait()) == (count, "done", found)
    with pytest.raises(KeyError, match="no task 'b'"):
        found.approve("b")


def test_a_defect_is_raised_to_whoever_steers_a_task():
    """Nobody may believe that a task is skipped if that has raised an error nobody thought of."""
    control, told = Control(), []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        control.begin(Steered())  # which has no tasks
        with pytest.raises(AttributeError, match="schedule"):
            await asyncio.to_thread(control.skip, "a")

    asyncio.run(main())
    assert [type(error) for error in told] == [AttributeError]
