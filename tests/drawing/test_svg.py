from __future__ import annotations

import re
import subprocess
import sys

import pytest

from compiler_nb import Compiler, ScriptedModel
from compiler_nb.drawing.boxes import BLOCK_OVER, END
from compiler_nb.drawing.dot import find_layout
from compiler_nb.drawing.graph import FULL, HEAD, head_lines, make_graph
from compiler_nb.drawing.layout import heading
from compiler_nb.drawing.png import to_png
from compiler_nb.drawing.scene import DrawnRound, Scene
from compiler_nb.drawing.style import MARKS, PALE, STYLE
from compiler_nb.drawing.svg import LIMIT, draw
from compiler_nb.outcome import STATES
from compiler_nb.plan.expression import Item
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Join, Return
from compiler_nb.plan.tree import Ref
from compiler_nb.text import TIMES
from compiler_nb.tool import Tool, tool
from tests.support.pictures import (
    HOSTILE,
    call,
    coasts,
    expr,
    fanout,
    grazed,
    mixed_plan,
    random_plan,
    read,
    shown,
    wide,
)

COVERS = ("blocks.py", "boxes.py", "clocks.py", "graph.py", "png.py", "scene.py", "style.py")

ENGINES = ("own", "auto", "graphviz")
SPACE = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    """Return the words of a picture."""
    return [each.text for each in read(svg).iter(f"{SPACE}text")]


@pytest.mark.parametrize("engine", ENGINES)
def test_each_task_is_a_group_with_its_id_state_class_and_words(engine):
    """The view finds tasks by data-task and patches class, state and mark."""
    states = {"ny": "done", "la": "running"}
    picture = draw(coasts(), states=states, titles={"ny": "31 degrees"}, engine=engine)
    assert shown(picture.svg) == {"ny": "done", "la": "running", "best": "waiting", "note": "waiting"}
    groups = {each.get("data-task"): each for each in read(picture.svg).iter(f"{SPACE}g")}
    assert groups["ny"].get("class") == "cnb-task cnb-done"
    assert groups["ny"].find(f"{SPACE}title").text == "31 degrees"
    assert groups["la"].find(f"{SPACE}title").text == 'la · running\nweather("Los Angeles")'
    assert groups["la"].find(f"{SPACE}path").get("d") == MARKS["running"]
    assert [each.text for each in groups["note"].iter(f"{SPACE}text")] == ["note", "llm(best, days=3)"]
    assert "answer" in texts(picture.svg)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_text(text, engine):
    """Whatever a plan or a tool says, the picture parses, holds no foreign element, and stays small."""
    tasks = (call("a", "f", text, key=text), expr("b", Item(Ref("a"), text)), fanout("rows", "a"))
    states = {f"rows[{text}]": "done", "a": "failed"}
    picture = draw(Plan(tasks, Return(text)), states=states, titles={"a": text, f"rows[{text}]": text}, engine=engine)
    assert len(shown(picture.svg)) == 4
    assert len(picture.svg) < 20_000
    assert "\u202e" not in picture.svg
    assert all(char.isprintable() or char == "\n" for char in picture.svg)
    assert all(char.isprintable() or char == "\n" for char in picture.text)


def test_states_differ_by_mark_and_style_not_only_by_colour():
    """Seven marks, seven rules, and borders that tell them apart in print."""
    assert len(set(MARKS.values())) == len(STATES) == 7
    assert set(MARKS) == set(STATES)
    assert all(f".cnb-{state}" in STYLE for state in STATES)
    drawn = {state: draw([call("a", "f")], states={"a": state}, engine="own").svg for state in STATES}
    assert len(set(drawn.values())) == 7


def test_every_rule_of_the_style_is_kept_to_our_pictures():
    """No selector reaches beyond .cnb, so that a picture inside a page changes nothing else."""
    rules = STYLE.replace("@media (prefers-color-scheme:dark){", "").replace(
        "@media (prefers-reduced-motion:no-preference){", ""
    )
    selectors = [part.rpartition("}")[2] for part in rules.split("{")[:-1]]
    plain = [each for each in selectors if each and not each.startswith(("@keyframes cnb-", "50%"))]
    assert plain
    assert all(".cnb" in alone for each in plain for alone in each.split(","))


def test_the_picture_tells_its_content_to_those_who_cannot_see_it():
    """Role, label, title and description count the tasks by state."""
    root = read(draw(coasts(), states=dict.fromkeys(("ny", "la"), "done"), engine="own").svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Plan of 4 tasks: 2 waiting, 2 done"
    assert root.find(f"{SPACE}title").text == "Plan of 4 tasks"
    assert root.find(f"{SPACE}desc").text == "2 waiting, 2 done"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_equal_plans_give_equal_bytes(engine):
    """Nothing in a picture depends on time, chance or the order of sets."""
    states = {f"t{number}": STATES[number % 7] for number in range(50)}
    assert draw(random_plan(50), states=states, engine=engine) == draw(random_plan(50), states=states, engine=engine)


@pytest.mark.slow
def test_a_picture_is_the_same_in_another_process():
    """The hash seed of a process leaves no trace."""
    code = (
        "from tests.support.pictures import random_plan\nfrom compiler_nb.drawing.svg import draw\n"
        "import hashlib; print(hashlib.sha256(draw(random_plan(30), engine='own').svg.encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


@pytest.mark.slow
@pytest.mark.parametrize("plan", [coasts(), wide(40), random_plan(40), random_plan(300), wide(300)], ids=len)
def test_all_engines_show_the_same_tasks_and_states(plan):
    """Only places and curves differ."""
    states = {task.id: STATES[number % 7] for number, task in enumerate(plan)}
    pictures = [draw(plan, states=states, engine=engine).svg for engine in ENGINES]
    assert all(shown(svg) == states for svg in pictures)
    assert all(sorted(texts(svg)) == sorted(texts(pictures[0])) for svg in pictures)


@pytest.mark.parametrize("programs", [[], [lambda *_: b"garbage"], [lambda *_: 1 / 0]])
def test_without_graphviz_the_own_layout_draws(programs):
    """No Graphviz, or one that fails, is no error."""
    picture = draw(coasts(), engine="graphviz", programs=programs)
    assert picture.engine == "own"
    assert picture == draw(coasts(), engine="own")


def test_items_of_a_fan_out_are_cells_of_its_box():
    """Items show as soon as they have a state, and once the fan-out is expanded they may be tasks as well."""
    tasks = [call("tickers", "movers"), fanout("rows", "tickers"), expr("dear", Ref("rows"))]
    assert f"{TIMES} n" in texts(draw(tasks, engine="own").svg)
    states = {"rows": "running", "rows[A].1": "done", "rows[A]": "done", "rows[B].1": "failed", "rows[B]": "skipped"}
    svg = draw(tasks, states=states, engine="own").svg
    assert f"{TIMES} 2" in texts(svg)
    assert shown(svg) == {"tickers": "waiting", "dear": "waiting", **states}
    expanded = [*tasks, *(call(id_, "price", Ref("tickers")) for id_ in states if id_ != "rows")]
    assert shown(draw(expanded, states=states, engine="own").svg) == shown(svg)
    assert make_graph(expanded).edges == (("tickers", "rows"), ("rows", "dear"))


def test_a_fan_out_far_down_a_long_plan_is_counted_with_its_items():
    """What reads an item of a fan-out that shares a box with others is linked to that box."""
    chain = [call("t0", "f"), *(call(f"t{n}", "f", Ref(f"t{n - 1}")) for n in range(1, 2 * FULL))]
    late = [fanout("rows", chain[-1].id), call("rows[0]", "g", Ref(chain[-1].id)), call("last", "g", Ref("rows[0]"))]
    graph = make_graph([*chain, *late])
    assert {key for edge in graph.edges for key in edge} <= graph.boxes.keys()
    assert "rows" in list(graph.boxes.values())[-1].members


def test_tasks_alike_stand_in_a_block_with_one_arrow():
    """Forty calls that one task reads need one arrow, and each is still drawn in full."""
    graph = make_graph(wide(40))
    assert [box.kind for box in graph.boxes.values()] == ["block", "call", "end"]
    assert len(graph.edges) == 2
    svg = draw(wide(40), engine="own").svg
    assert svg.count('class="cnb-task ') == 41
    assert svg.count("cnb-edge") == 2 + STYLE.count("cnb-edge")


def test_only_whole_rows_of_tasks_alike_stand_in_a_block():
    """What stands beside others of its level, or in the only row, has arrows of its own."""
    few = make_graph(wide(4))
    assert "block" not in {box.kind for box in few.boxes.values()}
    cities = [call(f"city{number}", "weather", f"City {number}", Ref("x")) for number in range(12)]
    plan = Plan((call("x", "f"), fanout("rows", "x"), *cities, call("best", "g", [Ref(task.id) for task in cities])))
    kinds = {key: box.kind for key, box in make_graph(plan).boxes.items()}
    assert kinds["city0"] == kinds["city1"] == "call"
    (block,) = [key for key, kind in kinds.items() if kind == "block"]
    assert [each.key for each, _, _ in make_graph(plan).boxes[block].inner] == [f"city{n}" for n in range(2, 12)]
    assert block not in make_graph(plan.tasks).boxes  # while it streams


def test_arrows_to_a_block_end_at_its_ground():
    """Which stands out above its boxes."""
    cities = [call(f"city{number}", "weather", f"City {number}", Ref("x")) for number in range(12)]
    graph = make_graph(Plan((call("x", "f"), *cities)))
    block = next(key for key, box in graph.boxes.items() if box.kind == "block")
    for engine in ("own", "auto"):
        layout = find_layout(graph, engine)
        top = layout.places[block][1] - graph.boxes[block].height / 2
        route = layout.routes["x", block]
        assert route[-1][1] == top - BLOCK_OVER
        assert heading(route)[1] > 0


def test_the_last_line_has_a_box_but_is_no_task():
    """`join()` is reached from all that nobody reads, `join(a)` from a; a list of tasks has no last line."""
    tasks = (call("a", "f"), call("b", "f", Ref("a")), call("c", "f"))
    ends = {one for one, other in make_graph(Plan(tasks)).edges if other == "\0end"}
    assert ends == {"b", "c"}
    assert {one for one, other in make_graph(Plan(tasks, Join(("a",)))).edges if other == "\0end"} == {"a"}
    assert set(shown(draw(Plan(tasks), engine="own").svg)) == {"a", "b", "c"}
    assert "join" not in texts(draw(tasks, engine="own").svg)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_no_arrow_of_two_hundred_random_runs_crosses_a_box_that_it_does_not_belong_to(engine):
    """Calls, expressions and fan-outs of many widths; of every third run there are two rounds."""
    crossed = {}
    for seed in range(200):
        first, second = mixed_plan(seed), ()
        if seed % 3 == 0:
            later = mixed_plan(seed + 1_000, "u", [task.id for task in first])
            second = (DrawnRound(later.tasks, later.final, "a reason"),)
        graph = make_graph(Scene((DrawnRound(first.tasks, first.final), *second)))
        crossed[seed] = grazed(graph, find_layout(graph, engine))
    assert {seed: found for seed, found in crossed.items() if found} == {}


def test_links_pass_behind_the_head_of_a_round_in_the_picture_and_its_png():
    """The head is a bar, drawn after all arrows, as wide as the band; in the PNG links are pale, too."""
    rome = DrawnRound((call("rome", "warm", "Rome"),), Join())
    scene = Scene((rome, DrawnRound((call("mean", "mean", Ref("rome")),), Join(), "a long reason " * 12)))
    picture = draw(scene, engine="own")
    head = re.search(r'<path class="cnb-headline" d="M-12 [\d.]+a12 12 0 0 1 12-12h([\d.]+)a', picture.svg)
    assert picture.svg.rindex("cnb-edge") < head.start() < picture.svg.index("Round 2: a long reason")
    band = float(re.findall(r'class="cnb-ground".*?width="([\d.]+)"', picture.svg)[-1])
    assert float(head[1]) + 24 == pytest.approx(band, abs=0.2)
    asked = []
    to_png(scene, engine="own", programs=[lambda text, *_: asked.append(text) or b"PNG"])
    assert "outputorder=edgesfirst" in asked[0]
    assert asked[0].count(f'color="{PALE}"') == 1


def test_the_reason_of_a_round_stands_in_lines_of_about_one_length():
    """No line is much shorter than the others, one that is too long ends in dots."""
    reason = "no height of Mount Fuji was found; search for it, and compare with the Zugspitze"
    assert head_lines(1, reason) == (
        "Round 2: no height of Mount Fuji was found;",
        "search for it, and compare with the Zugspitze",
    )
    assert head_lines(1, "") == ("Round 2",)
    assert head_lines(1, "more") == ("Round 2: more",)
    assert max(map(len, head_lines(1, reason * 9))) <= HEAD
    assert head_lines(1, reason * 9)[-1].endswith("…")
    assert max(map(len, head_lines(1, "x" * 100))) <= HEAD


@pytest.mark.parametrize("engine", ENGINES)
def test_a_last_line_that_reads_nothing_stands_below_all_of_its_round(engine):
    """`answer(42)` is there from the start, but it is the last line; no arrow says that it needs what stands above."""
    tasks = (call("a", "f"), call("b", "f", Ref("a")), *(call(f"c{number}", "f") for number in range(10)))
    graph = make_graph(Plan(tasks, Return(42)))
    layout = find_layout(graph, engine)
    assert max(layout.places, key=lambda key: layout.places[key][1]) == END
    assert list(layout.routes) == [("a", "b")]
    assert draw(Plan(tasks, Return(42)), engine=engine).svg.count('class="cnb-edge"') == 1
    assert list(make_graph(Plan((), Return(42))).boxes) == [END]


def test_references_to_earlier_rounds_and_an_empty_plan_are_drawn():
    """What is not in the plan has no box; nothing at all is a picture too."""
    assert make_graph(Plan((call("a", "f", Ref("old")),), Return(Ref("older")))).edges == ()
    assert read(draw(Plan((), Return(42)), engine="own").svg).get("aria-label") == "Plan of 0 tasks: nothing to do"
    assert read(draw([], engine="own").svg) is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    "plan", [wide(1_000), random_plan(1_000), random_plan(1_000, window=900), random_plan(5_000), wide(10_000)], ids=len
)
def test_a_large_plan_is_collapsed_and_stays_small(plan):
    """More than 200 tasks are drawn by level and tool, with counts, in less than 150 kB."""
    states = {task.id: STATES[number % 7] for number, task in enumerate(plan)}
    svg = draw(plan, states=states, engine="own").svg
    assert len(svg.encode()) < LIMIT
    assert any(text.startswith(TIMES) for text in texts(svg))
    assert read(svg).get("aria-label").startswith(f"Plan of {len(plan):,} tasks")


@pytest.mark.parametrize("more", [0, 1_000])
def test_a_fanout_without_failed_items_says_so(more):
    """Also in the collapsed picture of a large plan."""
    states = {"rows": "done", "rows[a]": "done", "rows[b]": "failed", "rows[c]": "done"}
    plan = Plan((fanout("rows", "tickers"), *(call(f"t{n}", "f", n) for n in range(more))))
    assert f"{TIMES} 2 of 3" in texts(draw(plan, states=states, engine="own").svg)


def test_a_chain_of_a_thousand_is_clipped_with_a_count():
    """What does not fit is counted in a last box."""
    plan = Plan(tuple(call(f"t{n}", "f", *([Ref(f"t{n - 1}")] if n else [])) for n in range(1_000)))
    assert any(text.startswith("… 9") and text.endswith(" more tasks") for text in texts(draw(plan, engine="own").svg))


def test_tasks_up_to_the_limit_are_drawn_one_by_one():
    """Two hundred calls in a block are all there, in words."""
    svg = draw(wide(FULL - 1), engine="own").svg
    assert svg.count('class="cnb-task ') == FULL
    assert len(svg.encode()) < LIMIT


def test_a_picture_shows_itself_in_a_notebook():
    """SVG for pages, text for terminals and comparison."""
    picture = draw(coasts(), engine="own")
    assert picture._repr_mimebundle_() == {"image/svg+xml": picture.svg, "text/plain": str(picture)}
    assert picture._repr_svg_() == picture.svg
    assert str(picture).startswith('ny    weather("New York")')


GUARDED = "up = check('a')\nh = load('b')\nx = load(h) if up else load('c')\nanswer(x)\n"


@pytest.mark.parametrize(
    ("inner", "own", "shown_state"),
    [
        ({}, "waiting", "waiting"),
        ({"x.1": "running", "x.2": "skipped"}, "waiting", "running"),
        ({"x.1": "done", "x.2": "skipped"}, "done", "done"),
        ({"x.1": "failed", "x.2": "skipped"}, "skipped", "failed"),
    ],
)
def test_an_expression_and_its_guarded_calls_are_one_box(inner, own, shown_state):
    """The box shows the calls where they are made, a cell for each, and the state of the one that is made."""
    plan = Plan.parse(GUARDED)
    graph = make_graph(plan)
    assert list(graph.boxes) == ["up", "h", "x", "\0end"]
    assert graph.boxes["x"].call == 'load(h) if up else load("c")'
    picture = draw(plan, states={"x": own, **inner})
    states = shown(picture.svg)
    assert states == {"up": "waiting", "h": "waiting", "x": shown_state, "x.1": "waiting", "x.2": "waiting"} | inner


def test_a_line_whose_call_was_not_needed_is_not_drawn_as_done():
    """It stands for its call alone, which was skipped."""
    plan = Plan.parse("up = check('a')\nrestart('b') if up else None\nanswer(up)\n")
    states = {"up": "done", "@2": "done", "@2.1": "skipped"}
    assert shown(draw(plan, states=states).svg)["@2"] == "skipped"
    assert shown(draw(plan, states=states | {"@2.1": "done"}).svg)["@2"] == "done"


def test_the_edge_from_a_test_is_marked():
    """It ends in a diamond; an argument's edge does not; so in DOT."""
    plan = Plan.parse(GUARDED)
    graph = make_graph(plan)
    assert graph.guards == {("up", "x")}
    assert graph.edges == (("up", "x"), ("h", "x"), ("x", "\0end"))
    assert draw(plan, engine="own").svg.count("cnb-edge cnb-guard") == 1
    assert draw(plan).more[".dot"]().count("odiamond") == 1
    late = make_graph(
        Plan.parse("up = check('a')\nxs = [load(x) for x in 'ab'] if up else []\nanswer(load('b') if up else xs)")
    )
    assert late.guards == {("up", "xs.1"), ("up", "answer.1")}


BASKET = [tool(name=name, side_effects=name != "total")(lambda *args: None) for name in ("add", "buy", "total")]


def test_the_order_of_side_effects_is_drawn_by_dashed_edges():
    """Where no value goes along: the second `buy` reads the first one's."""
    plan = Plan.parse("add('tea')\nb = buy()\nt = total()\nbuy(b, t)\njoin()\n", tools=BASKET)
    graph = make_graph(plan)
    assert graph.edges == (("@1", "b"), ("b", "t"), ("b", "@4"), ("t", "@4"), ("@4", "\0end"))
    assert graph.turns == {("@1", "b"), ("b", "t")}
    assert draw(plan, engine="own").svg.count("cnb-edge cnb-turn") == 2
    assert draw(plan).more[".dot"]().count("style=dashed") == 2


def test_a_guarded_side_effect_and_a_fan_out_stand_in_the_order_as_boxes():
    """The calls of one box need no edge between them, and what many follow is one edge to their block."""
    text = "x = add('a') if 1 > 2 else buy()\nrows = [add(i) for i in 'ab']\n" + "total()\n" * 12 + "buy()\n"
    graph = make_graph(Plan.parse(text, tools=BASKET), known={"rows[0]": "done", "rows[1]": "done"})
    assert graph.turns == {("x", "rows"), ("rows", "\0block @3"), ("\0block @3", "@15")}


def test_a_guarded_statement_is_called_by_its_tools():
    """It has no name of its own."""
    boxes = make_graph(Plan.parse("up = check('a')\nsend('a') if up else drop('a')")).boxes
    assert boxes["@2"].label == "send or drop"


def test_many_guarded_lines_collapse_like_others():
    """Above 200 boxes, tasks of one level and tool share one."""
    lines = "".join(f"x{number} = load({number}) if up else 0\n" for number in range(FULL + 1))
    plan = Plan.parse(f"up = check('a')\n{lines}")
    picture = draw(plan)
    assert len(make_graph(plan).boxes) < 10
    assert len(picture.svg) < LIMIT


def test_a_picture_says_what_the_cache_knew():
    """Beside each box, in the place of a time: a call, a fan-out and how many of its items, the joiner."""

    def size(x: int) -> int:
        return x

    def run(compiler: Compiler, items: str) -> str:
        found = compiler.run_sync("How much?", inputs={"items": [int(each) for each in items]})
        return str(found.visualize().svg)

    script = {"planner": "a = size(7)\nrows = {i: size(i) for i in items}\njoin(a, rows)\n", "joiner": "done"}
    compiler = Compiler(ScriptedModel(script), [Tool(size, pure=True)], cache="all")
    assert ">cached<" not in run(compiler, "12")
    assert run(compiler, "12").count(">cached<") == 3  # the call, the fan-out, the joiner
    assert ">2 of 3 cached<" in run(compiler, "123")
