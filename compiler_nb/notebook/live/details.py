"""All that is known of one task, or of what a role was asked, as inert HTML: arguments, value, error, prompts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from compiler_nb.history.past import repeats
from compiler_nb.notebook.desk import desk_here
from compiler_nb.notebook.output.answer import to_html
from compiler_nb.notebook.output.exchanges import exchange_html
from compiler_nb.notebook.output.values import inert, inert_code, inert_lines
from compiler_nb.notebook.runs import run_before
from compiler_nb.operations.bounds import Scope
from compiler_nb.operations.weights import is_a
from compiler_nb.outcome import NOT_DONE, Failure, Usage, is_lost
from compiler_nb.plan.builder import split_note
from compiler_nb.plan.effects import nature
from compiler_nb.plan.evaluate import evaluate
from compiler_nb.plan.short import shorten_call
from compiler_nb.plan.task import Task, owner_of
from compiler_nb.plan.tree import references
from compiler_nb.run import Run
from compiler_nb.text import count_of, seconds_text, shorten_value
from compiler_nb.trace import (
    Exchange,
    ModelCall,
    Progress,
    Span,
    calls_of,
    cost_of,
    counterpart,
    disclosed,
    exchanges,
    role_of,
)
from compiler_nb.tracebacks import place_of

ARGUMENT: Final = 2_000
"""Characters of an argument that are shown."""
NAMED: Final = 6
"""Most tasks that are named."""
CALLS: Final = 3
"""Calls of models that a task made which are shown; the last ones."""


def details(run: Run, id_: str, refusal: str = "") -> str:
    """Return what is known of a task of a run; refusal: why what a user wanted of it was not done."""
    progress = run.progress
    task, end = progress.tasks[id_], progress.ends.get(id_)
    told = run.words().whole(id_, clock=False)
    parts = [f'<p class="cnb-error">{inert(refusal)}</p>'] if refusal else []
    parts += [*([f"<p>{inert(told)}</p>"] if told else []), f"<pre>{inert_code(shorten_call(task, ARGUMENT))}</pre>"]
    if task.note:
        parts.append(f"<p><i>{inert(task.note)}</i></p>")
    parts += [f"<p>note: {inert(note)}</p>" for note in _notes(run, task)]
    sections = {
        "arguments": _arguments(run, task),
        **(_outcome(end.outcome, told) if end is not None else {}),
        "printed": _printed(progress, id_),
        "attempts": _attempts(progress, id_),
    }
    parts += [f"<h5>{name}</h5>{html}" for name, html in sections.items() if html]
    calls = [call for call in list(progress.calls.values()) if id_ in (call.task, owner_of(call.task))]
    if calls:
        parts.append(f"<p>{count_of(len(calls), 'call')} of a model: {inert(str(cost_of(calls)))}</p>")
    parts += _exchanges(run, [call for call in calls if call.task == id_][-CALLS:])
    return "".join(parts)


def rerun_words(run: Run, id_: str) -> str:
    """Return what a rerun from a task on does: which tasks run again, and which side effects are among them.

    "" if there is nothing to run again: the run goes on, or the task is in none of the plans that a rerun repeats.
    """
    if run.status == "running":
        return ""
    try:
        tasks = repeats(run, id_)
    except KeyError:  # without a whole plan
        return ""
    names = [task.id for task in tasks if not task.owner and task.kind != "expr"] or [task.id for task in tasks]
    if not names:
        return ""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    effects = [each.id for each in tasks if nature(each, run.settings.tools) == "effect"]
    asked = f"; side effects, asked for again only if their arguments changed: {', '.join(effects[:NAMED])}"
    return f"runs again: {', '.join(names[:NAMED])}{more}{asked if effects else ''}"


def _notes(run: Run, task: Task) -> list[str]:
    """Return where a task's line was not read as it is written."""
    plans = [each.plan for each in run.rounds if each.plan is not None and task.id in each.plan]
    noted = map(split_note, plans[0].notes if plans else ())  # a later round repeats a line as it was read
    return [message for line, message in noted if line == task.line]


def _arguments(run: Run, task: Task) -> str:
    """Return the arguments as the tool gets them; those that read what is not there yet, as they are written."""
    if task.kind != "call":
        return ""
    ready = {name: value for name, value in run.progress.outcomes.items() if not is_lost(value)}
    named: list[tuple[str, Any]] = [(str(number), arg) for number, arg in enumerate(task.args, 1)]
    return _rows((name, _resolved(tree, ready, run.inputs)) for name, tree in [*named, *task.kwargs.items()])


def _resolved(tree: Any, values: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    missing = [name for name in references(tree) if name not in values]
    if missing:
        return f"waits for {', '.join(missing[:5])}"
    try:
        return shorten_value(evaluate(tree, Scope(values, inputs)), ARGUMENT)
    except Exception as error:  # noqa: BLE001 - operators of a user's object may raise anything
        return f"cannot be evaluated: {type(error).__name__}"


def _outcome(outcome: Any, told: str) -> dict[str, str]:
    """Return what came of a task, under a heading; of an error only what `told` does not say."""
    if not is_a(outcome, NOT_DONE):
        return {"value": to_html(outcome)}
    if not is_a(outcome, Failure):
        return {}
    message = "" if outcome.message in told else f'<p class="cnb-error">{inert_lines(outcome.message)}</p>'
    partial = to_html(outcome.partial) if outcome.partial is not None else ""
    return {outcome.kind: message + _raised(outcome.traceback) + partial}


def _raised(traceback: str) -> str:
    """Return the line of the user's own code that raised, and the whole traceback folded."""
    place = place_of(traceback)
    if place is None:
        return ""
    own = f"<p>{inert(place.where)}</p><pre>{inert_code(place.code)}</pre>"
    return f"{own}<details><summary>traceback</summary><pre>{inert_lines(traceback)}</pre></details>"


def _printed(progress: Progress, id_: str) -> str:
    text = progress.printed.get(id_, "").removesuffix("\n")
    return f"<pre>{inert_lines(text)}</pre>" if text else ""


def _attempts(progress: Progress, id_: str) -> str:
    """Return a row for each attempt; nothing of a single one that went well."""
    warnings, tried = progress.warnings.get(id_, []), progress.spans.get(id_, [])
    spans = [span for span in tried if span.ended is not None and id_ not in progress.readiness.items]
    rows = [(f"{span.attempt}", _attempt(span)) for span in spans] + [("", warning) for warning in warnings]
    return _rows(rows) if len(rows) > 1 or warnings or any(span.error for span in spans) else ""


def _attempt(span: Span) -> str:
    took = seconds_text((span.ended or span.started) - span.started)
    return f"{span.state} after {took}{f': {span.error}' if span.error else ''}"


def role_details(run: Run, role: str, number: int) -> str:
    """Return what the planner (also for repairs) or the joiner was asked in a round, and what it replied."""
    calls = [each for each in list(run.progress.calls.values()) if not each.task and each.round == number]
    asked = [each for each in calls if role_of(each) == role]
    own = run.settings.variants.get(role, "")
    parts = [f"<p>{inert(f'its prompt is your own: {own}')}</p>"] if own else []
    parts += [f"<p>{inert(f'answer as {run.answer_type}')}</p>"] if run.answer_type else []
    return "".join([*parts, *_exchanges(run, asked, unfolded=True)]) or f"<p>the {role} was not asked</p>"


def _exchanges(run: Run, calls: list[ModelCall], *, unfolded: bool = False) -> Iterator[str]:
    """Yield what was sent and what came back in calls, with the changes since the run before."""
    desk = desk_here()
    for found in exchanges(run.progress, calls):
        who = found.call.task or found.call.role
        before = run_before(desk, run, who) if desk is not None else None
        place = [each.number for each in calls_of(run.progress, who)].index(found.call.number)
        old = counterpart(before.progress, who, place) if before is not None else None
        yield exchange_details(found, old, unfolded=unfolded)


def exchange_details(found: Exchange, old: Exchange | None = None, *, unfolded: bool = False) -> str:
    """Return the exact prompt and reply of one call of a model, with its usage; old: the call to compare with."""
    call = found.call
    used = _spent(call, call.usage) if call.usage is not None else " · running"
    other = f", answered by {call.answered}" if call.answered else ""
    held = f" · {call.held}" if call.held else ""
    kind = f"{call.role}: " if unfolded else ""
    head = inert(f"{kind}prompt to {call.provider}:{call.model}{other}{held}{used}")
    sent = f"<p>{inert(str(disclosed(call)))}</p>"
    made = (
        f"<p>what the model reads of each message:</p><pre>{inert_lines(call.template)}</pre>" if call.template else ""
    )
    opened = " open" if unfolded else ""
    texts = f'<div class="cnb-changed">{exchange_html(found, old)}</div>'
    return f"<details{opened}><summary>{head}</summary>{sent}{texts}{made}</details>"


def _spent(call: ModelCall, usage: Usage) -> str:
    cost = cost_of([call])
    thought = f" ({usage.reasoning_tokens:,} of reasoning)" if usage.reasoning_tokens else ""
    return f" · {cost.tokens}{thought}{f' · {cost.money}' if cost.money else ''}"


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"<tr><th>{inert(name)}</th><td>{inert(text)}</td></tr>" for name, text in rows)
    return f"<table><tbody>{body}</tbody></table>" if body else ""
