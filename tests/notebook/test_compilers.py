"""The compiler of a cell: by options, by `%config`, by variables of the notebook."""

from __future__ import annotations

import os

from compiler_nb import DaskEngine
from tests.support.shell import open_shell


def test_an_engine_is_chosen_by_the_name_of_its_variable(shell, dask_client):
    """And a name that holds none is refused before anything runs; `local` means what it says."""
    shell.ns["engine"], shell.ns["local"] = DaskEngine(dask_client), 3
    shell.ok("import os\nfrom compiler_nb import tool\n@tool\ndef pid() -> int: return os.getpid()")
    shell.ok("%%plan --engine engine\nanswer(pid())")
    assert shell.ns["run"].answer != os.getpid()
    shell.ok("%%plan --engine local\nanswer(pid())")
    assert shell.ns["run"].answer == os.getpid()
    assert "or a DaskEngine, not 'ray'" in shell.error("%%plan --engine ray\nanswer(1)")


def test_an_engine_is_a_setting_of_the_notebook(shell, dask_client, caplog):
    """With the words of `--engine`; what is none is refused when it is set, and the one before holds."""
    shell.ns["engine"] = DaskEngine(dask_client)
    shell.ok("import os\nfrom compiler_nb import tool\n@tool\ndef pid() -> int: return os.getpid()")
    here = os.getpid()
    for value in ('"engine"', "engine", repr(f"dask:{dask_client.scheduler.address}")):
        shell.ok(f"%config CompileMagics.engine = {value}")
        shell.ok("%%plan\nanswer(pid())")
        assert shell.ns["run"].answer != here, value
        assert "on 2 Dask workers" in shell.shown[-1]["text/html"]
        assert "on 2 Dask workers" not in shell.text()  # it is the same on every machine
        shell.ok("%%plan --engine local\nanswer(pid())")
        assert shell.ns["run"].answer == here
    shell.ok("%compile rerun --engine local")
    assert shell.ns["run"].answer == here
    shell.ok("%compile rerun")
    assert shell.ns["run"].answer != here
    for value in ("ray", "dask:", "ray:8786", 3):
        shell.run(f"%config CompileMagics.engine = {value!r}")
        assert f"engine must be 'local', 'dask', 'dask:ADDRESS' or a DaskEngine, not {value!r}" in caplog.text
    shell.ok("%%plan\nanswer(pid())")
    assert shell.ns["run"].answer != here
    assert f"'dask:{dask_client.scheduler.address}'" in repr(shell.ns["run"].settings.engine)
    shell.ns["run"].settings.engine._made.client.close()


def test_an_engine_of_a_profile_is_named_before_it_is_there(dask_client):
    """Whether the variable holds one is known when a cell runs."""
    with open_shell(engine="mine") as shell:
        assert "or a DaskEngine, not 'mine'" in shell.error("%%plan\nanswer(double(2))")
        shell.ns["mine"] = DaskEngine(dask_client)
        shell.ok("%%plan\nanswer(double(2))")
        assert shell.ns["run"].progress.where == "on 2 Dask workers"
