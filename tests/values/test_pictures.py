"""Of a figure its picture is stored and shown; it comes back as data that shows itself, never as code."""

from __future__ import annotations

import base64
import threading
from types import SimpleNamespace

import pytest
from matplotlib import rcParams
from matplotlib.figure import Figure

from compiler_nb.errors import HistoryError
from compiler_nb.outcome import NotStored, StoredFigure, unstored
from compiler_nb.values.code import content_hash, decode, encode
from compiler_nb.values.forms import PNG
from compiler_nb.values.pictures import LARGEST_SIDE, png_of


def figure(width=2.0):
    """Return a figure of matplotlib's, as a tool makes one."""
    made = Figure(figsize=(width, 1.5))
    made.subplots().plot([1, 3, 2])
    return made


class Image:
    """Draws itself, as images do."""

    def __init__(self, data):
        self.data = data

    def _repr_png_(self):
        return self.data


def back(value, **options):
    """Return what comes back of a value."""
    coded = encode(value, **options)
    return decode(coded.text, blob=coded.blobs.__getitem__)


def test_a_figure_comes_back_as_its_picture():
    """With its type's name; it shows itself, and is small in words."""
    made = figure()
    got = back(made)
    assert got == StoredFigure("Figure", png_of(made))
    assert got._repr_png_().startswith(PNG)
    assert repr(got) == "<stored picture of a Figure>"
    assert back(got) == got
    assert unstored(got) is got


def test_what_is_drawn_on_a_figure_is_stored_as_that_figure():
    """Axes, and images that draw themselves, also in base64 and with metadata."""
    made = figure()
    assert back(made.axes[0]).png == png_of(made)
    data = PNG + b"..."
    for drawn in (data, base64.b64encode(data).decode(), (data, {"width": 3})):
        assert back(Image(drawn)) == StoredFigure("Image", data)


@pytest.mark.parametrize("data", [None, b"<svg>", 7, "not base64!"])
def test_what_draws_something_else_is_not_stored(data):
    """Nor does it cost what stands beside it."""
    assert isinstance(back(Image(data)), NotStored)
    got = back({"image": Image(data), "n": 1})
    assert (type(got["image"]), got["n"]) == (NotStored, 1)


def test_a_large_figure_is_drawn_with_fewer_dots():
    """A metre of it, say."""
    width = int.from_bytes(png_of(figure(width=100.0))[16:20], "big")
    assert LARGEST_SIDE / 2 < width <= LARGEST_SIDE * 1.05


def test_a_drawn_figure_is_as_it_was():
    """Its size, its dots, and what is drawn on it."""
    made = figure()
    before = made.dpi, tuple(made.get_size_inches()), [axes.get_position().bounds for axes in made.axes]
    assert png_of(made) == png_of(made)
    assert (made.dpi, tuple(made.get_size_inches()), [axes.get_position().bounds for axes in made.axes]) == before
    assert made.dpi == rcParams["figure.dpi"]


@pytest.mark.slow
def test_only_one_thread_draws_at_a_time():
    """The history's thread and the page draw the same figure: neither breaks the other's picture."""
    made, found = figure(), []
    whole = png_of(made)
    threads = [threading.Thread(target=lambda: found.append(png_of(made))) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [whole] * 4


def test_a_figure_has_no_hash_and_is_drawn_only_if_that_is_wanted():
    """Two figures that look alike are not the same."""
    made = figure()
    assert content_hash(made) is None
    assert content_hash({"figure": made}) is None
    assert encode(made, drawing=False).stored is False


def test_a_forged_picture_is_refused():
    """What is not a PNG is not shown."""
    with pytest.raises(HistoryError, match="not a PNG"):
        decode(encode(StoredFigure("Figure", b"<svg onload=x>")).text, blob=lambda _: b"<svg onload=x>")
    assert png_of(SimpleNamespace(figure=1)) == b""
