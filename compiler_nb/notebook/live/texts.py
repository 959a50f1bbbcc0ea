"""What models write in a run, as a page shows it: the plans, a section each, with their problems, and the answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from compiler_nb.errors import Problem
from compiler_nb.notebook.live.changes import Told
from compiler_nb.notebook.output.answer import to_html
from compiler_nb.notebook.output.values import inert
from compiler_nb.plan.builder import split_note
from compiler_nb.plan.parser import BLANK
from compiler_nb.text import cut, visible_lines

TEXT: Final = 200_000
"""How many characters of a plan, and of a joiner's text, are shown."""
REASON: Final = 400


@dataclass
class Section:
    """One text of a plan, as it streams: its number, what a frame says about it, and how many characters it has."""

    number: int
    about: dict[str, Any]
    length: int = 0


class Texts:
    """All texts of a run: those of plans go to `rows`; `news` returns what is new of the answer, for a frame."""

    def __init__(self, rows: Told) -> None:
        self.rows = rows
        self.sections: list[Section] = []
        self.round, self.reason = 0, ""
        self.joined: list[str] = []
        self.html = ""
        self._calls: dict[int, Section | None] = {}  # what each call of a model writes; None: the answer
        self._new: dict[str, Any] = {}  # of the answer

    def begin_round(self, number: int, reason: str) -> None:
        """Note that a round begins: what the joiner said in the last one is not an answer."""
        self.round, self.reason = number, reason
        self._begin_answer()

    def _begin_answer(self) -> None:
        self.joined.clear()
        self._new = {"text": "", "reset": True}

    def ask(self, call: int, role: str) -> None:
        """Note that a model is asked for a plan, or for the answer."""
        self._calls[call] = None if role == "joiner" else self._open(role)
        if role == "joiner":
            self._begin_answer()

    def _open(self, role: str) -> Section:
        reason = cut(self.reason, REASON)
        about = {"round": self.round, "role": role, "reason": reason, "closed": False, "written": ""}
        section = Section(len(self.sections), about)
        self.sections.append(section)
        self.rows.add("sections", [section.number, about])
        return section

    @property
    def section(self) -> Section:
        """The section that is being written; a plan that was given has none until it is closed."""
        last = self.sections[-1] if self.sections else None
        if last is None or last.about["closed"] or last.about["round"] != self.round:
            return self._open("plan")
        return last

    def add(self, call: int, text: str) -> None:
        """Add a piece of what a call writes."""
        section = self._calls.get(call)
        if section is not None:
            self._write(section, text)
        elif call in self._calls and sum(map(len, self.joined)) < TEXT:
            self.joined.append(visible_lines(text))
            self._new["text"] = self._new.get("text", "") + self.joined[-1]

    def _write(self, section: Section, text: str) -> None:
        if not section.length:  # a plan begins with its first line, as for the parser
            text = text.lstrip(BLANK)
        text = visible_lines(text[: max(TEXT - section.length, 0)])
        section.length += len(text)
        pending = self.rows.pending("text")
        if pending and pending[-1][0] == section.number:
            pending[-1][1] += text
        else:
            self.rows.add("text", [section.number, text])

    def hold(self, call: int, written: str) -> None:
        """Note under which grammar a call has written, in words."""
        if (section := self._calls.get(call)) is not None:
            self._tell(section, written=written)

    def _tell(self, section: Section, **about: Any) -> None:
        section.about = section.about | about  # a new dict: frames hold the old one
        self.rows.add("sections", [section.number, section.about])

    def blame(self, problem: Problem) -> None:
        """Add a problem of the last section."""
        section = self.sections[-1] if self.sections else self.section
        self.rows.add("problems", [section.number, problem.line, problem.column, visible_lines(problem.message)])

    def close(self, text: str, notes: Iterable[str]) -> None:
        """Close the section that is being written; `text` is all of it if the plan was given.

        notes: where it was not read as it is written.
        """
        section = self.section
        if not section.length and text:
            self._write(section, text)
        self._tell(section, closed=True)
        for line, message in map(split_note, notes):
            self.rows.add("problems", [section.number, line, 0, visible_lines(message)])

    def answer(self, value: Any, note: str) -> None:
        """Set the answer; note: what it lacks."""
        below = f"<p><small>{inert(note)}</small></p>" if note else ""
        self.html = self._new["html"] = to_html(value) + below

    def news(self) -> dict[str, Any]:
        """Return what is new of the answer since the last time."""
        new, self._new = self._new, {}
        return {"answer": new} if new else {}

    def all(self) -> dict[str, Any]:
        """Return all of the answer."""
        return {"answer": {"text": "".join(self.joined), "html": self.html}}
