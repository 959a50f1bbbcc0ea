"""What a list says of a run beside its question: the models that it asked, tokens, dollars, and its answer."""

from __future__ import annotations

from typing import Any, NamedTuple

from compiler_nb.trace.progress import Progress


class Facts(NamedTuple):
    """The facts of one run.

    models: provider:model, the first asked first; tokens: of all calls; reported: whether the providers counted them;
    cost: dollars, None if a price is not known; answer: None if there is none.
    """

    models: tuple[str, ...] = ()
    tokens: int = 0
    reported: bool = True
    cost: float | None = 0.0
    answer: Any = None


def facts_of(progress: Progress) -> Facts:
    """Return the facts of a run, up to its last event."""
    calls, used = list(progress.calls.values()), progress.usage
    models = dict.fromkeys(f"{call.provider}:{call.model}" for call in calls)
    return Facts(tuple(models), used.tokens, used.reported, progress.cost, progress.answer)
