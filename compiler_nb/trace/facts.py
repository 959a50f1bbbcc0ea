"""What a list says of a run besides its question: the models that it asked, prompts, tokens, dollars, its answer."""

from __future__ import annotations

from typing import Any, NamedTuple

from compiler_nb.events import RunStarted
from compiler_nb.trace.costs import Cost
from compiler_nb.trace.progress import Progress


class Facts(NamedTuple):
    """The facts of one run.

    models: provider:model, the first asked first; cost: of all calls; answer: None if there is none; prompts: the
    user's own, with their versions: "terse@1a2b3c4d5e6f".
    """

    models: tuple[str, ...] = ()
    cost: Cost = Cost()
    answer: Any = None
    prompts: tuple[str, ...] = ()


def facts_of(progress: Progress) -> Facts:
    """Return the facts of a run, up to its last event."""
    models = dict.fromkeys(f"{call.provider}:{call.model}" for call in list(progress.calls.values()))
    own = next((tuple(each.prompts.values()) for each in progress.events[:1] if type(each) is RunStarted), ())
    return Facts(tuple(models), progress.cost, progress.answer, own)
