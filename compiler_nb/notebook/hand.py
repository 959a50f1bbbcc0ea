"""`-m hand`: a person is the planner. The cell shows the exact prompt, opens a cell for the plan, and ends."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.models.hand import HandModel, prompt_text
from compiler_nb.notebook.output.presenter import display
from compiler_nb.text import visible_lines

if TYPE_CHECKING:
    from compiler_nb.models.base import Request

HINT: Final = "Write the plan in the cell below, or have a chat model write it from this prompt. Then run that cell."
_WORDS = re.compile(r"\s+")


class Hand:
    """Takes the prompt that the planner would get; `request` is None until then."""

    def __init__(self) -> None:
        self.request: Request | None = None
        self.model = HandModel(self._take)

    def _take(self, request: Request) -> None:
        self.request = request

    def show(self, shell: Any, head: str, question: str) -> None:
        """Show the prompt, and open a cell with the options and the question of this one."""
        if self.request is None:
            return
        prompt = visible_lines(prompt_text(self.request))
        page = f"<details open><summary>{escape(HINT)}</summary><pre>{escape(prompt)}</pre></details>"
        display({"text/plain": f"{prompt}\n\n{HINT}", "text/html": f'<div class="mathjax_ignore">{page}</div>'})
        shell.set_next_input(plan_cell(head, question))


def plan_cell(head: str, question: str) -> str:
    """Return the cell to open: `%%plan` with the options and, on one line, the question of the first cell."""
    asked = _WORDS.sub(" ", question).strip()
    mark = "-- " if asked.startswith("-") else ""
    return " ".join(part for part in ("%%plan", head, mark + asked) if part) + "\n"
