"""The providers by name: their addresses, where their keys come from, and what they need."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from compiler_nb.errors import BadRequest
from compiler_nb.models.secret import Secret
from compiler_nb.models.sensitive import to_hide


class Provider(NamedTuple):
    """An OpenAI-compatible provider.

    address: its base URL, "" if only the user knows it; key_variables, address_variables: environment variables, the
    first that is set counts; needs_key: whether every call needs a key; concurrency: calls at a time, None means no
    limit; example: a model; start: the command that starts a local server; adds_path: whether an address in the
    environment may lack the path, as the provider's own SDK has it; engine: how it holds replies to a grammar, one of
    the kinds of `grammars`, "" if it is not to be asked to.
    """

    name: str
    address: str
    key_variables: tuple[str, ...]
    address_variables: tuple[str, ...] = ()
    needs_key: bool = True
    concurrency: int | None = None
    example: str = "MODEL"
    start: str = ""
    adds_path: bool = False
    engine: str = ""


LOCAL: Final = "local"
"""The provider of models in a file on this machine."""
AD_TOKEN: Final = "AZURE_OPENAI_AD_TOKEN"  # noqa: S105 - a variable's name
"""The variable of an Entra token, which Azure takes in place of a key."""
PROVIDERS: Final = {
    provider.name: provider
    for provider in (
        Provider(
            "openai", "https://api.openai.com/v1", ("OPENAI_API_KEY",), ("OPENAI_BASE_URL",), example="gpt-5-mini"
        ),
        Provider("azure", "", ("AZURE_OPENAI_API_KEY", AD_TOKEN), ("AZURE_OPENAI_ENDPOINT",), example="DEPLOYMENT"),
        Provider(
            "anthropic", "https://api.anthropic.com/v1", ("ANTHROPIC_API_KEY",), ("ANTHROPIC_BASE_URL",),
            example="claude-sonnet-4-5", adds_path=True,
        ),
        Provider(
            "gemini", "https://generativelanguage.googleapis.com/v1beta/openai", ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
            ("GEMINI_BASE_URL",), example="gemini-2.5-flash", adds_path=True,
        ),
        Provider(
            "mistral", "https://api.mistral.ai/v1", ("MISTRAL_API_KEY",), ("MISTRAL_BASE_URL",),
            example="mistral-small-latest", adds_path=True,
        ),
        Provider(
            "groq", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",), ("GROQ_BASE_URL",),
            example="llama-3.3-70b-versatile", adds_path=True,
        ),
        Provider("friendli", "https://api.friendli.ai/serverless/v1", ("FRIENDLI_TOKEN",)),
        Provider("openrouter", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
        Provider(
            "ollama", "http://127.0.0.1:11434/v1", ("OLLAMA_API_KEY",), ("OLLAMA_HOST",),
            needs_key=False, concurrency=1, example="llama3.2", start="ollama serve", engine="ollama",
        ),
        Provider(
            "vllm", "http://127.0.0.1:8000/v1", ("VLLM_API_KEY",), ("VLLM_BASE_URL",),
            needs_key=False, start="vllm serve MODEL", engine="vllm",
        ),
        Provider(
            LOCAL, "http://127.0.0.1", (), needs_key=False, concurrency=1, example="/path/to/model.gguf",
            engine="llama.cpp",
        ),
    )
}  # fmt: skip
HAND: Final = "hand"

_DATED: Final = re.compile(r"[-@:](\d{4}-\d\d-\d\d|\d{3,8}|latest)$")
"""How a reply names the exact version of a model that was asked for without one."""
_REVISED: Final = re.compile(r"(?<=.)@(?!\d{3,}|latest$).+", re.DOTALL)
"""A revision, as transformers writes it: `tiny@main`; a date is a version, and some names begin with an @."""

_KEYS: Final[dict[str, Secret]] = {}


class Key(NamedTuple):
    """A key, or None if none was found, and where it comes from."""

    secret: Secret | None
    source: str


def set_key(provider: str, key: str) -> None:
    """Keep a key for a provider, in this process only. An empty key forgets it."""
    if key:
        _KEYS[provider] = Secret(key.strip())
    else:
        _KEYS.pop(provider, None)


def find_key(provider: str, given: Secret | None = None) -> Key:
    """Return the key for a provider: the given one, else the one set by `set_key`, else the environment's."""
    if given:
        return Key(Secret(given.reveal().strip()), "api_key=")
    if provider in _KEYS:
        return Key(_KEYS[provider], "set in this session")
    for variable in PROVIDERS[provider].key_variables if provider in PROVIDERS else ():
        if os.environ.get(variable, "").strip():
            return Key(Secret(os.environ[variable].strip()), variable)
    return Key(None, "none found")


def known_secrets(models: Iterable[Any] = ()) -> tuple[Secret, ...]:
    """Return the keys that no text may show: those of the models, those set by `set_key`, and the environment's.

    One that another goes before is still a key.
    """
    variables = (variable for provider in PROVIDERS.values() for variable in provider.key_variables)
    set_there = (text for name in variables if (text := os.environ.get(name, "").strip()))
    found = [*_KEYS.values(), *map(Secret, set_there)]
    for model in models:
        found += getattr(model, "secrets", ())
    return tuple({key.reveal(): key for key in to_hide(*found)}.values())


def find_address(provider: str, given: str | None = None) -> str:
    """Return a provider's base URL: the given one, else the environment's, else its own.

    Raises BadRequest if there is none.
    """
    if given:
        return check_address(given, "base_url")
    known = PROVIDERS.get(provider, Provider(provider, "", ()))
    for variable in known.address_variables:
        if value := os.environ.get(variable):
            address = check_address(_ollama_address(value) if variable == "OLLAMA_HOST" else value, variable)
            needs_path = known.adds_path and not urlsplit(address).path
            return address + urlsplit(known.address).path if needs_path else address
    if known.address:
        return known.address
    variable = f" or set {known.address_variables[0]}" if known.address_variables else ""
    raise BadRequest(f"{provider} has no address of its own: give base_url=...{variable}", provider=provider)


def check_address(address: str, source: str) -> str:
    """Return an http address without a trailing slash; raise BadRequest if it is not one."""
    try:
        parts = urlsplit(address.strip())
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_right = urlsplit(""), False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_right:
        raise BadRequest(f"{source} is not an address such as http://127.0.0.1:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BadRequest(f"{source} holds a user, a query or a fragment; give a key by api_key= or its variable")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def is_same_model(asked: str, answered: str) -> bool:
    """Whether two names mean one model, ignoring the maker, the asked one's tag, and a version that one leaves out."""
    whole = [_REVISED.sub("", name) for name in (asked, answered)]
    revisions = [name[len(rest) :] for name, rest in zip((asked, answered), whole, strict=True)]
    names = [name.casefold().rpartition("/")[2] for name in whole]
    versions = [match[1] if (match := _DATED.search(name)) else "latest" for name in names]
    if (all(revisions) and revisions[0] != revisions[1]) or ("latest" not in versions and versions[0] != versions[1]):
        return False
    named, other = (_DATED.sub("", name) for name in names)
    return other in (named, named.partition(":")[0])


def host_of(address: str) -> str:
    """Return the host of an address, with its port if one is given."""
    return urlsplit(address).netloc


def _ollama_address(host: str) -> str:
    """Return the address that OLLAMA_HOST means to a client. It may lack the scheme, port and path."""
    parts = urlsplit(host if "://" in host else f"http://{host}")
    name = "127.0.0.1" if parts.hostname in (None, "0.0.0.0", "::") else parts.hostname  # noqa: S104 - it is replaced
    name = f"[{name}]" if ":" in name else name
    port = parts.port or (11434 if parts.scheme == "http" else 443)
    return f"{parts.scheme}://{name}:{port}{parts.path.rstrip('/') or '/v1'}"
