"""A cell in a real JupyterLab: run, saved, and opened again, trusted and not."""

from __future__ import annotations

import pytest

from tests.support.kernel import SETUP
from tests.support.lab import command, open_notebook, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
HOSTILE = '''
evil = ScriptedModel({"planner": """
a = weather("<img src=http://x.invalid/y onerror=alert(1)> $x^2$")
answer("<script>window.hacked = 1</script> ![i](http://x.invalid/i.png) **bold** and $5 to $6")
"""})
'''
DONE = """(count) => {
  const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map((each) => each.textContent);
  return prompts.length === count && prompts.every((text) => /\\[\\d+\\]/.test(text));
}"""
TASKS = """() => [...document.querySelectorAll('.jp-OutputArea [data-task]')].map((each) => {
  const box = each.getBoundingClientRect();
  return [each.dataset.task, each.dataset.state, box.width > 20 && box.height > 20];
})"""


def images(page) -> list[bool]:
    """Return for each picture in the outputs that stands there as an image whether it is seen and not broken."""
    return page.evaluate("""() => [...document.querySelectorAll('.jp-OutputArea img')].map(
        (each) => each.offsetWidth > 50 && each.naturalWidth > 50)""")


def test_a_cell_is_seen_live_saved_and_opened_again(lab, new_page):
    """The picture stands in the page, after a reload too; in an untrusted one it is an image; nothing acts."""
    base, folder = lab
    cells = [SETUP + HOSTILE, "%%compile -m planner\nWhich name is longest?", "%%compile -m evil\n<b>$a$</b> [x](y)"]
    write_notebook(folder / "first.ipynb", cells)
    page = new_page(viewport={"width": 1200, "height": 1800})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_notebook(page, base, "first.ipynb")
    command(page, "notebook:run-all-cells")
    page.wait_for_function(DONE, arg=3, timeout=60_000)
    page.wait_for_selector("[data-task='a']")
    tasks = [["ny", "done", True], ["la", "done", True], ["sf", "done", True], ["best", "done", True],
             ["a", "done", True]]  # fmt: skip
    assert page.evaluate(TASKS) == tasks
    hover = page.evaluate("() => document.querySelector('[data-task=\"ny\"] title').textContent")
    assert hover == 'ny · done\nweather("New York")\n= {"city": "New York", "max": 8}'
    assert images(page) == [False, False]
    command(page, "docmanager:save")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", timeout=20_000)
    page.wait_for_timeout(500)

    open_notebook(page, base, "first.ipynb")
    page.wait_for_selector("[data-task='best']", timeout=20_000)
    assert page.evaluate(TASKS) == tasks

    text = (folder / "first.ipynb").read_text(encoding="utf-8")
    (folder / "second.ipynb").write_text(
        text.replace("Which name is longest?", "Which name is long?"), encoding="utf-8"
    )
    open_notebook(page, base, "second.ipynb")
    page.wait_for_selector("img.cnb-flat", timeout=20_000)
    assert page.evaluate(TASKS) == []
    assert images(page) == [True, True]
    words = page.evaluate("() => document.querySelectorAll('.jp-OutputArea-output')[0].innerText")
    assert "The longest has 13 letters." in words
    assert "Plan of" not in words
    assert page.evaluate("() => window.hacked") is None
    assert page.evaluate("() => document.querySelectorAll('.jp-OutputArea mjx-container').length") == 0
    assert not [url for url in asked if not url.startswith((base, "data:", "blob:"))]
