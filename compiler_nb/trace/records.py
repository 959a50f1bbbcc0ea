"""What the fold of events remembers: attempts, calls of models, holds, parks, rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from compiler_nb.errors import Problem
from compiler_nb.outcome import Answer, Failure, Replan, State, Usage
from compiler_nb.plan.plan import Plan

PLANNER: Final = "planner"
JOINER: Final = "joiner"


class Span(NamedTuple):
    """One attempt of a task: seconds since the run began; `ended` is None while it runs.

    ready: when the attempt could have begun; error: why it failed, if another attempt follows.
    """

    task: str
    attempt: int
    ready: float
    started: float
    ended: float | None
    state: State
    error: str = ""


class ModelCall(NamedTuple):
    """One call of a model: seconds since the run began.

    task: the task whose tool asked, "" for the planner and the joiner; first: when its text began, None if there is no
    text yet; ended, usage: None while it goes on; answered: the model that the reply names, "" if it is the asked one;
    address: the server's, "" if it is not known; round: the number of the round in which it was made;
    grammar: what the reply was held to, in words ("4 tools"), "" if to nothing;
    template: what the server's chat template makes of messages in these roles, "" if it is not known;
    at: when the run began, in seconds since the epoch, 0 if that is not known;
    saved: what the reply used when it was made, if it comes from the cache, and so costs nothing; else None.
    """

    number: int
    role: str
    task: str
    provider: str
    model: str
    started: float
    first: float | None = None
    ended: float | None = None
    error: str = ""
    answered: str = ""
    usage: Usage | None = None
    messages: tuple[Mapping[str, str], ...] = ()
    address: str = ""
    round: int = 0
    grammar: str = ""
    template: str = ""
    at: float = 0.0
    saved: Usage | None = None

    @property
    def held(self) -> str:
        """What the reply was held to, as a page says it; "" if to nothing."""
        return f"written under a grammar of {self.grammar}" if self.grammar else ""


def role_of(call: ModelCall) -> str:
    """Return who made a call that no task made: the joiner or the planner, which also repairs plans and writes more."""
    return JOINER if call.role == JOINER else PLANNER


class Hold(NamedTuple):
    """A time during which a ready task was held; `until` is None while it is held.

    reason: "approval", "plan" (until the plan ends), or "fanout" (its fan-out's items are asked for together);
    arguments: as they are shown; mark: their digest.
    """

    reason: str
    arguments: str
    since: float
    until: float | None = None
    mark: str = ""


class Park(NamedTuple):
    """A time during which a running task waited for its provider and held no slot; `until` is None while it waits."""

    provider: str
    since: float
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """One pass of plan, run and join.

    reason: why the joiner asked for it; text: the last that was written; plan: what it holds, None if it is not a plan;
    problems: of the text; decision: how the round ended, None while it goes on; repaired: earlier texts, which were not
    plans; failure: of the plan's own answer, None if it has none or could be evaluated.
    """

    number: int
    reason: str = ""
    text: str = ""
    plan: Plan | None = None
    problems: tuple[Problem, ...] = ()
    decision: Answer | Replan | None = None
    repaired: tuple[str, ...] = ()
    failure: Failure | None = None
