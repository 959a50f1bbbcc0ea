"""Tables in expressions, and fields of values: what plans may read, and what they get."""

# ruff: noqa: D103 - classes and helpers of a test are read where they stand
from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import pytest

from compiler_nb.compiler import Compiler
from compiler_nb.errors import PlanError
from compiler_nb.notebook.live.details import details
from compiler_nb.operations import idioms
from compiler_nb.operations.bounds import Scope
from compiler_nb.plan.evaluate import evaluate
from compiler_nb.plan.plan import Plan
from compiler_nb.tool import tool
from tests.support import published
from tests.support.expressions import error_of, parse, same, value_of

COVERS = ("columns.py", "fields.py", "growth.py", "idioms.py")
pandas = pytest.importorskip("pandas")
numpy = pytest.importorskip("numpy")
NAN = float("nan")


@tool
def show(value: object) -> str:
    return repr(value)


@pytest.fixture
def cars():
    """Four cars, of which one has no consumption and one no name."""
    rows = {"mpg": [18.0, NAN, 9.0, 10.0], "name": ["a", "b", None, "d"], "year": [70, 71, 72, 73]}
    return pandas.DataFrame(rows)


# ------------------------------------------------------------------- what is missing


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sum(df['mpg'])", 37.0),
        ("max(df['mpg']), min(df['mpg'])", (18.0, 9.0)),
        ("sorted(df['mpg'])", [9.0, 10.0, 18.0, NAN]),
        ("sorted(df['mpg'], reverse=True)[:3]", [18.0, 10.0, 9.0]),
        ("sorted(df['name'], reverse=True)[:2]", ["d", "b"]),
        ("sorted(df['mpg'], key=lambda x: -x)", [18.0, 10.0, 9.0, NAN]),
        ("min(df['mpg'], key=lambda x: -x)", 18.0),
        ("sum(df['mpg'], 3)", 40.0),
        ("len(df['mpg'])", 4),
        ("list(round(df['mpg'] / 7, 1))", [2.6, NAN, 1.3, 1.4]),
        ("list(abs(-df['mpg']))", [18.0, NAN, 9.0, 10.0]),
        ("any(df['mpg'] > 17), all(df['mpg'] > 8), all(df['name'])", (True, False, True)),
        ("df['mpg'].mean(), df['mpg'].median(), df['mpg'].count()", (37 / 3, 10.0, 3)),
        ("round(df['mpg'].std(), 3), round(df['mpg'].std(ddof=0), 3)", (4.933, 4.028)),
        ("list(df['mpg'].dropna())", [18.0, 9.0, 10.0]),
        ("list(df['name'].isna())", [False, False, True, False]),
        ("df['mpg'].sum(), df['mpg'].max(), df['mpg'].min()", (37.0, 18.0, 9.0)),
        ("max(df[df['mpg'] > 99]['mpg'], default=0)", 0),
        ("len(df[(df['mpg'] > 9) & ~(df['year'] == 70) | (df['name'] == 'a')])", 2),
        ("df.count().to_dict()", {"mpg": 3, "name": 3, "year": 4}),
        ("len(df.dropna()), len(df.dropna(subset=['mpg']))", (2, 3)),
        ("df[['name', 'year']].to_dict('records')[0]", {"name": "a", "year": 70}),
    ],
)
def test_what_is_missing_in_a_column_is_skipped(cars, text, value):
    """By functions and methods, in both directions; numbers are Python's own."""
    assert same(value_of(text, df=cars), value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sum(a), max(a), min(a), len(a)", (6.0, 3.0, 1.0, 4)),
        ("sorted(a), sorted(a, reverse=True)", ([1.0, 2.0, 3.0, NAN], [3.0, 2.0, 1.0, NAN])),
        ("a.mean(), a.median(), a.count(), round(a.std(), 3)", (2.0, 2.0, 3, 0.816)),
        ("list(round(a / 7, 1)), list(abs(-a))", ([0.4, NAN, 0.1, 0.3], [3.0, NAN, 1.0, 2.0])),
        ("list(a.dropna()), list(a.isna())", ([3.0, 1.0, 2.0], [False, True, False, False])),
        ("any(a > 2), all(a > 2), a[0], list(a[(a > 1) & (a < 3)])", (True, False, 3.0, [2.0])),
        ("[x for x in a][0], list(a)[2], dict(zip(a, a))[3.0]", (3.0, 1.0, 3.0)),
    ],
)
def test_what_is_missing_in_an_array_is_skipped(text, value):
    """As in a column."""
    assert same(value_of(text, a=numpy.array([3.0, NAN, 1.0, 2.0])), value)


@pytest.mark.parametrize("make", [pandas.Series, numpy.array])
def test_the_sum_of_a_column_of_whole_numbers_does_not_overflow(make):
    """The library's own would, in silence."""
    assert value_of("sum(s)", s=make([2**62, 2**62, 5])) == 2**63 + 5


def test_a_column_may_be_of_any_size():
    """Two million rows at the speed of the library."""
    column = pandas.Series(range(2_000_000), dtype=float)
    assert value_of("sum(s), max(s), sorted(s, reverse=True)[0]", s=column) == (1999999000000.0, 1999999.0, 1999999.0)
    assert value_of("sum(a), min(a), len(a[a > 5])", a=column.to_numpy()) == (1999999000000.0, 0.0, 1999994)


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        (pandas.Series(["lo", "hi", None], dtype="category"), "max(s), sorted(s)", ("lo", ["hi", "lo", NAN])),
        (pandas.Series([2, None, 1], dtype="category"), "max(s), min(s), sorted(s)", (2, 1, [1, 2, NAN])),
        (
            pandas.Series(["lo", "hi"], dtype=pandas.CategoricalDtype(["lo", "hi"], ordered=True)),
            "max(s), sorted(s)",
            ("hi", ["lo", "hi"]),
        ),
        (pandas.Series([2, None, 1], dtype="Int64"), "sum(s), max(s), sorted(s)[:2], s.mean()", (3, 2, [1, 2], 1.5)),
        (pandas.Series([2, None, "a"], dtype=object), "len(s), any(s)", (3, True)),
        (pandas.Series([3, None, 1.5], dtype=object), "sum(s), sorted(s)", (4.5, [1.5, 3, None])),
        (pandas.Series([True, False]), "sum(s), any(s), all(s), max(s)", (1, True, False, True)),
        (pandas.Series([], dtype=float), "sum(s), sorted(s), any(s), all(s)", (0, [], False, True)),
    ],
)
def test_columns_of_all_kinds_are_read(column, text, value):
    """Categories, nullable numbers, objects, truths, and nothing."""
    assert same(value_of(text, s=column), value)


def test_times_are_compared_and_what_is_missing_is_skipped():
    """Also in an array."""
    days = pandas.Series(pandas.to_datetime(["2020-01-02", None, "2020-01-01"]))
    assert value_of("max(s) - min(s)", s=days) == pandas.Timedelta(days=1)
    assert value_of("sorted(s)[:2]", s=days) == [days[2], days[0]]
    assert value_of("max(s) == s[0]", s=days.to_numpy())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("max(df[df['mpg'] > 99]['mpg'])", "nothing is present: give it default="),
        ("df['mgp']", "no column 'mgp'; there are 'mpg', 'name', 'year'"),
        ("df.mgp", "a table has no 'mgp'; there are 'mpg', 'name', 'year'"),
        ("df.mean", "to call the method, write .mean()"),
        ("df[(df.mpg > 9) and (df.year > 70)]", "combine masks with & | ~"),
        ("df[df.mpg > 9 & df.year > 70]", "each comparison in brackets"),
        ("df['mpg'].tolist(0)", "of the arguments of .tolist() of a column a plan may give none"),
        ("df.head(1, 2)", "may give only n="),
        ("df.head('a')", "n= of head() must be a whole number, not str"),
        ("df.agg('query')", "an aggregation is one of count, first"),
        ("df.astype('S9')", "a type is one of Float64"),
        ("df['mpg']['x']", "no label 'x'"),
        ("'a'.mean()", "or an array, not str: write sum(value) / len(value)"),
        ("[1, 2].head()", "not list: write value[:5]"),
        ("df.str", "a table has no 'str'"),
        ("df.mpg.str.upper()", "Can only use .str accessor"),
        ("df.rolling(2)['mpg'][0]", "has no items in a plan"),
        ("pd.concat(df)", "takes a list of tables"),
    ],
)
def test_an_error_about_a_table_says_how_to_write_it(cars, text, told):
    """What there is, and what to write."""
    assert told in error_of(text, df=cars)


def test_only_the_libraries_own_types_are_tables():
    """A class of a user's, whatever its name, is a value like any other."""

    class Series(pandas.Series):
        pass

    assert "use a tool" in error_of("s.mean()", s=Series([1, 2]))
    assert "use a tool" in error_of("s.mean()", s=type("Series", (), {"mean": None})())


# ------------------------------------------------------------------- labels and positions


def noted(text: str, **values: Any) -> tuple[Any, list[str]]:
    scope = Scope(values)
    return evaluate(parse(text, values), scope), scope.notes


def test_a_row_of_a_filtered_column_is_read_by_its_label_or_else_by_its_position(cars):
    """A label where the index holds it; the position is noted."""
    assert noted("df[df['year'] > 70]['name'][3]", df=cars) == ("d", [])
    value, notes = noted("df[df['year'] > 70]['name'][0]", df=cars)
    assert (value, len(notes)) == ("b", 1)
    assert notes == ['df[df["year"] > 70]["name"][0]: the column has no label 0, so 0 was read as a position']
    assert noted("df['year'][-1]", df=cars)[0] == 73
    assert "neither a label nor a position 9" in error_of("df['year'][9]", df=cars)


@pytest.mark.parametrize(
    "column",
    [
        pandas.Series([5, 5, 3]).value_counts(),
        pandas.Series([5, 5, 3], name="n").value_counts(normalize=True),
        pandas.DataFrame({"g": [1, 1, 2], "x": [1.0, 2.0, 3.0]}).groupby("g")["x"].mean(),
        pandas.Series([1, 2], index=["a", "b"]),
        pandas.Series([1, 2], index=[0.5, 1.5]),
    ],
    ids=["counts", "shares", "groups", "texts", "numbers"],
)
def test_results_of_groupby_and_value_counts_are_read_by_label_only(column):
    """Never by position: what is not there is an error, which says how the position is read."""
    assert "has no label 0" in error_of("s[0]", s=column)
    assert "write list(column)[0]" in error_of("s[0]", s=column)
    label = column.index[0]
    assert same(value_of("s[k]", s=column, k=label), column.loc[label].item())
    assert value_of("list(s)[0]", s=column) == column.iloc[0]


# ------------------------------------------------------------------- fields


@dataclass
class Point:
    x: float
    y: float = 0.0
    known: ClassVar[int] = 1
    hidden: int = field(default=5, repr=False)

    @property
    def area(self) -> float:
        raise AssertionError("called")


class Pair(NamedTuple):
    left: int
    right: int


class Asked:
    """Says yes to whatever is asked of it."""

    def __getattr__(self, name: str) -> int:
        raise AssertionError("asked")


def test_a_field_is_a_column_a_key_or_a_declared_field(cars):
    """Of a table its listed attributes come first."""
    assert value_of("df.shape, list(df.columns), sum(df.mpg)", df=cars) == ((4, 3), ["mpg", "name", "year"], 37.0)
    counts = pandas.DataFrame({"count": [1], "shape": ["round"]})
    assert value_of("df.count[0], df.shape, df['shape'][0]", df=counts) == (1, (1, 2), "round")
    assert value_of("d.a.items, d['a']['items']", d={"a": {"items": 3}}) == (3, 3)
    assert value_of("p.x, p.hidden, q.right", p=Point(1.5), q=Pair(1, 2)) == (1.5, 5, 2)
    assert value_of("row.name, row.year", row=cars.loc[0]) == ("a", 70)


def test_a_field_of_an_attrs_or_pydantic_object_is_read():
    """As both declare them."""
    attr = pytest.importorskip("attr")
    pydantic = pytest.importorskip("pydantic")
    made = attr.make_class("Made", ["size"])
    model = pydantic.create_model("Model", size=(int, 3))
    assert value_of("a.size + b.size", a=made(4), b=model()) == 7
    assert "Model has no field 'copy'; it has size" in error_of("b.copy", b=model())


@pytest.mark.parametrize(
    ("text", "value", "told"),
    [
        ("v.area", Point(1), "Point has no field 'area'; it has x, y, hidden"),
        ("v.known", Point(1), "no field 'known'"),
        ("v.upper", "text", "str has no field 'upper'"),
        ("v.count", Pair(1, 2), "no field 'count'; it has left, right"),
        ("v.b", {"a": 1}, "KeyError: 'b' (with v = dict of 1); its keys are a"),
        ("v.real", 1, "int has no field 'real'"),
        ("v.__class__", 1, "cannot be read"),
    ],
)
def test_nothing_else_is_read(text, value, told):
    """No property, no class variable, no method, and nothing of a value that has no declared fields."""
    if "__" in text:
        with pytest.raises(PlanError, match=told):
            value_of(text, v=value)
    else:
        assert told in error_of(text, v=value)


def test_a_value_is_not_asked_what_its_fields_are():
    """Its class says it."""
    assert "Asked has no field 'anything'" in error_of("v.anything", v=Asked())


@pytest.mark.parametrize("name", ["to_csv", "to_sql", "to_pickle", "to_numpy", "_x", "__class__"])
def test_what_writes_and_what_is_private_is_refused_when_it_is_read(name):
    """With or without a call."""
    for text in (f"v.{name}", f"v.{name}()"):
        with pytest.raises(PlanError):
            value_of(text, v=1)


# ------------------------------------------------------------------- nothing is changed


def test_a_missing_key_does_not_grow_a_defaultdict():
    """Its value is what a missing key means; a factory of the user's own is not called."""
    counts, rows, own = defaultdict(int, a=1), defaultdict(list), defaultdict(lambda: 1 / 0)
    assert value_of("c['a'] + c['zz'], r['x']", c=counts, r=rows) == (1, [])
    assert (counts, rows) == ({"a": 1}, {})
    assert "KeyError: 'x'" in error_of("o['x']", o=own)
    assert value_of("c['zz']", c=Counter("aab")) == 0
    assert "KeyError: 'zz'" in error_of("c.zz", c=counts)


def test_a_dict_of_a_users_own_keeps_its_own_way_to_read_keys():
    """What adds missing keys does not; what reads keys in its own way does so."""

    class Growing(dict):
        def __missing__(self, key):
            self[key] = key
            return key

    class Loose(dict):
        def __getitem__(self, key):
            return dict.__getitem__(self, key.lower())

    growing = Growing()
    assert "KeyError" in error_of("g['x']", g=growing)
    assert growing == {}
    assert value_of("c['A']", c=Loose(a=1)) == 1


def test_members_and_keys_that_are_written_alike_are_evaluated_apart():
    """1, True and 1.0 are equal, and their texts are not."""
    assert value_of("{str(1), str(True), str(1.0)}") == {"1", "True", "1.0"}
    assert value_of("{str(1): 'a', str(True): 'b'}") == {"1": "a", "True": "b"}
    assert value_of("{1, True}, {str(1), str(1)}") == ({1}, {"1"})


# ------------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    "text",
    [
        "zeros + ones",
        "t - t.index_like",
        "t[['a'] * 100000]",
        "t.iloc[[0] * 1000, [0] * 100000]",
        "zeros.loc[[0] * 1000]",
        "zeros[ones > 0]",
        "zeros.loc[ones > 0]",
        "row * tall",
        "texts * 1000000",
        "objects * 10000000",
        "objects ** 1000000",
        "wide.to_dict()",
    ],
)
def test_what_would_grow_out_of_bounds_is_refused_before_it_is_made(text):
    """Labels that match many times, dimensions, repeated columns, texts, and Python objects in columns."""
    many = 20_000
    values = {
        "zeros": pandas.Series(1.0, index=[0] * many),
        "ones": pandas.Series(1.0, index=[0] * (many - 1)),
        "t": pandas.DataFrame({"a": [1.0] * many, "index_like": range(many)}),
        "row": numpy.ones((1, many)),
        "tall": numpy.ones((many, 1)),
        "texts": pandas.Series(["abc"] * 1000),
        "objects": pandas.Series([10**9, [1]], dtype=object),
        "wide": pandas.DataFrame(numpy.ones((1_001, 1_000))),
    }
    assert "use a tool" in error_of(text, **values)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    ["t[t.a > 1]", "t[(t.a > 1) & t.b.isna()]", "t[t.flag]", "t[t.object]", "t[t > 1]", "t[flags]", "t.loc[t.a > 1]",
     "t.loc[t.a > 1, ['b']]", "t.iloc[places]", "t.loc[places]", "t[t.a > 1][['a', 'b']]", "t.a[t.a > 1]"],
)  # fmt: skip
def test_a_mask_selects_the_rows_of_a_table_of_any_length(text):
    """A mask selects no row twice, so what it selects is no larger than the table, however long that is."""
    many = 40_000
    numbers = numpy.arange(many)
    t = pandas.DataFrame({"a": numbers % 7, "b": numbers * 1.0, "flag": numbers % 2 > 0})
    t["object"] = t["flag"].astype(object)
    t = t if "t > 1" not in text else t[["a", "b"]]
    values = {"t": t, "flags": [True, False] * (many // 2), "places": list(range(300))}
    assert value_of(text, **values).equals(eval(text, values))  # noqa: S307 - the texts above


def test_masks_are_for_numbers_and_sets_too():
    """As Python has them."""
    assert value_of("6 & 3, 6 | 1, ~5, {1, 2} & {2, 3}, {1} | {2}, True & False") == (2, 7, -6, {2}, {1, 2}, False)
    assert value_of("{'a': 1} | {'b': 2}") == {"a": 1, "b": 2}
    assert value_of("1 | 2 & 3 == 3, (1 | 2) == 3 & 3") == (1 | 2 & 3 == 3, (1 | 2) == 3 & 3)


def test_without_the_libraries_nothing_is_a_table(monkeypatch):
    """They are never imported, only found."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert value_of("len(xs), xs[0]", xs=[1, 2]) == (2, 1)


# ------------------------------------------------------------------- the published table

SAMPLES: dict[str, Any] = {
    "s": pandas.Series([3, 0, NAN, 1, 2.0]),
    "c": pandas.Series(["mid", "lo", "hi", None], dtype=pandas.CategoricalDtype(["lo", "mid", "hi"], ordered=True)),
    "f": pandas.Series([4, 5, 6, 7])[[False, True, False, True]],
    "a": numpy.array([3, 0, NAN, 1, 2.0]),
    "t": pandas.DataFrame({"count": [1, 2], "x": [3.0, NAN]}),
    "r": pandas.Series({"count": 1, "x": 3}),
    "d": {"x": 1},
}


@pytest.mark.parametrize("row", published.ROWS, ids=[row.plan for row in published.ROWS])
def test_plans_differ_from_plain_pandas_as_the_readme_says(row):
    """Each row of the table: we give what it says, and plain pandas, given a plan's text, does not."""
    for name in ("s", "a"):
        for values in (SAMPLES, {**SAMPLES, name: SAMPLES[name] - 1}, {**SAMPLES, name: -SAMPLES[name]}):
            used = {key: value for key, value in values.items() if f"{key}" in re.findall(r"\b\w\b", row.plan)}
            theirs = published.plain(published.in_python(row.pandas, **used))
            assert published.alike(value_of(row.plan, **used), theirs)


@pytest.mark.parametrize("row", published.ROWS, ids=[row.plan for row in published.ROWS])
def test_the_table_lists_nothing_that_plain_pandas_gives_too(row):
    """For some of the samples the same text gives something else, or fails, without us."""
    more = {"s": pandas.Series([NAN, 0.0, NAN]), "a": numpy.array([NAN, 0.0, NAN])}
    none = {"s": pandas.Series([1, None], dtype="Int64"), "a": numpy.array([1, None], dtype=object)}
    seen = []
    for values in (SAMPLES, {**SAMPLES, **more}, {**SAMPLES, **none}):
        try:
            theirs = published.in_python(row.plan, **values)
        except (AttributeError, KeyError, TypeError, ValueError):
            seen.append(False)
        else:
            ours = value_of(row.plan, **values)
            same_items = type(ours) is not list or list(map(type, ours)) == list(map(type, theirs))
            seen.append(published.alike(ours, theirs) and same_items)
    assert not all(seen), seen


def test_the_readme_lists_what_may_be_read_of_a_table():
    """Every method and every attribute, and no other."""
    listed = published.SECTION.partition("These may be called:")[2].partition("Otherwise")[0]
    assert re.findall(r"`(\w+)`", listed) == [*idioms.METHODS, *idioms.ATTRIBUTES]


def test_a_row_that_is_read_by_its_position_is_noted_in_the_details_of_its_task(cars):
    """Of an expression, of an argument, and of each only its own."""
    plan = """
low = df[df["year"] > 70]
first = low["name"][0]
last = low["name"][3]
shown = show(low["name"][-1])
answer(first)
"""
    run = Compiler(None, [show]).execute_sync(Plan.parse(plan, tools=[show], inputs=["df"]), inputs={"df": cars})
    assert (run.answer, run["last"], run["shown"]) == ("b", "d", "'d'")
    assert {id_: len(found) for id_, found in run.progress.warnings.items()} == {"first": 1, "shown": 1}
    assert "so 0 was read as a position" in details(run, "first")
