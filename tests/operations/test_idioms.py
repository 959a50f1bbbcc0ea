"""Pandas as models write it: what may be called, with which arguments, and how large a result may be."""

from __future__ import annotations

import enum
import time
from typing import Any

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import PlanError
from compiler_nb.operations import idioms
from compiler_nb.tool import tool
from tests.support.expressions import error_of, value_of

pandas = pytest.importorskip("pandas")
numpy = pytest.importorskip("numpy")


@pytest.fixture
def trips():
    """Trips of three cities."""
    return pandas.DataFrame(
        {
            "city": ["Bern", "Rome", "Bern", "Oslo"],
            "km": [10, 20, 30, 40],
            "day": pandas.to_datetime(["2024-01-01", "2024-01-09", "2024-02-01", "2024-03-05"]),
        }
    )


# ------------------------------------------------------------------- a plan


def test_a_number_of_a_table_is_rounded_as_in_pandas(trips):
    """There it is NumPy's, which rounds by a method of its own; a float stays a float."""
    assert value_of("t['km'].mean().round(1)", t=trips) == 25.0
    assert value_of("(t['km'] / 7).mean().round(2)", t=trips) == round(25 / 7, 2)
    assert type(value_of("(t['km'] / 7).mean().round()", t=trips)) is float
    assert value_of("t['km'].max().item()", t=trips) == 40
    assert value_of("(2.5).round()") == numpy.float64(2.5).round() == 2.0
    assert "takes at most" in error_of("(2.5).round(10 ** 6)")
    assert ".round() is for" in error_of("t['city'].max().round()", t=trips)


def test_a_groupby_is_fanned_out_over_its_groups(trips):
    """Each group is the table of its rows; the keys name the tasks."""

    @tool
    def longest(trips: Any) -> int:
        return int(trips["km"].max())

    plan = 'far = {city: longest(part) for city, part in trips.groupby("city")}\nanswer(max(far, key=far.get))'
    run = Compiler(None, [longest]).execute_sync(plan, inputs={"trips": trips})
    assert run.answer == "Oslo"
    assert run["far"] == {"Bern": 30, "Oslo": 40, "Rome": 20}
    assert run["far[Bern]"] == 30


def test_an_exploration_is_written_as_in_a_notebook(trips):
    """Assign by a lambda, group, aggregate by names, sort, look at the first."""
    plan = """
monthly = trips.assign(month=lambda d: d["day"].dt.strftime("%Y-%m"), far=lambda d: d.km > 15)
table = monthly[monthly.far].groupby("month").agg(km=("km", "sum"), trips=("city", "count")).reset_index()
top = table.sort_values("km", ascending=False).iloc[0]
answer(f"{top['month']}: {top['km']} km")
"""
    assert Compiler().execute_sync(plan, inputs={"trips": trips}).answer == "2024-03: 40 km"


def test_a_table_is_never_changed(trips):
    """By no idiom."""
    before = trips.copy()
    for text in (
        "trips.assign(km=0)", "trips.rename(columns={'km': 'x'})", "trips.sort_values('km')",
        "trips.drop(columns=['km'])",
        "trips.fillna(0)", "trips.set_index('city')", "trips.loc[trips.km > 1, 'km']",
    ):  # fmt: skip
        value_of(text, trips=trips)
    pandas.testing.assert_frame_equal(trips, before)


def test_a_column_may_be_named_by_what_is_no_text(trips):
    """Members of an enumeration and days are labels, too."""

    class Field(enum.Enum):
        KM = "km"

    table = trips.rename(columns={"km": Field.KM})
    assert value_of("sum(t[f])", t=table, f=Field.KM) == 100


@pytest.mark.parametrize(
    "text",
    [
        "trips.assign(m=trips.groupby('city')['km'].transform('mean'))", "trips.groupby('city').cumcount()",
        "trips.groupby('city')['km'].transform('size')", "trips.groupby('city').km.cummax()", "trips.km.cummin()",
        "trips.duplicated('city')", "trips[~trips.city.duplicated(keep='last')]", "trips.dtypes.astype(str)",
        "trips.dtypes.astype(str).to_dict()", "trips.astype({'city': 'category'}).dtypes.astype(str)",
    ],
)  # fmt: skip
def test_each_row_gets_what_its_group_or_the_rows_before_it_have(trips, text):
    """As pandas gives it, and types of columns are written as texts."""
    ours, theirs = value_of(text, trips=trips), eval(text, {"trips": trips})  # noqa: S307 - the texts above
    assert ours == theirs if type(ours) is dict else ours.equals(theirs)


def test_a_transform_has_one_name_and_adds_no_texts(trips):
    """The sum of a group's texts, for each of its rows, is what pandas needs ten seconds for."""
    assert "name of one aggregation" in error_of("t.groupby('city').transform(['sum'])", t=trips)
    assert "is for numbers" in error_of("t.groupby('km').city.transform('sum')", t=trips)


# ------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "text",
    [
        "t.query('km > 1')", "t.eval('km')", "t.apply(len)", "t.km.map(str)", "t.pipe(len)", "t.to_csv('x')",
        "t.to_pickle('x')", "t.groupby('city').apply(len)", "t.groupby('city').pipe(len)", "t.agg(len)",
        "t.rename(columns=str)",
        "t.loc[lambda d: d.km > 1]", "t.groupby(lambda x: x)", "t.sort_values('km', key=len)", "t.dropna(inplace=True)",
        "pd.read_csv('x')", "pd.eval('1')", "pd.io", "t.iat[0, 0]", "t._mgr", "t.str.cat(t.city)",
        "t.resample('D').apply(len)",
    ],
)  # fmt: skip
def test_what_takes_code_writes_or_changes_is_refused_before_anything_runs(trips, text):
    """With a problem of the plan."""
    with pytest.raises(PlanError):
        value_of(text, t=trips)


class Sly:
    """An object of a user's that would run if pandas called it."""

    def __call__(self, *_: Any) -> Any:
        raise AssertionError("called")


@pytest.mark.parametrize(
    "text",
    [
        "t.groupby(f)", "t.agg(f)", "t.agg({'km': f})", "t.rename(columns=f)", "t.loc[f]", "t[f]", "t.km.isin([f])",
        "t.fillna(f)", "t.pivot_table(index='city', values='km', aggfunc=f)", "t.assign(x=f)", "pd.concat([t, f])",
        "t.merge(f)", "t.astype(f)", "t.city.str.replace('a', f)", "t.km.clip(f)", "t.sort_values(f)",
        "t.groupby('city').km.transform(f)",
    ],
)  # fmt: skip
def test_a_function_from_the_notebook_is_no_argument(trips, text):
    """Pandas would call it."""
    error_of(text, t=trips, f=Sly())
    error_of(text, t=trips, f=print)


@pytest.mark.parametrize(
    "text",
    [
        "t.groupby('city').km.transform('eval')",
        "t.agg('eval')",
        "t.agg(['apply'])",
        "t.agg({'km': 'query'})",
        "t.agg(x=('km', 'to_csv'))",
    ],
)
def test_an_aggregation_has_one_of_the_names(trips, text):
    """Pandas would look any name up."""
    assert "an aggregation is one of" in error_of(text, t=trips)


def test_a_column_that_is_made_may_have_any_name(trips):
    """Also that of an argument: `n` is what everybody calls a count."""
    assert value_of("trips.groupby('city').agg(n=('km', 'size'))", trips=trips)["n"].to_dict()["Bern"] == 2
    assert value_of("trips.assign(n=0.5, periods='x', func='y')", trips=trips)["n"].unique().tolist() == [0.5]


def test_what_is_no_method_of_this_kind_names_the_kinds_that_have_it(trips):
    """And plain values are told what to write."""
    assert ".assign() is for a table, not Series" in error_of("t.km.assign(x=1)", t=trips)
    assert ".size() is for a groupby or a resample, not DataFrame" in error_of("t.size()", t=trips)
    assert "write list(dict.fromkeys(value))" in error_of("[1].drop_duplicates()")
    assert 'group it first, value.groupby("key")' in error_of("t.transform('sum')", t=trips)
    assert "merge with a table of the old" in error_of("t.city.replace({'Bern': 'B'})", t=trips)


# ------------------------------------------------------------------- how large a result may be

WIDE = 6_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "t.merge(t, on='k')", "t.merge(t, how='cross')", "pd.merge(t, t, left_on='k', right_on='k')",
        "t.pivot_table(index='a', columns='b', values='x')", "t.groupby(['c', 'e'], observed=False).sum()",
        "t[:2].resample('s', on='d')", "pd.concat([t] * 4000)", "wide.melt(id_vars=[0, 1, 2])", "wide.corr()",
        "pd.cut(t.x, 100_000_000)",
        "t.set_index('k').merge(t.set_index('k'), left_index=True, right_index=True)", "t.iloc[[0] * 900_000 * 4]",
        "t.x.quantile([0.5] * 90_000)", "texts.str.replace('a', 'b' * 3000)", "texts.str.contains('a*b')",
        "objects.astype(str)", "objects.cumsum()", "texts.cumsum()", "t.d.dt.strftime('%100000000Y')",
        "t.x.astype('U100000000')",
    ],
)  # fmt: skip
def test_a_result_that_would_be_too_large_is_refused_before_it_is_made(text):
    """In little time and memory: rows of a merge, cells of a pivot table, steps of a resample, texts."""
    rows = 8_000
    table = pandas.DataFrame({
        "k": 1, "x": 1.0, "a": numpy.arange(rows), "b": numpy.arange(rows),
        "c": pandas.Categorical([0] * rows, categories=range(4_000)),
        "e": pandas.Categorical([0] * rows, categories=range(4_000)),
        "d": pandas.to_datetime(["2024-01-01"] + ["2034-01-01"] * (rows - 1)),
    })  # fmt: skip
    values = {
        "t": table,
        "wide": pandas.DataFrame(numpy.zeros((500, WIDE))),
        "texts": pandas.Series(["a" * 100_000] * 10),
        "objects": pandas.Series([[1] * 1_000] * 100),
    }
    began = time.process_time()
    told = error_of(text, **values)
    assert time.process_time() - began < 5
    assert any(
        words in told
        for words in (
            "cells, more than",
            "characters",
            "is for numbers",
            "other objects",
            "without widths",
            "a type is one of",
            "items",
        )
    ), told


@pytest.mark.slow
def test_a_merge_of_keys_that_match_once_is_not_refused():
    """However large its tables."""
    left = pandas.DataFrame({"k": numpy.arange(2_000_000), "x": 1.0})
    assert len(value_of("a.merge(b, on='k')", a=left, b=left)) == 2_000_000


def test_every_idiom_is_a_method_of_pandas_own_class():
    """Each row, for each kind that it names."""
    table = pandas.DataFrame({"s": ["a"], "d": pandas.to_datetime(["2024-01-01"]), "x": [1.0]})
    grouped, stepped = table.groupby("s"), table.resample("D", on="d")
    found = [
        table, table["x"], numpy.array([1.0]), grouped, grouped["x"], stepped, table["x"].rolling(1), table["s"].str,
        table["d"].dt, (table["d"] - table["d"]).dt, table.columns,
    ]  # fmt: skip
    known = {idioms.kind_of_any(each): type(each) for each in found}
    for name, rows in idioms.METHODS.items():
        for kind in {kind for row in rows for kind in row.kinds} & known.keys():
            there = hasattr(known[kind], name) or name in idioms._OF_ARRAYS
            assert there or (name == "total_seconds") != (kind == "TimedeltaProperties"), (name, kind)
