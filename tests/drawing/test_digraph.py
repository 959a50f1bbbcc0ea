from __future__ import annotations

import graphviz
import pytest

from compiler_nb.drawing import digraph
from compiler_nb.drawing.dot import source
from tests.support.pictures import coasts


class Bare(digraph.Digraph):
    """On a machine without the program dot."""

    def pipe(self, *_, **__):
        raise graphviz.ExecutableNotFound(["dot"])


def bare():
    """Return the coasts on such a machine."""
    made = digraph.make_digraph(coasts())
    made.__class__ = Bare
    return made


def test_it_is_graphvizs_own_object():
    """Whoever knows Graphviz goes on with it."""
    made = coasts().to_graphviz()
    assert isinstance(made, graphviz.Digraph)
    assert made.source == source(coasts())
    made.node("mine")
    assert "mine" in made.source


def test_it_shows_itself_without_graphviz():
    """By our own drawing, and as text."""
    data = bare()._repr_mimebundle_()
    assert 'data-task="ny"' in data["image/svg+xml"]
    assert data["text/plain"].startswith('ny    weather("New York")')
    with pytest.raises(graphviz.ExecutableNotFound):
        bare().copy()._repr_mimebundle_()


def test_it_is_saved_in_the_form_of_the_suffix(tmp_path, monkeypatch):
    """Without one, as Graphviz does; another one is an error that names those there are."""
    made = bare()
    assert 'data-task="ny"' in (tmp_path / made.save(tmp_path / "a.svg")).read_text(encoding="utf-8")
    for name in ("a.dot", "a.gv", "a"):
        assert (tmp_path / made.save(tmp_path / name)).read_text(encoding="utf-8").rstrip() == made.source.rstrip()
    assert made.save("b.txt", directory=tmp_path) == str(tmp_path / "b.txt")
    with pytest.raises(ValueError, match=r"'a.pdf' ends in '.pdf': save it as .svg, .png, .dot or .txt"):
        made.save(tmp_path / "a.pdf")
    monkeypatch.chdir(tmp_path)
    assert coasts().to_graphviz().save() == "plan.gv"
