"""Concurrency, per-provider and per-minute limits hold, and are used up."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import ProviderUnavailable, RateLimited
from compiler_nb.events import TaskEnded
from compiler_nb.models.base import Chunk, Request
from compiler_nb.models.calls import Calls
from compiler_nb.models.limits import Limit
from compiler_nb.outcome import Usage
from compiler_nb.tool import tool
from tests.support.clock import run_virtually
from tests.support.desk import begin
from tests.support.scale import seed, times

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.promise
LIMITS = {"many": Limit(concurrency=4), "often": Limit(rpm=90), "long": Limit(concurrency=9, rpm=60, tpm=6_000)}
SECONDS = 5.0
"""How long a call takes."""
TOKENS = 150
"""How many a call sends; a request's text is as long."""
SHARE = 0.95


class Call(NamedTuple):
    """A call as the provider sees it, in seconds of the loop's clock."""

    began: float
    ended: float


class Provider:
    """A model that takes its time and notes what it is asked; a share of the calls it refuses."""

    name = "m"

    def __init__(self, provider: str, random: Random, refused: float = 0.0) -> None:
        self.provider, self.random, self.refused = provider, random, refused
        self.calls: list[Call] = []
        self.working = self.most = 0

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """Answer after a while."""
        began = asyncio.get_running_loop().time()
        self.working += 1
        self.most = max(self.most, self.working)
        try:
            if self.random.random() < self.refused:
                raise RateLimited("slow down", retry_after=0.5)
            await asyncio.sleep(SECONDS)
            yield Chunk("", "stop", Usage(1, TOKENS, 0))
        finally:
            self.working -= 1
            self.calls.append(Call(began, asyncio.get_running_loop().time()))


def ask_all(count: int, refused: float = 0.0) -> dict[str, Provider]:
    """Let so many tasks for each of three providers be ready at once, and return the providers when all are done."""
    random = Random(seed())
    providers = {name: Provider(name, random, refused) for name in LIMITS}
    request = Request("worker", ({"role": "user", "content": "abcd" * TOKENS},))

    async def main() -> Any:
        calls = Calls(lambda *_: None, limits=LIMITS, tries=20)

        def asking(name: str) -> Any:
            @tool(name=name, provider=name, timeout=None)
            async def ask(x: int) -> str:
                return (await calls.text(providers[name], request)).text

            return ask

        compiler = Compiler(None, [asking(name) for name in LIMITS], max_concurrency=3 * count, limits=LIMITS)
        plan = "".join(f"{name}_all = [{name}(x) for x in range({count})]\n" for name in LIMITS)
        run = await compiler.execute(f"{plan}join()\n")
        assert run.status == "done", run.error
        return run

    run = run_virtually(main())
    assert all(run[f"{name}_all"] == [""] * count for name in LIMITS)
    return providers


def check_kept(provider: Provider) -> None:
    """See that no window of 60 s holds more than the limit, and no moment more calls than may be at a time."""
    limit = LIMITS[provider.provider]
    begins = sorted(call.began for call in provider.calls)
    assert provider.most <= (limit.concurrency or len(begins))
    for per_minute in (limit.rpm, limit.tpm and limit.tpm // TOKENS):
        if per_minute is not None:
            spans = [then - first for first, then in zip(begins, begins[per_minute:], strict=False)]
            assert all(span >= 60 - 1e-6 for span in spans)


def share_used(provider: Provider) -> float:
    """Return how long the begins would take at the allowed rate, as a share of how long they took."""
    limit, begins = LIMITS[provider.provider], [call.began for call in provider.calls]
    bounds = [(limit.concurrency, SECONDS), (limit.rpm, 60.0), (limit.tpm and limit.tpm // TOKENS, 60.0)]
    least = max((len(begins) - 1) // size * seconds for size, seconds in bounds if size is not None)
    return least / (max(begins) - min(begins)) if least else 1.0


def test_limits_hold_and_are_used_up(figure):
    """1,000 tasks that are ready at once, for three providers: never above, and at 95 % of the allowed rate or more."""
    for provider in ask_all(times(334)).values():
        check_kept(provider)
        figure(f"{provider.provider}: {len(provider.calls):,} calls, {share_used(provider):.1%} of what is allowed")
        assert share_used(provider) >= SHARE, provider.provider


def test_tries_again_count_too():
    """Of calls of which a third is refused, none begins beyond the limit."""
    for provider in ask_all(times(100), refused=0.3).values():
        assert len(provider.calls) > times(100)
        check_kept(provider)


class Asks(Provider):
    """A model at an address that sometimes asks to wait, each time for as long as it says."""

    def __init__(self, name: str, address: str, random: Random, refused: float) -> None:
        super().__init__("one", random, refused)
        self.name, self.address = name, address
        self.pauses: list[Call] = []

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """Answer after a while, or ask for up to half a minute."""
        began = asyncio.get_running_loop().time()
        self.calls.append(Call(began, began))
        if self.random.random() < self.refused:
            asked = self.random.uniform(1, 30)
            self.pauses.append(Call(began, began + asked))
            raise self.random.choice([RateLimited, ProviderUnavailable])("later", status=503, retry_after=asked)
        await asyncio.sleep(SECONDS)
        yield Chunk("", "stop", Usage(1, TOKENS, 0))


def test_what_a_provider_asks_for_holds_that_model_at_that_address_and_no_other(figure):
    """Calls at random times: none begins in a pause of its own, and none waits for the pause of another."""
    random, late = Random(seed()), []
    models = [Asks(name, address, random, 0.3) for name in ("mini", "large") for address in ("http://a", "http://b")]
    free = Asks("free", "http://a", random, 0.0)
    request = Request("worker", ({"role": "user", "content": "x"},))

    async def main() -> None:
        calls = Calls(lambda *_: None, longest_wait=10_000.0, tries=100)

        async def ask(model: Asks, at: float) -> None:
            await asyncio.sleep(at)
            before = len(model.calls)
            await calls.text(model, request)
            if model is free:
                late.append(model.calls[before].began - at)

        await asyncio.gather(*(ask(model, random.uniform(0, 900)) for model in [*models, free] * times(50)))

    run_virtually(main())
    assert max(late) <= 1e-6
    for model in models:
        for pause in model.pauses:
            assert not [call for call in model.calls if pause.began < call.began < pause.ended - 1e-6]
    figure(
        f"{sum(len(model.pauses) for model in models):,} pauses, {len(free.calls):,} calls of another model: none late"
    )


def test_a_provider_that_makes_wait_starves_nobody():
    """Tasks of a provider that serves one a minute, and of a free one: these take as long as they would alone."""
    count = times(100)

    @tool(provider="slow")
    async def ask(x: int) -> int:
        return x

    @tool
    async def look(x: int) -> int:
        await asyncio.sleep(1)
        return x

    plan = f"asked = [ask(i) for i in range(40)]\nseen = [look(i) for i in range({count})]\n"
    compiler = Compiler(None, [ask, look], max_concurrency=4, limits={"slow": Limit(rpm=1)})
    ended: dict[str, float] = {}

    async def main() -> Any:
        loop = asyncio.get_running_loop()

        def note(event: Any) -> None:
            if isinstance(event, TaskEnded):
                ended[event.task] = loop.time()

        run, work = begin(compiler, plan=plan, on_event=note)
        await work
        return run

    assert run_virtually(main()).status == "done"
    assert ended["seen"] <= count / 4 / SHARE + 1
    assert ended["asked"] <= 39 * 60 / SHARE
