"""The client against a real model: llama.cpp's own server, whose model may be as small and as foolish as it likes.

It is the one in the box, or any GGUF file that COMPILER_NB_GGUF names. Nothing is asked of what it says.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import aclosing
from random import Random
from urllib.request import Request as Fetch
from urllib.request import urlopen

import pytest

from compiler_nb import Compiler, connect
from compiler_nb.errors import AuthenticationFailed, BadRequest
from compiler_nb.models import llama
from compiler_nb.models.base import Request
from tests.support.grammars import random_toolbox
from tests.support.local import IS_HERE, MISSING
from tests.support.scale import factor, seed, times

pytestmark = [pytest.mark.promise, pytest.mark.alone, pytest.mark.skipif(not IS_HERE, reason=MISSING)]
CONTEXT = 2_048
FREE_WITHIN = 0.5 if factor() > 1 else 2.0
"""Seconds in which a cancelled call gives its slot back: half a second, which a machine with other work may exceed."""
QUESTIONS = (
    "What is the weather in Paris and in Rome?",
    "Compare the prices of AAPL and MSFT.",
    "Find the longest river, and tell Bob.",
    "今日は 🎉 où est la gare?",
)


@pytest.fixture(scope="module")
def local():
    """Return a function that connects to the server, with what its requests say; one server serves this module."""
    file = os.environ.get("COMPILER_NB_GGUF", "")

    def connected(**parameters):
        return connect(f"local:{file}" if file else "local", context=CONTEXT, **{"max_tokens": 24} | parameters)

    yield connected
    connected().server.stop()


@pytest.fixture
def server(local):
    """Return the address of the server, for a client that does not know what it asks."""
    model = local()
    asyncio.run(model.start())
    return model.address


def request(*contents, role="worker"):
    """Return a request of messages by the user and the model in turn."""
    roles = ("user", "assistant")
    return Request(role, tuple({"role": roles[at % 2], "content": text} for at, text in enumerate(contents)))


async def read(model, asked):
    """Return the pieces of a reply, its finish and its usage."""
    pieces, finish, usage = [], "", None
    async for chunk in model.stream(asked):
        pieces += [chunk.text] if chunk.text else []
        finish, usage = chunk.finish or finish, chunk.usage or usage
    return pieces, finish, usage


def slots(model):
    """Return whether each slot of the server works."""
    address, key = model.address.removesuffix("/v1"), llama.KEY.reveal()
    with urlopen(Fetch(f"{address}/slots", headers={"Authorization": f"Bearer {key}"})) as told:  # noqa: S310 - ours
        return [slot["is_processing"] for slot in json.load(told)]


def test_a_reply_streams_piece_by_piece_and_its_tokens_are_counted(local):
    """Pieces come one by one; a prompt that was read before is counted as cached."""
    model, asked = local(temperature=0), request("Count from one to twenty, please: one, two, three")
    pieces, finish, usage = asyncio.run(read(model, asked))
    assert len(pieces) > 2
    assert finish in ("stop", "length")
    assert (usage.reported, usage.calls, usage.output_tokens > 2, usage.input_tokens > 10) == (True, 1, True, True)
    again, _, known = asyncio.run(read(model, asked))
    assert (again, known.cached_tokens > 0) == (pieces, True)


async def until(model, *, works):
    """Wait until the slot of the server works, or until it is free."""
    while slots(model)[0] is not works:  # noqa: ASYNC110 - only the server knows
        await asyncio.sleep(0.005)


async def leave(model):
    """Leave a stream after its first piece."""
    async with aclosing(model.stream(request("Tell me a very long story."))) as pieces:
        async for piece in pieces:
            if piece.text:
                assert slots(model) == [True]
                break


async def cancel(model, asked):
    """Cancel a call when the server has worked on it for a while."""
    task = asyncio.ensure_future(read(model, asked))
    await until(model, works=True)
    await asyncio.sleep(0.3)
    assert slots(model) == [True]
    task.cancel()
    await asyncio.wait([task])


async def cancel_writing(model):
    """Cancel a call whose reply is being written."""
    await cancel(model, request("Tell me another very long story."))


async def cancel_reading(model):
    """Cancel a call whose prompt is being read; each is another, since what was read before is not read again."""
    await cancel(
        model, request(" ".join(Random(time.monotonic()).choices(("river", "stock", "order", "paper"), k=1_400)))
    )


@pytest.mark.parametrize("way", [leave, cancel_writing, cancel_reading])
def test_a_call_that_is_cancelled_gives_its_slot_back(local, way):
    """The server goes on for nobody: if a loop leaves the stream, or its task is cancelled, even while it reads."""
    model = local(max_tokens=1_500, extra_body={"ignore_eos": True})

    async def seconds():
        await model.start()
        await way(model)
        left = time.monotonic()
        await until(model, works=False)
        return time.monotonic() - left

    assert any(asyncio.run(seconds()) < FREE_WITHIN for _ in range(3))  # a busy machine delays it now and then


def test_two_at_once_on_one_slot_are_answered_one_after_the_other(local):
    """Of two clients that know nothing of each other; neither reply holds words of the other."""

    async def both():
        models = [local(extra_body={"grammar": f'root ::= "{word} {word} {word}"'}) for word in ("left", "right")]
        return await asyncio.gather(*(read(model, request("Speak!")) for model in models))

    assert ["".join(pieces) for pieces, _, _ in asyncio.run(both())] == ["left left left", "right right right"]


def test_a_long_prompt_is_read_to_its_end(local):
    """It fills nine tenths of the context, and its tokens are counted."""
    words = round(CONTEXT * 0.85)
    _, finish, usage = asyncio.run(read(local(max_tokens=4), request("word " * words)))
    assert words < usage.input_tokens < CONTEXT
    assert finish in ("stop", "length")


@pytest.mark.parametrize(
    "text", ["日本語のテキスト 🎉🏳️‍🌈", "naïve café — “quoted”", "مرحبا \u202b", "a\u0301 \U0001f9d1\u200d\U0001f680"]
)
def test_any_text_comes_back_as_it_is(local, text):
    """Characters of several tokens arrive whole, however the server cuts its pieces."""
    grammar = f"root ::= {json.dumps(text, ensure_ascii=False)}"
    model = local(max_tokens=200, extra_body={"grammar": grammar})
    pieces, finish, _ = asyncio.run(read(model, request(f"Repeat: {text}")))
    assert ("".join(pieces), finish) == (text, "stop")


def test_a_request_that_is_longer_than_the_context_is_named(local):
    """With the sizes of its parts, and both numbers as the server gives them."""
    with pytest.raises(BadRequest, match=f"the request is too long for the model.*{CONTEXT} tokens"):
        asyncio.run(read(local(), request("many words " * CONTEXT)))


def test_a_reply_that_reaches_the_end_of_the_context_says_that_it_is_cut_off(local):
    """The finish is its own, and a plan that is cut off is no plan."""
    model = local(max_tokens=100_000, extra_body={"ignore_eos": True})
    _, finish, usage = asyncio.run(read(model, request("word " * (CONTEXT - 120))))
    assert finish == "length"
    assert usage.input_tokens + usage.output_tokens <= CONTEXT + 1


def test_a_wrong_key_is_refused(server):
    """By any client."""
    wrong = connect("openai:tiny", base_url=server, api_key="sk-wrong-0123456789")
    with pytest.raises(AuthenticationFailed, match="the key was refused"):
        asyncio.run(read(wrong, request("Hello")))


@pytest.mark.parametrize("dialect", ["python", "numbered", "json"])
def test_it_is_asked_in_each_dialect(server, dialect, figure):
    """By a client that knows only its address. Whatever it writes is a plan or a named problem."""
    key = llama.KEY.reveal()
    settings = {"base_url": server, "api_key": key, "temperature": 0, "max_tokens": 40}
    for number in range(times(1)):
        model = connect("openai:tiny", **settings, seed=number)
        run = Compiler(model, [], dialect=dialect, max_repairs=0, max_replans=0).run_sync("What is 2 + 2?")
        assert run.status in ("done", "failed", "limit")
        assert run.error or run.status == "done"
        assert (run.usage.reported, run.usage.output_tokens > 0) == (True, True)
        assert key not in repr(run.events)
    figure(f"{dialect}: {run.usage.tokens:,} tokens, {run.status}")


# ---------------------------------------------------------------- plans under a grammar


def planned(local, random, number):
    """Ask for a plan of random tools at temperature 1; return the run, and the calls of its planner."""
    box, inputs = random_toolbox(random, random.randrange(1, 5)), random.choice([{}, {"city": "Oslo", "df": [1, 2]}])
    dialect = ("python", "numbered", "json")[number % 3]
    model = local(max_tokens=1_000, temperature=1.0, seed=number)
    compiler = Compiler(model, box, dialect=dialect, max_repairs=1)
    run, work = compiler.begin(compiler.order_planned(random.choice(QUESTIONS), inputs))
    asyncio.run(work)
    return run, list(run.progress.calls.values())


@pytest.mark.timeout(3_600)
def test_every_plan_that_it_writes_under_the_grammar_is_valid_at_once(local, figure):
    """At temperature 1, over random tools and dialects, whatever they mean to it: no plan is repaired."""
    random, wrong, repairs = Random(seed()), [], 0
    number = times(20) if factor() > 1 else 6  # 200 in a soak; each takes about four seconds
    for at in range(number):
        run, calls = planned(local, random, at)
        repairs += len(calls) - 1
        held = [call.grammar.endswith(("tool", "tools")) for call in calls]
        [made] = run.rounds
        if (run.status, held, made.repaired, made.problems) != ("done", [True], (), ()) or run.plan is None:
            wrong.append((at, run.settings.dialect, run.error, run.prompt(), made.text))
    figure(f"{number} plans, {number - len(wrong)} valid, {repairs} repairs")
    assert wrong == []
