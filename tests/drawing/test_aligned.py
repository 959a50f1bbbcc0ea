from __future__ import annotations

import re

import pytest

from compiler_nb.drawing.aligned import SIGNS, draw_aligned
from compiler_nb.drawing.dot import render
from compiler_nb.drawing.tiles import LABEL, MINUS, End
from compiler_nb.plan.matching import match
from compiler_nb.plan.plan import Plan
from compiler_nb.text import TIMES
from tests.support.pictures import HOSTILE, call, random_plan, read

COVERS = ("tiles.py",)

BEFORE = """
ny = weather("New York")
la = weather("Los Angeles")
old = search("the old world")
best = compare(ny, la)
note = llm(f"why {best}", n=3)
"""
AFTER = """
new_york = weather("New York")
la = weather("Los Angeles", days=2)
sf = weather("San Francisco")
best = compare(new_york, la, sf)
note = llm(f"why {best}", n=3)
"""
KINDS = {"new_york": "renamed", "la": "changed", "old": "dropped", "sf": "added", "best": "changed", "note": "affected"}


def drawn(before: str = BEFORE, after: str = AFTER, **options):
    """Draw two plans, given as texts."""
    found = match([Plan.parse(before).tasks], [Plan.parse(after).tasks])
    return draw_aligned(found.tasks, found.edges, **options)


def groups(svg: str):
    """Return the boxes of tasks by id."""
    return {each.get("data-task"): each for each in read(svg).iter() if each.get("data-task")}


def texts(group) -> list[str]:
    """Return the words of a box."""
    return [each.text for each in group.iter() if each.tag.endswith("}text")]


def test_each_task_stands_once_and_says_in_which_plan_it_is():
    """By an attribute, a class, which is its colour and border, and the mark in its disc."""
    found = groups(drawn().svg)
    assert {id_: each.get("data-diff") for id_, each in found.items()} == KINDS
    for id_, each in found.items():
        assert f"cnb-is-{KINDS[id_]}" in each.get("class").split()
        marks = [path.get("d") for path in each.iter() if path.get("class") == "cnb-mark"]
        assert marks == [SIGNS[KINDS[id_]]]
    assert len({SIGNS[kind] for kind in KINDS.values()}) == 5


def test_a_changed_task_shows_what_was_and_what_is():
    """Arguments from what to what, and both names if it was renamed."""
    found = groups(drawn().svg)
    assert texts(found["la"]) == ["la", "+ days: 2"]
    assert texts(found["new_york"]) == ["ny → new_york", 'weather("New York")']
    (box,) = groups(drawn('a = f("x", 1, 2, 3)', 'a = f("y", 2, 3, 4)').svg).values()
    assert texts(box) == [
        "a",
        f'{MINUS} argument 1: "x"',
        '+ argument 1: "y"',
        f"{MINUS} argument 2: 1",
        "+ argument 2: 2",
        "… 2 more changes",
    ]


def test_arrows_say_in_which_plan_they_are():
    """Those of both look as in other pictures."""
    svg = drawn(ends=[End(0, "join(note)", "join(best)", frozenset([5]), frozenset([4]))]).svg
    kinds = re.findall(r'class="cnb-edge cnb-is-(\w+)"', svg.partition('class="cnb-key"')[0])
    assert sorted(kinds)[:5] == ["added", "added", "dropped", "same", "same"]
    assert f"{MINUS} join(note)" in svg
    assert "+ join(best)" in svg


def test_the_legend_explains_what_is_there():
    """With the names of the runs, and nothing else."""
    words = re.findall(r'class="cnb-key"[^>]*>([^<]*)', drawn(names=("base", "terse")).svg)
    assert words == [
        "the same in both", "the same line, below a change", "changed", "only in terse", "only in base",
        "arrow only in terse",
    ]  # fmt: skip
    assert "arrow only" not in drawn("a = f(1)", "a = f(1)").svg


def test_guarded_calls_stand_in_the_box_of_their_line():
    """As in the picture of a plan; what changes in them changes the line."""
    found = groups(drawn('x = f("a") if 1 > 0 else g("b")', 'x = f("c") if 1 > 0 else g("b")').svg)
    assert [(id_, each.get("data-diff")) for id_, each in found.items()] == [("x", "changed")]
    assert f'{MINUS} argument 1: "a"' in texts(found["x"])


def test_marks_stand_in_the_corner():
    """A word on what came of a task."""
    assert texts(groups(drawn(marks={1: "≠ value"}).svg)["la"])[-1] == "≠ value"


def test_many_tasks_share_boxes_by_kind_and_tool():
    """A thousand changed calls are one box, so the picture stays small, and is made fast."""
    before, after = ([call(f"x{n}", "search", f"{word} {n}", n=3) for n in range(1_000)] for word in ("topic", "other"))
    found = match([before], [[*after, *(call(f"y{n}", "math", n) for n in range(300))]])
    picture = draw_aligned(found.tasks, found.edges, marks=dict.fromkeys(range(500), "≠ value"))
    words = re.findall(r"<text[^>]*>([^<]*)", picture.svg)
    assert {f"search {TIMES} 1,000", "≠ value: 500", f"math {TIMES} 300"} <= set(words)
    assert len(picture.svg) < 30_000


@pytest.mark.slow
def test_two_large_random_plans_are_clipped():
    """What has no room is counted."""
    found = match([random_plan(900, seed=1).tasks], [random_plan(900, seed=2).tasks])
    assert "more tasks" in draw_aligned(found.tasks, found.edges).svg


def test_rounds_are_bands_with_the_reasons_of_both():
    """If they differ, each is told."""
    found = match([[call("a", "f")], [call("b", "f", 1)]], [[call("a", "f")], [call("b", "f", 1)]])
    svg = draw_aligned(found.tasks, found.edges, reasons=[("", ""), ("more", "less")]).svg
    assert "Round 2: A: more; B: less" in svg
    assert svg.count('class="cnb-ground"') == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_are_data(text):
    """Names, arguments, marks and reasons: nothing in them can act."""
    old, new = call("a", "f", text), call("a", "f", text + "!")
    found = match([[old], [call("b", text[:60] or "x")]], [[new], [call("b", "g")]])
    ends = [End(0, text, "join()", frozenset([0]), frozenset())]
    picture = draw_aligned(
        found.tasks, found.edges, ends, names=(text, text), marks={0: text}, reasons=[(text, "")] * 2, about=text
    )
    read(picture.svg)


def test_all_words_have_room():
    """A box is as wide as its longest line, however long names are."""
    long = "x" * 60
    svg = drawn(f'{long} = f("{long}")', f'{long}y = f("{long}", z="{long}")', marks={0: "≠ value"}).svg
    assert max(len(each) for each in re.findall(r'class="cnb-id"[^>]*>([^<]*)', svg)) <= LABEL


def test_nothing_is_drawn_of_nothing():
    """Two empty plans give a picture without boxes."""
    assert groups(draw_aligned((), {}).svg) == {}


def test_a_user_saves_it_as_png_and_pdf_for_a_page_that_takes_no_svg(tmp_path):
    """By the suffix, as any other picture, whatever the tasks and the plans are called."""
    if render("digraph {}", format="plain") is None:
        pytest.skip("Graphviz is not here")
    for names in [("base", "terse"), HOSTILE[:2]]:
        picture = drawn(names=names, marks={0: "\n\\N".join(HOSTILE)})
        assert picture.save(tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
        assert picture.save(tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")


def test_without_colours_and_signs_letters_say_where_a_task_stands(monkeypatch):
    """In a PNG the marks are letters, borders differ, and a legend tells what they mean."""
    monkeypatch.setattr("compiler_nb.drawing.png.render", lambda text, **_: text.encode())
    dot = drawn(names=("base", "terse"), marks={3: "failed in base"}).png().decode()
    for line in ("~  la", "+  sf", "\N{MINUS SIGN}  old", "\N{DOWNWARDS ARROW}  note", "+ days: 2"):
        assert f"  {line}" in dot
    assert "(failed in base)" in dot
    for told in ("+ only in terse", "\N{MINUS SIGN} only in base", "~ changed", "= the same in both"):
        assert told in dot
    assert dot.count("style=dashed") >= 1
    assert dot.count("style=dotted") == 1
