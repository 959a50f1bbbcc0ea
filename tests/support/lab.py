"""A real JupyterLab in a process of its own, and a Chromium that looks at it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
IDLE = """() => {
  const current = window.jupyterapp?.shell.currentWidget;
  return current?.context?.sessionContext?.session?.kernel?.status === 'idle';
}"""


def free_port() -> int:
    """Return a port of the loopback that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def write_notebook(path: Path, cells: list[str]) -> None:
    """Write a notebook of code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


@contextmanager
def running_lab(folder: Path) -> Iterator[str]:
    """Start a JupyterLab that serves `folder/notebooks` on the loopback; yield its address, and stop it at the end."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    (folder / "notebooks").mkdir(exist_ok=True)
    kinds = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR")
    places = {name: str(folder / name.lower()) for name in kinds}
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.token=",
               "--ServerApp.password=", "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=null",
               "--JupyterNotebookApp.expose_app_in_browser=True", "--ServerApp.port_retries=0"]  # fmt: skip
    log = (folder / "lab.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options, str(folder / "notebooks")],
        env={**os.environ, **places, "PYTHONPATH": path, "JUPYTER_PREFER_ENV_PATH": "1"},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        _wait_for(f"{base}/api/status", process)
        yield base
    finally:
        process.terminate()
        process.wait(20)
        log.close()
        shutil.rmtree(places["JUPYTER_RUNTIME_DIR"], ignore_errors=True)


def _wait_for(address: str, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError("JupyterLab ended at once; see lab.log")
        try:
            with urllib.request.urlopen(address, timeout=1):  # noqa: S310 - it is our own address
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError("JupyterLab did not answer within 60 s")


@contextmanager
def open_browser(chromium: str) -> Iterator[Any]:
    """Yield a Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def open_notebook(page: Any, base: str, name: str, *, kernel: bool = True) -> None:
    """Open a notebook and wait until its cells are there, and its kernel."""
    page.goto(f"{base}/lab/tree/{name}?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    if kernel:
        page.wait_for_function(IDLE, timeout=60_000)


def open_notebook7(page: Any, base: str, name: str) -> None:
    """Open a notebook in Notebook 7, which the same server serves, and wait for its cells and its kernel."""
    page.goto(f"{base}/notebooks/{name}")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_function(IDLE, timeout=60_000)


def command(page: Any, name: str) -> None:
    """Perform a command of JupyterLab, without waiting for what it returns."""
    page.evaluate(f"() => {{ window.jupyterapp.commands.execute('{name}'); }}")


def shut_down(page: Any) -> None:
    """Stop all kernels."""
    page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")
