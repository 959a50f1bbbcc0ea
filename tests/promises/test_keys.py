"""The API key is never in an output, trace, log, cassette, repr or exception."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import logging
import pprint
import traceback
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import openai.resources.chat.completions  # these imports are no part of what is timed here
import openai.resources.responses  # noqa: F401 - as above
import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.models.cassette import Cassette
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.models.secret import PIECE
from compiler_nb.notebook.live.board import Board
from compiler_nb.notebook.live.view import View
from compiler_nb.notebook.output.presenter import say
from compiler_nb.notebook.output.show import Look, bundle
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.tool import tool
from tests.support.clock import run_virtually
from tests.support.desk import Desk
from tests.support.server import Server
from tests.support.wire import Wire, model_on, role_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from compiler_nb.run import Run

pytestmark = pytest.mark.promise
KEYS: Final = {
    "openai": "sk-proj-Q7w9zXk2LmN4pR6tV8yB0cD3fG5hJ1aS",
    "azure": "9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    "bearer": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.5mZq-Kf_0rT",
    "url": "canary+key/with=odd&signs?and#more%20",
    "quotes": "q\"uo'te\\d zB8vX<in>t5&lQ9",
    "short": "zq7#Xk",
}
REPEATED: Final = ("failed", "error", "refusal", "reason", "model", "usage")
"""Where the Responses API may repeat a key."""
FAULTS: Final = (
    "", "401", "error-echo", "echo=finish", "echo=refusal", "echo=broken", "echo=html", "echo=header", "echo=code",
    "echo=base64", "echo=detail", "echo=redirect", "429=0", "quota", "status=500", "html-502", "reset", "silent-end",
    "stall", "broken-json", "length", "json-error", "refused", "tls", "plain", "echo=model", "echo=ids", "echo=usage",
    "context",
)  # fmt: skip
SAYS: Final = {"planner": 'a = get("x")\nb = llm("say it", a)\njoin(b)\n', "joiner": "It is so.", "worker": "said"}


def pieces_of(key: str) -> set[str]:
    """Return what must be nowhere: each piece of the key of eight characters, however it is written."""
    forms = {key, quote(key, safe=""), json.dumps(key)[1:-1], repr(key)[1:-1]}
    forms |= {base64.b64encode(b"x" * offset + key.encode()).decode()[4:-4] for offset in range(3)}
    return {form[at : at + PIECE] for form in forms for at in range(max(1, len(form) - PIECE + 1)) if form}


def everything(found: object, seen: set[int]) -> Iterator[str]:
    """Yield every text that can be reached from an object by its items, attributes and tracebacks, and its reprs."""
    if id(found) in seen or isinstance(found, type | type(pytest) | asyncio.AbstractEventLoop):
        return
    seen.add(id(found))
    if isinstance(found, str | bytes):
        yield found if isinstance(found, str) else repr(found)
        return
    if not isinstance(found, dict | list | tuple | set | frozenset):
        yield repr(found)
    if isinstance(found, dict):
        parts = [*found.keys(), *found.values()]
    elif isinstance(found, list | tuple | set | frozenset):
        parts = list(found)
    elif isinstance(found, BaseException):
        yield "".join(traceback.TracebackException.from_exception(found, capture_locals=True).format())
        parts = [found.args, vars(found), found.__cause__, found.__context__]
    elif type(found).__module__.startswith("compiler_nb") and type(found).__name__ not in ("Secret", "Compiler"):
        parts = list(getattr(found, "__dict__", {}).values())
        parts += [getattr(found, name, None) for name in getattr(type(found), "__slots__", ())]
    else:
        return
    for part in parts:
        yield from everything(part, seen)


def shown(run: Run) -> Iterator[Any]:
    """Yield all that is shown and told of a run."""
    board = Board(run.progress)
    binding = Binding([*run.results], [(id_, str(outcome)) for id_, outcome in run.failures.items()], [])
    yield from (board.snapshot(1.0), board.frame(1.0), bundle(run, binding, Look(("timeline", "table"))))
    yield from (run.visualize("own").svg, run.timeline(), pprint.pformat(vars(run.settings)))
    yield from (run.error, repr(run), run.progress.calls, run.progress.attempts, list(map(run.why, run.progress.tasks)))
    for raised in (run.raise_for_failures, lambda: [run[id_] for id_ in run.progress.tasks]):
        try:
            raised()
        except Exception as error:  # noqa: BLE001 - all that it says is looked at
            yield error


def ask(key: str, fault: str, role: str, api: str, tape: Path) -> Run:
    """Answer a question with this key while the provider always fails in a role; record that."""
    wire = Wire(lambda body: SAYS.get(role_of(body), SAYS["planner"]), lambda body: fault * (role_of(body) == role))
    compiler = Compiler(Cassette.record(tape, model_on(wire, key, api=api)), Desk().tools)
    return run_virtually(compiler.run("What?"))


@pytest.mark.parametrize("role", ["planner", "joiner", "worker"])
@pytest.mark.parametrize("form", KEYS)
def test_the_key_is_nowhere(form, role, caplog, capfd, tmp_path):
    """6 forms of a key, 35 ways to fail or repeat it, 3 roles: in no event, error, traceback, output, log or cassette.

    Nor in what a cassette plays.
    """
    caplog.set_level(logging.DEBUG)
    key = KEYS[form]
    pieces = pieces_of(key)
    ways = [*((fault, "chat") for fault in FAULTS), *((f"repeats={place}", "responses") for place in REPEATED)]
    for number, (fault, api) in enumerate(ways):
        tape = tmp_path / f"{number}.jsonl"
        run = ask(key, fault, role, api, tape)
        assert run.status in ("done", "failed")
        again = run_virtually(Compiler(Cassette(tape), Desk().tools).run("What?"))
        runs = [[each.events, list(shown(each))] for each in (run, again)]
        told = [*everything(runs, set()), tape.read_text(), caplog.text, *capfd.readouterr()]
        text = "\n".join(told)
        found = sorted(piece for piece in pieces if piece in text)
        assert not found, f"{fault}: {next(each for each in told if found[0] in each)[-500:]}"
        caplog.clear()


def ways_to_say(key: str) -> dict[str, str]:
    """Return how a reply may hold a key."""
    return {
        "raw": key,
        "header": f"Authorization: Bearer {key}",
        "url": f"http://host.test/v1?key={quote(key, safe='')}&x=1",
        "base64": base64.b64encode(f"user:{key}".encode()).decode(),
        "json": json.dumps({"authorization": key}),
        "piece": key[-PIECE - 3 :],
    }


def saying(said: str) -> dict[str, str]:
    """Return replies that hold a text: in a comment, an argument, an instruction, prose, and at the very end."""
    plan = f"# {said}\na = get({said!r})\nb = llm('say {said.encode().hex()[:4]}', a)\njoin(b)  # {said}"
    return {"planner": plan, "joiner": f"It is so: {said}, and {said}", "worker": f"{said} was said.\n{said}"}


@pytest.mark.parametrize("size", [1, 3, 7, 1_000])
@pytest.mark.parametrize("form", KEYS)
def test_a_key_that_a_reply_repeats_is_nowhere(form, size, tmp_path):
    """As content, in six forms, split anywhere, in every role: no event, parser, tool or value ever sees it."""
    key = KEYS[form]
    pieces = pieces_of(key)
    for way, said in ways_to_say(key).items():
        says, desk = saying(said), Desk()
        wire = Wire(lambda body, says=says: says.get(role_of(body), says["planner"]), chunk=size)
        tape = tmp_path / f"{way}.jsonl"
        run = run_virtually(Compiler(Cassette.record(tape, model_on(wire, key)), desk.tools).run("What?"))
        assert (run.status, len(run.results)) == ("done", 2), (way, run.error)
        told = [*everything([run.events, list(shown(run)), desk.calls], set()), tape.read_text()]
        told += ["".join(piece.text for _, piece in each.reply) for each in Cassette(tape).recorded]
        told += [json.dumps(seen.body["messages"], ensure_ascii=False) for seen in wire.requests]
        text = "\n".join(told)
        found = sorted(piece for piece in pieces if piece in text)
        assert not found, f"{way}: {next(each for each in told if found[0] in each)[-500:]}"
        assert "***" in run.answer


@pytest.mark.parametrize("form", KEYS)
def test_the_key_is_nowhere_with_a_real_connection(form, caplog):
    """If the client itself complains of the key, and if the server does."""
    caplog.set_level(logging.DEBUG)
    key = KEYS[form]
    echoes = [(f"echo={place}", "x") for place in ("html", "model", "ids", "header", "redirect")]
    for fault, said in (("", "x"), ("401", "x"), *echoes, ("", key), ("json", key)):
        with Server(lambda body, said=said: saying(said)[role_of(body)], always=fault, chunk=3) as server:
            model = OpenAIModel("gpt-test", base_url=server.url, api_key=key)
            run = asyncio.run(Compiler(model, Desk().tools, max_replans=0).run("What?"))
        text = "\n".join([*everything([run.events, list(shown(run))], set()), caplog.text])
        assert not sorted(piece for piece in pieces_of(key) if piece in text), fault
        caplog.clear()


@pytest.mark.parametrize(
    "key", ["sk-canary-0123\n456789abcdef", "sk-canary-0123456789abcd\u00e9f", "sk-canary-\x1b012345678"]
)
def test_a_key_that_cannot_be_sent_is_refused_by_name(key, caplog):
    """A line break or another sign that no key has: nothing is sent, and no complaint shows it."""
    caplog.set_level(logging.DEBUG)
    with Server(SAYS["planner"]) as server:
        model = OpenAIModel("gpt-test", base_url=server.url, api_key=f" {key}\n")
        run = asyncio.run(Compiler(model, Desk().tools).run("What?"))
        assert server.requests == []
    assert run.error.startswith("openai:gpt-test: the key contains a line break or another invalid")
    text = "\n".join([*everything([run.events, list(shown(run))], set()), caplog.text])
    assert not sorted(piece for piece in pieces_of(key) if piece in text)


def leaky(key: str) -> list[Any]:
    """Return tools that return a key, and that fail with it."""

    @tool
    async def leak(x: Any) -> Any:
        """Return it."""
        return {"headers": {"authorization": f"Bearer {key}"}, "note": [key]}

    @tool
    async def fail(x: Any) -> Any:
        """Fail."""
        raise ValueError(f"401 for {key}")

    return [leak, fail]


class Widget:
    """A widget that keeps what it is given to send."""

    def __init__(self, _: Any) -> None:
        self.sent: list[Any] = []
        self.send = self.sent.append
        self.hear: Any = None

    def on_msg(self, hear: Any) -> None:
        """Keep who listens."""
        self.hear = hear

    def close(self) -> None:
        """Nothing is open."""


def asking(count: int) -> list[dict[str, Any]]:
    """Return what a page says to see the details of each of so many tasks."""
    return [{"say": "task", "task": number} for number in range(count)]


@pytest.mark.parametrize("form", KEYS)
def test_a_key_that_a_tool_tells_is_sent_and_shown_to_nobody(form, capsys):
    """Returned or raised, it is in no request, failure, output or printed line; the value itself is the user's."""
    key = KEYS[form]
    plan = "a = leak(1)\nb = llm('say it', a)\nc = fail(a)\njoin(a, b, c)\n"
    says = {"planner": plan, "joiner": ["Replan: once more", "It is so."], "worker": "said"}
    joined = iter(says["joiner"])
    wire = Wire(lambda body: next(joined) if role_of(body) == "joiner" else says.get(role_of(body), plan))
    run = run_virtually(Compiler(model_on(wire, key), leaky(key)).run(f"What does {key} open?"))
    assert run.status == "done"
    assert key in run["a"]["note"]
    shown = bundle(run, Binding([*run.results], [], []), Look(("timeline", "table", "graph"), layout="own"))
    say(f"{run['a']} {run.why('c')}", run)
    view = View(run, "own", Widget)
    for said in ({"say": "hello"}, {"say": "rows", "from": 0, "to": 9}, *asking(len(run.progress.tasks))):
        view.widget.hear(view.widget, said, [])
    only = bundle(run, Binding(), Look(("timeline",), layout="own"))
    told = [*shown.values(), *only.values(), run.visualize().svg, run.timeline().svg, capsys.readouterr().out]
    told += [json.dumps(content, ensure_ascii=False) for content in (*view.widget.sent, view.snapshot())]
    assert len(view.widget.sent) >= 2 + len(run.progress.tasks)
    told += [json.dumps(seen.body["messages"], ensure_ascii=False) for seen in wire.requests]
    told += [str(outcome) for outcome in run.failures.values()]
    text = "\n".join(map(str, told))
    assert not [piece for piece in pieces_of(key) if piece in html.unescape(text)]
    assert len(wire.requests) == 5
