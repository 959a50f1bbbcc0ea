"""Loading history runs no code, and raises nothing but HistoryError, whatever stands in the file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scale import seed, times

ROOT = Path(__file__).parents[2]
LOAD = """
import json, shutil, sys, traceback
from pathlib import Path
from random import Random
from compiler_nb.cache import Cache
from compiler_nb.errors import HistoryError
from compiler_nb.history import History
from tests.support.stored import BESIDE, city, mutate_file, store_rich_run

folder, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
good, bad = folder / "good.db", folder / "bad.db"
run = store_rich_run(good)
found, loading = [], False

def hook(event, args):
    if loading and event in ("import", "exec", "compile", "os.system", "subprocess.Popen", "socket.connect"):
        found.append((event, str(args)[:200]))

def load(path):
    history = History(path)
    assert all(type(row.name) is str for table in BESIDE for row in history.get(table))
    cache = Cache(history)
    assert all(type(each.about) is dict for each in [*cache.entries(), *cache.find(["entry 1"]).values()])
    loaded = [history.load(row.id, [city]) for row in history.runs()]
    for each in loaded:
        each.results, each.failures, each.usage, each.plan, each.answer, repr(each)
        each.timeline().text, each.to_pandas(), [each.why(id_) for id_ in each.progress.tasks], each.view()
    return loaded

assert len(load(good)) == 1
sys.addaudithook(hook)
loading = True
assert load(good)[0].answer == run.answer
refused = 0
for number in range(count):
    loading = False
    for left in folder.glob("bad.db*"):
        left.unlink()
    shutil.copyfile(good, bad)
    mutate_file(Random(seed + number), bad)
    loading = True
    try:
        load(bad)
    except HistoryError as error:
        assert str(error)
        refused += 1
    except BaseException:
        loading = False
        shutil.copyfile(bad, folder / "kept.db")
        print(f"seed {seed}, mutation {number}", file=sys.stderr)
        raise
loading = False
print(json.dumps([found[:5], refused]))
"""


@pytest.mark.promise
@pytest.mark.timeout(3600)
def test_loading_history_runs_no_code(tmp_path, figure):
    """2,000 mutated files: only HistoryError, 0 imports, 0 executed texts; what loads can be shown, too."""
    arguments = [sys.executable, "-W", "ignore", "-c", LOAD, str(tmp_path), str(times(2_000)), str(seed())]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3_000:]
    found, refused = json.loads(done.stdout)
    figure(f"{times(2_000):,} mutated files, {refused:,} refused")
    assert found == []
    assert times(2_000) * 0.3 < refused, "the mutations are too tame to try what is refused"
