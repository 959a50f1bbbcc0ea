"""Runs that are run again: where they may start, and what they keep of the old run."""

from __future__ import annotations

import pytest


@pytest.fixture
def desk(shell):
    """Give the desk of a shell."""
    return shell.ip.magics_manager.registry["CompileMagics"].desk


def test_only_a_task_of_the_run_is_a_start(shell):
    """Another name is a short error that lists the tasks."""
    shell.ok("%%plan\na = double(1)")
    assert "OptionError: no task 'x' in this run; its tasks are: a" in shell.error("%compile rerun --start x")
    assert "OptionError: no task 'x' in this run; its tasks are: a" in shell.error("%compile why x")


def test_a_rerun_of_a_stored_run_finds_its_type_in_the_notebook(shell, desk, tmp_path):
    """Only its name is stored."""
    shell.ok("from dataclasses import dataclass\n\n@dataclass\nclass Best:\n    value: float\n")
    desk.settings.history = str(tmp_path / "runs.db")
    shell.ok("%%plan --as Best\na = double(1)\nanswer({'value': a})")
    first = shell.ns["run"].id
    desk.memory.runs.clear()
    shell.ns.pop("run")
    shell.ok(f"%compile rerun {first} --override a=7")
    assert shell.ns["run"].answer == shell.ns["Best"](7.0)
    shell.ok(f"%compile rerun {first} --as dict --override a=7")
    assert shell.ns["run"].answer == {"value": 7.0}
