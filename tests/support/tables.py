"""Random tables, and random expressions over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from random import Random

NUMBERS = ("x", "n", "m", "count", "f")
COLUMNS = (*NUMBERS, "b", "c", "w", "e", "d", "z", "k", "o", "h", "q")
"""Numbers with gaps, whole ones, nullable ones; truths, words, days, days of a time zone, categories, ordered ones,
categories of numbers of which some are unused, and objects."""
SIZES = (0, 1, 1, 2, 3, 5, 8)
LONG = 4_100
"""Rows of a long table: more than a bound that multiplies rows with rows would let pass."""
WIDE = 60
"""Columns that a wide table has besides."""


OTHER = pd.DataFrame(
    {"n": [1, 2, 2, 5], "w": pd.Series(["a", "bb", None, "z"], dtype="str"), "p": [1.5, 2.5, 3.5, 4.5]}
)
"""A table to merge others with; one key occurs twice."""


def random_table(random: Random) -> pd.DataFrame:
    """Return a table with missing values, of all kinds of columns, often filtered; some are long, some wide."""
    size = random.choice(SIZES)

    def some(*values: Any, gaps: float = 0.3) -> list[Any]:
        return [None if random.random() < gaps else random.choice(values) for _ in range(size)]

    days = ("2024-02-29", "2025-01-01", "2025-06-30 12:00")
    table = pd.DataFrame(
        {
            "x": pd.Series(some(0.5, 1.25, -3.0, 7.0, 0.0), dtype=float),
            "n": pd.Series(some(1, 2, 3, -4, gaps=0), dtype="int64"),
            "m": pd.Series(some(1, 2, 5, 0), dtype="Int64"),
            "count": pd.Series(some(2, 3, gaps=0), dtype="int32"),
            "f": pd.Series(some(0.5, 2.0, -1.0), dtype="Float64"),
            "b": pd.Series(some(True, False, gaps=0), dtype=bool),
            "c": pd.Series(some(True, False), dtype="boolean"),
            "w": pd.Series(some("a", "bb", "", "c"), dtype="str"),
            "d": pd.to_datetime(pd.Series(some(*days), dtype="object"), format="mixed"),
            "e": pd.Series(some("b", "Ab ", "é"), dtype="string"),
            "z": pd.to_datetime(pd.Series(some(*days), dtype="object"), format="mixed").dt.tz_localize("Europe/Rome"),
            "k": pd.Series(some("u", "v"), dtype=pd.CategoricalDtype(["v", "u", "never"])),
            "o": pd.Series(some("lo", "hi"), dtype=pd.CategoricalDtype(["lo", "mid", "hi"], ordered=True)),
            "h": pd.Series(some(1, 2), dtype=pd.CategoricalDtype([2, 1, 9])),
            "q": pd.Series(some(1, 2.5, 4), dtype=object),
        }
    )
    if size and random.random() < 0.05:
        size = LONG
        table = table.iloc[np.arange(size) % len(table)].reset_index(drop=True)
    if random.random() < 0.1:
        table = pd.concat([table, pd.DataFrame({f"more{number}": range(size) for number in range(WIDE)})], axis=1)
    index = random.choice(("range", "range", "filtered", "filtered", "words", "repeated", "named"))
    if index == "filtered":
        table = table[np.array([random.random() < 0.7 for _ in range(size)], dtype=bool)]
    elif index == "words":
        table.index = pd.Index([f"r{number}" for number in range(size)], dtype="str")
    elif index == "repeated":
        table.index = pd.Index([number // 2 for number in range(size)], dtype="int64")
    elif index == "named":
        table.index = pd.Index(range(1, size + 1), name="id")
    return table


def random_values(random: Random) -> dict[str, Any]:
    """Return a table, a column of it, an array, what groupby and value_counts give, a row as a dict, and a number."""
    table = random_table(random)
    rows = table.head(1).to_dict("records")
    return {
        "t": table,
        "s": table[random.choice(COLUMNS)],
        "a": table["x"].to_numpy() if random.random() < 0.6 else np.array([3, 1, 2]),
        "u": pd.DataFrame(
            {"n": [1, 2, 2, 5], "w": pd.Series(["a", "bb", None, "z"], dtype="str"), "p": [1.5, 2.5, 3.5, 4.5]}
        ),
        "g": table.groupby("n")["x"].mean(),
        "v": table["n"].value_counts(),
        "r": rows[0] if rows else {"x": 1.0, "n": 2, "w": "a"},
        "i": random.choice((0, 1, 2, -1)),
    }


class Writer:
    """Writes expressions of columns, masks, numbers, lists and tables."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def pick(self, *forms: str) -> str:
        """Return one of the forms."""
        return self.random.choice(forms)

    def column(self, depth: int, *names: str) -> str:
        """Return a column of one of these names, or what is computed of it."""
        name = self.pick(*names or COLUMNS)
        plain = self.pick(f"t[{name!r}]", f"t.{name}", f"t[{name!r}]", "s", "a") if not names else f"t[{name!r}]"
        if depth <= 0:
            return plain
        number = self.pick(*NUMBERS)
        return self.pick(
            plain,
            plain,
            f"{self.table(depth - 1)}[{name!r}]",
            f"{plain}.dropna()",
            f"{plain}[{self.mask(depth - 1)}]",
            f"(t[{number!r}] {self.pick(*'+-*')} {self.column(depth - 1, *NUMBERS)})",
            f"abs(t[{number!r}])",
            f"round(t[{number!r}] / 3, 1)",
            f"(-t[{number!r}] * 2)",
            f"({self.number(depth - 1)} - t.x)",
            f"{plain}[:2]",
            "(t.w + t.w)",
            "(t.w + '-')",
            "round(a, 1)",
            "a.dropna()",
            "(a * 2)",
            "a[a > 1]",
            "g",
            "v",
            self.idiom(depth - 1),
            self.grouped(depth - 1),
        )

    def idiom(self, depth: int) -> str:
        """Return a column that an idiom of pandas gives, of the same length mostly."""
        number, other = self.pick(*NUMBERS), self.pick(*COLUMNS)
        column, keys = f"{self.table(depth - 1)}[{number!r}]", self.pick("'n'", "['n', 'w']")
        return self.pick(
            f"{column}.cumsum()", f"{column}.{self.pick('cummax', 'cummin')}()", f"{column}.duplicated()",
            f"{self.table(depth - 1)}.duplicated({keys})", "t.dtypes.astype(str)",
            f"{column}.diff()", f"{column}.shift({self.pick('1', '-1', '2')})",
            f"{column}.rank()", f"{column}.rank(method='dense', ascending=False)", f"{column}.clip(0, 2)",
            f"{column}.clip(lower=1)", f"{column}.fillna(0)", f"{column}.round(1)", f"{column}.abs()",
            f"{column}.pct_change()", f"{column}.between(0, 2)", f"{column}.isin([1, 2.5, 3])",
            f"{column}.rolling(2).mean()", f"{column}.rolling(3, min_periods=1).sum()", f"{column}.astype(float)",
            f"{column}.nlargest(2)", f"{column}.nsmallest(2)", f"{column}.sort_values()",
            f"{column}.sort_values(ascending=False).head(2)", f"{column}.quantile([0.25, 0.75])",
            f"{column}.agg(['min', 'max'])", f"{column}.describe()",
            f"t[{other!r}].value_counts()", f"t[{other!r}].value_counts(normalize=True)", f"t[{other!r}].notna()",
            f"t[{other!r}].drop_duplicates()", f"t[{other!r}].unique()", f"t[{other!r}].head(2)",
            f"t[{other!r}].sort_index()", f"t[{other!r}].reset_index(drop=True)", "t.w.astype(str)", "t.n.astype(str)",
            "t.w.str.upper()", "t.w.str.len()", "t.w.str.contains('b')", "t.w.str.contains('^b|c$', na=False)",
            "t.w.str.startswith('a')", "t.w.str.strip('b')", "t.w.str[0]", "t.w.str.get(1)", "t.w.str.split('b')",
            "t.w.str.replace('b', 'x')", "t.w.str.title()", "t.d.dt.year", "t.d.dt.month", "t.d.dt.dayofweek",
            "t.d.dt.day_name()", "t.d.dt.strftime('%Y-%m')", "t.d.dt.date", "(t.d - t.d.min()).dt.days",
            "(t.d - t.d.min()).dt.total_seconds()", "t.z.dt.hour", "t.z.dt.day_name()", "t.z.dt.strftime('%H:%M')",
            "(t.z - t.z.min()).dt.days", "t.e.str.lower()", "t.e.str.strip()", "t.e.str.contains('A|b')",
            "t.e.str.replace('b', 'c')", "t.e.astype(str)", "t.f.astype('Int64')", "t.h.astype(str)",
            f"t.loc[{self.mask(depth - 1)}, {other!r}]",
            f"t.iloc[:2][{other!r}]", f"t.iloc[-2:, {self.pick('0', '1')}]", f"pd.isna(t[{other!r}])",
            f"pd.to_numeric(t[{number!r}])", "pd.cut(t.x, [-5, 0, 2, 9])", "pd.cut(t.n, 2, labels=False)",
            f"pd.concat([t[{number!r}], t[{number!r}]])", f"t[{number!r}].idxmax()", f"t[{number!r}].nunique()",
            f"t[{number!r}].var()", f"t[{number!r}].quantile(0.5)", f"t[{number!r}].corr(t.x)", "t.x.corr(t.n)",
        )  # fmt: skip

    def grouped(self, depth: int) -> str:
        """Return a column that comes of groups, or of steps of time."""
        table, number = self.table(depth - 1), self.pick("x", "n")
        keys = self.pick("'n'", "'w'", "['n', 'w']", "['w']", "'n', sort=False", "'w', dropna=False")
        method = self.pick("mean", "sum", "min", "max", "count", "median", "std", "first", "last", "nunique", "size")
        name, categories = self.pick("mean", "sum", "max", "count"), self.pick("'k'", "['k', 'o']", "'h'")
        return self.pick(
            f"{table}.groupby({keys})[{number!r}].{method}()",
            f"{table}.groupby({keys})[{number!r}].agg({name!r})",
            f"{table}.groupby({keys})[{number!r}].cumsum()",
            f"{table}.groupby({keys})[{number!r}].{self.pick('cummax', 'cummin')}()",
            f"{table}.groupby({keys})[{number!r}].transform({method!r})",
            f"{table}.groupby({keys}).cumcount()",
            f"{table}.groupby({keys})[{number!r}].rank()",
            f"{table}.groupby({keys})[{number!r}].shift(1)",
            f"{table}.groupby({keys}).size()",
            f"{table}.groupby({keys})[{number!r}].value_counts()",
            f"t.resample('D', on='d')[{number!r}].{self.pick('sum', 'mean', 'count', 'max')}()",
            f"t.groupby('w', as_index=False)[{number!r}].mean()[{number!r}]",
            f"t.groupby('z')[{number!r}].{method}()",
            f"t.resample('D', on='z')[{number!r}].sum()",
            f"t.groupby({categories}, observed={self.pick('True', 'False')})[{number!r}].{method}()",
        )

    def combined(self, depth: int) -> str:
        """Return a table that is made of tables, or has other columns or rows."""
        table, name = self.table(depth - 1), self.pick("mean", "sum", "max", "count")
        return self.pick(
            f"{table}.merge(u, on='n')", f"{table}.merge(u, on='w', how='left')",
            f"pd.merge({table}, u, on='n', how='outer')",
            f"{table}.merge(u, left_on='n', right_on='n', suffixes=('_l', '_r'))", f"pd.concat([{table}, {table}])",
            "pd.concat([t, u], ignore_index=True)", f"{table}.assign(y=lambda d: d.x * 2, z=lambda d: d.y + d['n'])",
            f"{table}.assign(y={self.pick('t.x', '1', 't.n * 2')})", f"{table}.rename(columns={{'x': 'xx'}})",
            f"{table}.drop(columns=['x'])", f"{table}.drop_duplicates('n')", f"{table}.sort_values('n')",
            f"{table}.sort_values(['n', 'x'], ascending=[False, True])", f"{table}.nlargest(2, 'n')",
            f"{table}.head(2)",
            f"{table}.tail(1)", f"{table}.set_index('n')", f"{table}.reset_index()", f"{table}.reset_index(drop=True)",
            f"{table}.groupby('w').agg({{'x': {name!r}, 'n': 'sum'}})",
            f"{table}.groupby('w').agg(top=('x', {name!r}))",
            f"{table}.groupby('n')[['x', 'm']].{name}()", f"{table}.groupby(['n', 'w'], as_index=False)['x'].{name}()",
            f"{table}.pivot_table(index='n', columns='w', values='x', aggfunc={name!r})",
            f"{table}.melt(id_vars='n', value_vars=['x', 'm'])", f"{table}[['x', 'n']].fillna(0)",
            f"{table}[['x', 'n']].corr()", f"{table}[['x', 'n']].describe()", f"{table}[['x', 'n']].quantile(0.5)",
            f"{table}[['x', 'n']].cumsum()", f"{table}[['x', 'n']].agg(['min', 'max'])",
            f"{table}.astype({{'n': float}})",
            f"{table}.loc[{self.mask(depth - 1)}, ['x', 'n']]", f"{table}.loc[:, 'x':'m']", f"{table}.iloc[:2, 1:3]",
            f"{table}.iloc[0]", f"{table}.iloc[[0, 0]]", f"{table}[['x', 'n']].isin([1, 2])", f"{table}.sort_index()",
            f"{table}[['n', 'w']].value_counts()", f"{table}.nunique()", f"{table}[['x', 'n']].rank()",
            f"t.pivot_table(index='k', columns='o', values='x', observed=False, aggfunc={name!r})",
            f"{table}.isna().sum()", "t.dtypes", "t.describe()",
            "t.set_index('d').resample('ME')[['x', 'n']].sum()", f"{table}[['x', 'n']].rolling(2).sum()",
        )  # fmt: skip

    def mask(self, depth: int) -> str:
        """Return a mask of rows."""
        number = self.pick(*NUMBERS)
        sign = self.pick(">", "<", ">=", "<=", "==", "!=")
        plain = self.pick(
            f"(t[{number!r}] {sign} {self.pick('0', '1', '2.5', 'i')})",
            f"t[{self.pick(*COLUMNS)!r}].isna()",
            "t.b",
            f"(t.w {sign} 'b')",
            "(t.k == 'u')",
            f"(t.o {sign} 'mid')",
            "(t.d > t.d.min())",
            "(t.z >= t.z.max())",
            "t.c",
            "(t.h == 1)",
            "t.e.str.startswith('b')",
        )
        if depth <= 0:
            return plain
        one, other = self.mask(depth - 1), self.mask(depth - 1)
        return self.pick(plain, f"~{one}", f"({one} & {other})", f"({one} | {other})", f"({one} & ~{other})")

    def table(self, depth: int) -> str:
        """Return a table."""
        if depth <= 0:
            return "t"
        return self.pick(
            "t", f"t[{self.mask(depth - 1)}]", "t.dropna()", "t.dropna(subset=['x'])", "t[:3]", "t[['x', 'n', 'w']]"
        )

    def number(self, depth: int) -> str:
        """Return a value of a column or a table."""
        column = self.column(depth - 1)
        function = self.pick("sum", "max", "min", "len", "any", "all", "sum", "max", "min")
        method = self.pick("mean", "median", "count", "std", "sum", "max", "min")
        return self.pick(
            f"{function}({column})",
            f"{function}({column})",
            f"{column}.{method}()",
            f"{column}.{method}()",
            f"{column}[{self.pick('0', '1', '-1', '2', 'i')}]",
            f"max({column}, default=i)",
            f"len({self.table(depth - 1)})",
            f"{self.mask(depth - 1)}.sum()",
            f"any({self.mask(depth - 1)})",
            f"all({self.mask(depth - 1)})",
            "r.x",
            "r['n']",
            f"{self.table(depth - 1)}.shape[0]",
            f"t.{self.pick(*NUMBERS)}.std(ddof=0)",
            f"sum({column}, 1)",
            "t.count[0]",
        )

    def items(self, depth: int) -> str:
        """Return a list or a dict."""
        column, number = self.column(depth - 1), self.column(depth - 1, *NUMBERS)
        return self.pick(
            f"sorted({column})",
            f"sorted({column}, reverse=True)",
            f"sorted({column})[:2]",
            f"list({column})",
            f"[v for v in {column} if v == v]",
            f"dict(zip(t.w, {number}))",
            f"list({self.table(depth - 1)})",
            f"{self.table(depth - 1)}.to_dict('list')",
            f"{number}.to_dict()",
            "list(t.columns)",
            "list(t.count)",
            "t.columns.tolist()",
            f"{column}.tolist()",
            f"t[{self.pick(*COLUMNS)!r}].unique().tolist()",
            "[(k, len(p)) for k, p in t.groupby('w')]",
            f"{{k: p[{self.pick('x', 'n')!r}].sum() for k, p in t.groupby('n')}}",
            f"{{k: {self.number(depth - 1)} for k in t[['x', 'n']]}}",
            f"[max({number}, default=0), {self.number(depth - 1)}]",
        )

    def expression(self, depth: int) -> str:
        """Return any expression."""
        kind = self.pick("column", "mask", "table", "number", "number", "items", "idiom", "grouped", "combined")
        if self.random.random() < 0.9:
            return str(getattr(self, kind)(depth))
        return self.pick(
            f"{self.table(depth - 1)}.mean(numeric_only=True)",
            f"{self.table(depth - 1)}.count()",
            "t.isna()",
            f"{self.number(depth)} + {self.number(depth)}",
            f"'none' if len({self.table(depth)}) == 0 else {self.number(depth)}",
            f'f"{{{self.number(depth)}}}"',
            f"{self.column(depth)}.isna()",
            "t[['x', 'n']] * 2 - 1",
            "t[['x', 'm']] > 1",
        )
