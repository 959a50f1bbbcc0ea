"""The live view of one run: sends frames to a page, and does what people click there.

Theory of operation
    An event only schedules a frame. At most once in FRAME seconds a Board takes the events that are new, and what
    changed goes to the page as a custom message (a trait would wait for the page while the kernel is busy). The trait
    `snapshot` is made anew whenever a page asks for the widget's state, so a page that is reloaded sees all.
    If so much is new that the run would feel it (a fan-out of 100,000 items), the frame is made on a thread of its own.
    A picture is laid out on a thread of its own, because Graphviz may take long. The pause before the next one is at
    least four times as long as the drawing took, so that drawing takes a fifth of a core at most. What a page says
    arrives on any thread, is checked, and is done by methods of the run that may be called from any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from compiler_nb.drawing.live import Drawn
from compiler_nb.drawing.preferences import PREFERENCES, Engine
from compiler_nb.errors import CompilerError
from compiler_nb.events import Event, RunEnded
from compiler_nb.notebook.live.board import Board, Frame
from compiler_nb.notebook.live.details import details, rerun_words, role_details
from compiler_nb.notebook.live.widget import make_widget
from compiler_nb.notebook.output import show
from compiler_nb.notebook.output.footer import footer_of
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.notebook.variables.namespace import Namespace
from compiler_nb.run import Run
from compiler_nb.trace import JOINER, PLANNER

FRAME: Final = 0.06
"""The least time from one frame to the next, in seconds."""
BREAK: Final = 0.25
"""The least time from one drawing to the next, in seconds; longer after one that took long."""
KEPT: Final = 20
"""How many views of ended runs stay connected; a page that is reloaded does not find the older ones."""
HEARD_WITHIN: Final = 2.0
"""Seconds from the beginning in which a page must be heard: some versions of ipykernel hear none while busy."""
_KEPT: Final[list[View]] = []
RERUN: Final[list[Callable[[View, str], None]]] = []
"""What runs the plan of a view's run again from a task on, and shows that in the view; empty outside a notebook."""


class View:
    """Shows one run in a page, from its beginning or when it is over.

    engine: what lays the picture out, as for `draw`; widget: makes the link to the page.
    """

    def __init__(
        self, run: Run, engine: Engine = "auto", widget: Callable[[Callable[[], Frame]], Any] = make_widget
    ) -> None:
        self.run, self.engine = run, engine
        self.board = Board(run.progress, run.words, live=run.status == "running")
        self.began = time.monotonic()
        self._context = contextvars.copy_context()  # the cell's: some kernels send nothing from outside of one
        self._arrived = asyncio.Event()  # what the page says reaches the kernel
        self._lock = threading.Lock()  # guards the board
        self._sending = threading.Lock()  # frames leave in order; taken before _lock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sent = 0.0
        self.still: Any = None  # what shows the run without a kernel
        self._draw_after = 0.0
        self._introduce()
        self.board.catch_up()
        if run.status != "running":
            self._conclude()
        self.widget: Any = None
        self.widget = widget(self.snapshot)
        self.widget.on_msg(self._hear)
        _keep(self)

    def _introduce(self) -> None:
        """Tell what is known of the run before its first event."""
        run, scale = self.run, PREFERENCES.scale
        self.board.tell_run(id=run.id, question=run.question, tools=list(run.settings.tools))
        if scale != 1:
            self.board.tell_run(scale=scale)

    def switch(self, run: Run) -> None:
        """Show another run from now on, which the page has begun: what it says is heard."""
        with self._sending, self._lock:
            number, self.run = self.board.number, run
            self.board = Board(run.progress, run.words)
            self.board.number = number
            self._loop = self._timer = None
            self._arrived = asyncio.Event()
            self._arrived.set()
            self._introduce()
            self.board.tell_run(buttons=True)
            self.board.frame(run.seconds)  # a snapshot repeats what frames have told
            self._send({"frame": self.board.snapshot(run.seconds)})

    @property
    def mime(self) -> dict[str, Any]:
        """What a cell displays to show it."""
        kind = "application/vnd.jupyter.widget-view+json"
        shown = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        return {kind: shown, "text/plain": f"{self.run.question or 'a plan'} …"}

    def _ipython_display_(self) -> None:
        """Show it below the still picture, of which a page shows what there is no view for: without a kernel."""
        from IPython.display import display  # noqa: PLC0415 - IPython is imported by whoever has a cell

        look = show.Look(layout=self.engine)
        self.still = display(show.still(self.run, look), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        display(self.mime, raw=True)  # type: ignore[no-untyped-call]

    def _show_still(self) -> None:
        """Bring the still picture up to date."""
        if self.still is not None:
            with contextlib.suppress(Exception):  # the page is gone
                self._context.copy().run(
                    self.still.update, show.still(self.run, show.Look(layout=self.engine)), raw=True
                )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return self.mime

    def __repr__(self) -> str:
        return f"<the live view of {self.run!r}>"

    def snapshot(self) -> Frame:
        """Return a frame that says everything; other pages first get what is new. May be called from any thread."""
        with self._sending:
            with self._lock:
                frame = self.board.frame(self.run.seconds)
                snapshot = self.board.snapshot(self.run.seconds)
            if frame is not None and self.widget is not None:
                self._send({"frame": frame})
        return show.without_keys(snapshot, self.run)

    # ---------------------------------------------------------------- events in, frames out

    def follow(self) -> View:
        """Show what happens from now on, too; for a view that nobody passes events to."""
        if self.run.status == "running" and not self.run.control.stored:
            self.run.control.call(self._follow)
        return self

    def _follow(self) -> None:
        """Listen from now on; called on the run's thread."""
        self.run.log.listeners.append(self._note)
        self._schedule()

    def _note(self, event: Event) -> None:
        self.event(event)
        if isinstance(event, RunEnded):
            footer = footer_of(self.run, Binding(), times=True)
            threading.Thread(target=self.end, args=(footer,), name="compiler_nb drawing", daemon=True).start()

    def event(self, _: Event) -> None:
        """Note that something happened; called on the run's thread, which is not to wait: the next frame looks."""
        if self._timer is None:
            self._schedule()

    def warn(self, id_: str, message: str) -> None:
        """Show a warning at once, on any thread: the run's own may be blocked."""
        with self._lock:
            self.board.warn(id_, message)
        self.flush()

    def _schedule(self) -> None:
        if self._loop is None:
            try:
                self._loop = asyncio.get_running_loop()
            except RuntimeError:
                self.flush()
                return
        self._timer = self._loop.call_at(max(self._loop.time(), self._sent + FRAME), self._ring)

    def _ring(self) -> None:
        if self.board.is_behind():  # the run goes on meanwhile
            threading.Thread(target=self._flush_aside, name="compiler_nb frame", daemon=True).start()
            return
        self._timer = None
        self.flush()

    def _flush_aside(self) -> None:
        self.flush()
        self.run.control.call(self._go_on)

    def _go_on(self) -> None:
        """Look again for what happened while a frame was made on a thread of its own; called on the run's thread."""
        self._timer = None
        self._schedule()

    def flush(self) -> None:
        """Send what changed; may be called from any thread."""
        with self._sending:
            with self._lock:
                frame = self.board.frame(self.run.seconds)
                draws = self._loop is not None and self.board.canvas.claim()
            if self._loop is not None:
                self._sent = self._loop.time()
            if frame is not None:
                self._send({"frame": frame})
        if draws:
            threading.Thread(target=self._lay_out, name="compiler_nb drawing", daemon=True).start()

    def _send(self, content: Frame) -> None:
        with contextlib.suppress(Exception):  # the page is gone, or the kernel ends: the run goes on
            self._context.copy().run(self.widget.send, show.without_keys(content, self.run))

    def end(self, footer: str) -> None:
        """Show how it ended, with the footer."""
        with self._lock:
            self.board.tell(footer=footer)
            self._conclude()
        self.flush()
        self._show_still()

    def _conclude(self) -> None:
        """Add what is known only at the end: the critical path, and a picture if there is none."""
        with contextlib.suppress(Exception):  # the rest is shown without times
            self.board.spending.settle()
            self.board.tell_times(self.run.times())
        if self.board.canvas.stale or (self.board.tasks and self.board.canvas.drawn is None):
            self.board.show_drawn(_try(self.board.drawing(self.engine)))

    # ---------------------------------------------------------------- the picture

    def _lay_out(self) -> None:
        """Lay the whole picture out, after the pause that the last one made necessary; runs on a thread of its own."""
        time.sleep(max(self._draw_after - time.monotonic(), 0))
        with self._lock:
            job = self.board.drawing(self.engine)
        began = time.monotonic()
        drawn = _try(job)
        took = time.monotonic() - began
        self._draw_after = began + took + max(BREAK, 4 * took)
        with self._lock:
            self.board.show_drawn(drawn)
        self.flush()

    # ---------------------------------------------------------------- what the page says

    def _hear(self, _: Any, content: Any, __: Any = None) -> None:
        """Do what a page says, if it makes sense; called on any thread."""
        if not isinstance(content, dict):
            return
        said = content.get("say")
        if said in ("here", "hello", "rows", "role"):
            self._answer(said, content)
        elif said in ("stop", "pause", "resume"):
            {"stop": self.run.cancel, "pause": self.run.pause, "resume": self.run.resume}[said]()
        elif said in ("skip", "retry", "set", "rerun"):
            self._steer(self._task(content.get("task")), said, content.get("value"))
        elif said in ("approve", "again", "deny", "task", "more"):
            id_, mark = self._task(content.get("task")), content.get("mark")
            if id_ is not None and said == "task":
                self._tell_details(id_)
            elif id_ is not None and said == "more":
                self._tell_more(id_)
            elif id_ is not None and type(mark) is str and mark:
                approve = functools.partial(self.run.approve, again=said == "again")
                (self.run.deny if said == "deny" else approve)(id_, mark)

    def _answer(self, said: str, content: dict[str, Any]) -> None:
        """Tell a page what it asks of the run as a whole."""
        if said == "here":
            self._arrive()
        elif said == "hello":
            self._send({"frame": self.snapshot()})
        elif said == "rows":
            self._tell_rows(content.get("from"), content.get("to"))
        else:
            self._tell_role(content.get("role"), content.get("round"))

    def _arrive(self) -> None:
        with self._lock:
            if self.board.facts["run"]["buttons"] or self.run.status != "running":
                return
            self.board.tell_run(buttons=True)
        self.run.control.call(self._arrived.set)
        self.flush()

    async def is_heard(self) -> bool:
        """Whether what the page says reaches the kernel, as it must have done within HEARD_WITHIN seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.began + HEARD_WITHIN - time.monotonic()):
                await self._arrived.wait()
        return self._arrived.is_set()

    def _task(self, number: Any) -> str | None:
        known = self.board.tasks
        return known[number].id if type(number) is int and 0 <= number < len(known) else None

    def _steer(self, id_: str | None, verb: str, value: Any) -> None:
        """Skip a task, try it again, or give it the value of an expression; the details say if that cannot be done."""
        if id_ is None or (verb == "set" and type(value) is not str):
            return
        if verb == "rerun":
            self._rerun(id_)
            return
        try:
            if verb == "set":
                self.run.set(id_, Namespace({}).value(value, "a value"))
            else:
                (self.run.skip if verb == "skip" else self.run.retry)(id_)
        except CompilerError as error:
            self._tell_details(id_, str(error))

    def _rerun(self, id_: str) -> None:
        """Run the plan again from a task on; the button is there only if that can be done."""
        if RERUN and self.run.status != "running":
            RERUN[-1](self, id_)

    def refuse(self, id_: str, why: str) -> None:
        """Say in a task's details why what a user wanted of it was not done."""
        self._tell_details(id_, why)

    def _tell_details(self, id_: str, refusal: str = "") -> None:
        again = ""
        with contextlib.suppress(Exception):  # a rerun is not offered
            again = rerun_words(self.run, id_) if RERUN else ""
        make = functools.partial(details, self.run, id_, refusal)
        self._tell_html(self.board.numbers[id_], make, again=again)

    def _tell_role(self, role: Any, number: Any) -> None:
        if role in (PLANNER, JOINER) and type(number) is int:
            self._tell_html(f"{role} {number}", functools.partial(role_details, self.run, role, number))

    def _tell_html(self, key: int | str, make: Callable[[], str], **more: str) -> None:
        try:
            html = make()
        except Exception as error:  # noqa: BLE001 - values of any kind are shown
            html = f"<p>its details cannot be shown: {type(error).__name__}</p>"
        self._send({"task": key, "html": html, **more})

    def _tell_more(self, id_: str) -> None:
        with self._lock:
            self.board.tell_more(id_)
        self.flush()

    def _tell_rows(self, first: Any, last: Any) -> None:
        if type(first) is int and type(last) is int:
            with self._lock:
                frame = self.board.rows_from(first, last)
            self._send({"frame": frame})


def _try(job: Callable[[], Drawn]) -> Drawn | None:
    """Return what was drawn, or None if that fails: then the boxes stay, and the run goes on."""
    with contextlib.suppress(Exception):
        return job()
    return None


def _keep(view: View) -> None:
    """Keep a view connected; if too many are, close the oldest of those whose runs have ended."""
    _KEPT.append(view)
    for old in [each for each in _KEPT if each.run.status != "running"][:-KEPT]:
        _KEPT.remove(old)
        old.widget.close()
