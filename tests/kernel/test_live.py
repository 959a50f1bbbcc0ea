"""The live view in real kernels of several versions: a page without a browser hears it, and clicks."""

from __future__ import annotations

import pytest

from tests.support.kernel import SETUP, VERSIONS, installed, running_kernel
from tests.support.live import WIDGET, LivePage, make_subshell

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]
TOOLS = """
ticks = []

@tool(pure=True)
async def slow(n: int, wait: float = 0.5) -> int:
    "Return it later."
    await asyncio.sleep(wait)
    ticks.append(n)
    return n

@tool(side_effects=True)
def send(to: str) -> str:
    "Send."
    return f"sent to {to}"
"""
ASK = "%%compile -m planner\nWhich city has the longest name?"


def _name(version):
    return version or "newest"


HEARING = pytest.mark.parametrize("kernel", VERSIONS[1:], indirect=True, ids=_name)
"""The versions that hear a page while a cell awaits."""


@pytest.fixture(scope="module", params=VERSIONS, ids=_name)
def kernel(request):
    """Give a kernel of a version, with the tools above."""
    with running_kernel(SETUP + TOOLS, version=installed(request.param)) as running:
        running.version = request.param
        running.subshell = make_subshell(running)
        yield running


def start(kernel, code, *, stdin=True):
    """Send a cell and return its id and its page."""
    kernel.comms.clear()
    id_ = kernel.send(code, stdin=stdin)
    return id_, LivePage(kernel, subshell=kernel.subshell)


def test_it_lives_while_the_cell_runs_and_is_replaced_at_its_end(kernel):
    """Tasks are seen to run before the cell ends; its one output becomes the picture, for good."""
    id_, page = start(kernel, ASK)
    page.until_state("ny", "running")
    assert not kernel.replies[id_].status
    reply = kernel.wait(id_)
    page.look()
    assert reply.status == "ok"
    assert set(page.page.states.values()) == {"done"}
    assert page.page.text[0].startswith('ny = weather("New York")')
    assert "13 letters" in page.page.answer["html"]
    (shown,) = reply.of("display_data")
    assert shown["data"][WIDGET]["model_id"] == page.model
    (update,) = reply.of("update_display_data")
    assert update["transient"] == shown["transient"]
    assert set(update["data"]) >= {"text/plain", "text/html", "image/svg+xml"}
    assert reply.printed == ""


def test_the_first_picture_is_there_at_once(kernel):
    """The question, the tools and a clock's start, half a minute before the planner says a word."""
    kernel.run("late = ScriptedModel({'planner': 'a = slow(1, wait=0.01)\\nanswer(a)'}, ttft=30)")
    kernel.comms.clear()
    id_ = kernel.send("%%compile -m late\nWhat is first?", stdin=True)
    page = LivePage(kernel)
    assert page.page.facts["run"]["question"] == "What is first?"
    assert "slow" in page.page.facts["run"]["tools"]
    page.until_fact("phase", "the planner writes")
    kernel.manager.interrupt_kernel()
    assert kernel.wait(id_).name == "KeyboardInterrupt"


@HEARING
def test_stop_pause_and_go_are_heard_while_the_cell_awaits(kernel):
    """On ipykernel 7 and later, whichever way the page's messages go."""
    id_, page = start(kernel, "%%plan -j 1\na = slow(1)\nb = slow(2)\nc = slow(3, wait=30)")
    page.say("here")
    page.until_state("a", "running")
    page.say("pause")
    page.until_fact("paused", value=True)
    page.until_state("a", "done")
    kernel.listen_for(0.3)
    assert page.look().states["b"] == "ready"
    page.say("resume")
    page.until_state("b", "done")
    page.until_state("c", "running")
    page.say("stop")
    reply = kernel.wait(id_, timeout=10)  # of the thirty seconds that the last task would take
    assert reply.status == "ok"  # a button ends the cell; an interrupt raises
    assert kernel.value("run.status, a, b, 'c' in globals()") == "('cancelled', 1, 2, False)"


@HEARING
def test_an_approval_is_given_by_the_page_and_others_are_denied(kernel):
    """Approve and deny of two tasks; what makes no sense, or comes twice, does nothing."""
    id_, page = start(kernel, "%%plan\na = send('ann')\nb = send('bob')\nanswer(a)")
    page.say("here")
    page.until_state("a", "ready")
    page.until_state("b", "ready")
    assert page.look().by_task["held"][page.number("a")][:2] == ["approval", '"ann"']
    for nonsense in (None, 1.5, True, -1, 99, "a", [0], {"x": 1}):
        page.say("approve", task=nonsense)
    page.say("dance")
    page.send("nothing")
    page.send({"method": "custom", "content": ["say"]})
    page.say("rows", **{"from": "x", "to": None})
    kernel.listen_for(0.2)
    assert page.look().states == {"a": "ready", "b": "ready"}
    for _ in range(3):
        page.answer("approve", "a")
    page.answer("deny", "b")
    page.say("approve", task=page.number("b"), mark="x")
    reply = kernel.wait(id_)
    assert reply.status == "ok"
    assert kernel.value("a, run.failures['b'].kind") == "('sent to ann', 'denied')"


def test_without_a_page_that_is_heard_approval_is_asked_by_input(kernel):
    """A person at a console, and a kernel that hears nothing while it is busy: the cell asks."""
    id_, _ = start(kernel, "%%plan\na = send('ann')")
    kernel.client.get_stdin_msg(timeout=10)
    kernel.client.input("y")
    assert kernel.wait(id_).status == "ok"
    assert kernel.value("a") == "sent to ann"


def test_in_the_background_every_version_hears_the_page(kernel):
    """The prompt is back at once; details, stop and approval work on all of them."""
    id_, page = start(kernel, "%%plan -b -o behind\na = send('ann')\nb = slow(2, wait=30)")
    kernel.wait(id_)
    page.say("here")
    page.until_state("b", "running")
    page.say("task", task=page.number("b"))
    kernel.until_true(lambda: page.look() and page.details)
    assert "slow(2, wait=30)" in page.details[page.number("b")]
    page.answer("approve", "a")
    page.until_state("a", "done")
    page.say("stop")
    page.until_fact("status", "cancelled")
    kernel.listen_for(0.5)
    assert kernel.value("behind.status, a") == "('cancelled', 'sent to ann')"


def test_a_line_magic_does_what_a_button_does(kernel):
    """pause, why, go, approve, deny and cancel of a run in the background."""
    lines = ["%%plan -b -o behind -j 1", "a = slow(1)", "b = slow(2)", "c = send('eve')", "d = slow(4, wait=30)"]
    id_, page = start(kernel, "\n".join(lines))
    kernel.wait(id_)
    assert "paused" in kernel.run("%compile pause").printed
    page.until_state("a", "done")
    assert "paused" in kernel.run("%compile why b").printed
    assert "resumed" in kernel.run("%compile resume").printed
    page.until_state("c", "ready")
    assert "send(" in kernel.run("%compile approve").printed
    assert "denied" in kernel.run("%compile deny c").printed
    page.until_state("c", "failed")
    page.until_state("d", "running")
    assert "cancelled: 1 run" in kernel.run("%compile cancel").printed
    page.until_fact("status", "cancelled")


def test_an_interrupt_stops_it_and_the_picture_is_left(kernel):
    """The kernel's own stop button, with a live view open."""
    id_, page = start(kernel, "%%plan\na = slow(1, wait=0.1)\nb = slow(2, wait=30)")
    page.until_state("a", "done")
    kernel.manager.interrupt_kernel()
    reply = kernel.wait(id_)
    assert (reply.status, reply.name) == ("error", "KeyboardInterrupt")
    page.until_fact("status", "cancelled")
    assert len(reply.of("update_display_data")) == 1


@pytest.mark.parametrize("nest", ["", "nest_asyncio", "nest_asyncio2"])
def test_run_all_with_three_queued_cells(kernel, nest):
    """Each runs once and in order, and each view tells its own run; a foreign patch of the loop does no harm."""
    if nest:
        kernel.run(f"import {nest}\n{nest}.apply()")
    kernel.comms.clear()
    ids = [kernel.send(code, stdin=True) for code in (ASK, "first = run", ASK, "second = run", ASK)]
    assert [kernel.wait(id_, 60).status for id_ in ids] == ["ok"] * 5
    assert kernel.value("len({first.id, second.id, run.id})") == "3"
    kernel.listen_for(0.3)
    for number in range(3):
        page = LivePage(kernel, number=number)
        assert set(page.look().states.values()) == {"done"}
    if nest and kernel.version in VERSIONS[1:]:
        id_, page = start(kernel, "%%plan\na = slow(1, wait=0.1)\nb = slow(2, wait=30)")
        page.say("here")
        page.until_state("a", "done")
        page.say("stop")
        assert kernel.wait(id_).status == "ok"
        assert kernel.value("run.status, a") == "('cancelled', 1)"


def test_a_finished_run_is_opened_again(kernel):
    """`%compile show` and `run.view()` show the whole view of it: snapshot, details, rows."""
    kernel.run(ASK)
    id_, page = start(kernel, "%compile show")
    kernel.wait(id_)
    assert page.look().states == dict.fromkeys(["ny", "la", "sf", "best"], "done")
    assert page.page.facts["run"]["live"] is False
    assert page.page.facts["times"]
    page.say("task", task=0)
    kernel.until_true(lambda: page.look() and page.details)
    assert "New York" in page.details[0]
    page.say("hello")
    kernel.until_true(lambda: page.look() is not None and len(page.frames) > 0)
    assert page.page.states["best"] == "done"
    id_, again = start(kernel, "run.view()")
    assert kernel.wait(id_).status == "ok"
    assert again.look().ids == page.page.ids


def test_programs_that_run_notebooks_get_one_still_output(kernel):
    """Without standard input nobody looks: no widget, the same text each time."""
    texts = []
    for _ in range(2):
        kernel.comms.clear()
        reply = kernel.run(ASK)
        assert not [each for each in kernel.comms if each["msg_type"] == "comm_open"]
        (shown,) = reply.shown
        texts.append(shown["text/plain"])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("attended", [True, False])
def test_setting_a_model_begins_to_import_what_the_first_view_needs(attended):
    """For a page, so that the first question is shown at once; a program that runs notebooks has no use for it."""
    with running_kernel() as kernel:
        kernel.wait(kernel.send("%load_ext compiler_nb\n%compile model vllm:m", stdin=attended))
        kernel.run(
            "import sys, threading\n"
            "for each in threading.enumerate():\n"
            "    if each.name == 'compiler_nb-imports':\n"
            "        each.join()"
        )
        assert kernel.value("'anywidget' in sys.modules") == str(attended)
