"""Two runs side by side in a real JupyterLab: what the picture says, that all of it fits, and that it is saved."""

from __future__ import annotations

import pytest

from tests.support.fit import lasting_misfits
from tests.support.lab import command, open_notebook, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
SETUP = '''
%load_ext compiler_nb
import asyncio
from compiler_nb import ScriptedModel, tool

@tool
async def search(question: str, limit: int = 5) -> str:
    """Search the encyclopedia."""
    await asyncio.sleep(0.01 * len(question))
    if "Atlantis" in question:
        raise LookupError("nothing is known of Atlantis")
    return f"what is known of {question}"

@tool
def compare(*texts: str) -> str:
    """Compare some texts."""
    return max(texts, key=len)

@tool
def shout(text: str) -> str:
    """Write a text in capitals."""
    return text.upper()

def model(plan, answer):
    return ScriptedModel({"planner": plan, "joiner": answer}, ttft=0.05, tokens_per_second=300)

one = model("""
sea = search("the Mediterranean Sea")
atlantis = search("Atlantis")
river = search("the longest river of Europe")
pages = {t: search(t) for t in ["Rome", "Oslo"]}
best = compare(sea, river)
note = shout(best)
join(note)
""", "The **Volga** is the longest river of Europe.\\nIt flows into the Caspian Sea.")
two = model("""
mediterranean = search("the Mediterranean Sea")
river = search("the longest river of Europe and of Asia", limit=3)
pages = {t: search(t) for t in ["Rome", "Bergen", "Wien"]}
lake = search("the largest lake <b>of Europe</b>")
best = compare(mediterranean, river, lake)
note = shout(best)
join(note)
""", "The **Ob** is the longest river of both.\\nIt flows into the Arctic Ocean.")
'''
CELLS = [
    SETUP,
    "%%compile -m one -o base --live off\nWhich river is longest?",
    "%%compile -m two -o terse --live off\nWhich river is longest?",
    "%compile diff base terse",
]
DONE = """() => {
  const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map((each) => each.textContent);
  return prompts.length === 4 && prompts.every((text) => /\\[\\d+\\]/.test(text));
}"""
LAST = ".jp-CodeCell:last-child .jp-OutputArea"
BOXES = """(root) => [...document.querySelectorAll(`${root} svg.cnb-diff [data-diff]`)].map((each) => {
  const box = each.getBoundingClientRect(), mark = getComputedStyle(each.querySelector('.cnb-disc')).fill;
  return [each.dataset.task ?? '', each.dataset.diff, box.width > 20 && box.height > 20, mark,
          each.querySelector('.cnb-mark').getAttribute('d')];
})"""
KINDS = {
    "mediterranean": "renamed",
    "atlantis": "dropped",
    "river": "changed",
    "pages": "changed",
    "lake": "added",
    "best": "changed",
    "note": "affected",
    "": "same",
}
ROWS = """(root) => [...document.querySelectorAll(`${root} svg.cnb-time .cnb-row`)].map((row) => {
  const bar = row.querySelector('.cnb-span'), name = row.querySelector('text').textContent;
  return [name, row.getBoundingClientRect().top, bar ? bar.getBoundingClientRect().left : null];
})"""


def themed(page, theme: str) -> None:
    """Change the theme of JupyterLab."""
    page.evaluate(
        "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", f"JupyterLab {theme}"
    )
    light = str(theme == "Light").lower()
    page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached")
    page.wait_for_timeout(300)


def test_a_prompt_engineer_sees_what_a_prompt_did(lab, new_page, tmp_path):
    """Each task once, told apart by colour and mark; timelines on one axis; all fits, light, dark, narrow, zoomed."""
    base, served = lab
    write_notebook(served / "diff.ipynb", CELLS)
    page = new_page(viewport={"width": 1200, "height": 2600})
    open_notebook(page, base, "diff.ipynb")
    command(page, "notebook:run-all-cells")
    page.wait_for_function(DONE, timeout=60_000)
    page.wait_for_selector(f"{LAST} svg.cnb-diff")
    boxes = page.evaluate(BOXES, LAST)
    assert {task: kind for task, kind, *_ in boxes} == KINDS
    assert all(seen for _, _, seen, *_ in boxes)
    looks = {kind: (colour, mark) for _, kind, _, colour, mark in boxes if kind not in ("same", "renamed")}
    assert len({colour for colour, _ in looks.values()}) == len(looks) == 4
    assert len({mark for _, mark in looks.values()}) == 4
    words = page.inner_text(LAST)
    assert "base → terse: tasks: 3 changed, 1 added, 1 dropped, 1 affected, 1 renamed" in words

    rows = page.evaluate(ROWS, LAST)
    names = [name for name, *_ in rows]
    assert names[: len(names) // 2].index("best") == names[len(names) // 2 :].index("best")
    assert names.count("lake") == names.count("atlantis") == 2
    half = len(rows) // 2
    heights = [rows[half + place][1] - row[1] for place, row in enumerate(rows[:half])]
    assert max(heights) - min(heights) < 8  # a row is 25 pixels high, and its frames reach out of it

    for theme in ("Light", "Dark"):
        themed(page, theme)
        assert lasting_misfits(page, LAST) == []
        page.locator(LAST).screenshot(path=tmp_path / f"diff_{theme}.png")
    command(page, "docmanager:save")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", timeout=20_000)
    page.close()

    page = new_page(viewport={"width": round(1024 / 1.5), "height": 1600}, device_scale_factor=1.5)
    open_notebook(page, base, "diff.ipynb")
    page.wait_for_selector(f"{LAST} svg.cnb-diff", timeout=20_000)
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    page.wait_for_timeout(300)
    assert {task: kind for task, kind, *_ in page.evaluate(BOXES, LAST)} == KINDS
    for theme in ("Light", "Dark"):
        themed(page, theme)
        assert lasting_misfits(page, LAST) == []
        page.locator(LAST).screenshot(path=tmp_path / f"diff_narrow_{theme}.png")
