"""`plot` draws what it is given, says what it leaves out, and names what is wrong."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import itertools
import sys
import threading

import numpy as np
import pandas as pd
import pytest

from compiler_nb.errors import ToolError, ToolUnavailable
from compiler_nb.toolbox import plot
from compiler_nb.toolbox.plot_tool import KINDS

COVERS = ("plot_axes.py", "plot_chart.py", "plot_data.py", "plot_kinds.py")

DAYS = pd.date_range("2026-01-01", periods=12)
ROWS = pd.DataFrame({
    "day": DAYS, "price": [3.0, 4, 5, None, 7, 8, 7, 6, 5, 4, 3, 2], "volume": range(10_000, 22_000, 1_000),
    "city": ["Rome", "Oslo"] * 6,
})  # fmt: skip


def png(figure) -> bytes:
    """Return the picture of a figure."""
    page = io.BytesIO()
    figure.savefig(page, format="png", bbox_inches="tight")
    return page.getvalue()


def texts(figure) -> list[str]:
    """Return the texts that are drawn, as they can be read."""
    from matplotlib.text import Text

    return [text.get_text().replace(r"\$", "$") for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_analyst_draws_a_table_in_each_kind(kind):
    """One column, all columns, groups; there is a picture, and words for it."""
    for figure in (
        plot(ROWS, "day", "price", kind=kind), plot(ROWS[["price", "volume"]], kind=kind),
        plot(ROWS, "day", "price", kind=kind, by="city") if kind != "box" else plot(ROWS, "city", "price", kind=kind),
    ):  # fmt: skip
        assert png(figure).startswith(b"\x89PNG")
        assert "price" in figure.get_label()
        assert "1 of 12 values missing" in figure.get_label()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "drawn"),
    [
        (pd.Series([1, 2, 4], name="n"), [[0, 1], [1, 2], [2, 4]]),
        (pd.Series([1, 2], index=["a", "b"]), [[0, 1], [1, 2]]),
        ({"a": 1, "b": 2}, [[0, 1], [1, 2]]),
        ({"x": [3, 1, 2]}, [[0, 3], [1, 1], [2, 2]]),
        ([(2, 5), (1, 4)], [[1, 4], [2, 5]]),
        ([{"n": 1}, {"n": None}, {"n": 3}], [[0, 1], [1, None], [2, 3]]),
        ({"Rome": {"max": 1}, "Oslo": {"max": 2}}, [[0, 1], [1, 2]]),
        ([1, decimal.Decimal("2.5"), True], [[0, 1], [1, 2.5], [2, 1]]),
        (range(3), [[0, 0], [1, 1], [2, 2]]),
        (np.array([1.5, np.inf, -1]), [[0, 1.5], [1, None], [2, -1]]),
        (pd.array([1, None, 3], dtype="Int64").to_numpy(float, na_value=np.nan), [[0, 1], [1, None], [2, 3]]),
        (pd.Series([1, None], dtype="Int64"), [[0, 1], [1, None]]),
        (pd.Series(pd.to_timedelta(["1s", None])), [[0, 1], [1, None]]),
        ([dt.timedelta(minutes=1), None], [[0, 60], [1, None]]),
    ],
)
def test_data_of_many_kinds_becomes_points(data, drawn):
    """Tables, Series, dicts, lists, arrays; what is missing or infinite is a gap."""
    (line,) = plot(data).axes[0].lines
    points = [[float(x), None if np.isnan(y) else float(y)] for x, y in line.get_xydata().tolist()]
    assert points == drawn


@pytest.mark.slow
@pytest.mark.parametrize(
    "times",
    [
        list(DAYS), DAYS, [day.date() for day in DAYS], DAYS.tz_localize("Europe/Rome"), DAYS.to_period("D"),
        DAYS.to_numpy(), [*DAYS[:-1].to_pydatetime(), None], [*DAYS[:-1], pd.NaT],
    ],
    ids=["stamps", "index", "dates", "zone", "periods", "numpy", "none", "NaT"],
)  # fmt: skip
def test_times_are_drawn_as_times(times):
    """Of each type; a row without one is left out."""
    figure = plot({"t": times, "n": [*range(12)]}, "t", "n")
    (line,) = figure.axes[0].lines
    assert line.get_xdata().dtype.kind == "M"
    assert str(line.get_xdata()[0])[:10] == "2026-01-01"
    assert any("2026" in text for text in texts(figure))


def test_what_a_groupby_gives_is_drawn_by_its_levels():
    """One level names the rows, of two x and by are named; names of several levels are one text."""
    one = ROWS.groupby("city")["price"].mean()
    assert {"Rome", "Oslo", "city"} <= set(texts(plot(one, kind="bar")))
    assert plot(one, "city", "price", kind="bar").get_label() == "bar chart of price by city, 2 rows"
    two = ROWS.assign(half=ROWS["day"].dt.day // 7).groupby(["half", "city"])["price"].mean()
    with pytest.raises(ToolError, match=r"several levels \(half, city\).*x='city', by='half'"):
        plot(two)
    assert {"Rome", "Oslo", "half"} <= set(texts(plot(two, "half", kind="bar", by="city")))
    several = ROWS.groupby("city").agg({"price": ["mean", "max"]})
    assert {"price mean", "price max"} <= set(texts(plot(several, kind="bar")))
    assert "price max" in plot(several, y=("price", "max"), kind="bar").get_label()
    with pytest.raises(ToolError, match="aggregate them"):
        plot(ROWS.groupby("city"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((ROWS, "day", "prise"), "there is no column 'prise' for y. Did you mean 'price'? The columns are: day, price"),
        ((ROWS, "dya"), "for x. Did you mean 'day'?"),
        ((ROWS, ROWS["day"], ROWS["price"]), "x must be the name of a column, not a Series: put the values into data"),
        ((ROWS, "day", [[1, 2]]), "y must be the name of a column, not a list"),
        ((ROWS, "day", "city"), "y 'city' holds text, not numbers"),
        ((ROWS, "price", "day"), "y 'day' holds times, not numbers"),
        ((ROWS, "day", []), "y is an empty list"),
        ((["a", "b"],), "no column holds numbers: name y; the columns are value"),
        (({"a": [1, 2], "b": [1]},), "the columns have different lengths (a: 2, b: 1)"),
        (({"a": [1, 2], "b": 3},), "some values of the dict are columns and some are not"),
        (([(1, 2), (1,)],), "the rows have different lengths"),
        (([{"a": 1}, 2],), "some rows are dicts and some are not"),
        ((pd.DataFrame([[1, 2]], columns=["a", "a"]),), "two columns are called 'a': rename one"),
        ((np.zeros((2, 2, 2)),), "an array of 3 dimensions"),
        (([],), "there is nothing to draw: data has no rows"),
        ((ROWS.head(0),), "there is nothing to draw: data has no rows"),
        ((pd.DataFrame({"n": [None, np.nan]}),), "'n' holds no numbers: all 2 values are missing"),
        ((7,), "data must be a DataFrame, a Series, an array"),
        (("price",), "data must be a DataFrame"),
        ((ROWS, "day", "price", "lines"), "there is no kind 'lines'. Did you mean 'line'?"),
        ((ROWS, "city", "price", "bar", "city"), "several rows have the same x and by"),
        (({"y": [1 + 2j, 3j]}, None, "y"), "y 'y' holds values of the type complex, not numbers"),
        ((pd.DataFrame({"y": [1 + 2j, 3j]}), None, "y"), "y 'y' holds values of the type complex, not numbers"),
        ((pd.DataFrame({"y": [None, [1]]}), None, "y"), "y 'y' holds values of the type list, not numbers"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_named_with_the_fix(given, said):
    """Wrong names, kinds, lengths and types."""
    with pytest.raises(ToolError) as caught:
        plot(*given[:4], **({"by": given[4]} if given[4:] else {}))
    assert said in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["US$ and EU$", "$x^2$", r"\$", "$\\frac{$", "a_b^c%&#", "{}", "<b>", "-", "東京", "😀", "a\nb\x1b"]
)
def test_names_are_drawn_as_they_are(name):
    """No name is a formula, and a broken one does not raise: as a column, a group, a category or a title."""
    figure = plot({name: [1, 2], "k": [name, "other"]}, "k", name, kind="bar", title=name)
    assert png(figure)
    if name.isascii() and name.isprintable():
        assert texts(figure).count(name) >= 3
    assert png(plot({"n": [1, 2, 3], "k": [name, "b", "b"]}, y="n", by="k"))
    assert png(plot({name: 1.0, "b": 2.0}, kind="barh"))


def test_a_long_line_keeps_its_peaks_and_says_so():
    """Two points stand for a piece, the least and the greatest; the rows are counted below the chart."""
    values = np.sin(np.arange(100_000) / 5_000)
    values[77_777] = 9.0
    figure = plot(pd.Series(values))
    (line,) = figure.axes[0].lines
    assert len(line.get_xdata()) <= 4_000
    assert line.get_ydata().max() == 9.0
    assert "100,000 rows are drawn as 4,000 points: the least and the greatest of every 50" in figure.get_label()
    assert any("100,000 rows are drawn" in text for text in texts(figure))


@pytest.mark.slow
def test_what_is_too_much_is_left_out_and_said():
    """Dots, bars, groups, columns, texts of a histogram, outliers."""
    many = pd.DataFrame({"n": np.arange(50_000.0), "k": np.arange(50_000) % 100})
    assert "every 3rd point of 50,000 is drawn" in plot(many, "k", "n", kind="scatter").get_label()
    assert "the first 400 of 50,000 bars" in plot(many, kind="bar", y="n").get_label()
    assert "the first 12 of 100 groups" in plot(many, y="n", by="k", kind="line").get_label()
    wide = pd.DataFrame(np.ones((3, 20)))
    assert "the first 12 of 20 columns" in plot(wide).get_label()
    assert "the 60 most frequent of 100 texts" in plot(many["k"].astype(str), kind="hist").get_label()
    heavy = np.random.default_rng(1).standard_cauchy(50_000)
    assert "of the outliers are not drawn" in plot(heavy, kind="box").get_label()


def test_a_line_with_several_values_at_one_place_says_so():
    """The rows are to be told apart by a column."""
    assert "several rows have the same x" in plot({"x": [1, 1, 2], "y": [1, 2, 3]}, "x", "y").get_label()
    assert "several rows" not in plot({"x": [3, 1, 2], "y": [1, 2, 3]}, "x", "y").get_label()


@pytest.mark.slow
def test_extreme_numbers_do_not_break_a_chart():
    """The largest floats, integers that no float holds, a single value, all values equal."""
    for values in ([1e300, -1e300], [10**400, 1], [5], [0, 0, 0], [1e-320, 2e-320], [1e15, 1e15 + 1]):
        for kind in KINDS:
            try:
                figure = plot(values, kind=kind)
            except ToolError as error:
                said = str(error)
            else:
                said = "drawn" if png(figure) else ""
            assert said == "drawn" or "matplotlib cannot draw this" in said


@pytest.mark.slow
def test_charts_are_drawn_on_many_threads_without_pyplot():
    """Each figure is its own; nothing registers with pyplot, and its style does not reach ours."""
    made: list[bytes] = []
    threads = [threading.Thread(target=lambda n=n: made.append(png(plot([n, 2, 1], title=f"t{n}")))) for n in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(set(made)) == 6
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    """The name of the extra."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ToolUnavailable, match=r'plot needs matplotlib: pip install "compiler_nb\[plot\]"'):
        plot([1, 2])


def test_an_area_of_single_points_shows_them():
    """A point between missing values spans no area, and is a dot, as in a line."""
    for data in ({"a": 3}, {"x": [1, None, 3, None, 5]}):
        lines = plot(data, kind="area").axes[0].lines
        assert [line.get_marker() for line in lines] == ["o"]


@pytest.mark.slow
def test_many_numbers_along_an_axis_do_not_touch():
    """The names that are written have room: the first are shorter than those that follow."""
    figure = plot(pd.DataFrame({"a": range(800)}), kind="bar")
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].get_xticklabels() if text.get_text()]
    assert len(boxes) > 8
    assert all(left.x1 + 2 < right.x0 for left, right in itertools.pairwise(boxes))


@pytest.mark.slow
def test_bars_of_many_columns_stay_wide_enough_to_be_seen():
    """All columns together have as many bars as one column may; what is left out is said."""
    figure = plot(pd.DataFrame({f"c{number}": range(800) for number in range(10)}), kind="bar")
    assert len(figure.axes[0].patches) == 400
    assert "the first 40 of 800 bars" in figure.get_label()
    apart = pd.DataFrame({"x": [*range(400)] * 2, "y": 1, "g": ["a"] * 400 + ["b"] * 400})
    assert "the first 200 of 400 bars" in plot(apart, "x", "y", by="g", kind="bar").get_label()
