"""The tasks of a run as the rows of a table."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from compiler_nb.trace.costs import cost_of
from compiler_nb.trace.progress import Progress
from compiler_nb.trace.records import ModelCall


def rows_of(progress: Progress) -> list[dict[str, Any]]:
    """Return a row for each task, by column; times are None if there are none."""
    began = datetime.fromtimestamp(progress.began).astimezone()
    asked: dict[str, list[ModelCall]] = {}
    for call in list(progress.calls.values()):
        asked.setdefault(call.task, []).append(call)
    rows = []
    for id_, task in list(progress.tasks.items()):
        tried, end, calls = progress.spans.get(id_, []), progress.ends.get(id_), asked.get(id_, [])
        span = tried[-1] if tried and task.kind != "fanout" else None
        cost = cost_of(calls)
        rows.append({
            "task": id_, "kind": task.kind, "tool": task.tool, "state": progress.states[id_],
            "ready": span and span.ready, "started": span and span.started, "ended": span and span.ended,
            "tokens": cost.usage.tokens, "outcome": end and end.outcome,
            "at": began + timedelta(seconds=span.started) if progress.began and span else None,
            "model": ", ".join(dict.fromkeys(f"{call.provider}:{call.model}" for call in calls)),
            "cost": cost.dollars,
            "how": end.how if end and end.how != "inline" else "",
        })  # fmt: skip
    return rows
