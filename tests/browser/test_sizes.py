"""Pictures fit: on narrow and wide pages, zoomed or not, light and dark, while a plan streams and when it is whole."""

from __future__ import annotations

import pytest

from compiler_nb.drawing.live import Sketch, draw_whole
from compiler_nb.drawing.scene import DrawnRound, Scene, scene_of
from compiler_nb.drawing.svg import draw
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Join, Return
from compiler_nb.plan.tree import Ref
from tests.support.fit import misfits
from tests.support.lab import open_browser
from tests.support.page import DONE, RUNNING, LivePage, start, states, task
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
MARGINS = 180
"""Pixels of a page that JupyterLab keeps for itself."""


@pytest.fixture(scope="module")
def browser(chromium):
    """Give one Chromium to all tests."""
    with open_browser(chromium) as opened:
        yield opened


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
        assert live.count(".cnb-small") == 0
    live.page.close()


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
