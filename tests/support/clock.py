"""An asyncio loop on virtual time: whenever nothing can run, its clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch

from compiler_nb.engine.evaluation import Evaluation

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")
LOOK = 0.05
"""Real seconds between two looks whether threads still work."""


class _Selector(selectors.DefaultSelector):
    """Waits for nothing but working threads: what it would have waited is added to the clock."""

    def __init__(self, busy: Callable[[], bool]) -> None:
        super().__init__()
        self.now = 0.0
        self.busy = busy

    def select(self, timeout: float | None = None) -> list[Any]:
        """Return what is ready; if nothing is, time passes."""
        found = super().select(0 if timeout is not None else None)
        if found or not timeout:
            return found
        if self.busy():
            return super().select(LOOK)
        self.now += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs coroutines that sleep without sleeping.

    busy: whether threads work whose results the loop is to wait for; those of its executor are known to it.
    """

    def __init__(self, busy: Callable[[], bool] = lambda: False) -> None:
        self._executing = 0
        self._virtual = _Selector(lambda: self._executing > 0 or busy())
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._virtual.now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Call a function on a thread; no time passes until it returns."""
        future = super().run_in_executor(executor, func, *args)
        self._executing += 1
        future.add_done_callback(self._executed)
        return future

    def _executed(self, _: asyncio.Future[Any]) -> None:
        self._executing -= 1


def run_virtually(main: Coroutine[Any, Any, T], busy: Callable[[], bool] = lambda: False) -> T:
    """Run a coroutine to its end on virtual time; `busy` as for the loop. No time passes while a thread evaluates."""
    evaluations: list[Evaluation] = []
    begin = Evaluation.begin

    def note(evaluation: Evaluation) -> None:
        evaluations.append(evaluation)
        begin(evaluation)

    def works() -> bool:
        evaluations[:] = [each for each in evaluations if not each.over]
        return bool(evaluations) or busy()

    with patch.object(Evaluation, "begin", note), asyncio.Runner(loop_factory=lambda: VirtualLoop(works)) as runner:
        return runner.run(main)
