from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler_nb.plan.call import CallReader
from compiler_nb.plan.check import Refused, find_characters

PLAIN = {
    "string": lambda text, index: text,
    "reference": lambda written, index: ("ref", written),
    "input": lambda written, index: ("input", written),
}
"""Gives strings as they are, references and inputs as they are written."""


def call(text: str):
    """Return what is read of a call."""
    return CallReader(text, 0, PLAIN).call()


def refusal(text: str) -> tuple[str, int]:
    """Return the kind and the index of what is wrong with a call."""
    with pytest.raises(Refused) as caught:
        call(text)
    return caught.value.kind, caught.value.place


def test_a_call_has_a_tool_and_arguments():
    """Name, arguments and keyword arguments are read; the reader stops behind the closing bracket."""
    reader = CallReader("4. f(1, 'a', x=[2], ) # done", 3, PLAIN)
    assert reader.call() == ("f", (1, "a"), {"x": [2]})
    assert reader.line[reader.at :] == " # done"


@pytest.mark.parametrize(
    "literal",
    [
        "0", "-1", "+2", "1_000", "0x1F", "0b101", "0o17", "1.5", ".5", "2.", "1e3", "-1.5E-3",
        "'a'", '"a"', "'it\\'s'", "'''a'b'''", '"""a"b"""', "''", '""""""', "r'\\d'", "R'\\n'", "u'x'", "'a' \"b\"",
        "'\\n\\x41'", "True", "False", "None", "[]", "[1, [2]]", "()", "(1,)", "(1)", "(1, 2)", "{}",
        "{'a': 1, 2: {None: []}}",
    ],
)  # fmt: skip
def test_literals_are_those_of_python(literal):
    """Literals mean what they mean in Python."""
    assert call(f"f({literal})") == ("f", (ast.literal_eval(literal),), {})


def test_json_constants_are_understood():
    """Models mix the constants of JSON in."""
    assert call("f(true, false, null)") == ("f", (True, False, None), {})


def test_references_and_inputs_are_the_callers():
    """What begins with $ or @ is handed on, with its path."""
    assert call("f($1.a[0], ${2}, @df['x'], y=$3)") == (
        "f",
        (("ref", "$1.a[0]"), ("ref", "${2}"), ("input", "@df['x']")),
        {"y": ("ref", "$3")},
    )


@pytest.mark.parametrize(
    ("text", "kind", "index"),
    [
        ("f", "syntax", 1),
        ("f(", "truncated", 2),
        ("f('a", "truncated", 2),
        ("f([1,", "truncated", 5),
        ("f({1", "truncated", 4),
        ("f(a_b)", "expression", 2),
        ("f(a in b)", "expression", 2),
        ("f(it's)", "expression", 2),
        ("f([a])", "expression", 3),
        ("f(g())", "nested_call", 2),
        ("f($1())", "nested_call", 4),
        ("f(1 if x else 2)", "expression", 4),
        ("f(not 1)", "expression", 2),
        ("f(1-2)", "expression", 3),
        ("f(lambda: 1)", "expression", 2),
        ("f([1 2])", "syntax", 5),
        ("f(,)", "syntax", 2),
        ("f([3abc])", "syntax", 3),
        ("f(1__0)", "syntax", 2),
        ("f(b'x')", "expression", 2),
        ("f(F'x')", "fstring", 2),
        ("f({**a})", "star_args", 3),
        ("f([1][0])", "syntax", 5),
        ("f.g('x')", "unknown_tool", 0),
        ("'f'()", "syntax", 0),
    ],
)
def test_everything_else_is_refused_where_it_stands(text, kind, index):
    """What is no call of literals and references is refused, with the index."""
    assert refusal(text) == (kind, index)


@pytest.mark.parametrize(
    "text",
    ["Austin Powers", "Alesha Popvich and Tugarin the Dragon", "Rosetta", "Spider-Man", "a@b.c", "3 apples", "1 2",
     "Star Wars - A New Hope", "2. f"],
)  # fmt: skip
def test_an_argument_without_quotes_is_text(text):
    """What is no literal and holds no bracket, quote or dollar sign is text, by position and by name, with a note."""
    reader = CallReader(f"f({text}, x={text} )", 0, PLAIN)
    assert reader.call() == ("f", (text,), {"x": text})
    assert reader.notes == [f"{text} has no quotes and was read as text"] * 2


@pytest.mark.parametrize(
    ("text", "args", "added"),
    [("f('a', ['b']", ("a", ["b"]), [")"]), ("f([1", ([1],), ["]", ")"]), ("f(a b", ("a b",), [")"])],
)
def test_a_bracket_that_is_open_at_the_end_is_closed(text, args, added):
    """As models leave it that were shown so, with a note; not before a value has come."""
    reader = CallReader(text, 0, PLAIN)
    assert reader.call() == ("f", args, {})
    assert [note for note in reader.notes if "added" in note] == [f"{mark} was added at the end" for mark in added]


TEXTS = st.text(st.characters(exclude_categories=("Cs",))).filter(lambda text: not find_characters(text, literal=True))
LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text("ab'\"\\\n"), inner),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.slow
@given(LITERALS)
def test_what_python_prints_is_read_back(value):
    """The repr of any literal reads back as the literal."""
    assert call(f"f({value!r})") == ("f", (value,), {})
