"""What the tests of the page share: one Chromium, and one JupyterLab, in which each test has a folder of its own."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.lab import open_browser, running_lab, shut_down

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Any]:
    """Give a Chromium."""
    with open_browser(chromium) as opened:
        yield opened


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the JupyterLab, its settings included."""
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="package")
def lab(place: Path) -> Iterator[tuple[str, Path]]:
    """Give a JupyterLab: its address, and the folder that it serves."""
    with running_lab(place) as base:
        yield base, place / "notebooks"


@pytest.fixture
def new_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Give what opens pages; at the end they are closed, and the kernels of their notebooks stopped."""
    pages: list[Any] = []

    def opened(**options: Any) -> Any:
        pages.append(browser.new_page(**options))
        return pages[-1]

    yield opened
    for page in (each for each in pages if not each.is_closed()):
        if page.url.startswith("http"):
            shut_down(page)
        page.close()


@pytest.fixture(autouse=True)
def _settings_as_they_come(place: Path) -> Iterator[None]:
    """Forget after each test which theme it has chosen."""
    yield
    shutil.rmtree(place / "jupyterlab_settings_dir", ignore_errors=True)
