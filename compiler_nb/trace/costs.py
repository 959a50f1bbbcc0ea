"""What calls of models cost: tokens and dollars, together and by role, by task and by model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from compiler_nb.models.base import estimate_tokens
from compiler_nb.models.prices import price
from compiler_nb.outcome import Usage
from compiler_nb.plan.task import Task, owner_of
from compiler_nb.text import count_of, money_text, tokens_text
from compiler_nb.trace.records import JOINER, PLANNER, ModelCall, role_of

NO_PRICE: Final = "no price"


class Cost(NamedTuple):
    """What the calls that have ended cost.

    usage: calls and tokens; known: dollars of those whose price is known; unpriced: how many of the others there are.
    As text: `1,240 tokens, $0.0031`; `~` stands before an estimate, `≥` before a sum for which some prices are not
    known.
    """

    usage: Usage = Usage()
    known: float = 0.0
    unpriced: int = 0

    @property
    def dollars(self) -> float | None:
        """The sum in dollars, or None if the price of a call is not known."""
        return None if self.unpriced else self.known

    @property
    def tokens(self) -> str:
        """The tokens in words."""
        return tokens_text(self.usage.tokens, estimated=not self.usage.reported)

    @property
    def money(self) -> str:
        """The dollars in words: "no price" if none is known, "" if the calls were free."""
        if not self.known:
            return NO_PRICE if self.unpriced else ""
        return money_text(self.known, "≥ " if self.unpriced else "" if self.usage.reported else "~")

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.tokens, self.money)))

    def __add__(self, other: Cost) -> Cost:  # type: ignore[override]  # a tuple's own would join the fields
        """Return the sum."""
        return Cost(self.usage + other.usage, self.known + other.known, self.unpriced + other.unpriced)


def cost_of(calls: Iterable[ModelCall]) -> Cost:
    """Return what calls cost, those that have ended."""
    return sum(map(_cost, calls), Cost())


def _cost(call: ModelCall) -> Cost:
    if call.usage is None or call.saved is not None:  # it goes on, or the cache knew the reply
        return Cost()
    dollars = price(call.provider, call.model, call.usage, call.answered, call.at)
    return Cost(call.usage, dollars or 0.0, int(dollars is None))


@dataclass(slots=True)
class Costs:
    """What a run's calls of models cost.

    total: all of them; roles: those of the planner (repairs and further plans included), of the joiner, and of each
    tool that calls models, such as `llm`; tasks: by the id of the task that made them, and of a fan-out those of its
    items together; models: by the model that answered; steps: how often each role was asked ("repair" and "replan"
    apart). As text it says each role's share.
    """

    total: Cost = field(default_factory=Cost)
    roles: dict[str, Cost] = field(default_factory=dict)
    tasks: dict[str, Cost] = field(default_factory=dict)
    models: dict[str, Cost] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)

    def add(self, call: ModelCall, tasks: Mapping[str, Task]) -> None:
        """Add a call, if it has ended; tasks: those of the run, by id."""
        if call.usage is None:
            return
        cost = cost_of([call])
        self.total += cost
        self.steps[call.role] = self.steps.get(call.role, 0) + 1
        asked = tasks[call.task].tool if call.task in tasks else call.role
        keys = [(self.roles, asked if call.task else role_of(call)), (self.models, answerer_of(call))]
        keys += [(self.tasks, id_) for id_ in dict.fromkeys((call.task, owner_of(call.task))) if id_]
        for sums, key in keys:
            sums[key] = sums.get(key, Cost()) + cost

    @property
    def shares(self) -> dict[str, float]:
        """Each role's share of the dollars, or of the tokens if the calls were free or a price is not known."""
        roles = sorted(self.roles, key=lambda role: (role != PLANNER, role != JOINER))
        weights = {role: self._weight(self.roles[role]) for role in roles}
        whole = sum(weights.values())
        return {role: weight / whole for role, weight in weights.items()} if whole else {}

    def _weight(self, cost: Cost) -> float:
        return cost.known if self.total.dollars else cost.usage.tokens

    def __str__(self) -> str:
        """Return `planner 62 % of $0.0031 · joiner 21 % · llm 17 %`; "" if no model was asked."""
        whole = self.total.money if self.total.dollars else str(self.total)
        shares = [f"{role} {share_text(share)}" for role, share in self.shares.items()]
        return " · ".join([f"{shares[0]} of {whole}", *shares[1:]]) if shares else ""

    def table(self) -> list[list[str]]:
        """Return the costs as rows of texts, with a head: a row for each role, task and model, and one for all.

        Items of fan-outs are in the row of theirs; of a single model there is no row.
        """
        head = ["", "calls", "sent", "cached", "received", "reasoning", "cost", "share"]
        shares = self.shares
        more = [f", {count_of(count, step)}" for step, count in self.steps.items() if step in ("repair", "replan")]
        names = {PLANNER: f"{PLANNER}{''.join(more)}"}
        rows = [_row(names.get(role, role), self.roles[role], share) for role, share in shares.items()]
        rows += [_row(f"task {id_}", cost) for id_, cost in self.tasks.items() if not owner_of(id_)]
        if len(self.models) > 1:
            rows += [_row(name, cost) for name, cost in self.models.items()]
        return [head, *rows, _row("all", self.total)]


def _row(name: str, cost: Cost, share: float | None = None) -> list[str]:
    used = cost.usage
    mark = "" if used.reported else "~"
    numbers = (used.input_tokens, used.cached_tokens, used.output_tokens, used.reasoning_tokens)
    tokens = [f"{mark}{number:,}" if number else "" for number in numbers]
    return [name, f"{used.calls:,}", *tokens, cost.money, "" if share is None else share_text(share)]


def share_text(share: float) -> str:
    """Return a share: `62 %`, `< 1 %`."""
    return "< 1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"  # noqa: PLR2004 - see the example


def costs_of(calls: Iterable[ModelCall], tasks: Mapping[str, Task]) -> Costs:
    """Return what the calls of a run cost; tasks: those of the run, by id."""
    costs = Costs()
    for call in calls:
        costs.add(call, tasks)
    return costs


def estimate_call(call: ModelCall, received: int) -> Usage:
    """Return what a call that goes on has used, as far as that can be estimated; received: characters."""
    sent = sum(len(message["content"]) for message in call.messages)
    return Usage(0, estimate_tokens(sent), estimate_tokens(received), reported=False)


def answerer_of(call: ModelCall) -> str:
    """Return the model that answered a call, with its provider."""
    return f"{call.provider}:{call.answered or call.model}"
