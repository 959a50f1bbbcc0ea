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
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final, NamedTuple, TypeVar

from compiler_nb.drawing.picture import Picture
from compiler_nb.drawing.preferences import PREFERENCES, Engine
from compiler_nb.drawing.scene import shown_plan
from compiler_nb.drawing.svg import draw
from compiler_nb.drawing.text import plan_text
from compiler_nb.engine.session import STILL_RUNS
from compiler_nb.models.secret import mask, mask_all
from compiler_nb.notebook.output import answer as answers
from compiler_nb.notebook.output import plans, values
from compiler_nb.notebook.output.failed import places
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.outcome import CACHED, FOLLOWED, NOT_REPEATED, PINNED, is_followed
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task, is_part, owner_of
from compiler_nb.run import Run
from compiler_nb.text import count_of, cut, seconds_text, visible, visible_lines
from compiler_nb.trace import role_of, sent_in_part

T = TypeVar("T")
Bundle = dict[str, Any]
"""Data by MIME type."""
NAMES: Final = 12
TIMED: Final = 2_000
"""Most tasks of a run of which the last line says how long it would have taken in other ways."""
LINE, SHORT = 120, 30
"""Characters of the last line, without its times, that a wide page shows in one line; and a narrow one."""
REASON: Final = 120
MESSAGE: Final = 1_000
NOTES: Final = 3
"""Notes on a plan's text that are shown; the others are counted."""
FLAT: Final = 60_000
"""A longer picture (in characters) is not repeated as an image; its table stands in for it."""
LEAST: Final = 0.7
"""How small a picture is shown at least, where a page has little room."""
DEFAULT_VIEWS: Final = ("graph",)
_STYLE: Final = (
    ".cnb-out{line-height:1.45;max-width:1900px;container:cnb-out/inline-size}.cnb-out p{margin:.35em 0}"
    ".cnb-out>:not(.cnb-sides){max-width:1100px}"
    "@container cnb-out (min-width:1250px){.cnb-out .cnb-sides{display:grid;gap:28px;align-items:start;"
    "grid-template-columns:fit-content(62%) minmax(320px,1fr)}.cnb-out .cnb-sides>.cnb-plan>summary{list-style:none;"
    "pointer-events:none}.cnb-out .cnb-sides>.cnb-plan::details-content{content-visibility:visible;block-size:auto}}"
    ".cnb-out .cnb-question{opacity:.72;border-left:3px solid #8792a2;padding-left:.7em;margin-bottom:.6em}"
    ".cnb-out .cnb-answer{margin:.4em 0 .6em;font-size:1.08em;overflow-x:auto}"
    ".cnb-out p.cnb-error.cnb-error,.cnb-out pre.cnb-error.cnb-error{border-left:3px solid #c8400a;padding-left:.7em;"
    "white-space:pre-wrap}"
    # JupyterLab breaks errors, which stand in the output below ours, within words
    ".jp-OutputArea:has(.cnb-out) [data-mime-type$=stderr] pre{word-break:normal;overflow-wrap:anywhere}"
    ".cnb-out pre,.cnb-out pre.cnb-error,.cnb-out pre.cnb-lines{overflow-wrap:anywhere;word-break:normal}"
    ".cnb-out .cnb-inline{display:block!important;margin:.5em 0;overflow-x:auto}.cnb-out .cnb-flat{display:none}"
    "@media screen{.cnb-out .cnb-inline>svg{min-width:var(--cnb-least,0)}}"
    ".cnb-out .cnb-footer{opacity:.72;font-size:.9em}"
    ".cnb-out .cnb-footer>summary>span{display:inline-block;max-width:100%;white-space:pre-wrap}"
    ".cnb-out details.cnb-footer:not([open])>summary{height:1.45em;overflow:hidden}"
    "@container cnb-out (min-width:860px){.cnb-out .cnb-brief:not([open])>summary{list-style:none;pointer-events:none}}"
    ".cnb-out table{border-collapse:collapse;margin:.3em 0;font-size:inherit}"
    # JupyterLab's own rules for tables are outweighed: they set all cells to the right
    ".cnb-out.cnb-out table :is(th,td){padding:.15em .8em .15em 0;text-align:left;border-bottom:1px solid #8792a255}"
    ".cnb-out.cnb-out table .cnb-number{text-align:right}" + plans.STYLE
)


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
        "\n".join(notes_on(run)), footer(run, binding, times=False),
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
    page = [*picture_html(drawn), *(_note_html(line) for line in (*notes, last) if line)]
    text = "\n\n".join(part for part in (plan_text(plan), "\n".join(notes), last) if part)
    return {"text/plain": text, "text/html": page_of(page), "image/svg+xml": drawn.svg}


def plan_page(plan: Plan) -> str:
    """Return a plan as a page: its picture, where its text was not read as it is written, and the text."""
    notes = [_note_html(line) for line in _listed_notes(plan.notes)]
    text = f"<details open><summary>{count_of(len(plan), 'task')}</summary><pre>{_pre(repr(plan))}</pre></details>"
    return page_of([*picture_html(draw(plan)), *notes, text])


def table_page(names: Sequence[str], rows: Iterable[Sequence[str]], note: str = "") -> str:
    """Return rows of texts as a page, with a note below."""
    lines = f'<div style="white-space:nowrap;overflow-x:auto">{values.table(names, rows, "")}</div>'
    return page_of([lines, _note_html(note) if note else ""])


def plain_tasks(run: Run) -> tuple[Task, ...]:
    """Return the tasks of a run without the items of fan-outs."""
    return tuple(task for task in run.progress.tasks.values() if not task.owner)


def _table(run: Run) -> str:
    """Return the tasks as an aligned table, with the plan's last line, and what they cost if they are not free."""
    progress = run.progress
    costs = {id_: cost.money for id_, cost in progress.costs.tasks.items() if cost.money}
    return plan_text(
        shown_plan(plain_tasks(run), run.plan), progress.states, progress.outcomes, progress.given, costs,
        items={id_: progress.items_words(id_) for id_ in list(progress.items_ended)},
    )  # fmt: skip


# ---------------------------------------------------------------- words


class Noted(NamedTuple):
    """A part of the last line, and whether it is a time: those differ from run to run, and are marked in pages.

    brief: what stands for it in a line that is too long for one line of a page, "" for the text itself.
    """

    text: str
    is_time: bool = False
    brief: str = ""


def footer(run: Run, binding: Binding, *, times: bool) -> str:
    """Return the last line: how much work it was, and what became of the variables."""
    return " · ".join(part.text for part in _footer(run, binding, times=times))


def _footer(run: Run, binding: Binding, *, times: bool) -> list[Noted]:
    used, warnings, waited = run.usage, run.progress.warnings.values(), dict(run.progress.waited)
    left = sum(message.endswith(STILL_RUNS) for messages in warnings for message in messages)
    kept = [id_ for id_, end in list(run.progress.ends.items()) if end.how.startswith(NOT_REPEATED)]
    named: dict[str, Sequence[str]] = {
        PINNED: [id_ for id_, end in list(run.progress.ends.items()) if end.how == PINNED],
        "not pinned": [f"{id_} (no such item)" for id_ in _unheard(run)],
        NOT_REPEATED: kept,
        "not run again": _with_items(run.progress.kept),
        "from the cache": _cached(run),
        "sent in part": sent_in_part(list(run.progress.calls.values())),
        f"{FOLLOWED} {run.after}" if times else "from an earlier run": _followed(run),
        "bound": binding.bound,
        "not bound": [f"{name} ({cut(_reason(reason, run.error), REASON)})" for name, reason in binding.kept],
        "deleted": [f"{name} (stale)" for name in binding.deleted],
    }
    took = run.times().short if times and len(run.progress.tasks) <= TIMED else seconds_text(run.seconds)
    parts = [
        Noted(count_of(run.progress.counted().all, "task")),
        *([Noted(f"answer as {run.answer_type}{_asked_again(run)}")] if run.answer_type else []),
        *([Noted(count_of(len(run.rounds), "round"))] if len(run.rounds) > 1 else []),
        Noted(took, is_time=True),
        *([Noted(run.progress.where, is_time=True)] if run.progress.where else []),  # as machines differ, too
        *(map(Noted, _spent(run)) if used.calls else ()),
        *([Noted(f"{count_of(left, 'call')} could not be stopped")] if left else []),
        *(Noted(f"waited {seconds_text(took)} for {name}", is_time=True) for name, took in waited.items() if took >= 1),
        *(map(Noted, run.words().providers(left=times)) if run.status == "running" else ()),
        *(Noted(f"{what}: {_listed(each)}", brief=f"{what}: {len(each):,}") for what, each in named.items() if each),
    ]
    return [part for part in parts if times or not part.is_time]


def _asked_again(run: Run) -> str:
    """Return that the first answer was of another type, if another one followed."""
    return " (the first one was not)" if run.progress.refused and has_answer(run) else ""


def _spent(run: Run) -> list[str]:
    """Return what the calls of models cost: tokens, and each role's share of the dollars, if they are not free."""
    costs = run.costs()
    shares = str(costs) if costs.total.dollars and len(costs.roles) > 1 else costs.total.money
    return [costs.total.tokens, *([shares] if shares else [])]


def _unheard(run: Run) -> list[str]:
    """Return the items to which the user gave values and that do not exist; a run from a history has warnings alone."""
    return run.order.past.unheard(run.progress) if run.status != "running" else []


def _cached(run: Run) -> list[str]:
    """Return what the cache knew: the plan, the answer, tasks, and how many items of fan-outs."""
    progress = run.progress
    known = {role_of(call): call for call in list(progress.calls.values()) if not call.task and call.saved is not None}
    ids = [id_ for id_, end in list(progress.ends.items()) if end.how == CACHED]
    return [*("the plan" if role == "planner" else "the answer" for role in known), *_with_items(ids)]


def _with_items(ids: Iterable[str]) -> list[str]:
    """Return tasks by their names, and of fan-outs how many items are among them."""
    items = Counter(owner_of(id_) for id_ in ids if not is_part(id_))
    return [
        *(id_ for id_ in ids if not owner_of(id_)),
        *(f"{owner} ({count_of(count, 'item')})" for owner, count in items.items() if owner and owner not in ids),
    ]


def _followed(run: Run) -> list[str]:
    """Return what it has of the run that it follows, or of those before that."""
    ends = list(run.progress.ends.items())
    return [id_ for id_, end in ends if is_followed(end.how) and not owner_of(id_)]


def _footer_html(parts: Sequence[Noted]) -> str:
    """Return the last line as HTML, which is one line on every page; what it has no room for is folded.

    On a narrow page its last parts are folded, each as a whole; one that is too long for a wide page has numbers, and
    the names folded below.
    """
    length = sum(len(part.text) + 3 for part in parts if not part.is_time)
    if length <= SHORT:
        return f'<p class="cnb-footer">{_line(parts)}</p>'
    if length <= LINE:
        return f'<details class="cnb-footer cnb-brief"><summary>{_line(parts, folds=True)}</summary></details>'
    line = _line([part._replace(text=part.brief or part.text) for part in parts], folds=True)
    names = "".join(f"<p>{values.inert(part.text)}</p>" for part in parts if part.brief)
    return f'<details class="cnb-footer"><summary>{line}</summary>{names}</details>'


def _line(parts: Iterable[Noted], *, folds: bool = False) -> str:
    """Return parts as one line of HTML; what takes the times out takes their dots, too.

    folds: whether a page may fold it, between its parts.
    """
    dotted = [part._replace(text=f" · {part.text}" if number else part.text) for number, part in enumerate(parts)]
    plain = [f"<span>{values.inert(each.text)}</span>" if folds else values.inert(each.text) for each in dotted]
    return "".join(values.timed(each.text) if each.is_time else told for each, told in zip(dotted, plain, strict=True))


def _reason(reason: str, told: str) -> str:
    """Return why a variable is not bound, without a message that the run's error says already."""
    kind, _, message = reason.partition(": ")
    return kind if kind == "failed" and message in told else reason


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMES]) + (f", … {len(names) - NAMES:,} more" if len(names) > NAMES else "")


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


def _note_html(text: str) -> str:
    return f'<p class="cnb-footer">{values.inert(text)}</p>'


def _warnings(run: Run) -> list[str]:
    found = dict.fromkeys(message for messages in run.progress.warnings.values() for message in messages)
    return [cut(message, REASON * 2) for message in found][:3]


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
    return f"note: the plan's answer failed: {cut(str(failure), REASON * 2)}" if failure and has_answer(run) else ""


def has_answer(run: Run) -> bool:
    """Whether a run has answered; one that was stopped may have, and one that only made a plan has not."""
    return run.answer is not None or (run.status == "done" and any(each.decision for each in run.rounds))


# ---------------------------------------------------------------- the page


def _html(  # noqa: PLR0917 - the parts of the page
    run: Run, binding: Binding, look: Look, drawn: Picture | None, times: Picture | None, table: str, *, raises: bool
) -> str:
    parts = [f'<p class="cnb-question">{values.inert_lines(run.question)}</p>'] if run.question else []
    if has_answer(run):
        parts.append(f'<div class="cnb-answer">{answers.to_html(run.answer)}</div>')
    if incomplete := _incomplete(run):
        parts.append(_note_html(incomplete))
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
        parts.append(f"<pre>{_pre(table)}</pre>")
    parts += map(_note_html, filter(None, [_replaced(run), *notes_on(run)]))
    warnings = _warnings(run) if look.times else []  # how long a tool held the loop, and the like
    parts += (f'<p class="cnb-footer cnb-time">note: {values.inert(warning)}</p>' for warning in warnings)
    return page_of([*parts, _footer_html(_footer(run, binding, times=look.times))])


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


def _pre(text: str) -> str:
    """Return preformatted text as HTML."""
    return "\n".join(map(values.inert, text.split("\n")))


def picture_html(drawn: Picture, table: str = "", name: str = "the plan", kind: str = "cnb-flat") -> list[str]:
    """Return a picture as HTML; name: what it shows; kind: the classes of the text that stands in for a large image."""
    flat = f'<pre class="{kind}">{_pre(table or drawn.text)}</pre>'
    if len(drawn.svg) <= FLAT:
        data = base64.b64encode(drawn.svg.encode()).decode()
        flat = f'<img class="cnb-flat" alt="{name}" src="data:image/svg+xml;base64,{data}">'
    least = f"--cnb-least:{LEAST * drawn.width:.0f}px"  # in less room it scrolls
    return [f'<div class="cnb-inline" hidden="hidden" style="{least}">{drawn.svg}</div>', flat]


def page_of(parts: Iterable[str]) -> str:
    """Return parts of HTML as a page with our styles; empty ones are left out."""
    body = "\n".join(part for part in parts if part)
    scale = PREFERENCES.scale
    size = "" if scale == 1 else f' style="font-size:{100 * scale:g}%"'
    return f'<div class="cnb-out mathjax_ignore tex2jax_ignore"{size}><style>{_STYLE}</style>\n{body}\n</div>'


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
