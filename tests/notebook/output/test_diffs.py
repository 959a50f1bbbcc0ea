"""A comparison as a page: its parts, what it marks, and what is kept out of it."""

from __future__ import annotations

import re
from html import unescape

import pytest
from nbval.plugin import get_sanitize_patterns

from compiler_nb.__main__ import FILES
from compiler_nb.notebook.output.diffs import marked_texts
from tests.support.differing import BASE, run_plan, two_runs
from tests.support.pictures import HOSTILE


@pytest.fixture(scope="module")
def page():
    """Give the page of two runs that differ in all that it tells of."""
    base, terse = two_runs()
    return base.diff(terse, ("base", "terse"))._repr_html_()


def words_of(html: str) -> str:
    """Return the words of a page, without its pictures."""
    html = re.sub(r"<(style|svg)\b.*?</\1>", "", html, flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", " ", html))


def test_the_page_begins_with_what_differs(page):
    """Question, headline, what was asked differently; then the pictures, the tasks, the answers and the figures."""
    words = " ".join(words_of(page).split())
    assert words.startswith("Which name is longest? base → terse: tasks: 3 changed, 1 added, 1 dropped")
    parts = [
        "asked differently",
        "task line value",
        "~ la city:",
        "answers base",
        "items of fan-outs 2 3",
        "the same: tasks 6, rounds 1",
        "when what ran",
    ]
    places = [words.index(part) for part in parts]
    assert places == sorted(places)
    assert page.count("<svg") == 2
    assert 'data-diff="changed"' in page


def test_words_that_differ_are_marked_in_answers(page):
    """Side by side, with marks that are no colours alone."""
    assert "<del>Los</del>" in page
    assert "<ins>San</ins>" in page
    assert marked_texts("a b c", "a x c") == ["<p>a <del>b</del> c</p>", "<p>a <ins>x</ins> c</p>"]
    long = marked_texts("same\n" + "old " * 9_000, "same\n" + "new " * 9_000)
    assert long[0].startswith("<p>same<br><del>old old")


def test_answers_that_are_no_texts_stand_side_by_side():
    """As tables and numbers, with the places that differ."""
    one, other = (run_plan(f"answer({{'a': 1, 'b': {number}}})") for number in (2, 3))
    page = one.diff(other)._repr_html_()
    assert page.count("<td>a</td>") == 2
    assert "2 → 3" in words_of(page)


def test_two_executions_show_the_same_page_but_for_times():
    """What nbval leaves out is all that differs."""
    patterns = get_sanitize_patterns(FILES["nbval"].read_text(encoding="utf-8"))
    pages = []
    for _ in range(2):
        base, terse = two_runs()
        page = base.diff(terse)._repr_html_()
        for pattern, out in patterns:
            page = re.sub(pattern, out, page)
        pages.append(page)
    assert pages[0] == pages[1]


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_are_data(text):
    """Questions, names, answers and values: nothing in them acts."""
    one = run_plan(BASE, question=text or "x", joiner=f"x {text}"[:2_000])
    page = one.diff(run_plan(BASE, joiner=text[:2_000] or "x"), (text, "B"))._repr_html_()
    rest = re.sub(r"<(style|svg)\b.*?</\1>|data:image/svg[^\"]*", "", page, flags=re.DOTALL)
    assert not re.search(r"<(script|img src=x|form|button|a )", rest)
