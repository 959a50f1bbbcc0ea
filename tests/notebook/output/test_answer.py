"""Answers are shown as inert HTML and as plain text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, NamedTuple

import pandas as pd
import pytest

from compiler_nb.notebook.output.answer import LIMIT, markdown, to_html, to_text
from compiler_nb.notebook.output.parts import MOST, close_figures
from compiler_nb.notebook.output.values import NUMBER, PICTURE, rounded
from compiler_nb.text import TIMES

COVERS = ("formulas.py", "parts.py", "values.py")
ALLOWED = {"p", "br", "b", "i", "code", "pre", "ul", "ol", "li", "span", "table", "thead", "tbody", "tr", "th", "td",
           "small", "img"}  # fmt: skip
HOSTILE = [
    "<script>alert(1)</script>",
    "[a](javascript:alert(1)) ![b](http://x.y/z.png) <http://x.y>",
    "**<img src=x onerror=alert(1)>** *<b>* `<i>`",
    "# <svg onload=alert(1)>\n- <a href=x>\n1. <iframe>\n```\n</pre><script>\n```",
    '<div data-commandlinker-command="x">$\\href{javascript:alert(1)}{x}$',
    "```\nnever closed <script>",
    "a\x00b\x1b[31m\u202e\u200b",
]


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []
        self.words = ""

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data


def tags(html: str) -> Tags:
    """Return what a page would make of some HTML."""
    parser = Tags()
    parser.feed(html)
    parser.close()
    return parser


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_an_answer_acts(text):
    """Only our own tags without attributes (a list's first number apart) come out, whatever the text holds."""
    for value in (text, {text: text}, [{text: text}], [text], pd.DataFrame({text: [text]}, index=[text])):
        for tag, attributes in tags(to_html(value)).found:
            assert tag in ALLOWED - {"img"}
            assert set(attributes) <= {"start"}


def test_markdown_is_read():
    """Paragraphs, headings, lists, bold, italics and code."""
    text = "# Top\nThe **best** is *it*, `x*y`:\nnext\n\n- a\n- b\n3. c\n\n```py\nif a < b:\n    c\n```\nend"
    assert markdown(text) == (
        "<p><b>Top</b></p><p>The <b>best</b> is <i>it</i>, <code>x*y</code>:<br>next</p><ul><li>a</li><li>b</li>"
        "<li>c</li></ul><pre>if a &lt; b:<br>    c</pre><p>end</p>"
    )
    assert markdown("2. a\n3. b") == '<ol start="2"><li>a</li><li>b</li></ol>'
    assert markdown("2 * 3 * 4 ** 5 snake_case") == "<p>2 * 3 * 4 ** 5 snake_case</p>"
    assert markdown("") == ""


def test_tables_in_markdown_are_tables():
    """With or without bars at the ends, a cell with a bar in it, and rows that are too short or too long."""
    text = "Here:\n| film | *gross* |\n|---|--:|\n| a\\|b | **one** |\n| c |\nthen"
    assert markdown(text) == (
        "<p>Here:</p><table><thead><tr><th>film</th><th><i>gross</i></th></tr></thead><tbody>"
        "<tr><td>a|b</td><td><b>one</b></td></tr><tr><td>c</td><td></td></tr></tbody></table><p>then</p>"
    )
    assert "<table>" in markdown("a | b\n--- | ---\n1 | 2 | 3")
    assert markdown("a | b is no table") == "<p>a | b is no table</p>"
    assert "<table>" not in markdown("Title\n---\na | b")


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("so $x^2 + y_1$.", "$x^2 + y_1$"),
        (r"so \(\frac{a}{b}\) and", r"$\frac{a}{b}$"),
        ("$$\ny = x < 1\n$$", "$$y = x &lt; 1$$"),
        (r"\[\sum_{i=1}^n i\]", r"$$\sum_{i=1}^n i$$"),
        (r"so $$ \int_0^1 x = 1 $$, which", r"$$\int_0^1 x = 1$$"),
        (r"so \\(\\frac{a}{b}\\) and", r"$\frac{a}{b}$"),
        (r"\\[y^2\\]", "$$y^2$$"),
    ],
)
def test_formulas_are_left_to_the_pages_own_renderer(text, tex):
    """They are marked for it, and are escaped like all else."""
    assert f'<span class="mathjax_process tex2jax_process">{tex}</span>' in markdown(text)


@pytest.mark.parametrize(
    "text",
    [
        "$5 to $6", "$5, or 6$", "US$ and AU$", "a $ b $ c", "`$x^2$`", r"$\href{javascript:alert(1)}{x^2}$",
        r"$\require{html}x^2$", r"\(\style{background:url(x)}{x}\)", r"$$\def\a{x}\a^2$$", r"$\bbox[red]{x^2}$",
        r"\\(\\href{x}{y^2}\\)", "from $$ to $$", r"so $$\href{x}{y^2}$$ is",
        r"$\begin{foo}x^2\end{foo}$", "$x%^2$", "$x^2\u202e$", f"${'x^' * 600}$",
    ],
)  # fmt: skip
def test_money_and_commands_that_act_are_no_formulas(text):
    """Only TeX whose every command is known to do no more than to draw is left to the page."""
    assert "mathjax_process" not in to_html(text)


def test_a_frame_is_shown_as_pandas_prints_it():
    """Each column's numbers with the digits that pandas gives them, missing values, and its first and last rows."""
    frame = pd.DataFrame({"x": [1 / 3, 2e-7, float("nan")], "n": [1, 2, 3], "s": ["a", None, "<b>"]}, index=list("abc"))
    html = to_html(frame).replace(NUMBER, "")
    for line in frame.to_string(header=False).split("\n"):
        index, x, n, s = line.split()
        assert (
            f"<tr><td>{index}</td><td>{x}</td><td>{n}</td><td>{s.replace('<', '&lt;').replace('>', '&gt;')}</td></tr>"
            in html
        )
    long = tags(to_html(pd.DataFrame({"n": range(100)}))).words
    assert "…" in long
    assert "99" in long


def test_numbers_are_rounded_for_reading_and_whole_when_pointed_at():
    """Also in a table's cells and in containers; the digits before the point all stay."""
    assert to_html(0.1 + 0.2) == '<p><code><span title="0.30000000000000004">0.3</span></code></p>'
    assert '<span title="1234567.891">1234567.9</span>' in to_html({"n": 1234567.891})
    assert '<span title="[0.3333333333333333, 2]">[0.333333, 2]</span>' in to_html([1 / 3, 2])
    assert to_html(2.5) == "<p><code>2.5</code></p>"
    assert [rounded(each) for each in (1e300, float("inf"), 0.0, -1 / 3)] == [1e300, float("inf"), 0.0, -0.333333]
    assert to_text(0.1 + 0.2) == "0.30000000000000004"


def test_pictures_in_lists_and_dicts_are_shown():
    """Each in its place, once; other items stay lines."""
    png = Own(b"\x89PNG...")
    assert to_html([png, 7, png]).count("<img") == 2
    assert "<div>7</div>" in to_html([png, 7])
    assert "<td>h</td><td><img" in to_html({"h": png, "n": "one"})
    assert to_html([Own(None)]) == "<p><code>[&lt;Own&gt;]</code></p>"


class Pair(NamedTuple):
    name: str
    table: Any


@dataclass
class Report:
    title: str
    parts: list[Any]


FRAME = pd.DataFrame({"city": ["Oslo", "Rome"], "max": [4.5, 21.0]})
OSLO = '<td>Oslo</td><td class="cnb-number">4.5</td>'


@pytest.mark.parametrize(
    "value",
    [
        {"best": "Rome", "table": FRAME}, [FRAME, "and"], ("two", FRAME), Pair("x", FRAME), Report("x", [FRAME]),
        {"a": {"b": [FRAME]}}, [{"name": "x", "table": FRAME}], {"series": FRAME.set_index("city")["max"]},
    ],
    ids=["dict", "list", "tuple", "NamedTuple", "dataclass", "three deep", "rows", "series"],
)  # fmt: skip
def test_a_table_in_a_container_is_a_table(value):
    """Wherever it is: in dicts, lists, tuples, dataclasses, some levels down, and once."""
    html = to_html(value)
    assert html.count(OSLO) == 1
    assert "DataFrame" not in html
    assert not {tag for tag, _ in tags(html).found} - ALLOWED - {"div"}


def test_tables_in_containers_are_bounded():
    """Their first and last rows, a number of them in all, and so many levels; what is left is words."""
    long = to_html({"long": pd.DataFrame({"n": range(100)})})
    assert "100 rows" in long
    assert long.count("<tr>") == 13  # the dict's, heads, the first five, an ellipsis, and the last five
    many = to_html([[FRAME] * 15, [FRAME] * 15])
    assert (many.count(OSLO), many.count("DataFrame 2")) == (MOST, 30 - MOST)
    deep: Any = FRAME
    for _ in range(6):
        deep = [deep]
    assert OSLO not in to_html(deep)
    around: list[Any] = [FRAME]
    around.append(around)
    assert to_html(around).count(OSLO) <= MOST
    plain = to_html({"plain": {"a": [1, 2]}})
    assert tags(plain).words == 'plain{"a": [1, 2]}'
    assert plain.count("<td>") == 2


def test_a_figure_two_containers_deep_is_a_picture_and_is_shown_once():
    """Also if a tool returns it with its axes, as matplotlib's users do; pyplot does not show it again."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    figure, axes = pyplot.subplots()
    for value in ({"plots": [figure]}, [Report("x", [figure])], (figure, axes), {"n": {"a": {"b": axes}}}):
        assert to_html(value).count("<img") == 1, value
        assert "&lt;Axes" not in to_html(value)
    close_figures({"plots": [{"of": figure}]})
    assert pyplot.get_fignums() == []


def test_a_figure_that_was_shown_is_not_shown_again_by_pyplot():
    """Those in the answer are closed; others stay open."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    one, two, other = pyplot.figure(), pyplot.figure(), pyplot.figure()
    assert to_html({"a": one, "b": two}).count("<img") == 2
    close_figures({"a": one, "b": two})
    assert pyplot.get_fignums() == [other.number]
    pyplot.close(other)


def test_columns_of_numbers_are_marked_so_that_they_end_alike():
    """Numbers with missing ones among them, as in a frame; a column that holds words, too, is none."""
    rows = [{"city": "Oslo", "n": 1.5, "mixed": 1}, {"city": "Bergen", "n": -20, "mixed": "?"}, {"city": "Rome"}]
    page = to_html(rows)
    assert page.startswith('<table><thead><tr><th>city</th><th class="cnb-number">n</th><th>mixed</th></tr>')
    assert re.findall(r'<td class="cnb-number">(.*?)</td>', page) == ["1.5", "-20", ""]


def test_links_and_images_stay_text():
    """They are shown as they are written."""
    assert tags(to_html("[a](http://x.y) ![b](c.png)")).words == "[a](http://x.y) ![b](c.png)"


def test_dollars_are_no_formulas():
    """A page that typesets `$…$` finds no pair of them in one text."""
    assert to_html("$5 and $6") == "<p><span>$</span>5 and <span>$</span>6</p>"


def test_values_have_tables_and_text():
    """A dict and rows are tables, a frame too; other values are one safe line."""
    assert "<td>coast</td><td>NY</td>" in to_html({"coast": "NY"})
    assert "<th>a</th><th>b</th>" in to_html([{"a": "x"}, {"b": "y"}])
    frame = to_html(pd.DataFrame({"a": range(30)}))
    assert frame.count("<tr>") == 22  # heads, the first ten, an ellipsis, and the last ten
    assert f"30 rows {TIMES} 1 columns" in frame
    assert '<td class="cnb-number">7</td>' in to_html(pd.Series([7]))
    assert to_html(3.5) == "<p><code>3.5</code></p>"
    assert to_html({"a": {1}}) == "<table><tbody><tr><td>a</td><td>{1}</td></tr></tbody></table>"
    assert to_text({"coast": "NY", "n": 2}) == "coast: NY\nn: 2"
    assert to_text(3.5) == "3.5"
    assert to_text("a\nb\x1b") == "a\nb\\x1b"
    assert to_text(dict.fromkeys(range(30))).endswith("… 10 more")


class Own:
    def __init__(self, data):
        self.data = data

    def _repr_png_(self):
        if self.data is None:
            raise RuntimeError("cannot draw")
        return self.data

    def _repr_html_(self):
        return "<script>"

    def __repr__(self):
        raise AssertionError("foreign code")


def test_only_a_values_own_png_is_shown():
    """Its picture is, if it has one that is not too large; its HTML and repr never are."""
    assert to_html(Own(b"\x89PNG...")).startswith('<img alt="Own" src="data:image/png;base64,')
    assert to_html(Own("iVBORw0KGgo=")).startswith("<img")
    for wrong in (None, b"<svg>", 7, b"\x89PNG" + b"x" * PICTURE):
        assert to_html(Own(wrong)) == "<p><code>&lt;Own&gt;</code></p>"
    assert to_text(Own(None)) == "<Own>"


def test_a_long_answer_is_counted():
    """What is over the limit is told, not shown."""
    assert f"({LIMIT + 5:,} characters)" in to_text("x" * (LIMIT + 5))
    assert len(to_html("x" * 10 * LIMIT)) < 2 * LIMIT
