"""What left this machine: what each call of a model sent, to whom, and how much of what it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, overload
from urllib.parse import urlsplit

from compiler_nb.models.base import estimate_tokens, sizes_of
from compiler_nb.models.providers import HAND, PROVIDERS
from compiler_nb.trace.records import ModelCall

LOCAL: Final = ("localhost", "::1", "0.0.0.0")  # noqa: S104 - a name for this machine, nothing listens
INSIDE: Final = frozenset({"scripted", HAND})
"""Providers that no network leads to: a script, and a person who reads the prompt here."""
_WHERE: Final = {
    True: "left this machine",
    False: "stayed on this machine",
    None: "may have left this machine (no address is known)",
}


class Disclosed(NamedTuple):
    """What one call of a model sent.

    task: whose tool asked, "" for the planner and the joiner; to: provider:model; address: the server's, "" if it is
    not known; left: whether it left this machine, None if nobody knows; parts: characters by what they are, the largest
    first; tokens: estimated; error: why the call failed, which may have been before anything was sent.
    """

    call: int
    role: str
    task: str
    to: str
    address: str
    left: bool | None
    parts: Mapping[str, int]
    characters: int
    tokens: int
    error: str

    def __str__(self) -> str:
        host = f" at {urlsplit(self.address).netloc}" if self.address else ""
        parts = ", ".join(f"{name} {size:,}" for name, size in self.parts.items())
        sent = f"{self.characters:,} characters (about {self.tokens:,} tokens) {_WHERE[self.left]}: {parts}"
        failed = "; the call failed" if self.error else ""
        return f"{self.role}{f' of {self.task}' if self.task else ''} to {self.to}{host}: {sent}{failed}"


class Disclosure(Sequence[Disclosed]):
    """What all calls of models sent, in their order; `tools` counts the calls of tools that ask a provider.

    What those tools send is theirs, and not known here.
    """

    def __init__(self, calls: Sequence[Disclosed], tools: Mapping[str, int]) -> None:
        self._calls, self.tools = tuple(calls), tools

    def __len__(self) -> int:
        return len(self._calls)

    @overload
    def __getitem__(self, place: int) -> Disclosed: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Disclosed]: ...
    def __getitem__(self, place: int | slice) -> Disclosed | Sequence[Disclosed]:
        return self._calls[place]

    @property
    def characters(self) -> int:
        """How many characters left this machine, or may have."""
        return sum(each.characters for each in self if each.left is not False)

    def __repr__(self) -> str:
        gone = [each for each in self if each.left is not False]
        to = ", ".join(dict.fromkeys(urlsplit(each.address).netloc or each.to for each in gone))
        head = f"{self.characters:,} characters left this machine, to {to}" if gone else "no prompt left this machine"
        called = [f"{name}, {count:,} call{'' if count == 1 else 's'}" for name, count in self.tools.items()]
        tools = [f"what tools send is theirs, and not known: {'; '.join(called)}"] if called else []
        return "\n".join([head, *(f"{each.call}. {each}" for each in self), *tools])


def disclosed(call: ModelCall) -> Disclosed:
    """Return what a call of a model sent."""
    sizes = sizes_of(call.role, call.messages)
    parts = dict(sizes.most_common())
    to = call.provider if call.provider == call.model else f"{call.provider}:{call.model}"
    size = sizes.total()
    left = _left(call.provider, call.address)
    return Disclosed(
        call.number, call.role, call.task, to, call.address, left, parts, size, estimate_tokens(size), call.error
    )


def _left(provider: str, address: str) -> bool | None:
    """Return whether what is sent to an address leaves this machine, None if there is no address to tell by."""
    if address:
        host = urlsplit(address).hostname or ""
        return host not in LOCAL and not host.startswith("127.")
    if provider in INSIDE:
        return False
    return True if provider in PROVIDERS and PROVIDERS[provider].needs_key else None
