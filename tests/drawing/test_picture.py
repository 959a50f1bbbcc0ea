from __future__ import annotations

import pytest

from compiler_nb.drawing.dot import render
from compiler_nb.drawing.picture import save
from compiler_nb.drawing.svg import draw
from compiler_nb.models.secret import Secret
from compiler_nb.plan.plan import Plan
from tests.support.pictures import coasts, expr, wide


def test_the_suffix_says_the_form(tmp_path):
    """Text or bytes, whatever its case."""
    forms = {".a": lambda: "text\n", ".b": lambda: b"\x00"}
    assert save(tmp_path / "x.A", forms).read_bytes() == b"text\n"
    assert save(str(tmp_path / "x.b"), forms).read_bytes() == b"\x00"


@pytest.mark.parametrize(("name", "told"), [("x.c", "ends in '.c'"), ("x", "has no suffix"), (".a", "has no suffix")])
def test_another_suffix_is_an_error_that_names_those_there_are(tmp_path, name, told):
    """Nothing is written."""
    with pytest.raises(ValueError, match=rf"'{name}' {told}: save it as .a or .b"):
        save(tmp_path / name, {".a": str, ".b": str})
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_made_is_an_error_with_the_mend(tmp_path):
    """A PNG takes Graphviz."""
    with pytest.raises(RuntimeError, match=r"it cannot be saved as .png here: .* save it as .svg"):
        save(tmp_path / "x.png", {".png": lambda: None, ".svg": str})


def test_a_folder_that_is_not_there_is_named(tmp_path):
    """Before the picture is made."""
    with pytest.raises(
        FileNotFoundError, match=r"'x.svg' cannot be saved: there is no folder '.*nowhere'; make it first"
    ):
        save(tmp_path / "nowhere" / "x.svg", {".svg": list})


def test_a_picture_is_saved_as_svg_dot_text_and_png(tmp_path):
    """With its states; a PNG of more tasks than fit into one is refused."""
    picture = draw(coasts(), states={"ny": "done"}, engine="own")
    assert picture.save(tmp_path / "a.svg").read_text(encoding="utf-8") == picture.svg
    assert picture.save(tmp_path / "a.txt").read_text(encoding="utf-8") == f"{picture}\n"
    assert 'class="cnb-task cnb-done"' in picture.save(tmp_path / "a.dot").read_text(encoding="utf-8")
    if render("digraph {}", format="plain") is not None:
        assert picture.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"save it as .svg, .png, .txt, .pdf or .dot"):
        picture.save(tmp_path / "a.jpg")
    with pytest.raises(RuntimeError, match="at most 200 tasks"):
        draw(wide(300), engine="own").save(tmp_path / "b.png")


def test_a_pictures_repr_is_short():
    """The SVG does not fill a plain terminal."""
    assert repr(draw(coasts(), engine="own")) == "<picture of 4 tasks>"
    assert repr(draw(Plan((expr("a", 1),)), engine="own")) == "<picture of 1 task>"


def test_a_masked_picture_has_no_form_that_would_show_the_key(tmp_path):
    """PNG and DOT are drawn from the tasks, so they go; a picture without a key is left as it is."""
    picture, key = draw(coasts(), states={"ny": "done"}, engine="own"), Secret("New York")
    masked = picture.masked([key])
    assert "New York" not in masked.svg + masked.text
    assert masked.png() is None
    with pytest.raises(RuntimeError, match="none of which shows a key"):
        masked.save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"save it as .svg, .png or .txt"):
        masked.save(tmp_path / "a.dot")
    assert picture.masked([Secret("sk-nowhere")]) is picture


def test_a_png_of_nothing_is_no_error():
    """Neither width nor height is divided by."""
    assert (draw([], engine="own").png() is None) == (render("digraph {}", format="png") is None)
