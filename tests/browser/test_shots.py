"""Scenes in a real JupyterLab, narrow and enlarged: everything fits; and what does not is seen."""

from __future__ import annotations

import pytest

from tests.browser.shots import play
from tests.support.fit import misfits

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
BOX = (
    '<g class="cnb-task" data-task="{0}" transform="translate({1} 10)">'
    '<rect class="cnb-box" width="80" height="40"/>{2}</g>'
)
PAGE = """<!doctype html><body><div class="cnb-out" style="width:400px;overflow:auto">
<svg class="cnb" width="300" height="100" viewBox="0 0 300 100">{}</svg>{}</div>"""


def test_what_does_not_fit_is_seen(new_page):
    """Boxes that overlap or leave the picture, a text beyond its box, words that are cut off."""
    text = '<text x="5" y="20">{}</text>'
    page = new_page()
    page.set_content(PAGE.format(BOX.format("a", 10, text.format("short")) + BOX.format("b", 110, ""), "<p>words</p>"))
    assert misfits(page) == []
    boxes = (
        BOX.format("a", 10, text.format("a text that is longer")) + BOX.format("b", 60, "") + BOX.format("c", 250, "")
    )
    cut = '<p style="width:50px;overflow:hidden;white-space:nowrap">words beyond their place</p>'
    page.set_content(PAGE.format(boxes, cut))
    found = misfits(page)
    assert [each.partition(":")[0] for each in found] == ["text", "overlap", "cut off", "cut off"], found
    page.set_content(PAGE.format("", '<div style="width:900px">wide</div>'))
    assert misfits(page) == ["cut off: what is shown is 900 px wide, its place 400"]


@pytest.mark.parametrize("name", ["streaming", "replan", "fanout"])
def test_a_scene_fits(lab, browser, tmp_path, name):
    """At 150 % on each page, also beside the file browser, light and dark; `make.py shots` takes all scenes."""
    base, served = lab
    assert play(browser, base, served, name, zoom=150, folder=tmp_path) == []
    assert len(list(tmp_path.glob("*.png"))) == 8
