"""The first difference between a request and the nearest recorded one."""

from __future__ import annotations

import pytest

from compiler_nb.models.base import Request
from compiler_nb.models.nearest import first_difference


def messages(*contents, roles=("system", "user", "assistant", "user")):
    """Return messages of these contents."""
    return tuple({"role": role, "content": each} for role, each in zip(roles, contents, strict=False))


def told(new, *old, role="worker"):
    """Return the difference of a worker's request to recorded ones."""
    return first_difference(Request(role, new), {"worker": old} if old else {})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (("r", "a\nb\nc"), ("r", "a\nX\nc"), 'message 2 (user) differs first in line 2: recorded "b", asked "X"'),
        (("r", "a"), ("R", "a"), 'message 1 (system) differs first in line 1: recorded "r", asked "R"'),
        (("r", "a\nb"), ("r", "a"), 'line 2: recorded "b", asked no such line'),
        (("r", "a"), ("r", "a\n"), 'line 2: recorded no such line, asked ""'),
        (("r", "a"), ("r", "a", "b"), 'there are 3 messages instead of 2: message 3 (assistant) is only asked: "b"'),
        (("r", "a"), ("r",), 'there are 1 message instead of 2: message 2 (user) is only recorded: "a"'),
        (("r", "a\tb"), ("r", "a b"), 'recorded "a\\tb", asked "a b"'),
    ],
)
def test_the_first_difference(old, new, said):
    """The message by its number and role, the line by its number, and both texts."""
    found = told(messages(*new), messages(*old))
    assert found == f"compared with the one recorded request of the worker, {said}" or found.endswith(said)


def test_long_lines_are_shown_where_they_differ():
    """Some of what stands before, and not too much after."""
    found = told(messages("x" * 500 + "ny" + "y" * 500), messages("x" * 500 + "la" + "y" * 500))
    assert 'recorded "…' + "x" * 20 + "la" in found
    assert len(found) < 300


def test_the_nearest_is_the_one_with_the_most_equal_lines():
    """However many others there are."""
    new = messages("rules\nof the game", "Question: b\nmore")
    old = [messages("other rules", "Question: a"), messages("rules\nof the game", "Question: a\nmore"), messages("x")]
    assert told(new, *old) == (
        "compared with the nearest of 3 recorded requests of the worker, message 2 (user) differs first in line 1: "
        'recorded "Question: a", asked "Question: b"'
    )


def test_another_role_is_named():
    """What the cassette holds instead."""
    assert told(messages("x"), messages("x"), role="joiner") == "it holds none of that role, only 1 of the worker"
    assert told(messages("x")) == "it holds no request at all"


def test_a_role_of_a_message_may_differ():
    """A server without a system role is sent one message less, or another."""
    old = messages("x", "y")
    assert told(messages("x", "y", roles=("user", "user")), old).endswith(
        "message 1 is of the role 'user', recorded was 'system'"
    )
