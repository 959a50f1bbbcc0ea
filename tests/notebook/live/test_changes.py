"""Changes of state travel as one short text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler_nb.notebook.live.changes import pack
from tests.support.frames import unpack

CHANGES = st.tuples(st.integers(0, 20_000), st.integers(0, 6), st.integers(0, 10**8))


@given(st.lists(CHANGES, max_size=50))
def test_what_is_read_is_what_was_written(changes):
    """In any order of tasks and times."""
    assert list(unpack(pack(changes))) == changes


@pytest.mark.parametrize(("changes", "text"), [
    ([], ""),
    ([(0, 2, 100), (1, 2, 100), (0, 3, 150)], "C.64CD-2.32"),
    ([(30, 1, 16), (31, 1, 16), (31, 2, 15)], "B1e.10BC-1.-1"),
])  # fmt: skip
def test_a_change_says_only_what_differs_from_the_last(changes, text):
    """Nothing if the next task changes at the same time."""
    assert pack(changes) == text
