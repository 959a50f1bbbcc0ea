"""The last line of a run: how much work it was, and what became of the variables; as text, and as HTML that folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from compiler_nb.engine.session import STILL_RUNS
from compiler_nb.notebook.output import values
from compiler_nb.notebook.output.answer import has_answer
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.outcome import CACHED, FOLLOWED, NOT_REPEATED, PINNED, is_followed
from compiler_nb.plan.task import is_part, owner_of
from compiler_nb.run import Run
from compiler_nb.text import count_of, cut, seconds_text
from compiler_nb.trace import role_of, sent_in_part

NAMES: Final = 12
TIMED: Final = 2_000
"""Most tasks of a run of which the last line says how long it would have taken in other ways."""
LINE, SHORT = 120, 30
"""Characters of the last line, without its times, that a wide page shows in one line; and a narrow one."""
REASON: Final = 120


class Noted(NamedTuple):
    """A part of the last line, and whether it is a time: those differ from run to run, and are marked in pages.

    brief: what stands for it in a line that is too long for one line of a page, "" for the text itself.
    """

    text: str
    is_time: bool = False
    brief: str = ""


def footer_of(run: Run, binding: Binding, *, times: bool) -> str:
    """Return the last line: how much work it was, and what became of the variables."""
    return " · ".join(part.text for part in footer_parts(run, binding, times=times))


def footer_parts(run: Run, binding: Binding, *, times: bool) -> list[Noted]:
    """Return the parts of the last line; times: also those that differ from run to run."""
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


def footer_html(parts: Sequence[Noted]) -> str:
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
