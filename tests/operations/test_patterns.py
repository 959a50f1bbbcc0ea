"""Patterns that plans search texts for: what takes linear time is taken, anything else is refused before it begins."""

from __future__ import annotations

import pytest

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.patterns import check_pattern, may_look_far

TAKEN = (
    "plain", "a.c", "^a", "c$", "[0-9]+", r"\d+ km", "a|b|c", "(north|south) side", "x?y", "colou?r", "a{2,3}",
    r"\bred\b", "(?:un)kind", "[^,]*$", "(a|b)(c|d)",
)  # fmt: skip
REFUSED = {
    "(a+)+$": "may follow a single character",
    "(an|be)(ce|de)": "one level of alternatives",
    "(an|(be|ce)d)": "one level of alternatives",
    ".*.*x": "one * or + only",
    "a?a?a?a?a?aaaaa": "4 quantifiers only",
    "a{1,1000}": "up to 50 times",
    r"(a)\1": "lookarounds and references",
    "(?=a)b": "lookarounds and references",
    "(?i:a)+": "may follow a single character",
    "[": "not a pattern",
    "a" * 600 + ".": "500 characters",
}


@pytest.mark.parametrize("pattern", TAKEN)
@pytest.mark.parametrize("name", ["contains", "split"])
def test_a_pattern_of_one_pass_is_taken(name, pattern):
    """Characters, classes, anchors, alternatives, and few quantifiers."""
    check_pattern(name, {"pat": pattern})


@pytest.mark.parametrize("pattern", REFUSED)
def test_a_pattern_that_may_take_long_is_refused_and_looked_for_as_text_on_request(pattern):
    """The error says why, and the way on."""
    with pytest.raises(ExpressionError, match="add regex=False") as caught:
        check_pattern("contains", {"pat": pattern})
    assert REFUSED[pattern] in str(caught.value)
    check_pattern("contains", {"pat": pattern, "regex": False})
    check_pattern("replace", {"pat": pattern, "repl": "x"})  # literal, as pandas has it
    with pytest.raises(ExpressionError):
        check_pattern("replace", {"pat": pattern, "repl": "x", "regex": True})


def test_what_is_no_text_is_refused():
    """A number, a list, nothing; `split` without a text splits at blanks."""
    for value in (1, ["a"], None):
        with pytest.raises(ExpressionError, match="takes a text to look for"):
            check_pattern("contains", {"pat": value})
    check_pattern("split", {})


def test_one_character_is_a_text_to_split_at():
    """As in pandas: `split(".")` splits at points."""
    check_pattern("split", {"pat": "+"})


def test_a_pattern_with_a_quantifier_may_look_far():
    """From each character to the end of the text."""
    assert may_look_far("a.*b")
    assert not may_look_far("a.b")
