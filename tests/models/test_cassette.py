"""Cassettes: what was recorded is played, and what was not is named."""

from __future__ import annotations

import asyncio
import json
import stat
from contextlib import suppress

import pytest

from compiler_nb import Budget, Cassette, Chunk, Compiler, HistoryError, NotRecorded, RateLimited, Request, Usage, tool
from compiler_nb.errors import ModelRefused, ModelTimeout, ProviderUnavailable
from compiler_nb.events import ModelChunk
from compiler_nb.models.base import Model
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.models.secret import Secret
from tests.support.clock import run_virtually
from tests.support.desk import Desk, Pieces

PLAN = 'a = get("x")\nb = llm("say it", a)\njoin(b)\n'
SAYS = {"planner": PLAN, "joiner": "It is so.", "worker": "said"}


def request(content="Which?", role="worker", task=""):
    """Return a request."""
    return Request(role, ({"role": "user", "content": content},), task)


async def read(model, *asked):
    """Return the chunks of the replies to some requests, one after the other."""
    return [[piece async for piece in model.stream(each)] for each in asked]


def said(model, *asked):
    """Return the texts of the replies to some requests."""
    replies = run_virtually(read(model, *asked))
    return ["".join(piece if isinstance(piece, str) else piece.text for piece in reply) for reply in replies]


def record(path, model, *asked):
    """Record requests, whatever comes of them; return the cassette."""

    async def ask():
        recorder = Cassette.record(path, model)
        for each in asked:
            with suppress(Exception):
                await read(recorder, each)

    run_virtually(ask())
    return Cassette(path)


class Odd:
    """A model that yields what it is told to, and raises it if it is an error."""

    name, provider, address, patience = "odd-1", "oddly", "http://127.0.0.1:9/v1", 90.0
    prompts, dialect = "small", "json"

    def __init__(self, *pieces):
        self.pieces, self.parameters = pieces, {"max_tokens": 7, "temperature": 1}

    async def stream(self, request):
        """Yield the pieces, a second between two."""
        for piece in self.pieces:
            await asyncio.sleep(1)
            if isinstance(piece, Exception):
                raise piece
            yield piece


class Plain(Odd):
    """One that is asked as most models are."""

    prompts, dialect = "full", "python"


@pytest.fixture
def path(tmp_path):
    """Give the path of a cassette that is not there yet."""
    return tmp_path / "runs.jsonl"


def without_chunks(run):
    """Return the types of a run's events; chunks that come at once are one on a cassette, as the clock has it."""
    return [type(event) for event in run.events if type(event) is not ModelChunk]


def replies(cassette):
    """Return the whole texts that were not played."""
    return ["".join(getattr(part, "text", "") for _, part in each.reply) for each in cassette.unused]


def test_a_question_is_recorded_and_answered_again_without_a_model(path):
    """The same plan, results, answer and usage; no model is there to ask."""
    desk, recorded = Desk(), Cassette.record(path, ScriptedModel(SAYS))
    first = run_virtually(Compiler(recorded, desk.tools).run("What?"))
    again = run_virtually(Compiler(Cassette(path), desk.tools).run("What?"))
    assert (again.status, again.answer, again.results, again.usage) == ("done", "It is so.", first.results, first.usage)
    assert without_chunks(again) == without_chunks(first)


def test_a_cassette_and_its_recorder_are_models(path):
    """Both fit wherever a model does, in one role too; a recorder has what its model has."""
    recorder = Cassette.record(path, Odd())
    assert isinstance(recorder, Model)
    assert (recorder.name, recorder.provider, recorder.patience, recorder.prompts) == ("odd-1", "oddly", 90.0, "small")
    assert not hasattr(recorder, "dialects")
    assert isinstance(Cassette(path), Model)
    assert isinstance(Cassette(path).for_role("joiner"), Model)
    assert repr(recorder).startswith("Cassette.record(")


def test_only_models_are_recorded(path):
    """A name of a model is connected first."""
    with pytest.raises(ValueError, match=r"must be a Model, such as connect\('openai:gpt-5-mini'\), not 'openai:x'"):
        Cassette.record(path, "openai:x")
    with pytest.raises(ValueError, match="must be a Model"):
        Cassette.record(path, ScriptedModel)
    assert not path.exists()


def test_only_the_user_can_read_the_file(path):
    """Prompts and replies stand in it."""
    Cassette.record(path, ScriptedModel("x"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_each_role_has_the_names_of_its_own_model(path):
    """Requests depend on what a model asks for, and events name it."""
    planner, worker = ScriptedModel(SAYS, name="large"), Odd("said")
    compiler = Compiler(
        planner=Cassette.record(path, planner), worker=Cassette.record(path, worker), tools=Desk().tools
    )
    run_virtually(compiler.run("What?"))
    settings = Compiler(Cassette(path), Desk().tools).settings
    assert settings.models == {"planner": "scripted:large", "joiner": "scripted:large", "worker": "oddly:odd-1"}
    part = Cassette(path).for_role("worker")
    assert (part.prompts, part.dialect, part.patience, part.address) == ("small", "json", 90.0, Odd.address)
    assert part.parameters == {"max_tokens": 7}


def test_of_equal_requests_the_kth_gets_the_kth_reply_and_the_last_again(path):
    """As a list of replies does."""
    cassette = record(path, ScriptedModel(["one", "two"]), request(), request())
    assert said(cassette, request(), request(), request()) == ["one", "two", "two"]
    cassette.reset()
    assert replies(cassette) == ["one", "two"]
    assert said(cassette, request()) == ["one"]
    assert replies(cassette) == ["two"]


def test_requests_may_come_in_another_order(path):
    """The tasks of a fan-out do; equal ones get what their own task was told."""
    asked = [request("a"), request("b"), request("same", task="x"), request("same", task="y")]
    cassette = record(path, ScriptedModel(["A", "B", "X", "Y"]), *asked)
    assert said(cassette, *reversed(asked)) == ["Y", "X", "B", "A"]
    assert said(cassette, request("same", task="x")) == ["X"]
    cassette.reset()
    assert said(cassette, request("same", task="new"), request("same", task="other")) == ["X", "Y"]


def test_a_fan_out_that_asks_a_model_is_played_in_any_order(path):
    """Each item gets its own reply, although all are asked at once, and later ones end first."""

    class Slow(Plain):
        async def stream(self, request):
            asked = request.messages[-1]["content"]
            number = next((n for n in (1, 2, 3) if f"item {n}" in asked), 0)
            await asyncio.sleep(9 - number)
            yield Chunk(f"reply {number}" if number else "It is so.", "stop")

    plan = ScriptedModel({"planner": 'r = [llm(f"item {n}", n) for n in [1, 2, 3]]\nanswer(r)'})
    slow = Cassette.record(path, Slow())
    compiler = Compiler(planner=Cassette.record(path, plan), worker=slow)
    assert run_virtually(compiler.run("What?")).answer == ["reply 1", "reply 2", "reply 3"]
    again = run_virtually(Compiler(Cassette(path)).run("What?"))
    assert again.answer == ["reply 1", "reply 2", "reply 3"]


def test_everything_that_a_chunk_says_is_kept(path):
    """Finish, usage, the answering model, grammar, notice and template, in the same pieces."""
    usage = Usage(1, 10, 5, 3, True, 2, 1)
    pieces = [
        Chunk("a "),
        Chunk("b", "stop", usage, "odd-1-0105", "4 tools", "mind the gap", "[user]"),
        Chunk("", "length"),
    ]
    cassette = record(path, Odd(*pieces), request())
    assert run_virtually(read(cassette, request())) == [pieces]


def test_plain_strings_are_played_as_plain_strings(path):
    """They say by their end that the model ended."""
    cassette = record(path, Odd("a ", "b"), request())
    assert run_virtually(read(cassette, request())) == [["a ", "b"]]


def test_replies_come_at_once_or_at_their_own_pace(path):
    """With timings the third piece comes after three seconds, and the end when it came."""

    async def took(model):
        loop = asyncio.get_running_loop()
        began = loop.time()
        times = [loop.time() - began async for _ in model.stream(request())]
        return [round(each) for each in times]

    record(path, Odd("a", "b", "c"), request())
    assert run_virtually(took(Cassette(path))) == [0, 0, 0]
    assert run_virtually(took(Cassette(path, timings=True))) == [1, 2, 3]
    assert run_virtually(took(Cassette(path, timings=True).for_role("planner"))) == [1, 2, 3]


FAULTS = [
    RateLimited("slow down", provider="oddly", model="odd-1", status=429, retry_after=30.0, request_id="r-1"),
    ModelRefused("no", text="I will not", provider="oddly", model="odd-1"),
    ProviderUnavailable("down", provider="oddly", model="odd-1", status=503),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_an_error_is_raised_again(path, fault):
    """Of the same class, with the same words and facts."""
    cassette = record(path, Odd(Chunk("begun "), fault), request())
    with pytest.raises(type(fault)) as raised:
        run_virtually(read(Cassette(path, timings=True), request()))
    assert str(raised.value) == str(fault)
    kept = {name: value for name, value in vars(fault).items() if name not in ("attempts", "retryable")}
    assert {name: getattr(raised.value, name) for name in kept} == kept
    with pytest.raises(type(fault)):
        run_virtually(read(cassette, request()))


def test_an_error_of_another_kind_has_the_words_that_a_run_has_for_it(path):
    """Whatever a model raises, it is told in the same way."""
    first = run_virtually(Compiler(Cassette.record(path, Odd(KeyError("x"))), Desk().tools).run("What?"))
    again = run_virtually(Compiler(Cassette(path), Desk().tools).run("What?"))
    assert again.error == first.error == "oddly:odd-1 raised KeyError: 'x'"


def test_tries_that_failed_are_played_without_waiting(path):
    """The provider asked to wait 30 s; who plays it at once need not."""

    class Twice(Plain):
        tries = 0

        async def stream(self, request):
            self.tries += 1
            if self.tries == 1:
                raise RateLimited("slow down", status=429, retry_after=30.0)
            yield Chunk('answer("done")', "stop")

    async def took(model):
        loop = asyncio.get_running_loop()
        began = loop.time()
        run = await Compiler(model).run("What?")
        return run.answer, loop.time() - began

    answer, seconds = run_virtually(took(Cassette.record(path, Twice())))
    assert (answer, seconds > 30) == ("done", True)
    answer, seconds = run_virtually(took(Cassette(path)))
    assert (answer, seconds < 0.01) == ("done", True)
    answer, seconds = run_virtually(took(Cassette(path, timings=True)))
    assert (answer, seconds > 30) == ("done", True)


def test_a_provider_that_refused_until_the_end_does_so_again(path):
    """At once, and as often as it did then: nobody asks a cassette forever."""
    fault = RateLimited("slow down", status=429)
    first = run_virtually(Compiler(Cassette.record(path, Plain(fault))).run("What?"))
    again = run_virtually(Compiler(Cassette(path)).run("What?"))
    assert again.error == first.error
    assert "slow down (tried " in again.error
    assert len(Cassette(path).recorded) > 3


def test_a_call_that_was_stopped_says_so(path):
    """What had come of it is kept, and nothing waits for the rest."""

    async def stop():
        stream = Cassette.record(path, Odd("a", "b", "c")).stream(request())
        assert await anext(stream) == "a"
        await stream.aclose()

    run_virtually(stop())
    with pytest.raises(ModelTimeout, match=r"^oddly:odd-1 was stopped by its caller while it was recorded$"):
        run_virtually(read(Cassette(path), request()))


def test_a_silent_model_is_recorded_and_its_second_try_is_played(path):
    """The first try ended by the timer; on replay that is known at once."""

    class Silent(ScriptedModel):
        async def stream(self, request):
            if len(self.calls) == 0:
                self.calls.append(request)
                await asyncio.sleep(10_000)
            async for piece in super().stream(request):
                yield piece

    model = Silent({"planner": "answer(1)"})
    first = run_virtually(Compiler(Cassette.record(path, model)).run("What?"))
    again = run_virtually(Compiler(Cassette(path)).run("What?"))
    assert (first.answer, again.answer) == (1, 1)
    assert len(Cassette(path).recorded) == 2


def test_a_request_that_is_not_recorded_names_the_first_difference(path):
    """Which message, which line, and both texts; no live call, no second try."""
    run_virtually(Compiler(Cassette.record(path, ScriptedModel(SAYS)), Desk().tools).run("Which coast is warmer?"))
    cassette = Cassette(path)
    run = run_virtually(Compiler(cassette, Desk().tools).run("Which coast is colder?"))
    assert run.status == "failed"
    assert "has no such request of the planner" in run.error
    assert 'message 2 (user) differs first in line 1: recorded "Question: Which coast is warmer?"' in run.error
    assert 'asked "Question: Which coast is colder?"' in run.error
    assert "to record it: %%compile --record" in run.error
    assert len(cassette.calls) == 1
    with pytest.raises(NotRecorded):
        run_virtually(read(cassette, request("never")))


def test_what_ran_before_makes_no_difference(path):
    """A planner is told what tools returned before; not if it is recorded or played, or nothing would be played."""

    @tool
    def weather(city: str) -> dict:
        """Tell the weather."""
        return {"max": 3}

    model = ScriptedModel({"planner": 'a = weather("x")\nanswer(a)'})
    recorded = Compiler(Cassette.record(path, model), [weather])
    for question in ("first", "second"):
        assert run_virtually(recorded.run(question)).status == "done"
    played = Compiler(Cassette(path), [weather])
    for question in ("second", "first", "second"):
        assert run_virtually(played.run(question)).status == "done"


def test_a_changed_tool_shows_as_the_line_of_the_prompt_that_differs(path):
    """The planner is told of it in its system message."""

    @tool
    def other(x: int) -> int:
        """Do something else."""
        return x

    run_virtually(Compiler(Cassette.record(path, ScriptedModel(SAYS)), Desk().tools).run("What?"))
    run = run_virtually(Compiler(Cassette(path), [*Desk().tools, other]).run("What?"))
    assert "message 1 (system) differs first in line" in run.error
    assert "other(x: int)" in run.error


def test_a_second_recording_is_added(path):
    """In whole lines, by whoever records."""
    record(path, ScriptedModel("one"), request("a"))
    cassette = record(path, ScriptedModel("two"), request("b"))
    assert said(cassette, request("a"), request("b")) == ["one", "two"]
    joined = path.with_name("joined.jsonl")
    joined.write_bytes(path.read_bytes() * 2)
    assert len(Cassette(joined).recorded) == 4


def test_a_file_that_cannot_be_written_costs_a_warning(path, monkeypatch):
    """The reply is there all the same."""
    recorder = Cassette.record(path, ScriptedModel(SAYS))
    path.unlink()
    run = run_virtually(Compiler(recorder, Desk().tools).run("What?"))
    assert run.answer == "It is so."
    warnings = [each for told in run.progress.warnings.values() for each in told]
    assert len(warnings) == 3
    assert "this call is not recorded" in warnings[0]


def test_a_budget_counts_what_is_played_as_what_was_recorded(path):
    """Tokens, calls and prices are those of the recorded model."""
    run_virtually(Compiler(Cassette.record(path, ScriptedModel(SAYS)), Desk().tools).run("What?"))
    run = run_virtually(Compiler(Cassette(path), Desk().tools, budget=Budget(calls=1)).run("What?"))
    assert run.status == "limit"


def test_keys_of_the_other_roles_are_not_in_the_file(path):
    """A worker is told what a tool returns; that may be the planner's key."""

    class Keyed(Plain):
        def __init__(self, key, *pieces):
            super().__init__(*pieces)
            self.secrets = (Secret(key),)

    key = "sk-canary-0123456789abcdef"
    planner = Keyed(key, Chunk(PLAN, "stop"))
    worker = Keyed("sk-other-0123456789abcdef", Chunk("said", "stop"))

    @tool
    def get(x: str) -> str:
        """Return a key."""
        return key

    compiler = Compiler(planner=Cassette.record(path, planner), worker=Cassette.record(path, worker), tools=[get])
    run = run_virtually(compiler.run("What?"))
    assert run.results["a"] == key
    text = path.read_text()
    assert "***" in text
    assert "canary" not in text


def test_a_planner_of_pieces_is_played_in_the_same_pieces(path):
    """So that what comes of a plan while it is written comes again."""
    planner = Pieces([Chunk("a = get(1)\n"), Chunk("answer(a)\n"), Chunk("", "stop")])
    run_virtually(Compiler(planner=Cassette.record(path, planner), tools=Desk().tools).run("What?"))
    line = json.loads(path.read_text().splitlines()[1])
    assert [piece[1] for piece in line["reply"]] == ["a = get(1)\n", "answer(a)\n", ""]


def test_a_cassette_that_is_not_there_says_how_to_record_one(path):
    """No file is made."""
    with pytest.raises(HistoryError, match=r"there is no cassette .*; record one with %%compile --record"):
        Cassette(path)
    assert not path.exists()
