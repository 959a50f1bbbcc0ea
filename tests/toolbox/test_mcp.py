"""The tools of MCP servers are listed, called, cancelled and closed: over a process's pipes, and over HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from compiler_nb import Compiler, History, PlanError, ServerLost, Toolbox, ToolError, ToolUnavailable, mcp_tools, tool
from compiler_nb.events import TaskPrinted
from compiler_nb.settings.settings import Settings
from compiler_nb.toolbox import mcp_wire
from compiler_nb.toolbox.mcp import McpTools
from compiler_nb.toolbox.mcp_server import Server
from compiler_nb.toolbox.mcp_values import Image
from tests.support.mcp_real import SECRET, running_http
from tests.support.mcp_web import running_web

COVERS = ("mcp_server.py", "mcp_tool.py", "mcp_values.py", "mcp_wire.py")
ROOT = Path(__file__).resolve().parents[2]
RAW = str(ROOT / "tests" / "support" / "mcp_raw.py")


def raw(way: str, *more: str, **options) -> McpTools:
    """Return the tools of a server made by hand, that fails in this way."""
    return mcp_tools(command=[sys.executable, RAW, way, *more], **options)


def perform(tools, plan: str, **settings):
    """Return the run of a plan; side effects need no approval."""
    return Compiler(None, tools, **{"approve": "auto", **settings}).execute_sync(plan)


def is_alive(pid: int) -> bool:
    """Return whether a process lives; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Give the folder in which the SDK's server notes what it does."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def demo(folder):
    """Give the tools of a server made with the SDK, over pipes."""
    command = [sys.executable, "-m", "tests.support.mcp_real", str(folder)]
    return mcp_tools(command=command, cwd=ROOT, env={"DEMO_TOKEN": SECRET})


@pytest.fixture(scope="module")
def address(folder):
    """Give the address of a server made with the SDK."""
    with running_http(folder) as url:
        yield url


# -------------------------------------------------------------------- what is listed


@pytest.mark.slow
def test_schemas_become_signatures(demo):
    """Types, defaults and descriptions are carried over; a name that Python cannot write is spelled anew, visibly."""
    assert (demo.server, demo.version) == ("demo", "1.2")
    assert demo["weather"].description == (
        "weather(city: str, days: int = 3, unit: Literal['C', 'F'] = 'C') -> Forecast\n"
        "    Return the forecast of a city.\n    returns {city: str, degrees: float}"
    )
    assert demo["total"].signature == "total(lines: list[Line], note: Optional[str] = None) -> dict[str, int]"
    assert "send_mail(to: str) -> str   # 'send-mail' there, has side effects" in repr(demo)
    assert demo["add"].server == "demo"
    assert demo["add"].schema["required"] == ["a", "b"]
    with pytest.raises(KeyError, match="Did you mean 'weather'"):
        demo["weathr"]


@pytest.mark.slow
def test_only_what_says_that_it_reads_has_no_side_effects(demo):
    """The others are approved first; nothing is pure unless the user says so."""
    assert {each.name for each in demo if each.side_effects} == {"send_mail"}
    assert not any(each.pure for each in demo)


@pytest.mark.slow
def test_arguments_are_checked_before_the_call(demo):
    """While the plan is read, by the schema: types, enumerations, limits, fields of records."""
    for call in (
        'weather("Kyoto", days=9)', 'weather("Kyoto", unit="K")', "weather(5)", "weather()", 'weather("Kyoto", when=1)',
        'total([{"quantity": 1}])', 'total([{"sku": 1}])', 'total({"sku": "a"})',
    ):  # fmt: skip
        with pytest.raises(PlanError, match="bad_args"):
            perform([demo], f"x = {call}\nanswer(x)")


def test_a_bad_schema_costs_its_tool_and_no_other():
    """Each is named in a warning; what is no schema at all does not make the SDK refuse the list."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        tools = raw("bad")
    assert tools.names == ("double",)
    text = "\n".join(str(each.message) for each in told)
    for name in ("no_schema", "a_list", "a_string", "odd_type", "far", "lost", "loop", "empty", "names", "huge"):
        assert f"raw: left out the tool {name!r}: " in text
    assert text.count("a tool without a name") == 2
    assert "Did you mean 'string'?" in text
    assert told[0].filename == __file__


def test_names_that_mean_something_in_plans_get_the_server_s_name():
    """`sum` would hide the plan's own function."""
    assert raw("clash").names == ("double", "raw_sum", "list_all")


def test_tools_of_one_name_are_told_apart_by_a_prefix():
    """The error says how."""
    first, second = raw("plain"), raw("plain")
    with pytest.raises(ToolError, match=r"two tools are called 'double'; .*mcp_tools\(..., prefix='raw_'\)"):
        Toolbox([*first, *second])
    other = raw("plain", prefix="other_")
    assert list(Toolbox([first, other])) == ["double", "write", "other_double", "other_write"]


def test_a_list_of_tools_stands_among_functions():
    """As it is, or unpacked."""

    def half(x: int) -> float:
        return x / 2

    tools = raw("plain")
    for given in ([half, tools], [half, *tools], [tool(half), list(tools)]):
        assert perform(given, "answer(half(double(3)))").answer == 3.0


def test_the_user_knows_better_than_the_hints():
    """Side effects by name or for all, and what is pure; a name that is none of the server's is refused."""
    assert not raw("plain", side_effects={"write": False})["write"].side_effects
    assert raw("plain", side_effects=True)["double"].side_effects
    made = raw("plain", pure=["double"], retries=2, timeout=9, max_concurrency=1)
    assert (made["double"].pure, made["double"].retries, made["write"].retries) == (True, 2, 0)
    assert (made["write"].timeout, made["write"].max_concurrency) == (9, 1)
    with pytest.raises(ToolError, match=r"no tool 'duble'\. Did you mean 'double'"):
        raw("plain", pure=["duble"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "either command="),
        ({"command": ["x"], "url": "http://127.0.0.1"}, "either command="),
        ({"command": "python server.py"}, r"must be a list, such as \['python', 'server.py'\]"),
        ({"url": "localhost:80"}, "begins with http"),
        ({"command": ["x"], "headers": {"a": "b"}}, "headers= does not apply to a server that is started"),
        ({"url": "http://127.0.0.1", "env": {"a": "b"}}, "env= does not apply to a server that is asked at"),
    ],
)
def test_what_says_no_server_is_refused(given, words):
    """Before anything is started."""
    with pytest.raises(ToolError, match=words):
        mcp_tools(**given)


@pytest.mark.slow
def test_a_server_that_does_not_start_says_why():
    """No such program, a crash with its last words, silence, nobody at the address, a list without an end."""
    with pytest.raises(ToolUnavailable, match="there is no such program: no-such-program"):
        mcp_tools(command=["/nowhere/no-such-program"])
    with pytest.raises(ToolUnavailable, match=r"ended with the status 1; it said last:\nTraceback: no module named"):
        raw("crash")
    with pytest.raises(ToolUnavailable, match=r"did not answer within 0.5 s"):
        raw("never", connect_timeout=0.5)
    with pytest.raises(ToolUnavailable, match="cannot be reached"):
        mcp_tools(url="http://127.0.0.1:9/mcp")
    with pytest.raises(ToolUnavailable, match="without an end"):
        raw("endless")


# -------------------------------------------------------------------- what comes back


PLAN = """
s = add(1, b=2)
w = weather("Kyoto", unit="F")
o = total([{"sku": "a", "quantity": 2}, {"sku": "b"}])
p = parts()
c = count(5)
r = refuse()
e = echo("{not json}")
m = send_mail("ann")
answer([s, w, o, p, c, e, m])
"""


def check(run, folder) -> None:
    """Check what came of PLAN."""
    number, forecast, ordered, parts, count, text, mail = run.answer
    assert (number, count, text, mail) == (3.0, 5, "{not json}", "sent to ann")
    assert forecast == {"city": "Kyoto, 3 days, F", "degrees": 21.5}
    assert ordered == {"a": 2, "b": 1}
    assert parts[:2] == ["two", {"rows": [1, 2]}]
    assert isinstance(parts[2], Image)
    assert repr(parts[2]).startswith("<image/png, ")
    assert parts[2]._repr_png_().startswith(b"\x89PNG")
    assert "no such city: Atlantis" in str(run.failures["r"])
    printed = "".join(each.text for each in run.events if type(each) is TaskPrinted and each.task == "c")
    assert printed.endswith("5 of 5: number 5\n")
    assert (folder / "mail-ann").exists()


@pytest.mark.slow
def test_a_plan_calls_a_server_over_pipes(demo, folder):
    """Numbers, records, parts with a picture, an error in the server's words, progress as prints; in one process."""
    check(perform([demo], PLAN), folder)


@pytest.mark.slow
def test_a_plan_calls_a_server_over_http(address, folder):
    """The same, by its address."""
    check(perform([mcp_tools(url=address)], PLAN), folder)


@pytest.mark.slow
def test_a_side_effect_asks(demo, folder):
    """As for any other tool: denied, it is not made."""
    run = perform([demo], 'm = send_mail("bob")\nanswer(m)', approve="deny")
    assert run.failures["m"].kind == "denied"
    assert not (folder / "mail-bob").exists()


@pytest.mark.slow
def test_all_calls_of_a_run_share_one_process(demo):
    """Another run has its own, and a call by hand starts one for itself."""
    one, other = perform([demo], "a = who()\nb = who()\nanswer([a, b])"), perform([demo], "answer(who())")
    assert one.answer[0]["pid"] == one.answer[1]["pid"] != other.answer["pid"]
    assert not is_alive(one.answer[0]["pid"])

    async def by_hand():
        return await demo["add"](1, 2)

    assert asyncio.run(by_hand()) == 3.0


def test_a_run_that_calls_no_tool_of_a_server_does_not_start_it(tmp_path):
    """A server that is not there costs such a run nothing."""
    script = tmp_path / "server.py"
    script.write_text(Path(RAW).read_text(encoding="utf-8"), encoding="utf-8")
    tools = mcp_tools(command=[sys.executable, str(script), "plain"])
    script.unlink()
    assert perform([tools], "answer(1 + 1)").answer == 2
    failed = perform([tools], "x = double(1)\nanswer(x)").failures["x"]
    assert isinstance(failed.error, ToolUnavailable)
    assert "can't open file" in failed.message


def test_arguments_are_sent_as_json():
    """Tuples, times and numpy's numbers; a frame is refused with the way out, and what is not finite."""
    pandas = pytest.importorskip("pandas")
    import numpy as np

    from compiler_nb.toolbox.mcp_values import to_json

    assert to_json("t", "x", {"a": (1, np.int64(2)), "b": np.array([1.5])}) == {"a": [1, 2], "b": [1.5]}
    with pytest.raises(
        ToolError, match=r"t: 'x' cannot be sent .*JSON has no DataFrame: give it rows, such as df.to_dict"
    ):
        to_json("t", "x", pandas.DataFrame({"a": [1]}))
    with pytest.raises(ToolError, match="not finite"):
        to_json("t", "x", [float("nan")])
    with pytest.raises(ToolError, match="10,000,000 is the limit"):
        to_json("t", "x", "x" * 10_000_000)


# -------------------------------------------------------------------- what goes wrong


def test_a_server_that_dies_is_named_with_its_last_words():
    """A side effect that was under way is in doubt."""
    tools = raw("dies")
    failed = perform([tools], "x = write(1)\nanswer(x)").failures["x"]
    assert isinstance(failed.error, ServerLost)
    assert failed.kind == "abandoned"
    assert "the server 'raw': it ended before it answered; it ended with the status 3" in failed.message
    assert "Fatal: the disk is full" in failed.message


@pytest.mark.slow
def test_a_retry_starts_the_server_again(tmp_path):
    """The first process dies in its first call, the second one answers."""
    tools = raw("dies_once", str(tmp_path / "died"), retries=1)
    run = perform([tools], "x = double(4)\nanswer(x)")
    assert run.answer == 8


@pytest.mark.slow
def test_a_server_that_hangs_is_cut_at_the_timeout():
    """And it ends with the run."""
    failed = perform([raw("hangs", timeout=0.3)], "x = double(4)\nanswer(x)").failures["x"]
    assert failed.kind == "timeout"


@pytest.mark.slow
@pytest.mark.parametrize(("way", "words"), [("long", "more than 10,000,000 bytes"), ("notes", "that nobody asked for")])
def test_a_server_that_floods_is_named(way, words):
    """A line without an end, and notifications without an end: neither fills the memory."""
    failed = perform([raw(way)], "x = double(4)\nanswer(x)").failures["x"]
    assert isinstance(failed.error, ServerLost)
    assert words in failed.message


def test_a_server_that_died_between_two_calls_is_started_again():
    """By the next call, or if that comes before its end is seen, by a retry."""

    @tool
    def kill(pid: int) -> int:
        """End a process."""
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_alive(pid))
        return pid

    plan = "one = double(1)\ngone = kill(one)\nother = double(1 if gone else 2)\nanswer([one, other])"
    run = perform([raw("pids", retries=1), kill], plan)
    assert not run.failures, run.failures
    assert run.answer[0] != run.answer[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("flood", "a message of more than 10,000,000 bytes"),
        ("events", "the answer was lost: "),
        ("close", "it ended before it answered"),
        ("status", "Server returned an error response (HTTP 500)"),
        ("denied", "(HTTP 403: it wants another key; give one with headers="),
        ("redirect", "Redirect to http://127.0.0.2:1/mcp not followed"),
    ],
)
def test_an_address_that_fails_is_named(way, words):
    """An answer without an end, as JSON or as events; none; an error; somebody else's address. No key is shown."""
    with running_web(way) as url:
        tools = mcp_tools(url=url, headers={"X-Api-Key": SECRET})
        failed = perform([tools], "x = double(4)\nanswer(x)").failures["x"]
    assert "the server 'web': " in failed.message
    assert words in failed.message
    assert SECRET not in failed.message + failed.traceback


def test_an_address_that_wants_a_key_says_so():
    """When its tools are asked for: it was reached, and the way to give a key is named."""
    with (
        running_web("closed") as url,
        pytest.raises(ToolUnavailable, match=r"HTTP 401: .* headers=\{\"Authorization") as told,
    ):
        mcp_tools(url=url)
    assert "cannot be reached" not in str(told.value)


def test_a_server_that_refuses_to_begin_was_reached():
    """Its own words say why, such as a licence that is missing."""
    with pytest.raises(ToolUnavailable, match="the server 'mcp_raw': it refuses to begin: no licence"):
        raw("refuses")


def test_what_a_server_says_aside_does_no_harm():
    """Megabytes on its standard error, a greeting on its standard output, a result that is none."""
    assert perform([raw("stderr")], "answer(double(4))").answer == 8
    assert perform([raw("banner")], "answer(double(4))").answer == 8
    failed = perform([raw("odd")], "x = double(4)\nanswer(x)").failures["x"]
    assert (
        failed.message
        == "ToolError: the server 'raw': its answer is not the result of a tool: content: Input should be a valid list"
    )


def test_only_the_end_of_the_standard_error_is_kept():
    """However much there is."""
    inspector = mcp_wire.Inspector()
    for number in range(10_000):
        inspector.hear(f"line {number}\n" * 10)
    assert len(inspector.heard) <= mcp_wire.TAIL
    assert inspector.heard.endswith("line 9999")


# -------------------------------------------------------------------- the end


async def _cancelled(tools, folder: Path) -> object:
    (folder / "waits").unlink(missing_ok=True)
    (folder / "cancelled").unlink(missing_ok=True)
    compiler = Compiler(None, [tools])
    run, work = compiler.begin(compiler.order(plan="x = wait()\nanswer(x)"))
    performed = asyncio.ensure_future(work)
    await asyncio.to_thread(until, (folder / "waits").exists)
    run.cancel()
    await performed
    return run


def until(holds) -> None:
    """Wait until something holds, and fail if it does not."""
    for _ in range(12_000):
        if holds():
            return
        time.sleep(0.01)
    raise TimeoutError


@pytest.mark.slow
@pytest.mark.parametrize("over", ["pipes", "http"])
def test_cancelling_a_run_cancels_the_call_at_the_server(over, demo, address, folder):
    """The server's function is told, and stops."""
    tools = demo if over == "pipes" else mcp_tools(url=address)
    run = asyncio.run(_cancelled(tools, folder))
    assert run.status == "cancelled"
    until((folder / "cancelled").exists)


@pytest.mark.slow
def test_a_server_that_does_not_want_to_end_is_ended(monkeypatch, tmp_path):
    """It ignores the end of its input and the request to end; it and what it has started are killed."""
    monkeypatch.setattr(mcp_wire, "LEAVE", 0.2)
    tools = raw("stubborn", str(tmp_path))
    assert perform([tools], "answer(double(4))").answer == 8
    until(lambda: not _started_with(str(tmp_path)))
    assert not mcp_wire._LIVING


def _started_with(word: str) -> list[str]:
    """Return the processes with a word among their arguments: other tests, too, start servers at the same time."""
    listed = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True).stdout  # noqa: S607
    return [line for line in listed.splitlines() if word in line]


@pytest.mark.slow
def test_a_killed_interpreter_leaves_no_server(tmp_path):
    """Its pipes close with it."""
    pids = tmp_path / "pids"
    script = f"""
import sys
from compiler_nb import Compiler, mcp_tools, tool
@tool
def note(pid: int) -> int:
    open({str(pids)!r}, "w").write(str(pid))
    import time
    time.sleep(600)
tools = mcp_tools(command=[sys.executable, {RAW!r}, "pids"])
Compiler(None, [tools, note]).execute_sync("p = double(1)\\nn = note(p)\\nanswer(n)")
"""
    started = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    until(lambda: pids.exists() and pids.read_text(encoding="utf-8"))
    server = int(pids.read_text(encoding="utf-8"))
    assert is_alive(server)
    started.kill()
    started.wait()
    until(lambda: not is_alive(server))


# -------------------------------------------------------------------- what is kept


@pytest.mark.slow
def test_no_key_is_shown_or_kept(demo, tmp_path):
    """Neither in a repr, nor where the server repeats it: in results that are stored, in failures and in prompts."""
    with History(tmp_path / "runs.db") as history:
        run = perform([demo], "w = who()\nx = weather(w['token'], days=3)\nanswer(x)", history=history)
        loaded = history.load(run.id)
        assert SECRET not in repr(loaded.events)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert SECRET.encode() not in stored
    shown = [
        repr(demo),
        repr(demo[0]),
        demo["who"].description,
        repr(demo[0].place),
        repr(Settings(tools=Toolbox(demo))),
    ]
    assert not any(SECRET in each for each in shown)


@pytest.mark.parametrize(
    "words",
    [["--api-key", SECRET], [f"--token={SECRET}"], ["-e", f"API_KEY={SECRET}"], [f"Authorization: Bearer {SECRET}"]],
)
def test_a_key_in_the_command_is_not_shown(words):
    """What is named as one is masked where the server repeats it; other words are not."""
    server = Server("shop", ("npx", "server", "--city", "Kyoto", "--max-token", "5", *words))
    assert SECRET not in server.told(f"it says {SECRET}")
    assert "it says 5, Kyoto" in server.told("it says 5, Kyoto")


@pytest.mark.slow
def test_a_stored_run_loads_without_the_server(demo, tmp_path):
    """As any other."""
    with History(tmp_path / "runs.db") as history:
        run = perform([demo], "answer(add(1, 2))", history=history)
    with History(tmp_path / "runs.db") as history:
        loaded = history.load(run.id)
        assert (loaded.answer, loaded.settings.tools["add"].side_effects) == (3.0, False)
        resumed = Compiler(None, [demo], history=history).resume_sync(run.id)
        assert resumed.answer == 3.0


@pytest.mark.slow
def test_only_what_the_user_calls_pure_is_kept_in_a_cache(tmp_path):
    """It is another call if the server is another one, or says that it is another version of it."""
    with History(tmp_path / "runs.db") as history:
        for pure in (["double"], []):
            tools = raw("pids", pure=pure)
            one, other = (perform([tools], "answer(double(4))", history=history, cache="pure").answer for _ in range(2))
            assert (one == other) == bool(pure)
    assert len({raw(way)["double"].hash for way in ("plain", "plain", "pids")}) == 2
    assert raw("plain", name="other")["double"].hash != raw("plain")["double"].hash
