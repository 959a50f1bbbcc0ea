"""How much text a result may hold, and how cheaply the rows of a merge are bounded."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from compiler_nb.operations import joins, sizes, sums
from compiler_nb.operations.growth import check_result
from compiler_nb.operations.joins import _Match
from tests.support.expressions import error_of, value_of

COVERS = ("joins.py", "sizes.py", "sums.py", "texts.py")
pandas = pytest.importorskip("pandas")
numpy = pytest.importorskip("numpy")
ROWS = 50_000
LONG = "'a' * 20000"


@pytest.fixture(scope="module")
def trips():
    """Many trips of a few cities; `part` has gaps, `kind` is a category, and `plain` holds Python's own texts."""
    table = pandas.DataFrame({
        "city": ["Bern", "Rome"] * (ROWS // 2), "km": numpy.arange(ROWS), "part": [None, "a"] * (ROWS // 2),
    })  # fmt: skip
    return table.assign(kind=table["city"].astype("category"), plain=table["city"].astype(object))


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        f"t.assign(y={LONG})", f"t.part.fillna({LONG})", f"t.fillna({{'part': {LONG}}})",
        f"t.city.shift(40000, fill_value={LONG})", f"t.rename(columns={{'city': {LONG}}}).melt(id_vars='km')",
        f"t.city + {LONG}", f"t.plain + {LONG}", f"t[['city', 'part']] + {LONG}", "t.city * 100000", "t.plain * t.km",
        f"t.kind.str.replace('e', {LONG})", f"t.city.str.replace('x*', {LONG}, regex=True)",
        f"t.city.str.replace('', {LONG})", f"pd.cut(t.km, [-1, 40000, 90000], labels=[{LONG}, 'b']).str.upper()",
        f"pd.cut(t.km, [-1, 40000, 90000], labels=[{LONG}, 'b']).str[:]", "huge.astype(str)", "long.iloc[[0] * 40000]",
        "long.loc[[0] * 40000]", "long.c[[0] * 40000]", "t.assign(c=0).merge(long, on='c')",
        "pd.merge(t.assign(c=0), long, how='left', on='c')", "t.merge(long, how='cross')", "pd.concat([long] * 12000)",
        f"pd.concat([t], keys=[{LONG}])", f"t.pivot_table(index='km', columns='city', fill_value={LONG})",
    ],
)  # fmt: skip
def test_text_that_would_not_fit_is_refused_before_it_is_made(trips, text):
    """A long text for each row, repeated or replaced texts, and the texts of a category, of a label or of a match."""
    values = {
        "t": trips, "huge": pandas.Series([10**4_000] * 60_000, dtype=object),
        "long": pandas.DataFrame({"c": 0, "text": ["a" * 20_000]}).assign(c=0),
    }  # fmt: skip
    if "long.c[" in text:
        values["long"] = pandas.DataFrame({"c": ["a" * 20_000]})
    began = time.process_time()
    assert "characters of text, more than" in error_of(text, **values)
    assert time.process_time() - began < 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "t.merge(names, on='city')", "names.merge(t, on='city', how='right')", "t.part.fillna(t.city)",
        "t.city + t.part", "t.iloc[rows]", "t.city[rows]", "t.city.str.replace('e', 'E')", "t.kind.str.upper()",
        "t.assign(y=t.city)", "t[['city', 'part']] + '!'", "t.astype({'km': str})", "t.merge(t[['km']], on='km')",
        "t.city.str.split('e')", "t.plain == 'Bern'", "t.groupby('city')[['km']].cumsum()",
    ],
)  # fmt: skip
def test_what_an_analyst_does_to_texts_is_not_refused(trips, text):
    """However many rows there are."""
    names = pandas.DataFrame({"city": ["Bern", "Rome"], "about": ["a" * 900, "b" * 900]})
    values = {"t": trips, "names": names, "rows": list(range(0, ROWS, 2))}
    theirs = eval(text.replace("t.part.", "t['part'].").replace("t.kind.", "t['kind']."), values)  # noqa: S307 - the texts above
    assert value_of(text, **values).equals(theirs)


def pairs(left, right, on):
    """Return the bounds of the rows of each way to merge, and how many there are."""
    for how in ("inner", "left", "right", "outer"):
        bounds = list(_Match(left, right, (left[on], right[on]), {"how": how}).rows())
        with suppress(AssertionError):  # pandas' own, about categories of other numbers
            made = left.merge(right, on=on, how=how)
            yield bounds, len(made)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([1, 1, 2, 3], [1, 2, 2, 5]),
        ([1.0, None, None, 2.0], [None, 2.0, 2.0, None]),
        ([2**53, 2**53 + 1, 5], [float(2**53), 5.0]),
        (["a", None, "b", "a"], ["a", "a", None, None]),
        ([None, float("nan"), 1, "a"], [float("nan"), None, None, 1]),
        ([200, 100, 200], [200, 200, 100, 7]),
    ],
    ids=["numbers", "gaps", "rounded", "texts", "objects", "more"],
)
@pytest.mark.parametrize("kind", ["", "category", "object", "uint8"])
def test_no_bound_of_a_merge_is_below_the_rows_that_it_makes(left, right, kind):
    """Whatever the keys are: with gaps, equal only by rounding, categories, and of two types."""
    try:
        tables = [pandas.DataFrame({"k": pandas.Series(keys, dtype=kind or None), "j": 1}) for keys in (left, right)]
    except (TypeError, ValueError, OverflowError):
        return  # not numbers
    for on in (["k"], ["k", "j"]):
        for bounds, rows in pairs(*tables, on):
            assert min(bounds) >= rows, bounds
            assert bounds[-1] == rows or kind


def test_the_rows_of_an_everyday_merge_are_not_counted(trips, monkeypatch):
    """A key that occurs once on a side tells enough, and that of the smaller side is looked at first."""
    monkeypatch.setattr("compiler_nb.operations.joins._rows", lambda *sides, **kept: 1 / 0)
    wide = pandas.concat([trips.add_suffix(str(number)) for number in range(60)], axis=1).rename(columns={"km1": "km"})
    check_result("merge", wide, {"right": trips, "on": "km"})
    check_result("merge", trips, {"right": wide, "on": "km", "how": "outer"})


def test_of_two_tables_as_long_the_right_one_is_looked_at_first(monkeypatch):
    """It is what is looked up: each of its keys occurs once, and those of the left one are not counted at all."""
    sides = []
    most_alike = joins._most_alike
    monkeypatch.setattr(joins, "_most_alike", lambda keys: sides.append(keys.iloc[0, 0]) or most_alike(keys))
    monkeypatch.setattr(sizes, "CELLS", 100)
    left, right = pandas.DataFrame({"k": [7] * 10, "x": 1}), pandas.DataFrame({"k": range(10), "y": 2})
    check_result("merge", left, {"right": right, "on": "k"})
    assert sides == [0]


@pytest.mark.parametrize(
    "text",
    [
        "t.plain.sum()", "t.lists.sum()", "t.plain.agg('sum')", "t[['km', 'plain']].sum()", "a.sum()", "a.mean()",
        "t.groupby('one').city.sum()", "t.groupby('one').sum()", "t.groupby('one').agg(all=('city', 'sum'))",
        "t.groupby('one').agg({'plain': ['first', 'sum']})", "t.groupby('one')[['plain']].agg('sum')",
        "t.pivot_table(index='one', values='city', aggfunc='sum')", "t.resample('D', on='day')['city'].sum()",
    ],
)  # fmt: skip
def test_texts_that_pandas_would_add_up_one_by_one_are_refused(few, text, monkeypatch):
    """Each step copies all of them: 300,000 rows take a minute, in which nothing can stop it."""
    monkeypatch.setattr(sums, "COPIED", 1_000)
    told = error_of(text, t=few, a=few.plain.to_numpy())
    assert "would copy what is there for each row" in told
    assert "numeric_only=True" in told


@pytest.mark.parametrize(
    "text",
    [
        "t.km.sum()", "t.sum(numeric_only=True)", "t.groupby('one').km.sum()", "t.groupby('one')[['km', 'one']].sum()",
        "t.groupby('one').sum(numeric_only=True)", "t.groupby('one').agg({'km': 'sum', 'plain': 'first'})",
        "t.groupby('one').agg(km=('km', 'sum'), n=('city', 'size'))", "t.groupby('km').plain.sum()",
        "t.pivot_table(index='one', values='km', aggfunc='sum')", "t.numbers.sum()", "t.plain.max()", "t.plain.min()",
        "t[['city', 'km']].groupby('city').sum()", "t[['city', 'km']].groupby(['city'], as_index=False).agg('sum')",
        "t[['city', 'km']].groupby('city').cumsum()", "t[['city', 'km']].groupby('city').transform('sum')",
        "t[['city', 'km']].pivot_table(index='city', aggfunc='sum')", "t[['city', 'km']].groupby(t.city).km.sum()",
        "t.assign(one=t.km.shift(99)).groupby('one').plain.sum()", "t.fillna(0)[['plain', 'city']].sum(axis=1)",
        "t.groupby('km', as_index=False)[['city', 'plain']].sum()",
    ],
)  # fmt: skip
def test_numbers_and_texts_of_small_groups_are_added_up(few, text, monkeypatch):
    """Columns of texts that are not summed do not matter, nor how many groups there are."""
    monkeypatch.setattr(sums, "COPIED", 1_000)
    ours, theirs = value_of(text, t=few), eval(text, {"t": few})  # noqa: S307 - the texts above
    assert ours.equals(theirs) if hasattr(ours, "equals") else ours == theirs


def test_numbers_pay_nothing_for_what_texts_cost(few, monkeypatch):
    """No cell of them is looked at."""
    monkeypatch.setattr(sums, "_length", lambda column: 1 / 0)
    assert value_of("t.km.sum() + t.groupby('one')[['km']].sum().km.max()", t=few) == 2 * sum(range(40))


@pytest.fixture
def few():
    """Forty rows of texts, lists and numbers, in one group."""
    return pandas.DataFrame({
        "one": 1, "km": range(40), "city": ["Bern"] * 40, "plain": pandas.Series(["Rome"] * 40, dtype=object),
        "numbers": pandas.Series([1.5] * 40, dtype=object),
        "lists": pandas.Series([[1, 2]] * 40), "day": pandas.to_datetime(["2024-01-01"] * 40),
    })  # fmt: skip
