"""Answers are shown as inert HTML and as plain text."""

from __future__ import annotations

from html.parser import HTMLParser

import pandas as pd
import pytest

from compiler_nb.notebook.output.answer import LIMIT, PICTURE, markdown, to_html, to_text
from compiler_nb.text import TIMES

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


def test_links_and_images_stay_text():
    """They are shown as they are written."""
    assert tags(to_html("[a](http://x.y) ![b](c.png)")).words == "[a](http://x.y) ![b](c.png)"


def test_dollars_are_no_formulas():
    """A page that typesets `$…$` finds no pair of them in one text."""
    assert to_html("$5 and $6") == "<p><span>$</span>5 and <span>$</span>6</p>"


def test_values_have_tables_and_text():
    """A dict and rows are tables, a frame too; other values are one safe line."""
    assert "<td>coast</td><td>NY</td>" in to_html({"coast": "NY"})
    assert "<th>a</th><th>b</th>" in to_html([{"a": 1}, {"b": 2}])
    frame = to_html(pd.DataFrame({"a": range(30)}))
    assert frame.count("<tr>") == 21
    assert f"30 rows {TIMES} 1 columns" in frame
    assert "<td>7</td>" in to_html(pd.Series([7]))
    assert to_html(3.5) == "<p><code>3.5</code></p>"
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
