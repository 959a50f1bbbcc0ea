"""What models write in a run, as a page shows it: plans with their problems, section by section, and the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from compiler_nb.notebook.output.answer import to_html
from compiler_nb.text import cut, visible_lines

if TYPE_CHECKING:
    from compiler_nb.errors import Problem

TEXT: Final = 200_000
"""Characters of a plan's and of a joiner's text that are shown."""
REASON: Final = 400


class Section:
    """One text of a plan, as it streams, and its problems."""

    def __init__(self, number: int, role: str, round_: int, reason: str) -> None:
        self.number, self.role, self.round, self.reason = number, role, round_, reason
        self.text: list[str] = []
        self.length = 0
        self.closed = False
        self.problems: list[tuple[int, int, str]] = []

    @property
    def head(self) -> list[Any]:
        """What a frame says of it."""
        about = {"round": self.round, "role": self.role, "reason": cut(self.reason, REASON), "closed": self.closed}
        return [self.number, about]


class Texts:
    """All texts of a run; `news` returns what is new of them, in the shape of a frame (see `board`)."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self.round, self.reason = 0, ""
        self.joined: list[str] = []
        self.html = ""
        self._calls: dict[int, Section | None] = {}  # what a call of a model writes; None: the answer
        self._new: dict[str, Any] = {}

    def begin_round(self, number: int, reason: str) -> None:
        """Note that another pass begins: what the joiner said in the last one is not an answer."""
        self.round, self.reason = number, reason
        if self.joined:
            self.joined.clear()
            self._new["answer"] = {"text": "", "reset": True}

    def ask(self, call: int, role: str) -> None:
        """Note that a model is asked for a plan, or for the answer."""
        if role == "joiner":
            self._calls[call] = None
            self.joined.clear()
            self._new["answer"] = {"text": "", "reset": True}
        else:
            self._calls[call] = self._open(role)

    def _open(self, role: str) -> Section:
        section = Section(len(self.sections), role, self.round, self.reason)
        self.sections.append(section)
        self._tell("sections", section.head)
        return section

    @property
    def section(self) -> Section:
        """The text that is being written; of a plan that was given there is none before its end."""
        if not self.sections or self.sections[-1].closed or self.sections[-1].round != self.round:
            return self._open("plan")
        return self.sections[-1]

    def add(self, call: int, text: str) -> None:
        """Take a piece of what a call says."""
        section = self._calls.get(call)
        if section is not None:
            self._write(section, text)
        elif call in self._calls and sum(map(len, self.joined)) < TEXT:
            self.joined.append(visible_lines(text))
            told = self._new.setdefault("answer", {"text": ""})
            told["text"] = told.get("text", "") + self.joined[-1]

    def _write(self, section: Section, text: str) -> None:
        text = visible_lines(text[: max(TEXT - section.length, 0)])
        section.length += len(text)
        section.text.append(text)
        pending = self._new.setdefault("text", [])
        if pending and pending[-1][0] == section.number:
            pending[-1][1] += text
        else:
            pending.append([section.number, text])

    def blame(self, problem: Problem) -> None:
        """Take a problem of the last text."""
        section = self.sections[-1] if self.sections else self.section
        section.problems.append((problem.line, problem.column, visible_lines(problem.message)))
        self._tell("problems", [section.number, *section.problems[-1]])

    def close(self, text: str) -> None:
        """Note the end of a text; if it was given, this is all of it."""
        section = self.section
        if not section.text and text:
            self._write(section, text)
        section.closed = True
        self._tell("sections", section.head)

    def answer(self, value: Any) -> None:
        """Take the answer."""
        self.html = to_html(value)
        self._new["answer"] = {"html": self.html}

    def _tell(self, name: str, row: list[Any]) -> None:
        self._new.setdefault(name, []).append(row)

    def news(self) -> dict[str, Any]:
        """Return what is new since the last time."""
        new, self._new = self._new, {}
        return new

    def all(self) -> dict[str, Any]:
        """Return everything."""
        sections = self.sections
        return {
            "sections": [section.head for section in sections],
            "text": [[section.number, "".join(section.text)] for section in sections],
            "problems": [[section.number, *each] for section in sections for each in section.problems],
            "answer": {"text": "".join(self.joined), "reset": True, **({"html": self.html} if self.html else {})},
        }
