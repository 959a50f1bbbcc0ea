"""Why a reply is not whole: in words that say at which limit, and how to allow more."""

from __future__ import annotations

import pytest

from compiler_nb.models.base import Request
from compiler_nb.models.endings import describe_limit, stop_of
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.outcome import Usage


def model_with(**parameters):
    """Return a model that is asked with these parameters."""
    return OpenAIModel("m", base_url="http://127.0.0.1:9/v1", **parameters)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_a_limit_is_named_as_the_user_set_it(name):
    """With its number, if it was this limit that ended the reply."""
    model = model_with(**{name: 50})
    assert describe_limit(model, Usage(1, 9, 50)) == ("the reply's limit of 50 tokens", f"raise {name}")
    assert describe_limit(model, Usage(1, 9, 7, reported=False))[1] == f"raise {name}"  # nobody counted
    limit, fix = describe_limit(model, Usage(1, 9_000, 30))  # the context came to its end before
    assert limit == "the model's limit, after 30 tokens"
    assert fix == f"set {name} higher, or use a model with a longer context"


@pytest.mark.parametrize(
    ("role", "text", "thought", "told"),
    [
        ("planner", "a = f(1", 0, "the planner's reply is cut off at the reply's limit of 50 tokens; ask for less, or"),
        ("replan", "a = f(1", 40, "the planner's reply is cut off at"),
        ("repair", "", 50, "the planner reached the reply's limit of 50 tokens, while it was thinking, and wrote"),
        ("worker", "<think>so", 0, "the worker reached the reply's limit of 50 tokens, while it was thinking, and"),
        ("worker", "<think>so</think> 4", 0, "the worker's reply is cut off at the reply's limit of 50 tokens; ask"),
    ],
)
def test_each_role_is_told_what_to_do(role, text, thought, told):
    """A model that has spent its limit on thinking needs another fix than one that writes too much."""
    error = stop_of(model_with(max_tokens=50), Request(role, ()), "length", text, Usage(1, 9, 50, 0, True, thought))
    assert str(error).startswith(f"openai:m: {told}")
    assert "raise max_tokens" in str(error)
