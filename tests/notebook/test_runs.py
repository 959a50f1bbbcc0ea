"""The runs that a notebook knows, and the words that name them."""

from __future__ import annotations

import pytest

from compiler_nb.errors import OptionError
from compiler_nb.notebook.runs import find_run


@pytest.fixture
def desk(shell):
    """Give the desk of a shell."""
    return shell.ip.magics_manager.registry["CompileMagics"].desk


def test_a_run_is_named_by_a_variable_an_id_or_a_number(shell, desk, tmp_path):
    """Numbers count back from the last one, through those of this session into those of the history."""
    shell.ok(f"%config CompileMagics.history = {str(tmp_path / 'runs.db')!r}")
    shell.ok("%%plan -o first\nx = double(1)\n")
    shell.ok("%%plan -o second\nx = double(2)\n")
    first, second = shell.ns["first"], shell.ns["second"]
    assert [find_run(desk, word) for word in ("first", first.id, "-2")] == [first] * 3
    assert find_run(desk, "-1") is second
    desk.memory.runs.remove(first)
    assert (found := find_run(desk, "-2")) is not first
    assert found.id == first.id
    with pytest.raises(OptionError, match="no run is called '-3'"):
        find_run(desk, "-3")
