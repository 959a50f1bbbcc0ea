"""Playback is identical and touches no network; loading a cassette runs no code."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from compiler_nb import Cassette, Compiler, HistoryError, OpenAIModel
from compiler_nb.models.tape import read
from compiler_nb.notebook.output.show import Look, bundle
from compiler_nb.notebook.variables.binding import Binding
from tests.support.clock import run_virtually
from tests.support.desk import Desk
from tests.support.scale import seed, times
from tests.support.server import Server
from tests.support.wire import Wire, model_on, role_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compiler_nb.run import Run

pytestmark = pytest.mark.promise
ROOT: Final = Path(__file__).parents[2]
CONNECTS: Final[list[str]] = []
WATCHING: Final[list[bool]] = []


def watch(event: str, arguments: Any) -> None:
    """Note what would touch a network, while somebody wants to know."""
    if WATCHING and event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"):
        CONNECTS.append(f"{event} {arguments}")


sys.addaudithook(watch)

FANS = 'r = {n: llm(f"item {n}", n) for n in [1, 2, 3, 4, 5]}\nt = extract("number", get("12"), "number")\njoin(r, t)\n'
PLAIN = 'a = get("x")\nb = llm("say it", a)\nf = fail(a)\njoin(b, f)\n'


class Scene(NamedTuple):
    """A recording: the plan, what the joiner says one after the other, and faults by role, one after the other."""

    plan: str = PLAIN
    joined: tuple[str, ...] = ("It is so.",)
    faults: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    settings: Mapping[str, Any] = MappingProxyType({})


SCENES: Final = {
    "plain": Scene(),
    "fan-out": Scene(FANS),
    "numbered": Scene(
        '1. get("x")\n2. llm("say it", "$1")\n3. join($2)<END_OF_PLAN>', settings={"dialect": "numbered"}
    ),
    "json": Scene(
        '{"tasks": [{"id": "a", "tool": "get", "args": {"x": 1}}, {"id": "b", "instruction": "say", "deps": ["a"]}]}',
        settings={"dialect": "json"},
    ),
    "replan": Scene(joined=("Replan: more is needed", "It is so.")),
    "repair": Scene("a = nobody(1)\njoin(a)\n"),
    "answer": Scene('a = get("x")\nanswer(a)\n'),
    "too many requests": Scene(faults={"planner": ("429=2", "429"), "joiner": ("429",)}),
    "server errors": Scene(faults={"planner": ("status=503", "status=500"), "worker": ("html-502",)}),
    "resets": Scene(faults={"planner": ("reset=12",), "joiner": ("reset=3",), "worker": ("early-reset",)}),
    "silence": Scene(faults={"planner": ("mute",), "joiner": ("stall",)}),
    "cut": Scene(faults={"planner": ("length",), "joiner": ("length",)}),
    "worker cut": Scene(FANS, faults={"worker": ("length",) * 9}),
    "filtered": Scene(faults={"joiner": ("content-filter",)}),
    "refused key": Scene(faults={"planner": ("401",) * 9}),
    "no quota": Scene(faults={"joiner": ("quota",) * 9}),
    "unreachable": Scene(faults={"planner": ("refused",) * 9}),
    "too long": Scene(faults={"worker": ("context",) * 9}),
    "another model": Scene(faults={"planner": ("model=a-smaller-one",), "joiner": ("no-usage",)}),
    "odd chunks": Scene(
        FANS, faults={"planner": ("bytes",), "joiner": ("one-newline",), "worker": ("crlf", "thinks=20")}
    ),
}
"""Twenty cassettes."""


def recorded(scene: Scene, path: Path) -> Run:
    """Record a question to a provider that fails as the scene says; return the run."""
    joined, faults = iter(scene.joined), {role: iter(each) for role, each in scene.faults.items()}

    def reply(body: dict[str, Any]) -> str:
        role, asked = role_of(body), (body.get("messages") or body["input"])[-1]["content"]
        if role == "joiner":
            return next(joined, "It is so.")
        said = f"said of {asked[:12]}" if "item" in asked else "12"
        return {"worker": said, "repair": PLAIN, "replan": 'd = get("z")\njoin(d)\n'}.get(role, scene.plan)

    wire = Wire(reply, lambda body: next(faults.get(role_of(body), iter(())), ""))
    compiler = Compiler(Cassette.record(path, model_on(wire)), Desk().tools, **scene.settings)
    return run_virtually(compiler.run("What?"))


def seen(run: Run) -> dict[str, Any]:
    """Return all that a user sees of a run, without times."""
    progress = run.progress
    shown = bundle(
        run, Binding(list(run.results), [(id_, str(each)) for id_, each in run.failures.items()], []), Look()
    )
    calls = [
        (
            each.role,
            each.provider,
            each.model,
            each.answered,
            each.address,
            each.usage,
            each.grammar,
            each.messages,
            _error_of(each),
        )
        for each in sorted(progress.calls.values(), key=lambda each: (each.role, str(each.messages)))
    ]
    return {
        "status": run.status, "error": run.error, "answer": run.answer, "cut": run.answer_cut,
        "results": run.results, "failures": {id_: str(each) for id_, each in run.failures.items()},
        "plans": [each.text for each in run.rounds], "reasons": [each.reason for each in run.rounds],
        "edges": {id_: (task.dependencies, task.fingerprint) for id_, task in progress.tasks.items()},
        "states": dict(progress.states), "usage": run.usage, "cost": progress.cost, "models": run.settings.models,
        "calls": calls, "graph": run.visualize("own", times=False).svg, "text": shown["text/plain"],
    }  # fmt: skip


def _error_of(call: Any) -> str:
    """Return the error of a call; whether others went on meanwhile, of which it gives a hint, depends on the pace."""
    return re.sub(r"; other calls went on at the same time:.*?(?= \(request|$)", "", call.error)


@pytest.mark.parametrize("name", SCENES)
def test_playback_is_identical_and_touches_no_network(name, tmp_path, figure):
    """20 cassettes, each played 20 times: the same graph, results, errors, usage and output; 0 connects."""
    scene = SCENES[name]
    first = seen(recorded(scene, tmp_path / "runs.jsonl"))
    assert first["calls"]
    CONNECTS.clear()
    WATCHING.append(True)
    try:
        for number in range(times(20)):
            player = Cassette(tmp_path / "runs.jsonl", timings=number % 2 == 1)
            played = run_virtually(Compiler(player, Desk().tools, **scene.settings).run("What?"))
            again = seen(played)
            assert {key: again[key] for key in first if again[key] != first[key]} == {}
            assert player.unused == ()
    finally:
        WATCHING.clear()
    assert CONNECTS == []
    figure(f"{len(player.recorded)} calls, played {times(20)} times, 0 connects")


def test_connects_are_seen(tmp_path):
    """The test above can fail: a recording of a real server connects, and its playback does not."""
    with Server('a = get("x")\nanswer(a)\n') as server:
        model = OpenAIModel("gpt-test", base_url=server.url, api_key="sk-test-0123456789")
        CONNECTS.clear()
        WATCHING.append(True)
        run = asyncio.run(Compiler(Cassette.record(tmp_path / "runs.jsonl", model), Desk().tools).run("What?"))
        found = len(CONNECTS)
        CONNECTS.clear()
    again = asyncio.run(Compiler(Cassette(tmp_path / "runs.jsonl"), Desk().tools).run("What?"))
    WATCHING.clear()
    assert (run.answer, again.answer, run.usage) == ("x", "x", again.usage)
    assert found > 0
    assert CONNECTS == []


# -------------------------------------------------------------------- files

EARLIER: Final = ROOT / "tests" / "models" / "earlier.jsonl"


def test_a_cassette_cut_at_any_byte_is_named(tmp_path):
    """It is whole up to a line's end, or an error that names the line; never something else."""
    data, path = EARLIER.read_bytes(), tmp_path / "cut.jsonl"
    for end in range(len(data)):
        path.write_bytes(data[:end])
        if end and data[end - 1 : end] == b"\n":
            assert len(read(path)) == data[:end].count(b"\n") - 1
            continue
        with pytest.raises(HistoryError, match=r"is cut off|is empty|is not a cassette"):
            read(path)


LOAD: Final = """
import asyncio, json, sys
from pathlib import Path
from random import Random
from compiler_nb import Cassette, Compiler, HistoryError, ModelError, Request
from compiler_nb.models.tape import prepare
from tests.support.mutate import mutate
from tests.support.stored import mutated_data

good, folder, count, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
bad = folder / "bad.jsonl"
found, loading = [], False

def hook(event, args):
    if loading and event in ("import", "exec", "compile", "os.system", "subprocess.Popen", "socket.connect"):
        found.append((event, str(args)[:200]))

def changed(random):
    data = bytearray(good.read_bytes())
    match random.randrange(3):
        case 0:
            for _ in range(random.choice([1, 1, 3, 40])):
                at = random.randrange(len(data))
                data[at : at + random.choice([0, 1, 1, 64])] = random.randbytes(random.choice([0, 1, 8]))
            return bytes(data)
        case 1:
            text = good.read_text(encoding="utf-8")
            return mutate(random, text, [text]).encode("utf-8", "replace")
        case _:
            lines = good.read_text(encoding="utf-8").splitlines()
            at = random.randrange(len(lines))
            line = json.dumps(mutated_data(random, json.loads(lines[at])))
            lines[at] = line.replace('"DEEP"', "[" * 5_000 + "]" * 5_000)
            return "".join(f"{line}\\n" for line in lines).encode("utf-8", "replace")

async def play(cassette):
    for each in cassette.recorded:
        for role in ("planner", "joiner", "worker"):
            Compiler(cassette.for_role(role))
        try:
            [piece async for piece in cassette.stream(Request(each.role, each.messages, each.task))]
        except ModelError as error:
            str(error)
    try:
        [piece async for piece in cassette.stream(Request("planner", ({"role": "user", "content": "x"},)))]
    except ModelError as error:
        str(error)

asyncio.run(play(Cassette(good)))
sys.addaudithook(hook)
refused = 0
for number in range(count):
    bad.write_bytes(changed(Random(seed + number)))
    loop = asyncio.new_event_loop()
    loading = True
    try:
        loop.run_until_complete(play(Cassette(bad)))
    except HistoryError as error:
        assert str(error)
        refused += 1
    except BaseException:
        loading = False
        print(f"seed {seed}, mutation {number}", file=sys.stderr)
        raise
    loading = False
    loop.close()
print(json.dumps([found[:5], refused]))
"""


@pytest.mark.timeout(3600)
def test_loading_a_cassette_runs_no_code(tmp_path, figure):
    """2,000 mutated files: only HistoryError, 0 imports, 0 executed texts; what loads can be played, too."""
    arguments = [sys.executable, "-c", LOAD, str(EARLIER), str(tmp_path), str(times(2_000)), str(seed())]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3_000:]
    found, refused = json.loads(done.stdout)
    figure(f"{times(2_000):,} mutated files, {refused:,} refused")
    assert found == []
    assert times(2_000) * 0.3 < refused, "the mutations are too tame to try what is refused"
