"""What was sent and what came back, in a real JupyterLab: in the live view's details, and below `%compile prompt`."""

from __future__ import annotations

import pytest

from tests.support.lab import command, open_notebook, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
SETUP = '''
%load_ext compiler_nb
from compiler_nb import ScriptedModel, tool

@tool
def price(name: str) -> float:
    """Return a price."""
    return len(name) * 1.5

replies = {"planner": ["x = nope(1)\\n", "x = price('tea')\\nnote = llm('Say <b>x</b>', x)\\njoin(note)\\n"],
           "repair": "x = price('ink')\\nnote = llm('Say it', x)\\njoin(note)\\n",
           "worker": ["four and a half", "<script>alert(1)</script>"], "joiner": ["It is 4.5.", "It is the same."]}
m = ScriptedModel(replies)
'''
CELLS = [
    SETUP,
    "%%prompt planner terse\nBe terse.\n{{rules}}\nTools\n{{tools}}\n{{examples}}",
    "%%compile -m m -q\nWhat does ink cost?",
    "%%compile -m m -q --planner-prompt terse\nWhat does tea cost?",
    "%compile show",
    "%compile prompt",
]
DONE = """() => {
  const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map((each) => each.textContent);
  return prompts.length === 6 && prompts.every((text) => /\\[\\d+\\]/.test(text));
}"""
DRAWER = ".cnb-live .cnb-drawer"
LAST = ".jp-CodeCell:last-child .jp-OutputArea"


def told(page, title):
    """Return the text of the details once they are those of a title."""
    page.wait_for_function(
        "([root, title]) => document.querySelector(`${root} .cnb-drawer-name`)?.textContent === title"
        " && document.querySelector(`${root} .cnb-drawer-body details`)",
        arg=[DRAWER, title],
        timeout=15_000,
    )
    return page.inner_text(f"{DRAWER} .cnb-drawer-body")


def test_a_click_on_planner_joiner_or_task_shows_what_was_sent_and_what_came_back(lab, new_page, tmp_path):
    """With the changes since the run before; nothing of it acts; light and dark."""
    base, served = lab
    write_notebook(served / "prompts.ipynb", CELLS)
    page = new_page(viewport={"width": 1200, "height": 2400})
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    open_notebook(page, base, "prompts.ipynb")
    command(page, "notebook:run-all-cells")
    page.wait_for_function(DONE, timeout=60_000)
    page.wait_for_selector(".cnb-live .cnb-part-title")

    page.click(".cnb-live .cnb-part-title")
    words = told(page, "planner")
    assert "its prompt is your own: terse@" in words
    assert "sent (changes since the run before are marked)" in words
    assert page.inner_text(f"{DRAWER} ins >> nth=0").strip() == "Be terse."
    assert page.locator(f"{DRAWER} del").count() >= 2

    page.click(".cnb-live .cnb-graph .cnb-end[data-joiner]")
    words = told(page, "joiner")
    assert "came back (changes since the run before are marked)" in words
    assert "the same" in page.inner_text(f"{DRAWER} .cnb-changed pre >> nth=1")

    page.click(".cnb-live .cnb-graph [data-task='note']")
    page.click(f"{DRAWER} details summary >> nth=-1")
    assert "<script>alert(1)</script>" in told(page, "note")

    page.click(".cnb-live .cnb-tab >> nth=1")
    page.click(".cnb-live .cnb-model >> nth=0")
    told(page, "planner")
    for theme in ("Light", "Dark"):
        page.evaluate("(name) => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})",
                      f"JupyterLab {theme}")  # fmt: skip
        page.wait_for_selector(f"body[data-jp-theme-light='{str(theme == 'Light').lower()}']", state="attached")
        page.wait_for_timeout(300)
        page.locator(".cnb-live").first.screenshot(path=tmp_path / f"details_{theme}.png")
        page.locator(LAST).screenshot(path=tmp_path / f"prompt_{theme}.png")

    assert "came back (changes since the run before are marked)" in page.inner_text(LAST)
    assert page.locator(f"{LAST} ins").count() >= 2
    assert dialogs == []
