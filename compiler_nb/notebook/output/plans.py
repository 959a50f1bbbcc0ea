"""The text of a run's plans as a page shows it: folded, each line unbroken and with the mark of its tasks."""

from __future__ import annotations

from html import escape
from typing import Final

from compiler_nb.drawing.boxes import URGENT, shown_state
from compiler_nb.drawing.graph import guarded_calls
from compiler_nb.drawing.text import MARKS
from compiler_nb.notebook.output.values import breakable, inert
from compiler_nb.outcome import State
from compiler_nb.run import Run
from compiler_nb.text import count_of, visible
from compiler_nb.trace import Progress, Round, role_of

LINES: Final = 500
"""Lines of a plan that are shown; the others are counted."""
STYLE: Final = (
    ".cnb-out details.cnb-plan{margin:.4em 0;font-size:.95em}.cnb-out .cnb-plan>summary{cursor:pointer;opacity:.72}"
    ".cnb-out .cnb-lines{margin:.3em 0;white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.5;font-size:12px}"
    ".cnb-out .cnb-lines .cnb-line{color:inherit;background:none}"
    # JupyterLab has rules for code of its own, which these outweigh: else the marks hang out of sight
    ".cnb-out pre.cnb-lines code.cnb-line{display:block;padding-left:2.2em;text-indent:-2.2em}"
    ".cnb-out .cnb-line::before{content:' ';display:inline-block;width:2.2em;text-indent:0;font-weight:700}"
    + "".join(
        f".cnb-out .cnb-line.cnb-{state}::before{{content:'{mark}';color:var(--cnb-{state},inherit)}}"
        for state, mark in MARKS.items()
    )
    + ".cnb-out .cnb-blame{display:block;padding-left:2.2em;color:var(--cnb-failed,#c8400a)}"
    "@media print{.cnb-out details::details-content{content-visibility:visible;block-size:auto}}"
)
"""A mark is no part of a line's text, so that what is copied is the plan."""


def plans_html(run: Run) -> str:
    """Return the texts of all plans of a run, the first round's first; "" if there are none."""
    progress = run.progress
    with progress.lock:
        texts = [(each, _lines(each, progress)) for each in progress.rounds if each.text.strip()]
        calls = [call for call in progress.calls.values() if not call.task and role_of(call) == "planner"]
    written = {call.round: call.held and f", {escape(call.held)}" for call in calls}  # of each round the last one's
    if not texts:
        return ""
    many = len(texts) > 1
    count = sum(len(each.text.strip().splitlines()) for each, _ in texts)
    about = f"{count_of(len(texts), 'plan')}, " if many else "plan, "
    body = ""
    for each, lines in texts:
        why = f": {inert(each.reason)}" if each.reason else ""
        body += f"<p>round {each.number + 1}{why}{written.get(each.number, '')}</p>" if many else ""
        body += f"<pre class='cnb cnb-lines'>{''.join(lines)}</pre>"
    how = "" if many else written.get(texts[0][0].number, "")
    return f'<details class="cnb-plan"><summary>{about}{count_of(count, "line")}{how}</summary>{body}</details>'


def _lines(text: Round, progress: Progress) -> list[str]:
    """Return a plan's lines as HTML."""
    lines = text.text.rstrip().replace("\r\n", "\n").split("\n")
    marks = _marks(text, progress)
    blames: dict[int, list[str]] = {}
    for problem in text.problems:
        blames.setdefault(problem.line, []).append(problem.message)
    shown = []
    for number, line in enumerate(lines[:LINES], 1):
        kind = f" cnb-{marks[number]}" if number in marks else ""
        shown.append(f'<code class="cnb-line{kind}">{_source(line)}\n</code>')
        shown += [f'<span class="cnb-blame">{escape(visible(message))}\n</span>' for message in blames.get(number, ())]
    more = [f"… {len(lines) - LINES:,} more lines"] if len(lines) > LINES else []
    return shown + more


def _source(line: str) -> str:
    return "<wbr>".join(map(escape, breakable(visible(line))))


def _marks(text: Round, progress: Progress) -> dict[int, State]:
    """Return the state of each line: the most urgent one that the boxes of its tasks show."""
    tasks = [task for task in text.plan or () if task.id in progress.states]
    calls = guarded_calls(tasks)
    inner = {each.id for held in calls.values() for each in held}
    found: dict[int, set[State]] = {}
    for task in tasks:
        if task.id not in inner:
            state = shown_state(task.id, [each.id for each in calls.get(task.id, ())], progress.states)
            found.setdefault(task.line, set()).add(state)
    return {line: next(state for state in URGENT if state in states) for line, states in found.items()}
