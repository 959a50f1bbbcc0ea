"""Prompts are text files with a version, filled in one pass."""

from __future__ import annotations

import pytest

from compiler_nb.errors import OptionError
from compiler_nb.prompts import Prompt, fill, load, names


def test_every_prompt_that_ships_can_be_loaded():
    """Each file beside the room is a prompt with text."""
    assert {"planner", "replan", "repair", "joiner", "worker", "extract"} <= set(names())
    assert all(load(name).text.strip() for name in names())


def test_a_prompt_is_read_once():
    """Loading again costs nothing."""
    assert load("joiner") is load("joiner")


def test_an_unknown_prompt_is_told_with_those_there_are():
    """The error names the mend; a path is no name."""
    with pytest.raises(OptionError, match=r"'joinr'.*joiner"):
        load("joinr")
    with pytest.raises(OptionError):
        load("../errors")


def test_the_hash_is_of_the_text():
    """Equal texts have one version, whatever their name; another text has another."""
    assert Prompt("a", "x").hash == Prompt("b", "x").hash != Prompt("a", "y").hash
    assert len(load("joiner").hash) == 12
    assert len(Prompt("a", "\ud800").hash) == 12


def test_filling_replaces_each_marker():
    """Markers are replaced wherever they stand, also twice, also with spaces in the braces."""
    prompt = Prompt("p", "{{a}} and {{ b }} and {{a}}; {c} stays")
    assert fill(prompt, a="1", b="2") == "1 and 2 and 1; {c} stays"
    assert prompt.markers == ("a", "b")


def test_parts_are_never_read_again():
    """A part that holds a marker, or a group of a pattern, is text."""
    assert fill(Prompt("p", "{{a}}-{{b}}"), a="{{b}}", b=r"\1 \g<0> {{a}}") == r"{{b}}-\1 \g<0> {{a}}"


def test_an_unknown_marker_is_an_error():
    """What nothing fills is told, with what could stand there."""
    with pytest.raises(OptionError, match=r"'mine' has \{\{questoin\}\}.*\{\{question\}\}"):
        fill(Prompt("mine", "{{questoin}}"), question="?")


def test_a_part_may_be_left_out():
    """A prompt of one's own need not use every part."""
    assert fill(Prompt("mine", "short"), question="?") == "short"
