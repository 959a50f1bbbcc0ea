"""`%compile approve` and `deny`: side effects that wait for a word."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager

from compiler_nb import Compiler, tool
from tests.support.desk import begin
from tests.support.shell import told


@tool(side_effects=True)
async def send(to: str) -> str:
    """Send."""
    return f"sent to {to}"


async def silent(task, shown):
    """Never answer: the word comes by a verb."""
    return await asyncio.Event().wait()


@contextmanager
def waiting(shell, program, count):
    """Give a plan's run on another thread, bound to `r`, once this many of its tasks wait for approval."""
    run, work = begin(Compiler(None, [send]), "", plan=program, ask=silent)
    shell.ns["r"] = run
    thread = threading.Thread(target=asyncio.run, args=(work,))
    thread.start()
    deadline = time.monotonic() + 60
    while len(run.progress.held) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    yield run
    thread.join(60)


def test_what_waits_is_listed_approved_and_denied_by_name(shell, capsys):
    """With the calls as they would be made; what does not wait is told apart."""
    with waiting(shell, "c = len('x')\na = send('ann')\nb = send('bob')\nanswer(c)\n", 2) as run:
        listed = 'c does not wait for approval; waiting for approval:\n  a: send("ann")\n  b: send("bob")\n'
        assert told(shell, capsys, "%compile deny c r") == listed
        assert told(shell, capsys, "%compile approve a r") == 'approved: send("ann")\n'
        assert told(shell, capsys, "%compile deny b r") == 'denied: send("bob")\n'
    assert (run["a"], run.failures["b"].kind) == ("sent to ann", "denied")
    assert told(shell, capsys, "%compile approve a r") == "a does not wait for approval; nothing waits for approval\n"
    assert "no task 'nobody'" in shell.error("%compile deny nobody r")


def test_a_fan_out_is_approved_as_a_whole(shell, capsys):
    """All its calls get one answer."""
    with waiting(shell, "rows = {n: send(n) for n in ['ann', 'bob']}\nanswer(rows)\n", 1) as run:
        assert told(shell, capsys, "%compile approve rows r") == 'approved: 2 calls: send("ann"); send("bob")\n'
    assert run.answer == {"ann": "sent to ann", "bob": "sent to bob"}
