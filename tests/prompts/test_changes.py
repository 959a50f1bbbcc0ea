"""What changed from one text to another."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler_nb.prompts.changes import Passage, changes, mark_lines

TEXT = st.text(alphabet="ab \n", max_size=60)


@given(TEXT, TEXT)
def test_the_pieces_make_up_both_texts(old, new):
    """Nothing is lost, and nothing is said twice."""
    pieces = changes(old, new)
    assert "".join(piece.text for piece in pieces if piece.mark != "+") == old
    assert "".join(piece.text for piece in pieces if piece.mark != "-") == new
    assert all(piece.text for piece in pieces)
    if old == new:
        assert {piece.mark for piece in pieces} <= {" "}


def test_words_of_a_changed_line_are_marked_and_whole_lines_that_come_or_go():
    """A user who changed one word sees that word."""
    old = "Write a plan.\nUse few lines.\nTools\n"
    assert changes(old, "Write a plan.\nUse two lines.\nTools\nEnd\n") == [
        Passage(" ", "Write a plan.\nUse "),
        Passage("-", "few"),
        Passage("+", "two"),
        Passage(" ", " lines.\nTools\n"),
        Passage("+", "End\n"),
    ]
    assert changes("alpha beta", "1 + 2") == [Passage("-", "alpha beta"), Passage("+", "1 + 2")]


def test_a_plan_that_was_written_anew_is_shown_whole_below_the_old_one():
    """Words that both happen to have, here and there, would make one tangle of two plans."""
    old = "".join(f'{name}_{year} = growth("{name}", {year})\n' for name in ("AAPL", "IBM") for year in (2009, 2008))
    new = 'gains = {s: growth(s, 2009) for s in ["AAPL", "IBM"]}\nanswer(max(gains, key=gains.get))\n'
    assert changes(f"{old}join()", new) == [Passage("-", f"{old}join()"), Passage("+", new)]
    assert [each.mark for each in changes('a = get("Rome")', 'a = get("Rome", 3)')] == [" ", "+", " "]


def test_lines_are_marked_for_a_terminal():
    """All lines are there, so that the whole can be read; an empty one stays empty."""
    assert mark_lines("a\nb\n\nc", "a\n\nB\nc") == "  a\n- b\n\n+ B\n  c"
    assert mark_lines("", "") == ""


@pytest.mark.slow
@pytest.mark.parametrize("old", ["x = 1\n" * 60_000, "word " * 200_000, "".join(f"{n}\n" for n in range(60_000))])
def test_texts_of_a_megabyte_are_compared_at_once(old):
    """Whoever repeats a line a thousand times waits no longer for it than others."""
    new = f"first\n{old[: len(old) // 2]}middle\n{old[len(old) // 2 :]}".replace("9", "nine", 50)
    began = time.perf_counter()
    assert "".join(piece.text for piece in changes(old, new) if piece.mark != "-") == new
    assert mark_lines(old, new)
    assert time.perf_counter() - began < 10
