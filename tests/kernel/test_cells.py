"""Cells in a real kernel: time, variables, queues, prints, stop, and what is not to be asked for."""

from __future__ import annotations

import time

import pytest

from tests.support.kernel import SETUP, running_kernel

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]
TOOLS = """
import threading
ticks = []

@tool
async def slow(n: int) -> int:
    "Tick until stopped."
    for _ in range(200):
        await asyncio.sleep(0.1)
        ticks.append(n)
    return n

@tool
def stuck(n: int) -> int:
    "Sleep for long."
    time.sleep(20)
    return n

@tool
def nap(seconds: float) -> float:
    "Sleep a little."
    time.sleep(seconds)
    return seconds

gate = threading.Event()

@tool
def loud(n: int) -> int:
    "Print, once the gate is open."
    gate.wait(30)
    print("loud", n)
    return n

@tool
async def soft(n: int) -> int:
    "Print, once the gate is open."
    while not gate.is_set():
        await asyncio.sleep(0.02)
    print("soft", n)
    return n

@tool(side_effects=True)
def send(to: str) -> str:
    "Send."
    return f"sent to {to}"
"""
ASK = "%%compile -m planner\nWhich city has the longest name?"
OVERLAP = """(
max(event.at for event in run.events if type(event).__name__ == "TaskStarted" and event.task in ("ny", "la", "sf"))
< min(event.at for event in run.events if type(event).__name__ == "TaskEnded")
)"""
SOON = 5.0
"""Seconds, of the twenty and more that the tools would take; how soon it is, is a promise with a test of its own."""
VARIABLES = "sorted(set(globals()) & {'ny', 'la', 'sf', 'best', 'run'})"


@pytest.fixture(scope="module")
def kernel():
    """Give a kernel with the tools above."""
    with running_kernel(SETUP + TOOLS) as running:
        yield running


def test_three_tools_take_the_time_of_one_and_leave_five_variables(kernel):
    """Three independent tools, a comparison and an answer; run again, the same five, and one output each."""
    kernel.run(ASK, cell="warm")
    for _ in range(2):
        reply = kernel.run(ASK, cell="c")
        assert (reply.status, reply.printed) == ("ok", "")
        assert [set(data) - {"image/png"} for data in reply.shown] == [{"text/plain", "text/html", "image/svg+xml"}]
        assert kernel.value(OVERLAP) == "True"
        assert kernel.value(VARIABLES) == "['best', 'la', 'ny', 'run', 'sf']"


def test_a_waiting_cell_says_that_it_is_busy(kernel):
    """Again and again, with its own parent; it ends as any other."""
    reply = kernel.run("%%plan\na = nap(1.4)\nb = a")
    assert [content["execution_state"] for content in reply.of("status")] in (
        ["busy"] * 3 + ["idle"],
        ["busy"] * 4 + ["idle"],
    )


def test_a_cell_is_known_by_its_id(kernel):
    """Edited and run again, it takes the names of its earlier plan away; another cell's names stay."""
    kernel.run("%%plan -o one\nfirst = weather('a')\nsecond = weather('b')", cell="edited")
    kernel.run("%%plan -o two\nthird = weather('c')", cell="other")
    kernel.run("%%plan -o one\nfirst = weather('a')", cell="edited")
    assert kernel.value("'first' in globals(), 'second' in globals(), 'third' in globals()") == "(True, False, True)"


INTERRUPTED = {
    "await": "%%plan\ndone = weather('x')\nb = [slow(i) for i in range(5)]",
    "block": "get_ipython().run_cell_magic('plan', '', \"done = weather('x')\\nb = [slow(i) for i in range(5)]\")",
    "sync": "%%plan\ndone = weather('x')\nb = stuck(1)",
}
INTERRUPTED |= {
    "await-kernel": INTERRUPTED["await"].replace("%%plan", "%%plan --loop kernel"),
    "block-kernel": INTERRUPTED["block"].replace("''", "'--loop kernel'"),
}


@pytest.mark.parametrize("cell", INTERRUPTED.values(), ids=list(INTERRUPTED))
def test_an_interrupt_stops_everything(kernel, cell):
    """The cell ends at once with KeyboardInterrupt, nothing runs on, what had finished is bound."""
    id_ = kernel.send(cell)
    kernel.listen_for(0.6)
    began = time.monotonic()
    kernel.manager.interrupt_kernel()
    reply = kernel.wait(id_)
    assert time.monotonic() - began < SOON
    assert (reply.status, reply.name) == ("error", "KeyboardInterrupt")
    assert reply.of("error")[0]["traceback"] == ["KeyboardInterrupt: the run was stopped; finished results are kept"]
    assert "not bound: b (cancelled)" in reply.shown[0]["text/plain"]
    before = kernel.value("run.status, done['city'], len(ticks)")
    kernel.listen_for(0.2)
    assert kernel.value("run.status, done['city'], len(ticks)") == before
    assert before.startswith("('cancelled', 'x', ")


STUCK = """
import threading
release = threading.Event()

@tool
async def deaf(n: int) -> int:
    "Swallow what stops it."
    while not release.is_set():
        try:
            await asyncio.sleep(0.05)
        except BaseException:
            pass

@tool
async def block(n: int) -> int:
    "Block the loop."
    release.wait(20)

@tool
def hang(n: int) -> int:
    "Hang on a thread."
    release.wait(20)

@tool(thread="main")
def main(n: int) -> int:
    "Ignore the first interrupt, in the main thread."
    try:
        release.wait(20)
    except KeyboardInterrupt:
        release.wait(20)
"""
WAYS = {
    "await": "%%plan\n{plan}",
    "block": "get_ipython().run_cell_magic('plan', '', {plan!r})",
    "kernel": "%%plan --loop kernel\n{plan}",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_second_interrupt_always_gives_the_prompt_back(way):
    """Whatever a tool does about the first: the cell ends, and the kernel goes on working."""
    with running_kernel(SETUP + STUCK) as kernel:
        kernel.run("%%plan\nb = weather('y')\n")  # the first cell imports the package, which may take a second
        for tool in ("deaf", "block", "hang", "main"):
            id_ = kernel.send(WAYS[way].format(plan=f"a = weather('x')\nb = {tool}(1)\n"))
            kernel.listen_for(0.8)
            began = time.monotonic()
            kernel.manager.interrupt_kernel()
            kernel.listen_for(0.4)
            if not any(content["execution_state"] == "idle" for content in kernel.replies[id_].of("status")):
                kernel.manager.interrupt_kernel()
            reply = kernel.wait(id_)
            assert time.monotonic() - began < SOON, tool
            assert (reply.status, reply.name) == ("error", "KeyboardInterrupt"), tool
            assert kernel.value("1 + 1") == "2"
            if tool != "block":  # else the loop never came to see what had finished
                assert kernel.value("a['city'], run.status") == "('x', 'cancelled')", tool
            kernel.run("release.set()\ntime.sleep(0.1)\nrelease.clear()")
        assert kernel.run("%%plan\nc = weather('abc')\n").status == "ok"
        assert kernel.value("c['max']") == "3"


def test_queued_cells_all_run(kernel):
    """Run All: three cells of ours and three of others, sent at once, each once and in order."""
    ids = []
    kernel.run("order = []")
    for number in range(3):
        ids += [kernel.send(ASK), kernel.send(f"order.append(({number}, best))")]
    assert [kernel.wait(id_).status for id_ in ids] == ["ok"] * 6
    assert kernel.value("order") == "[(0, 13), (1, 13), (2, 13)]"


def test_prints_land_in_the_cell_of_the_run(kernel):
    """Those of sync and async tools, while another cell runs; the output is replaced and the results bound."""
    kernel.run("gate.clear()")
    first = kernel.run("%%plan -b -o behind\np = loud(1)\nq = soft(2)")  # the cell does not wait for the run
    second = kernel.run(
        "print('other', behind.status)\ngate.set()\nwhile behind.status == 'running':\n    time.sleep(0.02)\n"
        "print('p' in globals())"
    )
    kernel.until_true(lambda: first.of("update_display_data") or second.of("update_display_data"))
    assert sorted(first.printed.split("\n")) == ["", "[p] loud 1", "[q] soft 2"]
    assert second.printed == "other running\nFalse\n"
    assert kernel.value("p, q, behind.status") == "(1, 2, 'done')"
    (update,) = [*first.of("update_display_data"), *second.of("update_display_data")]  # found by its display's id
    assert update["transient"] == first.of("display_data")[0]["transient"]
    assert "bound: p, q, behind" in update["data"]["text/plain"]


def test_prints_of_a_run_started_in_python_are_labelled_in_its_cell(kernel):
    """Awaited or not: by task, as in a cell of a magic."""
    kernel.run(
        "gate.set()\nfrom compiler_nb import Compiler, Plan\ntools = [loud, soft]\nrunner = Compiler(tools=tools)"
    )
    kernel.run("plan = Plan.parse('p = loud(1)\\nq = soft(2)', tools=tools)")
    for line in ("await runner.execute(plan)", "runner.execute_sync(plan)"):
        reply = kernel.run(f"print('before')\nlabelled = {line}\nprint(labelled.status)")
        told = reply.printed.split("\n")
        assert (told[0], sorted(told[1:-2]), told[-2:]) == ("before", ["[p] loud 1", "[q] soft 2"], ["done", ""])


def test_a_background_run_is_bound_when_the_kernel_is_idle(kernel):
    """Without another cell, and its tools of the main thread are served."""
    kernel.run(
        "import threading\n@tool(thread='main')\ndef where() -> str:\n    return threading.current_thread().name"
    )
    id_ = kernel.send("%%plan -b -o idle\nw = where()\nthread = w")
    reply = kernel.wait(id_)
    kernel.until(id_, "update_display_data")
    assert '✓ done  w  where()  "MainThread"' in reply.of("update_display_data")[0]["data"]["text/plain"]
    kernel.run("%%plan -b -o endless\nb = slow(1)")
    assert kernel.run("%compile cancel endless").printed == "cancelled: 1 run\n"
    kernel.listen_for(0.4)
    assert kernel.value("endless.status") == "cancelled"


def test_a_client_of_the_kernels_loop_can_be_used_there(kernel):
    """`--loop kernel` is for objects bound to the kernel's loop."""
    kernel.run(
        "bound = asyncio.get_running_loop().create_future()\nbound.get_loop().call_later(0.5, bound.set_result, 9)"
    )
    kernel.run("@tool\nasync def held() -> int:\n    'Await what belongs to the kernel.'\n    return await bound")
    assert kernel.run("%%plan --loop kernel\nh = held()").status == "ok"
    assert kernel.value("h") == "9"


def test_a_main_thread_tool_runs_on_the_kernels_loop(kernel):
    """In an awaiting cell, and in a nested one, for which asyncio is patched: that is why it is tried in a kernel."""
    kernel.run("import threading\n@tool(thread='main')\ndef here() -> str:\n    return threading.current_thread().name")
    for wrap in ("", "%%capture kept\n"):
        assert kernel.run(f"{wrap}%%plan --loop kernel\na = here()").status == "ok"
        assert kernel.value("a") == "MainThread"


def test_nobody_to_ask_denies_and_a_person_approves(kernel):
    """Without stdin a side effect is denied with the reason; with it, the person's word counts."""
    reply = kernel.run("%%plan\ns = send('bob')")
    assert "nobody can be asked here" in reply.error
    id_ = kernel.send("%%plan\ns = send('bob')", stdin=True)
    request = kernel.client.get_stdin_msg(timeout=10)
    assert request["content"]["prompt"] == 'send("bob") has side effects. Run it? [y/N] '
    kernel.client.input("y")
    assert kernel.wait(id_).status == "ok"
    assert kernel.value("s") == "sent to bob"
    id_ = kernel.send("%%plan\ns = send('bob')", stdin=True)
    kernel.client.get_stdin_msg(timeout=10)
    kernel.manager.interrupt_kernel()
    assert kernel.wait(id_).name == "KeyboardInterrupt"


def test_by_hand_a_cell_is_opened(kernel):
    """The payload of the reply opens the `%%plan` cell."""
    reply = kernel.run("%%compile -m hand\nWhich is best?")
    assert reply.status == "ok"
    assert [(p["source"], p["text"]) for p in reply.payload] == [("set_next_input", "%%plan -m hand Which is best?\n")]
    assert "Question: Which is best?" in reply.shown[0]["text/plain"]


def test_debug_after_a_failed_cell_lands_in_the_tool(kernel):
    """The debugger stands in the frame that raised, and knows its variables."""
    kernel.run("@tool\ndef broken(n: int) -> int:\n    'Raise.'\n    half = n / 2\n    raise ValueError(half)")
    assert kernel.run("%%plan\na = broken(7)\nanswer(a)").name == "RunFailed"
    id_ = kernel.send("%debug", stdin=True)
    for command in ("p ('half is', half)", "q"):
        assert kernel.client.get_stdin_msg(timeout=10)["content"]["prompt"] == "ipdb> "
        kernel.client.input(command)
    assert "('half is', 3.5)" in kernel.wait(id_).printed


def test_tab_and_shift_tab_in_a_plan(kernel):
    """As a page asks for them: names above and tools complete, and a tool's signature is shown."""
    cell = "%%plan\ncold = weather('Oslo')\nx = weather(co"
    reply = kernel.client.complete(cell, reply=True, timeout=10)["content"]
    assert reply["matches"] == ["cold"]
    for name in ("weather", "llm"):
        told = kernel.client.inspect(name, reply=True, timeout=10)["content"]
        assert told["found"]  # a page shows nothing otherwise
        assert told["data"]["text/plain"].startswith(f"{name}(")


def test_usage_errors_never_get_out(kernel):
    """An unknown option is an error of the cell, so that notebook tests see it."""
    reply = kernel.run("%%compile --modle x\nq")
    assert (reply.status, reply.name) == ("error", "OptionError")
    assert len(reply.of("error")[0]["traceback"]) == 1


@pytest.mark.parametrize("nest", ["nest_asyncio", "nest_asyncio2"])
def test_a_foreign_patch_of_the_loop_does_no_harm(nest):
    """With nest-asyncio applied by somebody else: queued cells, interrupts and both loops still work."""
    pytest.importorskip(nest)
    with running_kernel(f"{SETUP}{TOOLS}\nimport {nest}; {nest}.apply()") as kernel:
        kernel.run("order = []")
        ids = [kernel.send(code) for code in (ASK, "order.append(best)", ASK, "order.append(best)")]
        assert [kernel.wait(id_).status for id_ in ids] == ["ok"] * 4
        assert kernel.value("order") == "[13, 13]"
        for loop in ("own", "kernel"):
            id_ = kernel.send(f"%%plan --loop {loop}\nb = [slow(i) for i in range(5)]")
            kernel.listen_for(0.4)
            began = time.monotonic()
            kernel.manager.interrupt_kernel()
            assert kernel.wait(id_).name == "KeyboardInterrupt"
            assert time.monotonic() - began < SOON
            count = kernel.value("len(ticks)")
            kernel.listen_for(0.2)
            assert kernel.value("len(ticks)") == count


JAMMED = {
    "await": "%%plan\ndone = weather('x')\nb = jam(done['max'])",
    "block": "get_ipython().run_cell_magic('plan', '', \"done = weather('x')\\nb = jam(done['max'])\")",
}


@pytest.mark.parametrize("cell", JAMMED.values(), ids=list(JAMMED))
def test_a_tool_that_blocks_the_loop_for_good_takes_nothing_with_it(kernel, cell):
    """An interrupt gives the prompt back, what had finished is bound, and the next run has a loop of its own."""
    kernel.run("@tool\nasync def jam(n: int) -> int:\n    'Block.'\n    time.sleep(25)\n    return n")
    id_ = kernel.send(cell)
    kernel.listen_for(1)
    began = time.monotonic()
    kernel.manager.interrupt_kernel()
    reply = kernel.wait(id_)
    assert time.monotonic() - began < SOON
    assert reply.name == "KeyboardInterrupt"
    assert kernel.value("run.status, done['city'], run.state('b')") == "('cancelled', 'x', 'cancelled')"
    assert "cannot be stopped" in kernel.value("run.failures['b'].message")
    assert kernel.run(ASK).status == "ok"
    assert kernel.value("best") == "13"
