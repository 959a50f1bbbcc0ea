"""Pictures fit: on narrow and wide pages, zoomed or not, light and dark, while a plan streams and when it is whole."""

from __future__ import annotations

from itertools import pairwise

import pytest

from compiler_nb.drawing.live import Sketch, draw_whole
from compiler_nb.drawing.scene import DrawnRound, Scene, scene_of
from compiler_nb.drawing.svg import draw
from compiler_nb.notebook.output.footer import Noted, footer_html
from compiler_nb.notebook.output.page import page_of
from compiler_nb.notebook.output.show import Look, plan_bundle
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Join, Return
from compiler_nb.plan.tree import Ref
from tests.support.fit import misfits
from tests.support.page import DONE, READY, RUNNING, LivePage, start, states, task
from tests.support.pictures import call, coasts, random_plan, wide

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
FILMS = Plan.parse(
    'barbie = search("Barbie")\noppenheimer_and_friends = search("Oppenheimer")\ndune = search("Dune")\n'
    'total = barbie["gross"] + oppenheimer_and_friends["gross"]\ntotal_eur = convert(total, "EUR")\n'
    'WWWWWWMMMMMM = [review(x) for x in range(40)]\nx = load(dune) if total else save(total)\nanswer(total_eur)\n'
)  # fmt: skip
AGAIN = Scene((
    DrawnRound((call("rome", "warm", "Rome"), call("lost", "warm", "Atlantis")), Join()),
    DrawnRound(
        (call("athens", "warm", "Athens"), call("mean", "mean", Ref("rome"), Ref("athens"))), Return(Ref("mean")),
        "Atlantis is no city of this world, so that its temperature cannot be looked up: compare Rome with Athens",
    ),
))  # fmt: skip
SCENES = [scene_of(plan) for plan in (coasts(), FILMS, wide(8), wide(30), *(random_plan(n, n, 8) for n in (5, 12, 24)))]
PAGES = [(width, zoom, light) for width in (1024, 1280, 1920) for zoom in (1.0, 1.5) for light in ("true", "false")]
INSIDE = """(id) => { const rect = (one) => document.querySelector(one).getBoundingClientRect();
  const box = rect(`.cnb-graph [data-task="${id}"] > .cnb-box`), frame = rect(".cnb-graph");
  return box.left >= frame.left - 1 && box.right <= frame.right + 1 && box.bottom <= frame.bottom + 1; }"""
MARGINS = 180
"""Pixels of a page that JupyterLab keeps for itself."""


def opened(browser, width, zoom, light):
    """Return a view on a page of this width in real pixels; and close it."""
    room = {"width": int(width / zoom) - MARGINS, "height": int(900 / zoom)}
    live = LivePage(browser.new_page(viewport=room, device_scale_factor=zoom))
    return live.open(start(), theme=light)


@pytest.mark.parametrize(("width", "zoom", "light"), PAGES)
def test_no_text_leaves_its_box_and_nothing_is_cut_off(browser, width, zoom, light):
    """In the live view with times, when all is shown; and in the still picture."""
    live = opened(browser, width, zoom, light)
    for scene in [*SCENES, AGAIN]:
        tasks = scene.tasks
        rows = [task(each.id, kind=each.kind, line=number) for number, each in enumerate(tasks, 1)]
        ran = [(number, RUNNING, 100) for number in range(len(tasks))] + [(n, DONE, 12_400) for n in range(len(tasks))]
        whole = {"svg": draw_whole(scene).svg, "groups": []}
        live.number = 0
        live.tell(frame=start(n=0, at=20, tasks=rows, graph=whole, states=states(*ran)))
        live.page.click(".cnb-zoom-fit")
        live.come_to_rest()
        assert misfits(live.page, ".cnb-graph-pane") == []
        live.page.evaluate(
            "(svg) => { document.body.insertAdjacentHTML('beforeend', `<p class=still>${svg}`); }", draw(scene).svg
        )
        assert misfits(live.page, ".still") == []
        live.page.evaluate("() => document.querySelector('.still').remove()")
    live.page.close()


@pytest.mark.parametrize(("width", "zoom"), [(1024, 1.5), (1280, 1.0)])
def test_a_box_that_arrives_is_inside_the_frame_at_once(browser, width, zoom):
    """In the first frame that shows it, and with its call."""
    live = opened(browser, width, zoom, "true")
    sketch = Sketch()
    for number, each in enumerate(FILMS.tasks[:5]):
        piece = sketch.add(each)
        graph = {"boxes": [[number, piece.box]], "edges": list(piece.edges), "bounds": list(piece.bounds)}
        live.number += 1
        frame = {"n": live.number, "at": 1, "tasks": [task(each.id, kind=each.kind)], "graph": graph}
        live.page.evaluate(
            """(frame) => new Promise((done) => {
                model.tell({frame}); requestAnimationFrame(() => requestAnimationFrame(done)); })""",
            frame,
        )
        assert misfits(live.page, ".cnb-graph-pane") == []
        assert live.page.evaluate(INSIDE, each.id)
        assert live.count(".cnb-small") == 0
    live.page.close()


def test_beside_the_file_browser_boxes_stay_legible_and_the_picture_scrolls_in_its_frame(browser):
    """At 1,024 px and 150 % a cell has some 310 px: calls and times stay, and scroll bars lead to the rest."""
    page = browser.new_page(viewport={"width": 310, "height": 667}, device_scale_factor=1.5)
    live = LivePage(page).open(start())
    rows = [task(each.id, kind=each.kind, line=number) for number, each in enumerate(FILMS.tasks, 1)]
    whole = {"svg": draw_whole(FILMS, engine="own").svg, "groups": []}
    ran = [(number, change, 100) for number in range(len(rows)) for change in (RUNNING, DONE)]
    live.tell(frame=start(tasks=rows, graph=whole, states=states(*ran)))
    live.come_to_rest()
    scale = "(box) => box.getBoundingClientRect().width / box.getAttribute('width')"
    assert page.locator(".cnb-graph .cnb-box").first.evaluate(scale) == pytest.approx(0.7, abs=0.01)
    assert live.count(".cnb-small") == 0
    assert page.locator(".cnb-graph .cnb-call").first.is_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    right = (
        "() => [...document.querySelectorAll('.cnb-graph .cnb-box')].map((each) => each.getBoundingClientRect().right)"
    )
    assert max(page.evaluate(right)) > 310
    page.locator(".cnb-across").evaluate("(bar) => { bar.scrollLeft = bar.scrollWidth; }")
    page.wait_for_function(f"() => Math.max(...({right})()) < 310")
    assert misfits(page, ".cnb-live") == []
    page.click(".cnb-zoom-fit")
    live.come_to_rest()
    assert not page.locator(".cnb-across").is_visible()
    assert max(page.evaluate(right)) < 310
    page.close()


def test_beside_the_file_browser_each_column_of_the_table_has_room(browser):
    """Heads lie over no others: columns that have no room are left out; approvals wrap."""
    page = browser.new_page(viewport={"width": 310, "height": 667}, device_scale_factor=1.5)
    live = LivePage(page).open(start()).feed(0.5, tasks=[task("first", tool="send"), task("second", tool="send")])
    words = '"ann@example.org", "a message of some length that has to wrap"'
    live.feed(0.6, states=states((0, READY, 100)), held=[[0, "approval", words, "m", ""]])
    page.locator(".cnb-tab").nth(2).click()
    live.settle()
    heads = page.locator(".cnb-table-head > button:visible")
    assert heads.all_text_contents() == ["task", "state", "time", "value"]
    edges = [(box["x"], box["x"] + box["width"]) for box in (head.bounding_box() for head in heads.all())]
    assert all(one[1] <= other[0] for one, other in pairwise(edges))
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert misfits(page, ".cnb-live") == []
    page.close()


def test_in_little_room_the_plan_is_folded_once_it_is_written(browser):
    """So that the graph is seen; a button shows it again. While it is written it is there."""
    page = browser.new_page(viewport={"width": 310, "height": 667})
    live = LivePage(page).open(start())
    about = {"round": 0, "role": "planner", "reason": "", "closed": False}
    live.feed(0.5, sections=[[0, about]], text=[[0, "x = load()\n"]], tasks=[task("ny", line=1)])
    assert page.locator(".cnb-plan").is_visible()
    whole = {"svg": draw_whole(coasts(), engine="own").svg, "groups": []}
    live.feed(0.6, sections=[[0, about | {"closed": True}]], graph=whole)
    page.wait_for_function("() => !document.querySelector('.cnb-plan').checkVisibility()")
    page.click(".cnb-fold")
    assert page.locator(".cnb-plan").is_visible()
    page.close()


def test_a_still_picture_keeps_its_size_in_little_room_and_scrolls(browser):
    """In a cell beside the file browser: not below seven tenths; on paper it is as wide as the page."""
    page = browser.new_page(viewport={"width": 310, "height": 667})
    plan = plan_bundle(FILMS, Look())["text/html"]
    page.set_content(plan)
    width = "() => document.querySelector('.cnb-inline > svg').getBoundingClientRect().width"
    whole = float(page.locator(".cnb-inline > svg").get_attribute("width"))
    assert page.evaluate(width) == pytest.approx(0.7 * whole, abs=1)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.emulate_media(media="print")
    assert page.evaluate(width) < 310
    page.close()


FOOTER = "12 tasks \u00b7 6.2 s; one by one 11.4 s \u00b7 1,240 tokens \u00b7 not bound: best (yours), note (skipped)"


@pytest.mark.parametrize("live", [True, False], ids=["live", "still"])
def test_on_a_narrow_page_the_last_line_folds_whole_parts(browser, live):
    """It never ends in "not ...": a part that has no room stands in the fold, which opens."""
    page = browser.new_page(viewport={"width": 310, "height": 667})
    if live:
        LivePage(page).open(start()).tell(frame={"n": 1, "at": 2, "footer": FOOTER})
    else:
        parts = [Noted(part, is_time=part.startswith("6.2")) for part in FOOTER.split(" \u00b7 ")]
        page.set_content(page_of([footer_html(parts)]))
    seen = """(line) => { const {bottom} = line.getBoundingClientRect();
      return [...line.children].filter((part) => part.getBoundingClientRect().top < bottom - 2)
        .map((part) => [part.textContent, part.getBoundingClientRect().bottom <= bottom + 2]); }"""
    line = page.locator(".cnb-footer > summary")
    shown = line.evaluate(seen)
    assert shown[0] == ["12 tasks", True]
    assert all(whole for _, whole in shown)
    assert len(shown) < 4
    assert line.text_content() == FOOTER
    line.click()
    assert len(line.evaluate(seen)) == 4
    page.close()


def test_code_breaks_at_spaces_or_operators(browser):
    """Where no space is near, after a bracket or an operator; never within a word, and what is copied stays whole."""
    live = opened(browser, 1024, 1.5, "true")
    text = 'total = convert(barbie["gross"]+oppenheimer["gross"]+dune["gross"]+another_long_name["gross"])\n'
    about = {"round": 0, "role": "planner", "reason": "", "closed": False}
    for piece in (text[:20], text[20:60], text[60:]):
        live.feed(1.0, sections=[[0, about]], text=[[0, piece]])
    live.page.set_viewport_size({"width": 330, "height": 600})
    live.settle()
    broken = live.page.evaluate("""() => {
      const source = document.querySelector(".cnb-source"), range = document.createRange(), found = [];
      const letters = [...source.childNodes].flatMap(
        (node) => [...(node.data ?? "")].map((each, at) => [node, at, each]));
      const tops = letters.map(([node, at]) => { range.setStart(node, at); range.setEnd(node, at + 1);
        return range.getBoundingClientRect().top; });
      letters.forEach(([, , each], at) => {
        if (at && tops[at] > tops[at - 1] + 5) found.push(letters[at - 1][2] + each); });
      return found; }""")
    assert broken
    assert all(not (one.isalnum() and other.isalnum()) for one, other in broken), broken
    assert live.page.evaluate("() => document.querySelector('.cnb-source').textContent") == text.strip()
    live.page.close()


def test_a_scale_makes_the_view_larger(browser):
    """For large rooms: words and boxes of the view grow, and all still fits."""
    live = opened(browser, 1280, 1.0, "true")
    plan = coasts()
    rows = [task(each.id, line=number) for number, each in enumerate(plan.tasks, 1)]
    whole = {"svg": draw_whole(plan, engine="own").svg, "groups": []}
    high = "() => document.querySelector('.cnb-question').getBoundingClientRect().height"
    live.tell(frame=start(tasks=rows, graph=whole))
    usual = live.page.evaluate(high)
    about = start()["run"] | {"scale": 1.5}
    live.tell(frame=start(tasks=rows, graph=whole) | {"run": about})
    live.come_to_rest()
    assert live.page.evaluate(high) == pytest.approx(1.5 * usual, rel=0.05)
    assert misfits(live.page, ".cnb-graph-pane") == []
    live.page.close()
