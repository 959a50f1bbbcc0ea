"""The live view in a real kernel, and on the page of a real JupyterLab in Chromium.

What is imported here besides the standard library is imported where it is used: other figures are not to feel it.
"""

from __future__ import annotations

import functools
import json
import math
import os
import random
import shutil
import tempfile
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.bench import Figure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.kernel import Kernel

SETUP = """
%load_ext compiler_nb
import asyncio, json, os, time
from compiler_nb import ScriptedModel, tool
from compiler_nb.events import TaskPlanned

starts, firsts = {}, []

@tool
async def slow(n: int, wait: float = 0.05, after: object = None) -> int:
    "Return it later."
    starts[n] = time.time() * 1000
    await asyncio.sleep(wait)
    return n

@tool
async def gate(path: str) -> int:
    "Return when there is such a file."
    while not os.path.exists(path):
        await asyncio.sleep(0.02)
    return 1
"""

# -------------------------------------------------------------------- added wall time

ROUNDS = 11
HUNDRED = "\n".join([*(f"t{number} = slow({number})" for number in range(100)), "answer(t99)"])


def wall() -> float:
    """Return the seconds of a run of 100 tasks of 50 ms at cap 8 that is looked at, over one that is not.

    The lower quartiles of runs in turns: what else the machine does only adds.
    """
    from tests.support.kernel import running_kernel

    seconds: dict[str, list[float]] = {"on": [], "off": []}
    with running_kernel(SETUP) as kernel:
        for number in range(ROUNDS + 1):
            for live, taken in seconds.items():
                taken.append(run_hundred(kernel, live))
                if not number:
                    taken.clear()  # the first one imports
    return quantiles(seconds["on"])[0] / quantiles(seconds["off"])[0]


def run_hundred(kernel: Kernel, live: str) -> float:
    """Return how long a run took, with the live view "on" or "off"."""
    kernel.comms.clear()
    reply = kernel.wait(kernel.send(f"%%plan -j 8 --live {live}\n{HUNDRED}", stdin=True))
    assert reply.status == "ok", reply.error
    assert any("frame" in str(message["content"]) for message in kernel.comms) == (live == "on")
    return float(kernel.value("run.seconds"))


# -------------------------------------------------------------------- what goes over the wire


@functools.cache
def traffic() -> tuple[dict[str, Any], ...]:
    """Return the contents of what a view tells from when 1,000 tasks and their picture are there until the run's end.

    In that time, two seconds, each becomes ready, runs and ends: a first task holds them until the picture has come.
    """
    from tests.support.kernel import running_kernel
    from tests.support.live import LivePage

    with running_kernel(SETUP) as kernel, tempfile.TemporaryDirectory() as folder:
        opened = Path(folder) / "open"
        tasks = [f"t{number} = slow({number}, wait=0.18, after=go)" for number in range(1_000)]
        plan = "\n".join([f"go = gate({str(opened)!r})", *tasks, "answer(t999)"])
        id_ = kernel.send(f"%%plan -j 100\n{plan}", stdin=True)
        page = LivePage(kernel)
        kernel.until_true(lambda: any("<svg" in str(piece) for piece in page.look().pieces), 30)
        kernel.listen_for(0.5)  # nothing else is due then
        before = len(kernel.comms)
        opened.touch()
        reply = kernel.wait(id_)
        assert reply.status == "ok", reply.error
        told = [message["content"] for message in kernel.comms[before:] if message["msg_type"] == "comm_msg"]
        seen = sum(change[0] > 0 for change in page.look().history)
        assert 2_900 <= seen <= 3_000, f"{seen} changes"  # the first hundred may start before they are seen to be ready
    return tuple(told)


def kilobytes(contents: Iterable[dict[str, Any]]) -> float:
    """Return the size of messages' contents, as a kernel writes them."""
    return sum(len(json.dumps(content, ensure_ascii=False).encode()) for content in contents) / 1e3


def most_in_a_second(contents: Iterable[dict[str, Any]]) -> int:
    """Return the most frames that were made within one second."""
    times = [content["data"]["content"]["frame"]["at"] for content in contents]
    return max(sum(first <= at < first + 1 for at in times) for first in times)


# -------------------------------------------------------------------- on the page

STARTS, PICTURES = 100, 9
ANSWERED = """
la = slow(1, wait=0.3)
ny = slow(2, wait=0.2, after=la)
sf = slow(3, wait=0.2)
best = max(la, ny, sf)
answer(f"It is {best}.")
"""
MODEL = f"planner = ScriptedModel({{'planner': {ANSWERED!r}}}, ttft=0.3, tokens_per_second=150)\n"
ASK = "%%compile -m planner\nWhich city is the warmest?"
FIRST = """\
begun = run.events[0]
planned = next(event for event in run.events if isinstance(event, TaskPlanned))
firsts.append((begun.started_at + planned.at - begun.at) * 1000)
print(json.dumps(firsts))"""
WATCH = """() => {
  window.cnbSeen = { colours: {}, pictures: [] };
  const known = new WeakSet();
  const colour = (element, now) => {
    if (element.dataset?.state === "running" && element.closest(".cnb-live svg.cnb-graph")) {
      window.cnbSeen.colours[element.dataset.task] ??= now;
    }
  };
  new MutationObserver((records) => {
    const now = Date.now();
    for (const { target, addedNodes } of records) {
      colour(target, now);
      for (const added of addedNodes) {
        for (const element of added.querySelectorAll?.("[data-task]") ?? []) colour(element, now);
      }
    }
    for (const live of document.querySelectorAll(".cnb-live")) {
      if (known.has(live) || !live.querySelector("svg.cnb-graph [data-task]")) continue;
      known.add(live);
      window.cnbSeen.pictures.push(now);
    }
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-state"] });
}"""
RUN = """async (number) => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = number;
  await window.jupyterapp.commands.execute("notebook:run-cell");
  return notebook.widgets[number].model.outputs.toJSON().map((output) => output.text ?? "").join("");
}"""


class Seen(NamedTuple):
    """Milliseconds: from each task's start to its colour, and from each plan's first line to its first box.

    A start that the page never showed, for the task had ended before, is infinitely late.
    """

    colours: list[float]
    pictures: list[float]


@functools.cache
def seen() -> Seen:
    """Return what a page of a real JupyterLab shows, and how late."""
    from tests.support.lab import open_browser, open_notebook, running_lab, shut_down, write_notebook

    chromium = find_chromium()
    with tempfile.TemporaryDirectory() as folder:
        notebook = Path(folder) / "notebooks" / "bench.ipynb"
        notebook.parent.mkdir()
        write_notebook(notebook, [SETUP + MODEL, ASK, FIRST, many_starts(), "print(json.dumps(starts))"])
        with running_lab(Path(folder)) as base, open_browser(chromium) as browser:
            page = browser.new_page(viewport={"width": 1200, "height": 1600})
            open_notebook(page, base, notebook.name)
            page.evaluate(WATCH)
            try:
                return look(page)
            finally:
                shut_down(page)


def look(page: Any) -> Seen:
    """Run the notebook's cells, and compare what the kernel did with what the page showed."""
    page.evaluate(RUN, 0)
    firsts: list[float] = []
    for _ in range(PICTURES):
        page.evaluate(RUN, 1)
        firsts = json.loads(page.evaluate(RUN, 2))
    pictures = page.evaluate("() => window.cnbSeen.pictures")
    page.evaluate("() => { window.cnbSeen.colours = {}; }")
    page.evaluate(RUN, 3)
    starts = json.loads(page.evaluate(RUN, 4))
    colours = page.evaluate("() => window.cnbSeen.colours")
    assert len(pictures) == len(firsts) == PICTURES
    late = [colours.get(f"t{number}", math.inf) - starts[str(number)] for number in range(STARTS)]
    return Seen(late, [shown - there for shown, there in zip(pictures, firsts, strict=True)])


def many_starts() -> str:
    """Return a cell whose tasks start at times that do not beat with the view's frames; the first with the view."""
    chance = random.Random(1)
    tasks = [f"t{number} = slow({number}, wait={chance.uniform(0.15, 0.35):.3f})" for number in range(STARTS)]
    return "\n".join(["%%plan -j 4", *tasks, "answer(t0)"])


def find_chromium() -> str:
    """Return the path of a Chromium, as make.py found it or as PATH has it; raises LookupError."""
    named = os.environ.get("COMPILER_NB_CHROMIUM", "")
    path = named if named and Path(named).exists() else shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        raise LookupError("no Chromium: install one, or name its path in COMPILER_NB_CHROMIUM")
    return path


def p95(values: list[float]) -> float:
    """Return the value that 95 % do not exceed."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


FIGURES = [
    Figure("live", "live view on / off, seconds of a run of 100 tasks of 50 ms, cap 8", 1.05, 1.01, wall),
    Figure("bytes", "1,000 tasks with 3 changes each in 2 s: frames, kB", 30, 20, lambda: kilobytes(traffic()), "wire"),
    Figure("messages", "the same: most messages in a second", 40, 17, lambda: most_in_a_second(traffic()), "wire"),
    Figure("colour", "task starts -> its colour in JupyterLab, p95, ms", 150, 80, lambda: p95(seen().colours), "page"),
    Figure("picture", "plan's first line -> its box in Lab, ms", 150, 80, lambda: median(seen().pictures), "page"),
]
