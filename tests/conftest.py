"""What all tests share: fuzzing by a seed, a Chromium, and a closing word on what did not run."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, settings

from compiler_nb.drawing.preferences import PREFERENCES
from compiler_nb.models import providers
from tests.support.scale import factor, times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

os.environ.setdefault("COMPILER_NB_HISTORY", "off")  # kernels would leave a file in the folder that they start in
settings.register_profile(
    "house",
    deadline=None,  # a shared machine is slow now and then
    derandomize=factor() == 1,  # a test run is the same each time; a soak draws by its seed
    database=None,
    max_examples=times(100),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("house")


def pytest_configure() -> None:
    """Feel the interrupts that tests send to themselves, even in a job of a shell's background, which begins deaf."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count what asks the cluster among the slow: whichever test comes first waits for three processes."""
    for item in items:
        if "dask_client" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")


def pytest_collection_finish() -> None:
    """Keep the thousands of collected tests out of every later garbage collection, which would look at each of them."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Take what a promise's test has tried and found, for the report of `make.py soak`."""
    return partial(record_property, "figure")


@pytest.fixture(scope="session")
def dask_client() -> Iterator[object]:
    """A client of a cluster with two workers, the same for all tests."""
    from tests.support.cluster import started

    with started() as client:
        yield client


NO_BROWSER = "no Chromium: install one, or name its path in COMPILER_NB_CHROMIUM"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium, as make.py found it or as PATH has it; without one the test does not run, and says so."""
    named = os.environ.get("COMPILER_NB_CHROMIUM", "")
    path = named if named and Path(named).exists() else shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        pytest.skip(NO_BROWSER)
    return path


def did_not_run(skipped: list[tuple[str, str]]) -> list[str]:
    """Return a line for each reason, from (file, reason) of the tests that were skipped."""
    reasons = Counter((reason.removeprefix("Skipped: "), file) for file, reason in skipped)
    return [f"Did not run: {count} in {file}: {reason}" for (reason, file), count in sorted(reasons.items())]


@pytest.fixture(autouse=True)
def _asyncio_stays_unpatched() -> Iterator[None]:
    """Fail the test that lets nest-asyncio patch this process: all later tests would leak their loops."""
    yield
    if getattr(asyncio, "_nest_patched", False):
        pytest.fail("this test patched asyncio for the whole process: run it in a kernel, or in a process of its own")


@pytest.fixture(autouse=True)
def _pictures_as_usual() -> Iterator[None]:
    """Forget after each test how `%config` wants pictures: that holds for the whole process."""
    yield
    PREFERENCES.layout, PREFERENCES.scale = "auto", 1.0


@pytest.fixture(autouse=True)
def _keys_are_forgotten() -> Iterator[None]:
    """Forget the keys that a test has set: they hold for the whole process."""
    yield
    providers._KEYS.clear()


AGAIN = "tried again"
"""The property of a report whose page was late at first; the last lines name these tests."""


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Try a test in a real browser a second time if a page was late; a wrong page fails at once."""
    if item.get_closest_marker("browser") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    failed = [str(report.longrepr) for report in reports if report.failed]
    if failed and all("playwright._impl._errors.TimeoutError" in text for text in failed):
        item._initrequest()  # type: ignore[attr-defined]  # its own fixtures anew
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        reports[-1].user_properties.append((AGAIN, item.nodeid))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say at the very end, before pytest's own count, which tests did not run, and why."""
    yield
    reports = terminalreporter.stats.get("skipped", [])
    skipped = [(r.nodeid.split("::")[0], str(r.longrepr[2])) for r in reports if isinstance(r.longrepr, tuple)]
    told = [report for reports in terminalreporter.stats.values() for report in reports]
    properties = [each for report in told for each in getattr(report, "user_properties", ())]
    again = sorted({str(value) for key, value in properties if key == AGAIN})
    lines = [f"Tried again, since the page was late: {name}" for name in again] + did_not_run(skipped)
    for text in lines:
        terminalreporter.write_line(text, yellow=True)
    if file := os.environ.get("COMPILER_NB_DID_NOT_RUN"):  # make.py runs pytest more than once, and says it at the end
        with Path(file).open("a", encoding="utf-8") as told_by_make:
            told_by_make.writelines(f"{text}\n" for text in lines)
