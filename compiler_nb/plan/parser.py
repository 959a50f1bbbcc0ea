"""Read a plan as its text arrives: limits, fences, dialect; tasks come out as soon as their own text is complete.

Theory of operation
    feed(text) and close(complete) take text in any chunking and return the tasks that may start. The text passes three
    doors, each linear in its length and each keeping only what is unfinished:
      1. limits: leading byte-order marks are dropped; text over its limit, or with a control character, is a problem;
      2. fences: a line that begins with ``` opens or closes a block. Text before the first block is dropped if it
         holds no task (models greet first); text after the block is ignored, a second block is a problem;
      3. the dialect: `auto` waits for the first line that shows which it is. From there on one dialect reads, and gives
         a `Builder` what it has understood. It is given whole lines; only json is given pieces of a line, since all of
         its plan may stand on one, and each task is released when its brace closes.
    After the first problem nothing more is released, but reading goes on, so that all problems are reported together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Literal, NamedTuple, Protocol

from compiler_nb.errors import PlanError, Problem
from compiler_nb.plan import check
from compiler_nb.plan.builder import Builder
from compiler_nb.plan.json import JsonDialect
from compiler_nb.plan.numbered import NumberedDialect
from compiler_nb.plan.python import PythonDialect
from compiler_nb.plan.task import Join, LastLine, Return, Task
from compiler_nb.plan.tree import Ref
from compiler_nb.tool import Tool


class Parts(NamedTuple):
    """What a Plan is made of, as `Plan(*parts)`."""

    tasks: tuple[Task, ...]
    final: LastLine
    text: str
    dialect: str
    notes: tuple[str, ...]


class Dialect(Protocol):
    """Reads text without fences, line by line, into a Builder; JSON comes in smaller pieces, too."""

    def feed(self, text: str) -> None:
        """Read a line."""

    def close(self, rest: str, *, complete: bool) -> None:
        """End the text; rest: a last line without a line feed; complete: whether the text's author ended it."""


DIALECTS: dict[str, Callable[[Builder, int], Dialect]] = {
    "python": PythonDialect,
    "numbered": NumberedDialect,
    "json": JsonDialect,
}
_NUMBERED = re.compile(r"\s*(\d+\s*[.)]\s|Thought\b)")
_PYTHON = re.compile(r"\s*(await\s|[^\W\d]\w*\s*(=|\(|\[|,[^=]*=))")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
INDENT = 64
"""A line that is indented further than this is not a fence."""
BLANK = "\ufeff\r\n"
"""What may stand above a plan's first line; it is dropped, so that a plan begins with line 1."""


class PlanParser:
    """An incremental parser of plans.

    dialect: "auto" or one of the three; tools, inputs, earlier, taken, names, since: see `Builder`; implied: what a
    plan without a last line ends in: "join", or "value" for the last statement's value (in a cell that holds a plan).
    """

    def __init__(
        self,
        *,
        dialect: str = "auto",
        tools: Mapping[str, Tool] | None = None,
        inputs: Collection[str] = (),
        earlier: Mapping[str, str] | None = None,
        taken: Iterable[str] = (),
        names: Mapping[str, str] | None = None,
        since: str = "",
        implied: Literal["join", "value"] = "join",
    ) -> None:
        if dialect != "auto" and dialect not in DIALECTS:
            raise ValueError(f"no dialect is called {dialect!r}; there are auto, {', '.join(DIALECTS)}")
        self._make_builder = partial(Builder, tools, inputs, earlier, taken, names, since=since)
        self._asked, self.implied = dialect, implied
        self.text: list[str] = []
        self.closed = False
        self._length = 0
        self._is_over = False  # whether there was more text than is read
        self._line, self._column = 1, 1
        self._fence: Literal["before", "inside", "after"] = "before"
        self._head: str | None = ""  # the beginning of a line while it may still become a fence; None in mid-line
        self._skipping = False  # in the rest of a fence's own line
        self._begin(1)

    def _begin(self, line: int) -> None:
        """Expect a plan from this line of the text on."""
        self.builder = self._make_builder()
        self.builder.answers = self.implied == "value"
        self.dialect = self._asked
        self._first = line  # the number of the plan's first line
        self._blank = True  # whether nothing but blanks has arrived
        self._open: list[str] = []  # the line that has not ended
        self._pending: list[str] = []  # the lines whose dialect is not known yet
        self._reader: Dialect | None = None
        if self.dialect != "auto":
            self._choose(self.dialect)

    @property
    def problems(self) -> list[Problem]:
        """What is wrong so far, in the order of the text."""
        return sorted(self.builder.problems, key=lambda problem: (problem.line, problem.column, problem))

    def feed(self, text: str) -> list[Task]:
        """Read more text; return the tasks that it completed, or none after a problem."""
        if not self._length:
            text = text.lstrip(BLANK)
        self.text.append(text)
        room = max(check.TEXT_LIMIT - self._length, 0)
        self._length += len(text)
        for piece in _LINE.findall(text[:room]):
            self._take_line(piece)
        if self._length > check.TEXT_LIMIT and not self._is_over:
            self._is_over = True
            self._report(
                "too_large",
                f"the plan's text is longer than {check.TEXT_LIMIT:,} characters: offer long data as an input",
            )
        return self._drain()

    def close(self, complete: bool = True) -> list[Task]:  # noqa: FBT001, FBT002 - the design's signature
        """End the text; `complete` says whether the model ended of itself. Return the tasks that this completed."""
        if self.closed:
            return []
        self.closed = True
        if self._head:
            self._read(self._head)
        rest = "".join(self._open)
        if self._reader is None and not self._blank:
            self._choose(tell_dialect(rest) or "python")
        if self._fence == "inside" and not self._is_over:
            self._report("truncated", "the block is not closed: end it with ```")
        if self._reader is not None and not self._is_over:
            self._reader.close(rest, complete=complete and self._fence != "inside")
        self._end(complete)
        return self._drain()

    def parts(self) -> Parts:
        """Return the parts of the plan; raise a PlanError with all problems if there are any."""
        if not self.closed:
            self.close()
        if self.problems:
            raise PlanError(self.problems, "".join(self.text))
        dialect = "python" if self.dialect == "auto" else self.dialect
        builder = self.builder
        return Parts(tuple(builder.tasks), builder.final or Join(), "".join(self.text), dialect, tuple(builder.notes))

    def _report(self, kind: str, message: str) -> None:
        self.builder.problem(kind, self._line, self._column, message, once=True)

    # ---------------------------------------------------------------- doors

    def _drain(self) -> list[Task]:
        tasks, self.builder.released = self.builder.released, []
        return [] if self.builder.problems else tasks

    def _take_line(self, piece: str) -> None:
        """Read a line, or a piece of one, unless it is a fence."""
        ended = piece.endswith("\n")
        in_fence = self._skipping
        text: str | None = piece
        if not in_fence and self._head is not None:
            text, self._head = self._head + piece, None
            start = text.lstrip(" \t")
            indented = len(text) - len(start) > INDENT
            if start.startswith("```") and not indented:
                in_fence = True
                self._meet_fence()
            elif not (ended or indented) and "```".startswith(start):
                self._head, text = text, None
        self._skipping = in_fence and not ended
        for kind, message, index in check.find_characters(piece.removesuffix("\n")):
            if kind == "encoding" or not in_fence:  # the rest of a fence's line is never shown
                self.builder.problem(kind, self._line, self._column + index, message, once=True)
        if text is not None and not in_fence:
            self._read(text)
        self._column += len(piece)
        if ended:
            self._head = ""
            self._line, self._column = self._line + 1, 1

    def _meet_fence(self) -> None:
        if self._fence == "inside":
            self._fence = "after"
        elif self._fence == "before" and not self.builder.tasks:
            kept = [problem for problem in self.builder.problems if problem.kind == "encoding"]
            self._begin(self._line + 1)
            self.builder.problems += kept  # the text as a whole is kept, and could not be stored
            self._fence = "inside"
        else:
            self.builder.problem(
                "multiple_blocks",
                self._line,
                1,
                "the text has more than one block; write one plan in one block",
                once=True,
            )
            self._fence = "after"

    def _read(self, text: str) -> None:
        """Read text that is not a fence: lines when they have ended, JSON as it arrives."""
        if self._fence == "after":
            return
        self._open.append(text)
        if self._blank:
            start = text.lstrip()
            self._blank = not start
            if self._reader is None and start.startswith(("{", "[")):
                self._choose("json")
        if text.endswith("\n") or self.dialect == "json":
            line, self._open = "".join(self._open), []
            self._read_line(line)

    def _read_line(self, line: str) -> None:
        if self._reader is not None:
            self._reader.feed(line)
            return
        self._pending.append(line)
        dialect = tell_dialect(line[:-1])
        if dialect:
            self._choose(dialect)

    def _choose(self, dialect: str) -> None:
        self.dialect = dialect
        self._reader = DIALECTS[dialect](self.builder, self._first)
        for line in self._pending:
            self._reader.feed(line)

    def _end(self, complete: bool) -> None:  # noqa: FBT001
        builder = self.builder
        if builder.final is None and not builder.problems:
            if not complete:
                last = "join()<END_OF_PLAN>" if self.dialect == "numbered" else "join() or answer(...)"
                self._report("truncated", f"the plan ends before its last line: end it with {last}")
            elif self.implied == "value" and builder.tasks:
                builder.final = Return(builder.last if builder.last is not None else Ref(builder.tasks[-1].id))
            else:
                builder.final = Join()
        if not builder.tasks and builder.final in (None, Join()) and not builder.problems:
            builder.problem("empty", 1, 1, "the text holds no task: write at least one call of a tool, or answer(...)")


def tell_dialect(line: str) -> str:
    """Return the dialect that a line of a plan is written in, "" if it could be prose or a comment."""
    return "numbered" if _NUMBERED.match(line) else "python" if _PYTHON.match(line) else ""


def parse(
    text: str | bytes,
    *,
    dialect: str = "auto",
    tools: Mapping[str, Tool] | None = None,
    inputs: Collection[str] = (),
    implied: Literal["join", "value"] = "join",
) -> Parts:
    """Return the parts of the plan in a text (or its UTF-8 bytes); raise a PlanError with all problems."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            column = error.start - error.object.rfind(b"\n", 0, error.start)
            message = f"the bytes are not UTF-8 (byte {error.start}); save the plan as UTF-8"
            raise PlanError([Problem("encoding", line, column, message)]) from None
    parser = PlanParser(dialect=dialect, tools=tools, inputs=inputs, implied=implied)
    parser.feed(text)
    return parser.parts()
