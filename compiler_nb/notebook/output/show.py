"""What a run shows: one output that reads the same in a live page, a saved notebook, an untrusted one, and as text.

Theory of operation
    One display holds four forms. `text/html` is what pages show: question, answer, picture, footer. Its picture stands
    in it twice: inline, where hover texts and the page's theme work, and as an image. A page that does not trust the
    notebook strips the inline one down to its words, and the style sheet with it: what the style sheet then no longer
    uncovers stays `hidden`, and what it no longer hides, the image, is seen. `image/svg+xml` and `image/png` are the
    picture for programs that take only pictures; `text/plain` is the same from run to run: no times, no ids.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Sequence
from html import escape
from typing import Any, Final, NamedTuple, TypeVar

from compiler_nb.drawing.picture import Picture
from compiler_nb.drawing.preferences import Engine
from compiler_nb.drawing.scene import shown_plan
from compiler_nb.drawing.svg import draw
from compiler_nb.drawing.text import plan_text
from compiler_nb.models.providers import known_secrets
from compiler_nb.models.secret import mask, mask_all
from compiler_nb.notebook.output import answer as answers
from compiler_nb.notebook.output import plans, values
from compiler_nb.notebook.output.answer import has_answer
from compiler_nb.notebook.output.failed import places
from compiler_nb.notebook.output.footer import footer_html, footer_of, footer_parts
from compiler_nb.notebook.output.page import note_html, page_of, picture_html, preformatted
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.run import Run
from compiler_nb.text import count_of, cut, visible, visible_lines

T = TypeVar("T")
Bundle = dict[str, Any]
"""Data by MIME type."""
MESSAGE: Final = 1_000
NOTE: Final = 240
"""Characters of a warning, and of why the plan's own answer failed."""
NOTES: Final = 3
"""Notes on a plan's text that are shown; the others are counted."""
DEFAULT_VIEWS: Final = ("graph",)
_OUTPUT: Final = ".jp-OutputArea-child:has(.cnb-still)"
_STILL: Final = (
    f"{_OUTPUT}:has(+ .jp-OutputArea-child .cnb-live){{display:none}}"
    f"{_OUTPUT} + .jp-OutputArea-child:not(:has(.cnb-live)){{display:none}}"
    "@supports not selector(:has(a))"
    "{.jp-OutputArea-child + .jp-OutputArea-child > .lm-Panel.jp-OutputArea-output{font-size:0}}"
)
"""Of the still picture and the live view below it one is seen; a view that is not found says so, and is hidden.

If a page's style sheets have no `:has`, the view itself hides the picture; and bare text in the place of a view, by
which JupyterLab says that it is not found, has no size (a view has sizes of its own).
"""


class Look(NamedTuple):
    """How runs are shown: the views, what lays out the picture, and whether times are shown."""

    views: tuple[str, ...] = DEFAULT_VIEWS
    layout: Engine = "auto"
    times: bool = True
    quiet: bool = False


def bundle(run: Run, binding: Binding, look: Look = Look(), *, raises: bool = False) -> Bundle:  # noqa: B008 - it cannot be changed
    """Return what a run shows, by MIME type; raises: whether an error below it says why there is no answer."""
    hide, tasks = functools.partial(mask, secrets=run.settings.secrets), plain_tasks(run)
    drawn = run.visualize(look.layout, times=look.times) if tasks and "graph" in look.views else None
    times = run.timeline() if tasks and look.times and "timeline" in look.views else None
    table = _table(run) if tasks and "none" not in look.views else ""
    texts = (
        visible_lines(run.question), table, *answer_texts(run, raises=raises), visible_lines(_replaced(run)),
        "\n".join(notes_on(run)), footer_of(run, binding, times=False),
    )  # fmt: skip
    data: Bundle = {
        "text/plain": hide("\n\n".join(part for part in texts if part)),
        "text/html": hide(_html(run, binding, look, drawn, times, table, raises=raises)),
    }
    if shown := drawn or times:
        data["image/svg+xml"] = shown.svg
    if drawn and (png := drawn.steady_png()):
        data["image/png"] = base64.b64encode(png).decode()
    return data


def still(run: Run, look: Look) -> Bundle:
    """Return what stands above a live view and is seen only if that is not: in a notebook reopened without a kernel."""
    data = bundle(run, Binding(), look)
    page = f'<div class="cnb-still" data-run="{escape(run.id)}"><style>{_STILL}</style>{data["text/html"]}</div>'
    return {**data, "text/html": page}


def plan_bundle(plan: Plan, look: Look, last: str = "") -> Bundle:
    """Return what a plan shows that has not been run, by MIME type; last: the line below it."""
    drawn, notes = draw(plan, engine=look.layout), _listed_notes(plan.notes)
    page = [*picture_html(drawn), *(note_html(line) for line in (*notes, last) if line)]
    text = "\n\n".join(part for part in (plan_text(plan), "\n".join(notes), last) if part)
    data = {"text/plain": text, "text/html": page_of(page), "image/svg+xml": drawn.svg}
    masked: Bundle = mask_all(data, known_secrets())
    return masked


def plan_page(plan: Plan) -> str:
    """Return a plan as a page: its picture, where its text was not read as it is written, and the text."""
    notes = [note_html(line) for line in _listed_notes(plan.notes)]
    text = (
        f"<details open><summary>{count_of(len(plan), 'task')}</summary><pre>{preformatted(repr(plan))}</pre></details>"
    )
    return mask(page_of([*picture_html(draw(plan)), *notes, text]), known_secrets())


def plain_tasks(run: Run) -> tuple[Task, ...]:
    """Return the tasks of a run without the items of fan-outs."""
    return tuple(task for task in run.progress.tasks.values() if not task.owner)


def _table(run: Run) -> str:
    """Return the tasks as an aligned table, with the plan's last line, and what they cost if they are not free."""
    progress = run.progress
    costs = {id_: cost.money for id_, cost in progress.costs.tasks.items() if cost.money}
    return plan_text(
        shown_plan(plain_tasks(run), run.plan), progress.states, progress.outcomes, progress.given, costs,
        items={id_: str(progress.tallies.items(id_)) for id_ in progress.tallies.fanouts},
    )  # fmt: skip


# ---------------------------------------------------------------- words


def outcome_text(run: Run) -> str:
    """Return why a run has no answer, or "" if it has one or is still running."""
    if run.status in ("done", "running"):
        return ""
    told = mask(run.error[:MESSAGE], run.settings.secrets) if run.status != "cancelled" else ""
    return f"{run.status}: {told}" if told else run.status


def notes_on(run: Run) -> list[str]:
    """Return where the texts of a run's plans were not read as they are written, a line each."""
    many = len(run.rounds) > 1
    plans = [(f"round {number}, " if many else "", each.plan) for number, each in enumerate(run.rounds, 1)]
    return _listed_notes([f"{where}{note}" for where, plan in plans if plan is not None for note in plan.notes])


def _listed_notes(notes: Sequence[str]) -> list[str]:
    more = [f"note: {len(notes) - NOTES:,} more on the plan's text"] if len(notes) > NOTES else []
    return [*(f"note: {visible(note)}" for note in notes[:NOTES]), *more]


def _warnings(run: Run) -> list[str]:
    found = dict.fromkeys(message for messages in run.progress.warnings.values() for message in messages)
    return [cut(message, NOTE) for message in found][:3]


def answer_texts(run: Run, *, raises: bool = False) -> list[str]:
    """Return why a run has no answer, its answer, and where its tools failed; each may be missing.

    raises: whether an error says the first and the last.
    """
    error, where = ("", "") if raises else (visible_lines(outcome_text(run)), "\n".join(places(run)))
    texts = [error, answers.to_text(run.answer) if has_answer(run) else "", _incomplete(run), where]
    return [text for text in texts if text]


def _incomplete(run: Run) -> str:
    """Return what the answer lacks: its end, or items that the run went without."""
    return visible_lines(answers.note_of(run.progress))


def _replaced(run: Run) -> str:
    """Return why the plan's own answer could not be evaluated, if the run has another; "" otherwise."""
    failure = run.failures.get("answer")
    return f"note: the plan's answer failed: {cut(str(failure), NOTE)}" if failure and has_answer(run) else ""


# ---------------------------------------------------------------- the page


def _html(  # noqa: PLR0917 - the parts of the page
    run: Run, binding: Binding, look: Look, drawn: Picture | None, times: Picture | None, table: str, *, raises: bool
) -> str:
    parts = [f'<p class="cnb-question">{values.inert_lines(run.question)}</p>'] if run.question else []
    if has_answer(run):
        parts.append(f'<div class="cnb-answer">{answers.to_html(run.answer)}</div>')
    if incomplete := _incomplete(run):
        parts.append(note_html(incomplete))
    if not raises:
        parts.append(_error_html(run))
    if drawn is not None:
        sides = [*picture_html(drawn, table), plans.plans_html(run)]
        parts.append(f'<div class="cnb-sides">{"".join(sides)}</div>')
    if not raises and has_answer(run):
        parts.append(_places_html(run))
    if times is not None:
        parts += picture_html(times, name="the timeline", kind="cnb-flat cnb-time")
    if "table" in look.views and table:
        parts.append(f"<pre>{preformatted(table)}</pre>")
    parts += map(note_html, filter(None, [_replaced(run), *notes_on(run)]))
    warnings = _warnings(run) if look.times else []  # how long a tool held the loop, and the like
    parts += (f'<p class="cnb-footer cnb-time">note: {values.inert(warning)}</p>' for warning in warnings)
    return page_of([*parts, footer_html(footer_parts(run, binding, times=look.times))])


def _error_html(run: Run) -> str:
    """Return why a run has no answer, and where in the user's own code tools failed; "" of one that has answered."""
    status, colon, reason = outcome_text(run).partition(":")
    error = f'<p class="cnb-error"><b>{escape(status)}</b>{values.inert_lines(colon + reason)}</p>' if status else ""
    return error if has_answer(run) else error + _own_lines(run)


def _places_html(run: Run) -> str:
    """Return where tools failed whose failures have not kept the run from answering, folded."""
    lines = _own_lines(run)
    return f'<details class="cnb-footer"><summary>where tools failed</summary>{lines}</details>' if lines else ""


def _own_lines(run: Run) -> str:
    return "".join(f'<pre class="cnb-error">{values.inert_code(place)}</pre>' for place in places(run))


# ---------------------------------------------------------------- keys


def without_keys(content: T, run: Run) -> T:
    """Return plain JSON data without any piece of a key in its texts; the same object if there is no key in it.

    A tool may return or raise a key, and pages are saved and shared.
    """
    secrets = run.settings.secrets
    if not secrets:
        return content
    text = json.dumps(content, ensure_ascii=False)
    masked: T = content if mask(text, secrets) == text else mask_all(content, secrets)
    return masked
