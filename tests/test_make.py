"""make.py sets up what it runs, once, says what it does, and hands on the tools' exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import make
from tests.conftest import did_not_run

VERBS = ("demo", "test", "bench", "soak", "shots", "lint", "lab")


def start(*arguments, cwd):
    """Run make.py from a folder and return what it said."""
    command = [sys.executable, str(make.ROOT / "make.py"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_help_names_every_verb_from_anywhere(tmp_path):
    """The help is there before anything is installed, whatever the current folder."""
    told = start("--help", cwd=tmp_path)
    assert told.returncode == 0
    assert all(verb in told.stdout for verb in VERBS)


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_a_help(verb, tmp_path):
    """The help of a verb says in a sentence what it does."""
    told = start(verb, "--help", cwd=tmp_path)
    assert told.returncode == 0
    assert getattr(make, verb).__doc__.split()[0] in told.stdout


def test_what_is_unknown_is_refused(tmp_path):
    """An unknown verb or option is named, with exit code 2, and nothing is installed."""
    assert start("dance", cwd=tmp_path).returncode == 2
    told = start("soak", "--factr", "2", cwd=tmp_path)
    assert (told.returncode, "--factr 2" in told.stderr) == (2, True)


def test_test_passes_on_what_is_pytests():
    """Options and paths for pytest need no separator and keep their order."""
    assert make.read_options(["test", "-x", "tests/plan", "-k", "fence"]).rest == ["-x", "tests/plan", "-k", "fence"]


def test_the_ten_slowest_tests_are_named_and_fast_leaves_the_slow_ones_out():
    """Both hold with arguments for pytest too, whose own options come last and so win."""
    python = Path("python")
    (chosen,) = make.test_commands(python, make.read_options(["test", "-x"]))
    assert chosen[2:] == ["pytest", "--durations=10", "-x"]
    (fast,) = make.test_commands(python, make.read_options(["test", "--fast", "tests/plan"]))
    assert fast[2:] == ["pytest", "--durations=10", "-m", make.FAST, "tests/plan"]


def test_all_tests_run_once_and_browsers_have_the_machine_to_themselves():
    """Two processes share the others, and the tests of a file with a kernel stay in one of them."""
    spread, kernels, alone = make.test_commands(Path("python"), make.read_options(["test"]))
    assert spread[4:] == ["-n", "2", "--dist", "worksteal", "-m", f"not ({make.ALONE} or kernel)"]
    assert kernels[4:] == ["-n", "2", "--dist", "loadfile", "-m", f"kernel and not ({make.ALONE})"]
    assert alone[4:] == ["-m", make.ALONE]
    (fast,) = make.test_commands(Path("python"), make.read_options(["test", "--fast"]))
    assert fast[4:] == ["-n", "2", "--dist", "worksteal", "-p", "no:nbval", "-m", make.FAST]


def test_fast_leaves_out_only_what_has_a_marker():
    """Each name in the selection is one of the markers that pytest knows."""
    known = tomllib.loads((make.ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]["markers"]
    named = re.findall(r"\w+", make.FAST.removeprefix("not "))
    assert set(named) - {"or"} == {marker.partition(":")[0] for marker in known}


def test_python_keeps_what_it_compiles(monkeypatch):
    """A shell that forbids it would have each of the tests' hundreds of processes compile the package again."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("CI", "true")
    given = make.environment()
    assert (given.get("PYTHONDONTWRITEBYTECODE"), given["CI"]) == (None, "true")


def test_an_install_is_done_once(tmp_path):
    """It is done again when a file changed or another extra is wanted, then with all extras that are there."""
    file, stamp = tmp_path / "constraints.txt", tmp_path / "stamp.json"
    file.write_text("six==1.17.0\n", encoding="utf-8")
    before = make.digest([file])
    assert make.missing_extras(stamp, before, {"lab"}) == {"lab"}
    stamp.write_text(json.dumps({"digest": before, "extras": ["lab"]}), encoding="utf-8")
    assert make.missing_extras(stamp, before, {"lab"}) == set()
    assert make.missing_extras(stamp, before, {"test"}) == {"lab", "test"}
    file.write_text("six==1.18.0\n", encoding="utf-8")
    assert make.missing_extras(stamp, make.digest([file]), {"lab"}) == {"lab"}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"digest": "x"}', "\N{SNOWMAN}"])
def test_a_broken_stamp_means_install(text, tmp_path):
    """A stamp that cannot be read is no stamp."""
    stamp = tmp_path / "stamp.json"
    stamp.write_text(text, encoding="utf-8")
    assert make.missing_extras(stamp, "x", {"lab"}) == {"lab"}


def test_an_environment_without_pip_is_served_from_outside():
    """Where Python has no ensurepip, the environment has no pip, and the Python that runs make.py brings it."""
    python = Path("env/bin/python")
    assert "--without-pip" in make.venv_command(has_ensurepip=False)
    assert "--without-pip" not in make.venv_command(has_ensurepip=True)
    outside = make.pip_command(python, {"lab", "data"}, has_pip=False)
    assert outside[:5] == [sys.executable, "-m", "pip", "--python", str(python)]
    assert outside[-2:] == ["-e", f"{make.ROOT}[data,lab]"]
    assert make.pip_command(python, {"lab"}, has_pip=True)[:3] == [str(python), "-m", "pip"]


def test_a_browser_is_found_by_name_and_on_the_path(tmp_path):
    """COMPILER_NB_CHROMIUM wins if the file is there; then PATH is searched."""
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    assert make.find_browser({"PATH": str(tmp_path)}) == str(program)
    assert make.find_browser({"PATH": "", "COMPILER_NB_CHROMIUM": str(program)}) == str(program)
    assert make.find_browser({"PATH": "", "COMPILER_NB_CHROMIUM": str(tmp_path / "gone")}) == ""


def test_the_demo_reads_the_answer_of_the_cell_with_that_name(tmp_path):
    """The answer is one line, from a printed text or from a value."""
    outputs = [{"output_type": "stream", "name": "stdout", "text": ["AAPL gained\n", "most\n"]}]
    notebook = tmp_path / "done.ipynb"
    notebook.write_text(json.dumps({"cells": [{"id": "answer", "outputs": outputs}]}), encoding="utf-8")
    assert make.read_answer(notebook) == "AAPL gained most"
    value = [{"output_type": "execute_result", "data": {"text/plain": "42"}}]
    notebook.write_text(json.dumps({"cells": [{"id": "intro"}, {"id": "answer", "outputs": value}]}), encoding="utf-8")
    assert make.read_answer(notebook) == "42"


def test_the_demo_notebook_has_an_answer_cell():
    """The id that make.py looks for is in the notebook that it runs."""
    text = (make.ROOT / "notebooks" / f"{make.NOTEBOOK}.ipynb").read_text(encoding="utf-8")
    assert make.ANSWER in [cell["id"] for cell in json.loads(text)["cells"]]


@pytest.mark.slow
def test_llmock_is_installed_once_and_a_machine_that_cannot_is_told(tmp_path, monkeypatch, capsys):
    """In a folder of its own, by its list of versions; without a package index the other tests run all the same."""
    commands = []
    monkeypatch.setattr(make, "VENV", tmp_path)
    monkeypatch.setattr(make, "run", lambda command: commands.append(command) or 1)
    make.install_llmock(Path(sys.executable))
    assert commands[0][-2:] == ["-r", str(make.ROOT / "tests" / "support" / "llmock.txt")]
    assert str(tmp_path / "llmock" / make.LLMOCK) in commands[0]
    assert "llmock could not be installed: its tests do not run" in capsys.readouterr().out
    (tmp_path / "llmock" / make.LLMOCK / "llmock").mkdir(parents=True)
    make.install_llmock(Path(sys.executable))
    assert len(commands) == 1


def test_what_did_not_run_is_said_by_reason():
    """The closing lines count the skipped tests of a file by reason."""
    skipped = [
        ("tests/browser/test_view.py", "Skipped: no Chromium"),
        ("tests/browser/test_view.py", "Skipped: no Chromium"),
    ]
    assert did_not_run(skipped) == ["Did not run: 2 in tests/browser/test_view.py: no Chromium"]
    assert did_not_run([]) == []


def test_a_soak_ends_with_a_report():
    """A line for each promise: whether it held, its cases and seconds, and what it has found, once."""
    told = make.report("""<testsuites><testsuite>
        <testcase name="test_no_run_hangs[a]" time="1.6"><property name="figure" value="9 runs"/></testcase>
        <testcase name="test_no_run_hangs[b]" time="2"><property name="figure" value="9 runs"/></testcase>
        <testcase name="test_killed" time="0.5"><failure message="lost"/></testcase>
        <testcase name="test_lost" time="0"><skipped message="no browser"/></testcase>
    </testsuite></testsuites>""")  # fmt: skip
    assert [" ".join(line.split()) for line in told] == [
        "cases s promise", "holds 2 4 no run hangs", "9 runs", "1 BROKE 1 0 killed", "1 not run 1 0 lost",
    ]  # fmt: skip
