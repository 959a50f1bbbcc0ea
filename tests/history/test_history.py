"""Runs kept in a file and read back; what goes wrong with the file costs a warning, never the run."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import HistoryError
from compiler_nb.events import Log, TaskEnded, TaskStarted, Warned
from compiler_nb.history import History, NotStored
from compiler_nb.history.file import APPLICATION, VERSION, File
from compiler_nb.history.history import Keeper
from compiler_nb.history.reader import read_settings
from compiler_nb.outcome import Failure
from compiler_nb.run import Run
from compiler_nb.settings.budget import Budget
from compiler_nb.settings.order import Order
from compiler_nb.settings.settings import Settings
from compiler_nb.tool import tool
from tests.support.desk import Desk, begin, planner_of, run, scripted
from tests.support.stored import City, city, prices, rich_compiler, store_rich_run, until

COVERS = ("reader.py", "writer.py")

ROOT = Path(__file__).parents[2]


def warnings_of(found) -> list[str]:
    """Return the warnings of a run."""
    return [event.message for event in found.events if isinstance(event, Warned)]


def test_a_stored_run_is_the_run(tmp_path):
    """Its events, values, answer, reasons, timeline, table and view are those of the run that was kept."""
    path = tmp_path / "runs.db"
    found = store_rich_run(path)
    with History(path) as history:
        (row,) = history.runs()
        loaded = history.load(row.id, [city])
    assert (row.id, row.question, row.status) == (found.id, "What is it?", "done")
    assert [type(event) for event in loaded.events] == [type(event) for event in found.events]
    assert loaded.answer == "It is well."
    assert loaded.results.keys() == found.results.keys()
    assert loaded["home"] == City("Oslo", found["home"].seen)
    assert loaded["table"].equals(found["table"])
    assert loaded["odd"]["set"] == found["odd"]["set"]
    assert repr({**loaded["odd"], "set": 0}) == repr({**found["odd"], "set": 0})  # one is not a number, and no equal
    assert loaded["rows"][2] == loaded["rows[2]"] == 4
    assert loaded.failures["f"] == Failure("raised", "LookupError: no f")
    assert loaded.inputs["k"] == 3
    assert loaded.inputs["df"].equals(prices.function())
    assert (loaded.seconds, loaded.usage, loaded.status) == (found.seconds, found.usage, "done")
    assert loaded.plan == found.plan
    assert loaded.why("g") == found.why("g")
    assert loaded.timeline().text == found.timeline().text
    assert list(loaded.to_pandas()["state"]) == list(found.to_pandas()["state"])
    assert "done" in repr(loaded.view())


def test_the_time_of_a_run_that_goes_on_elsewhere_goes_on(tmp_path):
    """It is counted from the beginning of the run, not from the look; never less than its events say."""
    desk = Desk()
    with History(tmp_path / "runs.db") as history:

        async def running():
            found, work = begin(planner_of("a = get(1)\nb = wait(a)\n", desk=desk, history=history), "What?")
            task = asyncio.create_task(work)
            await until(lambda: desk.working)
            await asyncio.sleep(0.2)
            first = history.load(found.id)
            found.log.began -= 100.0  # the other clock goes another way
            found.log.emit(Warned, "", "a hundred seconds later")
            second = history.load(found.id)
            found.cancel()
            await task
            return first, second

        first, second = asyncio.run(running())
    assert first.status == second.status == "running"
    assert 0.2 < first.seconds < 60
    assert 100 < second.seconds < 160
    assert second.why("b").startswith("running for 100 s")


def test_the_settings_of_a_stored_run_are_its_own(tmp_path):
    """Those that can be stored, and whether its plan was given."""
    given = {
        "dialect": "numbered", "max_concurrency": 3, "max_replans": 4, "max_repairs": 0, "timeout": 9.5,
        "share": "none", "preview": True, "budget": Budget(tokens=5, seconds=7.5),
    }  # fmt: skip
    with History(tmp_path / "runs.db") as history:
        for approve in ("deny", "auto", {"send", "get"}):
            compiler = Compiler(None, Desk().tools, approve=approve, history=history, **given)
            loaded = history.load(compiler.execute_sync("answer(1)").id, [])
            assert {name: getattr(loaded.settings, name) for name in given} == given
            assert loaded.settings.approve == (approve if isinstance(approve, str) else {"get", "send"})
            assert loaded.order.executing


def test_settings_that_an_earlier_version_did_not_store_are_the_defaults():
    """The dialect is the plan's."""
    settings = read_settings({"tools": {}, "limits": {}, "max_concurrency": 2}, "json")
    assert (settings.dialect, settings.max_concurrency, settings.approve, settings.budget) == (
        "json",
        2,
        "ask",
        Budget(),
    )
    assert (settings.max_replans, settings.timeout, settings.share, settings.preview) == (2, None, "all", False)


def test_runs_are_listed_newest_first_and_are_there_at_once(tmp_path):
    """Finished means committed: another connection sees the run when the caller does."""
    with History(tmp_path / "runs.db") as history:
        assert history.runs() == []
        for question in ("one", "two"):
            run(planner_of("a = get(1)\nanswer(a)\n", history=history), question)
            with closing(sqlite3.connect(history.path)) as db:
                stored = db.execute("SELECT status FROM runs WHERE question = ?", (question,)).fetchone()
            assert stored == ("done",)
        assert [row.question for row in history.runs()] == ["two", "one"]
        with pytest.raises(HistoryError, match="there is no run 'nobody'"):
            history.load("nobody")


def test_rows_are_written_as_things_happen(tmp_path):
    """While a task runs, its start is in the file; a side effect's before it begins."""
    desk, seen = Desk(), []
    path = tmp_path / "runs.db"

    @tool(side_effects=True)
    async def look() -> None:
        """Look into the file."""
        with closing(sqlite3.connect(path)) as db:
            seen.append(db.execute("SELECT task, state, effects FROM attempts WHERE effects").fetchall())

    compiler = Compiler(None, [*desk.tools, look], planner=scripted("look()\n"), history=path, approve="auto")
    found = run(compiler)
    assert seen == [[("@1", "running", 1)]]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT task, state FROM attempts").fetchall() == [("@1", "done")]
        assert db.execute("SELECT id, state FROM tasks").fetchall() == [("@1", "done")]
        (count,) = db.execute("SELECT count(*) FROM events").fetchone()
    assert count == len(found.events)


@pytest.mark.parametrize(
    "how", ["a link that leads nowhere", "a link into no folder", "an empty file", "a link to one"]
)
def test_a_history_that_is_reached_in_another_way_is_private_too(tmp_path, how):
    """By a link that leads nowhere yet, or found empty, readable by all: the file is for the user alone."""
    path = target = tmp_path / "runs.db"
    if "link" in how:
        target = tmp_path / ("folder" if "folder" in how else "") / "kept.db"
        path.symlink_to(target)
    if "file" in how or "one" in how:
        target.touch(mode=0o644)
        target.chmod(0o644)
    with History(path) as history:
        run(planner_of("answer(1)\n", history=history))
        assert len(history.runs()) == 1
    assert path.is_symlink() == ("link" in how)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform != "linux", reason="only there is a file that not even its owner may change")
def test_a_history_that_others_can_read_and_that_cannot_be_changed_says_so(caplog):
    """One line of the log names the file."""
    with pytest.raises(HistoryError, match="cannot be written"):
        File(Path("/proc/self/cmdline"))
    assert "others can read the history /proc/" in caplog.text


def test_the_file_is_private_and_versioned_and_its_journal_is_empty(tmp_path):
    """Mode 0600 in a folder 0700, our mark and version, no write-ahead log, nothing left in the journal."""
    path = tmp_path / "folder" / "runs.db"
    store_rich_run(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with closing(sqlite3.connect(path)) as db:
        told = [
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version", "journal_mode")
        ]
    assert told == [APPLICATION, VERSION, "delete"]  # which is what whoever opens the file has, unless it asks for more
    assert sum(file.stat().st_size for file in path.parent.iterdir()) == path.stat().st_size


def test_a_value_that_cannot_be_stored_says_so(tmp_path):
    """An object, one too large, a class of the user's without its tool: NotStored with the reason, never a guess."""

    @tool
    async def thing(x: int) -> object:
        """Return something odd."""
        return [threading.Lock(), "x" * 5_000, [[1] * 10] * 100][x]

    plan = 'a = thing(0)\nb = thing(1)\nc = city("Oslo")\nd = [a, a]\nanswer(b)\n'
    with History(tmp_path / "runs.db", largest=2_000) as history:
        found = run(Compiler(None, [thing, city], planner=scripted(plan), history=history))
        loaded = history.load(found.id)
    assert isinstance(loaded["a"], NotStored)
    assert "not plain data" in loaded["a"].reason
    assert "more than 2,000 bytes" in loaded["b"].reason
    assert repr(loaded["c"]).startswith("<not stored: City, reading it needs the tool that made it")
    assert isinstance(loaded["d"], NotStored)
    assert isinstance(loaded.answer, NotStored)


# ------------------------------------------------------------------- what goes wrong


def read_only_folder(path: Path) -> None:
    """Leave no way to make the file, for the superuser neither."""
    path.parent.write_text("a file where a folder is wanted")


def corrupt(path: Path) -> None:
    """Write something else."""
    path.parent.mkdir()
    path.write_bytes(b"SQLite format 3\0" + b"x" * 5_000)


def of_another(path: Path) -> None:
    """Make a database of another program."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE precious (x)")


def newer(path: Path) -> None:
    """Make a history of a version to come."""
    store_rich_run(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"PRAGMA user_version={VERSION + 1}")


@pytest.mark.parametrize("spoil", [read_only_folder, corrupt, of_another, newer])
def test_trouble_with_the_file_costs_one_warning(tmp_path, spoil):
    """The run is done, says once what is wrong, names the file, and leaves it as it is."""
    path = tmp_path / "there" / "runs.db"
    spoil(path)
    before = path.read_bytes() if path.exists() else b""
    with History(path) as history:
        found = run(planner_of("a = get(1)\nanswer(a)\n", history=history))
    assert (found.status, found.answer) == ("done", 1)
    (message,) = warnings_of(found)
    assert message.startswith("this run is not kept: ")
    assert "runs.db" in message
    assert (path.read_bytes() if path.exists() else b"") == before


@pytest.mark.slow
def test_a_locked_file_does_not_hold_the_run(tmp_path):
    """It ends within seconds, with a warning."""
    path = tmp_path / "runs.db"
    store_rich_run(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, History(path) as history:
        other.execute("BEGIN IMMEDIATE")
        found = run(planner_of("a = get(1)\nanswer(a)\n", history=history))
        other.execute("ROLLBACK")
    assert found.status == "done"
    assert ["slow or locked" in message for message in warnings_of(found)] == [True]


def test_a_file_that_is_deleted_meanwhile_is_noticed_and_made_anew(tmp_path):
    """The run that it was taken from says so; the next one has a file."""
    path = tmp_path / "runs.db"

    @tool
    async def remove() -> None:
        """Delete it, once it is there and at rest."""
        await asyncio.to_thread(history.runs)
        path.unlink()

    with History(path) as history:
        model = scripted("remove()\nanswer(1)\n", "answer(2)\n")
        first = run(Compiler(None, [remove], planner=model, history=history))
        assert ["was deleted or replaced" in message for message in warnings_of(first)] == [True]
        second = run(Compiler(None, [remove], planner=model, history=history))
        assert (warnings_of(second), [row.id for row in history.runs()]) == ([], [second.id])


FULL = """
import asyncio, resource, signal, sys
from compiler_nb.events import Warned
from tests.support.desk import planner_of, run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
found = run(planner_of("a = get('" + "x" * 100_000 + "')\\nanswer(1)\\n", history=sys.argv[1]))
print(found.status, [event.message for event in found.events if isinstance(event, Warned)])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the limit of a file's size is set as on Unix")
def test_a_full_disk_costs_a_warning(tmp_path):
    """A file that may not grow, in a process of its own."""
    command = [sys.executable, "-c", FULL, str(tmp_path / "runs.db")]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert told.startswith("done ['this run is not kept: the history")


THRICE = """
import sys
from pathlib import Path
from tests.support.stored import store_rich_run
for _ in range(3):
    store_rich_run(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_two_runs_and_two_processes_in_one_file(tmp_path):
    """All are kept whole."""
    path = tmp_path / "runs.db"
    command = [sys.executable, "-W", "ignore", "-c", THRICE, str(path)]
    others = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    with History(path) as history:

        async def many():
            return await asyncio.gather(*(rich_compiler(history).run("here") for _ in range(3)))

        own = asyncio.run(many())
        assert [other.wait() for other in others] == [0, 0]
        rows = history.runs()
        assert [warnings_of(each) for each in own] == [[], [], []]
        assert [row.status for row in rows] == ["done"] * 9
        assert {history.load(row.id).answer for row in rows} == {"It is well."}


# ------------------------------------------------------------------- side effects


def test_without_a_history_at_hand_a_side_effect_is_denied_or_asked_for(tmp_path):
    """Under auto too: nobody there means no; a person may let it go on without."""
    read_only_folder(tmp_path / "x" / "runs.db")
    desk, asked = Desk(), []
    compiler = planner_of('send("hi")\n', 'send("hi")\n', desk=desk, history=tmp_path / "x" / "runs.db", approve="auto")
    found = run(compiler)
    assert (desk.asked("send"), found.failures["@1"].kind) == ([], "denied")
    assert "the history cannot note it" in found.failures["@1"].message

    async def ask(task, arguments):
        asked.append((task.id, arguments))
        return True

    async def main():
        again, work = begin(compiler, "Again?", ask=ask)
        await work
        return again

    found = asyncio.run(main())
    assert (found.status, desk.asked("send"), asked) == ("done", ["hi"], [("@1", '"hi"')])
    assert [type(event) for event in found.events if isinstance(event, TaskEnded)] == [TaskEnded]


def test_without_a_history_approval_alone_decides():
    """As before."""
    desk = Desk()
    found = run(planner_of('send("hi")\n', desk=desk, approve="auto"))
    assert (found.status, desk.asked("send")) == ("done", ["hi"])


def test_a_sync_side_effect_and_its_timeout_are_noted_first(tmp_path):
    """It runs on its thread after its intent; its timeout counts from then."""
    calls = []

    @tool(side_effects=True, timeout=5.0)
    def write(x: int) -> int:
        """Write."""
        calls.append(threading.current_thread() is threading.main_thread())
        return x

    compiler = Compiler(None, [write], planner=scripted("a = write(1)\nb = write(a)\n"), approve="auto",
                        history=tmp_path / "runs.db")  # fmt: skip
    found = run(compiler)
    assert (found.results, calls) == ({"a": 1, "b": 1}, [False, False])
    assert [event.task for event in found.events if isinstance(event, TaskStarted)] == ["a", "b"]
    compiler.settings.history.close()


@pytest.mark.slow
def test_a_run_can_be_cancelled_while_an_intent_is_noted(tmp_path):
    """The file is locked; the side effect never begins."""
    path, desk = tmp_path / "runs.db", Desk()
    store_rich_run(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, History(path) as history:
        other.execute("BEGIN IMMEDIATE")

        async def main():
            compiler = planner_of('send("hi")\n', desk=desk, history=history, approve="auto")
            found, work = begin(compiler, "What?")
            task = asyncio.create_task(work)
            await until(lambda: any(isinstance(event, TaskStarted) for event in found.events))
            found.cancel()
            await task
            return found

        found = asyncio.run(main())
        other.execute("ROLLBACK")
    assert (found.status, desk.calls) == ("cancelled", [])


class Late(History):
    """A history that reports its commits only when it is asked to."""

    def flush(self, run, tell):
        self.tell = tell


def test_a_commit_that_comes_too_late_is_no_fault_of_its_thread(tmp_path):
    """The run has said that it is not kept, and has gone on: nobody hears the report, and that is not an error."""

    async def wait() -> None:
        assert not await Keeper(history, found).committed(0)

    found = Run(Order(), Settings(), Log("r"))
    with Late(tmp_path / "runs.db") as history:
        asyncio.run(wait())
        history.tell(True)
    assert warnings_of(found) == [
        f"this run is not kept: {history.path} is slow or locked: nothing was written for 0 s"
    ]
