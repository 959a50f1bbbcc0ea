"""The doors of a compiler to many runs: `compare` and `map`, and their twins that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from compiler_nb.engine.background import WAITS, waiting
from compiler_nb.engine.runners import PostToMain
from compiler_nb.models.connect import no_model
from compiler_nb.orders import Orders
from compiler_nb.run import Run
from compiler_nb.settings.budget import Budget
from compiler_nb.signature.answers import answer_type_of

if TYPE_CHECKING:  # loaded only if it is used
    from compiler_nb.compare.cases import Case
    from compiler_nb.compare.grid import Grid
    from compiler_nb.compare.runner import GridRunner
    from compiler_nb.compare.store import InMemory


class ManyRuns(Orders):
    """What a Compiler can do with many runs.

    given: the arguments that made it, by name; grid: the last one, which may be going on; cells: what is kept of grids
    without a history, None before the first.
    """

    begin: Callable[..., tuple[Run, Coroutine[Any, Any, None]]]
    given: dict[str, Any]
    grid: Grid | None = None
    cells: InMemory | None = None

    async def compare(
        self, questions: Any, variants: Mapping[str, Mapping[str, Any]] | None = None, *, repeat: int = 1,
        score: Callable[[str, Any, Any], Any] | None = None, expected: Sequence[Any] | None = None,
        inputs: Mapping[str, Any] | None = None, max_concurrency: int = 4, budget: Budget | None = None,
        approve: str | Collection[str] = "deny", fresh: bool = False, progress: bool | Callable[[Grid], None] = True,
        answer_type: Any = None,
    ) -> Grid:  # fmt: skip
        """Ask questions in several ways, each several times, and return a table of what came of it.

        questions: texts, pairs (question, expected), or dicts with question, expected, inputs. variants: dicts of
        settings by name: what Compiler takes, `model` (for all roles), `planner_prompt`, `joiner_prompt`, and
        parameters of models such as `temperature`. score: score(question, answer, expected) -> float, sync or async.
        max_concurrency: runs at a time. budget: what the whole grid may use now. approve: "deny", "auto", or names of
        tools whose side effects are made in each run. progress: whether a bar is shown, or a function to call instead.
        answer_type: what each answer is to be, as for `run`.

        The same call does only what is missing: with a history always, without one in this process; fresh: all of it
        again. While it goes on, and if it is interrupted, the grid is `compiler.grid`. Raises ValueError with all that
        is wrong with what is given, before anything runs, and HistoryError if the history cannot be read.
        """
        runner = self.prepare(
            questions, variants, repeat=repeat, score=score, expected=expected, inputs=inputs, budget=budget,
            max_concurrency=max_concurrency, approve=approve, fresh=fresh, answer_type=answer_type, main=WAITS.get(),
        )  # fmt: skip
        _follow(runner, progress, WAITS.get())
        await runner.perform()
        return runner.grid

    compare_sync = waiting(compare)

    async def map(
        self,
        questions: Any,
        *,
        inputs: Mapping[str, Any] | None = None,
        max_concurrency: int = 4,
        answer_type: Any = None,
    ) -> list[Run]:
        """Answer many questions, some at a time, and return their runs in order; each says itself how it went.

        questions, inputs: as for `compare`; max_concurrency: runs at a time; answer_type: what each answer is to be, as
        for `run`. Raises ValueError if one of them is not a question, NoModel if no model is set.
        """
        if type(max_concurrency) is not int or max_concurrency < 1:
            raise ValueError(f"max_concurrency must be a whole number from 1, not {max_concurrency!r}")
        if self.settings.planner is None:
            raise no_model()
        from compiler_nb.compare.cases import read_cases  # noqa: PLC0415 - as above

        slots, wanted = asyncio.Semaphore(max_concurrency), answer_type_of(answer_type)

        async def answer(case: Case) -> Run:
            async with slots:
                order = self.order(case.question, inputs=case.inputs, answer_type=wanted)
                run, work = self.begin(order, main=WAITS.get())
                await work
                return run

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answer(case)) for case in read_cases(questions, inputs=inputs)]
        return [task.result() for task in tasks]

    map_sync = waiting(map)  # noqa: A003 - the method above, not the builtin

    def prepare(
        self, questions: Any, variants: Any = None, *, main: PostToMain | None = None, **settings: Any
    ) -> GridRunner:
        """Return the runner of a grid that has not begun; settings: as for `compare`. Its grid is `compiler.grid`."""
        from compiler_nb.compare.store import InMemory  # noqa: PLC0415 - only who compares needs it
        from compiler_nb.compare.ways import prepare  # noqa: PLC0415 - as above

        self.cells = self.cells or InMemory()
        runner = prepare(
            self._variant, self.settings, self.given, questions, variants, memory=self.cells, main=main, **settings
        )
        self.grid = runner.grid
        return runner

    def _variant(self, arguments: Mapping[str, Any]) -> Any:
        made = type(self)(**arguments)
        made.seen = self.seen
        return made


def _follow(runner: GridRunner, progress: bool | Callable[[Grid], None], post: PostToMain | None = None) -> None:  # noqa: FBT001
    from compiler_nb.compare.progress import follow  # noqa: PLC0415 - only who compares needs it

    follow(runner, progress, post)
