"""In a fresh process, since what is imported stays."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WAIT = """
import sys, threading, time
def loaded():
    until = time.monotonic() + 60
    while any(thread.name == "compiler_nb-imports" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return "openai.resources.chat.completions.completions" in sys.modules
"""


SHELL = """
from compiler_nb import OpenAIModel
from tests.support.shell import open_shell
with open_shell() as s:"""


def said_by(code):
    """Return what a fresh process prints."""
    command = [sys.executable, "-c", WAIT + code]
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (told.returncode, told.stderr) == (0, ""), told.stderr
    return told.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "from compiler_nb import connect; connect('vllm:m')",
        "from compiler_nb import Compiler; Compiler('vllm:m')",
        f"{SHELL} s.ok('%compile model vllm:m')",
        f"{SHELL} s.ns['big'] = OpenAIModel('m'); s.ok('%compile model big')",
    ],
    ids=["connect", "Compiler", "%compile model", "a variable"],
)
def test_naming_a_model_begins_to_import_what_its_first_question_needs(code):
    """The name is taken at once, and the SDK is there soon after."""
    assert said_by(f"{code}\nsys.stdout.write(f'\\n{{loaded()}}')").splitlines()[-1] == "True"


def test_making_a_model_by_its_class_imports_nothing():
    """A constructor starts no thread."""
    code = "from compiler_nb import OpenAIModel\nOpenAIModel('m')\nprint(threading.active_count(), loaded())"
    assert said_by(code) == "1 False"


def test_where_no_thread_can_start_a_model_is_named_all_the_same():
    """As in a browser."""
    code = """
def refuse(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
from compiler_nb import connect
print(connect("vllm:m").name, loaded())
"""
    assert said_by(code) == "m False"


def test_a_process_may_end_while_it_imports():
    """Without a word."""
    assert said_by("from compiler_nb import connect\nprint(connect('vllm:m').name)") == "m"
