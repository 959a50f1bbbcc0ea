import asyncio
from dataclasses import replace

import openai.resources.chat.completions  # noqa: F401 - its import is no part of what is timed here
import pytest

from compiler_nb.errors import (
    AuthenticationFailed,
    ModelError,
    ModelTimeout,
    NoModel,
    ProviderUnavailable,
    RateLimited,
    StreamBroken,
)
from compiler_nb.events import Log, ModelChunk, ModelEnded, ModelStarted, ModelWaits, Warned
from compiler_nb.models.base import Chunk, Request
from compiler_nb.models.calls import Calls, sane
from compiler_nb.models.limits import Limit, Limits
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.models.secret import Secret
from compiler_nb.outcome import Usage
from tests.support.clock import run_virtually
from tests.support.server import Server

QUESTION = Request("worker", ({"role": "user", "content": "12345678"},), task="note", prompt="hash")
FAST = {"first_token": 0.05, "idle": 0.03, "backoff": 0.001}


class Speaks:
    """A model that yields what it is given: chunks, texts, exceptions to raise, seconds to wait."""

    name = "speaks"

    def __init__(self, *scripts, provider="double"):
        self.scripts, self.provider, self.opened, self.closed = list(scripts), provider, 0, 0

    async def stream(self, request):
        script = self.scripts[min(self.opened, len(self.scripts) - 1)]
        self.opened += 1
        try:
            for step in script:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif isinstance(step, BaseException):
                    raise step
                else:
                    yield step
        finally:
            self.closed += 1


def run(model, *, request=QUESTION, read=None, runs=run_virtually, **settings):
    """Return (pieces, stream, events) of one call; an error that it ended in takes the place of the stream.

    runs: runs the call, on virtual time unless a real server answers.
    """

    async def main():
        log = Log("r", asyncio.get_running_loop().time)
        calls, pieces = Calls(log.emit, **{**FAST, **settings}), []
        try:
            async with calls.open(model, request) as stream:
                async for piece in stream:
                    pieces.append(piece)
                    if read is not None:
                        await read(pieces)
        except ModelError as error:
            return pieces, error, log.events
        return pieces, stream, log.events

    return runs(main())


def kinds(events):
    """Return the names of the events' classes, in order."""
    return [type(event).__name__ for event in events]


def test_a_call_is_told_by_its_events():
    """Started says who asks whom what, chunks are the text, ended says why and what it used."""
    usage = Usage(1, 5, 2)
    pieces, stream, events = run(Speaks([Chunk("a = "), Chunk("f()\n"), Chunk("", "stop", usage)]))
    assert pieces == ["a = ", "f()\n"]
    assert (stream.call, stream.finish, stream.usage) == (1, "stop", usage)
    assert [event[4:] for event in events] == [
        (1, "worker", "note", "double", "speaks", QUESTION.messages, "hash", ""),
        (1, "a = "),
        (1, "f()\n"),
        (1, "stop", usage, "", "", "", ""),
    ]


def test_calls_are_numbered():
    """Each call of a run has its own number, whichever model it asks."""
    log = Log("r")

    async def main():
        calls = Calls(log.emit)
        await asyncio.gather(*(calls.text(Speaks(["x"]), QUESTION) for _ in range(3)))

    asyncio.run(main())
    for kind in (ModelStarted, ModelEnded):
        assert sorted(event.call for event in log.events if type(event) is kind) == [1, 2, 3]


def test_plain_strings_are_a_whole_reply():
    """A model that knows no chunks ends with stop, and its usage is estimated and marked so."""
    pieces, stream, _ = run(Speaks(["abcd", "efgh"]))
    assert pieces == ["abcd", "efgh"]
    assert (stream.finish, stream.usage) == ("stop", Usage(1, 2, 2, 0, reported=False))


def test_a_stream_without_a_finish_was_cut():
    """The caller sees no finish, and has the error for it."""
    _, stream, events = run(Speaks([Chunk("half a li")]))
    assert stream.finish == events[-1].finish == ""
    assert isinstance(stream.cut(), StreamBroken)
    assert "double:speaks: the reply ended without a finish reason and may be cut off" in str(stream.cut())
    assert "ask again, or check the server and any proxy in front of it" in str(stream.cut())


@pytest.mark.parametrize("wrong", [3, None, b"bytes", ("text", "stop")])
def test_a_model_that_yields_anything_else_is_told(wrong):
    """A mistake in a model is named."""
    _, error, events = run(Speaks([wrong]))
    assert f"yields {type(wrong).__name__}; a model yields str or Chunk" in str(error)
    assert kinds(events) == ["ModelStarted", "ModelEnded"]


def test_a_model_that_is_no_generator_is_told():
    """A coroutine in the place of a generator is named, and not left unawaited."""

    class Wrong:
        name = provider = "wrong"

        async def stream(self, request):
            return "text"

    _, error, _ = run(Wrong())
    assert "Wrong.stream is not an async generator" in str(error)


def test_what_a_model_raises_is_a_model_error():
    """An unnamed exception gets the model's name and keeps its cause."""
    _, error, events = run(Speaks(["a", ZeroDivisionError("by zero")]))
    assert str(error) == "double:speaks raised ZeroDivisionError: by zero"
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert "by zero" in events[-1].error


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (Usage(1, 5, 2), Usage(1, 5, 2)),
        (Usage(0, 5, 2, 9), Usage(1, 5, 2, 5)),
        (Usage(1, 5, 2, 1, True, 3, 9), Usage(1, 5, 2, 1, reasoning_tokens=2, cache_write_tokens=5)),
        (Usage(1, 5, 2, reasoning_tokens=-1), None),
        (Usage(1, -5, 2), None),
        (Usage(1, 5, 10**9), None),
        (Usage(1, 0, 0), None),
        (Usage(1, True, 2), None),
        (Usage(1, 5.0, 2), None),
    ],
)
def test_only_sane_usage_counts(told, usage):
    """Negative, absurd and missing numbers are estimated; more cached tokens than tokens are cut."""
    assert sane(told) == usage
    _, stream, _ = run(Speaks([Chunk("abcd"), Chunk("", "stop", told)]))
    assert stream.usage == (usage or Usage(1, 2, 1, 0, reported=False))


@pytest.mark.parametrize("end", [ModelError("down"), AuthenticationFailed("no"), 9.0, NoModel("a person")])
def test_a_call_that_is_never_answered_counts_no_tokens(end):
    """Nobody has read it: a server that is down, a wrong key, silence, or a person who writes in another cell."""
    _, _, events = run(Speaks([end]))
    assert events[-1].usage == Usage(1)
    _, _, events = run(Speaks([Chunk(), end]))  # it was thinking
    assert events[-1].usage == Usage(1, 2, 0, reported=False)


@pytest.mark.parametrize(
    ("script", "pieces", "words"),
    [
        ([9.0], [], "said nothing for 0.05 s"),
        (["a", 9.0], ["a"], "said nothing more for 0.03 s"),
        (["a", 0.015, "b", 0.015, "c", 9.0], ["a", "b", "c"], "said nothing more"),
        ([0.04, "a", 9.0], ["a"], "said nothing more"),
    ],
)
def test_silence_is_a_timeout(script, pieces, words):
    """The first piece and each next one have their time; the stream is closed."""
    model = Speaks(script)
    got, error, events = run(model)
    assert got == pieces
    assert type(error) is ModelTimeout
    assert words in str(error)
    assert words in events[-1].error
    assert model.opened == model.closed == (1 if pieces else 2)
    assert events[-1].at - events[0].at < 0.5


def test_a_model_that_keeps_speaking_is_never_cut():
    """Pieces and signs of life move the deadline, however long the whole takes."""
    _, stream, _ = run(Speaks([step for _ in range(8) for step in (Chunk(), 0.015)] + [Chunk("a", "stop")]))
    assert stream.finish == "stop"


def test_the_reader_s_own_time_does_not_count():
    """A slow reader is no slow model."""

    async def slow(pieces):
        await asyncio.sleep(0.05)

    _, stream, _ = run(Speaks(["a", "b", Chunk("c", "stop")]), read=slow)
    assert stream.finish == "stop"


def test_a_cancellation_stays_one():
    """Cancelling ends the call at once: stream closed, place given back, event emitted, no timeout made of it."""
    log, model = Log("r"), Speaks(["a", 60.0])

    async def main():
        calls = Calls(log.emit, limits={"double": Limit(concurrency=1)})
        task = asyncio.create_task(calls.text(model, QUESTION))
        await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return calls.limits.gate("double").running

    assert asyncio.run(main()) == 0
    assert model.closed == 1
    assert kinds(log.events) == ["ModelStarted", "ModelChunk", "ModelEnded"]
    assert "CancelledError" in log.events[-1].error


def test_a_cancelled_wait_for_a_place_has_no_events():
    """A call that never began never ends."""
    log = Log("r")

    async def main():
        calls = Calls(log.emit, limits={"double": Limit(concurrency=1)})
        async with calls.limits.slot("double"):
            task = asyncio.create_task(calls.text(Speaks(["a"]), QUESTION))
            await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert log.events == []


def test_a_reader_that_leaves_early_closes_the_stream():
    """What follows is not read, the place is free, and no error is told."""
    log, model = Log("r"), Speaks(["a", "b", 60.0])

    async def main():
        calls = Calls(log.emit)
        async with calls.open(model, QUESTION) as stream:
            async for _ in stream:
                break
        return calls.limits.gate("double").running

    assert asyncio.run(main()) == 0
    assert model.closed == 1
    assert (log.events[-1].finish, log.events[-1].error) == ("", "")


def test_a_model_that_will_not_stop_is_stopped_again():
    """A model that goes on after its time is cancelled until it ends."""

    class Sticks:
        name = provider = "sticks"

        async def stream(self, request):
            try:
                yield "a"
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(60)

    _, error, events = run(Sticks(), closing=0.01)
    assert type(error) is ModelTimeout
    assert events[-1].at - events[0].at < 0.1


BUSY = ProviderUnavailable("busy", status=503)


@pytest.mark.parametrize(
    ("scripts", "opened", "end"),
    [
        ([[BUSY], [BUSY], ["a"]], 3, "stop"),
        ([[BUSY]], 4, ProviderUnavailable),
        ([[ProviderUnavailable("nobody there")]], 2, ProviderUnavailable),
        ([[RateLimited("slow")], ["a"]], 2, "stop"),
        ([[RateLimited("slow", retry_after=0.01)], [RateLimited("slow")], [RateLimited("slow")], ["a"]], 4, "stop"),
        ([[RateLimited("slow", retry_after=500.0)]], 1, RateLimited),
        ([[StreamBroken("reset")], ["a"]], 2, "stop"),
        ([[9.0], ["a"]], 2, "stop"),
        ([[Chunk(), BUSY], ["a"]], 2, "stop"),
        ([[AuthenticationFailed("no")]], 1, AuthenticationFailed),
        ([[ZeroDivisionError()]], 1, ModelError),
        ([["a", BUSY]], 1, ProviderUnavailable),
        ([["a", StreamBroken("reset")]], 1, StreamBroken),
    ],
)
def test_only_what_may_help_is_tried_again(scripts, opened, end):
    """Before the first text and for passing faults; fewer times where nobody answered; else the fault is raised."""
    model = Speaks(*scripts)
    _, stream, events = run(model)
    assert model.opened == model.closed == opened
    assert stream.finish == end if isinstance(end, str) else type(stream) is end
    assert kinds(events).count("ModelStarted") == kinds(events).count("ModelEnded") == 1
    assert kinds(events).count("Warned") == opened - 1
    if not isinstance(end, str):
        assert stream.attempts == opened
        assert str(stream).endswith(f"(tried {opened} times)") == (opened > 1)


def test_an_error_that_is_raised_again_tells_of_its_own_call():
    """A script may hold one and raise it each time."""
    error = ProviderUnavailable("nobody there")
    error.attempts, error.kept = 9, "kept: a"
    _, told, _ = run(Speaks([error]))
    assert str(told) == "nobody there (tried 2 times)"


def test_a_retry_is_told():
    """The user sees which call waits, for how long and why."""
    _, _, events = run(Speaks([BUSY], ["a"]))
    (warned,) = (event for event in events if type(event) is Warned)
    assert (warned.task, warned.message) == ("note", "call 1: try 1 failed, trying again in 0.0 s: busy")


def test_a_rate_limit_pauses_its_provider_and_no_other():
    """After a 429 all calls to that provider wait; others go on."""
    log = Log("r")
    limited = Speaks([RateLimited("slow", retry_after=0.05)], ["a"], provider="limited")

    async def main():
        calls = Calls(log.emit, **FAST)
        first = asyncio.create_task(calls.text(limited, QUESTION))
        await asyncio.sleep(0.005)
        now = asyncio.get_running_loop().time

        async def timed(provider):
            await calls.text(Speaks(["b"], provider=provider), QUESTION)
            return now()

        times = await asyncio.gather(timed("limited"), timed("other"))
        await first
        return times

    same, other = run_virtually(main())
    assert other == 0.005
    assert 0.05 <= same < 0.06


@pytest.mark.slow
def test_a_429_of_one_model_does_not_stop_another_on_another_server():
    """A pause belongs to provider, address and model: others are asked at once, on either server."""
    log = Log("r")

    async def main(busy, other):
        calls, loop = Calls(log.emit), asyncio.get_running_loop()
        began = loop.time()

        async def seconds(name, server):
            await calls.text(OpenAIModel(name, provider="vllm", base_url=server.url), QUESTION)
            return loop.time() - began

        first = asyncio.create_task(seconds("bad", busy))
        await asyncio.sleep(0.5)
        others = await asyncio.gather(seconds("bad", other), seconds("good", busy))
        return await first, *others

    with Server(faults=["429=3"]) as busy, Server() as other:
        waited, *others = asyncio.run(main(busy, other))
    assert waited > 3
    assert all(seconds < 2 for seconds in others)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["429=2", "busy=2"])
def test_what_a_provider_asks_for_is_told_while_it_lasts(fault):
    """By the call that was refused, and by others of that model that come meanwhile; each says when it goes on."""
    logs = [Log("r"), Log("s")]

    async def main(server):
        model, limits = OpenAIModel("m", provider="vllm", base_url=server.url), Limits()
        calls = [Calls(log.emit, limits=limits) for log in logs]
        first = asyncio.create_task(calls[0].text(model, QUESTION))
        await asyncio.sleep(0.5)
        await calls[1].text(model, replace(QUESTION, role="planner", task=""))
        await first

    with Server(faults=[fault]) as server:
        asyncio.run(main(server))
    for log, role, task in zip(logs, ("worker", "planner"), ("note", ""), strict=True):
        began, ended = (event for event in log.events if type(event) is ModelWaits)
        assert began[4:] == (1, role, task, "vllm", "m", 2.0, began.left, True)
        assert began.at + began.left == pytest.approx(ended.at, abs=0.5)
        assert ended[4:] == (1, role, task, "vllm", "m", 0.0, 0.0, False)
    assert kinds(logs[1].events) == ["ModelWaits", "ModelWaits", "ModelStarted", "ModelChunk", "ModelEnded"]


def test_a_run_that_is_stopped_takes_its_pause_with_it():
    """The next one asks at once, and is answered if the provider has changed its mind."""
    model = Speaks([RateLimited("slow", retry_after=45.0)], ["a"])

    async def main():
        now = asyncio.get_running_loop().time
        log = Log("r", now)
        calls = Calls(log.emit)
        stopped = asyncio.create_task(calls.text(model, QUESTION))
        await asyncio.sleep(7)
        stopped.cancel()
        await asyncio.gather(stopped, return_exceptions=True)
        await calls.text(model, QUESTION)
        return now(), [event for event in log.events if type(event) is ModelWaits]

    ended, waits = run_virtually(main())
    assert ended == 7.0
    assert [(event.at, event.waits) for event in waits] == [(0.0, True), (7.0, False)]
    assert waits[0].asked == 45.0


def test_a_model_that_is_being_loaded_is_waited_for():
    """Longer than four tries would take, and all its calls wait together."""
    fault = ProviderUnavailable("loading", status=503)
    fault.patient = True
    _, stream, events = run(Speaks(*[[fault]] * 6, ["a"]), backoff=0.5)
    assert stream.finish == "stop"
    assert events[-1].at > 8


@pytest.mark.slow
def test_replies_that_get_mixed_up_suggest_one_at_a_time():
    """A small server may serve one stream: overlapping ones break off, and the limit is named."""

    async def main(server, count):
        calls = Calls(lambda *_: None, tries=1)
        model = OpenAIModel("m", base_url=server.url, api_key="sk-123456")
        return await asyncio.gather(*(calls.text(model, QUESTION) for _ in range(count)), return_exceptions=True)

    for fault in ("done", "broken-json"):
        with Server("a long reply, which breaks off", always=fault, pace=0.05) as server:
            crowded, alone = asyncio.run(main(server, 2)), asyncio.run(main(server, 1))
        assert all("set limits={'openai': Limit(concurrency=1)}" in str(error) for error in crowded)
        assert all(str(error).count("Limit(") == 1 for error in crowded)
        assert "Limit(" not in str(alone[0])


def test_places_at_a_provider_are_kept():
    """No more calls at a time than allowed, and one at a time for a local server unless told otherwise."""
    running = []

    class Counts(Speaks):
        async def stream(self, request):
            running.append(1)
            most.append(len(running))
            await asyncio.sleep(0.002)
            running.pop()
            yield "a"

    def most_of(provider, limits=None):
        most.clear()

        async def main():
            calls = Calls(lambda *_: None, limits=limits)
            await asyncio.gather(*(calls.text(Counts(provider=provider), QUESTION) for _ in range(6)))

        asyncio.run(main())
        return max(most)

    most = []
    assert most_of("double", {"double": Limit(concurrency=2)}) == 2
    assert most_of("double") == 6
    assert most_of("ollama") == 1
    assert most_of("ollama", {"ollama": Limit(concurrency=3)}) == 3


def test_limits_may_be_shared_and_count_the_tokens_used():
    """Several runs go through the same gates, which learn what calls really used."""

    async def main():
        limits = Limits({"double": Limit(tpm=1000)})
        for _ in range(2):
            await Calls(lambda *_: None, limits=limits).text(Speaks([Chunk("a", "stop", Usage(1, 90, 10))]), QUESTION)
        gate, now = limits.gate("double"), asyncio.get_running_loop().time()
        return gate.opens(now, 800) <= now, gate.opens(now, 801) > now

    assert asyncio.run(main()) == (True, True)


def text_of(model, **settings):
    """Return (reply, events) of one call for a whole reply."""
    log = Log("r")

    async def main():
        return await Calls(log.emit, **{**FAST, **settings}).text(model, QUESTION)

    return asyncio.run(main()), log.events


def test_a_whole_reply_has_its_text_and_no_error():
    """What needs no stream gets the reply in one piece."""
    reply, _ = text_of(ScriptedModel(["hello there"]))
    assert reply == ("hello there", None, "")


@pytest.mark.parametrize("broken", [[Chunk("hal")], ["a", StreamBroken("reset")], ["a", 9.0]])
def test_a_whole_reply_that_broke_off_is_asked_for_once_more(broken):
    """Nobody has used a half reply yet, so another call is made, once, and seen as such."""
    reply, events = text_of(Speaks(broken, [Chunk("whole", "stop")]))
    assert reply.text == "whole"
    assert [event.call for event in events if type(event) is ModelEnded] == [1, 2]
    with pytest.raises((StreamBroken, ModelTimeout), match=r"\(tried 2 times\)"):
        text_of(Speaks(broken))


def test_an_empty_reply_is_asked_for_once_more():
    """A stream that ends at once without a word is cut, like one that is reset before its first."""
    model = Speaks([Chunk()])
    with pytest.raises(StreamBroken):
        text_of(model)
    assert model.opened == 2


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_a_workers_reply_that_had_to_stop_is_an_error(finish):
    """Half a value is useless; half a decision may do, so the joiner gets the text and the error."""
    with pytest.raises(ModelError, match="double:speaks: the worker's reply is cut off"):
        text_of(Speaks([Chunk("half", finish)]))
    log = Log("r")
    request = Request("joiner", QUESTION.messages)
    reply = asyncio.run(Calls(log.emit).text(Speaks([Chunk("half", finish)]), request))
    assert reply.text == "half"
    assert str(reply.stopped).startswith("double:speaks: the joiner's reply is cut off")


@pytest.mark.parametrize(("asks", "opened"), [(None, 10), (50.0, 2), (130.0, 1)])
def test_a_provider_that_is_asked_too_often_is_waited_for_two_minutes(asks, opened):
    """However many tries that takes; it is not waited for if it asks for more than is left."""
    model = Speaks([RateLimited("slow", retry_after=asks)])

    async def main():
        began = asyncio.get_running_loop().time()
        with pytest.raises(RateLimited):
            await Calls(lambda *_: None).text(model, QUESTION)
        return asyncio.get_running_loop().time() - began

    assert run_virtually(main()) <= 120
    assert model.opened >= opened


@pytest.mark.parametrize("fault", ["keep-alive", "mute"])
def test_a_server_s_keep_alives_are_no_content(fault):
    """Comments do not move the deadline, over a real connection."""
    with Server("plan", always=fault) as server:
        _, error, events = run(OpenAIModel("m", provider="vllm", base_url=server.url), tries=1, runs=asyncio.run)
    assert type(error) is ModelTimeout
    assert "said nothing for 0.05 s" in str(error)
    assert kinds(events) == ["ModelStarted", "ModelEnded"]


@pytest.mark.parametrize("faults", [["429=0.01", "status=500", "early-reset"], ["html-502"], ["429", "429", "429"]])
def test_a_real_server_s_passing_faults_are_overcome(faults):
    """The same over a real connection: the reply comes once the faults are over."""
    with Server("plan", faults=faults) as server:
        model = OpenAIModel("m", provider="vllm", base_url=server.url)
        pieces, stream, events = run(model, first_token=1.0, idle=1.0, runs=asyncio.run)
        assert len(server.requests) == len(faults) + 1
    assert ("".join(pieces), stream.finish) == ("plan", "stop")
    assert sum(type(event) is ModelChunk for event in events) == len(pieces)


# -------------------------------------------------------------------- who answered


def warnings(events):
    """Return what the user is told."""
    return [event.message for event in events if type(event) is Warned]


@pytest.mark.parametrize(
    ("named", "answered", "told"),
    [("", "", 0), ("speaks", "", 0), ("speaks-2026-11-20", "speaks-2026-11-20", 0), ("mumbles", "mumbles", 1)],
)
def test_who_answered_is_noted_and_told_where_it_is_another(named, answered, told):
    """The event names it if it is not the very name that was asked for."""
    _, stream, events = run(Speaks([Chunk("a"), Chunk("", "stop", None, named)]))
    assert stream.answered == events[-1].answered == answered
    warning = "double:speaks was asked, but mumbles answered; is it an alias, or does a proxy choose?"
    assert warnings(events) == [f"call 1: {warning}"] * told


def test_a_deployment_is_called_as_its_owner_likes():
    """It names the model behind it, which is no news."""
    _, stream, events = run(Speaks([Chunk("a", "stop", None, "gpt-5")], provider="azure"))
    assert (stream.answered, warnings(events)) == ("gpt-5", [])


# -------------------------------------------------------------------- keys

KEY = "sk-canary-0123456789"


class Holds(Speaks):
    """A model that holds a key."""

    secrets = (Secret(KEY),)


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_key_never_comes_out_of_a_model_that_holds_it(size):
    """Neither in a piece nor over several: not to the reader, not to an event, not as finish or name."""
    text = f"a = get('{KEY}')\n# Bearer {KEY} and on, {KEY[:6]}"
    pieces = [Chunk(text[at : at + size]) for at in range(0, len(text), size)]
    got, stream, events = run(Holds([*pieces, Chunk("", f"end-{KEY}", Usage(1, 5, 2), f"m-{KEY}")]))
    assert "".join(got) == "a = get('***')\n# Bearer *** and on, sk-can"
    assert [event.text for event in events if type(event) is ModelChunk] == got
    assert (stream.finish, stream.answered) == ("end-***", "m-***")
    assert KEY[:8] not in repr(events)


def test_a_line_is_handed_on_at_once_where_a_key_is_held():
    """What is held back is never a whole line of a plan."""
    seen = []

    async def look(pieces):
        seen.append("".join(pieces))

    run(Holds([Chunk("a = sk-can\n"), Chunk("b = sk-"), Chunk("can()\n"), Chunk("", "stop")]), read=look)
    assert [text.count("\n") for text in seen if text.endswith("\n")] == [1, 2]


@pytest.mark.parametrize("end", [[], [StreamBroken("reset")]])
def test_what_was_held_back_comes_out_at_the_end(end):
    """However the reply ends."""
    got, _, _ = run(Holds([Chunk("b = sk-can"), *end]))
    assert "".join(got) == "b = sk-can"


def test_what_a_model_raises_is_told_without_its_key():
    """Nor is the cause kept, whose text holds it."""
    _, error, events = run(Holds([ZeroDivisionError(f"with {KEY}")]))
    assert str(error) == "double:speaks raised ZeroDivisionError: with ***"
    assert error.__cause__ is None
    assert KEY not in repr(events)
