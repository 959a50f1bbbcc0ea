"""Performs scripts in an interpreter that has no package of ours: argv names a folder of scripts.

Each is called with the share of calls that fail, from its name; what came of its tasks is written beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import io
import pickle
import sys
from pathlib import Path

sys.modules["compiler_nb"] = None
folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
import toolkit  # noqa: E402 - it lies beside the scripts

for path in sorted(folder.glob("plan_*.py")):
    toolkit.reset(int(path.stem.rpartition("_")[2]))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    found = {}
    try:
        spec.loader.exec_module(module)
        given = folder / "inputs.pkl"
        inputs = pickle.loads(given.read_bytes()) if given.exists() else {}  # noqa: S301 - the test's own
        names = module.main.__code__.co_varnames[: module.main.__code__.co_argcount]
        with contextlib.redirect_stderr(io.StringIO()):
            try:
                found["answer"] = asyncio.run(module.main(**{name: inputs[name] for name in names}))
            except Exception as error:  # noqa: BLE001 - it is compared
                found["error"] = repr(error)
        values = {}
        for id_, task in module._TASKS.items():
            values[id_] = (
                ("failed", repr(task.exception()))
                if task.exception()
                else (("unneeded", None) if task.result() is module._NOT_NEEDED else ("done", task.result()))
            )
        found["tasks"] = values
        found["made"] = list(toolkit.made)
    except BaseException as error:  # noqa: BLE001 - as above
        found["broken"] = repr(error)
    path.with_suffix(".pkl").write_bytes(pickle.dumps(found))
