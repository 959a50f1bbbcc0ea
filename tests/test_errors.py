"""The tree of errors: every error has one root, and says what is known of it."""

from __future__ import annotations

import pytest

from compiler_nb import errors
from compiler_nb.errors import CompilerError, ModelError, PlanError, Problem

ALL = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]


@pytest.mark.parametrize("error", ALL)
def test_all_errors_have_one_root_and_a_place_in_the_tree(error):
    """Whoever catches CompilerError catches all that the package raises on purpose; the docstring draws them."""
    assert issubclass(error, CompilerError)
    assert error.__name__ in errors.__doc__


def test_a_plan_error_lists_all_problems():
    """A line for each, with where it is and its kind."""
    error = PlanError([Problem("syntax", 1, 2, "what"), Problem("cycle", 3, 1, "how")])
    assert error.kind == "syntax"
    assert str(error) == "line 1, column 2: what [syntax]\nline 3, column 1: how [cycle]"


def test_a_model_error_says_how_often_it_was_tried_and_what_is_kept():
    """If there is something to say."""
    error = ModelError("busy", request_id="7")
    assert str(error) == "busy (request 7)"
    error.attempts, error.kept, error.request_id = 3, "kept: a", ""
    assert str(error) == "busy (tried 3 times, kept: a)"
    assert str(ModelError("busy")) == "busy"
