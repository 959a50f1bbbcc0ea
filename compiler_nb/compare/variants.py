"""Variants: what one way to answer differs in from the compiler that compares them, read and checked before any run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from compiler_nb.models.base import Model
from compiler_nb.models.connect import connect
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.settings.settings import ROLES, Settings
from compiler_nb.text import shorten_value, suggest

PROMPTS: Final = {"planner_prompt": "planner", "joiner_prompt": "joiner"}
PARAMETERS: Final = frozenset({
    "temperature", "top_p", "top_k", "min_p", "max_tokens", "max_completion_tokens", "seed", "stop", "reasoning_effort",
    "verbosity", "presence_penalty", "frequency_penalty", "repeat_penalty", "logit_bias", "service_tier",
})  # fmt: skip
"""What a variant may say of the requests to its models; any other parameter is one of `connect`."""
WHOLE: Final = {
    "history": "a grid keeps its runs in one history: Compiler(history=...)",
    "limits": "providers are asked by all variants together: Compiler(limits=...)",
    "approve": "it is given to compare, for the whole grid",
    "answer_type": "it is given to compare, for the whole grid",
}
"""Settings that a grid has once, and where they are given."""


class Variant(NamedTuple):
    """One way to answer: its name, what it overrides as it was given, and the arguments that make its compiler."""

    name: str
    overrides: Mapping[str, Any]
    arguments: Mapping[str, Any]


def read_variants(given: Any, base: Settings, known: Mapping[str, Any]) -> tuple[list[Variant], list[str]]:
    """Return the variants of a grid, and all that is wrong with them.

    given: dicts of overrides by name, None for the compiler as it is; base: its settings; known: the arguments that
    made it, by name.
    """
    every = {"base": {}} if given is None else given
    if not isinstance(every, Mapping) or not every:
        return [], [
            f"variants must be a dict of settings by name, such as {{'base': {{}}}}, not {shorten_value(given)}"
        ]
    variants: list[Variant] = []
    problems: list[str] = []
    for name, overrides in every.items():
        if not isinstance(name, str) or not name.strip():
            problems.append(f"the name of a variant must be a text, not {shorten_value(name)}")
        elif not isinstance(overrides, Mapping):
            problems.append(f"variant {name!r} must be a dict of settings, not {shorten_value(overrides)}")
        elif wrong := _wrong(overrides, known):
            problems += [f"variant {name!r}: {each}" for each in wrong]
        else:
            try:
                variants.append(Variant(name, overrides, _arguments(overrides, base, known)))
            except Exception as error:  # noqa: BLE001 - a provider's own class may raise anything
                problems.append(f"variant {name!r}: {error}")
    return variants, problems


def _wrong(overrides: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the names of a variant's settings."""
    names = [*known, *PROMPTS, *sorted(PARAMETERS)]
    found = [f"{name}: {why}" for name, why in WHOLE.items() if name in overrides]
    for name in overrides:
        if name not in names:
            hint = suggest(str(name), names) or " Any other parameter of a model: {'planner': connect(NAME, ...)}."
            found.append(f"there is no setting {name!r}.{hint}")
    return found


def _arguments(overrides: Mapping[str, Any], base: Settings, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a variant's compiler. A model is that of all roles that the variant does not name."""
    made = {**known, **{name: value for name, value in overrides.items() if name in known}}
    if "model" in overrides:
        made |= {role: overrides.get(role) for role in ROLES}
    texts = {role: overrides[name] for name, role in PROMPTS.items() if name in overrides}
    if texts:
        own = made["prompts"] if "prompts" in overrides else base.prompts
        made["prompts"] = {**(dict.fromkeys(PROMPTS.values(), own) if isinstance(own, str) else own or {}), **texts}
    parameters = {name: overrides[name] for name in overrides if name in PARAMETERS}
    if parameters:
        made |= {name: _with(made[name], parameters) for name in ("model", *ROLES) if made[name] is not None}
    return made


def _with(model: Model | str, parameters: Mapping[str, Any]) -> Model:
    """Return a model whose requests also say these parameters. Raises ValueError if it takes none."""
    if isinstance(model, str):
        return connect(model, **parameters)
    if isinstance(model, OpenAIModel):
        return model.saying(**parameters)
    raise ValueError(f"{', '.join(parameters)}: {model.provider}:{model.name} takes no such parameters")
