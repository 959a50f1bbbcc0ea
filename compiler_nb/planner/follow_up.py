"""What a planner is told of the conversation that a question follows: within bounds, however long that is."""

from __future__ import annotations

from typing import Final

from compiler_nb.planner.requests import READABLE, describe_schema
from compiler_nb.prompts import fill, load_worded
from compiler_nb.prompts.data import frame_rows
from compiler_nb.settings.follow import FollowUp
from compiler_nb.text import cut, shorten, shorten_value

LISTED: Final = 60
"""Results that are listed, the newest ones; older ones may be read, too, but are not told."""
FAILURES: Final = 10
PLAN: Final = 4_000
"""Characters of the last plan."""
QUESTION: Final = 500


def describe_follow_up(follow: FollowUp, *, preview: bool = False, wording: str = "full") -> str:
    """Return the part of a planner's request about the questions before: values by schema, as in a replan."""
    shown = [id_ for id_ in follow.outcomes if id_ not in follow.lost and _is_shown(id_, follow)][-LISTED:]
    results = {
        follow.tasks[id_].version_of or id_: describe_schema(value)
        + (f": {shorten_value(value)}" if preview else "")
        + (f" (made of {follow.outdated[id_]} as it was before)" if id_ in follow.outdated else "")
        for id_, value in ((id_, follow.outcomes[id_]) for id_ in shown)
    }
    missing = {id_: f"it was not stored ({why}): compute it again if it is needed" for id_, why in follow.lost.items()}
    failures = {**missing, **follow.failures}
    effects = f"\n\nSide effects so far\n{frame_rows('effects', follow.effects)}" if follow.effects else ""
    plan = follow.turns[-1].plan if follow.turns else ""
    return fill(
        load_worded("follow_up", wording),
        questions="\n".join(f"- {cut(' '.join(turn.question.split()) or '(a plan without a question)', QUESTION)}"
                            for turn in follow.turns),
        plan=shorten(plan.strip(), PLAN) or "(none)",
        results=frame_rows("results", results) + effects,
        failures=frame_rows("failures", dict(list(failures.items())[-FAILURES:])),
    ).strip()  # fmt: skip


def _is_shown(id_: str, follow: FollowUp) -> bool:
    """Whether a planner is told of a result: it can be named, and is the last one of that name."""
    name = follow.tasks[id_].name
    return READABLE.fullmatch(id_) is not None and follow.names.get(name, id_) == id_
