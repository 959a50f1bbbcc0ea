"""The table of figures: it measures all, marks each, and fails nothing."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from tests.bench import Figure
from tests.bench.__main__ import as_json, line
from tests.bench.live import find_chromium, kilobytes, most_in_a_second, p95
from tests.bench.measure import collect, measure, measure_apart


def figure(value):
    """Return a figure with gate 2 and goal 1.5 that measures to a value."""
    return Figure("small", "something small", 2.0, 1.5, lambda: value)


def test_marks():
    """A figure is at its goal, within its gate, or over it."""
    assert [measure(figure(value)).mark for value in (1.5, 1.6, 2.0, 2.1)] == ["goal", "gate", "gate", "over"]


def test_a_broken_measurement_is_shown_in_its_line():
    """What a measurement raises is said where its value would stand."""
    broken = measure(Figure("small", "something small", 2.0, 1.5, lambda: 1 / 0))
    assert broken.value is None
    assert "ZeroDivisionError: division by zero" in line(broken)


def process_of(name):
    """Return the process that this is measured in, if it does not die of it."""
    if name == "dies":
        os._exit(1)
    return float(os.getpid()), ""


def process_in(name):
    """Note this process in a file, and return how many are in it."""
    with Path(name).open("a+", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
        file.seek(0)
        return float(len(set(file.read().split()))), ""


@pytest.mark.slow
def test_of_several_processes_the_median_counts(tmp_path):
    """Unless one of them could not measure the figure."""
    several = Figure(str(tmp_path / "processes"), "", 2.0, 1.5, float, processes=3)
    dead = Figure("dies", "", 2.0, 1.5, float, processes=2)
    assert [each.value for each in measure_apart([several], process_in)] == [2.0]
    assert [each.error for each in measure_apart([dead], process_of)] == ["its process died"]


@pytest.mark.slow
def test_each_figure_has_a_process_of_its_own():
    """One that dies harms no other; figures that share a measurement share the process."""
    figures = [Figure(*each, None, group) for *each, group in (
        ("one", "", 1, 1, ""), ("dies", "", 1, 1, ""), ("two", "", 1, 1, "shared"), ("three", "", 1, 1, "shared"),
    )]  # fmt: skip
    one, dead, two, three = measure_apart(figures, process_of)
    assert (dead.value, dead.error) == (None, "its process died")
    assert len({os.getpid(), one.value, two.value}) == 3
    assert two.value == three.value


def test_json_holds_what_the_table_shows():
    """The file has a row for each figure, with value, gate, goal and mark."""
    (row,) = json.loads(as_json([measure(figure(1.2))]))
    assert row == {"name": "small", "what": "something small", "value": 1.2, "gate": 2.0, "goal": 1.5, "mark": "goal"}
    assert line(measure(figure(1.2))).split()[:5] == ["small", "1.2", "2", "1.5", "goal"]


def test_figures_have_names_of_their_own():
    """`--only` can name each, and a goal is no laxer than its gate."""
    figures = collect()
    names = [figure.name for figure in figures]
    assert len(set(names)) == len(names)
    assert {"live", "bytes", "messages", "colour", "picture"} <= set(names)
    assert all(figure.goal <= figure.gate for figure in figures)


def test_a_figure_of_the_page_says_where_there_is_no_browser(monkeypatch, tmp_path):
    """Its line says what to do; a path that leads nowhere is no browser."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("COMPILER_NB_CHROMIUM", str(tmp_path / "none"))
    with pytest.raises(LookupError, match="no Chromium: install one, or name its path in COMPILER_NB_CHROMIUM"):
        find_chromium()
    (colour,) = (figure for figure in collect() if figure.name == "colour")
    assert "not measured: LookupError: no Chromium" in line(measure(colour))


def test_a_browser_is_the_one_that_is_named(monkeypatch, tmp_path):
    """COMPILER_NB_CHROMIUM wins over PATH."""
    named = tmp_path / "chromium"
    named.touch()
    monkeypatch.setenv("COMPILER_NB_CHROMIUM", str(named))
    assert find_chromium() == str(named)


def test_frames_are_weighed_and_counted():
    """Kilobytes as on the wire; the most frames in any second, however the others lie."""
    contents = [{"data": {"content": {"frame": {"at": at, "phase": "é"}}}} for at in (0.0, 0.9, 1.1, 1.5, 1.89, 3.0)]
    one = '{"data": {"content": {"frame": {"at": 0.0, "phase": "é"}}}}'
    assert kilobytes(contents[:1]) == len(one.encode()) / 1000
    assert most_in_a_second(contents) == 4


def test_the_slow_end_of_many_values():
    """Of 100 values 95 are not above it; some that never came do not hide the others, and more of them are seen."""
    values = [float(number) for number in range(1, 101)]
    assert p95(values) == 95
    assert p95([*values[:95], *[math.inf] * 5]) == 95
    assert p95([*values[:94], *[math.inf] * 6]) == math.inf
