"""A tool that changes a table which is its argument is told of: by name, with the argument and what was changed."""

from __future__ import annotations

import threading
from typing import Any

import pandas as pd
import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.engine.altered import change_of, mark
from compiler_nb.events import Warned
from compiler_nb.tool import tool

# ruff: noqa: PD002 - what careless tools do is tested
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


def table():
    """Return a table with columns of several kinds, each in an array of its own."""
    made = pd.DataFrame({"a": [1, 2, 3], "b": [1.5, None, 2.5], "t": ["x", "y", None]})
    made["day"] = pd.date_range("2026-01-01", periods=3, tz="Asia/Tokyo")
    made["kind"] = made["t"].astype("category")
    made["n"] = made["a"].astype("Int64")
    return made


def warned(run):
    """Return the warnings of a run."""
    return [(event.task, event.message.replace('"', "'")) for event in run.events if isinstance(event, Warned)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda df: df.__setitem__("new", 1), "column 'new' added"),
        (lambda df: df.__setitem__("a", df["a"] * 2), "column 'a' changed"),
        (lambda df: df.loc.__setitem__((0, "b"), 9.0), "column 'b' changed"),
        (lambda df: df.iloc.__setitem__((1, 2), "z"), "column 't' changed"),
        (lambda df: df.at.__setitem__((0, "n"), 9), "column 'n' changed"),
        (lambda df: df.loc.__setitem__((0, "day"), df["day"].iloc[2]), "column 'day' changed"),
        (lambda df: df.loc.__setitem__((0, "kind"), "y"), "column 'kind' changed"),
        (lambda df: df.drop(columns=["a", "b"], inplace=True), "columns 'a', 'b' dropped"),
        (lambda df: df.pop("t"), "column 't' dropped"),
        (lambda df: df.dropna(inplace=True), "3 rows became 1"),
        (lambda df: df.fillna({"b": 0}, inplace=True), "column 'b' changed"),
        (lambda df: df.sort_values("a", ascending=False, inplace=True), "its index was replaced"),
        (lambda df: df.set_index("a", inplace=True), "its index was replaced; column 'a' dropped"),
        (lambda df: df.rename(columns={"a": "z"}, inplace=True), "column 'z' added; column 'a' dropped"),
        (lambda df: setattr(df, "columns", list("uvwxyz")), "columns 'u', 'v', 'w', 'x', 'y' and 1 more added"),
        (lambda df: df.__setitem__("a", df["a"].astype("int8")), "column 'a' changed"),
    ],
)  # fmt: skip
def test_every_way_to_change_a_table_is_seen(change, told):
    """By its columns, its rows, its labels and its values."""
    changed = table()
    before = mark(changed)
    change(changed)
    assert change_of(before).replace('"', "'").startswith(told)


@pytest.mark.parametrize(
    "read",
    [
        lambda df: df.describe(), lambda df: df.to_numpy(), lambda df: df["a"].sum(), lambda df: df.copy(),
        lambda df: df.assign(x=1), lambda df: df.groupby("t")["a"].sum(), lambda df: df.sort_values("b"),
        lambda df: df._consolidate_inplace(), lambda df: df.__setitem__("a", df["a"].copy()), lambda df: df.T,
        lambda df: df.merge(df), lambda df: df[["a", "b"]].__setitem__("a", 0),
    ],
)  # fmt: skip
def test_a_tool_that_only_reads_is_not_accused(read):
    """Nor one that replaces a column by an equal one, or lets pandas join its arrays."""
    read_only = table()
    before = mark(read_only)
    read(read_only)
    assert change_of(before) == ""


def test_a_column_and_a_table_with_labels_that_repeat_are_seen_too():
    """In fewer words."""
    column, twice = table()["a"], table()[["a", "a"]]
    marks = mark(column), mark(twice)
    column.iloc[0] = 7
    twice.iloc[0, 1] = 7
    assert [change_of(each) for each in marks] == ["its values changed", "its columns were replaced"]


# -------------------------------------------------------------------- in a run


@tool
def clean(orders: Any) -> int:
    """Add a column to the argument, as a careless tool does."""
    orders["rank"] = range(len(orders))
    return len(orders)


@tool
async def clean_async(orders: Any) -> int:
    """Do the same in a coroutine."""
    orders.pop("t")
    return len(orders)


@tool
def load() -> Any:
    """Return a table."""
    return table()


@tool
def count(orders: Any) -> int:
    """Only read it."""
    return int(orders.describe().shape[0])


def test_an_analyst_is_told_which_tool_changed_which_table():
    """By tool, parameter and input; tools that only read are not named."""
    orders = table()
    plan, compiler = "a = count(orders)\nb = clean(orders)\n", Compiler(None, [clean, count], max_concurrency=1)
    run = compiler.execute_sync(plan, {"orders": orders})
    assert run.status == "done"
    ((task, message),) = warned(run)
    assert task == "b"
    assert message == (
        "clean changed its argument orders (the input orders): column 'rank' added; other tasks may read the same "
        "table, so let the tool work on a copy (.copy())"
    )


def test_the_result_of_another_task_is_named():
    """Also if a coroutine changes it, and by name if the plan says it so."""
    run = Compiler(None, [load, clean_async]).execute_sync("df = load()\nb = clean_async(orders=df)\n")
    ((task, message),) = warned(run)
    assert task == "b"
    assert message.startswith("clean_async changed its argument orders (the result df): column 't' dropped; ")


def test_a_table_inside_a_dict_is_watched():
    """As far as one level."""

    @tool
    def use(data: Any) -> int:
        """Change one of them."""
        del data["orders"]["a"]
        return 1

    run = Compiler(None, [use]).execute_sync("b = use(given)\n", {"given": {"orders": table(), "n": 1}})
    ((_, message),) = warned(run)
    assert message.startswith("use changed its argument data['orders']: column 'a' dropped")


def test_calls_that_share_a_table_at_a_time_are_all_named():
    """Which of them it was cannot be seen; it is told once."""
    both = threading.Barrier(2, timeout=10)

    @tool
    def first(df: Any) -> int:
        """Change it while the other one reads."""
        both.wait()
        df["x"] = 1
        both.wait()
        return 1

    @tool
    def second(df: Any) -> int:
        """Read it."""
        both.wait()
        both.wait()
        return len(df)

    run = Compiler(None, [first, second]).execute_sync("a = first(df)\nb = second(df)\n", {"df": table()})
    ((_, message),) = warned(run)
    assert message.startswith("first or second changed their argument df (the input df): column 'x' added")


def test_a_tool_that_changes_a_table_and_then_fails_is_named():
    """The change stays, so it is told."""

    @tool
    def half(df: Any) -> int:
        """Change it and fail."""
        df["x"] = 1
        raise OSError("no")

    run = Compiler(None, [half]).execute_sync("a = half(df)\n", {"df": table()})
    assert run.failures["a"].message == "OSError: no"
    assert [task for task, _ in warned(run)] == ["a"]


class Fitted:
    """A fitted model: an object of a class that nobody knows."""


def test_a_table_a_model_and_a_figure_reach_the_next_task_as_themselves():
    """By reference, also within a dict and through an expression."""
    figures = pytest.importorskip("matplotlib.figure")
    given = {"table": table(), "model": Fitted(), "figure": figures.Figure()}
    got = []

    @tool
    def hand(name: str) -> Any:
        """Return one of them."""
        return given[name]

    @tool
    def take(one: Any, both: Any) -> int:
        """Keep them."""
        got.append((one, both["x"]))
        return 1

    for name, value in given.items():
        Compiler(None, [hand, take]).execute_sync(f'a = hand("{name}")\nb = {{"x": a}}\nc = take(a, b)\n')
        assert [each is value for each in got.pop()] == [True, True]


def test_an_input_that_is_deleted_or_rebound_meanwhile_is_what_it_was():
    """The run holds the object that it was given."""
    begun, go_on = threading.Event(), threading.Event()
    names = {"df": table()}

    @tool
    def wait(df: Any) -> int:
        """Return its length when the name means something else."""
        begun.set()
        assert go_on.wait(10)
        return len(df)

    def rebind() -> None:
        assert begun.wait(10)
        names["df"] = None
        del names["df"]
        go_on.set()

    other = threading.Thread(target=rebind)
    other.start()
    run = Compiler(None, [wait]).execute_sync('a = wait(df)\nb = df["a"].sum() + a\nanswer(b)\n', {"df": names["df"]})
    other.join()
    assert (run.answer, len(run.inputs["df"])) == (9, 3)
