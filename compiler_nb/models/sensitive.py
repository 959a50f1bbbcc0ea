"""Which names and values mean a key, and which are ordinary words that must never be hidden."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from compiler_nb.errors import BadRequest
from compiler_nb.models.secret import Secret

WORD: Final = 11
"""Letters of the longest text that counts as ordinary words: masking them would change plans and answers."""
_MEANS_KEY: Final = frozenset({
    "apikey", "auth", "authorization", "bearer", "cookie", "credential", "credentials", "jwt", "key", "passphrase",
    "password", "secret", "signature", "token",
})  # fmt: skip
_PARAMETERS: Final = frozenset({
    "bos_token", "cache_key", "eos_token", "pad_token", "prompt_cache_key", "start_token", "stop_token",
})  # fmt: skip
"""Parameters of requests whose names only sound like keys."""
_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ORDINARY: Final = re.compile(r"(?!sk-)(?:[^\W\d_]+[ _-])*[^\W\d_]+")
_KEY: Final = re.compile(r"(?:Bearer +)?(?=\S*\d)(?:(?:sk|rk|pk|gsk|hf|xai|flp|nvapi|pplx)[-_]|AIza)[\w.-]{16,}")
"""Keys as well-known providers make them."""


def means_key(name: str) -> bool:
    """Whether one of the words of a name says that it is of a key: `X-Api-Key` does, `x-portkey-metadata` does not."""
    return not _MEANS_KEY.isdisjoint(word.lower() for word in _PART.findall(name))


def is_ordinary(text: str) -> bool:
    """Whether a text is a word or two of everyday language, and so not a key."""
    words = re.split("[ _-]", text)
    return bool(
        len(text) <= WORD
        and _ORDINARY.fullmatch(text)
        and all(word in (word.lower(), word.upper(), word.capitalize()) for word in words)
    )


def to_hide(*keys: Secret | None, headers: Mapping[str, Secret] | None = None) -> tuple[Secret, ...]:
    """Return what no text may show of some keys, and of headers: each part of a value whose name means a key."""
    values = [value.reveal() for name, value in (headers or {}).items() if means_key(name)]
    parts = [part for value in values for part in value.split() if not is_ordinary(part.strip(".,;:!?()'\""))]
    return (*(key for key in keys if key and not is_ordinary(key.reveal())), *map(Secret, parts))


def is_key_setting(name: str, value: Any) -> bool:
    """Whether a setting looks like a key, by the last word of its name or by its value."""
    if not isinstance(value, str | Secret):
        return name.lower() in {"headers", "default_headers"}
    last = (_PART.findall(name) or [""])[-1].lower()
    sounds = last in _MEANS_KEY and name.lower() not in _PARAMETERS
    return sounds or _KEY.fullmatch(value if isinstance(value, str) else value.reveal()) is not None


def refuse_keys(settings: dict[str, Any], variables: Iterable[str] = ()) -> None:
    """Raise BadRequest if a setting of a model looks like a key: it would be sent in the body of each request.

    variables: of the environment, in which the provider's key may stand. The settings are emptied before that, since a
    verbose traceback shows the arguments of every frame.
    """
    found = next((name for name, value in settings.items() if name != "api_key" and is_key_setting(name, value)), None)
    if found is None:
        return
    settings.clear()
    if found.endswith("headers"):
        raise BadRequest(f"{found}= would be sent in the body of each request: give headers by extra_headers={{...}}")
    ways = " or ".join(["api_key=...", *variables])
    raise BadRequest(f"{found}= looks like a key, and would be sent in the body of each request: give a key by {ways}")
