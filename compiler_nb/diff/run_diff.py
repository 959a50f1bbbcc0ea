"""RunDiff: two runs side by side, as data, as text, and as pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from compiler_nb.diff.compared import Compared, compare_runs
from compiler_nb.diff.words import headline, marks_of, text_of
from compiler_nb.drawing.aligned import draw_aligned
from compiler_nb.drawing.picture import Picture
from compiler_nb.drawing.timelines import TimedRun, draw_timelines
from compiler_nb.models.secret import Secret, mask
from compiler_nb.run import Run
from compiler_nb.tool import Tool


class RunDiff(Compared):
    """How one run became another. In a notebook it shows itself; `str` of it is text."""

    @classmethod
    def of_runs(cls, before: Run, after: Run, names: tuple[str, str] = ("A", "B"), tools: Iterable[Tool] = ()) -> Self:
        """Compare two runs; arguments and errors as for `Run.diff`."""
        return cls(**compare_runs(before, after, names, tools))

    @property
    def text(self) -> str:
        """What differs, as text: the same for the same runs, without times."""
        return self.to_text()

    def to_text(self, *, times: bool = False) -> str:
        """Return what differs, as text; times: whether seconds are told."""
        return mask(text_of(self, times=times), self.secrets)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The keys of both runs, which are shown nowhere."""
        return (*self.before.settings.secrets, *self.after.settings.secrets)

    def visualize(self) -> Picture:
        """Return both plans as one graph, whose boxes and arrows say in which plan they are."""
        tasks = [task.plan for task in self.tasks]
        reasons = [each.reasons for each in self.rounds]
        return draw_aligned(
            tasks, self.edges, self.ends, names=self.names, marks=marks_of(self), reasons=reasons, about=headline(self)
        ).masked(self.secrets)

    def timeline(self) -> Picture:
        """Return when what ran in both runs: two timelines, one above the other, on one axis."""
        before, after = (self._timed(*each) for each in zip(self.names, (self.before, self.after), strict=True))
        return draw_timelines(before, after, [task.plan for task in self.tasks]).masked(self.secrets)

    def _timed(self, name: str, run: Run) -> TimedRun:
        progress, now = run.progress, run.seconds
        with progress.lock:
            calls = [call for call in progress.calls.values() if not call.task]
            return TimedRun(name, dict(progress.tasks), dict(progress.spans), dict(progress.states), calls,
                         run.times().chain, now)  # fmt: skip

    def _repr_html_(self) -> str:
        """Return all of it as a page."""
        from compiler_nb.notebook.output.diffs import diff_page  # noqa: PLC0415 - the one way up, for who looks

        return diff_page(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": self.text, "text/html": self._repr_html_()}

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<diff of {self.names[0]} and {self.names[1]}: {headline(self)}>"
