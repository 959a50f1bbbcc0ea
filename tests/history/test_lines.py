"""A run as lines of JSON: all of it comes back, without keys, and whatever is wrong with a file is named."""

from __future__ import annotations

import asyncio
import json
import sys
from random import Random

import pytest

from compiler_nb import Compiler, History, HistoryError, Run, tool
from compiler_nb.history.lines import write
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.outcome import NotStored
from tests.support.desk import Desk, begin
from tests.support.mutate import mutate
from tests.support.stored import City, city, mutated_data, prices, rich_compiler, until

ODD = ("home", "odd")
"""Values whose reprs depend on libraries, or on the order of a set."""
LOADING = []
FOUND = []


def watch(event, arguments):
    """Note what would run code, while a file is loaded."""
    if LOADING and event in ("import", "exec", "compile", "os.system", "subprocess.Popen", "socket.connect"):
        FOUND.append((event, str(arguments)[:100]))


sys.addaudithook(watch)


@pytest.fixture(scope="module")
def rich():
    """Give a run that holds a bit of everything."""
    return asyncio.run(rich_compiler(None).run("What is it?", inputs={"df": prices.function(), "k": 3}))


@pytest.fixture
def path(tmp_path):
    """Give the path of a file that is not there yet."""
    return tmp_path / "run.jsonl"


def facts(run):
    """Return what is asked of a run, as far as it can be compared."""
    return {
        "id": run.id, "at": run.at, "question": run.question, "status": run.status, "error": run.error,
        "answer": run.answer, "usage": run.usage, "seconds": run.seconds, "plan": run.plan.text,
        "states": run.progress.states, "failures": {id_: str(each) for id_, each in run.failures.items()},
        "results": {id_: repr(each) for id_, each in run.results.items() if id_ not in ODD},
        "why": run.why(), "repr": repr(run),
        "prompt": run.prompt(), "times": str(run.times()), "told": str(run.disclosed()), "inputs": str(run.inputs),
        "graph": run.visualize("own").svg, "timeline": run.timeline().text, "rounds": len(run.rounds),
    }  # fmt: skip


def test_a_run_comes_back_whole(rich, path):
    """Answer, values, failures, times, prompts and pictures; and what is loaded can be saved again."""
    assert rich.save(path) == path
    loaded = Run.load(path, [city])
    assert facts(loaded) == facts(rich)
    assert loaded["home"] == rich["home"]
    assert loaded["odd"]["set"] == {3, "a"}
    assert isinstance(loaded["home"], City)
    loaded.save(path)
    assert set(Run.load(path).results) == set(rich.results)
    assert loaded.to_pandas().shape == rich.to_pandas().shape


def test_values_of_own_classes_need_their_tools(rich, path):
    """Nothing in the file leads to a class."""
    rich.save(path)
    assert isinstance(Run.load(path)["home"], NotStored)


def test_a_run_of_a_history_is_saved_as_one_at_hand_is(rich, path, tmp_path):
    """Stored or live, a run is its events."""
    with History(tmp_path / "runs.db") as history:
        asyncio.run(rich_compiler(history).run("What is it?", inputs={"df": prices.function(), "k": 3}))
        stored = history.load(history.runs()[0].id, [city])
    stored.save(path)
    loaded = Run.load(path)
    assert (loaded.id, loaded.status, loaded.answer, loaded.why()) == (
        stored.id, stored.status, stored.answer, stored.why(),
    )  # fmt: skip


def test_a_loaded_run_can_be_run_again(path):
    """Its plan, in another process too; what is done is taken over."""
    desk = Desk()
    compiler = Compiler(tools=desk.tools)
    asyncio.run(compiler.execute("a = get(1)\nb = get(a)\nanswer(b)")).save(path)
    again = asyncio.run(compiler.rerun(Run.load(path), start="b"))
    assert again.answer == 1
    assert desk.asked("get") == [1, 1, 1]


def test_a_run_that_goes_on_is_saved_as_it_stands(path):
    """What had not ended is cancelled in the file, and says why."""
    desk = Desk()

    async def save():
        running, work = begin(Compiler(tools=desk.tools), plan="a = get(1)\nb = wait(a)\nanswer(b)")
        task = asyncio.ensure_future(work)
        await until(lambda: desk.working)
        running.save(path)
        desk.open()
        await task
        return running

    assert asyncio.run(save()).answer == 1
    loaded = Run.load(path)
    assert (loaded.status, loaded.error, loaded["a"]) == ("cancelled", "it went on when it was saved", 1)
    assert loaded.state("b") == "cancelled"


def test_no_key_is_written(path):
    """A tool may return one."""
    key = "sk-canary-0123456789abcdef"

    @tool
    def leak(x: int) -> dict:
        """Return a key."""
        return {"key": key, "bytes": key.encode()}

    model = OpenAIModel("gpt-test", base_url="http://127.0.0.1:9/v1", api_key=key)
    found = asyncio.run(Compiler(worker=model, tools=[leak]).execute("a = leak(1)\nanswer(a)"))
    found.save(path)
    text = path.read_text()
    assert "canary" not in text
    assert "it holds a key" in text or "***" in text


def test_a_large_value_is_left_out_and_says_so(path):
    """The rest of the run is there."""
    found = asyncio.run(Compiler(tools=Desk().tools).execute("a = get('x' * 10000)\nb = get(1)\nanswer(b)"))
    path.write_text(write(found, largest=1_000))
    loaded = Run.load(path)
    assert loaded.answer == 1
    assert "takes more than 1,000 bytes" in str(loaded["a"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: [], "it is not a saved run"),
        (lambda lines: ['{"cassette": 1}'], "line 1 .* it is neither a run nor an input nor an event"),
        (lambda lines: lines[1:], "it is not a saved run: its first line does not begin"),
        (lambda lines: [lines[0].replace('"run": 1', '"run": 2'), *lines[1:]], "of version 2, which a newer"),
        (lambda lines: [*lines, lines[0]], "it holds more than one run"),
        (lambda lines: [*lines[:5], *lines[6:]], "event [0-9]+ of the run .* is missing"),
        (lambda lines: [*lines[:-1], lines[-1][:20]], "is damaged or cut off: it is not JSON"),
        (lambda lines: [*lines[:-1], "[1]"], "is damaged: it is not a JSON object"),
        (lambda lines: [*lines[:-1], lines[-1].replace('"seq"', '"sec"')], "has an unknown field 'sec'"),
        (lambda lines: [lines[0].replace('"done"', '"good"', 1), *lines[1:]], "it has an unknown status"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_named(rich, path, change, told):
    """With the line, if it is one."""
    path.write_text("\n".join(change(write(rich).splitlines())))
    with pytest.raises(HistoryError, match=told):
        Run.load(path)


def test_a_file_that_is_not_there_is_named(path):
    """As every other fault is."""
    with pytest.raises(HistoryError, match="cannot be read: No such file"):
        Run.load(path)


@pytest.mark.slow
def test_a_mutated_file_runs_no_code(rich, path):
    """400 files: only HistoryError, no import and no text that is executed; what loads can be looked at."""
    good, refused = write(rich), 0
    path.write_text(good)
    facts(Run.load(path, [city]))
    lines = good.splitlines()
    for number in range(400):
        random = Random(number)
        if random.random() < 0.5:
            text = mutate(random, good, [good])
        else:
            changed, at = list(lines), random.randrange(len(lines))
            data = json.dumps(mutated_data(random, json.loads(lines[at])))
            changed[at] = data.replace('"DEEP"', "[" * 5_000 + "]" * 5_000)
            text = "\n".join(changed)
        path.write_bytes(text.encode("utf-8", "replace"))
        LOADING.append(True)
        try:
            loaded = Run.load(path, [city])
            loaded.results, loaded.failures, loaded.usage, loaded.plan, loaded.answer, repr(loaded)
        except HistoryError:
            refused += 1
        finally:
            LOADING.clear()
    assert FOUND == []
    assert refused > 100
