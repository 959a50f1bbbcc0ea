"""Looking things up in a large run: what a person, a view or a cell asks while many tasks are known."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from tests.bench import Figure

if TYPE_CHECKING:
    from compiler_nb.run import Run

TASKS, LOOKUPS, NEWS, ROUNDS = 10_000, 1_000, 100, 21


def lookups() -> float:
    """Return the milliseconds of 1,000 look-ups in a run of 10,000 tasks, a third each of `run[x]`, `state` and `why`.

    The run has been looked at before, and 100 tasks have ended since: to take in their 200 events counts, too.
    """
    return median(_measure(number) for number in range(ROUNDS))


def _measure(number: int) -> float:
    run, told = _run()
    run.log.events += told[: -2 * NEWS]
    assert run.state(f"t{TASKS // 2}") == "done"
    names = [f"t{(each * 7919 + number) % (TASKS - NEWS)}" for each in range(LOOKUPS)]
    run.log.events += told[-2 * NEWS :]
    began = perf_counter()
    for each, name in enumerate(names):
        kind = each % 3
        if kind == 0:
            run[name]
        elif kind == 1:
            run.state(name)
        else:
            run.why(name)
    return (perf_counter() - began) * 1e3


def _run() -> tuple[Run, list[object]]:
    """Return a run that is going on and has no events yet, and its events: layered calls, each of which reads two."""
    from compiler_nb import Compiler, tool
    from compiler_nb.events import Log, TaskEnded, TaskPlanned, TaskStarted
    from compiler_nb.plan.task import Task
    from compiler_nb.plan.tree import Ref
    from tests.support.desk import begin

    @tool
    async def get(*_: object) -> int:
        """Return one."""
        return 1

    run, work = begin(Compiler(None, [get]), plan="a = get(1)\nanswer(a)")
    work.close()
    log = Log("r")
    for number in range(TASKS):
        needs = tuple(Ref(f"t{number - back}") for back in (7, 11) if number >= back)
        log.emit(TaskPlanned, f"t{number}", 0, Task(f"t{number}", "call", "get", needs), "")
    for number in range(TASKS):
        log.emit(TaskStarted, f"t{number}", 1, log.now())
        log.emit(TaskEnded, f"t{number}", 1, "done", number, "")
    return run, list(log.events)


FIGURES = [
    Figure("lookups", "1,000 of run[x], state and why in a run of 10,000 tasks, 200 events new, ms", 5, 2, lookups),
]
