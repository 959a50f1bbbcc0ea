"""A comparison of two runs as a page: its headline, both plans as one picture, tasks, answers, figures, timelines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from compiler_nb.diff import words
from compiler_nb.diff.asked import AskedDiff
from compiler_nb.diff.compared import TaskComparison
from compiler_nb.diff.run_diff import RunDiff
from compiler_nb.models.secret import mask
from compiler_nb.notebook.output import answer as answers
from compiler_nb.notebook.output.page import page_of, picture_html
from compiler_nb.notebook.output.values import inert, table_html, timed
from compiler_nb.prompts.changes import changes
from compiler_nb.text import cut, visible

ROWS: Final = 60
"""Tasks that are listed; the others are counted."""
_CELL: Final = 160
_STYLE: Final = (
    ".cnb-out .cnb-told{font-weight:600}.cnb-out .cnb-two{display:grid;grid-template-columns:1fr 1fr;gap:1.2em}"
    ".cnb-out .cnb-two>div{min-width:0;overflow-wrap:anywhere}.cnb-out .cnb-two h4{margin:.2em 0;font-size:1em}"
    # JupyterLab has rules for cells of its own, which these outweigh: else all stands at the right
    ".cnb-out .cnb-wide{overflow-x:auto}.cnb-out .cnb-wide td:first-child{font-weight:700}"
    ".cnb-out.cnb-out .cnb-wide tr>*{text-align:left;vertical-align:top}"
    ".cnb-out del,.cnb-out .cnb-minus{color:var(--cnb-failed,#c8400a);background:#c8400a1c}"
    ".cnb-out ins,.cnb-out .cnb-plus{color:var(--cnb-done,#0b7f5f);background:#0b7f5f1c;text-decoration:underline}"
    ".cnb-out .cnb-minus,.cnb-out .cnb-plus{text-decoration:none}"
    ".cnb-out summary{cursor:pointer}"
)


def diff_page(found: RunDiff) -> str:
    """Return a comparison as a page."""
    parts = [
        f"<style>{_STYLE}</style>",
        *_question(found),
        f'<p class="cnb-told">{_names(found)}: {inert(words.headline(found))}</p>',
        *(f'<p class="cnb-footer">{inert(f"note: {note}")}</p>' for note in found.notes),
        _asked(found.asked),
        *(picture_html(found.visualize(), found.text, "both plans") if found.tasks else ()),
        _tasks(found),
        _answers(found),
        _figures(found),
        _timelines(found),
    ]
    return mask(page_of(parts), found.secrets)


def _names(found: RunDiff) -> str:
    return inert(f"{found.names[0]} → {found.names[1]}")


def _question(found: RunDiff) -> list[str]:
    if found.before.question != found.after.question or not found.before.question:
        return []
    return [f'<p class="cnb-question">{inert(cut(found.before.question, 2_000))}</p>']


def _asked(asked: Iterable[AskedDiff]) -> str:
    """Return what the runs were asked differently; the lines of prompts are folded."""
    lines = []
    for each in asked:
        if not each.lines:
            told = f"{inert(each.what)}: <del>{inert(each.before)}</del> → <ins>{inert(each.after)}</ins>"
            lines.append(f"<p class='cnb'>{told}</p>")
            continue
        shown = "\n".join(_signed(line) for line in each.lines[: words.LINES])
        more = f"\n… {len(each.lines) - words.LINES:,} more lines" if len(each.lines) > words.LINES else ""
        about = inert(words.prompt_words(each))
        lines.append(f"<details class='cnb' open><summary>{about}</summary><pre>{shown}{more}</pre></details>")
    return f"<p><b>asked differently</b></p>{''.join(lines)}" if lines else ""


def _signed(line: str) -> str:
    return f'<span class="cnb-{"plus" if line.startswith("+") else "minus"}">{inert(visible(line))}</span>'


def _tasks(found: RunDiff) -> str:
    """Return the tasks of which there is something to tell, as a table."""
    told = words.told_tasks(found)
    rows = [_task(task) for task in told[:ROWS]]
    more = f"… {len(told) - ROWS:,} more tasks" if len(told) > ROWS else ""
    table = table_html(["", "task", "line", "value"], rows, more) if rows else ""
    edges = "".join(f"<p>{inert(line)}</p>" for line in words.edge_words(found))
    return f'<div class="cnb-wide">{table}</div>{edges}' if table or edges else ""


def _task(task: TaskComparison) -> list[str]:
    cells = (task.plan.names, words.line_words(task), words.value_words(task))
    return [inert(words.MARKS[task.kind]), *(inert(cut(cell, _CELL)) for cell in cells)]


# ---------------------------------------------------------------- answers


def _answers(found: RunDiff) -> str:
    """Return both answers side by side, with the words of texts that differ marked."""
    sides, kind = (found.before, found.after), found.answer.kind
    if not found.answer.before and not found.answer.after:
        return ""
    if kind == "same":
        return f"<p><b>the answer of both</b></p>{answers.to_html(found.after.answer)}"
    texts = words.answer_texts(found)
    shown = (
        marked_texts(*texts)
        if texts is not None
        else [answers.to_html(run.answer) if run.answer is not None else "<p>no answer</p>" for run in sides]
    )
    cells = "".join(f"<div><h4>{inert(name)}</h4>{html}</div>" for name, html in zip(found.names, shown, strict=True))
    places = "".join(f"<p>{inert(place)}</p>" for place in found.answer.places)
    note = f"<p>{inert(found.answer.words)}</p>" if kind == "unknown" else ""
    return f'<p><b>answers</b></p><div class="cnb cnb-two">{cells}</div>{places}{note}'


def marked_texts(before: str, after: str) -> list[str]:
    """Return two texts as HTML; words that are only in one of them are marked."""
    sides = {"-": "", "+": ""}
    for mark, text in changes(before[: answers.LIMIT], after[: answers.LIMIT]):
        html = "<br>".join(map(inert, text.split("\n")))
        for side, name in (("-", "del"), ("+", "ins")):
            if mark in (side, " "):
                sides[side] += html if mark == " " else f"<{name}>{html}</{name}>"
    return [f"<p>{side}</p>" for side in sides.values()]


# ---------------------------------------------------------------- figures and times


def _figures(found: RunDiff) -> str:
    """Return the figures that differ as a table, and the others in one line."""
    rows = [list(_figure(row)) for row in words.figure_rows(found) if row.differs]
    table = table_html(["", *map(inert, found.names)], rows)
    same = words.same_figures(found)
    return f'<div class="cnb-wide">{table}</div>' + (f"<p>{inert(f'the same: {same}')}</p>" if same else "")


def _figure(row: words.FigureRow) -> Iterator[str]:
    yield inert(row.name)
    yield from ((timed if row.is_time else inert)(text) for text in (row.before, row.after))


def _timelines(found: RunDiff) -> str:
    if not any(task.seconds != (None, None) for task in found.tasks):
        return ""
    drawn = "".join(picture_html(found.timeline(), name="both timelines", kind="cnb-flat cnb-time"))
    return f"<details open><summary>{escape('when what ran')}</summary>{drawn}</details>"
