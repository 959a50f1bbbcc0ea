"""A grid in a real JupyterLab: its bar, its table sorted by a click, saved, and opened again, trusted and not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.lab import command, open_notebook, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
SETUP = """
%load_ext compiler_nb
import asyncio
from pathlib import Path
from compiler_nb import Compiler, ScriptedModel, tool

@tool
async def double(x: float) -> float:
    "Return twice a number, once the test has seen the bar."
    while not Path("bar_was_seen").exists():
        await asyncio.sleep(0.02)
    return 2 * x

def write(request):
    number = len(model.calls)
    return f"a = double({number % 3})\\nb = double(1)\\nanswer(a + b)\\n"

model = ScriptedModel({"planner": write}, ttft=0.15, name="wobbly")
steady = {"planner": ScriptedModel({"planner": "a = double(2)\\nanswer(a)\\n"}, name="steady")}
evil = {"planner": ScriptedModel({"planner": "answer('<script>window.hacked = 1</script> $x$')"}, name="evil")}
"""
COMPARE = """compiler = Compiler(model, [double])
await compiler.compare([('What is 2 * 2?', 4), ('What is 3 * 1?', 2)], {'base': {}, 'steady': steady}, repeat=3,
                       score=lambda question, answer, expected: answer == expected)"""
CELLS = [
    SETUP,
    "%%compile -m model --variants base,steady,evil --repeat 8\nWhat is twice two?",
    COMPARE,
    "grid['steady', 0, 7].answer",
]
DONE = """(count) => {
  const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map((each) => each.textContent);
  return prompts.length === count && prompts.every((text) => /\\[\\d+\\]/.test(text));
}"""
ROWS = """([table, column]) => [...document.querySelectorAll('.jp-OutputArea table.cnb-cells')][table]
    .querySelectorAll(`tbody td:nth-child(${column})`).values().toArray()
    .map((each) => [each.getBoundingClientRect().top, each.textContent])
    .sort((one, other) => one[0] - other[0]).map((each) => each[1])"""


def rows(page, column: int, table: int = 0) -> list[str]:
    """Return the texts of a column of a table, from the top."""
    found: list[str] = page.evaluate(ROWS, [table, column])
    return found


def shot(page, name: str) -> None:
    """Keep a picture, if somebody wants to look at it."""
    if folder := os.environ.get("COMPILER_NB_SHOTS"):
        page.screenshot(path=str(Path(folder, f"{name}.png")))


def test_a_user_reads_a_grid_sorts_it_and_opens_a_run(lab, new_page):
    """While it runs there is a bar; a click on a head sorts, a second one turns it round; saved it is a plain table."""
    base, folder = lab
    write_notebook(folder / "grid.ipynb", CELLS)
    page = new_page(viewport={"width": 1300, "height": 1500})
    open_notebook(page, base, "grid.ipynb")
    command(page, "notebook:run-all-cells")
    page.wait_for_selector(".cnb-bar", timeout=60_000)
    shot(page, "grid_bar")
    (folder / "bar_was_seen").touch()
    page.wait_for_function(DONE, arg=4, timeout=60_000)
    page.wait_for_function("() => document.querySelectorAll('.jp-OutputArea table.cnb-cells').length === 3")
    assert rows(page, 1) == ["base", "steady", "evil"]
    stable = rows(page, 4)
    heads = page.locator(".jp-OutputArea table.cnb-cells").nth(0).locator("th")
    heads.nth(3).click()
    assert rows(page, 4) == sorted(stable, key=lambda text: int(text[:-1]))
    heads.nth(3).click()
    assert rows(page, 4) == sorted(stable, key=lambda text: -int(text[:-1]))
    heads.nth(0).click()
    assert rows(page, 1) == ["base", "evil", "steady"]
    assert rows(page, 1, table=1) == ["base", "steady"]  # another table on the page stays as it was
    page.locator(".jp-OutputArea table.cnb-cells").nth(0).locator("details summary").nth(1).click()
    assert 'grid["steady", 0, 7]' in page.evaluate("() => document.querySelector('.cnb-cells').innerText")
    shot(page, "grid_light")
    command(page, "docmanager:save")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", timeout=20_000)
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    page.wait_for_timeout(1_500)
    shot(page, "grid_dark")

    text = (folder / "grid.ipynb").read_text(encoding="utf-8")
    saved = json.loads(text)
    assert "4.0" in json.dumps(saved["cells"][3]["outputs"])
    told = saved["cells"][1]["outputs"][0]["data"]["text/plain"]
    assert "".join(told).splitlines()[0] == "3 variants \u00d7 1 question \u00d7 8 repetitions: 24 cells"
    assert "<script" not in "".join(saved["cells"][1]["outputs"][0]["data"]["text/html"])
    (folder / "other.ipynb").write_text(text.replace("What is twice two?", "What is two?"), encoding="utf-8")
    open_notebook(page, base, "other.ipynb")  # which this server does not trust
    page.wait_for_selector(".cnb-cells", timeout=20_000)
    words = page.evaluate("() => document.querySelectorAll('.jp-OutputArea-output')[0].innerText")
    shot(page, "grid_untrusted")
    assert "steady" in words
    assert "100%" in words
    assert "scorescore" not in words.replace("\t", "").replace("\n", "")
    assert page.evaluate("() => window.hacked") is None
    assert page.evaluate("() => document.querySelectorAll('.jp-OutputArea mjx-container').length") == 0
