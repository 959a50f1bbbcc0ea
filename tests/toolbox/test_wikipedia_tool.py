"""Wikipedia is asked over real HTTP, here of a wiki of our own."""

from __future__ import annotations

import time

import pytest

from compiler_nb.errors import ArgumentError, ToolError, ToolUnavailable
from compiler_nb.toolbox import make_wikipedia, wikipedia
from compiler_nb.toolbox.wikipedia_tool import USER_AGENT, first_sentences
from tests.support.mediawiki import PAGES, Handler, mediawiki


@pytest.fixture(scope="module")
def wiki():
    """The address of a wiki."""
    with mediawiki() as address:
        yield address


def asked(wiki, way="w", **options):
    """Return the tool for one of the wiki's ways to answer."""
    return make_wikipedia(f"{wiki}/{way}/api.php", timeout=20.0, **options)


def test_the_first_sentences_of_a_page(wiki):
    """As many as are wanted; numbers and initials do not end one."""
    assert asked(wiki, sentences=1)("Mount Everest") == "Mount Everest is Earth's highest mountain."
    three = asked(wiki, sentences=3)("Mount Everest")
    assert three.endswith(" It is 8,848.86 m high. It was first climbed by E. Hillary and T. Norgay on 29 May 1953.")
    assert asked(wiki, sentences=50)("  Mount   Everest ") == PAGES["Mount Everest"]


@pytest.mark.parametrize(
    ("text", "count", "first"),
    [
        ("The U.S. is big. So is Russia.", 1, "The U.S. is big."),
        ("It lies in St. Moritz. Yes.", 1, "It lies in St. Moritz."),
        ("See approx. here. Yes.", 1, "See approx. here."),
        ("Why? Because! Well.", 2, "Why? Because!"),
        ("富士山は山。高い。美しい。", 2, "富士山は山。高い。"),
        ("no end", 3, "no end"),
    ],
)
def test_where_sentences_end(text, count, first):
    """At marks before a capital letter, in other scripts at their own marks."""
    assert first_sentences(text, count) == first


def test_the_request_is_the_documented_one(wiki):
    """A query for the plain text of the introduction, with a name for ourselves."""
    asked(wiki)("Zürich")
    path, query, agent = Handler.seen[-1]
    assert path == "/w/api.php"
    assert query["titles"] == "Zürich"
    fixed = {"action": "query", "exintro": "1", "explaintext": "1", "redirects": "1", "format": "json"}
    assert fixed.items() <= query.items()
    assert agent == USER_AGENT
    asked(wiki, user_agent="me (me@example.org)")("Zürich")
    assert Handler.seen[-1][2] == "me (me@example.org)"


def test_redirects_of_titles_and_other_scripts(wiki):
    """A page is found by its other name, and by any letters."""
    assert asked(wiki, sentences=1)("Everest") == "Mount Everest is Earth's highest mountain."
    assert asked(wiki, sentences=1)("富士山") == "富士山は日本の山である。"


def test_similar_titles_where_there_is_no_page(wiki):
    """They are the result, so that a plan or a joiner can go on; titles that no page can have are searched for."""
    told = "'Everest mountain' is not the title of a page. Similar: ['Mount Everest']"
    assert asked(wiki)("Everest mountain") == told
    count = len(Handler.seen)
    assert "Similar: ['Mount Everest', 'Zürich']" in asked(wiki)("Everest|Zürich#x")
    assert [query.get("list") for _, query, _ in Handler.seen[count:]] == ["search"]


def test_a_title_with_several_meanings(wiki):
    """The list of meanings is better than "may refer to"."""
    told = "'Mercury' may mean several things. Similar: ['Mercury (planet)', 'Mercury (element)']"
    assert asked(wiki)("Mercury") == told


def test_nothing_alike_is_an_error(wiki):
    """With the title and what to do."""
    with pytest.raises(ToolError, match="no page like 'qqq': try another"):
        asked(wiki)("qqq")


@pytest.mark.parametrize("title", ["", "  ", "x" * 300])
def test_titles_that_cannot_be(wiki, title):
    """They are refused before anything is asked."""
    count = len(Handler.seen)
    with pytest.raises(ArgumentError, match="title"):
        asked(wiki)(title)
    assert len(Handler.seen) == count


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ("busy", "503"),
        ("html", "JSON"),
        ("list", "JSON"),
        ("away", "redirects to another host, localhost"),
        ("file", "not allowed"),
        ("loop", "infinite loop"),
        ("cut", "cut off"),
    ],
)
def test_a_wiki_that_fails_is_unavailable(wiki, way, why):
    """The error names the host, the reason and the fix."""
    with pytest.raises(ToolUnavailable, match=rf"127\.0\.0\.1.*{why}.*base_url"):
        asked(wiki, way)("Everest")


def test_a_redirect_within_the_host_is_followed(wiki):
    """Wikis move their api.php."""
    assert asked(wiki, "moved", sentences=1)("Zürich") == "Zürich is a city."


@pytest.mark.parametrize("way", ["slow", "drip"])
def test_a_slow_wiki_is_given_up(wiki, way):
    """After the timeout, even if bytes go on dripping."""
    began = time.monotonic()
    with pytest.raises(ToolUnavailable, match=r"127\.0\.0\.1"):
        make_wikipedia(f"{wiki}/{way}/api.php", timeout=0.05)("Everest")
    assert time.monotonic() - began < 30  # of the server's sixty


def test_nobody_there_is_unavailable():
    """No network is an error of its own, with the fix."""
    with pytest.raises(ToolUnavailable, match=r"127\.0\.0\.1.*refused.*search tool"):
        make_wikipedia("http://127.0.0.1:1/api.php", timeout=2.0)("Everest")


def test_an_answer_that_is_too_large_is_not_read(wiki):
    """At most 2 MB."""
    with pytest.raises(ToolError, match="2,000,000"):
        asked(wiki)("Huge")


def test_an_error_of_the_api_is_told(wiki):
    """In the wiki's own words."""
    with pytest.raises(ToolError, match="refuses the query: Unrecognized"):
        asked(wiki, "error")("Everest")


def test_an_odd_answer_is_no_crash(wiki):
    """Fields of other types are as good as none."""
    with pytest.raises(ToolError, match="no page like"):
        asked(wiki, "odd")("Everest")


@pytest.mark.parametrize("address", ["file:///etc/hosts", "ftp://x/api.php", "en.wikipedia.org", ""])
def test_only_addresses_of_the_web(address):
    """Anything else is refused when the tool is made."""
    with pytest.raises(ToolError, match="base_url"):
        make_wikipedia(address)


def test_what_a_planner_reads():
    """The tool that ships is pure, polite, and short to describe."""
    assert wikipedia.signature == "wikipedia(title: str) -> str"
    assert (wikipedia.pure, wikipedia.is_async, wikipedia.max_concurrency) == (True, False, 4)
