"""The live view in a real JupyterLab and Notebook 7: seen while a cell runs, clicked, reloaded, frozen and saved."""

from __future__ import annotations

import nbformat
import pytest

from tests.support.busy import tasks_of
from tests.support.kernel import SETUP
from tests.support.lab import command, open_notebook, open_notebook7, shut_down, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
TOOLS = '''
from pathlib import Path

@tool
async def held(n: object, gate: str = "go") -> object:
    "Return it once the test has made a file: what the page must catch goes on until it was seen."
    while not Path(gate).exists():
        await asyncio.sleep(0.02)
    return n

@tool
async def late(n: object, wait: float) -> object:
    "Return it later, once the test has made a file."
    await held(n)
    await asyncio.sleep(wait)
    return n

@tool
async def broken(n: object) -> object:
    "Fail."
    raise ValueError("search failed, 404")

@tool(side_effects=True)
def send(to: str) -> str:
    "Send."
    return f"sent to {to}"

hostile = ScriptedModel({"planner": """
a = held("<img src=http://x.invalid/a onerror=window.hacked=1> <script>window.hacked=2</script>")
b = held(f"{a} </text></svg><script>window.hacked=3</script> [x](http://x.invalid/b)")
join(a, b)
""", "joiner": "<script>window.hacked=4</script> ![i](http://x.invalid/c) <b onclick=x>bold</b>"},
    tokens_per_second=400)
'''
CELLS = {
    "steer": ["%%plan -j 1\na = held(1)\nb = held(2)\nc = held(3, 'never')\njoin()", "print('after', a, b)"],
    "busy": ["%%plan\na = held(1)\nanswer(a)"],
    "approve": ["%%plan\na = send('ann')\nb = send('bob')\nc = held(3)\nanswer(a)", "print('after', a)"],
    "hands": ["%%plan\na = held(1, 'never')\nb = broken(2)\nc = held([a, b])\nanswer(c)", "print('after', c)"],
    "interrupt": ["%%plan\na = held(1)\nb = held(2, 'never')"],
    "reload": ["%%plan -b -o behind\na = held(1, '.')\nb = held(2)\nanswer(b)"],
    "freeze": ["%%compile -m planner\nWhich city has the longest name?", "print('after', best)"],
    "fanout": ["%%plan -j 8\nxs = [held(x, '.' if x < 10 else 'go') for x in range(40)]\nanswer(len(xs))"],
    "hostile": ["%%compile -m hostile\n<script>window.hacked=5</script> <img src=http://x.invalid/d onerror=x()>"],
    "many": ["%%plan -j 50\nxs = [late(x, 0.2) for x in range(500)]\nys = [late(x, 0.05) for x in xs]\nanswer(1)"],
    "show": ["%%plan -q\na = late(1, 0.1)\nb = late(a, 0.1)\nanswer(b)", "%compile show"],
    "reopened": ["%%plan -q\na = late(1, 0.1)\nanswer('so $x^2$, for $5 to $6\\n\\n|a|n|\\n|-|-|\\n|x|1|')",
                 "%compile show"],
    "again": ["%%plan -q --approve auto\na = held(1)\nb = send('ann')\nc = held([a, b])\nanswer(c)",
              "%compile show", "old, b = run, 'mine'",
              "print(run is old, run.answer, run.order.past.parent == old.id, b)"],
}  # fmt: skip
UNFOUND = """() => {  // as in a page whose style sheets have no `:has`
    const style = document.querySelector('.cnb-still > style');
    style.textContent = style.textContent.replaceAll('{display:none}', '{}').replace('@supports not', '@supports');
    return parseFloat(getComputedStyle(document.querySelector('.lm-Panel.jp-OutputArea-output')).fontSize);
}"""
PROMPT = "(number) => document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')[number].textContent"
STATE = """(id) => document.querySelector(`.cnb-live svg.cnb [data-task="${id}"]`)?.dataset.state"""
SEEN = f"([id, state]) => ({STATE})(id) === state"
ENDED = f"([number]) => /\\[\\d+\\]/.test(({PROMPT})(number))"


@pytest.fixture(scope="module")
def lab(lab):
    """Give the JupyterLab with a notebook for each of CELLS, in a folder of their own: its address and that folder."""
    folder = lab[1] / "live"
    folder.mkdir()
    for name, cells in CELLS.items():
        write_notebook(folder / f"{name}.ipynb", [SETUP + TOOLS, *cells])
    return lab[0], folder


@pytest.fixture
def go(lab):
    """Give the file that tools wait for; it is not there until a test has made it."""
    gate = lab[1] / "go"
    gate.unlink(missing_ok=True)
    return gate


@pytest.fixture
def page(new_page):
    """Give a page that notes what it asks for."""
    made = new_page(viewport={"width": 1200, "height": 1600})
    made.asked = []
    made.on("request", lambda request: made.asked.append(request.url))
    return made


def run(page, lab, name, *, opened=open_notebook):
    """Open a notebook and run all its cells; wait for the live view."""
    opened(page, lab[0], f"live/{name}.ipynb")
    command(page, "notebook:run-all-cells")
    page.wait_for_selector(".cnb-live", timeout=60_000)


def until(page, id_, state, timeout=60_000):
    """Wait until a task is seen in a state."""
    page.wait_for_function(SEEN, arg=[id_, state], timeout=timeout)


def until_ended(page, number, timeout=60_000):
    """Wait until a cell's prompt has its number."""
    page.wait_for_function(ENDED, arg=[number], timeout=timeout)


def until_said(page, words):
    """Wait until words are seen in the notebook: outputs come after the cell's number."""
    page.wait_for_function("(words) => document.querySelector('.jp-Notebook').innerText.includes(words)", arg=words)


def saved(page, lab, name):
    """Save the notebook and return it."""
    command(page, "docmanager:save")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", timeout=20_000)
    page.wait_for_timeout(300)
    return nbformat.read(lab[1] / f"{name}.ipynb", as_version=4)


@pytest.mark.parametrize("front", [open_notebook, open_notebook7], ids=["lab", "notebook"])
def test_paused_gone_on_and_stopped_by_its_buttons(lab, page, go, front):
    """A task is seen to run while the prompt says so; nothing starts in the pause; stop ends the cell normally."""
    run(page, lab, "steer", opened=front)
    until(page, "a", "running")
    assert page.evaluate(PROMPT, 1) == "[*]:"
    page.click(".cnb-live button:has-text('Pause')")
    page.wait_for_selector(".cnb-live button:has-text('Resume')")
    go.touch()
    until(page, "a", "done")
    page.wait_for_timeout(400)
    assert page.evaluate(STATE, "b") in ("ready", "waiting")
    page.click(".cnb-live button:has-text('Resume')")
    until(page, "c", "running")
    page.click(".cnb-live button:has-text('Stop')")
    until_ended(page, 2)
    until_said(page, "after 1 2")


def test_jupyterlab_says_busy_while_a_cell_waits(lab, page, go):
    """Although the kernel goes on to answer what pages ask it, each time with "idle"."""
    run(page, lab, "busy")
    until(page, "a", "running")
    page.wait_for_timeout(1_000)
    for _ in range(5):
        assert "Busy" in page.inner_text("#jp-main-statusbar")
        page.wait_for_timeout(200)
    go.touch()
    until_ended(page, 1)
    page.wait_for_function("() => document.querySelector('#jp-main-statusbar').innerText.includes('Idle')")


def test_approved_and_denied_by_its_buttons(lab, page, go):
    """What has side effects waits; one is approved, the other denied, and the cell goes on."""
    run(page, lab, "approve")
    page.click("button[aria-label='Approve a']")
    until(page, "a", "done")
    page.click("button[aria-label='Deny b']")
    until(page, "b", "failed")
    go.touch()
    until_ended(page, 2)
    until_said(page, "after sent to ann")
    until_said(page, "b (failed: send was not approved)")


def test_one_task_is_given_a_value_in_its_details(lab, page, go):
    """By the keyboard; what was skipped for it runs, and a refusal is said where it was asked for."""
    go.touch()
    run(page, lab, "hands")
    until(page, "b", "failed")
    page.click('.cnb-live svg.cnb [data-task="b"]')
    page.wait_for_selector(".cnb-hands:not([hidden]) .cnb-retry")
    page.fill(".cnb-value", "open('x')")
    page.press(".cnb-value", "Enter")
    page.wait_for_selector(".cnb-drawer-body >> text=takes an expression")
    page.fill(".cnb-value", "[3, 4]")
    page.press(".cnb-value", "Enter")
    until(page, "b", "done")
    page.wait_for_selector(".cnb-drawer-body >> text=set by you")
    page.click('.cnb-live svg.cnb [data-task="a"]')
    assert page.is_visible(".cnb-skip")
    page.fill(".cnb-value", "1")
    page.click(".cnb-set")
    until_ended(page, 2)
    until_said(page, "after [1, [3, 4]]")


def test_a_task_is_run_again_from_its_details_when_the_run_is_over(lab, page, go):
    """The view shows the new run, whose results are variables; what it would do is said before, side effects named."""
    go.touch()
    run(page, lab, "again")
    until_ended(page, 3)
    until(page, "c", "done")
    page.click('.cnb-live svg.cnb [data-task="b"]')
    said = "runs again: b, c; side effects, asked for again only if their arguments changed: b"
    page.wait_for_selector(f".cnb-rerun-row:not([hidden]) >> text={said}")
    page.click('.cnb-live svg.cnb [data-task="c"]')
    page.wait_for_selector(".cnb-rerun-row >> text='runs again: c'")
    go.unlink()
    page.click(".cnb-rerun")
    until(page, "c", "running")
    go.touch()
    until(page, "c", "done")
    page.wait_for_selector(".cnb-live >> text=bound: ")
    page.wait_for_selector(".cnb-rerun-row:not([hidden]) >> text='runs again: c'")
    page.click(".jp-CodeCell >> nth=4 >> .jp-Editor")
    command(page, "notebook:run-cell")
    page.wait_for_selector("text=False [1, 'sent to ann'] True mine")


def test_the_kernels_stop_button_stops_it(lab, page, go):
    """The cell shows KeyboardInterrupt, and the picture with what had finished."""
    go.touch()
    run(page, lab, "interrupt")
    until(page, "a", "done")
    until(page, "b", "running")
    command(page, "notebook:interrupt-kernel")
    until_ended(page, 1)
    until_said(page, "KeyboardInterrupt")
    page.wait_for_selector(".jp-OutputArea svg [data-task='b'][data-state='cancelled']")


def test_a_page_that_is_reloaded_in_mid_run_sees_all_of_it(lab, page, go):
    """The view is there again with what has happened, and follows to the end."""
    run(page, lab, "reload")
    until(page, "b", "running")
    saved(page, lab, "reload")
    open_notebook(page, lab[0], "live/reload.ipynb", kernel=False)
    page.wait_for_selector(".cnb-live svg.cnb [data-task='a']", timeout=30_000)
    assert page.evaluate(STATE, "a") == "done"
    assert page.evaluate(STATE, "b") == "running"
    go.touch()
    until(page, "b", "done")


def test_at_its_end_it_becomes_a_picture_that_is_saved(lab, page):
    """No widget is left; the notebook holds SVG, PNG, HTML and text, and grows by at most 50 kB beyond its picture."""
    open_notebook(page, lab[0], "live/freeze.ipynb")
    command(page, "notebook:run-all-cells")
    until_ended(page, 2)
    page.wait_for_function("() => !document.querySelector('.cnb-live')")
    (output,) = saved(page, lab, "freeze").cells[1].outputs
    assert set(output.data) == {"text/plain", "text/html", "image/svg+xml", "image/png"}
    rest = len(str(output.data)) - sum(len(output.data[kind]) for kind in ("image/svg+xml", "image/png"))
    assert rest < 50_000 + 2.4 * len(output.data["image/svg+xml"])  # the page holds the picture twice


def test_a_fan_out_of_forty_is_one_stack_with_forty_cells(lab, page, go):
    """Items are seen to end one by one in the stack's bar; a click opens them."""
    run(page, lab, "fanout")
    page.wait_for_function("() => document.querySelectorAll('.cnb-live .cnb-bar [data-task]').length === 40")
    page.wait_for_function("""() => { const of = (state) =>
        document.querySelectorAll(`.cnb-live .cnb-bar [data-state="${state}"]`).length;
        return of('done') > 5 && of('running') > 0; }""")
    go.touch()
    until_ended(page, 1)


def test_a_thousand_tasks_leave_the_page_smooth(lab, browser, page, go):
    """Two stages of 500 items: the page works for 100 ms at a time at most, at the best of three tries."""
    worst = []
    while len(worst) < 3 and min(worst, default=200) > 100:
        go.unlink(missing_ok=True)
        run(page, lab, "many")
        until(page, "xs", "running")
        with tasks_of(browser, page) as busy:
            go.touch()
            until(page, "xs", "done")
        assert len(busy) > 20
        worst.append(max(busy))
        until_ended(page, 1)
    assert min(worst) <= 100, worst


@pytest.mark.promise
def test_nothing_that_models_and_tools_say_acts(lab, page, go):
    """Hostile text everywhere, live and frozen: no script runs, no request leaves the page."""
    run(page, lab, "hostile")
    page.wait_for_selector(".cnb-live svg.cnb [data-task='a']")
    page.focus(".cnb-live svg.cnb [data-task='a']")
    page.keyboard.press("Enter")
    page.wait_for_selector(".cnb-drawer-body >> text=window.hacked")
    go.touch()
    until_ended(page, 1)
    page.wait_for_timeout(300)
    assert page.evaluate("() => window.hacked") is None
    assert not [url for url in page.asked if not url.startswith((lab[0], "data:", "blob:"))]


def test_a_finished_run_is_opened_again_in_the_dark(lab, page, go):
    """`%compile show` opens the whole view: a click on a task tells its value; colours are those of the theme."""
    go.touch()
    open_notebook(page, lab[0], "live/show.ipynb")
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    command(page, "notebook:run-all-cells")
    page.wait_for_selector(".cnb-live svg.cnb [data-task='b']", timeout=60_000)
    assert page.evaluate(STATE, "b") == "done"
    page.click(".cnb-live svg.cnb [data-task='b'] .cnb-box")
    page.wait_for_function("() => /value/.test(document.querySelector('.cnb-live').innerText)", timeout=10_000)
    ink = page.evaluate("() => getComputedStyle(document.querySelector('.cnb-live svg.cnb text')).fill")
    assert ink == "rgb(236, 239, 244)"


def test_a_saved_show_is_a_still_picture_without_a_kernel(lab, page, go):
    """The live view is seen while there is a kernel, and then the picture, its plan and its formula; never an error."""
    go.touch()
    run(page, lab, "reopened")
    seen = """() => ['.cnb-live', '.cnb-still .cnb-inline [data-task=a]', '.cnb-still mjx-container'].map((each) =>
        [...document.querySelectorAll(`.jp-OutputArea ${each}`)].some((found) => found.checkVisibility()))"""
    page.wait_for_function(f"() => JSON.stringify(({seen})()) === '[true,false,false]'", timeout=20_000)
    saved(page, lab, "reopened")
    shut_down(page)
    open_notebook(page, lab[0], "live/reopened.ipynb", kernel=False)
    page.wait_for_function(f"() => JSON.stringify(({seen})()) === '[false,true,true]'", timeout=20_000)
    words = page.evaluate("() => document.querySelector('.jp-Notebook').innerText")
    assert "Error displaying widget" not in words
    assert "for $5 to $6" in words
    assert page.locator(".cnb-still .cnb-line").first.text_content() == "a = late(1, 0.1)\n"
    sides = "() => [...document.querySelectorAll('.cnb-still td')].map((each) => getComputedStyle(each).textAlign)"
    assert page.evaluate(sides) == ["left", "right"]  # JupyterLab sets all cells to the right
    plan = page.locator(".cnb-still .cnb-line").first
    assert not plan.is_visible()
    page.set_viewport_size({"width": 1024 * 2 // 3, "height": 1000})
    lines = "(each) => each.offsetHeight / parseFloat(getComputedStyle(each).lineHeight)"
    assert page.locator(".cnb-still .cnb-footer").evaluate(lines) < 1.5
    assert page.evaluate(UNFOUND) == 0
    page.emulate_media(media="print")
    assert plan.evaluate("(each) => each.checkVisibility({contentVisibilityAuto: true}) && each.offsetHeight > 5")
