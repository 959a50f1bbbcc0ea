from __future__ import annotations

import random
import re

import pytest

from compiler_nb.drawing.dot import render
from compiler_nb.drawing.style import MARKS, TIMELINE_STYLE
from compiler_nb.drawing.timeline import MOST, find_ticks, timeline
from compiler_nb.outcome import STATES
from compiler_nb.trace import Link, ModelCall, Span
from tests.support.pictures import HOSTILE, call, coasts, read, shown

COVERS = ("chart.py",)

SPACE = "{http://www.w3.org/2000/svg}"
COASTS = [
    Span("ny", 1, 0.5, 0.5, 1.0, "done"),
    Span("la", 1, 0.5, 0.8, 1.0, "failed"),
    Span("la", 2, 1.1, 1.1, 1.5, "done"),
    Span("note", 1, 1.5, 1.6, None, "running"),
]
CHAIN = (Link("la", 0.8, 1.5), Link("note", 1.6, 2.0))
PLANNER = ModelCall(1, "planner", "", "openai", "m", 0.0, 0.3, 0.9)
has_graphviz = render("digraph {}", format="plain") is not None


def made(spans=COASTS, **options):
    """Return a timeline of the coasts."""
    return timeline(spans, tasks=coasts().by_id, **{"total": 2.0, "chain": CHAIN, **options})


def groups(svg):
    """Return the groups of tasks by id."""
    return {each.get("data-task"): each for each in read(svg).iter(f"{SPACE}g") if each.get("data-task")}


def drawn(group, kind):
    """Return the bars of a kind in a row as (left, width)."""
    found = [each for each in group.iter(f"{SPACE}rect") if kind in each.get("class").split()]
    return [(float(each.get("x")), float(each.get("width"))) for each in found]


def test_a_result_of_an_earlier_round_is_a_row_that_names_where_it_came_from():
    """A pale link in words, in the band of the round that adopted it; no line crosses them."""
    spans = [Span("blanc", 1, 0.0, 0.0, 1.0, "done"), Span("zug", 1, 1.0, 1.0, 2.0, "done")]
    rounds = {"blanc": 0, "white": 1, "zug": 1}
    links = [Link("blanc", 0.0, 1.0), Link("zug", 1.0, 2.0)]
    found = timeline(spans, tasks={}, rounds=rounds, adopted={"white": "blanc"}, chain=links, states={"white": "done"})
    lines = found.text.split("\n")
    at = next(number for number, line in enumerate(lines) if "white" in line)
    assert lines[at].split() == ["✓", "white", "↑", "blanc"]
    assert "Round 2" in lines[at - 1]
    assert 'data-task="white" data-state="done"' in found.svg
    assert "with the result of blanc" in found.svg
    y = float(re.search(r'y="([\d.]+)">\N{UPWARDS ARROW} blanc<', found.svg)[1]) - 4
    pieces = re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", found.svg)
    assert pieces
    assert not [piece for piece in pieces if float(piece[0]) < y < float(piece[1])]


def test_each_task_has_a_row_with_a_bar_for_each_attempt():
    """At its time, in its state's class; what runs goes up to the end."""
    svg = made().svg
    assert shown(svg) == {"ny": "done", "la": "done", "note": "running"}
    rows = groups(svg)
    ((ny, width),) = drawn(rows["ny"], "cnb-done")
    (failed, _), (_, longer) = drawn(rows["la"], "cnb-span")
    ((note, rest),) = drawn(rows["note"], "cnb-running")
    assert [round(longer / width, 1), round(rest / width, 1)] == [0.8, 0.8]
    assert round((failed - ny) / width, 1) == 0.6
    assert round((note - ny) / width, 1) == 2.2
    assert drawn(rows["la"], "cnb-failed") == [drawn(rows["la"], "cnb-span")[0]]


def test_waiting_for_a_slot_stands_apart():
    """Its bar ends where the attempt begins, and is striped if there is room."""
    rows = groups(made().svg)
    assert drawn(rows["ny"], "cnb-rest") == []
    ((left, width),) = drawn(rows["la"], "cnb-rest")
    assert left + width == pytest.approx(drawn(rows["la"], "cnb-span")[0][0], abs=0.2)
    assert [each.get("class") for each in rows["la"].iter(f"{SPACE}path")].count("cnb-stripes") == 1


def test_the_critical_path_is_marked_by_frames_a_line_and_bold_names():
    """Of all its attempts; without a path nothing is."""
    svg = made().svg
    rows = groups(svg)
    assert [len(drawn(rows[id_], "cnb-path")) for id_ in ("ny", "la", "note")] == [0, 2, 1]
    names = {id_: row.find(f"{SPACE}text").get("class") for id_, row in rows.items()}
    assert names == {"ny": "cnb-name", "la": "cnb-name cnb-key", "note": "cnb-name cnb-key"}
    assert len(re.findall(r'<path class="cnb-path cnb-chain"', svg)) == 1
    assert "cnb-path" not in made(chain=()).svg.partition("</style>")[2]


def test_planner_and_joiner_have_thin_bars_above_and_below():
    """Light until the first word came, dark from then on; a role's calls stand in one row."""
    again = PLANNER._replace(number=2, started=1.0, first=None, ended=None)
    svg = made(calls=[PLANNER, again, ModelCall(3, "joiner", "", "p", "m", 1.8)]).svg
    assert [len(re.findall(f'<rect class="cnb-{kind}" ', svg)) for kind in ("think", "write")] == [3 + 1, 1 + 1]
    assert [each.text for each in read(svg).iter(f"{SPACE}text") if each.get("class") == "cnb-role"] == [
        "planner", "joiner",
    ]  # fmt: skip


def test_the_planners_writing_is_on_the_critical_path_up_to_the_first_line_that_mattered():
    """The frame of its bar ends there, and from there a line leads to the task."""
    chain = (Link("planner", 0.0, 0.5, 1), Link("ny", 0.5, 1.0), Link("note", 1.6, 2.0))
    svg = made(calls=[PLANNER], chain=chain).svg
    row = next(each for each in read(svg).iter(f"{SPACE}g") if each.findtext(f"{SPACE}text") == "planner")
    ((x, width),) = drawn(row, "cnb-path")
    (first, thinks), *_ = drawn(row, "cnb-think")
    assert x == pytest.approx(first - 1.2, abs=0.2)
    assert width == pytest.approx(thinks / 0.3 * 0.5 + 2.4, abs=0.5)


def test_no_line_of_the_critical_path_crosses_a_bar_or_a_text():
    """In random runs of two rounds: a line stops at what is in its way and goes on behind it."""
    for seed in range(60):
        chance = random.Random(seed)
        spans, chain, rounds, now = [], [], {}, 0.0
        for number in range(12):
            start = chance.random() * 4 + 4 * (number > 7)
            spans.append(Span(f"t{number}", 1, start - chance.random() / 2, start, start + chance.random() * 4, "done"))
            rounds[f"t{number}"] = int(number > 7)
        for span in sorted(spans, key=lambda each: each.started):
            if span.started >= now and chance.random() < 0.7:
                now = span.ended
                chain.append(Link(span.task, span.started, now))
        svg = made(spans, chain=chain, rounds=rounds, reasons=["", "more"], calls=[PLANNER], total=13.0).svg
        root = read(svg)
        lines = next((e.get("d") for e in root.iter(f"{SPACE}path") if "cnb-chain" in e.get("class")), "")
        kinds = ("cnb-span", "cnb-rest", "cnb-think", "cnb-write", "cnb-strip")
        rects = [each for each in root.iter(f"{SPACE}rect") if each.get("class").split()[0] in kinds]
        bars = [[float(each.get(key)) for key in ("x", "y", "width", "height")] for each in rects]
        for x, top, low in re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)", lines):
            beside = [(y, high) for left, y, width, high in bars if left < float(x) < left + width]
            assert not [y for y, high in beside if y < float(low) - 1 and float(top) + 1 < y + high], (seed, x, top)


def test_rounds_are_bands_with_the_reason_as_their_head():
    """Each with its own planner, tasks and joiner; a single round has no head."""
    again = PLANNER._replace(number=3, role="replan", started=1.1, first=1.2, ended=1.4, round=1)
    joined = ModelCall(2, "joiner", "", "p", "m", 1.0, 1.05, 1.1)
    calls = [PLANNER, joined, again, joined._replace(number=4, started=1.8, first=None, ended=None, round=1)]
    found = made(calls=calls, rounds={"note": 1}, reasons=["", "the coast is missing"])
    words = [each.text for each in read(found.svg).iter(f"{SPACE}text") if (each.get("class") or "").split()[0] in
             ("cnb-words", "cnb-role", "cnb-name")]  # fmt: skip
    assert words == ["Round 1", "planner", "ny", "la", "joiner", "Round 2: the coast is missing", "planner", "note",
                     "joiner"]  # fmt: skip
    assert "Round 2: the coast is missing" in found.text.splitlines()
    assert "Round 1" not in made(calls=calls[:2]).svg


def test_rows_tell_their_call_and_times_to_those_who_point_at_them():
    """State, call, how long it waited and ran."""
    titles = {id_: row.find(f"{SPACE}title").text for id_, row in groups(made().svg).items()}
    assert titles["la"] == 'la · done\nweather("Los Angeles")\nwaited 0.3 s, ran 0.6 s in 2 attempts'
    assert titles["ny"] == 'ny · done\nweather("New York")\nran 0.5 s'


def test_the_picture_tells_its_words_to_those_who_cannot_see_it():
    """Role, label, title and description."""
    root = read(made(words="tasks took 1.1 s").svg)
    assert (root.get("role"), root.get("aria-label")) == ("img", "Timeline of 3 tasks: tasks took 1.1 s")
    assert "tasks took 1.1 s" in [each.text for each in root.iter(f"{SPACE}text")]


def test_states_differ_by_mark():
    """Not only by colour."""
    for state in STATES:
        svg = timeline([Span("a", 1, 0, 0, 1, state)], tasks={}, states={"a": state}).svg
        assert MARKS[state] in svg
    assert "cnb-span.cnb-failed" in TIMELINE_STYLE
    assert "cnb-span.cnb-cancelled" in TIMELINE_STYLE


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_text(text):
    """Ids, calls and words."""
    spans = [Span(f"rows[{text}]", 1, 0.0, 0.1, 1.0, "done")]
    found = timeline(spans, tasks={spans[0].task: call(spans[0].task, "f", text)}, words=text,
                     chain=(Link(spans[0].task, 0.1, 1.0),), calls=[PLANNER._replace(role=text)])  # fmt: skip
    assert len(shown(found.svg)) == 1
    assert len(found.svg) < 15_000
    assert all(char.isprintable() or char == "\n" for char in found.svg)
    assert all(char.isprintable() or char == "\n" for char in found.text)


def test_equal_attempts_give_equal_bytes():
    """Nothing depends on chance."""
    assert made() == made()


def test_very_many_rows_are_counted():
    """And small enough for a notebook."""
    spans = [Span(f"t{number}", 1, number, number + 0.5, number + 1, "done") for number in range(1_000)]
    found = timeline(spans, tasks={span.task: call(span.task, "weather", "x" * 200) for span in spans})
    assert len(shown(found.svg)) == MOST
    assert "… 800 more" in found.svg
    assert "… 800 more" in found.text
    assert len(found.svg) < 150_000
    assert repr(found) == "<timeline of 1,000 tasks, 1,000 s>"


@pytest.mark.parametrize(
    ("total", "labels"),
    [
        (2.5, ["0", "0.5 s", "1 s", "1.5 s", "2 s", "2.5 s"]),
        (8.0, ["0", "1 s", "2 s", "3 s", "4 s", "5 s", "6 s", "7 s", "8 s"]),
        (0.9, ["0", "200 ms", "400 ms", "600 ms", "800 ms"]),
        (0.0031, ["0", "0.5 ms", "1 ms", "1.5 ms", "2 ms", "2.5 ms", "3 ms"]),
        (1234.0, ["0", "200 s", "400 s", "600 s", "800 s", "1000 s", "1200 s"]),
    ],
)
def test_ticks_are_round(total, labels):
    """1, 2 or 5 of a unit apart, and few."""
    assert [label for _, label in find_ticks(total)] == labels


def test_a_run_that_took_no_time_can_be_drawn():
    """And one without attempts."""
    assert shown(timeline([Span("a", 1, 0, 0, 0, "done")], tasks={}, total=0.0).svg) == {"a": "done"}
    assert timeline([], tasks={}).text.startswith(" ")


def test_as_text_it_is_a_table_with_bars_of_characters():
    """Mark, name, bar, time; a star for the critical path."""
    lines = made(calls=[PLANNER], words="tasks took 1.1 s").text.splitlines()
    assert lines[1].startswith("  planner   ╌╌╌╌╌╌╌─")
    assert lines[3] == f"✓ la      * {' ' * 12}{'░' * 8}{'█' * 5}{' ' * 2}{'█' * 11}{' ' * 12}  0.6 s"
    assert lines[4].startswith("▸ note    * ")
    assert lines[-2:] == ["tasks took 1.1 s", "░ waits for a slot, █ runs, * critical path"]
    assert str(made()) == made()._repr_mimebundle_()["text/plain"]


def test_it_is_saved_in_the_form_of_the_suffix(tmp_path):
    """Another suffix is an error that names those there are."""
    found = made()
    assert found.save(tmp_path / "a.svg").read_text(encoding="utf-8") == found._repr_svg_()
    assert found.save(str(tmp_path / "a.TXT")).read_text(encoding="utf-8") == f"{found}\n"
    with pytest.raises(ValueError, match=r"'a.pdf' ends in '.pdf': save it as .svg, .png or .txt"):
        found.save(tmp_path / "a.pdf")


@pytest.mark.skipif(not has_graphviz, reason="no Graphviz here")
def test_as_png_it_is_drawn_by_graphviz(tmp_path):
    """With hostile names, too."""
    spans = [*COASTS, *(Span(text[:500], 1, 0.0, 0.1, 1.0, "cancelled") for text in HOSTILE)]
    assert made(spans, calls=[PLANNER]).save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_without_graphviz_there_is_no_png():
    """None, and an error where one is to be saved."""
    assert made().more[".png"](programs=[]) is None
