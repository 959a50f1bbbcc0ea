from __future__ import annotations

import pytest

from compiler_nb.plan.check import Refused
from compiler_nb.plan.expression import Field, Item, Text
from compiler_nb.plan.reference import Dollar, follow, join_pieces, read_whole, split, unescape
from compiler_nb.plan.tree import Ref


def test_a_whole_reference_is_nothing_but_one():
    """A text is a reference where nothing stands beside it, its path apart."""
    assert read_whole("$t1.a[0]") == Dollar("whole", "t1", ".a[0]", "$t1.a[0]")
    assert read_whole('${t1["x.y"]}.z') == Dollar("whole", "t1", '["x.y"].z', '${t1["x.y"]}.z')
    assert [read_whole(text) for text in ("$", "$$1", "$1 ", "a$1", "$1.", "${1", "$1[x]")] == [None] * 7


def test_a_longer_text_is_split_at_its_dollar_signs():
    """Each dollar sign is found once, with what follows it; two of them are a literal one."""
    assert split("a $$ ${t.x} $b.c ${d e} $") == [
        "a ",
        "$",
        " ",
        Dollar("braced", "t", ".x", "${t.x}"),
        " ",
        Dollar("bare", "b", "", "$b"),
        ".c ",
        Dollar("open", "d", "", "${d"),
        " e} $",
    ]


def test_pieces_become_one_text_or_a_text_with_fields():
    """Pieces of text are joined, results among them are kept as values."""
    assert join_pieces(["a", "b"]) == "ab"
    assert join_pieces([]) == ""
    assert join_pieces(["a", "b", Ref("x"), "c"]) == Text(("ab", Field(Ref("x")), "c"))


def test_a_path_looks_items_up():
    """A path's parts are names, whole numbers and quoted keys, never attributes."""
    assert follow(Ref("a"), ".b[1].2['c d'][\"\\u00e9\"]") == Item(
        Item(Item(Item(Item(Ref("a"), "b"), 1), 2), "c d"), "é"
    )
    assert follow(Ref("a"), ".b" * 20) is not None
    for path, kind in ((".__class__", "dunder"), ("['_x']", "dunder"), (".a" * 21, "too_deep")):
        with pytest.raises(Refused) as caught:
            follow(Ref("a"), path)
        assert caught.value.kind == kind


def test_escapes_are_those_of_python():
    """Escapes stand for what they stand for in Python; an unknown one stands for itself."""
    written = r"\n\t\\\'\"\x41\u00e9\U0001f600\101\N{BULLET}\d\
"
    assert unescape(written) == "\n\t\\'\"A\u00e9\U0001f600A\u2022\\d\\\n"
    for broken in (r"\x4", r"\u12", r"\U00110000", r"\N{no such name}", r"\N"):
        with pytest.raises(Refused):
            unescape(broken)
