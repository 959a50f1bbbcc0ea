"""Data stands in frames that it cannot leave, and is limited to what is shared."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler_nb.prompts.data import TOTAL, Oversize, frame, frame_values
from compiler_nb.prompts.render import LIMIT, render_value
from tests.support.hostile import OUTPUTS

MARK = re.compile(r"[<\uff1c]\s*[/\uff0f]?\s*data\b", re.IGNORECASE)


def marks(text: str) -> int:
    """Count what looks like a mark of ours."""
    return len(MARK.findall(text))


@pytest.mark.parametrize("name", OUTPUTS)
def test_no_output_closes_its_frame(name):
    """Whatever a tool returns, its block has one beginning and one end, on lines of their own."""
    text = frame("x", render_value(OUTPUTS[name]()))
    assert marks(text) == 2
    assert text.startswith('<data name="x">\n')
    assert text.endswith("\n</data>")
    assert "<|" not in text
    assert "[/INST]" not in text


@given(st.text(st.sampled_from("</dDaAtT >\n\t\u200b\uff1c\u202e\\"), max_size=40))
def test_no_mixture_closes_its_frame(text):
    """Neither does any mixture of the mark's own letters with spaces, escapes and hidden characters."""
    assert marks(frame("x", text)) == 2


@given(st.text(max_size=30))
def test_no_name_breaks_its_frame(name):
    """The name may be a fan-out's key, which data decides: it stays in its quotes, on its line."""
    first, second, third = frame(f"rows[{name}]", "1").split("\n")
    assert re.fullmatch(r'<data name="[^"]*">', first)
    assert (second, third) == ("1", "</data>")
    assert marks(first) == 1


def test_hidden_characters_are_shown():
    """Tag characters, reversals and escapes of a terminal are written as escapes; tabs and lines stay."""
    lines = frame("x", "a\U000e0063\u202e\x1b\tb\r\nc\rd").split("\n")
    assert lines[1:3] == [r"a\U000e0063\u202e\x1b" + "\tb", r"c\rd"]


def test_ordinary_text_stays_as_it_is():
    """Other tags, brackets, letters of any script and emoji are not touched."""
    text = 'if a < b: "Zürich" 東京 🙂 <b>bold</b> {x} | [1] <database> \\n'
    assert text in frame("x", text)


def test_all_of_a_value_is_shared():
    """Text goes as it is, plain data as JSON, a table with a line about how much is shown."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": range(12_000)})
    blocks = frame_values([("t", "a\nb"), ("d", {"k": [1, None]}), ("df", table)])
    assert blocks[0] == '<data name="t">\na\nb\n</data>'
    assert '{"k": [1, null]}' in blocks[1]
    assert "DataFrame, 20 of 12,000 rows, 1 columns" in blocks[2]


def test_a_summary_shows_type_size_and_a_beginning():
    """What is shared is short, and says that it is a part."""
    [block] = frame_values([("t", "secret " * 1_000)], "summary")
    assert "str of 7,000 characters" in block
    assert "the first 200 of 7,000 characters" in block
    assert len(block) < 400


@pytest.mark.parametrize("name", OUTPUTS)
def test_nothing_of_contents_is_shared(name):
    """With none there is a type and nothing else."""
    value = OUTPUTS[name]()
    assert frame_values([("x", value)], "none") == [frame("x", type(value).__name__)]


def test_a_value_that_is_too_long_is_never_cut_in_silence():
    """It is refused with its name and length, up to the last character."""
    assert frame_values([("page", "x" * LIMIT)])
    with pytest.raises(Oversize, match=r"page has 20,001 characters; at most 20,000"):
        frame_values([("page", "x" * (LIMIT + 1))])
    with pytest.raises(Oversize, match="rows has more than 20,000"):
        frame_values([("rows", [{"a": 1}] * 5_000)])


def test_values_that_are_too_long_together_are_refused():
    """The sum has a limit of its own; summaries of the same values fit."""
    values = [(f"p{number}", "x" * 15_000) for number in range(5)]
    with pytest.raises(Oversize, match=f"{TOTAL:,}"):
        frame_values(values)
    assert len(frame_values(values, "summary")) == 5
