"""The walks of CONTRIBUTING.md lead through the files that it names, in that order, and are short enough."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
WALK = re.compile(r"^### (.+?) \(`(\w+)`, (\d+) files?\)\n\n(.+?)\n((?:\n\d+\. .+)+)", re.MULTILINE)
MOST = {"cell": 14, "chunk": 18, "interrupt": 10, "resume": 16, "box": 10}
"""Files that a walk may lead through."""
CALLBACKS = {
    "planner/writing.py -> drive/drive.py",  # `add`: the driver adds each task that is written
    "engine/attempt.py -> engine/session.py",  # `Host`: an attempt asks its session for slots, and tells it its end
    "engine/runners.py -> engine/attempt.py",  # `Call`: a runner tells an attempt how its call ended
}
"""The calls that may lead back to an earlier file: what that file gave to be called, as the guide says."""


def walks():
    """Return the files of each walk that the guide describes, those of the page's side apart."""
    found = {}
    for _, name, count, _, steps in WALK.findall(GUIDE):
        files = re.findall(r"^\d+\. `([^`]+)`", steps, re.MULTILINE)
        assert len(files) == int(count), name
        found[name] = files
    return found


def test_the_guide_describes_the_five_walks():
    """None is longer than it may be, and each file is there."""
    found = walks()
    assert {name: len(files) for name, files in found.items() if len(files) > MOST[name]} == {}
    assert found.keys() == MOST.keys()
    assert [file for files in found.values() for file in files if not (ROOT / "compiler_nb" / file).is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", MOST)
def test_a_walk_leads_where_the_guide_says(name):
    """A traced run enters these files in this order and hops back only by a callback; the page is not traced."""
    command = [sys.executable, "-m", "tests.support.walk", name]
    still = {**os.environ, "COMPILER_NB_HISTORY": "off"}
    told = subprocess.run(command, cwd=ROOT, env=still, capture_output=True, text=True, check=False, timeout=100)
    assert told.returncode == 0, told.stderr
    walk = json.loads(told.stdout)
    assert walk["files"] == [file for file in walks()[name] if file.endswith(".py")]
    assert set(walk["hops"]) <= CALLBACKS
