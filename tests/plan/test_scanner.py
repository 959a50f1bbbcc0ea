from __future__ import annotations

import pytest

from compiler_nb.plan.scanner import Scanner

TEXT = '{"thought": {"a": ["}", "\\"]"]},\n "tasks": [{"id": 1},\n  null, "x"], "n": -1.5e3, "s": "\\\\"}\n'
UNITS = [
    ("key", '"thought"', 1, 2),
    ("value", '{"a": ["}", "\\"]"]}', 1, 13),
    ("key", '"tasks"', 2, 2),
    ("task", '{"id": 1}', 2, 12),
    ("task", "null", 3, 3),
    ("task", '"x"', 3, 9),
    ("key", '"n"', 3, 15),
    ("value", "-1.5e3", 3, 20),
    ("key", '"s"', 3, 28),
    ("value", '"\\\\"', 3, 33),
    ("end", "", 3, 37),
]


def units(pieces):
    """Return the units of a text in pieces."""
    scanner = Scanner()
    return [tuple(unit) for piece in pieces for unit in scanner.feed(piece)]


def test_units_come_out_with_their_places():
    """Keys, values, tasks and the end come out in order, with the line and column where they begin."""
    assert units([TEXT]) == UNITS


def test_where_the_text_is_split_does_not_matter():
    """The units are the same in single characters, and in two pieces wherever they meet."""
    assert units(TEXT) == UNITS
    for at in range(len(TEXT)):
        assert units([TEXT[:at], TEXT[at:]]) == UNITS


def test_a_unit_comes_out_with_its_last_character():
    """A task comes out the moment its brace closes."""
    scanner = Scanner()
    assert [unit.kind for unit in scanner.feed('{"tasks": [{"id": {"a": 1}')] == ["key"]
    assert [unit.text for unit in scanner.feed("}")] == ['{"id": {"a": 1}}']


@pytest.mark.parametrize(
    ("text", "kind", "column"),
    [
        ("x", "syntax", 1),
        ("[", "schema", 1),
        ("{,", "syntax", 2),
        ('{"a" 1', "syntax", 6),
        ('{"a": 1 2', "syntax", 9),
        ('{"a": 1,}', "syntax", 9),
        ("{// no", "syntax", 2),
        ("{'a': 1}", "syntax", 2),
        ("{1: 2}", "syntax", 2),
        ('{"a": 1, null: 2}', "syntax", 10),
        ('{"tasks": [1,]', "syntax", 14),
        ('{"tasks": [1 2', "syntax", 14),
        ("{} {", "multiple_blocks", 4),
        ("{} x", "syntax", 4),
        ('{"a": ' + "[" * 20, "too_deep", 27),
        ('{"tasks": [' + "[" * 19, "too_deep", 31),
    ],
)
def test_what_is_no_object_is_told_once(text, kind, column):
    """The first problem is told where it stands, and nothing after it."""
    for pieces in ([text + '"]}'], text + '"]}'):
        (problem,) = [unit for unit in units(pieces) if unit[0] not in ("key", "value", "task", "end")]
        assert (problem[0], problem[3]) == (kind, column)


def test_the_deepest_nesting_allowed_passes():
    """Twenty brackets in all may be open."""
    assert units(['{"tasks": [' + "[" * 18 + "]" * 18 + "]}"])[-1][0] == "end"
