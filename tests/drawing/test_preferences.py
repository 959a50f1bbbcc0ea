from __future__ import annotations

import re

import pytest

from compiler_nb.drawing.dot import render
from compiler_nb.drawing.preferences import PREFERENCES
from compiler_nb.drawing.svg import draw
from tests.support.pictures import coasts


def size_of(svg: str) -> tuple[float, float]:
    """Return width and height of a picture as a page shows it."""
    found = re.search(r'width="(\S+)" height="(\S+)" viewBox', svg)
    return float(found[1]), float(found[2])


def test_pictures_are_larger_in_a_large_room():
    """As large as wanted, with the same places inside."""
    usual = draw(coasts(), engine="own").svg
    PREFERENCES.scale = 1.5
    large = draw(coasts(), engine="own").svg
    assert size_of(large) == tuple(1.5 * each for each in size_of(usual))
    assert large[large.index("viewBox") :] == usual[usual.index("viewBox") :]


@pytest.mark.skipif(render("digraph {}", format="plain") is None, reason="no Graphviz here")
def test_what_lays_pictures_out_is_one_choice_for_all():
    """Whoever asks for none gets it; whoever names one gets that."""
    assert draw(coasts()).engine == "graphviz"
    PREFERENCES.layout = "own"
    assert (draw(coasts()).engine, draw(coasts(), engine="graphviz").engine) == ("own", "graphviz")
