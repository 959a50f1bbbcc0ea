"""Values that stayed on a cluster are found wherever they stand, and replaced by what they stand for."""

from __future__ import annotations

import pickle

import pytest

from compiler_nb.outcome import Failure, Remote
from compiler_nb.text import shorten_value
from compiler_nb.values.code import decode, encode
from compiler_nb.values.forms import NotStored
from compiler_nb.values.remotes import remotes_in, with_values

ONE, TWO = Remote("[1, 2, … 98 more]", 800, None), Remote("a table", 10, None)


@pytest.mark.parametrize(
    ("value", "home"),
    [
        (ONE, 1),
        ([0, ONE, [TWO]], [0, 1, [2]]),
        ({"a": TWO, "b": 5}, {"a": 2, "b": 5}),
        ((ONE,), (1,)),
        (Failure("items", "x", partial=[ONE, 3]), Failure("items", "x", partial=[1, 3])),
    ],
)
def test_what_stayed_is_replaced_by_the_value(value, home):
    """In plain containers, and in what is left of a fan-out that failed."""
    assert with_values(value, {ONE: 1, TWO: 2}) == home
    assert list(remotes_in(home)) == []


def test_what_holds_nothing_of_a_cluster_is_itself():
    """It is not made anew."""
    value = {"a": [1, 2]}
    assert with_values(value, {ONE: 1}) is value


def test_it_is_shown_in_words_and_neither_pickled_nor_stored():
    """A user reads what it is and where; a history says that it is not there."""
    assert shorten_value([ONE]) == "[[1, 2, … 98 more], on the cluster]"
    with pytest.raises(TypeError, match="bring it home"):
        pickle.dumps(ONE)
    coded = encode(ONE)
    assert decode(coded.text) == NotStored("[1, 2, … 98 more]", "it stayed on the cluster")
