"""The matrix of screenshots: each scene on four pages, in two zooms and two themes, with a check that all of it fits.

`python3 make.py shots [FOLDER] [--only SCENE]`. A scene is a notebook that runs to a place and stays there: models and
tools wait for a file that is made when the pictures are taken, so nothing depends on how fast the machine is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.fit import lasting_misfits
from tests.support.lab import command, open_browser, open_notebook, running_lab, shut_down, write_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

SETUP = '''
%load_ext compiler_nb
import asyncio
from pathlib import Path
from compiler_nb import Chunk, ScriptedModel, tool

async def until(name):
    while not Path(name).exists():
        await asyncio.sleep(0.05)

class Halting:
    """A model that stops in the middle of its reply, until a file is there."""
    name, provider = "halting", "lecture"
    def __init__(self, first, rest):
        self.first, self.rest = first, rest
    async def stream(self, request):
        yield Chunk(self.first)
        await until("go")
        yield Chunk(self.rest)
        yield Chunk("", "stop")

@tool
async def search(question: str, wait: bool = False) -> str:
    """Search the encyclopedia."""
    await (until("go") if wait else asyncio.sleep(0.2))
    return f"what is known of {question}"

@tool
async def height(mountain: str, wait: bool = False) -> int:
    """Return the height of a mountain in metres."""
    await (until("go") if wait else asyncio.sleep(0.1))
    return {"Mont Blanc": 4806, "Matterhorn": 4478, "Zugspitze": 2962, "Eiger": 3967, "Ben Nevis": 1345}[mountain]

@tool(side_effects=True)
def send(to: str, text: str) -> str:
    """Send a message."""
    return f"sent to {to}"
'''
TWO = """blanc = height("Mont Blanc")
horn = height("Matterhorn")
about = search("the first ascent of the Matterhorn, and who took part in it", wait=True)
"""
STREAMING = f'''m = Halting("""{TWO}higher = "Mont Blanc" if blanc > horn els""", """e "Matterhorn"
gap = abs(blanc - horn)
story = search(f"why {{higher}} is {{gap}} m higher: {{about}}")
answer(f"{{higher}}, by {{gap}} m")
""")'''
REPLAN = '''m = ScriptedModel({
    "planner": """blanc = height("Mont Blanc")
fuji = height("Mount Fuji")
about = search("mountains of Japan")
join(blanc, fuji)
""",
    "replan": """zug = height("Zugspitze")
more = search("the height of Mount Fuji in metres", wait=True)
best = max(blanc, zug)
join(best, more)
""",
    "joiner": ["Replan: no height of Mount Fuji was found; search for it, and compare with the Zugspitze",
               "Mont Blanc is the highest of those that are known, with **4,806 m**."],
})'''
FANOUT = """%%plan -j 4 --no-raise
names = ["Mont Blanc", "Matterhorn", "Olympus Mons", "Zugspitze", "Mount Doom", "Eiger", "Ben Nevis"]
heights = {n: height(n) for n in names}
texts = [search(n, wait=True) for n in names]
best = max(heights.values())
answer(best)"""
FAILURE = """%%plan --no-raise
blanc = height("Mont Blanc")
doom = height("Mount Doom")
about = search("the mountains of Middle-earth and their volcanoes")
gap = doom - blanc
story = search(f"a tale of {gap} metres")
answer(gap)"""
APPROVAL = """%%plan
blanc = height("Mont Blanc")
first = send("ann@example.org", f"Mont Blanc is {blanc} m high, and this is a message of some length")
second = send("bob", "the same")
answer(first)"""
QUESTION = "Which is higher, Mont Blanc or the Matterhorn, by how much, and since when do we know?"
LIVE = ".cnb-live svg.cnb [data-task='{}'][data-state='{}']"


class Scene(NamedTuple):
    """A notebook's cells, and what is seen when it has come to its place; reopened: if it is saved and opened again."""

    cells: tuple[str, ...]
    seen: tuple[str, ...]
    reopened: bool = False


ASK = f"%%compile -m m\n{QUESTION}"
SCENES = {
    "streaming": Scene((STREAMING, ASK), (LIVE.format("horn", "done"), LIVE.format("about", "running"))),
    "replan": Scene((REPLAN, ASK), (LIVE.format("zug", "done"), LIVE.format("more", "running"))),
    "fanout": Scene((FANOUT,), (LIVE.format("heights", "failed"),)),
    "approval": Scene((APPROVAL,), (".cnb-live .cnb-approve",)),
    "hand": Scene((f"%%compile -m hand\n{QUESTION}",), (".jp-CodeCell:nth-of-type(3)",)),
    "failure": Scene((FAILURE,), (".cnb-out .cnb-error",)),
    "finished": Scene((f"Path('go').touch()\n{STREAMING}", ASK), (".cnb-out .cnb-footer",)),
    "rounds": Scene((f"Path('go').touch()\n{REPLAN}", ASK), (".cnb-out .cnb-footer",)),
    "reopened": Scene(
        (f"Path('go').touch()\n{REPLAN}", ASK, "%compile show"), (".cnb-out .cnb-footer",), reopened=True
    ),
}
PAGES = ("1024_files", "1024", "1280", "1920")
"""Widths in pixels; "files": with JupyterLab's file browser open, which leaves a cell little room."""
ZOOMS = (100, 150)
THEMES = ("light", "dark")
HIGH = 1000
IDLE = "() => [...document.querySelectorAll('.jp-InputPrompt')].every((e) => !e.textContent.includes('*'))"
PLACE = """() => {
  const cells = [...document.querySelectorAll('.jp-CodeCell')];
  const last = cells.filter((e) => e.querySelector('.jp-OutputArea-output')).at(-1);
  last?.querySelector('.jp-OutputArea').scrollIntoView({block: 'start'});
}"""


def take(page: Any, name: str, zoom: int, folder: Path) -> Iterator[str]:
    """Take the pictures of a scene in one zoom; yield what does not fit, in words."""
    page.add_style_tag(content=".Toastify { display: none }")  # JupyterLab's own notes
    for theme in THEMES:
        page.evaluate(
            "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})",
            f"JupyterLab {theme.title()}",
        )
        page.wait_for_selector(f"body[data-jp-theme-light='{str(theme == 'light').lower()}']", state="attached")
        for place in PAGES:
            width, _, files = place.partition("_")
            page.set_viewport_size({"width": int(width) * 100 // zoom, "height": HIGH * 100 // zoom})
            if files:
                command(page, "application:toggle-left-area")
            page.wait_for_timeout(500)
            page.evaluate(PLACE)
            page.wait_for_timeout(300)
            picture = f"{name}_{place}_{zoom}_{theme}.png"
            page.screenshot(path=folder / picture)
            yield from (f"{picture}: {wrong}" for wrong in lasting_misfits(page))
            if files:
                command(page, "application:toggle-left-area")


def sheet(browser: Any, name: str, folder: Path) -> None:
    """Put the pictures of a scene on one page, small, for a first look."""
    pictures = [f"{name}_{place}_{zoom}_{theme}.png" for theme in THEMES for zoom in ZOOMS for place in PAGES]
    rows = "".join(f"<figure><img src='{each}'><figcaption>{each}</figcaption></figure>" for each in pictures)
    style = "body{display:grid;grid-template-columns:repeat(4,1fr);gap:8px;font:12px sans-serif}img{width:100%}"
    (folder / f"{name}.html").write_text(f"<!doctype html><style>{style}</style>{rows}", encoding="utf-8")
    page = browser.new_page(viewport={"width": 3200, "height": 1200})
    page.goto((folder / f"{name}.html").as_uri())
    page.screenshot(path=folder / f"{name}.png", full_page=True)
    page.close()


def play(browser: Any, base: str, notebooks: Path, name: str, *, zoom: int, folder: Path) -> list[str]:
    """Run a scene to its place and take its pictures in one zoom; return what does not fit."""
    scene = SCENES[name]
    own = notebooks / f"{name}_{zoom}"
    own.mkdir()
    write_notebook(own / "scene.ipynb", [SETUP, *scene.cells])
    # To a page, zoom is fewer pixels of its own that are larger.
    page = browser.new_page(viewport={"width": 1280, "height": HIGH}, device_scale_factor=zoom / 100)
    try:
        open_notebook(page, base, f"{own.name}/scene.ipynb")
        command(page, "application:toggle-left-area")
        command(page, "notebook:run-all-cells")
        for selector in scene.seen:
            page.wait_for_selector(selector, state="attached", timeout=60_000)
        if scene.reopened:
            page.wait_for_function(IDLE, timeout=30_000)
            command(page, "docmanager:save")
            page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", timeout=20_000)
            shut_down(page)
            open_notebook(page, base, f"{own.name}/scene.ipynb", kernel=False)
            command(page, "application:toggle-left-area")
            page.wait_for_selector(scene.seen[0], state="attached", timeout=30_000)
        page.wait_for_timeout(800)
        return list(take(page, name, zoom, folder))
    finally:
        (own / "go").touch()
        shut_down(page)
        page.close()


def main(arguments: list[str]) -> int:
    """Take the pictures; the exit code is 1 if something does not fit."""
    parser = argparse.ArgumentParser(prog="make.py shots", description=__doc__)
    parser.add_argument("folder", nargs="?", default="build/shots", type=Path, help="where they go (build/shots)")
    parser.add_argument("--only", default="", choices=("", *SCENES), help="only this scene")
    parser.add_argument("--browser", default="chromium", help="the path of a Chromium")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    with (
        tempfile.TemporaryDirectory() as place,
        running_lab(Path(place)) as base,
        open_browser(options.browser) as browser,
    ):
        for name in (options.only,) if options.only else SCENES:
            notebooks = Path(place) / "notebooks"
            found = [each for zoom in ZOOMS for each in play(browser, base, notebooks, name, zoom=zoom, folder=folder)]
            sheet(browser, name, folder)
            print(f"{name}: {len(found) or 'nothing'} does not fit", *found, sep="\n  ", flush=True)  # noqa: T201 - see below
            wrong += found
    print(f"pictures: {folder}")  # noqa: T201 - it talks to whoever started it
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
