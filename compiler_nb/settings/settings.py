"""Settings: what a run is made with. They are checked when they are made, and never change."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, cast

from compiler_nb.engine.cluster.engine import read_engine
from compiler_nb.engine.effects.approval import Rule
from compiler_nb.engine.node import provider_caps
from compiler_nb.errors import PlanError
from compiler_nb.models import prices
from compiler_nb.models.base import Model
from compiler_nb.models.limits import Limit
from compiler_nb.models.providers import known_secrets
from compiler_nb.models.secret import Secret
from compiler_nb.operations.bounds import BOUNDS, Bounds
from compiler_nb.outcome import Usage
from compiler_nb.plan.parser import DIALECTS
from compiler_nb.plan.plan import Plan
from compiler_nb.prompts import SLOTS, WORDINGS, check_own, has_slot
from compiler_nb.prompts.data import Share
from compiler_nb.settings.budget import Budget, is_number
from compiler_nb.tool import Toolbox

ROLES: Final = ("planner", "joiner", "worker")
CHOICES: Final = {
    "dialect": ("auto", *DIALECTS),
    "share": ("all", "summary", "none"),
    "cache": ("off", "plan", "pure", "all"),
}
APPROVE: Final = ("ask", "auto", "deny")
PROMPTS: Final = ("auto", *WORDINGS)
_OFFERED: Final = re.compile(r"@([^\W\d]\w*)")
PLAIN: Final = (
    "dialect", "max_replans", "max_repairs", "timeout", "share", "preview", "learn_shapes", "drop_failed", "cache",
    "tool_tokens",
)  # fmt: skip
"""Settings that a history stores as they are."""


def _are(kind: type, values: Any) -> bool:
    return isinstance(values, Collection) and all(isinstance(each, kind) for each in values)


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and _are(str, value)  # noqa: PLR2004 - a pair


CHECKS: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "examples": (lambda x: isinstance(x, tuple | list) and all(map(_is_pair, x)), "pairs of a question and a plan"),
    "max_concurrency": (lambda x: type(x) is int and x >= 1, "a whole number from 1"),
    "limits": (lambda x: isinstance(x, Mapping) and _are(Limit, x.values()), "a dict of Limits by provider"),
    "max_replans": (lambda x: type(x) is int and x >= 0, "a whole number from 0"),
    "max_repairs": (lambda x: type(x) is int and x >= 0, "a whole number from 0"),
    "timeout": (
        lambda x: x is None or (is_number(x) and x > 0),
        "a number of seconds above 0, or None",
    ),
    "budget": (lambda x: isinstance(x, Budget), "a Budget"),
    "bounds": (lambda x: isinstance(x, Bounds), "Bounds(...)"),
    "approve": (lambda x: _are(str, x), "'ask' or 'auto' or 'deny', or names of tools"),
    "prompts": (
        lambda x: x in PROMPTS if isinstance(x, str) else isinstance(x, Mapping) and _are(str, x.values()),
        "'auto', 'full' or 'small', or a dict of these, or of texts, by role",
    ),
    "variants": (lambda x: isinstance(x, Mapping) and _are(str, x.values()), "names of prompts by role"),
    "preview": (lambda x: isinstance(x, bool), "True or False"),
    "learn_shapes": (lambda x: isinstance(x, bool), "True or False"),
    "tool_tokens": (lambda x: type(x) is int and x >= 1, "a whole number of tokens from 1"),
    "drop_failed": (lambda x: is_number(x) and 0 <= x <= 1, "a share from 0 to 1, such as 0.1 for a tenth"),
}
"""What each setting must be: the check, and the words for it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Settings:
    """What a run is made with: the settings as `help(Compiler)` explains them, here read and checked.

    planner, joiner, worker: the models by role, None if a role has none; tools: all tools that a plan may call (in
    a stored run only facts of them: name, hash, provider, max_concurrency, side_effects, pure); examples: each plan
    calls these tools and reads what its question offers by @name; approve: a rule, or the names of tools whose side
    effects are approved; history: the History that keeps the runs, or None; prompts: a wording, or a text, by role;
    variants: what those texts are called, with their versions: {"planner": "terse@1a2b3c4d5e6f"}.
    Raises ValueError if a setting is invalid.
    """

    planner: Model | None = None
    joiner: Model | None = None
    worker: Model | None = None
    tools: Toolbox = field(default_factory=Toolbox)
    dialect: str = "auto"
    examples: tuple[tuple[str, str], ...] = ()
    engine: Any = "local"  # or a DaskEngine
    max_concurrency: int = 8
    limits: Mapping[str, Limit] = field(default_factory=dict)
    max_replans: int = 2
    max_repairs: int = 1
    timeout: float | None = None
    budget: Budget = field(default_factory=Budget)
    bounds: Bounds = BOUNDS
    approve: Rule = "ask"
    history: Any = None  # a History, whose room is above this one
    cache: str = "off"
    prompts: str | Mapping[str, str] = "auto"
    variants: Mapping[str, str] = field(default_factory=dict)
    share: Share = "all"
    preview: bool = False
    drop_failed: float = 0.0
    learn_shapes: bool = True
    tool_tokens: int = 4_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "engine", read_engine(self.engine))
        for name, allowed in CHOICES.items():
            _check_choice(name, getattr(self, name), allowed)
        for name, (check, words) in CHECKS.items():
            if not check(value := getattr(self, name)):
                raise ValueError(f"{name} must be {words}, not {value!r}")
        if isinstance(self.approve, str):
            _check_choice("approve", self.approve, APPROVE)
        else:  # a list that its maker still holds could let other tools start unasked
            object.__setattr__(self, "approve", frozenset(self.approve))
        for role, model in self.roles.items():
            self._check_model(role, model)
        if self.dialect == "auto":
            object.__setattr__(self, "dialect", getattr(self.planner, "dialect", "python"))
        if isinstance(self.prompts, str):
            object.__setattr__(self, "prompts", dict.fromkeys(SLOTS, self.prompts))
        self._check_prompts()
        for name in ("limits", "prompts", "variants"):  # a dict that its maker still holds could become invalid
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def _check_model(self, role: str, model: Any) -> None:
        if isinstance(model, type) or not isinstance(model, Model):
            made = "such as connect('openai:gpt-5-mini')"
            raise ValueError(f"{role} must be a Model, {made}, not {model!r}")  # noqa: TRY004 - as all settings
        _check_choice(f"{role}.prompts", getattr(model, "prompts", WORDINGS[0]), WORDINGS)
        _check_choice(f"{role}.dialect", getattr(model, "dialect", "python"), DIALECTS)
        if self.budget.usd is not None:
            self._check_price(model)

    def _check_price(self, model: Model) -> None:
        name, dollars = f"{model.provider}:{model.name}", prices.price(model.provider, model.name, Usage(1, 1, 1))
        if dollars is None:
            ways = "leave usd out, " if prices.is_installed() else "leave usd out, install compiler_nb[prices], "
            way = f"set it: compiler_nb.set_price({name!r}, input=..., output=...)"
            raise ValueError(f"no price is known for {name}: {ways}or {way}")
        if dollars and not self.budget.usd:
            raise ValueError(f"a budget of $0 allows no call of {name}, which costs money: allow more")

    def _check_prompts(self) -> None:
        """Raise ValueError if a prompt of the user's lacks what it must show, or an example is not a plan."""
        for role in self.prompts:
            _check_choice("a role in prompts", role, SLOTS)
            if (text := self.own_prompt(role)) and (wrong := check_own(role, text)):
                raise ValueError(f"prompts[{role!r}] {wrong}")
        own = self.own_prompt("planner")
        if self.examples and own and not has_slot(own, "examples"):
            raise ValueError("examples are given, but prompts['planner'] has no {{examples}} to show them")
        for number, (question, plan) in enumerate(self.examples):
            try:
                Plan.parse(plan, dialect=self.dialect, tools=self.tools, inputs=set(_OFFERED.findall(question)))
            except PlanError as error:
                hint = "; offer a variable in its question: @df" if error.kind == "missing_ref" else ""
                what = f"examples[{number}] is not a plan in the dialect {self.dialect}"
                raise ValueError(f"{what}: {error}{hint}") from None

    # ---------------------------------------------------------------- what follows from them

    def own_prompt(self, role: str) -> str:
        """Return the user's own text of a role's prompt, "" if the package's is used."""
        chosen = cast("Mapping[str, str]", self.prompts).get(role, "")
        return "" if chosen in PROMPTS else chosen

    def wording(self, role: str) -> str:
        """Return the wording of the package's prompt for a role: the user's choice, or else what its model asks for."""
        chosen = cast("Mapping[str, str]", self.prompts).get(role, "")
        return chosen if chosen in WORDINGS else getattr(self.roles.get(role), "prompts", WORDINGS[0])

    @property
    def learns(self) -> bool:
        """Whether planners are told what tools returned before; with nothing shared, keys are not either.

        A planner that is recorded or played is not told either: its requests must not depend on earlier runs.
        """
        is_wanted = self.learn_shapes and getattr(self.planner, "learn_shapes", True)
        return is_wanted and self.share != "none"

    @property
    def roles(self) -> dict[str, Model]:
        """The models by role, without the roles that have none."""
        roles = {"planner": self.planner, "joiner": self.joiner, "worker": self.worker}
        return {role: model for role, model in roles.items() if model is not None}

    @property
    def models(self) -> dict[str, str]:
        """The models by role, as provider:name."""
        return {role: f"{model.provider}:{model.name}" for role, model in self.roles.items()}

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The keys that must never be shown: of the models, of the tools' servers, and of providers."""
        servers = {getattr(tool, "place", None): tool for tool in self.tools.values()}
        return known_secrets((*self.roles.values(), *servers.values()))

    @property
    def seconds(self) -> float | None:
        """The longest that a run may take, None means no limit."""
        return min((each for each in (self.timeout, self.budget.seconds) if each is not None), default=None)

    @property
    def replans(self) -> int:
        """The most replans that a run may have."""
        return self.max_replans if self.budget.replans is None else min(self.max_replans, self.budget.replans)

    @property
    def caps(self) -> dict[str, int]:
        """How many calls may go to each provider at a time, as a resource: "provider:openai"."""
        return provider_caps(self.limits)


def _check_choice(what: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{what} must be {' or '.join(repr(each) for each in allowed)}, not {value!r}")
