"""The doors of a compiler to many runs: `compare` and `map`, and their twins that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from compiler_nb.engine.background import BACKGROUND, MainThread
from compiler_nb.engine.runners import PostToMain, on_main_thread
from compiler_nb.models.connect import no_model
from compiler_nb.run import Run
from compiler_nb.settings.budget import Budget
from compiler_nb.settings.settings import Settings
from compiler_nb.signature.answers import answer_type_of

if TYPE_CHECKING:  # loaded only if it is used
    from compiler_nb.compare.cases import Case
    from compiler_nb.compare.grid import Grid
    from compiler_nb.compare.runner import GridRunner
    from compiler_nb.compare.store import InMemory
    from compiler_nb.planner.seen import Seen


class ManyRuns:
    """What a Compiler can do with many runs.

    given: the arguments that made it, by name; grid: the last one, which may be going on; cells: what is kept of grids
    without a history, None before the first.
    """

    settings: Settings
    seen: Seen
    order: Callable[..., Any]
    begin: Callable[..., Any]
    given: dict[str, Any]
    grid: Grid | None = None
    cells: InMemory | None = None

    async def compare(
        self, questions: Any, variants: Mapping[str, Mapping[str, Any]] | None = None, *, repeat: int = 1,
        score: Callable[[str, Any, Any], Any] | None = None, expected: Sequence[Any] | None = None,
        inputs: Mapping[str, Any] | None = None, max_concurrency: int = 4, budget: Budget | None = None,
        approve: str | Collection[str] = "deny", fresh: bool = False, progress: bool | Callable[[Grid], None] = True,
    ) -> Grid:  # fmt: skip
        """Ask questions in several ways, each several times, and return a table of what came of it.

        questions: texts, pairs (question, expected), or dicts with question, expected, inputs. variants: dicts of
        settings by name: what Compiler takes, `model` (for all roles), `planner_prompt`, `joiner_prompt`, and
        parameters of models such as `temperature`. score: score(question, answer, expected) -> float, sync or async.
        max_concurrency: runs at a time. budget: what the whole grid may use now. approve: "deny", "auto", or names of
        tools whose side effects are made in each run. progress: whether a bar is shown, or a function to call instead.

        The same call does only what is missing: with a history always, without one in this process; fresh: all of it
        again. While it goes on, and if it is interrupted, the grid is `compiler.grid`. Raises ValueError with all that
        is wrong with what is given, before anything runs, and HistoryError if the history cannot be read.
        """
        runner = self.prepare(
            questions, variants, repeat=repeat, score=score, expected=expected, inputs=inputs, budget=budget,
            max_concurrency=max_concurrency, approve=approve, fresh=fresh,
        )  # fmt: skip
        _follow(runner, progress)
        await runner.perform()
        return runner.grid

    def compare_sync(
        self, questions: Any, variants: Mapping[str, Mapping[str, Any]] | None = None, *, repeat: int = 1,
        score: Callable[[str, Any, Any], Any] | None = None, expected: Sequence[Any] | None = None,
        inputs: Mapping[str, Any] | None = None, max_concurrency: int = 4, budget: Budget | None = None,
        approve: str | Collection[str] = "deny", fresh: bool = False, progress: bool | Callable[[Grid], None] = True,
    ) -> Grid:  # fmt: skip
        """Do what `compare` does, on our own loop, and wait; an interrupt stops it, and is raised."""
        main = MainThread()
        # What is posted runs on the thread that waits here. If that is not the main thread, nothing may be posted.
        post = main.post if on_main_thread() else None
        runner = self.prepare(
            questions, variants, repeat=repeat, score=score, expected=expected, inputs=inputs, budget=budget,
            max_concurrency=max_concurrency, approve=approve, fresh=fresh, main=post,
        )  # fmt: skip
        _follow(runner, progress, post)
        try:
            BACKGROUND.run(runner.perform(), main=main, stop=runner.stop)
        finally:
            main.serve_waiting()  # after an interrupt, the end of the bar
        return runner.grid

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
        for `run`. Raises ValueError if a question is none, NoModel if no model is set.
        """
        return await self._map(questions, inputs, max_concurrency, answer_type)

    def map_sync(
        self,
        questions: Any,
        *,
        inputs: Mapping[str, Any] | None = None,
        max_concurrency: int = 4,
        answer_type: Any = None,
    ) -> list[Run]:
        """Do what `map` does, on our own loop, and wait; an interrupt cancels what goes on, and is raised."""
        main = MainThread()
        post = main.post if on_main_thread() else None
        return BACKGROUND.run(self._map(questions, inputs, max_concurrency, answer_type, post), main=main)

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

    async def _map(
        self, questions: Any, inputs: Any, max_concurrency: int, answer_type: Any, main: PostToMain | None = None
    ) -> list[Run]:
        if type(max_concurrency) is not int or max_concurrency < 1:
            raise ValueError(f"max_concurrency must be a whole number from 1, not {max_concurrency!r}")
        if self.settings.planner is None:
            raise no_model()
        from compiler_nb.compare.cases import read_cases  # noqa: PLC0415 - as above

        slots, wanted = asyncio.Semaphore(max_concurrency), answer_type_of(answer_type)

        async def answer(case: Case) -> Run:
            async with slots:
                run, work = self.begin(self.order(case.question, inputs=case.inputs, answer_type=wanted), main=main)
                await work
                return cast("Run", run)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answer(case)) for case in read_cases(questions, inputs=inputs)]
        return [task.result() for task in tasks]


def _follow(runner: GridRunner, progress: bool | Callable[[Grid], None], post: PostToMain | None = None) -> None:  # noqa: FBT001
    from compiler_nb.compare.progress import follow  # noqa: PLC0415 - only who compares needs it

    follow(runner, progress, post)
