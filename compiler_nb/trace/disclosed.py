"""What left this machine: what each call of a model sent, to whom, and how much of what it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, overload
from urllib.parse import urlsplit

from compiler_nb.models.base import estimate_tokens
from compiler_nb.models.parts import in_part, shown_of, sizes_of
from compiler_nb.models.providers import HAND, PROVIDERS
from compiler_nb.plan.task import owner_of
from compiler_nb.text import TIMES
from compiler_nb.trace.progress import Progress
from compiler_nb.trace.records import ModelCall

LOCAL: Final = ("localhost", "::1", "0.0.0.0")  # noqa: S104 - a name for this machine, nothing listens
INSIDE: Final = frozenset({"scripted", HAND})
"""Providers that need no network: a script, and a person who reads the prompt here."""
_WHERE: Final = {
    True: "left this machine",
    False: "stayed on this machine",
    None: "may have left this machine (no address is known)",
}


class Disclosed(NamedTuple):
    """What one call of a model sent.

    task: whose tool asked, "" for the planner and the joiner; to: provider:model; address: the server's, "" if it is
    not known; left: whether it left this machine, None if nobody knows; parts: characters by what they are, the largest
    first; tokens: estimated; error: why the call failed, which may have been before anything was sent; shown: how much
    of each table, list or text it was, "20 of 13,000 rows", by the names of `parts`: one that is missing there was sent
    whole; cached: whether nothing was sent because the cache knew the reply.
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
    shown: Mapping[str, str] = {}
    cached: bool = False

    def __str__(self) -> str:
        who = f"{self.role}{f' of {self.task}' if self.task else ''}"
        if self.cached:
            return f"{who} to {self.to}: nothing was sent, the reply is from the cache"
        host = f" at {urlsplit(self.address).netloc}" if self.address else ""
        parts = ", ".join(f"{name} {size:,}{self._extent(name)}" for name, size in self.parts.items())
        sent = f"{self.characters:,} characters (about {self.tokens:,} tokens) {_WHERE[self.left]}: {parts}"
        failed = "; the call failed" if self.error else ""
        return f"{who} to {self.to}{host}: {sent}{failed}"

    def _extent(self, name: str) -> str:
        return f" ({self.shown[name]})" if name in self.shown else ""


class Disclosure(Sequence[Disclosed]):
    """What all calls of models sent, in their order; `tools` counts the calls of tools that ask a provider.

    What those tools send is not known here.
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
        tools = [f"what tools themselves send is not known: {'; '.join(called)}"] if called else []
        return "\n".join([head, *(f"{each.call}. {each}" for each in self), *tools])


def disclosure(progress: Progress, senders: Collection[str]) -> Disclosure:
    """Return what left this machine in a run; senders: tools that ask a provider without telling us what."""
    told = [disclosed(call) for call in list(progress.calls.values())]
    # A tool whose calls of models are known is told of call by call.
    known = {progress.tasks[each.task].tool for each in told if each.task in progress.tasks}
    tools: Counter[str] = Counter()
    for id_, spans in list(progress.spans.items()):
        if (name := progress.tasks[id_].tool) in senders and name not in known:
            tools[name] += len(spans)
    return Disclosure(told, tools)


def disclosed(call: ModelCall) -> Disclosed:
    """Return what a call of a model sent."""
    sizes = sizes_of(call.role, call.messages)
    parts = dict(sizes.most_common())
    to = call.provider if call.provider == call.model else f"{call.provider}:{call.model}"
    size, cached = sizes.total(), call.saved is not None
    left = not cached and _left(call.provider, call.address)
    return Disclosed(
        call.number, call.role, call.task, to, call.address, left, parts, size, estimate_tokens(size), call.error,
        shown_of(call.role, call.messages), cached,
    )  # fmt: skip


def shown_in(call: ModelCall) -> str:
    """Return how much of tables, lists and texts a call of a model sent: "sent: `df` (20 of 13,000 rows)".

    "" if there is nothing to tell: no data, or only short data that was sent whole.
    """
    shown = {} if call.saved is not None else shown_of(call.role, call.messages)
    return f"sent: {', '.join(f'{name} ({extent})' for name, extent in shown.items())}" if shown else ""


def sent_in_part(calls: Iterable[ModelCall]) -> list[str]:
    """Return the values of which only a part was sent: "note (20 of 13,000 rows)".

    They are named by the task that asked or was joined; the items of a fan-out are counted.
    """
    found = Counter(
        f"{owner_of(call.task) or call.task or name.strip('`')} ({extent})"
        for call in calls
        if call.saved is None
        for name, extent in shown_of(call.role, call.messages).items()
        if in_part(extent)
    )
    return [f"{told}{f' {TIMES} {count:,}' if count > 1 else ''}" for told, count in found.items()]


def _left(provider: str, address: str) -> bool | None:
    """Return whether what is sent to an address leaves this machine, None if there is no address to tell by."""
    if address:
        host = urlsplit(address).hostname or ""
        return host not in LOCAL and not host.startswith("127.")
    if provider in INSIDE:
        return False
    return True if provider in PROVIDERS and PROVIDERS[provider].needs_key else None
