"""Ids: how those of items and of calls within a line are built, and read again."""

from __future__ import annotations

import pytest

from compiler_nb.plan.task import Task, is_part, item_id, owner_of, part_id


def test_the_id_of_an_item_shows_its_key_and_how_often_it_came():
    """A key that shows like an earlier one is counted; a chain numbers its calls."""
    assert item_id("rows", "AAPL") == "rows[AAPL]"
    assert item_id("rows", "AAPL", 2) == "rows[AAPL]#2"
    assert part_id("note", 1) == "note.1"
    assert part_id(item_id("rows", "AAPL", 2), 3) == "rows[AAPL]#2.3"


@pytest.mark.parametrize(
    ("id_", "owner", "part"),
    [
        ("ny", "", False),
        ("1", "", False),
        ("1_2", "", False),
        ("@3", "", False),
        ("note.1", "", True),
        ("rows[AAPL]", "rows", False),
        ("rows[AAPL]#2", "rows", False),
        ("rows[AAPL].1", "rows", True),
        ("rows[AAPL]#2.1", "rows", True),
        ("rows[3.5]", "rows", False),
        ("best.1[0]", "best.1", False),
        ("best.1[0].2", "best.1", True),
    ],
)
def test_an_id_tells_the_fanout_and_whether_it_is_a_call_within_a_line(id_, owner, part):
    """The task and its id give the same answer."""
    assert (owner_of(id_), Task(id_, "call").owner, is_part(id_)) == (owner, owner, part)
